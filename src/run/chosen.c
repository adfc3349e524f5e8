/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From names to streams, and from streams to the orders of the queues that carry their parts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "run/volley.h"

/* ---- which streams are meant ---- */

static int choose_all(const struct volley *volley, uint32_t port, struct chosen *out)
{
    for (uint32_t i = 0; i < volley->plan->stream_count; i++)
        if (port == PLAN_NONE || volley->plan->streams[i].port == port)
            out->streams[out->count++] = i;
    return 0;
}

/* A name is a stream's, or all copies' of an entry: "flow" means flow.1 … flow.N. */
static int choose_named(const struct volley *volley, const char *name, struct chosen *out, struct err *err)
{
    const struct plan *plan = volley->plan;
    uint32_t found = plan_find_stream(plan, name), before = out->count;
    if (found != PLAN_NONE) {
        out->streams[out->count++] = found;
        return 0;
    }
    for (uint32_t i = 0; i < plan->stream_count && out->count < plan->stream_count; i++)
        if (plan->streams[i].copy != 0 && strcmp(plan->streams[i].spec->name, name) == 0)
            out->streams[out->count++] = i;
    if (out->count == before)
        return err_set(err, -ENOENT, "there is no stream \"%s\"", name);
    return 0;
}

int streams_choose(const struct volley *volley, const struct selection *which, struct chosen *out,
                   struct err *err)
{
    uint32_t port = PLAN_NONE;
    int result = 0;
    memset(out, 0, sizeof *out);
    if (which->port != NULL && (port = plan_find_port(volley->plan, which->port)) == PLAN_NONE)
        return err_set(err, -ENOENT, "there is no port \"%s\"", which->port);
    out->streams = calloc((size_t)volley->plan->stream_count + which->stream_count + 1, sizeof *out->streams);
    if (out->streams == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (which->stream_count == 0)
        choose_all(volley, port, out);
    for (size_t i = 0; result == 0 && i < which->stream_count; i++)
        result = choose_named(volley, which->streams[i], out, err);
    if (result < 0)
        free(out->streams);
    return result;
}

void streams_keep(const struct volley *volley, struct chosen *chosen,
                  bool (*wanted)(const struct stream *stream))
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < chosen->count; i++)
        if (wanted(&volley->streams[chosen->streams[i]]))
            chosen->streams[kept++] = chosen->streams[i];
    chosen->count = kept;
}

int streams_choose_active(struct volley *volley, const struct selection *which, struct chosen *chosen,
                          struct err *err)
{
    int result = streams_choose(volley, which, chosen, err);
    if (result < 0)
        return result;
    streams_keep(volley, chosen, stream_is_active);
    if (chosen->count > 0)
        return 0;
    free(chosen->streams);
    return err_set(err, -EBUSY, "no stream of these is running");
}

bool streams_are_on(const struct volley *volley, uint32_t port, const struct chosen *chosen)
{
    for (uint32_t i = 0; i < chosen->count; i++)
        if (volley->streams[chosen->streams[i]].plan->port == port)
            return true;
    return false;
}

/* ---- orders for parts ---- */

struct part_list { /* the parts of one queue that an order is for */
    uint32_t *parts;
    uint32_t count;
};

static void lists_free(struct part_list *lists, uint32_t count)
{
    for (uint32_t i = 0; lists != NULL && i < count; i++)
        free(lists[i].parts);
    free(lists);
}

static int list_add(struct part_list *list, uint32_t part, uint32_t room)
{
    if (list->parts == NULL && (list->parts = calloc(room, sizeof *list->parts)) == NULL)
        return -ENOMEM;
    list->parts[list->count++] = part;
    return 0;
}

/* A part's number on its queue is its stream's rank there: the order of the plan. */
static uint32_t rank_on_queue(const struct volley *volley, uint32_t stream, uint32_t queue)
{
    const struct stream *s = &volley->streams[stream];
    return s->parts[queue - s->first_queue]->rank;
}

/* The streams' parts on this port, queue by queue. */
static struct part_list *lists_of(const struct volley *volley, const struct port *port,
                                  const struct chosen *chosen)
{
    struct part_list *lists = calloc(port->queue_count, sizeof *lists);
    for (uint32_t i = 0; lists != NULL && i < chosen->count; i++) {
        const struct stream *stream = &volley->streams[chosen->streams[i]];
        for (uint32_t p = 0; stream->plan->port == port->index && p < stream->part_count; p++) {
            if (stream->parts == NULL || stream->parts[p]->never)
                continue;
            uint32_t queue = stream->first_queue + p;
            if (list_add(&lists[queue], rank_on_queue(volley, chosen->streams[i], queue), chosen->count) <
                0) {
                lists_free(lists, port->queue_count);
                return NULL;
            }
        }
    }
    return lists;
}

/* All queues are told, or none: no stream goes on with some of its parts. */
int streams_order(struct volley *volley, struct port *port, const struct chosen *chosen,
                  const struct order *order, struct errand *errand)
{
    struct part_list *lists = lists_of(volley, port, chosen);
    struct order one[QUEUES_MAX];
    const struct order *orders[QUEUES_MAX] = {NULL};
    if (lists == NULL) {
        errand_fail(errand, -ENOMEM);
        return -ENOMEM;
    }
    for (uint32_t q = 0; q < port->queue_count; q++) {
        if (lists[q].count == 0)
            continue;
        one[q] = *order;
        one[q].parts = lists[q].parts;
        one[q].part_count = lists[q].count;
        lists[q].parts = NULL; /* the order owns them now */
        orders[q] = &one[q];
    }
    lists_free(lists, port->queue_count);
    return port_order_all(port, orders, errand);
}

/* The same order to all ports that the streams are on; told says which ports have it. */
int streams_order_all(struct volley *volley, const struct chosen *chosen, const struct order *order,
                      struct errand *errand, bool told[PORTS_MAX])
{
    int result = 0;
    for (uint32_t p = 0; p < volley->plan->port_count; p++) {
        int one = streams_are_on(volley, p, chosen)
                      ? streams_order(volley, volley->ports[p], chosen, order, errand)
                      : 0;
        told[p] = one == 0;
        result = result < 0 ? result : one;
    }
    return result;
}
