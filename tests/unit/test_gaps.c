/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analysis/gaps.h"

static void every_gap_is_between_the_bounds_of_its_bucket(void **state)
{
    uint64_t gap = 0;
    (void)state;
    for (int i = 0; gap < UINT64_C(1) << 41; i++, gap += gap / 97 + 1) {
        uint32_t bucket = gap_bucket(gap);
        assert_true(bucket < GAP_BUCKETS);
        assert_true(gap_bucket_from_ns(bucket) <= gap);
        assert_true(gap < gap_bucket_from_ns(bucket + 1));
    }
}

static void bounds_grow_by_a_quarter_at_most(void **state)
{
    (void)state;
    for (uint32_t i = 4; i < GAP_BUCKETS; i++) {
        uint64_t from = gap_bucket_from_ns(i), to = gap_bucket_from_ns(i + 1);
        assert_true(to > from && (to - from) * 4 <= from);
        assert_int_equal(gap_bucket(from), i);
    }
}

static void the_longest_gaps_are_in_the_last(void **state)
{
    (void)state;
    assert_int_equal(gap_bucket(UINT64_C(1) << 41), GAP_BUCKETS - 1);
    assert_int_equal(gap_bucket(UINT64_MAX), GAP_BUCKETS - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_gap_is_between_the_bounds_of_its_bucket),
        cmocka_unit_test(bounds_grow_by_a_quarter_at_most),
        cmocka_unit_test(the_longest_gaps_are_in_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
