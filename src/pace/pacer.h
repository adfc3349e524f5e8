/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One stream's deadlines: an iterator over exact absolute times, from a rate, a shape and limits.
 *
 * Pure arithmetic in wide integers; no clock of its own, no drift: the n-th deadline of a rate is its anchor
 * plus the whole nanoseconds of the exact rational time that the n frames before it take. Re-anchored when
 * the rate changes. Times are CLOCK_MONOTONIC ns. Owner: one worker; new and free: main thread. */
#ifndef PACE_PACER_H
#define PACE_PACER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/units.h"

#define DEADLINE_NEVER UINT64_MAX

/* A rate that needs no link any more: so many units (frames, or bits of a layer) a second. */
struct pace_rate {
    enum pace_unit { PACE_MAX, PACE_FRAMES, PACE_BITS_L1, PACE_BITS_L2 } unit;
    struct ratio per_second;
};

/* What a stream asks for in time; immutable, made by plan and arming (percent resolved, split applied).
 * At most one of train, on/off, ramp and stairs; random arrivals go with a constant rate and with on/off. */
struct pace_shape {
    struct pace_rate rate;       /* while on; of trains: the mean; unused by ramp and stairs */
    uint64_t delay_ns;           /* from the start to the shape's beginning */
    uint64_t duration_ns;        /* frames with deadline < start + delay + duration; UINT64_MAX: no limit */
    uint64_t phase_ns;           /* first deadline so long after the shape's beginning */
    uint64_t burst_frames;       /* 0: no trains */
    uint64_t bursts;             /* trains in all; 0: no limit */
    uint64_t burst_gap_ns;       /* end of a train to the start of the next; 0: from rate as mean */
    struct pace_rate burst_rate; /* inside a train; PACE_MAX: all at once */
    uint64_t on_ns, off_ns;      /* 0: always on */
    uint64_t ramp_over_ns;       /* 0: none; ramp_to stays in force afterwards */
    struct pace_rate ramp_from, ramp_to; /* of one unit */
    const struct pace_rate *stairs;      /* borrowed; of one unit; the last stays in force */
    uint32_t steps;                      /* 0: none */
    uint64_t stair_ns;
    bool poisson; /* gaps are exponential with the rate's mean */
    uint64_t seed;
};

struct pacer;

struct pacer *
pacer_new(const struct pace_shape *shape); /* shape is borrowed; main thread; NULL when memory is out */
void pacer_free(struct pacer *pacer);

void pacer_start(struct pacer *pacer, uint64_t now_ns);
/* The next frame's deadline; DEADLINE_NEVER when there is none (ended, paused, rate 0). At rate max: since
 * when frames may go. */
uint64_t pacer_deadline(const struct pacer *pacer);
/* Takes it: the frame had so many bytes in memory; FCS and L1 extra are added here. No division. */
void pacer_advance(struct pacer *pacer, uint32_t frame_bytes);
/* Takes all frames with deadlines before a time at once, each counted with frame_bytes, and says how many.
 * Bounded work: with random arrivals, ramps and trains it may stop early, the deadline then still being
 * before that time. */
uint64_t pacer_skip(struct pacer *pacer, uint64_t before_ns, uint32_t frame_bytes);
/* A new rate from now on. What is left of the gap that runs keeps its share of the new gap; deadlines that
 * have passed already stand, at the old rate. Ramp and stairs end with it; trains keep their size. */
void pacer_set_rate(struct pacer *pacer, const struct pace_rate *rate, uint64_t now_ns);
/* All rates of the shape times this (not with respect to an earlier multiplier); an explicit gap between
 * trains is divided by it. */
void pacer_set_multiplier(struct pacer *pacer, struct ratio multiplier, uint64_t now_ns);
/* Time stands still between pause and resume (duration too). */
void pacer_pause(struct pacer *pacer, uint64_t now_ns);
void pacer_resume(struct pacer *pacer, uint64_t now_ns);
bool pacer_is_paused(const struct pacer *pacer);
/* When the shape's time ends (start + delay + duration, moved by pauses), or DEADLINE_NEVER. */
uint64_t pacer_end(const struct pacer *pacer);
/* No frame will come any more, whatever the rate: its time is over or its trains are sent. */
bool pacer_has_ended(const struct pacer *pacer);
/* Whether frames have no deadlines of their own (rate max), and until when they may go in this on-phase. */
bool pacer_is_max(const struct pacer *pacer);
uint64_t pacer_until(const struct pacer *pacer);
/* Whether the next frame belongs to a train begun (so that max_burst does not cut it). */
bool pacer_in_train(const struct pacer *pacer);
/* Whether the shape has trains at all. */
bool pacer_has_trains(const struct pacer *pacer);

#endif
