/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pace/beat.h"

#include "base/clock.h"

static uint128 greatest_common_divisor(uint128 a, uint128 b)
{
    while (b != 0) {
        uint128 rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

struct ratio ratio_fit(uint128 a, uint128 b)
{
    uint128 divisor = greatest_common_divisor(a, b);
    a /= divisor;
    b /= divisor;
    while ((a | b) >> 64 != 0) {
        a >>= 1;
        b >>= 1;
    }
    return (struct ratio){(uint64_t)a, b == 0 ? 1 : (uint64_t)b};
}

struct ratio ratio_times(struct ratio a, struct ratio b)
{
    return ratio_fit((uint128)a.num * b.num, (uint128)a.den * b.den);
}

uint64_t time_scale(uint64_t time_ns, struct ratio by)
{
    if (by.den == 0)
        return DEADLINE_NEVER;
    uint128 scaled = (uint128)time_ns * by.num / by.den;
    return scaled >> 64 != 0 ? DEADLINE_NEVER : (uint64_t)scaled;
}

uint16_t beat_extra_bytes(enum pace_unit unit)
{
    static const uint16_t extra[] = {
        [PACE_MAX] = 0,
        [PACE_FRAMES] = 0,
        [PACE_BITS_L1] = FCS_BYTES + L1_EXTRA_BYTES,
        [PACE_BITS_L2] = FCS_BYTES,
    };
    return extra[unit];
}

void beat_load_slope(struct beat *beat, uint128 cost, uint64_t slope)
{
    beat->slope = slope;
    beat->rest = 0;
    if (slope == 0)
        return;
    uint128 whole = cost / slope;
    beat->step_ns = whole >> 64 != 0 ? DEADLINE_NEVER : (uint64_t)whole;
    beat->step_rest = (uint64_t)(cost % slope);
    beat->shift = (uint8_t)__builtin_clzll(slope);
    beat->reciprocal = (uint64_t)(~(uint128)0 / (slope << beat->shift)); /* the lower 64 of its 65 bits */
}

void beat_load(struct beat *beat, const struct pace_rate *rate, uint8_t fraction_bits)
{
    uint128 cost = (uint128)rate->per_second.den * NS_PER_SECOND;
    uint128 slope = (uint128)rate->per_second.num << fraction_bits;
    uint128 divisor = greatest_common_divisor(cost, slope);
    cost /= divisor;
    slope /= divisor;
    while (slope >> 63 != 0) { /* only with fraction bits at rates past 2^39 a second */
        slope >>= 1;
        cost >>= 1;
    }
    beat->fraction_bits = fraction_bits;
    beat->extra_bytes = beat_extra_bytes(rate->unit);
    beat_load_slope(beat, cost, (uint64_t)slope);
}

void beat_load_instant(struct beat *beat)
{
    beat_load_slope(beat, 0, 1);
    beat->extra_bytes = 0;
}
