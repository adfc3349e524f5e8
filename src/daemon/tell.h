/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What run and control tell (run.h: volley_tell), as events of the log. Main thread. */
#ifndef DAEMON_TELL_H
#define DAEMON_TELL_H

void tell(void *context, const char *event, const char *text);

#endif
