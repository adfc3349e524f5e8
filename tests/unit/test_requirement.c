/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requirements: what is read, what holds at and beside each bound, how the outcome is told, what is refused.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "analysis/requirement.h"

#define ROWS(table) (sizeof(table) / sizeof *(table))

static struct requirement parsed(const char *text)
{
    struct requirement out;
    struct err err = {0};
    if (requirement_parse(text, &out, &err) != 0)
        fail_msg("%s: %s", text, err.text);
    assert_ptr_equal(out.text, text);
    return out;
}

static bool holds(const char *text, const struct stream_result *result)
{
    struct requirement requirement = parsed(text);
    return requirement_holds(&requirement, result);
}

static void each_comparison_at_and_beside_its_bound(void **unused)
{
    static const struct {
        const char *text;
        bool below, equal, above;
    } rows[] = {
        {"loss == 5", false, true, false}, {"loss != 5", true, false, true},
        {"loss <= 5", true, true, false},  {"loss >= 5", false, true, true},
        {"loss < 5", true, false, false},  {"loss > 5", false, false, true},
        {"loss<=5", true, true, false},    {" lost  <  5", true, false, false},
    };
    (void)unused;
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(holds(rows[i].text, &(struct stream_result){.lost = 4}), rows[i].below);
        assert_int_equal(holds(rows[i].text, &(struct stream_result){.lost = 5}), rows[i].equal);
        assert_int_equal(holds(rows[i].text, &(struct stream_result){.lost = 6}), rows[i].above);
    }
}

/* Every metric reads its own member: the result holds a different number in each. */
static void every_metric_reads_its_own_member(void **unused)
{
    static const struct stream_result result = {
        .sent = 1000,
        .received = 1,
        .lost = 2,
        .duplicates = 3,
        .reordered = 4,
        .late = 5,
        .corrupted = 6,
        .flooded = 7,
        .misdirected = 8,
        .stale = 9,
        .outage_frames = 10,
        .outage_ns = 11,
        .latency_min_ns = 12,
        .latency_mean_ns = 13,
        .latency_p50_ns = 14,
        .latency_p90_ns = 15,
        .latency_p99_ns = 16,
        .latency_p999_ns = 17,
        .latency_p9999_ns = 18,
        .latency_p99999_ns = 19,
        .latency_max_ns = 20,
        .jitter_ns = 21,
        .delay_variation_ns = 22,
        .reorder_extent = 23,
    };
    static const char *const texts[] = {
        "received == 1",
        "loss == 2",
        "lost == 2",
        "duplicates == 3",
        "reordered == 4",
        "late == 5",
        "corrupted == 6",
        "flooded == 7",
        "misdirected == 8",
        "stale == 9",
        "outage.frames == 10",
        "outage == 11ns",
        "outage.time == 11ns",
        "latency.min == 12ns",
        "latency.mean == 13ns",
        "latency.p50 == 14ns",
        "latency.p90 == 15ns",
        "latency.p99 == 16ns",
        "latency.p99.9 == 17ns",
        "latency.p999 == 17ns",
        "latency.p99.99 == 18ns",
        "latency.p9999 == 18ns",
        "latency.p99.999 == 19ns",
        "latency.p99999 == 19ns",
        "latency.max == 20ns",
        "jitter == 21ns",
        "delay_variation == 22ns",
        "reorder_extent == 23",
    };
    size_t names = 0;
    (void)unused;
    for (size_t i = 0; i < ROWS(texts); i++)
        if (!holds(texts[i], &result))
            fail_msg("%s does not hold", texts[i]);
    while (requirement_metrics()[names] != NULL)
        names++;
    assert_int_equal(names, 23);
}

static void percent_is_of_sent_frames_and_exact(void **unused)
{
    struct stream_result result = {.sent = 1000, .lost = 1};
    (void)unused;
    assert_true(holds("loss <= 0.1%", &result));
    assert_true(holds("loss == 0.1 %", &result));
    result.lost = 2;
    assert_false(holds("loss <= 0.1%", &result));
    result.sent = UINT64_MAX;
    result.lost = UINT64_MAX / 4 + 1;
    assert_false(holds("loss <= 25%", &result)); /* UINT64_MAX is not a multiple of 4 */
    result.lost = UINT64_MAX / 4;
    assert_true(holds("loss <= 25%", &result));
    assert_true(holds("loss <= 0%", &(struct stream_result){0}));
}

static void times_have_units(void **unused)
{
    struct stream_result result = {.received = 1, .latency_p99_ns = 200000, .outage_ns = 50000000};
    (void)unused;
    assert_true(holds("latency.p99 <= 200us", &result));
    assert_false(holds("latency.p99 < 0.2ms", &result));
    assert_true(holds("outage <= 50ms", &result));
}

static void latency_of_nothing_meets_nothing(void **unused)
{
    struct stream_result nothing = {.sent = 10, .lost = 10};
    (void)unused;
    assert_false(holds("latency.p99 <= 1s", &nothing));
    assert_false(holds("jitter >= 0ns", &nothing));
    assert_true(holds("duplicates == 0", &nothing));
}

static void outcomes_are_told_in_words(void **unused)
{
    static const struct stream_result result = {
        .sent = 1000, .received = 988, .lost = 12, .latency_p99_ns = 350000};
    static const struct {
        const char *text, *told;
    } rows[] = {
        {"loss == 0", "loss == 0: 12 of 1,000 frames were lost"},
        {"latency.p99 <= 200us", "latency.p99 <= 200us: it was 350"},
    };
    char told[200];
    (void)unused;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct requirement requirement = parsed(rows[i].text);
        requirement_explain(&requirement, &result, told, sizeof told);
        assert_memory_equal(told, rows[i].told, strlen(rows[i].told));
    }
    struct requirement requirement = parsed("latency.max < 1ms");
    requirement_explain(&requirement, &(struct stream_result){0}, told, sizeof told);
    assert_string_equal(told, "latency.max < 1ms: no frame arrived");
    requirement_explain(&requirement, &(struct stream_result){0}, told, 6);
    assert_string_equal(told, "laten");
}

static void what_cannot_be_is_refused_with_a_remedy(void **unused)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "\"loss == 0\""},
        {"loss", "`` is no comparison"},
        {"loss = 0", "`=` is no comparison; it is ==, !="},
        {"loss =< 0", "`=<` is no comparison"},
        {"los == 0", "`loss`?"},
        {"latency.p95 < 1ms", "unknown metric `latency.p95`"},
        {"loss == ", "loss == "},
        {"loss == many", "many"},
        {"loss == -1", "-1"},
        {"latency.p99 <= 200", "200"},
        {"latency.p99 <= 5%", "5%"},
        {"loss == 0 0", "0 0"},
        {"a_metric_with_a_name_much_longer_than_any_buffer_that_is_here == 0", "unknown metric"},
    };
    (void)unused;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct requirement out = {.metric = 99};
        struct err err = {0};
        if (requirement_parse(rows[i].text, &out, &err) >= 0)
            fail_msg("`%s` was accepted", rows[i].text);
        assert_int_equal(out.metric, 99);
        if (strstr(err.text, rows[i].says) == NULL)
            fail_msg("`%s`: %s does not say %s", rows[i].text, err.text, rows[i].says);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_comparison_at_and_beside_its_bound),
        cmocka_unit_test(every_metric_reads_its_own_member),
        cmocka_unit_test(percent_is_of_sent_frames_and_exact),
        cmocka_unit_test(times_have_units),
        cmocka_unit_test(latency_of_nothing_meets_nothing),
        cmocka_unit_test(outcomes_are_told_in_words),
        cmocka_unit_test(what_cannot_be_is_refused_with_a_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
