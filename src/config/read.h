/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two readers of a tree. Each returns 0 and a tree, or -errno with complaints that name the place. Main
 * thread. */
#ifndef CONFIG_READ_H
#define CONFIG_READ_H

#include <jansson.h>

#include "config/tree.h"

/* A libconfig file with its @include files. Integers past 64 bits, and those past 32 bits without L, are
 * refused by scanning the text (libconfig 1.5 wraps them silently); NUL bytes, invalid UTF-8, more than 10
 * MiB or more than 32 nested groups are refused. */
int tree_read_file(const char *path, struct tree **out, struct complaints *complaints);

/* The same from memory; name stands in the messages as the file's name. For tests and fuzzers. */
int tree_read_text(const char *text, size_t length, const char *name, struct tree **out,
                   struct complaints *complaints);

/* A JSON object; places are paths such as streams[3].rate. */
int tree_read_json(const json_t *object, struct tree **out, struct complaints *complaints);

/* The tree as JSON, for `volleyctl apply` (a file read on the client's side). New reference, NULL when memory
 * is out. */
json_t *tree_to_json(const struct node *node);

#endif
