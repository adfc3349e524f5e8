// SPDX-License-Identifier: GPL-2.0-or-later
#include "fail_alloc.h"

#include <errno.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* What the linker makes of --wrap=NAME: our code calls __wrap_NAME, and __real_NAME is the library's. */
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);

static _Atomic uint64_t at, seen; /* at 0: nothing fails */
static atomic_bool ever_after, failed;

static bool fails(void)
{
    uint64_t nth = atomic_load(&at);
    if (nth == 0)
        return false;
    uint64_t now = atomic_fetch_add(&seen, 1) + 1;
    if (now != nth && !(now > nth && atomic_load(&ever_after)))
        return false;
    atomic_store(&failed, true);
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
    return fails() ? NULL : __real_reallocarray(old, count, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

void fail_alloc_arm(uint64_t nth, bool onwards)
{
    atomic_store(&failed, false);
    atomic_store(&seen, 0);
    atomic_store(&ever_after, onwards);
    atomic_store(&at, nth);
}

bool fail_alloc_rest(void)
{
    atomic_store(&at, 0);
    return atomic_load(&failed);
}

void fail_alloc_use_jansson(void)
{
    json_set_alloc_funcs(malloc, free);
}

uint64_t fail_alloc_each(void (*scenario)(void *context), void *context)
{
    uint64_t nth = 0;
    for (int onwards = 0; onwards < 2; onwards++) {
        nth = 0;
        do {
            fail_alloc_arm(++nth, onwards);
            scenario(context);
            fail_alloc_rest();
        } while (atomic_load(&failed));
    }
    return nth - 1;
}
