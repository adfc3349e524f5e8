/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Varlink messages on a UNIX stream socket: framing and JSON for both sides, and a small blocking client.
 *
 * A message is one JSON object. It ends in NUL, or in a newline when the text before it is a complete object
 * and no NUL has been seen on this connection (so that `nc -U` and `jq` work). Numbers beyond 64 bits,
 * duplicate keys, invalid UTF-8 and more than VARLINK_DEPTH nested brackets are refused. One thread at a
 * time. */
#ifndef CONTROL_VARLINK_H
#define CONTROL_VARLINK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define VARLINK_REQUEST_BYTES ((size_t)64 << 10)
#define VARLINK_APPLY_BYTES   ((size_t)32 << 20)
#define VARLINK_REPLY_BYTES   ((size_t)256 << 20) /* what the client takes */
enum { VARLINK_DEPTH = 32 };

/* Bytes in, messages out. Embedded in a connection. */
struct varlink_reader {
    char *bytes;                   /* owned */
    size_t length, capacity;       /* bytes held; room */
    size_t limit;                  /* of one message; may be raised at any time */
    size_t scanned;                /* of length, looked at */
    size_t consumed;               /* of the message handed out last; dropped at the next call */
    unsigned depth;                /* open brackets at scanned */
    bool in_text, escaped, closed; /* state of the scan; closed: the object is complete */
    bool nul_seen;                 /* newlines are plain white space from now on */
};

void varlink_reader_init(struct varlink_reader *reader, size_t limit_bytes);
void varlink_reader_fini(struct varlink_reader *reader);
/* Where the next bytes of the socket go: room is at least 1. -EMSGSIZE when the message is over the limit,
 * -ENOMEM. The caller then adds what it read to `length`. */
int varlink_reader_room(struct varlink_reader *reader, char **at, size_t *room, struct err *err);
/* 1 and the next message (borrowed until the next call), 0 when more bytes are needed, -EPROTO when what came
 * can never become one. */
int varlink_reader_next(struct varlink_reader *reader, const char **text, size_t *length, struct err *err);
/* Whether a message has begun and is not complete. */
bool varlink_reader_partial(const struct varlink_reader *reader);
/* How the last message ended, and so how its answer should: '\0' or '\n'. */
char varlink_reader_terminator(const struct varlink_reader *reader);

/* A new reference in *out, or -EPROTO and where the text is wrong. */
int varlink_decode(const char *text, size_t length, json_t **out, struct err *err);
/* Compact text with its terminator (not counted: length + 1 bytes); the caller frees. NULL when memory is
 * out. */
char *varlink_encode(const json_t *message, char terminator, size_t *length);

/* jansson leaves out what it had no memory for, and only tells callers who look at every member. After
 * varlink_watch_memory(), which is for the whole process, varlink_memory_failed() says whether anything could
 * not be allocated since it was asked last. One thread. */
void varlink_watch_memory(void);
bool varlink_memory_failed(void);
json_t *varlink_no_memory(void); /* NULL; from now on memory has failed: for what others could not allocate */

struct varlink_request { /* borrowed from the message */
    const char *method;
    json_t *parameters; /* an object, or NULL */
    bool more, oneway, upgrade;
};
int varlink_request_read(json_t *message, struct varlink_request *out, struct err *err);

/* The client. timeout_ms bounds connecting and each reply; 0: for ever. Failures: -ETIMEDOUT, -EPIPE when the
 * daemon hung up, -EPROTO when it answered nonsense; from connecting: -ENOENT, -ECONNREFUSED, -EACCES,
 * -ENAMETOOLONG, …; after one of them only varlink_close() is left. */
struct varlink_client;
int varlink_connect(const char *path, int timeout_ms, struct varlink_client **out, struct err *err);
void varlink_close(struct varlink_client *client);   /* NULL is fine */
int varlink_fd(const struct varlink_client *client); /* for a poll of one's own between receives */

enum { VARLINK_MORE = 1, VARLINK_ONEWAY = 2 };
struct varlink_reply {
    const char *error;  /* NULL: success; borrowed from message */
    json_t *parameters; /* an object, never NULL; borrowed from message */
    bool continues;
    json_t *message; /* owned: varlink_reply_fini() */
};
void varlink_reply_fini(struct varlink_reply *reply);

/* parameters is borrowed and may be NULL. */
int varlink_send(struct varlink_client *client, const char *method, const json_t *parameters, unsigned flags,
                 struct err *err);
int varlink_receive(struct varlink_client *client, struct varlink_reply *out, struct err *err);
/* Whether a whole reply has been read already, so that a poll of the fd would wait in vain. */
bool varlink_pending(struct varlink_client *client);

/* Send, then each reply to the callback until the last. A callback that does not return 0 ends the call with
 * that value; replies that still come are the caller's to receive, or to close. An error reply is a reply:
 * the call returns 0. */
typedef int varlink_take(void *context, const struct varlink_reply *reply);
int varlink_call(struct varlink_client *client, const char *method, const json_t *parameters, unsigned flags,
                 varlink_take *take, void *context, struct err *err);

#endif
