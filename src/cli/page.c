/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The page is written from top to bottom: style, verdict and reasons, the sums, charts, tables. Tables are
 * rows of a const table of columns, so that a new figure is one row. */
#include "cli/page.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "cli/accounts.h"
#include "cli/chart.h"

static const char style[] =
    ":root{--ink:#1a1d21;--soft:#667;--line:#dde1e6;--back:#fff;--card:#f6f7f9;--good:#1a7f37;--bad:#c62828;"
    "--k0:#2563eb;--k1:#d97706;--k2:#059669;--k3:#dc2626;--k4:#7c3aed;--k5:#0891b2;--k6:#be185d;--k7:#4d7c0f}"
    "\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--soft:#9aa3ad;--line:#333a42;--back:#14171a;"
    "--card:#1d2125;--good:#4ac26b;--bad:#ff7b72;--k0:#6ea8fe;--k1:#f0a84b;--k2:#3fcf9b;--k3:#ff7b72;"
    "--k4:#b794f6;--k5:#4fd1e5;--k6:#f472b6;--k7:#a3d65c}}\n"
    "*{box-sizing:border-box}body{margin:0 auto;max-width:1320px;padding:24px 20px 60px;color:var(--ink);"
    "background:var(--back);font:15px/1.5 system-ui,sans-serif}\n"
    "header{border-left:6px solid var(--soft);padding:4px 18px;margin-bottom:24px}\n"
    "header.passed{border-color:var(--good)}header.unmet,header.invalid{border-color:var(--bad)}\n"
    "h1{margin:0;font-size:28px}.passed h1{color:var(--good)}.unmet h1,.invalid h1{color:var(--bad)}\n"
    "header p{margin:2px 0;color:var(--soft)}header ul{margin:8px 0 4px;padding-left:20px}\n"
    "h2{font-size:17px;margin:34px 0 10px}h3{font-size:14px;margin:16px 0 4px;color:var(--soft)}\n"
    "dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:0}\n"
    "dl div{background:var(--card);border-radius:8px;padding:12px 16px}dt{color:var(--soft);font-size:13px}\n"
    "dd{margin:0;font-size:21px;font-variant-numeric:tabular-nums;white-space:nowrap}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px}\n"
    "th,td{padding:5px 10px;border-bottom:1px solid var(--line);text-align:left;white-space:nowrap}\n"
    "th{color:var(--soft);font-weight:600}.n{text-align:right;font-variant-numeric:tabular-nums}\n"
    ".bad{color:var(--bad);font-weight:600}td.why{white-space:normal;min-width:16em}\n"
    "svg{width:100%;height:auto;display:block}svg text{fill:var(--soft);font-size:12px}\n"
    "text.y{text-anchor:end}text.x{text-anchor:middle}.grid{stroke:var(--line)}\n"
    "polyline{fill:none;stroke-width:2;stroke-linejoin:round}\n"
    ".legend{margin:0 0 6px;font-size:13px}.legend i{display:inline-block;width:14px;height:3px;margin:0 6px "
    "4px "
    "0;background:currentColor}.legend span{margin-right:18px}\n";

static void print_style(FILE *to)
{
    fprintf(to, "<style>\n%s", style);
    for (int i = 0; i < 8; i++)
        fprintf(to, ".c%d{color:var(--k%d)}polyline.c%d{stroke:var(--k%d)}rect.c%d{fill:var(--k%d)}\n", i, i,
                i, i, i, i);
    fputs("</style>\n", to);
}

static const char *headline(const json_t *run)
{
    static const struct {
        const char *verdict, *words;
    } rows[] = {{"passed", "Passed"},
                {"unmet", "A requirement was not met"},
                {"invalid", "The measurement is not valid"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].verdict, field_text(run, "verdict")) == 0)
            return rows[i].words;
    return run_is(run, "ended") ? "Finished" : "Under way";
}

static void print_header(const json_t *result, FILE *to)
{
    const json_t *run = json_object_get(result, "run"), *row;
    char time[32];
    size_t index;
    fputs("<header class=\"", to);
    chart_escape(field_text(run, "verdict"), to);
    fprintf(to, "\">\n<h1>%s</h1>\n<p>", headline(run));
    if (field_u64(run, "id") != 0)
        fprintf(to, "Run %" PRIu64 ", started ", field_u64(run, "id"));
    else
        fputs("Several machines, the first started ", to);
    chart_escape(field_text(run, "started"), to);
    fprintf(to, ", took %s</p>\n", units_format_time(field_u64(run, "elapsed_ns"), time, sizeof time));
    if (json_array_size(json_object_get(run, "reasons")) > 0) {
        fputs("<ul>\n", to);
        FIELD_EACH(run, "reasons", index, row)
        {
            fputs("<li>", to);
            chart_escape(json_is_string(row) ? json_string_value(row) : "", to);
            fputs("</li>\n", to);
        }
        fputs("</ul>\n", to);
    }
    fputs("</header>\n", to);
}

static void print_tile(const char *name, const char *value, bool bad, FILE *to)
{
    fprintf(to, "<div><dt>%s</dt><dd%s>%s</dd></div>\n", name, bad ? " class=bad" : "", value);
}

static void print_count_tile(const char *name, uint64_t count, bool bad, FILE *to)
{
    char text[40];
    print_tile(name, units_format_count(count, text, sizeof text), bad && count != 0, to);
}

static void print_received_tiles(const json_t *result, FILE *to)
{
    uint64_t received = 0, lost = 0, rows = 0;
    size_t index, at;
    const json_t *stream, *row;
    FIELD_EACH(result, "streams", index, stream)
    FIELD_EACH(stream, "receive", at, row)
    {
        received += field_u64(row, "received");
        lost += field_u64(row, "lost");
        rows++;
    }
    if (rows == 0)
        return;
    print_count_tile("Received", received, false, to);
    print_count_tile("Lost", lost, true, to);
}

static void print_tiles(const json_t *result, FILE *to)
{
    json_t *sum = accounts_sum(result, "ports", NULL, NULL);
    const json_t *average = json_object_get(sum, "average");
    char text[40];
    fputs("<dl>\n", to);
    print_count_tile("Frames sent", field_u64(sum, "completed"), false, to);
    print_tile("Average rate", units_format_si(field_real(average, "pps"), "pps", text, sizeof text), false,
               to);
    print_tile("On the wire (L1)", units_format_si(field_real(average, "bit_l1"), "bit/s", text, sizeof text),
               false, to);
    print_count_tile("Missed", field_u64(sum, "missed"), true, to);
    if (field_u64(sum, "rejected") != 0)
        print_count_tile("Rejected", field_u64(sum, "rejected"), true, to);
    print_received_tiles(result, to);
    fputs("</dl>\n", to);
    json_decref(sum);
}

/* --- rates over time ---------------------------------------------------------------------------------- */

static const json_t *named(const json_t *rows, const char *name)
{
    size_t index;
    const json_t *row;
    json_array_foreach(rows, index, row) if (strcmp(field_text(row, "name"), name) == 0) return row;
    return NULL;
}

static int series_init(struct series *series, const char *name, size_t room)
{
    *series =
        (struct series){.name = name, .x = calloc(room, sizeof(double)), .y = calloc(room, sizeof(double))};
    return series->x == NULL || series->y == NULL ? -ENOMEM : 0;
}

static void series_fini(struct series *series)
{
    free(series->x);
    free(series->y);
}

/* The history is cumulative: a rate is the difference of two points; it stands at the later one, and the
 * first also at the beginning, so that the line starts at the axis. */
static int rates_of(const json_t *history, const char *port, const char *key, struct series *out)
{
    if (series_init(out, port, json_array_size(history) + 1) != 0)
        return -ENOMEM;
    double before_s = 0, before = 0;
    size_t index;
    const json_t *point;
    json_array_foreach(history, index, point)
    {
        const json_t *row = named(json_object_get(point, "ports"), port);
        double at_s = field_real(point, "elapsed_ns") / 1e9, now = field_real(row, key);
        if (row == NULL || at_s <= before_s)
            continue;
        double rate = now > before ? (now - before) / (at_s - before_s) : 0;
        if (out->count == 0)
            out->y[out->count++] = rate;
        out->x[out->count] = at_s;
        out->y[out->count++] = rate;
        before_s = at_s;
        before = now;
    }
    return 0;
}

/* One chart of a key of every port that has sent anything. */
static int print_rates(const json_t *result, const char *key, const char *title, FILE *to)
{
    const json_t *history = json_object_get(result, "history"), *port;
    size_t ports = json_array_size(json_object_get(result, "ports")), used = 0, index;
    struct series *series = calloc(ports + 1, sizeof *series);
    int failed = series == NULL ? -ENOMEM : 0;
    FIELD_EACH(result, "ports", index, port)
    if (failed == 0 && field_u64(port, key) != 0)
        failed = rates_of(history, field_text(port, "name"), key, &series[used++]);
    bool any = false;
    for (size_t i = 0; i < used; i++)
        any = any || series[i].count > 0;
    if (failed == 0 && any) {
        fprintf(to, "<h2>%s</h2>\n", title);
        chart_lines(series, used, "pps", to);
    }
    for (size_t i = 0; i < used; i++)
        series_fini(&series[i]);
    free(series);
    return failed;
}

static int print_gaps_of(const json_t *port, FILE *to)
{
    const json_t *gaps = json_object_get(port, "gaps"), *row;
    struct series series;
    int failed = series_init(&series, field_text(port, "name"), json_array_size(gaps) + 1);
    size_t index;
    json_array_foreach(gaps, index, row)
    {
        if (failed != 0)
            break;
        series.x[series.count] = field_real(row, "from_ns");
        series.x[series.count + 1] = field_real(row, "to_ns");
        series.y[series.count++] = field_real(row, "count");
    }
    if (failed == 0) {
        fputs("<h3>", to);
        chart_escape(series.name, to);
        fputs("</h3>\n", to);
        chart_bars(&series, to);
    }
    series_fini(&series);
    return failed;
}

static int print_gaps(const json_t *result, FILE *to)
{
    bool first = true;
    int failed = 0;
    size_t index;
    const json_t *port;
    FIELD_EACH(result, "ports", index, port)
    {
        if (failed != 0 || json_array_size(json_object_get(port, "gaps")) == 0)
            continue;
        if (first)
            fputs("<h2>Gaps between frames</h2>\n", to);
        first = false;
        failed = print_gaps_of(port, to);
    }
    return failed;
}

/* --- tables ------------------------------------------------------------------------------------------- */

enum figure { FIGURE_TEXT, FIGURE_WHY, FIGURE_COUNT, FIGURE_TROUBLE, FIGURE_PPS, FIGURE_BIT, FIGURE_TIME };

struct figure_column {
    const char *heading;
    enum figure figure;
    const char *group, *key; /* group NULL: of the row itself */
};

#define ACCOUNT_FIGURES                                                                                 \
    {"Sent", FIGURE_COUNT, NULL, "completed"}, {"Rate", FIGURE_PPS, "average", "pps"},                  \
        {"L1", FIGURE_BIT, "average", "bit_l1"}, {"Missed", FIGURE_TROUBLE, NULL, "missed"},            \
        {"Rejected", FIGURE_TROUBLE, NULL, "rejected"}, {"Withdrawn", FIGURE_COUNT, NULL, "withdrawn"}, \
    {                                                                                                   \
        "In flight", FIGURE_TROUBLE, NULL, "in_flight"                                                  \
    }

static const struct figure_column port_columns[] = {{"Port", FIGURE_TEXT, NULL, "name"},
                                                    {"Interface", FIGURE_TEXT, NULL, "interface"},
                                                    {"State", FIGURE_TEXT, NULL, "state"},
                                                    ACCOUNT_FIGURES,
                                                    {"Device sent", FIGURE_COUNT, "device", "tx_packets"},
                                                    {"Unaccounted", FIGURE_TROUBLE, "device", "unaccounted"},
                                                    {"Reason", FIGURE_WHY, NULL, "reason"},
                                                    {NULL, FIGURE_TEXT, NULL, NULL}};
static const struct figure_column stream_columns[] = {{"Stream", FIGURE_TEXT, NULL, "name"},
                                                      {"Port", FIGURE_TEXT, NULL, "port"},
                                                      {"State", FIGURE_TEXT, NULL, "state"},
                                                      {"Asked for", FIGURE_TEXT, NULL, "requested"},
                                                      ACCOUNT_FIGURES,
                                                      {"Reason", FIGURE_WHY, NULL, "reason"},
                                                      {NULL, FIGURE_TEXT, NULL, NULL}};
static const struct figure_column receive_columns[] = {
    {"Stream", FIGURE_TEXT, NULL, "stream"},
    {"At", FIGURE_TEXT, NULL, "port"},
    {"Received", FIGURE_COUNT, NULL, "received"},
    {"Lost", FIGURE_TROUBLE, NULL, "lost"},
    {"Duplicate", FIGURE_TROUBLE, NULL, "duplicates"},
    {"Reordered", FIGURE_TROUBLE, NULL, "reordered"},
    {"Corrupted", FIGURE_TROUBLE, NULL, "corrupted"},
    {"Misdirected", FIGURE_TROUBLE, NULL, "misdirected"},
    {"Outage", FIGURE_TIME, "outage", "ns"},
    {"Min", FIGURE_TIME, "latency", "min_ns"},
    {"Mean", FIGURE_TIME, "latency", "mean_ns"},
    {"P50", FIGURE_TIME, "latency", "p50_ns"},
    {"P99", FIGURE_TIME, "latency", "p99_ns"},
    {"P99.9", FIGURE_TIME, "latency", "p999_ns"},
    {"Max", FIGURE_TIME, "latency", "max_ns"},
    {"Uncertainty", FIGURE_TIME, "latency", "uncertainty_ns"},
    {"Jitter", FIGURE_TIME, "latency", "jitter_ns"},
    {"Clock", FIGURE_TEXT, "latency", "clock"},
    {NULL, FIGURE_TEXT, NULL, NULL}};

static void print_figure(const struct figure_column *column, const json_t *row, FILE *to)
{
    const json_t *object = column->group == NULL ? row : json_object_get(row, column->group);
    uint64_t count = field_u64(object, column->key);
    char text[40];
    switch (column->figure) {
    case FIGURE_TEXT:
    case FIGURE_WHY:
        fputs(column->figure == FIGURE_WHY ? "<td class=why>" : "<td>", to);
        chart_escape(field_text(object, column->key), to);
        fputs("</td>", to);
        return;
    case FIGURE_PPS:
        units_format_si(field_real(object, column->key), "pps", text, sizeof text);
        break;
    case FIGURE_BIT:
        units_format_si(field_real(object, column->key), "bit/s", text, sizeof text);
        break;
    case FIGURE_TIME:
        units_format_time(count, text, sizeof text);
        break;
    case FIGURE_COUNT:
    case FIGURE_TROUBLE:
        units_format_count(count, text, sizeof text);
        break;
    }
    bool bad = column->figure == FIGURE_TROUBLE && count != 0;
    fprintf(to, "<td class=\"n%s\">%s</td>", bad ? " bad" : "", object == NULL ? "" : text);
}

static void print_table(const char *title, const struct figure_column *columns, const json_t *rows, FILE *to)
{
    if (json_array_size(rows) == 0)
        return;
    fprintf(to, "<h2>%s</h2>\n<div class=wide><table><thead><tr>", title);
    for (const struct figure_column *c = columns; c->heading != NULL; c++)
        fprintf(to, "<th%s>%s</th>", c->figure <= FIGURE_WHY ? "" : " class=n", c->heading);
    fputs("</tr></thead><tbody>\n", to);
    size_t index;
    const json_t *row;
    json_array_foreach(rows, index, row)
    {
        fputs("<tr>", to);
        for (const struct figure_column *c = columns; c->heading != NULL; c++)
            print_figure(c, row, to);
        fputs("</tr>\n", to);
    }
    fputs("</tbody></table></div>\n", to);
}

/* The receiving rows of all streams as one flat list, each with its stream's name. New reference. */
static json_t *received_rows(const json_t *result)
{
    json_t *rows = json_array();
    size_t index, at;
    json_t *stream, *row;
    FIELD_EACH(result, "streams", index, stream)
    FIELD_EACH(stream, "receive", at, row)
    {
        json_t *flat = json_copy(row);
        json_object_set(flat, "stream", json_object_get(stream, "name"));
        json_array_append_new(rows, flat);
    }
    return rows;
}

static int print_charts(const json_t *result, FILE *to)
{
    int failed = print_rates(result, "completed", "Frames sent a second", to);
    if (failed == 0)
        failed = print_rates(result, "missed", "Frames missed a second", to);
    return failed != 0 ? failed : print_gaps(result, to);
}

int page_print(const json_t *result, FILE *to)
{
    const json_t *run = json_object_get(result, "run");
    fputs("<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
          "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n",
          to);
    fprintf(to, "<title>volleyd run %" PRIu64 ": %s</title>\n", field_u64(run, "id"), headline(run));
    print_style(to);
    fputs("</head>\n<body>\n", to);
    print_header(result, to);
    print_tiles(result, to);
    int failed = print_charts(result, to);
    json_t *received = received_rows(result);
    print_table("Ports", port_columns, json_object_get(result, "ports"), to);
    print_table("Streams", stream_columns, json_object_get(result, "streams"), to);
    print_table("Received", receive_columns, received, to);
    json_decref(received);
    fputs("</body>\n</html>\n", to);
    return failed;
}
