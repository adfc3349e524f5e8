/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine contract, held against the three modes of the mock; and the table of engines. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/engine.h"

enum { SLOTS = 32, FRAME_BYTES = 60, RESULTS = 8 };

struct told {
    uint64_t completed, rejected, withdrawn;
};

static struct engine *open_engine(const char *name)
{
    struct engine_facts facts = {.interface = "none", .mtu = 1500, .link_header_bytes = 14};
    struct engine_wishes wishes = {.largest_bytes = 1600, .segments = 1, .frames = SLOTS};
    struct engine *engine = NULL;
    assert_non_null(engine_find(name));
    assert_int_equal(engine_find(name)->open(&facts, &wishes, &engine, NULL), 0);
    assert_string_equal(engine_ops(engine)->name, name);
    return engine;
}

static uint32_t put(struct engine *engine, uint32_t slots, uint32_t bytes)
{
    struct engine_frame frames[SLOTS];
    struct engine_span span;
    uint32_t count = engine_ops(engine)->reserve(engine, slots, &span);
    for (uint32_t i = 0; i < count; i++) {
        memset(span.data + i * span.stride, 0, bytes);
        frames[i] = (struct engine_frame){.bytes = bytes, .segments = 1};
    }
    if (count > 0)
        engine_ops(engine)->commit(engine, frames, count);
    return count;
}

static void reap_all(struct engine *engine, struct told *told)
{
    struct engine_result results[RESULTS];
    uint32_t count = engine_ops(engine)->reap(engine, results, RESULTS);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t *const where[] = {
            [ENGINE_COMPLETED] = &told->completed,
            [ENGINE_REJECTED] = &told->rejected,
            [ENGINE_WITHDRAWN] = &told->withdrawn,
        };
        assert_true(results[i].slots > 0);
        *where[results[i].outcome] += results[i].slots;
    }
}

static void every_name_finds_its_engine(void **state)
{
    (void)state;
    size_t count = 0;
    for (const char *const *name = engine_names(); *name != NULL; name++, count++) {
        const struct engine_ops *ops = engine_find(*name);
        assert_non_null(ops);
        assert_string_equal(ops->name, *name);
        assert_non_null(ops->summary);
    }
    assert_int_equal(count, 4);
    assert_null(engine_find("tx"));
    assert_null(engine_find(""));
}

static void a_synchronous_kick_completes_everything(void **state)
{
    (void)state;
    struct engine *engine = open_engine("mock");
    struct told told = {0};
    struct engine_wait wait;
    assert_int_equal(put(engine, 20, FRAME_BYTES), 20);
    reap_all(engine, &told);
    assert_int_equal(told.completed, 0);
    assert_int_equal(engine_ops(engine)->in_flight(engine), 20);
    assert_int_equal(engine_ops(engine)->kick(engine), 0);
    reap_all(engine, &told);
    assert_int_equal(told.completed, 20);
    assert_int_equal(engine_ops(engine)->in_flight(engine), 0);
    engine_ops(engine)->wait(engine, &wait);
    assert_int_equal(wait.kind, WAIT_NONE);
    engine_ops(engine)->close(engine);
}

static void a_span_ends_at_the_rings_end_and_the_ring_at_its_slots(void **state)
{
    (void)state;
    struct engine *engine = open_engine("mock");
    struct told told = {0};
    assert_int_equal(put(engine, 20, FRAME_BYTES), 20);
    engine_ops(engine)->kick(engine);
    reap_all(engine, &told);
    assert_int_equal(put(engine, 20, FRAME_BYTES), 12);
    assert_int_equal(put(engine, SLOTS, FRAME_BYTES), 20);
    assert_int_equal(put(engine, 1, FRAME_BYTES), 0);
    engine_ops(engine)->close(engine);
}

static void an_asynchronous_kick_completes_at_the_second_reap(void **state)
{
    (void)state;
    struct engine *engine = open_engine("mock-async");
    struct told told = {0};
    struct engine_wait wait;
    put(engine, 5, FRAME_BYTES);
    engine_ops(engine)->kick(engine);
    reap_all(engine, &told);
    assert_int_equal(told.completed, 0);
    engine_ops(engine)->wait(engine, &wait);
    assert_int_equal(wait.kind, WAIT_AFTER);
    assert_true(wait.after_ns > 0);
    reap_all(engine, &told);
    assert_int_equal(told.completed, 5);
    engine_ops(engine)->close(engine);
}

static void a_partial_kick_leaves_the_rest_and_waits_for_a_writable_fd(void **state)
{
    (void)state;
    struct engine *engine = open_engine("mock-partial");
    struct told told = {0};
    struct engine_wait wait;
    unsigned kicks = 0;
    put(engine, 30, FRAME_BYTES);
    for (; engine_ops(engine)->in_flight(engine) > 0; kicks++) {
        engine_ops(engine)->kick(engine);
        reap_all(engine, &told);
        engine_ops(engine)->wait(engine, &wait);
        if (wait.kind != WAIT_WRITABLE)
            continue;
        struct pollfd fd = {.fd = wait.fd, .events = POLLOUT};
        assert_int_equal(poll(&fd, 1, 0), 1);
        engine_ops(engine)->woken(engine);
    }
    assert_int_equal(told.completed, 30);
    assert_int_equal(kicks, 5);
    engine_ops(engine)->close(engine);
}

static void withdrawn_frames_are_told_after_those_that_went_and_never_seen(void **state)
{
    (void)state;
    struct engine *engine = open_engine("mock-partial");
    struct mock_seen seen;
    struct told told = {0};
    put(engine, 30, FRAME_BYTES);
    engine_ops(engine)->kick(engine);
    engine_ops(engine)->withdraw(engine);
    assert_int_equal(put(engine, 1, FRAME_BYTES), 0);
    reap_all(engine, &told);
    assert_int_equal(told.completed, 7);
    assert_int_equal(told.withdrawn, 23);
    mock_seen(engine, &seen);
    assert_int_equal(seen.frames, 7);
    assert_int_equal(seen.bytes, 7 * FRAME_BYTES);
    assert_int_equal(put(engine, 1, FRAME_BYTES), 1);
    engine_ops(engine)->close(engine);
}

static void frames_above_the_mtu_are_rejected_a_tag_apart(void **state)
{
    (void)state;
    struct engine *engine = open_engine("mock");
    struct told told = {0};
    struct engine_span span;
    put(engine, 1, 1514);
    put(engine, 2, 1515);
    engine_ops(engine)->reserve(engine, 1, &span);
    memset(span.data, 0, 1518);
    span.data[12] = 0x81;
    engine_ops(engine)->commit(engine, &(struct engine_frame){.bytes = 1518, .segments = 1}, 1);
    engine_ops(engine)->kick(engine);
    reap_all(engine, &told);
    assert_int_equal(told.completed, 2);
    assert_int_equal(told.rejected, 2);
    engine_ops(engine)->close(engine);
}

static void a_fault_stops_the_engine_until_it_is_rebound(void **state)
{
    (void)state;
    struct engine *engine = open_engine("mock");
    struct engine_facts facts = {.interface = "none", .mtu = 1500, .link_header_bytes = 14};
    struct engine_wait wait;
    struct told told = {0};
    put(engine, 3, FRAME_BYTES);
    mock_set_fault(engine, -ENXIO);
    assert_int_equal(engine_ops(engine)->kick(engine), -ENXIO);
    engine_ops(engine)->wait(engine, &wait);
    assert_int_equal(wait.kind, WAIT_NEVER);
    assert_int_equal(wait.reason, ENXIO);
    engine_ops(engine)->withdraw(engine);
    assert_int_equal(engine_ops(engine)->rebind(engine, &facts, NULL), 0);
    put(engine, 3, FRAME_BYTES);
    reap_all(engine, &told);
    assert_int_equal(told.withdrawn, 3);
    assert_int_equal(put(engine, 3, FRAME_BYTES), 3);
    assert_int_equal(engine_ops(engine)->kick(engine), 0);
    reap_all(engine, &told);
    assert_int_equal(told.completed, 3);
    engine_ops(engine)->close(engine);
}

struct tapped {
    unsigned frames;
    uint8_t last;
};

static void take(void *context, const uint8_t *frame, uint32_t bytes)
{
    struct tapped *tapped = context;
    assert_int_equal(bytes, FRAME_BYTES);
    tapped->frames++;
    tapped->last = frame[0];
}

static void the_tap_sees_each_frame_once_in_order(void **state)
{
    (void)state;
    struct engine *engine = open_engine("mock-async");
    struct tapped tapped = {0};
    struct engine_span span;
    mock_set_tap(take, &tapped);
    for (uint8_t i = 1; i <= 3; i++) {
        engine_ops(engine)->reserve(engine, 1, &span);
        span.data[0] = i;
        engine_ops(engine)->commit(engine, &(struct engine_frame){.bytes = FRAME_BYTES, .segments = 1}, 1);
        engine_ops(engine)->kick(engine);
        engine_ops(engine)->kick(engine);
        assert_int_equal(tapped.last, i);
    }
    mock_set_tap(NULL, NULL);
    assert_int_equal(tapped.frames, 3);
    engine_ops(engine)->close(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_finds_its_engine),
        cmocka_unit_test(a_synchronous_kick_completes_everything),
        cmocka_unit_test(a_span_ends_at_the_rings_end_and_the_ring_at_its_slots),
        cmocka_unit_test(an_asynchronous_kick_completes_at_the_second_reap),
        cmocka_unit_test(a_partial_kick_leaves_the_rest_and_waits_for_a_writable_fd),
        cmocka_unit_test(withdrawn_frames_are_told_after_those_that_went_and_never_seen),
        cmocka_unit_test(frames_above_the_mtu_are_rejected_a_tag_apart),
        cmocka_unit_test(a_fault_stops_the_engine_until_it_is_rebound),
        cmocka_unit_test(the_tap_sees_each_frame_once_in_order),
    };
    return cmocka_run_group_tests_name("mock", tests, NULL, NULL);
}
