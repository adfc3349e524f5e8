/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/lease.h"

#include <stdio.h>

static void lapse(struct lease *lease, const char *why)
{
    char reason[128];
    snprintf(reason, sizeof reason, "the lease of %s %s", lease->holder, why);
    lease_release(lease);
    lease->lapsed(lease->context, reason);
}

static void on_end(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    lapse(timer->data, "was not renewed in time");
}

void lease_init(struct lease *lease, struct ev_loop *loop, void (*lapsed)(void *context, const char *reason),
                void *context)
{
    *lease = (struct lease){.loop = loop, .lapsed = lapsed, .context = context};
    ev_timer_init(&lease->end, on_end, 0., 0.);
    lease->end.data = lease;
}

void lease_fini(struct lease *lease)
{
    lease_release(lease);
}

bool lease_permits(const struct lease *lease, const struct call_peer *peer)
{
    if (!lease->held)
        return true;
    return peer->uid == lease->uid && (lease->connection == 0 || lease->connection == peer->connection);
}

void lease_take(struct lease *lease, const struct call_peer *peer, uint32_t seconds, bool session)
{
    lease->held = true;
    lease->uid = peer->uid;
    lease->connection = session ? peer->connection : 0;
    if (session)
        snprintf(lease->holder, sizeof lease->holder, "uid %u, pid %d", (unsigned)peer->uid, (int)peer->pid);
    else
        snprintf(lease->holder, sizeof lease->holder, "uid %u", (unsigned)peer->uid);
    ev_timer_stop(lease->loop, &lease->end);
    ev_timer_set(&lease->end, (ev_tstamp)seconds, 0.);
    ev_now_update(lease->loop); /* the loop's time may be as old as this turn */
    ev_timer_start(lease->loop, &lease->end);
}

void lease_release(struct lease *lease)
{
    lease->held = false;
    ev_timer_stop(lease->loop, &lease->end);
}

void lease_closed(struct lease *lease, uint64_t connection)
{
    if (lease->held && lease->connection == connection)
        lapse(lease, "ended with its connection");
}

uint64_t lease_remaining_ms(struct lease *lease)
{
    if (!lease->held)
        return 0;
    return (uint64_t)(ev_timer_remaining(lease->loop, &lease->end) * 1e3);
}
