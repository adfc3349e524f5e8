/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every unit that a person writes or reads, in one place: rates, times, counts, bytes, addresses.
 * Prefixes are decimal (k M G). Parsers are exact (no floating point), refuse trailing text, leave their
 * output untouched on failure and say what would be right. Formatters are made to be read. Pure; any thread.
 */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* An exact non-negative fraction, den > 0, in lowest terms. */
struct ratio {
    uint64_t num, den;
};

enum rate_kind { RATE_MAX, RATE_PPS, RATE_BIT_L1, RATE_BIT_L2, RATE_PERCENT /* of the link's L1 rate */ };

struct rate {
    enum rate_kind kind;
    struct ratio value; /* frames, bits or percent a second; 0/1 for RATE_MAX */
};

/* Bytes on the wire beside a frame's memory: FCS; and preamble, start delimiter and gap (IEEE 802.3). */
enum { FCS_BYTES = 4, L1_EXTRA_BYTES = 20 };

int units_ratio(const char *text, struct ratio *out, struct err *err); /* "0.5", "1.5e3", "3M" */
int units_rate(const char *text, struct rate *out,
               struct err *err); /* "50kpps" "0.5pps" "1.5Gbit/L1" "30%" "max" "30 % L1" */
int units_time_ns(const char *text, uint64_t *out,
                  struct err *err); /* "10us" "1.5s" "2min" "1h" "forever" = UINT64_MAX */
int units_count(const char *text, uint64_t *out,
                struct err *err); /* "1000003" "1M" "1.5k" (whole result) "0x10" */
int units_bytes(const char *text, uint64_t *out, struct err *err); /* "64" "4KiB" "4kB" "1MiB" */
int units_mac(const char *text, uint8_t out[6], struct err *err);  /* "02:00:00:00:00:01" */
int units_ipv4(const char *text, uint8_t out[4], struct err *err);
int units_ipv6(const char *text, uint8_t out[16], struct err *err);

/* Each writes at most size bytes with the NUL and returns out, for use inside one printf. */
char *units_format_rate(struct rate rate, char *out,
                        size_t size); /* "50 kpps", "1.5 Gbit/L1", "30 %", "max" */
char *units_format_si(double value, const char *unit, char *out, size_t size); /* "1.49 Mpps" */
char *units_format_time(uint64_t ns, char *out, size_t size);     /* "2.000 s", "750 us", "forever" */
char *units_format_count(uint64_t value, char *out, size_t size); /* "1,000,003" */
char *units_format_bytes(uint64_t bytes, char *out, size_t size); /* "4 KiB" */
char *units_format_mac(const uint8_t mac[6], char *out, size_t size);

#endif
