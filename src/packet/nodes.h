/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading the small groups inside a stream (size, mix, payload, vary): known keys, numbers, choices.
 * Each complains at the node it was given and leaves its output untouched on failure. Main thread. */
#ifndef PACKET_NODES_H
#define PACKET_NODES_H

#include "config/tree.h"

/* Whether all members of group have one of these names; others are complaints with the nearest name. */
bool nodes_know_keys(const struct node *group, const char *const keys[], size_t count,
                     struct complaints *complaints);

/* A whole number min…max, as a number or as text ("1M", "0x10"). what names it in messages. */
bool nodes_count(const struct node *node, const char *what, uint64_t min, uint64_t max, uint64_t *out,
                 struct complaints *complaints);

/* The member `name` of group as such a number, or fallback when it is absent. */
bool nodes_member_count(const struct node *group, const char *name, uint64_t min, uint64_t max,
                        uint64_t fallback, uint64_t *out, struct complaints *complaints);

/* The index of node's text in names; complains with all of them and the nearest. */
bool nodes_choice(const struct node *node, const char *what, const char *const names[], size_t count,
                  size_t *out, struct complaints *complaints);

#define NODES_COUNT_OF(array) (sizeof(array) / sizeof *(array))

#endif
