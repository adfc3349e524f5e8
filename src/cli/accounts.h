/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The counters object (DESIGN §9) as people read it: the run's line, tables of ports, streams and what was
 * received. Shared by status, counters, start --wait and report. */
#ifndef CLI_ACCOUNTS_H
#define CLI_ACCOUNTS_H

#include "cli/session.h"

/* "run 3 ended after 10.0 s: passed", and each reason on a line of its own. Nothing when there is no run. */
void accounts_print_run(const json_t *run, FILE *to, bool colour);
/* The whole object. A result is shorter: without ports and streams that had no part in the run. Streams past
 * `most` are only counted (0: all). */
enum accounts_rows { ACCOUNTS_ALL, ACCOUNTS_RESULT };
int accounts_print(const json_t *counters, FILE *to, bool colour, enum accounts_rows rows, size_t most);
/* EXIT_DONE, EXIT_UNMET or EXIT_NOT_VALID. */
int accounts_exit(const json_t *run);

/* What the streams that `wanted` selects (NULL: all) have together: the same keys as one stream. Sums of
 * ports when `of` is "ports". New reference. */
json_t *accounts_sum(const json_t *counters, const char *of,
                     bool (*wanted)(const void *context, const json_t *row), const void *context);

bool run_is(const json_t *run, const char *state);
/* The rate that says most: achieved while running, the average afterwards. */
const json_t *accounts_rates(const json_t *row, const json_t *run);

#endif
