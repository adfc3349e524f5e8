/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The running whole: a plan armed on its ports, streams with states, the run and its frozen result.
 * Main thread only. Answers that must wait (stop after its drain, a start that arms) come by callback from
 * the loop. */
#ifndef RUN_RUN_H
#define RUN_RUN_H

#include <ev.h>

#include "analysis/gaps.h"
#include "analysis/verdict.h"
#include "engine/engine.h"
#include "plan/plan.h"
#include "run/counters.h"

struct volley;

enum port_state {
    PORT_ABSENT,
    PORT_REFUSED,
    PORT_DOWN,
    PORT_NO_CARRIER,
    PORT_READY,
    PORT_RUNNING,
    PORT_DRAINING,
    PORT_FAILED
};
enum stream_state { STREAM_IDLE, STREAM_ARMED, STREAM_RUNNING, STREAM_PAUSED, STREAM_DONE, STREAM_FAILED };
extern const char *const port_state_names[], *const stream_state_names[];

struct selection { /* nothing set: all */
    const char *const *streams;
    size_t stream_count;
    const char *port;
};

struct achieved {
    double pps, bit_l1, bit_l2;
};

struct device_counts {
    uint64_t tx_packets, tx_bytes, tx_dropped, rx_packets, rx_bytes, unaccounted, foreign;
    bool comparable;
};

struct receive_row { /* one stream × one receiving port */
    uint32_t port;
    bool final;
    uint64_t uncertainty_ns,
        uncertainty_mean_ns; /* of latencies: see queue_counts.handover_ns, of the sending port */
    struct stream_result result;
};

struct port_row {
    const struct plan_port *plan;
    enum port_state state;
    char reason[200];
    char warning[160]; /* what makes it slower or less exact than it could be; "" */
    struct counts counts;
    uint64_t kicks, waits, wakeups;
    struct achieved achieved, average;
    uint32_t queues;
    struct queue_counts queue[QUEUES_MAX];
    struct device_counts device;
    int ifindex;
    uint32_t mtu;
    uint64_t speed_bit;
    uint8_t mac[6];
    uint32_t ring_slots, ring_frame_size, ring_block_size, ring_blocks;
    uint64_t socket_memory;
    bool armed;                   /* else what follows is nothing yet */
    int cpus[QUEUES_MAX];         /* that the queues' threads keep; -1: they may be moved */
    char path[ENGINE_PATH_BYTES]; /* chosen fast paths with reasons */
    bool receiving;
    uint64_t received, overrun, foreign_received, pause_received;
    char receive_clock[40];
    uint64_t gaps[GAP_BUCKETS]; /* between consecutive frames of ours that arrived (analysis/gaps.h) */
};

struct stream_row {
    const struct plan_stream *plan;
    enum stream_state state;
    char reason[200];
    struct counts counts;
    struct achieved achieved, average;
    struct rate requested; /* in force now */
    bool rate_is_set;      /* by request: the shape's own rates are over */
    struct ratio multiplier;
    const struct receive_row *receive; /* borrowed until the next call */
    uint32_t receive_count;
};

enum run_state { RUN_NONE, RUN_OPEN, RUN_ENDED };
extern const char *const run_state_names[], *const verdict_names[];
struct run_row {
    uint64_t id, started_realtime_ns, elapsed_ns;
    enum run_state state;
    enum verdict_kind verdict;
    const char *const *reasons; /* borrowed until the next call */
    size_t reason_count;
    bool drained;
};

struct history_point { /* cumulative at a time of the run; 1 s for the first hour, 1 min beyond */
    uint64_t elapsed_ns;
    const struct counts *ports; /* port_count of them */
};

int volley_new(struct ev_loop *loop, const struct plan *plan, bool confine, struct volley **out,
               struct err *err);
void volley_free(struct volley *volley);
const struct plan *volley_plan(const struct volley *volley);

/* err->code of refusals: -ENOENT unknown name, -EPERM safety or interface, -EBUSY not now, -EINVAL bad value.
 */
typedef void volley_done(void *context, int result, const struct err *err);
struct start_options {
    uint64_t at_ns; /* CLOCK_MONOTONIC; 0: now */
};
void volley_start(struct volley *volley, const struct selection *which, const struct start_options *options,
                  volley_done *done, void *context);
void volley_stop(struct volley *volley, const struct selection *which, const char *reason, volley_done *done,
                 void *context);
int volley_pause(struct volley *volley, const struct selection *which, struct err *err);
int volley_resume(struct volley *volley, const struct selection *which, struct err *err);
int volley_rate(struct volley *volley, const struct selection *which, const struct rate *rate,
                const struct ratio *multiplier, struct err *err);
/* Swaps the plan: streams with equal fingerprints go on, others are stopped and replaced. Takes a reference.
 */
void volley_replace(struct volley *volley, const struct plan *plan, volley_done *done, void *context);

/* Rows are copied out; streams by index of the plan. result: of the frozen last run instead of now (-ENODATA:
 * none). */
enum volley_when { VOLLEY_NOW, VOLLEY_LAST };
int volley_run_row(struct volley *volley, enum volley_when when, struct run_row *out);
int volley_port_row(struct volley *volley, enum volley_when when, uint32_t port, struct port_row *out);
int volley_stream_row(struct volley *volley, enum volley_when when, uint32_t stream, struct stream_row *out);
const struct plan *volley_plan_of(struct volley *volley,
                                  enum volley_when when); /* the frozen run's own plan for VOLLEY_LAST */
size_t volley_history(struct volley *volley, enum volley_when when, size_t first, struct history_point *out,
                      size_t max);

bool volley_active(const struct volley *volley); /* a run is open */
bool volley_alive(struct volley *volley); /* every worker made progress since the last call (watchdog) */
/* Called on the main loop after each change of state worth a log line. */
typedef void volley_tell(void *context, const char *event, const char *text);
void volley_set_tell(struct volley *volley, volley_tell *tell, void *context);

#endif
