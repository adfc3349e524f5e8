/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FNV-1a over kinds, names and values: equal configurations have equal fingerprints, whatever their layout.
 */
#include <string.h>

#include "plan/whole.h"

uint64_t fingerprint_bytes(uint64_t seed, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < count; i++)
        seed = (seed ^ at[i]) * UINT64_C(0x100000001b3);
    return seed;
}

static uint64_t fingerprint_text(uint64_t seed, const char *text)
{
    return text == NULL ? fingerprint_bytes(seed, "", 1) : fingerprint_bytes(seed, text, strlen(text) + 1);
}

static uint64_t fingerprint_value(uint64_t seed, const struct node *node)
{
    switch (node->kind) {
    case NODE_TEXT:
        return fingerprint_text(seed, node->text);
    case NODE_INT:
        return fingerprint_bytes(seed, &node->integer, sizeof node->integer);
    case NODE_FLOAT:
        return fingerprint_bytes(seed, &node->real, sizeof node->real);
    case NODE_BOOL:
        return fingerprint_bytes(seed, &node->truth, sizeof node->truth);
    default:
        return fingerprint_bytes(seed, &node->children, sizeof node->children);
    }
}

uint64_t fingerprint_node(uint64_t seed, const struct node *node)
{
    if (node == NULL)
        return fingerprint_bytes(seed, "-", 1);
    seed = fingerprint_bytes(seed, &node->kind, sizeof node->kind);
    seed = fingerprint_text(seed, node->name);
    seed = fingerprint_value(seed, node);
    if (node->kind == NODE_GROUP || node->kind == NODE_LIST)
        NODE_EACH(member, node)
    seed = fingerprint_node(seed, member);
    return seed;
}
