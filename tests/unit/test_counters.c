/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The seqlock under a writer that hardly rests, and the two identities. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "run/counters.h"

enum { READS = 1000000 };
#define READ_NS (20 * UINT64_C(1000000000)) /* then those that there were will do */

struct race {
    struct record record;
    _Atomic bool stop;
};

/* Every field moves with every publication, so that a torn read cannot balance. The time between two changes
 * from none to more than a read takes: with none at all, a reader of the writer's own speed may never find it
 * at rest. */
static void *write_with_little_rest(void *argument)
{
    struct race *race = argument;
    struct queue_counts q = {0};
    while (!atomic_load_explicit(&race->stop, memory_order_relaxed)) {
        struct counts *c = &q.frames;
        q.kicks++;
        c->missed += 3;
        c->completed += 7;
        c->rejected += 1;
        c->withdrawn += 2;
        c->in_flight = q.kicks % 5;
        c->bytes_l2 = c->completed * 64;
        c->queued = c->completed + c->rejected + c->withdrawn + c->in_flight;
        c->scheduled = c->queued + c->missed;
        q.last_error = q.kicks;
        record_publish(&race->record, (const uint64_t *)&q);
        for (uint64_t i = q.kicks % 64; i > 0; i--)
            (void)atomic_load_explicit(&race->stop, memory_order_relaxed);
    }
    return NULL;
}

static void a_million_reads_beside_a_writer_all_balance(void **state)
{
    (void)state;
    static struct race race;
    struct queue_counts q;
    uint64_t last = 0, changes = 0, end_ns = clock_monotonic_ns() + READ_NS;
    pthread_t writer;

    record_init(&race.record, QUEUE_COUNTS_WORDS);
    assert_int_equal(pthread_create(&writer, NULL, write_with_little_rest, &race), 0);
    /* On one busy core the reader may be done before the writer has begun: read on until it was seen. */
    for (uint64_t i = 0; (i < READS && clock_monotonic_ns() < end_ns) || changes < 2; i++) {
        record_read(&race.record, (uint64_t *)&q);
        if (!counts_balance(&q.frames) || q.frames.bytes_l2 != q.frames.completed * 64 ||
            q.kicks != q.last_error)
            fail_msg("read %lu is torn", (unsigned long)i);
        if (q.kicks < last)
            fail_msg("read %lu went back", (unsigned long)i);
        changes += q.kicks != last;
        last = q.kicks;
    }
    atomic_store(&race.stop, true);
    pthread_join(writer, NULL);
}

static void a_record_reads_what_was_published_and_no_word_more(void **state)
{
    (void)state;
    struct record record;
    struct counts c = {.scheduled = 5, .queued = 4, .completed = 4, .missed = 1, .bytes_l2 = 256};
    struct queue_counts read = {.kicks = 99};

    record_init(&record, COUNTS_WORDS);
    record_publish(&record, (const uint64_t *)&c);
    record_read(&record, (uint64_t *)&read);
    assert_memory_equal(&read.frames, &c, sizeof c);
    assert_int_equal(read.kicks, 99);
}

static void each_identity_is_checked(void **state)
{
    (void)state;
    struct counts good = {.scheduled = 20,
                          .queued = 17,
                          .completed = 10,
                          .rejected = 4,
                          .withdrawn = 2,
                          .in_flight = 1,
                          .missed = 3};
    assert_true(counts_balance(&good));
    for (size_t i = 0; i < COUNTS_WORDS - 1; i++) {
        struct counts bad = good;
        ((uint64_t *)&bad)[i]++;
        assert_false(counts_balance(&bad));
    }
}

static void sums_add_every_field(void **state)
{
    (void)state;
    uint64_t one[COUNTS_WORDS], sum[COUNTS_WORDS];
    for (size_t i = 0; i < COUNTS_WORDS; i++) {
        one[i] = i + 1;
        sum[i] = 100 * i;
    }
    counts_add((struct counts *)sum, (const struct counts *)one);
    for (size_t i = 0; i < COUNTS_WORDS; i++)
        assert_int_equal(sum[i], 101 * i + 1);
}

static void differences_take_away_every_field(void **state)
{
    (void)state;
    uint64_t one[COUNTS_WORDS], rest[COUNTS_WORDS];
    for (size_t i = 0; i < COUNTS_WORDS; i++) {
        one[i] = i + 1;
        rest[i] = 100 * i + 7;
    }
    counts_subtract((struct counts *)rest, (const struct counts *)one);
    for (size_t i = 0; i < COUNTS_WORDS; i++)
        assert_int_equal(rest[i], 99 * i + 6);
}

/* Sums, but for the longest handover and the error, which is the latest that there was. */
static void queues_add_up(void **state)
{
    (void)state;
    struct queue_counts sum = {.frames.queued = 1, .last_error = 5, .handover_max_ns = 50};
    const struct queue_counts more = {.frames.queued = 10,
                                      .kicks = 2,
                                      .waits = 3,
                                      .wakeups = 4,
                                      .again = 5,
                                      .nobufs = 6,
                                      .handovers = 7,
                                      .handover_ns = 8,
                                      .handover_max_ns = 49};
    for (int i = 0; i < 2; i++)
        queue_counts_add(&sum, &more);
    assert_true(sum.frames.queued == 21 && sum.kicks == 4 && sum.waits == 6 && sum.wakeups == 8);
    assert_true(sum.again == 10 && sum.nobufs == 12 && sum.handovers == 14 && sum.handover_ns == 16);
    assert_true(sum.handover_max_ns == 50 && sum.last_error == 5);
    queue_counts_add(&sum, &(struct queue_counts){.handover_max_ns = 51, .last_error = 1});
    assert_true(sum.handover_max_ns == 51 && sum.last_error == 1 && sum.kicks == 4);
}

static void a_fresh_record_reads_as_nothing(void **state)
{
    (void)state;
    struct record record;
    struct queue_counts q;
    memset(&record, 0xff, sizeof record);
    memset(&q, 0xff, sizeof q);
    record_init(&record, QUEUE_COUNTS_WORDS);
    record_read(&record, (uint64_t *)&q);
    for (size_t i = 0; i < QUEUE_COUNTS_WORDS; i++)
        assert_int_equal(((uint64_t *)&q)[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_reads_beside_a_writer_all_balance),
        cmocka_unit_test(a_record_reads_what_was_published_and_no_word_more),
        cmocka_unit_test(each_identity_is_checked),
        cmocka_unit_test(sums_add_every_field),
        cmocka_unit_test(differences_take_away_every_field),
        cmocka_unit_test(queues_add_up),
        cmocka_unit_test(a_fresh_record_reads_as_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
