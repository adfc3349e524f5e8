/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All streams of all ports on one schedule, whose clock stands at the next deadline: the same pacers,
 * schedule and cursors that workers have, so that what is written here is what would be sent. Nothing is ever
 * late. */
#include "plan/dryrun.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "pace/schedule.h"
#include "packet/signature.h"

enum { LINK_HEADER_BYTES = 14 };

struct lane { /* one stream */
    const struct plan_stream *stream;
    struct packet_cursor *cursor; /* owned */
    struct pacer *pacer;          /* owned; borrows shape */
    struct pace_shape shape;
    struct pace_rate *stairs; /* owned */
    uint64_t sent, starts;
};

struct dryrun {
    const struct plan *plan; /* borrowed */
    struct lane *lanes;
    struct schedule *schedule;
    pcap_t *format;
    pcap_dumper_t *out;
    uint8_t *frame;
    uint64_t now_ns;
};

static int open_lane(struct dryrun *run, uint32_t index, struct err *err)
{
    struct lane *lane = &run->lanes[index];
    const struct plan_stream *stream = lane->stream = &run->plan->streams[index];
    uint64_t link_bit = run->plan->ports[stream->port].spec->speed_bit;
    int rc = plan_shape(run->plan, index, link_bit, 0, 1, &lane->shape, &lane->stairs, err);
    if (rc != 0)
        return rc;
    bool is_max = lane->shape.rate.unit == PACE_MAX && lane->shape.burst_frames == 0 &&
                  lane->shape.steps == 0 && lane->shape.ramp_over_ns == 0;
    if (is_max && link_bit == 0)
        return err_set(
            err, -EINVAL,
            "stream %s is at max, and the speed of its link is not known; write `speed` in port %s, "
            "such as \"10Gbit\"",
            stream->name, run->plan->ports[stream->port].spec->name);
    if (is_max)
        lane->shape.rate = (struct pace_rate){PACE_BITS_L1, {link_bit, 1}};
    lane->cursor = packet_cursor_new(stream->packet, 0, 1);
    lane->pacer = pacer_new(&lane->shape);
    return lane->cursor == NULL || lane->pacer == NULL ? err_set(err, -ENOMEM, "memory is out") : 0;
}

static void start_lane(struct dryrun *run, uint32_t index)
{
    struct lane *lane = &run->lanes[index];
    lane->sent = 0;
    lane->starts++;
    packet_cursor_reset(lane->cursor);
    pacer_start(lane->pacer, run->now_ns);
    schedule_add(run->schedule, index, lane->pacer);
}

static void end_lane(struct dryrun *run, uint32_t index)
{
    uint32_t next = run->lanes[index].stream->next;
    schedule_remove(run->schedule, index);
    if (next != PLAN_NONE && run->lanes[next].starts < run->plan->streams[next].loops)
        start_lane(run, next);
}

/* The link header of a cooked port, which is the kernel's to write. */
static uint32_t write_link_header(const struct port_spec *port, uint8_t *frame)
{
    if (!port->cooked)
        return 0;
    memset(frame, 0, LINK_HEADER_BYTES);
    memcpy(frame, port->cooked_dst, sizeof port->cooked_dst);
    store_be16(frame + 12, port->cooked_type);
    return LINK_HEADER_BYTES;
}

static void write_frame(struct dryrun *run, uint32_t index, uint64_t at_ns)
{
    struct lane *lane = &run->lanes[index];
    uint32_t bytes = packet_next_length(lane->cursor);
    uint32_t before = write_link_header(run->plan->ports[lane->stream->port].spec, run->frame);
    const struct signature_stamp stamp = {
        .stream = (uint16_t)(index + 1), .sequence = (uint32_t)lane->sent, .time_ns = at_ns};
    packet_stamp(lane->cursor, run->frame + before);
    packet_patch(lane->cursor, run->frame + before, lane->stream->expected > 0 ? &stamp : NULL);
    /* With nanosecond precision libpcap takes the microseconds' field for nanoseconds. */
    struct pcap_pkthdr header = {
        .ts = {.tv_sec = (time_t)(at_ns / NS_PER_SECOND), .tv_usec = (suseconds_t)(at_ns % NS_PER_SECOND)},
        .caplen = before + bytes,
        .len = before + bytes};
    pcap_dump((u_char *)run->out, &header, run->frame);
    schedule_sent(run->schedule, index, bytes, run->now_ns);
    if (lane->stream->count != 0 && ++lane->sent >= lane->stream->count)
        end_lane(run, index);
    else if (lane->stream->count == 0)
        lane->sent++;
}

/* Nothing is skipped: nothing is late. */
static uint32_t no_bytes(void *context, uint32_t id)
{
    (void)context;
    (void)id;
    return 0;
}

static void write_frames(struct dryrun *run, uint64_t frames)
{
    struct schedule_turn turn;
    for (uint32_t i = 0; i < run->plan->stream_count; i++)
        if (!run->plan->streams[i].follows)
            start_lane(run, i);
    while (frames > 0) {
        schedule_next(run->schedule, run->now_ns, no_bytes, NULL, &turn);
        if (turn.verdict == SCHEDULE_SEND) {
            write_frame(run, turn.id, turn.deadline_ns);
            frames--;
        } else if (turn.verdict == SCHEDULE_ENDED) {
            end_lane(run, turn.id);
        } else if (turn.deadline_ns == DEADLINE_NEVER) {
            return;
        } else {
            run->now_ns = turn.deadline_ns;
        }
    }
}

static int write_file(struct dryrun *run, const char *path, uint64_t frames, struct err *err)
{
    run->out = pcap_dump_open(run->format, path);
    if (run->out == NULL)
        return err_set(err, -EIO, "%s", pcap_geterr(run->format));
    write_frames(run, frames);
    int rc = 0;
    if (pcap_dump_flush(run->out) < 0 || ferror(pcap_dump_file(run->out)) != 0)
        rc = err_set(err, -EIO, "%s: cannot be written: %s", path, strerror(errno));
    pcap_dump_close(run->out);
    return rc;
}

int dryrun_write(const struct plan *plan, const char *path, uint64_t frames, struct err *err)
{
    const struct schedule_limits never_late = {.late_ns = UINT64_MAX, .max_burst = UINT32_MAX};
    struct dryrun run = {.plan = plan};
    run.lanes = calloc(plan->stream_count + (size_t)1, sizeof *run.lanes);
    run.schedule = schedule_new(plan->stream_count, &never_late);
    run.frame = malloc(LINK_HEADER_BYTES + FRAME_MAX_BYTES + 1);
    run.format =
        pcap_open_dead_with_tstamp_precision(DLT_EN10MB, FRAME_MAX_BYTES, PCAP_TSTAMP_PRECISION_NANO);
    int rc = 0;
    if (run.lanes == NULL || run.schedule == NULL || run.frame == NULL || run.format == NULL)
        rc = err_set(err, -ENOMEM, "memory is out");
    for (uint32_t i = 0; rc == 0 && i < plan->stream_count; i++)
        rc = open_lane(&run, i, err);
    if (rc == 0)
        rc = write_file(&run, path, frames, err);
    if (run.format != NULL)
        pcap_close(run.format);
    for (uint32_t i = 0; run.lanes != NULL && i < plan->stream_count; i++) {
        pacer_free(run.lanes[i].pacer);
        packet_cursor_free(run.lanes[i].cursor);
        free(run.lanes[i].stairs);
    }
    schedule_free(run.schedule);
    free(run.lanes);
    free(run.frame);
    return rc;
}
