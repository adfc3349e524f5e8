// SPDX-License-Identifier: GPL-2.0-or-later
/* The neutral tree, and the complaints about it.
 *
 * A tree is an arena: nodes and texts are carved from chunks and die together. A node is allocated with one
 * more word than the header shows, the tail of its members, so that a list of a hundred thousand streams is
 * built in linear time. Equal places in a row (many keys of one line) share their text. Main thread. */
#include "config/tree.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CHUNK_BYTES = 64 << 10, COMPLAINTS_KEPT = 1000, NAME_COMPARED = 32 };

struct chunk {
    struct chunk *previous;
    size_t used, size;
    _Alignas(max_align_t) char data[];
};

struct tree {
    struct chunk *chunks;
    struct node *root;
    const char *last_where;
};

struct grown_node {
    struct node node; /* first: tree_add casts */
    struct node *last;
};

/* ---- arena ---- */

static struct chunk *chunk_new(struct chunk *previous, size_t size)
{
    struct chunk *chunk = malloc(sizeof *chunk + size);
    if (chunk != NULL)
        *chunk = (struct chunk){.previous = previous, .size = size};
    return chunk;
}

static void *arena_take(struct tree *tree, size_t bytes, size_t alignment)
{
    struct chunk *chunk = tree->chunks;
    size_t at = chunk != NULL ? (chunk->used + alignment - 1) & ~(alignment - 1) : 0;
    if (chunk == NULL || at + bytes > chunk->size) {
        chunk = chunk_new(tree->chunks, bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES);
        if (chunk == NULL)
            return NULL;
        tree->chunks = chunk;
        at = 0;
    }
    chunk->used = at + bytes;
    return chunk->data + at;
}

const char *tree_text(struct tree *tree, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = arena_take(tree, size, 1);
    return copy != NULL ? memcpy(copy, text, size) : NULL;
}

static const char *where_text(struct tree *tree, const char *where)
{
    if (tree->last_where == NULL || strcmp(tree->last_where, where) != 0)
        tree->last_where = tree_text(tree, where);
    return tree->last_where;
}

/* ---- tree ---- */

struct tree *tree_new(void)
{
    struct tree *tree = calloc(1, sizeof *tree);
    if (tree != NULL && tree_add(tree, NULL, NODE_GROUP, NULL, "configuration") == NULL) {
        tree_free(tree);
        tree = NULL;
    }
    return tree;
}

void tree_free(struct tree *tree)
{
    if (tree == NULL)
        return;
    for (struct chunk *chunk = tree->chunks, *previous; chunk != NULL; chunk = previous) {
        previous = chunk->previous;
        free(chunk);
    }
    free(tree);
}

const struct node *tree_root(const struct tree *tree)
{
    return tree->root;
}

static void append(struct node *parent, struct node *node)
{
    struct grown_node *grown = (struct grown_node *)(void *)parent;
    if (grown->last != NULL)
        grown->last->next = node;
    else
        parent->child = node;
    grown->last = node;
    parent->children++;
}

struct node *tree_add(struct tree *tree, struct node *parent, enum node_kind kind, const char *name,
                      const char *where)
{
    struct grown_node *grown = arena_take(tree, sizeof *grown, _Alignof(struct grown_node));
    if (grown == NULL)
        return NULL;
    *grown = (struct grown_node){.node = {.kind = kind}};
    struct node *node = &grown->node;
    node->where = where_text(tree, where);
    node->name = name != NULL ? tree_text(tree, name) : NULL;
    if (node->where == NULL || (name != NULL && node->name == NULL))
        return NULL;
    if (parent == NULL)
        parent = tree->root;
    node->parent = parent;
    if (parent != NULL)
        append(parent, node);
    else
        tree->root = node;
    return node;
}

const struct node *node_find(const struct node *group, const char *name)
{
    NODE_EACH(member, group)
    if (member->name != NULL && strcmp(member->name, name) == 0)
        return member;
    return NULL;
}

const char *node_kind_name(enum node_kind kind)
{
    static const char *const names[] = {
        [NODE_GROUP] = "a group", [NODE_LIST] = "a list",    [NODE_TEXT] = "text",
        [NODE_INT] = "a number",  [NODE_FLOAT] = "a number", [NODE_BOOL] = "true or false"};
    return names[kind];
}

/* ---- complaints ---- */

struct complaints {
    struct complaint *kept; /* owned, with their texts */
    size_t count, room;
    size_t errors, warnings; /* all of them, also those that were not kept */
    bool lost;
};

struct complaints *complaints_new(void)
{
    return calloc(1, sizeof(struct complaints));
}

void complaints_free(struct complaints *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; i < list->count; i++) {
        free((char *)list->kept[i].where);
        free((char *)list->kept[i].text);
    }
    free(list->kept);
    free(list);
}

static size_t index_in_list(const struct node *node)
{
    size_t index = 0;
    for (const struct node *member = node->parent->child; member != node; member = member->next)
        index++;
    return index;
}

/* "streams[3].rate"; the root is "". */
static void print_path(const struct node *node, FILE *out)
{
    if (node->parent == NULL)
        return;
    print_path(node->parent, out);
    if (node->name == NULL)
        fprintf(out, "[%zu]", index_in_list(node));
    else
        fprintf(out, "%s%s", node->parent->parent != NULL ? "." : "", node->name);
}

/* Names and values are others' text: nothing in them may steer a terminal or forge a line of its own. */
static char *tame(char *text)
{
    for (char *at = text; *at != '\0'; at++)
        if (iscntrl((unsigned char)*at))
            *at = '?';
    return text;
}

__attribute__((format(printf, 2, 0))) static char *tell(const struct node *at, const char *format,
                                                        va_list args)
{
    char *text = NULL, *path = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    FILE *path_out = at != NULL ? open_memstream(&path, &size) : NULL;
    if (path_out != NULL) {
        print_path(at, path_out);
        fclose(path_out);
        if (*path != '\0' && strcmp(path, at->where) != 0) /* from JSON the place is the path */
            fprintf(out, "%.200s: ", path);
        free(path);
    }
    vfprintf(out, format, args);
    if (fclose(out) == 0)
        return tame(text);
    free(text);
    return NULL;
}

static bool make_room(struct complaints *list)
{
    if (list->count < list->room)
        return true;
    size_t room = list->room > 0 ? 2 * list->room : 16;
    struct complaint *kept = realloc(list->kept, room * sizeof *kept);
    if (kept == NULL)
        return false;
    list->kept = kept;
    list->room = room;
    return true;
}

/* When memory is out the complaint still counts, so that nobody goes on with what was wrong. */
__attribute__((format(printf, 4, 0))) static void add(struct complaints *list, const struct node *at,
                                                      bool error, const char *format, va_list args)
{
    ++*(error ? &list->errors : &list->warnings);
    if (list->count >= COMPLAINTS_KEPT)
        return;
    char *where = strdup(at != NULL ? at->where : "configuration");
    char *text = tell(at, format, args);
    if (where == NULL || text == NULL || !make_room(list)) {
        list->lost = true;
        free(where);
        free(text);
        return;
    }
    list->kept[list->count++] = (struct complaint){tame(where), text, error};
}

void complain(struct complaints *list, const struct node *at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(list, at, true, format, args);
    va_end(args);
}

void complain_warn(struct complaints *list, const struct node *at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(list, at, false, format, args);
    va_end(args);
}

size_t complaints_errors(const struct complaints *list)
{
    return list->errors;
}

size_t complaints_warnings(const struct complaints *list)
{
    return list->warnings;
}

bool complaints_lost(const struct complaints *list)
{
    return list->lost;
}

size_t complaints_count(const struct complaints *list)
{
    return list->count;
}

const struct complaint *complaints_get(const struct complaints *list, size_t index)
{
    return &list->kept[index];
}

/* ---- nearest name ---- */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Damerau and Levenshtein's distance (optimal string alignment), letters without regard to case: insertions,
 * deletions, replacements and swaps of neighbours that lead from one name to the other. */
static unsigned edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    unsigned d[NAME_COMPARED + 1][NAME_COMPARED + 1];
    for (size_t i = 0; i <= a_length; i++)
        d[i][0] = (unsigned)i;
    for (size_t j = 0; j <= b_length; j++)
        d[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_length; i++)
        for (size_t j = 1; j <= b_length; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + (x != y));
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]))
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[a_length][b_length];
}

/* "sock" for socket, "max_duration_ns" for max_duration. */
static bool begins_alike(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t shorter = a_length < b_length ? a_length : b_length;
    return shorter >= 3 && strncasecmp(a, b, shorter) == 0;
}

const char *nearest_name(const char *wrong, const char *const names[], size_t count)
{
    const char *nearest = NULL;
    size_t length = strnlen(wrong, NAME_COMPARED + 1);
    if (length == 0 || length > NAME_COMPARED)
        return NULL;
    /* A third of the letters may be wrong; one in short names. */
    unsigned best = length < 6 ? 2 : (unsigned)length / 3 + 1;
    for (size_t i = 0; i < count; i++) {
        size_t other = strlen(names[i]);
        if (other > NAME_COMPARED)
            continue;
        unsigned distance = edit_distance(wrong, length, names[i], other);
        if (distance < best) {
            best = distance;
            nearest = names[i];
        }
    }
    for (size_t i = 0; i < count && nearest == NULL; i++)
        if (begins_alike(wrong, length, names[i], strlen(names[i])))
            nearest = names[i];
    return nearest;
}
