// SPDX-License-Identifier: GPL-2.0-or-later
/* Logging to stderr or, under systemd, to the journal by its native protocol: one datagram an entry, one
 * FIELD=value line a field (systemd.io/JOURNAL_NATIVE_PROTOCOL). Entries are one line and short, so neither
 * the binary form of fields nor a memfd is needed. */
#include "base/log.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { LINE_BYTES = 1024 };

static const struct {
    const char *name, *id;
} events[EVENT_COUNT] = {
    [EVENT_DAEMON_STARTED] = {"daemon-started", "b54d8c994cb34833b671b218b2e249ac"},
    [EVENT_DAEMON_STOPPED] = {"daemon-stopped", "14bb6e7466114c24a394348c7d8d0425"},
    [EVENT_DAEMON_CRASHED] = {"daemon-crashed", "9a6c07849493484ca8945d43479679ac"},
    [EVENT_CONFIG_LOADED] = {"config-loaded", "fbcb66a13cca487f874086ce76ad398f"},
    [EVENT_CONFIG_REFUSED] = {"config-refused", "20939cd1225c456887283b798e9117d5"},
    [EVENT_RUN_STARTED] = {"run-started", "b3f62a55e42a4ba19df2d8aaef326c9b"},
    [EVENT_RUN_ENDED] = {"run-ended", "26e7a9fdfddd4244b0514b7c3a44d749"},
    [EVENT_PORT_STATE] = {"port-state", "cc1d6788c3cd406194aa41b24c8801ae"},
    [EVENT_PORT_REFUSED] = {"port-refused", "9a4f9d466b4c4594bc4e05153b6706a1"},
    [EVENT_PORT_FAILED] = {"port-failed", "2d1776baa3e2449bb2ebdaf37b09932b"},
    [EVENT_LINK_LOST] = {"link-lost", "ad5316c7294942f0bf8c2a6560cf90f5"},
    [EVENT_LINK_BACK] = {"link-back", "3bb8e3b1a7174e9d997a1d88648130aa"},
    [EVENT_CONTROL_CHANGE] = {"control-change", "a34f61ac9b4f494bbc37e60ea8dedb4f"},
    [EVENT_LEASE_EXPIRED] = {"lease-expired", "0b4c276a709846a98fd37bf87aa7910f"},
};

static struct {
    const char *identifier;
    int level;
    int journal_fd;
    bool prefixed;
} logger = {.identifier = "volleyd", .level = LOG_INFO, .journal_fd = -1};

/* JOURNAL_STREAM is inherited by everything that a service starts; it counts only while stderr is still the
 * stream that it names (systemd.exec(5)). */
static bool stderr_is_journal(void)
{
    struct stat facts;
    uint64_t device, inode;
    const char *stream = getenv("JOURNAL_STREAM");
    return stream != NULL && sscanf(stream, "%" SCNu64 ":%" SCNu64, &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &facts) == 0 && facts.st_dev == device && facts.st_ino == inode;
}

static int connect_journal(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -1;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

void log_open(const char *identifier, const char *journal_socket)
{
    log_close();
    logger.identifier = identifier;
    logger.prefixed = stderr_is_journal();
    if (logger.prefixed)
        logger.journal_fd =
            connect_journal(journal_socket != NULL ? journal_socket : "/run/systemd/journal/socket");
}

void log_close(void)
{
    if (logger.journal_fd >= 0)
        close(logger.journal_fd);
    logger.journal_fd = -1;
    logger.prefixed = false;
}

void log_set_level(int level)
{
    logger.level = level;
}

static bool send_journal(int level, enum log_event event, const char *line)
{
    char entry[LINE_BYTES + 256];
    if (logger.journal_fd < 0)
        return false;
    int used = snprintf(entry, sizeof entry, "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=%s\n", level,
                        logger.identifier, line);
    if (event != EVENT_NONE && used > 0 && (size_t)used < sizeof entry)
        used += snprintf(entry + used, sizeof entry - (size_t)used, "MESSAGE_ID=%s\nVOLLEYD_EVENT=%s\n",
                         events[event].id, events[event].name);
    /* A journal that does not keep up must not stop us. */
    return used > 0 && (size_t)used < sizeof entry &&
           send(logger.journal_fd, entry, (size_t)used, MSG_DONTWAIT | MSG_NOSIGNAL) == used;
}

void log_write(int level, enum log_event event, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;
    if (level > logger.level)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (char *at = line; *at != '\0'; at++)
        if (iscntrl((unsigned char)*at))
            *at = ' ';
    if (send_journal(level, event, line))
        return;
    if (logger.prefixed)
        fprintf(stderr, "<%d>%s\n", level, line);
    else
        fprintf(stderr, "%s: %s\n", logger.identifier, line);
}

const char *log_event_name(enum log_event event)
{
    return events[event].name;
}

const char *log_event_id(enum log_event event)
{
    return events[event].id;
}
