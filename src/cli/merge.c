/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The whole has the keys of one result, and `machines` with each one's own run. It reads like one result, so
 * that text, page and exit code need not know; it can be added up again. */
#include "cli/merge.h"

#include <errno.h>
#include <string.h>

#include "cli/output.h"

static json_t *prefixed(const char *name, const char *separator, const char *text)
{
    return json_sprintf("%s%s%s", name, separator, text);
}

static void rename_in(json_t *row, const char *machine, const char *key)
{
    if (json_is_string(json_object_get(row, key)))
        json_object_set_new(row, key, prefixed(machine, ":", field_text(row, key)));
}

/* Rows of a list are copied with their names prefixed; those that receive, too. */
static void take_rows(json_t *whole, const char *list, const char *machine, const json_t *result)
{
    json_t *into = json_object_get(whole, list), *row, *received;
    size_t index, at;
    FIELD_EACH(result, list, index, row)
    {
        json_t *copy = json_deep_copy(row);
        rename_in(copy, machine, "name");
        rename_in(copy, machine, "port");
        FIELD_EACH(copy, "receive", at, received)
        rename_in(received, machine, "port");
        json_array_append_new(into, copy);
    }
}

/* Points of all machines by their own elapsed time; each names only its ports, which is all a reader needs.
 */
static void take_history(json_t *whole, const char *machine, const json_t *result)
{
    json_t *into = json_object_get(whole, "history"), *point, *port;
    size_t index, at;
    FIELD_EACH(result, "history", index, point)
    {
        json_t *copy = json_deep_copy(point);
        FIELD_EACH(copy, "ports", at, port)
        rename_in(port, machine, "name");
        json_array_append_new(into, copy);
    }
}

static int badness(const char *verdict)
{
    static const char *const order[] = {"none", "passed", "unmet", "invalid"};
    for (int i = 0; i < 4; i++)
        if (strcmp(order[i], verdict) == 0)
            return i;
    return 0;
}

static void take_run(json_t *whole, const char *machine, const json_t *run)
{
    json_t *all = json_object_get(whole, "run"), *reason;
    size_t index;
    const char *started = field_text(all, "started");
    if (badness(field_text(run, "verdict")) >= badness(field_text(all, "verdict")))
        json_object_set(all, "verdict", json_object_get(run, "verdict"));
    if (*started == '\0' || strcmp(field_text(run, "started"), started) < 0)
        json_object_set(all, "started", json_object_get(run, "started"));
    if (field_u64(run, "elapsed_ns") > field_u64(all, "elapsed_ns"))
        json_object_set(all, "elapsed_ns", json_object_get(run, "elapsed_ns"));
    if (strcmp(field_text(run, "state"), "ended") != 0)
        json_object_set(all, "state", json_object_get(run, "state"));
    FIELD_EACH(run, "reasons", index, reason)
    json_array_append_new(json_object_get(all, "reasons"),
                          prefixed(machine, ": ", json_is_string(reason) ? json_string_value(reason) : ""));
    json_array_append_new(json_object_get(whole, "machines"),
                          json_pack("{s:s, s:O}", "name", machine, "run", run));
}

static int begin(json_t *whole, struct err *err)
{
    json_t *empty = json_pack("{s:{s:i, s:s, s:s, s:i, s:s, s:[]}, s:[], s:[], s:[], s:[]}", "run", "id", 0,
                              "state", "ended", "started", "", "elapsed_ns", 0, "verdict", "none", "reasons",
                              "machines", "ports", "streams", "history");
    int failed = empty == NULL || json_object_update(whole, empty) != 0;
    json_decref(empty);
    return failed ? err_set(err, -ENOMEM, "memory is out") : 0;
}

int merge_result(json_t *whole, const char *name, const json_t *result, struct err *err)
{
    const json_t *run = json_object_get(result, "run");
    if (!json_is_object(run) || !json_is_array(json_object_get(result, "ports")) ||
        !json_is_array(json_object_get(result, "streams")))
        return err_set(err, -EINVAL, "it is no result; make one with: volleyctl report --json");
    if (json_object_size(whole) == 0 && begin(whole, err) != 0)
        return -ENOMEM;
    take_run(whole, name, run);
    take_rows(whole, "ports", name, result);
    take_rows(whole, "streams", name, result);
    take_history(whole, name, result);
    return 0;
}
