/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "analysis/verdict.h"

static struct verdict verdict;

static int begin(void **state)
{
    (void)state;
    verdict_begin(&verdict);
    return 0;
}

static void nothing_against_it_is_passed(void **state)
{
    (void)state;
    verdict_port(&verdict, &(struct verdict_port){.name = "east"});
    verdict_stream(&verdict, &(struct verdict_stream){.name = "s", .scheduled = 10, .tolerance = {0, 1}});
    assert_int_equal(verdict.kind, VERDICT_PASSED);
    assert_int_equal(verdict.reasons, 0);
}

static void each_limit_of_the_tester_is_invalid(void **state)
{
    static const struct verdict_port ports[] = {{.name = "p", .rejected = 1},
                                                {.name = "p", .in_flight = 1},
                                                {.name = "p", .unaccounted = 1},
                                                {.name = "p", .overrun = 1},
                                                {.name = "p", .undrained = true}};
    (void)state;
    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
        verdict_begin(&verdict);
        verdict_port(&verdict, &ports[i]);
        assert_int_equal(verdict.kind, VERDICT_INVALID);
        assert_int_equal(verdict.reasons, 1);
        assert_memory_equal(verdict.reason[0], "p: ", 3);
    }
}

static void missed_frames_are_weighed_against_the_tolerance(void **state)
{
    struct verdict_stream stream = {.name = "s", .scheduled = 1000, .missed = 10, .tolerance = {1, 100}};
    (void)state;
    verdict_stream(&verdict, &stream);
    assert_int_equal(verdict.kind, VERDICT_PASSED);
    stream.missed = 11;
    verdict_stream(&verdict, &stream);
    assert_int_equal(verdict.kind, VERDICT_INVALID);
    assert_string_equal(verdict.reason[0], "s: 11 of 1000 frames were missed (due, but too late to be sent)");
}

static void a_tolerance_of_nothing_allows_nothing(void **state)
{
    (void)state;
    verdict_stream(&verdict, &(struct verdict_stream){.name = "s", .scheduled = UINT64_MAX, .missed = 1});
    assert_int_equal(verdict.kind, VERDICT_INVALID);
}

static void an_unmet_requirement_is_told_and_an_invalid_run_outweighs_it(void **state)
{
    struct requirement requirement;
    struct stream_result result = {.sent = 1000, .received = 988, .lost = 12};
    struct err err;
    (void)state;
    assert_int_equal(requirement_parse("loss == 0", &requirement, &err), 0);
    verdict_receive(&verdict, "s", "west", &requirement, 1, &result);
    assert_int_equal(verdict.kind, VERDICT_UNMET);
    assert_non_null(strstr(verdict.reason[0], "s at west: "));
    verdict_port(&verdict, &(struct verdict_port){.name = "east", .overrun = 3});
    assert_int_equal(verdict.kind, VERDICT_INVALID);
    assert_int_equal(verdict.reasons, 2);
}

static void a_flood_of_reasons_is_counted(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        verdict_port(&verdict, &(struct verdict_port){.name = "p", .rejected = 1});
    assert_int_equal(verdict.reasons, VERDICT_REASONS_MAX);
    assert_string_equal(verdict.reason[VERDICT_REASONS_MAX - 1], "and 69 more reasons");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_against_it_is_passed, begin),
        cmocka_unit_test_setup(each_limit_of_the_tester_is_invalid, begin),
        cmocka_unit_test_setup(missed_frames_are_weighed_against_the_tolerance, begin),
        cmocka_unit_test_setup(a_tolerance_of_nothing_allows_nothing, begin),
        cmocka_unit_test_setup(an_unmet_requirement_is_told_and_an_invalid_run_outweighs_it, begin),
        cmocka_unit_test_setup(a_flood_of_reasons_is_counted, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
