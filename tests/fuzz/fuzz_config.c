// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes as a configuration: refused with a complaint, or a tree and a specification; never anything else.
 */
#include <stdlib.h>

#include "config/read.h"
#include "config/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 loses the text that it was reading when a syntax error ends it: 64 bytes a refused file. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig\n";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (enum spec_scope scope = SPEC_FILE; scope <= SPEC_APPLY; scope++) {
        struct complaints *complaints = complaints_new();
        struct tree *tree = NULL;
        struct spec spec = {0};
        int rc = tree_read_text((const char *)data, size, "fuzz", &tree, complaints);
        if (rc == 0)
            rc = spec_read(tree, scope, &spec, complaints);
        if ((rc == 0) != (complaints_errors(complaints) == 0))
            abort();
        spec_fini(&spec);
        tree_free(tree);
        complaints_free(complaints);
    }
    return 0;
}
