/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A receive worker on a receiver of the test's own, which hands out the blocks that the test made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "packet/signature.h"
#include "run/intact.h"
#include "run/receive_worker.h"

enum { GIVE_UP_S = 60, FRAME_BYTES = 60, BLOCK_FRAMES = 64, NONCE = 0x1234567 };

/* ---- the receiver: frames that the main thread puts in, the worker takes out ---- */

struct receiver {
    pthread_mutex_t lock;
    int fd; /* readable while there are frames */
    uint8_t (*frames)[FRAME_BYTES];
    uint64_t *times_ns;
    size_t first, count, room;
    uint64_t drops;
};

static void receiver_put(struct receiver *receiver, const uint8_t frame[FRAME_BYTES], uint64_t time_ns)
{
    uint64_t one = 1;
    pthread_mutex_lock(&receiver->lock);
    if (receiver->count == receiver->room) {
        receiver->room = receiver->room * 2 + 1024;
        receiver->frames = realloc(receiver->frames, receiver->room * FRAME_BYTES);
        receiver->times_ns = realloc(receiver->times_ns, receiver->room * sizeof *receiver->times_ns);
    }
    memcpy(receiver->frames[receiver->count], frame, FRAME_BYTES);
    receiver->times_ns[receiver->count++] = time_ns;
    pthread_mutex_unlock(&receiver->lock);
    assert_int_equal(write(receiver->fd, &one, sizeof one), sizeof one);
}

int receiver_fd(const struct receiver *receiver)
{
    return receiver->fd;
}

uint32_t receiver_next(struct receiver *receiver, receiver_take *take, void *context)
{
    uint64_t count;
    uint32_t taken = 0;
    pthread_mutex_lock(&receiver->lock);
    for (; taken < BLOCK_FRAMES && receiver->first < receiver->count; taken++, receiver->first++) {
        struct received frame = {.frame = receiver->frames[receiver->first],
                                 .captured = FRAME_BYTES,
                                 .length = FRAME_BYTES,
                                 .time_ns = receiver->times_ns[receiver->first]};
        take(context, &frame, 1);
    }
    if (receiver->first == receiver->count && read(receiver->fd, &count, sizeof count) < 0)
        count = 0; /* was not readable: fine */
    pthread_mutex_unlock(&receiver->lock);
    return taken;
}

void receiver_read_stats(struct receiver *receiver, struct receiver_stats *out)
{
    pthread_mutex_lock(&receiver->lock);
    *out = (struct receiver_stats){.drops = receiver->drops};
    pthread_mutex_unlock(&receiver->lock);
}

/* ---- the bench ---- */

static struct bench {
    struct ev_loop *main_loop;
    struct receiver receiver;
    struct receive_worker *worker;
    struct receive_snapshot snapshot;
    uint32_t streams;
    bool answered;
} bench;

static void give_up(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)watcher;
    (void)events;
    fail_msg("nothing came in %d s", GIVE_UP_S);
}

static void on_snapshot(struct receive_snapshot *snapshot)
{
    (void)snapshot;
    bench.answered = true;
}

static void bench_open(uint32_t streams)
{
    struct receive_worker_wishes wishes = {.name = "test-rx", .streams = streams};
    struct err err = {0};
    bench = (struct bench){.main_loop = ev_loop_new(EVFLAG_AUTO), .streams = streams};
    pthread_mutex_init(&bench.receiver.lock, NULL);
    bench.receiver.fd = eventfd(0, EFD_NONBLOCK);
    bench.snapshot.streams = streams;
    bench.snapshot.done = on_snapshot;
    bench.snapshot.results = calloc(streams, sizeof *bench.snapshot.results);
    bench.snapshot.expected_next = calloc(streams, sizeof *bench.snapshot.expected_next);
    wishes.receiver = &bench.receiver;
    wishes.main_loop = bench.main_loop;
    assert_int_equal(receive_worker_new(&wishes, &bench.worker, &err), 0);
    assert_int_equal(receive_worker_begin(bench.worker, NONCE), 0);
}

static void bench_close(void)
{
    receive_worker_free(bench.worker);
    close(bench.receiver.fd);
    free(bench.receiver.frames);
    free(bench.receiver.times_ns);
    free(bench.snapshot.results);
    free(bench.snapshot.expected_next);
    ev_loop_destroy(bench.main_loop);
}

static void take_snapshot(const uint64_t *sent)
{
    ev_timer last;
    ev_timer_init(&last, give_up, GIVE_UP_S, 0.);
    ev_now_update(bench.main_loop);
    ev_timer_start(bench.main_loop, &last);
    bench.answered = false;
    bench.snapshot.final = sent != NULL;
    bench.snapshot.sent = sent;
    receive_worker_snapshot(bench.worker, &bench.snapshot);
    while (!bench.answered)
        ev_run(bench.main_loop, EVRUN_ONCE);
    ev_timer_stop(bench.main_loop, &last);
}

/* Until the worker has seen so many frames. */
static void snapshot_of(uint64_t frames)
{
    do
        take_snapshot(NULL);
    while (bench.snapshot.totals.frames < frames);
    take_snapshot(NULL); /* rows of the one before may have been made before the last frames came */
    assert_int_equal(bench.snapshot.totals.frames, frames);
}

static void make_frame(uint8_t frame[FRAME_BYTES], uint16_t stream, uint32_t sequence, uint64_t sent_ns,
                       uint32_t nonce)
{
    struct signature_stamp stamp = {nonce, stream, sequence, sent_ns};
    memset(frame, 0, FRAME_BYTES);
    frame[12] = 0x88;
    frame[13] = 0xb5;
    signature_write(frame + FRAME_BYTES - SIGNATURE_BYTES, &stamp);
}

static void put(uint16_t stream, uint32_t sequence, uint64_t delay_ns)
{
    uint8_t frame[FRAME_BYTES];
    uint64_t sent_ns = 16 * (1000000 + (uint64_t)sequence * 1000);
    make_frame(frame, stream, sequence, sent_ns, NONCE);
    receiver_put(&bench.receiver, frame, sent_ns + delay_ns);
}

/* ---- tests ---- */

static void streams_are_told_apart_and_judged(void **state)
{
    static const uint32_t numbers[] = {0, 1, 2, 5, 4, 5, 6, 9};
    const uint64_t sent[] = {12, 3, 7};
    (void)state;
    bench_open(3);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        put(1, numbers[i], 1600);
    for (uint32_t i = 0; i < 3; i++)
        put(2, i, 160 * (i + 1));
    snapshot_of(11);
    const struct stream_result *one = &bench.snapshot.results[0], *two = &bench.snapshot.results[1];
    assert_int_equal(one->received, 8);
    assert_int_equal(one->duplicates, 1);
    assert_int_equal(one->reordered, 1);
    assert_int_equal(one->lost, 3); /* 3, 7, 8 */
    assert_int_equal(bench.snapshot.expected_next[0], 10);
    assert_int_equal(two->received, 3);
    assert_int_equal(two->latency_min_ns, 160);
    assert_int_equal(two->latency_max_ns, 480);
    assert_int_equal(two->latency_mean_ns, 320);
    take_snapshot(sent);
    assert_int_equal(one->lost, 5); /* and 10, 11 */
    assert_int_equal(two->lost, 0);
    assert_int_equal(bench.snapshot.results[2].lost, 7);
    bench_close();
}

static void what_is_not_ours_is_counted_apart(void **state)
{
    uint8_t frame[FRAME_BYTES];
    (void)state;
    bench_open(2);
    put(2, 0, 0);
    make_frame(frame, 1, 0, 0, NONCE + 1); /* of an earlier run */
    receiver_put(&bench.receiver, frame, 1);
    make_frame(frame, 3, 0, 0, NONCE); /* there is no stream 3 */
    receiver_put(&bench.receiver, frame, 1);
    memset(frame, 7, sizeof frame);
    receiver_put(&bench.receiver, frame, 1);
    frame[12] = 0x88;
    frame[13] = 0x08;
    receiver_put(&bench.receiver, frame, 1);
    snapshot_of(5);
    assert_int_equal(bench.snapshot.totals.ours, 1);
    assert_int_equal(bench.snapshot.totals.foreign, 3);
    assert_int_equal(bench.snapshot.totals.pause, 1);
    assert_int_equal(bench.snapshot.results[0].received, 0);
    assert_int_equal(bench.snapshot.results[1].received, 1);
    bench_close();
}

static void a_begin_forgets_everything_before_it(void **state)
{
    (void)state;
    bench_open(1);
    take_snapshot(NULL); /* the first begin is over */
    pthread_mutex_lock(&bench.receiver.lock);
    bench.receiver.drops = 5;
    pthread_mutex_unlock(&bench.receiver.lock);
    for (uint32_t i = 0; i < 100; i++)
        put(1, i, 100);
    snapshot_of(100);
    assert_int_equal(bench.snapshot.totals.overrun, 5);
    assert_int_equal(receive_worker_begin(bench.worker, NONCE), 0);
    take_snapshot(NULL); /* behind the begin */
    assert_int_equal(bench.snapshot.totals.frames, 0);
    assert_int_equal(bench.snapshot.totals.overrun, 0);
    assert_int_equal(bench.snapshot.results[0].received, 0);
    assert_int_equal(bench.snapshot.results[0].latency_max_ns, 0);
    put(1, 0, 100);
    snapshot_of(1);
    assert_int_equal(bench.snapshot.results[0].lost, 0);
    bench_close();
}

static void ten_thousand_streams_are_kept_at_once(void **state)
{
    enum { STREAMS = 10000, EACH = 3 };
    (void)state;
    bench_open(STREAMS);
    for (uint32_t i = 0; i < EACH; i++)
        for (uint16_t stream = 1; stream <= STREAMS; stream++)
            put(stream, i, stream);
    snapshot_of(STREAMS * EACH);
    for (uint32_t i = 0; i < STREAMS; i++) {
        const struct stream_result *result = &bench.snapshot.results[i];
        if (result->received != EACH || result->lost != 0 || result->latency_max_ns != i + 1)
            fail_msg("stream %u: %lu received", i + 1, (unsigned long)result->received);
    }
    bench_close();
}

/* Under ThreadSanitizer: what the asker reads is not written while he reads it. */
static void snapshots_are_read_while_frames_come(void **state)
{
    (void)state;
    bench_open(50);
    uint64_t before = 0;
    for (uint32_t i = 0; i < 200; i++) {
        for (uint16_t stream = 1; stream <= 50; stream++)
            put(stream, i, 50);
        receive_worker_snapshot(bench.worker, &bench.snapshot);
        bench.answered = false;
        while (!bench.answered) {
            ev_run(bench.main_loop, EVRUN_ONCE);
            for (uint32_t s = 0; s < 50; s++)
                assert_true(bench.snapshot.results[s].received <= i + 1);
        }
        assert_true(bench.snapshot.totals.ours >= before);
        before = bench.snapshot.totals.ours;
    }
    snapshot_of(200 * 50);
    bench_close();
}

static void freeing_answers_snapshots_under_way(void **state)
{
    (void)state;
    bench_open(5000);
    put(1, 0, 0);
    receive_worker_snapshot(bench.worker, &bench.snapshot);
    receive_worker_free(bench.worker);
    bench.worker = NULL;
    assert_true(bench.answered);
    bench_close();
}

/* Two frames whose sums an independent tool (Scapy) computed, and what one flipped bit does to them. */
static void one_flipped_bit_is_found(void **state)
{
    static const uint8_t udp4[] = {0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00,
                                   0x01, 0x81, 0x00, 0x00, 0x64, 0x08, 0x00, 0x45, 0x00, 0x00, 0x23,
                                   0x00, 0x01, 0x00, 0x00, 0x40, 0x11, 0xee, 0xa1, 0xc6, 0x12, 0x00,
                                   0x01, 0xc6, 0x13, 0x00, 0x01, 0x13, 0x8c, 0x13, 0x8c, 0x00, 0x0f,
                                   0xa0, 0x3a, 0x76, 0x6f, 0x6c, 0x6c, 0x65, 0x79, 0x64};
    static const uint8_t udp6[] = {0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01,
                                   0x86, 0xdd, 0x60, 0x00, 0x00, 0x00, 0x00, 0x0f, 0x11, 0x40, 0x20, 0x01,
                                   0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                   0x00, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                   0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x13, 0x8c, 0x13, 0x8c, 0x00, 0x0f,
                                   0xd0, 0xed, 0x76, 0x6f, 0x6c, 0x6c, 0x65, 0x79, 0x64};
    const struct {
        const uint8_t *frame;
        uint32_t bytes, covered; /* bits from `covered` on change a sum */
    } cases[] = {{udp4, sizeof udp4, 38}, {udp6, sizeof udp6, 54}};
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        uint8_t frame[80];
        memcpy(frame, cases[c].frame, cases[c].bytes);
        assert_true(frame_is_intact(frame, cases[c].bytes));
        for (uint32_t bit = cases[c].covered * 8; bit < cases[c].bytes * 8; bit++) {
            frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
            if (load_be16(frame + cases[c].covered + 6) != 0)
                assert_false(frame_is_intact(frame, cases[c].bytes));
            frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (uint32_t bytes = 0; bytes < cases[c].bytes; bytes++)
            (void)frame_is_intact(frame, bytes); /* reads nothing behind its end: AddressSanitizer */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_told_apart_and_judged),
        cmocka_unit_test(what_is_not_ours_is_counted_apart),
        cmocka_unit_test(a_begin_forgets_everything_before_it),
        cmocka_unit_test(ten_thousand_streams_are_kept_at_once),
        cmocka_unit_test(snapshots_are_read_while_frames_come),
        cmocka_unit_test(freeing_answers_snapshots_under_way),
        cmocka_unit_test(one_flipped_bit_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
