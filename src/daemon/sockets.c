/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two sockets: systemd's (LISTEN_FDS, told apart by name, or by path where the name says nothing), and
 * our own for those that it did not bring. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/notify.h"

enum { STATUS_MODE = 0666, DIRECTORY_MODE = 0755 };

static const char *const role_names[] = {[ROLE_READ] = "status", [ROLE_CHANGE] = "control"};

static const char *path_of(const struct daemon *daemon, enum role role)
{
    const struct control_spec *spec = &daemon->plan->spec.control;
    return role == ROLE_CHANGE ? spec->socket : spec->status_socket;
}

static int find_role(const struct daemon *daemon, int fd, const char *name, enum role *out, struct err *err)
{
    struct sockaddr_un address = {0};
    socklen_t size = sizeof address - 1; /* a NUL stays behind the path */
    getsockname(fd, (struct sockaddr *)&address, &size);
    for (enum role role = ROLE_READ; role <= ROLE_CHANGE; role++) {
        if (strcmp(name, role_names[role]) != 0 && strcmp(address.sun_path, path_of(daemon, role)) != 0)
            continue;
        *out = role;
        return 0;
    }
    return err_set(
        err, -EINVAL,
        "systemd's socket `%s` is neither control nor status: name it with FileDescriptorName=", name);
}

static int take_passed(void *context, int fd, const char *name, struct err *err)
{
    struct daemon *daemon = context;
    enum role role = ROLE_READ;
    int r = find_role(daemon, fd, name, &role, err);
    if (r < 0)
        return r;
    if (daemon->sockets[role].fd >= 0)
        return err_set(err, -EEXIST, "systemd brought two %s sockets", role_names[role]);
    daemon->sockets[role].fd = fd;
    return 0;
}

/* One level: /run/volleyd, when we are started by hand. Whose it is, is who we will be. */
static void make_directory(const struct daemon *daemon, const char *path)
{
    char directory[sizeof((struct sockaddr_un *)NULL)->sun_path + 1];
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path);
    if (length == 0 || length >= sizeof directory)
        return;
    memcpy(directory, path, length);
    directory[length] = '\0';
    if (mkdir(directory, DIRECTORY_MODE) == 0 && daemon->account.change &&
        chown(directory, daemon->account.uid, daemon->account.gid) < 0)
        rmdir(directory); /* binding then says what is wrong */
}

static int make_socket(struct daemon *daemon, enum role role, struct err *err)
{
    const struct control_spec *spec = &daemon->plan->spec.control;
    struct daemon_socket *own = &daemon->sockets[role];
    const char *path = path_of(daemon, role);
    gid_t group = (gid_t)-1;
    int fd, r = spec->group == NULL ? 0 : privilege_find_group(spec->group, &group, err);
    if (r < 0)
        return r;
    char *copy = strdup(path);
    if (copy == NULL)
        return err_set(err, -ENOMEM, "no memory");
    make_directory(daemon, path);
    r = server_socket(path, role == ROLE_CHANGE ? spec->mode : STATUS_MODE, group, &fd, err);
    if (r < 0) {
        free(copy);
        return r;
    }
    *own = (struct daemon_socket){.fd = fd, .path = copy};
    return 0;
}

int sockets_init(struct daemon *daemon, struct err *err)
{
    for (enum role role = ROLE_READ; role <= ROLE_CHANGE; role++)
        daemon->sockets[role].fd = -1;
    int r = notify_listen_fds(take_passed, daemon, err);
    for (enum role role = ROLE_READ; r == 0 && role <= ROLE_CHANGE; role++)
        if (daemon->sockets[role].fd < 0)
            r = make_socket(daemon, role, err);
    if (r < 0)
        sockets_fini(daemon);
    return r;
}

void sockets_fini(struct daemon *daemon)
{
    for (enum role role = ROLE_READ; role <= ROLE_CHANGE; role++) {
        struct daemon_socket *own = &daemon->sockets[role];
        if (own->fd >= 0)
            close(own->fd);
        if (own->path != NULL)
            unlink(own->path);
        free((char *)own->path);
        *own = (struct daemon_socket){.fd = -1};
    }
}
