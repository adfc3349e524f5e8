/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs that are one call each: stop, pause, resume, rate, reload; and what the shell and the build ask
 * for: version, names, describe. */
#include <string.h>

#include "base/units.h"
#include "cli/apply.h"
#include "cli/handlers.h"
#include "config.h"

/* A selection that is empty means all; with --json the reply is printed, else nothing: no news is good. */
static int steer(struct session *session, const char *method, json_t *parameters)
{
    json_t *reply = NULL;
    int code = session_call(session, method, parameters, &reply);
    if (code == EXIT_DONE)
        session_prints_json(session, reply);
    json_decref(reply);
    return code;
}

int stop_run(struct session *session, const struct invocation *with)
{
    return steer(session, "Stop", session_selection(with, 0));
}

int pause_run(struct session *session, const struct invocation *with)
{
    return steer(session, "Pause", session_selection(with, 0));
}

int resume_run(struct session *session, const struct invocation *with)
{
    return steer(session, "Resume", session_selection(with, 0));
}

/* "x1.5" is a multiple, anything else a rate; both are checked here, so that the message is about what was
 * typed. */
static int add_rate(const struct session *session, const char *text, json_t *parameters)
{
    struct err err = {.code = 0};
    struct ratio ratio;
    struct rate rate;
    bool multiple = *text == 'x' || *text == 'X';
    if ((multiple ? units_ratio(text + 1, &ratio, &err) : units_rate(text, &rate, &err)) != 0)
        return session_fail(session, EXIT_USAGE, "rate %s: %s", text, err.text);
    json_object_set_new(parameters, multiple ? "multiplier" : "rate", json_string(text + multiple));
    return EXIT_DONE;
}

int rate_run(struct session *session, const struct invocation *with)
{
    const char *text = with->arguments[with->argument_count - 1];
    bool named = with->argument_count > 1 || option_given(with, "port");
    if (named == option_given(with, "all"))
        return session_fail(session, EXIT_USAGE,
                            named ? "say either which streams, or --all"
                                  : "say which streams: volleyctl rate NAME %s, or volleyctl rate --all %s",
                            text, text);
    json_t *parameters = session_selection(with, 1);
    int code = add_rate(session, text, parameters);
    if (code == EXIT_DONE)
        return steer(session, "SetRate", parameters);
    json_decref(parameters);
    return code;
}

int reload_run(struct session *session, const struct invocation *with)
{
    (void)with;
    return apply_tell(session, "Reload", NULL);
}

int version_run(struct session *session, const struct invocation *with)
{
    (void)with;
    json_t *status = NULL;
    if (!session->json)
        printf("volleyctl %s\n", PACKAGE_VERSION);
    int code = session_call(session, "GetStatus", json_pack("{s:i}", "limit", 1), &status);
    if (code != EXIT_DONE)
        return code;
    json_t *both =
        json_pack("{s:s, s:s}", "volleyctl", PACKAGE_VERSION, "volleyd", field_text(status, "version"));
    if (!session_prints_json(session, both))
        printf("volleyd   %s\n", field_text(status, "version"));
    json_decref(both);
    json_decref(status);
    return EXIT_DONE;
}

/* One name a line; templates are those that streams use. Silent on failure: the shell has asked. */
int names_run(struct session *session, const struct invocation *with)
{
    static const struct {
        const char *kind, *list, *key;
    } kinds[] = {{"streams", "streams", "name"},
                 {"ports", "ports", "name"},
                 {"templates", "streams", "template"},
                 {"names", "ports", "name"},
                 {"names", "streams", "name"}};
    json_t *status = NULL;
    int code = session_all_pages(session, "GetStatus", NULL, &status);
    for (size_t i = 0; code == EXIT_DONE && i < sizeof kinds / sizeof *kinds; i++) {
        size_t index;
        const json_t *row;
        if (strcmp(kinds[i].kind, with->arguments[0]) != 0)
            continue;
        FIELD_EACH(status, kinds[i].list, index, row)
        puts(field_text(row, kinds[i].key));
    }
    json_decref(status);
    return code;
}

int describe_run(struct session *session, const struct invocation *with)
{
    static const struct {
        const char *form;
        void (*print)(FILE *to);
    } forms[] = {{"roff", describe_roff}, {"bash", describe_bash}, {"zsh", describe_zsh}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (strcmp(forms[i].form, with->arguments[0]) == 0) {
            forms[i].print(stdout);
            return EXIT_DONE;
        }
    }
    return session_fail(session, EXIT_USAGE, "describe: roff, bash or zsh");
}
