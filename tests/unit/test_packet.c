/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The packet compiler: golden bytes, what is refused and how, and checksums of patched frames against a plain
 * reference for every field of every protocol varying at random. */
#include "packet/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "config/read.h"
#include "config/schema.h"
#include "packet/proto.h"
#include "packet/signature.h"

struct made {
    struct tree *tree;
    struct packet *packet;
    struct complaints *complaints;
    int result;
};

static struct packet_request wishes; /* what a test asks for besides the text */

static struct made make(const char *text)
{
    struct made made = {.complaints = complaints_new()};
    json_t *object = json_loads(text, 0, NULL);
    if (object == NULL)
        fail_msg("the test's JSON is wrong: %s", text);
    assert_int_equal(tree_read_json(object, &made.tree, made.complaints), 0);
    json_decref(object);
    const struct node *root = tree_root(made.tree);
    struct packet_request request = wishes;
    request.at = root;
    request.layers = node_find(root, "layers");
    request.set = node_find(root, "set");
    request.vary = node_find(root, "vary");
    request.size = node_find(root, "size");
    request.mix = node_find(root, "mix");
    request.payload = node_find(root, "payload");
    made.result = packet_compile(&request, &made.packet, made.complaints);
    return made;
}

static void done(struct made *made)
{
    packet_free(made->packet);
    tree_free(made->tree);
    complaints_free(made->complaints);
    wishes = (struct packet_request){0};
}

static struct made must_make(const char *text)
{
    struct made made = make(text);
    if (made.result != 0)
        fail_msg("%s: %s", text, complaints_get(made.complaints, 0)->text);
    return made;
}

/* The first frame in hex. */
static char *first_frame(const struct packet *packet)
{
    static char text[4096];
    uint8_t frame[2000];
    struct packet_cursor *cursor = packet_cursor_new(packet, 0, 1);
    uint32_t length = packet_next_length(cursor);
    packet_stamp(cursor, frame);
    packet_patch(cursor, frame, NULL);
    packet_cursor_free(cursor);
    for (uint32_t i = 0; i < length; i++)
        snprintf(text + 2 * i, 3, "%02x", frame[i]);
    return text;
}

static void check_golden(const char *text, const char *golden)
{
    struct made made = must_make(text);
    assert_string_equal(first_frame(made.packet), golden);
    done(&made);
}

/* ---- golden bytes ---- */

#define ETHERNET   \
    "020000000002" \
    "020000000001"

static void test_golden_udp_over_ipv4(void **state)
{
    (void)state;
    check_golden("{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}},{\"udp\":{\"src\":5004,\"dst\":5004}}]}",
                 ETHERNET "0800"
                          "4500002e000000004011ee97"
                          "c6120001c6130001"
                          "138c138c001a"
                          "4c7a"
                          "000000000000000000000000000000000000");
}

static void test_golden_arp_request(void **state)
{
    (void)state;
    check_golden("{\"layers\":[{\"ethernet\":{}},{\"arp\":{}}]}",
                 ETHERNET "0806"
                          "0001080006040001"
                          "020000000001c6120001"
                          "000000000000c6130001"
                          "000000000000000000000000000000000000");
}

static void test_golden_tags_by_stacking(void **state)
{
    (void)state;
    check_golden(
        "{\"layers\":[{\"ethernet\":{}},{\"vlan\":{\"id\":5,\"pcp\":7}},{\"vlan\":{\"id\":6,\"dei\":1}},"
        "{\"raw\":\"c0ffee\"}]}",
        ETHERNET "88a8"
                 "e005"
                 "8100"
                 "1006"
                 "88b5"
                 "c0ffee"
                 "0000000000000000000000000000000000000000000000000000000000000000000000");
}

static void test_golden_bpdu(void **state)
{
    (void)state;
    wishes.special = SPECIAL_BPDU;
    check_golden("{\"layers\":[{\"ethernet\":{}},{\"llc\":{}},{\"stp\":{}}]}", "0180c2000000"
                                                                               "020000000001"
                                                                               "0026"
                                                                               "424203"
                                                                               "0000000000"
                                                                               "8000020000000001"
                                                                               "00000000"
                                                                               "8000020000000001"
                                                                               "8001"
                                                                               "0000"
                                                                               "1400"
                                                                               "0200"
                                                                               "0f00"
                                                                               "0000000000000000");
}

static void test_golden_tcp_options(void **state)
{
    (void)state;
    struct made made = must_make("{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}},{\"tcp\":{\"flags\":\"syn\","
                                 "\"mss\":1460,\"wscale\":7,\"sack_permitted\":true}}],\"size\":70}");
    assert_non_null(strstr(first_frame(made.packet), "80"
                                                     "02"
                                                     "ffff"));
    assert_non_null(strstr(first_frame(made.packet), "020405b4"
                                                     "01030307"
                                                     "01010402"));
    done(&made);
}

/* ---- what is refused ---- */

static void check_refused(const char *text, const char *with)
{
    struct made made = make(text);
    assert_int_not_equal(made.result, 0);
    assert_null(made.packet);
    for (size_t i = 0; i < complaints_count(made.complaints); i++)
        if (strstr(complaints_get(made.complaints, i)->text, with) != NULL) {
            done(&made);
            return;
        }
    fail_msg("%s: no complaint says `%s`, but: %s", text, with, complaints_get(made.complaints, 0)->text);
}

static void test_refusals_say_what_would_be_right(void **state)
{
    (void)state;
    static const struct {
        const char *text, *with;
    } rows[] = {
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}},{\"upd\":{}}]}", "`udp`?"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{\"tttl\":3}}]}", "`ttl`?"},
        {"{\"layers\":[{\"ethernet\":{}},{\"vlan\":{\"id\":4096}}]}", "0 … 4095"},
        {"{\"layers\":[{\"ethernet\":{}},{\"vlan\":{\"id\":-1}}]}", "0 … 4095"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{\"dst\":\"1.2.3\"}}]}", "an IPv4 address"},
        {"{\"layers\":[{\"ethernet\":{}},{\"arp\":{}},{\"udp\":{}}]}", "it follows ipv4, ipv6"},
        {"{\"layers\":[{\"udp\":{}}]}", "ethernet or raw"},
        {"{\"layers\":[]}", "a list of headers"},
        {"{\"layers\":[{\"ethernet\":{},\"udp\":{}}]}", "one header"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv6\":{}},{\"tcp\":{}}]}", "the least size that fits is 78"},
        {"{\"layers\":[{\"ethernet\":{\"dst\":\"ff:ff:ff:ff:ff:ff\"}}]}", "\"broadcast\""},
        {"{\"layers\":[{\"ethernet\":{\"dst\":\"01:00:5e:00:00:01\"}}]}", "\"multicast\""},
        {"{\"layers\":[{\"ethernet\":{}},{\"pause\":{}}]}", "\"pause\""},
        {"{\"layers\":[{\"ethernet\":{\"dst\":\"01:80:c2:00:00:00\"}}]}", "\"bpdu\""},
        {"{\"layers\":[{\"ethernet\":{}}],\"vary\":[{\"field\":\"ethernet.dst\"}]}", "\"broadcast\""},
        {"{\"layers\":[{\"ethernet\":{}}],\"vary\":[{\"field\":\"ethernet.dst\",\"op\":\"list\",\"values\":"
         "[\"02:00:00:00:00:07\",\"01:00:00:00:00:07\"]}]}",
         "\"multicast\""},
        {"{\"layers\":[{\"ethernet\":{}}],\"vary\":[{\"offset\":0,\"width\":8}]}", "\"multicast\""},
        {"{\"layers\":[{\"ethernet\":{}}],\"vary\":[{\"field\":\"ipv4.dst\"}]}", "its headers are ethernet"},
        {"{\"layers\":[{\"ethernet\":{}}],\"vary\":[{\"offset\":60,\"width\":8}]}", "offset must be 0 … 59"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}},{\"tcp\":{}}],\"vary\":[{\"field\":\"tcp.mss\"}]}",
         "give it a value in the template"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}}],\"set\":[{\"field\":\"ipv4[2].dst\",\"value\":1}]}",
         "no `ipv4[2]`"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_refused(rows[i].text, rows[i].with);
}

static void test_unicast_ranges_need_no_special(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "{\"layers\":[{\"ethernet\":{}}],\"vary\":[{\"field\":\"ethernet.dst\",\"op\":\"random\"}]}",
        "{\"layers\":[{\"ethernet\":{}}],\"vary\":[{\"field\":\"ethernet.dst\",\"from\":\"02:00:00:00:00:"
        "00\","
        "\"to\":\"02:ff:ff:ff:ff:ff\"}]}",
        "{\"layers\":[{\"ethernet\":{}}],\"vary\":[{\"offset\":5,\"width\":8}]}",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct made made = must_make(rows[i]);
        done(&made);
    }
}

/* Least sizes with a signature, FCS counted (RFC 2544's sizes hold all but one). */
static void test_signature_needs_room(void **state)
{
    (void)state;
    wishes.signature = true;
    check_refused("{\"layers\":[{\"ethernet\":{}},{\"ipv6\":{}},{\"udp\":{}}],\"size\":64}", "fits is 80");
    wishes.signature = true;
    check_refused("{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}},{\"tcp\":{}}],\"size\":64}", "fits is 72");
    wishes.signature = true;
    check_refused("{\"layers\":[{\"ethernet\":{}},{\"vlan\":{}},{\"vlan\":{}},{\"ipv4\":{}},{\"udp\":{}}],"
                  "\"size\":64}",
                  "fits is 68");
}

/* ---- checksums of varied frames ---- */

static uint16_t plain_sum(const uint8_t *bytes, size_t count, uint32_t sum)
{
    for (size_t i = 0; i < count; i++) {
        sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

/* UDP over IPv4 at ip, to the frame's end. */
static void check_udp(const uint8_t *frame, uint32_t ip, uint32_t length)
{
    const uint8_t *udp = frame + ip + 20;
    uint32_t bytes = length - ip - 20;
    assert_int_equal(load_be16(frame + ip + 2), length - ip);
    assert_int_equal(load_be16(udp + 4), bytes);
    assert_int_equal(plain_sum(frame + ip, 20, 0), 0xffff);
    assert_int_equal(plain_sum(udp, bytes, plain_sum(frame + ip + 12, 8, 17 + bytes)), 0xffff);
    assert_int_not_equal(load_be16(udp + 6), 0);
}

static void send_and_check(const struct packet *packet, uint32_t outer, uint32_t inner, bool is_signed)
{
    uint8_t *frame = malloc(packet_largest(packet));
    struct packet_cursor *cursor = packet_cursor_new(packet, 0, 1);
    struct signature_stamp stamp = {.nonce = 77, .stream = 3};
    for (; stamp.sequence < 3000; stamp.sequence++) {
        uint32_t length = packet_next_length(cursor);
        packet_stamp(cursor, frame);
        stamp.time_ns = stamp.sequence * 12345;
        packet_patch(cursor, frame, is_signed ? &stamp : NULL);
        check_udp(frame, outer, length);
        if (inner != 0)
            check_udp(frame, inner, length);
        struct signature read;
        if (is_signed) {
            assert_true(signature_read(frame + length - SIGNATURE_BYTES, 77, &read));
            assert_int_equal(read.sequence, stamp.sequence);
        }
    }
    packet_cursor_free(cursor);
    free(frame);
}

static void test_varied_checksums_hold_inside_and_outside(void **state)
{
    (void)state;
    for (int is_signed = 0; is_signed < 2; is_signed++) {
        wishes.signature = is_signed;
        struct made made = must_make(
            "{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}},{\"udp\":{}},{\"vxlan\":{}},{\"ethernet\":{}},{"
            "\"ipv4\":{}},"
            "{\"udp\":{}}],\"payload\":{\"random\":5},"
            "\"size\":{\"op\":\"random\",\"from\":130,\"to\":400,\"seed\":9},\"vary\":["
            "{\"field\":\"ethernet.src\",\"op\":\"random\"},{\"field\":\"ipv4.dst\",\"op\":\"random\"},"
            "{\"field\":\"ipv4.dscp\",\"op\":\"random\"},{\"field\":\"ipv4.ecn\",\"op\":\"random\"},"
            "{\"field\":\"udp.src\",\"op\":\"random\"},{\"field\":\"vxlan.vni\",\"op\":\"random\"},"
            "{\"field\":\"ipv4[2].src\",\"op\":\"random\"},{\"field\":\"ipv4[2].fragment_offset\",\"op\":"
            "\"random\"},"
            "{\"field\":\"udp[2].dst\",\"op\":\"random\"},{\"offset\":95,\"width\":64,\"op\":\"random\"},"
            "{\"offset\":103,\"width\":3,\"op\":\"random\"}]}");
        send_and_check(made.packet, 14, 64, is_signed);
        done(&made);
    }
}

static void test_odd_places_do_not_spoil_checksums(void **state)
{
    (void)state;
    struct made made =
        must_make("{\"layers\":[{\"ethernet\":{}},{\"raw\":\"aabbcc\"},{\"ipv4\":{}},{\"udp\":{}},{\"raw\":"
                  "\"55\"},{\"ipv4\":{}},"
                  "{\"udp\":{}}],\"size\":{\"op\":\"increment\",\"from\":110,\"to\":133},\"vary\":["
                  "{\"field\":\"ipv4.dst\",\"op\":\"random\"},{\"field\":\"ipv4[2].dst\",\"op\":\"random\"},"
                  "{\"field\":\"udp[2].src\",\"op\":\"random\"}]}");
    send_and_check(made.packet, 17, 46, false);
    done(&made);
}

/* The bytes of a run of so many UDP segments, cut from one of `compiled` segments. */
static size_t run_of_segments(const char *text, uint16_t compiled, uint16_t segments, uint8_t frame[4096])
{
    wishes.segments = compiled;
    struct made made = must_make(text);
    const struct packet_segmentation *run = packet_segmentation(made.packet);
    struct packet_cursor *cursor = packet_cursor_new(made.packet, 0, 1);
    assert_non_null(cursor);
    packet_stamp(cursor, frame);
    packet_patch(cursor, frame, NULL);
    if (segments != compiled)
        packet_shorten(made.packet, frame, segments);
    size_t bytes = run->header_bytes + (size_t)run->payload_bytes * segments;
    packet_cursor_free(cursor);
    done(&made);
    return bytes;
}

static void test_a_shortened_run_is_the_run_compiled_shorter(void **state)
{
    (void)state;
    const char *const texts[] = {
        "{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{\"src\":\"198.18.0.1\"}},{\"udp\":{\"src\":7}}],\"size\":"
        "70}",
        "{\"layers\":[{\"ethernet\":{}},{\"vlan\":{\"id\":5}},{\"ipv6\":{\"src\":\"2001:db8::1\"}},{\"udp\":{"
        "}}],"
        "\"size\":101}",
        "{\"layers\":[{\"ethernet\":{}},{\"raw\":\"aa\"},{\"ipv4\":{}},{\"udp\":{}}],\"size\":80}",
    };
    static uint8_t is[4096], wanted[4096];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (uint16_t segments = 2; segments < 40; segments++) {
            size_t bytes = run_of_segments(texts[i], 40, segments, is);
            assert_int_equal(run_of_segments(texts[i], segments, segments, wanted), bytes);
            assert_memory_equal(is, wanted, bytes);
        }
}

/* Frames of many lengths, nothing else varying, have the checksums that a packet of that one length has. */
static void test_each_length_has_its_own_checksums(void **state)
{
    (void)state;
    static const char layers[] =
        "[{\"ethernet\":{}},{\"ipv4\":{\"src\":\"198.18.0.1\"}},{\"udp\":{\"src\":7}}]";
    static uint8_t is[2048], wanted[2048];
    char text[256];
    snprintf(text, sizeof text, "{\"layers\":%s,\"size\":\"simple\"}", layers);
    struct made many = must_make(text);
    struct packet_cursor *cursor = packet_cursor_new(many.packet, 0, 1);
    for (int i = 0; i < 24; i++) {
        uint32_t bytes = packet_next_length(cursor);
        packet_stamp(cursor, is);
        packet_patch(cursor, is, NULL);
        snprintf(text, sizeof text, "{\"layers\":%s,\"size\":%u}", layers, bytes + 4);
        struct made one = must_make(text);
        struct packet_cursor *alone = packet_cursor_new(one.packet, 0, 1);
        packet_stamp(alone, wanted);
        packet_patch(alone, wanted, NULL);
        assert_memory_equal(is, wanted, bytes);
        packet_cursor_free(alone);
        done(&one);
    }
    packet_cursor_free(cursor);
    done(&many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_length_has_its_own_checksums),
        cmocka_unit_test(test_a_shortened_run_is_the_run_compiled_shorter),
        cmocka_unit_test(test_golden_udp_over_ipv4),
        cmocka_unit_test(test_golden_arp_request),
        cmocka_unit_test(test_golden_tags_by_stacking),
        cmocka_unit_test(test_golden_bpdu),
        cmocka_unit_test(test_golden_tcp_options),
        cmocka_unit_test(test_refusals_say_what_would_be_right),
        cmocka_unit_test(test_unicast_ranges_need_no_special),
        cmocka_unit_test(test_signature_needs_room),
        cmocka_unit_test(test_varied_checksums_hold_inside_and_outside),
        cmocka_unit_test(test_odd_places_do_not_spoil_checksums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
