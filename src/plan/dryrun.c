/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The streams' pacers without a clock: the frame with the earliest deadline is next, time jumps there. What
 * has no link yet is armed as on a link of LINK_BIT; frames of streams at rate max leave at that link's rate.
 */
#include "plan/dryrun.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "packet/signature.h"

#define LINK_BIT (UINT64_C(10) * 1000 * 1000 * 1000)

struct lane { /* one stream */
    const struct plan_stream *stream;
    struct packet_cursor *cursor; /* owned */
    struct pacer *pacer;          /* owned; borrows shape */
    struct pace_shape shape;
    struct pace_rate *stairs; /* owned */
    uint64_t link_bit;
    uint64_t free_ns; /* when the frame before has left the link; only rate max waits for it */
    uint64_t sent;
};

static int open_lane(struct lane *lane, const struct plan *plan, uint32_t index, struct err *err)
{
    const struct plan_stream *stream = &plan->streams[index];
    const struct port_spec *port = plan->ports[stream->port].spec;
    if (port->cooked)
        return err_set(err, -EOPNOTSUPP, "port %s is cooked: its frames have no link header to write",
                       port->name);
    lane->stream = stream;
    lane->link_bit = port->speed_bit != 0 ? port->speed_bit : LINK_BIT;
    int r = plan_shape(plan, index, lane->link_bit, 0, 1, &lane->shape, &lane->stairs, err);
    if (r < 0)
        return r;
    lane->cursor = packet_cursor_new(stream->packet, 0, 1);
    lane->pacer = pacer_new(&lane->shape);
    if (lane->cursor == NULL || lane->pacer == NULL)
        return err_set(err, -ENOMEM, "no memory");
    pacer_start(lane->pacer, 0);
    return 0;
}

static void close_lane(struct lane *lane)
{
    pacer_free(lane->pacer);
    packet_cursor_free(lane->cursor);
    free(lane->stairs);
}

static uint64_t next_ns(const struct lane *lane)
{
    if (lane->stream->count != 0 && lane->sent >= lane->stream->count)
        return DEADLINE_NEVER;
    uint64_t deadline_ns = pacer_deadline(lane->pacer);
    if (deadline_ns == DEADLINE_NEVER || !pacer_is_max(lane->pacer) || deadline_ns >= lane->free_ns)
        return deadline_ns;
    return lane->free_ns < pacer_end(lane->pacer) ? lane->free_ns : DEADLINE_NEVER;
}

static struct lane *earliest(struct lane *lanes, uint32_t count)
{
    struct lane *found = NULL;
    for (uint32_t i = 0; i < count; i++)
        if (next_ns(&lanes[i]) != DEADLINE_NEVER && (found == NULL || next_ns(&lanes[i]) < next_ns(found)))
            found = &lanes[i];
    return found;
}

static void write_frame(struct lane *lane, const struct plan *plan, uint8_t *frame, pcap_dumper_t *out)
{
    uint64_t at_ns = next_ns(lane);
    uint32_t bytes = packet_next_length(lane->cursor);
    const struct signature_stamp stamp = {.stream = (uint16_t)(lane->stream - plan->streams + 1),
                                          .sequence = (uint32_t)lane->sent,
                                          .time_ns = at_ns};
    packet_stamp(lane->cursor, frame);
    packet_patch(lane->cursor, frame, lane->stream->expected > 0 ? &stamp : NULL);
    /* With nanosecond precision libpcap takes the microseconds' field for nanoseconds. */
    struct pcap_pkthdr header = {
        .ts = {.tv_sec = (time_t)(at_ns / NS_PER_SECOND), .tv_usec = (suseconds_t)(at_ns % NS_PER_SECOND)},
        .caplen = bytes,
        .len = bytes};
    pcap_dump((u_char *)out, &header, frame);
    lane->free_ns =
        at_ns + (uint64_t)(bytes + FCS_BYTES + L1_EXTRA_BYTES) * 8 * NS_PER_SECOND / lane->link_bit;
    pacer_advance(lane->pacer, bytes);
    lane->sent++;
}

static int write_all(struct lane *lanes, const struct plan *plan, uint64_t frames, pcap_dumper_t *out,
                     struct err *err)
{
    uint8_t *frame = calloc(1, FRAME_MAX_BYTES + 1);
    if (frame == NULL)
        return err_set(err, -ENOMEM, "no memory");
    for (uint64_t i = 0; i < frames; i++) {
        struct lane *lane = earliest(lanes, plan->stream_count);
        if (lane == NULL)
            break;
        write_frame(lane, plan, frame, out);
    }
    free(frame);
    return 0;
}

static int write_file(struct lane *lanes, const struct plan *plan, const char *path, uint64_t frames,
                      struct err *err)
{
    pcap_t *format =
        pcap_open_dead_with_tstamp_precision(DLT_EN10MB, FRAME_MAX_BYTES, PCAP_TSTAMP_PRECISION_NANO);
    if (format == NULL)
        return err_set(err, -ENOMEM, "no memory");
    pcap_dumper_t *out = pcap_dump_open(format, path);
    int r = out == NULL ? err_set(err, -EIO, "%s", pcap_geterr(format))
                        : write_all(lanes, plan, frames, out, err);
    if (r == 0 && (pcap_dump_flush(out) < 0 || ferror(pcap_dump_file(out)) != 0))
        r = err_set(err, -EIO, "%s: cannot be written: %s", path, strerror(errno));
    if (out != NULL)
        pcap_dump_close(out);
    pcap_close(format);
    return r;
}

int dryrun_write(const struct plan *plan, const char *path, uint64_t frames, struct err *err)
{
    struct lane *lanes = calloc(plan->stream_count + (size_t)1, sizeof *lanes);
    int r = lanes == NULL ? err_set(err, -ENOMEM, "no memory") : 0;
    for (uint32_t i = 0; r == 0 && i < plan->stream_count; i++)
        r = open_lane(&lanes[i], plan, i, err);
    if (r == 0)
        r = write_file(lanes, plan, path, frames, err);
    for (uint32_t i = 0; lanes != NULL && i < plan->stream_count; i++)
        close_lane(&lanes[i]);
    free(lanes);
    return r;
}
