/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the daemon tells its administrator: a line on stderr, or an entry with fields in the journal.
 *
 * Started by hand, lines are plain text. Under systemd (JOURNAL_STREAM names our stderr) entries go to the
 * journal's socket with MESSAGE_ID and VOLLEYD_EVENT, so that `journalctl MESSAGE_ID=…` finds every event of
 * a kind; when that socket cannot be reached, lines go to stderr with the "<N>" priority prefix of
 * sd-daemon(3). Main thread only: workers count, the main thread tells the story. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stddef.h>
#include <syslog.h> /* LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG */

enum log_event {
    EVENT_NONE, /* an ordinary line */
    EVENT_DAEMON_STARTED,
    EVENT_DAEMON_STOPPED,
    EVENT_DAEMON_CRASHED, /* told by the next one */
    EVENT_CONFIG_LOADED,
    EVENT_CONFIG_REFUSED,
    EVENT_RUN_STARTED,
    EVENT_RUN_ENDED,
    EVENT_PORT_STATE,
    EVENT_PORT_REFUSED,
    EVENT_PORT_FAILED,
    EVENT_LINK_LOST,
    EVENT_LINK_BACK,
    EVENT_CONTROL_CHANGE,
    EVENT_LEASE_EXPIRED,
    EVENT_COUNT
};

/* Once, before anything is logged. journal_socket NULL: the system's. Never fails: stderr remains. */
void log_open(const char *identifier, const char *journal_socket);
void log_close(void);
void log_set_level(int level); /* LOG_INFO until then; less important ones are dropped */
/* One line; line breaks in it become spaces. */
__attribute__((format(printf, 3, 4))) void log_write(int level, enum log_event event, const char *format,
                                                     ...);

/* For the manual: the event's name ("run-started") and its MESSAGE_ID, 32 hexadecimal digits; NULL for
 * EVENT_NONE. */
const char *log_event_name(enum log_event event);
const char *log_event_id(enum log_event event);

#endif
