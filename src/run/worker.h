/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One thread a queue: a libev loop (EVBACKEND_POLL) around a sendloop, steered by orders.
 *
 *   main ── mailbox, ev_async ──► worker ── mailbox, ev_async ──► main: order->done() runs there
 *
 * While there is work an idle watcher runs slices of at most 500 µs; when nothing is due a timerfd waits for
 * the next deadline (precise pacing spins instead); else it waits for what the engine says. A
 * stop is answered after the drain. */
#ifndef RUN_WORKER_H
#define RUN_WORKER_H

#include <ev.h>

#include "config/schema.h"
#include "run/mailbox.h"
#include "run/sendloop.h"

enum order_kind {
    ORDER_LOAD,  /* sendloop: take this one (NULL: none) instead; the old one comes back in `sendloop`, when
                    its frames are withdrawn or back, or after drain_ns. Parts that both have and that run go
                    on; orders that follow wait for it */
    ORDER_START, /* parts, at_ns (0: now); reset: first sendloop_reset(nonce), for the start that opens a run
                  */
    ORDER_STOP,  /* parts. When no part is left active, what the kernel has not begun is withdrawn. Answered
                    when their frames are back, or after drain_ns with -ETIMEDOUT */
    ORDER_PAUSE,
    ORDER_RESUME,
    ORDER_RATE,     /* parts, rate */
    ORDER_MULTIPLY, /* parts, multiplier */
    ORDER_PARK, /* withdraw, then touch nothing until ORDER_UNPARK: the main thread may rebind the engine */
    ORDER_UNPARK,
    ORDER_QUIT /* worker_free()'s own */
};

/* What a parked worker is told waits until it is unparked, in order; but for UNPARK and QUIT. */
struct order {
    struct letter letter; /* mailboxes only */
    enum order_kind kind;
    uint32_t *parts; /* owned by the sender; NULL: all */
    uint32_t part_count;
    uint64_t at_ns, drain_ns;
    bool reset;
    uint32_t nonce;
    struct pace_rate rate;
    struct ratio multiplier;
    struct sendloop *sendloop;
    int result; /* 0; -EINVAL: no such part; -ENODEV: no sendloop; -ETIMEDOUT; -ECANCELED: the worker ended */
    void (*done)(struct order *order); /* main thread; the sender frees. It may call worker_free() */
    void *context;
    uint64_t until_ns, committed; /* the worker's own */
};

struct worker;
struct worker_wishes {
    const char *name; /* of the thread, at most 15 bytes; borrowed during worker_new() */
    int cpu;          /* -1: anywhere */
    enum pacing pacing;
    bool confine;   /* seccomp filter for the thread */
    bool addressed; /* cooked: sends with an address are let through */
    struct ev_loop *main_loop;
    void (*parts_ended)(void *context); /* main thread: some part became DONE. May be NULL */
    /* Main thread, once a change: the engine waits for what will not come by itself (ENETDOWN, ENXIO,
     * ENOBUFS …); 0: no longer. May be NULL. */
    void (*trouble)(void *context, int reason);
    void *context;
};
/* Starts the thread. -errno when it cannot be made, pinned or confined. */
int worker_new(const struct worker_wishes *wishes, struct worker **out, struct err *err);
/* Sends QUIT, joins; orders that are not answered yet are now, with -ECANCELED. Not its sendloop. NULL is
 * fine.
 */
void worker_free(struct worker *worker);
void worker_send(struct worker *worker, struct order *order); /* main thread */
uint64_t worker_progress(
    const struct worker *worker);        /* grows while the worker is alive and asked (for the watchdog) */
void worker_poke(struct worker *worker); /* asks for a sign of life */

#endif
