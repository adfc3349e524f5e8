/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One client of the server: reads requests, runs one call at a time, writes its answers, and closes when the
 * client breaks a rule or a time limit. Main thread; only server.c makes them. */
#ifndef CONTROL_CONNECTION_H
#define CONTROL_CONNECTION_H

#include <ev.h>

#include "control/server.h"

struct connection;

/* What all connections of a server share. */
struct connection_host {
    struct ev_loop *loop;
    const struct service *service;
    double request_s, answer_s;
    struct connection *large; /* the one whose request may exceed VARLINK_REQUEST_BYTES now; NULL: none */
    /* The connection is about to free itself: forget it. */
    void (*gone)(struct connection_host *host, struct connection *connection);
};

struct connection_link { /* the server's list */
    struct connection_link *next, **back;
    struct connection *connection;
};

/* Takes fd (non-blocking, connected) over; NULL when memory is out, and fd is closed. */
struct connection *connection_new(struct connection_host *host, int fd, enum role role, uint64_t number);
void connection_close(struct connection *connection);
const struct call_peer *connection_peer(const struct connection *connection);
struct connection_link *connection_link(struct connection *connection);

#endif
