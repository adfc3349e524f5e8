/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A stream in words, for `volleyd --explain`. */
#include <inttypes.h>
#include <stdio.h>

#include "plan/dryrun.h"

struct words { /* room for the texts of one line */
    char a[48], b[48], c[48];
};

static void explain_rate(const struct plan_stream *stream, FILE *out)
{
    struct words words;
    const struct shape_spec *shape = &stream->spec->shape;
    if (shape->has_ramp) {
        fprintf(out, "rate      %s to %s over %s, which then stays\n",
                units_format_rate(shape->ramp_from, words.a, sizeof words.a),
                units_format_rate(shape->ramp_to, words.b, sizeof words.b),
                units_format_time(shape->ramp_over_ns, words.c, sizeof words.c));
        return;
    }
    if (shape->has_stairs) {
        fprintf(out, "rate      %zu steps of %s:", shape->steps,
                units_format_time(shape->stair_ns, words.a, sizeof words.a));
        for (size_t i = 0; i < shape->steps; i++)
            fprintf(out, "%s %s", i > 0 ? "," : "",
                    units_format_rate(shape->stairs[i], words.b, sizeof words.b));
        fprintf(out, "\n");
        return;
    }
    if (!shape->has_burst || shape->burst_gap_ns == 0)
        fprintf(out, "rate      %s%s\n", units_format_rate(stream->rate, words.a, sizeof words.a),
                shape->poisson ? ", at random (Poisson)" : "");
}

char *plan_format_asked(const struct plan_stream *stream, char *out, size_t size)
{
    struct words words;
    const struct shape_spec *shape = &stream->spec->shape;
    if (shape->has_ramp)
        snprintf(out, size, "%s to %s", units_format_rate(shape->ramp_from, words.a, sizeof words.a),
                 units_format_rate(shape->ramp_to, words.b, sizeof words.b));
    else if (shape->has_stairs)
        snprintf(out, size, "%zu steps", shape->steps);
    else if (shape->has_burst && shape->burst_gap_ns > 0)
        snprintf(out, size, "%" PRIu64 " frames, then %s", shape->burst_frames,
                 units_format_time(shape->burst_gap_ns, words.a, sizeof words.a));
    else
        units_format_rate(stream->rate, out, size);
    return out;
}

static void explain_shape(const struct plan_stream *stream, FILE *out)
{
    struct words words;
    const struct shape_spec *shape = &stream->spec->shape;
    if (shape->has_burst) {
        bool at_once = shape->burst_rate.kind == RATE_MAX;
        fprintf(out, "trains    %" PRIu64 " frames %s%s, ", shape->burst_frames, at_once ? "" : "at ",
                at_once ? "back to back" : units_format_rate(shape->burst_rate, words.a, sizeof words.a));
        if (shape->burst_gap_ns > 0)
            fprintf(out, "%s from the end of one to the next",
                    units_format_time(shape->burst_gap_ns, words.b, sizeof words.b));
        else
            fprintf(out, "so far apart that the rate is the mean");
        if (shape->bursts > 0)
            fprintf(out, ", %" PRIu64 " trains", shape->bursts);
        fprintf(out, "\n");
    }
    if (shape->has_onoff)
        fprintf(out, "on/off    %s on, %s off\n", units_format_time(shape->on_ns, words.a, sizeof words.a),
                units_format_time(shape->off_ns, words.b, sizeof words.b));
    if (stream->phase.num > 0)
        fprintf(out, "phase     %" PRIu64 "/%" PRIu64 " of a gap\n", stream->phase.num, stream->phase.den);
}

static void explain_limits(const struct plan_stream *stream, FILE *out)
{
    struct words words;
    fprintf(out, "ends      after ");
    if (stream->count > 0)
        fprintf(out, "%s completed frames, at most ",
                units_format_count(stream->count, words.a, sizeof words.a));
    fprintf(out, "%s\n", units_format_time(stream->duration_ns, words.b, sizeof words.b));
    if (stream->delay_ns > 0)
        fprintf(out, "delay     %s\n", units_format_time(stream->delay_ns, words.a, sizeof words.a));
}

static void explain_company(const struct plan *plan, const struct plan_stream *stream, FILE *out)
{
    const struct port_spec *port = plan->ports[stream->port].spec;
    fprintf(out, "port      %s (%s), %" PRIu32 " queue%s%s\n", port->name, port->interface, port->queues,
            port->queues == 1 ? "" : "s", stream->spec->split ? ", split over all" : "");
    if (stream->next != PLAN_NONE)
        fprintf(out, "next      %s\n", plan->streams[stream->next].name);
    if (stream->follows)
        fprintf(out, "start     only after another one, or by name\n");
    for (uint32_t i = 0; i < stream->expected; i++)
        fprintf(out, "expect    %s\n", plan->ports[stream->expect[i]].spec->name);
    for (uint32_t i = 0; i < stream->required; i++)
        fprintf(out, "require   %s\n", stream->require[i].text);
}

void plan_explain(const struct plan *plan, uint32_t index, FILE *out, bool colour)
{
    const struct plan_stream *stream = &plan->streams[index];
    fprintf(out, "stream    %s\n", stream->name);
    explain_company(plan, stream, out);
    explain_rate(stream, out);
    explain_shape(stream, out);
    explain_limits(stream, out);
    fprintf(out, "\n");
    packet_explain(stream->packet, out, colour);
}
