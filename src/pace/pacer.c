/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How deadlines are made.
 *
 *   frame ─► step of the shape's kind ─► change asked for meanwhile? ─► off-phase? ─► past the end? ─►
 * deadline (rate, stairs, ramp,        └───────────────────────── settle() ──────────────────────┘ trains,
 * random, max)
 *
 * While nothing of that can come between, that is before limit_ns, a constant rate takes one exact step and
 * nothing else (beat.h): one cache line a stream. Everything else is reached through the slow path, at most
 * once for each frame of shapes that bend, and once for each boundary of those that do not. */
#include "pace/pacer.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/clock.h"
#include "pace/beat.h"
#include "pace/ramp.h"

/* An exponential variate has 24 bits behind its point. */
enum { RANDOM_BITS = 24 };
/* pacer_skip takes so many single steps or stretches at most. */
enum { SKIP_MOST = 1024 };

enum kind { KIND_RATE, KIND_RANDOM, KIND_STAIRS, KIND_RAMP, KIND_TRAINS, KIND_MAX };

struct change {
    bool pending, has_rate;
    uint64_t at_ns;
    struct pace_rate rate;
    struct ratio multiplier;
};

struct pacer {
    /* What a frame at a constant rate touches: one cache line. */
    uint64_t deadline_ns; /* DEADLINE_NEVER while held */
    uint64_t limit_ns;    /* below it a deadline needs no settling; 0: each one does */
    struct beat beat;     /* of trains: inside a train */

    const struct pace_shape *shape; /* borrowed */
    uint64_t held_ns;               /* the next deadline while paused or past the end */
    uint64_t begin_ns, end_ns;
    uint64_t paused_at_ns;
    enum kind kind;
    bool is_paused, is_held, trains_over;
    struct pace_rate rate; /* in force, without the multiplier */
    struct ratio multiplier;
    struct change change;
    uint64_t gate_close_ns; /* on/off: when the on-phase of the next deadline ends */
    uint64_t stair_end_ns;
    uint32_t stair;
    uint64_t random;
    uint64_t train_left, trains_left; /* frames of this train, trains after it */
    bool gap_is_given;
    uint64_t train_gap_ns;
    struct beat mean; /* trains from a mean rate: when the next one begins */
    uint64_t next_train_ns;
    struct ramp ramp;
};

_Static_assert(offsetof(struct pacer, shape) == 64, "a frame at a constant rate touches one cache line");

/* ---- random gaps ---- */

/* ln(1 + i / 128) × 2^32 */
static const uint32_t logarithms[] = {
    0u,          33424039u,   66589974u,   99501762u,   132163268u,  164578269u,  196750459u,  228683449u,
    260380768u,  291845871u,  323082134u,  354092863u,  384881291u,  415450582u,  445803834u,  475944079u,
    505874286u,  535597362u,  565116154u,  594433450u,  623551984u,  652474432u,  681203418u,  709741511u,
    738091233u,  766255054u,  794235396u,  822034634u,  849655098u,  877099072u,  904368797u,  931466472u,
    958394255u,  985154263u,  1011748572u, 1038179224u, 1064448219u, 1090557523u, 1116509066u, 1142304743u,
    1167946415u, 1193435910u, 1218775023u, 1243965519u, 1269009132u, 1293907562u, 1318662486u, 1343275546u,
    1367748360u, 1392082518u, 1416279581u, 1440341085u, 1464268541u, 1488063435u, 1511727226u, 1535261353u,
    1558667227u, 1581946239u, 1605099758u, 1628129128u, 1651035675u, 1673820701u, 1696485489u, 1719031300u,
    1741459379u, 1763770948u, 1785967210u, 1808049353u, 1830018543u, 1851875930u, 1873622647u, 1895259807u,
    1916788510u, 1938209838u, 1959524856u, 1980734614u, 2001840147u, 2022842474u, 2043742599u, 2064541513u,
    2085240191u, 2105839594u, 2126340670u, 2146744353u, 2167051565u, 2187263213u, 2207380193u, 2227403387u,
    2247333665u, 2267171887u, 2286918897u, 2306575533u, 2326142616u, 2345620959u, 2365011363u, 2384314620u,
    2403531508u, 2422662797u, 2441709246u, 2460671605u, 2479550612u, 2498346998u, 2517061482u, 2535694775u,
    2554247578u, 2572720585u, 2591114477u, 2609429930u, 2627667611u, 2645828176u, 2663912276u, 2681920551u,
    2699853634u, 2717712152u, 2735496721u, 2753207951u, 2770846446u, 2788412798u, 2805907598u, 2823331424u,
    2840684851u, 2857968445u, 2875182766u, 2892328366u, 2909405794u, 2926415587u, 2943358281u, 2960234402u,
    2977044472u,
};

static uint64_t random_next(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* −ln of a uniform variate × 2^RANDOM_BITS: exponent and, between neighbours of the table, mantissa. */
static uint64_t random_exponential(uint64_t *state)
{
    enum { INDEX_BITS = 7, BETWEEN_BITS = 32 };
    uint64_t uniform = random_next(state) | 1;
    int exponent = __builtin_clzll(uniform);
    uint64_t mantissa = uniform << exponent << 1; /* behind the leading one */
    uint32_t index = (uint32_t)(mantissa >> (64 - INDEX_BITS));
    uint64_t between = mantissa << INDEX_BITS >> (64 - BETWEEN_BITS);
    uint64_t step = logarithms[index + 1] - logarithms[index];
    uint64_t logarithm = logarithms[index] + (step * between >> BETWEEN_BITS);
    uint64_t all = (uint64_t)(exponent + 1) * logarithms[1 << INDEX_BITS] - logarithm;
    return all >> (32 - RANDOM_BITS);
}

/* ---- steps: each kind moves the deadline on by one frame ---- */

static void step_rate(struct pacer *pacer, uint32_t frame_bytes)
{
    if (pacer->beat.slope == 0)
        pacer->deadline_ns = DEADLINE_NEVER;
    else
        pacer->deadline_ns =
            time_add(pacer->deadline_ns, beat_step(&pacer->beat, beat_units(&pacer->beat, frame_bytes)));
}

static void step_random(struct pacer *pacer, uint32_t frame_bytes)
{
    uint64_t units = beat_units(&pacer->beat, frame_bytes) * random_exponential(&pacer->random);
    if (pacer->beat.slope == 0)
        pacer->deadline_ns = DEADLINE_NEVER;
    else
        pacer->deadline_ns = time_add(pacer->deadline_ns, beat_step(&pacer->beat, units));
}

/* The rate of a stair in 1/den, where den is common to all of them. */
static struct ratio stair_rate(const struct pacer *pacer, uint32_t stair)
{
    return ratio_times(pacer->shape->stairs[stair].per_second, pacer->multiplier);
}

static uint128 stairs_cost(const struct pacer *pacer, uint64_t *den)
{
    uint64_t common = 1;
    for (uint32_t i = 0; i < pacer->shape->steps; i++) {
        uint64_t more, own = stair_rate(pacer, i).den;
        uint64_t factor = ratio_fit(own, common).num; /* own / gcd */
        if (!__builtin_mul_overflow(common, factor, &more) && more >> 32 == 0)
            common = more;
    }
    *den = common;
    return (uint128)common * NS_PER_SECOND;
}

/* Rates whose denominators have no common multiple in reach are rounded to one 2^32th of a unit a second. */
static uint64_t stair_slope(const struct pacer *pacer, uint32_t stair, uint64_t den)
{
    struct ratio rate = stair_rate(pacer, stair);
    uint128 slope = (uint128)rate.num * den / rate.den;
    return slope >> 63 != 0 ? UINT64_MAX >> 1 : (uint64_t)slope;
}

static void stairs_load(struct pacer *pacer, uint32_t stair)
{
    uint64_t den;
    uint128 cost = stairs_cost(pacer, &den);
    uint64_t rest = pacer->beat.rest;
    pacer->stair = stair;
    pacer->stair_end_ns = stair + 1 < pacer->shape->steps
                              ? time_add(pacer->begin_ns, (uint64_t)(stair + 1) * pacer->shape->stair_ns)
                              : DEADLINE_NEVER;
    beat_load_slope(&pacer->beat, cost, stair_slope(pacer, stair, den));
    pacer->beat.rest = rest;
    pacer->rate = pacer->shape->stairs[stair];
}

/* Spends work (in the stairs' common cost) from the deadline on, over as many stairs as it takes. */
static void stairs_spend(struct pacer *pacer, uint128 work)
{
    uint64_t from_ns = pacer->deadline_ns;
    for (;;) {
        uint64_t slope = pacer->beat.slope;
        bool is_last = pacer->stair_end_ns == DEADLINE_NEVER;
        uint128 room = (uint128)slope * (pacer->stair_end_ns - from_ns);
        if (slope > 0 && (work < room || is_last)) {
            uint128 time_ns = work / slope;
            pacer->beat.rest = (uint64_t)(work % slope);
            pacer->deadline_ns = time_ns >> 64 != 0 ? DEADLINE_NEVER : time_add(from_ns, (uint64_t)time_ns);
            return;
        }
        if (is_last) {
            pacer->deadline_ns = DEADLINE_NEVER;
            return;
        }
        work -= room;
        from_ns = pacer->stair_end_ns;
        stairs_load(pacer, pacer->stair + 1);
    }
}

static void step_stairs(struct pacer *pacer, uint32_t frame_bytes)
{
    uint64_t den;
    uint64_t units = beat_units(&pacer->beat, frame_bytes);
    if (pacer->deadline_ns != DEADLINE_NEVER)
        stairs_spend(pacer, stairs_cost(pacer, &den) * units + pacer->beat.rest);
}

static void step_ramp(struct pacer *pacer, uint32_t frame_bytes)
{
    ramp_step(&pacer->ramp, beat_units(&pacer->beat, frame_bytes));
    pacer->deadline_ns = time_add(pacer->begin_ns, pacer->ramp.at_ns);
}

static void step_trains(struct pacer *pacer, uint32_t frame_bytes)
{
    uint64_t units = beat_units(&pacer->beat, frame_bytes);
    pacer->deadline_ns = time_add(pacer->deadline_ns, beat_step(&pacer->beat, units));
    if (!pacer->gap_is_given) {
        uint64_t more = pacer->mean.slope == 0
                            ? DEADLINE_NEVER
                            : beat_step(&pacer->mean, beat_units(&pacer->mean, frame_bytes));
        pacer->next_train_ns = time_add(pacer->next_train_ns, more);
    }
    if (--pacer->train_left > 0)
        return;
    if (pacer->gap_is_given) {
        pacer->deadline_ns = time_add(pacer->deadline_ns, pacer->train_gap_ns);
    } else {
        pacer->beat.rest = 0;
        if (pacer->deadline_ns < pacer->next_train_ns)
            pacer->deadline_ns = pacer->next_train_ns;
    }
    pacer->train_left = pacer->shape->burst_frames;
    if (pacer->trains_left > 0 && --pacer->trains_left == 0)
        pacer->trains_over = true;
}

static void step_max(struct pacer *pacer, uint32_t frame_bytes)
{
    (void)pacer;
    (void)frame_bytes;
}

static void (*const steps[])(struct pacer *pacer, uint32_t frame_bytes) = {
    [KIND_RATE] = step_rate, [KIND_RANDOM] = step_random, [KIND_STAIRS] = step_stairs,
    [KIND_RAMP] = step_ramp, [KIND_TRAINS] = step_trains, [KIND_MAX] = step_max,
};

/* ---- changes ---- */

static struct ratio rate_in_force(const struct pacer *pacer)
{
    if (pacer->kind == KIND_RAMP)
        return ramp_rate(&pacer->ramp);
    return ratio_times(pacer->rate.per_second, pacer->multiplier);
}

static uint64_t unit_count(enum pace_unit unit, uint32_t frame_bytes)
{
    uint16_t extra = beat_extra_bytes(unit);
    return extra == 0 ? 1 : ((uint64_t)frame_bytes + extra) * 8;
}

static void load_rate(const struct pacer *pacer, struct beat *beat, uint8_t fraction_bits)
{
    struct pace_rate rate = pacer->rate;
    rate.per_second = ratio_times(rate.per_second, pacer->multiplier);
    beat_load(beat, &rate, fraction_bits);
}

/* Loads what the kind needs for the rate and multiplier in force; accumulated rests go to zero. */
static void load(struct pacer *pacer)
{
    const struct pace_shape *shape = pacer->shape;
    switch (pacer->kind) {
    case KIND_RATE:
        load_rate(pacer, &pacer->beat, 0);
        break;
    case KIND_RANDOM:
        load_rate(pacer, &pacer->beat, RANDOM_BITS);
        break;
    case KIND_STAIRS:
        pacer->beat.rest = 0;
        pacer->beat.extra_bytes = beat_extra_bytes(shape->stairs[0].unit);
        break;
    case KIND_RAMP:
        pacer->beat.extra_bytes = beat_extra_bytes(shape->ramp_from.unit);
        ramp_load(&pacer->ramp, ratio_times(shape->ramp_from.per_second, pacer->multiplier),
                  ratio_times(shape->ramp_to.per_second, pacer->multiplier), shape->ramp_over_ns);
        break;
    case KIND_TRAINS:
        if (pacer->gap_is_given)
            pacer->train_gap_ns =
                time_scale(shape->burst_gap_ns, (struct ratio){pacer->multiplier.den, pacer->multiplier.num});
        else
            load_rate(pacer, &pacer->mean, 0);
        break;
    case KIND_MAX:
        break;
    }
}

/* Finds the stair of the deadline. */
static void stairs_enter(struct pacer *pacer)
{
    uint64_t index = (pacer->deadline_ns - pacer->begin_ns) / pacer->shape->stair_ns;
    uint32_t last = pacer->shape->steps - 1;
    stairs_load(pacer, index < last ? (uint32_t)index : last);
    stairs_spend(pacer, pacer->beat.rest);
}

static enum kind kind_of_shape(const struct pace_shape *shape)
{
    if (shape->burst_frames > 0)
        return KIND_TRAINS;
    if (shape->steps > 0)
        return KIND_STAIRS;
    if (shape->ramp_over_ns > 0)
        return KIND_RAMP;
    if (shape->rate.unit == PACE_MAX)
        return KIND_MAX;
    return shape->poisson ? KIND_RANDOM : KIND_RATE;
}

static void take_rate(struct pacer *pacer, const struct pace_rate *rate)
{
    pacer->rate = *rate;
    pacer->gap_is_given = false;
    if (pacer->kind == KIND_TRAINS)
        return;
    if (rate->unit == PACE_MAX)
        pacer->kind = KIND_MAX;
    else
        pacer->kind = pacer->shape->poisson ? KIND_RANDOM : KIND_RATE;
}

/* What one frame costs in time, as a share of a second per unit of its rate; for trains with a given gap only
 * the multiplier counts. */
static struct ratio gap_of(const struct pacer *pacer, struct ratio *rate)
{
    if (pacer->kind == KIND_TRAINS && pacer->gap_is_given) {
        *rate = pacer->multiplier;
        return (struct ratio){1, 1};
    }
    *rate = rate_in_force(pacer);
    enum pace_unit unit = pacer->kind == KIND_RAMP ? pacer->shape->ramp_from.unit : pacer->rate.unit;
    return (struct ratio){unit_count(unit, pacer->beat.last_bytes), 1};
}

static uint64_t later_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* What is left of the running gap after from_ns, made longer or shorter. */
static uint64_t stretch(uint64_t time_ns, uint64_t from_ns, struct ratio by)
{
    return time_ns > from_ns ? time_add(from_ns, time_scale(time_ns - from_ns, by)) : time_ns;
}

static void retime(struct pacer *pacer, uint64_t from_ns, struct ratio by)
{
    if (pacer->kind == KIND_TRAINS) {
        bool between = pacer->train_left == pacer->shape->burst_frames;
        pacer->next_train_ns = stretch(pacer->next_train_ns, from_ns, by);
        if (!between)
            return;
    }
    pacer->deadline_ns = stretch(pacer->deadline_ns, from_ns, by);
    if (pacer->kind == KIND_TRAINS)
        pacer->next_train_ns = pacer->deadline_ns;
}

static void apply_change(struct pacer *pacer)
{
    const struct change *change = &pacer->change;
    uint64_t from_ns = later_of(change->at_ns, pacer->begin_ns);
    if (pacer->shape->on_ns > 0)
        from_ns = later_of(from_ns, pacer->gate_close_ns - pacer->shape->on_ns);
    bool was_max = pacer->kind == KIND_MAX || pacer->deadline_ns == DEADLINE_NEVER;
    struct ratio old_rate, new_rate, old_units = {1, 1};
    if (!was_max)
        old_units = gap_of(pacer, &old_rate);
    if (change->has_rate)
        take_rate(pacer, &change->rate);
    pacer->multiplier = change->multiplier;
    pacer->change.pending = false;
    load(pacer);
    if (was_max || pacer->kind == KIND_MAX) {
        pacer->deadline_ns = from_ns;
        return;
    }
    struct ratio new_units = gap_of(pacer, &new_rate);
    struct ratio longer = new_rate.num == 0 ? (struct ratio){1, 0}
                                            : ratio_fit((uint128)old_rate.num * new_rate.den,
                                                        (uint128)old_rate.den * new_rate.num);
    if (new_units.num != old_units.num)
        longer = ratio_times(longer, (struct ratio){new_units.num, old_units.num});
    retime(pacer, from_ns, longer);
    if (pacer->kind == KIND_RAMP)
        pacer->ramp.at_ns = pacer->deadline_ns - pacer->begin_ns;
    if (pacer->kind == KIND_STAIRS && pacer->deadline_ns != DEADLINE_NEVER)
        stairs_enter(pacer);
}

/* ---- what may come between a step and its deadline ---- */

static void pass_gate(struct pacer *pacer)
{
    const struct pace_shape *shape = pacer->shape;
    if (shape->on_ns == 0 || pacer->deadline_ns < pacer->gate_close_ns ||
        pacer->deadline_ns == DEADLINE_NEVER)
        return;
    uint64_t phases = (pacer->deadline_ns - pacer->gate_close_ns) / shape->on_ns + 1;
    uint64_t off_ns = time_scale(shape->off_ns, (struct ratio){phases, 1});
    pacer->deadline_ns = time_add(pacer->deadline_ns, off_ns);
    pacer->gate_close_ns =
        time_add(time_add(pacer->gate_close_ns, off_ns), time_scale(shape->on_ns, (struct ratio){phases, 1}));
}

static uint64_t least_limit(const struct pacer *pacer)
{
    uint64_t least = pacer->end_ns;
    if ((pacer->kind != KIND_RATE && pacer->kind != KIND_STAIRS) || pacer->beat.slope == 0)
        return 0;
    if (pacer->shape->on_ns > 0 && pacer->gate_close_ns < least)
        least = pacer->gate_close_ns;
    if (pacer->change.pending && pacer->change.at_ns < least)
        least = pacer->change.at_ns;
    if (pacer->kind == KIND_STAIRS && pacer->stair_end_ns < least)
        least = pacer->stair_end_ns;
    return least;
}

static void settle(struct pacer *pacer)
{
    if (pacer->change.pending && pacer->deadline_ns >= pacer->change.at_ns)
        apply_change(pacer);
    pass_gate(pacer);
    pacer->limit_ns = least_limit(pacer);
    pacer->is_held = pacer->is_paused || pacer->trains_over || pacer->deadline_ns >= pacer->end_ns;
    if (pacer->is_held) {
        pacer->held_ns = pacer->deadline_ns;
        pacer->deadline_ns = DEADLINE_NEVER;
    }
}

static void release(struct pacer *pacer)
{
    if (pacer->is_held)
        pacer->deadline_ns = pacer->held_ns;
    pacer->is_held = false;
}

/* ---- the contract ---- */

struct pacer *pacer_new(const struct pace_shape *shape)
{
    struct pacer *pacer = NULL;
    if (posix_memalign((void **)&pacer, 64, sizeof *pacer) != 0)
        return NULL;
    *pacer = (struct pacer){.shape = shape, .deadline_ns = DEADLINE_NEVER, .end_ns = DEADLINE_NEVER};
    return pacer;
}

void pacer_free(struct pacer *pacer)
{
    free(pacer);
}

void pacer_start(struct pacer *pacer, uint64_t now_ns)
{
    const struct pace_shape *shape = pacer->shape;
    *pacer = (struct pacer){.shape = shape, .kind = kind_of_shape(shape), .rate = shape->rate};
    pacer->multiplier = (struct ratio){1, 1};
    pacer->begin_ns = time_add(now_ns, shape->delay_ns);
    pacer->end_ns = time_add(pacer->begin_ns, shape->duration_ns);
    pacer->deadline_ns = time_add(pacer->begin_ns, shape->phase_ns);
    pacer->gate_close_ns = time_add(pacer->begin_ns, shape->on_ns);
    pacer->random = shape->seed;
    pacer->train_left = shape->burst_frames;
    pacer->trains_left = shape->bursts;
    pacer->gap_is_given = shape->burst_gap_ns > 0;
    pacer->next_train_ns = pacer->deadline_ns;
    pacer->ramp.at_ns = shape->phase_ns;
    load(pacer);
    if (pacer->kind == KIND_TRAINS && shape->burst_rate.unit == PACE_MAX)
        beat_load_instant(&pacer->beat);
    else if (pacer->kind == KIND_TRAINS)
        beat_load(&pacer->beat, &shape->burst_rate, 0);
    if (pacer->kind == KIND_STAIRS)
        stairs_enter(pacer);
    if (pacer->kind != KIND_RAMP && pacer->kind != KIND_MAX && pacer->beat.slope == 0)
        pacer->deadline_ns = DEADLINE_NEVER;
    settle(pacer);
}

uint64_t pacer_deadline(const struct pacer *pacer)
{
    return pacer->deadline_ns;
}

void pacer_advance(struct pacer *pacer, uint32_t frame_bytes)
{
    struct beat *beat = &pacer->beat;
    if (pacer->limit_ns > 0) {
        uint64_t rest = beat->rest;
        uint64_t next_ns = time_add(pacer->deadline_ns, beat_step(beat, beat_units(beat, frame_bytes)));
        if (next_ns < pacer->limit_ns) {
            pacer->deadline_ns = next_ns;
            beat->last_bytes = frame_bytes;
            return;
        }
        beat->rest = rest;
    }
    beat->last_bytes = frame_bytes;
    steps[pacer->kind](pacer, frame_bytes);
    settle(pacer);
}

/* As many frames at once as have deadlines before a time and keep the next one below limit_ns, less one. */
static uint64_t skip_stretch(struct pacer *pacer, uint64_t before_ns, uint32_t frame_bytes)
{
    const uint64_t longest_ns = UINT64_C(1) << 40;
    struct beat *beat = &pacer->beat;
    if (before_ns > pacer->limit_ns)
        before_ns = pacer->limit_ns;
    if (before_ns - pacer->deadline_ns > longest_ns)
        before_ns = pacer->deadline_ns + longest_ns;
    if (beat->step_ns > longest_ns)
        return 0;
    uint128 work = ((uint128)beat->step_ns * beat->slope + beat->step_rest) * beat_units(beat, frame_bytes);
    uint128 room = (uint128)(before_ns - pacer->deadline_ns) * beat->slope - beat->rest;
    uint128 frames = (room - 1) / work;
    work = work * frames + beat->rest;
    pacer->deadline_ns += (uint64_t)(work / beat->slope);
    beat->rest = (uint64_t)(work % beat->slope);
    return (uint64_t)frames;
}

/* At rate max no frame is due at any time; only the on-phases that are over go by. */
static void skip_phases(struct pacer *pacer, uint64_t before_ns)
{
    const struct pace_shape *shape = pacer->shape;
    if (before_ns < pacer_until(pacer))
        return;
    if (shape->on_ns > 0) {
        uint64_t cycle_ns = time_add(shape->on_ns, shape->off_ns);
        uint64_t cycles = (before_ns - pacer->gate_close_ns) / cycle_ns + 1;
        pacer->gate_close_ns =
            time_add(pacer->gate_close_ns, time_scale(cycle_ns, (struct ratio){cycles, 1}));
        pacer->deadline_ns = pacer->gate_close_ns - shape->on_ns;
    } else {
        pacer->deadline_ns = pacer->end_ns;
    }
    settle(pacer);
}

uint64_t pacer_skip(struct pacer *pacer, uint64_t before_ns, uint32_t frame_bytes)
{
    uint64_t skipped = 0;
    if (pacer->kind == KIND_MAX) {
        skip_phases(pacer, before_ns);
        return 0;
    }
    for (int i = 0; i < SKIP_MOST && pacer->deadline_ns < before_ns; i++) {
        if (pacer->limit_ns > 0)
            skipped += skip_stretch(pacer, before_ns, frame_bytes);
        pacer_advance(pacer, frame_bytes);
        skipped++;
    }
    return skipped;
}

static void change(struct pacer *pacer, const struct change *what)
{
    struct change merged = *what;
    release(pacer);
    if (pacer->change.pending) { /* nothing was taken between the two: they are one */
        merged.at_ns = pacer->change.at_ns;
        if (!merged.has_rate) {
            merged.has_rate = pacer->change.has_rate;
            merged.rate = pacer->change.rate;
        }
    }
    if (pacer->is_paused)
        merged.at_ns = pacer->paused_at_ns;
    merged.pending = true;
    pacer->change = merged;
    bool no_deadlines = pacer->kind == KIND_MAX || (merged.has_rate && merged.rate.unit == PACE_MAX);
    if (no_deadlines && pacer->kind != KIND_TRAINS)
        apply_change(pacer);
    settle(pacer);
}

void pacer_set_rate(struct pacer *pacer, const struct pace_rate *rate, uint64_t now_ns)
{
    struct ratio multiplier = pacer->change.pending ? pacer->change.multiplier : pacer->multiplier;
    change(pacer,
           &(struct change){.has_rate = true, .rate = *rate, .at_ns = now_ns, .multiplier = multiplier});
}

void pacer_set_multiplier(struct pacer *pacer, struct ratio multiplier, uint64_t now_ns)
{
    change(pacer, &(struct change){.at_ns = now_ns, .multiplier = multiplier});
}

void pacer_pause(struct pacer *pacer, uint64_t now_ns)
{
    if (pacer->is_paused)
        return;
    release(pacer);
    pacer->is_paused = true;
    pacer->paused_at_ns = now_ns;
    settle(pacer);
}

void pacer_resume(struct pacer *pacer, uint64_t now_ns)
{
    if (!pacer->is_paused)
        return;
    uint64_t stood_ns = now_ns - pacer->paused_at_ns;
    uint64_t *const times[] = {&pacer->deadline_ns,   &pacer->begin_ns,     &pacer->end_ns,
                               &pacer->gate_close_ns, &pacer->stair_end_ns, &pacer->next_train_ns,
                               &pacer->change.at_ns};
    release(pacer);
    pacer->is_paused = false;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        *times[i] = time_add(*times[i], stood_ns);
    settle(pacer);
}

bool pacer_is_paused(const struct pacer *pacer)
{
    return pacer->is_paused;
}

uint64_t pacer_end(const struct pacer *pacer)
{
    return pacer->end_ns;
}

bool pacer_has_ended(const struct pacer *pacer)
{
    return pacer->trains_over;
}

bool pacer_is_max(const struct pacer *pacer)
{
    return pacer->kind == KIND_MAX;
}

uint64_t pacer_until(const struct pacer *pacer)
{
    bool gated = pacer->shape->on_ns > 0 && pacer->gate_close_ns < pacer->end_ns;
    return gated ? pacer->gate_close_ns : pacer->end_ns;
}

bool pacer_in_train(const struct pacer *pacer)
{
    return pacer->kind == KIND_TRAINS && pacer->train_left < pacer->shape->burst_frames;
}

bool pacer_has_trains(const struct pacer *pacer)
{
    return pacer->kind == KIND_TRAINS;
}
