/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hot path of one queue: schedule → slot → stamp, patch → commit → kick → reap → accounts.
 * No allocation, no logging, no locks, no floating point, no division a packet, no system call but the kick.
 * Worker thread only, but for new, free and part_new, part_free (main thread, while no worker has them). */
#ifndef RUN_SENDLOOP_H
#define RUN_SENDLOOP_H

#include <stdalign.h>

#include "engine/engine.h"
#include "pace/schedule.h"
#include "packet/packet.h"
#include "run/counters.h"

enum { CACHE_LINE_BYTES = 64 };

enum part_state { PART_IDLE, PART_RUNNING, PART_PAUSED, PART_DRAINING, PART_DONE };

/* One stream's share on one queue. Made by the main thread, then owned by the worker until it lets go. Others
 * read only state and record; state DONE is written after the record that belongs to it. */
struct part {
    /* The two cache lines that a frame touches: what is counted, and what is sent. Worker thread only. */
    alignas(CACHE_LINE_BYTES) struct counts counts;
    alignas(CACHE_LINE_BYTES) struct packet_cursor *cursor; /* owned */
    const uint8_t *image;      /* what a slot of one length is stamped with; NULL: the cursor knows */
    uint64_t left;             /* frames that may still be queued; UINT64_MAX: no limit */
    uint32_t first_tag;        /* what a slot holds: this + variant */
    uint32_t bytes;            /* of a frame of one length in memory; of one segment */
    uint32_t image_bytes;      /* a whole run of segments counts */
    uint32_t sequence;         /* of the next signature */
    uint16_t signature_stream; /* set by the main thread */
    uint16_t segments;         /* frames that a full slot makes */
    bool signed_frames;        /* set by the main thread */
    bool unvarying;            /* a slot that holds it needs no touch */
    bool one_length;           /* all frames are plain and of `bytes` */
    bool always_due;           /* rate max: the schedule need not be asked for each frame */
    bool listed;               /* the schedule has it */
    bool touched;              /* counts differ from the record */
    _Atomic uint32_t state;    /* enum part_state; written by the worker */

    struct record record; /* struct counts, for others */

    struct engine_segmentation segmentation; /* of slots that hold runs of UDP segments */
    uint16_t full_segments;                  /* what the template's lengths say; 0: plain frames */

    uint32_t stream;          /* index in the plan; these three are the main thread's */
    uint32_t rank;            /* its number in its sendloop */
    bool never;               /* its share of a count is nothing: it is not started */
    uint64_t count;           /* frames to complete each time it is begun; 0: no limit */
    struct packet *packet;    /* one reference */
    struct pacer *pacer;      /* owned; pacer_new(&part->shape), set by the main thread */
    struct pace_shape shape;  /* what pacer borrows */
    struct pace_rate *stairs; /* owned */
};

/* Share `part` of `parts` of a packet; the caller sets stream, count, shape, stairs, pacer and, for a signed
 * stream, signed_frames and signature_stream. NULL when memory is out. */
struct part *part_new(struct packet *packet, uint32_t part, uint32_t parts);
void part_free(struct part *part); /* NULL is fine */

struct sendloop;
struct sendloop_wishes {
    struct schedule_limits limits;
    uint32_t batch_min, batch_max; /* the batch adapts within these */
    uint32_t nonce;                /* of the run, for signatures */
    uint64_t (*clock_ns)(void);    /* NULL: CLOCK_MONOTONIC; tests bring their own */
};
/* Engine and parts are borrowed; parts are not touched yet, another loop may still have them. NULL when
 * memory is out. */
struct sendloop *sendloop_new(struct engine *engine, struct part **parts, uint32_t count,
                              const struct sendloop_wishes *wishes);
/* Worker thread, once, before anything else: engine and parts are this loop's now. A part that is RUNNING
 * already (after a reload) goes on where it stood. What an earlier loop left on the ring is not accounted
 * here. */
void sendloop_take(struct sendloop *loop);
void sendloop_free(struct sendloop *loop); /* not its engine, not its parts; NULL is fine */

/* A run opens: the counters of the queue and of all its parts go to zero (frames still on the ring stay in
 * queued and in_flight, so that the accounts balance), signatures count from zero under a new nonce. */
void sendloop_reset(struct sendloop *loop, uint32_t nonce);
/* Cursor to the first frame, pacer started at at_ns. Counters go on: a stream that starts again within a run
 * adds to what it sent before. */
void sendloop_begin(struct sendloop *loop, uint32_t part, uint64_t at_ns);
/* No further frame of it is committed. DRAINING until its slots are back, then DONE. An idle part stays idle.
 */
void sendloop_end(struct sendloop *loop, uint32_t part);
void sendloop_pause(struct sendloop *loop, uint32_t part, uint64_t now_ns);
void sendloop_resume(struct sendloop *loop, uint32_t part, uint64_t now_ns);
void sendloop_rate(struct sendloop *loop, uint32_t part, const struct pace_rate *rate, uint64_t now_ns);
void sendloop_multiply(struct sendloop *loop, uint32_t part, struct ratio multiplier, uint64_t now_ns);
/* Everything not yet begun by the kernel comes back, and is accounted. */
void sendloop_withdraw(struct sendloop *loop);
/* Accounts what came back and does nothing else. */
void sendloop_collect(struct sendloop *loop);
/* The engine was bound anew: its slots hold nothing that is known, and what it waited for is over. */
void sendloop_rebound(struct sendloop *loop);

enum sendloop_need { NEED_MORE /* call again */, NEED_DEADLINE, NEED_ENGINE, NEED_NOTHING };
struct sendloop_state {
    enum sendloop_need need;
    uint64_t deadline_ns;    /* NEED_DEADLINE; also with NEED_ENGINE the earlier of the two */
    struct engine_wait wait; /* NEED_ENGINE */
    uint32_t sent;           /* frames committed in this slice */
    bool parts_ended;        /* some part became DONE: tell the main thread */
};
/* Works until until_ns or until nothing can be done. A deadline at most spin_ns away is awaited on the clock.
 */
void sendloop_slice(struct sendloop *loop, uint64_t until_ns, struct sendloop_state *out);
void sendloop_set_spin(struct sendloop *loop, uint64_t spin_ns);   /* 0 at first */
void sendloop_woken(struct sendloop *loop);                        /* the engine's fd was ready */
const struct record *sendloop_record(const struct sendloop *loop); /* struct queue_counts */
uint32_t sendloop_in_flight(const struct sendloop *loop);          /* slots of parts of this loop */
/* Slots since the loop was made; they settle in the order in which they were committed. */
uint64_t sendloop_committed(const struct sendloop *loop);
uint64_t sendloop_settled(const struct sendloop *loop);
uint32_t sendloop_active(const struct sendloop *loop); /* parts RUNNING or PAUSED */
const struct schedule_limits *sendloop_limits(const struct sendloop *loop);
uint32_t sendloop_parts(const struct sendloop *loop);
struct part *sendloop_part(const struct sendloop *loop, uint32_t part); /* borrowed */

#endif
