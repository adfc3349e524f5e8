/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What became of one stream's numbered frames at one port: received, lost, duplicates, reordered, outage.
 * 3.6 KB a stream and port (SEQUENCE_WINDOW), nothing allocated. One receive worker takes frames; a result
 * may be made by the same thread, or by another while no frame is taken. */
#ifndef ANALYSIS_SEQUENCE_H
#define ANALYSIS_SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>

/* Frames that many behind the highest are still told apart; what comes later is `late`. */
enum { SEQUENCE_WINDOW = 16384, SEQUENCE_RUNS = 64, SEQUENCE_GAPS = 32 };

struct sequence_run { /* frames that came in order, one by one; both count modulo 2^32 */
    uint32_t first, arrival;
};

struct sequence_gap { /* numbers that were skipped when a higher one came */
    uint64_t first, frames, ns;
};

struct sequence {
    uint64_t next;     /* one above the highest number, without wrapping */
    uint64_t received; /* first copies: the arrival count of RFC 4737 */
    uint64_t duplicates, reordered, late, stale, extent;
    uint64_t first_ns, last_ns; /* when the first, and the highest, came */
    uint64_t missing;           /* that left the window and did not come since */
    uint64_t missing_run;       /* of them, in a row up to the window's edge */
    uint64_t outage_frames, outage_ns;
    uint64_t suspect, suspect_ns; /* a number far ahead that waits for another to confirm it */
    bool suspected;
    uint32_t runs; /* begun so far; the last SEQUENCE_RUNS are in run[] */
    uint32_t gaps; /* in gap[] */
    uint64_t seen[SEQUENCE_WINDOW / 64];
    struct sequence_run run[SEQUENCE_RUNS];
    struct sequence_gap gap[SEQUENCE_GAPS]; /* those that may yet become the longest outage */
};

struct sequence_result {
    uint64_t received, lost, duplicates;
    uint64_t reordered;                /* RFC 4737: came after a higher number; includes late */
    uint64_t extent;                   /* RFC 4737 §4.2.2: the most frames by which one was overtaken */
    uint64_t late;                     /* first copies that came after the window had passed; not lost */
    uint64_t stale;                    /* numbers that the stream cannot have sent */
    uint64_t outage_frames, outage_ns; /* the longest run of missing frames, and how long nothing came */
};

void sequence_init(struct sequence *sequence);
/* Takes one frame's number and time; true when it is a first copy. Numbers wrap at 2^32. A number far ahead
 * counts only when another one near it follows. */
bool sequence_take(struct sequence *sequence, uint32_t number, uint64_t time_ns);
/* Fetches what sequence_take() of this number will touch. A hint. */
void sequence_prefetch(const struct sequence *sequence, uint32_t number);
/* The account against what was sent. final: no more frames come; else frames on their way are not yet lost:
 * lost counts only what is missing below the highest number. */
void sequence_result(const struct sequence *sequence, uint64_t sent, bool final, struct sequence_result *out);

#endif
