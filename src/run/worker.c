/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A worker is in one of three moods:
 *
 *   busy      the idle watcher runs a slice of the send loop each time round
 *   resting   the timerfd, or EV_WRITE on the engine's fd, ends it; an order too
 *   parked    only orders are looked at; the engine and the send loop belong to the main thread
 *
 * One timerfd serves all waits (libev's own timers on poll() are whole milliseconds); it is set anew or its
 * watcher is stopped, never read. The engine's fd is watched only while resting: a socket that is watched all
 * the time pays for a wake-up a frame.
 *
 * What the main thread is told goes through `replies` and three atomics, all under one ev_async, which
 * coalesces; so the main thread looks at all of them each time. */
#include "run/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "run/thread.h"

enum {
    SLICE_NS = 500000,
    DRAIN_LOOK_NS = 200000, /* how often a stop looks whether its frames are back */
    /* A wake-up that never comes must not hang the queue. Much longer than half the socket memory takes to
     * drain: a look that kicks takes the memory which the wake-up waits for. */
    WRITABLE_LOOK_NS = 250000000,
    SLACK_LEAST_NS = 10000,
    SLACK_MOST_NS = 1000000,
    SLACK_FRAMES = 24, /* more than these in one wake-up is more of a burst than economy is worth */
    MARGIN_LEAST_NS = 5000,
    MARGIN_FIRST_NS = 50000,
    MARGIN_MOST_NS = 200000,
    MARGIN_SPIN_NS = 5000, /* a deadline just beyond the margin is not worth a sleep */
};

/* How a kind of pacing meets a deadline. */
static const struct habit {
    uint64_t lead_ns; /* the timer is set so much earlier … */
    uint64_t spin_ns; /* … and a deadline so near is awaited on the clock */
    bool learns;      /* both follow from how late the timer wakes us */
    bool slack;       /* the timer is set later, so that several frames are due */
} habits[] = {
    [PACING_BALANCED] = {.learns = true},
    [PACING_PRECISE] = {.lead_ns = 10000000, .spin_ns = 20000000},
    [PACING_ECONOMY] = {.slack = true},
};

struct worker {
    struct worker_wishes wishes;
    struct thread thread;
    struct ev_loop *loop; /* owned; run by the thread */
    int timer_fd;         /* owned */
    struct mailbox orders, replies;
    ev_async wake; /* in loop: orders are there, or a poke */
    ev_async told; /* in main_loop */

    /* worker thread only */
    ev_idle busy;
    ev_io timer, writable;
    struct sendloop *sendloop; /* borrowed */
    const struct habit *habit;
    bool parked, quits;
    struct letter *deferred, **deferred_end; /* orders that reached a parked worker */
    struct letter *stops;                    /* orders that wait for a drain */
    struct order *load;                      /* waits for the old loop's frames */
    uint64_t slack_ns;                       /* economy: how much later than the deadline it wakes */
    uint64_t margin_ns;                      /* balanced: how late the timer nearly never is */
    uint64_t timer_at_ns;                    /* what it was set to */

    /* worker → main */
    _Atomic uint64_t progress;
    _Atomic bool ended;
    _Atomic int trouble;

    /* main thread only */
    int trouble_told;
    struct letter *undelivered;
    bool *freed; /* set while orders are delivered: done() may free the worker */
    struct order quit;
};

static struct order *order_of(struct letter *letter)
{
    return (struct order *)(void *)letter;
}

/* ---- telling the main thread ---- */

static void tell(struct worker *worker)
{
    ev_async_send(worker->wishes.main_loop, &worker->told);
}

static void answer(struct worker *worker, struct order *order, int result)
{
    order->result = result;
    mailbox_drop(&worker->replies, &order->letter);
    tell(worker);
}

static void tell_trouble(struct worker *worker, int reason)
{
    if (atomic_exchange_explicit(&worker->trouble, reason, memory_order_relaxed) != reason)
        tell(worker);
}

static void tell_ended(struct worker *worker)
{
    atomic_store_explicit(&worker->ended, true, memory_order_release);
    tell(worker);
}

/* ---- stops that wait ---- */

/* Slots settle in order: when all that were committed before the stop have, none of its frames is left,
 * whatever was started since. */
static bool is_drained(const struct sendloop *sendloop, const struct order *order)
{
    if (sendloop == NULL || sendloop_settled(sendloop) >= order->committed)
        return true;
    if (order->parts == NULL)
        return false;
    for (uint32_t i = 0; i < order->part_count; i++)
        if (sendloop_part(sendloop, order->parts[i])->counts.in_flight != 0)
            return false;
    return true;
}

/* Answers each stop whose frames are back or whose time is over; the rest stay. */
static void answer_stops(struct worker *worker, uint64_t now_ns)
{
    struct letter **at = &worker->stops;
    while (*at != NULL) {
        struct order *stop = order_of(*at);
        bool drained = is_drained(worker->sendloop, stop);
        if (!drained && now_ns < stop->until_ns) {
            at = &(*at)->next;
            continue;
        }
        *at = stop->letter.next;
        answer(worker, stop, drained ? 0 : -ETIMEDOUT);
    }
}

static void cancel(struct worker *worker, struct letter **letters)
{
    while (*letters != NULL) {
        struct letter *letter = *letters;
        *letters = letter->next;
        answer(worker, order_of(letter), -ECANCELED);
    }
}

static uint64_t next_look(const struct worker *worker, uint64_t now_ns)
{
    bool drains = (worker->stops != NULL && !worker->parked) || worker->load != NULL;
    uint64_t earliest_ns = drains ? now_ns + DRAIN_LOOK_NS : DEADLINE_NEVER;
    for (struct letter *at = worker->stops; at != NULL; at = at->next)
        if (order_of(at)->until_ns < earliest_ns)
            earliest_ns = order_of(at)->until_ns;
    return earliest_ns;
}

/* ---- resting ---- */

static void set_timer(struct worker *worker, uint64_t at_ns)
{
    if (at_ns == DEADLINE_NEVER) {
        ev_io_stop(worker->loop, &worker->timer);
        return;
    }
    if (at_ns == 0)
        at_ns = 1; /* zero would disarm it */
    worker->timer_at_ns = at_ns;
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(at_ns / NS_PER_SECOND), .tv_nsec = (long)(at_ns % NS_PER_SECOND)}};
    timerfd_settime(worker->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
    ev_io_start(worker->loop, &worker->timer);
}

static void set_writable(struct worker *worker, int fd)
{
    if (worker->writable.fd != fd) {
        ev_io_stop(worker->loop, &worker->writable);
        ev_io_set(&worker->writable, fd, EV_WRITE);
    }
    ev_io_start(worker->loop, &worker->writable);
}

static void be_busy(struct worker *worker)
{
    ev_io_stop(worker->loop, &worker->timer);
    ev_io_stop(worker->loop, &worker->writable);
    ev_idle_start(worker->loop, &worker->busy);
}

/* Economy wakes as late as it dares: with some frames to send, but not with a burst, nor so many that the
 * rest would be held back. */
static void adapt_slack(struct worker *worker, const struct sendloop_state *state)
{
    const struct schedule_limits *limits = sendloop_limits(worker->sendloop);
    uint64_t most_ns = limits->late_ns / 4;
    uint32_t frames = limits->max_burst < SLACK_FRAMES * 4 / 3 ? limits->max_burst * 3 / 4 : SLACK_FRAMES;
    if (most_ns > SLACK_MOST_NS)
        most_ns = SLACK_MOST_NS;
    if (state->sent > frames)
        worker->slack_ns /= 2;
    else if (state->sent <= frames / 2)
        worker->slack_ns += worker->slack_ns / 4;
    if (worker->slack_ns < SLACK_LEAST_NS)
        worker->slack_ns = SLACK_LEAST_NS;
    if (worker->slack_ns > most_ns)
        worker->slack_ns = most_ns;
}

static void set_spin(const struct worker *worker)
{
    uint64_t spin_ns = worker->habit->learns ? worker->margin_ns + MARGIN_SPIN_NS : worker->habit->spin_ns;
    if (worker->sendloop != NULL)
        sendloop_set_spin(worker->sendloop, spin_ns);
}

/* From how late the timer was: a step up for 32 steps down, so 97 of 100 wake-ups are no later than where
 * that comes to rest, and how late the others are does not matter. */
static void learn_margin(struct worker *worker)
{
    uint64_t now_ns = clock_monotonic_ns();
    if (now_ns < worker->timer_at_ns)
        return; /* set anew meanwhile */
    if (now_ns - worker->timer_at_ns > worker->margin_ns)
        worker->margin_ns += worker->margin_ns / 4;
    else
        worker->margin_ns -= worker->margin_ns / 128;
    if (worker->margin_ns < MARGIN_LEAST_NS)
        worker->margin_ns = MARGIN_LEAST_NS;
    if (worker->margin_ns > MARGIN_MOST_NS)
        worker->margin_ns = MARGIN_MOST_NS;
    set_spin(worker);
}

static uint64_t deadline_wake(struct worker *worker, const struct sendloop_state *state)
{
    uint64_t lead_ns = worker->habit->learns ? worker->margin_ns : worker->habit->lead_ns;
    if (state->deadline_ns == DEADLINE_NEVER)
        return DEADLINE_NEVER;
    if (!worker->habit->slack)
        return state->deadline_ns > lead_ns ? state->deadline_ns - lead_ns : 0;
    adapt_slack(worker, state);
    return state->deadline_ns + worker->slack_ns;
}

static uint64_t engine_wake(struct worker *worker, const struct sendloop_state *state, uint64_t now_ns)
{
    uint64_t wake_ns = state->deadline_ns, look_ns = DEADLINE_NEVER;
    if (state->wait.kind == WAIT_WRITABLE) {
        set_writable(worker, state->wait.fd);
        look_ns = now_ns + WRITABLE_LOOK_NS;
    } else if (state->wait.kind == WAIT_AFTER) {
        look_ns = now_ns + state->wait.after_ns;
    }
    return look_ns < wake_ns ? look_ns : wake_ns;
}

static void rest(struct worker *worker, const struct sendloop_state *state)
{
    uint64_t now_ns = clock_monotonic_ns(), wake_ns = DEADLINE_NEVER, look_ns = next_look(worker, now_ns);
    ev_idle_stop(worker->loop, &worker->busy);
    if (state->need == NEED_DEADLINE)
        wake_ns = deadline_wake(worker, state);
    else if (state->need == NEED_ENGINE)
        wake_ns = engine_wake(worker, state, now_ns);
    set_timer(worker, look_ns < wake_ns ? look_ns : wake_ns);
}

/* ---- orders: one function a kind, 0 or -errno, or LATER ---- */

enum { LATER = 1 /* the answer comes by itself */ };

/* Calls act for each part that the order names. */
static int for_parts(struct worker *worker, const struct order *order,
                     void (*act)(struct sendloop *sendloop, uint32_t part, const struct order *order,
                                 uint64_t now_ns))
{
    struct sendloop *sendloop = worker->sendloop;
    uint64_t now_ns = clock_monotonic_ns();
    if (sendloop == NULL)
        return -ENODEV;
    uint32_t all = sendloop_parts(sendloop), count = order->parts != NULL ? order->part_count : all;
    for (uint32_t i = 0; order->parts != NULL && i < count; i++)
        if (order->parts[i] >= all)
            return -EINVAL;
    for (uint32_t i = 0; i < count; i++)
        act(sendloop, order->parts != NULL ? order->parts[i] : i, order, now_ns);
    return 0;
}

static void start_part(struct sendloop *sendloop, uint32_t part, const struct order *order, uint64_t now_ns)
{
    sendloop_begin(sendloop, part, order->at_ns != 0 ? order->at_ns : now_ns);
}

static void stop_part(struct sendloop *sendloop, uint32_t part, const struct order *order, uint64_t now_ns)
{
    (void)order;
    (void)now_ns;
    sendloop_end(sendloop, part);
}

static void pause_part(struct sendloop *sendloop, uint32_t part, const struct order *order, uint64_t now_ns)
{
    (void)order;
    sendloop_pause(sendloop, part, now_ns);
}

static void resume_part(struct sendloop *sendloop, uint32_t part, const struct order *order, uint64_t now_ns)
{
    (void)order;
    sendloop_resume(sendloop, part, now_ns);
}

static void rate_part(struct sendloop *sendloop, uint32_t part, const struct order *order, uint64_t now_ns)
{
    sendloop_rate(sendloop, part, &order->rate, now_ns);
}

static void multiply_part(struct sendloop *sendloop, uint32_t part, const struct order *order,
                          uint64_t now_ns)
{
    sendloop_multiply(sendloop, part, order->multiplier, now_ns);
}

static uint64_t after(uint64_t now_ns, uint64_t wait_ns)
{
    return wait_ns < DEADLINE_NEVER - now_ns ? now_ns + wait_ns : DEADLINE_NEVER;
}

/* The old loop sends nothing more; try_load() goes on when its frames are back. */
static int do_load(struct worker *worker, struct order *order)
{
    if (worker->sendloop != NULL)
        sendloop_withdraw(worker->sendloop);
    order->until_ns = after(clock_monotonic_ns(), order->drain_ns);
    worker->load = order;
    return LATER;
}

static bool try_load(struct worker *worker)
{
    struct order *order = worker->load;
    struct sendloop *old = worker->sendloop;
    if (old != NULL)
        sendloop_collect(old);
    if (old != NULL && sendloop_in_flight(old) > 0 && clock_monotonic_ns() < order->until_ns)
        return false;
    answer_stops(worker, DEADLINE_NEVER);
    worker->load = NULL;
    worker->sendloop = order->sendloop;
    worker->slack_ns = SLACK_LEAST_NS;
    if (worker->sendloop != NULL) {
        sendloop_take(worker->sendloop);
        set_spin(worker);
    }
    order->sendloop = old;
    answer(worker, order, 0);
    return true;
}

static int do_start(struct worker *worker, struct order *order)
{
    if (order->reset && worker->sendloop != NULL)
        sendloop_reset(worker->sendloop, order->nonce);
    return for_parts(worker, order, start_part);
}

static int do_stop(struct worker *worker, struct order *order)
{
    int code = for_parts(worker, order, stop_part);
    if (code != 0)
        return code == -ENODEV ? 0 : code; /* nothing there to stop */
    if (sendloop_active(worker->sendloop) == 0)
        sendloop_withdraw(worker->sendloop);
    order->until_ns = after(clock_monotonic_ns(), order->drain_ns);
    order->committed = sendloop_committed(worker->sendloop);
    order->letter.next = worker->stops;
    worker->stops = &order->letter;
    return LATER; /* the slice that follows may answer it at once */
}

static int do_pause(struct worker *worker, struct order *order)
{
    return for_parts(worker, order, pause_part);
}

static int do_resume(struct worker *worker, struct order *order)
{
    return for_parts(worker, order, resume_part);
}

static int do_rate(struct worker *worker, struct order *order)
{
    return for_parts(worker, order, rate_part);
}

static int do_multiply(struct worker *worker, struct order *order)
{
    return for_parts(worker, order, multiply_part);
}

static int do_park(struct worker *worker, struct order *order)
{
    (void)order;
    if (worker->sendloop != NULL)
        sendloop_withdraw(worker->sendloop);
    worker->parked = true;
    return 0;
}

static int do_unpark(struct worker *worker, struct order *order)
{
    (void)order;
    if (worker->parked && worker->sendloop != NULL)
        sendloop_rebound(worker->sendloop);
    worker->parked = false;
    return 0;
}

static void defer(struct worker *worker, struct letter *letter)
{
    *worker->deferred_end = letter;
    worker->deferred_end = &letter->next;
}

/* Those that were deferred become the head of what is still to be done. */
static struct letter *undefer(struct worker *worker, struct letter *rest)
{
    struct letter *first;
    *worker->deferred_end = rest;
    first = worker->deferred;
    worker->deferred = NULL;
    worker->deferred_end = &worker->deferred;
    return first;
}

/* No frame follows: what the kernel has not begun is taken back, unless the main thread has the engine. */
static int do_quit(struct worker *worker, struct order *order)
{
    struct letter *deferred = undefer(worker, NULL);
    (void)order;
    if (worker->sendloop != NULL && !worker->parked)
        sendloop_withdraw(worker->sendloop);
    cancel(worker, &worker->stops);
    cancel(worker, &deferred);
    if (worker->load != NULL)
        answer(worker, worker->load, -ECANCELED);
    worker->quits = true;
    ev_break(worker->loop, EVBREAK_ALL);
    return LATER;
}

static const struct duty {
    int (*act)(struct worker *worker, struct order *order);
    bool while_parked;
} duties[] = {
    [ORDER_LOAD] = {do_load, false},         [ORDER_START] = {do_start, false},
    [ORDER_STOP] = {do_stop, false},         [ORDER_PAUSE] = {do_pause, false},
    [ORDER_RESUME] = {do_resume, false},     [ORDER_RATE] = {do_rate, false},
    [ORDER_MULTIPLY] = {do_multiply, false}, [ORDER_PARK] = {do_park, true},
    [ORDER_UNPARK] = {do_unpark, true},      [ORDER_QUIT] = {do_quit, true},
};

static bool is_open(const struct worker *worker)
{
    return !worker->parked && worker->load == NULL;
}

static bool must_wait(const struct worker *worker, enum order_kind kind)
{
    return kind != ORDER_QUIT && (worker->load != NULL || (worker->parked && !duties[kind].while_parked));
}

static void obey(struct worker *worker)
{
    struct letter *letter = mailbox_take(&worker->orders);
    while (!worker->quits) {
        if (is_open(worker))
            letter = undefer(worker, letter);
        if (letter == NULL)
            return;
        struct order *order = order_of(letter);
        letter = letter->next;
        if (must_wait(worker, order->kind)) {
            defer(worker, &order->letter);
            continue;
        }
        int result = duties[order->kind].act(worker, order);
        if (result != LATER)
            answer(worker, order, result);
        if (worker->load != NULL)
            try_load(worker);
    }
}

/* ---- work ---- */

static int trouble_of(const struct sendloop_state *state)
{
    return state->need == NEED_ENGINE && state->wait.kind == WAIT_NEVER ? state->wait.reason : 0;
}

static void work(struct worker *worker)
{
    struct sendloop_state state = {.need = NEED_NOTHING, .deadline_ns = DEADLINE_NEVER};
    uint64_t now_ns = clock_monotonic_ns();

    ev_io_stop(worker->loop, &worker->writable);
    if (worker->load != NULL && try_load(worker))
        obey(worker);
    if (worker->quits)
        return;
    if (worker->sendloop != NULL && is_open(worker))
        sendloop_slice(worker->sendloop, now_ns + SLICE_NS, &state);
    atomic_fetch_add_explicit(&worker->progress, 1, memory_order_relaxed);
    if (state.parts_ended)
        tell_ended(worker);
    if (is_open(worker))
        tell_trouble(worker, trouble_of(&state));
    if (worker->stops != NULL)
        answer_stops(worker, clock_monotonic_ns());
    if (state.need == NEED_MORE)
        be_busy(worker);
    else
        rest(worker, &state);
}

/* ---- the thread ---- */

static void on_wake(struct ev_loop *loop, ev_async *watcher, int events)
{
    struct worker *worker = watcher->data;
    (void)loop;
    (void)events;
    obey(worker);
    work(worker);
}

static void on_idle(struct ev_loop *loop, ev_idle *watcher, int events)
{
    (void)loop;
    (void)events;
    work(watcher->data);
}

static void on_timer(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct worker *worker = watcher->data;
    (void)loop;
    (void)events;
    if (worker->habit->learns)
        learn_margin(worker);
    work(worker);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct worker *worker = watcher->data;
    (void)loop;
    (void)events;
    if (worker->sendloop != NULL && !worker->parked)
        sendloop_woken(worker->sendloop);
    work(worker);
}

/* ---- the main thread's side ---- */

static void deliver(struct worker *worker, bool *freed)
{
    worker->undelivered = mailbox_take(&worker->replies);
    while (!*freed && worker->undelivered != NULL) {
        struct order *order = order_of(worker->undelivered);
        worker->undelivered = order->letter.next;
        if (order->done != NULL)
            order->done(order);
    }
}

static void on_told(struct ev_loop *loop, ev_async *watcher, int events)
{
    struct worker *worker = watcher->data;
    bool freed = false;
    (void)loop;
    (void)events;
    worker->freed = &freed;
    int trouble = atomic_load_explicit(&worker->trouble, memory_order_relaxed);
    if (trouble != worker->trouble_told) {
        worker->trouble_told = trouble;
        if (worker->wishes.trouble != NULL)
            worker->wishes.trouble(worker->wishes.context, trouble);
    }
    if (!freed)
        deliver(worker, &freed);
    if (!freed && atomic_exchange_explicit(&worker->ended, false, memory_order_acquire) &&
        worker->wishes.parts_ended != NULL)
        worker->wishes.parts_ended(worker->wishes.context);
    if (!freed)
        worker->freed = NULL;
}

static int open_loop(struct worker *worker, struct err *err)
{
    worker->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (worker->timer_fd < 0)
        return err_set(err, -errno, "cannot make a timer: %s", strerror(errno));
    worker->loop = ev_loop_new(EVBACKEND_POLL | EVFLAG_NOENV | EVFLAG_NOSIGMASK);
    if (worker->loop == NULL)
        return err_set(err, -ENOMEM, "cannot make an event loop");
    ev_async_init(&worker->wake, on_wake);
    ev_idle_init(&worker->busy, on_idle);
    ev_io_init(&worker->timer, on_timer, worker->timer_fd, EV_READ);
    ev_io_init(&worker->writable, on_writable, -1, EV_WRITE);
    ev_async_init(&worker->told, on_told);
    worker->wake.data = worker->busy.data = worker->timer.data = worker->writable.data = worker;
    worker->told.data = worker;
    ev_async_start(worker->loop, &worker->wake);
    return 0;
}

static int start_thread(struct worker *worker, struct err *err)
{
    const struct worker_wishes *wishes = &worker->wishes;
    const struct thread_wishes thread = {
        .name = wishes->name, .cpu = wishes->cpu, .confine = wishes->confine, .addressed = wishes->addressed};
    return thread_start(&worker->thread, worker->loop, &thread, err);
}

int worker_new(const struct worker_wishes *wishes, struct worker **out, struct err *err)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return err_set(err, -ENOMEM, "no memory for a worker");
    worker->wishes = *wishes;
    worker->timer_fd = -1;
    worker->habit = &habits[wishes->pacing];
    worker->deferred_end = &worker->deferred;
    worker->slack_ns = SLACK_LEAST_NS;
    worker->margin_ns = MARGIN_FIRST_NS;
    worker->quit.kind = ORDER_QUIT;
    int code = open_loop(worker, err);
    if (code == 0)
        code = start_thread(worker, err);
    if (code != 0) {
        worker_free(worker);
        return code;
    }
    worker->wishes.name = NULL;
    ev_async_start(wishes->main_loop, &worker->told);
    *out = worker;
    return 0;
}

/* A thread that failed to start has ended by itself. */
static void end_thread(struct worker *worker)
{
    if (worker->thread.runs)
        worker_send(worker, &worker->quit);
    thread_join(&worker->thread, UINT64_MAX);
}

/* What still lies in either mailbox: a letter that came after QUIT, or an answer that was not delivered. */
static void deliver_rest(struct worker *worker)
{
    bool freed = false;
    cancel(worker, &(struct letter *){mailbox_take(&worker->orders)});
    struct letter *first = worker->undelivered;
    while (first != NULL) {
        struct order *order = order_of(first);
        first = first->next;
        if (order->done != NULL)
            order->done(order);
    }
    deliver(worker, &freed);
}

void worker_free(struct worker *worker)
{
    if (worker == NULL)
        return;
    end_thread(worker);
    if (ev_is_active(&worker->told))
        ev_async_stop(worker->wishes.main_loop, &worker->told);
    deliver_rest(worker);
    if (worker->freed != NULL)
        *worker->freed = true;
    if (worker->loop != NULL)
        ev_loop_destroy(worker->loop);
    if (worker->timer_fd >= 0)
        close(worker->timer_fd);
    free(worker);
}

void worker_send(struct worker *worker, struct order *order)
{
    order->result = 0;
    mailbox_drop(&worker->orders, &order->letter);
    ev_async_send(worker->loop, &worker->wake);
}

uint64_t worker_progress(const struct worker *worker)
{
    return atomic_load_explicit(&worker->progress, memory_order_relaxed);
}

void worker_poke(struct worker *worker)
{
    ev_async_send(worker->loop, &worker->wake);
}
