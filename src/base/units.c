// SPDX-License-Identifier: GPL-2.0-or-later
/* Every unit that a person writes or reads.
 *
 * A text is a decimal number and a suffix from a table. The number becomes an exact fraction in 128 bits
 * (digits over a power of ten, in lowest terms), is multiplied by the suffix's factor, and must then fit
 * what the caller holds: a ratio of 64-bit numbers, or a whole number. No floating point is involved in
 * reading; "0.1" is one tenth. Adding a unit is adding a row. */
#include "base/units.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

typedef unsigned __int128 wide;

struct amount { /* den > 0, in lowest terms */
    wide num, den;
};

struct suffix {
    const char *name;
    uint64_t factor, divisor; /* of one such unit in the base unit; divisor 0 reads as 1 */
    enum rate_kind kind;      /* rates only */
};

struct quantity { /* what a text can be, for reading and for the message when it is not */
    const char *noun, *examples;
    const struct suffix *suffixes;
    size_t count;
};

static const uint64_t kilo = 1000, mega = 1000000, giga = 1000000000, tera = 1000000000000;

static const struct suffix plain_suffixes[] = {
    {"", 1, 1, 0}, {"k", 1000, 1, 0}, {"M", 1000000, 1, 0}, {"G", 1000000000, 1, 0}};

static const struct suffix rate_suffixes[] = {
    {"", 1, 1, RATE_PPS},
    {"pps", 1, 1, RATE_PPS},
    {"kpps", 1000, 1, RATE_PPS},
    {"Mpps", 1000000, 1, RATE_PPS},
    {"Gpps", 1000000000, 1, RATE_PPS},
    {"bit/L1", 1, 1, RATE_BIT_L1},
    {"kbit/L1", 1000, 1, RATE_BIT_L1},
    {"Mbit/L1", 1000000, 1, RATE_BIT_L1},
    {"Gbit/L1", 1000000000, 1, RATE_BIT_L1},
    {"Tbit/L1", 1000000000000, 1, RATE_BIT_L1},
    {"bit/L2", 1, 1, RATE_BIT_L2},
    {"kbit/L2", 1000, 1, RATE_BIT_L2},
    {"Mbit/L2", 1000000, 1, RATE_BIT_L2},
    {"Gbit/L2", 1000000000, 1, RATE_BIT_L2},
    {"Tbit/L2", 1000000000000, 1, RATE_BIT_L2},
    {"%", 1, 1, RATE_PERCENT},
    {"%L1", 1, 1, RATE_PERCENT},
    {"%/L1", 1, 1, RATE_PERCENT},
};

static const struct suffix time_suffixes[] = {
    {"ns", 1, 1, 0},
    {"us", 1000, 1, 0},
    {"µs", 1000, 1, 0},
    {"ms", 1000000, 1, 0},
    {"s", 1000000000, 1, 0},
    {"min", UINT64_C(60) * 1000000000, 1, 0},
    {"h", UINT64_C(3600) * 1000000000, 1, 0},
    {"d", UINT64_C(86400) * 1000000000, 1, 0},
};

static const struct suffix byte_suffixes[] = {
    {"", 1, 1, 0},          {"B", 1, 1, 0},           {"kB", 1000, 1, 0},
    {"MB", 1000000, 1, 0},  {"GB", 1000000000, 1, 0}, {"KiB", 1 << 10, 1, 0},
    {"MiB", 1 << 20, 1, 0}, {"GiB", 1 << 30, 1, 0},
};

static const struct suffix ratio_suffixes[] = {
    {"", 1, 1, 0}, {"k", 1000, 1, 0}, {"M", 1000000, 1, 0}, {"G", 1000000000, 1, 0}, {"%", 1, 100, 0}};

#define SUFFIXES(table) (table), COUNT(table)
static const struct quantity a_ratio = {"a number", "0.5, 1.5e3, 3M or 2%", SUFFIXES(ratio_suffixes)};
static const struct quantity a_rate = {"a rate", "50kpps, 0.5pps, 1.5Gbit/L1, 900Mbit/L2, 30% or max",
                                       SUFFIXES(rate_suffixes)};
static const struct quantity a_time = {"a time", "750ns, 10us, 20ms, 1.5s, 2min, 1h or forever",
                                       SUFFIXES(time_suffixes)};
static const struct quantity a_count = {"a whole number", "1000, 1.5k, 1M or 0x10", SUFFIXES(plain_suffixes)};
static const struct quantity bytes = {"a number of bytes", "64, 4KiB, 4kB or 1MiB", SUFFIXES(byte_suffixes)};

/* ---- reading ---- */

/* Shows what was written: no longer than a line bears, and nothing that could steer a terminal. */
static const char *shown(const char *text, char out[48])
{
    size_t used = 0;
    for (; *text != '\0' && used < 40; text++)
        out[used++] = iscntrl((unsigned char)*text) ? '?' : *text;
    while (*text != '\0' && used > 0 && ((unsigned char)*text & 0xc0) == 0x80) /* not inside of a character */
        text--, used--;
    strcpy(out + used, *text != '\0' ? "…" : "");
    return out;
}

static int refuse(struct err *err, const struct quantity *what, const char *text, const char *why)
{
    char seen[48];
    return err_set(err, -EINVAL, "`%s` %s; write %s like %s", shown(text, seen), why, what->noun,
                   what->examples);
}

static wide greatest_common_divisor(wide a, wide b)
{
    while (b != 0) {
        wide rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static void reduce(struct amount *amount)
{
    wide divisor = greatest_common_divisor(amount->num, amount->den);
    amount->num /= divisor;
    amount->den /= divisor;
}

/* False when the product leaves 128 bits. */
static bool scale(struct amount *amount, uint64_t num, uint64_t den)
{
    bool lost = __builtin_mul_overflow(amount->num, (wide)num, &amount->num);
    lost |= __builtin_mul_overflow(amount->den, (wide)den, &amount->den);
    if (lost)
        return false;
    reduce(amount);
    return true;
}

static const char *skip_spaces(const char *at)
{
    while (isspace((unsigned char)*at))
        at++;
    return at;
}

/* Digits with an optional point. Returns where they end, or NULL when there are none; *fits says whether
 * they fit into 128 bits. */
static const char *read_digits(const char *at, struct amount *out, bool *fits)
{
    bool any = false, point = false, lost = false;
    *out = (struct amount){0, 1};
    for (; isdigit((unsigned char)*at) || (*at == '.' && !point); at++) {
        if (*at == '.') {
            point = true;
            continue;
        }
        any = true;
        lost |= __builtin_mul_overflow(out->num, (wide)10, &out->num);
        lost |= __builtin_add_overflow(out->num, (wide)(unsigned)(*at - '0'), &out->num);
        if (point)
            lost |= __builtin_mul_overflow(out->den, (wide)10, &out->den);
    }
    *fits = !lost;
    return any ? at : NULL;
}

/* "e6", "E-3": only when digits follow, so that a suffix may begin with e. */
static const char *read_exponent(const char *at, struct amount *amount, bool *fits)
{
    if (*at != 'e' && *at != 'E')
        return at;
    const char *digits = at + 1;
    bool negative = *digits == '-';
    if (*digits == '-' || *digits == '+')
        digits++;
    if (!isdigit((unsigned char)*digits))
        return at;
    unsigned exponent = 0;
    for (; isdigit((unsigned char)*digits); digits++)
        exponent = exponent < 100 ? exponent * 10 + (unsigned)(*digits - '0') : exponent;
    for (; exponent > 0 && amount->num != 0 && *fits; exponent--)
        *fits = scale(amount, negative ? 1 : 10, negative ? 10 : 1);
    return digits;
}

/* The rest of the text without its spaces, so that "30 % L1" reads as "30%L1". */
static void read_suffix(const char *at, char *out, size_t size)
{
    size_t used = 0;
    for (; *at != '\0' && used + 1 < size; at++)
        if (!isspace((unsigned char)*at))
            out[used++] = *at;
    out[used] = '\0';
}

static const struct suffix *find_suffix(const struct quantity *what, const char *name,
                                        int (*compare)(const char *, const char *))
{
    for (size_t i = 0; i < what->count; i++)
        if (compare(what->suffixes[i].name, name) == 0)
            return &what->suffixes[i];
    return NULL;
}

static int refuse_suffix(struct err *err, const struct quantity *what, const char *text, const char *name)
{
    char seen[48];
    const struct suffix *near = find_suffix(what, name, strcasecmp);
    if (near != NULL)
        return err_set(err, -EINVAL, "`%s`: `%s` would be `%s` (capitals matter); write %s like %s",
                       shown(text, seen), name, near->name, what->noun, what->examples);
    if (what == &a_rate && (strstr(name, "bit") != NULL || strstr(name, "bps") != NULL))
        return err_set(err, -EINVAL,
                       "`%s` does not say its layer; write 1.5Gbit/L1 (with preamble and gap) or 1.5Gbit/L2 "
                       "(frame and FCS)",
                       shown(text, seen));
    if (*name == '\0')
        return refuse(err, what, text, "has no unit");
    return refuse(err, what, text, what == &a_time ? "has no such unit of time" : "has no such unit");
}

/* Number and suffix into an exact amount of the base unit; *found is the suffix's row. */
static int read_quantity(const struct quantity *what, const char *text, struct amount *out,
                         const struct suffix **found, struct err *err)
{
    bool fits;
    char name[24];
    const char *at = skip_spaces(text);
    if (*at == '-')
        return refuse(err, what, text, "is negative");
    at = read_digits(at + (*at == '+'), out, &fits);
    if (at == NULL) {
        char why[48];
        snprintf(why, sizeof why, "is not %s", what->noun);
        return refuse(err, what, text, why);
    }
    if (fits)
        reduce(out);
    at = read_exponent(at, out, &fits);
    read_suffix(at, name, sizeof name);
    *found = find_suffix(what, name, strcmp);
    /* Nothing of nothing is nothing in every unit. */
    if (*found == NULL && *name == '\0' && fits && out->num == 0)
        *found = &what->suffixes[0];
    if (*found == NULL)
        return refuse_suffix(err, what, text, name);
    if (!fits || !scale(out, (*found)->factor, (*found)->divisor))
        return refuse(err, what, text, "has more digits than can be held exactly");
    return 0;
}

static int amount_to_ratio(const struct quantity *what, const char *text, const struct amount *amount,
                           struct ratio *out, struct err *err)
{
    if (amount->num > UINT64_MAX || amount->den > UINT64_MAX)
        return refuse(err, what, text, "has more digits than can be held exactly");
    *out = (struct ratio){(uint64_t)amount->num, (uint64_t)amount->den};
    return 0;
}

static int amount_to_whole(const struct quantity *what, const char *text, const struct amount *amount,
                           const char *fraction, uint64_t *out, struct err *err)
{
    if (amount->den != 1)
        return refuse(err, what, text, fraction);
    if (amount->num >= UINT64_MAX) /* the largest value stands for "no limit" elsewhere */
        return refuse(err, what, text, "is too large");
    *out = (uint64_t)amount->num;
    return 0;
}

/* The word alone, spaces around it allowed. */
static bool is_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    text = skip_spaces(text);
    return strncmp(text, word, length) == 0 && *skip_spaces(text + length) == '\0';
}

int units_ratio(const char *text, struct ratio *out, struct err *err)
{
    struct amount amount;
    const struct suffix *suffix;
    int rc = read_quantity(&a_ratio, text, &amount, &suffix, err);
    return rc != 0 ? rc : amount_to_ratio(&a_ratio, text, &amount, out, err);
}

int units_rate(const char *text, struct rate *out, struct err *err)
{
    struct amount amount;
    const struct suffix *suffix;
    struct ratio value = {0, 1};
    if (is_word(text, "max")) {
        *out = (struct rate){RATE_MAX, value};
        return 0;
    }
    int rc = read_quantity(&a_rate, text, &amount, &suffix, err);
    if (rc == 0)
        rc = amount_to_ratio(&a_rate, text, &amount, &value, err);
    if (rc == 0)
        *out = (struct rate){suffix->kind, value};
    return rc;
}

int units_time_ns(const char *text, uint64_t *out, struct err *err)
{
    struct amount amount;
    const struct suffix *suffix;
    if (is_word(text, "forever")) {
        *out = UINT64_MAX;
        return 0;
    }
    int rc = read_quantity(&a_time, text, &amount, &suffix, err);
    return rc != 0 ? rc : amount_to_whole(&a_time, text, &amount, "is finer than a nanosecond", out, err);
}

static bool is_hexadecimal(const char *text)
{
    text = skip_spaces(text);
    return text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

static int read_hexadecimal(const struct quantity *what, const char *text, uint64_t *out, struct err *err)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = skip_spaces(text) + 2, *first = at;
    uint64_t value = 0;
    for (; isxdigit((unsigned char)*at); at++) {
        if (value >> 60 != 0)
            return refuse(err, what, text, "is too large");
        value = value << 4 | (uint64_t)(strchr(digits, tolower((unsigned char)*at)) - digits);
    }
    if (at == first || *skip_spaces(at) != '\0')
        return refuse(err, what, text, "is not a hexadecimal number");
    if (value == UINT64_MAX)
        return refuse(err, what, text, "is too large");
    *out = value;
    return 0;
}

static int read_whole(const struct quantity *what, const char *text, uint64_t *out, struct err *err)
{
    struct amount amount;
    const struct suffix *suffix;
    if (is_hexadecimal(text))
        return read_hexadecimal(what, text, out, err);
    int rc = read_quantity(what, text, &amount, &suffix, err);
    return rc != 0 ? rc : amount_to_whole(what, text, &amount, "is not whole", out, err);
}

int units_count(const char *text, uint64_t *out, struct err *err)
{
    return read_whole(&a_count, text, out, err);
}

int units_bytes(const char *text, uint64_t *out, struct err *err)
{
    return read_whole(&bytes, text, out, err);
}

/* ---- addresses ---- */

int units_mac(const char *text, uint8_t out[6], struct err *err)
{
    char seen[48];
    unsigned byte[6];
    int end = -1;
    /* Two digits each and nothing else, which %2x alone would not insist on. */
    bool shaped = strlen(text) == 17;
    for (size_t i = 0; shaped && i < 17; i++)
        shaped = i % 3 == 2 ? text[i] == ':' || text[i] == '-' : isxdigit((unsigned char)text[i]) != 0;
    if (shaped)
        sscanf(text, "%2x%*c%2x%*c%2x%*c%2x%*c%2x%*c%2x%n", &byte[0], &byte[1], &byte[2], &byte[3], &byte[4],
               &byte[5], &end);
    if (end != 17)
        return err_set(err, -EINVAL, "`%s` is not a MAC address; write six bytes like 02:00:00:00:00:01",
                       shown(text, seen));
    for (size_t i = 0; i < 6; i++)
        out[i] = (uint8_t)byte[i];
    return 0;
}

static int read_address(int family, const char *text, void *out, size_t size, const char *example,
                        struct err *err)
{
    char seen[48];
    uint8_t value[sizeof(struct in6_addr)];
    if (inet_pton(family, text, value) != 1)
        return err_set(err, -EINVAL, "`%s` is not an %s address; write one like %s%s", shown(text, seen),
                       family == AF_INET ? "IPv4" : "IPv6", example,
                       strchr(text, '/') != NULL ? ", without a prefix length" : "");
    memcpy(out, value, size);
    return 0;
}

int units_ipv4(const char *text, uint8_t out[4], struct err *err)
{
    return read_address(AF_INET, text, out, 4, "198.18.0.1", err);
}

int units_ipv6(const char *text, uint8_t out[16], struct err *err)
{
    return read_address(AF_INET6, text, out, 16, "2001:db8::1", err);
}

/* ---- writing ---- */

/* value/1000 without the zeros that say nothing: "1.5", "750". */
static void format_thousandths(uint64_t thousandths, char out[32])
{
    int used = snprintf(out, 32, "%" PRIu64 ".%03u", thousandths / 1000, (unsigned)(thousandths % 1000));
    while (used > 0 && out[used - 1] == '0')
        out[--used] = '\0';
    if (used > 0 && out[used - 1] == '.')
        out[used - 1] = '\0';
}

/* The largest prefix that leaves at most three decimals is exact and short; what has no such prefix is
 * rounded. */
static void format_prefixed(struct ratio value, const char *unit, char *out, size_t size)
{
    static const char *const prefixes[] = {"T", "G", "M", "k", ""};
    const uint64_t factors[] = {tera, giga, mega, kilo, 1};
    for (size_t i = 0; i < COUNT(factors); i++) {
        wide whole = (wide)value.den * factors[i];
        wide thousandths = (wide)value.num * 1000;
        if ((value.num >= whole || factors[i] == 1) && thousandths % whole == 0 &&
            thousandths / whole <= UINT64_MAX) {
            char number[32];
            format_thousandths((uint64_t)(thousandths / whole), number);
            snprintf(out, size, "%s %s%s", number, prefixes[i], unit);
            return;
        }
    }
    units_format_si((double)value.num / (double)value.den, unit, out, size);
}

char *units_format_rate(struct rate rate, char *out, size_t size)
{
    static const char *const names[] = {
        [RATE_PPS] = "pps", [RATE_BIT_L1] = "bit/L1", [RATE_BIT_L2] = "bit/L2"};
    double value = (double)rate.value.num / (double)rate.value.den;
    if (rate.kind == RATE_MAX)
        snprintf(out, size, "max");
    else if (rate.kind == RATE_PERCENT)
        snprintf(out, size, "%.10g %%", value);
    else
        format_prefixed(rate.value, names[rate.kind], out, size);
    return out;
}

char *units_format_si(double value, const char *unit, char *out, size_t size)
{
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P"};
    size_t step = 0;
    while (step + 1 < COUNT(prefixes) && value >= (step == 0 ? 1000.0 : 999.5)) {
        value /= 1000;
        step++;
    }
    bool whole = step == 0 && value == (double)(int)value;
    int decimals = whole || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    snprintf(out, size, "%.*f %s%s", decimals, value, prefixes[step], unit);
    return out;
}

char *units_format_time(uint64_t ns, char *out, size_t size)
{
    char number[32];
    const uint64_t second = giga, ms = mega, us = kilo;
    if (ns == UINT64_MAX) {
        snprintf(out, size, "forever");
    } else if (ns >= second) {
        snprintf(out, size, "%" PRIu64 ".%03u s", ns / second, (unsigned)(ns % second / ms));
    } else if (ns < us) {
        snprintf(out, size, "%" PRIu64 " ns", ns);
    } else {
        format_thousandths(ns >= ms ? ns / us : ns, number);
        snprintf(out, size, "%s %s", number, ns >= ms ? "ms" : "us");
    }
    return out;
}

char *units_format_count(uint64_t value, char *out, size_t size)
{
    char digits[24];
    size_t length = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, value), used = 0;
    for (size_t i = 0; i < length && used + 1 < size; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            out[used++] = ',';
        if (used + 1 < size)
            out[used++] = digits[i];
    }
    if (size > 0)
        out[used] = '\0';
    return out;
}

char *units_format_bytes(uint64_t value, char *out, size_t size)
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB"};
    size_t step = 0;
    while (step + 1 < COUNT(names) && value >= 1024 && value % 1024 == 0) {
        value /= 1024;
        step++;
    }
    if (value < UINT64_C(10) << 10 || step + 1 == COUNT(names)) {
        snprintf(out, size, "%" PRIu64 " %s", value, names[step]);
        return out;
    }
    double rounded = (double)value;
    for (; rounded >= 1024 && step + 1 < COUNT(names); step++)
        rounded /= 1024;
    snprintf(out, size, "%.1f %s", rounded, names[step]);
    return out;
}

char *units_format_mac(const uint8_t mac[6], char *out, size_t size)
{
    snprintf(out, size, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
    return out;
}
