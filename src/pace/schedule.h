/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Many streams on one queue, merged by deadline; and the rule of what may still be sent when it is overdue.
 *
 * A frame up to `late` overdue is still sent: max_burst of a stream back to back, further ones at twice the
 * stream's rate until it has caught up, so that a worker that sleeps may send some at once; a later one is
 * missed and the deadline moves on. A shape's own train is its own bound: it is not cut, and overdue trains
 * stay apart by half their gap. So in any window w: at most rate × (w + late) + max_burst frames. Streams at
 * rate max share what is left, round robin. No frame is ever early. All memory is given at creation; O(1) a
 * frame, whatever the number of streams. Owner: one worker; new and free: main thread. */
#ifndef PACE_SCHEDULE_H
#define PACE_SCHEDULE_H

#include "pace/pacer.h"

struct schedule;

struct schedule_limits {
    uint64_t late_ns;
    uint32_t max_burst;
};

struct schedule *schedule_new(uint32_t streams, const struct schedule_limits *limits); /* ids 0 … streams-1 */
void schedule_free(struct schedule *schedule);

/* id takes part from now on (its pacer is started and borrowed), or no longer. Adding twice moves it to its
 * new deadline. */
void schedule_add(struct schedule *schedule, uint32_t id, struct pacer *pacer);
void schedule_remove(struct schedule *schedule, uint32_t id);
/* After the pacer was changed from outside (rate, pause, resume): put it where it belongs. */
void schedule_touch(struct schedule *schedule, uint32_t id);

enum schedule_verdict {
    SCHEDULE_SEND,   /* send a frame of id; then schedule_sent(). Asked again before that: the same */
    SCHEDULE_MISSED, /* id missed `missed` frames; the pacer has moved on; count them as scheduled and missed
                      */
    SCHEDULE_ENDED,  /* id's shape has ended and it was removed */
    SCHEDULE_WAIT    /* nothing is due before deadline_ns (DEADLINE_NEVER: nothing at all) */
};
struct schedule_turn {
    enum schedule_verdict verdict;
    uint32_t id;
    uint64_t missed;
    uint64_t deadline_ns; /* of the frame to send, or when to look again: never after the next deadline */
};
/* frame_bytes(context, id) tells the length in memory to account for each skipped frame of id (its mean, or
 * the next one's). */
typedef uint32_t schedule_frame_bytes(void *context, uint32_t id);
/* now_ns never goes back. */
void schedule_next(struct schedule *schedule, uint64_t now_ns, schedule_frame_bytes *frame_bytes,
                   void *context, struct schedule_turn *turn);
/* The frame that SCHEDULE_SEND named was put on the ring with so many bytes in memory. */
void schedule_sent(struct schedule *schedule, uint32_t id, uint32_t frame_bytes, uint64_t now_ns);

/* Who probably comes after id (a hint for prefetching, nothing depends on it), or SCHEDULE_NOBODY. Brings
 * what the schedule itself will touch of it into the cache. */
#define SCHEDULE_NOBODY UINT32_MAX
uint32_t schedule_following(const struct schedule *schedule, uint32_t id);

#endif
