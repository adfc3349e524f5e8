/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The Varlink server on libev: listeners with roles, connections with limits.
 *
 *   listener ──► connection: reader ─► request ─► service (table) ─► handler ─► call ─► out ─► socket
 *
 * A connection has at most one call and one unsent answer; its next request is looked at when both are gone,
 * so nothing piles up. Connections over the limit are told Busy and closed; accepting is rationed and rests
 * when descriptors run out. Main thread. */
#ifndef CONTROL_SERVER_H
#define CONTROL_SERVER_H

#include <ev.h>

#include "base/err.h"
#include "control/call.h"
#include "control/interface.h"

/* What the server serves; borrowed for its life. */
struct service {
    const char *vendor, *product, *version, *url;
    const struct interface *interface; /* beside org.varlink.service, which the server brings */
    void *context;                     /* for the handlers and the two below */
    /* Whether a call of a ROLE_CHANGE method may go on; when not, it has answered the call. NULL: always. */
    bool (*admit)(struct call *call, void *context);
    /* A connection is closed. NULL: nobody asks. */
    void (*closed)(void *context, uint64_t connection);
};

struct server_limits {
    unsigned connections;      /* together */
    unsigned read_connections; /* by ROLE_READ sockets */
    double request_s;          /* from a request's first byte to its last */
    double answer_s;           /* from an answer's making to its last byte sent */
};
extern const struct server_limits server_default_limits; /* 64, 48, 5 s, 5 s */

struct server;
int server_new(struct ev_loop *loop, const struct service *service, const struct server_limits *limits,
               struct server **out, struct err *err);
void server_free(struct server *server); /* closes all; pending calls are gone. NULL is fine */

/* Takes a listening socket over (also on failure: it is closed). */
int server_listen(struct server *server, int fd, enum role role, struct err *err);
/* Takes a connected socket over, as if accepted. */
void server_adopt(struct server *server, int fd, enum role role);
unsigned server_connections(const struct server *server);

/* A listening UNIX socket at path with this mode and group ((gid_t)-1: unchanged). A dead socket file in the
 * way is replaced; -EADDRINUSE when somebody listens there. Directories are not made. */
int server_socket(const char *path, mode_t mode, gid_t group, int *out, struct err *err);

#endif
