/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Readers for the groups that packet/ owns; the schema does not descend into them. Main thread. */
#include "packet/nodes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"

static bool find_name(const char *name, const char *const names[], size_t count, size_t *out)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static void list_names(const char *const names[], size_t count, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count && used < size; i++) {
        const char *before = i == 0 ? "" : i + 1 == count ? " or " : ", ";
        used += (size_t)snprintf(out + used, size - used, "%s%s", before, names[i]);
    }
}

static void complain_name(const struct node *at, const char *what, const char *wrong,
                          const char *const names[], size_t count, struct complaints *complaints)
{
    char all[240];
    const char *near = nearest_name(wrong, names, count);
    list_names(names, count, all, sizeof all);
    if (near != NULL)
        complain(complaints, at, "unknown %s `%s`; `%s`? (%s)", what, wrong, near, all);
    else
        complain(complaints, at, "unknown %s `%s`; it is one of %s", what, wrong, all);
}

bool nodes_know_keys(const struct node *group, const char *const keys[], size_t count,
                     struct complaints *complaints)
{
    bool known = true;
    size_t ignored;
    NODE_EACH(member, group)
    {
        if (member->name != NULL && find_name(member->name, keys, count, &ignored))
            continue;
        complain_name(member, "key", member->name != NULL ? member->name : "", keys, count, complaints);
        known = false;
    }
    return known;
}

bool nodes_count(const struct node *node, const char *what, uint64_t min, uint64_t max, uint64_t *out,
                 struct complaints *complaints)
{
    uint64_t value;
    struct err err = {0};
    if (node->kind == NODE_TEXT) {
        if (units_count(node->text, &value, &err) != 0) {
            complain(complaints, node, "%s: %s", what, err.text);
            return false;
        }
    } else if (node->kind == NODE_INT && node->integer >= 0) {
        value = (uint64_t)node->integer;
    } else if (node->kind == NODE_INT) {
        complain(complaints, node, "%s %" PRId64 " is out of range; it is %" PRIu64 " … %" PRIu64, what,
                 node->integer, min, max);
        return false;
    } else {
        complain(complaints, node, "%s is %s; it must be a whole number %" PRIu64 " … %" PRIu64, what,
                 node_kind_name(node->kind), min, max);
        return false;
    }
    if (value < min || value > max) {
        complain(complaints, node, "%s %" PRIu64 " is out of range; it is %" PRIu64 " … %" PRIu64, what,
                 value, min, max);
        return false;
    }
    *out = value;
    return true;
}

bool nodes_member_count(const struct node *group, const char *name, uint64_t min, uint64_t max,
                        uint64_t fallback, uint64_t *out, struct complaints *complaints)
{
    const struct node *member = node_find(group, name);
    if (member != NULL)
        return nodes_count(member, name, min, max, out, complaints);
    *out = fallback;
    return true;
}

bool nodes_choice(const struct node *node, const char *what, const char *const names[], size_t count,
                  size_t *out, struct complaints *complaints)
{
    if (node->kind == NODE_TEXT && find_name(node->text, names, count, out))
        return true;
    if (node->kind == NODE_TEXT) {
        complain_name(node, what, node->text, names, count, complaints);
    } else {
        char all[240];
        list_names(names, count, all, sizeof all);
        complain(complaints, node, "%s is %s; it must be %s", what, node_kind_name(node->kind), all);
    }
    return false;
}
