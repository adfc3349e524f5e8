/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A worker thread on engines without a kernel, steered from a main loop as the daemon's is. The tests wait
 * for conditions, never for time to pass; under ThreadSanitizer they prove that nothing is shared by
 * accident. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "fake_packet.h"
#include "run/worker.h"

enum { PARTS = 3, SLOTS = 256, GIVE_UP_S = 60 };

static struct bench {
    struct ev_loop *main_loop;
    struct engine *engine;
    struct packet packets[PARTS];
    struct part *parts[PARTS];
    struct sendloop *loop;
    struct worker *worker;
    unsigned ended, troubles;
    int trouble;
} bench;

static const struct engine_facts facts = {
    .interface = "none", .ifindex = 1, .mtu = 1500, .link_header_bytes = 14};

/* ---- the main loop ---- */

static void give_up(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)watcher;
    (void)events;
    fail_msg("nothing came in %d s", GIVE_UP_S);
}

static void look_again(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)watcher;
    (void)events;
}

/* Runs the main loop until `condition` holds. */
#define WAIT_FOR(condition)                                    \
    do {                                                       \
        ev_timer give_up_timer, look_timer;                    \
        ev_timer_init(&give_up_timer, give_up, GIVE_UP_S, 0.); \
        ev_timer_init(&look_timer, look_again, 0.001, 0.001);  \
        ev_now_update(bench.main_loop);                        \
        ev_timer_start(bench.main_loop, &give_up_timer);       \
        ev_timer_start(bench.main_loop, &look_timer);          \
        while (!(condition))                                   \
            ev_run(bench.main_loop, EVRUN_ONCE);               \
        ev_timer_stop(bench.main_loop, &give_up_timer);        \
        ev_timer_stop(bench.main_loop, &look_timer);           \
    } while (0)

static void on_ended(void *context)
{
    (void)context;
    bench.ended++;
}

static void on_trouble(void *context, int reason)
{
    (void)context;
    bench.troubles++;
    bench.trouble = reason;
}

static void on_done(struct order *order)
{
    *(bool *)order->context = true;
}

static void send_order(struct order *order, bool *done)
{
    *done = false;
    order->context = done;
    order->done = on_done;
    worker_send(bench.worker, order);
}

static int obey(struct order order)
{
    bool done;
    send_order(&order, &done);
    WAIT_FOR(done);
    return order.result;
}

/* ---- the bench ---- */

static struct pace_shape pps(uint64_t rate)
{
    return (struct pace_shape){.rate = {PACE_FRAMES, {rate, 1}}, .duration_ns = UINT64_MAX};
}

static struct sendloop *make_loop(void)
{
    struct sendloop_wishes wishes = {
        .limits = {.late_ns = 10 * NS_PER_MS, .max_burst = 32}, .batch_min = 8, .batch_max = 64};
    struct sendloop *loop = sendloop_new(bench.engine, bench.parts, PARTS, &wishes);
    assert_non_null(loop);
    return loop;
}

static void bench_open(const char *engine, enum pacing pacing, uint64_t rate)
{
    struct engine_wishes wishes = {.largest_bytes = 2048, .frames = SLOTS};
    struct err err = {0};
    bench = (struct bench){.main_loop = ev_loop_new(EVFLAG_AUTO)};
    assert_int_equal(engine_find(engine)->open(&facts, &wishes, &bench.engine, &err), 0);
    for (uint32_t i = 0; i < PARTS; i++) {
        bench.packets[i] = (struct packet){
            .mark = (uint8_t)(2 * i + 1), .bytes = 60 + 10 * i, .variants = 1, .varies = true};
        bench.parts[i] = part_new(&bench.packets[i], 0, 1);
        bench.parts[i]->shape = pps(rate);
        bench.parts[i]->pacer = pacer_new(&bench.parts[i]->shape);
    }
    struct worker_wishes worker = {.name = "test-worker",
                                   .cpu = -1,
                                   .pacing = pacing,
                                   .main_loop = bench.main_loop,
                                   .parts_ended = on_ended,
                                   .trouble = on_trouble};
    assert_int_equal(worker_new(&worker, &bench.worker, &err), 0);
    bench.loop = make_loop();
    assert_int_equal(obey((struct order){.kind = ORDER_LOAD, .sendloop = bench.loop}), 0);
}

static void bench_close(void)
{
    worker_free(bench.worker);
    sendloop_free(bench.loop);
    for (uint32_t i = 0; i < PARTS; i++)
        part_free(bench.parts[i]);
    engine_ops(bench.engine)->close(bench.engine);
    ev_loop_destroy(bench.main_loop);
}

static struct counts counts_of(uint32_t part)
{
    struct counts counts;
    record_read(&bench.parts[part]->record, (uint64_t *)&counts);
    assert_true(counts_balance(&counts));
    return counts;
}

static struct counts queue_frames(void)
{
    struct queue_counts counts;
    record_read(sendloop_record(bench.loop), (uint64_t *)&counts);
    assert_true(counts_balance(&counts.frames));
    return counts.frames;
}

static uint32_t state_of(uint32_t part)
{
    return atomic_load_explicit(&bench.parts[part]->state, memory_order_acquire);
}

static const struct {
    const char *engine;
    enum pacing pacing;
} settings[] = {
    {"mock", PACING_BALANCED},        {"mock", PACING_PRECISE},          {"mock", PACING_ECONOMY},
    {"mock-async", PACING_BALANCED},  {"mock-async", PACING_PRECISE},    {"mock-async", PACING_ECONOMY},
    {"mock-partial", PACING_ECONOMY}, {"mock-partial", PACING_BALANCED},
};

/* ---- tests ---- */

static void a_stop_is_answered_when_every_frame_is_back_and_none_follows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        bench_open(settings[i].engine, settings[i].pacing, 20000);
        assert_int_equal(obey((struct order){.kind = ORDER_START}), 0);
        WAIT_FOR(counts_of(0).completed > 100 && counts_of(2).completed > 100);
        assert_int_equal(obey((struct order){.kind = ORDER_STOP, .drain_ns = NS_PER_SECOND}), 0);
        struct counts stopped = queue_frames();
        assert_int_equal(stopped.in_flight, 0);
        for (uint32_t part = 0; part < PARTS; part++)
            assert_int_equal(state_of(part), PART_DONE);
        assert_int_equal(obey((struct order){.kind = ORDER_PARK}), 0); /* a whole turn later */
        struct counts parked = queue_frames();
        assert_memory_equal(&parked, &stopped, sizeof stopped);
        struct mock_seen seen;
        mock_seen(bench.engine, &seen); /* the engine is ours while the worker is parked */
        assert_int_equal(seen.frames, stopped.completed);
        WAIT_FOR(bench.ended > 0);
        bench_close();
    }
}

static void one_part_stops_and_the_others_go_on(void **state)
{
    (void)state;
    uint32_t one[] = {1}, wrong[] = {PARTS};
    bench_open("mock-async", PACING_BALANCED, 20000);
    assert_int_equal(obey((struct order){.kind = ORDER_START}), 0);
    WAIT_FOR(counts_of(1).completed > 50);
    assert_int_equal(
        obey((struct order){.kind = ORDER_STOP, .parts = one, .part_count = 1, .drain_ns = NS_PER_SECOND}),
        0);
    struct counts stopped = counts_of(1);
    uint64_t other = counts_of(0).completed;
    assert_int_equal(stopped.in_flight, 0);
    WAIT_FOR(counts_of(0).completed > other + 100);
    assert_int_equal(counts_of(1).scheduled, stopped.scheduled);
    assert_int_equal(obey((struct order){.kind = ORDER_STOP, .parts = wrong, .part_count = 1}), -EINVAL);
    assert_int_equal(obey((struct order){.kind = ORDER_START, .parts = wrong, .part_count = 1}), -EINVAL);
    bench_close();
}

static void a_stop_that_cannot_drain_times_out(void **state)
{
    (void)state;
    uint32_t one[] = {0};
    bench_open("mock", PACING_BALANCED, 20000);
    mock_set_fault(bench.engine, -ENOBUFS); /* before anything is sent: the worker does not look at it yet */
    bench.parts[0]->count = 5;
    assert_int_equal(obey((struct order){.kind = ORDER_START}), 0);
    WAIT_FOR(counts_of(0).in_flight > 0 || counts_of(0).withdrawn > 0);
    int result = 0;
    /* Frames are withdrawn when they become overdue; in between, a stop of one part finds them stuck. */
    for (int i = 0; i < 1000 && result == 0; i++) {
        result = obey((struct order){.kind = ORDER_STOP, .parts = one, .part_count = 1, .drain_ns = 1});
        if (result == 0)
            obey((struct order){.kind = ORDER_START, .parts = one, .part_count = 1});
    }
    assert_int_equal(result, -ETIMEDOUT);
    assert_int_equal(obey((struct order){.kind = ORDER_STOP, .drain_ns = NS_PER_SECOND}), 0); /* withdraws */
    assert_int_equal(queue_frames().in_flight, 0);
    assert_int_equal(queue_frames().completed, 0);
    bench_close();
}

static void a_pause_holds_and_a_rate_changes_while_it_runs(void **state)
{
    (void)state;
    bench_open("mock", PACING_BALANCED, 1000);
    assert_int_equal(obey((struct order){.kind = ORDER_START}), 0);
    WAIT_FOR(counts_of(0).completed > 3);
    assert_int_equal(obey((struct order){.kind = ORDER_PAUSE}), 0);
    struct counts paused = counts_of(0);
    assert_int_equal(state_of(0), PART_PAUSED);
    for (int i = 0; i < 100; i++) /* a hundred turns of the worker */
        obey((struct order){.kind = ORDER_MULTIPLY, .multiplier = {1, 1}});
    assert_int_equal(counts_of(0).scheduled, paused.scheduled);
    assert_int_equal(
        obey((struct order){.kind = ORDER_RATE, .rate = {.unit = PACE_MAX, .per_second = {0, 1}}}), 0);
    assert_int_equal(obey((struct order){.kind = ORDER_RESUME}), 0);
    WAIT_FOR(counts_of(0).completed > paused.completed + 100000); /* 100 s at the old rate */
    bench_close();
}

static void a_parked_worker_touches_nothing_and_defers_orders(void **state)
{
    (void)state;
    bench_open("mock-async", PACING_BALANCED, 50000);
    for (int round = 0; round < 20; round++) {
        struct order start = {.kind = ORDER_START}, stop = {.kind = ORDER_STOP, .drain_ns = NS_PER_SECOND};
        struct order unpark = {.kind = ORDER_UNPARK};
        bool started, stopped, unparked;
        assert_int_equal(obey((struct order){.kind = ORDER_START}), 0);
        WAIT_FOR(queue_frames().completed > 0);
        assert_int_equal(obey((struct order){.kind = ORDER_PARK}), 0);
        uint64_t progress = worker_progress(bench.worker); /* before: it may look before we do again */
        send_order(&stop, &stopped);
        send_order(&start, &started);
        worker_poke(bench.worker);
        WAIT_FOR(worker_progress(bench.worker) > progress || started || stopped);
        /* What the main thread does with a parked worker; a race here is a race there. */
        struct err err;
        assert_int_equal(engine_ops(bench.engine)->rebind(bench.engine, &facts, &err), 0);
        assert_false(started || stopped);
        send_order(&unpark, &unparked);
        WAIT_FOR(unparked && started && stopped);
        assert_int_equal(start.result, 0);
        assert_int_equal(stop.result, 0);
        uint64_t completed = queue_frames().completed;
        WAIT_FOR(queue_frames().completed > completed); /* stop came first: it runs */
        assert_int_equal(obey((struct order){.kind = ORDER_STOP, .drain_ns = NS_PER_SECOND}), 0);
    }
    bench_close();
}

static void trouble_is_told_once_and_its_end_too(void **state)
{
    (void)state;
    bench_open("mock", PACING_BALANCED, 50000);
    mock_set_fault(bench.engine, -ENETDOWN);
    assert_int_equal(obey((struct order){.kind = ORDER_START}), 0);
    WAIT_FOR(bench.troubles > 0);
    assert_int_equal(bench.trouble, ENETDOWN);
    for (int i = 0; i < 20; i++)
        obey((struct order){.kind = ORDER_MULTIPLY, .multiplier = {1, 1}});
    assert_int_equal(bench.troubles, 1);
    assert_int_equal(obey((struct order){.kind = ORDER_PARK}), 0);
    struct err err;
    assert_int_equal(engine_ops(bench.engine)->rebind(bench.engine, &facts, &err), 0);
    assert_int_equal(obey((struct order){.kind = ORDER_UNPARK}), 0);
    WAIT_FOR(bench.troubles == 2);
    assert_int_equal(bench.trouble, 0);
    WAIT_FOR(queue_frames().completed > 100);
    bench_close();
}

static void another_loop_is_loaded_and_running_parts_go_on(void **state)
{
    (void)state;
    bench_open("mock-async", PACING_BALANCED, 20000);
    assert_int_equal(obey((struct order){.kind = ORDER_START}), 0);
    for (int round = 0; round < 10; round++) {
        uint64_t completed = counts_of(0).completed;
        WAIT_FOR(counts_of(0).completed > completed + 20);
        struct sendloop *other = make_loop();
        struct order load = {.kind = ORDER_LOAD, .sendloop = other, .drain_ns = NS_PER_SECOND};
        bool loaded;
        send_order(&load, &loaded);
        WAIT_FOR(loaded);
        assert_ptr_equal(load.sendloop, bench.loop);
        assert_int_equal(queue_frames().in_flight, 0); /* the old one's accounts are closed */
        sendloop_free(load.sendloop);
        bench.loop = other;
    }
    assert_int_equal(obey((struct order){.kind = ORDER_STOP, .drain_ns = NS_PER_SECOND}), 0);
    assert_int_equal(counts_of(0).in_flight, 0);
    assert_int_equal(counts_of(0).missed + counts_of(0).queued, counts_of(0).scheduled);
    bench_close();
}

static void a_count_ends_by_itself_and_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        bench_open(settings[i].engine, settings[i].pacing, 100000);
        for (uint32_t part = 0; part < PARTS; part++)
            bench.parts[part]->count = 1000 + part;
        assert_int_equal(obey((struct order){.kind = ORDER_START}), 0);
        WAIT_FOR(state_of(0) == PART_DONE && state_of(1) == PART_DONE && state_of(2) == PART_DONE);
        for (uint32_t part = 0; part < PARTS; part++)
            assert_int_equal(counts_of(part).completed, 1000 + part);
        WAIT_FOR(bench.ended > 0);
        bench_close();
    }
}

static void freeing_answers_what_is_open(void **state)
{
    (void)state;
    bench_open("mock", PACING_BALANCED, 1000);
    struct order start = {.kind = ORDER_START};
    bool parked = obey((struct order){.kind = ORDER_PARK}) == 0, started;
    assert_true(parked);
    send_order(&start, &started);
    worker_free(bench.worker);
    bench.worker = NULL;
    assert_true(started);
    assert_int_equal(start.result, -ECANCELED);
    bench_close();
}

static void free_worker(struct order *order)
{
    (void)order;
    worker_free(bench.worker);
    bench.worker = NULL;
}

static void an_answer_may_free_the_worker(void **state)
{
    (void)state;
    bench_open("mock", PACING_BALANCED, 1000);
    struct order last = {.kind = ORDER_START, .done = free_worker}, behind = {.kind = ORDER_START};
    bool answered;
    worker_send(bench.worker, &last);
    send_order(&behind, &answered);
    WAIT_FOR(bench.worker == NULL);
    assert_true(answered);
    bench_close();
}

static void a_cpu_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    struct worker *worker = NULL;
    struct err err = {0};
    struct worker_wishes wishes = {.name = "test", .cpu = 1023, .main_loop = ev_default_loop(0)};
    assert_true(worker_new(&wishes, &worker, &err) < 0);
    assert_null(worker);
    assert_true(err.text[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_is_answered_when_every_frame_is_back_and_none_follows),
        cmocka_unit_test(one_part_stops_and_the_others_go_on),
        cmocka_unit_test(a_stop_that_cannot_drain_times_out),
        cmocka_unit_test(a_pause_holds_and_a_rate_changes_while_it_runs),
        cmocka_unit_test(a_parked_worker_touches_nothing_and_defers_orders),
        cmocka_unit_test(trouble_is_told_once_and_its_end_too),
        cmocka_unit_test(another_loop_is_loaded_and_running_parts_go_on),
        cmocka_unit_test(a_count_ends_by_itself_and_is_told),
        cmocka_unit_test(freeing_answers_what_is_open),
        cmocka_unit_test(an_answer_may_free_the_worker),
        cmocka_unit_test(a_cpu_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
