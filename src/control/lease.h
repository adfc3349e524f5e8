/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who holds the daemon, and until when. A lease belongs to a user, so that the commands of one script share
 * it; or, with `session`, to one connection, and then ends with it. Main thread. */
#ifndef CONTROL_LEASE_H
#define CONTROL_LEASE_H

#include <ev.h>

#include "control/call.h"

struct lease {
    struct ev_loop *loop;
    ev_timer end;
    bool held;
    uid_t uid;
    uint64_t connection; /* of a session lease; 0: any of the user's */
    char holder[64];     /* "uid 1000" or "uid 1000, pid 4242" */
    /* It was not renewed in time, or its session ended: traffic stops for this reason. */
    void (*lapsed)(void *context, const char *reason);
    void *context;
};

void lease_init(struct lease *lease, struct ev_loop *loop, void (*lapsed)(void *context, const char *reason),
                void *context);
void lease_fini(struct lease *lease);

/* Whether peer may change things: nobody holds the lease, or peer does. */
bool lease_permits(const struct lease *lease, const struct call_peer *peer);
/* Takes or renews it, whoever held it: the caller has asked lease_permits(), or was told to force. */
void lease_take(struct lease *lease, const struct call_peer *peer, uint32_t seconds, bool session);
void lease_release(struct lease *lease);
/* That connection is closed: its session lease ends. */
void lease_closed(struct lease *lease, uint64_t connection);
uint64_t lease_remaining_ms(struct lease *lease); /* 0 when nobody holds it */

#endif
