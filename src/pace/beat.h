/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A constant rate as an exact accumulator: the time of each step is a whole number of nanoseconds and a rest
 * that is carried over, so that the sum of any number of steps is the exact rational time rounded down once.
 *
 *   one unit takes 1e9 × den / num ns  =  step_ns + step_rest / slope,    0 ≤ rest < slope
 *
 * A step of several units divides by slope, which never changes between loads: by its reciprocal, with two
 * multiplications (Möller and Granlund, "Improved division by invariant integers", 2011, algorithm 4). */
#ifndef PACE_BEAT_H
#define PACE_BEAT_H

#include "pace/pacer.h"

typedef unsigned __int128 uint128;

/* The pacer keeps this and two times in one cache line. */
struct beat {
    uint64_t slope; /* 0: the rate is nothing, no step ends */
    uint64_t step_ns, step_rest;
    uint64_t rest;
    uint64_t reciprocal;  /* of slope shifted up to its top bit */
    uint32_t last_bytes;  /* of the frame that the running gap belongs to; 0: none yet */
    uint16_t extra_bytes; /* what a layer adds to a frame's memory; 0: units are frames */
    uint8_t shift;
    uint8_t fraction_bits; /* steps are counted in units / 2^fraction_bits */
};

/* The fraction a/b in lowest terms; if that does not fit 64 bits, as near as 63 bits come. b > 0. */
struct ratio ratio_fit(uint128 a, uint128 b);
struct ratio ratio_times(struct ratio a, struct ratio b);
/* time × ratio rounded down; DEADLINE_NEVER when it is more, or by zero. */
uint64_t time_scale(uint64_t time_ns, struct ratio by);

/* rest goes to 0; extra_bytes and last_bytes stay. unit is a rate's, never PACE_MAX. */
void beat_load(struct beat *beat, const struct pace_rate *rate, uint8_t fraction_bits);
/* So many units a nanosecond / cost, for shapes that change slope and share one cost (slope may be 0). */
void beat_load_slope(struct beat *beat, uint128 cost, uint64_t slope);
/* Zero time for any step. */
void beat_load_instant(struct beat *beat);
uint16_t beat_extra_bytes(enum pace_unit unit);

static inline uint64_t time_add(uint64_t time_ns, uint64_t more_ns)
{
    uint64_t sum;
    return __builtin_add_overflow(time_ns, more_ns, &sum) ? DEADLINE_NEVER : sum;
}

static inline uint64_t beat_units(const struct beat *beat, uint32_t frame_bytes)
{
    return beat->extra_bytes == 0 ? 1 : ((uint64_t)frame_bytes + beat->extra_bytes) * 8;
}

/* n / slope, and the remainder to *rest; for n / slope < 2^63. */
static inline uint64_t beat_divide(const struct beat *beat, uint128 n, uint64_t *rest)
{
    uint64_t divisor = beat->slope << beat->shift;
    n <<= beat->shift;
    uint128 estimate = (uint128)beat->reciprocal * (uint64_t)(n >> 64) + n;
    uint64_t quotient = (uint64_t)(estimate >> 64) + 1;
    uint64_t remainder = (uint64_t)n - quotient * divisor;
    if (remainder > (uint64_t)estimate) {
        quotient--;
        remainder += divisor;
    }
    if (remainder >= divisor) {
        quotient++;
        remainder -= divisor;
    }
    *rest = remainder >> beat->shift;
    return quotient;
}

/* The time that units more take; moves the rest on. units < 2^50; DEADLINE_NEVER when it is past all time. */
static inline uint64_t beat_step(struct beat *beat, uint64_t units)
{
    if (units == 1) { /* a frame at a rate in frames: neither product nor quotient */
        uint64_t short_of = beat->slope - beat->rest;
        bool carry = beat->step_rest >= short_of;
        beat->rest = carry ? beat->step_rest - short_of : beat->rest + beat->step_rest;
        return time_add(beat->step_ns, carry);
    }
    uint128 whole = (uint128)units * beat->step_ns;
    whole += beat_divide(beat, (uint128)units * beat->step_rest + beat->rest, &beat->rest);
    return whole >> 64 != 0 ? DEADLINE_NEVER : (uint64_t)whole;
}

#endif
