/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a plan would send, as a file and in words: no interface, no time that passes. Main thread. */
#ifndef PLAN_DRYRUN_H
#define PLAN_DRYRUN_H

#include <stdio.h>

#include "plan/plan.h"

/* The first so many frames of a start of all streams, chains included, merged by their deadlines, which are
 * their time stamps (from 1970 on, in nanoseconds), into a pcap file at path. A percent and `max` need the
 * port's `speed`, else -EINVAL. A run of UDP segments is written as the kernel gets it, uncut; cooked frames
 * get the link header that the kernel would write, with a source of zeros. */
int dryrun_write(const struct plan *plan, const char *path, uint64_t frames, struct err *err);

/* What a stream asks for in a few words: "50 kpps", "1 kpps to 2 Mpps", "10 steps", "64 frames, then 1 ms".
 */
char *plan_format_asked(const struct plan_stream *stream, char *out, size_t size);

/* One stream: its packet (packet_explain), then rate, shape, limits and chain in words. */
void plan_explain(const struct plan *plan, uint32_t stream, FILE *out, bool colour);

#endif
