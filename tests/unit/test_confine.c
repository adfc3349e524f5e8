/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a confined thread can and cannot do, found by trying in a thread of its own. Network calls are made on
 * a UDP socket on loopback: the filter looks at calls and addresses, not at families. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "run/confine.h"

/* 0, or the errno of the first call that failed: written in the thread, judged outside. */
struct trial {
    bool addressed;
    int confined;
    struct err err;
    int socket, event, timer;
    struct sockaddr_in to;
    int kick, addressed_send, message, poll, ppoll, event_write, event_read, timer_set, clock, memory;
    int bind, connect, open, new_socket, fork, executable, kill;
};

static int code(long result)
{
    return result < 0 ? errno : 0;
}

static void try_work(struct trial *trial)
{
    struct pollfd poll_fd = {.fd = trial->event, .events = POLLIN | POLLOUT};
    struct itimerspec soon = {.it_value = {.tv_nsec = 1}};
    struct timespec now, zero = {0};
    uint64_t one = 1;
    trial->kick = code(send(trial->socket, "x", 1, MSG_DONTWAIT));
    trial->poll = code(poll(&poll_fd, 1, 0));
    trial->ppoll = code(ppoll(&poll_fd, 1, &zero, NULL));
    trial->event_write = code(write(trial->event, &one, sizeof one));
    trial->event_read = code(read(trial->event, &one, sizeof one));
    trial->timer_set = code(timerfd_settime(trial->timer, TFD_TIMER_ABSTIME, &soon, NULL));
    trial->clock = code(clock_gettime(CLOCK_MONOTONIC, &now));
    void *memory = malloc(1 << 22);
    trial->memory = memory == NULL ? ENOMEM : 0;
    free(memory);
}

static void try_mischief(struct trial *trial)
{
    const struct sockaddr *to = (const struct sockaddr *)&trial->to;
    struct msghdr message = {.msg_name = &trial->to, .msg_namelen = sizeof trial->to};
    trial->addressed_send = code(sendto(trial->socket, "x", 1, MSG_DONTWAIT, to, sizeof trial->to));
    trial->message = code(sendmsg(trial->socket, &message, MSG_DONTWAIT));
    trial->bind = code(bind(trial->socket, to, sizeof trial->to));
    trial->connect = code(connect(trial->socket, to, sizeof trial->to));
    trial->open = code(open("/dev/null", O_RDONLY));
    trial->new_socket = code(socket(AF_INET, SOCK_DGRAM, 0));
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    trial->fork = code(child);
    if (child > 0)
        waitpid(child, NULL, 0);
    void *page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    trial->executable = page == MAP_FAILED ? errno : 0;
    trial->kill = code(kill(getpid(), 0));
}

static void *confined(void *argument)
{
    struct trial *trial = argument;
    trial->confined = confine_thread(trial->addressed, &trial->err);
    if (trial->confined != 0)
        return NULL;
    try_work(trial);
    try_mischief(trial);
    return NULL;
}

static struct trial run_trial(bool addressed)
{
    struct trial trial = {.addressed = addressed, .to = {.sin_family = AF_INET}};
    socklen_t size = sizeof trial.to;
    pthread_t thread;
    trial.socket = socket(AF_INET, SOCK_DGRAM, 0);
    trial.event = eventfd(0, EFD_NONBLOCK);
    trial.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    assert_true(trial.socket >= 0 && trial.event >= 0 && trial.timer >= 0);
    trial.to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(trial.socket, (struct sockaddr *)&trial.to, size), 0);
    assert_int_equal(getsockname(trial.socket, (struct sockaddr *)&trial.to, &size), 0);
    assert_int_equal(connect(trial.socket, (struct sockaddr *)&trial.to, size), 0); /* to itself */
    assert_int_equal(pthread_create(&thread, NULL, confined, &trial), 0);
    assert_int_equal(pthread_join(thread, NULL), 0); /* so the end of a thread is let through too */
    close(trial.socket);
    close(trial.event);
    close(trial.timer);
    return trial;
}

static void what_sending_needs_is_let_through(void **state)
{
    struct trial trial = run_trial(false);
    (void)state;
    if (trial.confined == -ENOSYS || trial.confined == -EINVAL)
        skip(); /* no seccomp in this kernel */
    assert_int_equal(trial.confined, 0);
    assert_int_equal(trial.kick, 0);
    assert_int_equal(trial.poll, 0);
    assert_int_equal(trial.ppoll, 0);
    assert_int_equal(trial.event_write, 0);
    assert_int_equal(trial.event_read, 0);
    assert_int_equal(trial.timer_set, 0);
    assert_int_equal(trial.clock, 0);
    assert_int_equal(trial.memory, 0);
}

static void everything_else_is_refused(void **state)
{
    struct trial trial = run_trial(false);
    (void)state;
    if (trial.confined == -ENOSYS || trial.confined == -EINVAL)
        skip();
    assert_int_equal(trial.addressed_send, EPERM);
    assert_int_equal(trial.message, EPERM);
    assert_int_equal(trial.bind, EPERM);
    assert_int_equal(trial.connect, EPERM);
    assert_int_equal(trial.open, EPERM);
    assert_int_equal(trial.new_socket, EPERM);
    assert_int_equal(trial.fork, EPERM);
    assert_int_equal(trial.executable, EPERM);
    assert_int_equal(trial.kill, EPERM);
}

static void a_cooked_port_may_address_and_nothing_more(void **state)
{
    struct trial trial = run_trial(true);
    (void)state;
    if (trial.confined == -ENOSYS || trial.confined == -EINVAL)
        skip();
    assert_int_equal(trial.kick, 0);
    assert_int_equal(trial.addressed_send, 0);
    assert_int_equal(trial.message, EPERM);
    assert_int_equal(trial.bind, EPERM);
    assert_int_equal(trial.open, EPERM);
}

static void the_thread_that_confined_another_is_free(void **state)
{
    (void)state;
    run_trial(false);
    int fd = open("/dev/null", O_RDONLY);
    assert_true(fd >= 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_sending_needs_is_let_through),
        cmocka_unit_test(everything_else_is_refused),
        cmocka_unit_test(a_cooked_port_may_address_and_nothing_more),
        cmocka_unit_test(the_thread_that_confined_another_is_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
