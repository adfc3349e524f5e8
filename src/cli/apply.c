/* SPDX-License-Identifier: GPL-2.0-or-later */
/* apply: a file of templates and streams is read on this side, by the daemon's own reader, and sent as JSON
 * with the file's words. */
#include "cli/apply.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/handlers.h"
#include "config/read.h"

static void tell_changes(const struct session *session, const json_t *reply)
{
    size_t index;
    const json_t *warning;
    char text[400];
    FIELD_EACH(reply, "warnings", index, warning)
    if (json_is_string(warning))
        printf("%swarning:%s %s\n", tone_on(TONE_WARN, session->colour), tone_off(TONE_WARN, session->colour),
               output_clean(json_string_value(warning), text, sizeof text));
    printf("streams: %" PRIu64 " added, %" PRIu64 " changed, %" PRIu64 " removed, %" PRIu64 " as before\n",
           field_u64(reply, "added"), field_u64(reply, "changed"), field_u64(reply, "removed"),
           field_u64(reply, "unchanged"));
}

int apply_tell(struct session *session, const char *method, json_t *parameters)
{
    json_t *reply = NULL;
    int code = session_call(session, method, parameters, &reply);
    if (code == EXIT_DONE && !session_prints_json(session, reply))
        tell_changes(session, reply);
    json_decref(reply);
    return code;
}

/* What Apply takes of a file; control, safety and ports are the daemon's own and are left out, so that a
 * whole configuration can be applied. */
static json_t *parameters_of(const struct tree *tree, const struct invocation *with)
{
    static const char *const keys[] = {"templates", "streams"};
    json_t *whole = tree_to_json(tree_root(tree)), *parameters = json_object();
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (json_object_get(whole, keys[i]) != NULL)
            json_object_set(parameters, keys[i], json_object_get(whole, keys[i]));
    json_decref(whole);
    if (option_given(with, "add"))
        json_object_set_new(parameters, "add", json_true());
    if (option_given(with, "dry"))
        json_object_set_new(parameters, "dry", json_true());
    return parameters;
}

static int tell_complaints(const struct session *session, const char *path,
                           const struct complaints *complaints)
{
    char *text = NULL;
    size_t length;
    FILE *to = open_memstream(&text, &length);
    for (size_t i = 0; to != NULL && i < complaints_count(complaints); i++) {
        const struct complaint *one = complaints_get(complaints, i);
        fprintf(to, "\n  %s: %s", one->where, one->text);
    }
    if (to != NULL)
        fclose(to);
    int code = session_fail(session, EXIT_USAGE, "%s was not sent, because of this:%s", path,
                            text == NULL ? "" : text);
    free(text);
    return code;
}

int apply_run(struct session *session, const struct invocation *with)
{
    const char *path = strcmp(with->arguments[0], "-") == 0 ? "/dev/stdin" : with->arguments[0];
    struct complaints *complaints = complaints_new();
    struct tree *tree = NULL;
    int code;
    if (tree_read_file(path, &tree, complaints) != 0)
        code = tell_complaints(session, path, complaints);
    else
        code = apply_tell(session, "Apply", parameters_of(tree, with));
    tree_free(tree);
    complaints_free(complaints);
    return code;
}
