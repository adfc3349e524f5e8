/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints what the value machines make of a configuration, for references in other languages:
 *   values vary CONFIG FRAMES [PART PARTS]     one line a frame, entries' values in decimal
 *   values sizes CONFIG FRAMES [PART PARTS]    one size in memory a line
 *   values payload CONFIG BYTES                hex
 * CONFIG is libconfig text with `vary`, `size` or `mix`, `payload`; a vary entry says width (bits or mac,
 * ipv4, ipv6) and start. Complaints go to stderr, exit 1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "config/read.h"
#include "packet/value.h"

static bool resolve(void *context, const struct node *entry, struct vary_target *out,
                    struct complaints *complaints)
{
    static const struct {
        const char *name;
        struct vary_target target;
    } named[] = {{"mac", {.width_bits = 48, .kind = VARY_MAC}},
                 {"ipv4", {.width_bits = 32, .kind = VARY_IPV4}},
                 {"ipv6", {.width_bits = 128, .kind = VARY_IPV6}}};
    const struct node *width = node_find(entry, "width"), *start = node_find(entry, "offset");
    (void)context;
    (void)complaints;
    *out = (struct vary_target){.width_bits = 16};
    if (width != NULL && width->kind == NODE_INT)
        out->width_bits = (uint32_t)width->integer;
    for (size_t i = 0; width != NULL && width->kind == NODE_TEXT && i < sizeof named / sizeof *named; i++)
        if (strcmp(width->text, named[i].name) == 0)
            *out = named[i].target;
    if (start != NULL && start->kind == NODE_TEXT)
        out->start = strtoull(start->text, NULL, 0);
    return true;
}

static void print_decimal(unsigned __int128 value)
{
    char digits[48], *at = digits + sizeof digits;
    *--at = '\0';
    do {
        *--at = (char)('0' + (int)(value % 10));
        value /= 10;
    } while (value != 0);
    fputs(at, stdout);
}

static int print_vary(const struct node *root, unsigned long frames, uint32_t part, uint32_t parts,
                      struct complaints *complaints)
{
    struct vary *vary;
    if (vary_compile(node_find(root, "vary"), resolve, NULL, &vary, complaints) != 0)
        return 1;
    struct vary_cursor *cursor = vary_cursor_new(vary, part, parts);
    for (unsigned long frame = 0; cursor != NULL && frame < frames; frame++, vary_step(cursor)) {
        for (size_t i = 0; i < vary_count(vary); i++) {
            print_decimal(vary_values(cursor)[i]);
            putchar(i + 1 < vary_count(vary) ? ' ' : '\n');
        }
    }
    vary_cursor_free(cursor);
    vary_free(vary);
    return 0;
}

static int print_sizes(const struct node *root, unsigned long frames, uint32_t part, uint32_t parts,
                       struct complaints *complaints)
{
    struct sizes *sizes;
    struct size_cursor cursor;
    if (sizes_compile(root, node_find(root, "size"), node_find(root, "mix"), 14, 65535, &sizes, complaints) !=
        0)
        return 1;
    sizes_begin(sizes, &cursor, part, parts);
    for (unsigned long frame = 0; frame < frames; frame++, sizes_step(sizes, &cursor))
        printf("%u\n", sizes_distinct(sizes, cursor.next));
    sizes_free(sizes);
    return 0;
}

static int print_payload(const struct node *root, unsigned long bytes, uint32_t part, uint32_t parts,
                         struct complaints *complaints)
{
    struct payload *payload;
    (void)part;
    (void)parts;
    if (payload_compile(node_find(root, "payload"), true, &payload, complaints) != 0)
        return 1;
    uint8_t *out = malloc(bytes + 1);
    if (out != NULL)
        payload_fill(payload, out, bytes);
    for (unsigned long i = 0; out != NULL && i < bytes; i++)
        printf("%02x", out[i]);
    putchar('\n');
    free(out);
    payload_free(payload);
    return 0;
}

static const struct {
    const char *name;
    int (*print)(const struct node *root, unsigned long count, uint32_t part, uint32_t parts,
                 struct complaints *complaints);
} machines[] = {{"vary", print_vary}, {"sizes", print_sizes}, {"payload", print_payload}};

int main(int argc, char **argv)
{
    struct tree *tree = NULL;
    struct complaints *complaints = complaints_new();
    int result = 2;
    if (argc < 4 || complaints == NULL)
        return result;
    if (tree_read_text(argv[2], strlen(argv[2]), "argument", &tree, complaints) == 0) {
        uint32_t part = argc > 5 ? (uint32_t)strtoul(argv[4], NULL, 0) : 0;
        uint32_t parts = argc > 5 ? (uint32_t)strtoul(argv[5], NULL, 0) : 1;
        for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
            if (strcmp(argv[1], machines[i].name) == 0)
                result =
                    machines[i].print(tree_root(tree), strtoul(argv[3], NULL, 0), part, parts, complaints);
    } else {
        result = 1;
    }
    for (size_t i = 0; i < complaints_count(complaints); i++)
        fprintf(stderr, "%s: %s\n", complaints_get(complaints, i)->where,
                complaints_get(complaints, i)->text);
    complaints_free(complaints);
    tree_free(tree);
    return result;
}
