/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inside of struct volley, shared by run.c (runs and starts), chosen.c (who is meant), steer.c (what is
 * asked of streams that run), result.c (what came of it) and receive.c (what arrived). Nobody else includes
 * this. Main thread only. */
#ifndef RUN_VOLLEY_H
#define RUN_VOLLEY_H

#include <stdio.h>

#include "base/clock.h"
#include "run/port.h"

enum { SAMPLES = 6, HISTORY_SECONDS = 3600, HISTORY_POINTS_MAX = HISTORY_SECONDS + 100000 };

struct sample {
    uint64_t completed, bytes_l2;
};

struct stream {
    const struct plan_stream *plan;
    enum stream_state state;
    char reason[120];
    struct part **parts; /* owned; one a queue that it uses; NULL until its port is loaded */
    uint32_t part_count, first_queue;
    struct counts base; /* what the parts had counted when the run began */
    bool in_run;        /* its parts count in this run */
    bool starting;      /* its workers have not answered the start yet */
    bool stopping;      /* its end is the answer to a stop, not a stream's own */
    bool paused_by_link;
    uint32_t visits; /* how often a chain came by in this run */
    uint64_t draining_since_ns;
    struct rate rate; /* in force */
    bool rate_is_set; /* by request: the shape's own rates are over */
    struct ratio multiplier;
    struct sample samples[SAMPLES];
};

/* A run that ended: rows copied out, with the plan that they point into. */
struct frozen {
    const struct plan *plan;
    struct run_row run;
    struct port_row *ports;
    struct stream_row *streams;
    struct receive_row *receive; /* all streams'; rows point into it */
    struct history_point *history;
    size_t history_count;
    struct verdict verdict;
    const char *reasons[VERDICT_REASONS_MAX]; /* into verdict */
};

struct receiving; /* receive.c */

struct volley {
    struct ev_loop *loop;
    const struct plan *plan;
    bool confine;
    struct link_watch *links;
    struct port **ports;
    struct places places;
    uint64_t *loaded_run; /* per port: the run whose nonce its sendloops carry; 0: not loaded */
    struct stream *streams;

    uint64_t run_id;
    uint32_t nonce;
    enum run_state run_state;
    uint64_t started_ns, started_realtime_ns, ended_ns;
    bool undrained, settling;
    ev_timer tick, settle;
    uint64_t sample_time_ns[SAMPLES];
    uint32_t sample_next, sample_count;
    struct history_point *history;
    size_t history_count, history_room;
    uint64_t history_due_ns;
    struct frozen *last;
    struct receiving *receiving;

    bool replacing, closing;
    volley_tell *tell;
    void *tell_context;
};

static inline bool stream_is_active(const struct stream *stream)
{
    return stream->state == STREAM_RUNNING || stream->state == STREAM_ARMED || stream->state == STREAM_PAUSED;
}

static inline void stream_set_reason(struct stream *stream, const char *reason)
{
    snprintf(stream->reason, sizeof stream->reason, "%s", reason);
}

__attribute__((format(printf, 3, 4))) void volley_say(struct volley *volley, const char *event,
                                                      const char *format, ...);
void stream_counts(const struct stream *stream, struct counts *out);

/* chosen.c */
struct chosen {
    uint32_t *streams; /* owned; indices in the plan */
    uint32_t count;
};
int streams_choose(const struct volley *volley, const struct selection *which, struct chosen *out,
                   struct err *err);
/* Only those that are active; -EBUSY when there is none. */
int streams_choose_active(struct volley *volley, const struct selection *which, struct chosen *chosen,
                          struct err *err);
/* Leaves out those that are not wanted. */
void streams_keep(const struct volley *volley, struct chosen *chosen,
                  bool (*wanted)(const struct stream *stream));
bool streams_are_on(const struct volley *volley, uint32_t port,
                    const struct chosen *chosen); /* any of them */
/* An order for the parts of these streams to the queues of a port, or of all ports. */
int streams_order(struct volley *volley, struct port *port, const struct chosen *chosen,
                  const struct order *order, struct errand *errand);
/* told[port] says which ports have it. */
int streams_order_all(struct volley *volley, const struct chosen *chosen, const struct order *order,
                      struct errand *errand, bool told[PORTS_MAX]);

/* run.c */
extern const struct ratio volley_once;
/* The stream of a number in an earlier plan, by its name; NULL when it is gone. */
struct stream *stream_since(struct volley *volley, const struct plan *then, uint32_t index);
/* Whether what streams of this port ask for stays below safety.max_rate when these have rate (NULL: their
 * own). */
int streams_check_max_rate(const struct volley *volley, uint32_t port, const struct chosen *chosen,
                           const struct rate *rate, const struct ratio *multiplier, struct err *err);
int streams_new(const struct plan *plan, struct stream **out, struct err *err);
void streams_place(struct volley *volley); /* onto the queues of their ports */
int streams_load_port(struct volley *volley, struct port *port, struct errand *errand, struct err *err);
void streams_note_ended(struct volley *volley);
void stream_drop_parts(struct stream *stream);
struct port_hooks volley_hooks(struct volley *volley);

/* steer.c */
void streams_stop(struct volley *volley, struct chosen *chosen, enum stream_state state, const char *reason,
                  volley_done *done, void *context); /* takes chosen's memory */
void streams_stop_as(struct volley *volley, const struct selection *which, enum stream_state state,
                     const char *reason, volley_done *done, void *context);
int streams_pause(struct volley *volley, struct chosen *chosen, bool by_link, const char *reason);
int streams_resume(struct volley *volley, struct chosen *chosen);

/* result.c */
void result_begin_run(struct volley *volley);
void result_tick(struct volley *volley, uint64_t now_ns);
void result_end_run(struct volley *volley); /* settle, then freeze */
void result_freeze_now(struct volley *volley);
void result_free(struct volley *volley);

/* receive.c */
int receive_begin_run(struct volley *volley, struct err *err);
void receive_tick(struct volley *volley, uint64_t now_ns);
void receive_settle(struct volley *volley); /* no frame is sent any more */
bool receive_is_settled(const struct volley *volley);
void receive_end_run(struct volley *volley);
uint32_t receive_rows(struct volley *volley, uint32_t stream, const struct receive_row **out);
void receive_port_row(struct volley *volley, uint32_t port, struct port_row *out);
void receive_free(struct volley *volley);

#endif
