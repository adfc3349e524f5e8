/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One thread a queue: a libev loop (EVBACKEND_POLL) around a sendloop, steered by orders.
 *
 *   main ── mailbox (lock-free list, ev_async) ──► worker ── done mailbox (ev_async) ──► main: order->done()
 * runs there
 *
 * While there is work an idle watcher runs slices of at most 500 µs; when nothing is due a timerfd waits for
 * the next deadline (precise pacing spins the last microseconds); else it waits for what the engine says. A
 * stop is answered after the drain. */
#ifndef RUN_WORKER_H
#define RUN_WORKER_H

#include <ev.h>

#include "config/schema.h"
#include "run/sendloop.h"

enum order_kind {
    ORDER_LOAD,  /* sendloop: take this one (NULL: none) instead; the old one comes back in `sendloop` */
    ORDER_START, /* parts, at_ns; reset: first sendloop_reset(nonce), for the start that opens a run */
    ORDER_STOP,  /* parts; all: withdraw too. Answered when drained or after drain_ns (result -ETIMEDOUT) */
    ORDER_PAUSE,
    ORDER_RESUME,
    ORDER_RATE,     /* parts, rate */
    ORDER_MULTIPLY, /* parts, multiplier */
    ORDER_PARK, /* withdraw, then touch nothing until ORDER_UNPARK: the main thread may rebind the engine */
    ORDER_UNPARK,
    ORDER_QUIT
};

struct order {
    struct order *next; /* mailboxes only */
    enum order_kind kind;
    uint32_t *parts; /* owned by the sender; NULL: all */
    uint32_t part_count;
    uint64_t at_ns, drain_ns;
    bool reset;
    uint32_t nonce;
    struct pace_rate rate;
    struct ratio multiplier;
    struct sendloop *sendloop;
    int result;
    void (*done)(struct order *order); /* main thread; the sender frees */
    void *context;
};

struct worker;
struct worker_wishes {
    const char *name; /* of the thread, at most 15 bytes */
    int cpu;          /* -1: anywhere */
    enum pacing pacing;
    bool confine;   /* seccomp filter for the thread */
    bool addressed; /* cooked: sends with an address are let through */
    struct ev_loop *main_loop;
    void (*parts_ended)(void *context);         /* main thread: some part became DONE */
    void (*trouble)(void *context, int reason); /* main thread: the engine waits for what will not come by
                                                   itself (ENETDOWN, ENXIO, ENOBUFS) */
    void *context;
};
int worker_new(const struct worker_wishes *wishes, struct worker **out, struct err *err);
void worker_free(struct worker *worker);                      /* sends QUIT, joins */
void worker_send(struct worker *worker, struct order *order); /* main thread */
uint64_t worker_progress(
    const struct worker *worker);        /* grows while the worker is alive and asked (for the watchdog) */
void worker_poke(struct worker *worker); /* asks for a sign of life */

#endif
