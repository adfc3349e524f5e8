/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Accounts that balance: one record a stream part and one a queue, one writer each (its worker), published
 * once a batch under a sequence number, so that every read is consistent in itself:
 *
 *   scheduled = queued + missed        queued = completed + rejected + withdrawn + in_flight
 */
#ifndef RUN_COUNTERS_H
#define RUN_COUNTERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct counts { /* frames on the wire; UDP segments count each */
    uint64_t scheduled, queued, completed, rejected, withdrawn, missed, in_flight;
    uint64_t bytes_l2; /* of completed frames, with FCS */
};
#define COUNTS_WORDS (sizeof(struct counts) / sizeof(uint64_t))

struct queue_counts {
    struct counts frames;
    uint64_t kicks, waits, wakeups, again,
        nobufs;          /* waits: times the queue waited for the engine; wakeups: POLLOUT that came */
    uint64_t last_error; /* errno of the last failed kick, 0 */
    uint64_t handovers, handover_ns,
        handover_max_ns; /* batches with signatures: from the time stamp until the kernel had them all */
};
#define QUEUE_COUNTS_WORDS (sizeof(struct queue_counts) / sizeof(uint64_t))

/* A seqlock over words: the writer never waits, a reader retries while it writes. */
struct record {
    _Atomic uint32_t sequence; /* odd while being written */
    uint32_t words;
    _Atomic uint64_t word[QUEUE_COUNTS_WORDS];
};

/* Zeros, words ≤ QUEUE_COUNTS_WORDS of them. Before any other thread has the record. */
void record_init(struct record *record, uint32_t words);
/* The one writer. */
void record_publish(struct record *record, const uint64_t *from);
/* Any thread; writes record->words words. Gives way to a writer that was put to sleep while it wrote. */
void record_read(const struct record *record, uint64_t *out);

void counts_add(struct counts *sum, const struct counts *more);
void counts_subtract(struct counts *from, const struct counts *less);
/* last_error becomes the newer one, handover_max_ns the greater. */
void queue_counts_add(struct queue_counts *sum, const struct queue_counts *more);
bool counts_balance(const struct counts *counts); /* both identities */

#endif
