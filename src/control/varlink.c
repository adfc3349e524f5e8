/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The codec and the blocking client of varlink.h.
 *
 * The reader looks at each byte once. It knows just enough of JSON to find the end of an object (brackets,
 * strings, escapes); whether the text is JSON is jansson's to say. What cannot become a message (another
 * first byte than `{`, text after the object, too many brackets) is refused at that byte, so garbage never
 * fills a buffer. */
#include "control/varlink.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

enum { FIRST_CAPACITY = 4096 };

void varlink_reader_init(struct varlink_reader *reader, size_t limit_bytes)
{
    *reader = (struct varlink_reader){.limit = limit_bytes};
}

void varlink_reader_fini(struct varlink_reader *reader)
{
    free(reader->bytes);
    *reader = (struct varlink_reader){0};
}

static void restart_scan(struct varlink_reader *reader)
{
    reader->depth = 0;
    reader->in_text = reader->escaped = reader->closed = false;
}

/* Takes the first count bytes away. The buffer of one large message is not kept for the small ones after. */
static void drop(struct varlink_reader *reader, size_t count)
{
    if (count == 0)
        return;
    reader->length -= count;
    reader->scanned -= count;
    memmove(reader->bytes, reader->bytes + count, reader->length);
    if (reader->length == 0 && reader->capacity > VARLINK_REQUEST_BYTES) {
        free(reader->bytes);
        reader->bytes = NULL;
        reader->capacity = 0;
    }
}

static void drop_consumed(struct varlink_reader *reader)
{
    drop(reader, reader->consumed);
    reader->consumed = 0;
}

int varlink_reader_room(struct varlink_reader *reader, char **at, size_t *room, struct err *err)
{
    drop_consumed(reader);
    if (reader->length > reader->limit)
        return err_set(err, -EMSGSIZE, "the message is longer than %zu bytes", reader->limit);
    if (reader->length == reader->capacity) {
        size_t capacity = reader->capacity == 0 ? FIRST_CAPACITY : reader->capacity * 2;
        char *bytes = realloc(reader->bytes, capacity);
        if (bytes == NULL)
            return err_set(err, -ENOMEM, "no memory for a message of %zu bytes", capacity);
        reader->bytes = bytes;
        reader->capacity = capacity;
    }
    size_t end = reader->capacity < reader->limit + 1 ? reader->capacity : reader->limit + 1;
    *at = reader->bytes + reader->length;
    *room = end - reader->length;
    return 0;
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static void scan_text(struct varlink_reader *reader, char byte)
{
    if (reader->escaped)
        reader->escaped = false;
    else if (byte == '\\')
        reader->escaped = true;
    else if (byte == '"')
        reader->in_text = false;
}

static int scan_object(struct varlink_reader *reader, char byte, struct err *err)
{
    switch (byte) {
    case '"':
        reader->in_text = true;
        break;
    case '{':
    case '[':
        if (++reader->depth > VARLINK_DEPTH)
            return err_set(err, -EPROTO, "more than %d nested brackets", VARLINK_DEPTH);
        break;
    case '}':
    case ']':
        reader->closed = --reader->depth == 0;
        break;
    default:
        break;
    }
    return 0;
}

/* One byte on. 1: it ended a message; 2: it ended nothing but white space; 0: go on. */
static int scan(struct varlink_reader *reader, char byte, struct err *err)
{
    if (byte == '\0') {
        reader->nul_seen = true;
        return reader->depth > 0 || reader->closed ? 1 : 2; /* cut off in the middle: jansson says where */
    }
    if (reader->in_text) {
        scan_text(reader, byte);
        return 0;
    }
    if (reader->depth > 0)
        return scan_object(reader, byte, err);
    if (byte == '\n' && !reader->nul_seen)
        return reader->closed ? 1 : 2;
    if (is_blank(byte))
        return 0;
    if (reader->closed)
        return err_set(err, -EPROTO, "text after the end of the object");
    if (byte != '{')
        return err_set(err, -EPROTO, "a message is a JSON object and begins with {");
    return scan_object(reader, byte, err);
}

int varlink_reader_next(struct varlink_reader *reader, const char **text, size_t *length, struct err *err)
{
    drop_consumed(reader);
    while (reader->scanned < reader->length) {
        int found = scan(reader, reader->bytes[reader->scanned++], err);
        if (found < 0)
            return found;
        if (found == 0)
            continue;
        restart_scan(reader);
        if (found == 2)
            continue;
        reader->consumed = reader->scanned;
        *text = reader->bytes;
        *length = reader->consumed - 1;
        return 1;
    }
    if (reader->depth == 0 && !reader->closed) /* nothing but white space so far */
        drop(reader, reader->scanned);
    return 0;
}

bool varlink_reader_partial(const struct varlink_reader *reader)
{
    return reader->length > reader->consumed;
}

char varlink_reader_terminator(const struct varlink_reader *reader)
{
    return reader->nul_seen ? '\0' : '\n';
}

int varlink_decode(const char *text, size_t length, json_t **out, struct err *err)
{
    while (length > 0 &&
           (is_blank(*text) || *text == '\0')) { /* what the reader let pass before the object */
        text++;
        length--;
    }
    json_error_t where;
    json_t *message = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
    if (message == NULL)
        return err_set(err, -EPROTO, "line %d column %d: %s", where.line, where.column, where.text);
    if (!json_is_object(message)) {
        json_decref(message);
        return err_set(err, -EPROTO, "a message is a JSON object");
    }
    *out = message;
    return 0;
}

static bool memory_failed;

static void *watched_malloc(size_t size)
{
    void *memory = malloc(size);
    memory_failed |= memory == NULL;
    return memory;
}

void varlink_watch_memory(void)
{
    json_set_alloc_funcs(watched_malloc, free);
}

json_t *varlink_no_memory(void)
{
    memory_failed = true;
    return NULL;
}

bool varlink_memory_failed(void)
{
    bool failed = memory_failed;
    memory_failed = false;
    return failed;
}

char *varlink_encode(const json_t *message, char terminator, size_t *length)
{
    char *text = json_dumps(message, JSON_COMPACT);
    if (text == NULL)
        return NULL;
    *length = strlen(text);
    text[*length] = terminator; /* takes the place of the NUL: a message is bytes and a length */
    return text;
}

/* An absent flag is false. */
static int read_flag(json_t *message, const char *name, bool *out, struct err *err)
{
    json_t *value = json_object_get(message, name);
    if (value != NULL && !json_is_boolean(value))
        return err_set(err, -EPROTO, "%s: must be true or false", name);
    *out = json_is_true(value);
    return 0;
}

int varlink_request_read(json_t *message, struct varlink_request *out, struct err *err)
{
    struct varlink_request request = {.parameters = json_object_get(message, "parameters")};
    json_t *method = json_object_get(message, "method");
    if (!json_is_string(method))
        return err_set(err, -EPROTO, "method: must be the text interface.Method");
    request.method = json_string_value(method);
    if (json_is_null(request.parameters))
        request.parameters = NULL;
    if (request.parameters != NULL && !json_is_object(request.parameters))
        return err_set(err, -EPROTO, "parameters: must be an object");
    int r;
    if ((r = read_flag(message, "more", &request.more, err)) < 0 ||
        (r = read_flag(message, "oneway", &request.oneway, err)) < 0 ||
        (r = read_flag(message, "upgrade", &request.upgrade, err)) < 0)
        return r;
    *out = request;
    return 0;
}

/* ---- the blocking client ---- */

struct varlink_client {
    int fd;         /* owned, non-blocking: every wait is a poll with the deadline */
    int timeout_ms; /* 0: for ever */
    struct varlink_reader reader;
    const char *text; /* a message that varlink_pending() found; borrowed from reader */
    size_t length;
};

static uint64_t deadline_of(const struct varlink_client *client)
{
    if (client->timeout_ms <= 0)
        return UINT64_MAX;
    return clock_monotonic_ns() + (uint64_t)client->timeout_ms * NS_PER_MS;
}

static int wait_for(const struct varlink_client *client, short events, uint64_t deadline_ns, struct err *err)
{
    for (;;) {
        int left_ms = -1;
        if (deadline_ns != UINT64_MAX) {
            uint64_t now_ns = clock_monotonic_ns();
            left_ms = now_ns >= deadline_ns ? 0 : (int)((deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS);
        }
        struct pollfd ready = {.fd = client->fd, .events = events};
        int count = poll(&ready, 1, left_ms);
        if (count > 0)
            return 0;
        if (count == 0)
            return err_set(err, -ETIMEDOUT, "no answer within %d ms", client->timeout_ms);
        if (errno != EINTR)
            return err_set(err, -errno, "poll: %s", strerror(errno));
    }
}

static int connect_path(struct varlink_client *client, const char *path, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return err_set(err, -ENAMETOOLONG, "%s: a socket's path has at most %zu bytes", path,
                       sizeof address.sun_path - 1);
    strcpy(address.sun_path, path);
    uint64_t deadline_ns = deadline_of(client);
    while (connect(client->fd, (struct sockaddr *)&address, sizeof address) < 0) {
        /* A UNIX socket whose backlog is full says EAGAIN, and no poll tells when that ends. */
        if (errno != EAGAIN && errno != EINTR)
            return err_set(err, -errno, "%s: %s", path, strerror(errno));
        if (clock_monotonic_ns() >= deadline_ns)
            return err_set(err, -ETIMEDOUT, "%s: the daemon takes no connection", path);
        poll(NULL, 0, 5);
    }
    return 0;
}

int varlink_connect(const char *path, int timeout_ms, struct varlink_client **out, struct err *err)
{
    struct varlink_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return err_set(err, -ENOMEM, "no memory");
    client->timeout_ms = timeout_ms;
    varlink_reader_init(&client->reader, VARLINK_REPLY_BYTES);
    client->reader.nul_seen = true; /* our requests end in NUL, so do the replies */
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r = client->fd < 0 ? err_set(err, -errno, "socket: %s", strerror(errno))
                           : connect_path(client, path, err);
    if (r < 0) {
        varlink_close(client);
        return r;
    }
    *out = client;
    return 0;
}

void varlink_close(struct varlink_client *client)
{
    if (client == NULL)
        return;
    if (client->fd >= 0)
        close(client->fd);
    varlink_reader_fini(&client->reader);
    free(client);
}

int varlink_fd(const struct varlink_client *client)
{
    return client->fd;
}

static int send_all(struct varlink_client *client, const char *bytes, size_t length, struct err *err)
{
    uint64_t deadline_ns = deadline_of(client);
    while (length > 0) {
        ssize_t n = send(client->fd, bytes, length, MSG_NOSIGNAL);
        if (n >= 0) {
            bytes += n;
            length -= (size_t)n;
        } else if (errno == EAGAIN) {
            int r = wait_for(client, POLLOUT, deadline_ns, err);
            if (r < 0)
                return r;
        } else if (errno != EINTR) {
            return err_set(err, errno == ECONNRESET ? -EPIPE : -errno, "the daemon hung up: %s",
                           strerror(errno));
        }
    }
    return 0;
}

static json_t *request_message(const char *method, const json_t *parameters, unsigned flags)
{
    json_t *message = json_pack("{s:s}", "method", method);
    if (message == NULL)
        return NULL;
    /* json_object_set takes a reference of its own; const is only our promise not to change it. */
    bool out_of_memory =
        (parameters != NULL && json_object_set(message, "parameters", (json_t *)parameters) < 0) ||
        ((flags & VARLINK_MORE) && json_object_set_new(message, "more", json_true()) < 0) ||
        ((flags & VARLINK_ONEWAY) && json_object_set_new(message, "oneway", json_true()) < 0);
    if (!out_of_memory)
        return message;
    json_decref(message);
    return NULL;
}

int varlink_send(struct varlink_client *client, const char *method, const json_t *parameters, unsigned flags,
                 struct err *err)
{
    json_t *message = request_message(method, parameters, flags);
    size_t length = 0;
    char *text = message == NULL ? NULL : varlink_encode(message, '\0', &length);
    json_decref(message);
    if (text == NULL)
        return err_set(err, -ENOMEM, "%s: no memory, or text that is not UTF-8", method);
    int r = send_all(client, text, length + 1, err);
    free(text);
    return r == -EPIPE ? 0 : r; /* what the daemon said before it hung up is there to receive, or its end */
}

bool varlink_pending(struct varlink_client *client)
{
    if (client->text == NULL &&
        varlink_reader_next(&client->reader, &client->text, &client->length, NULL) != 1)
        client->text = NULL;
    return client->text != NULL;
}

static int read_some(struct varlink_client *client, uint64_t deadline_ns, struct err *err)
{
    char *at;
    size_t room;
    int r = varlink_reader_room(&client->reader, &at, &room, err);
    if (r < 0)
        return r;
    ssize_t n;
    while ((n = recv(client->fd, at, room, 0)) < 0 && (errno == EAGAIN || errno == EINTR)) {
        if (errno == EAGAIN && (r = wait_for(client, POLLIN, deadline_ns, err)) < 0)
            return r;
    }
    if (n < 0 && errno != ECONNRESET)
        return err_set(err, -errno, "recv: %s", strerror(errno));
    if (n <= 0)
        return err_set(err, -EPIPE, "the daemon hung up");
    client->reader.length += (size_t)n;
    return 0;
}

static int next_text(struct varlink_client *client, struct err *err)
{
    uint64_t deadline_ns = deadline_of(client);
    while (client->text == NULL) {
        int r = varlink_reader_next(&client->reader, &client->text, &client->length, err);
        if (r == 1)
            break;
        client->text = NULL;
        if (r < 0 || (r = read_some(client, deadline_ns, err)) < 0)
            return r;
    }
    return 0;
}

static int reply_read(json_t *message, struct varlink_reply *out, struct err *err)
{
    json_t *error = json_object_get(message, "error");
    if (error != NULL && !json_is_string(error))
        return err_set(err, -EPROTO, "the answer's error is not text");
    json_t *parameters = json_object_get(message, "parameters");
    if (parameters == NULL || json_is_null(parameters)) {
        parameters = json_object();
        if (parameters == NULL || json_object_set_new(message, "parameters", parameters) < 0)
            return err_set(err, -ENOMEM, "no memory");
    }
    if (!json_is_object(parameters))
        return err_set(err, -EPROTO, "the answer's parameters are not an object");
    *out = (struct varlink_reply){.error = json_string_value(error),
                                  .parameters = parameters,
                                  .continues = json_is_true(json_object_get(message, "continues")),
                                  .message = message};
    return 0;
}

int varlink_receive(struct varlink_client *client, struct varlink_reply *out, struct err *err)
{
    json_t *message = NULL;
    int r = next_text(client, err);
    if (r == 0)
        r = varlink_decode(client->text, client->length, &message, err);
    client->text = NULL;
    if (r == 0)
        r = reply_read(message, out, err);
    if (r < 0)
        json_decref(message);
    return r;
}

void varlink_reply_fini(struct varlink_reply *reply)
{
    json_decref(reply->message);
    *reply = (struct varlink_reply){0};
}

int varlink_call(struct varlink_client *client, const char *method, const json_t *parameters, unsigned flags,
                 varlink_take *take, void *context, struct err *err)
{
    int r = varlink_send(client, method, parameters, flags, err);
    bool continues = (flags & VARLINK_ONEWAY) == 0;
    while (r == 0 && continues) {
        struct varlink_reply reply;
        r = varlink_receive(client, &reply, err);
        if (r < 0)
            break;
        continues = reply.continues;
        r = take(context, &reply);
        varlink_reply_fini(&reply);
    }
    return r;
}
