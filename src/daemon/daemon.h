/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that the running daemon owns, and the steps that make and unmake it. main.c lists them in order; each
 * init may use what the ones before it made. Main thread. */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <ev.h>
#include <signal.h>

#include "control/control.h"
#include "daemon/options.h"
#include "daemon/privilege.h"

struct daemon_socket {
    int fd;           /* owned until the server has it; -1: none */
    const char *path; /* owned copy; NULL: systemd's, which stays when we go */
};

struct daemon {
    struct options options;
    struct account account;
    struct plan *plan;               /* owned: of the start; then volley's */
    struct complaints *complaints;   /* owned: what was said about it */
    char *marker;                    /* owned: path of the file that a clean end removes */
    char crash[300];                 /* what became of the daemon before us; "": nothing bad */
    struct daemon_socket sockets[2]; /* by enum role */
    struct ev_loop *loop;            /* libev's default */
    struct volley *volley;           /* owned */
    struct control *control;         /* owned */
    struct server *server;           /* owned */
    ev_signal signals[3];
    ev_timer watchdog, status;
    char told[400]; /* the STATUS text that systemd has */
    bool ending;
};

typedef int daemon_init(struct daemon *daemon, struct err *err);
typedef void daemon_fini(struct daemon *daemon);

/* sockets.c */
daemon_init sockets_init; /* from systemd, else in the file system */
daemon_fini sockets_fini; /* removes what we made */

/* marker.c: a file beside the control socket, there while we run. */
daemon_init marker_init; /* finds out whether the last daemon ended well */
daemon_fini marker_fini;

/* supervise.c */
daemon_init supervise_init; /* signals, watchdog, STATUS; READY is sent */
daemon_fini supervise_fini;
daemon_init autostart_init; /* streams with autostart, unless the last daemon crashed */

/* print.c: the modes that print and exit; the exit code. */
int print_check(const struct options *options);
int print_dry_run(const struct options *options);
int print_explain(const struct options *options);
int print_manual(const struct options *options);

/* The configuration as a plan; complaints (owned by the caller) say what is wrong. */
int daemon_read_plan(const char *path, struct plan **out, struct complaints *complaints);
/* Each complaint as a line. */
void daemon_print_complaints(const struct complaints *complaints, void (*print)(const char *line));

#endif
