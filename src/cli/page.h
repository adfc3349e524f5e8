/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One HTML page of a result, the verdict first. It needs nothing else: no network, no script. */
#ifndef CLI_PAGE_H
#define CLI_PAGE_H

#include <jansson.h>
#include <stdio.h>

/* result: what Report answered, or what merge_results() made. 0 or -ENOMEM. */
int page_print(const json_t *result, FILE *to);

#endif
