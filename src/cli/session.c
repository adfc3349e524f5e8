/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every wait goes through session_wait(): bounded by the timeout, ended by Ctrl-C once that is caught.
 * Signals are blocked outside of ppoll(), so that none is lost between a look at the flag and the wait. */
#include "cli/session.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/units.h"
#include "control/varlink.h"

#define CONTROL_SOCKET "/run/volleyd/control.sock"
#define STATUS_SOCKET  "/run/volleyd/status.sock"
enum { TIMEOUT_DEFAULT_MS = 5000, TEXT_BYTES = 4096, PAGE = 1000 };

static volatile sig_atomic_t interrupted;
static sigset_t waiting_mask;
static bool catching;

static void note_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

void session_catch_interrupt(void)
{
    struct sigaction action = {.sa_handler = note_interrupt};
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGTERM);
    sigprocmask(SIG_BLOCK, &both, &waiting_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    catching = true;
}

bool session_interrupted(void)
{
    return interrupted != 0;
}

void session_forgive_interrupt(void)
{
    interrupted = 0;
}

int session_wait(int fd, uint64_t ms)
{
    uint64_t until = clock_monotonic_ns() + ms * NS_PER_MS;
    for (;;) {
        uint64_t now = clock_monotonic_ns(), left = now < until ? until - now : 0;
        struct timespec time = {.tv_sec = (time_t)(left / NS_PER_SECOND),
                                .tv_nsec = (long)(left % NS_PER_SECOND)};
        struct pollfd one = {.fd = fd, .events = POLLIN};
        int ready = ppoll(&one, fd < 0 ? 0 : 1, &time, catching ? &waiting_mask : NULL);
        if (interrupted)
            return -EINTR;
        if (ready > 0 || left == 0)
            return ready > 0;
    }
}

bool session_sleep(uint64_t ms)
{
    return session_wait(-1, ms) == 0;
}

static const char *const code_words[] = {
    [EXIT_DONE] = "done",           [EXIT_FAILED] = "failed",       [EXIT_USAGE] = "usage",
    [EXIT_REFUSED] = "refused",     [EXIT_NO_DAEMON] = "no-daemon", [EXIT_UNMET] = "unmet",
    [EXIT_NOT_VALID] = "not-valid", [EXIT_TIMED_OUT] = "timed-out"};

static int tell(const struct session *session, enum exit_code code, const char *error,
                const json_t *parameters, const char *text)
{
    if (session->story != NULL) {
        snprintf(session->story, session->story_size, "%s", text);
        return (int)code;
    }
    if (!session->json) {
        fprintf(stderr, "volleyctl: %s\n", text);
        return (int)code;
    }
    json_t *story = json_pack("{s:s, s:s, s:i, s:O*}", "error", error, "text", text, "exit", (int)code,
                              "parameters", parameters);
    output_json(story, stdout, true);
    json_decref(story);
    return (int)code;
}

int session_fail(const struct session *session, enum exit_code code, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return tell(session, code, code_words[code], NULL, text);
}

bool session_prints_json(const struct session *session, const json_t *value)
{
    if (session->json)
        output_json(value, stdout, !output_wants_colour(stdout));
    return session->json;
}

/* --- what each error of the interface means ---------------------------------------------------------- */

typedef void story_writer(const json_t *parameters, char *out, size_t size);

static void story_not_found(const json_t *p, char *out, size_t size)
{
    const char *nearest = field_text(p, "nearest");
    snprintf(out, size, "there is no %s%s%s%s; volleyctl status shows what there is", field_text(p, "name"),
             *nearest == '\0' ? "" : " (", nearest, *nearest == '\0' ? "" : "?)");
}

static void story_refused(const json_t *p, char *out, size_t size)
{
    const char *key = field_text(p, "key");
    snprintf(out, size, "refused: %s%s%s%s", field_text(p, "reason"), *key == '\0' ? "" : "\n  the key is ",
             key, *key == '\0' ? "" : " in volleyd.conf (then: volleyctl reload)");
}

static void story_held(const json_t *p, char *out, size_t size)
{
    char time[32];
    snprintf(out, size,
             "%s holds the daemon for another %s; wait, or take over with: volleyctl lease 60 --force",
             field_text(p, "holder"),
             units_format_time(field_u64(p, "remaining_ms") * NS_PER_MS, time, sizeof time));
}

static void story_invalid(const json_t *p, char *out, size_t size)
{
    size_t index, used = (size_t)snprintf(out, size, "nothing was changed, because of this:");
    const json_t *one;
    FIELD_EACH(p, "complaints", index, one)
    {
        if (used < size)
            used += (size_t)snprintf(out + used, size - used, "\n  %s: %s", field_text(one, "where"),
                                     field_text(one, "text"));
    }
}

static void story_reason(const json_t *p, char *out, size_t size)
{
    snprintf(out, size, "not now: %s", field_text(p, "reason"));
}

static void story_undrained(const json_t *p, char *out, size_t size)
{
    snprintf(out, size, "stopped, but not drained: %s; volleyctl counters shows what is in flight",
             field_text(p, "reason"));
}

static void story_no_result(const json_t *p, char *out, size_t size)
{
    (void)p;
    snprintf(out, size, "no run has ended yet, so there is no result; volleyctl start --wait makes one");
}

static void story_read_only(const json_t *p, char *out, size_t size)
{
    snprintf(out, size, "%s changes things, and this is the read-only status socket; use --socket %s",
             field_text(p, "method"), CONTROL_SOCKET);
}

static void story_parameter(const json_t *p, char *out, size_t size)
{
    snprintf(out, size,
             "the daemon does not accept the value of %s; volleyctl COMMAND --help shows what fits",
             field_text(p, "parameter"));
}

static void story_other_version(const json_t *p, char *out, size_t size)
{
    const char *method = field_text(p, "method");
    snprintf(out, size,
             "the daemon does not know %s; volleyctl version shows whether it is of another version",
             *method == '\0' ? field_text(p, "interface") : method);
}

static const struct {
    const char *error;
    enum exit_code code;
    story_writer *write;
} stories[] = {
    {"io.volleyd.NotFound", EXIT_USAGE, story_not_found},
    {"io.volleyd.Refused", EXIT_REFUSED, story_refused},
    {"io.volleyd.Held", EXIT_REFUSED, story_held},
    {"io.volleyd.Invalid", EXIT_USAGE, story_invalid},
    {"io.volleyd.Busy", EXIT_FAILED, story_reason},
    {"io.volleyd.Undrained", EXIT_NOT_VALID, story_undrained},
    {"io.volleyd.NoResult", EXIT_FAILED, story_no_result},
    {"io.volleyd.ReadOnly", EXIT_REFUSED, story_read_only},
    {"org.varlink.service.InvalidParameter", EXIT_USAGE, story_parameter},
    {"org.varlink.service.MethodNotFound", EXIT_FAILED, story_other_version},
    {"org.varlink.service.MethodNotImplemented", EXIT_FAILED, story_other_version},
    {"org.varlink.service.InterfaceNotFound", EXIT_FAILED, story_other_version},
};

static int tell_error(const struct session *session, const char *error, const json_t *parameters)
{
    char text[TEXT_BYTES];
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        if (strcmp(stories[i].error, error) != 0)
            continue;
        stories[i].write(parameters, text, sizeof text);
        return tell(session, stories[i].code, error, parameters, text);
    }
    snprintf(text, sizeof text, "the daemon answered %s", error);
    return tell(session, EXIT_FAILED, error, parameters, text);
}

/* --- connecting --------------------------------------------------------------------------------------- */

static int no_permission(const struct session *session, const char *path)
{
    struct stat about;
    const struct group *group = stat(path, &about) == 0 ? getgrgid(about.st_gid) : NULL;
    if (group == NULL || group->gr_gid == 0)
        return session_fail(session, EXIT_REFUSED, "you may not open %s; try as root", path);
    return session_fail(session, EXIT_REFUSED,
                        "you may not open %s: it is for the group %s\n"
                        "  join it: sudo usermod -aG %s $USER, then log in again\n"
                        "  only to read: --socket " STATUS_SOCKET,
                        path, group->gr_name, group->gr_name);
}

static int no_daemon(const struct session *session, const char *path, const struct err *err)
{
    return session_fail(session, EXIT_NO_DAEMON,
                        "no daemon answers on %s (%s)\n"
                        "  start it: sudo systemctl start volleyd (or by hand: volleyd -c FILE)\n"
                        "  elsewhere: --socket PATH, or VOLLEYD_SOCKET in the environment",
                        path, strerror(-err->code));
}

static int timed_out(const struct session *session)
{
    return session_fail(session, EXIT_TIMED_OUT,
                        "no reply within %.3g s; --timeout SECONDS waits longer, "
                        "journalctl -u volleyd may say why",
                        (double)session->timeout_ms / 1000);
}

static int hung_up(const struct session *session, const struct err *err)
{
    if (err->code == -ETIMEDOUT)
        return timed_out(session);
    return session_fail(session, EXIT_FAILED, "%s; journalctl -u volleyd may say why", err->text);
}

static int session_connect(struct session *session)
{
    if (session->link != NULL)
        return EXIT_DONE;
    struct err err = {.code = 0};
    const char *path = session->socket == NULL ? CONTROL_SOCKET : session->socket;
    int failed = varlink_connect(path, (int)session->timeout_ms, &session->link, &err);
    if (failed == -EACCES && session->socket == NULL && session->reads)
        failed = varlink_connect(STATUS_SOCKET, (int)session->timeout_ms, &session->link, &err);
    if (failed == 0)
        return EXIT_DONE;
    if (failed == -EACCES || failed == -EPERM)
        return no_permission(session, path);
    return failed == -ETIMEDOUT ? timed_out(session) : no_daemon(session, path, &err);
}

static void hang_up(struct session *session)
{
    varlink_close(session->link);
    session->link = NULL;
}

int session_init(struct session *session, const struct invocation *with)
{
    const char *path = option_value(with, "socket");
    if (path == NULL)
        path = getenv("VOLLEYD_SOCKET");
    *session = (struct session){.socket = path == NULL || *path == '\0' ? NULL : path,
                                .timeout_ms = TIMEOUT_DEFAULT_MS,
                                .json = option_given(with, "json"),
                                .colour = output_wants_colour(stdout),
                                .reads = with->command != NULL && with->command->reads};
    return option_ms(session, with, "timeout", 1, UINT64_C(86400000), &session->timeout_ms);
}

void session_fini(struct session *session)
{
    hang_up(session);
}

/* --- calls -------------------------------------------------------------------------------------------- */

static int session_ask(struct session *session, const char *method, json_t *parameters, unsigned flags)
{
    struct err err = {.code = 0};
    char full[80];
    snprintf(full, sizeof full, "%s%s", strchr(method, '.') == NULL ? "io.volleyd." : "", method);
    int code = session_connect(session);
    if (code == EXIT_DONE && varlink_send(session->link, full, parameters, flags, &err) != 0) {
        hang_up(session);
        code = hung_up(session, &err);
    }
    json_decref(parameters);
    return code;
}

int session_next(struct session *session, uint64_t wait_ms, json_t **reply)
{
    if (!varlink_pending(session->link)) {
        int ready = session_wait(varlink_fd(session->link), wait_ms + session->timeout_ms);
        if (ready <= 0) {
            hang_up(session); /* the answer may still come: it must not be taken for another's */
            return ready == 0 ? timed_out(session) : EXIT_FAILED;
        }
    }
    struct err err = {.code = 0};
    struct varlink_reply answer;
    if (varlink_receive(session->link, &answer, &err) != 0) {
        hang_up(session);
        return hung_up(session, &err);
    }
    int code = answer.error == NULL ? EXIT_DONE : tell_error(session, answer.error, answer.parameters);
    if (code == EXIT_DONE && reply != NULL)
        *reply = json_incref(answer.parameters);
    varlink_reply_fini(&answer);
    return code;
}

int session_call(struct session *session, const char *method, json_t *parameters, json_t **reply)
{
    int code = session_ask(session, method, parameters, 0);
    return code == EXIT_DONE ? session_next(session, 0, reply) : code;
}

int session_stream(struct session *session, const char *method, json_t *parameters)
{
    return session_ask(session, method, parameters, VARLINK_MORE);
}

static int next_page(struct session *session, const char *method, const json_t *parameters, size_t offset,
                     json_t **page)
{
    json_t *ask = parameters == NULL ? json_object() : json_copy((json_t *)parameters);
    json_object_set_new(ask, "offset", json_integer((json_int_t)offset));
    json_object_set_new(ask, "limit", json_integer(PAGE));
    return session_call(session, method, ask, page);
}

int session_all_pages(struct session *session, const char *method, json_t *parameters, json_t **reply)
{
    json_t *all = NULL, *page = NULL;
    int code = next_page(session, method, parameters, 0, &all);
    json_t *streams = json_object_get(all, "streams");
    while (code == EXIT_DONE && json_array_size(streams) < field_u64(all, "streams_total")) {
        code = next_page(session, method, parameters, json_array_size(streams), &page);
        if (code != EXIT_DONE)
            break;
        json_t *more = json_object_get(page, "streams");
        bool grew = json_array_size(more) > 0 && json_array_extend(streams, more) == 0;
        json_decref(page);
        if (!grew) /* fewer streams than a moment ago */
            break;
    }
    json_decref(parameters);
    if (code == EXIT_DONE)
        *reply = all;
    else
        json_decref(all);
    return code;
}

json_t *session_selection(const struct invocation *with, size_t without)
{
    json_t *which = json_object(), *streams = json_array();
    for (size_t i = 0; i + without < with->argument_count; i++)
        json_array_append_new(streams, json_string(with->arguments[i]));
    if (json_array_size(streams) > 0)
        json_object_set(which, "streams", streams);
    json_decref(streams);
    const char *port = option_value(with, "port");
    if (port != NULL)
        json_object_set_new(which, "port", json_string(port));
    return which;
}

int option_ms(const struct session *session, const struct invocation *with, const char *name, uint64_t least,
              uint64_t most, uint64_t *out)
{
    const char *text = option_value(with, name);
    if (text == NULL)
        return EXIT_DONE;
    char with_unit[64];
    bool plain = *text != '\0' && text[strspn(text, "0123456789.")] == '\0';
    snprintf(with_unit, sizeof with_unit, "%s%s", text, plain ? "s" : "");
    uint64_t ns;
    struct err err = {.code = 0};
    if (units_time_ns(with_unit, &ns, &err) != 0)
        return session_fail(session, EXIT_USAGE, "--%s %s: %s", name, text, err.text);
    if (ns / NS_PER_MS < least || ns / NS_PER_MS > most)
        return session_fail(session, EXIT_USAGE, "--%s %s: it must be between %g and %g seconds", name, text,
                            (double)least / 1000, (double)most / 1000);
    *out = ns / NS_PER_MS;
    return EXIT_DONE;
}

int option_count(const struct session *session, const struct invocation *with, const char *name,
                 uint64_t *out)
{
    const char *text = option_value(with, name);
    struct err err = {.code = 0};
    if (text == NULL || units_count(text, out, &err) == 0)
        return EXIT_DONE;
    return session_fail(session, EXIT_USAGE, "--%s %s: %s", name, text, err.text);
}
