// SPDX-License-Identifier: GPL-2.0-or-later
/* Every unit: what is read, exactly; what is refused, with which words; how values are written. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"

#define EACH(row, table) for (size_t row = 0; row < sizeof(table) / sizeof(table)[0]; row++)

static void ratios_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct ratio want;
    } rows[] = {
        {"0", {0, 1}},
        {"0.0", {0, 1}},
        {"0e99", {0, 1}},
        {"1", {1, 1}},
        {"+1", {1, 1}},
        {"0.5", {1, 2}},
        {".5", {1, 2}},
        {"5.", {5, 1}},
        {"0.1", {1, 10}},
        {"1.5e3", {1500, 1}},
        {"1.5E+3", {1500, 1}},
        {"25e-2", {1, 4}},
        {"3M", {3000000, 1}},
        {"2.5k", {2500, 1}},
        {"0.3333", {3333, 10000}},
        {"2%", {1, 50}},
        {"0.1 %", {1, 1000}},
        {" 7 ", {7, 1}},
        {"18446744073709551615", {UINT64_MAX, 1}},
        {"0.0000000000000000001", {1, UINT64_C(10000000000000000000)}},
        {"1.00000000000000000000000000000", {1, 1}},
    };
    EACH(i, rows)
    {
        struct ratio got = {99, 99};
        struct err err = {0};
        if (units_ratio(rows[i].text, &got, &err) != 0)
            fail_msg("%s: %s", rows[i].text, err.text);
        if (got.num != rows[i].want.num || got.den != rows[i].want.den)
            fail_msg("%s: %lu/%lu", rows[i].text, got.num, got.den);
    }
}

static void rates_keep_their_layer(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct rate want;
    } rows[] = {
        {"max", {RATE_MAX, {0, 1}}},
        {" max ", {RATE_MAX, {0, 1}}},
        {"1000", {RATE_PPS, {1000, 1}}},
        {"50kpps", {RATE_PPS, {50000, 1}}},
        {"50 kpps", {RATE_PPS, {50000, 1}}},
        {"0.5pps", {RATE_PPS, {1, 2}}},
        {"14.88095Mpps", {RATE_PPS, {14880950, 1}}},
        {"1.5Gbit/L1", {RATE_BIT_L1, {1500000000, 1}}},
        {"0.1Tbit/L2", {RATE_BIT_L2, {100000000000, 1}}},
        {"64kbit/L2", {RATE_BIT_L2, {64000, 1}}},
        {"30%", {RATE_PERCENT, {30, 1}}},
        {"30 % L1", {RATE_PERCENT, {30, 1}}},
        {"12.5%/L1", {RATE_PERCENT, {25, 2}}},
        {"1e6pps", {RATE_PPS, {1000000, 1}}},
        {"0", {RATE_PPS, {0, 1}}},
    };
    EACH(i, rows)
    {
        struct rate got = {0};
        struct err err = {0};
        if (units_rate(rows[i].text, &got, &err) != 0)
            fail_msg("%s: %s", rows[i].text, err.text);
        if (got.kind != rows[i].want.kind || got.value.num != rows[i].want.value.num ||
            got.value.den != rows[i].want.value.den)
            fail_msg("%s: kind %d, %lu/%lu", rows[i].text, (int)got.kind, got.value.num, got.value.den);
    }
}

typedef int whole_parser(const char *, uint64_t *, struct err *);

static void whole_units_are_exact(void **state)
{
    (void)state;
    static const struct {
        whole_parser *parse;
        const char *text;
        uint64_t want;
    } rows[] = {
        {units_time_ns, "0", 0},
        {units_time_ns, "0s", 0},
        {units_time_ns, "1ns", 1},
        {units_time_ns, "10us", 10000},
        {units_time_ns, "10µs", 10000},
        {units_time_ns, "0.001us", 1},
        {units_time_ns, "20ms", 20000000},
        {units_time_ns, "1.5s", 1500000000},
        {units_time_ns, "1.000000001s", 1000000001},
        {units_time_ns, "2min", UINT64_C(120000000000)},
        {units_time_ns, "1h", UINT64_C(3600000000000)},
        {units_time_ns, "2 d", UINT64_C(172800000000000)},
        {units_time_ns, "forever", UINT64_MAX},
        {units_time_ns, "18446744073709551614ns", UINT64_MAX - 1},
        {units_count, "0", 0},
        {units_count, "1000003", 1000003},
        {units_count, "1M", 1000000},
        {units_count, "1.5k", 1500},
        {units_count, "1e3", 1000},
        {units_count, "0x10", 16},
        {units_count, "0xFFffFFffFFffFFfe", UINT64_MAX - 1},
        {units_count, "007", 7},
        {units_count, "18446744073709551614", UINT64_MAX - 1},
        {units_bytes, "64", 64},
        {units_bytes, "64B", 64},
        {units_bytes, "4KiB", 4096},
        {units_bytes, "4 kB", 4000},
        {units_bytes, "1MiB", 1048576},
        {units_bytes, "0.5KiB", 512},
        {units_bytes, "2GiB", UINT64_C(2147483648)},
        {units_bytes, "0x800", 2048},
    };
    EACH(i, rows)
    {
        uint64_t got = 12345;
        struct err err = {0};
        if (rows[i].parse(rows[i].text, &got, &err) != 0)
            fail_msg("%s: %s", rows[i].text, err.text);
        if (got != rows[i].want)
            fail_msg("%s: %lu, not %lu", rows[i].text, got, rows[i].want);
    }
}

static int parse_ratio(const char *text, uint64_t *out, struct err *err)
{
    struct ratio ratio = {*out, 1};
    int rc = units_ratio(text, &ratio, err);
    *out = ratio.num;
    return rc;
}

static int parse_rate(const char *text, uint64_t *out, struct err *err)
{
    struct rate rate = {RATE_PPS, {*out, 1}};
    int rc = units_rate(text, &rate, err);
    *out = rate.value.num;
    return rc;
}

static void garbage_is_refused_with_what_would_be_right(void **state)
{
    (void)state;
    static const struct {
        whole_parser *parse;
        const char *text, *words; /* words must be in the message */
    } rows[] = {
        {parse_ratio, "", "is not a number; write a number like 0.5"},
        {parse_ratio, ".", "is not a number"},
        {parse_ratio, "1.2.3", "has no such unit"},
        {parse_ratio, "0x10", "has no such unit"},
        {parse_ratio, "1e", "has no such unit"},
        {parse_ratio, "nan", "is not a number"},
        {parse_ratio, "inf", "is not a number"},
        {parse_ratio, "-1", "is negative"},
        {parse_ratio, "18446744073709551616", "more digits than can be held"},
        {parse_ratio, "1e40", "more digits than can be held"},
        {parse_ratio, "1e-40", "more digits than can be held"},
        {parse_ratio, "1e4294967297", "more digits than can be held"},
        {parse_ratio, "999999999999999999999999999999999999999999", "more digits than can be held"},
        {parse_ratio, "3m", "`m` would be `M` (capitals matter)"},
        {parse_rate, "", "is not a rate"},
        {parse_rate, "fast", "`fast` is not a rate; write a rate like 50kpps"},
        {parse_rate, "50kpp", "`50kpp` has no such unit"},
        {parse_rate, "50Kpps", "`Kpps` would be `kpps` (capitals matter)"},
        {parse_rate, "1.5Gbit", "does not say its layer; write 1.5Gbit/L1"},
        {parse_rate, "1Gbps", "does not say its layer"},
        {parse_rate, "1Gbit/s", "does not say its layer"},
        {parse_rate, "-5kpps", "is negative"},
        {parse_rate, "1k", "has no such unit"},
        {parse_rate, "maximum", "is not a rate"},
        {parse_rate, "50kpps!", "has no such unit"},
        {parse_rate, "99999999999Gpps", "more digits than can be held"},
        {units_time_ns, "10", "`10` has no unit; write a time like 750ns"},
        {units_time_ns, "0.5ns", "is finer than a nanosecond"},
        {units_time_ns, "1.0000000001s", "is finer than a nanosecond"},
        {units_time_ns, "10sec", "no such unit of time"},
        {units_time_ns, "10S", "`S` would be `s`"},
        {units_time_ns, "1h30min", "no such unit of time"},
        {units_time_ns, "-1s", "is negative"},
        {units_time_ns, "18446744073709551615ns", "is too large"},
        {units_time_ns, "99999999d", "is too large"},
        {units_time_ns, "s", "is not a time"},
        {units_count, "1.5", "is not whole"},
        {units_count, "0.0015k", "is not whole"},
        {units_count, "1,000", "has no such unit"},
        {units_count, "18446744073709551615", "is too large"},
        {units_count, "18446744073709551616", "is too large"},
        {units_count, "0x", "is not a hexadecimal number"},
        {units_count, "0x1g", "is not a hexadecimal number"},
        {units_count, "0x10000000000000000", "is too large"},
        {units_count, "0xffffffffffffffff", "is too large"},
        {units_count, "-1", "is negative"},
        {units_count, "lots", "`lots` is not a whole number"},
        {units_bytes, "4k", "has no such unit"},
        {units_bytes, "4kb", "`kb` would be `kB`"},
        {units_bytes, "1.5", "is not whole"},
        {units_bytes, "99999999999GiB", "is too large"},
        {units_count, "\x1b[31mred", "`?[31mred`"},
        {units_count, "an unreasonably long text that goes on and on",
         "`an unreasonably long text that goes on a…`"},
    };
    EACH(i, rows)
    {
        uint64_t untouched = 12345;
        struct err err = {0};
        int rc = rows[i].parse(rows[i].text, &untouched, &err);
        if (rc != -EINVAL || err.code != -EINVAL)
            fail_msg("`%s` was taken: rc %d, value %lu", rows[i].text, rc, untouched);
        if (strstr(err.text, rows[i].words) == NULL)
            fail_msg("`%s`: \"%s\" does not say \"%s\"", rows[i].text, err.text, rows[i].words);
        assert_int_equal(untouched, 12345);
    }
}

static void a_message_is_optional(void **state)
{
    (void)state;
    uint64_t value = 1;
    assert_int_equal(units_count("x", &value, NULL), -EINVAL);
    assert_int_equal(value, 1);
}

static void addresses_are_read_whole_or_not_at_all(void **state)
{
    (void)state;
    uint8_t mac[6], four[4], sixteen[16];
    struct err err;
    assert_int_equal(units_mac("02:0a:Ff:00:00:01", mac, &err), 0);
    assert_memory_equal(mac, "\x02\x0a\xff\x00\x00\x01", 6);
    assert_int_equal(units_mac("02-00-00-00-00-01", mac, &err), 0);
    static const char *const bad_macs[] = {"",
                                           "02:00:00:00:00",
                                           "02:00:00:00:00:01:02",
                                           "2:0:0:0:0:1",
                                           "02:00:00:00:00:0g",
                                           " 2:00:00:00:00:01",
                                           "0x:00:00:00:00:01",
                                           "02:00:00:00:00:01 ",
                                           "+2:00:00:00:00:01",
                                           "020000000001"};
    EACH(i, bad_macs)
    {
        memset(mac, 0x55, sizeof mac);
        assert_int_equal(units_mac(bad_macs[i], mac, &err), -EINVAL);
        assert_non_null(strstr(err.text, "02:00:00:00:00:01"));
        assert_memory_equal(mac, "\x55\x55\x55\x55\x55\x55", 6);
    }
    assert_int_equal(units_ipv4("198.18.0.255", four, &err), 0);
    assert_memory_equal(four, "\xc6\x12\x00\xff", 4);
    static const char *const bad_ipv4[] = {
        "", "198.18.0", "198.18.0.256", "198.18.0.1/24", "198.18.0.1 ", "198.18.0.01", "::1", "0xc6120001"};
    EACH(i, bad_ipv4)
    assert_int_equal(units_ipv4(bad_ipv4[i], four, &err), -EINVAL);
    assert_memory_equal(four, "\xc6\x12\x00\xff", 4);
    assert_int_equal(units_ipv4("198.18.0.1/24", four, &err), -EINVAL);
    assert_non_null(strstr(err.text, "without a prefix length"));
    assert_int_equal(units_ipv6("2001:DB8::1", sixteen, &err), 0);
    assert_memory_equal(sixteen, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
    static const char *const bad_ipv6[] = {"",        "2001:db8",     "2001:db8::1/64",
                                           "1::2::3", "fe80::1%eth0", "10.0.0.1"};
    EACH(i, bad_ipv6)
    assert_int_equal(units_ipv6(bad_ipv6[i], sixteen, &err), -EINVAL);
}

static void values_are_written_to_be_read(void **state)
{
    (void)state;
    char out[64];
#define RATE(kind, num, den) units_format_rate((struct rate){kind, {num, den}}, out, sizeof out)
    assert_string_equal(RATE(RATE_PPS, 50000, 1), "50 kpps");
    assert_string_equal(RATE(RATE_PPS, 1, 2), "0.5 pps");
    assert_string_equal(RATE(RATE_PPS, 1488095, 1), "1488.095 kpps");
    assert_string_equal(RATE(RATE_PPS, 1, 3), "0.33 pps");
    assert_string_equal(RATE(RATE_BIT_L1, 1500000000, 1), "1.5 Gbit/L1");
    assert_string_equal(RATE(RATE_BIT_L2, 100000000000, 1), "100 Gbit/L2");
    assert_string_equal(RATE(RATE_PERCENT, 30, 1), "30 %");
    assert_string_equal(RATE(RATE_PERCENT, 25, 2), "12.5 %");
    assert_string_equal(RATE(RATE_MAX, 0, 1), "max");
    assert_string_equal(RATE(RATE_PPS, 0, 1), "0 pps");
#undef RATE
    assert_string_equal(units_format_si(1488095, "pps", out, sizeof out), "1.49 Mpps");
    assert_string_equal(units_format_si(0, "pps", out, sizeof out), "0 pps");
    assert_string_equal(units_format_si(999.7, "pps", out, sizeof out), "1000 pps");
    assert_string_equal(units_format_si(999999, "pps", out, sizeof out), "1.00 Mpps");
    assert_string_equal(units_format_si(14880950, "pps", out, sizeof out), "14.9 Mpps");
    assert_string_equal(units_format_si(0.25, "pps", out, sizeof out), "0.25 pps");
    assert_string_equal(units_format_si(512, "pps", out, sizeof out), "512 pps");
    assert_string_equal(units_format_time(UINT64_C(2000000000), out, sizeof out), "2.000 s");
    assert_string_equal(units_format_time(750000, out, sizeof out), "750 us");
    assert_string_equal(units_format_time(1500, out, sizeof out), "1.5 us");
    assert_string_equal(units_format_time(999999999, out, sizeof out), "999.999 ms");
    assert_string_equal(units_format_time(10000000, out, sizeof out), "10 ms");
    assert_string_equal(units_format_time(0, out, sizeof out), "0 ns");
    assert_string_equal(units_format_time(UINT64_MAX, out, sizeof out), "forever");
    assert_string_equal(units_format_count(0, out, sizeof out), "0");
    assert_string_equal(units_format_count(999, out, sizeof out), "999");
    assert_string_equal(units_format_count(1000003, out, sizeof out), "1,000,003");
    assert_string_equal(units_format_count(UINT64_MAX, out, sizeof out), "18,446,744,073,709,551,615");
    assert_string_equal(units_format_bytes(64, out, sizeof out), "64 B");
    assert_string_equal(units_format_bytes(4096, out, sizeof out), "4 KiB");
    assert_string_equal(units_format_bytes(1518, out, sizeof out), "1518 B");
    assert_string_equal(units_format_bytes(1536000, out, sizeof out), "1500 KiB");
    assert_string_equal(units_format_bytes(123456789, out, sizeof out), "117.7 MiB");
    assert_string_equal(units_format_mac((const uint8_t[]){2, 0, 0, 0, 0xab, 1}, out, sizeof out),
                        "02:00:00:00:ab:01");
}

static void writing_never_passes_the_end(void **state)
{
    (void)state;
    for (size_t size = 1; size < 32; size++) {
        char out[40];
        memset(out, '#', sizeof out);
        units_format_count(UINT64_MAX, out, size);
        assert_true(strlen(out) < size);
        units_format_rate((struct rate){RATE_BIT_L1, {UINT64_MAX, 7}}, out, size);
        assert_true(strlen(out) < size);
        units_format_time(UINT64_MAX - 1, out, size);
        assert_true(strlen(out) < size);
        for (size_t i = size; i < sizeof out; i++)
            assert_int_equal(out[i], '#');
    }
}

/* Whatever is written is read back to the same value. */
static void rates_survive_a_round_trip(void **state)
{
    (void)state;
    static const char *const texts[] = {"50kpps", "0.5pps",       "1.5Gbit/L1",    "30%",
                                        "max",    "14.88095Mpps", "1234567bit/L2", "999.999pps"};
    EACH(i, texts)
    {
        struct rate first, second;
        char out[64];
        assert_int_equal(units_rate(texts[i], &first, NULL), 0);
        assert_int_equal(units_rate(units_format_rate(first, out, sizeof out), &second, NULL), 0);
        assert_int_equal(first.kind, second.kind);
        assert_int_equal(first.value.num, second.value.num);
        assert_int_equal(first.value.den, second.value.den);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ratios_are_exact),
        cmocka_unit_test(rates_keep_their_layer),
        cmocka_unit_test(whole_units_are_exact),
        cmocka_unit_test(garbage_is_refused_with_what_would_be_right),
        cmocka_unit_test(a_message_is_optional),
        cmocka_unit_test(addresses_are_read_whole_or_not_at_all),
        cmocka_unit_test(values_are_written_to_be_read),
        cmocka_unit_test(writing_never_passes_the_end),
        cmocka_unit_test(rates_survive_a_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
