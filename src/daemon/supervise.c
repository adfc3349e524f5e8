/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What steers the daemon from outside the control socket: signals, and systemd. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "daemon/notify.h"

#define STATUS_S 1.

/* ---- ending ---- */

static void on_stopped(void *context, int result, const struct err *err)
{
    struct daemon *daemon = context;
    if (result < 0)
        log_write(LOG_WARNING, EVENT_NONE, "%s", err->text);
    ev_break(daemon->loop, EVBREAK_ALL);
}

/* The first asks for a clean stop, which drains; the second for an end now. */
static void on_end_signal(struct ev_loop *loop, ev_signal *signal, int events)
{
    (void)events;
    struct daemon *daemon = signal->data;
    if (daemon->ending) {
        ev_break(loop, EVBREAK_ALL);
        return;
    }
    daemon->ending = true;
    notify("STOPPING=1\nSTATUS=draining");
    log_write(LOG_NOTICE, EVENT_DAEMON_STOPPED, "ending: %s", strsignal(signal->signum));
    volley_stop(daemon->volley, &(struct selection){0}, "the daemon ends", on_stopped, daemon);
}

/* ---- reloading ---- */

static void on_reloaded(void *context, const struct err *err)
{
    struct daemon *daemon = context;
    if (err != NULL)
        log_write(LOG_ERR, EVENT_CONFIG_REFUSED, "%s", err->text);
    else
        log_write(LOG_NOTICE, EVENT_CONFIG_LOADED, "%s is in force", volley_plan(daemon->volley)->source);
    daemon->told[0] = '\0'; /* systemd's STATUS was overwritten */
    notify("READY=1");
}

static void on_reload_signal(struct ev_loop *loop, ev_signal *signal, int events)
{
    (void)loop;
    (void)events;
    struct daemon *daemon = signal->data;
    if (daemon->ending)
        return;
    notify("RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=reloading", clock_monotonic_ns() / NS_PER_US);
    control_reload(daemon->control, on_reloaded, daemon);
}

/* ---- status and watchdog ---- */

/* One line for `systemctl status`. */
static void describe(struct daemon *daemon, char *out, size_t size)
{
    const struct plan *plan = volley_plan(daemon->volley);
    struct run_row run = {0};
    volley_run_row(daemon->volley, VOLLEY_NOW, &run);
    if (run.state == RUN_OPEN)
        snprintf(out, size, "run %" PRIu64 " on %u ports, %u streams", run.id, plan->port_count,
                 plan->stream_count);
    else if (daemon->crash[0] != '\0' && run.id == 0)
        snprintf(out, size, "idle: %s", daemon->crash);
    else
        snprintf(out, size, "idle, %u ports, %u streams", plan->port_count, plan->stream_count);
}

static void on_status(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct daemon *daemon = timer->data;
    char now[sizeof daemon->told];
    if (daemon->ending)
        return;
    describe(daemon, now, sizeof now);
    if (strcmp(now, daemon->told) == 0)
        return;
    memcpy(daemon->told, now, sizeof now);
    notify("STATUS=%s", now);
}

static void on_watchdog(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct daemon *daemon = timer->data;
    if (volley_alive(daemon->volley))
        notify("WATCHDOG=1");
}

static const struct {
    int number;
    void (*act)(struct ev_loop *loop, ev_signal *signal, int events);
} signal_rows[] = {{SIGTERM, on_end_signal}, {SIGINT, on_end_signal}, {SIGHUP, on_reload_signal}};
enum { SIGNAL_ROWS = sizeof signal_rows / sizeof *signal_rows };

int supervise_init(struct daemon *daemon, struct err *err)
{
    (void)err;
    for (size_t i = 0; i < SIGNAL_ROWS; i++) {
        ev_signal_init(&daemon->signals[i], signal_rows[i].act, signal_rows[i].number);
        daemon->signals[i].data = daemon;
        ev_signal_start(daemon->loop, &daemon->signals[i]);
    }
    ev_timer_init(&daemon->status, on_status, 0., STATUS_S);
    daemon->status.data = daemon;
    ev_timer_start(daemon->loop, &daemon->status);
    double watchdog_s = (double)notify_watchdog_us() / 1e6;
    ev_timer_init(&daemon->watchdog, on_watchdog, watchdog_s / 3., watchdog_s / 3.);
    daemon->watchdog.data = daemon;
    if (watchdog_s > 0)
        ev_timer_start(daemon->loop, &daemon->watchdog);
    return 0;
}

void supervise_fini(struct daemon *daemon)
{
    ev_timer_stop(daemon->loop, &daemon->watchdog);
    ev_timer_stop(daemon->loop, &daemon->status);
    for (size_t i = 0; i < SIGNAL_ROWS; i++)
        ev_signal_stop(daemon->loop, &daemon->signals[i]);
}

/* ---- what starts by itself ---- */

static void on_autostarted(void *context, int result, const struct err *err)
{
    (void)context;
    if (result < 0)
        log_write(LOG_ERR, EVENT_NONE, "autostart: %s", err->text);
}

int autostart_init(struct daemon *daemon, struct err *err)
{
    const struct plan *plan = volley_plan(daemon->volley);
    const char **names = calloc(plan->stream_count + (size_t)1, sizeof *names);
    struct selection which = {.streams = names};
    if (names == NULL)
        return err_set(err, -ENOMEM, "no memory");
    for (uint32_t i = 0; i < plan->stream_count; i++)
        if (plan->streams[i].spec->autostart)
            names[which.stream_count++] = plan->streams[i].name;
    if (which.stream_count > 0 && daemon->crash[0] == '\0')
        volley_start(daemon->volley, &which, &(struct start_options){0}, on_autostarted, daemon);
    free(names);
    return 0;
}
