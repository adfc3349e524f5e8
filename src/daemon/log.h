/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's log: the journal's own protocol when standard error is the journal (with a MESSAGE_ID for each
 * kind of event), else lines on standard error. Main thread. */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

void log_open(void);
void log_close(void);

/* event is a kind in the table of log.c ("run-started", "change", …); text may hold what clients sent:
 * control characters are replaced. */
__attribute__((format(printf, 2, 3))) void log_event(const char *event, const char *format, ...);
/* The same as a volley_tell. */
void log_tell(void *context, const char *event, const char *text);

#endif
