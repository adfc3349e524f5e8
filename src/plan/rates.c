/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much a stream sends, in any unit; what a port's streams ask for together; and the shape of one stream's
 * part on a known link.
 *
 * Rates of different units meet at L1 bits a second, through the mean length of a stream's frames. A percent
 * is not known before the link is: UNKNOWN. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "pace/beat.h"
#include "plan/whole.h"

#define UNKNOWN (UINT64_MAX - 1) /* a percent of an unknown link */
#define MAXIMUM UINT64_MAX

/* ---- one rate ---- */

/* Mean bits of a frame in a unit; 1 for frames. */
static struct ratio mean_units(const struct plan_stream *stream, enum pace_unit unit)
{
    uint64_t bytes, frames;
    uint16_t extra = beat_extra_bytes(unit);
    if (extra == 0)
        return (struct ratio){1, 1};
    packet_mean(stream->packet, &bytes, &frames);
    return ratio_fit(((uint128)bytes + (uint128)extra * frames) * 8, frames);
}

static uint64_t whole_part(struct ratio ratio)
{
    return ratio.den == 0 ? 0 : ratio.num / ratio.den;
}

uint64_t plan_rate_in(const struct plan_stream *stream, const struct pace_rate *rate, enum pace_unit unit)
{
    if (rate->unit == PACE_MAX)
        return MAXIMUM;
    struct ratio own = mean_units(stream, rate->unit), wanted = mean_units(stream, unit);
    struct ratio per_frame = ratio_fit((uint128)wanted.num * own.den, (uint128)wanted.den * own.num);
    return whole_part(ratio_times(rate->per_second, per_frame));
}

static uint64_t rate_bit(const struct plan_stream *stream, const struct pace_rate *rate)
{
    return plan_rate_in(stream, rate, PACE_BITS_L1);
}

int plan_resolve_rate(const struct rate *rate, uint64_t link_bit, struct pace_rate *out, struct err *err)
{
    static const enum pace_unit units[] = {
        [RATE_MAX] = PACE_MAX,        [RATE_PPS] = PACE_FRAMES,      [RATE_BIT_L1] = PACE_BITS_L1,
        [RATE_BIT_L2] = PACE_BITS_L2, [RATE_PERCENT] = PACE_BITS_L1,
    };
    struct pace_rate resolved = {units[rate->kind], rate->value};
    if (rate->kind == RATE_PERCENT) {
        char text[48];
        if (link_bit == 0)
            return err_set(
                err, -EINVAL,
                "%s of a link whose speed is not known; write `speed` in the port, such as \"10Gbit\"",
                units_format_rate(*rate, text, sizeof text));
        resolved.per_second = ratio_times(rate->value, ratio_fit(link_bit, 100));
    }
    *out = resolved;
    return 0;
}

/* ---- one stream ---- */

/* The time of so many frames of mean length, rounded down. */
static uint64_t time_of_frames(const struct plan_stream *stream, const struct pace_rate *rate,
                               uint64_t frames)
{
    if (rate->unit == PACE_MAX)
        return 0;
    if (rate->per_second.num == 0)
        return DEADLINE_NEVER;
    struct ratio units = mean_units(stream, rate->unit);
    struct ratio per_frame =
        ratio_fit((uint128)units.num * rate->per_second.den, (uint128)units.den * rate->per_second.num);
    struct ratio seconds = ratio_times(per_frame, (struct ratio){frames, 1});
    return time_scale(NS_PER_SECOND, seconds);
}

/* The most that a stream asks for over more than a train: L1 bits a second, MAXIMUM or UNKNOWN. */
static uint64_t rate_bit_of(const struct plan_stream *stream, const struct rate *rate, uint64_t link_bit)
{
    struct pace_rate resolved;
    if (plan_resolve_rate(rate, link_bit, &resolved, NULL) != 0)
        return UNKNOWN;
    return rate_bit(stream, &resolved);
}

static uint64_t train_bit(const struct plan_stream *stream, uint64_t link_bit)
{
    const struct shape_spec *shape = &stream->spec->shape;
    struct pace_rate inside;
    if (plan_resolve_rate(&shape->burst_rate, link_bit, &inside, NULL) != 0)
        return UNKNOWN;
    uint64_t period_ns = time_add(shape->burst_gap_ns, time_of_frames(stream, &inside, shape->burst_frames));
    struct pace_rate mean = {PACE_FRAMES, ratio_fit((uint128)shape->burst_frames * NS_PER_SECOND, period_ns)};
    return rate_bit(stream, &mean);
}

static uint64_t greater(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t peak_bit(const struct plan_stream *stream, uint64_t link_bit)
{
    const struct shape_spec *shape = &stream->spec->shape;
    if (shape->has_burst && shape->burst_gap_ns > 0)
        return train_bit(stream, link_bit);
    if (shape->has_ramp)
        return greater(rate_bit_of(stream, &shape->ramp_from, link_bit),
                       rate_bit_of(stream, &shape->ramp_to, link_bit));
    if (!shape->has_stairs)
        return rate_bit_of(stream, &stream->rate, link_bit);
    uint64_t peak = 0;
    for (size_t i = 0; i < shape->steps; i++)
        peak = greater(peak, rate_bit_of(stream, &shape->stairs[i], link_bit));
    return peak;
}

/* Bits at L1 in another unit, for this stream's frames. */
static uint64_t bit_in(const struct plan_stream *stream, uint64_t bit, enum pace_unit unit)
{
    const struct pace_rate rate = {PACE_BITS_L1, {bit, 1}};
    return unit == PACE_BITS_L1 ? bit : plan_rate_in(stream, &rate, unit);
}

/* ---- all streams of a port ---- */

/* Streams of one chain never run together: each counts for the chain's first one, which holds the greatest.
 */
static uint32_t chain_of(uint32_t *chains, uint32_t stream)
{
    while (chains[stream] != stream)
        stream = chains[stream] = chains[chains[stream]];
    return stream;
}

static uint32_t *join_chains(const struct plan *plan)
{
    uint32_t *chains = malloc((plan->stream_count + (size_t)1) * sizeof *chains);
    if (chains == NULL)
        return NULL;
    for (uint32_t i = 0; i < plan->stream_count; i++)
        chains[i] = i;
    for (uint32_t i = 0; i < plan->stream_count; i++)
        if (plan->streams[i].next != PLAN_NONE)
            chains[chain_of(chains, i)] = chain_of(chains, plan->streams[i].next);
    return chains;
}

static void add_to_budget(const struct plan *plan, struct budget *budget, uint32_t port, uint32_t *chains,
                          uint64_t *peaks)
{
    uint64_t greatest = 0;
    for (uint32_t i = 0; i < plan->stream_count; i++) {
        const struct plan_stream *stream = &plan->streams[i];
        if (stream->port != port)
            continue;
        uint64_t bit = peak_bit(stream, budget->link_bit);
        if (bit == MAXIMUM)
            budget->max_streams++;
        if (bit == MAXIMUM || bit == UNKNOWN)
            continue;
        if (bit >= greatest) {
            greatest = bit;
            budget->greatest = i;
        }
        uint64_t *peak = &peaks[chain_of(chains, i)];
        if (bit <= *peak)
            continue;
        budget->sum_bit = time_add(budget->sum_bit, bit - *peak);
        budget->sum =
            time_add(budget->sum, bit_in(stream, bit, budget->unit) - bit_in(stream, *peak, budget->unit));
        *peak = bit;
    }
}

static struct budget budget_of(const struct plan *plan, uint32_t port, uint64_t link_bit)
{
    struct budget budget = {.link_bit = link_bit, .greatest = PLAN_NONE};
    struct pace_rate limit;
    uint32_t *chains = join_chains(plan);
    uint64_t *peaks = calloc(plan->stream_count + (size_t)1, sizeof *peaks);
    budget.unit = PACE_MAX;
    if (plan_resolve_rate(&plan->spec.safety.max_rate, link_bit, &limit, NULL) == 0 &&
        limit.unit != PACE_MAX) {
        budget.unit = limit.unit;
        budget.limit = whole_part(limit.per_second);
    }
    budget.known = chains != NULL && peaks != NULL;
    if (budget.known)
        add_to_budget(plan, &budget, port, chains, peaks);
    free(chains);
    free(peaks);
    return budget;
}

/* Not `known` when memory is out: then nobody may take what it says for what the streams ask for. */
static const struct budget *budget_for(const struct plan *plan, uint32_t port, uint64_t link_bit)
{
    struct budget *budget = &whole_of(plan)->budgets[port];
    if (!budget->known || budget->link_bit != link_bit)
        *budget = budget_of(plan, port, link_bit);
    return budget;
}

static char *bit_text(uint64_t bit, char *out, size_t size)
{
    return units_format_rate((struct rate){RATE_BIT_L1, {bit, 1}}, out, size);
}

static char *unit_text(uint64_t value, enum pace_unit unit, char *out, size_t size)
{
    enum rate_kind kind = unit == PACE_FRAMES ? RATE_PPS : unit == PACE_BITS_L2 ? RATE_BIT_L2 : RATE_BIT_L1;
    return units_format_rate((struct rate){kind, {value, 1}}, out, size);
}

int plan_check_port(const struct plan *plan, uint32_t port, uint64_t link_bit, struct err *err)
{
    char asked[48], limit[48];
    const struct budget *budget = budget_for(plan, port, link_bit);
    if (!budget->known)
        return err_set(err, -ENOMEM, "memory is out");
    if (budget->greatest == PLAN_NONE)
        return 0;
    const struct plan_stream *stream = &plan->streams[budget->greatest];
    uint64_t bit = peak_bit(stream, link_bit);
    if (link_bit != 0 && bit > link_bit)
        return err_set(err, -EINVAL, "stream %s asks for %s of a link of %s; lower its rate", stream->name,
                       bit_text(bit, asked, sizeof asked), bit_text(link_bit, limit, sizeof limit));
    if (budget->unit != PACE_MAX && budget->sum > budget->limit)
        return err_set(
            err, -EPERM,
            "the streams of port %s ask for %s together, and safety.max_rate is %s; lower their rates",
            plan->ports[port].spec->name, unit_text(budget->sum, budget->unit, asked, sizeof asked),
            unit_text(budget->limit, budget->unit, limit, sizeof limit));
    return 0;
}

/* ---- checks of the file ---- */

static const struct node *rate_node(const struct plan_stream *stream)
{
    static const char *const keys[] = {"ramp", "stairs", "rate", "gap", "burst"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct node *node = node_find(stream->spec->at, keys[i]);
        if (node != NULL)
            return node;
    }
    return stream->spec->at;
}

static void check_link(const struct plan *plan, const struct plan_port *port, const struct budget *budget,
                       struct complaints *complaints)
{
    char asked[48], limit[48];
    const struct plan_stream *stream = &plan->streams[budget->greatest];
    const struct node *speed = node_find(port->spec->at, "speed");
    uint64_t bit = peak_bit(stream, budget->link_bit);
    bit_text(port->spec->speed_bit, limit, sizeof limit);
    if (bit > port->spec->speed_bit)
        complain(complaints, rate_node(stream),
                 "is %s, and port %s has a speed of %s (%s); lower the rate or write the link's speed",
                 bit_text(bit, asked, sizeof asked), port->spec->name, limit, speed->where);
    else if (budget->sum_bit > port->spec->speed_bit)
        complain_warn(complaints, port->spec->at,
                      "its streams ask for %s together and its speed is %s (%s); what does not fit is missed",
                      bit_text(budget->sum_bit, asked, sizeof asked), limit, speed->where);
}

static void check_limit(const struct whole *whole, const struct plan_port *port, const struct budget *budget,
                        struct complaints *complaints)
{
    char asked[48], limit[48];
    const struct plan *plan = &whole->plan;
    const struct node *greatest = rate_node(&plan->streams[budget->greatest]);
    const struct whole *file = whole->base != NULL ? whole->base : whole;
    const struct node *safety = node_find(tree_root(file->tree), "safety");
    const struct node *max_rate = safety != NULL ? node_find(safety, "max_rate") : NULL;
    if (budget->unit == PACE_MAX || budget->sum <= budget->limit)
        return;
    complain(complaints, greatest,
             "the streams of port %s ask for %s together, this one the most, and safety.max_rate is %s (%s); "
             "lower the rates or raise the limit",
             port->spec->name, unit_text(budget->sum, budget->unit, asked, sizeof asked),
             unit_text(budget->limit, budget->unit, limit, sizeof limit),
             max_rate != NULL ? max_rate->where : "default");
}

/* A train must be over before the next one begins. */
static void check_train(const struct plan_stream *stream, uint64_t link_bit, struct complaints *complaints)
{
    const struct shape_spec *shape = &stream->spec->shape;
    struct pace_rate mean, inside;
    char long_text[48], period_text[48];
    if (!shape->has_burst || shape->burst_gap_ns > 0 || stream->rate.kind == shape->burst_rate.kind ||
        stream->rate.kind == RATE_MAX || plan_resolve_rate(&stream->rate, link_bit, &mean, NULL) != 0 ||
        plan_resolve_rate(&shape->burst_rate, link_bit, &inside, NULL) != 0)
        return;
    const struct node *burst = node_find(stream->spec->at, "burst");
    uint64_t long_ns = time_of_frames(stream, &inside, shape->burst_frames);
    uint64_t period_ns = time_of_frames(stream, &mean, shape->burst_frames);
    if (long_ns > period_ns)
        complain(
            complaints, burst,
            "a train takes %s, and one begins every %s by the rate (%s); raise burst.rate or lower the rate",
            units_format_time(long_ns, long_text, sizeof long_text),
            units_format_time(period_ns, period_text, sizeof period_text), rate_node(stream)->where);
}

static void check_stairs(const struct plan_stream *stream, struct complaints *complaints)
{
    const struct shape_spec *shape = &stream->spec->shape;
    const struct node *stairs = node_find(stream->spec->at, "stairs");
    bool any = false;
    if (!shape->has_stairs || stairs == NULL || shape->steps == 0)
        return;
    for (size_t i = 0; i < shape->steps; i++) {
        any |= shape->stairs[i].value.num > 0;
        if (shape->stairs[i].kind == RATE_MAX || shape->stairs[i].kind != shape->stairs[0].kind) {
            complain(complaints, node_find(stairs, "steps"),
                     "step %zu is %s the first one's unit; write all steps in one unit with numbers", i + 1,
                     shape->stairs[i].kind == RATE_MAX ? "max, not in" : "not in");
            return;
        }
    }
    if (!any)
        complain(complaints, node_find(stairs, "steps"), "never sends; write at least one rate above 0");
}

void plan_check_rates(const struct whole *whole, struct complaints *complaints)
{
    const struct plan *plan = &whole->plan;
    const struct stream_spec *last = NULL;
    for (uint32_t i = 0; i < plan->stream_count; i++) {
        const struct plan_stream *stream = &plan->streams[i];
        bool again = stream->spec == last;
        last = stream->spec;
        if (again || (whole->origins != NULL && whole->origins[i] != NULL))
            continue;
        check_train(stream, plan->ports[stream->port].spec->speed_bit, complaints);
        check_stairs(stream, complaints);
    }
    for (uint32_t port = 0; port < plan->port_count; port++) {
        const struct budget *budget = budget_for(plan, port, plan->ports[port].spec->speed_bit);
        if (!budget->known)
            complain_memory(complaints);
        if (budget->greatest == PLAN_NONE)
            continue;
        if (budget->link_bit != 0)
            check_link(plan, &plan->ports[port], budget, complaints);
        check_limit(whole, &plan->ports[port], budget, complaints);
    }
}

/* ---- phases: streams of one rate on one port are spread over their gap ---- */

struct spread {
    uint32_t stream, port;
    struct rate rate;
};

static int compare_spread(const void *a, const void *b)
{
    const struct spread *x = a, *y = b;
    const uint64_t keys[][2] = {{x->port, y->port},
                                {x->rate.kind, y->rate.kind},
                                {x->rate.value.num, y->rate.value.num},
                                {x->rate.value.den, y->rate.value.den},
                                {x->stream, y->stream}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i][0] != keys[i][1])
            return keys[i][0] < keys[i][1] ? -1 : 1;
    return 0;
}

static bool is_spread(const struct plan_stream *stream)
{
    const struct shape_spec *shape = &stream->spec->shape;
    return !stream->spec->has_phase && !shape->has_ramp && !shape->has_stairs &&
           stream->rate.kind != RATE_MAX;
}

static bool spread_together(const struct spread *a, const struct spread *b)
{
    return a->port == b->port && a->rate.kind == b->rate.kind && a->rate.value.num == b->rate.value.num &&
           a->rate.value.den == b->rate.value.den;
}

void plan_spread_phases(struct whole *whole)
{
    struct plan *plan = &whole->plan;
    size_t count = 0;
    struct spread *all = malloc((plan->stream_count + (size_t)1) * sizeof *all);
    if (all == NULL)
        return; /* only less smooth */
    for (uint32_t i = 0; i < plan->stream_count; i++)
        if (is_spread(&plan->streams[i]))
            all[count++] = (struct spread){i, plan->streams[i].port, plan->streams[i].rate};
    qsort(all, count, sizeof *all, compare_spread);
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && spread_together(&all[first], &all[end]); end++)
            ;
        for (size_t i = first; i < end; i++)
            plan->streams[all[i].stream].phase = ratio_fit(i - first, end - first);
    }
    free(all);
}

/* ---- arming ---- */

/* What the port leaves to its streams at rate max, in equal shares. */
static int limit_max(const struct plan *plan, uint32_t port, uint64_t link_bit, struct pace_rate *rate,
                     struct err *err)
{
    const struct budget *budget = budget_for(plan, port, link_bit);
    if (!budget->known)
        return err_set(err, -ENOMEM, "memory is out");
    if (plan->spec.safety.max_rate.kind == RATE_PERCENT && link_bit == 0)
        return err_set(err, -EINVAL,
                       "safety.max_rate is a percent of a link whose speed is not known; write "
                       "`speed` in the port, such as \"10Gbit\"");
    if (budget->unit == PACE_MAX)
        return 0;
    if (budget->sum >= budget->limit)
        return err_set(err, -EINVAL,
                       "the paced streams of port %s leave nothing of safety.max_rate for those at max",
                       plan->ports[port].spec->name);
    *rate = (struct pace_rate){budget->unit, ratio_fit(budget->limit - budget->sum, budget->max_streams)};
    return 0;
}

uint64_t plan_peak_in(const struct plan *plan, uint32_t index, uint64_t link_bit, enum pace_unit unit)
{
    const struct plan_stream *stream = &plan->streams[index];
    struct pace_rate share = {.unit = PACE_MAX};
    uint64_t bit = peak_bit(stream, link_bit);
    if (bit != MAXIMUM)
        return bit_in(stream, bit, unit);
    return limit_max(plan, stream->port, link_bit, &share, NULL) == 0 ? plan_rate_in(stream, &share, unit)
                                                                      : MAXIMUM;
}

static int resolve_part(const struct rate *rate, uint64_t link_bit, uint32_t parts, struct pace_rate *out,
                        struct err *err)
{
    int rc = plan_resolve_rate(rate, link_bit, out, err);
    if (rc == 0 && out->unit != PACE_MAX)
        out->per_second = ratio_times(out->per_second, (struct ratio){1, parts});
    return rc;
}

static int resolve_stairs(const struct shape_spec *shape, uint64_t link_bit, uint32_t parts,
                          struct pace_rate **stairs, struct err *err)
{
    struct pace_rate *resolved = calloc(shape->steps, sizeof *resolved);
    int rc = resolved == NULL ? err_set(err, -ENOMEM, "memory is out") : 0;
    for (size_t i = 0; i < shape->steps && rc == 0; i++)
        rc = resolve_part(&shape->stairs[i], link_bit, parts, &resolved[i], err);
    if (rc != 0)
        free(resolved);
    else
        *stairs = resolved;
    return rc;
}

/* The first deadline of a part: the stream's phase, and the part's place between the others'. */
static uint64_t phase_of(const struct plan_stream *stream, const struct pace_shape *shape, uint32_t part,
                         uint32_t parts)
{
    uint64_t gap_ns;
    if (shape->burst_frames > 0 && shape->burst_gap_ns > 0)
        gap_ns =
            time_add(shape->burst_gap_ns, time_of_frames(stream, &shape->burst_rate, shape->burst_frames));
    else
        gap_ns = time_of_frames(stream, &shape->rate, shape->burst_frames > 0 ? shape->burst_frames : 1);
    if (gap_ns == DEADLINE_NEVER || shape->steps > 0 || shape->ramp_over_ns > 0)
        return 0;
    struct ratio place =
        ratio_fit((uint128)part * stream->phase.den + stream->phase.num, (uint128)parts * stream->phase.den);
    return time_scale(gap_ns, place);
}

int plan_shape(const struct plan *plan, uint32_t index, uint64_t link_bit, uint32_t part, uint32_t parts,
               struct pace_shape *out, struct pace_rate **stairs, struct err *err)
{
    const struct plan_stream *stream = &plan->streams[index];
    const struct shape_spec *spec = &stream->spec->shape;
    struct pace_shape shape = {.delay_ns = stream->delay_ns,
                               .duration_ns = stream->duration_ns,
                               .poisson = spec->poisson,
                               .seed = spec->seed + ((uint64_t)stream->copy << 32) + part};
    struct pace_rate *steps = NULL;
    int rc = resolve_part(&stream->rate, link_bit, parts, &shape.rate, err);
    if (rc == 0 && shape.rate.unit == PACE_MAX && !spec->has_ramp && !spec->has_stairs && !spec->has_burst) {
        rc = limit_max(plan, stream->port, link_bit, &shape.rate, err);
        if (rc == 0 && shape.rate.unit != PACE_MAX)
            shape.rate.per_second = ratio_times(shape.rate.per_second, (struct ratio){1, parts});
    }
    if (rc == 0 && spec->has_burst) {
        shape.burst_frames = spec->burst_frames;
        shape.bursts = spec->bursts;
        shape.burst_gap_ns = spec->burst_gap_ns;
        rc = plan_resolve_rate(&spec->burst_rate, link_bit, &shape.burst_rate, err);
    }
    if (rc == 0 && spec->has_onoff) {
        shape.on_ns = spec->on_ns;
        shape.off_ns = spec->off_ns;
    }
    if (rc == 0 && spec->has_ramp) {
        shape.ramp_over_ns = spec->ramp_over_ns;
        rc = resolve_part(&spec->ramp_from, link_bit, parts, &shape.ramp_from, err);
        if (rc == 0)
            rc = resolve_part(&spec->ramp_to, link_bit, parts, &shape.ramp_to, err);
    }
    if (rc == 0 && spec->has_stairs) {
        rc = resolve_stairs(spec, link_bit, parts, &steps, err);
        shape.stairs = steps;
        shape.steps = (uint32_t)spec->steps;
        shape.stair_ns = spec->stair_ns;
    }
    if (rc != 0)
        return err_within(err, "stream %s", stream->name);
    shape.phase_ns = phase_of(stream, &shape, part, parts);
    *stairs = steps;
    *out = shape;
    return 0;
}
