/* SPDX-License-Identifier: GPL-2.0-or-later */
/* send: one stream named "send", made from options, added to those in force, started and waited for. The
 * values go to the daemon as they were typed: its schema judges them. */
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "cli/handlers.h"
#include "cli/start.h"

#define STREAM "send"

/* Option → group and field of the packet it fills, with its default (NULL: the field is left to the daemon).
 */
static const struct packet_option {
    const char *option, *group, *field, *standard;
    bool number;
} packet_options[] = {
    {"src", "ethernet", "src", NULL, false},
    {"dst", "ethernet", "dst", "02:00:00:00:00:02", false},
    {"vlan", "vlan", "id", NULL, true},
    {"ip-src", "ipv4", "src", "198.18.0.1", false},
    {"ip-dst", "ipv4", "dst", "198.19.0.1", false},
    {"udp-src", "udp", "src", "9", true},
    {"udp-dst", "udp", "dst", "9", true},
};

static void set_word(json_t *group, const char *field, const char *text, bool number)
{
    char *end;
    long value = strtol(text, &end, 10);
    bool is_number = number && *text != '\0' && *end == '\0';
    json_object_set_new(group, field, is_number ? json_integer(value) : json_string(text));
}

/* A list of one-key groups in wire order: [ {"ethernet": {…}}, {"ipv4": {…}}, {"udp": {…}} ]. */
static json_t *packet_of(const struct invocation *with)
{
    json_t *packet = json_array();
    const char *last = "";
    for (size_t i = 0; i < sizeof packet_options / sizeof *packet_options; i++) {
        const struct packet_option *row = &packet_options[i];
        const char *value = option_value(with, row->option);
        if (value == NULL)
            value = row->standard;
        if (value == NULL)
            continue;
        if (strcmp(last, row->group) != 0)
            json_array_append_new(packet, json_pack("{s:{}}", row->group));
        last = row->group;
        json_t *group = json_array_get(packet, json_array_size(packet) - 1);
        set_word(json_object_get(group, row->group), row->field, value, row->number);
    }
    return packet;
}

/* --src without --dst would put src first in a group of its own: both belong to ethernet, which always has a
 * dst. Options that only say when and how much are the stream's own keys. */
static json_t *stream_of(const struct invocation *with)
{
    static const char *const own[] = {"size", "rate", "count", "duration"};
    const char *template = option_value(with, "packet");
    json_t *stream = json_pack("{s:s, s:s, s:s}", "name", STREAM, "port", with->arguments[0], "template",
                               template == NULL ? STREAM : template);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        const char *value = option_value(with, own[i]);
        if (value != NULL)
            set_word(stream, own[i], value, true);
    }
    return stream;
}

/* What the command line says wrongly is better told about here, in its own words. */
static int check_words(const struct session *session, const struct invocation *with)
{
    struct rate rate;
    uint64_t ns, count = 1;
    struct err err = {.code = 0};
    const char *text = option_value(with, "rate"), *duration = option_value(with, "duration");
    if (text != NULL && units_rate(text, &rate, &err) != 0)
        return session_fail(session, EXIT_USAGE, "--rate %s: %s", text, err.text);
    if (duration != NULL && units_time_ns(duration, &ns, &err) != 0)
        return session_fail(session, EXIT_USAGE, "--duration %s: %s", duration, err.text);
    if (!option_given(with, "packet"))
        return option_count(session, with, "count", &count);
    for (size_t i = 0; i < sizeof packet_options / sizeof *packet_options; i++)
        if (option_given(with, packet_options[i].option))
            return session_fail(session, EXIT_USAGE,
                                "--%s has no place beside --packet, which brings its own headers",
                                packet_options[i].option);
    return option_count(session, with, "count", &count);
}

static int send_apply(struct session *session, const struct invocation *with)
{
    json_t *parameters = json_pack("{s:b, s:[o]}", "add", 1, "streams", stream_of(with));
    if (!option_given(with, "packet"))
        json_object_set_new(parameters, "templates", json_pack("{s:o}", STREAM, packet_of(with)));
    return session_call(session, "Apply", parameters, NULL);
}

int send_run(struct session *session, const struct invocation *with)
{
    int code = check_words(session, with);
    if (code != EXIT_DONE)
        return code;
    json_t *selection = json_pack("{s:[s]}", "streams", STREAM), *reply = NULL;
    bool waits = !option_given(with, "no-wait");
    if (waits)
        session_catch_interrupt();
    code = send_apply(session, with);
    if (code == EXIT_DONE)
        code = session_call(session, "Start", json_incref(selection), &reply);
    if (code == EXIT_DONE && waits)
        code = start_wait(session, selection);
    else if (code == EXIT_DONE)
        session_prints_json(session, reply);
    json_decref(reply);
    json_decref(selection);
    return code;
}
