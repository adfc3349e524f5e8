/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reasons against a run, most serious kind first won: invalid over unmet over passed. */
#include "analysis/verdict.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void verdict_begin(struct verdict *verdict)
{
    memset(verdict, 0, sizeof *verdict);
    verdict->kind = VERDICT_PASSED;
}

__attribute__((format(printf, 3, 4))) static void object(struct verdict *verdict, enum verdict_kind kind,
                                                         const char *format, ...)
{
    va_list args;
    if (kind > verdict->kind)
        verdict->kind = kind;
    if (verdict->reasons == VERDICT_REASONS_MAX) {
        verdict->more++;
        snprintf(verdict->reason[VERDICT_REASONS_MAX - 1], VERDICT_REASON_BYTES, "and %zu more reasons",
                 verdict->more + 1);
        return;
    }
    va_start(args, format);
    vsnprintf(verdict->reason[verdict->reasons++], VERDICT_REASON_BYTES, format, args);
    va_end(args);
}

void verdict_port(struct verdict *verdict, const struct verdict_port *port)
{
    const struct {
        uint64_t frames;
        const char *what;
    } objections[] = {
        {port->rejected, "were rejected by the kernel"},
        {port->in_flight, "could not be drained"},
        {port->unaccounted, "were completed, but the interface did not count them as sent"},
        {port->overrun, "were lost by the tester itself (receive ring full)"},
    };
    for (size_t i = 0; i < sizeof objections / sizeof *objections; i++)
        if (objections[i].frames > 0)
            object(verdict, VERDICT_INVALID, "%s: %" PRIu64 " frames %s", port->name, objections[i].frames,
                   objections[i].what);
    if (port->undrained && port->in_flight == 0)
        object(verdict, VERDICT_INVALID, "%s: its frames were not drained in time", port->name);
}

void verdict_stream(struct verdict *verdict, const struct verdict_stream *stream)
{
    unsigned __int128 allowed = (unsigned __int128)stream->scheduled * stream->tolerance.num;
    if (stream->failed != NULL)
        object(verdict, VERDICT_INVALID, "%s failed: %s", stream->name, stream->failed);
    if ((unsigned __int128)stream->missed * (stream->tolerance.den != 0 ? stream->tolerance.den : 1) >
        allowed)
        object(verdict, VERDICT_INVALID,
               "%s: %" PRIu64 " of %" PRIu64 " frames were missed (due, but too late to be sent)",
               stream->name, stream->missed, stream->scheduled);
}

void verdict_receive(struct verdict *verdict, const char *stream, const char *port,
                     const struct requirement *requirements, size_t count, const struct stream_result *result)
{
    for (size_t i = 0; i < count; i++) {
        char why[VERDICT_REASON_BYTES / 2];
        if (requirement_holds(&requirements[i], result))
            continue;
        requirement_explain(&requirements[i], result, why, sizeof why);
        object(verdict, VERDICT_UNMET, "%s at %s: %s", stream, port, why);
    }
}
