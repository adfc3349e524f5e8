/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What came of a run: rates while it goes on, its history, and the result that is frozen when it has ended.
 *
 *   last stream ends ─► settle: the device's counters catch up (≤ 2 s), receivers wait for stragglers ─►
 * verdict ─► frozen
 *
 * A start that comes while a run settles freezes it as it is. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/volley.h"

#define SETTLE_TICK_S 0.02
enum { SETTLE_MS = 2000 };

/* ---- rows ---- */

static double seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

static struct achieved rate_over(uint64_t frames, uint64_t bytes_l2, double over_s)
{
    if (over_s <= 0)
        return (struct achieved){0};
    return (struct achieved){.pps = (double)frames / over_s,
                             .bit_l1 = (double)(bytes_l2 + frames * L1_EXTRA_BYTES) * 8 / over_s,
                             .bit_l2 = (double)bytes_l2 * 8 / over_s};
}

static uint64_t elapsed_ns(const struct volley *volley)
{
    if (volley->run_state == RUN_NONE)
        return 0;
    uint64_t until = volley_active(volley) ? clock_monotonic_ns() : volley->ended_ns;
    return until > volley->started_ns ? until - volley->started_ns : 0;
}

/* Over the last half second or so; a run younger than that, over its whole. */
static struct achieved achieved_now(const struct volley *volley, const struct stream *stream,
                                    const struct counts *counts)
{
    if (!stream_is_active(stream) || volley->sample_count == 0)
        return (struct achieved){0};
    uint32_t oldest = volley->sample_count < SAMPLES ? 0 : volley->sample_next;
    const struct sample *then = &stream->samples[oldest];
    return rate_over(counts->completed - then->completed, counts->bytes_l2 - then->bytes_l2,
                     seconds(clock_monotonic_ns() - volley->sample_time_ns[oldest]));
}

static void stream_row_now(struct volley *volley, uint32_t index, struct stream_row *row)
{
    const struct stream *stream = &volley->streams[index];
    memset(row, 0, sizeof *row);
    row->plan = stream->plan;
    row->state = stream->state;
    snprintf(row->reason, sizeof row->reason, "%s", stream->reason);
    stream_counts(stream, &row->counts);
    row->achieved = achieved_now(volley, stream, &row->counts);
    row->average = rate_over(row->counts.completed, row->counts.bytes_l2, seconds(elapsed_ns(volley)));
    row->requested = stream->rate;
    row->rate_is_set = stream->rate_is_set;
    row->multiplier = stream->multiplier;
    row->receive_count = receive_rows(volley, index, &row->receive);
}

static void add_achieved(struct achieved *sum, const struct achieved *more)
{
    sum->pps += more->pps;
    sum->bit_l1 += more->bit_l1;
    sum->bit_l2 += more->bit_l2;
}

static void fill_link(const struct port *port, struct port_row *row)
{
    row->ifindex = port->facts.ifindex;
    row->mtu = port->facts.mtu;
    row->speed_bit = port_speed_bit(port);
    memcpy(row->mac, port->facts.mac, sizeof row->mac);
    if (!port->armed)
        return;
    row->ring_slots = port->caps.slots;
    row->ring_frame_size = port->caps.frame_size;
    row->ring_block_size = port->caps.block_size;
    row->ring_blocks = port->caps.blocks;
    row->socket_memory = port->caps.socket_memory;
    row->armed = true;
    for (uint32_t i = 0; i < port->queue_count; i++)
        row->cpus[i] = port->queues[i].cpu;
    snprintf(row->path, sizeof row->path, "%s", port->caps.path);
}

static void port_row_now(struct volley *volley, uint32_t index, struct port_row *row)
{
    const struct port *port = volley->ports[index];
    memset(row, 0, sizeof *row);
    row->plan = port->planned;
    row->state = port->state;
    snprintf(row->reason, sizeof row->reason, "%s", port->reason);
    snprintf(row->warning, sizeof row->warning, "%s", port->warning);
    row->queues = port->queue_count;
    for (uint32_t q = 0; q < port->queue_count; q++) {
        port_counts(port, q, &row->queue[q]);
        counts_add(&row->counts, &row->queue[q].frames);
        row->kicks += row->queue[q].kicks;
        row->waits += row->queue[q].waits;
        row->wakeups += row->queue[q].wakeups;
    }
    for (uint32_t i = 0; i < volley->plan->stream_count; i++) {
        struct counts counts;
        if (volley->streams[i].plan->port != index || !stream_is_active(&volley->streams[i]))
            continue;
        stream_counts(&volley->streams[i], &counts);
        struct achieved achieved = achieved_now(volley, &volley->streams[i], &counts);
        add_achieved(&row->achieved, &achieved);
    }
    row->average = rate_over(row->counts.completed, row->counts.bytes_l2, seconds(elapsed_ns(volley)));
    port_device(port, &row->counts, &row->device);
    fill_link(port, row);
    receive_port_row(volley, index, row);
}

static void run_row_now(const struct volley *volley, struct run_row *row)
{
    *row = (struct run_row){.id = volley->run_id,
                            .started_realtime_ns = volley->started_realtime_ns,
                            .elapsed_ns = elapsed_ns(volley),
                            .state = volley->run_state,
                            .verdict = VERDICT_NONE,
                            .drained = !volley->undrained};
}

/* After its end, "now" is the frozen run until the next begins. */
static const struct frozen *frozen_for(const struct volley *volley, enum volley_when when)
{
    return when == VOLLEY_LAST ? volley->last : NULL;
}

int volley_run_row(struct volley *volley, enum volley_when when, struct run_row *out)
{
    if (when == VOLLEY_LAST && volley->last == NULL)
        return -ENODATA;
    if (when == VOLLEY_LAST || (volley->run_state == RUN_ENDED && volley->last != NULL))
        *out = volley->last->run;
    else
        run_row_now(volley, out);
    return 0;
}

int volley_port_row(struct volley *volley, enum volley_when when, uint32_t port, struct port_row *out)
{
    const struct frozen *frozen = frozen_for(volley, when);
    if (when == VOLLEY_LAST && frozen == NULL)
        return -ENODATA;
    if (port >= (frozen != NULL ? frozen->plan : volley->plan)->port_count)
        return -ENOENT;
    if (frozen != NULL)
        *out = frozen->ports[port];
    else
        port_row_now(volley, port, out);
    return 0;
}

int volley_stream_row(struct volley *volley, enum volley_when when, uint32_t stream, struct stream_row *out)
{
    const struct frozen *frozen = frozen_for(volley, when);
    if (when == VOLLEY_LAST && frozen == NULL)
        return -ENODATA;
    if (stream >= (frozen != NULL ? frozen->plan : volley->plan)->stream_count)
        return -ENOENT;
    if (frozen != NULL)
        *out = frozen->streams[stream];
    else
        stream_row_now(volley, stream, out);
    return 0;
}

const struct plan *volley_plan_of(struct volley *volley, enum volley_when when)
{
    if (when == VOLLEY_NOW)
        return volley->plan;
    return volley->last != NULL ? volley->last->plan : NULL;
}

/* ---- samples and history ---- */

static void take_sample(struct volley *volley, uint64_t now_ns)
{
    uint32_t slot = volley->sample_next;
    volley->sample_time_ns[slot] = now_ns;
    for (uint32_t i = 0; i < volley->plan->stream_count; i++) {
        struct counts counts;
        if (!stream_is_active(&volley->streams[i]))
            continue;
        stream_counts(&volley->streams[i], &counts);
        volley->streams[i].samples[slot] = (struct sample){counts.completed, counts.bytes_l2};
    }
    volley->sample_next = (slot + 1) % SAMPLES;
    if (volley->sample_count < SAMPLES)
        volley->sample_count++;
}

static int grow_history(struct volley *volley)
{
    if (volley->history_count < volley->history_room)
        return 0;
    size_t room = volley->history_room == 0 ? 64 : volley->history_room * 2;
    struct history_point *grown = reallocarray(volley->history, room, sizeof *grown);
    if (grown == NULL)
        return -ENOMEM;
    volley->history = grown;
    volley->history_room = room;
    return 0;
}

/* A point that memory has no room for is left out: a gap in a chart, never in an account. */
static void take_history(struct volley *volley, uint64_t at_ns)
{
    struct counts *ports = calloc((size_t)volley->plan->port_count + 1, sizeof *ports);
    if (ports == NULL || volley->history_count >= HISTORY_POINTS_MAX || grow_history(volley) < 0) {
        free(ports);
        return;
    }
    for (uint32_t p = 0; p < volley->plan->port_count; p++)
        for (uint32_t q = 0; q < volley->ports[p]->queue_count; q++) {
            struct queue_counts counts;
            port_counts(volley->ports[p], q, &counts);
            counts_add(&ports[p], &counts.frames);
        }
    volley->history[volley->history_count++] =
        (struct history_point){.elapsed_ns = at_ns - volley->started_ns, .ports = ports};
}

static uint64_t history_step_ns(uint64_t elapsed)
{
    return elapsed < HISTORY_SECONDS * NS_PER_SECOND ? NS_PER_SECOND : 60 * NS_PER_SECOND;
}

void result_tick(struct volley *volley, uint64_t now_ns)
{
    take_sample(volley, now_ns);
    receive_tick(volley, now_ns);
    if (now_ns < volley->history_due_ns)
        return;
    take_history(volley, now_ns);
    while (volley->history_due_ns <= now_ns)
        volley->history_due_ns += history_step_ns(volley->history_due_ns - volley->started_ns);
}

static void drop_history(struct history_point *points, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)points[i].ports);
    free(points);
}

size_t volley_history(struct volley *volley, enum volley_when when, size_t first, struct history_point *out,
                      size_t max)
{
    const struct frozen *frozen = frozen_for(volley, when);
    const struct history_point *points = frozen != NULL ? frozen->history : volley->history;
    size_t count = frozen != NULL ? frozen->history_count : volley->history_count, given = 0;
    for (size_t i = first; i < count && given < max; i++)
        out[given++] = points[i];
    return given;
}

void result_begin_run(struct volley *volley)
{
    drop_history(volley->history, volley->history_count);
    volley->history = NULL;
    volley->history_count = volley->history_room = 0;
    volley->run_state = RUN_OPEN;
    volley->settling = false;
    volley->started_ns = clock_monotonic_ns();
    volley->started_realtime_ns = clock_realtime_ns();
    volley->ended_ns = 0;
    volley->history_due_ns = volley->started_ns + NS_PER_SECOND;
    volley->sample_count = 0;
    volley->sample_next = 0;
    take_sample(volley, volley->started_ns);
    volley_say(volley, "run-started", "run %llu started", (unsigned long long)volley->run_id);
}

/* ---- the end ---- */

static void judge_port(struct verdict *verdict, const struct volley *volley, const struct port_row *row)
{
    verdict_port(verdict,
                 &(struct verdict_port){.name = row->plan->spec->name,
                                        .rejected = row->counts.rejected,
                                        .in_flight = row->counts.in_flight,
                                        .unaccounted = row->device.comparable ? row->device.unaccounted : 0,
                                        .overrun = row->overrun,
                                        .undrained = volley->undrained && row->counts.in_flight > 0});
}

static void judge_stream(struct verdict *verdict, const struct frozen *frozen, const struct stream_row *row)
{
    const char *name = row->plan->name;
    verdict_stream(verdict,
                   &(struct verdict_stream){.name = name,
                                            .scheduled = row->counts.scheduled,
                                            .missed = row->counts.missed,
                                            .tolerance = row->plan->spec->tolerance,
                                            .failed = row->state == STREAM_FAILED ? row->reason : NULL});
    for (uint32_t r = 0; r < row->receive_count; r++)
        verdict_receive(verdict, name, frozen->plan->ports[row->receive[r].port].spec->name,
                        row->plan->require, row->plan->required, &row->receive[r].result);
}

static void judge(const struct volley *volley, struct frozen *frozen)
{
    struct verdict *verdict = &frozen->verdict;
    verdict_begin(verdict);
    for (uint32_t p = 0; p < frozen->plan->port_count; p++)
        judge_port(verdict, volley, &frozen->ports[p]);
    for (uint32_t i = 0; i < frozen->plan->stream_count; i++)
        if (volley->streams[i].in_run)
            judge_stream(verdict, frozen, &frozen->streams[i]);
    for (size_t i = 0; i < verdict->reasons; i++)
        frozen->reasons[i] = verdict->reason[i];
    frozen->run.verdict = verdict->kind;
    frozen->run.reasons = frozen->reasons;
    frozen->run.reason_count = verdict->reasons;
}

/* The row's receive results live until the next row is made: they are copied behind those of the streams
 * before. */
static void keep_receive(struct frozen *frozen, struct stream_row *row, size_t *used)
{
    struct receive_row *kept = &frozen->receive[*used];
    if (row->receive_count == 0)
        return; /* and no place to copy from */
    memcpy(kept, row->receive, row->receive_count * sizeof *kept);
    row->receive = kept;
    *used += row->receive_count;
}

static size_t receive_rows_at_most(const struct plan *plan)
{
    size_t receiving = 0, expecting = 0;
    for (uint32_t p = 0; p < plan->port_count; p++)
        receiving += plan->ports[p].spec->receive;
    for (uint32_t i = 0; i < plan->stream_count; i++)
        expecting += plan->streams[i].expected > 0;
    return receiving * expecting;
}

static void frozen_free(struct frozen *frozen)
{
    if (frozen == NULL)
        return;
    drop_history(frozen->history, frozen->history_count);
    free(frozen->receive);
    free(frozen->ports);
    free(frozen->streams);
    plan_unref(frozen->plan);
    free(frozen);
}

static struct frozen *freeze_rows(struct volley *volley)
{
    struct frozen *frozen = calloc(1, sizeof *frozen);
    size_t used = 0;
    if (frozen == NULL)
        return NULL;
    frozen->plan = plan_ref(volley->plan);
    frozen->ports = calloc((size_t)volley->plan->port_count + 1, sizeof *frozen->ports);
    frozen->streams = calloc((size_t)volley->plan->stream_count + 1, sizeof *frozen->streams);
    frozen->receive = calloc(receive_rows_at_most(volley->plan) + 1, sizeof *frozen->receive);
    if (frozen->ports == NULL || frozen->streams == NULL || frozen->receive == NULL) {
        frozen_free(frozen);
        return NULL;
    }
    for (uint32_t p = 0; p < volley->plan->port_count; p++)
        port_row_now(volley, p, &frozen->ports[p]);
    for (uint32_t i = 0; i < volley->plan->stream_count; i++) {
        stream_row_now(volley, i, &frozen->streams[i]);
        keep_receive(frozen, &frozen->streams[i], &used);
    }
    return frozen;
}

static void freeze(struct volley *volley)
{
    receive_end_run(volley);
    struct frozen *frozen = freeze_rows(volley);
    volley->settling = false;
    volley->run_state = RUN_ENDED;
    ev_timer_stop(volley->loop, &volley->settle);
    if (frozen == NULL) {
        volley_say(volley, "run-ended", "run %llu ended; out of memory for its result",
                   (unsigned long long)volley->run_id);
        return;
    }
    take_history(volley, volley->ended_ns);
    run_row_now(volley, &frozen->run);
    judge(volley, frozen);
    frozen->history = volley->history;
    frozen->history_count = volley->history_count;
    volley->history = NULL;
    volley->history_count = volley->history_room = 0;
    frozen_free(volley->last);
    volley->last = frozen;
    volley_say(volley, "run-ended", "run %llu ended: %s%s%s", (unsigned long long)volley->run_id,
               verdict_names[frozen->run.verdict], frozen->run.reason_count > 0 ? "; " : "",
               frozen->run.reason_count > 0 ? frozen->reasons[0] : "");
}

/* Whether the interfaces have counted all that was completed. */
static bool devices_have_settled(const struct volley *volley)
{
    for (uint32_t p = 0; p < volley->plan->port_count; p++) {
        struct counts sum = {0};
        struct device_counts device;
        for (uint32_t q = 0; q < volley->ports[p]->queue_count; q++) {
            struct queue_counts counts;
            port_counts(volley->ports[p], q, &counts);
            counts_add(&sum, &counts.frames);
        }
        if (sum.completed == 0)
            continue;
        port_device(volley->ports[p], &sum, &device);
        if (device.comparable && device.unaccounted > 0)
            return false;
    }
    return true;
}

static void on_settle(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct volley *volley = timer->data;
    bool waited_long = clock_monotonic_ns() - volley->ended_ns > SETTLE_MS * NS_PER_MS;
    (void)loop;
    (void)revents;
    receive_tick(volley, clock_monotonic_ns());
    if ((devices_have_settled(volley) || waited_long) && receive_is_settled(volley))
        freeze(volley);
}

void result_end_run(struct volley *volley)
{
    volley->settling = true;
    receive_settle(volley);
    if (devices_have_settled(volley) && receive_is_settled(volley)) {
        freeze(volley);
        return;
    }
    ev_timer_init(&volley->settle, on_settle, SETTLE_TICK_S, SETTLE_TICK_S);
    volley->settle.data = volley;
    ev_timer_start(volley->loop, &volley->settle);
}

void result_freeze_now(struct volley *volley)
{
    if (volley->settling)
        freeze(volley);
}

void result_free(struct volley *volley)
{
    frozen_free(volley->last);
    drop_history(volley->history, volley->history_count);
}
