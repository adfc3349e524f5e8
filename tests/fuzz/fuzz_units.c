// SPDX-License-Identifier: GPL-2.0-or-later
/* Any text as each unit; and a rate that was read is read again from what is written of it. */
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_all(const char *text)
{
    struct err err;
    struct ratio ratio;
    struct rate rate, again;
    uint64_t whole;
    uint8_t address[16];
    char out[64];
    units_ratio(text, &ratio, &err);
    if (units_time_ns(text, &whole, &err) == 0)
        units_format_time(whole, out, sizeof out);
    if (units_count(text, &whole, &err) == 0)
        units_format_count(whole, out, sizeof out);
    if (units_bytes(text, &whole, &err) == 0)
        units_format_bytes(whole, out, sizeof out);
    units_mac(text, address, &err);
    units_ipv4(text, address, &err);
    units_ipv6(text, address, &err);
    if (units_rate(text, &rate, &err) == 0 && rate.value.den == 1 && rate.value.num < 1000000 &&
        (units_rate(units_format_rate(rate, out, sizeof out), &again, &err) != 0 || again.kind != rate.kind ||
         again.value.num != rate.value.num))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    try_all(text);
    free(text);
    return 0;
}
