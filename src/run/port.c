/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A port is refreshed whenever the kernel tells of a change, and armed when a start needs it:
 *
 *   absent ─┐                                ┌─ lost: facts changed under traffic (resume: wait; else: stop)
 *   refused ├─► ready ──arm──► running ──────┤
 *   down ───┘     ▲               │          └─ failed: the device refuses frames for a reason that is not
 * the link no-carrier    └── draining ◄──┘
 *
 * Orders go to workers and come back; while a port is parked its engines belong to the main thread. */
#include "run/port.h"

#include <errno.h>
#include <fnmatch.h>
#include <net/if_arp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const port_state_names[] = {"absent", "refused", "down",     "no-carrier",
                                        "ready",  "running", "draining", "failed"};

enum { BATCH_MIN = 16, BATCH_MAX = 512 };

__attribute__((format(printf, 3, 4))) static void set_state(struct port *port, enum port_state state,
                                                            const char *format, ...)
{
    char reason[sizeof port->reason];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    if (port->state == state && strcmp(reason, port->reason) == 0)
        return;
    port->state = state;
    memcpy(port->reason, reason, sizeof reason);
    port->hooks.state_changed(port->hooks.context, port);
}

/* ---- what the interface allows ---- */

static bool is_allowed(const struct port *port)
{
    const struct safety_spec *safety = &port->plan->spec.safety;
    for (size_t i = 0; i < safety->allowed; i++)
        if (fnmatch(safety->allow[i], port->planned->spec->interface, 0) == 0)
            return true;
    return false;
}

/* Whether traffic may be put on this interface at all: 0, or -EPERM with the reason and the key that would
 * allow it. */
static int check_safety(const struct port *port, struct err *err)
{
    const struct port_spec *spec = port->planned->spec;
    char reason[128];
    if (!is_allowed(port))
        return err_set(err, -EPERM, "%s is not in safety.allow; add \"%s\" there to permit it",
                       spec->interface, spec->interface);
    if (port->facts.ifindex == 0 || spec->force)
        return 0;
    if (!spec->cooked && port->facts.hardware != ARPHRD_ETHER && port->facts.hardware != ARPHRD_LOOPBACK)
        return err_set(err, -EPERM, "%s is not an Ethernet interface; use a cooked port for it",
                       spec->interface);
    int found = link_reason_to_refuse(&port->facts, reason, sizeof reason);
    if (found < 0)
        return err_set(err, found, "cannot ask the kernel about %s: %s", spec->interface, strerror(-found));
    if (found > 0)
        return err_set(err, -EPERM, "%s is refused because %s; force = true on port \"%s\" permits it",
                       spec->interface, reason, spec->name);
    return 0;
}

/* Whether the link can carry frames now: 0, or -ENODEV, -ENETDOWN, -ENOLINK. */
static int check_link(const struct port *port, struct err *err)
{
    const char *interface = port->planned->spec->interface;
    if (port->facts.ifindex == 0)
        return err_set(err, -ENODEV, "there is no interface %s", interface);
    if (!port->facts.up)
        return err_set(err, -ENETDOWN, "%s is down; `ip link set %s up` brings it up", interface, interface);
    if (!port->facts.carrier)
        return err_set(err, -ENOLINK, "%s has no carrier", interface);
    return 0;
}

/* What has changed since arming that the rings or the packets depend on; NULL: nothing. */
static const char *changed_fact(const struct port *port, char *text, size_t size)
{
    const struct link_facts *was = &port->armed_facts, *is = &port->facts;
    if (is->mtu != was->mtu) {
        snprintf(text, size, "the MTU changed from %u to %u", was->mtu, is->mtu);
        return text;
    }
    if (memcmp(is->mac, was->mac, sizeof is->mac) != 0)
        return "the MAC address changed";
    return NULL;
}

static enum port_state link_state(int code)
{
    return code == -ENODEV ? PORT_ABSENT : code == -ENETDOWN ? PORT_DOWN : PORT_NO_CARRIER;
}

/* ---- orders ---- */

struct errand {
    unsigned waiting;
    bool sealed;
    int result;
    port_done *done;
    void *context;
};

struct sent_order { /* an order with what its answer needs */
    struct order order;
    struct errand *errand;
    struct port *port;
    uint32_t queue;
};

struct errand *errand_new(port_done *done, void *context)
{
    struct errand *errand = calloc(1, sizeof *errand);
    if (errand != NULL)
        *errand = (struct errand){.done = done, .context = context};
    return errand;
}

void errand_fail(struct errand *errand, int result)
{
    if (errand != NULL && errand->result == 0)
        errand->result = result;
}

static void errand_settle(struct errand *errand)
{
    if (!errand->sealed || errand->waiting > 0)
        return;
    if (errand->done != NULL)
        errand->done(errand->context, errand->result);
    free(errand);
}

void errand_seal(struct errand *errand)
{
    errand->sealed = true;
    errand_settle(errand);
}

static void carry(struct queue *queue, const struct sendloop *loop)
{
    struct queue_counts counts = {0};
    record_read(sendloop_record(loop), (uint64_t *)&counts);
    queue_counts_add(&queue->carried, &counts);
}

/* The worker has another sendloop now (old may be NULL). */
static void let_go(struct queue *queue, struct sendloop *old)
{
    for (size_t i = 0; i < LEAVING_MAX; i++)
        if (old != NULL && queue->leaving[i] == old) {
            carry(queue, old);
            sendloop_free(old);
            queue->leaving[i] = NULL;
        }
}

static void on_answer(struct order *order)
{
    struct sent_order *sent = (struct sent_order *)order;
    struct errand *errand = sent->errand;
    if (order->kind == ORDER_LOAD)
        let_go(&sent->port->queues[sent->queue], order->sendloop);
    if (errand != NULL) {
        errand->waiting--;
        errand_fail(errand, order->result);
    }
    free(order->parts);
    free(sent);
    if (errand != NULL)
        errand_settle(errand);
}

static void send_order(struct port *port, uint32_t queue, struct errand *errand, struct sent_order *sent)
{
    sent->order.done = on_answer;
    sent->errand = errand;
    sent->port = port;
    sent->queue = queue;
    if (errand != NULL)
        errand->waiting++;
    worker_send(port->queues[queue].worker, &sent->order);
}

int port_order_all(struct port *port, const struct order *const orders[QUEUES_MAX], struct errand *errand)
{
    struct sent_order *sent[QUEUES_MAX] = {NULL};
    bool all = true;
    for (uint32_t q = 0; q < port->queue_count; q++) {
        if (orders[q] == NULL || port->queues[q].worker == NULL) /* nothing runs there: the answer is yes */
            continue;
        sent[q] = calloc(1, sizeof *sent[q]);
        if (sent[q] != NULL)
            sent[q]->order = *orders[q];
        all &= sent[q] != NULL;
    }
    for (uint32_t q = 0; q < port->queue_count; q++) {
        if (all && sent[q] != NULL) {
            send_order(port, q, errand, sent[q]);
            continue;
        }
        if (orders[q] != NULL)
            free(orders[q]->parts);
        free(sent[q]);
    }
    if (all)
        return 0;
    errand_fail(errand, -ENOMEM);
    return -ENOMEM;
}

int port_order(struct port *port, uint32_t queue, const struct order *order, struct errand *errand)
{
    const struct order *orders[QUEUES_MAX] = {NULL};
    orders[queue] = order;
    return port_order_all(port, orders, errand);
}

/* ---- loss and return of the link ---- */

static void order_all(struct port *port, enum order_kind kind, struct errand *errand)
{
    const struct order order = {.kind = kind};
    for (uint32_t i = 0; i < port->queue_count; i++)
        (void)port_order(port, i, &order, errand);
}

static void on_parked(void *context, int result)
{
    struct port *port = context;
    (void)result;
    if (port->parking != PARKING)
        return;
    port->parking = PARKED;
    port_refresh(port);
}

/* What shall go on afterwards is paused by the hook, and the workers are parked: their rings are taken back
 * and ours to rebind. */
static void lose(struct port *port, const char *reason, bool resume)
{
    if (port->lost)
        return;
    port->lost = true;
    port->resume = resume;
    port->hooks.lost(port->hooks.context, port, reason, resume);
    if (!resume)
        return;
    struct errand *errand = errand_new(on_parked, port);
    if (errand == NULL)
        return;
    port->parking = PARKING;
    order_all(port, ORDER_PARK, errand);
    errand_seal(errand);
}

void port_give_up(struct port *port)
{
    if (port->parking == UNPARKED)
        return;
    port->parking = UNPARKED;
    port->resume = false;
    ev_timer_stop(port->loop, &port->link_delay);
    order_all(port, ORDER_UNPARK, NULL);
}

static int rebind_queues(struct port *port, struct err *err);

static void regain(struct port *port)
{
    struct err err = {0};
    if (!port->lost || port->parking == PARKING)
        return;
    if (port->armed && rebind_queues(port, &err) < 0) {
        set_state(port, PORT_FAILED, "%s", err.text);
        return;
    }
    bool resume = port->resume;
    port->lost = port->resume = false;
    if (port->parking == PARKED)
        order_all(port, ORDER_UNPARK, NULL);
    port->parking = UNPARKED;
    if (resume)
        port->hooks.regained(port->hooks.context, port);
}

static void on_link_delay(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct port *port = timer->data;
    struct err err;
    (void)loop;
    (void)revents;
    if (check_link(port, &err) == 0)
        regain(port);
    port_refresh(port);
}

static void settle_state(struct port *port)
{
    if (port->state == PORT_FAILED && port->busy)
        return;
    if (port->draining)
        set_state(port, PORT_DRAINING, "%s", "");
    else if (port->busy)
        set_state(port, PORT_RUNNING, "%s", "");
    else
        set_state(port, PORT_READY, "%s", "");
}

static void refresh_bad_link(struct port *port, int code, const struct err *err)
{
    ev_timer_stop(port->loop, &port->link_delay);
    if (port->busy || port->draining)
        lose(port, err->text, port->planned->spec->on_link_loss == LINK_LOSS_RESUME);
    set_state(port, link_state(code), "%s", err->text);
}

static void refresh_good_link(struct port *port)
{
    char text[100];
    const char *changed = port->armed ? changed_fact(port, text, sizeof text) : NULL;
    bool other = port->armed && port->facts.ifindex != port->armed_facts.ifindex;
    if (changed != NULL && port->busy)
        lose(port, changed, false);
    else if (other && port->busy && !port->lost) /* gone and back before we looked */
        lose(port, "the interface was replaced", port->planned->spec->on_link_loss == LINK_LOSS_RESUME);
    if (port->lost) {
        if (!ev_is_active(&port->link_delay)) {
            ev_timer_set(&port->link_delay, (double)port->planned->spec->link_delay_ns / 1e9, 0.);
            ev_timer_start(port->loop, &port->link_delay);
        }
        if (port->resume) {
            set_state(port, PORT_DOWN, "the link is back; waiting link_delay before frames go on");
            return;
        }
    }
    settle_state(port);
}

void port_refresh(struct port *port)
{
    struct err err = {0};
    if (port->ops->without_interface) {
        port->facts.mtu = FRAME_MAX_BYTES - FRAME_MIN_BYTES; /* takes what a packet can be */
        settle_state(port);
        return;
    }
    if (link_read(port->planned->spec->interface, &port->facts, &err) < 0) {
        set_state(port, PORT_FAILED, "%s", err.text);
        return;
    }
    int code = check_safety(port, &err);
    if (code < 0) {
        if (port->busy)
            lose(port, err.text, false);
        set_state(port, PORT_REFUSED, "%s", err.text);
        return;
    }
    code = check_link(port, &err);
    if (code < 0)
        refresh_bad_link(port, code, &err);
    else
        refresh_good_link(port);
}

/* ---- arming ---- */

static void on_parts_ended(void *context)
{
    struct queue *queue = context;
    queue->port->hooks.parts_ended(queue->port->hooks.context, queue->port);
}

/* The engine says that it waits for what will not come by itself. The link usually tells why. */
static void on_trouble(void *context, int reason)
{
    struct queue *queue = context;
    struct port *port = queue->port;
    port_refresh(port);
    if (reason == 0 || !port->busy || port->lost)
        return;
    if (reason == ENETDOWN || reason == ENXIO) /* down and up again before we looked */
        lose(port, reason == ENXIO ? "the interface was replaced" : "the link was down for a moment",
             port->planned->spec->on_link_loss == LINK_LOSS_RESUME);
    else
        port_fail(port, strerror(reason));
    port_refresh(port);
}

void port_fail(struct port *port, const char *reason)
{
    char text[sizeof port->reason];
    snprintf(text, sizeof text, "the device takes no frames: %s", reason);
    lose(port, text, false);
    set_state(port, PORT_FAILED, "%s", text);
}

/* Hardware, and virtual devices that do not stand on others. */
static bool ends_here(const struct port *port)
{
    static const char *const ends[] = {"", "veth", "ifb"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (strcmp(port->facts.kind, ends[i]) == 0)
            return true;
    return false;
}

static enum queue_choice queue_choice(const struct port *port)
{
    if (port->facts.tx_queues == 1)
        return QUEUE_ONLY_ONE;
    return link_picks_queue_by_cpu(port->planned->spec->interface) ? QUEUE_BY_CPU : QUEUE_BY_FLOW;
}

static struct engine_facts engine_facts(const struct port *port)
{
    bool virtual = strcmp(port->facts.kind, "veth") == 0 || strcmp(port->facts.kind, "tun") == 0;
    return (struct engine_facts){.interface = port->planned->spec->interface,
                                 .ifindex = port->facts.ifindex,
                                 .mtu = port->facts.mtu,
                                 .link_header_bytes = 14,
                                 .fragments = port->abilities.fragments,
                                 .copies_fragments = virtual,
                                 .segments_in_device = port->abilities.udp_segmentation,
                                 .ends_here = ends_here(port),
                                 .queue_choice = queue_choice(port)};
}

static struct engine_wishes engine_wishes(const struct port *port)
{
    const struct port_spec *spec = port->planned->spec;
    struct engine_wishes wishes = {.largest_bytes = port->planned->largest_bytes,
                                   .smallest_bytes = port->planned->smallest_bytes,
                                   .segments = port->planned->segments,
                                   .version = spec->ring_version,
                                   .frames = spec->ring_frames,
                                   .frame_size = spec->ring_frame_size,
                                   .block_size = spec->ring_block_size,
                                   .offset = spec->ring_offset,
                                   .qdisc = spec->qdisc,
                                   .loss = spec->loss,
                                   .cooked = spec->cooked,
                                   .cooked_type = spec->cooked_type};
    memcpy(wishes.cooked_dst, spec->cooked_dst, sizeof wishes.cooked_dst);
    return wishes;
}

/* Memory of the ring comes from the node of the CPU that maps it. */
static int open_on_cpu(struct port *port, uint32_t queue, struct err *err)
{
    struct engine_facts facts = engine_facts(port);
    struct engine_wishes wishes = engine_wishes(port);
    cpu_set_t before, wanted;
    int cpu = port->queues[queue].cpu;
    bool moved = cpu >= 0 && sched_getaffinity(0, sizeof before, &before) == 0;
    if (moved) {
        CPU_ZERO(&wanted);
        CPU_SET((size_t)cpu, &wanted);
        sched_setaffinity(0, sizeof wanted, &wanted);
    }
    int result = port->ops->open(&facts, &wishes, &port->queues[queue].engine, err);
    if (moved)
        sched_setaffinity(0, sizeof before, &before);
    return result;
}

static int start_worker(struct port *port, uint32_t i, struct err *err)
{
    const struct port_spec *spec = port->planned->spec;
    char name[16];
    snprintf(name, sizeof name, "%.11s/%u", spec->name, i % QUEUES_MAX);
    struct worker_wishes wishes = {.name = name,
                                   .cpu = port->queues[i].cpu,
                                   .pacing = spec->pacing,
                                   .confine = port->confine,
                                   .addressed = spec->cooked,
                                   .main_loop = port->loop,
                                   .parts_ended = on_parts_ended,
                                   .trouble = on_trouble,
                                   .context = &port->queues[i]};
    return worker_new(&wishes, &port->queues[i].worker, err);
}

static int check_frames(const struct port *port, struct err *err)
{
    uint32_t largest = port->planned->largest_bytes;
    uint32_t room = port->facts.mtu + 14 + 4; /* the kernel lets a tag pass */
    if (port->planned->segments <= 1 && !port->ops->without_interface && largest > room)
        return err_set(
            err, -EPERM,
            "frames of %u bytes (FCS counted) do not fit the MTU %u of %s; `ip link set %s mtu %u` would do",
            largest + FCS_BYTES, port->facts.mtu, port->planned->spec->interface,
            port->planned->spec->interface, largest - 14);
    return 0;
}

bool port_has_room(const struct port *port, const struct plan_port *planned)
{
    const struct engine_caps *caps = &port->caps;
    return planned->segments <= caps->max_segments &&
           planned->largest_bytes <= (planned->segments > 1 ? caps->max_run_bytes : caps->max_bytes);
}

bool port_still_fits(const struct port *port)
{
    if (!port->armed || !port_has_room(port, port->planned))
        return false;
    return port->ops->without_interface ||
           (port->facts.ifindex == port->armed_facts.ifindex && port->facts.mtu == port->armed_facts.mtu);
}

/* Other sockets that see what leaves here clone and copy every frame, but only of the path that has taps. */
static void warn_of_taps(struct port *port)
{
    int taps =
        port->ops->without_interface || !port->planned->spec->qdisc ? 0 : link_taps(port->facts.ifindex);
    port->warning[0] = 0;
    if (taps > 0)
        snprintf(port->warning, sizeof port->warning,
                 "%d packet tap%s on %s (tcpdump, lldpd …) copies every frame that is sent", taps,
                 taps > 1 ? "s" : "", port->planned->spec->interface);
}

static void read_device_base(struct port *port)
{
    port->device_base = port->facts.stats;
    port->device_based_on = port->facts.ifindex;
}

int port_arm(struct port *port, struct err *err)
{
    int result;
    if (!port->ops->without_interface) {
        if ((result = link_read(port->planned->spec->interface, &port->facts, err)) < 0)
            return result;
        if ((result = check_safety(port, err)) < 0 || (result = check_link(port, err)) < 0 ||
            (result = check_frames(port, err)) < 0)
            goto refused;
    }
    warn_of_taps(port);
    if (port->lost && port->busy)
        return err_set(err, -EBUSY, "port \"%s\" waits for its link: %s", port->planned->spec->name,
                       port->reason);
    if (port_still_fits(port))
        return 0;
    port_disarm(port);
    if (!port->ops->without_interface)
        link_read_abilities(port->facts.ifindex, &port->abilities);
    int node = port->ops->without_interface ? -1 : link_node(port->planned->spec->interface);
    for (uint32_t i = 0; i < port->queue_count; i++)
        port->queues[i].cpu = places_take(port->hooks.places, port->planned->spec->cpus[i], node);
    for (uint32_t i = 0; i < port->queue_count; i++)
        if ((result = open_on_cpu(port, i, err)) < 0 || (result = start_worker(port, i, err)) < 0)
            goto fail;
    port->ops->caps(port->queues[0].engine, &port->caps);
    port->armed = true;
    port->armed_facts = port->facts;
    if (port->device_based_on != port->facts.ifindex) /* rings rebuilt within a run go on counting */
        read_device_base(port);
    port->lost = false;
    return 0;

fail:
    port_disarm(port);
refused:
    err_within(err, "port \"%s\"", port->planned->spec->name);
    port_refresh(port);
    return result;
}

void port_disarm(struct port *port)
{
    for (uint32_t i = 0; i < port->queue_count; i++) {
        struct queue *queue = &port->queues[i];
        worker_free(queue->worker); /* joins; answers that were on their way are given */
        queue->worker = NULL;
        for (size_t l = 0; l < LEAVING_MAX; l++)
            let_go(queue, queue->leaving[l]);
        if (queue->loop != NULL)
            carry(queue, queue->loop);
        sendloop_free(queue->loop);
        queue->loop = NULL;
        if (queue->engine != NULL)
            port->ops->close(queue->engine);
        queue->engine = NULL;
        places_give(port->hooks.places, queue->cpu);
        queue->cpu = -1;
    }
    port->armed = false;
    port->parking = UNPARKED;
}

static void carry_device(struct port *port)
{
    const struct link_stats *now = &port->armed_facts.stats, *base = &port->device_base;
    port->device_carried.tx_packets += now->tx_packets - base->tx_packets;
    port->device_carried.tx_bytes += now->tx_bytes - base->tx_bytes;
    port->device_carried.tx_dropped += now->tx_dropped - base->tx_dropped;
}

/* The workers are parked. */
static int rebind_queues(struct port *port, struct err *err)
{
    struct engine_facts facts = engine_facts(port);
    if (port->ops->without_interface || port->facts.ifindex == port->armed_facts.ifindex)
        return 0;
    for (uint32_t i = 0; i < port->queue_count; i++) {
        int result = port->ops->rebind(port->queues[i].engine, &facts, err);
        if (result < 0)
            return result;
    }
    carry_device(port); /* what the old one counted until we last read it */
    port->armed_facts = port->facts;
    read_device_base(port);
    return 0;
}

static int leave(struct queue *queue)
{
    if (queue->loop == NULL)
        return 0;
    for (size_t i = 0; i < LEAVING_MAX; i++)
        if (queue->leaving[i] == NULL) {
            queue->leaving[i] = queue->loop;
            queue->loop = NULL;
            return 0;
        }
    return -EBUSY;
}

int port_load(struct port *port, uint32_t queue, struct part **parts, uint32_t count, uint32_t nonce,
              struct errand *errand, struct err *err)
{
    const struct port_spec *spec = port->planned->spec;
    struct queue *q = &port->queues[queue];
    struct sendloop_wishes wishes = {.limits = {.late_ns = spec->late_ns, .max_burst = spec->max_burst},
                                     .batch_min = BATCH_MIN,
                                     .batch_max = BATCH_MAX,
                                     .nonce = nonce};
    struct sendloop *loop = sendloop_new(q->engine, parts, count, &wishes);
    if (loop == NULL)
        return err_set(err, -ENOMEM, "out of memory for %u streams on port \"%s\"", count, spec->name);
    struct order order = {.kind = ORDER_LOAD, .sendloop = loop, .drain_ns = spec->drain_ns};
    int result = leave(q);
    if (result == 0)
        result = port_order(port, queue, &order, errand);
    if (result < 0) {
        sendloop_free(loop);
        return err_set(err, result, "port \"%s\" is busy with earlier changes; try again", spec->name);
    }
    q->loop = loop;
    return 0;
}

/* ---- life ---- */

int port_new(struct ev_loop *loop, const struct plan *plan, uint32_t index, const struct port_hooks *hooks,
             bool confine, struct port **out, struct err *err)
{
    struct port *port = calloc(1, sizeof *port);
    if (port == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    port->loop = loop;
    port->hooks = *hooks;
    port->confine = confine;
    port_adopt(port, plan, index);
    ev_timer_init(&port->link_delay, on_link_delay, 0., 0.);
    port->link_delay.data = port;
    port->queue_count = port->planned->spec->queues;
    port->queues = calloc(port->queue_count, sizeof *port->queues);
    int result = port->queues != NULL ? 0 : err_set(err, -ENOMEM, "out of memory");
    for (uint32_t i = 0; result == 0 && i < port->queue_count; i++)
        port->queues[i] = (struct queue){.port = port, .cpu = -1};
    if (result < 0) {
        port_free(port);
        return result;
    }
    port_refresh(port);
    *out = port;
    return 0;
}

void port_free(struct port *port)
{
    if (port == NULL)
        return;
    ev_timer_stop(port->loop, &port->link_delay);
    if (port->queues != NULL)
        port_disarm(port);
    free(port->queues);
    free(port);
}

void port_adopt(struct port *port, const struct plan *plan, uint32_t index)
{
    port->plan = plan;
    port->index = index;
    port->planned = &plan->ports[index];
    port->ops = engine_find(port->planned->spec->engine);
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

bool port_fits(const struct port *port, const struct plan *plan, uint32_t index)
{
    const struct port_spec *a = port->planned->spec, *b = plan->ports[index].spec;
    return same_text(a->name, b->name) && same_text(a->interface, b->interface) &&
           same_text(a->engine, b->engine) && a->queues == b->queues &&
           memcmp(a->cpus, b->cpus, sizeof a->cpus) == 0 && a->pacing == b->pacing &&
           a->max_burst == b->max_burst && a->late_ns == b->late_ns && a->qdisc == b->qdisc &&
           a->loss == b->loss && a->ring_version == b->ring_version && a->ring_frames == b->ring_frames &&
           a->ring_frame_size == b->ring_frame_size && a->ring_block_size == b->ring_block_size &&
           a->ring_offset == b->ring_offset && a->cooked == b->cooked &&
           memcmp(a->cooked_dst, b->cooked_dst, sizeof a->cooked_dst) == 0 &&
           a->cooked_type == b->cooked_type && a->speed_bit == b->speed_bit && a->receive == b->receive &&
           a->receive_version == b->receive_version && a->receive_blocks == b->receive_blocks &&
           a->receive_block_size == b->receive_block_size && a->receive_threads == b->receive_threads &&
           a->receive_fanout == b->receive_fanout && a->receive_promiscuous == b->receive_promiscuous;
}

uint64_t port_speed_bit(const struct port *port)
{
    return port->planned->spec->speed_bit != 0 ? port->planned->spec->speed_bit : port->abilities.speed_bit;
}

/* ---- accounts ---- */

void port_counts(const struct port *port, uint32_t queue, struct queue_counts *out)
{
    const struct queue *q = &port->queues[queue];
    *out = q->carried;
    for (size_t i = 0; i <= LEAVING_MAX; i++) {
        const struct sendloop *loop = i < LEAVING_MAX ? q->leaving[i] : q->loop;
        struct queue_counts now = {0};
        if (loop == NULL)
            continue;
        record_read(sendloop_record(loop), (uint64_t *)&now);
        queue_counts_add(out, &now);
    }
}

/* A sendloop counts from its own begin. What it has counted so far is carried negatively (modulo 2^64, like
 * all sums here). */
static void carry_from_zero(struct port *port, uint32_t queue)
{
    uint64_t *carried = (uint64_t *)&port->queues[queue].carried;
    struct queue_counts now;
    memset(carried, 0, sizeof now);
    port_counts(port, queue, &now);
    for (size_t i = 0; i < QUEUE_COUNTS_WORDS; i++)
        carried[i] = -((const uint64_t *)&now)[i];
    port->queues[queue].carried.last_error = 0;
    port->queues[queue].carried.handover_max_ns = 0;
}

void port_begin_run(struct port *port)
{
    for (uint32_t i = 0; i < port->queue_count; i++)
        carry_from_zero(port, i);
    memset(&port->device_carried, 0, sizeof port->device_carried);
    if (!port->ops->without_interface && link_read(port->planned->spec->interface, &port->facts, NULL) == 0)
        read_device_base(port);
}

void port_set_busy(struct port *port, bool busy, bool draining)
{
    port->busy = busy;
    port->draining = draining;
    if (!busy && !draining && port->lost && !port->resume)
        port->lost = false;
    port_refresh(port);
}

/* A queue's super-packets count as one on the device, ifb counts what it sends as received, and a virtual
 * engine has no device. */
static bool is_comparable(const struct port *port)
{
    return !port->ops->without_interface && strcmp(port->facts.kind, "ifb") != 0 &&
           port->planned->segments <= 1;
}

void port_device(const struct port *port, const struct counts *counts, struct device_counts *out)
{
    struct link_facts now = {0};
    *out = port->device_carried;
    out->comparable = is_comparable(port);
    if (port->ops->without_interface)
        return;
    if (link_read(port->planned->spec->interface, &now, NULL) == 0 && now.ifindex != 0 &&
        (!port->armed || now.ifindex == port->armed_facts.ifindex)) {
        out->tx_packets += now.stats.tx_packets - port->device_base.tx_packets;
        out->tx_bytes += now.stats.tx_bytes - port->device_base.tx_bytes;
        out->tx_dropped += now.stats.tx_dropped - port->device_base.tx_dropped;
        out->rx_packets += now.stats.rx_packets - port->device_base.rx_packets;
        out->rx_bytes += now.stats.rx_bytes - port->device_base.rx_bytes;
    } else {
        out->comparable = false; /* the interface went away and took its counters with it */
    }
    if (!out->comparable)
        return;
    out->unaccounted = counts->completed > out->tx_packets ? counts->completed - out->tx_packets : 0;
    out->foreign = out->tx_packets > counts->completed ? out->tx_packets - counts->completed : 0;
}

bool port_is_alive(struct port *port)
{
    bool alive = true;
    for (uint32_t i = 0; i < port->queue_count; i++) {
        struct queue *queue = &port->queues[i];
        if (queue->worker == NULL)
            continue;
        uint64_t progress = worker_progress(queue->worker);
        alive &= progress != queue->progress;
        queue->progress = progress;
        worker_poke(queue->worker);
    }
    return alive;
}
