/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A sequence number before and after makes many words one value.
 *
 *   writer   sequence odd ─► words (release) ─► sequence even (release)
 *   reader   sequence even (acquire) ─► words (acquire) ─► the same sequence again, else once more
 *
 * No fences: each word is stored with release, so the odd number is ordered before it; each is loaded with
 * acquire, so a reader that saw a new word also sees the odd number or a later one at its second look. On
 * x86 these are plain moves; and as every access is atomic, ThreadSanitizer, which does not know fences, sees
 * all there is. */
#include "run/counters.h"

#include <sched.h>
#include <string.h>

enum { READS_BEFORE_YIELD = 64 };

void record_init(struct record *record, uint32_t words)
{
    memset(record, 0, sizeof *record);
    record->words = words;
}

void record_publish(struct record *record, const uint64_t *from)
{
    uint32_t sequence = atomic_load_explicit(&record->sequence, memory_order_relaxed);
    atomic_store_explicit(&record->sequence, sequence + 1, memory_order_relaxed);
    for (uint32_t i = 0; i < record->words; i++)
        atomic_store_explicit(&record->word[i], from[i], memory_order_release);
    atomic_store_explicit(&record->sequence, sequence + 2, memory_order_release);
}

static bool record_try(const struct record *record, uint64_t *out)
{
    uint32_t before = atomic_load_explicit(&record->sequence, memory_order_acquire);
    if (before & 1)
        return false;
    for (uint32_t i = 0; i < record->words; i++)
        out[i] = atomic_load_explicit(&record->word[i], memory_order_acquire);
    return atomic_load_explicit(&record->sequence, memory_order_relaxed) == before;
}

void record_read(const struct record *record, uint64_t *out)
{
    for (uint32_t tries = 1; !record_try(record, out); tries++)
        if (tries % READS_BEFORE_YIELD == 0)
            sched_yield();
}

void counts_add(struct counts *sum, const struct counts *more)
{
    sum->scheduled += more->scheduled;
    sum->queued += more->queued;
    sum->completed += more->completed;
    sum->rejected += more->rejected;
    sum->withdrawn += more->withdrawn;
    sum->missed += more->missed;
    sum->in_flight += more->in_flight;
    sum->bytes_l2 += more->bytes_l2;
}

void counts_subtract(struct counts *from, const struct counts *less)
{
    from->scheduled -= less->scheduled;
    from->queued -= less->queued;
    from->completed -= less->completed;
    from->rejected -= less->rejected;
    from->withdrawn -= less->withdrawn;
    from->missed -= less->missed;
    from->in_flight -= less->in_flight;
    from->bytes_l2 -= less->bytes_l2;
}

void queue_counts_add(struct queue_counts *sum, const struct queue_counts *more)
{
    counts_add(&sum->frames, &more->frames);
    sum->kicks += more->kicks;
    sum->waits += more->waits;
    sum->wakeups += more->wakeups;
    sum->again += more->again;
    sum->nobufs += more->nobufs;
    sum->handovers += more->handovers;
    sum->handover_ns += more->handover_ns;
    if (more->handover_max_ns > sum->handover_max_ns)
        sum->handover_max_ns = more->handover_max_ns;
    if (more->last_error != 0)
        sum->last_error = more->last_error;
}

bool counts_balance(const struct counts *counts)
{
    return counts->scheduled == counts->queued + counts->missed &&
           counts->queued == counts->completed + counts->rejected + counts->withdrawn + counts->in_flight;
}
