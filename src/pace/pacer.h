/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One stream's deadlines: an iterator over exact absolute times, from a rate, a shape and limits.
 *
 * Pure arithmetic in wide integers; no clock of its own, no drift: the n-th deadline is computed from the
 * anchor, never from the one before it plus a rounded gap. Re-anchored when the rate changes. Times are
 * CLOCK_MONOTONIC ns. Owner: one worker. */
#ifndef PACE_PACER_H
#define PACE_PACER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/units.h"

enum { PACER_NEVER = 0 };
#define DEADLINE_NEVER UINT64_MAX

/* A rate that needs no link any more: so many units (frames, or bits of a layer) a second. */
struct pace_rate {
    enum { PACE_MAX, PACE_FRAMES, PACE_BITS_L1, PACE_BITS_L2 } unit;
    struct ratio per_second;
};

/* What a stream asks for in time; immutable, made by plan and arming (percent resolved, split applied). */
struct pace_shape {
    struct pace_rate rate;       /* or the mean rate of trains */
    uint64_t delay_ns;           /* from the start to the first deadline's base */
    uint64_t duration_ns;        /* frames with deadline < start + delay + duration; UINT64_MAX: no limit */
    struct ratio phase;          /* first deadline after this share of a gap */
    uint64_t burst_frames;       /* 0: no trains */
    uint64_t bursts;             /* trains in all; 0: no limit */
    uint64_t burst_gap_ns;       /* end of a train to the start of the next; 0: from rate as mean */
    struct pace_rate burst_rate; /* inside a train; PACE_MAX: all at once */
    uint64_t on_ns, off_ns;      /* 0: always on */
    uint64_t ramp_over_ns;       /* 0: none */
    struct pace_rate ramp_from, ramp_to;
    const struct pace_rate *stairs; /* borrowed */
    uint32_t steps;
    uint64_t stair_ns;
    bool poisson;
    uint64_t seed;
};

struct pacer; /* opaque size is known to the schedule: see pacer_new */

struct pacer *
pacer_new(const struct pace_shape *shape); /* shape is borrowed; main thread; NULL when memory is out */
void pacer_free(struct pacer *pacer);

void pacer_start(struct pacer *pacer, uint64_t now_ns);
/* The next frame's deadline; DEADLINE_NEVER when the shape has ended; 0 means always due (rate max). */
uint64_t pacer_deadline(const struct pacer *pacer);
/* Takes it: the frame had so many bytes in memory; FCS and L1 extra are added here. */
void pacer_advance(struct pacer *pacer, uint32_t frame_bytes);
/* A new rate or multiplier from now on: re-anchored, deadlines after now follow the new rate. */
void pacer_set_rate(struct pacer *pacer, const struct pace_rate *rate, uint64_t now_ns);
void pacer_set_multiplier(struct pacer *pacer, struct ratio multiplier, uint64_t now_ns);
/* Time stands still between pause and resume (duration too). */
void pacer_pause(struct pacer *pacer, uint64_t now_ns);
void pacer_resume(struct pacer *pacer, uint64_t now_ns);
/* When the shape's time ends (start + delay + duration, moved by pauses), or DEADLINE_NEVER. */
uint64_t pacer_end(const struct pacer *pacer);
/* Whether the next frame belongs to a train begun (so that max_burst does not cut it). */
bool pacer_in_train(const struct pacer *pacer);

#endif
