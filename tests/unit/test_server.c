/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The server with a toy table: dispatch, roles, both framings, limits, slow and vanishing clients. Clients
 * are socket pairs in the same thread; each wait turns the loop until a condition holds. */
#include "control/server.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/varlink.h"

/* ---- the toy ---- */

static struct call *pending; /* of Later or Stream */
static unsigned gone, changes, closed;

static void toy_echo(struct call *call, void *context)
{
    assert_string_equal(context, "toy");
    call_reply(call, json_incref(call_parameters(call)));
}

static void toy_change(struct call *call, void *context)
{
    (void)context;
    changes++;
    call_reply(call, NULL);
}

static void toy_later(struct call *call, void *context)
{
    (void)context;
    pending = call;
}

static void toy_gone(void *context)
{
    assert_ptr_equal(context, &gone);
    gone++;
    pending = NULL;
}

static void toy_stream(struct call *call, void *context)
{
    (void)context;
    pending = call;
    call_on_gone(call, toy_gone, &gone);
}

static void toy_large(struct call *call, void *context)
{
    (void)context;
    const char *text = json_string_value(json_object_get(call_parameters(call), "text"));
    call_reply(call, json_pack("{s:I}", "length", (json_int_t)strlen(text)));
}

static bool toy_admit(struct call *call, void *context)
{
    (void)context;
    if (json_object_get(call_parameters(call), "refuse_me") == NULL)
        return true;
    call_error(call, "toy.Refused", NULL);
    return false;
}

static void toy_closed(void *context, uint64_t connection)
{
    (void)context;
    assert_true(connection > 0);
    closed++;
}

static const struct parameter echo_in[] = {{"n", PARAMETER_INT, false, 1, 9, "A number."},
                                           {"texts", PARAMETER_TEXTS, false, 0, 0, "Texts."},
                                           {"things", PARAMETER_OBJECTS, false, 0, 0, "Things."},
                                           {"flag", PARAMETER_BOOL, false, 0, 0, "A flag."},
                                           {0}};
static const struct method toy_methods[] = {
    {.name = "Echo", .handle = toy_echo, .in = echo_in, .out = "n: ?int", .text = "Says it again.\n"},
    {.name = "Change",
     .handle = toy_change,
     .role = ROLE_CHANGE,
     .in = (const struct parameter[]){{"refuse_me", PARAMETER_BOOL, false, 0, 0, "Refuse."}, {0}},
     .out = "",
     .text = "Changes.\n"},
    {.name = "Later", .handle = toy_later, .out = "", .text = "Answers later.\n"},
    {.name = "Stream", .handle = toy_stream, .streams = true, .out = "n: int", .text = "Streams.\n"},
    {.name = "Large",
     .handle = toy_large,
     .large = true,
     .in = (const struct parameter[]){{"text", PARAMETER_TEXT, true, 0, 0, "Much text."}, {0}},
     .out = "length: int",
     .text = "Counts.\n"},
    {0},
};
static const struct interface toy = {
    .name = "toy",
    .text = "A toy.\nOf two lines.\n",
    .types = "type T (a: int)\n",
    .methods = toy_methods,
    .errors = (const struct interface_error[]){{"Refused", "", "Refused.\n"}, {0}},
};
static const struct service service = {.vendor = "V",
                                       .product = "P",
                                       .version = "1",
                                       .url = "U",
                                       .interface = &toy,
                                       .context = (void *)"toy",
                                       .admit = toy_admit,
                                       .closed = toy_closed};

/* ---- the bench ---- */

static struct ev_loop *loop;
static struct server *server;

static int set_up_with(const struct server_limits *limits)
{
    pending = NULL;
    gone = changes = closed = 0;
    loop = ev_loop_new(EVFLAG_AUTO);
    return loop == NULL || server_new(loop, &service, limits, &server, NULL);
}

static int set_up(void **state)
{
    (void)state;
    return set_up_with(&server_default_limits);
}

static int tear_down(void **state)
{
    (void)state;
    server_free(server);
    ev_loop_destroy(loop);
    return 0;
}

static int join_as(enum role role)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    server_adopt(server, pair[1], role);
    return pair[0];
}

static void turn(void)
{
    ev_run(loop, EVRUN_NOWAIT);
}

static void say(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);
        if (n < 0 && errno == EPIPE)
            return; /* hung up in the middle: the test reads why */
        if (n > 0) {
            bytes += n;
            length -= (size_t)n;
        }
        turn();
    }
}

/* What came up to and with the byte `end`, or to the end of the stream. The loop sleeps at most until its own
 * next timer. */
static const char *hear(int fd, char end)
{
    static char text[1 << 16];
    size_t used = 0;
    while (used < sizeof text - 1) {
        ssize_t n = recv(fd, text + used, 1, 0);
        if (n == 0)
            break;
        if (n < 0) {
            assert_true(errno == EAGAIN || errno == ECONNRESET);
            if (errno == ECONNRESET)
                break;
            ev_run(loop, EVRUN_ONCE);
            continue;
        }
        if (text[used++] == end)
            break;
    }
    text[used] = '\0';
    if (used > 0 && text[used - 1] == '\n')
        text[used - 1] = '\0';
    return text;
}

static const char *ask(int fd, const char *request)
{
    say(fd, request, strlen(request) + 1);
    return hear(fd, '\0');
}

static void assert_closed(int fd)
{
    assert_string_equal(hear(fd, 1), "");
}

/* ---- the tests ---- */

/* With the NUL that ends it; or without, so that what is wrong must be seen before the end. */
#define WHOLE(text) text, sizeof text
#define BEGUN(text) text, sizeof text - 1

static const struct {
    const char *request, *answer;
} dialogues[] = {
    {"{\"method\":\"toy.Echo\",\"parameters\":{\"n\":3}}", "{\"parameters\":{\"n\":3}}"},
    {"{\"method\":\"toy.Echo\"}", "{\"parameters\":{}}"},
    {"{\"method\":\"toy.Echo\",\"parameters\":{\"n\":null}}", "{\"parameters\":{\"n\":null}}"},
    {"{\"method\":\"toy.Echo\",\"more\":true}", "{\"parameters\":{}}"},
    {"{\"method\":\"toy.Echo\",\"parameters\":{\"m\":3}}",
     "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"m\"}}"},
    {"{\"method\":\"toy.Echo\",\"parameters\":{\"n\":\"3\"}}",
     "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"n\"}}"},
    {"{\"method\":\"toy.Echo\",\"parameters\":{\"texts\":[\"a\",1]}}",
     "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"texts\"}}"},
    {"{\"method\":\"toy.Echo\",\"parameters\":{\"things\":{}}}",
     "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"things\"}}"},
    {"{\"method\":\"toy.Echo\",\"parameters\":{\"flag\":0}}",
     "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"flag\"}}"},
    {"{\"method\":\"toy.Echo\",\"parameters\":{\"n\":10}}",
     "{\"error\":\"io.volleyd.Invalid\",\"parameters\":{\"complaints\":[{\"where\":\"n\",\"text\":\"10 is "
     "out "
     "of range: 1 to 9\"}]}}"},
    {"{\"method\":\"toy.Large\"}",
     "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"text\"}}"},
    {"{\"method\":\"toy.Nothing\"}",
     "{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":\"toy.Nothing\"}}"},
    {"{\"method\":\"other.Echo\"}",
     "{\"error\":\"org.varlink.service.InterfaceNotFound\",\"parameters\":{\"interface\":\"other\"}}"},
    {"{\"method\":\"toy.Echo.Echo\"}",
     "{\"error\":\"org.varlink.service.InterfaceNotFound\",\"parameters\":{\"interface\":\"toy.Echo\"}}"},
    {"{\"method\":\"\"}",
     "{\"error\":\"org.varlink.service.InterfaceNotFound\",\"parameters\":{\"interface\":\"\"}}"},
    {"{\"method\":\"toy.Change\",\"parameters\":{\"refuse_me\":true}}",
     "{\"error\":\"toy.Refused\",\"parameters\":{}}"},
    {"{\"method\":\"org.varlink.service.GetInfo\"}", "{\"parameters\":{\"vendor\":\"V\",\"product\":\"P\","
                                                     "\"version\":\"1\",\"url\":\"U\",\"interfaces\":[\"org."
                                                     "varlink.service\",\"toy\"]}}"},
    {"{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{\"interface\":\"a\"}}",
     "{\"error\":\"org.varlink.service.InterfaceNotFound\",\"parameters\":{\"interface\":\"a\"}}"},
};

static void each_request_has_its_answer_on_one_connection(void **state)
{
    (void)state;
    int fd = join_as(ROLE_CHANGE);
    for (size_t i = 0; i < sizeof dialogues / sizeof *dialogues; i++)
        assert_string_equal(ask(fd, dialogues[i].request), dialogues[i].answer);
    assert_int_equal(changes, 0);
    close(fd);
}

static void the_description_is_made_from_the_table(void **state)
{
    (void)state;
    char *text = interface_describe(&toy);
    assert_string_equal(
        text,
        "# A toy.\n# Of two lines.\ninterface toy\n\ntype T (a: int)\n\n# Says it again.\nmethod Echo(n: "
        "?int, "
        "texts: ?[]string, things: ?[]object, flag: ?bool) -> (n: ?int)\n\n# Changes.\nmethod "
        "Change(refuse_me: ?bool) -> ()\n\n# Answers later.\nmethod Later() -> ()\n\n# Streams.\nmethod "
        "Stream() -> (n: int)\n\n# Counts.\nmethod Large(text: string) -> (length: int)\n\n# Refused.\nerror "
        "Refused ()\n");
    free(text);
}

static void the_reading_role_changes_nothing(void **state)
{
    (void)state;
    int reader = join_as(ROLE_READ), writer = join_as(ROLE_CHANGE);
    assert_string_equal(ask(reader, "{\"method\":\"toy.Change\"}"),
                        "{\"error\":\"io.volleyd.ReadOnly\",\"parameters\":{\"method\":\"Change\"}}");
    assert_int_equal(changes, 0);
    assert_string_equal(ask(writer, "{\"method\":\"toy.Change\"}"), "{\"parameters\":{}}");
    assert_int_equal(changes, 1);
    close(reader);
    close(writer);
}

static void requests_in_a_row_are_answered_in_order_and_a_oneway_not_at_all(void **state)
{
    (void)state;
    int fd = join_as(ROLE_CHANGE);
    static const char requests[] = "{\"method\":\"toy.Echo\",\"parameters\":{\"n\":1}}\n"
                                   "{\"method\":\"toy.Change\",\"oneway\":true}\n"
                                   "{\"method\":\"no.Such\",\"oneway\":true}\n"
                                   "{\"method\":\"toy.Echo\",\"parameters\":{\"n\":2}}\n";
    say(fd, requests, sizeof requests - 1);
    assert_string_equal(hear(fd, '\n'), "{\"parameters\":{\"n\":1}}");
    assert_string_equal(hear(fd, '\n'), "{\"parameters\":{\"n\":2}}");
    assert_int_equal(changes, 1);
    close(fd);
}

static void a_client_that_sends_no_more_still_gets_its_answers(void **state)
{
    (void)state;
    int fd = join_as(ROLE_CHANGE);
    static const char requests[] = "{\"method\":\"toy.Later\"}\n{\"method\":\"toy.Echo\"}\n";
    say(fd, requests, sizeof requests - 1);
    shutdown(fd, SHUT_WR);
    while (pending == NULL)
        ev_run(loop, EVRUN_ONCE);
    for (int i = 0; i < 5; i++)
        turn();
    call_reply(pending, json_pack("{s:i}", "n", 1));
    assert_string_equal(hear(fd, '\n'), "{\"parameters\":{\"n\":1}}");
    assert_string_equal(hear(fd, '\n'), "{\"parameters\":{}}");
    assert_closed(fd);
    assert_int_equal(server_connections(server), 0);
    close(fd);
}

static const struct {
    const char *bytes;
    size_t length;
    const char *says;
} garbage[] = {
    {BEGUN("hello"), "begins with {"},
    {BEGUN("\xff\xfe\xfd"), "begins with {"},
    {WHOLE("{\"a\":\xff}"), "column"},
    {WHOLE("{\"method\":\"toy.Echo\",\"method\":\"toy.Echo\"}"), "duplicate"},
    {WHOLE("{\"method\":\"toy.Echo\",\"parameters\":{\"n\":1e400}}"), "overflow"},
    {WHOLE("{\"method\":\"toy.Echo\",\"parameters\":{\"n\":99999999999999999999}}"), "too big"},
    {WHOLE("{\"method\":7}"), "method"},
    {BEGUN("{} {}"), "after the end"},
    {BEGUN("{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["), "nested"},
};

static void what_is_no_request_is_told_so_and_closed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        int fd = join_as(ROLE_CHANGE);
        say(fd, garbage[i].bytes, garbage[i].length);
        const char *answer = hear(fd, '\0');
        if (strstr(answer, "\"io.volleyd.Invalid\"") == NULL || strstr(answer, garbage[i].says) == NULL)
            fail_msg("%s: answered %s", garbage[i].bytes, answer);
        assert_closed(fd);
        close(fd);
    }
    assert_int_equal(closed, sizeof garbage / sizeof *garbage);
}

/* A request of `length` bytes before its NUL. The caller frees. */
static char *request_of(const char *method, size_t length)
{
    char *text = malloc(length + 1);
    assert_non_null(text);
    size_t head = (size_t)sprintf(text, "{\"method\":\"%s\",\"parameters\":{\"text\":\"", method);
    memset(text + head, 'x', length - head - 3);
    strcpy(text + length - 3, "\"}}");
    return text;
}

static void a_request_of_65_kib_is_refused_but_for_the_large_method(void **state)
{
    (void)state;
    const size_t length = 65 << 10;
    char *small = request_of("toy.Echo", length), *large = request_of("toy.Large", length);
    int fd = join_as(ROLE_CHANGE);
    assert_non_null(strstr(ask(fd, small), "longer than 64 KiB"));
    assert_non_null(strstr(ask(fd, large), "\"length\":66"));
    assert_non_null(strstr(ask(fd, "{\"method\":\"toy.Echo\"}"), "{\"parameters\":{}}"));
    close(fd);
    fd = join_as(ROLE_READ);
    assert_non_null(strstr(ask(fd, large), "longer than 65536 bytes"));
    assert_closed(fd);
    close(fd);
    free(small);
    free(large);
}

static void one_large_request_at_a_time(void **state)
{
    (void)state;
    const size_t length = 200 << 10;
    char *large = request_of("toy.Large", length);
    int first = join_as(ROLE_CHANGE), second = join_as(ROLE_CHANGE);
    say(first, large, length / 2);
    turn();
    assert_non_null(strstr(ask(second, large), "io.volleyd.Busy"));
    assert_closed(second);
    say(first, large + length / 2, length / 2 + 1);
    assert_non_null(strstr(hear(first, '\0'), "\"length\":204"));
    close(second);
    second = join_as(ROLE_CHANGE); /* and the place is free again, also after the first has gone */
    say(first, large, length / 2);
    turn();
    close(first);
    while (server_connections(server) > 1)
        ev_run(loop, EVRUN_ONCE);
    assert_non_null(strstr(ask(second, large), "\"length\":204"));
    close(second);
    free(large);
}

static void half_a_request_is_dropped_however_slowly_it_goes_on(void **state)
{
    (void)state;
    server_free(server);
    ev_loop_destroy(loop);
    assert_int_equal(set_up_with(&(struct server_limits){
                         .connections = 9, .read_connections = 9, .request_s = 0.05, .answer_s = 5.}),
                     0);
    int fd = join_as(ROLE_CHANGE);
    const char *request = "{\"method\":\"toy.Echo\",\"parameters\":{\"texts\":[\"";
    for (size_t i = 0; server_connections(server) == 1; i++) { /* a byte a turn, until it is enough */
        const char *next = i < strlen(request) ? request + i : "x";
        send(fd, next, 1, MSG_NOSIGNAL);
        ev_run(loop, EVRUN_ONCE);
    }
    assert_non_null(strstr(hear(fd, '\0'), "half a request"));
    close(fd);
    fd = join_as(ROLE_CHANGE); /* an idle client has all the time it wants */
    ev_now_update(loop);
    for (ev_tstamp until = ev_now(loop) + 0.15; ev_now(loop) < until;)
        turn();
    assert_string_equal(ask(fd, "{\"method\":\"toy.Echo\"}"), "{\"parameters\":{}}");
    close(fd);
}

static void a_stream_skips_what_a_slow_reader_has_no_room_for(void **state)
{
    (void)state;
    int fd = join_as(ROLE_READ);
    static const char request[] = "{\"method\":\"toy.Stream\",\"more\":true}\n";
    say(fd, request, sizeof request - 1);
    while (pending == NULL)
        ev_run(loop, EVRUN_ONCE);
    assert_true(call_more(pending));
    char *padding = calloc(1, 10001);
    assert_non_null(padding);
    memset(padding, 'p', 10000);
    for (int n = 0; n < 1000; n++) { /* 10 MB, to a client that does not read */
        call_continue(pending, json_pack("{s:i, s:s}", "n", n, "padding", padding));
        turn();
    }
    call_reply(pending, json_pack("{s:i}", "n", 1000));
    int last = -1, seen = 0;
    while (last < 1000) {
        const char *text = hear(fd, '\n');
        int n = atoi(strstr(text, "\"n\":") + 4);
        assert_true(n > last);
        assert_int_equal(strstr(text, "\"continues\":true") != NULL, n < 1000);
        last = n;
        seen++;
    }
    assert_in_range(seen, 2, 500); /* what the socket held, and the last word; the rest was skipped */
    assert_int_equal(gone, 0);
    free(padding);
    close(fd);
}

static void a_stream_that_nobody_reads_is_closed_in_time(void **state)
{
    (void)state;
    server_free(server);
    ev_loop_destroy(loop);
    assert_int_equal(set_up_with(&(struct server_limits){
                         .connections = 9, .read_connections = 9, .request_s = 5., .answer_s = 0.05}),
                     0);
    int fd = join_as(ROLE_READ);
    static const char request[] = "{\"method\":\"toy.Stream\",\"more\":true}";
    say(fd, request, sizeof request);
    char *padding = calloc(1, 100001);
    assert_non_null(padding);
    memset(padding, 'p', 100000);
    while (server_connections(server) == 1) {
        if (pending != NULL)
            call_continue(pending, json_pack("{s:s}", "padding", padding));
        turn();
    }
    assert_int_equal(gone, 1);
    assert_null(pending);
    free(padding);
    close(fd);
}

static void a_vanished_client_is_noticed_and_its_late_answer_goes_nowhere(void **state)
{
    (void)state;
    int fd = join_as(ROLE_READ);
    say(fd, WHOLE("{\"method\":\"toy.Stream\",\"more\":true}"));
    while (pending == NULL)
        ev_run(loop, EVRUN_ONCE);
    close(fd);
    while (server_connections(server) > 0)
        ev_run(loop, EVRUN_ONCE);
    assert_int_equal(gone, 1);
    fd = join_as(ROLE_READ);
    say(fd, WHOLE("{\"method\":\"toy.Later\"}"));
    while (pending == NULL)
        ev_run(loop, EVRUN_ONCE);
    close(fd);
    while (server_connections(server) > 0)
        ev_run(loop, EVRUN_ONCE);
    assert_int_equal(call_peer(pending)->uid, getuid());
    call_reply(pending, json_pack("{s:i}", "n", 1));
    assert_int_equal(gone, 1);
}

static void the_65th_client_is_told_busy_and_readers_leave_room_for_writers(void **state)
{
    (void)state;
    int fds[65];
    for (int i = 0; i < 48; i++)
        fds[i] = join_as(ROLE_READ);
    int reader = join_as(ROLE_READ);
    assert_non_null(strstr(hear(reader, '\0'), "io.volleyd.Busy"));
    assert_closed(reader);
    for (int i = 48; i < 64; i++)
        fds[i] = join_as(ROLE_CHANGE);
    fds[64] = join_as(ROLE_CHANGE);
    assert_non_null(strstr(hear(fds[64], '\0'), "io.volleyd.Busy"));
    assert_closed(fds[64]);
    assert_int_equal(server_connections(server), 64);
    assert_string_equal(ask(fds[63], "{\"method\":\"toy.Echo\"}"), "{\"parameters\":{}}");
    for (int i = 0; i < 65; i++)
        close(fds[i]);
    while (server_connections(server) > 0)
        ev_run(loop, EVRUN_ONCE);
    assert_int_equal(closed, 64);
    close(reader);
}

/* ---- real sockets ---- */

static char directory[64], path[96];

static int open_listener(void)
{
    strcpy(directory, "/tmp/test_server.XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/s", directory);
    int fd;
    assert_int_equal(server_socket(path, 0640, (gid_t)-1, &fd, NULL), 0);
    return fd;
}

static int connect_to(const char *to)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, to);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void remove_directory(void)
{
    unlink(path);
    rmdir(directory);
}

static void a_socket_has_its_mode_replaces_a_dead_one_and_respects_a_live_one(void **state)
{
    (void)state;
    struct stat file;
    int fd = open_listener(), other = -1;
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0640);
    assert_int_equal(server_socket(path, 0640, (gid_t)-1, &other, NULL), -EADDRINUSE);
    close(fd);
    assert_int_equal(server_socket(path, 0640, (gid_t)-1, &other, NULL), 0);
    close(other);
    unlink(path);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    assert_int_equal(server_socket(path, 0640, (gid_t)-1, &other, NULL), -EEXIST);
    remove_directory();
    assert_int_equal(server_socket(path, 0640, (gid_t)-1, &other, NULL), -ENOENT);
    char long_path[200];
    memset(long_path, 'x', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(server_socket(long_path, 0640, (gid_t)-1, &other, NULL), -ENAMETOOLONG);
}

static void only_listening_sockets_are_listened_on(void **state)
{
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(server_listen(server, pair[0], ROLE_READ, NULL), -EINVAL);
    close(pair[1]);
    assert_int_equal(server_listen(server, open("/dev/null", O_RDONLY), ROLE_READ, NULL), -ENOTSOCK);
}

static void without_descriptors_the_loop_rests_and_then_goes_on(void **state)
{
    (void)state;
    assert_int_equal(server_listen(server, open_listener(), ROLE_CHANGE, NULL), 0);
    int early = connect_to(path);
    assert_string_equal(ask(early, "{\"method\":\"toy.Echo\"}"), "{\"parameters\":{}}");
    int late = connect_to(path);
    struct rlimit before, none_left;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none_left = (struct rlimit){.rlim_cur = (rlim_t)late + 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none_left), 0);
    unsigned iterations = ev_iteration(loop);
    ev_now_update(loop);
    for (ev_tstamp until = ev_now(loop) + 0.5; ev_now(loop) < until;)
        ev_run(loop, EVRUN_ONCE);
    iterations = ev_iteration(loop) - iterations;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_in_range(iterations, 1, 40); /* two a rest of 50 ms; spinning would be 10^5 */
    assert_int_equal(server_connections(server), 1);
    assert_string_equal(ask(early, "{\"method\":\"toy.Echo\"}"), "{\"parameters\":{}}");
    assert_string_equal(ask(late, "{\"method\":\"toy.Echo\"}"), "{\"parameters\":{}}");
    close(early);
    close(late);
    remove_directory();
}

#define SERVER_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(each_request_has_its_answer_on_one_connection),
        cmocka_unit_test(the_description_is_made_from_the_table),
        SERVER_TEST(the_reading_role_changes_nothing),
        SERVER_TEST(requests_in_a_row_are_answered_in_order_and_a_oneway_not_at_all),
        SERVER_TEST(a_client_that_sends_no_more_still_gets_its_answers),
        SERVER_TEST(what_is_no_request_is_told_so_and_closed),
        SERVER_TEST(a_request_of_65_kib_is_refused_but_for_the_large_method),
        SERVER_TEST(one_large_request_at_a_time),
        SERVER_TEST(half_a_request_is_dropped_however_slowly_it_goes_on),
        SERVER_TEST(a_stream_skips_what_a_slow_reader_has_no_room_for),
        SERVER_TEST(a_stream_that_nobody_reads_is_closed_in_time),
        SERVER_TEST(a_vanished_client_is_noticed_and_its_late_answer_goes_nowhere),
        SERVER_TEST(the_65th_client_is_told_busy_and_readers_leave_room_for_writers),
        SERVER_TEST(a_socket_has_its_mode_replaces_a_dead_one_and_respects_a_live_one),
        SERVER_TEST(only_listening_sockets_are_listened_on),
        SERVER_TEST(without_descriptors_the_loop_rests_and_then_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
