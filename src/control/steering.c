/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The methods that start, stop and change what runs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>

#include "base/clock.h"
#include "base/instant.h"
#include "control/methods.h"

/* ---- Start ---- */

#define AHEAD_MAX_NS (366 * UINT64_C(86400) * NS_PER_SECOND)

static const struct {
    const char *name;
    clockid_t id;
} clocks[] = {{"realtime", CLOCK_REALTIME}, {"tai", CLOCK_TAI}};

static int find_clock(const char *name, clockid_t *out, struct err *err)
{
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        if (name != NULL && strcmp(clocks[i].name, name) != 0)
            continue;
        *out = clocks[i].id;
        return 0;
    }
    return err_set(err, -EINVAL, "`%s` is no clock: realtime or tai", name);
}

static void refuse_clock(struct call *call, const char *why)
{
    call_error(call, "io.volleyd.Refused", json_pack("{s:s, s:s}", "reason", why, "key", ""));
}

/* Whether the kernel knows its clock (and TAI, when that is asked for) as well as the client asks. When not,
 * the call is answered. */
static bool clock_is_good(struct call *call, clockid_t clock, int64_t max_skew_ns)
{
    struct timex state = {.modes = 0};
    if (max_skew_ns < 0 && clock == CLOCK_REALTIME)
        return true;
    int health = adjtimex(&state);
    char why[160];
    if (health < 0)
        snprintf(why, sizeof why, "the clock's state cannot be read: %s", strerror(errno));
    else if (clock == CLOCK_TAI && state.tai == 0)
        snprintf(why, sizeof why, "the kernel does not know the offset of TAI; use the clock realtime");
    else if (max_skew_ns < 0)
        return true;
    else if (health == TIME_ERROR || (state.status & STA_UNSYNC) != 0)
        snprintf(why, sizeof why,
                 "the clock is not synchronised; start NTP or PTP, or leave max_skew_ns out");
    else if ((int64_t)state.maxerror * (int64_t)NS_PER_US > max_skew_ns)
        snprintf(why, sizeof why, "the clock may be off by %ld us, more than max_skew_ns allows",
                 (long)state.maxerror);
    else
        return true;
    refuse_clock(call, why);
    return false;
}

/* A time of `clock` as CLOCK_MONOTONIC's, by the difference of the two now. */
static int to_monotonic(const char *at, clockid_t clock, uint64_t *out_ns, struct err *err)
{
    uint64_t wanted_ns;
    int r = instant_parse(at, &wanted_ns, err);
    if (r < 0)
        return r;
    uint64_t monotonic_ns = clock_monotonic_ns(), now_ns = clock_read_ns(clock);
    if (wanted_ns <= now_ns)
        return err_set(err, -ERANGE, "`%s` is past", at);
    if (wanted_ns - now_ns > AHEAD_MAX_NS)
        return err_set(err, -ERANGE, "`%s` is more than a year ahead", at);
    *out_ns = monotonic_ns + (wanted_ns - now_ns);
    return 0;
}

struct starting {
    struct control *control;
    struct call *call;
    bool armed;
};

static void on_started(void *context, int result, const struct err *err)
{
    struct starting starting = *(struct starting *)context;
    struct run_row run = {0};
    free(context);
    if (result < 0) {
        fail(starting.call, err);
        return;
    }
    volley_run_row(starting.control->volley, VOLLEY_NOW, &run);
    call_reply(starting.call,
               json_pack("{s:I, s:b}", "run", (json_int_t)run.id, "armed", (int)starting.armed));
}

/* When, from the parameters at, clock and max_skew_ns. When they are no good, the call is answered. */
static bool read_start(struct call *call, struct start_options *out)
{
    const char *at = text_of(call, "at"), *name = text_of(call, "clock");
    int64_t max_skew_ns = number_of(call, "max_skew_ns", -1);
    struct err err = {0};
    clockid_t clock;
    if (find_clock(name, &clock, &err) < 0) {
        fail_invalid(call, "clock", err.text);
        return false;
    }
    if (at == NULL && (name != NULL || max_skew_ns >= 0)) {
        fail_invalid(call, name != NULL ? "clock" : "max_skew_ns", "has a meaning only together with at");
        return false;
    }
    if (at == NULL)
        return true;
    if (!clock_is_good(call, clock, max_skew_ns))
        return false;
    if (to_monotonic(at, clock, &out->at_ns, &err) == 0)
        return true;
    fail_invalid(call, "at", err.text);
    return false;
}

void method_start(struct call *call, void *context)
{
    struct control *control = context;
    struct start_options options = {0};
    struct picked picked;
    if (!read_start(call, &options) || !pick(call, volley_plan(control->volley), &picked))
        return;
    struct starting *starting = calloc(1, sizeof *starting);
    if (starting == NULL)
        fail(call, &(struct err){.code = -ENOMEM, .text = "no memory"});
    else {
        *starting = (struct starting){.control = control, .call = call, .armed = options.at_ns != 0};
        volley_start(control->volley, &picked.selection, &options, on_started, starting);
    }
    picked_fini(&picked);
}

/* ---- the rest ---- */

void method_stop(struct call *call, void *context)
{
    struct control *control = context;
    struct picked picked;
    if (!pick(call, volley_plan(control->volley), &picked))
        return;
    volley_stop(control->volley, &picked.selection, "stopped by request", reply_done, call);
    picked_fini(&picked);
}

typedef int steer(struct volley *volley, const struct selection *which, struct err *err);

static void steer_picked(struct call *call, struct control *control, steer *steer_it)
{
    struct picked picked;
    struct err err = {0};
    if (!pick(call, volley_plan(control->volley), &picked))
        return;
    int r = steer_it(control->volley, &picked.selection, &err);
    picked_fini(&picked);
    reply_done(call, r, &err);
}

void method_pause(struct call *call, void *context)
{
    steer_picked(call, context, volley_pause);
}

void method_resume(struct call *call, void *context)
{
    steer_picked(call, context, volley_resume);
}

void method_set_rate(struct call *call, void *context)
{
    struct control *control = context;
    const char *rate_text = text_of(call, "rate"), *multiplier_text = text_of(call, "multiplier");
    struct rate rate;
    struct ratio multiplier;
    struct picked picked;
    struct err err = {0};
    if (rate_text == NULL && multiplier_text == NULL)
        fail_invalid(call, "rate", "say which: rate, multiplier or both");
    else if (rate_text != NULL && units_rate(rate_text, &rate, &err) < 0)
        fail_invalid(call, "rate", err.text);
    else if (multiplier_text != NULL && units_ratio(multiplier_text, &multiplier, &err) < 0)
        fail_invalid(call, "multiplier", err.text);
    else if (pick(call, volley_plan(control->volley), &picked)) {
        int r = volley_rate(control->volley, &picked.selection, rate_text == NULL ? NULL : &rate,
                            multiplier_text == NULL ? NULL : &multiplier, &err);
        picked_fini(&picked);
        reply_done(call, r, &err);
    }
}
