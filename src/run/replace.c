/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Another plan takes the place of the one in force. Streams that are equal in both go on sending; the rest
 * are stopped first.
 *
 *   stop what goes ─► park ports whose rings are too small ─► swap (all or nothing) ─► load the workers anew
 * ─► free the old
 *
 * Parts of streams that went are freed when no worker has them any more. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "run/volley.h"

struct replacing {
    struct volley *volley;
    const struct plan *plan;        /* one reference */
    uint32_t *kept_as;              /* per old stream: its index in the new plan, or PLAN_NONE */
    uint32_t kept_ports[PORTS_MAX]; /* per old port: its index in the new plan, or PLAN_NONE */
    struct chosen parked;           /* streams (new indices) to resume when rings were rebuilt */
    struct port **new_ports;
    uint64_t *new_loaded;
    struct stream *new_streams;
    struct stream *old_streams;
    uint32_t old_stream_count;
    struct port *old_ports[PORTS_MAX];
    uint32_t old_port_count;
    const struct plan *old_plan;
    struct err err;
    int result;
    volley_done *done;
    void *context;
};

static void replacing_free(struct replacing *replacing)
{
    for (uint32_t i = 0; replacing->old_streams != NULL && i < replacing->old_stream_count; i++)
        stream_drop_parts(&replacing->old_streams[i]);
    free(replacing->old_streams);
    plan_unref(replacing->old_plan);
    plan_unref(replacing->plan);
    free(replacing->kept_as);
    free(replacing->parked.streams);
    free(replacing->new_ports);
    free(replacing->new_loaded);
    free(replacing->new_streams);
    free(replacing);
}

static void finish(void *context, int result)
{
    struct replacing *replacing = context;
    if (replacing->volley->closing) {
        replacing_free(replacing);
        return;
    }
    for (uint32_t i = 0; i < replacing->volley->plan->stream_count;
         i++) /* workers answer in order: starts came before */
        replacing->volley->streams[i].starting = false;
    replacing->volley->replacing = false;
    if (replacing->result == 0 && result < 0)
        replacing->result =
            err_set(&replacing->err, result, "a worker did not take the new plan: %s", strerror(-result));
    if (replacing->done != NULL)
        replacing->done(replacing->context, replacing->result, &replacing->err);
    replacing_free(replacing);
}

/* ---- what stays ---- */

static void match_ports(struct replacing *replacing)
{
    const struct volley *volley = replacing->volley;
    for (uint32_t p = 0; p < volley->plan->port_count; p++) {
        uint32_t found = plan_find_port(replacing->plan, volley->plan->ports[p].spec->name);
        bool fits = found != PLAN_NONE && port_fits(volley->ports[p], replacing->plan, found);
        replacing->kept_ports[p] = fits ? found : PLAN_NONE;
    }
}

/* A stream with signatures is known to receivers by its place in the plan, so it must keep it. */
static uint32_t match_stream(const struct replacing *replacing, uint32_t old)
{
    const struct plan_stream *was = &replacing->volley->plan->streams[old];
    uint32_t found = plan_find_stream(replacing->plan, was->name);
    if (found == PLAN_NONE)
        return PLAN_NONE;
    const struct plan_stream *is = &replacing->plan->streams[found];
    bool same = is->fingerprint == was->fingerprint && replacing->kept_ports[was->port] == is->port;
    return same && (was->expected == 0 || found == old) ? found : PLAN_NONE;
}

/* ---- swap ---- */

static int make_new_ports(struct replacing *replacing)
{
    struct volley *volley = replacing->volley;
    const struct plan *plan = replacing->plan;
    struct port_hooks hooks = volley_hooks(volley);
    replacing->new_ports = calloc((size_t)plan->port_count + 1, sizeof(*replacing->new_ports));
    replacing->new_loaded = calloc((size_t)plan->port_count + 1, sizeof *replacing->new_loaded);
    if (replacing->new_ports == NULL || replacing->new_loaded == NULL)
        return err_set(&replacing->err, -ENOMEM, "out of memory");
    for (uint32_t p = 0; p < volley->plan->port_count; p++)
        if (replacing->kept_ports[p] != PLAN_NONE)
            replacing->new_ports[replacing->kept_ports[p]] = volley->ports[p];
    for (uint32_t p = 0; p < plan->port_count; p++) {
        if (replacing->new_ports[p] != NULL)
            continue;
        int result = port_new(volley->loop, plan, p, &hooks, volley->confine, &replacing->new_ports[p],
                              &replacing->err);
        if (result < 0) {
            replacing->new_ports[p] = NULL;
            return result;
        }
    }
    return 0;
}

static bool is_kept_port(const struct replacing *replacing, const struct port *port)
{
    for (uint32_t p = 0; p < replacing->volley->plan->port_count; p++)
        if (replacing->volley->ports[p] == port)
            return true;
    return false;
}

static void undo_new_ports(struct replacing *replacing)
{
    for (uint32_t p = 0; replacing->new_ports != NULL && p < replacing->plan->port_count; p++)
        if (replacing->new_ports[p] != NULL && !is_kept_port(replacing, replacing->new_ports[p]))
            port_free(replacing->new_ports[p]);
}

static void move_stream(struct replacing *replacing, uint32_t old, uint32_t new)
{
    struct stream *from = &replacing->volley->streams[old], *to = &replacing->new_streams[new];
    const struct plan_stream *plan = to->plan;
    *to = *from;
    to->plan = plan;
    from->parts = NULL;
    for (uint32_t i = 0; to->parts != NULL && i < to->part_count; i++)
        to->parts[i]->stream = new;
}

/* From here on nothing fails. */
static void swap(struct replacing *replacing)
{
    struct volley *volley = replacing->volley;
    for (uint32_t i = 0; i < volley->plan->stream_count; i++)
        if (replacing->kept_as[i] != PLAN_NONE)
            move_stream(replacing, i, replacing->kept_as[i]);
    for (uint32_t p = 0; p < volley->plan->port_count; p++)
        if (replacing->kept_ports[p] == PLAN_NONE)
            replacing->old_ports[replacing->old_port_count++] = volley->ports[p];
        else
            replacing->new_loaded[replacing->kept_ports[p]] = volley->loaded_run[p];
    replacing->old_streams = volley->streams;
    replacing->old_stream_count = volley->plan->stream_count;
    replacing->old_plan = volley->plan;
    free(volley->ports);
    free(volley->loaded_run);
    volley->streams = replacing->new_streams;
    volley->ports = replacing->new_ports;
    volley->loaded_run = replacing->new_loaded;
    volley->plan = replacing->plan;
    replacing->new_streams = NULL;
    replacing->new_ports = NULL;
    replacing->new_loaded = NULL;
    replacing->plan = NULL;
    for (uint32_t p = 0; p < volley->plan->port_count; p++)
        port_adopt(volley->ports[p], volley->plan, p);
    for (uint32_t p = 0; p < replacing->old_port_count; p++)
        port_free(replacing->old_ports[p]);
}

/* ---- the workers ---- */

/* A ring too small for the new plan's frames is rebuilt; its workers are parked. */
static int rebuild(struct replacing *replacing, struct port *port)
{
    port_disarm(port);
    return port_arm(port, &replacing->err);
}

static void load_workers(struct replacing *replacing)
{
    struct volley *volley = replacing->volley;
    struct errand *errand = errand_new(finish, replacing);
    if (errand == NULL) {
        finish(replacing, -ENOMEM);
        return;
    }
    for (uint32_t p = 0; p < volley->plan->port_count; p++) {
        struct port *port = volley->ports[p];
        int result = 0;
        if (!port->armed)
            continue;
        if (!port_still_fits(port)) {
            if (!port->busy) { /* the next start opens what it needs */
                port_disarm(port);
                volley->loaded_run[p] = 0;
                continue;
            }
            result = rebuild(replacing, port);
        }
        if (result == 0 && volley->loaded_run[p] != 0)
            result = streams_load_port(volley, port, errand, &replacing->err);
        if (result < 0)
            replacing->result = result;
    }
    (void)streams_resume(volley, &replacing->parked);
    errand_seal(errand);
}

static void go_on(void *context, int result)
{
    struct replacing *replacing = context;
    if (replacing->volley->closing) {
        replacing_free(replacing);
        return;
    }
    (void)result; /* a park that timed out leaves frames in flight; they are accounted so */
    replacing->result = make_new_ports(replacing);
    if (replacing->result == 0)
        replacing->result = streams_new(replacing->plan, &replacing->new_streams, &replacing->err);
    if (replacing->result < 0) {
        undo_new_ports(replacing);
        finish(replacing, 0);
        return;
    }
    swap(replacing);
    streams_place(replacing->volley);
    streams_note_ended(replacing->volley);
    load_workers(replacing);
}

/* ---- before ---- */

static bool needs_rebuild(const struct replacing *replacing, uint32_t old_port)
{
    const struct port *port = replacing->volley->ports[old_port];
    uint32_t new = replacing->kept_ports[old_port];
    return new != PLAN_NONE && port->armed && port->busy &&
           !port_has_room(port, &replacing->plan->ports[new]);
}

static void park_port(struct replacing *replacing, uint32_t p, struct errand *errand)
{
    struct volley *volley = replacing->volley;
    struct chosen pause = {.streams = calloc((size_t)volley->plan->stream_count + 1, sizeof *pause.streams)};
    const struct order park = {.kind = ORDER_PARK, .drain_ns = volley->plan->ports[p].spec->drain_ns};
    if (pause.streams == NULL)
        return;
    for (uint32_t i = 0; i < volley->plan->stream_count; i++) {
        if (volley->streams[i].plan->port != p || volley->streams[i].state != STREAM_RUNNING)
            continue;
        pause.streams[pause.count++] = i;
        replacing->parked.streams[replacing->parked.count++] = replacing->kept_as[i];
    }
    (void)streams_pause(volley, &pause, false, "its ring is rebuilt for larger frames");
    free(pause.streams);
    for (uint32_t q = 0; q < volley->ports[p]->queue_count; q++)
        (void)port_order(volley->ports[p], q, &park, errand);
}

static void park_ports(void *context, int result, const struct err *err)
{
    struct replacing *replacing = context;
    struct errand *errand = errand_new(go_on, replacing);
    (void)result;
    (void)err;
    if (errand == NULL) {
        replacing->result = err_set(&replacing->err, -ENOMEM, "out of memory");
        finish(replacing, 0);
        return;
    }
    for (uint32_t p = 0; p < replacing->volley->plan->port_count; p++)
        if (needs_rebuild(replacing, p))
            park_port(replacing, p, errand);
    errand_seal(errand);
}

static struct replacing *replacing_new(struct volley *volley, const struct plan *plan, volley_done *done,
                                       void *context)
{
    struct replacing *replacing = calloc(1, sizeof *replacing);
    if (replacing == NULL)
        return NULL;
    *replacing =
        (struct replacing){.volley = volley, .plan = plan_ref(plan), .done = done, .context = context};
    replacing->kept_as = calloc((size_t)volley->plan->stream_count + 1, sizeof *replacing->kept_as);
    replacing->parked.streams =
        calloc((size_t)volley->plan->stream_count + 1, sizeof *replacing->parked.streams);
    if (replacing->kept_as != NULL && replacing->parked.streams != NULL)
        return replacing;
    replacing_free(replacing);
    return NULL;
}

void volley_replace(struct volley *volley, const struct plan *plan, volley_done *done, void *context)
{
    struct err err = {0};
    struct chosen gone = {.streams = calloc((size_t)volley->plan->stream_count + 1, sizeof *gone.streams)};
    struct replacing *replacing =
        volley->replacing || gone.streams == NULL ? NULL : replacing_new(volley, plan, done, context);
    if (replacing == NULL) {
        int result = volley->replacing
                         ? err_set(&err, -EBUSY, "the configuration is being replaced already; try again")
                         : err_set(&err, -ENOMEM, "out of memory");
        free(gone.streams);
        if (done != NULL)
            done(context, result, &err);
        return;
    }
    volley->replacing = true;
    match_ports(replacing);
    for (uint32_t i = 0; i < volley->plan->stream_count; i++) {
        replacing->kept_as[i] = match_stream(replacing, i);
        if (replacing->kept_as[i] == PLAN_NONE)
            gone.streams[gone.count++] = i;
    }
    streams_stop(volley, &gone, STREAM_IDLE, "replaced by another plan", park_ports, replacing);
}
