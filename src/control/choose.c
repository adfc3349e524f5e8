/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which streams a request means. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/methods.h"

/* A pattern, or the shared name of copies, costs a walk over all streams; a client may ask for so many. */
enum { WALKS_MAX = 64, NEAREST_OF_MAX = 4096 };

/* `*` any text, `?` any byte. Backs up to the last star only, so that no pattern takes long. */
static bool matches(const char *pattern, const char *name)
{
    const char *star = NULL, *retry = NULL;
    while (*name != '\0') {
        if (*pattern == '*') {
            star = ++pattern;
            retry = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (star != NULL) {
            pattern = star;
            name = ++retry;
        } else
            return false;
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

static bool is_meant(const struct plan_stream *stream, const char *name, bool pattern)
{
    if (pattern)
        return matches(name, stream->name);
    return stream->copy > 0 && strcmp(stream->spec->name, name) == 0;
}

static bool mark_all(const struct plan *plan, const char *name, bool *chosen)
{
    bool pattern = strpbrk(name, "*?") != NULL, found = false;
    for (uint32_t i = 0; i < plan->stream_count; i++) {
        if (!is_meant(&plan->streams[i], name, pattern))
            continue;
        chosen[i] = found = true;
    }
    return found;
}

/* Marks what one name means. False, and the call answered, when it means nothing. */
static bool mark(struct call *call, const struct plan *plan, const char *name, bool *chosen, unsigned *walks)
{
    uint32_t index = plan_find_stream(plan, name);
    if (index != PLAN_NONE) {
        chosen[index] = true;
        return true;
    }
    if (++*walks > WALKS_MAX) {
        fail_invalid(call, "streams", "at most 64 patterns; name the streams, or leave it out for all");
        return false;
    }
    if (mark_all(plan, name, chosen))
        return true;
    fail_not_found(call, name, plan);
    return false;
}

/* A flag for each stream (the caller frees), NULL and the call answered when the parameter `streams` is no
 * good. all: whether it is absent, which means every stream. */
static bool *choose(struct call *call, const struct plan *plan, bool *all)
{
    json_t *names = json_object_get(call_parameters(call), "streams"), *name;
    size_t i;
    unsigned walks = 0;
    bool *chosen = calloc(plan->stream_count + (size_t)1, sizeof *chosen);
    if (chosen == NULL) {
        fail(call, &(struct err){.code = -ENOMEM, .text = "no memory"});
        return NULL;
    }
    *all = names == NULL || json_is_null(names);
    if (*all) {
        memset(chosen, true, plan->stream_count);
        return chosen;
    }
    bool good = json_array_size(names) > 0;
    if (!good)
        fail_invalid(call, "streams", "is empty; leave it out to mean all");
    json_array_foreach(names, i, name)
    {
        good = good && mark(call, plan, json_string_value(name), chosen, &walks);
    }
    if (good)
        return chosen;
    free(chosen);
    return NULL;
}

static bool pick_port(struct call *call, const struct plan *plan, const char *name, struct picked *out)
{
    uint32_t index = plan_find_port(plan, name);
    if (index == PLAN_NONE) {
        fail_not_found(call, name, plan);
        return false;
    }
    *out = (struct picked){.selection.port = plan->ports[index].spec->name};
    return true;
}

static bool pick_streams(struct call *call, const struct plan *plan, struct picked *out)
{
    bool all;
    bool *chosen = choose(call, plan, &all);
    if (chosen == NULL)
        return false;
    *out = (struct picked){0};
    const char **names = all ? NULL : malloc((plan->stream_count + (size_t)1) * sizeof *names);
    bool good = all || names != NULL;
    if (!good)
        fail(call, &(struct err){.code = -ENOMEM, .text = "no memory"});
    for (uint32_t i = 0; names != NULL && i < plan->stream_count; i++)
        if (chosen[i])
            names[out->selection.stream_count++] = plan->streams[i].name;
    out->selection.streams = out->names = names;
    free(chosen);
    return good;
}

bool pick(struct call *call, const struct plan *plan, struct picked *out)
{
    const char *port = text_of(call, "port");
    if (port == NULL)
        return pick_streams(call, plan, out);
    if (json_object_get(call_parameters(call), "streams") == NULL)
        return pick_port(call, plan, port, out);
    fail_invalid(call, "port", "name either streams or a port");
    return false;
}

void picked_fini(struct picked *picked)
{
    free(picked->names);
}

bool page_pick(struct call *call, const struct plan *plan, int64_t default_limit, struct page *out)
{
    const char *match = text_of(call, "match");
    size_t offset = (size_t)number_of(call, "offset", 0),
           limit = (size_t)number_of(call, "limit", default_limit);
    bool all;
    bool *chosen = choose(call, plan, &all);
    if (chosen == NULL)
        return false;
    struct page page = {.streams = malloc((plan->stream_count + (size_t)1) * sizeof *page.streams)};
    if (page.streams == NULL) {
        free(chosen);
        fail(call, &(struct err){.code = -ENOMEM, .text = "no memory"});
        return false;
    }
    for (uint32_t i = 0; i < plan->stream_count; i++) {
        if (!chosen[i] || (match != NULL && !matches(match, plan->streams[i].name)))
            continue;
        if (page.total++ >= offset && page.count < limit)
            page.streams[page.count++] = i;
    }
    free(chosen);
    *out = page;
    return true;
}

void page_fini(struct page *page)
{
    free(page->streams);
}

/* ---- what is near a name that is none ---- */

static const char *nearest(const struct plan *plan, const char *name)
{
    size_t ports = plan->port_count, streams = plan->stream_count, count = 0;
    if (strlen(name) > NAME_MAX_BYTES)
        return NULL;
    if (streams > NEAREST_OF_MAX)
        streams = NEAREST_OF_MAX;
    const char **names = malloc((ports + streams + 1) * sizeof *names);
    if (names == NULL)
        return NULL;
    for (size_t i = 0; i < ports; i++)
        names[count++] = plan->ports[i].spec->name;
    for (size_t i = 0; i < streams; i++)
        names[count++] = plan->streams[i].name;
    const char *found = nearest_name(name, names, count);
    free(names);
    return found;
}

void fail_not_found(struct call *call, const char *name, const struct plan *plan)
{
    const char *near = nearest(plan, name);
    call_error(call, "io.volleyd.NotFound",
               json_pack("{s:s, s:s}", "name", name, "nearest", near == NULL ? "" : near));
}
