// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes from a client: framing, JSON, dispatch and the real handlers, with the mock engine behind. Each
 * answer is a Varlink reply, and when the client is gone nothing of it is left. The first byte chooses the
 * socket. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/read.h"
#include "control/control.h"
#include "control/varlink.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char configuration[] =
    "safety = { allow = [ \"mock*\" ]; };\n"
    "ports = ( { name = \"east\"; interface = \"mock0\"; engine = \"mock\"; } );\n"
    "templates = { plain = ( { ethernet = { dst = \"02:00:00:00:00:02\"; }; }, { ipv4 = { src = "
    "\"198.18.0.1\"; dst = "
    "\"198.19.0.1\"; }; }, { udp = { src = 1; dst = 2; }; } ); };\n"
    "streams = ( { name = \"voice\"; port = \"east\"; template = \"plain\"; rate = \"100pps\"; duration = "
    "\"1s\"; },\n"
    "  { name = \"flow\"; port = \"east\"; template = \"plain\"; rate = \"10pps\"; duration = \"1s\"; copies "
    "= 3; } );\n";

static struct ev_loop *loop;
static struct volley *volley;
static struct control *control;
static struct server *server;

static int read_plan(void *context, struct plan **out, struct complaints *complaints)
{
    (void)context;
    struct tree *tree = NULL;
    int r = tree_read_text(configuration, sizeof configuration - 1, "fuzz", &tree, complaints);
    return r < 0 ? r : plan_compile(tree, "file fuzz", out, complaints);
}

static void must(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    struct complaints *complaints = complaints_new();
    struct plan *plan = NULL;
    loop = ev_default_loop(EVFLAG_NOENV);
    must(read_plan(NULL, &plan, complaints) == 0);
    must(volley_new(loop, plan, false, &volley, NULL) == 0);
    plan_unref(plan);
    const struct control_wishes wishes = {
        .loop = loop, .volley = volley, .version = "0", .warnings = complaints, .read = read_plan};
    must(control_new(&wishes, &control, NULL) == 0);
    must(server_new(loop, control_service(control), &server_default_limits, &server, NULL) == 0);
    complaints_free(complaints);
    return 0;
}

/* What the client hears so far; each whole message is a reply. */
static void hear(int fd, struct varlink_reader *reader)
{
    char *at;
    const char *text;
    size_t room, length;
    while (varlink_reader_room(reader, &at, &room, NULL) == 0) {
        ssize_t n = recv(fd, at, room, MSG_DONTWAIT);
        if (n <= 0)
            return;
        reader->length += (size_t)n;
        while (varlink_reader_next(reader, &text, &length, NULL) == 1) {
            json_t *reply = NULL;
            must(varlink_decode(text, length, &reply, NULL) == 0);
            must(json_is_object(json_object_get(reply, "parameters")));
            json_decref(reply);
        }
    }
    abort(); /* a reply of more than VARLINK_REPLY_BYTES */
}

static void turn(int fd, struct varlink_reader *reader)
{
    ev_run(loop, EVRUN_NOWAIT);
    hear(fd, reader);
}

static void on_quiet(void *context, int result, const struct err *err)
{
    (void)result;
    (void)err;
    *(bool *)context = true;
}

/* Nothing of one input shall be left for the next. */
static void calm_down(void)
{
    bool quiet = false;
    volley_stop(volley, &(struct selection){0}, "next input", on_quiet, &quiet);
    while (!quiet || server_connections(server) > 0)
        ev_run(loop, EVRUN_ONCE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int pair[2];
    if (size == 0)
        return 0;
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    struct varlink_reader reader;
    varlink_reader_init(&reader, VARLINK_REPLY_BYTES);
    server_adopt(server, pair[1], data[0] & 1 ? ROLE_CHANGE : ROLE_READ);
    data++;
    size--;
    while (size > 0 && server_connections(server) > 0) {
        ssize_t n = send(pair[0], data, size, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            break;
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
        turn(pair[0], &reader);
    }
    for (int i = 0; i < 10; i++)
        turn(pair[0], &reader);
    close(pair[0]);
    calm_down();
    varlink_reader_fini(&reader);
    return 0;
}
