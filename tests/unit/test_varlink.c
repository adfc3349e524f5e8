/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The varlink codec and client: framing at every cut, what is refused and where, calls over a real socket. */
#include "control/varlink.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* Gives text to the reader in pieces of `piece` bytes; the messages found, each followed by '|', in out. 0 or
 * the first failure. */
static int feed(struct varlink_reader *reader, const char *text, size_t length, size_t piece, char *out,
                size_t size)
{
    out[0] = '\0';
    while (length > 0) {
        char *at;
        size_t room;
        int r = varlink_reader_room(reader, &at, &room, NULL);
        if (r < 0)
            return r;
        size_t n = length < piece ? length : piece;
        n = n < room ? n : room;
        memcpy(at, text, n);
        reader->length += n;
        text += n;
        length -= n;
        const char *message;
        size_t bytes;
        while ((r = varlink_reader_next(reader, &message, &bytes, NULL)) == 1) {
            size_t used = strlen(out);
            snprintf(out + used, size - used, "%.*s|", (int)bytes, message);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

#define BYTES(literal) literal, sizeof literal - 1

static const struct {
    const char *text;
    size_t length;
    const char *messages;
    int result;
    bool partial;
} framings[] = {
    {BYTES("{\"a\":1}\0{\"b\":2}\0"), "{\"a\":1}|{\"b\":2}|", 0, false},
    {BYTES("{\"a\":1}\n{\"b\":2}\n"), "{\"a\":1}|{\"b\":2}|", 0, false},
    {BYTES("{\n \"a\": [\n1]\n}\n{}\n"), "{\n \"a\": [\n1]\n}|{}|", 0, false}, /* jq's pretty printing */
    {BYTES("{\"a\":\"}\\\"{\\\\\"}\n"), "{\"a\":\"}\\\"{\\\\\"}|", 0, false},  /* brackets inside text */
    {BYTES("{}\0{}\n\0"), "{}|{}\n|", 0, false}, /* after a NUL, newline is blank */
    {BYTES("{\"a\":1}"), "", 0, true},           /* complete, but not ended */
    {BYTES("{\"a\":"), "", 0, true},
    {BYTES("{\"a\":\0"), "{\"a\":|", 0, false}, /* cut off: a message that jansson then refuses */
    {BYTES(" \n \n"), "", 0, false},
    {BYTES("\0\0\0"), "", 0, false},
    {BYTES("hello\n"), "", -EPROTO, true},
    {BYTES("[1]\n"), "", -EPROTO, true},
    {BYTES("{}x\n"), "", -EPROTO, true},
    {BYTES("{}{}\n"), "", -EPROTO, true},
    {BYTES("]"), "", -EPROTO, true},
};

static void every_framing_gives_the_same_messages_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof framings / sizeof *framings; i++) {
        for (size_t piece = 1; piece <= framings[i].length; piece++) {
            struct varlink_reader reader;
            char out[256];
            varlink_reader_init(&reader, 1024);
            assert_int_equal(feed(&reader, framings[i].text, framings[i].length, piece, out, sizeof out),
                             framings[i].result);
            if (framings[i].result == 0) {
                assert_string_equal(out, framings[i].messages);
                assert_int_equal(varlink_reader_partial(&reader), framings[i].partial);
            }
            varlink_reader_fini(&reader);
        }
    }
}

static void answers_end_as_the_request_did(void **state)
{
    (void)state;
    struct varlink_reader reader;
    char out[64];
    varlink_reader_init(&reader, 1024);
    assert_int_equal(feed(&reader, "{}\n", 3, 3, out, sizeof out), 0);
    assert_int_equal(varlink_reader_terminator(&reader), '\n');
    assert_int_equal(feed(&reader, "{}", 3, 3, out, sizeof out), 0);
    assert_int_equal(varlink_reader_terminator(&reader), '\0');
    varlink_reader_fini(&reader);
}

static void a_message_of_the_limit_passes_and_one_byte_more_does_not(void **state)
{
    (void)state;
    enum { LIMIT = 10000 };
    for (size_t length = LIMIT; length <= LIMIT + 1; length++) {
        for (size_t piece = 1; piece < 40000; piece = piece * 3 + 1) {
            struct varlink_reader reader;
            char *text = malloc(length + 1), *out = malloc(length + 10);
            assert_non_null(text);
            assert_non_null(out);
            memset(text, ' ', length);
            text[0] = '{';
            text[length - 1] = '}';
            text[length] = '\0';
            varlink_reader_init(&reader, LIMIT);
            int r = feed(&reader, text, length + 1, piece, out, length + 10);
            assert_int_equal(r, length == LIMIT ? 0 : -EMSGSIZE);
            if (r == 0)
                assert_int_equal(strlen(out), LIMIT + 1);
            varlink_reader_fini(&reader);
            free(text);
            free(out);
        }
    }
}

static void brackets_nest_32_deep_and_no_deeper(void **state)
{
    (void)state;
    for (unsigned depth = 32; depth <= 33; depth++) {
        char text[128] = "{\"a\":", out[256];
        size_t at = strlen(text);
        memset(text + at, '[', depth - 1);
        memset(text + at + depth - 1, ']', depth - 1);
        strcpy(text + at + 2 * (depth - 1), "}");
        struct varlink_reader reader;
        varlink_reader_init(&reader, 1024);
        assert_int_equal(feed(&reader, text, strlen(text) + 1, 7, out, sizeof out),
                         depth == 32 ? 0 : -EPROTO);
        varlink_reader_fini(&reader);
    }
}

static const struct {
    const char *text, *says;
} refused[] = {
    {"{\"a\":1,\"a\":2}", "duplicate"},
    {"{\"a\":\"\xff\"}", "unable to decode byte"},
    {"{\"a\":9223372036854775808}", "too big integer"},
    {"{\"a\":-9223372036854775809}", "too big negative integer"},
    {"{\"a\":1e400}", "real number overflow"},
    {"{\"a\":\"\\u0000\"}", "\\u0000"},
    {"{\"a\":", "near end of file"},
    {"{\"a\" 1}", "column"},
    {"{]}", "column"},
};

static void what_is_not_json_is_refused_with_the_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct err err = {0};
        json_t *message = NULL;
        assert_int_equal(varlink_decode(refused[i].text, strlen(refused[i].text), &message, &err), -EPROTO);
        assert_null(message);
        if (strstr(err.text, refused[i].says) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", refused[i].text, err.text, refused[i].says);
    }
}

static const struct {
    const char *text, *says; /* says NULL: fine */
} requests[] = {
    {"{\"method\":\"a.B\"}", NULL},
    {"{\"method\":\"a.B\",\"parameters\":null,\"more\":false}", NULL},
    {"{\"parameters\":{}}", "method"},
    {"{\"method\":7}", "method"},
    {"{\"method\":\"a.B\",\"parameters\":[]}", "parameters"},
    {"{\"method\":\"a.B\",\"more\":1}", "more"},
    {"{\"method\":\"a.B\",\"oneway\":\"x\"}", "oneway"},
};

static void a_request_is_checked_field_by_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        struct varlink_request request = {.method = "untouched"};
        struct err err = {0};
        json_t *message = NULL;
        assert_int_equal(varlink_decode(requests[i].text, strlen(requests[i].text), &message, &err), 0);
        int r = varlink_request_read(message, &request, &err);
        assert_int_equal(r, requests[i].says == NULL ? 0 : -EPROTO);
        assert_string_equal(request.method, r == 0 ? "a.B" : "untouched");
        if (r < 0)
            assert_non_null(strstr(err.text, requests[i].says));
        json_decref(message);
    }
}

/* ---- the client, against a listener whose thread writes what the test says ---- */

struct peer {
    int listener;
    char directory[64], path[96];
    const char *answer;
    size_t length;
    char request[512];
    pthread_t thread;
};

static void *serve_once(void *context)
{
    struct peer *peer = context;
    int fd = accept(peer->listener, NULL, NULL);
    ssize_t n = recv(fd, peer->request, sizeof peer->request - 1, 0);
    if (n > 0 && peer->length > 0)
        n = send(fd, peer->answer, peer->length, MSG_NOSIGNAL);
    if (peer->length == 0) /* silent: until the client gives up */
        n = recv(fd, peer->request, sizeof peer->request - 1, 0);
    close(fd);
    return NULL;
}

static struct varlink_client *meet(struct peer *peer, const char *answer, size_t length, int timeout_ms)
{
    *peer = (struct peer){.answer = answer, .length = length, .directory = "/tmp/test_varlink.XXXXXX"};
    assert_non_null(mkdtemp(peer->directory));
    snprintf(peer->path, sizeof peer->path, "%s/s", peer->directory);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, peer->path);
    peer->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(peer->listener, 1), 0);
    assert_int_equal(pthread_create(&peer->thread, NULL, serve_once, peer), 0);
    struct varlink_client *client = NULL;
    assert_int_equal(varlink_connect(peer->path, timeout_ms, &client, NULL), 0);
    return client;
}

static void part(struct peer *peer, struct varlink_client *client)
{
    varlink_close(client);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    unlink(peer->path);
    rmdir(peer->directory);
}

static int collect(void *context, const struct varlink_reply *reply)
{
    char *seen = context, text[64];
    snprintf(text, sizeof text, "%s%" JSON_INTEGER_FORMAT "%s ", reply->error == NULL ? "" : reply->error,
             json_integer_value(json_object_get(reply->parameters, "n")), reply->continues ? "+" : "");
    strcat(seen, text);
    return strstr(seen, "99") != NULL ? 7 : 0;
}

static void a_call_takes_replies_until_the_last(void **state)
{
    (void)state;
    struct peer peer;
    struct varlink_client *client = meet(
        &peer, BYTES("{\"parameters\":{\"n\":1},\"continues\":true}\0{\"parameters\":{\"n\":2}}\0{}"), 30000);
    char seen[256] = "";
    json_t *parameters = json_pack("{s:i}", "x", 5);
    assert_int_equal(varlink_call(client, "a.B", parameters, VARLINK_MORE, collect, seen, NULL), 0);
    assert_string_equal(seen, "1+ 2 ");
    assert_string_equal(peer.request, "{\"method\":\"a.B\",\"parameters\":{\"x\":5},\"more\":true}");
    json_decref(parameters);
    part(&peer, client);
}

static void an_error_is_a_reply_and_a_callback_can_end_the_call(void **state)
{
    (void)state;
    struct peer peer;
    struct varlink_client *client = meet(&peer, BYTES("{\"error\":\"x.Y\"}\0"), 30000);
    char seen[256] = "";
    assert_int_equal(varlink_call(client, "a.B", NULL, 0, collect, seen, NULL), 0);
    assert_string_equal(seen, "x.Y0 ");
    part(&peer, client);

    client = meet(&peer, BYTES("{\"parameters\":{\"n\":99},\"continues\":true}\0"), 30000);
    assert_int_equal(varlink_call(client, "a.B", NULL, VARLINK_MORE, collect, seen, NULL), 7);
    part(&peer, client);
}

static void silence_nonsense_and_a_hang_up_each_have_their_code(void **state)
{
    (void)state;
    const struct {
        const char *answer;
        size_t length;
        int code;
    } rows[] = {
        {BYTES("gibberish\0"), -EPROTO},
        {BYTES("{\"parameters\":3}\0"), -EPROTO},
        {BYTES("{\"error\":3}\0"), -EPROTO},
        {BYTES("{\"parameters\":{}}"), -EPIPE}, /* never ended */
        {BYTES(""), -ETIMEDOUT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct peer peer;
        struct err err = {0};
        char seen[64] = "";
        struct varlink_client *client =
            meet(&peer, rows[i].answer, rows[i].length, rows[i].code == -ETIMEDOUT ? 20 : 30000);
        assert_int_equal(varlink_call(client, "a.B", NULL, 0, collect, seen, &err), rows[i].code);
        assert_int_equal(err.code, rows[i].code);
        assert_string_equal(seen, "");
        part(&peer, client);
    }
}

static void connecting_says_why_it_failed(void **state)
{
    (void)state;
    struct varlink_client *client = NULL;
    char path[200];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(varlink_connect("/nonexistent/volleyd.sock", 100, &client, NULL), -ENOENT);
    assert_int_equal(varlink_connect(path, 100, &client, NULL), -ENAMETOOLONG);
    assert_null(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_framing_gives_the_same_messages_however_it_is_cut),
        cmocka_unit_test(answers_end_as_the_request_did),
        cmocka_unit_test(a_message_of_the_limit_passes_and_one_byte_more_does_not),
        cmocka_unit_test(brackets_nest_32_deep_and_no_deeper),
        cmocka_unit_test(what_is_not_json_is_refused_with_the_place),
        cmocka_unit_test(a_request_is_checked_field_by_field),
        cmocka_unit_test(a_call_takes_replies_until_the_last),
        cmocka_unit_test(an_error_is_a_reply_and_a_callback_can_end_the_call),
        cmocka_unit_test(silence_nonsense_and_a_hang_up_each_have_their_code),
        cmocka_unit_test(connecting_says_why_it_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
