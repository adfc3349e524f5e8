/* SPDX-License-Identifier: GPL-2.0-or-later */
/* watch: the daemon streams counters; each reply becomes one line for people or one object for programs. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "cli/accounts.h"
#include "cli/handlers.h"

enum { HEADING_EVERY = 20 };
#define LINE_FORMAT "%9s  %-9s %15s %11s %13s %12s %10s %10s\n"

static void print_heading(bool colour)
{
    fputs(tone_on(TONE_BOLD, colour), stdout);
    printf("%9s  %-9s %15s %11s %13s %12s %10s %10s", "TIME", "RUN", "SENT", "RATE", "L1", "MISSED",
           "REJECTED", "IN FLIGHT");
    printf("%s\n", tone_off(TONE_BOLD, colour));
}

static void print_line(const json_t *counters, bool of_streams)
{
    json_t *sum = accounts_sum(counters, of_streams ? "streams" : "ports", NULL, NULL);
    const json_t *run = json_object_get(counters, "run"), *rates = json_object_get(sum, "achieved");
    char time[32], state[16], sent[32], rate[32], bits[32], missed[32], rejected[32], flight[32];
    snprintf(time, sizeof time, "%.1f s", (double)field_u64(run, "elapsed_ns") / 1e9);
    printf(LINE_FORMAT, time, output_clean(field_text(run, "state"), state, sizeof state),
           units_format_count(field_u64(sum, "completed"), sent, sizeof sent),
           units_format_si(field_real(rates, "pps"), "pps", rate, sizeof rate),
           units_format_si(field_real(rates, "bit_l1"), "bit/s", bits, sizeof bits),
           units_format_count(field_u64(sum, "missed"), missed, sizeof missed),
           units_format_count(field_u64(sum, "rejected"), rejected, sizeof rejected),
           units_format_count(field_u64(sum, "in_flight"), flight, sizeof flight));
    json_decref(sum);
}

/* False when it cannot be written. */
static bool show(const struct session *session, const json_t *counters, bool of_streams, uint64_t line)
{
    if (session->json)
        output_json(counters, stdout, true);
    else {
        if (line % HEADING_EVERY == 0)
            print_heading(session->colour);
        print_line(counters, of_streams);
    }
    return fflush(stdout) == 0;
}

static int watch_lines(struct session *session, bool of_streams, uint64_t interval_ms, uint64_t lines)
{
    for (uint64_t line = 0; lines == 0 || line < lines; line++) {
        json_t *counters = NULL;
        int code = session_next(session, interval_ms, &counters);
        if (session_interrupted())
            return EXIT_DONE; /* the usual end */
        if (code != EXIT_DONE)
            return code;
        bool read = show(session, counters, of_streams, line);
        json_decref(counters);
        if (!read)
            return EXIT_FAILED;
    }
    return EXIT_DONE;
}

int watch_run(struct session *session, const struct invocation *with)
{
    uint64_t interval_ms = 1000, lines = 0;
    int code = option_ms(session, with, "interval", 10, 60000, &interval_ms);
    if (code == EXIT_DONE)
        code = option_count(session, with, "count", &lines);
    if (code != EXIT_DONE)
        return code;
    json_t *parameters = session_selection(with, 0);
    json_object_set_new(parameters, "interval_ms", json_integer((json_int_t)interval_ms));
    session_catch_interrupt();
    code = session_stream(session, "Counters", parameters);
    return code == EXIT_DONE ? watch_lines(session, with->argument_count > 0, interval_ms, lines) : code;
}
