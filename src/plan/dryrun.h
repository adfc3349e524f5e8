/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a plan would send, as a file: no interface, no time that passes. Main thread. */
#ifndef PLAN_DRYRUN_H
#define PLAN_DRYRUN_H

#include "plan/plan.h"

/* The first so many frames of all streams, merged by their deadlines, which are their time stamps (from 1970
 * on, in nanoseconds), into a pcap file at path. */
int dryrun_write(const struct plan *plan, const char *path, uint64_t frames, struct err *err);

#endif
