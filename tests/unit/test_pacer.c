/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The k-th deadline of every shape against closed forms in 128-bit arithmetic, which know nothing of
 * accumulating. Seeds are fixed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/clock.h"
#include "pace/pacer.h"

typedef unsigned __int128 uint128;

enum { NOW = 1234567891 };
#define FOREVER UINT64_MAX

static uint64_t seed;

static uint64_t draw(uint64_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (seed >> 20) % below;
}

static int setup(void **state)
{
    (void)state;
    seed = 20261122;
    return 0;
}

static struct pace_rate frames(uint64_t num, uint64_t den)
{
    return (struct pace_rate){PACE_FRAMES, {num, den}};
}

static struct pace_rate bits_l1(uint64_t num, uint64_t den)
{
    return (struct pace_rate){PACE_BITS_L1, {num, den}};
}

static struct pacer *started(const struct pace_shape *shape)
{
    struct pacer *pacer = pacer_new(shape);
    assert_non_null(pacer);
    pacer_start(pacer, NOW);
    return pacer;
}

/* units × 1e9 × den / num, rounded down */
static uint64_t time_of(uint128 units, struct ratio per_second)
{
    return (uint64_t)(units * NS_PER_SECOND * per_second.den / per_second.num);
}

static void test_frames_at_a_rate(void **state)
{
    (void)state;
    for (int round = 0; round < 500; round++) {
        struct pace_shape shape = {.rate = frames(1 + draw(3000000), 1 + draw(1000)),
                                   .duration_ns = FOREVER,
                                   .delay_ns = draw(1000000),
                                   .phase_ns = draw(1000)};
        struct pacer *pacer = started(&shape);
        uint64_t first_ns = NOW + shape.delay_ns + shape.phase_ns;
        for (uint64_t k = 0; k < 500; k++) {
            assert_int_equal(pacer_deadline(pacer), first_ns + time_of(k, shape.rate.per_second));
            pacer_advance(pacer, 60);
        }
        pacer_free(pacer);
    }
}

static void test_bits_of_mixed_frames(void **state)
{
    (void)state;
    for (int round = 0; round < 500; round++) {
        bool is_l1 = round % 2 == 0;
        struct pace_shape shape = {.rate = bits_l1(1000 + draw(UINT64_C(400000000000)), 1 + draw(7)),
                                   .duration_ns = FOREVER};
        shape.rate.unit = is_l1 ? PACE_BITS_L1 : PACE_BITS_L2;
        struct pacer *pacer = started(&shape);
        uint128 sent_bits = 0;
        for (uint64_t k = 0; k < 500; k++) {
            uint32_t bytes = (uint32_t)(14 + draw(65000));
            assert_int_equal(pacer_deadline(pacer), NOW + time_of(sent_bits, shape.rate.per_second));
            pacer_advance(pacer, bytes);
            sent_bits += (bytes + (is_l1 ? 24u : 4u)) * 8u;
        }
        pacer_free(pacer);
    }
}

static void test_no_drift_over_a_thousand_million_frames(void **state)
{
    (void)state;
    struct pace_shape shape = {.rate = frames(UINT64_C(14880952380), 7001), .duration_ns = FOREVER};
    struct pacer *pacer = started(&shape);
    /* One by one for a while, the rest at once: 10^9 frames, then on beyond 2^32. */
    for (uint64_t k = 0; k < 5000000; k++)
        pacer_advance(pacer, 60);
    uint64_t taken = 5000000;
    const uint64_t goals[] = {UINT64_C(1000000000), UINT64_C(1) << 32, UINT64_C(1) << 40};
    for (size_t i = 0; i < sizeof goals / sizeof *goals; i++) {
        uint64_t before_ns = NOW + time_of(goals[i], shape.rate.per_second);
        while (pacer_deadline(pacer) < before_ns)
            taken += pacer_skip(pacer, before_ns, 60);
        assert_int_equal(taken, goals[i]);
        assert_int_equal(pacer_deadline(pacer), before_ns);
    }
    pacer_free(pacer);
}

static void test_exactness_past_two_to_the_63_bytes(void **state)
{
    (void)state;
    struct pace_shape shape = {.rate = bits_l1(UINT64_C(800000000003), 1), .duration_ns = FOREVER};
    struct pacer *pacer = started(&shape);
    uint64_t before_ns = UINT64_C(10000000000000000000), taken = 0;
    while (pacer_deadline(pacer) < before_ns)
        taken += pacer_skip(pacer, before_ns, 65512);
    assert_true((uint128)taken * 65512 > (uint128)1 << 63);
    assert_int_equal(pacer_deadline(pacer) - NOW,
                     time_of((uint128)taken * (65512 + 24) * 8, shape.rate.per_second));
    pacer_free(pacer);
}

static void test_slow_rates_and_the_end_of_time(void **state)
{
    (void)state;
    struct pace_shape half = {.rate = frames(1, 2), .duration_ns = FOREVER};
    struct pacer *pacer = started(&half);
    for (uint64_t k = 0; k < 10; k++) {
        assert_int_equal(pacer_deadline(pacer), NOW + k * 2 * NS_PER_SECOND);
        pacer_advance(pacer, 60);
    }
    pacer_free(pacer);
    struct pace_shape slowest = {.rate = frames(1, UINT64_MAX), .duration_ns = FOREVER};
    pacer = started(&slowest);
    pacer_advance(pacer, 60);
    assert_int_equal(pacer_deadline(pacer), DEADLINE_NEVER);
    pacer_free(pacer);
    struct pace_shape fastest = {.rate = frames(UINT64_MAX, 1), .duration_ns = FOREVER};
    pacer = started(&fastest);
    for (uint64_t k = 0; k < 1000; k++)
        pacer_advance(pacer, 60);
    assert_int_equal(pacer_deadline(pacer), NOW);
    pacer_free(pacer);
}

static void test_duration_is_a_bound_on_deadlines(void **state)
{
    (void)state;
    struct pace_shape shape = {.rate = frames(3, 1), .duration_ns = 2 * NS_PER_SECOND, .delay_ns = 5};
    struct pacer *pacer = started(&shape);
    uint64_t sent = 0;
    for (; pacer_deadline(pacer) != DEADLINE_NEVER; sent++)
        pacer_advance(pacer, 60);
    assert_int_equal(sent, 6); /* the seventh would be due at 2 s */
    assert_int_equal(pacer_end(pacer), NOW + 5 + 2 * NS_PER_SECOND);
    pacer_free(pacer);
}

static void test_trains_with_a_gap(void **state)
{
    (void)state;
    struct pace_shape shape = {.burst_frames = 7,
                               .bursts = 5,
                               .burst_gap_ns = 1000000,
                               .burst_rate = frames(3000000, 1),
                               .duration_ns = FOREVER};
    struct pacer *pacer = started(&shape);
    for (uint64_t k = 0; k < 35; k++) {
        assert_int_equal(pacer_in_train(pacer), k % 7 != 0);
        assert_int_equal(pacer_deadline(pacer),
                         NOW + time_of(k, shape.burst_rate.per_second) + k / 7 * shape.burst_gap_ns);
        pacer_advance(pacer, 60);
    }
    assert_int_equal(pacer_deadline(pacer), DEADLINE_NEVER);
    assert_true(pacer_has_ended(pacer));
    pacer_free(pacer);
}

static void test_trains_from_a_mean_rate(void **state)
{
    (void)state;
    const struct pace_rate inside[] = {{PACE_MAX, {0, 1}}, {PACE_FRAMES, {1000003, 1}}};
    for (size_t i = 0; i < 2; i++) {
        struct pace_shape shape = {.burst_frames = 64,
                                   .rate = bits_l1(30000001, 1),
                                   .burst_rate = inside[i],
                                   .duration_ns = FOREVER};
        struct pacer *pacer = started(&shape);
        uint128 sent_bits = 0;
        uint64_t train_ns = NOW;
        for (uint64_t k = 0; k < 64000; k++) {
            uint32_t bytes = (uint32_t)(60 + draw(1400));
            if (k % 64 == 0)
                train_ns = NOW + time_of(sent_bits, shape.rate.per_second);
            uint64_t within_ns = i == 0 ? 0 : time_of(k % 64, inside[i].per_second);
            assert_int_equal(pacer_deadline(pacer), train_ns + within_ns);
            pacer_advance(pacer, bytes);
            sent_bits += (bytes + 24) * 8;
        }
        pacer_free(pacer);
    }
}

static void test_on_and_off(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct pace_shape shape = {.rate = frames(1 + draw(100000), 1 + draw(3)),
                                   .on_ns = 1 + draw(3000000),
                                   .off_ns = draw(9000000),
                                   .duration_ns = FOREVER};
        struct pacer *pacer = started(&shape);
        for (uint64_t k = 0; k < 300; k++) {
            uint64_t on_time = time_of(k, shape.rate.per_second);
            assert_int_equal(pacer_deadline(pacer), NOW + on_time + on_time / shape.on_ns * shape.off_ns);
            pacer_advance(pacer, 60);
        }
        pacer_free(pacer);
    }
}

/* Work done by stairs at a time, in units × 1e9 × 6 (all rates are in sixths). */
static uint128 stairs_work(const struct pace_shape *shape, uint64_t time_ns)
{
    uint128 work = 0;
    for (uint32_t i = 0; i < shape->steps; i++) {
        uint64_t begin = i * shape->stair_ns, end = begin + shape->stair_ns;
        if (i + 1 == shape->steps || time_ns < end)
            end = time_ns;
        const struct ratio *rate = &shape->stairs[i].per_second;
        if (end > begin)
            work += (uint128)(end - begin) * rate->num * (6 / rate->den);
        if (time_ns <= end)
            break;
    }
    return work;
}

static void test_stairs(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct pace_rate stairs[10];
        for (size_t i = 0; i < 10; i++)
            stairs[i] = frames(i % 4 == 3 ? 0 : 1 + draw(2000000), 1 + draw(3));
        stairs[9].per_second.num += 1;
        struct pace_shape shape = {
            .stairs = stairs, .steps = 10, .stair_ns = 1 + draw(100000), .duration_ns = FOREVER};
        struct pacer *pacer = started(&shape);
        for (uint64_t k = 0; k < 500; k++) {
            uint64_t t = pacer_deadline(pacer) - NOW;
            uint128 due = (uint128)k * NS_PER_SECOND * 6;
            assert_true(stairs_work(&shape, t) <= due);
            assert_true(stairs_work(&shape, t + 1) > due);
            pacer_advance(pacer, 60);
        }
        pacer_free(pacer);
    }
}

/* 2T × the work done by a ramp between whole rates, in units × 1e9. */
static uint128 ramp_work(const struct pace_shape *shape, uint64_t t)
{
    uint64_t from = shape->ramp_from.per_second.num, to = shape->ramp_to.per_second.num,
             over = shape->ramp_over_ns, after = t > over ? t - over : 0;
    t -= after;
    uint128 work = (uint128)2 * over * from * t + (uint128)2 * over * to * after;
    if (to >= from)
        return work + (uint128)(to - from) * t * t;
    return work - (uint128)(from - to) * t * t;
}

static void test_ramps(void **state)
{
    (void)state;
    for (int round = 0; round < 500; round++) {
        uint64_t most = round % 3 == 0 ? 100 : 10000000;
        struct pace_shape shape = {.ramp_from = frames(round % 5 == 0 ? 0 : draw(most), 1),
                                   .ramp_to = frames(round % 7 == 0 ? 0 : 1 + draw(most), 1),
                                   .ramp_over_ns = 1 + draw(2000000),
                                   .duration_ns = FOREVER};
        struct pacer *pacer = started(&shape);
        uint64_t k = 0;
        for (; k < 1000 && pacer_deadline(pacer) != DEADLINE_NEVER; k++) {
            uint64_t t = pacer_deadline(pacer) - NOW;
            uint128 due = (uint128)2 * shape.ramp_over_ns * k * NS_PER_SECOND;
            assert_true(ramp_work(&shape, t) <= due);
            assert_true(ramp_work(&shape, t + 1) > due || shape.ramp_to.per_second.num == 0);
            pacer_advance(pacer, 60);
        }
        assert_true(k == 1000 || shape.ramp_to.per_second.num == 0);
        pacer_free(pacer);
    }
}

static void test_a_ramp_of_a_day_in_bits_stays_exact_to_a_nanosecond(void **state)
{
    (void)state;
    struct pace_shape shape = {.ramp_from = bits_l1(0, 1),
                               .ramp_to = bits_l1(UINT64_C(400000000000), 1),
                               .ramp_over_ns = UINT64_C(86400) * NS_PER_SECOND,
                               .duration_ns = FOREVER};
    struct pacer *pacer = started(&shape);
    uint64_t last_ns = 0;
    for (uint64_t k = 0; k < 100000; k++) {
        uint64_t t = pacer_deadline(pacer) - NOW;
        /* t² × F ≤ 2T × 1e9 × bits, each side divided by 2^20 */
        uint128 due = (uint128)k * (1514 + 24) * 8 * NS_PER_SECOND * 2 * 86400 / 4;
        assert_true((uint128)t * t * 100 <= due);
        assert_true((uint128)(t + 1) * (t + 1) * 100 >= due);
        assert_true(t >= last_ns);
        last_ns = t;
        pacer_advance(pacer, 1514);
    }
    pacer_free(pacer);
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* 2^32 × exp(−x / 2^16) by halves and a series: enough digits to compare a distribution with. */
static double survival(double x)
{
    double power = 1, term = 1;
    for (int i = 1; i < 60; i++) {
        term *= -x / 64 / i;
        power += term;
    }
    for (int i = 0; i < 6; i++)
        power *= power;
    return power;
}

static void test_random_arrivals_are_exponential_and_repeat_with_their_seed(void **state)
{
    (void)state;
    enum { FRAMES = 200000, MEAN_NS = 10000 };
    static uint64_t gaps[FRAMES];
    struct pace_shape shape = {.rate = frames(100000, 1), .poisson = true, .seed = 7, .duration_ns = FOREVER};
    struct pacer *pacer = started(&shape), *again = started(&shape);
    for (size_t k = 0; k < FRAMES; k++) {
        uint64_t was_ns = pacer_deadline(pacer);
        assert_int_equal(was_ns, pacer_deadline(again));
        pacer_advance(pacer, 60);
        pacer_advance(again, 1500);
        gaps[k] = pacer_deadline(pacer) - was_ns;
    }
    double mean = (double)(pacer_deadline(pacer) - NOW) / FRAMES;
    assert_true(mean > MEAN_NS * 0.99 && mean < MEAN_NS * 1.01); /* 4.5 standard errors */
    qsort(gaps, FRAMES, sizeof *gaps, ascending);
    double worst = 0;
    for (size_t k = 0; k < FRAMES; k++) {
        double off = survival((double)gaps[k] / MEAN_NS) - (1.0 - (double)k / FRAMES);
        worst = off > worst ? off : -off > worst ? -off : worst;
    }
    assert_true(worst < 0.0045); /* Kolmogorov-Smirnov: 1.95 / √n at 0.1 % is 0.0044, and the last ns */
    pacer_free(pacer);
    pacer_free(again);
}

/* The natural logarithm by its series, for x in (0, 1]. */
static double logarithm(double x)
{
    double halvings = 0, z, sum = 0, power;
    for (; x < 0.75; x *= 2)
        halvings++;
    power = z = (x - 1) / (x + 1);
    for (int k = 1; k < 60; k += 2, power *= z * z)
        sum += 2 * power / k;
    return sum - halvings * 0.69314718055994530942;
}

/* splitmix64 as Vigna published it: the gaps of a seed are the same for ever. */
static void test_random_gaps_are_the_seeds(void **state)
{
    (void)state;
    enum { MEAN_NS = 1000000 };
    struct pace_shape shape = {.rate = frames(1000, 1), .poisson = true, .seed = 7, .duration_ns = FOREVER};
    struct pacer *pacer = started(&shape);
    uint64_t x = shape.seed, was_ns = pacer_deadline(pacer);
    for (size_t k = 0; k < 1000; k++) {
        uint64_t z = x += UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        z ^= z >> 31;
        double gap_ns = -logarithm((double)(z | 1) / 18446744073709551616.0) * MEAN_NS;
        pacer_advance(pacer, 60);
        double off_ns = (double)(pacer_deadline(pacer) - was_ns) - gap_ns;
        /* A line between 128 points of the logarithm is off by at most 1 / (8 · 128²) = 7.6e-6 of the mean.
         */
        if (off_ns < -9 || off_ns > 9)
            fail_msg("gap %zu is off by %.1f ns of %.0f", k, off_ns, gap_ns);
        was_ns = pacer_deadline(pacer);
    }
    pacer_free(pacer);
}

static void test_random_arrivals_at_no_rate_never_come(void **state)
{
    (void)state;
    struct pace_shape shape = {.rate = frames(1000, 1), .poisson = true, .seed = 7, .duration_ns = FOREVER};
    const struct pace_rate nothing = frames(0, 1), again = frames(1000, 1);
    struct pacer *pacer = started(&shape);
    pacer_set_rate(pacer, &nothing, NOW + 1);
    while (pacer_deadline(pacer) < NOW + 1)
        pacer_advance(pacer, 60);
    assert_int_equal(pacer_deadline(pacer), DEADLINE_NEVER);
    pacer_advance(pacer, 60);
    assert_int_equal(pacer_deadline(pacer), DEADLINE_NEVER);
    pacer_set_rate(pacer, &again, NOW + 5000000);
    assert_true(pacer_deadline(pacer) < DEADLINE_NEVER);
    pacer_free(pacer);
}

static void test_a_rate_change_keeps_the_share_of_the_gap(void **state)
{
    (void)state;
    struct pace_shape shape = {.rate = frames(1000, 1), .duration_ns = FOREVER};
    struct pacer *pacer = started(&shape);
    pacer_advance(pacer, 60);
    struct pace_rate faster = frames(4000, 1);
    pacer_set_rate(pacer, &faster, NOW + 200000); /* 800 µs of 1 ms are left: 200 of 250 µs */
    for (uint64_t k = 0; k < 1000; k++) {
        assert_int_equal(pacer_deadline(pacer), NOW + 400000 + k * 250000);
        pacer_advance(pacer, 60);
    }
    pacer_free(pacer);
}

static void test_a_change_of_unit_keeps_the_share_of_the_gap(void **state)
{
    (void)state;
    struct pace_shape shape = {.rate = frames(1000, 1), .duration_ns = FOREVER};
    struct pacer *pacer = started(&shape);
    pacer_advance(pacer, 1226); /* 1250 bytes at L1 are 10,000 bits: 10 ms at 1 Mbit/s */
    struct pace_rate bits = bits_l1(1000000, 1);
    pacer_set_rate(pacer, &bits, NOW + 500000);
    assert_int_equal(pacer_deadline(pacer), NOW + 500000 + 5000000);
    pacer_advance(pacer, 1226);
    assert_int_equal(pacer_deadline(pacer), NOW + 500000 + 15000000);
    pacer_free(pacer);
}

static void test_deadlines_before_a_change_stand_at_the_old_rate(void **state)
{
    (void)state;
    struct pace_shape shape = {.rate = frames(1000, 1), .duration_ns = FOREVER};
    struct pacer *pacer = started(&shape);
    struct pace_rate faster = frames(10000, 1);
    pacer_set_rate(pacer, &faster, NOW + 3500000); /* nothing was taken for 3.5 ms */
    for (uint64_t k = 0; k < 4; k++) {
        assert_int_equal(pacer_deadline(pacer), NOW + k * 1000000);
        pacer_advance(pacer, 60);
    }
    for (uint64_t k = 0; k < 100; k++) {
        assert_int_equal(pacer_deadline(pacer), NOW + 3550000 + k * 100000);
        pacer_advance(pacer, 60);
    }
    pacer_free(pacer);
}

static void test_multipliers_replace_each_other(void **state)
{
    (void)state;
    struct pace_shape shape = {.rate = frames(1000, 1), .duration_ns = FOREVER};
    struct pacer *pacer = started(&shape);
    pacer_set_multiplier(pacer, (struct ratio){2, 1}, NOW - 1);
    pacer_set_multiplier(pacer, (struct ratio){1, 3}, NOW - 1);
    uint64_t first_ns = pacer_deadline(pacer);
    for (uint64_t k = 0; k < 100; k++) {
        assert_int_equal(pacer_deadline(pacer), first_ns + k * 3000000);
        pacer_advance(pacer, 60);
    }
    pacer_free(pacer);
}

static void test_a_multiplier_bends_ramps_and_stairs(void **state)
{
    (void)state;
    struct pace_rate steps[] = {{PACE_FRAMES, {1000, 1}}, {PACE_FRAMES, {2000, 1}}};
    struct pace_shape stairs = {.stairs = steps, .steps = 2, .stair_ns = 10000000, .duration_ns = FOREVER};
    struct pacer *pacer = started(&stairs);
    pacer_set_multiplier(pacer, (struct ratio){10, 1}, NOW);
    for (uint64_t k = 0; k < 100; k++, pacer_advance(pacer, 60))
        assert_int_equal(pacer_deadline(pacer), NOW + k * 100000);
    for (uint64_t k = 0; k < 100; k++, pacer_advance(pacer, 60))
        assert_int_equal(pacer_deadline(pacer), NOW + 10000000 + k * 50000);
    pacer_free(pacer);
    struct pace_shape ramp = {.ramp_from = frames(0, 1),
                              .ramp_to = frames(1000, 1),
                              .ramp_over_ns = NS_PER_SECOND,
                              .duration_ns = NS_PER_SECOND};
    pacer = started(&ramp);
    pacer_set_multiplier(pacer, (struct ratio){4, 1}, NOW);
    uint64_t sent = 0;
    for (; pacer_deadline(pacer) != DEADLINE_NEVER; sent++)
        pacer_advance(pacer, 60);
    assert_int_equal(sent, 2000);
    pacer_free(pacer);
}

static void test_rate_zero_waits_for_a_rate(void **state)
{
    (void)state;
    struct pace_shape shape = {.rate = frames(0, 1), .duration_ns = FOREVER};
    struct pacer *pacer = started(&shape);
    assert_int_equal(pacer_deadline(pacer), DEADLINE_NEVER);
    assert_false(pacer_has_ended(pacer));
    struct pace_rate rate = frames(10, 1);
    pacer_set_rate(pacer, &rate, NOW + 77);
    assert_int_equal(pacer_deadline(pacer), NOW + 77);
    pacer_advance(pacer, 60);
    assert_int_equal(pacer_deadline(pacer), NOW + 77 + 100000000);
    pacer_free(pacer);
}

static void test_pause_moves_all_that_is_to_come(void **state)
{
    (void)state;
    struct pace_rate steps[] = {{PACE_FRAMES, {1000, 1}}, {PACE_FRAMES, {3000, 1}}};
    const struct pace_shape shapes[] = {
        {.rate = {PACE_FRAMES, {999, 1}}, .duration_ns = 40000000},
        {.rate = {PACE_FRAMES, {999, 1}}, .on_ns = 3000000, .off_ns = 2500000, .duration_ns = 40000000},
        {.stairs = steps, .steps = 2, .stair_ns = 7000000, .duration_ns = 40000000},
        {.ramp_from = steps[0], .ramp_to = steps[1], .ramp_over_ns = 9000000, .duration_ns = 40000000},
        {.rate = {PACE_FRAMES, {999, 1}}, .burst_frames = 5, .burst_rate = steps[1], .duration_ns = 40000000},
    };
    enum { STOOD = 123456789 };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct pacer *still = started(&shapes[i]), *moved = started(&shapes[i]);
        uint64_t shift_ns = 0;
        for (uint64_t k = 0; pacer_deadline(still) != DEADLINE_NEVER; k++) {
            assert_int_equal(pacer_deadline(moved), pacer_deadline(still) + shift_ns);
            if (k % 3 == 1) {
                uint64_t at_ns = pacer_deadline(moved) - 1000;
                pacer_pause(moved, at_ns);
                assert_int_equal(pacer_deadline(moved), DEADLINE_NEVER);
                pacer_resume(moved, at_ns + STOOD);
                shift_ns += STOOD;
            }
            pacer_advance(still, 60);
            pacer_advance(moved, 60);
        }
        assert_int_equal(pacer_deadline(moved), DEADLINE_NEVER);
        assert_int_equal(pacer_end(moved), pacer_end(still) + shift_ns);
        pacer_free(still);
        pacer_free(moved);
    }
}

static void test_skipping_counts_like_stepping(void **state)
{
    (void)state;
    struct pace_rate steps[] = {
        {PACE_FRAMES, {1000003, 7}}, {PACE_FRAMES, {0, 1}}, {PACE_FRAMES, {77777, 1}}};
    const struct pace_shape shapes[] = {
        {.rate = {PACE_FRAMES, {1000003, 3}}, .duration_ns = 40000000},
        {.rate = {PACE_BITS_L2, {100000007, 3}}, .duration_ns = 40000000},
        {.rate = {PACE_FRAMES, {99991, 1}}, .on_ns = 3000001, .off_ns = 2500003, .duration_ns = 40000000},
        {.stairs = steps, .steps = 3, .stair_ns = 7000001, .duration_ns = 40000000},
        {.ramp_from = steps[1], .ramp_to = steps[0], .ramp_over_ns = 9000000, .duration_ns = 40000000},
        {.rate = steps[2], .burst_frames = 5, .burst_rate = steps[0], .duration_ns = 40000000},
        {.rate = steps[2], .poisson = true, .seed = 3, .duration_ns = 40000000},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct pacer *one_by_one = started(&shapes[i]), *skipping = started(&shapes[i]);
        for (uint64_t before_ns = NOW; before_ns < NOW + 50000000; before_ns += draw(2000000)) {
            uint64_t stepped = 0, skipped = 0;
            for (; pacer_deadline(one_by_one) < before_ns; stepped++)
                pacer_advance(one_by_one, 300);
            while (pacer_deadline(skipping) < before_ns)
                skipped += pacer_skip(skipping, before_ns, 300);
            assert_int_equal(skipped, stepped);
            assert_int_equal(pacer_deadline(skipping), pacer_deadline(one_by_one));
        }
        pacer_free(one_by_one);
        pacer_free(skipping);
    }
}

static void test_max_has_windows_only(void **state)
{
    (void)state;
    struct pace_shape shape = {
        .rate = {PACE_MAX, {0, 1}}, .delay_ns = 10, .on_ns = 1000, .off_ns = 500, .duration_ns = 3000};
    struct pacer *pacer = started(&shape);
    assert_true(pacer_is_max(pacer));
    assert_int_equal(pacer_deadline(pacer), NOW + 10);
    assert_int_equal(pacer_until(pacer), NOW + 1010);
    pacer_skip(pacer, NOW + 1010, 0);
    assert_int_equal(pacer_deadline(pacer), NOW + 1510);
    assert_int_equal(pacer_until(pacer), NOW + 2510);
    struct pace_rate rate = frames(1000000, 1);
    pacer_set_rate(pacer, &rate, NOW + 1600);
    assert_int_equal(pacer_deadline(pacer), NOW + 1600);
    assert_false(pacer_is_max(pacer));
    pacer_free(pacer);
}

/* A shape at another rate is the shape with all its rates times that; gaps between trains are divided. */
static void test_a_multiplier_at_the_start_is_another_shape(void **state)
{
    (void)state;
    enum { BY = 3 };
    struct pace_rate steps[] = {frames(1000, 7), frames(0, 1), frames(30011, 1)};
    struct pace_rate more[] = {frames(3000, 7), frames(0, 1), frames(90033, 1)};
    const struct pace_shape shapes[][2] = {
        {{.rate = frames(777, 2)}, {.rate = frames(777 * BY, 2)}},
        {{.rate = bits_l1(777777, 2)}, {.rate = bits_l1(777777 * BY, 2)}},
        {{.rate = frames(777, 2), .poisson = true, .seed = 9},
         {.rate = frames(777 * BY, 2), .poisson = true, .seed = 9}},
        {{.rate = bits_l1(777777, 2), .poisson = true, .seed = 9},
         {.rate = bits_l1(777777 * BY, 2), .poisson = true, .seed = 9}},
        {{.rate = frames(7777, 2), .on_ns = 1000000, .off_ns = 700000},
         {.rate = frames(7777 * BY, 2), .on_ns = 1000000, .off_ns = 700000}},
        {{.stairs = steps, .steps = 3, .stair_ns = 20000000},
         {.stairs = more, .steps = 3, .stair_ns = 20000000}},
        {{.ramp_from = steps[0], .ramp_to = steps[2], .ramp_over_ns = 40000000},
         {.ramp_from = more[0], .ramp_to = more[2], .ramp_over_ns = 40000000}},
        {{.rate = frames(7777, 2), .burst_frames = 4, .burst_rate = frames(100000, 1)},
         {.rate = frames(7777 * BY, 2), .burst_frames = 4, .burst_rate = frames(100000, 1)}},
        {{.burst_gap_ns = 3000000, .burst_frames = 4, .burst_rate = frames(100000, 1)},
         {.burst_gap_ns = 1000000, .burst_frames = 4, .burst_rate = frames(100000, 1)}},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct pace_shape plain = shapes[i][0], fast = shapes[i][1];
        plain.duration_ns = fast.duration_ns = 100000000;
        struct pacer *one = started(&plain), *other = started(&fast);
        pacer_set_multiplier(one, (struct ratio){BY, 1}, NOW);
        for (uint64_t k = 0; pacer_deadline(other) != DEADLINE_NEVER; k++) {
            if (pacer_deadline(one) != pacer_deadline(other))
                fail_msg("shape %zu, frame %llu: %lld ns off", i, (unsigned long long)k,
                         (long long)(pacer_deadline(one) - pacer_deadline(other)));
            pacer_advance(one, 300);
            pacer_advance(other, 300);
        }
        assert_int_equal(pacer_deadline(one), DEADLINE_NEVER);
        pacer_free(one);
        pacer_free(other);
    }
}

/* Between trains the gap shrinks in its share; inside one nothing moves, and the next comes earlier. */
static void test_a_rate_change_of_trains(void **state)
{
    (void)state;
    struct pace_shape shape = {
        .rate = frames(4000, 1), .burst_frames = 4, .burst_rate = frames(10000, 1), .duration_ns = FOREVER};
    const struct pace_rate twice = frames(8000, 1);
    struct pacer *pacer = started(&shape); /* a train of 400 µs each ms */
    for (int k = 0; k < 4; k++)
        pacer_advance(pacer, 60);
    assert_int_equal(pacer_deadline(pacer), NOW + 1000000);
    pacer_set_rate(pacer, &twice, NOW + 500000); /* 500 µs are left: 250 */
    assert_int_equal(pacer_deadline(pacer), NOW + 750000);
    pacer_advance(pacer, 60);
    pacer_advance(pacer, 60);
    assert_int_equal(pacer_deadline(pacer), NOW + 950000);
    assert_true(pacer_in_train(pacer));
    pacer_advance(pacer, 60);
    pacer_advance(pacer, 60);
    assert_int_equal(pacer_deadline(pacer), NOW + 1250000); /* 4 frames at 8000 a second */
    assert_false(pacer_in_train(pacer));
    const struct pace_rate half = frames(4000, 1);
    pacer_advance(pacer, 60);
    pacer_set_rate(pacer, &half, NOW + 1250001); /* in a train: it stays, the next one is 499,999 ns away */
    assert_int_equal(pacer_deadline(pacer), NOW + 1350000);
    for (int k = 0; k < 3; k++)
        pacer_advance(pacer, 60);
    uint64_t next_ns = pacer_deadline(pacer);
    assert_true(next_ns > NOW + 1250000 + 500000 && next_ns <= NOW + 1250000 + 1000000);
    for (int k = 0; k < 4; k++)
        pacer_advance(pacer, 60);
    assert_int_equal(pacer_deadline(pacer), next_ns + 1000000);
    assert_true(pacer_has_trains(pacer));
    pacer_free(pacer);
}

static void test_a_rate_takes_a_given_gap_away(void **state)
{
    (void)state;
    struct pace_shape shape = {
        .burst_frames = 4, .burst_gap_ns = 1000000, .burst_rate = {PACE_MAX, {0, 1}}, .duration_ns = FOREVER};
    const struct pace_rate rate = frames(8000, 1);
    struct pacer *pacer = started(&shape);
    for (int k = 0; k < 4; k++) {
        assert_int_equal(pacer_deadline(pacer), NOW);
        pacer_advance(pacer, 60);
    }
    assert_int_equal(pacer_deadline(pacer), NOW + 1000000);
    pacer_set_rate(pacer, &rate, NOW + 1000000);
    for (uint64_t train = 0; train < 10; train++)
        for (int k = 0; k < 4; k++) {
            assert_int_equal(pacer_deadline(pacer), NOW + 1000000 + train * 500000);
            pacer_advance(pacer, 60);
        }
    pacer_free(pacer);
}

/* A ramp halfway: the rate there times the multiplier; then the ramp goes on where it was in time. */
static void test_a_multiplier_within_a_ramp_and_stairs(void **state)
{
    (void)state;
    struct pace_shape ramp = {.ramp_from = frames(0, 1),
                              .ramp_to = frames(10000, 1),
                              .ramp_over_ns = NS_PER_SECOND,
                              .duration_ns = NS_PER_SECOND};
    struct pacer *pacer = started(&ramp);
    uint64_t half_ns = NOW + NS_PER_SECOND / 2, before = 0, after = 0;
    for (; pacer_deadline(pacer) < half_ns; before++)
        pacer_advance(pacer, 60);
    pacer_set_multiplier(pacer, (struct ratio){2, 1}, half_ns);
    for (; pacer_deadline(pacer) != DEADLINE_NEVER; after++)
        pacer_advance(pacer, 60);
    assert_in_range(before, 1250, 1251);
    assert_in_range(after, 2 * 3750 - 2, 2 * 3750 + 2);
    pacer_free(pacer);

    struct pace_rate steps[] = {frames(1000, 1), frames(2000, 1), frames(4000, 1)};
    struct pace_shape stairs = {.stairs = steps, .steps = 3, .stair_ns = 10000000, .duration_ns = 30000000};
    pacer = started(&stairs);
    while (pacer_deadline(pacer) < NOW + 15000000)
        pacer_advance(pacer, 60);
    assert_int_equal(pacer_deadline(pacer), NOW + 15000000);
    pacer_set_multiplier(pacer, (struct ratio){1, 2}, NOW + 15000000);
    for (after = 0; pacer_deadline(pacer) != DEADLINE_NEVER; after++)
        pacer_advance(pacer, 60);
    assert_int_equal(after, 5 + 20); /* 5 ms at 1000, 10 ms at 2000 a second */
    pacer_free(pacer);
}

static void test_a_rate_ends_ramps_and_stairs(void **state)
{
    (void)state;
    struct pace_rate steps[] = {frames(1000, 1), frames(2000, 1)};
    const struct pace_shape shapes[] = {
        {.stairs = steps, .steps = 2, .stair_ns = 10000000, .duration_ns = FOREVER},
        {.ramp_from = steps[0], .ramp_to = steps[1], .ramp_over_ns = 10000000, .duration_ns = FOREVER},
        {.rate = {PACE_MAX, {0, 1}}, .duration_ns = FOREVER},
    };
    const struct pace_rate rate = frames(500, 1), max = {PACE_MAX, {0, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct pacer *pacer = started(&shapes[i]);
        pacer_advance(pacer, 60);
        pacer_set_rate(pacer, &rate, NOW + 500);
        uint64_t first_ns = pacer_deadline(pacer);
        for (uint64_t k = 0; k < 30; k++, pacer_advance(pacer, 60))
            assert_int_equal(pacer_deadline(pacer), first_ns + k * 2000000);
        pacer_set_rate(pacer, &max, NOW + 77000000);
        assert_true(pacer_is_max(pacer));
        assert_int_equal(pacer_deadline(pacer), NOW + 77000000);
        pacer_advance(pacer, 60);
        assert_int_equal(pacer_deadline(pacer), NOW + 77000000); /* at rate max no frame has its own */
        pacer_free(pacer);
    }
}

/* What comes together is one change: the last rate and the last multiplier, from the first's time on. */
static void test_changes_before_the_next_frame_are_one(void **state)
{
    (void)state;
    struct pace_shape shape = {.rate = frames(1000, 1), .duration_ns = FOREVER};
    const struct pace_rate one = frames(7, 1), last = frames(2000, 1);
    struct pacer *pacer = started(&shape);
    pacer_set_rate(pacer, &one, NOW + 100);
    pacer_set_rate(pacer, &last, NOW + 200);
    pacer_set_multiplier(pacer, (struct ratio){2, 1}, NOW + 300);
    pacer_advance(pacer, 60); /* 999,900 of 1,000,000 are left at NOW + 100: a quarter */
    for (uint64_t k = 0; k < 20; k++, pacer_advance(pacer, 60))
        assert_int_equal(pacer_deadline(pacer), NOW + 100 + 249975 + k * 250000);
    pacer_set_multiplier(pacer, (struct ratio){1, 1}, NOW + 1);
    pacer_set_rate(pacer, &one, NOW + 2); /* keeps the multiplier of the change that waits */
    uint64_t first_ns = pacer_deadline(pacer);
    pacer_advance(pacer, 60);
    assert_in_range(pacer_deadline(pacer) - first_ns, NS_PER_SECOND / 7, NS_PER_SECOND / 7 + 1);
    pacer_free(pacer);
}

static void test_a_change_while_paused_counts_from_the_pause(void **state)
{
    (void)state;
    struct pace_shape shape = {.rate = frames(1000, 1), .duration_ns = FOREVER};
    const struct pace_rate faster = frames(4000, 1);
    struct pacer *pacer = started(&shape);
    pacer_advance(pacer, 60);
    assert_false(pacer_is_paused(pacer));
    pacer_pause(pacer, NOW + 200000);
    pacer_pause(pacer, NOW + 900000); /* it is paused already */
    assert_true(pacer_is_paused(pacer));
    pacer_set_rate(pacer, &faster, NOW + 700000);
    assert_int_equal(pacer_deadline(pacer), DEADLINE_NEVER);
    pacer_resume(pacer, NOW + 1200000);
    pacer_resume(pacer, NOW + 5000000); /* it goes already */
    assert_false(pacer_is_paused(pacer));
    for (uint64_t k = 0; k < 10; k++, pacer_advance(pacer, 60)) /* 800 of 1000 µs were left: 200 of 250 */
        assert_int_equal(pacer_deadline(pacer), NOW + 1200000 + 200000 + k * 250000);
    pacer_free(pacer);
}

/* What stood in the way of a frame when it was skipped counts: a length for a change of unit after it. */
static void test_a_skipped_length_counts_for_a_change_of_unit(void **state)
{
    (void)state;
    struct pace_shape shape = {.rate = frames(1000, 1), .duration_ns = FOREVER};
    struct pace_rate bits = bits_l1(1000000, 1);
    struct pacer *pacer = started(&shape);
    assert_int_equal(pacer_skip(pacer, NOW + 3500000, 1226), 4);
    assert_int_equal(pacer_deadline(pacer), NOW + 4000000);
    pacer_set_rate(pacer, &bits, NOW + 3500000); /* half of 1 ms, half of 10 ms */
    assert_int_equal(pacer_deadline(pacer), NOW + 3500000 + 5000000);
    pacer_free(pacer);
}

static void test_max_skips_whole_cycles(void **state)
{
    (void)state;
    struct pace_shape shape = {
        .rate = {PACE_MAX, {0, 1}}, .on_ns = 1000, .off_ns = 500, .duration_ns = 16000};
    struct pacer *pacer = started(&shape);
    assert_int_equal(pacer_skip(pacer, NOW + 999, 0), 0);
    assert_int_equal(pacer_deadline(pacer), NOW);
    for (uint64_t cycle = 1; cycle <= 10; cycle += 3) {
        /* anywhere between the end of one on-phase and that of a later one */
        pacer_skip(pacer, NOW + 1500 * (cycle - 1) + 1000 + cycle * 100, 0);
        assert_int_equal(pacer_deadline(pacer), NOW + 1500 * cycle);
        assert_int_equal(pacer_until(pacer), cycle == 10 ? NOW + 16000 : NOW + 1500 * cycle + 1000);
    }
    pacer_skip(pacer, NOW + 16000, 0);
    assert_int_equal(pacer_deadline(pacer), DEADLINE_NEVER);
    pacer_free(pacer);
    shape.on_ns = shape.off_ns = 0;
    pacer = started(&shape);
    pacer_skip(pacer, NOW + 15999, 0);
    assert_int_equal(pacer_deadline(pacer), NOW);
    assert_int_equal(pacer_until(pacer), NOW + 16000);
    pacer_skip(pacer, NOW + 16000, 0);
    assert_int_equal(pacer_deadline(pacer), DEADLINE_NEVER);
    assert_int_equal(pacer_end(pacer), NOW + 16000);
    assert_false(pacer_has_ended(pacer)); /* its trains are not over: it has none */
    pacer_free(pacer);
}

/* A frame in half an hour: no stretch of them is taken at once, and none is lost. */
static void test_skipping_at_very_slow_rates(void **state)
{
    (void)state;
    const struct ratio rates[] = {{1, 1099}, {1, 1100}, {1, 1800}, {3, 10007}};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct pace_shape shape = {.rate = {PACE_FRAMES, rates[i]}, .duration_ns = FOREVER};
        struct pacer *pacer = started(&shape);
        uint64_t taken = 0, before_ns = NOW + UINT64_C(1000000) * NS_PER_SECOND;
        while (pacer_deadline(pacer) < before_ns)
            taken += pacer_skip(pacer, before_ns, 60);
        assert_int_equal(pacer_deadline(pacer), NOW + time_of(taken, rates[i]));
        assert_true(NOW + time_of(taken - 1, rates[i]) < before_ns);
        pacer_free(pacer);
    }
}

static void test_random_arrivals_of_bits_and_with_pauses(void **state)
{
    (void)state;
    enum { FRAMES = 50000 };
    struct pace_shape shape = {.rate = bits_l1(10000000, 1),
                               .poisson = true,
                               .seed = 5,
                               .on_ns = 3000000,
                               .off_ns = 1000000,
                               .duration_ns = FOREVER};
    struct pacer *pacer = started(&shape);
    for (size_t k = 0; k < FRAMES; k++) {
        assert_true((pacer_deadline(pacer) - NOW) % 4000000 < 3000000); /* never while it is off */
        pacer_advance(pacer, 1226);                                     /* 10,000 bits: 1 ms */
    }
    double mean = (double)(pacer_deadline(pacer) - NOW) / FRAMES;
    assert_true(mean > 1333333 * 0.98 && mean < 1333333 * 1.02); /* 4.5 standard errors */
    pacer_free(pacer);
}

/* Denominators without a common multiple in reach: each stair within one in 2^32 of its rate. */
static void test_stairs_of_odd_denominators(void **state)
{
    (void)state;
    struct pace_rate steps[] = {frames(UINT64_C(1000003) * 65521, 65521),
                                frames(UINT64_C(500009) * 65519, 65519), frames(12345677, 997),
                                frames(7654321, 65537), frames(9999991, 65539)};
    struct pace_shape shape = {.stairs = steps, .steps = 5, .stair_ns = 20000000, .duration_ns = FOREVER};
    struct pacer *pacer = started(&shape);
    double due = 0;
    for (size_t i = 0; i < 5; i++)
        due += 0.02 * (double)steps[i].per_second.num / (double)steps[i].per_second.den;
    uint64_t sent = 0;
    for (; pacer_deadline(pacer) < NOW + 100000000; sent++)
        pacer_advance(pacer, 60);
    assert_true((double)sent > due - 1 && (double)sent < due + 2);
    pacer_free(pacer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_frames_at_a_rate, setup),
        cmocka_unit_test_setup(test_bits_of_mixed_frames, setup),
        cmocka_unit_test(test_no_drift_over_a_thousand_million_frames),
        cmocka_unit_test(test_exactness_past_two_to_the_63_bytes),
        cmocka_unit_test(test_slow_rates_and_the_end_of_time),
        cmocka_unit_test(test_duration_is_a_bound_on_deadlines),
        cmocka_unit_test(test_trains_with_a_gap),
        cmocka_unit_test_setup(test_trains_from_a_mean_rate, setup),
        cmocka_unit_test_setup(test_on_and_off, setup),
        cmocka_unit_test_setup(test_stairs, setup),
        cmocka_unit_test_setup(test_ramps, setup),
        cmocka_unit_test(test_a_ramp_of_a_day_in_bits_stays_exact_to_a_nanosecond),
        cmocka_unit_test(test_random_arrivals_are_exponential_and_repeat_with_their_seed),
        cmocka_unit_test(test_random_gaps_are_the_seeds),
        cmocka_unit_test(test_random_arrivals_at_no_rate_never_come),
        cmocka_unit_test(test_a_rate_change_keeps_the_share_of_the_gap),
        cmocka_unit_test(test_a_change_of_unit_keeps_the_share_of_the_gap),
        cmocka_unit_test(test_deadlines_before_a_change_stand_at_the_old_rate),
        cmocka_unit_test(test_multipliers_replace_each_other),
        cmocka_unit_test(test_a_multiplier_bends_ramps_and_stairs),
        cmocka_unit_test(test_rate_zero_waits_for_a_rate),
        cmocka_unit_test(test_pause_moves_all_that_is_to_come),
        cmocka_unit_test_setup(test_skipping_counts_like_stepping, setup),
        cmocka_unit_test(test_max_has_windows_only),
        cmocka_unit_test(test_a_multiplier_at_the_start_is_another_shape),
        cmocka_unit_test(test_a_rate_change_of_trains),
        cmocka_unit_test(test_a_rate_takes_a_given_gap_away),
        cmocka_unit_test(test_a_multiplier_within_a_ramp_and_stairs),
        cmocka_unit_test(test_a_rate_ends_ramps_and_stairs),
        cmocka_unit_test(test_changes_before_the_next_frame_are_one),
        cmocka_unit_test(test_a_change_while_paused_counts_from_the_pause),
        cmocka_unit_test(test_a_skipped_length_counts_for_a_change_of_unit),
        cmocka_unit_test(test_max_skips_whole_cycles),
        cmocka_unit_test(test_skipping_at_very_slow_rates),
        cmocka_unit_test(test_random_arrivals_of_bits_and_with_pauses),
        cmocka_unit_test(test_stairs_of_odd_denominators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
