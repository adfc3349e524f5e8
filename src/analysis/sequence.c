/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sequence tracking with bounded memory.
 *
 *        missing, outage          seen[]: one bit a number
 *   0 ─────────────────── next - WINDOW ─────────────── next ── …… ── suspect
 *          decided             may still be filled             unproven
 *
 * Numbers are unwrapped against the highest, so 2^32 frames pass unnoticed. A bit that leaves the window is
 * decided: set, or missing. A frame from before the window is a late first copy as long as anything there is
 * missing, else a duplicate.
 *
 * Reordering extent needs the arrival of the first higher number. The first frame above a missing number is
 * always the one that skipped it, that is the first of a run of frames that came in order; so a short ring of
 * runs answers for all numbers. When it has been overwritten the oldest run gives a lower bound.
 *
 * The time of an outage is the time between the two frames around the gap. Only gaps that can still become
 * the longest outage are kept; a gap that was filled in part has its time in proportion. */
#include "analysis/sequence.h"

#include <string.h>

enum { WORD_BITS = 64 };

void sequence_init(struct sequence *sequence)
{
    memset(sequence, 0, sizeof *sequence);
}

static bool is_seen(const struct sequence *sequence, uint64_t number)
{
    return (sequence->seen[number % SEQUENCE_WINDOW / WORD_BITS] >> number % WORD_BITS & 1) != 0;
}

static void set_seen(struct sequence *sequence, uint64_t number, bool seen)
{
    uint64_t *word = &sequence->seen[number % SEQUENCE_WINDOW / WORD_BITS];
    uint64_t bit = UINT64_C(1) << number % WORD_BITS;
    *word = seen ? *word | bit : *word & ~bit;
}

/* The lowest number that the window holds. */
static uint64_t window_begin(const struct sequence *sequence)
{
    return sequence->next > SEQUENCE_WINDOW ? sequence->next - SEQUENCE_WINDOW : 0;
}

void sequence_prefetch(const struct sequence *sequence, uint32_t number)
{
    __builtin_prefetch(&sequence->next, 1);
    __builtin_prefetch(&sequence->last_ns, 1);
    __builtin_prefetch(&sequence->runs, 1);
    __builtin_prefetch(&sequence->seen[number % SEQUENCE_WINDOW / WORD_BITS], 1);
}

/* ---- outages ---- */

static uint64_t time_between(uint64_t earlier_ns, uint64_t later_ns)
{
    return later_ns > earlier_ns ? later_ns - earlier_ns : 0; /* the clock may step */
}

/* How long nothing came around frames missing from `first` on. */
static uint64_t outage_time(const struct sequence *sequence, uint64_t first, uint64_t frames)
{
    for (uint32_t i = 0; i < sequence->gaps; i++) {
        const struct sequence_gap *gap = &sequence->gap[i];
        if (first >= gap->first && first < gap->first + gap->frames)
            return frames == gap->frames
                       ? gap->ns
                       : (uint64_t)((unsigned __int128)gap->ns * (frames + 1) / (gap->frames + 1));
    }
    /* Unknown gap (before the first frame, after the last): as long as so many frames take on average. */
    uint64_t between = sequence->next > 1 ? sequence->next - 1 : 1;
    return (uint64_t)((unsigned __int128)time_between(sequence->first_ns, sequence->last_ns) * frames /
                      between);
}

static void decide_outage(struct sequence *sequence, uint64_t end)
{
    if (sequence->missing_run > sequence->outage_frames) {
        sequence->outage_frames = sequence->missing_run;
        sequence->outage_ns = outage_time(sequence, end - sequence->missing_run, sequence->missing_run);
    }
    sequence->missing_run = 0;
}

/* Keeps a gap if it could be the longest outage: in place of one that no longer can, or of the smallest. */
static void keep_gap(struct sequence *sequence, uint64_t first, uint64_t frames, uint64_t ns)
{
    uint32_t place = 0;
    if (frames <= sequence->outage_frames)
        return;
    if (sequence->gaps < SEQUENCE_GAPS) {
        place = sequence->gaps++;
    } else {
        for (uint32_t i = 1; i < SEQUENCE_GAPS; i++)
            if (sequence->gap[i].frames < sequence->gap[place].frames)
                place = i;
        if (sequence->gap[place].frames >= frames)
            return;
    }
    sequence->gap[place] = (struct sequence_gap){first, frames, ns};
}

/* One number leaves the window. */
static void decide(struct sequence *sequence, uint64_t number)
{
    if (is_seen(sequence, number)) {
        set_seen(sequence, number, false);
        decide_outage(sequence, number);
    } else {
        sequence->missing++;
        sequence->missing_run++;
    }
}

/* Numbers below `end` leave the window; those that it never held are missing. Words of one kind at once, so
 * that a jump and a result cost hundreds of steps, not thousands. */
static void decide_until(struct sequence *sequence, uint64_t begin, uint64_t end)
{
    uint64_t held = begin + SEQUENCE_WINDOW < end ? begin + SEQUENCE_WINDOW : end, number = begin;
    while (number < held) {
        uint64_t *word = &sequence->seen[number % SEQUENCE_WINDOW / WORD_BITS];
        bool whole = number % WORD_BITS == 0 && held - number >= WORD_BITS;
        if (whole && *word == UINT64_MAX) {
            decide_outage(sequence, number);
            *word = 0;
            number += WORD_BITS;
        } else if (whole && *word == 0) {
            sequence->missing += WORD_BITS;
            sequence->missing_run += WORD_BITS;
            number += WORD_BITS;
        } else {
            decide(sequence, number++);
        }
    }
    sequence->missing += end - held;
    sequence->missing_run += end - held;
}

/* ---- taking frames ---- */

static void begin_run(struct sequence *sequence, uint64_t number)
{
    sequence->run[sequence->runs++ % SEQUENCE_RUNS] =
        (struct sequence_run){(uint32_t)number, (uint32_t)sequence->received};
}

/* A number at or above next. */
static void take_ahead(struct sequence *sequence, uint64_t number, uint64_t time_ns)
{
    uint64_t skipped = number - sequence->next, begin = window_begin(sequence);
    if (sequence->received == 0)
        sequence->first_ns = time_ns;
    if (skipped != 0 || sequence->received == 0)
        begin_run(sequence, number);
    if (skipped != 0 && sequence->received != 0)
        keep_gap(sequence, sequence->next, skipped, time_between(sequence->last_ns, time_ns));
    sequence->next = number + 1;
    decide_until(sequence, begin, window_begin(sequence));
    set_seen(sequence, number, true);
    sequence->received++;
    sequence->last_ns = time_ns;
}

/* By how many first copies this one was overtaken: since the first frame with a higher number. */
static uint64_t extent_of(const struct sequence *sequence, uint64_t number)
{
    uint32_t kept = sequence->runs < SEQUENCE_RUNS ? sequence->runs : SEQUENCE_RUNS;
    uint32_t arrival = (uint32_t)sequence->received;
    for (uint32_t back = 1; back <= kept; back++) {
        const struct sequence_run *run = &sequence->run[(sequence->runs - back) % SEQUENCE_RUNS];
        if ((int32_t)(run->first - (uint32_t)number) < 0)
            break;
        arrival = run->arrival;
    }
    return (uint32_t)sequence->received - arrival;
}

static bool take_behind(struct sequence *sequence, uint64_t number)
{
    bool held = number >= window_begin(sequence);
    if (held ? is_seen(sequence, number) : sequence->missing == 0) {
        sequence->duplicates++;
        return false;
    }
    if (held) {
        set_seen(sequence, number, true);
    } else {
        sequence->missing--;
        sequence->late++;
    }
    uint64_t extent = extent_of(sequence, number);
    if (extent > sequence->extent)
        sequence->extent = extent;
    sequence->reordered++;
    sequence->received++;
    return true;
}

/* A number that is more than a window ahead must be confirmed by another near it. */
static bool take_suspect(struct sequence *sequence, uint64_t number, uint64_t time_ns)
{
    if (sequence->suspected && number == sequence->suspect) {
        sequence->duplicates++;
        return false;
    }
    uint64_t apart = number > sequence->suspect ? number - sequence->suspect : sequence->suspect - number;
    if (sequence->suspected && apart < SEQUENCE_WINDOW) {
        sequence->suspected = false;
        take_ahead(sequence, sequence->suspect, sequence->suspect_ns);
        if (number < sequence->next)
            return take_behind(sequence, number);
        take_ahead(sequence, number, time_ns);
        return true;
    }
    sequence->stale += sequence->suspected;
    sequence->suspected = true;
    sequence->suspect = number;
    sequence->suspect_ns = time_ns;
    return true;
}

bool sequence_take(struct sequence *sequence, uint32_t number, uint64_t time_ns)
{
    int64_t ahead = (int32_t)(number - (uint32_t)sequence->next);
    if (ahead < 0 && (uint64_t)-ahead > sequence->next) {
        sequence->stale++;
        return false;
    }
    uint64_t whole = sequence->next + (uint64_t)ahead;
    if (ahead >= SEQUENCE_WINDOW)
        return take_suspect(sequence, whole, time_ns);
    sequence->stale += sequence->suspected; /* the stream goes on where it was */
    sequence->suspected = false;
    if (ahead < 0)
        return take_behind(sequence, whole);
    take_ahead(sequence, whole, time_ns);
    return true;
}

/* ---- the account ---- */

void sequence_result(const struct sequence *sequence, uint64_t sent, bool final, struct sequence_result *out)
{
    struct sequence last = *sequence;
    if (last.suspected && last.suspect < sent)
        take_ahead(&last, last.suspect, last.suspect_ns);
    else if (last.suspected)
        last.stale++;
    uint64_t expected = final && sent > last.next ? sent : last.next;
    decide_until(&last, window_begin(&last), expected);
    decide_outage(&last, expected);
    *out = (struct sequence_result){
        .received = last.received,
        .lost = last.missing,
        .duplicates = last.duplicates,
        .reordered = last.reordered,
        .extent = last.extent,
        .late = last.late,
        .stale = last.stale,
        .outage_frames = last.outage_frames,
        .outage_ns = last.outage_ns,
    };
}
