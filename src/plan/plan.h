/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that one configuration compiles to: ports, streams, their packets and shapes. Immutable and without any
 * interface, so that `volleyd --check` is pure. Every check that needs more than one line of the file is made
 * here. Main thread; reference counted.
 *
 * What depends on an interface is left open: percent of a link (rates are struct rate until arming), the
 * source address (packet_set_source), whether the interface is allowed (a warning here, an error when
 * arming). */
#ifndef PLAN_PLAN_H
#define PLAN_PLAN_H

#include "analysis/requirement.h"
#include "config/schema.h"
#include "pace/pacer.h"
#include "packet/packet.h"

struct plan_port {
    const struct port_spec *spec;
    uint32_t largest_bytes, smallest_bytes; /* of all its streams, in memory */
    uint32_t wire_bytes; /* of the largest frame on the wire: a run is cut into its segments */
    uint16_t segments;   /* largest run */
    uint32_t streams;
};

/* What a stream sends as a whole lasts: ramp and stairs without count or duration as long as they are, trains
 * with a number of them until the last, and nothing longer than safety.max_duration. */

struct plan_stream {
    const char *name;
    const struct stream_spec *spec; /* shared by the copies of one entry */
    uint32_t copy;                  /* 1-based; 0: not a copy */
    uint32_t port;                  /* index in ports */
    struct packet *packet;          /* shared by copies whose fields are equal */
    struct rate rate;               /* with `each` applied; burst, ramp and stairs are in spec->shape */
    uint64_t count, duration_ns, delay_ns; /* count 0: none; duration at most safety.max_duration */
    struct ratio phase;                    /* share of a gap, or of a train's period */
    uint32_t next;                         /* index of the stream that follows; PLAN_NONE */
    uint64_t loops; /* how often a chain may start it in one run, where that is written; else UINT64_MAX */
    bool follows;   /* starts only after another one, or by name: no part of a start of all */
    const uint32_t *expect; /* indices of ports */
    uint32_t expected;
    const struct requirement *require;
    uint32_t required;
    uint64_t fingerprint; /* equal for equal streams of two plans: such a stream goes on through a reload */
};

#define PLAN_NONE UINT32_MAX

struct plan {
    struct spec spec;
    struct plan_port *ports;
    uint32_t port_count;
    struct plan_stream *streams;
    uint32_t stream_count;
    char source[128]; /* "file /etc/volleyd/volleyd.conf" or "apply by uid 0 at …" */
};

/* From a file's tree, which the plan owns from now on (also on failure). */
int plan_compile(struct tree *tree, const char *source, struct plan **out, struct complaints *complaints);
/* Streams and templates of tree (SPEC_APPLY) on the ports and safety of base. add: beside base's streams
 * (same names are replaced). */
int plan_apply(const struct plan *base, struct tree *tree, bool add, const char *source, struct plan **out,
               struct complaints *complaints);
struct plan *plan_ref(const struct plan *plan);
void plan_unref(const struct plan *plan); /* NULL is fine */

uint32_t plan_find_stream(const struct plan *plan, const char *name); /* PLAN_NONE */
uint32_t plan_find_port(const struct plan *plan, const char *name);

/* Arming: the shape of one stream's part on a link of link_bit L1 bit/s (0: unknown, then percent is an
 * error). out borrows stairs from *stairs, which the caller owns (free). */
int plan_shape(const struct plan *plan, uint32_t stream, uint64_t link_bit, uint32_t part, uint32_t parts,
               struct pace_shape *out, struct pace_rate **stairs, struct err *err);
/* What the port's streams ask for together, now that the link is known: a stream above the link is
 * -EINVAL, a sum above safety.max_rate is -EPERM. Streams of one chain never run together; the greatest of
 * them counts. */
int plan_check_port(const struct plan *plan, uint32_t port, uint64_t link_bit, struct err *err);
/* A rate for one stream in force at run time; checked against safety.max_rate together with the others of its
 * port. */
int plan_resolve_rate(const struct rate *rate, uint64_t link_bit, struct pace_rate *out, struct err *err);
/* What a rate comes to in another unit for this stream (frames of mean size), rounded down. UINT64_MAX for
 * max. */
uint64_t plan_rate_in(const struct plan_stream *stream, const struct pace_rate *rate, enum pace_unit unit);
/* The most that a stream asks for by its plan, likewise: of ramps and stairs the highest rate, of max what
 * safety.max_rate leaves it. */
uint64_t plan_peak_in(const struct plan *plan, uint32_t index, uint64_t link_bit, enum pace_unit unit);

#endif
