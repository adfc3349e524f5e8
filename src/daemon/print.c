/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The modes that look at a configuration, or at the program's tables, and exit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/daemon.h"
#include "plan/dryrun.h"

enum { EXIT_CONFIGURATION = 2, FRAMES_DEFAULT = 1000 };

static void print_line(const char *line)
{
    fprintf(stderr, "%s\n", line);
}

/* The plan, or NULL after printing what is wrong; warnings are printed in both cases. */
static struct plan *load(const struct options *options)
{
    struct complaints *complaints = complaints_new();
    struct plan *plan = NULL;
    if (complaints == NULL)
        return NULL;
    if (daemon_read_plan(options->configuration, &plan, complaints) < 0)
        plan = NULL;
    daemon_print_complaints(complaints, print_line);
    complaints_free(complaints);
    return plan;
}

int print_check(const struct options *options)
{
    struct plan *plan = load(options);
    if (plan == NULL)
        return EXIT_CONFIGURATION;
    printf("%s: good: %u ports, %u streams\n", options->configuration, plan->port_count, plan->stream_count);
    plan_unref(plan);
    return EXIT_SUCCESS;
}

int print_dry_run(const struct options *options)
{
    struct err err = {0};
    struct plan *plan = load(options);
    if (plan == NULL)
        return EXIT_CONFIGURATION;
    int r =
        dryrun_write(plan, options->subject, options->frames == 0 ? FRAMES_DEFAULT : options->frames, &err);
    if (r < 0)
        fprintf(stderr, "volleyd: %s\n", err.text);
    plan_unref(plan);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int print_explain(const struct options *options)
{
    struct plan *plan = load(options);
    if (plan == NULL)
        return EXIT_CONFIGURATION;
    uint32_t stream = plan_find_stream(plan, options->subject);
    if (stream == PLAN_NONE)
        fprintf(stderr, "volleyd: %s has no stream `%s`\n", options->configuration, options->subject);
    else
        plan_explain(plan, stream, stdout, isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL);
    plan_unref(plan);
    return stream == PLAN_NONE ? EXIT_CONFIGURATION : EXIT_SUCCESS;
}

/* ---- parts of the manual ---- */

static void print_control(FILE *out)
{
    interface_print_roff(&control_interface, out);
}

/* Rows for tbl(1). */
static void print_events(FILE *out)
{
    for (enum log_event event = EVENT_NONE + 1; event < EVENT_COUNT; event++)
        fprintf(out, "%s\t%s\n", log_event_name(event), log_event_id(event));
}

static const struct {
    const char *name;
    void (*print)(FILE *out);
} manuals[] = {{"control", print_control},
               {"conf", schema_print_roff},
               {"protocols", packet_print_roff},
               {"options", options_print_roff},
               {"events", print_events}};

int print_manual(const struct options *options)
{
    for (size_t i = 0; i < sizeof manuals / sizeof *manuals; i++) {
        if (strcmp(manuals[i].name, options->subject) != 0)
            continue;
        manuals[i].print(stdout);
        return EXIT_SUCCESS;
    }
    fprintf(stderr, "volleyd: there is no manual `%s`: control, conf, protocols, options or events\n",
            options->subject);
    return EXIT_CONFIGURATION;
}
