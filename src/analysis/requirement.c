/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requirements: metric, comparison, bound. A metric is one row with its name, its unit, where it stands in a
 * result and how its value is told; a comparison is the set of outcomes that it accepts. Pure. */
#include "analysis/requirement.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/tree.h"

#define METRICS(ROW)                                                                     \
    ROW("loss", METRIC_COUNT, lost, false, "were lost")                                  \
    ROW("received", METRIC_COUNT, received, false, "were received")                      \
    ROW("duplicates", METRIC_COUNT, duplicates, false, "arrived once more")              \
    ROW("reordered", METRIC_COUNT, reordered, false, "were reordered")                   \
    ROW("reorder_extent", METRIC_COUNT, reorder_extent, false, "overtook one of them")   \
    ROW("late", METRIC_COUNT, late, false, "came too late")                              \
    ROW("corrupted", METRIC_COUNT, corrupted, false, "were corrupted")                   \
    ROW("flooded", METRIC_COUNT, flooded, false, "were flooded to this port")            \
    ROW("misdirected", METRIC_COUNT, misdirected, false, "came to this port by mistake") \
    ROW("stale", METRIC_COUNT, stale, false, "carried an impossible number")             \
    ROW("outage.frames", METRIC_COUNT, outage_frames, false, "were missing in a row")    \
    ROW("outage", METRIC_TIME, outage_ns, false, "the longest was")                      \
    ROW("latency.min", METRIC_TIME, latency_min_ns, true, "it was")                      \
    ROW("latency.mean", METRIC_TIME, latency_mean_ns, true, "it was")                    \
    ROW("latency.p50", METRIC_TIME, latency_p50_ns, true, "it was")                      \
    ROW("latency.p90", METRIC_TIME, latency_p90_ns, true, "it was")                      \
    ROW("latency.p99", METRIC_TIME, latency_p99_ns, true, "it was")                      \
    ROW("latency.p99.9", METRIC_TIME, latency_p999_ns, true, "it was")                   \
    ROW("latency.p99.99", METRIC_TIME, latency_p9999_ns, true, "it was")                 \
    ROW("latency.p99.999", METRIC_TIME, latency_p99999_ns, true, "it was")               \
    ROW("latency.max", METRIC_TIME, latency_max_ns, true, "it was")                      \
    ROW("jitter", METRIC_TIME, jitter_ns, true, "it was")                                \
    ROW("delay_variation", METRIC_TIME, delay_variation_ns, true, "it was")

static const struct metric {
    const char *story;
    size_t offset; /* of a uint64_t in struct stream_result */
    enum metric_unit unit;
    bool needs_frame; /* says nothing when no frame arrived: then no requirement on it holds */
} metrics[] = {
#define ROW(name, unit, member, needs_frame, story) \
    {story, offsetof(struct stream_result, member), unit, needs_frame},
    METRICS(ROW)
#undef ROW
};

static const char *const metric_names[] = {
#define ROW(name, unit, member, needs_frame, story) name,
    METRICS(ROW)
#undef ROW
        NULL};

enum { METRIC_ROWS = sizeof metrics / sizeof *metrics };

/* Other ways to write a metric. */
static const struct alias {
    const char *name, *metric;
} aliases[] = {
    {"lost", "loss"},
    {"outage.time", "outage"},
    {"latency.p999", "latency.p99.9"},
    {"latency.p9999", "latency.p99.99"},
    {"latency.p99999", "latency.p99.999"},
};

enum { BELOW = 1, EQUAL = 2, ABOVE = 4 };
static const struct comparison {
    const char *sign;
    unsigned accepts;
} comparisons[] = {
    {"==", EQUAL},         {"!=", BELOW | ABOVE}, {"<=", BELOW | EQUAL},
    {">=", EQUAL | ABOVE}, {"<", BELOW},          {">", ABOVE},
};
enum { COMPARISON_ROWS = sizeof comparisons / sizeof *comparisons };

static int find_metric(const char *name)
{
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (strcmp(name, aliases[i].name) == 0)
            name = aliases[i].metric;
    for (int i = 0; i < METRIC_ROWS; i++)
        if (strcmp(name, metric_names[i]) == 0)
            return i;
    return -1;
}

static int find_comparison(const char *sign)
{
    for (int i = 0; i < COMPARISON_ROWS; i++)
        if (strcmp(sign, comparisons[i].sign) == 0)
            return i;
    return -1;
}

/* The longest run of these characters at *at, as text; *at moves behind it and the blanks that follow. */
static void take_word(const char **at, const char *characters, char *out, size_t size)
{
    size_t length = strspn(*at, characters);
    snprintf(out, size, "%.*s", (int)(length < size ? length : size - 1), *at);
    *at += length;
    *at += strspn(*at, " \t");
}

static int parse_bound(const char *text, enum metric_unit unit, struct requirement *out, struct err *err)
{
    if (unit == METRIC_TIME) {
        out->bound.den = 1;
        return units_time_ns(text, &out->bound.num, err);
    }
    out->share = strchr(text, '%') != NULL;
    return units_ratio(text, &out->bound, err);
}

int requirement_parse(const char *text, struct requirement *out, struct err *err)
{
    char name[40], sign[8];
    const char *at = text + strspn(text, " \t");
    struct requirement made = {.text = text};
    take_word(&at, "abcdefghijklmnopqrstuvwxyz0123456789_.", name, sizeof name);
    take_word(&at, "=!<>~", sign, sizeof sign);
    int metric = find_metric(name), comparison = find_comparison(sign);
    if (metric < 0) {
        const char *near = nearest_name(name, metric_names, METRIC_ROWS);
        return err_set(err, -EINVAL, "`%s`: unknown metric `%s`; %s%s%s", text, name, near != NULL ? "`" : "",
                       near != NULL ? near : "write it like \"loss == 0\" or \"latency.p99 <= 200us\"",
                       near != NULL ? "`?" : "");
    }
    if (comparison < 0)
        return err_set(err, -EINVAL, "`%s`: `%s` is no comparison; it is ==, !=, <=, >=, < or >", text, sign);
    if (parse_bound(at, metrics[metric].unit, &made, err) != 0)
        return err_within(err, "`%s`", text);
    made.metric = (uint8_t)metric;
    made.comparison = (uint8_t)comparison;
    *out = made;
    return 0;
}

static uint64_t value_of(const struct requirement *requirement, const struct stream_result *result)
{
    uint64_t value;
    memcpy(&value, (const char *)result + metrics[requirement->metric].offset, sizeof value);
    return value;
}

static bool says_nothing(const struct requirement *requirement, const struct stream_result *result)
{
    return metrics[requirement->metric].needs_frame && result->received == 0;
}

bool requirement_holds(const struct requirement *requirement, const struct stream_result *result)
{
    if (says_nothing(requirement, result))
        return false;
    uint64_t whole = requirement->share ? result->sent : 1;
    unsigned __int128 value = (unsigned __int128)value_of(requirement, result) * requirement->bound.den;
    unsigned __int128 bound = (unsigned __int128)requirement->bound.num * whole;
    unsigned outcome = value < bound ? BELOW : value > bound ? ABOVE : EQUAL;
    return (comparisons[requirement->comparison].accepts & outcome) != 0;
}

void requirement_explain(const struct requirement *requirement, const struct stream_result *result, char *out,
                         size_t size)
{
    const struct metric *metric = &metrics[requirement->metric];
    uint64_t value = value_of(requirement, result);
    char number[40], sent[40];
    if (says_nothing(requirement, result))
        snprintf(out, size, "%s: no frame arrived", requirement->text);
    else if (metric->unit == METRIC_TIME)
        snprintf(out, size, "%s: %s %s", requirement->text, metric->story,
                 units_format_time(value, number, sizeof number));
    else
        snprintf(out, size, "%s: %s of %s frames %s", requirement->text,
                 units_format_count(value, number, sizeof number),
                 units_format_count(result->sent, sent, sizeof sent), metric->story);
}

const char *const *requirement_metrics(void)
{
    return metric_names;
}
