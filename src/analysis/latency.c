/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Delay figures. Delay variation is the PDV of RFC 5481 §4.2, summed up as ITU-T Y.1540 does: the 99.9th
 * percentile less the minimum. */
#include "analysis/latency.h"

#include <string.h>

#include "packet/signature.h"

void latency_init(struct latency *latency)
{
    memset(latency, 0, sizeof *latency);
    histogram_init(&latency->delays);
}

void latency_fini(struct latency *latency)
{
    histogram_fini(&latency->delays);
    latency_init(latency);
}

void latency_clear(struct latency *latency)
{
    histogram_clear(&latency->delays);
    latency->jitter_16ths = latency->previous_ns = latency->negative = latency->uncounted = 0;
}

int64_t latency_between(uint32_t sent_16ns, uint64_t received_ns)
{
    uint64_t unit = UINT64_C(1) << SIGNATURE_TIME_SHIFT;
    int32_t units = (int32_t)((uint32_t)(received_ns >> SIGNATURE_TIME_SHIFT) - sent_16ns);
    return (int64_t)units * (int64_t)unit + (int64_t)(received_ns & (unit - 1));
}

/* A clock that says "before it was sent" is counted as no time at all. */
static uint64_t counted_as(int64_t delay_ns)
{
    return delay_ns > 0 ? (uint64_t)delay_ns : 0;
}

void latency_prefetch(const struct latency *latency, int64_t delay_ns)
{
    __builtin_prefetch(&latency->delays, 1);
    __builtin_prefetch(&latency->jitter_16ths, 1);
    histogram_prefetch(&latency->delays, counted_as(delay_ns));
}

void latency_prefetch_counter(const struct latency *latency, int64_t delay_ns)
{
    histogram_prefetch_counter(&latency->delays, counted_as(delay_ns));
}

void latency_take(struct latency *latency, int64_t delay_ns)
{
    uint64_t delay = counted_as(delay_ns);
    latency->negative += delay_ns < 0;
    if (latency->delays.count != 0) {
        uint64_t change =
            delay > latency->previous_ns ? delay - latency->previous_ns : latency->previous_ns - delay;
        latency->jitter_16ths += change - ((latency->jitter_16ths + 8) >> 4);
    }
    latency->previous_ns = delay;
    latency->uncounted += !histogram_add(&latency->delays, delay, 1);
}

void latency_result(const struct latency *latency, struct stream_result *out)
{
    const struct histogram *delays = &latency->delays;
    uint64_t p999 = histogram_percentile(delays, 99900), min = delays->count != 0 ? delays->min : 0;
    out->latency_min_ns = min;
    out->latency_mean_ns = histogram_mean(delays);
    out->latency_p50_ns = histogram_percentile(delays, 50000);
    out->latency_p90_ns = histogram_percentile(delays, 90000);
    out->latency_p99_ns = histogram_percentile(delays, 99000);
    out->latency_p999_ns = p999;
    out->latency_p9999_ns = histogram_percentile(delays, 99990);
    out->latency_p99999_ns = histogram_percentile(delays, 99999);
    out->latency_max_ns = delays->max;
    out->jitter_ns = latency->jitter_16ths >> 4;
    out->delay_variation_ns = p999 - min;
}
