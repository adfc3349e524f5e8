/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What systemd is told (sd_notify(3)) and what it hands over (sd_listen_fds(3)); without systemd, nothing.
 * Main thread. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdint.h>

#include "base/err.h"

/* "READY=1\nSTATUS=…"; does nothing when nobody wants to know. */
__attribute__((format(printf, 1, 2))) void notify(const char *format, ...);

/* How often the watchdog wants to be fed, in microseconds; 0: there is none. */
uint64_t notify_watchdog_us(void);

/* The sockets that systemd opened, and their names ("" for none). Calls take for each; removes the variables,
 * so that no child takes them for its own. 0, or the first failure of take. */
int notify_listen_fds(int (*take)(void *context, int fd, const char *name, struct err *err), void *context,
                      struct err *err);

#endif
