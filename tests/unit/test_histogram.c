/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Histogram and latency against sorted arrays: percentiles within 1 % for every shape of values, exact ends
 * and mean, merging, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analysis/latency.h"

enum { VALUES = 50000 };
static const uint32_t percentiles[] = {0, 1, 1000, 50000, 90000, 99000, 99900, 99990, 99999, 100000};

static uint64_t state = 20240601;

static uint64_t draw(void) /* xorshift64* */
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(2685821657736338717);
}

static int by_value(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static uint64_t small(void)
{
    return draw() % 130;
}
static uint64_t even(void)
{
    return draw() % 1000000;
}
static uint64_t any_width(void)
{
    return draw() >> draw() % 64;
}
static uint64_t long_tail(void)
{
    return 5000 + draw() % 2000 + (draw() % 1000 == 0 ? draw() % 50000000 : 0);
}
static uint64_t one_value(void)
{
    return 123456789;
}

static uint64_t nearest_rank(const uint64_t *sorted, uint64_t count, uint32_t per_100000)
{
    uint64_t rank = (count * per_100000 + 99999) / 100000;
    return sorted[rank == 0 ? 0 : rank - 1];
}

static void assert_percentiles(const struct histogram *histogram, uint64_t *values, size_t count)
{
    qsort(values, count, sizeof *values, by_value);
    for (size_t i = 0; i < sizeof percentiles / sizeof *percentiles; i++) {
        uint64_t exact = nearest_rank(values, count, percentiles[i]);
        uint64_t got = histogram_percentile(histogram, percentiles[i]);
        uint64_t off = got > exact ? got - exact : exact - got;
        if (off > exact / 100)
            fail_msg("percentile %u/100000 is %llu, not %llu", percentiles[i], (unsigned long long)got,
                     (unsigned long long)exact);
    }
    assert_true(histogram->min == values[0] && histogram->max == values[count - 1]);
    assert_true(histogram_percentile(histogram, 0) == values[0]);
    assert_true(histogram_percentile(histogram, 100000) == values[count - 1]);
}

static void percentiles_are_within_one_percent_of_sorted_values(void **unused)
{
    static uint64_t (*const shapes[])(void) = {small, even, any_width, long_tail, one_value};
    static uint64_t values[VALUES];
    (void)unused;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        for (size_t count = 1; count <= VALUES; count = count * 7 + 3) {
            struct histogram histogram;
            unsigned __int128 sum = 0;
            histogram_init(&histogram);
            for (size_t i = 0; i < count; i++) {
                values[i] = shapes[s]();
                sum += values[i];
                assert_true(histogram_add(&histogram, values[i], 1));
            }
            assert_true(histogram.count == count);
            assert_true(histogram_mean(&histogram) == (uint64_t)(sum / count));
            assert_percentiles(&histogram, values, count);
            histogram_fini(&histogram);
        }
    }
}

/* Both sides of every power of two and of every bucket's edge near it. */
static void every_octave_answers_for_its_edges(void **unused)
{
    (void)unused;
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int beside = -2; beside <= 2; beside++) {
            uint64_t value = (UINT64_C(1) << bit) + (uint64_t)beside;
            struct histogram histogram;
            histogram_init(&histogram);
            assert_true(histogram_add(&histogram, 0, 1));
            assert_true(histogram_add(&histogram, value, 1));
            assert_true(histogram_add(&histogram, UINT64_MAX, 1));
            uint64_t got = histogram_percentile(&histogram, 50000);
            assert_true((got > value ? got - value : value - got) <= value / 100);
            histogram_fini(&histogram);
        }
    }
}

static void merging_is_counting_all(void **unused)
{
    static uint64_t values[VALUES];
    struct histogram parts[3], all;
    (void)unused;
    histogram_init(&all);
    for (size_t p = 0; p < 3; p++)
        histogram_init(&parts[p]);
    for (size_t i = 0; i < VALUES; i++) {
        values[i] = i % 3 == 0 ? any_width() : i % 3 == 1 ? even() : small();
        assert_true(histogram_add(&parts[i % 3], values[i], 1));
    }
    for (size_t p = 0; p < 3; p++)
        assert_true(histogram_merge(&all, &parts[p]));
    struct histogram empty;
    histogram_init(&empty);
    assert_true(histogram_merge(&all, &empty));
    assert_true(all.count == VALUES);
    assert_percentiles(&all, values, VALUES);
    for (size_t p = 0; p < 3; p++)
        histogram_fini(&parts[p]);
    histogram_fini(&all);
}

static void memory_grows_with_the_range_only(void **unused)
{
    struct histogram histogram;
    (void)unused;
    histogram_init(&histogram);
    assert_in_range(histogram_memory(&histogram), 1, 600);
    assert_true(histogram_percentile(&histogram, 50000) == 0 && histogram_mean(&histogram) == 0);
    for (size_t i = 0; i < VALUES; i++)
        assert_true(histogram_add(&histogram, 10000 + draw() % 50000, 1000000));
    assert_true(histogram.count == UINT64_C(1000000) * VALUES);
    assert_in_range(histogram_memory(&histogram), 600, 600 + 3 * 512);
    histogram_clear(&histogram);
    assert_true(histogram.count == 0 && histogram.max == 0 && histogram_percentile(&histogram, 99000) == 0);
    assert_true(histogram_add(&histogram, 20000, 1) && histogram_percentile(&histogram, 50000) == 20000);
    histogram_fini(&histogram);
    assert_in_range(histogram_memory(&histogram), 1, 600);
}

/* ---- latency ---- */

static void delays_survive_the_wrap_of_the_signatures_clock(void **unused)
{
    static const int64_t delays[] = {0, 1, 15, 16, 1000, 999999999, 30000000000, -1, -5000, -30000000000};
    (void)unused;
    for (size_t i = 0; i < sizeof delays / sizeof *delays; i++) {
        for (int n = 0; n < 1000; n++) {
            uint64_t sent = (UINT64_C(1) << 60) + (draw() >> 8);
            int64_t got = latency_between((uint32_t)(sent >> 4), sent + (uint64_t)delays[i]);
            assert_in_range(got - delays[i] + 16, 16, 31); /* the stamp was rounded down to 16 ns */
        }
    }
}

static void figures_are_those_of_the_rfcs(void **unused)
{
    static uint64_t values[VALUES];
    struct latency latency;
    struct stream_result result = {.sent = 77};
    double jitter = 0;
    (void)unused;
    latency_init(&latency);
    for (size_t i = 0; i < VALUES; i++) {
        values[i] = long_tail();
        latency_take(&latency, (int64_t)values[i]);
        if (i != 0) /* RFC 3550 §6.4.1 */
            jitter += ((double)llabs((long long)values[i] - (long long)values[i - 1]) - jitter) / 16;
    }
    latency_result(&latency, &result);
    qsort(values, VALUES, sizeof *values, by_value);
    uint64_t p999 = nearest_rank(values, VALUES, 99900);
    assert_true(result.sent == 77);
    assert_in_range(result.jitter_ns, (uint64_t)(jitter * 0.98), (uint64_t)(jitter * 1.02) + 1);
    assert_in_range(result.delay_variation_ns, (p999 - values[0]) * 98 / 100, (p999 - values[0]) * 102 / 100);
    assert_true(result.latency_min_ns == values[0] && result.latency_max_ns == values[VALUES - 1]);
    assert_in_range(result.latency_p9999_ns, nearest_rank(values, VALUES, 99990) * 99 / 100,
                    nearest_rank(values, VALUES, 99990) * 101 / 100);
    latency_clear(&latency);
    latency_take(&latency, -5);
    latency_result(&latency, &result);
    assert_true(latency.negative == 1 && result.latency_max_ns == 0 && result.jitter_ns == 0);
    latency_fini(&latency);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_within_one_percent_of_sorted_values),
        cmocka_unit_test(every_octave_answers_for_its_edges),
        cmocka_unit_test(merging_is_counting_all),
        cmocka_unit_test(memory_grows_with_the_range_only),
        cmocka_unit_test(delays_survive_the_wrap_of_the_signatures_clock),
        cmocka_unit_test(figures_are_those_of_the_rfcs),
    };
    printf("# seed %llu\n", (unsigned long long)state);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
