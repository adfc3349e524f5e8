/* SPDX-License-Identifier: GPL-2.0-or-later */
/* metrics: the counters object as Prometheus text 0.0.4 or OpenMetrics 1.0. One row a family; each row is
 * printed for every port, stream or receiving port that has it. A text file is written beside its place and
 * renamed, so that a scraper never sees half of one. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/accounts.h"
#include "cli/handlers.h"

enum scope { SCOPE_RUN, SCOPE_PORT, SCOPE_STREAM, SCOPE_RECEIVE };

struct family {
    const char *name; /* without _total */
    bool counter;     /* else a gauge */
    const char *help;
    enum scope scope;
    const char *group, *key; /* group: the object within the row; NULL: the row */
    double scale;            /* what one unit of ours is in theirs */
};

#define ACCOUNTS(prefix, scope, whose)                                                                         \
    {prefix "_scheduled_frames", true, "Frames that were due " whose ".", scope, NULL, "scheduled", 1},        \
        {prefix "_queued_frames", true, "Frames put into the ring " whose ".", scope, NULL, "queued", 1},      \
        {prefix "_completed_frames", true, "Frames that left " whose ".", scope, NULL, "completed", 1},        \
        {prefix "_completed_bytes",                                                                            \
         true,                                                                                                 \
         "Bytes with FCS of frames that left " whose ".",                                                      \
         scope,                                                                                                \
         NULL,                                                                                                 \
         "bytes_l2",                                                                                           \
         1},                                                                                                   \
        {prefix "_rejected_frames",                                                                            \
         true,                                                                                                 \
         "Frames that the kernel refused " whose ".",                                                          \
         scope,                                                                                                \
         NULL,                                                                                                 \
         "rejected",                                                                                           \
         1},                                                                                                   \
        {prefix "_withdrawn_frames",                                                                           \
         true,                                                                                                 \
         "Frames taken back unsent " whose ".",                                                                \
         scope,                                                                                                \
         NULL,                                                                                                 \
         "withdrawn",                                                                                          \
         1},                                                                                                   \
        {prefix "_missed_frames",                                                                              \
         true,                                                                                                 \
         "Frames that were due but too late to send " whose ".",                                               \
         scope,                                                                                                \
         NULL,                                                                                                 \
         "missed",                                                                                             \
         1},                                                                                                   \
        {prefix "_in_flight_frames", false, "Frames in the ring now " whose ".", scope, NULL, "in_flight", 1}, \
    {                                                                                                          \
        prefix "_frames_per_second", false, "Rate of the last second " whose ".", scope, "achieved", "pps",    \
            1                                                                                                  \
    }

static const struct family families[] = {
    {"volleyd_run", false, "Number of the run.", SCOPE_RUN, NULL, "id", 1},
    {"volleyd_run_elapsed_seconds", false, "How long the run has taken.", SCOPE_RUN, NULL, "elapsed_ns",
     1e-9},
    ACCOUNTS("volleyd_port", SCOPE_PORT, "of the port"),
    {"volleyd_port_kicks", true, "System calls that hand frames to the kernel.", SCOPE_PORT, NULL, "kicks",
     1},
    {"volleyd_port_waits", true, "Times the port waited for its ring.", SCOPE_PORT, NULL, "waits", 1},
    {"volleyd_device_transmit_packets", true, "What the interface counted as sent.", SCOPE_PORT, "device",
     "tx_packets", 1},
    {"volleyd_device_transmit_dropped", true, "What the interface dropped.", SCOPE_PORT, "device",
     "tx_dropped", 1},
    {"volleyd_device_unaccounted_frames", false, "Frames completed that the interface did not count.",
     SCOPE_PORT, "device", "unaccounted", 1},
    {"volleyd_device_foreign_frames", false, "Frames the interface sent that are not ours.", SCOPE_PORT,
     "device", "foreign", 1},
    ACCOUNTS("volleyd_stream", SCOPE_STREAM, "of the stream"),
    {"volleyd_received_frames", true, "Frames of the stream that arrived at the port.", SCOPE_RECEIVE, NULL,
     "received", 1},
    {"volleyd_lost_frames", false, "Frames of the stream that did not arrive.", SCOPE_RECEIVE, NULL, "lost",
     1},
    {"volleyd_duplicate_frames", true, "Frames that arrived again.", SCOPE_RECEIVE, NULL, "duplicates", 1},
    {"volleyd_reordered_frames", true, "Frames that arrived behind later ones.", SCOPE_RECEIVE, NULL,
     "reordered", 1},
    {"volleyd_corrupted_frames", true, "Frames that arrived changed.", SCOPE_RECEIVE, NULL, "corrupted", 1},
    {"volleyd_latency_mean_seconds", false, "Mean time on the way.", SCOPE_RECEIVE, "latency", "mean_ns",
     1e-9},
    {"volleyd_latency_p99_seconds", false, "99 of 100 frames took at most this.", SCOPE_RECEIVE, "latency",
     "p99_ns", 1e-9},
    {"volleyd_latency_max_seconds", false, "The longest time on the way.", SCOPE_RECEIVE, "latency", "max_ns",
     1e-9},
};

struct form {
    FILE *to;
    bool openmetrics, streams;
};

/* A label's value: backslash, quote and newline are escaped in both formats. */
static void print_label(const struct form *form, const char *comma, const char *name, const char *value)
{
    fprintf(form->to, "%s%s=\"", comma, name);
    for (; *value != '\0'; value++) {
        if (*value == '\n')
            fputs("\\n", form->to);
        else {
            if (*value == '\\' || *value == '"')
                fputc('\\', form->to);
            fputc(*value, form->to);
        }
    }
    fputc('"', form->to);
}

static void print_value(const struct form *form, const struct family *family, const json_t *row)
{
    const json_t *object = family->group == NULL ? row : json_object_get(row, family->group);
    const json_t *value = json_object_get(object, family->key);
    if (json_is_integer(value) && family->scale == 1)
        fprintf(form->to, " %" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
    else
        fprintf(form->to, " %.15g\n", json_number_value(value) * family->scale);
}

static void print_name(const struct form *form, const struct family *family, bool sample)
{
    bool total = family->counter && (sample || !form->openmetrics);
    fprintf(form->to, "%s%s", family->name, total ? "_total" : "");
}

static bool has_value(const struct family *family, const json_t *row)
{
    const json_t *object = family->group == NULL ? row : json_object_get(row, family->group);
    return json_is_number(json_object_get(object, family->key));
}

static void print_port_sample(const struct form *form, const struct family *family, const json_t *row)
{
    if (!has_value(family, row))
        return;
    print_name(form, family, true);
    print_label(form, "{", "port", field_text(row, "name"));
    print_label(form, ",", "interface", field_text(row, "interface"));
    fputc('}', form->to);
    print_value(form, family, row);
}

/* at: where it arrived, NULL for a sample about the sending. */
static void print_stream_sample(const struct form *form, const struct family *family, const json_t *stream,
                                const json_t *at)
{
    if (!has_value(family, at == NULL ? stream : at))
        return;
    print_name(form, family, true);
    print_label(form, "{", "stream", field_text(stream, "name"));
    print_label(form, ",", "port", field_text(stream, "port"));
    if (at != NULL)
        print_label(form, ",", "at", field_text(at, "port"));
    fputc('}', form->to);
    print_value(form, family, at == NULL ? stream : at);
}

static void print_run_sample(const struct form *form, const struct family *family, const json_t *counters)
{
    const json_t *run = json_object_get(counters, "run");
    if (!has_value(family, run))
        return;
    print_name(form, family, true);
    print_value(form, family, run);
}

static void print_port_samples(const struct form *form, const struct family *family, const json_t *counters)
{
    size_t index;
    const json_t *row;
    FIELD_EACH(counters, "ports", index, row)
    print_port_sample(form, family, row);
}

static void print_stream_samples(const struct form *form, const struct family *family, const json_t *counters)
{
    size_t index;
    const json_t *row;
    FIELD_EACH(counters, "streams", index, row)
    print_stream_sample(form, family, row, NULL);
}

static void print_receive_samples(const struct form *form, const struct family *family,
                                  const json_t *counters)
{
    size_t index, at;
    const json_t *row, *received;
    FIELD_EACH(counters, "streams", index, row)
    FIELD_EACH(row, "receive", at, received)
    print_stream_sample(form, family, row, received);
}

static void print_family(const struct form *form, const struct family *family, const json_t *counters)
{
    static void (*const samples[])(const struct form *, const struct family *,
                                   const json_t *) = {[SCOPE_RUN] = print_run_sample,
                                                      [SCOPE_PORT] = print_port_samples,
                                                      [SCOPE_STREAM] = print_stream_samples,
                                                      [SCOPE_RECEIVE] = print_receive_samples};
    fputs("# HELP ", form->to);
    print_name(form, family, false);
    fprintf(form->to, " %s\n# TYPE ", family->help);
    print_name(form, family, false);
    fprintf(form->to, " %s\n", family->counter ? "counter" : "gauge");
    samples[family->scope](form, family, counters);
}

static void print_metrics(const struct form *form, const json_t *counters)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (form->streams || families[i].scope < SCOPE_STREAM)
            print_family(form, &families[i], counters);
    if (form->openmetrics)
        fputs("# EOF\n", form->to);
}

/* The new file is in the same folder, so that rename() replaces the old one in one step; node_exporter runs
 * as another user, hence the mode. */
static int write_textfile(const struct session *session, const char *path, struct form form,
                          const json_t *counters)
{
    char beside[4096];
    int length = snprintf(beside, sizeof beside, "%s.XXXXXX", path);
    if (length < 0 || (size_t)length >= sizeof beside)
        return session_fail(session, EXIT_USAGE, "--textfile: the path is too long");
    int fd = mkstemp(beside);
    form.to = fd < 0 ? NULL : fdopen(fd, "w");
    if (form.to == NULL)
        return session_fail(session, EXIT_FAILED, "--textfile %s: %s", path, strerror(errno));
    print_metrics(&form, counters);
    bool good = fchmod(fd, 0644) == 0 && ferror(form.to) == 0 && fflush(form.to) == 0 && fsync(fd) == 0;
    good = fclose(form.to) == 0 && good && rename(beside, path) == 0;
    if (good)
        return EXIT_DONE;
    int code = session_fail(session, EXIT_FAILED, "--textfile %s: %s", path, strerror(errno));
    unlink(beside);
    return code;
}

int metrics_run(struct session *session, const struct invocation *with)
{
    json_t *counters = NULL;
    struct form form = {stdout, option_given(with, "openmetrics"), option_given(with, "streams")};
    const char *path = option_value(with, "textfile");
    int code = form.streams ? session_all_pages(session, "Counters", NULL, &counters)
                            : session_call(session, "Counters", json_pack("{s:i}", "limit", 1), &counters);
    if (code != EXIT_DONE)
        return code;
    if (path != NULL)
        code = write_textfile(session, path, form, counters);
    else if (!session_prints_json(session, counters))
        print_metrics(&form, counters);
    json_decref(counters);
    return code;
}
