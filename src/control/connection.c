/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A connection's life:
 *
 *   reading ──whole request──► calling ──answer──► writing ──all sent──► reading (what is buffered first)
 *      │ half a request for request_s       │ nobody takes it for answer_s
 *      ▼                                    ▼
 *    closed ◄──────── refused: the answer is written, then closed
 *
 * Handlers answer from anywhere in the loop, so call_reply() and its kind only queue: the connection is freed
 * only from its own watchers and by server_free(), never under a handler's feet. */
#include "control/connection.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/dispatch.h"
#include "control/varlink.h"

struct call {
    struct connection *connection; /* NULL: the client is gone */
    const struct method *method;   /* borrowed from the table */
    json_t *message;               /* owned */
    json_t *parameters;            /* borrowed from message, or owned by it */
    struct call_peer peer;         /* a copy: it outlives the connection */
    bool more, oneway;
    void (*gone)(void *context);
    void *context;
};

struct connection {
    struct connection_host *host;
    struct connection_link link;
    int fd; /* owned */
    struct call_peer peer;
    struct varlink_reader reader;
    ev_io readable, writable;
    ev_timer request_timer, answer_timer;
    char *out; /* owned: the one unsent answer; NULL: none */
    size_t out_length, out_sent;
    struct call *call; /* pending; NULL: none */
    bool ended;        /* the client sends no more */
    bool closing;      /* close when out is written */
};

/* ---- closing ---- */

static void call_free(struct call *call)
{
    json_decref(call->message);
    free(call);
}

static void abandon_call(struct connection *connection)
{
    struct call *call = connection->call;
    if (call == NULL)
        return;
    connection->call = NULL;
    call->connection = NULL;
    if (call->gone == NULL)
        return; /* the handler answers later, to nobody */
    call->gone(call->context);
    call_free(call);
}

void connection_close(struct connection *connection)
{
    struct connection_host *host = connection->host;
    ev_io_stop(host->loop, &connection->readable);
    ev_io_stop(host->loop, &connection->writable);
    ev_timer_stop(host->loop, &connection->request_timer);
    ev_timer_stop(host->loop, &connection->answer_timer);
    if (host->large == connection)
        host->large = NULL;
    abandon_call(connection);
    host->gone(host, connection);
    if (host->service->closed != NULL)
        host->service->closed(host->service->context, connection->peer.connection);
    close(connection->fd);
    varlink_reader_fini(&connection->reader);
    free(connection->out);
    free(connection);
}

/* ---- answers ---- */

/* Takes text over, behind what is still unsent (the last snapshot of a stream that ends). */
static void queue_text(struct connection *connection, char *text, size_t length)
{
    char *both = text;
    if (connection->out != NULL) {
        both = realloc(connection->out, connection->out_length + length);
        if (both == NULL) {
            free(text);
            connection->closing = true;
            return;
        }
        memcpy(both + connection->out_length, text, length);
        free(text);
    } else
        connection->out_length = connection->out_sent = 0;
    connection->out = both;
    connection->out_length += length;
    ev_io_start(connection->host->loop, &connection->writable);
    ev_timer_again(connection->host->loop, &connection->answer_timer);
}

/* Closes from the loop, when what is queued is written. */
static void close_soon(struct connection *connection)
{
    connection->closing = true;
    ev_io_start(connection->host->loop, &connection->writable);
}

static json_t *answer_message(const char *error, json_t *parameters, bool continues)
{
    json_t *message = json_object();
    bool fine = message != NULL && parameters != NULL &&
                (error == NULL || json_object_set_new(message, "error", json_string(error)) == 0) &&
                json_object_set(message, "parameters", parameters) == 0 &&
                (!continues || json_object_set_new(message, "continues", json_true()) == 0);
    json_decref(parameters);
    if (fine)
        return message;
    json_decref(message);
    return NULL;
}

/* parameters is taken over. Without memory for an answer, or for a part of it, the client is let go: silence
 * would keep it waiting, and an answer with holes would be believed. */
static void answer(struct connection *connection, const char *error, json_t *parameters, bool continues)
{
    size_t length = 0;
    json_t *message = answer_message(error, parameters == NULL ? json_object() : parameters, continues);
    char *text = message == NULL
                     ? NULL
                     : varlink_encode(message, varlink_reader_terminator(&connection->reader), &length);
    json_decref(message);
    if (varlink_memory_failed() || text == NULL) {
        free(text);
        close_soon(connection);
        return;
    }
    queue_text(connection, text, length + 1);
}

/* What came was no request, and where the next one would begin is unknown: tell and close. Neither is known
 * how this client ends its messages, so the answer ends both ways. */
static void refuse(struct connection *connection, const char *error, json_t *parameters)
{
    json_t *message = answer_message(error, parameters, false);
    size_t length = 0;
    char *text = message == NULL ? NULL : varlink_encode(message, '\n', &length);
    char *both = text == NULL ? NULL : realloc(text, length + 2);
    json_decref(message);
    close_soon(connection);
    if (both == NULL) {
        free(text);
        return;
    }
    both[length + 1] = '\0';
    queue_text(connection, both, length + 2);
}

static void release_large(struct connection *connection)
{
    if (connection->host->large == connection)
        connection->host->large = NULL;
    connection->reader.limit = VARLINK_REQUEST_BYTES;
}

static void call_answer(struct call *call, const char *error, json_t *parameters)
{
    struct connection *connection = call->connection;
    if (connection == NULL || call->oneway)
        json_decref(parameters);
    else
        answer(connection, error, parameters, false);
    if (connection != NULL) {
        connection->call = NULL;
        release_large(connection);
        /* Comes back to advance() from the loop, also when there is nothing to write. */
        ev_io_start(connection->host->loop, &connection->writable);
    }
    call_free(call);
}

void call_reply(struct call *call, json_t *parameters)
{
    call_answer(call, NULL, parameters);
}

void call_error(struct call *call, const char *name, json_t *parameters)
{
    call_answer(call, name, parameters);
}

void call_continue(struct call *call, json_t *parameters)
{
    if (call->connection == NULL || call->oneway || call->connection->out != NULL)
        json_decref(parameters);
    else
        answer(call->connection, NULL, parameters, true);
}

void call_on_gone(struct call *call, void (*gone)(void *context), void *context)
{
    call->gone = gone;
    call->context = context;
}

const struct call_peer *call_peer(const struct call *call)
{
    return &call->peer;
}

const struct method *call_method(const struct call *call)
{
    return call->method;
}

json_t *call_parameters(const struct call *call)
{
    return call->parameters;
}

bool call_more(const struct call *call)
{
    return call->more;
}

/* ---- requests ---- */

static void refuse_text(struct connection *connection, const char *text)
{
    refuse(connection, "io.volleyd.Invalid", dispatch_complaint("request", text));
}

static struct call *call_new(struct connection *connection, json_t *message,
                             const struct varlink_request *request, const struct method *method)
{
    struct call *call = calloc(1, sizeof *call);
    json_t *parameters = request->parameters;
    if (call == NULL)
        return NULL;
    if (parameters == NULL) {
        parameters = json_object();
        if (parameters == NULL || json_object_set_new(message, "parameters", parameters) < 0) {
            free(call);
            return NULL;
        }
    }
    *call = (struct call){.connection = connection,
                          .peer = connection->peer,
                          .method = method,
                          .message = json_incref(message),
                          .parameters = parameters,
                          .more = request->more && method->streams,
                          .oneway = request->oneway};
    return call;
}

static void begin_call(struct connection *connection, json_t *message, const struct varlink_request *request,
                       size_t length)
{
    const char *error = NULL;
    json_t *parameters = NULL;
    const struct service *service = connection->host->service;
    (void)varlink_memory_failed(); /* of what came before: this answer is not concerned */
    const struct method *method = dispatch_find(service, request, &error, &parameters);
    if (method == NULL) {
        if (request->oneway)
            json_decref(parameters);
        else
            answer(connection, error, parameters, false);
        return;
    }
    connection->call = call_new(connection, message, request, method);
    if (connection->call == NULL)
        close_soon(connection);
    else
        dispatch_run(service, connection->call, length);
}

static void take_message(struct connection *connection, const char *text, size_t length)
{
    struct varlink_request request;
    struct err err = {0};
    json_t *message = NULL;
    if (varlink_decode(text, length, &message, &err) < 0 || varlink_request_read(message, &request, &err) < 0)
        refuse_text(connection, err.text);
    else
        begin_call(connection, message, &request, length);
    if (connection->call == NULL)
        release_large(connection);
    json_decref(message);
}

static bool is_busy(const struct connection *connection)
{
    return connection->call != NULL || connection->out != NULL || connection->closing;
}

/* The clock of a request runs from its first byte; time that it waits behind a call is not its own. */
static void watch_request_time(struct connection *connection)
{
    struct ev_loop *loop = connection->host->loop;
    if (is_busy(connection) || !varlink_reader_partial(&connection->reader))
        ev_timer_stop(loop, &connection->request_timer);
    else if (!ev_is_active(&connection->request_timer)) {
        ev_timer_set(&connection->request_timer, connection->host->request_s, 0.);
        ev_timer_start(loop, &connection->request_timer);
    }
}

/* Reads on while there is a use for it: a request, or the end of a client that waits for answers. */
static void watch_reading(struct connection *connection)
{
    bool full = is_busy(connection) && connection->reader.length >= VARLINK_REQUEST_BYTES;
    if (connection->ended || connection->closing || full)
        ev_io_stop(connection->host->loop, &connection->readable);
    else
        ev_io_start(connection->host->loop, &connection->readable);
}

/* Takes what is buffered as far as it goes. The connection may be closed afterwards. */
static void advance(struct connection *connection)
{
    struct err err = {0};
    if (!is_busy(connection)) {
        const char *text;
        size_t length;
        int r = varlink_reader_next(&connection->reader, &text, &length, &err);
        if (r < 0)
            refuse_text(connection, err.text);
        else if (r == 0 && connection->ended) {
            connection_close(connection);
            return;
        } else if (r == 1) {
            take_message(connection, text, length);
            /* Its answer, or the loop's next turn, comes back here: one request a turn, fair to others. */
            ev_io_start(connection->host->loop, &connection->writable);
        }
    }
    watch_request_time(connection);
    watch_reading(connection);
}

/* More than the usual limit: the one place of an Apply may be free. */
static void grow_request(struct connection *connection, const char *text)
{
    struct connection_host *host = connection->host;
    if (connection->peer.role != ROLE_CHANGE || connection->reader.limit == VARLINK_APPLY_BYTES)
        refuse_text(connection, text);
    else if (host->large != NULL)
        refuse(connection, "io.volleyd.Busy",
               json_pack("{s:s}", "reason", "another client's large request is being read"));
    else {
        host->large = connection;
        connection->reader.limit = VARLINK_APPLY_BYTES;
    }
}

/* After the end of input: whether the client is gone altogether, or only sends no more (nc -N). */
static bool is_hung_up(const struct connection *connection)
{
    struct pollfd state = {.fd = connection->fd};
    return poll(&state, 1, 0) == 1 && (state.revents & (POLLHUP | POLLERR)) != 0;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    struct connection *connection = watcher->data;
    struct err err = {0};
    char *at;
    size_t room;
    int r = varlink_reader_room(&connection->reader, &at, &room, &err);
    if (r == -EMSGSIZE && !is_busy(connection)) {
        grow_request(connection, err.text);
        advance(connection);
        return;
    }
    if (r < 0) {
        watch_reading(connection);
        return;
    }
    ssize_t n = recv(connection->fd, at, room, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        connection->reader.length += (size_t)n;
    else if (n < 0 || is_hung_up(connection)) {
        connection_close(connection);
        return;
    } else
        connection->ended = true;
    advance(connection);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)events;
    struct connection *connection = watcher->data;
    if (connection->out != NULL) {
        ssize_t n = send(connection->fd, connection->out + connection->out_sent,
                         connection->out_length - connection->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) {
            connection_close(connection);
            return;
        }
        connection->out_sent += (size_t)n;
        if (connection->out_sent < connection->out_length)
            return;
        free(connection->out);
        connection->out = NULL;
        ev_timer_stop(loop, &connection->answer_timer);
    }
    ev_io_stop(loop, watcher);
    if (connection->closing)
        connection_close(connection);
    else
        advance(connection);
}

static void on_request_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct connection *connection = timer->data;
    refuse_text(connection, "half a request, and the rest did not come in time");
    watch_reading(connection);
}

static void on_answer_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    connection_close(timer->data);
}

/* ---- making ---- */

static void read_peer(struct connection *connection, enum role role, uint64_t number)
{
    struct ucred who = {.uid = (uid_t)-1, .gid = (gid_t)-1};
    socklen_t size = sizeof who;
    getsockopt(connection->fd, SOL_SOCKET, SO_PEERCRED, &who, &size); /* unknown stays nobody */
    connection->peer = (struct call_peer){
        .uid = who.uid, .gid = who.gid, .pid = who.pid, .role = role, .connection = number};
}

struct connection *connection_new(struct connection_host *host, int fd, enum role role, uint64_t number)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        close(fd);
        return NULL;
    }
    connection->host = host;
    connection->link.connection = connection;
    connection->fd = fd;
    read_peer(connection, role, number);
    varlink_reader_init(&connection->reader, VARLINK_REQUEST_BYTES);
    ev_io_init(&connection->readable, on_readable, fd, EV_READ);
    ev_io_init(&connection->writable, on_writable, fd, EV_WRITE);
    ev_timer_init(&connection->request_timer, on_request_timeout, host->request_s, 0.);
    ev_timer_init(&connection->answer_timer, on_answer_timeout, 0., host->answer_s);
    connection->readable.data = connection->writable.data = connection;
    connection->request_timer.data = connection->answer_timer.data = connection;
    ev_io_start(host->loop, &connection->readable);
    return connection;
}

const struct call_peer *connection_peer(const struct connection *connection)
{
    return &connection->peer;
}

struct connection_link *connection_link(struct connection *connection)
{
    return &connection->link;
}
