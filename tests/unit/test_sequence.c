/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sequence tracking against a reference that remembers every arrival: losses, duplicates, permutations,
 * outages, wraps; and numbers that are not the stream's never spoil its account. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analysis/sequence.h"

enum { GAP_NS = 1000 };
static const uint64_t SEED = 20240601;
static uint64_t state;

static uint32_t draw(uint32_t below) /* xorshift64* */
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * UINT64_C(2685821657736338717) >> 32) % below);
}

/* What arrives, in order: numbers from 0, and when. */
struct arrivals {
    uint64_t *number, *time_ns;
    size_t count, room;
};

static void arrive(struct arrivals *arrivals, uint64_t number)
{
    if (arrivals->count == arrivals->room) {
        arrivals->room = arrivals->room * 2 + 1024;
        arrivals->number = realloc(arrivals->number, arrivals->room * sizeof *arrivals->number);
        arrivals->time_ns = realloc(arrivals->time_ns, arrivals->room * sizeof *arrivals->time_ns);
        assert_true(arrivals->number != NULL && arrivals->time_ns != NULL);
    }
    arrivals->number[arrivals->count] = number;
    arrivals->time_ns[arrivals->count] = 5000 + number * GAP_NS;
    arrivals->count++;
}

static void arrivals_end(struct arrivals *arrivals)
{
    free(arrivals->number);
    free(arrivals->time_ns);
    *arrivals = (struct arrivals){0};
}

/* The earliest place with a number above this one; highest[] is the running maximum. */
static uint64_t first_above(const uint64_t *highest, uint64_t count, uint64_t number)
{
    uint64_t low = 0;
    while (low < count) {
        uint64_t middle = (low + count) / 2;
        if (highest[middle] > number)
            count = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* RFC 4737 word for word: reordered when below NextExp; extent i - j for the earliest j with s[j] > s[i]. */
static struct sequence_result reference(const struct arrivals *arrivals, uint64_t sent)
{
    struct sequence_result result = {0};
    uint8_t *seen = calloc(sent + 1, 1);
    uint64_t *highest = calloc(arrivals->count + 1, sizeof *highest); /* so far, by arrival of first copies */
    uint64_t next_expected = 0, run = 0;
    assert_true(seen != NULL && highest != NULL);
    for (size_t i = 0; i < arrivals->count; i++) {
        uint64_t number = arrivals->number[i];
        if (seen[number]) {
            result.duplicates++;
            continue;
        }
        seen[number] = 1;
        if (number < next_expected) {
            uint64_t extent = result.received - first_above(highest, result.received, number);
            result.reordered++;
            if (extent > result.extent)
                result.extent = extent;
        } else {
            next_expected = number + 1;
        }
        highest[result.received++] = next_expected - 1;
    }
    for (uint64_t number = 0; number < sent; number++) {
        run = seen[number] ? 0 : run + 1;
        result.lost += !seen[number];
        if (run > result.outage_frames)
            result.outage_frames = run;
    }
    free(seen);
    free(highest);
    return result;
}

static struct sequence_result track(const struct arrivals *arrivals, uint64_t sent)
{
    struct sequence *sequence = malloc(sizeof *sequence);
    struct sequence_result result;
    assert_non_null(sequence);
    sequence_init(sequence);
    for (size_t i = 0; i < arrivals->count; i++)
        sequence_take(sequence, (uint32_t)arrivals->number[i], arrivals->time_ns[i]);
    sequence_result(sequence, sent, true, &result);
    free(sequence);
    return result;
}

static void assert_as_reference(const char *name, struct arrivals *arrivals, uint64_t sent, bool exact_extent)
{
    struct sequence_result got = track(arrivals, sent), want = reference(arrivals, sent);
#define SAME(member)                                                                    \
    if (got.member != want.member)                                                      \
    fail_msg("%s: " #member " is %llu, not %llu", name, (unsigned long long)got.member, \
             (unsigned long long)want.member)
    SAME(received);
    SAME(lost);
    SAME(duplicates);
    SAME(reordered);
    SAME(outage_frames);
    if (exact_extent)
        SAME(extent);
    assert_true(got.extent <= want.extent && got.stale == 0 && got.late == 0);
    arrivals_end(arrivals);
}

static void in_order_and_complete(void **unused)
{
    struct arrivals arrivals = {0};
    (void)unused;
    for (uint64_t n = 0; n < 100000; n++)
        arrive(&arrivals, n);
    struct sequence_result got = track(&arrivals, 100000);
    assert_true(got.received == 100000 && got.outage_ns == 0);
    assert_as_reference("complete", &arrivals, 100000, true);
}

static void losses_of_every_kind(void **unused)
{
    (void)unused;
    for (uint32_t kind = 0; kind < 60; kind++) {
        struct arrivals arrivals = {0};
        uint64_t sent = 1 + draw(60000);
        uint32_t one_in = 1 + draw(kind % 3 == 0 ? 5 : 3000), hole = draw(14000), at = draw(60000);
        for (uint64_t n = 0; n < sent; n++)
            if (draw(one_in) != 0 && (n < at || n >= at + hole))
                arrive(&arrivals, n);
        assert_as_reference("losses", &arrivals, sent, true);
    }
}

/* Each frame is held back by up to `depth` places, some are lost, some come twice. */
static void shuffle(struct arrivals *arrivals, uint64_t sent, uint32_t depth, uint32_t lose, uint32_t again)
{
    uint64_t held[512];
    uint32_t holding = 0;
    for (uint64_t n = 0; n < sent || holding != 0;) {
        if (n < sent && holding < depth) {
            if (draw(lose) != 0)
                held[holding++] = n;
            n++;
            continue;
        }
        uint32_t pick = draw(holding);
        arrive(arrivals, held[pick]);
        if (draw(again) != 0)
            held[pick] = held[--holding];
    }
}

static void permutations_losses_and_duplicates(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < 60; round++) {
        struct arrivals arrivals = {0};
        uint64_t sent = 1 + draw(40000);
        uint32_t depth = 1 + draw(round % 2 == 0 ? 12 : 500);
        shuffle(&arrivals, sent, depth, 2 + draw(50), 2 + draw(50));
        assert_as_reference("shuffled", &arrivals, sent, depth <= 12);
    }
}

static void swaps_of_neighbours_have_extent_one(void **unused)
{
    struct arrivals arrivals = {0};
    (void)unused;
    for (uint64_t n = 0; n < 30000; n++)
        arrive(&arrivals, n % 100 == 50 ? n + 1 : n % 100 == 51 ? n - 1 : n);
    struct sequence_result got = track(&arrivals, 30000);
    assert_int_equal(got.reordered, 300);
    assert_int_equal(got.extent, 1);
    assert_as_reference("swaps", &arrivals, 30000, true);
}

static void an_outage_has_its_time(void **unused)
{
    struct arrivals arrivals = {0};
    (void)unused;
    for (uint64_t n = 0; n < 200000; n++)
        if (n % 7 != 3 && (n < 70000 || n >= 75000) && (n < 90000 || n >= 94000))
            arrive(&arrivals, n);
    struct sequence_result got = track(&arrivals, 200000);
    assert_true(got.outage_frames >= 5000);
    assert_int_equal(got.outage_ns, (got.outage_frames + 1) * GAP_NS);
    assert_as_reference("outage", &arrivals, 200000, true);
}

static void a_long_outage_is_bridged(void **unused)
{
    struct arrivals arrivals = {0};
    (void)unused;
    for (uint64_t n = 0; n < 400000; n++)
        if (n < 1000 || n >= 300000)
            arrive(&arrivals, n);
    struct sequence_result got = track(&arrivals, 400000);
    assert_int_equal(got.outage_ns, UINT64_C(299001) * GAP_NS);
    assert_as_reference("long outage", &arrivals, 400000, true);
}

static void the_only_frame_after_a_long_outage_counts_at_the_end(void **unused)
{
    struct arrivals arrivals = {0};
    (void)unused;
    for (uint64_t n = 0; n < 1000; n++)
        arrive(&arrivals, n);
    arrive(&arrivals, 99999);
    assert_as_reference("last frame", &arrivals, 100000, true);
}

static void the_first_frames_may_be_missing(void **unused)
{
    struct arrivals arrivals = {0};
    (void)unused;
    for (uint64_t n = 50000; n < 60000; n++)
        arrive(&arrivals, n);
    assert_as_reference("late start", &arrivals, 60000, true);
}

static void nothing_arrives(void **unused)
{
    struct arrivals arrivals = {0};
    (void)unused;
    assert_as_reference("nothing", &arrivals, 5000, true);
    assert_as_reference("nothing sent", &arrivals, 0, true);
}

/* 2^32 frames pass unnoticed: the same losses around the wrap as anywhere. */
static void numbers_wrap(void **unused)
{
    struct sequence *sequence = malloc(sizeof *sequence);
    struct sequence_result got;
    const uint64_t start = (UINT64_C(1) << 32) - 5000, end = start + 10000;
    uint64_t lost = 0, taken = 0;
    (void)unused;
    assert_non_null(sequence);
    sequence_init(sequence);
    for (uint64_t n = 0; n < start; n += 16000) /* leap to the wrap */
        taken += sequence_take(sequence, (uint32_t)n, n);
    for (uint64_t n = start; n < end; n++) {
        if (n % 10 == 0)
            lost++;
        else
            taken += sequence_take(sequence, (uint32_t)n, n);
        if (n % 10 == 4)
            assert_false(sequence_take(sequence, (uint32_t)(n - 3), n));
    }
    sequence_result(sequence, end, true, &got);
    assert_true(got.received == taken && got.lost == end - taken && got.stale == 0 && got.reordered == 0);
    assert_int_equal(got.duplicates, 1000);
    sequence_result(sequence, end + 7, true, &got);
    assert_true(got.lost == end + 7 - taken);
    free(sequence);
}

static void too_late_is_told_from_lost_and_from_twice(void **unused)
{
    struct arrivals arrivals = {0};
    (void)unused;
    for (uint64_t n = 0; n < 50000; n++)
        if (n != 5 && n != 6)
            arrive(&arrivals, n);
    arrive(&arrivals, 5);
    arrive(&arrivals, 6);
    arrive(&arrivals, 7); /* long gone, and nothing is missing any more */
    struct sequence_result got = track(&arrivals, 50000);
    assert_true(got.late == 2 && got.lost == 0 && got.duplicates == 1 && got.received == 50000);
    assert_int_equal(got.reordered, 2);
    arrivals_end(&arrivals);
}

static void impossible_numbers_never_spoil_the_account(void **unused)
{
    struct sequence *sequence = malloc(sizeof *sequence);
    struct sequence_result got;
    unsigned impossible = 0;
    (void)unused;
    assert_non_null(sequence);
    sequence_init(sequence);
    for (uint32_t n = 0; n < 100000; n++) {
        if (n % 50 == 25) { /* a frame of another run that looks like ours */
            sequence_take(sequence, 200000 + draw(4000000000), n);
            impossible++;
        }
        sequence_take(sequence, n, n);
    }
    sequence_result(sequence, 100000, true, &got);
    assert_true(got.received == 100000 && got.lost == 0 && got.reordered == 0 && got.outage_frames == 0);
    assert_int_equal(got.stale, impossible);
    free(sequence);
}

static void frames_on_their_way_are_not_yet_lost(void **unused)
{
    struct sequence *sequence = malloc(sizeof *sequence);
    struct sequence_result got;
    (void)unused;
    assert_non_null(sequence);
    sequence_init(sequence);
    for (uint32_t n = 0; n < 1000; n++)
        if (n != 500)
            sequence_take(sequence, n, n);
    sequence_result(sequence, 5000, false, &got);
    assert_int_equal(got.lost, 1);
    sequence_result(sequence, 5000, true, &got);
    assert_int_equal(got.lost, 4001);
    free(sequence);
}

static void a_clock_step_makes_no_eternal_outage(void **unused)
{
    struct sequence *sequence = malloc(sizeof *sequence);
    struct sequence_result got;
    (void)unused;
    assert_non_null(sequence);
    sequence_init(sequence);
    sequence_take(sequence, 0, 1000000000);
    sequence_take(sequence, 1, 2000000000);
    sequence_take(sequence, 5, 1000);
    sequence_result(sequence, 6, true, &got);
    assert_true(got.outage_frames == 3 && got.outage_ns == 0);
    free(sequence);
}

static void memory_is_bounded(void **unused)
{
    (void)unused;
    assert_in_range(sizeof(struct sequence), 1, 4096);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order_and_complete),
        cmocka_unit_test(losses_of_every_kind),
        cmocka_unit_test(permutations_losses_and_duplicates),
        cmocka_unit_test(swaps_of_neighbours_have_extent_one),
        cmocka_unit_test(an_outage_has_its_time),
        cmocka_unit_test(a_long_outage_is_bridged),
        cmocka_unit_test(the_only_frame_after_a_long_outage_counts_at_the_end),
        cmocka_unit_test(the_first_frames_may_be_missing),
        cmocka_unit_test(nothing_arrives),
        cmocka_unit_test(numbers_wrap),
        cmocka_unit_test(too_late_is_told_from_lost_and_from_twice),
        cmocka_unit_test(impossible_numbers_never_spoil_the_account),
        cmocka_unit_test(frames_on_their_way_are_not_yet_lost),
        cmocka_unit_test(a_clock_step_makes_no_eternal_outage),
        cmocka_unit_test(memory_is_bounded),
    };
    state = SEED;
    printf("# seed %llu\n", (unsigned long long)state);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
