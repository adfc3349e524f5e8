/* SPDX-License-Identifier: GPL-2.0-or-later */
/* volleyd. The table of steps below is the daemon's life: up in this order, down in the other. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "config.h"
#include "config/read.h"
#include "daemon/daemon.h"
#include "daemon/notify.h"
#include "daemon/tell.h"
#include "engine/engine.h"

enum { EXIT_CONFIGURATION = 2 };

/* ---- the configuration ---- */

int daemon_read_plan(const char *path, struct plan **out, struct complaints *complaints)
{
    struct tree *tree = NULL;
    char source[sizeof((struct plan *)NULL)->source];
    int r = tree_read_file(path, &tree, complaints);
    if (r < 0)
        return r;
    snprintf(source, sizeof source, "file %s", path);
    return plan_compile(tree, source, out, complaints);
}

void daemon_print_complaints(const struct complaints *complaints, void (*print)(const char *line))
{
    for (size_t i = 0; i < complaints_count(complaints); i++) {
        const struct complaint *one = complaints_get(complaints, i);
        char line[1000];
        snprintf(line, sizeof line, "%s: %s%s", one->where, one->error ? "" : "warning: ", one->text);
        print(line);
    }
}

static void log_complaint(const char *line)
{
    log_write(LOG_WARNING, EVENT_NONE, "%s", line);
}

static int configuration_init(struct daemon *daemon, struct err *err)
{
    daemon->complaints = complaints_new();
    if (daemon->complaints == NULL)
        return err_set(err, -ENOMEM, "no memory");
    int r = daemon_read_plan(daemon->options.configuration, &daemon->plan, daemon->complaints);
    daemon_print_complaints(daemon->complaints, log_complaint);
    if (r < 0) {
        complaints_free(daemon->complaints);
        return err_set(err, -EINVAL, "%s cannot be used as it is", daemon->options.configuration);
    }
    return 0;
}

static void configuration_fini(struct daemon *daemon)
{
    plan_unref(daemon->plan);
    complaints_free(daemon->complaints);
}

static int reread(void *context, struct plan **out, struct complaints *complaints)
{
    const struct daemon *daemon = context;
    return daemon_read_plan(daemon->options.configuration, out, complaints);
}

/* ---- the process ---- */

static int process_init(struct daemon *daemon, struct err *err)
{
    umask(027);
    signal(SIGPIPE, SIG_IGN);
    int r;
    if ((r = privilege_check_system(err)) < 0 || (r = privilege_raise_limits(err)) < 0)
        return r;
    return privilege_find_account(daemon->options.user, &daemon->account, err);
}

static bool needs_capability(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->port_count; i++) {
        const struct engine_ops *ops = engine_find(plan->ports[i].spec->engine);
        if (ops == NULL || !ops->without_interface)
            return true;
    }
    return false;
}

static int privilege_init(struct daemon *daemon, struct err *err)
{
    int r = privilege_drop(&daemon->account, err);
    if (r == 0 && needs_capability(daemon->plan) && !privilege_can_send())
        return err_set(err, -EPERM,
                       "CAP_NET_RAW is missing: run volleyd as its systemd service, or as root with --user");
    return r;
}

/* ---- the parts ---- */

static int loop_init(struct daemon *daemon, struct err *err)
{
    daemon->loop = ev_default_loop(EVFLAG_NOENV);
    return daemon->loop != NULL ? 0 : err_set(err, -EIO, "libev finds no way to wait for events here");
}

static void loop_fini(struct daemon *daemon)
{
    ev_loop_destroy(daemon->loop);
}

static int volley_init(struct daemon *daemon, struct err *err)
{
    int r = volley_new(daemon->loop, daemon->plan, daemon->options.confine, &daemon->volley, err);
    if (r == 0)
        volley_set_tell(daemon->volley, tell, NULL);
    return r;
}

static void volley_fini(struct daemon *daemon)
{
    volley_free(daemon->volley);
}

static int control_init(struct daemon *daemon, struct err *err)
{
    if (daemon->crash[0] != '\0')
        complain_warn(daemon->complaints, NULL, "%s", daemon->crash);
    const struct control_wishes wishes = {.loop = daemon->loop,
                                          .volley = daemon->volley,
                                          .version = PACKAGE_VERSION,
                                          .warnings = daemon->complaints,
                                          .read = reread,
                                          .tell = tell,
                                          .context = daemon};
    return control_new(&wishes, &daemon->control, err);
}

static void control_fini(struct daemon *daemon)
{
    control_free(daemon->control);
}

static int server_init(struct daemon *daemon, struct err *err)
{
    int r = server_new(daemon->loop, control_service(daemon->control), &server_default_limits,
                       &daemon->server, err);
    for (enum role role = ROLE_READ; r == 0 && role <= ROLE_CHANGE; role++) {
        int fd = daemon->sockets[role].fd;
        daemon->sockets[role].fd = -1; /* the server's, whatever comes */
        r = server_listen(daemon->server, fd, role, err);
    }
    if (r < 0)
        server_free(daemon->server);
    return r;
}

static void server_fini(struct daemon *daemon)
{
    server_free(daemon->server);
}

/* ---- the life ---- */

static const struct step {
    const char *name;
    daemon_init *init;
    daemon_fini *fini; /* NULL: leaves nothing to undo */
} steps[] = {
    {"process", process_init, NULL},         {"configuration", configuration_init, configuration_fini},
    {"sockets", sockets_init, sockets_fini}, {"marker", marker_init, marker_fini},
    {"privileges", privilege_init, NULL},    {"loop", loop_init, loop_fini},
    {"ports", volley_init, volley_fini},     {"control", control_init, control_fini},
    {"server", server_init, server_fini},    {"signals", supervise_init, supervise_fini},
    {"autostart", autostart_init, NULL},
};
enum { STEPS = sizeof steps / sizeof *steps };

static void go_down(struct daemon *daemon, size_t from)
{
    while (from-- > 0)
        if (steps[from].fini != NULL)
            steps[from].fini(daemon);
}

static int run(const struct options *options)
{
    struct daemon daemon = {.options = *options};
    struct err err = {0};
    int code = EXIT_SUCCESS;
    log_open("volleyd", NULL);
    for (size_t i = 0; i < STEPS; i++) {
        if (steps[i].init(&daemon, &err) == 0)
            continue;
        log_write(LOG_ERR, EVENT_NONE, "%s: %s", steps[i].name, err.text);
        notify("STATUS=%s", err.text);
        go_down(&daemon, i);
        log_close();
        return strcmp(steps[i].name, "configuration") == 0 ? EXIT_CONFIGURATION : EXIT_FAILURE;
    }
    log_write(LOG_NOTICE, EVENT_DAEMON_STARTED, "volleyd %s is ready: %u ports, %u streams", PACKAGE_VERSION,
              daemon.plan->port_count, daemon.plan->stream_count);
    notify("READY=1");
    ev_run(daemon.loop, 0);
    go_down(&daemon, STEPS);
    log_close();
    return code;
}

static int print_version(const struct options *options)
{
    (void)options;
    puts("volleyd " PACKAGE_VERSION);
    return EXIT_SUCCESS;
}

static int print_help(const struct options *options)
{
    (void)options;
    options_help(stdout);
    return EXIT_SUCCESS;
}

static int (*const modes[])(const struct options *options) = {
    [MODE_RUN] = run,
    [MODE_CHECK] = print_check,
    [MODE_DRY_RUN] = print_dry_run,
    [MODE_EXPLAIN] = print_explain,
    [MODE_MANUAL] = print_manual,
    [MODE_VERSION] = print_version,
    [MODE_HELP] = print_help,
};

int main(int argc, char *argv[])
{
    struct options options;
    struct err err;
    if (privilege_open_stdio(&err) < 0)
        return EXIT_FAILURE; /* there is nowhere to say it */
    if (options_read(argc, argv, &options) < 0)
        return EXIT_CONFIGURATION;
    int code = modes[options.mode](&options);
    /* A full disk behind standard output is a failure of what was printed there. */
    if (fflush(stdout) != 0 && code == EXIT_SUCCESS) {
        fprintf(stderr, "volleyd: standard output: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    return code;
}
