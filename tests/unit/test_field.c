/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One field: bits at any place and of any width against a reference that goes bit by bit; what is read and
 * how it reads. */
#include "packet/field.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "packet/proto.h"
#include "reading.h"

static void bits_stand_where_the_reference_sees_them(void **state)
{
    (void)state;
    uint8_t frame[32], before[32];
    uint64_t seed = 20261122;
    assert_true(bits_mask(1) == 1 && bits_mask(64) == UINT64_MAX && bits_mask(128) == ~(wide)0);
    for (int round = 0; round < 20000; round++) {
        seed = seed * UINT64_C(6364136223846793005) + 1;
        unsigned width = 1 + (unsigned)(seed >> 33) % 128;
        size_t offset = (seed >> 45) % 100;
        for (size_t i = 0; i < sizeof frame; i++)
            before[i] = frame[i] = (uint8_t)(seed >> i);
        wide value = ((wide)seed << 64 | ~seed) & bits_mask(width);
        bits_store(frame, offset, width, value);
        for (size_t bit = 0; bit < 8 * sizeof frame; bit++) {
            unsigned is = (unsigned)frame[bit / 8] >> (7 - bit % 8) & 1;
            unsigned was = (unsigned)before[bit / 8] >> (7 - bit % 8) & 1;
            bool inside = bit >= offset && bit < offset + width;
            assert_int_equal(is, inside ? (unsigned)(value >> (offset + width - 1 - bit)) & 1 : was);
        }
        assert_true(bits_load(frame, offset, width) == value);
    }
}

static const struct field *field_of(const char *header, const char *name)
{
    const struct proto *proto = proto_find(header);
    assert_non_null(proto);
    int index = proto_field(proto, name);
    assert_true(index >= 0);
    return &proto->fields[index];
}

static int read_into(const char *header, const char *name, const char *text, struct field_value *value,
                     struct err *err)
{
    char config[200];
    snprintf(config, sizeof config, "v = %s;", text);
    struct reading reading = reading_of(config);
    int result = field_read(field_of(header, name), reading_node(&reading, "v"), value, err);
    reading_end(&reading);
    return result;
}

static struct field_value must_read(const char *header, const char *name, const char *text)
{
    struct field_value value = {0};
    struct err err = {0};
    if (read_into(header, name, text, &value, &err) != 0)
        fail_msg("%s: %s", text, err.text);
    assert_int_equal(value.given, GIVEN_VALUE);
    return value;
}

static void numbers_flags_and_addresses_are_read(void **state)
{
    static const struct {
        const char *header, *name, *text;
        uint64_t number;
    } rows[] = {
        {"udp", "dst", "5004", 5004},
        {"udp", "dst", "65535", 65535},
        {"udp", "dst", "\"0x1f\"", 31},
        {"ipv4", "dscp", "\"ef\"", 46},
        {"tcp", "flags", "\"syn\"", 2},
        {"tcp", "flags", "\"syn,ack\"", 18},
        {"tcp", "flags", "\"syn | ack\"", 18},
        {"tcp", "flags", "\"\"", 0},
        {"tcp", "flags", "\"0x12\"", 18},
        {"tcp", "flags", "511", 511},
        {"vlan", "dei", "true", 1},
        {"vlan", "dei", "false", 0},
        {"ethernet", "dst", "\"02:00:00:00:00:07\"", 0x020000000007},
        {"ipv4", "src", "\"192.0.2.7\"", 0xc0000207},
        {"ptp", "clock", "\"02:00:00:ff:fe:00:00:01\"", 0x020000fffe000001},
        {"ptp", "clock", "\"0x020000fffe000001\"", 0x020000fffe000001},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct field_value value = must_read(rows[i].header, rows[i].name, rows[i].text);
        assert_true(value.number == rows[i].number);
    }
}

static void the_long_ones_are_bytes(void **state)
{
    static const struct {
        const char *header, *name, *text, *bytes;
        size_t length;
    } rows[] = {
        {"raw", "bytes", "\"01 02:0a\"", "\x01\x02\x0a", 3},
        {"raw", "bytes", "\"0xffFE\"", "\xff\xfe", 2},
        {"raw", "text", "\"hi\"", "hi", 2},
        {"igmpv3_query", "sources", "( \"192.0.2.1\", \"192.0.2.2\" )", "\xc0\0\x02\x01\xc0\0\x02\x02", 8},
        {"igmpv3_query", "sources", "( )", "", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct field_value value = must_read(rows[i].header, rows[i].name, rows[i].text);
        assert_int_equal(value.length, rows[i].length);
        assert_memory_equal(value.bytes, rows[i].bytes, rows[i].length);
        field_value_fini(&value);
        assert_null(value.bytes);
    }
}

static void what_is_no_value_is_refused_and_changes_nothing(void **state)
{
    static const struct {
        const char *header, *name, *text, *complaint;
    } rows[] = {
        {"udp", "dst", "65536", "`65536` is not a value of dst; 0 … 65535 would be right"},
        {"udp", "dst", "-1", "`-1` is not a value of dst"},
        {"udp", "dst", "true", "`true` is not a value of dst"},
        {"udp", "dst", "\"x\"", "`x` is not a value of dst"},
        {"udp", "dst", "( 1 )", "a list"},
        {"ipv4", "dscp", "\"eff\"", "`ef`, or 0 … 63 would be right"},
        {"tcp", "flags", "\"x\"", "`x` is not a value of flags"},
        {"tcp", "flags", "\"syn,x\"", "`x` is not a value of flags"},
        {"tcp", "flags", "512", "0 … 511 would be right"},
        {"ethernet", "dst", "5", "a MAC address such as"},
        {"ethernet", "dst", "\"02:00\"", "a MAC address such as"},
        {"ipv4", "src", "\"1.2.3\"", "an IPv4 address such as"},
        {"ipv6", "src", "\"1::2::3\"", "an IPv6 address such as"},
        {"ptp", "clock", "\"0200\"", "8 bytes in hex would be right"},
        {"ptp", "clock", "5", "8 bytes in hex would be right"},
        {"raw", "bytes", "\"abc\"", "pairs of hex digits, at most 16384 bytes"},
        {"raw", "bytes", "\"0g\"", "pairs of hex digits"},
        {"raw", "bytes", "\"g0\"", "pairs of hex digits"},
        {"udp", "checksum", "\"god\"", "0 … 65535 would be right"},
        {"tcp", "sack_permitted", "\"yes\"", "true would be right"},
        {"igmpv3_query", "sources", "\"192.0.2.1\"", "sources must be a list"},
        {"igmpv3_query", "sources", "( \"192.0.2.1\", \"x\" )", "an IPv4 address such as"},
        {"igmpv3_query", "sources", "( \"auto\" )", "an IPv4 address such as"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct field_value value = {.number = 77};
        struct err err = {0};
        assert_int_equal(read_into(rows[i].header, rows[i].name, rows[i].text, &value, &err), -EINVAL);
        if (strstr(err.text, rows[i].complaint) == NULL)
            fail_msg("%s: %s", rows[i].text, err.text);
        assert_true(value.number == 77 && value.given == GIVEN_NOT && value.bytes == NULL);
    }
}

static void long_values_have_a_bound(void **state)
{
    enum { MOST = 16384 };
    static char hex[2 * MOST + 3], list[13 * MOST / 4];
    struct field_value value = {0};
    struct err err = {0};
    struct node node = {.kind = NODE_TEXT, .text = hex};
    (void)state;
    memset(hex, 'a', 2 * MOST);
    assert_int_equal(field_read(field_of("raw", "bytes"), &node, &value, &err), 0);
    assert_int_equal(value.length, MOST);
    hex[2 * MOST] = hex[2 * MOST + 1] = 'a';
    assert_int_equal(field_read(field_of("raw", "bytes"), &node, &value, &err), -EINVAL);
    assert_int_equal(field_read(field_of("raw", "text"), &node, &value, &err), 0);
    assert_int_equal(value.length, MOST);
    field_value_fini(&value);
    strcpy(list, "v = ( \"1.2.3.4\"");
    for (int more = 0; more < 2; more++) {
        size_t used = strlen(list);
        for (int i = 1; more == 0 && i < MOST / 4; i++, used += 11)
            strcpy(list + used, ",\"1.2.3.4\" ");
        if (more == 1)
            strcpy(list + used - 2, ",\"1.2.3.4\" ");
        strcat(list, ");");
        struct reading reading = reading_of(list);
        int result =
            field_read(field_of("igmpv3_query", "sources"), reading_node(&reading, "v"), &value, &err);
        assert_int_equal(result, more == 0 ? 0 : -EINVAL);
        reading_end(&reading);
    }
    assert_non_null(strstr(err.text, "at most 4096 would be right"));
    field_value_fini(&value);
}

static void automatic_keeps_the_preset(void **state)
{
    (void)state;
    struct field_value value;
    struct err err = {0};
    assert_int_equal(field_preset(field_of("udp", "dst"), &value), 0);
    assert_true(value.given == GIVEN_NOT && value.number == 9);
    assert_int_equal(read_into("udp", "dst", "\"auto\"", &value, &err), 0);
    assert_true(value.given == GIVEN_AUTO && value.number == 9);
    assert_int_equal(read_into("udp", "dst", "\"bad\"", &value, &err), 0);
    assert_true(value.given == GIVEN_BAD && value.number == 9);
    assert_int_equal(read_into("tcp", "sack_permitted", "true", &value, &err), 0);
    assert_int_equal(value.given, GIVEN_VALUE);
    assert_int_equal(read_into("tcp", "sack_permitted", "false", &value, &err), 0);
    assert_int_equal(value.given, GIVEN_NOT);
    assert_int_equal(read_into("udp", "src", "\"auto\"", &value, &err), -EINVAL);
}

static void values_read_like_the_field(void **state)
{
    static const struct {
        const char *header, *name;
        uint64_t value;
        const char *text;
    } rows[] = {
        {"udp", "dst", 256, "256"},
        {"ipv4", "dscp", 46, "46 (ef)"},
        {"ipv4", "dscp", 45, "45"},
        {"ethernet", "type", 0x0800, "0x0800 (ipv4)"},
        {"ethernet", "type", 0xff, "255"},
        {"ethernet", "type", 0x100, "0x0100"},
        {"tcp", "flags", 18, "syn,ack"},
        {"tcp", "flags", 0, "0"},
        {"router_advertisement", "flags", 0x3f, "63"},
        {"ethernet", "dst", 0x020000000007, "02:00:00:00:00:07"},
        {"ipv4", "src", 0xc0000207, "192.0.2.7"},
        {"ipv6", "src", 1, "::1"},
        {"ptp", "clock", 0x020000fffe000001, "020000fffe000001"},
    };
    char text[64];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(
            field_format(field_of(rows[i].header, rows[i].name), rows[i].value, text, sizeof text),
            rows[i].text);
    assert_string_equal(field_format(field_of("ipv4", "dscp"), 46, text, 3),
                        "46"); /* never beyond its room */
    assert_string_equal(field_format(field_of("tcp", "flags"), 19, text, 6), "fin,s");
    assert_string_equal(field_format(field_of("tcp", "flags"), 19, text, 4), "fin");
    assert_string_equal(field_format(field_of("ptp", "clock"), 0x0102030405060708, text, 6), "0102");
    assert_string_equal(field_format(field_of("ptp", "clock"), 0x0102030405060708, text, 5), "0102");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_stand_where_the_reference_sees_them),
        cmocka_unit_test(numbers_flags_and_addresses_are_read),
        cmocka_unit_test(the_long_ones_are_bytes),
        cmocka_unit_test(what_is_no_value_is_refused_and_changes_nothing),
        cmocka_unit_test(long_values_have_a_bound),
        cmocka_unit_test(automatic_keeps_the_preset),
        cmocka_unit_test(values_read_like_the_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
