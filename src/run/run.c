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

const struct ratio volley_once = {1, 1};

const char *const stream_state_names[] = {"idle", "armed", "running", "paused", "done", "failed"};
const char *const run_state_names[] = {"none", "open", "ended"};
const char *const verdict_names[] = {"none", "passed", "unmet", "invalid"};

/* Ports start together: far enough ahead that every worker has its order, near enough to be called now. */
enum { START_AHEAD_NS = 300000 };
#define TICK_S 0.1

/* The kernel's tick comes at multiples of a millisecond (HZ 1000, 250, 100: tick_setup_device(),
 * kernel/time/tick-common.c) and takes 10 µs and more. A rate that divides a millisecond meets every tick or
 * none: none when its frames are due shortly before it. */
enum { BEFORE_TICK_NS = 15000 };

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

static void check_ended(struct volley *volley, uint32_t port);

static bool has_begun(const struct stream *stream)
{
    for (uint32_t p = 0; stream->parts != NULL && p < stream->part_count; p++)
        if (atomic_load_explicit(&stream->parts[p]->state, memory_order_acquire) == PART_RUNNING)
            return true;
    return false;
}

/* The stream that had this index in an earlier plan; NULL when it went with that plan. */
struct stream *stream_since(struct volley *volley, const struct plan *then, uint32_t index)
{
    uint32_t now = volley->plan == then ? index : plan_find_stream(volley->plan, then->streams[index].name);
    return now != PLAN_NONE ? &volley->streams[now] : NULL;
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
            stream_set_reason(stream, "it could not be started");
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
static bool is_startable(const struct stream *stream)
{
    return !stream_is_active(stream);
}

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
int streams_check_max_rate(const struct volley *volley, uint32_t port, const struct chosen *chosen,
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
        if (!streams_are_on(volley, p, chosen))
            continue;
        if (!port_still_fits(port))
            volley->loaded_run[p] = 0;
        int result = port_arm(port, err);
        if (result == 0)
            result = plan_check_port(volley->plan, p, port_speed_bit(port), err);
        if (result == 0) /* others may have been given a higher rate than the plan's */
            result = streams_check_max_rate(volley, p, chosen, NULL, &volley_once, err);
        if (result < 0)
            return result;
    }
    return 0;
}

static int load_ports(struct volley *volley, const struct chosen *chosen, struct err *err)
{
    int result = 0;
    for (uint32_t p = 0; result == 0 && p < volley->plan->port_count; p++)
        if (streams_are_on(volley, p, chosen) && volley->loaded_run[p] != volley->run_id)
            result = streams_load_port(volley, volley->ports[p], NULL, err);
    return result;
}

/* at_ns 0: now. */
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

static uint64_t soon(void)
{
    uint64_t least_ns = clock_monotonic_ns() + START_AHEAD_NS + BEFORE_TICK_NS;
    return (least_ns / NS_PER_MS + 1) * NS_PER_MS - BEFORE_TICK_NS;
}

static int start_chosen(struct volley *volley, struct starting *starting, uint64_t at_ns, struct err *err)
{
    struct chosen *chosen = &starting->chosen;
    streams_keep(volley, chosen, is_startable);
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
    uint64_t when = at_ns != 0 ? at_ns : soon();
    for (uint32_t i = 0; i < chosen->count; i++)
        begin_stream(&volley->streams[chosen->streams[i]], at_ns);
    for (uint32_t p = 0; p < volley->plan->port_count; p++)
        if (streams_are_on(volley, p, chosen))
            port_set_busy(volley->ports[p], true, false);
    const struct order order = {.kind = ORDER_START, .at_ns = when};
    bool told[PORTS_MAX]; /* on_started() sees what has begun */
    (void)streams_order_all(volley, chosen, &order, errand, told);
    errand_seal(errand);
    return 0;

fail:
    streams_note_ended(volley);
    return result;
}

/* A start of all begins chains at their heads. */
static bool is_head(const struct stream *stream)
{
    return !stream->plan->follows;
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
                                   : streams_choose(volley, which, &starting->chosen, &err);
    }
    if (result == 0 && which->stream_count == 0)
        streams_keep(volley, &starting->chosen, is_head);
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
        stream_set_reason(stream, "");
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
        streams_stop_as(volley, &which, STREAM_FAILED, reason, NULL, NULL);
        return;
    }
    struct chosen chosen;
    if (streams_choose(volley, &which, &chosen, NULL) < 0)
        return;
    streams_keep(volley, &chosen, stream_is_active);
    (void)streams_pause(volley, &chosen, true, reason);
    free(chosen.streams);
}

static bool waits_for_link(const struct stream *stream)
{
    return stream->state == STREAM_PAUSED && stream->paused_by_link;
}

static void on_regained(void *context, struct port *port)
{
    struct volley *volley = context;
    struct selection which = {.port = port->planned->spec->name};
    struct chosen chosen;
    volley_say(volley, "link-regained", "port \"%s\" goes on", which.port);
    if (streams_choose(volley, &which, &chosen, NULL) < 0)
        return;
    streams_keep(volley, &chosen, waits_for_link);
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
        streams_stop_as(volley, &(struct selection){.streams = &name, .stream_count = 1}, STREAM_DONE,
                        "undrained", NULL, NULL);
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
                               .context = volley,
                               .places = &volley->places};
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
