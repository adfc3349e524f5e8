/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Delays of one stream's frames at one port: the histogram, jitter as RFC 3550, delay variation as RFC 5481.
 * One receive worker takes; read like a histogram. */
#ifndef ANALYSIS_LATENCY_H
#define ANALYSIS_LATENCY_H

#include "analysis/histogram.h"
#include "analysis/requirement.h"

struct latency {
    struct histogram delays; /* ns */
    uint64_t jitter_16ths;   /* RFC 3550 §6.4.1, scaled as in its appendix A.8 */
    uint64_t previous_ns;    /* delay of the frame before */
    uint64_t negative;       /* received before it was sent, says the clock: counted as 0 */
    uint64_t uncounted;      /* no memory for its octave */
};

void latency_init(struct latency *latency);
void latency_fini(struct latency *latency);
void latency_clear(struct latency *latency); /* keeps its memory */

/* Fetches what latency_take() will touch of it; then, when that is there, the delay's counter. Hints. */
void latency_prefetch(const struct latency *latency, int64_t delay_ns);
void latency_prefetch_counter(const struct latency *latency, int64_t delay_ns);

/* The delay between a signature's time (units of 16 ns, modulo 2^32) and a clock reading: -34 s … 34 s. */
int64_t latency_between(uint32_t sent_16ns, uint64_t received_ns);
void latency_take(struct latency *latency, int64_t delay_ns);
/* Fills the latency_…, jitter and delay_variation members of out; the others are untouched. */
void latency_result(const struct latency *latency, struct stream_result *out);

#endif
