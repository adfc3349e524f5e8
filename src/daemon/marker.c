/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CONTROL-SOCKET.running is there while a daemon runs, and says which. One that finds it was not preceded by
 * a clean end: it starts no stream by itself, and keeps the reason for whoever asks. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/instant.h"
#include "base/log.h"
#include "daemon/daemon.h"

/* What the last daemon wrote, without anything that is not plain text: a marker is a file, and files can be
 * tampered with. */
static void read_marker(int fd, char *out, size_t size)
{
    ssize_t length = read(fd, out, size - 1);
    out[length > 0 ? length : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    for (char *at = out; *at != '\0'; at++)
        if (*at < 0x20 || *at > 0x7e)
            *at = '?';
}

static void find_crash(struct daemon *daemon)
{
    char who[120];
    int fd = open(daemon->marker, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return;
    read_marker(fd, who, sizeof who);
    close(fd);
    snprintf(daemon->crash, sizeof daemon->crash,
             "the last volleyd (%s) ended without a stop; traffic stays stopped until it is asked for", who);
    log_write(LOG_ERR, EVENT_DAEMON_CRASHED, "%s", daemon->crash);
}

static int write_marker(const char *path, struct err *err)
{
    char text[120], now[INSTANT_BYTES];
    int length = snprintf(text, sizeof text, "pid %d, since %s\n", (int)getpid(),
                          instant_format(clock_realtime_ns(), now, sizeof now));
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    ssize_t written = write(fd, text, (size_t)length);
    int code = written == length ? 0 : written < 0 ? -errno : -ENOSPC;
    close(fd);
    if (code == 0)
        return 0;
    unlink(path); /* an empty one would tell the next daemon of a crash */
    return err_set(err, code, "%s: %s", path, strerror(-code));
}

int marker_init(struct daemon *daemon, struct err *err)
{
    if (asprintf(&daemon->marker, "%s.running", daemon->plan->spec.control.socket) < 0) {
        daemon->marker = NULL;
        return err_set(err, -ENOMEM, "no memory");
    }
    find_crash(daemon);
    int r = write_marker(daemon->marker, err);
    if (r < 0) {
        free(daemon->marker);
        daemon->marker = NULL;
    }
    return r;
}

void marker_fini(struct daemon *daemon)
{
    unlink(daemon->marker);
    free(daemon->marker);
}
