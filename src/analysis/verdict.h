/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a run may be believed, and whether it passed. A measurement that the tester itself limited is
 * invalid, whatever was required; a valid one is passed when every requirement holds.
 *
 *   struct verdict verdict; verdict_begin(); verdict_port() …; verdict_stream() …; verdict_receive() …;
 * verdict.kind, .reasons
 *
 * Pure; the owner's thread. */
#ifndef ANALYSIS_VERDICT_H
#define ANALYSIS_VERDICT_H

#include "analysis/requirement.h"

enum verdict_kind { VERDICT_NONE, VERDICT_PASSED, VERDICT_UNMET, VERDICT_INVALID };
enum { VERDICT_REASONS_MAX = 32, VERDICT_REASON_BYTES = 240 };

struct verdict {
    enum verdict_kind kind;
    size_t reasons; /* of `reason`; what does not fit is told by the last one */
    size_t more;
    char reason[VERDICT_REASONS_MAX][VERDICT_REASON_BYTES];
};

struct verdict_port { /* what makes a port's part of a measurement invalid, in frames */
    const char *name;
    uint64_t rejected, in_flight, unaccounted, overrun;
    bool undrained;
};

struct verdict_stream {
    const char *name;
    uint64_t scheduled, missed;
    struct ratio tolerance; /* share of scheduled frames that may be missed */
    const char *failed;     /* why the stream failed; NULL: it did not */
};

void verdict_begin(struct verdict *verdict); /* passed, until something is said against it */
void verdict_port(struct verdict *verdict, const struct verdict_port *port);
void verdict_stream(struct verdict *verdict, const struct verdict_stream *stream);
/* The results of one stream at one port against its requirements. */
void verdict_receive(struct verdict *verdict, const char *stream, const char *port,
                     const struct requirement *requirements, size_t count,
                     const struct stream_result *result);

#endif
