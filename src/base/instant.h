/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Points in time as text: RFC 3339, or seconds since 1970. Pure; any thread. */
#ifndef BASE_INSTANT_H
#define BASE_INSTANT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Nanoseconds since 1970 from "2026-11-22T10:00:00.25Z", "2026-11-22T11:00:00+01:00" or "1795341600.25".
 * Digits beyond nanoseconds, years outside 1970 to 2261 and the leap second's :60 are refused. */
int instant_parse(const char *text, uint64_t *out_ns, struct err *err);

enum { INSTANT_BYTES = 32 };
/* "2026-11-22T10:00:00.250000Z" into out (INSTANT_BYTES or more); returns out. */
char *instant_format(uint64_t ns, char *out, size_t size);

#endif
