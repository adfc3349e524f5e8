/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hot path of one queue: schedule → slot → stamp, patch → commit → kick → reap → accounts.
 * No allocation, no logging, no locks, no floating point, no division a packet, no system call but the kick.
 * Worker thread only, but for new, free and part_new, part_free (main thread, while no worker has them). */
#ifndef RUN_SENDLOOP_H
#define RUN_SENDLOOP_H

#include "engine/engine.h"
#include "pace/schedule.h"
#include "packet/packet.h"
#include "run/counters.h"

/* One stream's share on one queue. Made by the main thread, then owned by the worker until it lets go. */
struct part {
    uint32_t stream;              /* index in the plan, for the main thread */
    struct packet *packet;        /* borrowed from the plan */
    struct packet_cursor *cursor; /* owned */
    struct pacer *pacer;          /* owned */
    struct pace_shape shape;      /* what pacer borrows */
    struct pace_rate *stairs;     /* owned */
    uint64_t count;               /* frames to complete; 0: no limit */
    bool signed_frames;
    uint16_t signature_stream;
    _Atomic uint32_t state; /* enum part_state; written by the worker */
    struct counts counts;   /* worker thread only */
    uint32_t sequence;      /* of the next signature */
    struct record record;   /* what others read */
};
enum part_state { PART_IDLE, PART_RUNNING, PART_PAUSED, PART_DRAINING, PART_DONE };

struct part *part_new(struct packet *packet, uint32_t part, uint32_t parts);
void part_free(struct part *part);

struct sendloop;
struct sendloop_wishes {
    struct schedule_limits limits;
    uint32_t batch_min, batch_max; /* the batch adapts within these */
    uint32_t nonce;                /* of the run, for signatures */
};
struct sendloop *sendloop_new(struct engine *engine, struct part **parts, uint32_t count,
                              const struct sendloop_wishes *wishes);
void sendloop_free(struct sendloop *loop); /* not its engine, not its parts */

void sendloop_begin(struct sendloop *loop, uint32_t part,
                    uint64_t at_ns); /* counters to zero, cursor to the first frame */
void sendloop_end(struct sendloop *loop,
                  uint32_t part); /* no further frame of it; DRAINING until its slots are back */
void sendloop_pause(struct sendloop *loop, uint32_t part, uint64_t now_ns);
void sendloop_resume(struct sendloop *loop, uint32_t part, uint64_t now_ns);
void sendloop_rate(struct sendloop *loop, uint32_t part, const struct pace_rate *rate, uint64_t now_ns);
void sendloop_multiply(struct sendloop *loop, uint32_t part, struct ratio multiplier, uint64_t now_ns);
void sendloop_withdraw(
    struct sendloop *loop); /* everything not yet begun by the kernel comes back, and is accounted */

enum sendloop_need { NEED_MORE /* call again */, NEED_DEADLINE, NEED_ENGINE, NEED_NOTHING };
struct sendloop_state {
    enum sendloop_need need;
    uint64_t deadline_ns;    /* NEED_DEADLINE; also with NEED_ENGINE the earlier of the two */
    struct engine_wait wait; /* NEED_ENGINE */
    bool parts_ended;        /* some part became DONE: tell the main thread */
};
/* Works until until_ns or until nothing can be done. */
void sendloop_slice(struct sendloop *loop, uint64_t until_ns, struct sendloop_state *out);
void sendloop_woken(struct sendloop *loop);                        /* the engine's fd was ready */
const struct record *sendloop_record(const struct sendloop *loop); /* struct queue_counts */
uint32_t sendloop_in_flight(const struct sendloop *loop);          /* slots */

#endif
