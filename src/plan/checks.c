/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What needs more than one entry: names, ports, chains. Each complaint names both places. */
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "plan/whole.h"

static const struct node *key_of(const struct node *at, const char *key)
{
    const struct node *node = node_find(at, key);
    return node != NULL ? node : at;
}

/* ---- names ---- */

struct named {
    const char *name;
    const struct node *at;
};

static int compare_named(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

/* Streams and ports in one array, by name. */
void plan_check_names(struct whole *whole, struct complaints *complaints)
{
    const struct plan *plan = &whole->plan;
    size_t count = 0;
    struct named *all = malloc((plan->stream_count + plan->port_count + (size_t)1) * sizeof *all);
    if (all == NULL) {
        complain_memory(complaints);
        return;
    }
    for (uint32_t i = 0; i < plan->port_count; i++)
        if (plan->ports[i].spec->name != NULL)
            all[count++] = (struct named){plan->ports[i].spec->name, plan->ports[i].spec->at};
    for (uint32_t i = 0; i < plan->stream_count; i++)
        all[count++] = (struct named){plan->streams[i].name, plan->streams[i].spec->at};
    qsort(all, count, sizeof *all, compare_named);
    for (size_t i = 1; i < count; i++)
        if (strcmp(all[i - 1].name, all[i].name) == 0)
            complain(complaints, key_of(all[i].at, "name"),
                     "`%s` is the name of another one too (%s); ports and streams need names of their own",
                     all[i].name, key_of(all[i - 1].at, "name")->where);
    free(all);
}

/* ---- ports ---- */

static bool is_allowed(const struct safety_spec *safety, const char *interface)
{
    for (size_t i = 0; i < safety->allowed; i++)
        if (fnmatch(safety->allow[i], interface, 0) == 0)
            return true;
    return false;
}

static void check_engine(const struct port_spec *port, struct complaints *complaints)
{
    size_t count = 0;
    const char *const *names = engine_names();
    while (names[count] != NULL)
        count++;
    if (port->engine == NULL || engine_find(port->engine) != NULL)
        return;
    const char *near = nearest_name(port->engine, names, count);
    complain(complaints, key_of(port->at, "engine"), "there is no engine `%.40s`; `%s`?", port->engine,
             near != NULL ? near : names[0]);
}

static void check_interface(const struct plan *plan, uint32_t index, struct complaints *complaints)
{
    enum { USUAL_MTU = 1500, TAG_BYTES = 4 };
    const struct port_spec *port = plan->ports[index].spec;
    if (port->interface == NULL)
        return;
    for (uint32_t i = 0; i < index; i++) {
        const struct port_spec *other = plan->ports[i].spec;
        if (other->interface != NULL && strcmp(other->interface, port->interface) == 0)
            complain_warn(complaints, key_of(port->at, "interface"),
                          "port %s has %s too (%s); what each may send is limited by itself", other->name,
                          port->interface, key_of(other->at, "interface")->where);
    }
    const struct engine_ops *engine = port->engine != NULL ? engine_find(port->engine) : NULL;
    if (!is_allowed(&plan->spec.safety, port->interface) && (engine == NULL || !engine->without_interface))
        complain_warn(complaints, key_of(port->at, "interface"),
                      "%s is not allowed, a start would be refused; write safety.allow = [ \"%s\" ]",
                      port->interface, port->interface);
    if (plan->ports[index].wire_bytes > USUAL_MTU + FRAME_MIN_BYTES + TAG_BYTES)
        complain_warn(complaints, port->at,
                      "its frames of up to %" PRIu32 " bytes need an MTU of %" PRIu32 " on %s",
                      plan->ports[index].wire_bytes + FCS_BYTES,
                      plan->ports[index].wire_bytes - FRAME_MIN_BYTES, port->interface);
}

void plan_check_ports(const struct whole *whole, struct complaints *complaints)
{
    for (uint32_t i = 0; i < whole->plan.port_count; i++) {
        check_engine(whole->plan.ports[i].spec, complaints);
        check_interface(&whole->plan, i, complaints);
    }
}

/* ---- chains ---- */

static void complain_no_stream(const struct plan *plan, const struct stream_spec *spec,
                               struct complaints *complaints)
{
    const char **names = calloc(plan->stream_count + (size_t)1, sizeof *names);
    const struct node *at = key_of(spec->at, "next");
    for (uint32_t i = 0; names != NULL && i < plan->stream_count; i++) {
        names[i] = plan->streams[i].name;
        if (plan->streams[i].copy == 1 && strcmp(plan->streams[i].spec->name, spec->next) == 0) {
            complain(complaints, at, "`%s` is %" PRIu64 " streams; name one of them, such as %s", spec->next,
                     plan->streams[i].spec->copies, plan->streams[i].name);
            free(names);
            return;
        }
    }
    const char *near = names != NULL ? nearest_name(spec->next, names, plan->stream_count) : NULL;
    if (near != NULL)
        complain(complaints, at, "there is no stream `%s`; `%s`?", spec->next, near);
    else
        complain(complaints, at, "there is no stream `%s`; write the name of one in `streams`", spec->next);
    free(names);
}

/* By its name; or, for a copy, the copy of that name with its own number. */
static uint32_t find_next(const struct plan *plan, const struct plan_stream *stream)
{
    char name[2 * NAME_MAX_BYTES];
    uint32_t found = plan_find_stream(plan, stream->spec->next);
    if (found != PLAN_NONE || stream->copy == 0)
        return found;
    snprintf(name, sizeof name, "%s.%" PRIu32, stream->spec->next, stream->copy);
    return plan_find_stream(plan, name);
}

void plan_link_chains(struct whole *whole, struct complaints *complaints)
{
    struct plan *plan = &whole->plan;
    const struct stream_spec *told = NULL;
    for (uint32_t i = 0; i < plan->stream_count; i++) {
        struct plan_stream *stream = &plan->streams[i];
        stream->next = PLAN_NONE;
        if (stream->spec->next == NULL)
            continue;
        stream->next = find_next(plan, stream);
        if (stream->next == PLAN_NONE && stream->spec != told) {
            told = stream->spec;
            complain_no_stream(plan, stream->spec, complaints);
        }
    }
}

static bool has_loops(const struct plan_stream *stream)
{
    return node_find(stream->spec->at, "loops") != NULL;
}

/* A ring of `next` must say how often. It begins with its first stream of the file, unless another leads in.
 */
static void close_ring(struct plan *plan, uint32_t first, const uint32_t *led_to,
                       struct complaints *complaints)
{
    uint32_t last = first, at = first;
    bool counted = false, is_entered = false;
    do {
        counted |= has_loops(&plan->streams[at]);
        is_entered |= led_to[at] > 1;
        last = at;
        at = plan->streams[at].next;
    } while (at != first);
    if (!is_entered)
        plan->streams[first].follows = false;
    const struct plan_stream *from = &plan->streams[last], *to = &plan->streams[first];
    if (!counted)
        complain(complaints, key_of(from->spec->at, "next"),
                 "comes back to %s (%s) without end; write `loops` in one of them, a number or \"forever\"",
                 to->name, key_of(to->spec->at, "next")->where);
}

static void check_never_reached(const struct plan_stream *stream, struct complaints *complaints)
{
    const struct node *duration = node_find(stream->spec->at, "duration");
    if (stream->spec->next != NULL && stream->spec->has_duration && !stream->spec->has_count &&
        stream->spec->duration_ns == UINT64_MAX && stream->spec->shape.bursts == 0)
        complain(complaints, key_of(stream->spec->at, "next"),
                 "is never reached: %s has duration = forever (%s); write a duration or a count",
                 stream->name, duration != NULL ? duration->where : stream->spec->at->where);
}

/* Walks each chain once: `walk` numbers walks, so that meeting one's own number is a ring. */
static void close_rings(struct plan *plan, uint32_t *walk, const uint32_t *led_to,
                        struct complaints *complaints)
{
    for (uint32_t i = 0; i < plan->stream_count; i++) {
        uint32_t at = i;
        for (; at != PLAN_NONE && walk[at] == 0; at = plan->streams[at].next)
            walk[at] = i + 1;
        if (at != PLAN_NONE && walk[at] == i + 1)
            close_ring(plan, at, led_to, complaints);
    }
}

void plan_check_chains(struct whole *whole, struct complaints *complaints)
{
    struct plan *plan = &whole->plan;
    uint32_t *walk = calloc(plan->stream_count + (size_t)1, sizeof *walk);
    uint32_t *led_to = calloc(plan->stream_count + (size_t)1, sizeof *led_to);
    for (uint32_t i = 0; i < plan->stream_count; i++) {
        plan->streams[i].loops = has_loops(&plan->streams[i]) ? plan->streams[i].spec->loops : UINT64_MAX;
        plan->streams[i].follows = false;
        if (plan->streams[i].copy <= 1)
            check_never_reached(&plan->streams[i], complaints);
    }
    for (uint32_t i = 0; led_to != NULL && i < plan->stream_count; i++)
        if (plan->streams[i].next != PLAN_NONE) {
            plan->streams[plan->streams[i].next].follows = true;
            led_to[plan->streams[i].next]++;
        }
    if (walk != NULL && led_to != NULL)
        close_rings(plan, walk, led_to, complaints);
    else
        complain_memory(complaints);
    free(walk);
    free(led_to);
}
