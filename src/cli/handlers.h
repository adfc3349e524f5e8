/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One function a verb; each returns an exit code (session.h) and has told what it has to tell. */
#ifndef CLI_HANDLERS_H
#define CLI_HANDLERS_H

#include "cli/command.h"
#include "cli/session.h"

typedef int handler(struct session *session, const struct invocation *with);

handler apply_run, counters_run, describe_run, lease_run, metrics_run, names_run, pause_run, rate_run,
    reload_run, report_run, resume_run, ring_run, send_run, start_run, status_run, stop_run, top_run,
    version_run, watch_run;

#endif
