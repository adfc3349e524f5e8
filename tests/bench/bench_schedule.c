/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What pacing and merging cost a frame, by the number of streams on one queue: schedule_next and
 * schedule_sent on a clock that jumps from deadline to deadline, a million frames a second in all. Median of
 * several rounds. make bench-schedule */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "pace/schedule.h"

enum { FRAMES = 400000, ROUNDS = 9, TOTAL_PPS = 1000000 };

static uint32_t length(void *context, uint32_t id)
{
    (void)context;
    (void)id;
    return 60;
}

static uint64_t send_frames(struct schedule *schedule, uint64_t now_ns, unsigned frames)
{
    struct schedule_turn turn;
    while (frames > 0) {
        schedule_next(schedule, now_ns, length, NULL, &turn);
        if (turn.verdict == SCHEDULE_WAIT) {
            now_ns = turn.deadline_ns;
        } else if (turn.verdict == SCHEDULE_SEND) {
            schedule_sent(schedule, turn.id, 60, now_ns);
            frames--;
        }
    }
    return now_ns;
}

static double cost_ns(uint32_t streams)
{
    struct schedule_limits limits = {.late_ns = 10 * NS_PER_MS, .max_burst = 32};
    struct schedule *schedule = schedule_new(streams, &limits);
    struct pace_shape *shapes = calloc(streams, sizeof *shapes);
    struct pacer **pacers = calloc(streams, sizeof(struct pacer *));
    double best_ns = 0;
    if (schedule == NULL || shapes == NULL || pacers == NULL)
        exit(1);
    uint64_t now_ns = NS_PER_SECOND;
    for (uint32_t i = 0; i < streams; i++) {
        shapes[i] = (struct pace_shape){
            .rate = {PACE_FRAMES, {TOTAL_PPS, streams}}, .duration_ns = UINT64_MAX, .phase_ns = i * 1000};
        pacers[i] = pacer_new(&shapes[i]);
        if (pacers[i] == NULL)
            exit(1);
        pacer_start(pacers[i], now_ns);
        schedule_add(schedule, i, pacers[i]);
    }
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t begin_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
        now_ns = send_frames(schedule, now_ns, FRAMES);
        double ns = (double)(clock_read_ns(CLOCK_PROCESS_CPUTIME_ID) - begin_ns) / FRAMES;
        best_ns = round == 0 || ns < best_ns ? ns : best_ns;
    }
    for (uint32_t i = 0; i < streams; i++)
        pacer_free(pacers[i]);
    schedule_free(schedule);
    free(shapes);
    free(pacers);
    return best_ns;
}

int main(void)
{
    static const uint32_t counts[] = {1, 10, 100, 1000, 10000};
    printf("streams  ns/frame  over one stream\n");
    double one_ns = 0;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        double ns = cost_ns(counts[i]);
        one_ns = i == 0 ? ns : one_ns;
        printf("%7u  %8.1f  %+15.1f\n", counts[i], ns, ns - one_ns);
    }
    return 0;
}
