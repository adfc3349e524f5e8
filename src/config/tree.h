/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A neutral tree of what someone wrote, in a file (libconfig) or in a request (JSON): names, values and where
 * each stood. The schema, the packet compiler and the control socket read the tree and never know where it
 * came from. Main thread; immutable once read. */
#ifndef CONFIG_TREE_H
#define CONFIG_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum node_kind { NODE_GROUP, NODE_LIST, NODE_TEXT, NODE_INT, NODE_FLOAT, NODE_BOOL };

struct node {
    enum node_kind kind;
    const char *name;                   /* its key; NULL for a member of a list */
    const char *where;                  /* "volleyd.conf:12" or "streams[3].rate"; owned by the tree */
    struct node *parent, *next, *child; /* child: first member of a group or a list */
    size_t children;
    union {
        const char *text; /* UTF-8, no NUL inside; owned by the tree */
        int64_t integer;
        double real;
        bool truth;
    };
};

struct tree; /* owns all nodes and their text (one arena) */

void tree_free(struct tree *tree);                     /* NULL is fine */
const struct node *tree_root(const struct tree *tree); /* always a group */

/* Building, for the readers and for programs that make a tree themselves (volleyctl send). NULL when memory
 * is out. */
struct tree *tree_new(void);
struct node *tree_add(struct tree *tree, struct node *parent, enum node_kind kind, const char *name,
                      const char *where);
const char *tree_text(struct tree *tree, const char *text); /* a copy that the tree owns */

const struct node *node_find(const struct node *group, const char *name); /* NULL when absent */
const char *
node_kind_name(enum node_kind kind); /* "a group", "a list", "text", "a number", "true or false" */
#define NODE_EACH(member, of) \
    for (const struct node *member = (of)->child; member != NULL; member = member->next)

/* What is wrong with what was written. All of it is collected in one pass; each reads
 * "where: path: what is wrong, and what would be right". Owner: the caller of the read. */
struct complaints;
struct complaints *complaints_new(void);
void complaints_free(struct complaints *list);
__attribute__((format(printf, 3, 4))) void complain(struct complaints *list, const struct node *at,
                                                    const char *format, ...);
__attribute__((format(printf, 3, 4))) void complain_warn(struct complaints *list, const struct node *at,
                                                         const char *format, ...);
size_t complaints_errors(const struct complaints *list);
size_t complaints_warnings(const struct complaints *list);
bool complaints_lost(const struct complaints *list); /* memory was out for one of them */
struct complaint {
    const char *where; /* "file:line" or a JSON path */
    const char *text;
    bool error; /* else a warning */
};
size_t complaints_count(const struct complaints *list); /* both kinds, in the order they were found */
const struct complaint *complaints_get(const struct complaints *list, size_t index);

/* The nearest of count names by edit distance, or NULL when nothing is near. For "unknown key `raet`;
 * `rate`?". */
const char *nearest_name(const char *wrong, const char *const names[], size_t count);

#endif
