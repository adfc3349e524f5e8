/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Apply and Reload: another plan in the place of the one in force. One at a time; a plan that does not
 * compile changes nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/instant.h"
#include "config/read.h"
#include "control/methods.h"
#include "control/varlink.h"

struct change {
    struct control *control; /* NULL: the daemon ended meanwhile */
    struct call *call;       /* NULL: a reload by signal */
    void (*done)(void *context, const struct err *err);
    void *context;
    json_t *warnings, *summary; /* owned */
};

/* ---- what differs between two plans ---- */

struct named {
    const char *name;
    uint64_t fingerprint;
};

static int by_name(const void *left, const void *right)
{
    return strcmp(((const struct named *)left)->name, ((const struct named *)right)->name);
}

static struct named *sorted_names(const struct plan *plan)
{
    struct named *names = malloc((plan->stream_count + (size_t)1) * sizeof *names);
    if (names == NULL)
        return NULL;
    for (uint32_t i = 0; i < plan->stream_count; i++)
        names[i] = (struct named){plan->streams[i].name, plan->streams[i].fingerprint};
    qsort(names, plan->stream_count, sizeof *names, by_name);
    return names;
}

struct difference {
    json_int_t added, removed, changed, unchanged;
};

static struct difference merge(const struct named *before, size_t befores, const struct named *after,
                               size_t afters)
{
    struct difference found = {0};
    size_t b = 0, a = 0;
    while (b < befores || a < afters) {
        int order = b == befores ? 1 : a == afters ? -1 : strcmp(before[b].name, after[a].name);
        if (order < 0)
            found.removed++;
        else if (order > 0)
            found.added++;
        else if (before[b].fingerprint == after[a].fingerprint)
            found.unchanged++;
        else
            found.changed++;
        b += order <= 0;
        a += order >= 0;
    }
    return found;
}

/* The reply of Apply and Reload; NULL when memory is out. warnings is borrowed. */
static json_t *view_difference(const struct plan *before, const struct plan *after, json_t *warnings)
{
    struct named *old_names = sorted_names(before), *new_names = sorted_names(after);
    json_t *summary = NULL;
    if (old_names != NULL && new_names != NULL) {
        struct difference found = merge(old_names, before->stream_count, new_names, after->stream_count);
        summary = json_pack("{s:I, s:I, s:I, s:I, s:O}", "added", found.added, "removed", found.removed,
                            "changed", found.changed, "unchanged", found.unchanged, "warnings", warnings);
    }
    free(old_names);
    free(new_names);
    return summary;
}

/* ---- swapping ---- */

static void change_free(struct change *change)
{
    json_decref(change->warnings);
    json_decref(change->summary);
    free(change);
}

static void on_replaced(void *context, int result, const struct err *err)
{
    struct change *change = context;
    if (change->control != NULL) {
        change->control->change = NULL;
        if (result == 0) {
            json_decref(change->control->warnings);
            change->control->warnings = json_incref(change->warnings);
        }
    }
    if (change->call != NULL && result < 0)
        fail(change->call, err);
    else if (change->call != NULL)
        call_reply(change->call, json_incref(change->summary));
    if (change->done != NULL)
        change->done(change->context, result < 0 ? err : NULL);
    change_free(change);
}

/* Puts plan in force; on_replaced() tells whom it concerns. Borrows plan and warnings. */
static int swap(struct control *control, const struct plan *plan, json_t *warnings,
                const struct change *asker, struct err *err)
{
    struct change *change = malloc(sizeof *change);
    if (change == NULL)
        return err_set(err, -ENOMEM, "no memory");
    *change = *asker;
    change->control = control;
    change->warnings = json_incref(warnings);
    change->summary = view_difference(volley_plan(control->volley), plan, warnings);
    if (varlink_memory_failed() || change->summary == NULL) { /* or a warning is missing */
        change_free(change);
        return err_set(err, -ENOMEM, "no memory");
    }
    control->change = change;
    volley_replace(control->volley, plan, on_replaced, change);
    return 0;
}

void changing_fini(struct control *control)
{
    if (control->change != NULL)
        control->change->control = NULL;
}

/* ---- Apply ---- */

/* The client's templates and streams as a tree's root; they share the request's values. */
static int read_tree(struct call *call, struct tree **out, struct complaints *complaints)
{
    static const char *const keys[] = {"templates", "streams"};
    json_t *object = json_object();
    int r = object == NULL ? -ENOMEM : 0;
    for (size_t i = 0; r == 0 && i < sizeof keys / sizeof *keys; i++) {
        json_t *value = json_object_get(call_parameters(call), keys[i]);
        if (value != NULL && !json_is_null(value) && json_object_set(object, keys[i], value) < 0)
            r = -ENOMEM;
    }
    if (r == 0)
        r = tree_read_json(object, out, complaints);
    json_decref(object);
    return r;
}

typedef int compile(struct control *control, struct call *call, struct plan **out,
                    struct complaints *complaints);

static int compile_request(struct control *control, struct call *call, struct plan **out,
                           struct complaints *complaints)
{
    struct tree *tree = NULL;
    char now[INSTANT_BYTES], source[80];
    int r = read_tree(call, &tree, complaints);
    if (r < 0)
        return r;
    snprintf(source, sizeof source, "apply by uid %u at %s", (unsigned)call_peer(call)->uid,
             instant_format(clock_realtime_ns(), now, sizeof now));
    return plan_apply(volley_plan(control->volley), tree, flag_of(call, "add"), source, out, complaints);
}

static int compile_file(struct control *control, struct call *call, struct plan **out,
                        struct complaints *complaints)
{
    (void)call;
    return control->wishes.read(control->wishes.context, out, complaints);
}

/* A plan and its warnings, on the way into force or only looked at. Answers the call. */
static void use_plan(struct control *control, struct call *call, const struct plan *plan, bool dry,
                     const struct complaints *complaints)
{
    json_t *warnings = complaints_view(complaints, false);
    struct err err = {0};
    if (dry)
        call_reply(call, view_difference(volley_plan(control->volley), plan, warnings));
    else if (swap(control, plan, warnings, &(struct change){.call = call}, &err) < 0)
        fail(call, &err);
    json_decref(warnings);
}

/* What was refused without a word was refused for want of memory. */
static void fail_change(struct call *call, const struct complaints *complaints)
{
    if (complaints_count(complaints) > 0)
        fail_complaints(call, complaints);
    else
        fail(call, &(struct err){.code = -ENOMEM, .text = "no memory"});
}

static void change_for(struct call *call, struct control *control, compile *compile_it, bool dry)
{
    struct complaints *complaints = complaints_new();
    struct plan *plan = NULL;
    if (complaints == NULL)
        fail(call, &(struct err){.code = -ENOMEM, .text = "no memory"});
    else if (control->change != NULL)
        fail(call, &(struct err){.code = -EBUSY, .text = "another change is under way"});
    else if (compile_it(control, call, &plan, complaints) < 0)
        fail_change(call, complaints);
    else
        use_plan(control, call, plan, dry, complaints);
    plan_unref(plan);
    complaints_free(complaints);
}

void method_apply(struct call *call, void *context)
{
    change_for(call, context, compile_request, flag_of(call, "dry"));
}

void method_reload(struct call *call, void *context)
{
    change_for(call, context, compile_file, false);
}

/* ---- reload by signal ---- */

/* One line for the log: the first error. */
static int tell_first(const struct complaints *complaints, int code, struct err *err)
{
    for (size_t i = 0; i < complaints_count(complaints); i++) {
        const struct complaint *first = complaints_get(complaints, i);
        if (first->error)
            return err_set(err, code, "the configuration stays as it was: %s: %s%s", first->where,
                           first->text,
                           complaints_errors(complaints) > 1 ? " (volleyd --check tells all)" : "");
    }
    return err_set(err, code, "the configuration stays as it was: %s", strerror(-code));
}

static int reload(struct control *control, const struct change *asker, struct err *err)
{
    if (control->change != NULL)
        return err_set(err, -EBUSY, "another change is under way");
    struct complaints *complaints = complaints_new();
    struct plan *plan = NULL;
    if (complaints == NULL)
        return err_set(err, -ENOMEM, "no memory");
    int r = compile_file(control, NULL, &plan, complaints);
    if (r < 0)
        tell_first(complaints, r, err);
    else {
        json_t *warnings = complaints_view(complaints, false);
        r = swap(control, plan, warnings, asker, err);
        json_decref(warnings);
    }
    plan_unref(plan);
    complaints_free(complaints);
    return r;
}

void control_reload(struct control *control, void (*done)(void *context, const struct err *err),
                    void *context)
{
    struct err err = {0};
    if (reload(control, &(struct change){.done = done, .context = context}, &err) < 0 && done != NULL)
        done(context, &err);
}
