/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_FD = 3, FDS_MAX = 16 };

/* A path, or an abstract name that begins with @. */
static socklen_t read_address(struct sockaddr_un *address)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t length = path == NULL ? 0 : strlen(path);
    if (length < 2 || length >= sizeof address->sun_path || (path[0] != '/' && path[0] != '@'))
        return 0;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, length);
    if (path[0] == '@')
        address->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

void notify(const char *format, ...)
{
    struct sockaddr_un address;
    socklen_t size = read_address(&address);
    if (size == 0)
        return;
    char text[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, size);
    close(fd);
}

/* A whole number in the environment; 0 when it is none. */
static uint64_t environment_number(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    uint64_t number = text == NULL ? 0 : strtoull(text, &end, 10);
    return text == NULL || *end != '\0' ? 0 : number;
}

uint64_t notify_watchdog_us(void)
{
    uint64_t pid = environment_number("WATCHDOG_PID");
    return pid == 0 || pid == (uint64_t)getpid() ? environment_number("WATCHDOG_USEC") : 0;
}

int notify_listen_fds(int (*take)(void *context, int fd, const char *name, struct err *err), void *context,
                      struct err *err)
{
    uint64_t count = environment_number("LISTEN_FDS");
    const char *all = getenv("LISTEN_FDNAMES");
    char *names = strdup(all == NULL ? "" : all), *rest = names;
    int r = 0;
    if (names == NULL)
        return err_set(err, -ENOMEM, "no memory");
    if (environment_number("LISTEN_PID") != (uint64_t)getpid())
        count = 0;
    if (count > FDS_MAX)
        r = err_set(err, -EINVAL, "LISTEN_FDS is %s: at most %d", getenv("LISTEN_FDS"), FDS_MAX);
    for (int fd = FIRST_FD; r == 0 && fd < FIRST_FD + (int)count; fd++) {
        const char *name = rest == NULL ? "" : strsep(&rest, ":");
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        r = take(context, fd, name, err);
    }
    free(names);
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
    return r;
}
