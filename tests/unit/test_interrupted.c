// SPDX-License-Identifier: GPL-2.0-or-later
/* System calls that are interrupted or come up short, by link-time wrap: the server answers all the
 * same. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/server.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_server_answers_through_interruptions_byte_by_byte)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
