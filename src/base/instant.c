/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/instant.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

/* UINT64_MAX ns since 1970 end in 2554; signed arithmetic on them, in 2262. */
#define LAST_SECOND (UINT64_C(9223372036) - 1)

static int wrong(const char *text, struct err *err)
{
    return err_set(
        err, -EINVAL,
        "`%s` is no time: write RFC 3339 such as 2026-11-22T10:00:00Z, or seconds since 1970 such as "
        "1795341600.5",
        text);
}

/* Exactly width digits, then on behind them. */
static bool take_number(const char **at, unsigned width, int *out)
{
    int value = 0;
    for (; width > 0; width--, (*at)++) {
        if (!isdigit((unsigned char)**at))
            return false;
        value = value * 10 + (**at - '0');
    }
    *out = value;
    return true;
}

static bool take_byte(const char **at, const char *one_of)
{
    if (**at == '\0' || strchr(one_of, **at) == NULL)
        return false;
    (*at)++;
    return true;
}

/* ".25" as nanoseconds; nothing is 0. */
static bool take_fraction(const char **at, uint64_t *out_ns)
{
    uint64_t ns = 0, unit = NS_PER_SECOND;
    if (take_byte(at, ".")) {
        if (!isdigit((unsigned char)**at))
            return false;
        for (; isdigit((unsigned char)**at); (*at)++) {
            unit /= 10;
            if (unit == 0)
                return false;
            ns += (uint64_t)(**at - '0') * unit;
        }
    }
    *out_ns = ns;
    return true;
}

/* "Z" or "+hh:mm", as seconds east of Greenwich. */
static bool take_zone(const char **at, int *out_s)
{
    if (take_byte(at, "Zz")) {
        *out_s = 0;
        return true;
    }
    int sign = **at == '-' ? -1 : 1, hours, minutes;
    if (!take_byte(at, "+-") || !take_number(at, 2, &hours) || !take_byte(at, ":") ||
        !take_number(at, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *out_s = sign * (hours * 3600 + minutes * 60);
    return true;
}

static bool take_date_time(const char **at, struct tm *out)
{
    struct tm tm = {0};
    if (!take_number(at, 4, &tm.tm_year) || !take_byte(at, "-") || !take_number(at, 2, &tm.tm_mon) ||
        !take_byte(at, "-") || !take_number(at, 2, &tm.tm_mday) || !take_byte(at, "Tt ") ||
        !take_number(at, 2, &tm.tm_hour) || !take_byte(at, ":") || !take_number(at, 2, &tm.tm_min) ||
        !take_byte(at, ":") || !take_number(at, 2, &tm.tm_sec))
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *out = tm;
    return true;
}

/* timegm() mends what is out of range (31 February); here it is refused. */
static bool to_seconds(const struct tm *wanted, int64_t *out)
{
    struct tm tm = *wanted;
    time_t seconds = timegm(&tm);
    *out = seconds;
    return tm.tm_year == wanted->tm_year && tm.tm_mon == wanted->tm_mon && tm.tm_mday == wanted->tm_mday &&
           tm.tm_hour == wanted->tm_hour && tm.tm_min == wanted->tm_min && tm.tm_sec == wanted->tm_sec;
}

static bool parse_date(const char *at, uint64_t *out_s, uint64_t *out_ns)
{
    struct tm tm;
    int64_t seconds;
    int zone_s;
    if (!take_date_time(&at, &tm) || !take_fraction(&at, out_ns) || !take_zone(&at, &zone_s) || *at != '\0' ||
        !to_seconds(&tm, &seconds) || seconds < zone_s)
        return false;
    *out_s = (uint64_t)(seconds - zone_s);
    return true;
}

static bool parse_seconds(const char *at, uint64_t *out_s, uint64_t *out_ns)
{
    uint64_t seconds = 0;
    if (!isdigit((unsigned char)*at))
        return false;
    for (; isdigit((unsigned char)*at); at++) {
        if (seconds > LAST_SECOND)
            return false;
        seconds = seconds * 10 + (uint64_t)(*at - '0');
    }
    *out_s = seconds;
    return take_fraction(&at, out_ns) && *at == '\0';
}

int instant_parse(const char *text, uint64_t *out_ns, struct err *err)
{
    uint64_t seconds, ns;
    bool fits =
        strchr(text, ':') != NULL ? parse_date(text, &seconds, &ns) : parse_seconds(text, &seconds, &ns);
    if (!fits || seconds > LAST_SECOND)
        return wrong(text, err);
    *out_ns = seconds * NS_PER_SECOND + ns;
    return 0;
}

char *instant_format(uint64_t ns, char *out, size_t size)
{
    time_t seconds = (time_t)(ns / NS_PER_SECOND);
    struct tm tm;
    char date[24];
    gmtime_r(&seconds, &tm);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, size, "%s.%06uZ", date, (unsigned)(ns % NS_PER_SECOND / NS_PER_US));
    return out;
}
