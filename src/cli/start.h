/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Starting, and waiting for the end: start and send. */
#ifndef CLI_START_H
#define CLI_START_H

#include "cli/session.h"

/* Waits until the streams of selection (as session_selection() makes it; borrowed) have ended, with progress
 * on a terminal; prints the result and returns the verdict's exit code. Ctrl-C stops them first. Interrupts
 * must be caught already. */
int start_wait(struct session *session, const json_t *selection);

#endif
