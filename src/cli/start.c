/* SPDX-License-Identifier: GPL-2.0-or-later */
/* start: with --wait it looks five times a second (less often when a look is dear), draws one line of
 * progress on a terminal, and ends when every stream that it started has. The result is the daemon's: the
 * verdict of the frozen run once it has ended, the streams' own accounts while others still run. */
#include "cli/start.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "cli/accounts.h"
#include "cli/handlers.h"

enum { LOOK_MS = 200, BAR_CELLS = 24, RESULT_STREAMS = 40 };

struct wait {
    struct session *session;
    const json_t *selection; /* borrowed */
    json_t *limits;          /* owned: name → row of GetStatus, for the remaining time; may be NULL */
    uint64_t from_ns;        /* the run's time when this began */
    bool draws;
};

/* The daemon picks streams by name, pattern or what copies share; the port is left to this side. */
static bool is_selected(const void *context, const json_t *row)
{
    const json_t *port = json_object_get(context, "port");
    return port == NULL || strcmp(json_string_value(port), field_text(row, "port")) == 0;
}

static int ask_counters(const struct wait *wait, json_t **counters)
{
    json_t *streams = json_object_get(wait->selection, "streams");
    return session_all_pages(wait->session, "Counters",
                             streams == NULL ? NULL : json_pack("{s:O}", "streams", streams), counters);
}

static bool is_busy(const json_t *stream)
{
    static const char *const busy[] = {"armed", "running", "paused", "draining"};
    for (size_t i = 0; i < sizeof busy / sizeof *busy; i++)
        if (strcmp(field_text(stream, "state"), busy[i]) == 0)
            return true;
    return false;
}

static size_t count_busy(const json_t *counters, const json_t *selection)
{
    size_t index, busy = 0;
    const json_t *stream;
    FIELD_EACH(counters, "streams", index, stream)
    busy += is_selected(selection, stream) && is_busy(stream);
    return busy;
}

/* Of one stream: the share done, by count or by time; negative when it has no end. */
static double share_done(const json_t *limit, const json_t *stream, uint64_t elapsed_ns)
{
    double count = field_real(limit, "count"), duration = field_real(limit, "duration_ns");
    if (!is_busy(stream))
        return 1;
    if (count > 0)
        return fmin(1, (double)field_u64(stream, "completed") / count);
    return duration > 0 && duration < 9e18 ? fmin(1, (double)elapsed_ns / duration) : -1;
}

/* The share of the slowest stream; negative when it cannot be known. */
static double progress_of(const struct wait *wait, const json_t *counters)
{
    double least = 1;
    size_t index;
    const json_t *stream;
    uint64_t elapsed_ns = field_u64(json_object_get(counters, "run"), "elapsed_ns") - wait->from_ns;
    FIELD_EACH(counters, "streams", index, stream)
    if (is_selected(wait->selection, stream))
        least = fmin(
            least, share_done(json_object_get(wait->limits, field_text(stream, "name")), stream, elapsed_ns));
    return least;
}

static void draw_bar(double share)
{
    int filled = (int)(share * BAR_CELLS);
    printf("[%.*s%*s] %3.0f %%", filled, "########################", BAR_CELLS - filled, "", share * 100);
}

static void draw(const struct wait *wait, const json_t *counters)
{
    if (!wait->draws)
        return;
    json_t *sum = accounts_sum(counters, "streams", is_selected, wait->selection);
    const json_t *run = json_object_get(counters, "run");
    uint64_t elapsed_ns = field_u64(run, "elapsed_ns");
    double share = progress_of(wait, counters), pps = field_real(accounts_rates(sum, run), "pps");
    char rate[32], sent[32], left[32];
    printf("\r");
    if (share >= 0)
        draw_bar(share);
    printf("  %s frames, %s", units_format_count(field_u64(sum, "completed"), sent, sizeof sent),
           units_format_si(pps, "pps", rate, sizeof rate));
    if (share > 0.01 && share < 1)
        printf(", %s left", units_format_time((uint64_t)((double)elapsed_ns * (1 - share) / share) /
                                                  NS_PER_SECOND * NS_PER_SECOND,
                                              left, sizeof left));
    printf("\033[K");
    fflush(stdout);
    json_decref(sum);
}

static void clear_line(const struct wait *wait)
{
    if (wait->draws)
        printf("\r\033[K");
}

/* EXIT_DONE with the last counters when all have ended; EXIT_FAILED when interrupted or told. */
static int watch_until_done(struct wait *wait, json_t **last)
{
    for (;;) {
        json_t *counters = NULL;
        uint64_t before = clock_monotonic_ns();
        int code = ask_counters(wait, &counters);
        if (code != EXIT_DONE)
            return code;
        bool ended =
            count_busy(counters, wait->selection) == 0 || !run_is(json_object_get(counters, "run"), "open");
        if (ended) {
            *last = counters;
            return EXIT_DONE;
        }
        draw(wait, counters);
        json_decref(counters);
        uint64_t dear =
            4 * (clock_monotonic_ns() - before) / NS_PER_MS; /* never more than a fifth of a core */
        if (!session_sleep(dear > LOOK_MS ? dear : LOOK_MS))
            return EXIT_FAILED;
    }
}

/* When the run has ended its frozen result counts; else what the streams have themselves. */
static int tell_result(struct wait *wait, json_t *counters)
{
    json_t *result = NULL;
    int code = EXIT_DONE;
    if (run_is(json_object_get(counters, "run"), "ended"))
        code = session_call(wait->session, "Report", NULL, &result);
    if (code != EXIT_DONE)
        return code;
    const json_t *told = result == NULL ? counters : result;
    if (!session_prints_json(wait->session, told))
        accounts_print(told, stdout, wait->session->colour, ACCOUNTS_RESULT, RESULT_STREAMS);
    code = accounts_exit(json_object_get(told, "run"));
    json_decref(result);
    return code;
}

static int stop_started(struct wait *wait)
{
    session_forgive_interrupt();
    clear_line(wait);
    fputs("interrupted: stopping what was started\n", stderr);
    int code = session_call(wait->session, "Stop", json_copy((json_t *)wait->selection), NULL);
    json_t *counters = NULL;
    if (code == EXIT_DONE)
        code = ask_counters(wait, &counters);
    if (code == EXIT_DONE)
        code = tell_result(wait, counters);
    json_decref(counters);
    return code == EXIT_DONE ? EXIT_FAILED : code; /* it did not do what was asked */
}

static int learn_limits(struct wait *wait)
{
    json_t *status = NULL, *row;
    size_t index;
    int code = session_all_pages(wait->session, "GetStatus", NULL, &status);
    wait->limits = json_object();
    FIELD_EACH(status, "streams", index, row)
    json_object_set(wait->limits, field_text(row, "name"), row);
    wait->from_ns = field_u64(json_object_get(status, "run"), "elapsed_ns");
    json_decref(status);
    return code;
}

int start_wait(struct session *session, const json_t *selection)
{
    struct wait wait = {
        .session = session, .selection = selection, .draws = !session->json && isatty(STDOUT_FILENO)};
    json_t *last = NULL;
    int code = wait.draws ? learn_limits(&wait) : EXIT_DONE;
    if (code == EXIT_DONE)
        code = watch_until_done(&wait, &last);
    if (session_interrupted())
        code = stop_started(&wait);
    else if (code == EXIT_DONE) {
        clear_line(&wait);
        code = tell_result(&wait, last);
    }
    json_decref(last);
    json_decref(wait.limits);
    return code;
}

/* "+5" is in five seconds of this machine's clock; anything else is the daemon's to read. */
static int add_start_time(const struct session *session, const struct invocation *with, json_t *parameters)
{
    const char *at = option_value(with, "at");
    if (at == NULL)
        return EXIT_DONE;
    char text[48];
    if (*at == '+') {
        char *end;
        double seconds = strtod(at + 1, &end);
        if (end == at + 1 || *end != '\0' || !(seconds > 0 && seconds < 86400))
            return session_fail(session, EXIT_USAGE, "--at %s: write +SECONDS, less than a day", at);
        bool tai = option_given(with, "clock") && strcmp(option_value(with, "clock"), "tai") == 0;
        uint64_t ns = clock_read_ns(tai ? CLOCK_TAI : CLOCK_REALTIME) + (uint64_t)(seconds * 1e9);
        snprintf(text, sizeof text, "%" PRIu64 ".%09" PRIu64, ns / NS_PER_SECOND, ns % NS_PER_SECOND);
        at = text;
    }
    json_object_set_new(parameters, "at", json_string(at));
    return EXIT_DONE;
}

static int add_clock(const struct session *session, const struct invocation *with, json_t *parameters)
{
    const char *clock = option_value(with, "clock"), *skew = option_value(with, "max-skew");
    struct err err = {.code = 0};
    uint64_t ns;
    if (clock != NULL)
        json_object_set_new(parameters, "clock", json_string(clock));
    if (skew == NULL)
        return EXIT_DONE;
    if (units_time_ns(skew, &ns, &err) != 0)
        return session_fail(session, EXIT_USAGE, "--max-skew %s: %s", skew, err.text);
    json_object_set_new(parameters, "max_skew_ns", json_integer((json_int_t)ns));
    return EXIT_DONE;
}

static void tell_started(const struct session *session, const struct invocation *with, const json_t *reply)
{
    if (session_prints_json(session, reply))
        return;
    if (field_true(reply, "armed"))
        printf("run %" PRIu64 " is armed for %s\n", field_u64(reply, "run"), option_value(with, "at"));
}

int start_run(struct session *session, const struct invocation *with)
{
    json_t *selection = session_selection(with, 0), *parameters = json_copy(selection), *reply = NULL;
    int code = add_start_time(session, with, parameters);
    if (code == EXIT_DONE)
        code = add_clock(session, with, parameters);
    if (code == EXIT_DONE) {
        if (option_given(with, "wait"))
            session_catch_interrupt();
        code = session_call(session, "Start", json_incref(parameters), &reply);
    }
    if (code == EXIT_DONE && option_given(with, "wait"))
        code = start_wait(session, selection);
    else if (code == EXIT_DONE)
        tell_started(session, with, reply);
    json_decref(reply);
    json_decref(parameters);
    json_decref(selection);
    return code;
}
