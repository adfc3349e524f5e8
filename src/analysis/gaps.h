/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the gaps between consecutive frames are distributed: four counters an octave of nanoseconds, so that a
 * bound is at most a quarter off. Small enough to be copied with a row, cheap enough for every frame. Pure;
 * one writer. */
#ifndef ANALYSIS_GAPS_H
#define ANALYSIS_GAPS_H

#include <stdint.h>

enum { GAP_BUCKETS = 160 }; /* up to 2^41 ns, half an hour; longer ones are in the last */

static inline uint32_t gap_bucket(uint64_t gap_ns)
{
    if (gap_ns < 4)
        return (uint32_t)gap_ns;
    uint32_t octave = 63 - (uint32_t)__builtin_clzll(gap_ns);
    uint32_t bucket = 4 * (octave - 1) + (uint32_t)((gap_ns >> (octave - 2)) & 3);
    return bucket < GAP_BUCKETS ? bucket : GAP_BUCKETS - 1;
}

/* The shortest gap that a bucket holds; of the one behind it, the first that it does not. */
static inline uint64_t gap_bucket_from_ns(uint32_t bucket)
{
    return bucket < 4 ? bucket : (uint64_t)(4 + bucket % 4) << (bucket / 4 - 1);
}

#endif
