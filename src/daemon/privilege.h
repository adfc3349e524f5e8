/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the process may do, and what it is given to work with: called in this order by main, before any
 * thread.
 */
#ifndef DAEMON_PRIVILEGE_H
#define DAEMON_PRIVILEGE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* Descriptors 0, 1 and 2 are open afterwards, so that no socket ever takes their place. */
int privilege_open_stdio(struct err *err);
/* A kernel and a /proc that we can work with. */
int privilege_check_system(struct err *err);
/* Descriptors for 64 ports with queues, and for 64 clients. */
int privilege_raise_limits(struct err *err);

/* What --user (NULL: stay who we are) means. */
struct account {
    uid_t uid;
    gid_t gid;
    char name[64];
    bool change;
};
int privilege_find_account(const char *user, struct account *out, struct err *err);
int privilege_find_group(const char *group, gid_t *out, struct err *err);

/* Becomes account, and keeps CAP_NET_RAW and CAP_NET_ADMIN of the capabilities, as far as there. */
int privilege_drop(const struct account *account, struct err *err);
bool privilege_can_send(void); /* CAP_NET_RAW is effective */

#endif
