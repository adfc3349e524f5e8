// SPDX-License-Identifier: GPL-2.0-or-later
/* Any text as a configuration file, down to the frames: what compiles is written as a dry run and explained.
 * The frames fit their ports' bounds because the pcap writer is given no more than they have. */
#include <stdlib.h>

#include "config/read.h"
#include "plan/dryrun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* As in fuzz_config.c. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig\n";
}

enum { FRAMES = 30, STREAMS_RUN = 50 };

static void dry_run(const struct plan *plan)
{
    static FILE *out;
    struct err err;
    if (out == NULL)
        out = fopen("/dev/null", "w");
    if (plan->stream_count > STREAMS_RUN || out == NULL)
        return;
    (void)dryrun_write(plan, "/dev/null", FRAMES, &err);
    for (uint32_t i = 0; i < plan->stream_count; i++)
        plan_explain(plan, i, out, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct complaints *complaints = complaints_new();
    struct tree *tree = NULL;
    struct plan *plan = NULL;
    if (tree_read_text((const char *)data, size, "fuzz", &tree, complaints) == 0) {
        int rc = plan_compile(tree, "fuzz", &plan, complaints);
        if ((rc == 0) != (complaints_errors(complaints) == 0))
            abort();
        if (rc == 0)
            dry_run(plan);
    }
    plan_unref(plan);
    complaints_free(complaints);
    return 0;
}
