/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The other end of a run: receivers on the ports that receive, and what arrived there, stream by stream.
 *
 *   first start of a run ─► open receivers ─► begin (this run's nonce) ─► teach the switch ─► frames
 *   run ends ─► settle (500 ms for stragglers) ─► final snapshot ─► rows for the frozen result
 *
 * Results live in the receive workers; here are the snapshots that they took, added up over the threads of a
 * port. Only plans with a stream that has `expect` open receivers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "packet/signature.h"
#include "run/receive_worker.h"
#include "run/volley.h"

enum {
    SETTLE_MS = 500,
    SNAPSHOT_MS = 500,
    THREADS_MAX = 16,
    LEARN_FRAMES = 4096,
    LEARN_ADDRESSES = 1024,
    LEARN_BYTES = 60,
    LEARN_TIMES = 2
};
enum { ETHERTYPE_LOCAL_EXPERIMENT = 0x88b5, ETHERTYPE_VLAN = 0x8100, ETHERTYPE_SERVICE_VLAN = 0x88a8 };

struct listener { /* one thread of a port */
    struct receiver *receiver;
    struct receive_worker *worker;
    struct receive_snapshot snapshot;
    struct receiving_port *port;
    bool asked;
};

struct receiving_port {
    struct receiving *receiving;
    uint32_t port; /* index in the plan */
    uint32_t threads;
    struct listener *listeners; /* owned */
};

struct receiving {
    struct volley *volley;
    const struct plan *plan; /* one reference: what the numbers in signatures mean */
    struct receiving_port ports[PORTS_MAX];
    uint32_t port_count;
    struct queue_counts
        sender[PORTS_MAX];         /* by the plan's index: all queues of a port, as of the last asking */
    uint64_t *sent;                /* per stream, for the final snapshot */
    struct receive_stream *wishes; /* per stream; owned */
    uint64_t run_id, asked_ns;
    bool settling, final_asked, settled;
    struct receive_row scratch[PORTS_MAX];
};

/* ---- opening ---- */

static bool plan_expects(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->stream_count; i++)
        if (plan->streams[i].expected > 0)
            return true;
    return false;
}

static void close_listener(struct listener *listener)
{
    receive_worker_free(listener->worker);
    receiver_close(listener->receiver);
    free(listener->snapshot.results);
    free(listener->snapshot.expected_next);
}

static void close_all(struct receiving *receiving)
{
    for (uint32_t p = 0; p < receiving->port_count; p++) {
        for (uint32_t t = 0; t < receiving->ports[p].threads; t++)
            close_listener(&receiving->ports[p].listeners[t]);
        free(receiving->ports[p].listeners);
    }
    receiving->port_count = 0;
}

void receive_free(struct volley *volley)
{
    struct receiving *receiving = volley->receiving;
    volley->receiving = NULL;
    if (receiving == NULL)
        return;
    close_all(receiving);
    plan_unref(receiving->plan);
    free(receiving->wishes);
    free(receiving->sent);
    free(receiving);
}

static enum receiver_fanout fanout_of(const struct port_spec *spec, uint32_t threads)
{
    static const enum receiver_fanout kinds[] = {
        [FANOUT_STREAM] = RECEIVER_FANOUT_STREAM, [FANOUT_CPU] = RECEIVER_FANOUT_CPU,
        [FANOUT_HASH] = RECEIVER_FANOUT_HASH,     [FANOUT_LB] = RECEIVER_FANOUT_LB,
        [FANOUT_QM] = RECEIVER_FANOUT_QM,         [FANOUT_ROLLOVER] = RECEIVER_FANOUT_ROLLOVER};
    return threads > 1 ? kinds[spec->receive_fanout] : RECEIVER_FANOUT_NONE;
}

static int open_listener(struct receiving_port *port, uint32_t thread, struct err *err)
{
    const struct volley *volley = port->receiving->volley;
    const struct port *facts = volley->ports[port->port];
    const struct port_spec *spec = facts->planned->spec;
    struct listener *listener = &port->listeners[thread];
    char name[16];
    struct receiver_wishes wishes = {.interface = spec->interface,
                                     .ifindex = facts->facts.ifindex,
                                     .version = spec->receive_version,
                                     .blocks = spec->receive_blocks,
                                     .block_size = spec->receive_block_size,
                                     .fanout = fanout_of(spec, port->threads),
                                     .fanout_group = (uint16_t)(facts->facts.ifindex ^ (int)volley->nonce),
                                     .promiscuous = spec->receive_promiscuous,
                                     .signed_only = true,
                                     .nonce = volley->nonce};
    listener->port = port;
    listener->snapshot.streams = volley->plan->stream_count;
    listener->snapshot.results =
        calloc((size_t)volley->plan->stream_count + 1, sizeof *listener->snapshot.results);
    listener->snapshot.expected_next =
        calloc((size_t)volley->plan->stream_count + 1, sizeof *listener->snapshot.expected_next);
    if (listener->snapshot.results == NULL || listener->snapshot.expected_next == NULL)
        return err_set(err, -ENOMEM, "out of memory for the results of port \"%s\"", spec->name);
    int result = receiver_open(&wishes, &listener->receiver, err);
    if (result < 0)
        return err_within(err, "port \"%s\" cannot receive", spec->name);
    snprintf(name, sizeof name, "%.9s/rx%u", spec->name, thread % 100);
    struct receive_worker_wishes worker = {.name = name,
                                           .receiver = listener->receiver,
                                           .streams = volley->plan->stream_count,
                                           .stream = port->receiving->wishes,
                                           .main_loop = volley->loop,
                                           .confine = volley->confine};
    return receive_worker_new(&worker, &listener->worker, err);
}

static int open_port(struct receiving *receiving, uint32_t index, struct err *err)
{
    struct port *port = receiving->volley->ports[index];
    struct receiving_port *one = &receiving->ports[receiving->port_count];
    uint32_t threads = port->planned->spec->receive_threads;
    port_refresh(port);
    if (port->facts.ifindex == 0)
        return err_set(err, -ENODEV, "port \"%s\" cannot receive: there is no interface %s",
                       port->planned->spec->name, port->planned->spec->interface);
    *one =
        (struct receiving_port){.receiving = receiving, .port = index, .threads = threads > 0 ? threads : 1};
    one->listeners = calloc(one->threads, sizeof *one->listeners);
    if (one->listeners == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    receiving->port_count++;
    int result = 0;
    for (uint32_t t = 0; result == 0 && t < one->threads; t++)
        result = open_listener(one, t, err);
    return result;
}

static struct receive_stream *wishes_of(const struct plan *plan)
{
    struct receive_stream *wishes = calloc((size_t)plan->stream_count + 1, sizeof *wishes);
    for (uint32_t i = 0; wishes != NULL && i < plan->stream_count; i++) {
        const struct packet_segmentation *runs = packet_segmentation(plan->streams[i].packet);
        wishes[i].segment_bytes = runs != NULL ? runs->payload_bytes : 0;
        wishes[i].check_payload = plan->streams[i].spec->check_payload;
    }
    return wishes;
}

static int open_all(struct volley *volley, struct err *err)
{
    struct receiving *receiving = calloc(1, sizeof *receiving);
    if (receiving == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    receiving->volley = volley;
    receiving->plan = plan_ref(volley->plan);
    receiving->settled = true;
    volley->receiving = receiving;
    receiving->sent = calloc((size_t)volley->plan->stream_count + 1, sizeof *receiving->sent);
    receiving->wishes = wishes_of(volley->plan);
    int result =
        receiving->sent != NULL && receiving->wishes != NULL ? 0 : err_set(err, -ENOMEM, "out of memory");
    for (uint32_t p = 0; result == 0 && p < volley->plan->port_count; p++)
        if (volley->plan->ports[p].spec->receive)
            result = open_port(receiving, p, err);
    if (result < 0)
        receive_free(volley);
    return result;
}

/* ---- teaching a switch where the destinations are ---- */

static const struct receiving_port *receiving_port(const struct receiving *receiving, uint32_t port)
{
    for (uint32_t p = 0; p < receiving->port_count; p++)
        if (receiving->ports[p].port == port)
            return &receiving->ports[p];
    return NULL;
}

/* What a station with the frame's destination address would send back: the same tags, an experimental type,
 * nothing else. */
static void learning_frame(const uint8_t *frame, uint8_t out[LEARN_BYTES])
{
    size_t at = 12;
    memset(out, 0, LEARN_BYTES);
    memcpy(out, frame + 6, 6);
    memcpy(out + 6, frame, 6);
    for (uint16_t type = load_be16(frame + at);
         (type == ETHERTYPE_VLAN || type == ETHERTYPE_SERVICE_VLAN) && at < 28;
         type = load_be16(frame + at)) {
        memcpy(out + at, frame + at, 4);
        at += 4;
    }
    store_be16(out + at, ETHERTYPE_LOCAL_EXPERIMENT);
}

static bool is_known(uint8_t known[][6], uint32_t count, const uint8_t mac[6])
{
    for (uint32_t i = count; i-- > 0;)
        if (memcmp(known[i], mac, 6) == 0)
            return true;
    return false;
}

/* Walks the stream's frames once over and answers for each destination address, from each port that expects
 * it. */
static int teach_stream(const struct receiving *receiving, const struct plan_stream *stream)
{
    uint8_t *frame = calloc(1, (size_t)packet_largest(stream->packet) + 64);
    uint8_t(*known)[6] = calloc(LEARN_ADDRESSES, sizeof *known);
    struct packet_cursor *cursor = packet_cursor_new(stream->packet, 0, 1);
    struct signature_stamp stamp = {0};
    uint32_t count = 0;
    int result = frame != NULL && known != NULL && cursor != NULL ? 0 : -ENOMEM;
    for (uint32_t i = 0; result == 0 && i < LEARN_FRAMES && count < LEARN_ADDRESSES; i++) {
        uint8_t answer[LEARN_BYTES];
        packet_stamp(cursor, frame);
        packet_patch(cursor, frame, &stamp);
        if ((frame[0] & 1) != 0 || is_known(known, count, frame))
            continue;
        memcpy(known[count++], frame, 6);
        learning_frame(frame, answer);
        for (uint32_t e = 0; e < stream->expected; e++)
            for (int times = 0; times < LEARN_TIMES; times++)
                (void)receiver_send(receiving_port(receiving, stream->expect[e])->listeners[0].receiver,
                                    answer, sizeof answer);
    }
    packet_cursor_free(cursor);
    free(known);
    free(frame);
    return result;
}

static int teach(struct receiving *receiving, struct err *err)
{
    const struct volley *volley = receiving->volley;
    int result = 0;
    for (uint32_t i = 0; result == 0 && i < receiving->plan->stream_count; i++) {
        const struct plan_stream *stream = &receiving->plan->streams[i];
        if (stream->expected == 0 || !stream->spec->learn ||
            volley->ports[stream->port]->planned->spec->cooked)
            continue;
        for (uint32_t e = 0; e < stream->expected; e++)
            if (volley->ports[stream->expect[e]]->state == PORT_REFUSED)
                return err_set(
                    err, -EPERM,
                    "stream \"%s\" would teach the switch from port \"%s\", but %s; or set learn = false",
                    stream->name, volley->ports[stream->expect[e]]->planned->spec->name,
                    volley->ports[stream->expect[e]]->reason);
        result = teach_stream(receiving, stream);
    }
    return result < 0 ? err_set(err, result, "out of memory") : 0;
}

/* ---- a run ---- */

int receive_begin_run(struct volley *volley, struct err *err)
{
    int result = 0;
    if (!plan_expects(volley->plan))
        return 0;
    if (volley->receiving != NULL && volley->receiving->plan != volley->plan)
        receive_free(volley);
    if (volley->receiving != NULL && volley->receiving->run_id == volley->run_id)
        return 0;
    receive_free(volley); /* interfaces may have been replaced since the last run */
    if ((result = open_all(volley, err)) < 0)
        return result;
    struct receiving *receiving = volley->receiving;
    for (uint32_t p = 0; result == 0 && p < receiving->port_count; p++)
        for (uint32_t t = 0; result == 0 && t < receiving->ports[p].threads; t++)
            result = receive_worker_begin(receiving->ports[p].listeners[t].worker, volley->nonce);
    if (result < 0)
        return err_set(err, result, "out of memory");
    if ((result = teach(receiving, err)) < 0)
        return result;
    receiving->run_id = volley->run_id;
    receiving->settling = receiving->final_asked = receiving->settled = false;
    return 0;
}

/* ---- snapshots ---- */

static bool any_asked(const struct receiving *receiving)
{
    for (uint32_t p = 0; p < receiving->port_count; p++)
        for (uint32_t t = 0; t < receiving->ports[p].threads; t++)
            if (receiving->ports[p].listeners[t].asked)
                return true;
    return false;
}

static void on_snapshot(struct receive_snapshot *snapshot)
{
    struct listener *listener = snapshot->context;
    struct receiving *receiving = listener->port->receiving;
    listener->asked = false;
    if (receiving->final_asked && snapshot->final && !any_asked(receiving))
        receiving->settled = true;
}

static void note_senders(struct receiving *receiving)
{
    const struct volley *volley = receiving->volley;
    for (uint32_t p = 0; p < volley->plan->port_count; p++) {
        receiving->sender[p] = (struct queue_counts){0};
        for (uint32_t q = 0; q < volley->ports[p]->queue_count; q++) {
            struct queue_counts one;
            port_counts(volley->ports[p], q, &one);
            queue_counts_add(&receiving->sender[p], &one);
        }
    }
}

static void ask_all(struct receiving *receiving, bool final)
{
    for (uint32_t i = 0; i < receiving->plan->stream_count && receiving->plan == receiving->volley->plan;
         i++) {
        struct counts counts;
        stream_counts(&receiving->volley->streams[i], &counts);
        receiving->sent[i] = counts.completed;
    }
    note_senders(receiving);
    for (uint32_t p = 0; p < receiving->port_count; p++)
        for (uint32_t t = 0; t < receiving->ports[p].threads; t++) {
            struct listener *listener = &receiving->ports[p].listeners[t];
            listener->asked = true;
            listener->snapshot.final = final;
            listener->snapshot.sent = receiving->sent;
            listener->snapshot.done = on_snapshot;
            listener->snapshot.context = listener;
            receive_worker_snapshot(listener->worker, &listener->snapshot);
        }
    receiving->asked_ns = clock_monotonic_ns();
}

void receive_tick(struct volley *volley, uint64_t now_ns)
{
    struct receiving *receiving = volley->receiving;
    if (receiving == NULL || receiving->settled || any_asked(receiving))
        return;
    /* Percentiles of ten thousand streams take the worker a while: they are asked for less often. */
    uint64_t every_ms = SNAPSHOT_MS + receiving->plan->stream_count / 5;
    if (!receiving->settling && now_ns - receiving->asked_ns > every_ms * NS_PER_MS)
        ask_all(receiving, false);
    if (receiving->settling && !receiving->final_asked && now_ns - volley->ended_ns > SETTLE_MS * NS_PER_MS) {
        receiving->final_asked = true;
        ask_all(receiving, true);
        receiving->settled = receiving->port_count == 0;
    }
}

void receive_settle(struct volley *volley)
{
    if (volley->receiving != NULL && volley->receiving->run_id == volley->run_id)
        volley->receiving->settling = true;
}

bool receive_is_settled(const struct volley *volley)
{
    return volley->receiving == NULL || volley->receiving->settled;
}

/* A run that is frozen before it settled: what the last snapshots say is final. */
void receive_end_run(struct volley *volley)
{
    if (volley->receiving != NULL)
        volley->receiving->settled = true;
}

/* ---- rows ---- */

static bool is_expected(const struct plan_stream *stream, uint32_t port)
{
    for (uint32_t e = 0; e < stream->expected; e++)
        if (stream->expect[e] == port)
            return true;
    return false;
}

/* Threads of one port, added up. With fan-out by stream all of a stream is on one thread and this copies. */
static void add_result(struct stream_result *sum, const struct stream_result *more)
{
    if (more->received == 0)
        return;
    if (sum->received == 0) {
        *sum = *more;
        return;
    }
    sum->received += more->received;
    sum->duplicates += more->duplicates;
    sum->reordered += more->reordered;
    sum->late += more->late;
    sum->corrupted += more->corrupted;
    sum->stale += more->stale;
    sum->lost += more->lost;
    if (more->latency_min_ns < sum->latency_min_ns)
        sum->latency_min_ns = more->latency_min_ns;
    if (more->latency_max_ns > sum->latency_max_ns)
        sum->latency_max_ns = more->latency_max_ns;
}

/* What was completed and did not arrive. Until the end only holes among what arrived are known. */
static void account_loss(const struct receiving *receiving, uint32_t stream, struct stream_result *result)
{
    uint64_t unique = result->received - result->duplicates;
    result->sent = receiving->sent[stream];
    if (receiving->final_asked && receiving->settled)
        result->lost = result->sent > unique ? result->sent - unique : 0;
    if (unique == 0) /* nothing came that the run of missing frames could stand between */
        result->outage_frames = result->lost;
}

static bool arrived_where_expected(const struct receiving *receiving, uint32_t stream)
{
    for (uint32_t p = 0; p < receiving->port_count; p++)
        for (uint32_t t = 0; t < receiving->ports[p].threads; t++)
            if (is_expected(&receiving->plan->streams[stream], receiving->ports[p].port) &&
                receiving->ports[p].listeners[t].snapshot.results[stream].received > 0)
                return true;
    return false;
}

static bool make_row(const struct receiving *receiving, const struct receiving_port *port, uint32_t stream,
                     struct receive_row *row)
{
    bool expected = is_expected(&receiving->plan->streams[stream], port->port);
    memset(row, 0, sizeof *row);
    row->port = port->port;
    row->final = receiving->final_asked && receiving->settled;
    const struct queue_counts *sender = &receiving->sender[receiving->plan->streams[stream].port];
    row->uncertainty_ns = sender->handover_max_ns;
    row->uncertainty_mean_ns = sender->handovers > 0 ? sender->handover_ns / sender->handovers : 0;
    for (uint32_t t = 0; t < port->threads; t++)
        add_result(&row->result, &port->listeners[t].snapshot.results[stream]);
    if (expected) {
        account_loss(receiving, stream, &row->result);
        return true;
    }
    row->result.lost = 0;
    if (arrived_where_expected(receiving, stream))
        row->result.flooded = row->result.received;
    else
        row->result.misdirected = row->result.received;
    return row->result.received > 0;
}

uint32_t receive_rows(struct volley *volley, uint32_t stream, const struct receive_row **out)
{
    struct receiving *receiving = volley->receiving;
    uint32_t count = 0;
    *out = NULL;
    if (receiving == NULL || receiving->plan != volley->plan || volley->plan->streams[stream].expected == 0 ||
        !volley->streams[stream].in_run)
        return 0;
    for (uint32_t p = 0; p < receiving->port_count; p++)
        count += make_row(receiving, &receiving->ports[p], stream, &receiving->scratch[count]);
    *out = receiving->scratch;
    return count;
}

void receive_port_row(struct volley *volley, uint32_t port, struct port_row *out)
{
    const struct receiving *receiving = volley->receiving;
    const struct receiving_port *one =
        receiving != NULL && receiving->plan == volley->plan ? receiving_port(receiving, port) : NULL;
    if (one == NULL)
        return;
    out->receiving = true;
    for (uint32_t t = 0; t < one->threads; t++) {
        const struct receive_totals *totals = &one->listeners[t].snapshot.totals;
        out->received += totals->ours;
        out->foreign_received += totals->foreign;
        out->pause_received += totals->pause;
        out->overrun += totals->overrun;
        for (uint32_t i = 0; i < GAP_BUCKETS; i++)
            out->gaps[i] += totals->gaps[i];
    }
    snprintf(out->receive_clock, sizeof out->receive_clock, "%s", receiver_clock(one->listeners[0].receiver));
}
