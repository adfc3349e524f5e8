/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lease: hold the daemon, give it back, or say who holds it. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/units.h"
#include "cli/handlers.h"

static int tell_holder(struct session *session)
{
    json_t *status = NULL;
    int code = session_call(session, "GetStatus", json_pack("{s:i}", "limit", 1), &status);
    if (code != EXIT_DONE)
        return code;
    const json_t *lease = json_object_get(status, "lease");
    char time[32], holder[128];
    if (session->json)
        session_prints_json(session, json_is_object(lease) ? lease : json_null());
    else if (!json_is_object(lease))
        puts("nobody holds a lease");
    else
        printf("%s holds it for another %s\n",
               output_clean(field_text(lease, "holder"), holder, sizeof holder),
               units_format_time(field_u64(lease, "remaining_ms") * NS_PER_MS, time, sizeof time));
    json_decref(status);
    return EXIT_DONE;
}

static int take(struct session *session, uint64_t seconds, bool force, bool tells)
{
    json_t *reply = NULL;
    json_t *parameters = json_pack("{s:I, s:b}", "seconds", (json_int_t)seconds, "force", (int)force);
    int code = session_call(session, "Lease", parameters, &reply);
    if (code == EXIT_DONE && tells && !session_prints_json(session, reply))
        printf("held until %s\n", field_text(reply, "until"));
    json_decref(reply);
    return code;
}

/* Renews at a third of the time, so that two renewals may be late. */
static int keep(struct session *session, uint64_t seconds)
{
    int code = EXIT_DONE;
    while (code == EXIT_DONE && session_sleep(seconds * 1000 / 3))
        code = take(session, seconds, false, false);
    if (!session_interrupted())
        return code;
    session_forgive_interrupt();
    return session_call(session, "Release", NULL, NULL);
}

int lease_run(struct session *session, const struct invocation *with)
{
    if (option_given(with, "release"))
        return session_call(session, "Release", NULL, NULL);
    if (with->argument_count == 0)
        return tell_holder(session);
    uint64_t seconds;
    struct err err = {.code = 0};
    if (units_count(with->arguments[0], &seconds, &err) != 0 || seconds == 0)
        return session_fail(session, EXIT_USAGE, "lease %s: write seconds, such as 60", with->arguments[0]);
    if (option_given(with, "keep"))
        session_catch_interrupt();
    int code = take(session, seconds, option_given(with, "force"), true);
    return code == EXIT_DONE && option_given(with, "keep") ? keep(session, seconds) : code;
}
