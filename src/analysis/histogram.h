/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A log-linear histogram of 64-bit values: percentiles within 1 %, exact minimum, maximum and mean.
 *
 *   value   0 … 127   exact, in octave 0
 *           2^k …     64 buckets of 2^(k-6) each; a bucket answers with its middle, at most 0.8 % off
 *
 * An octave's 64 counters (512 bytes) are allocated when its first value comes: an empty histogram takes 0.5
 * KB, one with latencies over three octaves 2 KB. One writer; read by the same thread or while it rests. */
#ifndef ANALYSIS_HISTOGRAM_H
#define ANALYSIS_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 64, HISTOGRAM_OCTAVES = 59 };

struct histogram {
    uint64_t count, min, max;
    unsigned __int128 sum;
    uint64_t *octave[HISTOGRAM_OCTAVES]; /* owned; HISTOGRAM_BUCKETS counters each, or NULL */
};

void histogram_init(struct histogram *histogram);
void histogram_fini(struct histogram *histogram);
void histogram_clear(struct histogram *histogram); /* keeps its memory */
/* Counts value n times. False when memory is out: then nothing is counted. */
bool histogram_add(struct histogram *histogram, uint64_t value, uint64_t n);
/* Fetch what histogram_add() of this value will touch: its octave's place, then, when that is there, its
 * counter. Hints. */
void histogram_prefetch(const struct histogram *histogram, uint64_t value);
void histogram_prefetch_counter(const struct histogram *histogram, uint64_t value);
/* Adds all of more. False when memory is out: then nothing is added. */
bool histogram_merge(struct histogram *histogram, const struct histogram *more);

/* The value that a share of per_100000 / 100,000 of all values does not exceed (nearest rank); 0 when empty.
 */
uint64_t histogram_percentile(const struct histogram *histogram, uint32_t per_100000);
uint64_t histogram_mean(const struct histogram *histogram); /* rounded down; 0 when empty */
size_t histogram_memory(const struct histogram *histogram); /* bytes, with the struct */

#endif
