/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random numbers by place: the i-th of a seed is a hash of (seed, i), Weyl sequence and finalizer of
 * SplitMix64 (Steele, Lea, Flood 2014). So the parts of a split stream take every n-th of one sequence, a
 * reset is an assignment, and a step costs an addition. Pure; any thread. */
#ifndef PACKET_RANDOM_H
#define PACKET_RANDOM_H

#include <stdint.h>

#define RANDOM_GAMMA UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t random_mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* The state at place i; each further place adds RANDOM_GAMMA. The seed is hashed, so that the sequences of
 * neighbouring seeds are not shifted copies of each other. */
static inline uint64_t random_state(uint64_t seed, uint64_t i)
{
    return random_mix(seed + RANDOM_GAMMA) + (i + 1) * RANDOM_GAMMA;
}

/* The further draws at the same place: again() of the draw before. */
static inline uint64_t random_again(uint64_t drawn)
{
    return random_mix(drawn + RANDOM_GAMMA);
}

/* What random_below() needs, found once with a division. */
struct random_range {
    uint64_t count;     /* 0: all 2^64 */
    uint64_t threshold; /* low words below this would make some values likelier */
};

static inline struct random_range random_range(uint64_t count)
{
    return (struct random_range){count, count == 0 ? 0 : (0 - count) % count};
}

/* Evenly 0 … count-1, by multiplication and rejection (Lemire 2019): no division, no bias. */
static inline uint64_t random_below(const struct random_range *range, uint64_t state)
{
    uint64_t drawn = random_mix(state);
    if (range->count == 0)
        return drawn;
    unsigned __int128 product = (unsigned __int128)drawn * range->count;
    while ((uint64_t)product < range->threshold) {
        drawn = random_again(drawn);
        product = (unsigned __int128)drawn * range->count;
    }
    return (uint64_t)(product >> 64);
}

#endif
