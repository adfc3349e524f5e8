/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The methods that only look: status, counters once or streamed, the frozen result with its history. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/methods.h"
#include "control/varlink.h"
#include "control/views.h"

enum { PAGE_DEFAULT = 1000, HISTORY_CHUNK = 256 };

/* ---- rows of a plan ---- */

typedef json_t *port_view(const struct port_row *row);

/* All ports; clocks (may be NULL) gets each port's receive clock. */
static json_t *view_ports(struct control *control, enum volley_when when, port_view *view,
                          char (*clocks)[sizeof(view_clock)])
{
    const struct plan *plan = volley_plan_of(control->volley, when);
    json_t *list = json_array();
    struct port_row *row = malloc(sizeof *row); /* of some KiB, for all its queues */
    for (uint32_t i = 0; row != NULL && i < plan->port_count; i++) {
        if (volley_port_row(control->volley, when, i, row) < 0)
            continue;
        json_array_append_new(list, view(row));
        if (clocks != NULL)
            memcpy(clocks[i], row->receive_clock, sizeof clocks[i]);
    }
    if (row == NULL) {
        json_decref(list);
        return varlink_no_memory();
    }
    free(row);
    return list;
}

static json_t *view_stream_page(struct control *control, enum volley_when when, const struct page *page,
                                view_clock *clocks)
{
    const struct plan *plan = volley_plan_of(control->volley, when);
    json_t *list = json_array();
    for (size_t i = 0; i < page->count; i++) {
        struct stream_row row;
        if (volley_stream_row(control->volley, when, page->streams[i], &row) == 0)
            json_array_append_new(list, clocks == NULL ? view_stream_status(&row, plan)
                                                       : view_stream_counters(&row, plan, clocks));
    }
    return list;
}

static json_t *view_now(struct control *control, enum volley_when when)
{
    struct run_row row = {0};
    volley_run_row(control->volley, when, &row);
    return view_run(&row);
}

/* DESIGN §9's counters object. */
static json_t *view_counters(struct control *control, enum volley_when when, const struct page *page)
{
    const struct plan *plan = volley_plan_of(control->volley, when);
    char(*clocks)[sizeof(view_clock)] = calloc(plan->port_count + 1, sizeof *clocks);
    if (clocks == NULL)
        return varlink_no_memory();
    json_t *run = view_now(control, when);
    json_t *ports = view_ports(control, when, view_port_counters, clocks);
    json_t *streams = view_stream_page(control, when, page, (view_clock *)clocks);
    free(clocks);
    return json_pack("{s:o, s:o, s:o, s:I}", "run", run, "ports", ports, "streams", streams, "streams_total",
                     (json_int_t)page->total);
}

/* ---- GetStatus ---- */

static json_t *view_configuration(const struct control *control)
{
    const struct plan *plan = volley_plan(control->volley);
    return json_pack("{s:s, s:I, s:O}", "source", plan->source, "streams", (json_int_t)plan->stream_count,
                     "warnings", control->warnings);
}

static json_t *view_lease(struct control *control)
{
    if (!control->lease.held)
        return json_null();
    return json_pack("{s:s, s:I}", "holder", control->lease.holder, "remaining_ms",
                     (json_int_t)lease_remaining_ms(&control->lease));
}

void method_get_status(struct call *call, void *context)
{
    struct control *control = context;
    struct page page;
    if (!page_pick(call, volley_plan(control->volley), PAGE_DEFAULT, &page))
        return;
    call_reply(call, json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:I}", "version", control->wishes.version,
                               "configuration", view_configuration(control), "lease", view_lease(control),
                               "run", view_now(control, VOLLEY_NOW), "ports",
                               view_ports(control, VOLLEY_NOW, view_port_status, NULL), "streams",
                               view_stream_page(control, VOLLEY_NOW, &page, NULL), "streams_total",
                               (json_int_t)page.total));
    page_fini(&page);
}

/* ---- Counters ---- */

struct watch {
    struct control *control;
    struct call *call;
    ev_timer timer;
    struct watch *next, **back;
};

static void unlink_watch(struct watch *watch)
{
    ev_timer_stop(watch->control->wishes.loop, &watch->timer);
    *watch->back = watch->next;
    if (watch->next != NULL)
        watch->next->back = watch->back;
    free(watch);
}

static void on_watcher_gone(void *context)
{
    unlink_watch(context);
}

static void on_watch_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct watch *watch = timer->data;
    struct control *control = watch->control;
    struct call *call = watch->call;
    struct page page;
    /* Anew each time: a reload may have changed the plan. A name that it took away ends the stream. */
    if (!page_pick(call, volley_plan(control->volley), PAGE_DEFAULT, &page)) {
        unlink_watch(watch);
        return;
    }
    call_continue(call, view_counters(control, VOLLEY_NOW, &page));
    page_fini(&page);
}

static void begin_watch(struct control *control, struct call *call, int64_t interval_ms)
{
    struct watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        call_error(call, "io.volleyd.Busy", json_pack("{s:s}", "reason", "no memory"));
        return;
    }
    *watch =
        (struct watch){.control = control, .call = call, .next = control->watches, .back = &control->watches};
    if (watch->next != NULL)
        watch->next->back = &watch->next;
    control->watches = watch;
    call_on_gone(call, on_watcher_gone, watch);
    ev_timer_init(&watch->timer, on_watch_timer, 0., (ev_tstamp)interval_ms / 1e3);
    watch->timer.data = watch;
    ev_timer_start(control->wishes.loop, &watch->timer); /* the first at once */
}

void method_counters(struct call *call, void *context)
{
    struct control *control = context;
    struct page page;
    if (!page_pick(call, volley_plan(control->volley), PAGE_DEFAULT, &page))
        return;
    if (call_more(call))
        begin_watch(control, call, number_of(call, "interval_ms", 1000));
    else
        call_reply(call, view_counters(control, VOLLEY_NOW, &page));
    page_fini(&page);
}

void reading_fini(struct control *control)
{
    while (control->watches != NULL)
        unlink_watch(control->watches);
}

/* ---- Report ---- */

static json_t *view_all_history(struct control *control)
{
    const struct plan *plan = volley_plan_of(control->volley, VOLLEY_LAST);
    json_t *list = json_array();
    struct history_point points[HISTORY_CHUNK];
    size_t first = 0, count;
    do {
        count = volley_history(control->volley, VOLLEY_LAST, first, points, HISTORY_CHUNK);
        for (size_t i = 0; i < count; i++)
            json_array_append_new(list, view_history(&points[i], plan));
        first += count;
    } while (count == HISTORY_CHUNK);
    return list;
}

void method_report(struct call *call, void *context)
{
    struct control *control = context;
    struct run_row row;
    struct page page;
    if (volley_run_row(control->volley, VOLLEY_LAST, &row) < 0) {
        call_error(call, "io.volleyd.NoResult", NULL);
        return;
    }
    if (!page_pick(call, volley_plan_of(control->volley, VOLLEY_LAST), STREAMS_MAX, &page))
        return;
    json_t *report = view_counters(control, VOLLEY_LAST, &page);
    if (report != NULL)
        json_object_set_new(report, "history", view_all_history(control));
    call_reply(call, report);
    page_fini(&page);
}
