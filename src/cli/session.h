/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One conversation with the daemon: where it listens, how long a reply may take, how to print; and what each
 * failure means for the user and for the exit code. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/command.h"
#include "cli/output.h"

/* Promises to scripts (DESIGN §9). */
enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_REFUSED = 4,
    EXIT_NO_DAEMON = 7,
    EXIT_UNMET = 8,
    EXIT_NOT_VALID = 9,
    EXIT_TIMED_OUT = 124
};

struct session {
    const char *socket; /* NULL: the usual place, falling back to the status socket for what only reads */
    uint64_t timeout_ms;
    bool json, colour, reads;
    struct varlink_client *link; /* owned; NULL until the first call */
    char *story;                 /* borrowed; where failures are told instead, while a screen is drawn */
    size_t story_size;
};

/* Takes the global options. EXIT_DONE, or EXIT_USAGE after telling what is wrong. */
int session_init(struct session *session, const struct invocation *with);
void session_fini(struct session *session);

/* Calls io.volleyd.<method> (or a full name with dots); takes over parameters (NULL: none). EXIT_DONE and a
 * new reference in *reply (reply may be NULL), else an exit code after telling the story. */
int session_call(struct session *session, const char *method, json_t *parameters, json_t **reply);

/* Asks for a stream of replies; then each session_next() brings one, waiting at most wait_ms beside the
 * timeout. EXIT_FAILED without a word when interrupted. */
int session_stream(struct session *session, const char *method, json_t *parameters);
int session_next(struct session *session, uint64_t wait_ms, json_t **reply);

/* All streams of a paged method (GetStatus, Counters) in one reply. Takes over parameters. */
int session_all_pages(struct session *session, const char *method, json_t *parameters, json_t **reply);

/* Tells a failure: text on stderr, or {"error", "text", "exit"} on stdout with --json. Returns code. */
__attribute__((format(printf, 3, 4))) int session_fail(const struct session *session, enum exit_code code,
                                                       const char *format, ...);

/* With --json prints the value and returns true. */
bool session_prints_json(const struct session *session, const json_t *value);

/* {"streams": [names], "port": name}: what the arguments (but the last `without`) and --port select; empty
 * for all. New reference. */
json_t *session_selection(const struct invocation *with, size_t without);

/* From here on Ctrl-C and SIGTERM do not end the program but its waiting: they are let through only there. */
void session_catch_interrupt(void);
bool session_interrupted(void);
void session_forgive_interrupt(void); /* for the calls that clean up after it */
/* 1: fd (-1: none) is readable, 0: the time has passed, -EINTR: interrupted. */
int session_wait(int fd, uint64_t ms);
bool session_sleep(uint64_t ms); /* false when interrupted */

/* "1.5" of an option in milliseconds; EXIT_USAGE after telling when it is no time in [least, most]. Untouched
 * when the option is not given. Plain numbers are seconds. */
int option_ms(const struct session *session, const struct invocation *with, const char *name, uint64_t least,
              uint64_t most, uint64_t *out);
int option_count(const struct session *session, const struct invocation *with, const char *name,
                 uint64_t *out);

#endif
