// SPDX-License-Identifier: GPL-2.0-or-later
/* JSON to tree and back. Places are paths ("streams[3].rate"), because a request has no lines. The depth is
 * bounded here too: a tree is walked recursively by everyone after this. */
#include "config/read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 32 };

struct reader {
    struct tree *tree;
    struct complaints *complaints;
    bool out_of_memory;
};

/* "streams" + "rate", or + [index] when there is no name. NULL when memory is out. */
static char *join_path(const struct node *parent, const char *name, size_t index)
{
    char *path = NULL;
    const char *base = parent->parent != NULL ? parent->where : "";
    int rc = name == NULL ? asprintf(&path, "%s[%zu]", base, index)
                          : asprintf(&path, "%s%s%s", base, *base != '\0' ? "." : "", name);
    return rc < 0 ? NULL : path;
}

static enum node_kind kind_of(const json_t *value)
{
    static const enum node_kind kinds[] = {
        [JSON_OBJECT] = NODE_GROUP, [JSON_ARRAY] = NODE_LIST, [JSON_STRING] = NODE_TEXT,
        [JSON_INTEGER] = NODE_INT,  [JSON_REAL] = NODE_FLOAT, [JSON_TRUE] = NODE_BOOL,
        [JSON_FALSE] = NODE_BOOL,   [JSON_NULL] = NODE_TEXT,
    };
    return kinds[json_typeof(value)];
}

static void read_value(struct reader *reader, struct node *parent, const char *name, size_t index,
                       const json_t *value, unsigned depth);

static void read_members(struct reader *reader, struct node *node, const json_t *value, unsigned depth)
{
    const char *key;
    json_t *member;
    size_t index;
    if (depth >= DEPTH_MAX) {
        complain(reader->complaints, node, "nested deeper than %d levels", DEPTH_MAX);
        return;
    }
    if (json_is_object(value)) {
        json_object_foreach((json_t *)value, key, member) read_value(reader, node, key, 0, member, depth + 1);
    } else {
        json_array_foreach(value, index, member) read_value(reader, node, NULL, index, member, depth + 1);
    }
}

static void read_text(struct reader *reader, struct node *node, const json_t *value)
{
    const char *text = json_string_value(value);
    if (strlen(text) != json_string_length(value)) {
        complain(reader->complaints, node, "text with a NUL inside; leave it out");
        text = "";
    }
    node->text = tree_text(reader->tree, text);
    reader->out_of_memory |= node->text == NULL;
}

static void read_scalar(struct reader *reader, struct node *node, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        read_text(reader, node, value);
        break;
    case JSON_INTEGER:
        node->integer = json_integer_value(value);
        break;
    case JSON_REAL:
        node->real = json_real_value(value);
        break;
    case JSON_NULL:
        complain(reader->complaints, node, "null says nothing; leave the key out to have its default");
        node->text = "";
        break;
    default:
        node->truth = json_is_true(value);
    }
}

static void read_value(struct reader *reader, struct node *parent, const char *name, size_t index,
                       const json_t *value, unsigned depth)
{
    char *path = join_path(parent, name, index);
    struct node *node = path != NULL ? tree_add(reader->tree, parent, kind_of(value), name, path) : NULL;
    free(path);
    if (node == NULL)
        reader->out_of_memory = true;
    else if (node->kind == NODE_GROUP || node->kind == NODE_LIST)
        read_members(reader, node, value, depth);
    else
        read_scalar(reader, node, value);
}

int tree_read_json(const json_t *object, struct tree **out, struct complaints *complaints)
{
    size_t errors = complaints_errors(complaints);
    if (!json_is_object(object)) {
        complain(complaints, NULL, "not a JSON object; write { \"streams\": [ … ] }");
        return -EINVAL;
    }
    struct reader reader = {.tree = tree_new(), .complaints = complaints};
    if (reader.tree == NULL)
        return -ENOMEM;
    read_members(&reader, (struct node *)tree_root(reader.tree), object, 0);
    if (reader.out_of_memory || complaints_errors(complaints) > errors) {
        tree_free(reader.tree);
        return reader.out_of_memory ? -ENOMEM : -EINVAL;
    }
    *out = reader.tree;
    return 0;
}

/* ---- back ---- */

static json_t *members_to_json(const struct node *node)
{
    json_t *out = node->kind == NODE_GROUP ? json_object() : json_array();
    NODE_EACH(member, node)
    {
        json_t *value = tree_to_json(member);
        /* Both take the reference, also when they fail; a NULL value makes them fail. */
        int rc = node->kind == NODE_GROUP ? json_object_set_new(out, member->name, value)
                                          : json_array_append_new(out, value);
        if (rc != 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

json_t *tree_to_json(const struct node *node)
{
    switch (node->kind) {
    case NODE_TEXT:
        return json_string(node->text);
    case NODE_INT:
        return json_integer(node->integer);
    case NODE_FLOAT:
        return json_real(node->real);
    case NODE_BOOL:
        return json_boolean(node->truth);
    default:
        return members_to_json(node);
    }
}
