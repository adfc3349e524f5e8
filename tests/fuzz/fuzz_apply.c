// SPDX-License-Identifier: GPL-2.0-or-later
/* Any JSON as streams and templates for a plan in force: refused with a complaint, or another whole plan; the
 * one below it stays as it was. What compiles is dry-run as well. */
#include <stdlib.h>
#include <string.h>

#include "config/read.h"
#include "plan/dryrun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FRAMES = 30, STREAMS_RUN = 50 };

static const char file[] =
    "safety = { allow = [ \"mock*\" ]; max_rate = \"9Gbit/L1\"; };"
    "ports = ( { name = \"east\"; interface = \"mock0\"; engine = \"mock\"; queues = 2; speed = \"10Gbit\"; "
    "},"
    "  { name = \"west\"; interface = \"mock1\"; engine = \"mock\"; receive = true; } );"
    "templates = { t = ( { ethernet = { dst = \"02:00:00:00:00:02\"; }; } ); };"
    "streams = ( { name = \"voice\"; port = \"east\"; template = \"t\"; } );";

static void must(int holds)
{
    if (!holds)
        abort();
}

static struct plan *base_plan(void)
{
    static struct plan *base;
    struct complaints *complaints = complaints_new();
    struct tree *tree = NULL;
    if (base == NULL) {
        must(tree_read_text(file, strlen(file), "fuzz", &tree, complaints) == 0);
        must(plan_compile(tree, "fuzz", &base, complaints) == 0);
    }
    complaints_free(complaints);
    return base;
}

static void apply(const json_t *object, bool add)
{
    struct complaints *complaints = complaints_new();
    const struct plan *base = base_plan();
    struct tree *tree = NULL;
    struct plan *plan = NULL;
    struct err err;
    int rc = tree_read_json(object, &tree, complaints);
    if (rc == 0)
        rc = plan_apply(base, tree, add, "fuzz", &plan, complaints);
    must((rc == 0) == (complaints_errors(complaints) == 0));
    must((rc == 0) == (plan != NULL));
    if (rc == 0 && plan->stream_count <= STREAMS_RUN)
        (void)dryrun_write(plan, "/dev/null", FRAMES, &err);
    plan_unref(plan);
    complaints_free(complaints);
    must(base->stream_count == 1 && base->port_count == 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *object = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(object)) {
        apply(object, false);
        apply(object, true);
    }
    json_decref(object);
    return 0;
}
