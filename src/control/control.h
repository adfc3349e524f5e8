/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The interface io.volleyd on a struct volley: its handlers, the lease, the streams of counters, and what a
 * reload is, whoever asks for it. Main thread. */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include <ev.h>

#include "control/server.h"
#include "run/run.h"

struct control;
struct control_wishes {
    struct ev_loop *loop;
    struct volley *volley; /* borrowed */
    const char *version;
    const struct complaints *warnings; /* of the configuration in force; borrowed for the call */
    /* Reads the configuration again, as at the start. */
    int (*read)(void *context, struct plan **out, struct complaints *complaints);
    volley_tell *tell; /* for the log: every change with who asked for it */
    void *context;     /* of read and tell */
};
int control_new(const struct control_wishes *wishes, struct control **out, struct err *err);
/* After server_free(), and before volley_free(). NULL is fine. */
void control_free(struct control *control);
const struct service *control_service(struct control *control); /* for server_new() */

/* What SIGHUP does: Reload without a client. done may be NULL; err is NULL when all is well. */
void control_reload(struct control *control, void (*done)(void *context, const struct err *err),
                    void *context);

extern const struct interface control_interface; /* io.volleyd */

#endif
