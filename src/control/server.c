/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Listeners and the list of connections.
 *
 * Accepting is rationed: each listener takes at most ACCEPT_RATION connections in a tick of ACCEPT_TICK_S,
 * and rests until the tick's end when they are used up or the system has no descriptor or memory to give. A
 * crowd at one socket so costs neither the loop nor the other socket its turn. */
#include "control/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/connection.h"
#include "control/varlink.h"

enum { ACCEPT_RATION = 64, BACKLOG = 128, LISTENERS_MAX = 8 };
#define ACCEPT_TICK_S 0.05

const struct server_limits server_default_limits = {
    .connections = 64, .read_connections = 48, .request_s = 5., .answer_s = 5.};

struct listener {
    struct server *server;
    int fd; /* owned */
    enum role role;
    ev_io acceptable;
    ev_timer tick;   /* active: since the first connection of the ration */
    unsigned ration; /* left in this tick */
};

struct server {
    struct connection_host host; /* first: gone() gets back to the server */
    struct server_limits limits;
    struct connection_link *connections;
    unsigned count, read_count;
    uint64_t last_number; /* of a connection */
    struct listener listeners[LISTENERS_MAX];
    unsigned listener_count;
};

/* ---- connections ---- */

static void forget(struct connection_host *host, struct connection *connection)
{
    struct server *server = (struct server *)host;
    struct connection_link *link = connection_link(connection);
    *link->back = link->next;
    if (link->next != NULL)
        link->next->back = link->back;
    server->count--;
    server->read_count -= connection_peer(connection)->role == ROLE_READ;
}

static bool is_full(const struct server *server, enum role role)
{
    return server->count >= server->limits.connections ||
           (role == ROLE_READ && server->read_count >= server->limits.read_connections);
}

/* One attempt to say why; both framings, because the client has not spoken yet. */
static void turn_away(int fd)
{
    static const char busy[] = "{\"error\":\"io.volleyd.Busy\",\"parameters\":{\"reason\":\"too many "
                               "connections; close one, or try again\"}}\n";
    send(fd, busy, sizeof busy, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(fd);
}

void server_adopt(struct server *server, int fd, enum role role)
{
    if (is_full(server, role)) {
        turn_away(fd);
        return;
    }
    struct connection *connection = connection_new(&server->host, fd, role, ++server->last_number);
    if (connection == NULL)
        return;
    struct connection_link *link = connection_link(connection);
    link->next = server->connections;
    link->back = &server->connections;
    if (link->next != NULL)
        link->next->back = &link->next;
    server->connections = link;
    server->count++;
    server->read_count += role == ROLE_READ;
}

unsigned server_connections(const struct server *server)
{
    return server->count;
}

/* ---- accepting ---- */

static void rest(struct listener *listener)
{
    ev_io_stop(listener->server->host.loop, &listener->acceptable);
    ev_timer_again(listener->server->host.loop, &listener->tick);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)events;
    struct listener *listener = timer->data;
    ev_timer_stop(loop, timer);
    listener->ration = ACCEPT_RATION;
    ev_io_start(loop, &listener->acceptable);
}

static void on_acceptable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)events;
    struct listener *listener = watcher->data;
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    bool passing = fd >= 0 || errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
    if (!ev_is_active(&listener->tick))
        ev_timer_again(loop, &listener->tick);
    if (--listener->ration == 0 || !passing)
        rest(listener); /* EMFILE, ENFILE, ENOMEM: the waiting client keeps the socket readable */
    if (fd < 0)
        return;
    server_adopt(listener->server, fd, listener->role);
}

static int prepare_listening(int fd, struct err *err)
{
    int listening = 0, domain = 0;
    socklen_t size = sizeof listening;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0)
        return err_set(err, -errno, "fd %d is no socket: %s", fd, strerror(errno));
    size = sizeof domain;
    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
    if (!listening || domain != AF_UNIX)
        return err_set(err, -EINVAL, "fd %d is not a listening UNIX socket", fd);
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) /* inherited ones may block */
        return err_set(err, -errno, "fd %d: %s", fd, strerror(errno));
    return 0;
}

int server_listen(struct server *server, int fd, enum role role, struct err *err)
{
    int r = prepare_listening(fd, err);
    if (r == 0 && server->listener_count == LISTENERS_MAX)
        r = err_set(err, -ENOSPC, "more than %d sockets", LISTENERS_MAX);
    if (r < 0) {
        close(fd);
        return r;
    }
    struct listener *listener = &server->listeners[server->listener_count++];
    *listener = (struct listener){.server = server, .fd = fd, .role = role, .ration = ACCEPT_RATION};
    ev_io_init(&listener->acceptable, on_acceptable, fd, EV_READ);
    ev_timer_init(&listener->tick, on_tick, 0., ACCEPT_TICK_S);
    listener->acceptable.data = listener->tick.data = listener;
    ev_io_start(server->host.loop, &listener->acceptable);
    return 0;
}

/* ---- the whole ---- */

int server_new(struct ev_loop *loop, const struct service *service, const struct server_limits *limits,
               struct server **out, struct err *err)
{
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return err_set(err, -ENOMEM, "no memory");
    varlink_watch_memory();
    server->limits = *limits;
    server->host = (struct connection_host){.loop = loop,
                                            .service = service,
                                            .request_s = limits->request_s,
                                            .answer_s = limits->answer_s,
                                            .gone = forget};
    *out = server;
    return 0;
}

void server_free(struct server *server)
{
    if (server == NULL)
        return;
    for (unsigned i = 0; i < server->listener_count; i++) {
        ev_io_stop(server->host.loop, &server->listeners[i].acceptable);
        ev_timer_stop(server->host.loop, &server->listeners[i].tick);
        close(server->listeners[i].fd);
    }
    while (server->connections != NULL)
        connection_close(server->connections->connection);
    free(server);
}

/* ---- a listening socket in the file system ---- */

/* 0 when nobody listens at address: a socket file without a listener is removed. */
static int clear_way(const struct sockaddr_un *address, struct err *err)
{
    struct stat state;
    if (lstat(address->sun_path, &state) < 0)
        return errno == ENOENT ? 0 : err_set(err, -errno, "%s: %s", address->sun_path, strerror(errno));
    if (!S_ISSOCK(state.st_mode))
        return err_set(err, -EEXIST, "%s: is in the way, and is not a socket", address->sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, -errno, "socket: %s", strerror(errno));
    int r = connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? -errno : 0;
    close(fd);
    if (r == -ECONNREFUSED) {
        if (unlink(address->sun_path) == 0)
            return 0;
        r = -errno;
    }
    if (r == 0 || r == -EAGAIN)
        return err_set(err, -EADDRINUSE, "%s: another daemon listens there", address->sun_path);
    return err_set(err, r, "%s: cannot replace the socket: %s", address->sun_path, strerror(-r));
}

/* Bound with no access for anyone, so that nobody slips in before mode and group are set. */
static int bind_socket(int fd, const struct sockaddr_un *address, mode_t mode, gid_t group, struct err *err)
{
    const char *path = address->sun_path;
    mode_t before = umask(0777);
    int r = bind(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? -errno : 0;
    umask(before);
    if (r < 0)
        return err_set(err, r, "%s: %s", path, strerror(-r));
    if ((group != (gid_t)-1 && chown(path, (uid_t)-1, group) < 0) || chmod(path, mode) < 0 ||
        listen(fd, BACKLOG) < 0) {
        r = -errno;
        unlink(path);
        return err_set(err, r, "%s: %s", path, strerror(-r));
    }
    return 0;
}

int server_socket(const char *path, mode_t mode, gid_t group, int *out, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return err_set(err, -ENAMETOOLONG, "%s: a socket's path has at most %zu bytes", path,
                       sizeof address.sun_path - 1);
    strcpy(address.sun_path, path);
    int r = clear_way(&address, err);
    if (r < 0)
        return r;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, -errno, "socket: %s", strerror(errno));
    r = bind_socket(fd, &address, mode, group, err);
    if (r < 0) {
        close(fd);
        return r;
    }
    *out = fd;
    return 0;
}
