/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is asked of streams becomes orders to workers. Streams are the plan's, one state each:
 *
 *   idle ──start──► armed (waits for its time) ──► running ◄──► paused
 *     ▲                                              │
 *     └──────stop──────  done | failed ◄─────────────┘        done starts `next`
 *
 * The first start opens a run; when no stream is active any more it is settled and frozen (result.c). */
#include "run/run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "run/volley.h"

const char *const stream_state_names[] = {"idle", "armed", "running", "paused", "done", "failed"};
const char *const run_state_names[] = {"none", "open", "ended"};
const char *const verdict_names[] = {"none", "passed", "unmet", "invalid"};

/* Ports start together: far enough ahead that every worker has its order, near enough to be called now. */
enum { START_AHEAD_NS = 300000 };
#define TICK_S 0.1

void volley_say(struct volley *volley, const char *event, const char *format, ...)
{
    char text[400];
    va_list args;
    if (volley->tell == NULL)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    volley->tell(volley->tell_context, event, text);
}

static void set_reason(struct stream *stream, const char *reason)
{
    snprintf(stream->reason, sizeof stream->reason, "%s", reason);
}

/* Records count from the part's birth; the run's share is what came since its begin. */
void stream_counts(const struct stream *stream, struct counts *out)
{
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; stream->in_run && stream->parts != NULL && i < stream->part_count; i++) {
        struct counts now;
        record_read(&stream->parts[i]->record, (uint64_t *)&now);
        counts_add(out, &now);
    }
    if (stream->in_run)
        counts_subtract(out, &stream->base);
}

static struct port *port_of(const struct volley *volley, const struct stream *stream)
{
    return volley->ports[stream->plan->port];
}

/* ---- which streams are meant ---- */

static int choose_all(const struct volley *volley, uint32_t port, struct chosen *out)
{
    for (uint32_t i = 0; i < volley->plan->stream_count; i++)
        if (port == PLAN_NONE || volley->plan->streams[i].port == port)
            out->streams[out->count++] = i;
    return 0;
}

/* A name is a stream's, or all copies' of an entry: "flow" means flow.1 … flow.N. */
static int choose_named(const struct volley *volley, const char *name, struct chosen *out, struct err *err)
{
    const struct plan *plan = volley->plan;
    uint32_t found = plan_find_stream(plan, name), before = out->count;
    if (found != PLAN_NONE) {
        out->streams[out->count++] = found;
        return 0;
    }
    for (uint32_t i = 0; i < plan->stream_count && out->count < plan->stream_count; i++)
        if (plan->streams[i].copy != 0 && strcmp(plan->streams[i].spec->name, name) == 0)
            out->streams[out->count++] = i;
    if (out->count == before)
        return err_set(err, -ENOENT, "there is no stream \"%s\"", name);
    return 0;
}

static int choose(const struct volley *volley, const struct selection *which, struct chosen *out,
                  struct err *err)
{
    uint32_t port = PLAN_NONE;
    int result = 0;
    memset(out, 0, sizeof *out);
    if (which->port != NULL && (port = plan_find_port(volley->plan, which->port)) == PLAN_NONE)
        return err_set(err, -ENOENT, "there is no port \"%s\"", which->port);
    out->streams = calloc((size_t)volley->plan->stream_count + which->stream_count + 1, sizeof *out->streams);
    if (out->streams == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (which->stream_count == 0)
        choose_all(volley, port, out);
    for (size_t i = 0; result == 0 && i < which->stream_count; i++)
        result = choose_named(volley, which->streams[i], out, err);
    if (result < 0)
        free(out->streams);
    return result;
}

/* ---- orders for parts ---- */

struct part_list { /* the parts of one queue that an order is for */
    uint32_t *parts;
    uint32_t count;
};

/* A part's number on its queue is its stream's rank there: the order of the plan. */
static uint32_t rank_on_queue(const struct volley *volley, uint32_t stream, uint32_t queue);

static void lists_free(struct part_list *lists, uint32_t count)
{
    for (uint32_t i = 0; lists != NULL && i < count; i++)
        free(lists[i].parts);
    free(lists);
}

static int list_add(struct part_list *list, uint32_t part, uint32_t room)
{
    if (list->parts == NULL && (list->parts = calloc(room, sizeof *list->parts)) == NULL)
        return -ENOMEM;
    list->parts[list->count++] = part;
    return 0;
}

/* The streams' parts on this port, queue by queue. */
static struct part_list *lists_of(const struct volley *volley, const struct port *port,
                                  const struct chosen *chosen)
{
    struct part_list *lists = calloc(port->queue_count, sizeof *lists);
    for (uint32_t i = 0; lists != NULL && i < chosen->count; i++) {
        const struct stream *stream = &volley->streams[chosen->streams[i]];
        for (uint32_t p = 0; stream->plan->port == port->index && p < stream->part_count; p++) {
            if (stream->parts == NULL || stream->parts[p]->never)
                continue;
            uint32_t queue = stream->first_queue + p;
            if (list_add(&lists[queue], rank_on_queue(volley, chosen->streams[i], queue), chosen->count) <
                0) {
                lists_free(lists, port->queue_count);
                return NULL;
            }
        }
    }
    return lists;
}

/* All queues are told, or none: no stream goes on with some of its parts. */
static int order_streams(struct volley *volley, struct port *port, const struct chosen *chosen,
                         const struct order *order, struct errand *errand)
{
    struct part_list *lists = lists_of(volley, port, chosen);
    struct order one[QUEUES_MAX];
    const struct order *orders[QUEUES_MAX] = {NULL};
    if (lists == NULL) {
        errand_fail(errand, -ENOMEM);
        return -ENOMEM;
    }
    for (uint32_t q = 0; q < port->queue_count; q++) {
        if (lists[q].count == 0)
            continue;
        one[q] = *order;
        one[q].parts = lists[q].parts;
        one[q].part_count = lists[q].count;
        lists[q].parts = NULL; /* the order owns them now */
        orders[q] = &one[q];
    }
    lists_free(lists, port->queue_count);
    return port_order_all(port, orders, errand);
}

static bool is_port_chosen(const struct volley *volley, uint32_t port, const struct chosen *chosen)
{
    for (uint32_t i = 0; i < chosen->count; i++)
        if (volley->streams[chosen->streams[i]].plan->port == port)
            return true;
    return false;
}

/* The same order to all ports that the streams are on; told says which ports have it. */
static int order_everywhere(struct volley *volley, const struct chosen *chosen, const struct order *order,
                            struct errand *errand, bool told[PORTS_MAX])
{
    int result = 0;
    for (uint32_t p = 0; p < volley->plan->port_count; p++) {
        int one = is_port_chosen(volley, p, chosen)
                      ? order_streams(volley, volley->ports[p], chosen, order, errand)
                      : 0;
        told[p] = one == 0;
        result = result < 0 ? result : one;
    }
    return result;
}

/* ---- parts ---- */

static void place_stream(const struct volley *volley, uint32_t index, uint32_t rank_on_port)
{
    struct stream *stream = &volley->streams[index];
    uint32_t queues = volley->ports[stream->plan->port]->queue_count;
    bool split = stream->plan->spec->split;
    stream->part_count = split ? queues : 1;
    stream->first_queue = split ? 0 : rank_on_port % queues;
}

void streams_place(struct volley *volley)
{
    uint32_t rank[PORTS_MAX] = {0};
    for (uint32_t i = 0; i < volley->plan->stream_count; i++)
        place_stream(volley, i, rank[volley->plan->streams[i].port]++);
}

static bool is_on_queue(const struct stream *stream, uint32_t port, uint32_t queue)
{
    return stream->plan->port == port && queue >= stream->first_queue &&
           queue < stream->first_queue + stream->part_count;
}

static uint32_t rank_on_queue(const struct volley *volley, uint32_t stream, uint32_t queue)
{
    const struct stream *s = &volley->streams[stream];
    return s->parts[queue - s->first_queue]->rank;
}

static uint64_t split_count(uint64_t count, uint32_t part, uint32_t parts)
{
    return count / parts + (part < count % parts);
}

/* Streams that receive are numbered in their signatures by their place in the plan. */
static int make_part(struct volley *volley, uint32_t index, uint32_t p, struct err *err)
{
    struct stream *stream = &volley->streams[index];
    const struct plan_stream *plan = stream->plan;
    struct part *part = part_new(plan->packet, p, stream->part_count);
    if (part == NULL)
        return err_set(err, -ENOMEM, "out of memory for stream \"%s\"", plan->name);
    stream->parts[p] = part;
    part->stream = index;
    part->count = plan->count > 0 ? split_count(plan->count, p, stream->part_count) : 0;
    part->never = plan->count > 0 && part->count == 0;
    part->signed_frames = plan->expected > 0;
    part->signature_stream = (uint16_t)(index + 1);
    int result = plan_shape(volley->plan, index, port_speed_bit(port_of(volley, stream)), p,
                            stream->part_count, &part->shape, &part->stairs, err);
    if (result < 0)
        return err_within(err, "stream \"%s\"", plan->name);
    part->pacer = pacer_new(&part->shape);
    return part->pacer != NULL ? 0 : err_set(err, -ENOMEM, "out of memory for stream \"%s\"", plan->name);
}

void stream_drop_parts(struct stream *stream)
{
    for (uint32_t p = 0; stream->parts != NULL && p < stream->part_count; p++)
        part_free(stream->parts[p]);
    free(stream->parts);
    stream->parts = NULL;
}

static int make_parts(struct volley *volley, uint32_t index, struct err *err)
{
    struct stream *stream = &volley->streams[index];
    if (stream->parts != NULL)
        return 0;
    stream->parts = calloc(stream->part_count, sizeof(*stream->parts));
    int result = stream->parts != NULL ? 0 : err_set(err, -ENOMEM, "out of memory");
    for (uint32_t p = 0; result == 0 && p < stream->part_count; p++)
        result = make_part(volley, index, p, err);
    if (result < 0)
        stream_drop_parts(stream);
    return result;
}

static int load_queue(struct volley *volley, struct port *port, uint32_t queue, struct errand *errand,
                      struct err *err)
{
    struct part **parts = calloc((size_t)port->planned->streams + 1, sizeof *parts);
    uint32_t count = 0;
    if (parts == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (uint32_t i = 0; i < volley->plan->stream_count; i++) {
        struct stream *stream = &volley->streams[i];
        if (!is_on_queue(stream, port->index, queue))
            continue;
        struct part *part = stream->parts[queue - stream->first_queue];
        part->rank = count;
        parts[count++] = part;
    }
    int result = port_load(port, queue, parts, count, volley->nonce, errand, err);
    free(parts);
    return result;
}

/* Gives the port's workers all its streams, with the nonce of this run. */
int streams_load_port(struct volley *volley, struct port *port, struct errand *errand, struct err *err)
{
    int result = 0;
    for (uint32_t i = 0; result == 0 && i < volley->plan->stream_count; i++) {
        if (volley->plan->streams[i].port != port->index)
            continue;
        result = make_parts(volley, i, err);
        if (result == 0)
            packet_set_source(volley->plan->streams[i].packet, port->facts.mac);
    }
    for (uint32_t q = 0; result == 0 && q < port->queue_count; q++)
        result = load_queue(volley, port, q, errand, err);
    if (result < 0)
        port_disarm(port); /* its workers must not keep parts that nobody has any more */
    volley->loaded_run[port->index] = result == 0 ? volley->run_id : 0;
    return result;
}

/* ---- the run ---- */

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents);

static int begin_run(struct volley *volley)
{
    if (volley->run_state == RUN_OPEN && !volley->settling)
        return 0;
    result_freeze_now(volley);
    volley->run_id++;
    if (getrandom(&volley->nonce, sizeof volley->nonce, GRND_NONBLOCK) != sizeof volley->nonce)
        volley->nonce = (uint32_t)(clock_realtime_ns() >> 10);
    for (uint32_t i = 0; i < volley->plan->stream_count; i++) {
        struct stream *stream = &volley->streams[i];
        stream->in_run = false;
        stream->visits = 0;
        if (stream->state == STREAM_DONE || stream->state == STREAM_FAILED)
            stream->state = STREAM_IDLE;
    }
    for (uint32_t p = 0; p < volley->plan->port_count; p++)
        port_begin_run(volley->ports[p]);
    volley->undrained = false;
    result_begin_run(volley);
    ev_timer_again(volley->loop, &volley->tick);
    return 1;
}

static bool any_active(const struct volley *volley, uint32_t port)
{
    for (uint32_t i = 0; i < volley->plan->stream_count; i++)
        if (stream_is_active(&volley->streams[i]) &&
            (port == PLAN_NONE || volley->streams[i].plan->port == port))
            return true;
    return false;
}

/* After streams ended: ports that have none left are quiet, and a run that has none left ends. */
void streams_note_ended(struct volley *volley)
{
    for (uint32_t p = 0; p < volley->plan->port_count; p++)
        if (volley->ports[p]->busy && !any_active(volley, p))
            port_set_busy(volley->ports[p], false, false);
    if (volley->run_state == RUN_OPEN && !volley->settling && !any_active(volley, PLAN_NONE)) {
        volley->ended_ns = clock_monotonic_ns();
        ev_timer_stop(volley->loop, &volley->tick);
        result_end_run(volley);
    }
}

bool volley_active(const struct volley *volley)
{
    return volley->run_state == RUN_OPEN && !volley->settling;
}

/* ---- start ---- */

struct starting { /* a start under way, until its orders are answered */
    struct volley *volley;
    const struct plan *plan; /* what chosen's numbers mean; one reference */
    struct chosen chosen;
    volley_done *done;
    void *context;
};

/* The stream that had this index in an earlier plan; NULL when it went with that plan. */
static struct stream *stream_since(struct volley *volley, const struct plan *then, uint32_t index)
{
    uint32_t now = volley->plan == then ? index : plan_find_stream(volley->plan, then->streams[index].name);
    return now != PLAN_NONE ? &volley->streams[now] : NULL;
}

static void check_ended(struct volley *volley, uint32_t port);

static bool has_begun(const struct stream *stream)
{
    for (uint32_t p = 0; stream->parts != NULL && p < stream->part_count; p++)
        if (atomic_load_explicit(&stream->parts[p]->state, memory_order_acquire) == PART_RUNNING)
            return true;
    return false;
}

static void on_started(void *context, int result)
{
    struct starting *starting = context;
    struct volley *volley = starting->volley;
    struct err err = {0};
    if (volley->closing)
        goto out;
    for (uint32_t i = 0; i < starting->chosen.count; i++) {
        struct stream *stream = stream_since(volley, starting->plan, starting->chosen.streams[i]);
        if (stream == NULL)
            continue;
        stream->starting = false;
        if (result < 0 && !has_begun(stream)) {
            stream->state = STREAM_FAILED;
            set_reason(stream, "it could not be started");
        }
    }
    for (uint32_t p = 0; p < volley->plan->port_count; p++) /* some may have ended already */
        check_ended(volley, p);
    if (result < 0)
        err_set(&err, result, "a worker could not start: %s", strerror(-result));
    if (starting->done != NULL)
        starting->done(starting->context, result, &err);
out:
    plan_unref(starting->plan);
    free(starting->chosen.streams);
    free(starting);
}

/* A stream that runs already goes on untouched; a paused one is resumed by resume. */
static void keep_startable(const struct volley *volley, struct chosen *chosen)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < chosen->count; i++)
        if (!stream_is_active(&volley->streams[chosen->streams[i]]))
            chosen->streams[kept++] = chosen->streams[i];
    chosen->count = kept;
}

static const struct ratio once = {1, 1};

/* What a stream asks for without its multiplier. */
static uint64_t asked_in(const struct volley *volley, uint32_t index, uint64_t speed, enum pace_unit unit)
{
    const struct stream *stream = &volley->streams[index];
    struct pace_rate rate;
    if (!stream->rate_is_set || plan_resolve_rate(&stream->rate, speed, &rate, NULL) < 0)
        return plan_peak_in(volley->plan, index, speed, unit);
    return plan_rate_in(stream->plan, &rate, unit);
}

static uint64_t sum_up(uint64_t sum, uint64_t asked, struct ratio times)
{
    unsigned __int128 product = (unsigned __int128)asked * times.num / times.den + sum;
    return product > UINT64_MAX ? UINT64_MAX : (uint64_t)product;
}

/* All active streams of a port but the chosen ones, in the limit's unit. */
static int sum_others(const struct volley *volley, uint32_t port, const struct chosen *chosen,
                      enum pace_unit unit, uint64_t *sum)
{
    uint64_t speed = port_speed_bit(volley->ports[port]);
    bool *meant = calloc((size_t)volley->plan->stream_count + 1, sizeof *meant);
    if (meant == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < chosen->count; i++)
        meant[chosen->streams[i]] = true;
    for (uint32_t i = 0; i < volley->plan->stream_count; i++) {
        const struct stream *stream = &volley->streams[i];
        if (stream->plan->port == port && !meant[i] && stream_is_active(stream))
            *sum = sum_up(*sum, asked_in(volley, i, speed, unit), stream->multiplier);
    }
    free(meant);
    return 0;
}

/* What a port's streams would come to, the chosen ones at a rate (NULL: their own) times a multiplier,
 * against safety.max_rate, which a rate without a number would escape. */
static int check_max_rate(const struct volley *volley, uint32_t port, const struct chosen *chosen,
                          const struct rate *rate, const struct ratio *multiplier, struct err *err)
{
    const struct rate *allowed = &volley->plan->spec.safety.max_rate;
    uint64_t speed = port_speed_bit(volley->ports[port]), sum = 0;
    struct pace_rate limit, wanted;
    char text[48], asked[48];
    if (allowed->kind == RATE_MAX)
        return 0;
    if (plan_resolve_rate(allowed, speed, &limit, err) < 0 ||
        (rate != NULL && plan_resolve_rate(rate, speed, &wanted, err) < 0))
        return err->code;
    units_format_rate(*allowed, text, sizeof text);
    if (rate != NULL && wanted.unit == PACE_MAX)
        return err_set(err, -EPERM, "safety.max_rate allows %s; write a rate with a number", text);
    if (sum_others(volley, port, chosen, limit.unit, &sum) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    for (uint32_t i = 0; i < chosen->count; i++) {
        const struct plan_stream *plan = volley->streams[chosen->streams[i]].plan;
        if (plan->port == port)
            sum = sum_up(sum,
                         rate != NULL ? plan_rate_in(plan, &wanted, limit.unit)
                                      : asked_in(volley, chosen->streams[i], speed, limit.unit),
                         *multiplier);
    }
    if (sum <= limit.per_second.num / limit.per_second.den)
        return 0;
    enum rate_kind kind = limit.unit == PACE_FRAMES    ? RATE_PPS
                          : limit.unit == PACE_BITS_L1 ? RATE_BIT_L1
                                                       : RATE_BIT_L2;
    return err_set(err, -EPERM,
                   "together the streams of port \"%s\" would ask for %s; safety.max_rate allows %s",
                   volley->ports[port]->planned->spec->name,
                   units_format_rate((struct rate){kind, {sum, 1}}, asked, sizeof asked), text);
}

/* Everything that can refuse is asked before anything starts. A ring that must be rebuilt while it works is
 * refused. */
static int arm_ports(struct volley *volley, const struct chosen *chosen, struct err *err)
{
    for (uint32_t p = 0; p < volley->plan->port_count; p++) {
        struct port *port = volley->ports[p];
        if (!is_port_chosen(volley, p, chosen))
            continue;
        if (!port_still_fits(port))
            volley->loaded_run[p] = 0;
        int result = port_arm(port, err);
        if (result == 0)
            result = plan_check_port(volley->plan, p, port_speed_bit(port), err);
        if (result == 0) /* others may have been given a higher rate than the plan's */
            result = check_max_rate(volley, p, chosen, NULL, &once, err);
        if (result < 0)
            return result;
    }
    return 0;
}

static int load_ports(struct volley *volley, const struct chosen *chosen, struct err *err)
{
    int result = 0;
    for (uint32_t p = 0; result == 0 && p < volley->plan->port_count; p++)
        if (is_port_chosen(volley, p, chosen) && volley->loaded_run[p] != volley->run_id)
            result = streams_load_port(volley, volley->ports[p], NULL, err);
    return result;
}

static void begin_stream(struct stream *stream, uint64_t at_ns)
{
    stream->visits++;
    stream->state = at_ns > clock_monotonic_ns() + NS_PER_MS ? STREAM_ARMED : STREAM_RUNNING;
    stream->starting = true;
    stream->reason[0] = 0;
    stream->paused_by_link = false;
    stream->draining_since_ns = 0;
    stream->rate = stream->plan->rate;
    stream->multiplier = (struct ratio){1, 1};
    if (stream->in_run)
        return;
    struct counts before;
    stream->in_run = true;
    memset(&stream->base, 0, sizeof stream->base);
    stream_counts(stream, &before);
    stream->base = before;
    memset(stream->samples, 0, sizeof stream->samples);
}

/* What an earlier run left in the kernel must not be taken for the next run's. */
static void disarm_all(struct volley *volley)
{
    for (uint32_t p = 0; p < volley->plan->port_count; p++) {
        port_disarm(volley->ports[p]);
        volley->loaded_run[p] = 0;
    }
}

static int start_chosen(struct volley *volley, struct starting *starting, uint64_t at_ns, struct err *err)
{
    struct chosen *chosen = &starting->chosen;
    keep_startable(volley, chosen);
    if (chosen->count == 0) {
        on_started(starting, 0); /* all of them run already */
        return 0;
    }
    if (volley->undrained && !volley_active(volley))
        disarm_all(volley);
    for (uint32_t i = 0; i < chosen->count; i++)
        volley->streams[chosen->streams[i]].rate_is_set = false;
    int result = arm_ports(volley, chosen, err);
    if (result < 0)
        return result;
    begin_run(volley);
    if ((result = load_ports(volley, chosen, err)) < 0 || (result = receive_begin_run(volley, err)) < 0)
        goto fail;
    struct errand *errand = errand_new(on_started, starting);
    if (errand == NULL) {
        result = err_set(err, -ENOMEM, "out of memory");
        goto fail;
    }
    uint64_t when = at_ns != 0 ? at_ns : clock_monotonic_ns() + START_AHEAD_NS;
    for (uint32_t i = 0; i < chosen->count; i++)
        begin_stream(&volley->streams[chosen->streams[i]], when);
    for (uint32_t p = 0; p < volley->plan->port_count; p++)
        if (is_port_chosen(volley, p, chosen))
            port_set_busy(volley->ports[p], true, false);
    const struct order order = {.kind = ORDER_START, .at_ns = when};
    bool told[PORTS_MAX]; /* on_started() sees what has begun */
    (void)order_everywhere(volley, chosen, &order, errand, told);
    errand_seal(errand);
    return 0;

fail:
    streams_note_ended(volley);
    return result;
}

/* A start of all begins chains at their heads. */
static void leave_out_followers(const struct volley *volley, struct chosen *chosen)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < chosen->count; i++)
        if (!volley->plan->streams[chosen->streams[i]].follows)
            chosen->streams[kept++] = chosen->streams[i];
    chosen->count = kept;
}

void volley_start(struct volley *volley, const struct selection *which, const struct start_options *options,
                  volley_done *done, void *context)
{
    struct err err = {0};
    struct starting *starting = calloc(1, sizeof *starting);
    int result = starting != NULL ? 0 : err_set(&err, -ENOMEM, "out of memory");
    if (result == 0) {
        *starting = (struct starting){
            .volley = volley, .plan = plan_ref(volley->plan), .done = done, .context = context};
        result = volley->replacing ? err_set(&err, -EBUSY, "the configuration is being replaced; try again")
                                   : choose(volley, which, &starting->chosen, &err);
    }
    if (result == 0 && which->stream_count == 0)
        leave_out_followers(volley, &starting->chosen);
    if (result == 0 && starting->chosen.count == 0)
        result = err_set(&err, -ENOENT, "there is no stream to start");
    if (result == 0 &&
        (result = start_chosen(volley, starting, options != NULL ? options->at_ns : 0, &err)) == 0)
        return;
    if (starting != NULL) {
        plan_unref(starting->plan);
        free(starting->chosen.streams);
    }
    free(starting);
    if (done != NULL)
        done(context, result, &err);
}

/* ---- a stream's end, and its chain ---- */

static bool is_done(const struct stream *stream)
{
    for (uint32_t p = 0; p < stream->part_count; p++)
        if (!stream->parts[p]->never &&
            atomic_load_explicit(&stream->parts[p]->state, memory_order_acquire) != PART_DONE)
            return false;
    return true;
}

static void start_next(struct volley *volley, const struct stream *stream)
{
    uint32_t next = stream->plan->next;
    if (next == PLAN_NONE)
        return;
    struct stream *following = &volley->streams[next];
    if (stream_is_active(following) || following->visits >= following->plan->loops)
        return;
    const char *name = following->plan->name;
    volley_start(volley, &(struct selection){.streams = &name, .stream_count = 1}, NULL, NULL, NULL);
}

static void check_ended(struct volley *volley, uint32_t port)
{
    for (uint32_t i = 0; i < volley->plan->stream_count; i++) {
        struct stream *stream = &volley->streams[i];
        if (stream->plan->port != port || stream->starting || stream->stopping || !stream_is_active(stream) ||
            !is_done(stream))
            continue;
        stream->state = STREAM_DONE;
        set_reason(stream, "");
        start_next(volley, stream);
    }
    streams_note_ended(volley);
}

static void on_parts_ended(void *context, struct port *port)
{
    const struct volley *volley = context;
    if (!volley->closing)
        check_ended(context, port->index);
}

/* ---- stop ---- */

struct stopping {
    struct volley *volley;
    const struct plan *plan; /* as in struct starting */
    struct chosen chosen;
    enum stream_state state; /* afterwards */
    char reason[120];
    volley_done *done;
    void *context;
};

static void on_stopped(void *context, int result)
{
    struct stopping *stopping = context;
    struct volley *volley = stopping->volley;
    struct err err = {0};
    if (volley->closing)
        goto out;
    for (uint32_t i = 0; i < stopping->chosen.count; i++) {
        struct stream *stream = stream_since(volley, stopping->plan, stopping->chosen.streams[i]);
        if (stream == NULL)
            continue;
        stream->stopping = false;
        if (!stream_is_active(stream) || result == -ENOMEM) /* some were not told: they go on */
            continue;
        stream->state = stopping->state;
        set_reason(stream, stopping->reason);
    }
    if (result == -ETIMEDOUT) {
        volley->undrained = true;
        err_set(&err, result, "some frames could not be drained in time; they stay in in_flight");
    } else if (result < 0)
        err_set(&err, result, "not all streams could be stopped: %s", strerror(-result));
    streams_note_ended(volley);
    if (stopping->done != NULL)
        stopping->done(stopping->context, result, &err);
out:
    plan_unref(stopping->plan);
    free(stopping->chosen.streams);
    free(stopping);
}

static void keep_active(const struct volley *volley, struct chosen *chosen)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < chosen->count; i++)
        if (stream_is_active(&volley->streams[chosen->streams[i]]))
            chosen->streams[kept++] = chosen->streams[i];
    chosen->count = kept;
}

/* Whether a port would have nothing left to send: then its whole ring is taken back. */
static bool is_whole_port(const struct volley *volley, uint32_t port, const struct chosen *chosen)
{
    uint32_t active = 0, stopped = 0;
    for (uint32_t i = 0; i < volley->plan->stream_count; i++)
        active += volley->streams[i].plan->port == port && stream_is_active(&volley->streams[i]);
    for (uint32_t i = 0; i < chosen->count; i++)
        stopped += volley->streams[chosen->streams[i]].plan->port == port;
    return stopped >= active;
}

static void stop_port(struct volley *volley, uint32_t p, const struct chosen *chosen, struct errand *errand)
{
    struct port *port = volley->ports[p];
    struct order order = {.kind = ORDER_STOP, .drain_ns = port->planned->spec->drain_ns};
    if (!is_port_chosen(volley, p, chosen))
        return;
    port_give_up(port);
    if (!is_whole_port(volley, p, chosen)) {
        (void)order_streams(volley, port, chosen, &order, errand);
        return;
    }
    port_set_busy(port, true, true);
    const struct order *orders[QUEUES_MAX];
    for (uint32_t q = 0; q < QUEUES_MAX; q++)
        orders[q] = &order;
    (void)port_order_all(port, orders, errand);
}

static void stop_chosen(struct volley *volley, const struct chosen *chosen, struct errand *errand)
{
    for (uint32_t i = 0; i < chosen->count; i++)
        volley->streams[chosen->streams[i]].stopping = true;
    for (uint32_t p = 0; p < volley->plan->port_count; p++)
        stop_port(volley, p, chosen, errand);
    errand_seal(errand);
}

void streams_stop(struct volley *volley, struct chosen *chosen, enum stream_state state, const char *reason,
                  volley_done *done, void *context)
{
    struct err err = {0};
    struct stopping *stopping = calloc(1, sizeof *stopping);
    struct errand *errand = stopping != NULL ? errand_new(on_stopped, stopping) : NULL;
    if (errand == NULL) {
        free(stopping);
        free(chosen->streams);
        if (done != NULL)
            done(context, err_set(&err, -ENOMEM, "out of memory"), &err);
        return;
    }
    keep_active(volley, chosen);
    *stopping = (struct stopping){.volley = volley,
                                  .plan = plan_ref(volley->plan),
                                  .chosen = *chosen,
                                  .state = state,
                                  .done = done,
                                  .context = context};
    snprintf(stopping->reason, sizeof stopping->reason, "%s", reason);
    stop_chosen(volley, &stopping->chosen, errand);
}

static void stop_as(struct volley *volley, const struct selection *which, enum stream_state state,
                    const char *reason, volley_done *done, void *context)
{
    struct err err = {0};
    struct chosen chosen;
    int result = choose(volley, which, &chosen, &err);
    if (result == 0)
        streams_stop(volley, &chosen, state, reason, done, context);
    else if (done != NULL)
        done(context, result, &err);
}

void volley_stop(struct volley *volley, const struct selection *which, const char *reason, volley_done *done,
                 void *context)
{
    stop_as(volley, which, STREAM_IDLE, reason, done, context);
}

/* ---- pause, resume, rate ---- */

static int choose_active(struct volley *volley, const struct selection *which, struct chosen *chosen,
                         struct err *err)
{
    int result = choose(volley, which, chosen, err);
    if (result < 0)
        return result;
    keep_active(volley, chosen);
    if (chosen->count > 0)
        return 0;
    free(chosen->streams);
    return err_set(err, -EBUSY, "no stream of these is running");
}

int streams_pause(struct volley *volley, struct chosen *chosen, bool by_link, const char *reason)
{
    const struct order order = {.kind = ORDER_PAUSE};
    bool told[PORTS_MAX];
    int result = order_everywhere(volley, chosen, &order, NULL, told);
    for (uint32_t i = 0; i < chosen->count; i++) {
        struct stream *stream = &volley->streams[chosen->streams[i]];
        if (!told[stream->plan->port] || (by_link && stream->state == STREAM_PAUSED))
            continue;
        stream->state = STREAM_PAUSED;
        stream->paused_by_link = by_link;
        set_reason(stream, reason);
    }
    return result;
}

int volley_pause(struct volley *volley, const struct selection *which, struct err *err)
{
    struct chosen chosen;
    int result = choose_active(volley, which, &chosen, err);
    if (result < 0)
        return result;
    result = streams_pause(volley, &chosen, false, "paused on request");
    free(chosen.streams);
    return result < 0 ? err_set(err, result, "out of memory") : 0;
}

/* Streams that wait for their link are resumed by its return, not by request. */
static void keep_paused(const struct volley *volley, struct chosen *chosen, bool by_link)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < chosen->count; i++) {
        const struct stream *stream = &volley->streams[chosen->streams[i]];
        if (stream->state == STREAM_PAUSED && stream->paused_by_link == by_link)
            chosen->streams[kept++] = chosen->streams[i];
    }
    chosen->count = kept;
}

int streams_resume(struct volley *volley, struct chosen *chosen)
{
    const struct order order = {.kind = ORDER_RESUME};
    bool told[PORTS_MAX];
    int result = order_everywhere(volley, chosen, &order, NULL, told);
    for (uint32_t i = 0; i < chosen->count; i++) {
        struct stream *stream = &volley->streams[chosen->streams[i]];
        if (!told[stream->plan->port])
            continue;
        stream->state = STREAM_RUNNING;
        stream->paused_by_link = false;
        stream->reason[0] = 0;
    }
    return result;
}

int volley_resume(struct volley *volley, const struct selection *which, struct err *err)
{
    struct chosen chosen;
    int result = choose_active(volley, which, &chosen, err);
    if (result < 0)
        return result;
    keep_paused(volley, &chosen, false);
    result = chosen.count > 0 ? streams_resume(volley, &chosen)
                              : err_set(err, -EBUSY, "no stream of these is paused");
    free(chosen.streams);
    if (result == -ENOMEM)
        err_set(err, result, "out of memory");
    return result;
}

/* A new rate is meant as it stands: the multiplier that comes with it, or none, takes the earlier one's
 * place. */
static int rate_port(struct volley *volley, uint32_t p, const struct chosen *chosen, const struct rate *rate,
                     const struct ratio *multiplier, struct err *err)
{
    struct port *port = volley->ports[p];
    struct order order = {.kind = ORDER_RATE};
    int result = 0;
    if (rate != NULL) {
        result = plan_resolve_rate(rate, port_speed_bit(port), &order.rate, err);
        if (result == 0)
            result = order_streams(volley, port, chosen, &order, NULL);
    }
    order = (struct order){.kind = ORDER_MULTIPLY, .multiplier = *multiplier};
    return result < 0 ? result : order_streams(volley, port, chosen, &order, NULL);
}

/* A part of a split stream gets its share of the rate. */
static int check_rate(struct volley *volley, const struct chosen *chosen, const struct rate *rate,
                      const struct ratio *multiplier, struct err *err)
{
    int result = 0;
    for (uint32_t p = 0; result == 0 && p < volley->plan->port_count; p++)
        if (is_port_chosen(volley, p, chosen))
            result = check_max_rate(volley, p, chosen, rate, multiplier, err);
    for (uint32_t i = 0; result == 0 && i < chosen->count; i++)
        if (volley->streams[chosen->streams[i]].part_count > 1 && rate != NULL)
            result =
                err_set(err, -EINVAL, "stream \"%s\" is split over queues; change its rate by a multiplier",
                        volley->streams[chosen->streams[i]].plan->name);
    return result;
}

int volley_rate(struct volley *volley, const struct selection *which, const struct rate *rate,
                const struct ratio *multiplier, struct err *err)
{
    struct chosen chosen;
    int result = choose_active(volley, which, &chosen, err);
    if (result < 0)
        return result;
    if (multiplier == NULL)
        multiplier = &once;
    result = check_rate(volley, &chosen, rate, multiplier, err);
    for (uint32_t p = 0; result == 0 && p < volley->plan->port_count; p++)
        if (is_port_chosen(volley, p, &chosen))
            result = rate_port(volley, p, &chosen, rate, multiplier, err);
    for (uint32_t i = 0; result == 0 && i < chosen.count; i++) {
        struct stream *stream = &volley->streams[chosen.streams[i]];
        if (rate != NULL)
            stream->rate = *rate;
        stream->rate_is_set |= rate != NULL;
        stream->multiplier = *multiplier;
    }
    free(chosen.streams);
    return result;
}

/* ---- the link ---- */

static void on_lost(void *context, struct port *port, const char *reason, bool resume)
{
    struct volley *volley = context;
    struct selection which = {.port = port->planned->spec->name};
    if (volley->closing)
        return;
    volley_say(volley, "link-lost", "port \"%s\": %s; %s", which.port, reason,
               resume ? "waiting" : "stopping");
    if (!resume) {
        stop_as(volley, &which, STREAM_FAILED, reason, NULL, NULL);
        return;
    }
    struct chosen chosen;
    if (choose(volley, &which, &chosen, NULL) < 0)
        return;
    keep_active(volley, &chosen);
    (void)streams_pause(volley, &chosen, true, reason);
    free(chosen.streams);
}

static void on_regained(void *context, struct port *port)
{
    struct volley *volley = context;
    struct selection which = {.port = port->planned->spec->name};
    struct chosen chosen;
    volley_say(volley, "link-regained", "port \"%s\" goes on", which.port);
    if (choose(volley, &which, &chosen, NULL) < 0)
        return;
    keep_paused(volley, &chosen, true);
    (void)streams_resume(volley, &chosen);
    free(chosen.streams);
}

static void on_state_changed(void *context, struct port *port)
{
    volley_say(context, "port-state", "port \"%s\" is %s%s%s", port->planned->spec->name,
               port_state_names[port->state], port->reason[0] != 0 ? ": " : "", port->reason);
}

static void on_link_changed(void *context, const char *name, int ifindex)
{
    struct volley *volley = context;
    for (uint32_t p = 0; p < volley->plan->port_count; p++) {
        struct port *port = volley->ports[p];
        if (ifindex == 0 || port->facts.ifindex == ifindex ||
            strcmp(port->planned->spec->interface, name) == 0)
            port_refresh(port);
    }
}

/* ---- the tick ---- */

/* A stream whose last frames stay in the kernel for longer than `drain` has ended undrained. */
static void watch_drain(struct volley *volley, struct stream *stream, uint64_t now_ns)
{
    bool draining = false;
    for (uint32_t p = 0; p < stream->part_count; p++)
        draining |= atomic_load_explicit(&stream->parts[p]->state, memory_order_acquire) == PART_DRAINING;
    if (!draining)
        stream->draining_since_ns = 0;
    else if (stream->draining_since_ns == 0)
        stream->draining_since_ns = now_ns;
    else if (now_ns - stream->draining_since_ns > port_of(volley, stream)->planned->spec->drain_ns) {
        const char *name = stream->plan->name;
        stop_as(volley, &(struct selection){.streams = &name, .stream_count = 1}, STREAM_DONE, "undrained",
                NULL, NULL);
    }
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct volley *volley = timer->data;
    uint64_t now_ns = clock_monotonic_ns();
    (void)loop;
    (void)revents;
    for (uint32_t i = 0; i < volley->plan->stream_count; i++) {
        struct stream *stream = &volley->streams[i];
        if (!stream_is_active(stream))
            continue;
        if (stream->state == STREAM_ARMED) {
            struct counts counts;
            stream_counts(stream, &counts);
            if (counts.scheduled > 0)
                stream->state = STREAM_RUNNING;
        }
        watch_drain(volley, stream, now_ns);
    }
    result_tick(volley, now_ns);
}

/* ---- life ---- */

int streams_new(const struct plan *plan, struct stream **out, struct err *err)
{
    struct stream *streams = calloc((size_t)plan->stream_count + 1, sizeof *streams);
    if (streams == NULL)
        return err_set(err, -ENOMEM, "out of memory for %u streams", plan->stream_count);
    for (uint32_t i = 0; i < plan->stream_count; i++) {
        streams[i].plan = &plan->streams[i];
        streams[i].rate = plan->streams[i].rate;
        streams[i].multiplier = (struct ratio){1, 1};
    }
    *out = streams;
    return 0;
}

struct port_hooks volley_hooks(struct volley *volley)
{
    return (struct port_hooks){.parts_ended = on_parts_ended,
                               .lost = on_lost,
                               .regained = on_regained,
                               .state_changed = on_state_changed,
                               .context = volley};
}

static int make_ports(struct volley *volley, struct err *err)
{
    const struct plan *plan = volley->plan;
    struct port_hooks hooks = volley_hooks(volley);
    int result = 0;
    volley->ports = calloc((size_t)plan->port_count + 1, sizeof(*volley->ports));
    volley->loaded_run = calloc((size_t)plan->port_count + 1, sizeof *volley->loaded_run);
    if (volley->ports == NULL || volley->loaded_run == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (uint32_t p = 0; result == 0 && p < plan->port_count; p++)
        result = port_new(volley->loop, plan, p, &hooks, volley->confine, &volley->ports[p], err);
    return result;
}

int volley_new(struct ev_loop *loop, const struct plan *plan, bool confine, struct volley **out,
               struct err *err)
{
    struct volley *volley = calloc(1, sizeof *volley);
    if (volley == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    volley->loop = loop;
    volley->plan = plan_ref(plan);
    volley->confine = confine;
    ev_timer_init(&volley->tick, on_tick, TICK_S, TICK_S);
    volley->tick.data = volley;
    int result = streams_new(plan, &volley->streams, err);
    if (result == 0)
        result = make_ports(volley, err);
    if (result == 0)
        result = link_watch_new(loop, on_link_changed, volley, &volley->links, err);
    if (result < 0) {
        volley_free(volley);
        return result;
    }
    streams_place(volley);
    *out = volley;
    return 0;
}

void volley_free(struct volley *volley)
{
    if (volley == NULL)
        return;
    volley->tell = NULL;
    volley->closing = true; /* answers that come while workers end concern nobody any more */
    ev_timer_stop(volley->loop, &volley->tick);
    ev_timer_stop(volley->loop, &volley->settle);
    link_watch_free(volley->links);
    for (uint32_t p = 0; volley->ports != NULL && p < volley->plan->port_count; p++)
        port_free(volley->ports[p]);
    receive_free(volley);
    for (uint32_t i = 0; volley->streams != NULL && i < volley->plan->stream_count; i++)
        stream_drop_parts(&volley->streams[i]);
    result_free(volley);
    free(volley->streams);
    free(volley->ports);
    free(volley->loaded_run);
    plan_unref(volley->plan);
    free(volley);
}

const struct plan *volley_plan(const struct volley *volley)
{
    return volley->plan;
}

void volley_set_tell(struct volley *volley, volley_tell *tell, void *context)
{
    volley->tell = tell;
    volley->tell_context = context;
}

bool volley_alive(struct volley *volley)
{
    bool alive = true;
    for (uint32_t p = 0; p < volley->plan->port_count; p++)
        alive &= port_is_alive(volley->ports[p]);
    return alive;
}
