/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One armed port: its interface's facts, its queues (an engine, a worker and a sendloop each), and what state
 * it is in. Main thread only. A port knows parts, not streams: whose parts they are is run.c's business. */
#ifndef RUN_PORT_H
#define RUN_PORT_H

#include "plan/plan.h"
#include "run/link.h"
#include "run/places.h"
#include "run/run.h"
#include "run/worker.h"

struct port;

struct port_hooks {
    void (*parts_ended)(void *context, struct port *port);
    /* The link was lost or a fact changed under a run: traffic of this port must stop (resume false) or wait
     * (true). */
    void (*lost)(void *context, struct port *port, const char *reason, bool resume);
    void (*regained)(void *context, struct port *port);
    void (*state_changed)(void *context, struct port *port);
    void *context;
    struct places *places; /* of the threads of all ports */
};

enum { LEAVING_MAX = 8 };

struct queue {
    struct port *port;
    struct engine *engine;                 /* owned; NULL: not armed */
    int cpu;                               /* that its thread keeps; -1: none */
    uint64_t progress;                     /* its worker's last sign of life */
    struct worker *worker;                 /* owned; NULL: not armed */
    struct sendloop *loop;                 /* owned; the worker has it */
    struct sendloop *leaving[LEAVING_MAX]; /* owned; replaced, but the worker has not yet let go */
    struct queue_counts carried;           /* of sendloops and rings that this run had before */
};

struct port {
    struct ev_loop *loop;
    const struct plan *plan; /* borrowed from the volley */
    uint32_t index;          /* in the plan */
    const struct plan_port *planned;
    const struct engine_ops *ops;
    struct port_hooks hooks;
    enum port_state state;
    char reason[200];
    char warning[160];
    struct link_facts facts;       /* as last read */
    struct link_facts armed_facts; /* what the engines were opened with */
    struct link_abilities abilities;
    bool confine, armed, lost, resume, busy, draining;
    enum { UNPARKED, PARKING, PARKED } parking; /* while the link is away and frames shall go on after it */
    ev_timer link_delay;
    struct engine_caps caps;
    uint32_t queue_count;
    struct queue *queues;
    struct link_stats device_base;       /* at the run's begin, and whenever the device is another */
    int device_based_on;                 /* its ifindex; 0: none yet */
    struct device_counts device_carried; /* of interfaces that the run had before a rebind */
};

int port_new(struct ev_loop *loop, const struct plan *plan, uint32_t index, const struct port_hooks *hooks,
             bool confine, struct port **out, struct err *err);
void port_free(struct port *port); /* its workers have no loaded parts any more, or are ended with them */

/* The same port in another plan; whether the two specs let it live on. */
bool port_fits(const struct port *port, const struct plan *plan, uint32_t index);
void port_adopt(struct port *port, const struct plan *plan, uint32_t index);

/* Reads the interface anew, keeps the state true, and calls lost or regained. */
void port_refresh(struct port *port);
/* Opens the engines for what the plan needs; -EPERM (safety), -ENODEV, -ENETDOWN … with the remedy. Armed
 * already and unchanged: 0. */
int port_arm(struct port *port, struct err *err);
/* Whether the rings are open and suit the plan and the interface as it is. */
bool port_still_fits(const struct port *port);
/* Whether its rings have room for what another plan would send there. */
bool port_has_room(const struct port *port, const struct plan_port *planned);
/* Ends workers, sendloops and engines; their counts are carried. What was in flight stays so in the parts'
 * accounts. */
void port_disarm(struct port *port);
uint64_t port_speed_bit(const struct port *port);

/* One order for one queue; done runs on the main loop. Order content is copied; parts are taken over. */
typedef void port_done(void *context, int result);
struct errand; /* counts the answers of several orders */
struct errand *errand_new(port_done *done, void *context);
void errand_seal(struct errand *errand); /* no more orders; done is called when all have answered, at once
                                            when there were none */
/* What it is for could not all be asked: that is its answer, unless an earlier one says why already. NULL is
 * fine. */
void errand_fail(struct errand *errand, int result);
int port_order(struct port *port, uint32_t queue, const struct order *order, struct errand *errand);
/* Each queue's (NULL: none), or, when memory is out, nobody's: -ENOMEM. */
int port_order_all(struct port *port, const struct order *const orders[QUEUES_MAX], struct errand *errand);
/* A new sendloop for a queue from these parts (all that the queue has). The old one is freed when the worker
 * has let go, which errand waits for. */
int port_load(struct port *port, uint32_t queue, struct part **parts, uint32_t count, uint32_t nonce,
              struct errand *errand, struct err *err);

bool port_is_alive(struct port *port);  /* every worker has answered the poke of the last call */
void port_begin_run(struct port *port); /* counts and the device's base to zero */
void port_set_busy(struct port *port, bool busy, bool draining);
void port_fail(struct port *port, const char *reason);
/* Before a stop: a port that waits parked for its link gives up waiting, so that its workers can answer. */
void port_give_up(struct port *port);
void port_counts(const struct port *port, uint32_t queue, struct queue_counts *out);
void port_device(const struct port *port, const struct counts *counts, struct device_counts *out);

#endif
