/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Results of several machines as one: names get their machine before them, the worst verdict counts, sums are
 * made. */
#ifndef CLI_MERGE_H
#define CLI_MERGE_H

#include <jansson.h>

#include "base/err.h"

/* Adds the result of machine `name` to `whole` (an empty object at first). -EINVAL when it is no result. */
int merge_result(json_t *whole, const char *name, const json_t *result, struct err *err);

#endif
