/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All products stay in 128 bits: ramp_load keeps 2T·1e9·den × 2^20 units below 2^126, and the root is only
 * looked for between bounds at which the ramp's work is at most four times what is owed. */
#include "pace/ramp.h"

#include <limits.h>

#include "base/clock.h"

static int bits(uint128 value)
{
    uint64_t high = (uint64_t)(value >> 64), low = (uint64_t)value;
    if (high != 0)
        return 128 - __builtin_clzll(high);
    return low != 0 ? 64 - __builtin_clzll(low) : 0;
}

void ramp_load(struct ramp *ramp, struct ratio from, struct ratio to, uint64_t over_ns)
{
    enum { UNIT_BITS = 20, OWED_BITS = 126 };
    uint128 a0 = (uint128)from.num * to.den, a1 = (uint128)to.num * from.den;
    uint128 den = (uint128)from.den * to.den;
    struct ratio first = ratio_fit(a0, den), last = ratio_fit(a1, den);
    if (first.den != last.den) { /* in lowest common terms */
        struct ratio factor = ratio_fit(first.den, last.den);
        a0 = (uint128)first.num * factor.den;
        a1 = (uint128)last.num * factor.num;
        den = (uint128)first.den * factor.den;
    } else {
        a0 = first.num;
        a1 = last.num;
        den = first.den;
    }
    uint128 scale = (uint128)2 * over_ns * NS_PER_SECOND;
    while (den > 1 && ((a0 | a1) >> 63 != 0 || bits(scale) + bits(den) + UNIT_BITS > OWED_BITS)) {
        a0 >>= 1;
        a1 >>= 1;
        den >>= 1;
    }
    ramp->from = (uint64_t)a0;
    ramp->to = (uint64_t)a1;
    ramp->over_ns = over_ns;
    ramp->cost = scale * den;
    ramp->owed = 0;
}

/* 2T times the rate at t. */
static uint128 slope_at(const struct ramp *ramp, uint64_t at_ns)
{
    return 2 * ((uint128)ramp->from * (ramp->over_ns - at_ns) + (uint128)ramp->to * at_ns);
}

/* The work of the next time_ns on the ramp; all ones when it is past 128 bits, which nothing owed can be. */
static uint128 work_of(const struct ramp *ramp, uint128 slope, uint64_t time_ns)
{
    uint128 linear, bend, sum;
    bool rises = ramp->to >= ramp->from;
    uint64_t by = rises ? ramp->to - ramp->from : ramp->from - ramp->to;
    if (__builtin_mul_overflow((uint128)by * time_ns, (uint128)time_ns, &bend) ||
        __builtin_mul_overflow(slope, (uint128)time_ns, &linear))
        return ~(uint128)0;
    if (!rises)
        return linear - bend;
    return __builtin_add_overflow(linear, bend, &sum) ? ~(uint128)0 : sum;
}

/* A time not before the root: where the work, at the steepest or with half the slope, is what is owed. */
static uint64_t bound_above(const struct ramp *ramp, uint128 slope, uint64_t left_ns)
{
    uint128 bound;
    if (ramp->to < ramp->from)
        bound = 2 * ramp->owed / slope + 1;
    else if (slope > 0)
        bound = ramp->owed / slope + 1;
    else /* at the foot of one that begins at zero */
        bound = (uint128)1 << ((bits(ramp->owed / ramp->to) + 1) / 2);
    return bound < left_ns ? (uint64_t)bound : left_ns;
}

/* The longest time ≤ left_ns whose work is owed already. */
static uint64_t root(const struct ramp *ramp, uint128 slope, uint64_t left_ns)
{
    uint64_t high = bound_above(ramp, slope, left_ns), low = 0;
    uint128 steepest = slope;
    if (ramp->to > ramp->from)
        steepest += (uint128)(ramp->to - ramp->from) * high;
    if (steepest > 0 && ramp->owed / steepest < high)
        low = (uint64_t)(ramp->owed / steepest);
    while (low < high) {
        uint64_t middle = low + (high - low + 1) / 2;
        if (work_of(ramp, slope, middle) <= ramp->owed)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

void ramp_step(struct ramp *ramp, uint64_t units)
{
    if (ramp->at_ns == DEADLINE_NEVER)
        return;
    ramp->owed += ramp->cost * units;
    if (ramp->at_ns < ramp->over_ns && ramp->from != ramp->to) {
        uint128 slope = slope_at(ramp, ramp->at_ns);
        uint64_t time_ns = root(ramp, slope, ramp->over_ns - ramp->at_ns);
        ramp->owed -= work_of(ramp, slope, time_ns);
        ramp->at_ns += time_ns;
        if (ramp->at_ns < ramp->over_ns)
            return;
    }
    uint128 slope = (uint128)2 * ramp->over_ns * ramp->to;
    uint128 time_ns = slope > 0 ? ramp->owed / slope : DEADLINE_NEVER;
    if (time_ns >= DEADLINE_NEVER - ramp->at_ns) {
        ramp->at_ns = DEADLINE_NEVER;
        return;
    }
    ramp->owed %= slope;
    ramp->at_ns += (uint64_t)time_ns;
}

struct ratio ramp_rate(const struct ramp *ramp)
{
    uint64_t at_ns = ramp->at_ns < ramp->over_ns ? ramp->at_ns : ramp->over_ns;
    return ratio_fit(slope_at(ramp, at_ns) * NS_PER_SECOND, ramp->cost);
}
