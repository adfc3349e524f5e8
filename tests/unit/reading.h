/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Test fixture: configuration text as a tree, and the complaints about it. Include after cmocka.h. */
#ifndef TESTS_UNIT_READING_H
#define TESTS_UNIT_READING_H

#include <string.h>

#include "config/read.h"

struct reading {
    struct tree *tree;
    struct complaints *complaints;
};

static inline struct reading reading_of(const char *text)
{
    struct reading reading = {.complaints = complaints_new()};
    assert_non_null(reading.complaints);
    if (tree_read_text(text, strlen(text), "test", &reading.tree, reading.complaints) != 0)
        fail_msg("the test's own text is wrong: %s: %s", text, complaints_get(reading.complaints, 0)->text);
    return reading;
}

static inline const struct node *reading_node(const struct reading *reading, const char *name)
{
    return node_find(tree_root(reading->tree), name);
}

static inline void reading_end(struct reading *reading)
{
    tree_free(reading->tree);
    complaints_free(reading->complaints);
}

/* Some error says expected. */
static inline void assert_complaint(const struct reading *reading, const char *expected)
{
    for (size_t i = 0; i < complaints_count(reading->complaints); i++)
        if (strstr(complaints_get(reading->complaints, i)->text, expected) != NULL)
            return;
    fail_msg("no complaint says `%s`; the first of %zu: %s", expected, complaints_count(reading->complaints),
             complaints_count(reading->complaints) != 0 ? complaints_get(reading->complaints, 0)->text : "-");
}

#endif
