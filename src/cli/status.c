/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status: what is there and what is wrong with it; counters: the accounts. */
#include <inttypes.h>
#include <string.h>

#include "base/units.h"
#include "cli/accounts.h"
#include "cli/handlers.h"

enum { STREAMS_SHOWN = 40 };

static bool is_named(const struct invocation *with, const json_t *row)
{
    for (size_t i = 0; i < with->argument_count; i++)
        if (strcmp(with->arguments[i], field_text(row, "name")) == 0)
            return true;
    return with->argument_count == 0;
}

static void print_head(const struct session *session, const json_t *status)
{
    const json_t *configuration = json_object_get(status, "configuration");
    const json_t *lease = json_object_get(status, "lease"), *warning;
    char text[400], time[32];
    uint64_t streams = field_u64(configuration, "streams");
    printf("volleyd %s, %s (%" PRIu64 " %s)\n", field_text(status, "version"),
           output_clean(field_text(configuration, "source"), text, sizeof text), streams,
           streams == 1 ? "stream" : "streams");
    if (json_is_object(lease))
        printf("held by %s for another %s\n", output_clean(field_text(lease, "holder"), text, sizeof text),
               units_format_time(field_u64(lease, "remaining_ms") * 1000000, time, sizeof time));
    size_t index;
    FIELD_EACH(configuration, "warnings", index, warning)
    if (json_is_string(warning))
        printf("%swarning:%s %s\n", tone_on(TONE_WARN, session->colour), tone_off(TONE_WARN, session->colour),
               output_clean(json_string_value(warning), text, sizeof text));
    accounts_print_run(json_object_get(status, "run"), stdout, session->colour);
}

static void add_link(struct table *table, const json_t *port)
{
    double speed = field_real(port, "speed_bit");
    if (speed > 0)
        table_si(table, speed, "bit/s");
    else
        table_text(table, TONE_PLAIN, "");
    bool known = strcmp(field_text(port, "mac"), "00:00:00:00:00:00") != 0;
    table_text(table, TONE_PLAIN, known ? field_text(port, "mac") : "");
}

/* A port in one line; its ring and paths only where ports were asked for by name. */
static void add_port(struct table *table, const json_t *port)
{
    table_text(table, TONE_PLAIN, field_text(port, "name"));
    table_text(table, TONE_PLAIN, field_text(port, "interface"));
    table_text(table, tone_of_state(field_text(port, "state")), field_text(port, "state"));
    add_link(table, port);
    table_text(table, TONE_PLAIN, json_is_object(json_object_get(port, "receive")) ? "yes" : "");
    table_text(table, TONE_PLAIN, field_text(port, "reason"));
}

static void print_ring(const json_t *port)
{
    const json_t *ring = json_object_get(port, "ring");
    char bytes[32], slots[32];
    if (field_u64(ring, "frames") == 0)
        return;
    printf("  ring: TPACKET_V%" PRIu64 ", %s slots of %" PRIu64 " bytes in %" PRIu64 " blocks of %s",
           field_u64(ring, "version"), units_format_count(field_u64(ring, "frames"), slots, sizeof slots),
           field_u64(ring, "frame_size"), field_u64(ring, "blocks"),
           units_format_bytes(field_u64(ring, "block_size"), bytes, sizeof bytes));
    printf(", socket memory %s, queues %" PRIu64 "\n",
           units_format_bytes(field_u64(ring, "socket_memory"), bytes, sizeof bytes),
           field_u64(port, "queues"));
}

static void print_cpus(const json_t *port)
{
    size_t index;
    const json_t *cpu;
    FIELD_EACH(port, "cpus", index, cpu)
    {
        long long number = json_integer_value(cpu);
        if (number < 0)
            printf("%s", index == 0 ? "  CPUs: any" : ", any");
        else
            printf("%s%lld", index == 0 ? "  CPUs: " : ", ", number);
    }
    if (index > 0)
        putchar('\n');
}

static void print_port_details(const json_t *port)
{
    char text[400];
    printf("\n%s: engine %s, %s pacing, MTU %" PRIu64 "\n", field_text(port, "name"),
           field_text(port, "engine"), field_text(port, "pacing"), field_u64(port, "mtu"));
    print_ring(port);
    print_cpus(port);
    if (*field_text(port, "path") != '\0')
        printf("  path: %s\n", output_clean(field_text(port, "path"), text, sizeof text));
}

static void print_ports(const struct session *session, const struct invocation *with, const json_t *status)
{
    static const struct column columns[] = {{"PORT", LEFT},  {"INTERFACE", LEFT}, {"STATE", LEFT},
                                            {"LINK", RIGHT}, {"MAC", LEFT},       {"RECEIVES", LEFT},
                                            {"REASON", LEFT}};
    struct table *table = table_new(columns, sizeof columns / sizeof *columns);
    size_t index;
    const json_t *port;
    FIELD_EACH(status, "ports", index, port)
    if (is_named(with, port))
        add_port(table, port);
    if (table_rows(table) > 0) {
        putchar('\n');
        table_print(table, stdout, session->colour);
    }
    table_free(table);
    FIELD_EACH(status, "ports", index, port)
    if (with->argument_count > 0 && is_named(with, port))
        print_port_details(port);
}

static void add_stream(struct table *table, const json_t *stream)
{
    char size[32];
    double mean = field_real(stream, "size_mean");
    snprintf(size, sizeof size, mean == (double)(long)mean ? "%.0f" : "%.1f", mean);
    table_text(table, TONE_PLAIN, field_text(stream, "name"));
    table_text(table, TONE_PLAIN, field_text(stream, "port"));
    table_text(table, tone_of_state(field_text(stream, "state")), field_text(stream, "state"));
    table_text(table, TONE_PLAIN, field_text(stream, "requested"));
    table_text(table, TONE_PLAIN, size);
    table_text(table, TONE_PLAIN, field_text(stream, "template"));
    table_text(table, TONE_PLAIN, field_text(stream, "reason"));
}

static void print_streams(const struct session *session, const struct invocation *with, const json_t *status)
{
    static const struct column columns[] = {{"STREAM", LEFT}, {"PORT", LEFT},  {"STATE", LEFT},
                                            {"RATE", RIGHT},  {"SIZE", RIGHT}, {"TEMPLATE", LEFT},
                                            {"REASON", LEFT}};
    struct table *table = table_new(columns, sizeof columns / sizeof *columns);
    bool all = with->argument_count > 0 || option_given(with, "all");
    size_t index;
    const json_t *stream;
    FIELD_EACH(status, "streams", index, stream)
    if (is_named(with, stream) && (all || index < STREAMS_SHOWN))
        add_stream(table, stream);
    if (table_rows(table) > 0) {
        putchar('\n');
        table_print(table, stdout, session->colour);
    }
    char more[32];
    if (!all && index > STREAMS_SHOWN)
        printf("and %s more: volleyctl status --all\n",
               units_format_count(index - STREAMS_SHOWN, more, sizeof more));
    table_free(table);
}

/* A name that is neither a port nor a stream is an error, not an empty answer. */
static int check_names(const struct session *session, const struct invocation *with, const json_t *status)
{
    for (size_t i = 0; i < with->argument_count; i++) {
        size_t index, found = 0;
        const json_t *row;
        FIELD_EACH(status, "ports", index, row)
        found += strcmp(field_text(row, "name"), with->arguments[i]) == 0;
        FIELD_EACH(status, "streams", index, row)
        found += strcmp(field_text(row, "name"), with->arguments[i]) == 0;
        if (found == 0)
            return session_fail(session, EXIT_USAGE,
                                "there is no port and no stream %s; volleyctl status shows what there is",
                                with->arguments[i]);
    }
    return EXIT_DONE;
}

int status_run(struct session *session, const struct invocation *with)
{
    json_t *status = NULL;
    int code = session_all_pages(session, "GetStatus", NULL, &status);
    if (code != EXIT_DONE)
        return code;
    code = check_names(session, with, status);
    if (code == EXIT_DONE && !session_prints_json(session, status)) {
        print_head(session, status);
        print_ports(session, with, status);
        print_streams(session, with, status);
    }
    json_decref(status);
    return code;
}

int counters_run(struct session *session, const struct invocation *with)
{
    json_t *parameters = session_selection(with, 0), *counters = NULL;
    if (option_given(with, "match"))
        json_object_set_new(parameters, "match", json_string(option_value(with, "match")));
    int code = session_all_pages(session, "Counters", parameters, &counters);
    if (code != EXIT_DONE)
        return code;
    if (!session_prints_json(session, counters)) {
        if (run_is(json_object_get(counters, "run"), "none"))
            puts("nothing was started yet");
        code =
            accounts_print(counters, stdout, session->colour, ACCOUNTS_ALL, 0) == 0 ? EXIT_DONE : EXIT_FAILED;
    }
    json_decref(counters);
    return code;
}
