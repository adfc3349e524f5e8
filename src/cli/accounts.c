/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables of a counters object. Columns of what should not happen are printed in red when it did, and left out
 * where nobody measured. */
#include "cli/accounts.h"

#include <inttypes.h>
#include <string.h>

#include "base/units.h"

bool run_is(const json_t *run, const char *state)
{
    return strcmp(field_text(run, "state"), state) == 0;
}

int accounts_exit(const json_t *run)
{
    const char *verdict = field_text(run, "verdict");
    if (strcmp(verdict, "unmet") == 0)
        return EXIT_UNMET;
    return strcmp(verdict, "invalid") == 0 ? EXIT_NOT_VALID : EXIT_DONE;
}

static const char *verdict_sentence(const char *verdict)
{
    static const struct {
        const char *verdict, *sentence;
    } rows[] = {{"passed", "passed"},
                {"unmet", "a requirement was not met"},
                {"invalid", "the measurement is not valid"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].verdict, verdict) == 0)
            return rows[i].sentence;
    return NULL;
}

void accounts_print_run(const json_t *run, FILE *to, bool colour)
{
    if (run == NULL || run_is(run, "none"))
        return;
    char time[32];
    bool ended = run_is(run, "ended");
    const char *verdict = field_text(run, "verdict"), *sentence = verdict_sentence(verdict);
    enum tone tone = tone_of_verdict(verdict);
    uint64_t id = field_u64(run, "id");
    if (id == 0) /* several machines' runs added up */
        fprintf(to, "the runs %s", ended ? "ended after" : "are under way for");
    else
        fprintf(to, "run %" PRIu64 " %s", id, ended ? "ended after" : "is under way for");
    fprintf(to, " %s", units_format_time(field_u64(run, "elapsed_ns"), time, sizeof time));
    if (sentence != NULL)
        fprintf(to, ": %s%s%s", tone_on(tone, colour), sentence, tone_off(tone, colour));
    fputc('\n', to);
    size_t index;
    const json_t *reason;
    char text[400];
    FIELD_EACH(run, "reasons", index, reason)
    if (json_is_string(reason))
        fprintf(to, "  %s\n", output_clean(json_string_value(reason), text, sizeof text));
}

const json_t *accounts_rates(const json_t *row, const json_t *run)
{
    return json_object_get(row, run_is(run, "open") ? "achieved" : "average");
}

static enum tone bad_unless_zero(uint64_t count)
{
    return count == 0 ? TONE_DIM : TONE_BAD;
}

/* The columns that ports and streams have in common, from "sent" on. */
#define ACCOUNT_COLUMNS                                                                      \
    {"SENT", RIGHT}, {"RATE", RIGHT}, {"L1", RIGHT}, {"MISSED", RIGHT}, {"REJECTED", RIGHT}, \
        {"WITHDRAWN", RIGHT},                                                                \
    {                                                                                        \
        "IN FLIGHT", RIGHT                                                                   \
    }

static void add_account(struct table *table, const json_t *row, const json_t *run)
{
    const json_t *rates = accounts_rates(row, run);
    uint64_t missed = field_u64(row, "missed"), rejected = field_u64(row, "rejected");
    table_count(table, TONE_PLAIN, field_u64(row, "completed"));
    table_si(table, field_real(rates, "pps"), "pps");
    table_si(table, field_real(rates, "bit_l1"), "bit/s");
    table_count(table, bad_unless_zero(missed), missed);
    table_count(table, bad_unless_zero(rejected), rejected);
    table_count(table, TONE_PLAIN, field_u64(row, "withdrawn"));
    table_count(table, TONE_PLAIN, field_u64(row, "in_flight"));
}

/* What the device says about what we say: empty where it does not count comparably. */
static void add_device(struct table *table, const json_t *device)
{
    uint64_t unaccounted = field_u64(device, "unaccounted"), foreign = field_u64(device, "foreign");
    bool comparable = field_true(device, "comparable");
    if (comparable && unaccounted != 0)
        table_count(table, TONE_BAD, unaccounted);
    else
        table_text(table, TONE_PLAIN, "");
    if (comparable && foreign != 0)
        table_count(table, TONE_WARN, foreign);
    else
        table_text(table, TONE_PLAIN, "");
}

/* Whether it belongs into a result: it was to send something, or failed to. */
static bool took_part(const json_t *row)
{
    return field_u64(row, "scheduled") != 0 || strcmp(field_text(row, "state"), "failed") == 0;
}

static int print_ports(const json_t *counters, FILE *to, bool colour, enum accounts_rows rows)
{
    static const struct column columns[] = {{"PORT", LEFT},         {"STATE", LEFT},    ACCOUNT_COLUMNS,
                                            {"UNACCOUNTED", RIGHT}, {"FOREIGN", RIGHT}, {"REASON", LEFT}};
    struct table *table = table_new(columns, sizeof columns / sizeof *columns);
    size_t index;
    const json_t *row, *run = json_object_get(counters, "run");
    FIELD_EACH(counters, "ports", index, row)
    {
        if (rows == ACCOUNTS_RESULT && !took_part(row))
            continue;
        table_text(table, TONE_PLAIN, field_text(row, "name"));
        table_text(table, tone_of_state(field_text(row, "state")), field_text(row, "state"));
        add_account(table, row, run);
        add_device(table, json_object_get(row, "device"));
        table_text(table, TONE_PLAIN, field_text(row, "reason"));
    }
    int failed = table_rows(table) == 0 ? 0 : table_print(table, to, colour);
    table_free(table);
    return failed;
}

static int print_streams(const json_t *counters, FILE *to, bool colour, enum accounts_rows rows, size_t most,
                         size_t *more)
{
    static const struct column columns[] = {
        {"STREAM", LEFT}, {"PORT", LEFT}, {"STATE", LEFT}, ACCOUNT_COLUMNS, {"REASON", LEFT}};
    struct table *table = table_new(columns, sizeof columns / sizeof *columns);
    size_t index;
    const json_t *row, *run = json_object_get(counters, "run");
    *more = 0;
    FIELD_EACH(counters, "streams", index, row)
    {
        if (rows == ACCOUNTS_RESULT && !took_part(row))
            continue;
        if (most != 0 && table_rows(table) == most) {
            ++*more;
            continue;
        }
        table_text(table, TONE_PLAIN, field_text(row, "name"));
        table_text(table, TONE_PLAIN, field_text(row, "port"));
        table_text(table, tone_of_state(field_text(row, "state")), field_text(row, "state"));
        add_account(table, row, run);
        table_text(table, TONE_PLAIN, field_text(row, "reason"));
    }
    int failed = 0;
    if (table_rows(table) > 0) {
        fputc('\n', to);
        failed = table_print(table, to, colour);
    }
    table_free(table);
    return failed;
}

static void add_receive(struct table *table, const json_t *stream, const json_t *row)
{
    static const char *const trouble[] = {"lost",      "duplicates", "reordered",   "late",
                                          "corrupted", "flooded",    "misdirected", "stale"};
    const json_t *latency = json_object_get(row, "latency");
    table_text(table, TONE_PLAIN, field_text(stream, "name"));
    table_text(table, TONE_PLAIN, field_text(row, "port"));
    table_count(table, TONE_PLAIN, field_u64(row, "received"));
    for (size_t i = 0; i < sizeof trouble / sizeof *trouble; i++) {
        uint64_t count = field_u64(row, trouble[i]);
        if (count == 0 && i > 2)
            table_text(table, TONE_PLAIN, ""); /* rare: the column is printed only when it has something */
        else
            table_count(table, bad_unless_zero(count), count);
    }
    static const char *const times[] = {"p50_ns", "p99_ns", "max_ns", "uncertainty_ns", "jitter_ns"};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        if (latency == NULL)
            table_text(table, TONE_PLAIN, "");
        else
            table_time(table, field_u64(latency, times[i]));
    }
    table_text(table, TONE_PLAIN, field_text(latency, "clock"));
}

static int print_received(const json_t *counters, FILE *to, bool colour, size_t most)
{
    static const struct column columns[] = {
        {"STREAM", LEFT},     {"AT", LEFT},           {"RECEIVED", RIGHT},  {"LOST", RIGHT},
        {"DUPLICATE", RIGHT}, {"REORDERED", RIGHT},   {"LATE", RIGHT},      {"CORRUPTED", RIGHT},
        {"FLOODED", RIGHT},   {"MISDIRECTED", RIGHT}, {"STALE", RIGHT},     {"P50", RIGHT},
        {"P99", RIGHT},       {"MAX", RIGHT},         {"UNCERTAIN", RIGHT}, {"JITTER", RIGHT},
        {"CLOCK", LEFT}};
    struct table *table = table_new(columns, sizeof columns / sizeof *columns);
    size_t index, at;
    const json_t *stream, *row;
    FIELD_EACH(counters, "streams", index, stream)
    {
        if (most != 0 && index == most)
            break;
        FIELD_EACH(stream, "receive", at, row)
        add_receive(table, stream, row);
    }
    int failed = 0;
    if (table_rows(table) > 0) {
        fputc('\n', to);
        failed = table_print(table, to, colour);
    }
    table_free(table);
    return failed;
}

int accounts_print(const json_t *counters, FILE *to, bool colour, enum accounts_rows rows, size_t most)
{
    const json_t *run = json_object_get(counters, "run");
    accounts_print_run(run, to, colour);
    if (run != NULL && !run_is(run, "none"))
        fputc('\n', to);
    size_t more = 0;
    int failed = print_ports(counters, to, colour, rows);
    if (failed == 0)
        failed = print_streams(counters, to, colour, rows, most, &more);
    if (failed == 0)
        failed = print_received(counters, to, colour, most);
    char count[32];
    if (more != 0)
        fprintf(to, "and %s more streams\n", units_format_count(more, count, sizeof count));
    return failed;
}

static void add_to(json_t *sum, const json_t *row, const char *key)
{
    uint64_t total = field_u64(sum, key) + field_u64(row, key);
    json_object_set_new(sum, key, json_integer((json_int_t)total));
}

static void add_rates_to(json_t *sum, const json_t *row, const char *which)
{
    static const char *const keys[] = {"pps", "bit_l1", "bit_l2"};
    json_t *into = json_object_get(sum, which);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        json_object_set_new(
            into, keys[i],
            json_real(field_real(into, keys[i]) + field_real(json_object_get(row, which), keys[i])));
}

json_t *accounts_sum(const json_t *counters, const char *of,
                     bool (*wanted)(const void *context, const json_t *row), const void *context)
{
    static const char *const keys[] = {"scheduled", "queued", "completed", "rejected",
                                       "withdrawn", "missed", "in_flight", "bytes_l2"};
    json_t *sum = json_pack("{s:{}, s:{}}", "achieved", "average");
    size_t index;
    const json_t *row;
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        json_object_set_new(sum, keys[k], json_integer(0));
    FIELD_EACH(counters, of, index, row)
    {
        if (wanted != NULL && !wanted(context, row))
            continue;
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            add_to(sum, row, keys[k]);
        add_rates_to(sum, row, "achieved");
        add_rates_to(sum, row, "average");
    }
    return sum;
}
