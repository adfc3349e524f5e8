/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The schedule on a fake clock that stands where the schedule says, or stalls where the test says. Seeds are
 * fixed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "pace/schedule.h"

enum { NOW = 1000000000, LATE = 10000000, BURST = 32 };

static uint64_t seed;

static uint64_t draw(uint64_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (seed >> 20) % below;
}

struct bench {
    struct schedule *schedule;
    uint32_t streams;
    struct pace_shape *shapes;
    struct pacer **pacers;
    uint64_t *sent, *missed;
    bool *ended;
    uint64_t now_ns;
};

static uint32_t length(void *context, uint32_t id)
{
    (void)context;
    (void)id;
    return 60;
}

static struct bench bench_of(uint32_t streams, struct schedule_limits limits)
{
    struct bench bench = {.schedule = schedule_new(streams, &limits), .streams = streams, .now_ns = NOW};
    bench.shapes = calloc(streams, sizeof *bench.shapes);
    bench.pacers = calloc(streams, sizeof(struct pacer *));
    bench.sent = calloc(streams, sizeof *bench.sent);
    bench.missed = calloc(streams, sizeof *bench.missed);
    bench.ended = calloc(streams, sizeof *bench.ended);
    for (uint32_t i = 0; i < streams; i++) {
        bench.shapes[i].duration_ns = UINT64_MAX;
        bench.shapes[i].rate = (struct pace_rate){PACE_FRAMES, {1000, 1}};
        bench.pacers[i] = pacer_new(&bench.shapes[i]);
    }
    return bench;
}

static void bench_begin(struct bench *bench)
{
    for (uint32_t i = 0; i < bench->streams; i++) {
        pacer_start(bench->pacers[i], bench->now_ns);
        schedule_add(bench->schedule, i, bench->pacers[i]);
    }
}

static void bench_free(struct bench *bench)
{
    for (uint32_t i = 0; i < bench->streams; i++)
        pacer_free(bench->pacers[i]);
    schedule_free(bench->schedule);
    free(bench->shapes);
    free(bench->pacers);
    free(bench->sent);
    free(bench->missed);
    free(bench->ended);
}

/* One turn; the clock jumps over waits. Returns false when nothing is left before until_ns. */
static bool step(struct bench *bench, uint64_t until_ns, struct schedule_turn *turn)
{
    for (;;) {
        schedule_next(bench->schedule, bench->now_ns, length, NULL, turn);
        switch (turn->verdict) {
        case SCHEDULE_WAIT:
            assert_true(turn->deadline_ns > bench->now_ns);
            if (turn->deadline_ns >= until_ns)
                return false;
            bench->now_ns = turn->deadline_ns;
            break;
        case SCHEDULE_MISSED:
            assert_true(turn->missed > 0);
            bench->missed[turn->id] += turn->missed;
            return true;
        case SCHEDULE_ENDED:
            assert_false(bench->ended[turn->id]);
            bench->ended[turn->id] = true;
            return true;
        case SCHEDULE_SEND:
            assert_true(turn->deadline_ns <= bench->now_ns);
            schedule_sent(bench->schedule, turn->id, 60, bench->now_ns);
            bench->sent[turn->id]++;
            return true;
        }
    }
}

static void test_rates_of_three_to_one_interleave(void **state)
{
    (void)state;
    struct bench bench = bench_of(2, (struct schedule_limits){LATE, BURST});
    bench.shapes[0].rate.per_second.num = 3000;
    bench.shapes[1].phase_ns = 100;
    bench_begin(&bench);
    struct schedule_turn turn;
    for (unsigned i = 0; i < 4000; i++) {
        assert_true(step(&bench, UINT64_MAX, &turn));
        assert_int_equal(turn.id, i % 4 == 1);
    }
    bench_free(&bench);
}

static void test_a_thousand_equal_streams_are_a_smooth_line(void **state)
{
    (void)state;
    enum { STREAMS = 1000 };
    struct bench bench = bench_of(STREAMS, (struct schedule_limits){LATE, BURST});
    for (uint32_t i = 0; i < STREAMS; i++)
        bench.shapes[i].phase_ns = i * 1000;
    bench_begin(&bench);
    for (uint64_t k = 0; k < 50 * STREAMS; k++) {
        struct schedule_turn turn;
        assert_true(step(&bench, UINT64_MAX, &turn));
        assert_int_equal(turn.id, k % STREAMS);
        assert_int_equal(bench.now_ns, NOW + k * 1000);
    }
    bench_free(&bench);
}

/* Any mix of rates: each frame goes at its own deadline to the nanosecond, and none is forgotten. */
static void test_every_frame_goes_at_its_deadline(void **state)
{
    (void)state;
    enum { STREAMS = 300, SPAN = 2000000000 };
    seed = 1;
    struct bench bench = bench_of(STREAMS, (struct schedule_limits){LATE, BURST});
    for (uint32_t i = 0; i < STREAMS; i++) {
        bench.shapes[i].rate.per_second = (struct ratio){1 + draw(i % 9 == 0 ? 50000 : 300), 1 + draw(9)};
        bench.shapes[i].phase_ns = draw(5000000);
        bench.shapes[i].delay_ns = draw(100000000);
        bench.shapes[i].duration_ns = SPAN;
    }
    bench_begin(&bench);
    uint32_t ended = 0;
    struct schedule_turn turn;
    while (step(&bench, UINT64_MAX, &turn)) {
        if (turn.verdict == SCHEDULE_ENDED) {
            assert_int_equal(bench.now_ns, NOW + bench.shapes[turn.id].delay_ns + SPAN);
            ended++;
        } else {
            assert_int_equal(turn.verdict, SCHEDULE_SEND);
            assert_int_equal(turn.deadline_ns, bench.now_ns);
        }
    }
    assert_int_equal(ended, STREAMS);
    for (uint32_t i = 0; i < STREAMS; i++) {
        const struct pace_shape *shape = &bench.shapes[i];
        unsigned __int128 num = shape->rate.per_second.num,
                          den = (unsigned __int128)shape->rate.per_second.den * NS_PER_SECOND;
        uint64_t frames = (uint64_t)(((SPAN - shape->phase_ns) * num + den - 1) / den);
        assert_int_equal(bench.sent[i], frames);
    }
    bench_free(&bench);
}

/* Random stalls. Sent and missed together are what was due; no window holds more than
 * rate × (w + late) + max_burst; no more than max_burst leave back to back. */
static void one_run_with_stalls(uint64_t rate, uint64_t longest_stall_ns)
{
    enum { MOST = 200000, SPAN = 1000000000 };
    static uint64_t at_ns[MOST];
    struct bench bench = bench_of(1, (struct schedule_limits){LATE, BURST});
    bench.shapes[0].rate.per_second.num = rate;
    bench.shapes[0].duration_ns = SPAN;
    bench_begin(&bench);
    struct schedule_turn turn;
    size_t sent = 0, run = 0;
    while (step(&bench, UINT64_MAX, &turn)) {
        if (turn.verdict == SCHEDULE_SEND && sent < MOST) {
            assert_true(turn.deadline_ns + LATE >= bench.now_ns);
            run = sent > 0 && at_ns[sent - 1] == bench.now_ns ? run + 1 : 1;
            assert_true(run <= BURST);
            at_ns[sent++] = bench.now_ns;
        }
        if (draw(rate / 20) == 0)
            bench.now_ns += draw(longest_stall_ns);
    }
    assert_true(bench.ended[0]);
    assert_int_equal(bench.sent[0] + bench.missed[0], rate); /* in one second */
    size_t oldest = 0;
    for (size_t width = 1; width < sent; width *= 2) {
        for (oldest = 0; oldest + width < sent; oldest++) {
            uint64_t window_ns = at_ns[oldest + width] - at_ns[oldest];
            assert_true(width + 1 <= rate * (window_ns + LATE) / NS_PER_SECOND + BURST);
            /* After the first max_burst not faster than at twice the rate. */
            assert_true(width <= 2 * rate * window_ns / NS_PER_SECOND + 2 * BURST ||
                        window_ns > longest_stall_ns);
        }
    }
    bench_free(&bench);
}

static void test_stalls_are_missed_exactly_and_never_made_up_in_a_burst(void **state)
{
    (void)state;
    seed = 42;
    const uint64_t rates[] = {1000, 10000, 99999, 100000};
    const uint64_t stalls[] = {50000, 5000000, 9999999, 50000000, 200000000};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        for (size_t j = 0; j < sizeof stalls / sizeof *stalls; j++)
            one_run_with_stalls(rates[i], stalls[j]);
}

static void test_a_long_stall_is_one_turn(void **state)
{
    (void)state;
    struct bench bench = bench_of(1, (struct schedule_limits){LATE, BURST});
    bench.shapes[0].rate.per_second.num = 14880952;
    bench_begin(&bench);
    bench.now_ns = NOW + 3600 * NS_PER_SECOND;
    struct schedule_turn turn;
    assert_true(step(&bench, UINT64_MAX, &turn));
    assert_int_equal(turn.verdict, SCHEDULE_MISSED);
    unsigned __int128 due = (unsigned __int128)(3600 * NS_PER_SECOND - LATE) * 14880952;
    assert_int_equal(turn.missed, (uint64_t)((due + NS_PER_SECOND - 1) / NS_PER_SECOND));
    assert_true(step(&bench, UINT64_MAX, &turn));
    assert_int_equal(turn.verdict, SCHEDULE_SEND);
    bench_free(&bench);
}

static void test_trains_are_whole_and_stay_apart_when_late(void **state)
{
    (void)state;
    enum { TRAIN = 100, GAP = 1000000 };
    struct bench bench = bench_of(1, (struct schedule_limits){LATE, BURST});
    bench.shapes[0] = (struct pace_shape){.burst_frames = TRAIN,
                                          .burst_gap_ns = GAP,
                                          .burst_rate = {PACE_MAX, {0, 1}},
                                          .duration_ns = UINT64_MAX};
    bench_begin(&bench);
    struct schedule_turn turn;
    uint64_t last_train_ns = 0;
    for (unsigned i = 0; i < 100 * TRAIN; i++) {
        if (i == 50 * TRAIN)
            bench.now_ns += 9 * GAP; /* late, but not too late */
        assert_true(step(&bench, UINT64_MAX, &turn));
        assert_int_equal(turn.verdict, SCHEDULE_SEND);
        if (i % TRAIN == 0) {
            assert_true(bench.now_ns >= last_train_ns + GAP / 2);
            last_train_ns = bench.now_ns;
        }
        assert_int_equal(bench.now_ns, last_train_ns);
    }
    bench_free(&bench);
}

static void test_rate_max_shares_what_is_left_round_robin(void **state)
{
    (void)state;
    struct bench bench = bench_of(4, (struct schedule_limits){LATE, BURST});
    for (uint32_t i = 1; i < 4; i++)
        bench.shapes[i].rate.unit = PACE_MAX;
    bench.shapes[0].rate.per_second.num = 100000;
    bench.shapes[3].duration_ns = 5000000;
    bench_begin(&bench);
    struct schedule_turn turn;
    uint32_t last = 0;
    while (bench.now_ns < NOW + 10000000) {
        assert_true(step(&bench, UINT64_MAX, &turn));
        if (turn.verdict == SCHEDULE_SEND && turn.id > 0) {
            uint32_t expected = last == 0 || last == 3 || (last == 2 && bench.ended[3]) ? 1 : last + 1;
            if (last != 2 || !bench.ended[3] || expected != 1)
                assert_int_equal(turn.id, expected);
            last = turn.id;
        }
        bench.now_ns += 1000;
    }
    assert_true(bench.ended[3]);
    assert_int_equal(bench.sent[0], 1000); /* the paced one loses nothing */
    assert_true(bench.sent[1] - bench.sent[2] <= 1 || bench.sent[2] - bench.sent[1] <= 1);
    assert_true(bench.sent[1] > bench.sent[3] && bench.sent[3] > 1000);
    bench_free(&bench);
}

static void test_asking_again_names_the_same_frame(void **state)
{
    (void)state;
    struct bench bench = bench_of(3, (struct schedule_limits){LATE, BURST});
    bench_begin(&bench);
    struct schedule_turn first, again;
    for (int i = 0; i < 100; i++) {
        schedule_next(bench.schedule, bench.now_ns, length, NULL, &first);
        schedule_next(bench.schedule, bench.now_ns, length, NULL, &again);
        assert_int_equal(first.verdict, again.verdict);
        assert_int_equal(first.id, again.id);
        assert_int_equal(first.deadline_ns, again.deadline_ns);
        if (first.verdict == SCHEDULE_SEND)
            schedule_sent(bench.schedule, first.id, 60, bench.now_ns);
        else
            bench.now_ns = first.deadline_ns;
    }
    bench_free(&bench);
}

/* Streams come, go, pause and change rate in any order; those that stay lose nothing. */
static void test_ten_thousand_streams_come_and_go(void **state)
{
    (void)state;
    enum { STREAMS = 10000 };
    seed = 7;
    struct bench bench = bench_of(STREAMS, (struct schedule_limits){LATE, BURST});
    for (uint32_t i = 0; i < STREAMS; i++) {
        bench.shapes[i].rate.per_second = (struct ratio){100, 1};
        bench.shapes[i].phase_ns = i * 1000;
    }
    bench_begin(&bench);
    bool *in = malloc(STREAMS * sizeof *in);
    memset(in, 1, STREAMS);
    struct schedule_turn turn;
    for (unsigned i = 0; i < 1000000; i++) {
        uint32_t id = (uint32_t)draw(STREAMS) | 1; /* even ones are left in peace */
        if (i % 10 == 0 && in[id]) {
            schedule_remove(bench.schedule, id);
            in[id] = false;
        } else if (i % 10 == 5 && !in[id]) {
            pacer_start(bench.pacers[id], bench.now_ns);
            schedule_add(bench.schedule, id, bench.pacers[id]);
            in[id] = true;
        } else if (i % 10 == 7) {
            struct pace_rate rate = {PACE_FRAMES, {1 + draw(1000), 1}};
            pacer_set_rate(bench.pacers[id], &rate, bench.now_ns);
            schedule_touch(bench.schedule, id);
        }
        assert_true(step(&bench, UINT64_MAX, &turn));
        assert_true(in[turn.id]);
        assert_int_equal(turn.verdict, SCHEDULE_SEND);
        assert_true(turn.deadline_ns == bench.now_ns);
    }
    uint64_t span_ns = bench.now_ns - NOW;
    for (uint32_t i = 0; i < STREAMS; i += 2) {
        uint64_t due = (span_ns + 9999999 - bench.shapes[i].phase_ns) / 10000000;
        assert_true(bench.sent[i] == due || bench.sent[i] == due + 1);
    }
    free(in);
    bench_free(&bench);
}

static void test_pause_takes_out_and_resume_puts_back(void **state)
{
    (void)state;
    struct bench bench = bench_of(1, (struct schedule_limits){LATE, BURST});
    bench.shapes[0].duration_ns = 10000000;
    bench_begin(&bench);
    struct schedule_turn turn;
    assert_true(step(&bench, UINT64_MAX, &turn));
    pacer_pause(bench.pacers[0], bench.now_ns + 500000);
    schedule_touch(bench.schedule, 0);
    schedule_next(bench.schedule, bench.now_ns + 600000, length, NULL, &turn);
    assert_int_equal(turn.verdict, SCHEDULE_WAIT);
    assert_int_equal(turn.deadline_ns, DEADLINE_NEVER);
    bench.now_ns += 3600 * NS_PER_SECOND;
    pacer_resume(bench.pacers[0], bench.now_ns);
    schedule_touch(bench.schedule, 0);
    while (!bench.ended[0])
        assert_true(step(&bench, UINT64_MAX, &turn));
    assert_int_equal(bench.sent[0], 10);
    assert_int_equal(bench.missed[0], 0);
    bench_free(&bench);
}

/* Who comes after whom while all are due within the wheel's lowest level, round and round over its seam. */
static void test_following_names_the_next_in_time(void **state)
{
    (void)state;
    enum { STREAMS = 4, GAP = 50000 };
    struct bench bench = bench_of(STREAMS + 1, (struct schedule_limits){LATE, BURST});
    for (uint32_t i = 0; i < STREAMS; i++) {
        bench.shapes[i].rate.per_second.num = NS_PER_SECOND / GAP;
        bench.shapes[i].phase_ns = i * 11000;
    }
    bench.shapes[STREAMS].phase_ns = NS_PER_SECOND;
    bench_begin(&bench);
    struct schedule_turn turn;
    for (uint32_t k = 0; k < 400; k++) {
        assert_true(step(&bench, UINT64_MAX, &turn));
        assert_int_equal(turn.id, k % STREAMS);
        for (uint32_t i = 0; k >= STREAMS && i < STREAMS; i++)
            assert_int_equal(schedule_following(bench.schedule, i), (i + 1) % STREAMS);
        assert_int_equal(schedule_following(bench.schedule, STREAMS), SCHEDULE_NOBODY);
    }
    bench_free(&bench);
}

static void test_following_goes_round_at_rate_max(void **state)
{
    (void)state;
    struct bench bench = bench_of(2, (struct schedule_limits){LATE, BURST});
    bench.shapes[0].rate.unit = bench.shapes[1].rate.unit = PACE_MAX;
    bench_begin(&bench);
    struct schedule_turn turn;
    schedule_next(bench.schedule, bench.now_ns, length, NULL, &turn);
    assert_int_equal(schedule_following(bench.schedule, 0), 1);
    assert_int_equal(schedule_following(bench.schedule, 1), 0);
    schedule_remove(bench.schedule, 1);
    assert_int_equal(schedule_following(bench.schedule, 0), SCHEDULE_NOBODY);
    bench_free(&bench);
}

/* Behind by less than a burst all at once; from then on one for each half of a gap. */
static void test_catching_up_is_a_burst_and_then_twice_the_rate(void **state)
{
    (void)state;
    enum { GAP = 100000 };
    for (uint32_t burst = 1; burst <= 40; burst += 13) {
        struct bench bench = bench_of(1, (struct schedule_limits){LATE, burst});
        bench.shapes[0].rate.per_second.num = NS_PER_SECOND / GAP;
        bench_begin(&bench);
        bench.now_ns += LATE; /* 100 gaps */
        uint64_t began_ns = bench.now_ns, last_ns = 0;
        struct schedule_turn turn;
        for (uint64_t k = 0; k < 90; k++) {
            assert_true(step(&bench, UINT64_MAX, &turn));
            assert_int_equal(turn.verdict, SCHEDULE_SEND);
            uint64_t expected_ns = k < burst ? began_ns : began_ns + (k - burst + 1) * (GAP / 2);
            assert_int_equal(bench.now_ns, expected_ns);
            assert_int_equal(turn.deadline_ns, NOW + k * GAP);
            last_ns = bench.now_ns;
        }
        assert_true(last_ns > began_ns);
        bench_free(&bench);
    }
}

/* As late as may be is late; one nanosecond more is missed. */
static void test_the_limit_of_lateness(void **state)
{
    (void)state;
    for (uint64_t more = 0; more < 2; more++) {
        struct bench bench = bench_of(1, (struct schedule_limits){LATE, BURST});
        bench_begin(&bench);
        bench.now_ns += LATE + more;
        struct schedule_turn turn;
        assert_true(step(&bench, UINT64_MAX, &turn));
        assert_int_equal(turn.verdict, more == 0 ? SCHEDULE_SEND : SCHEDULE_MISSED);
        if (more == 0)
            assert_int_equal(turn.deadline_ns, NOW);
        else
            assert_int_equal(turn.missed, 1);
        bench_free(&bench);
    }
}

/* Many in one slot that is far away: when to look again is never after the first of them. */
static void test_a_crowded_slot_far_away_is_not_overlooked(void **state)
{
    (void)state;
    enum { STREAMS = 40 };
    for (uint64_t far_ns = 10000; far_ns < UINT64_C(1000000000000); far_ns *= 7) {
        struct bench bench = bench_of(STREAMS, (struct schedule_limits){LATE, BURST});
        for (uint32_t i = 0; i < STREAMS; i++) {
            bench.shapes[i].phase_ns = far_ns + (i * 17 % STREAMS);
            bench.shapes[i].rate.per_second = (struct ratio){1, 100000};
        }
        bench_begin(&bench);
        struct schedule_turn turn;
        for (uint64_t k = 0; k < STREAMS; k++) {
            assert_true(step(&bench, UINT64_MAX, &turn));
            assert_int_equal(turn.verdict, SCHEDULE_SEND);
            assert_int_equal(turn.id * 17 % STREAMS, k);
            assert_int_equal(bench.now_ns, NOW + far_ns + k);
        }
        bench_free(&bench);
    }
}

static void test_max_opens_closes_and_ends_in_time(void **state)
{
    (void)state;
    struct bench bench = bench_of(1, (struct schedule_limits){LATE, BURST});
    bench.shapes[0] = (struct pace_shape){
        .rate = {PACE_MAX, {0, 1}}, .delay_ns = 700, .on_ns = 1000, .off_ns = 500, .duration_ns = 3200};
    bench_begin(&bench);
    struct schedule_turn turn;
    uint64_t sent_ns[10], sent = 0;
    while (!bench.ended[0]) {
        assert_true(step(&bench, UINT64_MAX, &turn));
        if (turn.verdict == SCHEDULE_SEND && sent < 10)
            sent_ns[sent++] = bench.now_ns - NOW;
        bench.now_ns += turn.verdict == SCHEDULE_SEND ? 400 : 0;
    }
    static const uint64_t expected[] = {700, 1100, 1500, 2200, 2600, 3000, 3700};
    assert_int_equal(sent, 7);
    assert_memory_equal(sent_ns, expected, sizeof expected);
    assert_int_equal(bench.now_ns, NOW + 700 + 3400); /* the last began before the end at 3,900 */
    bench_free(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates_of_three_to_one_interleave),
        cmocka_unit_test(test_a_thousand_equal_streams_are_a_smooth_line),
        cmocka_unit_test(test_every_frame_goes_at_its_deadline),
        cmocka_unit_test(test_stalls_are_missed_exactly_and_never_made_up_in_a_burst),
        cmocka_unit_test(test_a_long_stall_is_one_turn),
        cmocka_unit_test(test_trains_are_whole_and_stay_apart_when_late),
        cmocka_unit_test(test_rate_max_shares_what_is_left_round_robin),
        cmocka_unit_test(test_asking_again_names_the_same_frame),
        cmocka_unit_test(test_ten_thousand_streams_come_and_go),
        cmocka_unit_test(test_pause_takes_out_and_resume_puts_back),
        cmocka_unit_test(test_following_names_the_next_in_time),
        cmocka_unit_test(test_following_goes_round_at_rate_max),
        cmocka_unit_test(test_catching_up_is_a_burst_and_then_twice_the_rate),
        cmocka_unit_test(test_the_limit_of_lateness),
        cmocka_unit_test(test_a_crowded_slot_far_away_is_not_overlooked),
        cmocka_unit_test(test_max_opens_closes_and_ends_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
