/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each view stands beside the type that describes it (view_types at the end): change both. The tests check
 * every reply against the type. */
#include "control/views.h"

#include <inttypes.h>

#include "base/instant.h"
#include "plan/dryrun.h"

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

/* Text from outside (interface names, kernel words) may be anything; JSON text is UTF-8. */
static json_t *text(const char *value)
{
    json_t *valid = json_string(value == NULL ? "" : value);
    return valid != NULL ? valid : json_string("?");
}

/* ---- members that several views share ---- */

struct field {
    const char *name;
    uint64_t value;
};

static void set_numbers(json_t *object, const struct field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        json_object_set_new(object, fields[i].name, number(fields[i].value));
}
#define SET_NUMBERS(object, ...)                             \
    set_numbers(object, (const struct field[]){__VA_ARGS__}, \
                sizeof((const struct field[]){__VA_ARGS__}) / sizeof(struct field))

static void set_counts(json_t *object, const struct counts *counts)
{
    SET_NUMBERS(object, {"scheduled", counts->scheduled}, {"queued", counts->queued},
                {"completed", counts->completed}, {"rejected", counts->rejected},
                {"withdrawn", counts->withdrawn}, {"missed", counts->missed},
                {"in_flight", counts->in_flight}, {"bytes_l2", counts->bytes_l2});
}

static json_t *view_rates(const struct achieved *rates)
{
    return json_pack("{s:f, s:f, s:f}", "pps", rates->pps, "bit_l1", rates->bit_l1, "bit_l2", rates->bit_l2);
}

json_t *view_run(const struct run_row *row)
{
    char started[INSTANT_BYTES] = "";
    json_t *reasons = json_array();
    for (size_t i = 0; i < row->reason_count; i++)
        json_array_append_new(reasons, text(row->reasons[i]));
    if (row->state != RUN_NONE)
        instant_format(row->started_realtime_ns, started, sizeof started);
    return json_pack("{s:o, s:s, s:s, s:o, s:s, s:o}", "id", number(row->id), "state",
                     run_state_names[row->state], "started", started, "elapsed_ns", number(row->elapsed_ns),
                     "verdict", verdict_names[row->verdict], "reasons", reasons);
}

/* ---- ports ---- */

static json_t *view_queue(const struct queue_counts *queue)
{
    json_t *object = json_object();
    set_counts(object, &queue->frames);
    SET_NUMBERS(object, {"kicks", queue->kicks}, {"waits", queue->waits}, {"wakeups", queue->wakeups},
                {"again", queue->again}, {"nobufs", queue->nobufs}, {"last_error", queue->last_error});
    return object;
}

static json_t *view_device(const struct device_counts *device)
{
    json_t *object = json_object();
    SET_NUMBERS(object, {"tx_packets", device->tx_packets}, {"tx_bytes", device->tx_bytes},
                {"tx_dropped", device->tx_dropped}, {"rx_packets", device->rx_packets},
                {"rx_bytes", device->rx_bytes}, {"unaccounted", device->unaccounted},
                {"foreign", device->foreign});
    json_object_set_new(object, "comparable", json_boolean(device->comparable));
    return object;
}

static json_t *begin_port(const struct port_row *row)
{
    const struct port_spec *spec = row->plan->spec;
    return json_pack("{s:o, s:o, s:o, s:s, s:o}", "name", text(spec->name), "interface",
                     text(spec->interface), "engine", text(spec->engine), "state",
                     port_state_names[row->state], "reason", text(row->reason));
}

/* Only the buckets that hold something. */
static json_t *view_gaps(const struct port_row *row)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < GAP_BUCKETS; i++) {
        json_t *bucket;
        if (row->gaps[i] == 0)
            continue;
        bucket = json_object();
        SET_NUMBERS(bucket, {"from_ns", gap_bucket_from_ns(i)}, {"to_ns", gap_bucket_from_ns(i + 1)},
                    {"count", row->gaps[i]});
        json_array_append_new(array, bucket);
    }
    return array;
}

json_t *view_port_counters(const struct port_row *row)
{
    json_t *object = begin_port(row), *queues = json_array();
    set_counts(object, &row->counts);
    SET_NUMBERS(object, {"kicks", row->kicks}, {"waits", row->waits}, {"wakeups", row->wakeups});
    for (uint32_t i = 0; i < row->queues && i < QUEUES_MAX; i++)
        json_array_append_new(queues, view_queue(&row->queue[i]));
    json_object_set_new(object, "achieved", view_rates(&row->achieved));
    json_object_set_new(object, "average", view_rates(&row->average));
    json_object_set_new(object, "queues", queues);
    json_object_set_new(object, "device", view_device(&row->device));
    json_object_set_new(object, "gaps", view_gaps(row));
    return object;
}

static json_t *view_receiver(const struct port_row *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "received", number(row->received), "overrun",
                     number(row->overrun), "foreign", number(row->foreign_received), "pause",
                     number(row->pause_received), "clock", text(row->receive_clock));
}

static const char *const pacing_names[] = {
    [PACING_BALANCED] = "balanced", [PACING_PRECISE] = "precise", [PACING_ECONOMY] = "economy"};

static json_t *view_cpus(const struct port_row *row)
{
    json_t *array = json_array();
    for (uint32_t i = 0; row->armed && i < row->plan->spec->queues; i++)
        json_array_append_new(array, json_integer(row->cpus[i]));
    return array;
}

static json_t *view_ring(const struct port_row *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "version", number(row->plan->spec->ring_version),
                     "frames", number(row->ring_slots), "frame_size", number(row->ring_frame_size),
                     "block_size", number(row->ring_block_size), "blocks", number(row->ring_blocks),
                     "socket_memory", number(row->socket_memory));
}

json_t *view_port_status(const struct port_row *row)
{
    json_t *object = begin_port(row);
    char mac[24];
    SET_NUMBERS(object, {"ifindex", row->ifindex < 0 ? 0 : (uint64_t)row->ifindex}, {"mtu", row->mtu},
                {"speed_bit", row->speed_bit}, {"queues", row->plan->spec->queues});
    json_object_set_new(object, "mac", text(units_format_mac(row->mac, mac, sizeof mac)));
    json_object_set_new(object, "pacing", text(pacing_names[row->plan->spec->pacing]));
    json_object_set_new(object, "cpus", view_cpus(row));
    json_object_set_new(object, "ring", view_ring(row));
    json_object_set_new(object, "path", text(row->path));
    json_object_set_new(object, "warning", text(row->warning));
    json_object_set_new(object, "receive", row->receiving ? view_receiver(row) : json_null());
    return object;
}

/* ---- streams ---- */

static json_t *view_latency(const struct receive_row *row, const char *clock)
{
    const struct stream_result *r = &row->result;
    json_t *object = json_pack("{s:o}", "clock", text(clock));
    SET_NUMBERS(object, {"min_ns", r->latency_min_ns}, {"mean_ns", r->latency_mean_ns},
                {"p50_ns", r->latency_p50_ns}, {"p90_ns", r->latency_p90_ns}, {"p99_ns", r->latency_p99_ns},
                {"p999_ns", r->latency_p999_ns}, {"p9999_ns", r->latency_p9999_ns},
                {"p99999_ns", r->latency_p99999_ns}, {"max_ns", r->latency_max_ns},
                {"jitter_ns", r->jitter_ns}, {"delay_variation_ns", r->delay_variation_ns},
                {"uncertainty_ns", row->uncertainty_ns}, {"uncertainty_mean_ns", row->uncertainty_mean_ns});
    return object;
}

static json_t *view_receive(const struct receive_row *row, const struct plan *plan, view_clock *clocks)
{
    const struct stream_result *r = &row->result;
    const char *port = plan->ports[row->port].spec->name;
    json_t *object = json_pack("{s:o, s:b}", "port", text(port), "final", (int)row->final);
    SET_NUMBERS(object, {"received", r->received}, {"lost", r->lost}, {"duplicates", r->duplicates},
                {"reordered", r->reordered}, {"reorder_extent", r->reorder_extent}, {"late", r->late},
                {"corrupted", r->corrupted}, {"flooded", r->flooded}, {"misdirected", r->misdirected},
                {"stale", r->stale});
    json_t *outage = json_pack("{s:o, s:o}", "frames", number(r->outage_frames), "ns", number(r->outage_ns));
    json_object_set_new(object, "outage", outage);
    json_object_set_new(object, "latency", view_latency(row, clocks[row->port]));
    return object;
}

static json_t *begin_stream(const struct stream_row *row, const struct plan *plan)
{
    char asked[128];
    if (row->rate_is_set)
        units_format_rate(row->requested, asked, sizeof asked);
    else
        plan_format_asked(row->plan, asked, sizeof asked);
    return json_pack("{s:o, s:o, s:s, s:o, s:o}", "name", text(row->plan->name), "port",
                     text(plan->ports[row->plan->port].spec->name), "state", stream_state_names[row->state],
                     "reason", text(row->reason), "requested", text(asked));
}

json_t *view_stream_counters(const struct stream_row *row, const struct plan *plan, view_clock *clocks)
{
    json_t *object = begin_stream(row, plan), *receive = json_array();
    set_counts(object, &row->counts);
    for (uint32_t i = 0; i < row->receive_count; i++)
        json_array_append_new(receive, view_receive(&row->receive[i], plan, clocks));
    json_object_set_new(object, "achieved", view_rates(&row->achieved));
    json_object_set_new(object, "average", view_rates(&row->average));
    json_object_set_new(object, "receive", receive);
    return object;
}

/* A ratio with few digits as people wrote it: "0.5", "3". */
static json_t *view_ratio(struct ratio ratio)
{
    char digits[48];
    snprintf(digits, sizeof digits, "%.9g", ratio.den == 0 ? 1. : (double)ratio.num / (double)ratio.den);
    return json_string(digits);
}

json_t *view_stream_status(const struct stream_row *row, const struct plan *plan)
{
    json_t *object = begin_stream(row, plan);
    uint64_t bytes = 0, frames = 1;
    packet_mean(row->plan->packet, &bytes, &frames);
    json_object_set_new(object, "multiplier", view_ratio(row->multiplier));
    json_object_set_new(object, "template", text(row->plan->spec->template_name));
    json_object_set_new(object, "size_mean", json_real((double)bytes / (double)frames + FCS_BYTES));
    SET_NUMBERS(object, {"count", row->plan->count}, {"duration_ns", row->plan->duration_ns});
    return object;
}

json_t *view_history(const struct history_point *point, const struct plan *plan)
{
    json_t *ports = json_array();
    for (uint32_t i = 0; i < plan->port_count; i++)
        json_array_append_new(ports, json_pack("{s:o, s:o, s:o}", "name", text(plan->ports[i].spec->name),
                                               "completed", number(point->ports[i].completed), "missed",
                                               number(point->ports[i].missed)));
    return json_pack("{s:o, s:o}", "elapsed_ns", number(point->elapsed_ns), "ports", ports);
}

#define COUNTS                                                                                     \
    "  scheduled: int, queued: int, completed: int, rejected: int, withdrawn: int, missed: int,\n" \
    "  in_flight: int, bytes_l2: int"

const char view_types[] =
    "# A run: opened by the first start, ended when no stream is active or paused.\n"
    "# state: none, open, ended. verdict: none, passed, unmet, invalid. started: RFC 3339, or empty.\n"
    "type Run (id: int, state: string, started: string, elapsed_ns: int, verdict: string,\n"
    "  reasons: []string)\n\n"
    "# Frames, and bits at layer 1 (with preamble and gap) and layer 2 (with FCS), a second.\n"
    "type Rates (pps: float, bit_l1: float, bit_l2: float)\n\n"
    "# Frames on the wire. scheduled = queued + missed;\n"
    "# queued = completed + rejected + withdrawn + in_flight.\n"
    "type QueueCounters (\n" COUNTS ",\n"
    "  kicks: int, waits: int, wakeups: int, again: int, nobufs: int, last_error: int)\n\n"
    "# The interface's own counters since the run began. unaccounted: completed by us, not sent by it;\n"
    "# foreign: sent by it, not by us.\n"
    "type Device (tx_packets: int, tx_bytes: int, tx_dropped: int, rx_packets: int, rx_bytes: int,\n"
    "  unaccounted: int, foreign: int, comparable: bool)\n\n"
    "# state: absent, refused, down, no-carrier, ready, running, draining, failed.\n"
    "type PortCounters (name: string, interface: string, engine: string, state: string, reason: "
    "string,\n" COUNTS ",\n"
    "  kicks: int, waits: int, wakeups: int, achieved: Rates, average: Rates,\n"
    "  queues: []QueueCounters, device: Device, gaps: []Gaps)\n\n"
    "# How many gaps between frames that arrived here were from from_ns to below to_ns long.\n"
    "type Gaps (from_ns: int, to_ns: int, count: int)\n\n"
    "# Stamps are written before the kernel has sent the frame: latencies are too long by at most\n"
    "# uncertainty_ns, on average by at most uncertainty_mean_ns (of all streams of the sending port).\n"
    "type Latency (clock: string, min_ns: int, mean_ns: int, p50_ns: int, p90_ns: int, p99_ns: int,\n"
    "  p999_ns: int, p9999_ns: int, p99999_ns: int, max_ns: int, jitter_ns: int,\n"
    "  delay_variation_ns: int, uncertainty_ns: int, uncertainty_mean_ns: int)\n\n"
    "# What one port received of one stream.\n"
    "type Received (port: string, final: bool, received: int, lost: int, duplicates: int, reordered: int,\n"
    "  reorder_extent: int, late: int, corrupted: int, flooded: int, misdirected: int, stale: int,\n"
    "  outage: (frames: int, ns: int), latency: Latency)\n\n"
    "# state: idle, armed, running, paused, done, failed.\n"
    "type StreamCounters (name: string, port: string, state: string, reason: string,\n" COUNTS ",\n"
    "  requested: string, achieved: Rates, average: Rates, receive: []Received)\n\n"
    "# cpus: that each queue's thread keeps, -1 where it may be moved; none until the port is armed.\n"
    "type PortStatus (name: string, interface: string, engine: string, state: string, reason: string,\n"
    "  ifindex: int, mtu: int, speed_bit: int, mac: string, queues: int, cpus: []int, pacing: string,\n"
    "  ring: (version: int, frames: int, frame_size: int, block_size: int, blocks: int,\n"
    "    socket_memory: int),\n"
    "  path: string, warning: string,\n"
    "  receive: ?(received: int, overrun: int, foreign: int, pause: int, clock: string))\n\n"
    "# count: frames it ends after, 0 for none; duration_ns: time it ends after.\n"
    "type StreamStatus (name: string, port: string, state: string, reason: string, requested: string,\n"
    "  multiplier: string, template: string, size_mean: float, count: int, duration_ns: int)\n\n"
    "# Totals of each port at one time of the run.\n"
    "type LeaseStatus (holder: string, remaining_ms: int)\n\n"
    "type HistoryPoint (elapsed_ns: int, ports: [](name: string, completed: int, missed: int))\n\n"
    "type Complaint (where: string, text: string)\n";
