// SPDX-License-Identifier: GPL-2.0-or-later
/* Lines on stderr by hand, prefixed under systemd, and fields in the journal's socket when there is one. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

static int saved_stderr, pipe_end;

static void catch_stderr(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    saved_stderr = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    pipe_end = ends[0];
}

static void release_stderr(char *out, size_t size)
{
    fflush(stderr);
    ssize_t got = read(pipe_end, out, size - 1);
    out[got > 0 ? got : 0] = '\0';
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    close(pipe_end);
}

static void name_stderr_as_journal(void)
{
    struct stat facts;
    char stream[64];
    assert_int_equal(fstat(STDERR_FILENO, &facts), 0);
    snprintf(stream, sizeof stream, "%lu:%lu", (unsigned long)facts.st_dev, (unsigned long)facts.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
}

static void by_hand_lines_are_plain(void **state)
{
    (void)state;
    char seen[4096];
    setenv("JOURNAL_STREAM", "1:1", 1); /* another's stream */
    catch_stderr();
    log_open("volleyd", "/nowhere");
    log_write(LOG_NOTICE, EVENT_RUN_STARTED, "run %d\nforged: line", 7);
    log_write(LOG_DEBUG, EVENT_NONE, "not shown");
    log_set_level(LOG_DEBUG);
    log_write(LOG_DEBUG, EVENT_NONE, "shown");
    log_set_level(LOG_INFO);
    log_close();
    release_stderr(seen, sizeof seen);
    assert_string_equal(seen, "volleyd: run 7 forged: line\nvolleyd: shown\n");
}

static void without_the_socket_lines_carry_their_priority(void **state)
{
    (void)state;
    char seen[4096];
    catch_stderr();
    name_stderr_as_journal();
    log_open("volleyd", "/nowhere/socket");
    log_write(LOG_ERR, EVENT_PORT_FAILED, "east failed");
    log_close();
    release_stderr(seen, sizeof seen);
    assert_string_equal(seen, "<3>east failed\n");
}

static void the_journal_gets_fields(void **state)
{
    (void)state;
    char folder[] = "/tmp/volley-log-XXXXXX", seen[4096], wanted[512];
    assert_non_null(mkdtemp(folder));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", folder);
    int journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(journal, (const struct sockaddr *)&address, sizeof address), 0);
    catch_stderr();
    name_stderr_as_journal();
    log_open("volleyd", address.sun_path);
    log_write(LOG_WARNING, EVENT_LINK_LOST, "east: the link is gone");
    log_close();
    release_stderr(seen, sizeof seen);
    assert_string_equal(seen, "");
    ssize_t got = recv(journal, seen, sizeof seen - 1, 0);
    assert_true(got > 0);
    seen[got] = '\0';
    snprintf(wanted, sizeof wanted,
             "PRIORITY=4\nSYSLOG_IDENTIFIER=volleyd\nMESSAGE=east: the link is gone\nMESSAGE_ID=%s\n"
             "VOLLEYD_EVENT=link-lost\n",
             log_event_id(EVENT_LINK_LOST));
    assert_string_equal(seen, wanted);
    close(journal);
    unlink(address.sun_path);
    rmdir(folder);
}

static void every_event_has_a_name_and_an_id_of_its_own(void **state)
{
    (void)state;
    assert_null(log_event_id(EVENT_NONE));
    for (int i = 1; i < EVENT_COUNT; i++) {
        assert_non_null(log_event_name((enum log_event)i));
        assert_int_equal(strspn(log_event_id((enum log_event)i), "0123456789abcdef"), 32);
        for (int j = 1; j < i; j++)
            assert_string_not_equal(log_event_id((enum log_event)i), log_event_id((enum log_event)j));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand_lines_are_plain),
        cmocka_unit_test(without_the_socket_lines_carry_their_priority),
        cmocka_unit_test(the_journal_gets_fields),
        cmocka_unit_test(every_event_has_a_name_and_an_id_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
