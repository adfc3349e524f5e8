/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

/* A MESSAGE_ID is for ever: journalctl MESSAGE_ID=… finds all events of a kind, whatever their text. */
static const struct kind {
    const char *event;
    int priority;
    const char *message_id;
} kinds[] = {
    {"start", LOG_NOTICE, "eb10db2646574eed9abd00dfa43ac148"},
    {"end", LOG_NOTICE, "76edda9762f449dc8e27cff69ca65cd4"},
    {"crash", LOG_ERR, "b6e5e0806b3b4de0a884a262b767b283"},
    {"error", LOG_ERR, "3a2231bff03c46eabbcdf3e751515bf0"},
    {"warning", LOG_WARNING, "eb5caaf1e08e42b99b97baabf7ace65e"},
    {"reload", LOG_NOTICE, "ad774bbdd889459aba973f43cea64d99"},
    {"change", LOG_NOTICE, "acd6ae5366a84106a349c192b8d7690a"},
    {"lease", LOG_WARNING, "a933c447cc544ed486876c81e6c890da"},
    {"run-started", LOG_NOTICE, "eeaaa8223fbd4dad8095278587d947c5"},
    {"run-ended", LOG_NOTICE, "631e424328cb46d7b3f953d94e90d915"},
    {"port-state", LOG_NOTICE, "ea509f4c6ee84d589ee8db4ab7bc8c63"},
    {"link-lost", LOG_WARNING, "06a9648281ef44be8e3a8e6e7e09d50d"},
    {"link-regained", LOG_NOTICE, "994b8a6532e94ff298f52c8d6f9472c9"},
};
static const struct kind other = {"other", LOG_INFO, "0ad7b5a7107e4077a42d1b049c35892b"};

static int journal = -1; /* a datagram socket, connected; -1: lines on standard error */

/* systemd tells in JOURNAL_STREAM which device and inode its journal's pipe has. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat file;
    return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &file) == 0 && file.st_dev == device && file.st_ino == inode;
}

void log_open(void)
{
    const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket"};
    if (!stderr_is_journal())
        return;
    journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (journal >= 0 && connect(journal, (const struct sockaddr *)&address, sizeof address) < 0)
        log_close();
}

void log_close(void)
{
    if (journal >= 0)
        close(journal);
    journal = -1;
}

static const struct kind *find_kind(const char *event)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].event, event) == 0)
            return &kinds[i];
    return &other;
}

/* One event is one line, and no escape sequence reaches a terminal. */
static void clean(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

static bool to_journal(const struct kind *kind, const char *event, const char *text)
{
    char message[1400];
    int length = snprintf(message, sizeof message,
                          "MESSAGE=%s\nPRIORITY=%d\nMESSAGE_ID=%s\nVOLLEYD_EVENT=%s\n"
                          "SYSLOG_IDENTIFIER=volleyd\n",
                          text, kind->priority, kind->message_id, event);
    return journal >= 0 && send(journal, message, (size_t)length, MSG_NOSIGNAL) == length;
}

void log_tell(void *context, const char *event, const char *text)
{
    (void)context;
    char line[1000];
    snprintf(line, sizeof line, "%s", text);
    clean(line);
    const struct kind *kind = find_kind(event);
    if (!to_journal(kind, event, line))
        fprintf(stderr, "volleyd: %s\n", line);
}

void log_event(const char *event, const char *format, ...)
{
    char text[1000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log_tell(NULL, event, text);
}
