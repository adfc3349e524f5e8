/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is asked of streams that run: stop, pause, resume, another rate. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/volley.h"

/* ---- stop ---- */

struct stopping {
    struct volley *volley;
    const struct plan *plan; /* as in struct starting */
    struct chosen chosen;
    enum stream_state state; /* afterwards */
    char reason[120];
    volley_done *done;
    void *context;
};

static void on_stopped(void *context, int result)
{
    struct stopping *stopping = context;
    struct volley *volley = stopping->volley;
    struct err err = {0};
    if (volley->closing)
        goto out;
    for (uint32_t i = 0; i < stopping->chosen.count; i++) {
        struct stream *stream = stream_since(volley, stopping->plan, stopping->chosen.streams[i]);
        if (stream == NULL)
            continue;
        stream->stopping = false;
        if (!stream_is_active(stream) || result == -ENOMEM) /* some were not told: they go on */
            continue;
        stream->state = stopping->state;
        stream_set_reason(stream, stopping->reason);
    }
    if (result == -ETIMEDOUT) {
        volley->undrained = true;
        err_set(&err, result, "some frames could not be drained in time; they stay in in_flight");
    } else if (result < 0)
        err_set(&err, result, "not all streams could be stopped: %s", strerror(-result));
    streams_note_ended(volley);
    if (stopping->done != NULL)
        stopping->done(stopping->context, result, &err);
out:
    plan_unref(stopping->plan);
    free(stopping->chosen.streams);
    free(stopping);
}

/* Whether a port would have nothing left to send: then its whole ring is taken back. */
static bool is_whole_port(const struct volley *volley, uint32_t port, const struct chosen *chosen)
{
    uint32_t active = 0, stopped = 0;
    for (uint32_t i = 0; i < volley->plan->stream_count; i++)
        active += volley->streams[i].plan->port == port && stream_is_active(&volley->streams[i]);
    for (uint32_t i = 0; i < chosen->count; i++)
        stopped += volley->streams[chosen->streams[i]].plan->port == port;
    return stopped >= active;
}

static void stop_port(struct volley *volley, uint32_t p, const struct chosen *chosen, struct errand *errand)
{
    struct port *port = volley->ports[p];
    struct order order = {.kind = ORDER_STOP, .drain_ns = port->planned->spec->drain_ns};
    if (!streams_are_on(volley, p, chosen))
        return;
    port_give_up(port);
    if (!is_whole_port(volley, p, chosen)) {
        (void)streams_order(volley, port, chosen, &order, errand);
        return;
    }
    port_set_busy(port, true, true);
    const struct order *orders[QUEUES_MAX];
    for (uint32_t q = 0; q < QUEUES_MAX; q++)
        orders[q] = &order;
    (void)port_order_all(port, orders, errand);
}

static void stop_chosen(struct volley *volley, const struct chosen *chosen, struct errand *errand)
{
    for (uint32_t i = 0; i < chosen->count; i++)
        volley->streams[chosen->streams[i]].stopping = true;
    for (uint32_t p = 0; p < volley->plan->port_count; p++)
        stop_port(volley, p, chosen, errand);
    errand_seal(errand);
}

void streams_stop(struct volley *volley, struct chosen *chosen, enum stream_state state, const char *reason,
                  volley_done *done, void *context)
{
    struct err err = {0};
    struct stopping *stopping = calloc(1, sizeof *stopping);
    struct errand *errand = stopping != NULL ? errand_new(on_stopped, stopping) : NULL;
    if (errand == NULL) {
        free(stopping);
        free(chosen->streams);
        if (done != NULL)
            done(context, err_set(&err, -ENOMEM, "out of memory"), &err);
        return;
    }
    streams_keep(volley, chosen, stream_is_active);
    *stopping = (struct stopping){.volley = volley,
                                  .plan = plan_ref(volley->plan),
                                  .chosen = *chosen,
                                  .state = state,
                                  .done = done,
                                  .context = context};
    snprintf(stopping->reason, sizeof stopping->reason, "%s", reason);
    stop_chosen(volley, &stopping->chosen, errand);
}

void streams_stop_as(struct volley *volley, const struct selection *which, enum stream_state state,
                     const char *reason, volley_done *done, void *context)
{
    struct err err = {0};
    struct chosen chosen;
    int result = streams_choose(volley, which, &chosen, &err);
    if (result == 0)
        streams_stop(volley, &chosen, state, reason, done, context);
    else if (done != NULL)
        done(context, result, &err);
}

void volley_stop(struct volley *volley, const struct selection *which, const char *reason, volley_done *done,
                 void *context)
{
    streams_stop_as(volley, which, STREAM_IDLE, reason, done, context);
}

/* ---- pause, resume, rate ---- */

int streams_pause(struct volley *volley, struct chosen *chosen, bool by_link, const char *reason)
{
    const struct order order = {.kind = ORDER_PAUSE};
    bool told[PORTS_MAX];
    int result = streams_order_all(volley, chosen, &order, NULL, told);
    for (uint32_t i = 0; i < chosen->count; i++) {
        struct stream *stream = &volley->streams[chosen->streams[i]];
        if (!told[stream->plan->port] || (by_link && stream->state == STREAM_PAUSED))
            continue;
        stream->state = STREAM_PAUSED;
        stream->paused_by_link = by_link;
        stream_set_reason(stream, reason);
    }
    return result;
}

int volley_pause(struct volley *volley, const struct selection *which, struct err *err)
{
    struct chosen chosen;
    int result = streams_choose_active(volley, which, &chosen, err);
    if (result < 0)
        return result;
    result = streams_pause(volley, &chosen, false, "paused on request");
    free(chosen.streams);
    return result < 0 ? err_set(err, result, "out of memory") : 0;
}

/* Streams that wait for their link are resumed by its return, not by request. */
static bool is_paused_on_request(const struct stream *stream)
{
    return stream->state == STREAM_PAUSED && !stream->paused_by_link;
}

int streams_resume(struct volley *volley, struct chosen *chosen)
{
    const struct order order = {.kind = ORDER_RESUME};
    bool told[PORTS_MAX];
    int result = streams_order_all(volley, chosen, &order, NULL, told);
    for (uint32_t i = 0; i < chosen->count; i++) {
        struct stream *stream = &volley->streams[chosen->streams[i]];
        if (!told[stream->plan->port])
            continue;
        stream->state = STREAM_RUNNING;
        stream->paused_by_link = false;
        stream->reason[0] = 0;
    }
    return result;
}

int volley_resume(struct volley *volley, const struct selection *which, struct err *err)
{
    struct chosen chosen;
    int result = streams_choose_active(volley, which, &chosen, err);
    if (result < 0)
        return result;
    streams_keep(volley, &chosen, is_paused_on_request);
    result = chosen.count > 0 ? streams_resume(volley, &chosen)
                              : err_set(err, -EBUSY, "no stream of these is paused");
    free(chosen.streams);
    if (result == -ENOMEM)
        err_set(err, result, "out of memory");
    return result;
}

/* A new rate is meant as it stands: the multiplier that comes with it, or none, takes the earlier one's
 * place. */
static int rate_port(struct volley *volley, uint32_t p, const struct chosen *chosen, const struct rate *rate,
                     const struct ratio *multiplier, struct err *err)
{
    struct port *port = volley->ports[p];
    struct order order = {.kind = ORDER_RATE};
    int result = 0;
    if (rate != NULL) {
        result = plan_resolve_rate(rate, port_speed_bit(port), &order.rate, err);
        if (result == 0)
            result = streams_order(volley, port, chosen, &order, NULL);
    }
    order = (struct order){.kind = ORDER_MULTIPLY, .multiplier = *multiplier};
    return result < 0 ? result : streams_order(volley, port, chosen, &order, NULL);
}

/* A part of a split stream gets its share of the rate. */
static int check_rate(struct volley *volley, const struct chosen *chosen, const struct rate *rate,
                      const struct ratio *multiplier, struct err *err)
{
    int result = 0;
    for (uint32_t p = 0; result == 0 && p < volley->plan->port_count; p++)
        if (streams_are_on(volley, p, chosen))
            result = streams_check_max_rate(volley, p, chosen, rate, multiplier, err);
    for (uint32_t i = 0; result == 0 && i < chosen->count; i++)
        if (volley->streams[chosen->streams[i]].part_count > 1 && rate != NULL)
            result =
                err_set(err, -EINVAL, "stream \"%s\" is split over queues; change its rate by a multiplier",
                        volley->streams[chosen->streams[i]].plan->name);
    return result;
}

int volley_rate(struct volley *volley, const struct selection *which, const struct rate *rate,
                const struct ratio *multiplier, struct err *err)
{
    struct chosen chosen;
    int result = streams_choose_active(volley, which, &chosen, err);
    if (result < 0)
        return result;
    if (multiplier == NULL)
        multiplier = &volley_once;
    result = check_rate(volley, &chosen, rate, multiplier, err);
    for (uint32_t p = 0; result == 0 && p < volley->plan->port_count; p++)
        if (streams_are_on(volley, p, &chosen))
            result = rate_port(volley, p, &chosen, rate, multiplier, err);
    for (uint32_t i = 0; result == 0 && i < chosen.count; i++) {
        struct stream *stream = &volley->streams[chosen.streams[i]];
        if (rate != NULL)
            stream->rate = *rate;
        stream->rate_is_set |= rate != NULL;
        stream->multiplier = *multiplier;
    }
    free(chosen.streams);
    return result;
}
