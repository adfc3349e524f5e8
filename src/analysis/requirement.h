/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "loss == 0", "latency.p99 <= 200us", "loss <= 0.1%": what must hold for a run to be passed. A small table
 * of metrics × comparisons. Pure; any thread. */
#ifndef ANALYSIS_REQUIREMENT_H
#define ANALYSIS_REQUIREMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/units.h"

enum metric_unit { METRIC_COUNT, METRIC_SHARE, METRIC_TIME };

struct stream_result { /* one stream × one receiving port, frozen */
    uint64_t sent, received, lost, duplicates, reordered, late, corrupted, flooded, misdirected, stale;
    uint64_t outage_frames, outage_ns;
    uint64_t latency_min_ns, latency_mean_ns, latency_p50_ns, latency_p90_ns, latency_p99_ns, latency_p999_ns,
        latency_p9999_ns, latency_p99999_ns, latency_max_ns, jitter_ns, delay_variation_ns;
    uint64_t reorder_extent;
};

struct requirement {
    uint8_t metric, comparison; /* rows of the tables in requirement.c */
    struct ratio bound;         /* in the metric's unit: frames, share of sent frames, ns */
    bool share;                 /* a count compared as a share of sent frames */
    const char *text;           /* as written; borrowed */
};

int requirement_parse(const char *text, struct requirement *out, struct err *err);
bool requirement_holds(const struct requirement *requirement, const struct stream_result *result);
/* "loss == 0: 12 of 1,000 frames were lost" */
void requirement_explain(const struct requirement *requirement, const struct stream_result *result, char *out,
                         size_t size);
const char *const *requirement_metrics(void); /* NULL-terminated, for completion and the manual */

#endif
