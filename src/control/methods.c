/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of io.volleyd, who may call what (roles by dispatch, the lease here), and how failures become
 * errors of the interface. */
#include "control/methods.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/instant.h"
#include "control/varlink.h"
#include "control/views.h"

/* ---- parameters ---- */

static json_t *value_of(const struct call *call, const char *name)
{
    return json_object_get(call_parameters(call), name);
}

const char *text_of(const struct call *call, const char *name)
{
    return json_string_value(value_of(call, name));
}

int64_t number_of(const struct call *call, const char *name, int64_t absent)
{
    json_t *value = value_of(call, name);
    return json_is_integer(value) ? json_integer_value(value) : absent;
}

bool flag_of(const struct call *call, const char *name)
{
    return json_is_true(value_of(call, name));
}

/* ---- failures ---- */

void fail_invalid(struct call *call, const char *where, const char *text)
{
    call_error(call, "io.volleyd.Invalid",
               json_pack("{s:[{s:s, s:s}]}", "complaints", "where", where, "text", text));
}

json_t *complaints_view(const struct complaints *complaints, bool errors)
{
    if (complaints != NULL && complaints_lost(complaints))
        return varlink_no_memory();
    json_t *list = json_array();
    for (size_t i = 0; complaints != NULL && i < complaints_count(complaints); i++) {
        const struct complaint *one = complaints_get(complaints, i);
        if (one->error != errors)
            continue;
        json_array_append_new(list, errors ? json_pack("{s:s, s:s}", "where", one->where, "text", one->text)
                                           : json_sprintf("%s: %s", one->where, one->text));
    }
    return list;
}

void fail_complaints(struct call *call, const struct complaints *complaints)
{
    call_error(call, "io.volleyd.Invalid",
               json_pack("{s:o}", "complaints", complaints_view(complaints, true)));
}

/* The configuration's key that lifts a refusal: the reason names it. */
static const char *key_of(const char *reason)
{
    static const char *const keys[] = {"safety.allow", "safety.max_rate", "safety.max_duration", "force"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strstr(reason, keys[i]) != NULL)
            return keys[i];
    return "";
}

void fail(struct call *call, const struct err *err)
{
    switch (err->code) {
    case -EINVAL:
    case -ERANGE:
        fail_invalid(call, "request", err->text);
        break;
    case -EBUSY:
    case -ENOMEM:
        call_error(call, "io.volleyd.Busy", json_pack("{s:s}", "reason", err->text));
        break;
    case -ETIMEDOUT:
        call_error(call, "io.volleyd.Undrained", json_pack("{s:s}", "reason", err->text));
        break;
    default:
        call_error(call, "io.volleyd.Refused",
                   json_pack("{s:s, s:s}", "reason", err->text, "key", key_of(err->text)));
        break;
    }
}

void reply_done(void *context, int result, const struct err *err)
{
    if (result == 0)
        call_reply(context, NULL);
    else
        fail(context, err);
}

/* ---- the lease ---- */

static void tell(const struct control *control, const char *event, const char *text)
{
    if (control->wishes.tell != NULL)
        control->wishes.tell(control->wishes.context, event, text);
}

static void stopped_for_lease(void *context, int result, const struct err *err)
{
    if (result < 0)
        tell(context, "lease", err->text);
}

static void on_lapsed(void *context, const char *reason)
{
    struct control *control = context;
    tell(control, "lease", reason);
    if (volley_active(control->volley))
        volley_stop(control->volley, &(struct selection){0}, reason, stopped_for_lease, control);
}

static void method_lease(struct call *call, void *context)
{
    struct control *control = context;
    char until[INSTANT_BYTES];
    uint64_t seconds = (uint64_t)number_of(call, "seconds", 0);
    lease_take(&control->lease, call_peer(call), (uint32_t)seconds, flag_of(call, "session"));
    instant_format(clock_realtime_ns() + seconds * NS_PER_SECOND, until, sizeof until);
    call_reply(call, json_pack("{s:s, s:s}", "holder", control->lease.holder, "until", until));
}

static void method_release(struct call *call, void *context)
{
    struct control *control = context;
    lease_release(&control->lease);
    call_reply(call, NULL);
}

/* ---- admission of changes, and their line in the log ---- */

enum { LOGGED_PARAMETERS_MAX = 200 };

static void tell_change(struct call *call, struct control *control)
{
    const struct call_peer *peer = call_peer(call);
    /* An Apply of 32 MiB is not written out to be cut off. */
    char *parameters = call_method(call)->large ? NULL : json_dumps(call_parameters(call), JSON_COMPACT);
    char text[LOGGED_PARAMETERS_MAX + 160];
    snprintf(text, sizeof text, "%s%s%.*s, asked by uid %u, gid %u, pid %d", call_method(call)->name,
             parameters == NULL ? "" : " ", LOGGED_PARAMETERS_MAX, parameters == NULL ? "" : parameters,
             (unsigned)peer->uid, (unsigned)peer->gid, (int)peer->pid);
    free(parameters);
    tell(control, "change", text);
}

static bool admit(struct call *call, void *context)
{
    struct control *control = context;
    bool takes_over = call_method(call)->handle == method_lease && flag_of(call, "force");
    if (!takes_over && !lease_permits(&control->lease, call_peer(call))) {
        call_error(call, "io.volleyd.Held",
                   json_pack("{s:s, s:I}", "holder", control->lease.holder, "remaining_ms",
                             (json_int_t)lease_remaining_ms(&control->lease)));
        return false;
    }
    tell_change(call, control);
    return true;
}

static void on_closed(void *context, uint64_t connection)
{
    struct control *control = context;
    lease_closed(&control->lease, connection);
}

/* ---- the table ---- */

#define WHICH                                                                                             \
    {"streams",                                                                                           \
     PARAMETER_TEXTS,                                                                                     \
     false,                                                                                               \
     0,                                                                                                   \
     0,                                                                                                   \
     "Names of streams, patterns with * and ?, or the name that copies share. Without streams and port: " \
     "all."},                                                                                             \
    {                                                                                                     \
        "port", PARAMETER_TEXT, false, 0, 0, "All streams of this port, in place of streams."             \
    }

#define PAGE(limit_text)                                                                          \
    {"offset", PARAMETER_INT, false, 0, STREAMS_MAX, "Leave out so many streams of the answer."}, \
    {                                                                                             \
        "limit", PARAMETER_INT, false, 0, STREAMS_MAX, limit_text                                 \
    }

#define FILTER                                                                                        \
    {"streams", PARAMETER_TEXTS, false, 0, 0, "Only these streams; names and patterns as in Start."}, \
    {                                                                                                 \
        "match", PARAMETER_TEXT, false, 0, 0, "Only streams whose name fits this pattern of * and ?." \
    }

static const struct parameter status_in[] = {PAGE("At most so many streams (1000)."), {0}};

static const struct parameter which_in[] = {WHICH, {0}};

static const struct parameter start_in[] = {
    WHICH,
    {"at", PARAMETER_TEXT, false, 0, 0,
     "Not now but at this time: RFC 3339, or seconds since 1970, with a fraction if wanted. The answer comes "
     "when all is armed."},
    {"clock", PARAMETER_TEXT, false, 0, 0, "The clock that at is read on: realtime (default) or tai."},
    {"max_skew_ns", PARAMETER_INT, false, 0, INT64_MAX,
     "Refuse when the kernel does not know its clock this well (adjtimex), or not at all."},
    {0}};

static const struct parameter rate_in[] = {
    WHICH,
    {"rate", PARAMETER_TEXT, false, 0, 0, "As in the file: 500kpps, 1.5Gbit/L1, 30%, max."},
    {"multiplier", PARAMETER_TEXT, false, 0, 0, "Times the stream's rate: 0.5, 2."},
    {0}};

static const struct parameter counters_in[] = {
    FILTER,
    PAGE("At most so many streams (1000)."),
    {"interval_ms", PARAMETER_INT, false, 10, 60000, "With more: how often (1000)."},
    {0}};

static const struct parameter report_in[] = {FILTER, PAGE("At most so many streams (all)."), {0}};

static const struct parameter apply_in[] = {
    {"templates", PARAMETER_OBJECT, false, 0, 0, "As in the file, as JSON. Nothing in it may name a file."},
    {"streams", PARAMETER_OBJECTS, false, 0, 0, "As in the file, as JSON."},
    {"add", PARAMETER_BOOL, false, 0, 0,
     "Beside the streams in force, where the same names are replaced; without it, in their place."},
    {"dry", PARAMETER_BOOL, false, 0, 0, "Only check, and say what would change."},
    {0}};

static const struct parameter lease_in[] = {
    {"seconds", PARAMETER_INT, true, 1, 86400, "How long, from now."},
    {"force", PARAMETER_BOOL, false, 0, 0, "Take over from another holder."},
    {"session", PARAMETER_BOOL, false, 0, 0,
     "For this connection alone, and until it closes; without it, for all that your user does."},
    {0}};

#define COUNTERS_OUT "run: Run, ports: []PortCounters, streams: []StreamCounters, streams_total: int"
#define CHANGE_OUT   "added: int, removed: int, changed: int, unchanged: int, warnings: []string"

static const struct method methods[] = {
    {.name = "GetStatus",
     .handle = method_get_status,
     .in = status_in,
     .out = "version: string,\n"
            "  configuration: (source: string, streams: int, warnings: []string),\n"
            "  lease: ?LeaseStatus, run: Run, ports: []PortStatus,\n"
            "  streams: []StreamStatus, streams_total: int",
     .text = "What there is and how it does: ports with what their links and rings are, streams, which\n"
             "configuration is in force, who holds the lease.\n",
     .example = "{\"limit\":10}"},
    {.name = "Start",
     .handle = method_start,
     .role = ROLE_CHANGE,
     .in = start_in,
     .out = "run: int, armed: bool",
     .text =
         "Starts streams. The first start opens a run and sets all counters to zero; later ones join it.\n"
         "Answers when the streams run or, with at, are armed.\n"},
    {.name = "Stop",
     .handle = method_stop,
     .role = ROLE_CHANGE,
     .in = which_in,
     .out = "",
     .text = "Stops streams, takes back what is not yet sent, and answers when the rings are drained:\n"
             "no frame leaves after the answer.\n"},
    {.name = "Pause",
     .handle = method_pause,
     .role = ROLE_CHANGE,
     .in = which_in,
     .out = "",
     .text = "Pauses running streams; their time stands still.\n"},
    {.name = "Resume",
     .handle = method_resume,
     .role = ROLE_CHANGE,
     .in = which_in,
     .out = "",
     .text = "Lets paused streams go on, with the packet that was next.\n"},
    {.name = "SetRate",
     .handle = method_set_rate,
     .role = ROLE_CHANGE,
     .in = rate_in,
     .out = "",
     .text = "Changes the rate of streams, running or not. Needs rate, multiplier or both.\n",
     .example = "{\"multiplier\":\"1\"}"},
    {.name = "Counters",
     .handle = method_counters,
     .streams = true,
     .in = counters_in,
     .out = COUNTERS_OUT,
     .text =
         "The accounts of the run, once or again and again. A client that reads more slowly than it asked\n"
         "for misses snapshots.\n",
     .example = "{\"match\":\"*\",\"interval_ms\":100}"},
    {.name = "Report",
     .handle = method_report,
     .in = report_in,
     .out = COUNTERS_OUT ",\n  history: []HistoryPoint",
     .text = "The frozen result of the last run that ended.\n"},
    {.name = "Apply",
     .handle = method_apply,
     .role = ROLE_CHANGE,
     .large = true,
     .in = apply_in,
     .out = CHANGE_OUT,
     .text = "Puts a set of templates and streams in force, checked whole, in the words of volleyd.conf(5).\n"
             "Streams that stay the same go on undisturbed; changed and removed ones are stopped. Ports and\n"
             "safety stay the file's. Requests may be 32 MiB long, one at a time.\n",
     .example = "{\"streams\":[],\"add\":true,\"dry\":true}"},
    {.name = "Reload",
     .handle = method_reload,
     .role = ROLE_CHANGE,
     .out = CHANGE_OUT,
     .text = "Reads the configuration file again, and puts it in the place of what is in force.\n"},
    {.name = "Lease",
     .handle = method_lease,
     .role = ROLE_CHANGE,
     .in = lease_in,
     .out = "holder: string, until: string",
     .text = "Holds the daemon: until the lease is released or runs out, others may only read, or take over\n"
             "with force. Asked for again, it is renewed. When it runs out, traffic stops.\n",
     .example = "{\"seconds\":60}"},
    {.name = "Release",
     .handle = method_release,
     .role = ROLE_CHANGE,
     .out = "",
     .text = "Gives the lease back; traffic goes on.\n"},
    {0},
};

static const struct interface_error errors[] = {
    {"NotFound", "name: string, nearest: string", "No stream or port has that name. nearest may be empty.\n"},
    {"Refused", "reason: string, key: string",
     "Safety or an interface forbids it. key: the configuration's key that would allow it, or empty.\n"},
    {"Held", "holder: string, remaining_ms: int", "Another client holds the lease.\n"},
    {"Invalid", "complaints: []Complaint",
     "What was sent cannot be used; nothing was changed. where is a path in the request, or `request`; a\n"
     "request that is no Varlink call at all is answered so, too, and the connection is closed.\n"},
    {"Busy", "reason: string", "Not now; try again.\n"},
    {"Undrained", "reason: string",
     "Stopped, but frames are still with the kernel after the port's drain time.\n"},
    {"NoResult", "", "No run has ended yet.\n"},
    {"ReadOnly", "method: string", "The method changes something, and this is the status socket.\n"},
    {0}};

const struct interface control_interface = {
    .name = "io.volleyd",
    .text = "volleyd, the packet generator daemon.\n"
            "Frames are counted on the wire, sizes with FCS; rates in frames or bits a second.\n",
    .types = view_types,
    .methods = methods,
    .errors = errors,
};

/* ---- the whole ---- */

int control_new(const struct control_wishes *wishes, struct control **out, struct err *err)
{
    struct control *control = calloc(1, sizeof *control);
    if (control == NULL)
        return err_set(err, -ENOMEM, "no memory");
    control->wishes = *wishes;
    control->volley = wishes->volley;
    control->warnings = complaints_view(wishes->warnings, false);
    if (control->warnings == NULL) {
        free(control);
        return err_set(err, -ENOMEM, "no memory");
    }
    control->wishes.warnings = NULL; /* was borrowed for the call */
    control->service = (struct service){.vendor = "volleyd",
                                        .product = "volleyd",
                                        .version = wishes->version,
                                        .url = "",
                                        .interface = &control_interface,
                                        .context = control,
                                        .admit = admit,
                                        .closed = on_closed};
    lease_init(&control->lease, wishes->loop, on_lapsed, control);
    *out = control;
    return 0;
}

void control_free(struct control *control)
{
    if (control == NULL)
        return;
    reading_fini(control);
    changing_fini(control);
    lease_fini(&control->lease);
    json_decref(control->warnings);
    free(control);
}

const struct service *control_service(struct control *control)
{
    return &control->service;
}
