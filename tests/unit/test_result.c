/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a run comes to after a day and at the counters' widths: rows of a volley made by hand, whose records
 * hold what a day would have put there. No clock: the run has ended when the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "run/volley.h"

#define DAY_NS (86400 * NS_PER_SECOND)
enum { STARTED_NS = 12345 };

/* One stream with one part, no port; a run of a day. */
struct day {
    struct plan_stream planned;
    struct plan plan;
    struct part part;
    struct part *parts[1];
    struct stream stream;
    struct volley volley;
};

static void begin_day(struct day *day)
{
    memset(day, 0, sizeof *day);
    record_init(&day->part.record, COUNTS_WORDS);
    day->parts[0] = &day->part;
    day->stream = (struct stream){
        .plan = &day->planned, .parts = day->parts, .part_count = 1, .in_run = true, .state = STREAM_DONE};
    day->plan.streams = &day->planned;
    day->plan.stream_count = 1;
    day->volley.plan = &day->plan;
    day->volley.streams = &day->stream;
    day->volley.run_state = RUN_ENDED;
    day->volley.started_ns = STARTED_NS;
    day->volley.ended_ns = STARTED_NS + DAY_NS;
}

static struct stream_row row_with(struct day *day, const struct counts *counts)
{
    struct stream_row row;
    record_publish(&day->part.record, (const uint64_t *)counts);
    assert_int_equal(volley_stream_row(&day->volley, VOLLEY_NOW, 0, &row), 0);
    return row;
}

static void assert_near(double seen, double exact)
{
    if (seen < exact * (1 - 1e-12) || seen > exact * (1 + 1e-12))
        fail_msg("%.17g, not %.17g", seen, exact);
}

static struct counts all_completed(uint64_t frames, uint64_t bytes_l2)
{
    return (struct counts){.scheduled = frames, .queued = frames, .completed = frames, .bytes_l2 = bytes_l2};
}

static void rates_hold_beyond_32_bits_of_frames(void **state)
{
    (void)state;
    static struct day day;
    begin_day(&day);
    for (int more = -1; more <= 1; more++) {
        const uint64_t frames = (UINT64_C(1) << 32) + (uint64_t)(int64_t)more;
        const struct counts counts = all_completed(frames, frames * 64);
        struct stream_row row = row_with(&day, &counts);
        assert_true(row.counts.completed == frames && row.counts.bytes_l2 == frames * 64);
        assert_near(row.average.pps, (double)frames / 86400);
        assert_near(row.average.bit_l2, (double)frames * 512 / 86400);
        assert_near(row.average.bit_l1, (double)frames * 672 / 86400);
    }
}

/* 2^63 bytes in a day are 854 Tbit/s; with what L1 adds they still are below 2^64. */
static void rates_hold_at_63_bits_of_bytes(void **state)
{
    (void)state;
    static struct day day;
    begin_day(&day);
    const uint64_t frames = UINT64_C(1) << 57, bytes = UINT64_C(1) << 63;
    const struct counts counts = all_completed(frames, bytes);
    struct stream_row row = row_with(&day, &counts);
    assert_true(row.counts.bytes_l2 == bytes);
    assert_near(row.average.bit_l2, 9223372036854775808.0 * 8 / 86400);
    assert_near(row.average.bit_l1, 9223372036854775808.0 / 64 * 84 * 8 / 86400);
}

/* Records count from a part's birth: a later run's share is exact however much came before, past their widths
 * too. */
static void what_came_before_the_run_is_left_out_exactly(void **state)
{
    (void)state;
    static struct day day;
    static const uint64_t before[] = {(UINT64_C(1) << 32) - 3, (UINT64_C(1) << 63) - 7, UINT64_MAX - 1};
    begin_day(&day);
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        struct counts counts = all_completed(before[i], before[i]);
        const struct counts more = all_completed(1000, 64000);
        day.stream.base = counts;
        counts_add(&counts, &more);
        struct stream_row row = row_with(&day, &counts);
        assert_true(row.counts.completed == 1000 && row.counts.bytes_l2 == 64000);
        assert_true(counts_balance(&row.counts));
        assert_near(row.average.pps, 1000.0 / 86400);
    }
}

static void a_day_of_history_is_an_hour_of_seconds_and_then_minutes(void **state)
{
    (void)state;
    enum { POINTS = 3600 + 23 * 60 };
    static struct history_point points[POINTS + 2];
    static struct day day;
    begin_day(&day);
    result_begin_run(&day.volley);
    const uint64_t began_ns = day.volley.started_ns;
    for (uint64_t tick = 1; tick <= 864000; tick++)
        result_tick(&day.volley, began_ns + tick * (NS_PER_SECOND / 10));
    size_t count = volley_history(&day.volley, VOLLEY_NOW, 0, points, POINTS + 2);
    assert_int_equal(count, POINTS);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(points[i].elapsed_ns, (i < 3600 ? i + 1 : 3600 + (i - 3599) * 60) * NS_PER_SECOND);
    result_free(&day.volley);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_hold_beyond_32_bits_of_frames),
        cmocka_unit_test(rates_hold_at_63_bits_of_bytes),
        cmocka_unit_test(what_came_before_the_run_is_left_out_exactly),
        cmocka_unit_test(a_day_of_history_is_an_hour_of_seconds_and_then_minutes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
