/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engines by name. A new engine is a row here and a file of its own. Any thread. */
#include "engine/engine.h"

#include <string.h>

static const struct engine_ops *const engines[] = {
    &txring_ops,
    &mock_ops,
    &mock_async_ops,
    &mock_partial_ops,
};

enum { ENGINES = sizeof engines / sizeof engines[0] };

const struct engine_ops *engine_find(const char *name)
{
    for (size_t i = 0; i < ENGINES; i++)
        if (strcmp(engines[i]->name, name) == 0)
            return engines[i];
    return NULL;
}

const char *const *engine_names(void)
{
    static const char *const names[] = {"txring", "mock", "mock-async", "mock-partial", NULL};
    _Static_assert(sizeof names / sizeof names[0] == ENGINES + 1, "one name an engine");
    return names;
}
