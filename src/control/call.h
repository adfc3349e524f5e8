/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One request that is being answered: what a method's handler sees of its client. A handler answers at once
 * or later, but exactly once with call_reply() or call_error(); after that the call is gone. A client has one
 * call at a time; its next request waits for the answer. Main thread. */
#ifndef CONTROL_CALL_H
#define CONTROL_CALL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "control/interface.h"

struct call_peer {
    uid_t uid;
    gid_t gid;
    pid_t pid;
    enum role role;      /* of the socket that it came by */
    uint64_t connection; /* a number that no other connection of this server has or had */
};

const struct call_peer *call_peer(const struct call *call);
const struct method *call_method(const struct call *call);
json_t *call_parameters(const struct call *call); /* an object, checked against the table; borrowed */
bool call_more(const struct call *call);          /* the client wants many replies, and the method has them */

/* Each takes parameters over; NULL stands for an empty object. */
void call_reply(struct call *call, json_t *parameters);
void call_error(struct call *call, const char *name, json_t *parameters);
/* One of many replies. A client that has not read the one before misses this one. */
void call_continue(struct call *call, json_t *parameters);
/* When a client vanishes, gone is called in place of any answer, and the call is gone after it. Without gone,
 * the handler answers as always, and nobody hears it. */
void call_on_gone(struct call *call, void (*gone)(void *context), void *context);

#endif
