/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The send loop on engines without a kernel, on a clock of the test's own: what it says it sent is held
 * against what the engine's tap saw, after every slice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/clock.h"
#include "fake_packet.h"
#include "run/sendloop.h"

enum { MTU = 1500, HEADER = 14, TOO_LONG = MTU + HEADER + 100, PARTS_MAX = 8, SLOTS = 64 };

/* ---- a clock that moves when it is read ---- */
static uint64_t clock_now_ns, clock_step_ns;

static uint64_t fake_clock_ns(void)
{
    return clock_now_ns += clock_step_ns;
}

/* ---- what left ---- */
static struct seen {
    uint64_t frames[256]; /* by mark */
    uint64_t next_number[256];
    uint64_t wrong, all;
    uint32_t sequence, nonce;
    uint64_t *times; /* of each frame, when not NULL */
    size_t time_count, time_max;
} seen;

/* Constant bytes must be the mark's, and the numbers of varying frames must follow one another. */
static void see(void *context, const uint8_t *frame, uint32_t bytes)
{
    uint8_t mark = frame[0];
    uint32_t segments = fake_u32(frame, AT_SEGMENTS);
    (void)context;
    for (uint32_t i = 0; i < AT_VARIANT; i++)
        seen.wrong += frame[i] != mark;
    for (uint32_t i = AT_NONCE + 4; i < bytes; i++)
        seen.wrong += frame[i] != mark;
    if (mark & 1) { /* tests give odd marks to what varies */
        seen.wrong += fake_u64(frame, AT_NUMBER) < seen.next_number[mark];
        seen.next_number[mark] = fake_u64(frame, AT_NUMBER) + 1;
    }
    seen.sequence = fake_u32(frame, AT_SEQUENCE);
    seen.nonce = fake_u32(frame, AT_NONCE);
    seen.frames[mark] += segments > 0 ? segments : 1;
    seen.all += segments > 0 ? segments : 1;
    if (seen.times != NULL && seen.time_count < seen.time_max)
        seen.times[seen.time_count++] = clock_now_ns;
}

/* ---- a bench: an engine, its parts, their loop ---- */
struct bench {
    struct engine *engine;
    struct packet packets[PARTS_MAX];
    struct part *parts[PARTS_MAX];
    uint32_t count;
    struct sendloop *loop;
    struct sendloop_state state;
};

static const struct engine_facts facts = {
    .interface = "none", .ifindex = 1, .mtu = MTU, .link_header_bytes = HEADER};

static void bench_open(struct bench *bench, const char *engine, uint32_t slots)
{
    struct engine_wishes wishes = {.largest_bytes = 4096, .frames = slots, .segments = 64};
    struct err err;
    *bench = (struct bench){0};
    seen = (struct seen){0};
    clock_now_ns = NS_PER_SECOND;
    clock_step_ns = 200;
    mock_set_tap(see, NULL);
    assert_int_equal(engine_find(engine)->open(&facts, &wishes, &bench->engine, &err), 0);
}

static struct part *bench_add(struct bench *bench, struct packet packet, struct pace_shape shape)
{
    uint32_t id = bench->count++;
    bench->packets[id] = packet;
    struct part *part = bench->parts[id] = part_new(&bench->packets[id], 0, 1);
    assert_non_null(part);
    part->shape = shape;
    part->pacer = pacer_new(&part->shape);
    assert_non_null(part->pacer);
    return part;
}

static void bench_begin(struct bench *bench)
{
    struct sendloop_wishes wishes = {.limits = {.late_ns = 10 * NS_PER_MS, .max_burst = 32},
                                     .batch_min = 8,
                                     .batch_max = 32,
                                     .nonce = 7,
                                     .clock_ns = fake_clock_ns};
    bench->loop = sendloop_new(bench->engine, bench->parts, bench->count, &wishes);
    assert_non_null(bench->loop);
    sendloop_take(bench->loop);
    for (uint32_t id = 0; id < bench->count; id++)
        sendloop_begin(bench->loop, id, clock_now_ns);
}

static void bench_close(struct bench *bench)
{
    sendloop_free(bench->loop);
    for (uint32_t id = 0; id < bench->count; id++)
        part_free(bench->parts[id]);
    engine_ops(bench->engine)->close(bench->engine);
    mock_set_tap(NULL, NULL);
}

static struct counts part_counts(const struct bench *bench, uint32_t id)
{
    struct counts counts;
    record_read(&bench->parts[id]->record, (uint64_t *)&counts);
    return counts;
}

static struct queue_counts queue_counts(const struct bench *bench)
{
    struct queue_counts counts;
    record_read(sendloop_record(bench->loop), (uint64_t *)&counts);
    return counts;
}

static enum part_state state_of(const struct bench *bench, uint32_t id)
{
    return (enum part_state)atomic_load(&bench->parts[id]->state);
}

/* Every record balances, parts add up to their queue, the engine and the tap agree. */
static void check_accounts(struct bench *bench)
{
    struct counts sum = {0};
    struct queue_counts queue = queue_counts(bench);
    for (uint32_t id = 0; id < bench->count; id++) {
        struct counts counts = part_counts(bench, id);
        assert_true(counts_balance(&counts));
        counts_add(&sum, &counts);
    }
    assert_true(counts_balance(&queue.frames));
    assert_memory_equal(&sum, &queue.frames, sizeof sum);
    assert_int_equal(sendloop_in_flight(bench->loop), engine_ops(bench->engine)->in_flight(bench->engine));
    assert_true(queue.frames.completed <= seen.all);
    assert_true(seen.all <= queue.frames.completed + queue.frames.in_flight);
    assert_int_equal(seen.wrong, 0);
}

static void bench_slice(struct bench *bench, uint64_t ns)
{
    sendloop_slice(bench->loop, clock_now_ns + ns, &bench->state);
    check_accounts(bench);
    if (bench->state.need == NEED_DEADLINE && bench->state.deadline_ns > clock_now_ns &&
        bench->state.deadline_ns != DEADLINE_NEVER)
        clock_now_ns = bench->state.deadline_ns;
    if (bench->state.need == NEED_ENGINE)
        clock_now_ns += 20000;
}

static void bench_drain(struct bench *bench)
{
    for (int i = 0; i < 10000 && bench->state.need != NEED_NOTHING; i++)
        bench_slice(bench, 100000);
    assert_int_equal(bench->state.need, NEED_NOTHING);
}

static struct pace_shape pps(uint64_t rate, uint64_t duration_ns)
{
    return (struct pace_shape){.rate = {PACE_FRAMES, {rate, 1}}, .duration_ns = duration_ns};
}

static struct pace_shape max(uint64_t duration_ns)
{
    return (struct pace_shape){.rate = {.unit = PACE_MAX, .per_second = {0, 1}}, .duration_ns = duration_ns};
}

static const struct packet unvarying = {.mark = 2, .bytes = 60, .variants = 1};
static const struct packet numbered = {.mark = 3, .bytes = 60, .variants = 1, .varies = true};
static const struct packet mixed = {.mark = 5, .bytes = 60, .step = 100, .variants = 3, .varies = true};
static const struct packet half_too_long = {
    .mark = 7, .bytes = 60, .step = TOO_LONG - 60, .variants = 2, .varies = true};
static const char *const modes[] = {"mock", "mock-async", "mock-partial"};

static void accounts_balance_after_every_slice_in_every_mode(void **state)
{
    (void)state;
    for (size_t mode = 0; mode < sizeof modes / sizeof *modes; mode++) {
        struct bench bench;
        bench_open(&bench, modes[mode], SLOTS);
        bench_add(&bench, unvarying, pps(100000, 30 * NS_PER_MS));
        bench_add(&bench, numbered, pps(7777, UINT64_MAX));
        bench_add(&bench, mixed, max(UINT64_MAX));
        bench_add(&bench, half_too_long, pps(50000, UINT64_MAX));
        bench_begin(&bench);
        for (int i = 0; i < 700; i++) {
            bench_slice(&bench, 10000 + (uint64_t)i % 7 * 20000);
            if (i == 300)
                sendloop_withdraw(bench.loop);
        }
        assert_int_equal(state_of(&bench, 0), PART_DONE);
        for (uint32_t id = 1; id < bench.count; id++)
            sendloop_end(bench.loop, id);
        bench_drain(&bench);
        for (uint32_t id = 0; id < bench.count; id++) {
            struct counts counts = part_counts(&bench, id);
            assert_int_equal(state_of(&bench, id), PART_DONE);
            assert_int_equal(counts.in_flight, 0);
            assert_int_equal(counts.completed, seen.frames[bench.packets[id].mark]);
            assert_true(counts.completed > 0);
        }
        assert_int_equal(part_counts(&bench, 0).bytes_l2, part_counts(&bench, 0).completed * 64);
        assert_int_equal(part_counts(&bench, 0).scheduled, 3000); /* 100 kpps × 30 ms, sent or missed */
        assert_true(part_counts(&bench, 3).rejected > 0);
        bench_close(&bench);
    }
}

static void count_is_frames_completed_however_many_are_rejected(void **state)
{
    (void)state;
    const struct pace_shape shapes[] = {pps(1000000, UINT64_MAX), max(UINT64_MAX)};
    for (size_t mode = 0; mode < sizeof modes / sizeof *modes; mode++) {
        for (size_t i = 0; i < 2; i++) {
            struct bench bench;
            bench_open(&bench, modes[mode], SLOTS);
            bench_add(&bench, half_too_long, shapes[i])->count = 1001;
            bench_add(&bench, unvarying, shapes[i])->count = 777;
            bench_begin(&bench);
            bench_drain(&bench);
            assert_int_equal(part_counts(&bench, 0).completed, 1001);
            assert_in_range(part_counts(&bench, 0).rejected, 1000, 1001);
            assert_int_equal(part_counts(&bench, 1).completed, 777);
            assert_int_equal(seen.frames[7], 1001);
            assert_int_equal(seen.frames[2], 777);
            assert_int_equal(state_of(&bench, 0), PART_DONE);
            bench_close(&bench);
        }
    }
}

static void an_unvarying_frame_is_written_once_a_slot(void **state)
{
    (void)state;
    struct bench bench;
    struct packet counted = unvarying;
    counted.counted = true;
    bench_open(&bench, "mock", SLOTS);
    bench_add(&bench, counted, max(UINT64_MAX))->count = 100 * SLOTS + 3;
    bench_begin(&bench);
    bench_drain(&bench);
    assert_int_equal(seen.frames[2], 100 * SLOTS + 3);
    assert_int_equal(bench.packets[0].stamps, SLOTS);
    assert_int_equal(bench.packets[0].patches, 0);

    sendloop_rebound(bench.loop); /* nothing is known of the slots any more */
    sendloop_begin(bench.loop, 0, clock_now_ns);
    bench.state.need = NEED_MORE;
    bench_drain(&bench);
    assert_int_equal(bench.packets[0].stamps, 2 * SLOTS);
    assert_int_equal(seen.frames[2], 2 * (100 * SLOTS + 3));
    bench_close(&bench);
}

static void withdrawn_frames_are_accounted_and_never_leave(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, "mock-partial", SLOTS);
    bench_add(&bench, numbered, max(UINT64_MAX));
    bench_begin(&bench);
    while (sendloop_in_flight(bench.loop) < SLOTS / 2)
        bench_slice(&bench, 1);
    uint64_t left = seen.all;
    sendloop_end(bench.loop, 0);
    assert_int_equal(state_of(&bench, 0), PART_DRAINING);
    sendloop_withdraw(bench.loop);
    check_accounts(&bench);
    assert_int_equal(seen.all, left);
    assert_int_equal(state_of(&bench, 0), PART_DONE);
    assert_true(part_counts(&bench, 0).withdrawn > 0);
    assert_int_equal(part_counts(&bench, 0).completed, left);
    bench_drain(&bench);
    assert_int_equal(seen.all, left);
    bench_close(&bench);
}

static void an_ended_part_lets_its_committed_frames_go(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, "mock-partial", SLOTS);
    bench_add(&bench, numbered, max(UINT64_MAX));
    bench_begin(&bench);
    while (sendloop_in_flight(bench.loop) < SLOTS / 2)
        bench_slice(&bench, 1);
    uint64_t queued = part_counts(&bench, 0).queued;
    sendloop_end(bench.loop, 0);
    bench_drain(&bench);
    assert_int_equal(seen.all, queued);
    assert_int_equal(part_counts(&bench, 0).completed, queued);
    assert_int_equal(state_of(&bench, 0), PART_DONE);
    bench_close(&bench);
}

static void segments_count_each_and_the_last_slot_carries_the_remainder(void **state)
{
    (void)state;
    const struct pace_shape shapes[] = {pps(1000000, UINT64_MAX), max(UINT64_MAX)};
    for (size_t i = 0; i < 2; i++) {
        struct packet run = unvarying;
        struct bench bench;
        run.segmentation =
            (struct packet_segmentation){.header_bytes = 42, .payload_bytes = 18, .segments = 50};
        bench_open(&bench, "mock", SLOTS);
        bench_add(&bench, run, shapes[i])->count = 10033;
        bench_begin(&bench);
        bench_drain(&bench);
        struct counts counts = part_counts(&bench, 0);
        struct mock_seen taken;
        mock_seen(bench.engine, &taken);
        assert_int_equal(counts.completed, 10033);
        assert_int_equal(counts.bytes_l2, 10033 * 64);
        assert_int_equal(taken.frames, 10033);
        assert_int_equal(seen.all, 10033);                    /* what the frames themselves say */
        assert_int_equal(taken.bytes, 10033 * 18 + 201 * 42); /* 200 full slots and one of 33 */
        bench_close(&bench);
    }
}

static void a_duration_ends_segments_at_their_frame(void **state)
{
    (void)state;
    struct packet run = unvarying;
    struct bench bench;
    run.segmentation = (struct packet_segmentation){.header_bytes = 42, .payload_bytes = 18, .segments = 50};
    bench_open(&bench, "mock", SLOTS);
    bench_add(&bench, run, pps(1000, 130 * NS_PER_MS));
    bench_begin(&bench);
    bench_drain(&bench);
    assert_int_equal(part_counts(&bench, 0).scheduled, 130);
    assert_int_equal(seen.all, part_counts(&bench, 0).completed);
    bench_close(&bench);
}

/* In any window w: at most rate × (w + late) + max_burst frames. */
static void check_windows(const uint64_t *times, size_t count, uint64_t rate, uint64_t late_ns,
                          uint64_t burst)
{
    for (size_t first = 0; first < count; first += 13)
        for (size_t last = first; last < count; last += 17) {
            uint64_t window_ns = times[last] - times[first] + 1;
            uint64_t most = rate * (window_ns + late_ns) / NS_PER_SECOND + burst + 1;
            if (last - first + 1 > most)
                fail_msg("%zu frames in %lu ns, at most %lu", last - first + 1, (unsigned long)window_ns,
                         (unsigned long)most);
        }
}

static void no_window_holds_more_than_its_bound_after_stalls(void **state)
{
    (void)state;
    static uint64_t times[20000];
    struct bench bench;
    bench_open(&bench, "mock", SLOTS);
    seen.times = times;
    seen.time_max = sizeof times / sizeof *times;
    bench_add(&bench, numbered, pps(10000, NS_PER_SECOND));
    bench_begin(&bench);
    for (int i = 0; bench.state.need != NEED_NOTHING; i++) {
        bench_slice(&bench, 50000);
        if (i % 500 == 250)
            clock_now_ns += 30 * NS_PER_MS; /* we were not run */
        if (bench.state.need == NEED_ENGINE)
            clock_now_ns += NS_PER_MS / 2;
        if (i % 500 == 400)
            mock_set_fault(bench.engine, -ENOBUFS);
        if (i % 500 == 490)
            mock_set_fault(bench.engine, 0);
        assert_true(i < 1000000);
        if (bench.state.need == NEED_NOTHING && state_of(&bench, 0) != PART_DONE)
            fail_msg("nothing to wait for, and not done");
    }
    struct counts counts = part_counts(&bench, 0);
    assert_int_equal(counts.scheduled, 10000);
    assert_true(counts.missed > 0);
    assert_true(counts.withdrawn > 0);
    check_windows(times, seen.time_count, 10000, 10 * NS_PER_MS, 32);
    bench_close(&bench);
}

static void a_pause_sends_nothing_and_time_stands_still(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, "mock", SLOTS);
    bench_add(&bench, numbered, pps(10000, 100 * NS_PER_MS));
    bench_begin(&bench);
    for (int i = 0; i < 300; i++)
        bench_slice(&bench, 50000);
    sendloop_pause(bench.loop, 0, clock_now_ns);
    uint64_t paused_at = seen.all;
    assert_true(paused_at > 0 && paused_at < 1000);
    bench_slice(&bench, 50000);
    assert_int_equal(bench.state.need, NEED_NOTHING);
    clock_now_ns += NS_PER_SECOND;
    bench_slice(&bench, 50000);
    assert_int_equal(seen.all, paused_at);
    assert_int_equal(sendloop_active(bench.loop), 1);
    sendloop_resume(bench.loop, 0, clock_now_ns);
    bench.state.need = NEED_MORE;
    bench_drain(&bench);
    assert_int_equal(part_counts(&bench, 0).completed, 1000);
    assert_int_equal(part_counts(&bench, 0).missed, 0);
    bench_close(&bench);
}

static void trouble_that_stays_takes_frames_back_until_rebound(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, "mock", SLOTS);
    bench_add(&bench, numbered, pps(100000, UINT64_MAX));
    bench_begin(&bench);
    for (int i = 0; i < 100; i++)
        bench_slice(&bench, 50000);
    mock_set_fault(bench.engine, -ENETDOWN);
    uint64_t left = seen.all;
    for (int i = 0; i < 100; i++)
        bench_slice(&bench, 50000);
    assert_int_equal(bench.state.need, NEED_ENGINE);
    assert_int_equal(bench.state.wait.kind, WAIT_NEVER);
    assert_int_equal(bench.state.wait.reason, ENETDOWN);
    assert_int_equal(sendloop_in_flight(bench.loop), 0);
    assert_int_equal(queue_counts(&bench).last_error, ENETDOWN);
    uint64_t kicks = queue_counts(&bench).kicks;
    clock_now_ns += 50 * NS_PER_MS;
    mock_set_fault(bench.engine, 0); /* the link is back, but nobody said so: no stale frame */
    for (int i = 0; i < 100; i++)
        bench_slice(&bench, 50000);
    assert_int_equal(seen.all, left);
    assert_int_equal(queue_counts(&bench).kicks, kicks);
    sendloop_rebound(bench.loop);
    for (int i = 0; i < 100; i++)
        bench_slice(&bench, 50000);
    assert_true(seen.all > left);
    assert_true(part_counts(&bench, 0).missed > 0);
    bench_close(&bench);
}

static void time_ends_a_stream_whose_engine_is_stuck(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, "mock", SLOTS);
    bench_add(&bench, numbered, pps(1000, 300 * NS_PER_MS));
    bench_begin(&bench);
    mock_set_fault(bench.engine, -ENOBUFS);
    for (int i = 0; i < 100000 && state_of(&bench, 0) != PART_DONE; i++)
        bench_slice(&bench, 50000);
    assert_int_equal(state_of(&bench, 0), PART_DONE);
    assert_int_equal(seen.all, 0);
    assert_int_equal(part_counts(&bench, 0).scheduled, 300);
    assert_true(queue_counts(&bench).nobufs > 0);
    bench_close(&bench);
}

static void a_run_that_opens_counts_from_zero_and_a_restart_within_it_adds(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, "mock", SLOTS);
    struct part *part = bench_add(&bench, numbered, max(UINT64_MAX));
    part->count = 100;
    part->signed_frames = true;
    bench_begin(&bench);
    bench_drain(&bench);
    assert_int_equal(seen.sequence, 99);
    assert_int_equal(seen.nonce, 7);
    sendloop_begin(bench.loop, 0, clock_now_ns);
    bench.state.need = NEED_MORE;
    seen.next_number[3] = 0;
    bench_drain(&bench);
    assert_int_equal(part_counts(&bench, 0).completed, 200);
    assert_int_equal(seen.sequence, 199);

    sendloop_reset(bench.loop, 8);
    assert_int_equal(part_counts(&bench, 0).completed, 0);
    assert_int_equal(queue_counts(&bench).kicks, 0);
    seen = (struct seen){0};
    sendloop_begin(bench.loop, 0, clock_now_ns);
    bench.state.need = NEED_MORE;
    bench_drain(&bench);
    assert_int_equal(part_counts(&bench, 0).completed, 100);
    assert_int_equal(seen.sequence, 99);
    assert_int_equal(seen.nonce, 8);
    bench_close(&bench);
}

/* From the oldest stamp to the kick that succeeds, however many failed before. */
static void the_time_from_stamp_to_kernel_is_measured(void **state)
{
    (void)state;
    for (int is_signed = 0; is_signed <= 1; is_signed++) {
        struct bench bench;
        bench_open(&bench, "mock", SLOTS);
        bench_add(&bench, numbered, max(UINT64_MAX))->signed_frames = is_signed != 0;
        bench_begin(&bench);
        bench_slice(&bench, 50000);
        struct queue_counts before = queue_counts(&bench);
        assert_int_equal(before.handovers > 0, is_signed);
        assert_in_range(before.handover_max_ns, is_signed ? clock_step_ns : 0, is_signed ? 50000 : 0);
        mock_set_fault(bench.engine, -ENOBUFS);
        bench_slice(&bench, 50000);
        clock_now_ns += 3 * NS_PER_MS;
        mock_set_fault(bench.engine, 0);
        bench_slice(&bench, 50000);
        struct queue_counts after = queue_counts(&bench);
        assert_in_range(after.handover_max_ns, is_signed ? 3 * NS_PER_MS : 0, is_signed ? 4 * NS_PER_MS : 0);
        assert_true(after.handover_ns >= before.handover_ns + after.handover_max_ns);
        bench_close(&bench);
    }
}

static void a_running_part_goes_on_in_another_loop(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, "mock", SLOTS);
    bench_add(&bench, numbered, pps(10000, 100 * NS_PER_MS));
    bench_begin(&bench);
    for (int i = 0; i < 300; i++)
        bench_slice(&bench, 50000);
    sendloop_withdraw(bench.loop);
    sendloop_free(bench.loop);
    struct sendloop_wishes wishes = {.limits = {.late_ns = 10 * NS_PER_MS, .max_burst = 32},
                                     .batch_min = 8,
                                     .batch_max = 32,
                                     .clock_ns = fake_clock_ns};
    bench.loop = sendloop_new(bench.engine, bench.parts, bench.count, &wishes);
    sendloop_take(bench.loop);
    assert_int_equal(sendloop_active(bench.loop), 1);
    while (state_of(&bench, 0) != PART_DONE) {
        sendloop_slice(bench.loop, clock_now_ns + 50000, &bench.state);
        if (bench.state.need == NEED_DEADLINE)
            clock_now_ns = bench.state.deadline_ns;
    }
    assert_int_equal(seen.frames[3], 1000);
    assert_int_equal(part_counts(&bench, 0).completed, 1000);
    bench_close(&bench);
}

/* Frames that the engine still had when their loop went come back to the next one, which owes nobody for
 * them. */
static void what_an_earlier_loop_left_behind_is_nobodys(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, "mock-async", SLOTS);
    const struct engine_ops *ops = engine_ops(bench.engine);
    bench_add(&bench, numbered, max(DEADLINE_NEVER));
    bench_begin(&bench);
    for (int i = 0; i < 100 && ops->in_flight(bench.engine) == 0; i++)
        sendloop_slice(bench.loop, clock_now_ns + 1000, &bench.state);
    assert_true(ops->in_flight(bench.engine) > 0);
    sendloop_free(bench.loop);
    part_free(bench.parts[0]);
    bench.count = 0;
    bench_add(&bench, mixed, pps(10000, 10 * NS_PER_MS));
    bench_begin(&bench);
    assert_int_equal(sendloop_in_flight(bench.loop), 0);
    bench.state.need = NEED_MORE;
    for (int i = 0; i < 10000 && bench.state.need != NEED_NOTHING; i++) {
        sendloop_slice(bench.loop, clock_now_ns + 100000, &bench.state);
        struct counts counts = part_counts(&bench, 0);
        assert_true(counts_balance(&counts) && counts.queued <= 100);
        if (bench.state.need == NEED_DEADLINE && bench.state.deadline_ns > clock_now_ns)
            clock_now_ns = bench.state.deadline_ns;
        else
            clock_now_ns += 20000;
    }
    assert_int_equal(ops->in_flight(bench.engine), 0);
    assert_int_equal(part_counts(&bench, 0).completed, 100);
    assert_int_equal(queue_counts(&bench).frames.completed, 100);
    bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accounts_balance_after_every_slice_in_every_mode),
        cmocka_unit_test(count_is_frames_completed_however_many_are_rejected),
        cmocka_unit_test(an_unvarying_frame_is_written_once_a_slot),
        cmocka_unit_test(withdrawn_frames_are_accounted_and_never_leave),
        cmocka_unit_test(an_ended_part_lets_its_committed_frames_go),
        cmocka_unit_test(segments_count_each_and_the_last_slot_carries_the_remainder),
        cmocka_unit_test(a_duration_ends_segments_at_their_frame),
        cmocka_unit_test(no_window_holds_more_than_its_bound_after_stalls),
        cmocka_unit_test(a_pause_sends_nothing_and_time_stands_still),
        cmocka_unit_test(trouble_that_stays_takes_frames_back_until_rebound),
        cmocka_unit_test(time_ends_a_stream_whose_engine_is_stuck),
        cmocka_unit_test(a_run_that_opens_counts_from_zero_and_a_restart_within_it_adds),
        cmocka_unit_test(the_time_from_stamp_to_kernel_is_measured),
        cmocka_unit_test(a_running_part_goes_on_in_another_loop),
        cmocka_unit_test(what_an_earlier_loop_left_behind_is_nobodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
