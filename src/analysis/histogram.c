/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See histogram.h for the layout. Octave 0 holds 0 … 63 exactly; octave o > 0 holds values whose highest bit
 * is 5 + o, in buckets of 2^(o-1): octave 1, 64 … 127, is exact too. */
#include "analysis/histogram.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKET_BITS = 6 };

static unsigned octave_of(uint64_t value)
{
    return value < HISTOGRAM_BUCKETS ? 0 : (unsigned)(64 - BUCKET_BITS - __builtin_clzll(value));
}

static unsigned bucket_of(uint64_t value, unsigned octave)
{
    return (unsigned)(octave == 0 ? value : value >> (octave - 1)) % HISTOGRAM_BUCKETS;
}

/* The middle of a bucket. */
static uint64_t value_of(unsigned octave, unsigned bucket)
{
    if (octave == 0)
        return bucket;
    uint64_t width = UINT64_C(1) << (octave - 1);
    return (HISTOGRAM_BUCKETS + (uint64_t)bucket) * width + (width - 1) / 2;
}

void histogram_init(struct histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram);
    histogram->min = UINT64_MAX;
}

void histogram_fini(struct histogram *histogram)
{
    for (unsigned i = 0; i < HISTOGRAM_OCTAVES; i++)
        free(histogram->octave[i]);
    histogram_init(histogram);
}

void histogram_clear(struct histogram *histogram)
{
    for (unsigned i = 0; i < HISTOGRAM_OCTAVES; i++)
        if (histogram->octave[i] != NULL)
            memset(histogram->octave[i], 0, HISTOGRAM_BUCKETS * sizeof *histogram->octave[i]);
    histogram->count = histogram->max = 0;
    histogram->min = UINT64_MAX;
    histogram->sum = 0;
}

static bool octave_ready(struct histogram *histogram, unsigned octave)
{
    if (histogram->octave[octave] == NULL)
        histogram->octave[octave] = calloc(HISTOGRAM_BUCKETS, sizeof *histogram->octave[octave]);
    return histogram->octave[octave] != NULL;
}

void histogram_prefetch(const struct histogram *histogram, uint64_t value)
{
    __builtin_prefetch(&histogram->octave[octave_of(value)]);
}

void histogram_prefetch_counter(const struct histogram *histogram, uint64_t value)
{
    unsigned octave = octave_of(value);
    if (histogram->octave[octave] != NULL)
        __builtin_prefetch(&histogram->octave[octave][bucket_of(value, octave)], 1);
}

bool histogram_add(struct histogram *histogram, uint64_t value, uint64_t n)
{
    unsigned octave = octave_of(value);
    if (n == 0)
        return true;
    if (!octave_ready(histogram, octave))
        return false;
    histogram->octave[octave][bucket_of(value, octave)] += n;
    histogram->count += n;
    histogram->sum += (unsigned __int128)value * n;
    if (value < histogram->min)
        histogram->min = value;
    if (value > histogram->max)
        histogram->max = value;
    return true;
}

bool histogram_merge(struct histogram *histogram, const struct histogram *more)
{
    for (unsigned i = 0; i < HISTOGRAM_OCTAVES; i++)
        if (more->octave[i] != NULL && !octave_ready(histogram, i))
            return false;
    for (unsigned i = 0; i < HISTOGRAM_OCTAVES; i++)
        for (unsigned bucket = 0; more->octave[i] != NULL && bucket < HISTOGRAM_BUCKETS; bucket++)
            histogram->octave[i][bucket] += more->octave[i][bucket];
    histogram->count += more->count;
    histogram->sum += more->sum;
    if (more->min < histogram->min)
        histogram->min = more->min;
    if (more->max > histogram->max)
        histogram->max = more->max;
    return true;
}

static uint64_t within(const struct histogram *histogram, uint64_t value)
{
    if (value < histogram->min)
        return histogram->min;
    return value > histogram->max ? histogram->max : value;
}

uint64_t histogram_percentile(const struct histogram *histogram, uint32_t per_100000)
{
    unsigned __int128 wanted = (unsigned __int128)histogram->count * per_100000;
    uint64_t rank = (uint64_t)((wanted + 99999) / 100000), below = 0;
    if (histogram->count == 0)
        return 0;
    if (rank <= 1)
        return histogram->min;
    if (rank >= histogram->count)
        return histogram->max;
    for (unsigned octave = 0; octave < HISTOGRAM_OCTAVES; octave++) {
        for (unsigned bucket = 0; histogram->octave[octave] != NULL && bucket < HISTOGRAM_BUCKETS; bucket++) {
            below += histogram->octave[octave][bucket];
            if (below >= rank)
                return within(histogram, value_of(octave, bucket));
        }
    }
    return histogram->max;
}

uint64_t histogram_mean(const struct histogram *histogram)
{
    return histogram->count == 0 ? 0 : (uint64_t)(histogram->sum / histogram->count);
}

size_t histogram_memory(const struct histogram *histogram)
{
    size_t bytes = sizeof *histogram;
    for (unsigned i = 0; i < HISTOGRAM_OCTAVES; i++)
        if (histogram->octave[i] != NULL)
            bytes += HISTOGRAM_BUCKETS * sizeof *histogram->octave[i];
    return bytes;
}
