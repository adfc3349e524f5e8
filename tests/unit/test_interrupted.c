// SPDX-License-Identifier: GPL-2.0-or-later
/* System calls that are interrupted, come up short or fail, by link-time wrap: the server answers all the
 * same, and what cannot be written is not left half written. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/server.h"
#include "daemon/daemon.h"

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);
int __real_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);
ssize_t __wrap_write(int fd, const void *at, size_t bytes);
ssize_t __real_write(int fd, const void *at, size_t bytes);
ssize_t __wrap_recv(int fd, void *at, size_t bytes, int flags);
ssize_t __wrap_send(int fd, const void *at, size_t bytes, int flags);
ssize_t __real_recv(int fd, void *at, size_t bytes, int flags);
ssize_t __real_send(int fd, const void *at, size_t bytes, int flags);

static bool troubled;
static unsigned calls;

/* Every other call is interrupted, the others move one byte. */
static bool is_interrupted(size_t *bytes)
{
    if (!troubled)
        return false;
    *bytes = *bytes > 1 ? 1 : *bytes;
    errno = EINTR;
    return calls++ % 2 == 0;
}

ssize_t __wrap_recv(int fd, void *at, size_t bytes, int flags)
{
    return is_interrupted(&bytes) ? -1 : __real_recv(fd, at, bytes, flags);
}

ssize_t __wrap_send(int fd, const void *at, size_t bytes, int flags)
{
    return is_interrupted(&bytes) ? -1 : __real_send(fd, at, bytes, flags);
}

static int accept_error; /* what accept4() says; 0: what the kernel does */
static unsigned accepts, accepts_refused;
static uint64_t refusals; /* so many of them */

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    accepts++;
    if (accepts_refused >= refusals)
        return __real_accept4(fd, address, size, flags);
    accepts_refused++;
    errno = accept_error;
    return -1;
}

static int write_error; /* what write() says; 0: what the kernel does; -1: half of it */

ssize_t __wrap_write(int fd, const void *at, size_t bytes)
{
    if (write_error <= 0)
        return __real_write(fd, at, write_error == 0 ? bytes : bytes / 2);
    errno = write_error;
    return -1;
}

static void echo(struct call *call, void *context)
{
    (void)context;
    call_reply(call, json_incref(call_parameters(call)));
}

static const struct parameter echo_in[] = {{"n", PARAMETER_INT, false, 1, 9, "A number."}, {0}};
static const struct method methods[] = {
    {.name = "Echo", .handle = echo, .in = echo_in, .out = "n: int", .text = "Says it again.\n"}, {0}};
static const struct interface_error no_errors[] = {{0}};
static const struct interface toy = {
    .name = "toy", .text = "A toy.\n", .types = "", .methods = methods, .errors = no_errors};
static const struct service service = {
    .vendor = "V", .product = "P", .version = "1", .url = "U", .interface = &toy};

static void a_server_answers_through_interruptions_byte_by_byte(void **state)
{
    static const char request[] = "{\"method\":\"toy.Echo\",\"parameters\":{\"n\":7}}";
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct server *server;
    char answer[64];
    size_t used = 0;
    int pair[2];
    (void)state;
    assert_int_equal(server_new(loop, &service, &server_default_limits, &server, NULL), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    server_adopt(server, pair[1], ROLE_READ);
    assert_int_equal(__real_send(pair[0], request, sizeof request, 0), sizeof request);
    troubled = true;
    while (used == 0 || answer[used - 1] != '\0') {
        ssize_t n = __real_recv(pair[0], answer + used, sizeof answer - used, 0);
        if (n < 0 && errno == EAGAIN)
            ev_run(loop, EVRUN_ONCE);
        else
            assert_true(n > 0); /* 0: the server let its client go */
        used += n > 0 ? (size_t)n : 0;
    }
    troubled = false;
    assert_string_equal(answer, "{\"parameters\":{\"n\":7}}");
    assert_true(calls > 2 * sizeof request);
    close(pair[0]);
    server_free(server);
    ev_loop_destroy(loop);
}

/* ---- accept() ---- */

enum { RATION = 64 }; /* accepts a tick of 50 ms, as the server says */
static const int accept_errors[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS, ECONNABORTED, EINTR, EAGAIN, EPERM};

struct place {
    char directory[64], path[96];
    struct ev_loop *loop;
    struct server *server;
};

static void place_begin(struct place *place)
{
    int fd;
    strcpy(place->directory, "/tmp/volleyd-unit-XXXXXX");
    assert_non_null(mkdtemp(place->directory));
    snprintf(place->path, sizeof place->path, "%s/socket", place->directory);
    place->loop = ev_loop_new(EVFLAG_AUTO);
    assert_int_equal(server_new(place->loop, &service, &server_default_limits, &place->server, NULL), 0);
    assert_int_equal(server_socket(place->path, 0600, (gid_t)-1, &fd, NULL), 0);
    assert_int_equal(server_listen(place->server, fd, ROLE_READ, NULL), 0);
}

static void place_end(struct place *place)
{
    server_free(place->server);
    ev_loop_destroy(place->loop);
    unlink(place->path);
    assert_int_equal(rmdir(place->directory), 0);
}

static int connected(const struct place *place)
{
    static const char request[] = "{\"method\":\"toy.Echo\",\"parameters\":{\"n\":7}}";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", place->path);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(fd, request, sizeof request, 0), sizeof request);
    return fd;
}

static void await_echo(const struct place *place, int fd)
{
    char answer[64];
    ssize_t n;
    while ((n = recv(fd, answer, sizeof answer, 0)) < 0 && errno == EAGAIN)
        ev_run(place->loop, EVRUN_ONCE);
    assert_true(n > 0);
    assert_string_equal(answer, "{\"parameters\":{\"n\":7}}");
}

static void refuse(int error, uint64_t times)
{
    accept_error = error;
    accepts = accepts_refused = 0;
    refusals = times;
}

static void a_client_is_accepted_when_the_trouble_is_over(void **state)
{
    struct place place;
    (void)state;
    place_begin(&place);
    for (size_t i = 0; i < sizeof accept_errors / sizeof *accept_errors; i++) {
        int fd = connected(&place);
        refuse(accept_errors[i], 3);
        await_echo(&place, fd);
        assert_true(accepts_refused == 3 && accepts == 4);
        close(fd);
    }
    place_end(&place);
}

static void stop_loop(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)timer;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

/* A client waits all the time, so that the socket stays readable. Four ticks, begun or whole, fit into 160
 * ms: the loop's own time, however busy the machine. */
static void lasting_trouble_is_not_spun_on(void **state)
{
    struct place place;
    (void)state;
    place_begin(&place);
    int fd = connected(&place);
    for (size_t i = 0; i < sizeof accept_errors / sizeof *accept_errors; i++) {
        ev_timer enough;
        ev_timer_init(&enough, stop_loop, 0.16, 0.);
        refuse(accept_errors[i], UINT64_MAX);
        ev_now_update(place.loop);
        ev_timer_start(place.loop, &enough);
        ev_run(place.loop, 0);
        assert_true(accepts > 0 && accepts <= 5 * RATION);
    }
    refuse(0, 0);
    await_echo(&place, fd);
    close(fd);
    place_end(&place);
}

/* ---- the one file that the daemon writes while it runs ---- */

static void a_marker_is_whole_or_not_there(void **state)
{
    static const int troubles[] = {ENOSPC, EIO, EDQUOT, EINTR, -1};
    char directory[] = "/tmp/volleyd-unit-XXXXXX", path[64], file[96];
    struct plan plan = {0};
    struct daemon daemon = {.plan = &plan};
    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/socket", directory);
    snprintf(file, sizeof file, "%s.running", path);
    plan.spec.control.socket = path;
    for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++) {
        struct err err = {0};
        write_error = troubles[i];
        int code = marker_init(&daemon, &err);
        write_error = 0;
        assert_int_equal(code, troubles[i] > 0 ? -troubles[i] : -ENOSPC);
        assert_non_null(strstr(err.text, file));
        assert_int_equal(access(file, F_OK), -1);
        assert_string_equal(daemon.crash, "");
    }
    assert_int_equal(marker_init(&daemon, NULL), 0);
    marker_fini(&daemon);
    assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_answers_through_interruptions_byte_by_byte),
        cmocka_unit_test(a_client_is_accepted_when_the_trouble_is_over),
        cmocka_unit_test(lasting_trouble_is_not_spun_on),
        cmocka_unit_test(a_marker_is_whole_or_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
