/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The packet compiler: golden bytes, what is refused and how, and checksums of patched frames against a plain
 * reference for every field of every protocol varying at random. */
#include "packet/packet.h"

#include <errno.h>
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
#include "packet/stack.h"

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

/* RFC 1112 §6.4, RFC 2464 §7; and what only looks like a group. */
static void test_a_group_has_its_mac(void **state)
{
    (void)state;
    static const struct {
        const char *header, *dst;
        uint64_t mac;
    } rows[] = {
        {"ipv4", "224.0.0.1", 0x01005e000001},       {"ipv4", "239.255.255.250", 0x01005e7ffffa},
        {"ipv4", "223.255.255.255", 0x020000000002}, {"ipv4", "240.0.0.1", 0x020000000002},
        {"ipv6", "ff02::1:ff00:1", 0x3333ff000001},  {"ipv6", "fe80::1", 0x020000000002},
        {"ipv6", "ff05::db8:1", 0x33330db80001},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"layers\":[{\"ethernet\":{}},{\"%s\":{\"dst\":\"%s\"}}]}",
                 rows[i].header, rows[i].dst);
        wishes.special = SPECIAL_MULTICAST;
        struct made made = must_make(text);
        const uint8_t *mac = packet_image(made.packet);
        assert_true((uint64_t)load_be16(mac) << 32 == (rows[i].mac & UINT64_C(0xffff00000000)) &&
                    load_be32(mac + 2) == (uint32_t)rows[i].mac);
        done(&made);
    }
}

/* What the table says of each header as its document does: only tags have another number when stacked. */
static void test_headers_have_the_lengths_of_their_documents(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned bytes;
    } rows[] = {
        {"ethernet", 14},
        {"llc", 3},
        {"snap", 5},
        {"vlan", 4},
        {"mpls", 4},
        {"pppoe", 6},
        {"ppp", 2},
        {"arp", 28},
        {"stp", 35},
        {"rstp", 36},
        {"pause", 4},
        {"pfc", 20},
        {"ptp", 44},
        {"ipv4", 20},
        {"ipv6", 40},
        {"fragment", 8},
        {"icmp", 8},
        {"icmpv6", 8},
        {"neighbor_solicitation", 24},
        {"neighbor_advertisement", 24},
        {"router_solicitation", 8},
        {"router_advertisement", 16},
        {"igmp", 8},
        {"igmpv3_query", 12},
        {"igmpv3_report", 8},
        {"igmp_record", 8},
        {"mld", 24},
        {"mldv2_query", 28},
        {"mldv2_report", 8},
        {"mld_record", 20},
        {"udp", 8},
        {"tcp", 20},
        {"sctp", 12},
        {"sctp_data", 16},
        {"sctp_chunk", 4},
        {"gre", 4},
        {"vxlan", 8},
        {"geneve", 8},
        {"gtpu", 8},
        {"l2tp", 2},
        {"l2tpv3", 4},
        {"raw", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_non_null(proto_find(rows[i].name));
        if (proto_find(rows[i].name)->bytes != rows[i].bytes)
            fail_msg("%s has %u bytes", rows[i].name, proto_find(rows[i].name)->bytes);
    }
    /* Nothing is inside of these: what follows is padding. */
    static const char closed[] =
        " neighbor_solicitation neighbor_advertisement router_solicitation router_advertisement "
        "igmp igmpv3_query igmpv3_report igmp_record mld mldv2_query mldv2_report mld_record "
        "arp lldp stp rstp pause pfc ptp ";
    /* The chunks of SCTP are no payload of each other, and these are whole words (RFC 791, 8200, 4302, 9293,
     * 8926). */
    static const char siblings[] = " sctp_data sctp_chunk ",
                      aligned[] = " ipv4 hop_by_hop destination_options ah tcp geneve ";
    for (size_t i = 0; protos[i] != NULL; i++) {
        char name[40];
        snprintf(name, sizeof name, " %s ", protos[i]->name);
        assert_int_equal(protos[i]->closed, strstr(closed, name) != NULL);
        assert_int_equal(protos[i]->sibling, strstr(siblings, name) != NULL);
        assert_int_equal(protos[i]->align > 1, strstr(aligned, name) != NULL);
    }
    for (size_t i = 0; protos[i] != NULL; i++)
        for (size_t in = 0; in < sizeof protos[i]->in / sizeof protos[i]->in[0]; in++) {
            const struct carried *carried = &protos[i]->in[in];
            bool is_tag = strcmp(protos[i]->name, "vlan") == 0 && carried->space == SPACE_ETHERTYPE;
            assert_int_equal(carried->stacked, is_tag ? 0x88a8 : 0);
            if (carried->space != SPACE_ETHERTYPE && carried->space != SPACE_LLC &&
                carried->space != SPACE_PPP && carried->space != SPACE_IP && carried->space != SPACE_PORT)
                assert_int_equal(carried->number, 0); /* nothing says what follows */
        }
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
    if (made.result != -EINVAL || made.packet != NULL)
        fail_msg("%s: %d, not refused", text, made.result);
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
         "no `ipv4[2]`; its headers are ethernet, ipv4"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":5}]}", "ipv4 is a number; a group"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":[{}]}]}", "a group { field = value; … } would be right"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":\"x\"}]}", "a group { field = value; … } would be right"},
        {"{\"layers\":[{\"ethernet\":{}},{\"raw\":\"xx\"}]}", "`xx` is not bytes"},
        {"{\"layers\":[{\"ethernet\":{}},{\"zzzzzzz\":{}}]}",
         "unknown header `zzzzzzz`; volleyd.conf(5) lists them"},
        {"{\"layers\":[{\"ethernet\":{\"zzzzzzz\":1}}]}",
         "no field `zzzzzzz`; volleyd.conf(5) lists its fields"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{\"ttl\":256,\"id\":1}}]}", "0 … 255"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{\"id\":65536,\"ttl\":1}}]}", "0 … 65535"},
        {"{\"layers\":[{\"ethernet\":{\"type\":65536}},{\"ipv4\":{}}]}", "0 … 65535"},
        {"{\"layers\":5}", "a list of headers"},
        {"{\"layers\":[5]}", "one header"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}}],\"set\":[{\"field\":\"dst\",\"value\":1}]}",
         "header[2].field would be right"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}}],\"set\":[{\"field\":\"ipv4[0].id\",\"value\":1}]}",
         "header[2].field would be right"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}}],\"set\":[{\"field\":\"ipv4[].id\",\"value\":1}]}",
         "header[2].field would be right"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}}],\"set\":[{\"field\":\"ipv4[1.id\",\"value\":1}]}",
         "header[2].field would be right"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}}],\"set\":[{\"field\":\"ipv4[1]id\",\"value\":1}]}",
         "header[2].field would be right"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}}],\"set\":[{\"field\":\"ipv4.idd\",\"value\":1}]}",
         "ipv4 has no field `idd`; `id`?"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}}],\"set\":[{\"field\":\"ipv4.id\",\"value\":1,\"x\":1}]"
         "}",
         "set is a list of groups"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}}],\"set\":[{\"field\":\"ipv4.id\"}]}",
         "set is a list of groups"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}}],\"set\":[{\"field\":5,\"value\":5}]}",
         "set is a list of groups"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}}],\"set\":5}", "set is a list of groups"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}}],\"set\":[{\"field\":\"ipv4.id\",\"value\":65536},"
         "{\"field\":\"ipv4.ttl\",\"value\":1}]}",
         "0 … 65535"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{\"options\":"
         "\"01010101010101010101010101010101010101010101010101010101010101010101010101010101"
         "01\"}}],\"size\":200}",
         "at most 60 would be right"},
        {"{\"layers\":[{\"ethernet\":{}},{\"raw\":\"aa\"},{\"ipv4\":{}},{\"raw\":\"aa\"},{\"udp\":{}}]}",
         "an odd number of raw bytes"},
        {"{\"layers\":[{\"ethernet\":{}},{\"raw\":\"aabb\"}],\"vary\":[{\"field\":\"raw.bytes\"}]}",
         "has no fixed width; offset and width would be right"},
        {"{\"layers\":[{\"ethernet\":{}}],\"vary\":[{\"field\":5}]}", "field is a name such as ipv4.dst"},
        {"{\"layers\":[{\"ethernet\":{}}],\"vary\":[{\"from\":5}]}", "either field, or offset and width"},
        {"{\"layers\":[{\"ethernet\":{}}],\"vary\":[{\"field\":\"ethernet.src\",\"offset\":5}]}",
         "either field, or offset and width"},
        {"{\"layers\":[{\"ethernet\":{}}],\"vary\":[{\"offset\":9,\"width\":65}]}", "width must be 1 … 64"},
        {"{\"layers\":[{\"ethernet\":{}}],\"vary\":[{\"offset\":9,\"width\":0}]}", "width must be 1 … 64"},
        {"{\"layers\":[{\"ethernet\":{}}],\"vary\":[{\"offset\":\"x\",\"width\":8}]}",
         "offset must be 0 … 59"},
        {"{\"layers\":[{\"ethernet\":{}}],\"vary\":[{\"offset\":59,\"width\":9}]}",
         "9 bits at byte 59 reach beyond the 60 bytes"},
        {"{\"layers\":[{\"ethernet\":{}}],\"size\":{\"op\":\"increment\",\"from\":64,\"to\":80},\"vary\":"
         "[{\"offset\":60}]}",
         "offset must be 0 … 59"},
        {"{\"layers\":[{\"ethernet\":{}}],\"payload\":\"nothing\"}", "a payload is a group"},
        {"{\"layers\":[{\"ethernet\":{\"dst\":\"01:80:c2:00:00:3f\"}}]}", "\"bpdu\""},
        {"{\"layers\":[{\"ethernet\":{\"dst\":\"01:80:c2:00:00:40\"}}]}", "\"multicast\""},
        {"{\"layers\":[{\"ethernet\":{\"dst\":\"01:80:c2:00:00:01\"}}]}", "\"pause\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_refused(rows[i].text, rows[i].with);
}

/* Those who asked for multicast: what of it still needs a word of its own. All begin at 01:80:c2:00:00:40,
 * which is nobody's but many's. */
static void test_what_a_varying_destination_reaches(void **state)
{
    (void)state;
    static const struct {
        const char *entry, *refused; /* NULL: accepted */
    } rows[] = {
        {"\"offset\":5,\"from\":64", NULL},
        {"\"offset\":5,\"from\":63", "\"bpdu\""},
        {"\"offset\":5,\"op\":\"decrement\",\"from\":80,\"to\":64", NULL},
        {"\"offset\":5,\"op\":\"decrement\",\"from\":80,\"to\":63", "\"bpdu\""},
        {"\"offset\":5,\"op\":\"list\",\"values\":[64,255]", NULL},
        {"\"offset\":5,\"op\":\"list\",\"values\":[64,255,2]", "\"bpdu\""},
        {"\"offset\":5,\"op\":\"random\",\"from\":64", NULL},
        {"\"offset\":5,\"op\":\"random\",\"from\":1,\"to\":64", "\"pause\""},
        {"\"offset\":5,\"op\":\"random\",\"mask\":191", NULL}, /* all but 64's bit */
        {"\"offset\":5,\"op\":\"random\",\"mask\":192", "\"bpdu\""},
        {"\"offset\":5,\"op\":\"pattern\",\"mask\":191", NULL},
        {"\"offset\":5,\"op\":\"pattern\",\"mask\":192", "\"bpdu\""},
        {"\"offset\":5,\"width\":16,\"from\":16384", NULL}, /* into the source's first byte */
        {"\"offset\":5,\"width\":16,\"from\":16383", "\"bpdu\""},
        {"\"offset\":5,\"width\":1", NULL},
        {"\"offset\":5,\"width\":2,\"from\":0", "\"bpdu\""},
        {"\"offset\":4", NULL}, /* its last byte stays 64 */
        {"\"offset\":4,\"width\":16,\"from\":64", NULL},
        {"\"offset\":4,\"width\":16,\"from\":63", "\"bpdu\""},
        {"\"offset\":0,\"width\":48,\"from\":\"0x0180c2000040\",\"to\":\"0xfffffffffffe\"", NULL},
        {"\"offset\":0,\"width\":48,\"from\":\"0x0180c2000040\",\"to\":\"0xffffffffffff\"", "\"broadcast\""},
        {"\"offset\":0,\"width\":48,\"from\":\"0x0180c1ffffff\",\"to\":\"0x0180c2000000\"", "\"bpdu\""},
        {"\"offset\":0,\"width\":48,\"from\":\"0x0180c1ffffff\",\"to\":\"0x0180c1ffffff\"", NULL},
        {"\"offset\":6,\"width\":48", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[300];
        snprintf(text, sizeof text,
                 "{\"layers\":[{\"ethernet\":{\"dst\":\"01:80:c2:00:00:40\"}}],\"vary\":[{%s}]}",
                 rows[i].entry);
        wishes.special = SPECIAL_MULTICAST;
        if (rows[i].refused != NULL) {
            check_refused(text, rows[i].refused);
            continue;
        }
        struct made made = must_make(text);
        done(&made);
    }
    check_refused("{\"layers\":[{\"ethernet\":{}}],\"vary\":[{\"field\":\"ethernet.dst\",\"from\":"
                  "\"02:ff:ff:ff:ff:ff\",\"to\":\"03:00:00:00:00:00\"}]}",
                  "\"multicast\"");
    check_refused("{\"layers\":[{\"ethernet\":{}}],\"vary\":[{\"field\":\"ethernet.dst\",\"from\":"
                  "\"02:00:00:00:00:00\",\"to\":\"04:00:00:00:00:00\"}]}",
                  "\"multicast\"");
}

static void test_a_random_range_of_groups_must_be_asked_for(void **state)
{
    (void)state;
    static const char groups[] =
        "{\"layers\":[{\"ethernet\":{}}],\"vary\":[{\"field\":\"ethernet.dst\",\"op\":"
        "\"random\",\"from\":\"03:00:00:00:00:01\",\"to\":\"03:00:00:00:00:ff\"}]}";
    check_refused(groups, "\"multicast\"");
    wishes.special = SPECIAL_MULTICAST;
    struct made made = must_make(groups);
    done(&made);
}

static void test_what_is_asked_for_is_accepted(void **state)
{
    (void)state;
    static const struct {
        unsigned special;
        const char *text;
    } rows[] = {
        {SPECIAL_PAUSE, "{\"layers\":[{\"ethernet\":{}},{\"pause\":{}}]}"},
        {SPECIAL_BPDU, "{\"layers\":[{\"ethernet\":{}},{\"llc\":{}},{\"rstp\":{}}]}"},
        {SPECIAL_BROADCAST, "{\"layers\":[{\"ethernet\":{\"dst\":\"ff:ff:ff:ff:ff:ff\"}}]}"},
        {SPECIAL_MULTICAST, "{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{\"dst\":\"224.0.0.1\"}}]}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        wishes.special = rows[i].special;
        struct made made = must_make(rows[i].text);
        done(&made);
        wishes.special = ~rows[i].special;
        check_refused(rows[i].text, "in the stream asks for it");
    }
    wishes.cooked = true;
    struct made made = must_make("{\"layers\":[{\"ipv4\":{}}],\"size\":60}");
    done(&made);
    wishes.cooked = true;
    check_refused("{\"layers\":[{\"udp\":{}}]}", "ipv4, ipv6, arp or raw");
    wishes.cooked = true;
    check_refused("{\"layers\":[{\"vlan\":{\"tpid\":37120}}]}", "stands in the header before");
    wishes.cooked = true;
    made = must_make("{\"layers\":[{\"vlan\":{}}]}");
    done(&made);
}

static void test_headers_have_bounds(void **state)
{
    (void)state;
    static char text[200000];
    for (int layers = LAYERS_MAX - 1; layers <= LAYERS_MAX + 1; layers++) {
        size_t used = (size_t)sprintf(text, "{\"layers\":[{\"ethernet\":{}}");
        for (int i = 1; i < layers; i++)
            used += (size_t)sprintf(text + used, ",{\"vlan\":{}}");
        sprintf(text + used, "],\"size\":400}");
        if (layers <= LAYERS_MAX) {
            struct made made = must_make(text);
            done(&made);
        } else {
            check_refused(text, "headers; at most");
        }
    }
    for (int over = 0; over < 2; over++) { /* four times 16,381 bytes, and 11 or 12 */
        size_t used = (size_t)sprintf(text, "{\"layers\":[");
        for (int i = 0; i < 4; i++) {
            used += (size_t)sprintf(text + used, "{\"raw\":\"");
            memset(text + used, '0', 2 * 16381);
            used += 2 * 16381;
            used += (size_t)sprintf(text + used, "\"},");
        }
        sprintf(text + used, "{\"raw\":\"0000000000000000000000%s\"}],\"size\":65539}", over ? "00" : "");
        if (over) {
            check_refused(text, "the headers have more than 65535 bytes");
        } else {
            struct made made = must_make(text);
            assert_int_equal(packet_largest(made.packet), 65535);
            done(&made);
        }
    }
}

static void test_runs_of_segments_have_conditions(void **state)
{
    (void)state;
    static const struct {
        uint16_t segments;
        const char *text, *refused;
    } rows[] = {
        {2, "{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}},{\"udp\":{}}]}", NULL},
        {1, "{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}},{\"tcp\":{}}]}", NULL},
        {2, "{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}},{\"tcp\":{}}]}",
         "must end with ipv4 or ipv6, then udp"},
        {2, "{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}},{\"raw\":\"aabb\"},{\"udp\":{}}]}",
         "must end with ipv4 or ipv6, then udp"},
        {2, "{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}},{\"udp\":{}}],\"vary\":[{\"field\":\"ipv4.id\"}]}",
         "vary cannot reach"},
        {2, "{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}},{\"udp\":{}}],\"vary\":[]}", NULL},
        {2, "{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}},{\"udp\":{}}],\"size\":\"simple\"}", "one size"},
        {2, "{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}},{\"udp\":{}}],\"size\":46}", "some payload"},
        {2, "{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}},{\"udp\":{}}],\"size\":47}", NULL},
        /* 40 + 8 + 249 × 263 = 65535 */
        {249, "{\"layers\":[{\"ethernet\":{}},{\"ipv6\":{}},{\"udp\":{}}],\"size\":329}", NULL},
        {250, "{\"layers\":[{\"ethernet\":{}},{\"ipv6\":{}},{\"udp\":{}}],\"size\":329}",
         "65,535 bytes of IP"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        wishes.segments = rows[i].segments;
        if (rows[i].refused != NULL) {
            check_refused(rows[i].text, rows[i].refused);
            continue;
        }
        struct made made = must_make(rows[i].text);
        const struct packet_segmentation *run = packet_segmentation(made.packet);
        if (rows[i].segments > 1)
            assert_true(run->segments == rows[i].segments && run->checksum_offset == 6 &&
                        run->checksum_start == run->header_bytes - 8 &&
                        packet_largest(made.packet) == packet_smallest(made.packet) &&
                        packet_largest(made.packet) ==
                            run->header_bytes + (uint32_t)run->payload_bytes * run->segments);
        else
            assert_null(run);
        done(&made);
    }
}

static void test_facts_of_a_packet(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_static;
        uint32_t smallest, largest, variants;
        const char *destination; /* six bytes */
    } rows[] = {
        {"{\"layers\":[{\"ethernet\":{}}]}", true, 60, 60, 1, "\2\0\0\0\0\2"},
        {"{\"layers\":[{\"ethernet\":{}},{\"vlan\":{}}]}", true, 60, 60, 1, "\2\0\0\0\0\2"},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}}],\"size\":\"simple\"}", false, 60, 1514, 3,
         "\2\0\0\0\0\2"},
        {"{\"layers\":[{\"ethernet\":{}}],\"vary\":[{\"field\":\"ethernet.dst\",\"from\":\"02:00:00:00:01:"
         "00\","
         "\"to\":\"02:00:00:00:01:07\"}]}",
         false, 60, 60, 1, "\2\0\0\0\1\0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct made made = must_make(rows[i].text);
        assert_int_equal(packet_is_static(made.packet), rows[i].is_static);
        assert_int_equal(packet_smallest(made.packet), rows[i].smallest);
        assert_int_equal(packet_largest(made.packet), rows[i].largest);
        assert_int_equal(packet_variants(made.packet), rows[i].variants);
        uint8_t first[2048];
        struct packet_cursor *cursor = packet_cursor_new(made.packet, 0, 1);
        packet_stamp(cursor, first);
        packet_patch(cursor, first, NULL);
        packet_cursor_free(cursor);
        assert_memory_equal(first, rows[i].destination, 6);
        assert_null(packet_segmentation(made.packet));
        assert_ptr_equal(packet_ref(made.packet), made.packet);
        packet_free(made.packet); /* one holder is left */
        done(&made);
    }
    wishes.signature = true;
    struct made made = must_make("{\"layers\":[{\"ethernet\":{}}]}");
    assert_false(packet_is_static(made.packet));
    done(&made);
}

/* Only where nobody gave one, nothing varies it and no checksum covers it. */
static void test_the_source_goes_where_it_may(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned places[3]; /* 0 ends them */
    } rows[] = {
        {"{\"layers\":[{\"ethernet\":{}},{\"arp\":{}}]}", {6, 22}},
        {"{\"layers\":[{\"ethernet\":{\"src\":\"02:00:00:00:00:09\"}},{\"arp\":{}}]}", {22}},
        {"{\"layers\":[{\"ethernet\":{}},{\"arp\":{}}],\"vary\":[{\"field\":\"ethernet.src\"}]}", {22}},
        {"{\"layers\":[{\"ethernet\":{}},{\"arp\":{}}],\"vary\":[{\"offset\":11,\"width\":1}]}", {22}},
        {"{\"layers\":[{\"ethernet\":{}},{\"arp\":{}}],\"vary\":[{\"offset\":12,\"width\":8},{\"offset\":"
         "5,\"width\":8}]}",
         {6, 22}},
        {"{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}},{\"udp\":{}},{\"vxlan\":{}},{\"ethernet\":{}}],"
         "\"size\":"
         "80}",
         {6}},
    };
    static const uint8_t mac[6] = {2, 0xaa, 0xbb, 0xcc, 0xdd, 0xee};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct made made = must_make(rows[i].text);
        uint8_t before[80], after[80];
        struct packet_cursor *cursor = packet_cursor_new(made.packet, 0, 1);
        packet_stamp(cursor, before);
        packet_set_source(made.packet, mac);
        packet_stamp(cursor, after);
        for (size_t p = 0; p < 3 && rows[i].places[p] != 0; p++)
            memcpy(before + rows[i].places[p], mac, 6);
        assert_memory_equal(before, after, packet_largest(made.packet));
        packet_cursor_free(cursor);
        done(&made);
    }
}

static void test_a_reset_begins_again(void **state)
{
    (void)state;
    static uint8_t first[2000], again[2000];
    struct made made =
        must_make("{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{}}],\"size\":\"simple\",\"vary\":[{"
                  "\"field\":\"ipv4.src\"}]}");
    struct packet_cursor *cursor = packet_cursor_new(made.packet, 0, 1);
    for (int frame = 0; frame < 5; frame++) {
        packet_stamp(cursor, frame == 0 ? first : again);
        packet_patch(cursor, frame == 0 ? first : again, NULL);
    }
    packet_cursor_reset(cursor);
    assert_int_equal(packet_next_length(cursor), 60);
    packet_stamp(cursor, again);
    packet_patch(cursor, again, NULL);
    assert_memory_equal(first, again, 60);
    packet_cursor_free(cursor);
    done(&made);
}

/* What headers say of each other, by place in the first frame. */
static void test_headers_say_what_follows(void **state)
{
    (void)state;
    static const struct {
        unsigned at;
        uint64_t is;
        unsigned bytes;
        const char *layers;
    } rows[] = {
        {12, 0x9100, 2, "{\"ethernet\":{}},{\"vlan\":{\"tpid\":37120}},{\"ipv4\":{}}"},
        {12, 0x9100, 2, "{\"ethernet\":{}},{\"vlan\":{\"tpid\":37120}},{\"vlan\":{}},{\"ipv4\":{}}"},
        {12, 0x88a8, 2, "{\"ethernet\":{}},{\"vlan\":{}},{\"vlan\":{}},{\"ipv4\":{}}"},
        {12, 0x8100, 2, "{\"ethernet\":{}},{\"vlan\":{}},{\"raw\":\"aa\"},{\"vlan\":{}}"},
        {16, 0x88b5, 2, "{\"ethernet\":{}},{\"vlan\":{}},{\"raw\":\"aa\"}"},
        {12, 0x0800, 2, "{\"ethernet\":{\"type\":\"auto\"}},{\"ipv4\":{}}"},
        {12, 0x5d55, 2, "{\"ethernet\":{\"type\":\"bad\"}},{\"ipv4\":{}}"}, /* each second bit is wrong */
        {16, 0x5507, 2, "{\"ethernet\":{}},{\"ipv4\":{\"length\":\"bad\"}}"},
        {12, 46, 2, "{\"ethernet\":{}},{\"llc\":{}},{\"snap\":{}},{\"ipv4\":{}}"},
        {14, 0xaaaa03, 3, "{\"ethernet\":{}},{\"llc\":{}},{\"snap\":{}},{\"ipv4\":{}}"},
        {14, 0x00010040, 4, "{\"ethernet\":{}},{\"mpls\":{}},{\"mpls\":{}},{\"ipv4\":{}}"},
        {18, 0x00010140, 4, "{\"ethernet\":{}},{\"mpls\":{}},{\"mpls\":{}},{\"ipv4\":{}}"},
        {23, 137, 1, "{\"ethernet\":{}},{\"ipv4\":{}},{\"mpls\":{}},{\"mpls\":{}},{\"ipv4\":{}}"},
        {14, 0x47, 1, "{\"ethernet\":{}},{\"ipv4\":{\"options\":\"0101010101\"}}"},
        {36, 4789, 2, "{\"ethernet\":{}},{\"ipv4\":{}},{\"udp\":{}},{\"vxlan\":{}},{\"ethernet\":{}}"},
        {34, 0xa000, 2,
         "{\"ethernet\":{}},{\"ipv4\":{}},{\"gre\":{\"checksum\":\"auto\",\"key\":1}},{\"ipv4\":{}}"},
        {34, 0x1000, 2, "{\"ethernet\":{}},{\"ipv4\":{}},{\"gre\":{\"sequence\":1}},{\"ipv4\":{}}"},
        {40, 2, 2,
         "{\"ethernet\":{}},{\"ipv4\":{}},{\"igmpv3_report\":{}},{\"igmp_record\":{}},{\"igmp_record\":{}}"},
        {40, 0, 2, "{\"ethernet\":{}},{\"ipv4\":{}},{\"igmpv3_report\":{}},{\"raw\":\"aa\"}"},
        {44, 2, 2,
         "{\"ethernet\":{}},{\"ipv4\":{}},{\"igmpv3_query\":{\"sources\":[\"192.0.2.1\",\"192.0.2.2\"]}}"},
        {48, 20, 2,
         "{\"ethernet\":{}},{\"ipv4\":{}},{\"sctp\":{}},{\"sctp_data\":{}},{\"raw\":\"01020304\"},{\"sctp_"
         "data\":{}}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[400];
        uint8_t frame[2000];
        snprintf(text, sizeof text, "{\"layers\":[%s],\"size\":%u}", rows[i].layers,
                 i == 8 || i == 9 ? 64 : 100);
        struct made made = must_make(text);
        struct packet_cursor *cursor = packet_cursor_new(made.packet, 0, 1);
        packet_cursor_prefetch(cursor);
        packet_stamp(cursor, frame);
        uint64_t is = 0;
        for (unsigned b = 0; b < rows[i].bytes; b++)
            is = is << 8 | frame[rows[i].at + b];
        if (is != rows[i].is)
            fail_msg("%s: 0x%llx at byte %u", text, (unsigned long long)is, rows[i].at);
        packet_cursor_free(cursor);
        done(&made);
    }
}

static void check_warning(const char *text, const char *with)
{
    struct made made = must_make(text);
    size_t count = complaints_count(made.complaints);
    if (with == NULL && count != 0)
        fail_msg("%s: %s", text, complaints_get(made.complaints, 0)->text);
    if (with != NULL && (count != 1 || strstr(complaints_get(made.complaints, 0)->text, with) == NULL))
        fail_msg("%s: %zu warnings, the first: %s", text, count,
                 count > 0 ? complaints_get(made.complaints, 0)->text : "-");
    done(&made);
}

static void test_contradictions_are_told_and_nothing_else_is(void **state)
{
    (void)state;
    check_warning("{\"layers\":[{\"ethernet\":{\"type\":2048}},{\"ipv4\":{\"length\":46,\"ihl\":5}}]}", NULL);
    check_warning("{\"layers\":[{\"ethernet\":{\"type\":34525}},{\"ipv4\":{}}]}",
                  "type is 0x86dd (ipv6); 0x0800 (ipv4) would agree");
    check_warning("{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{\"length\":45}}]}",
                  "length is 45; 46 would agree with a frame of 64 bytes");
    check_warning("{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{\"length\":46}}],\"size\":\"ab\"}",
                  "length is 46; 110 would agree with a frame of 128 bytes");
    check_warning("{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{\"ihl\":6}}]}", "ihl is 6; 5 would agree");
    check_warning("{\"layers\":[{\"ethernet\":{\"dst\":\"02:00:00:00:00:07\"}},{\"ipv4\":{\"dst\":"
                  "\"224.0.0.1\"}}]}",
                  NULL);
    check_warning("{\"layers\":[{\"ethernet\":{}},{\"ipv4\":{\"checksum\":1}}]}", NULL);
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
        cmocka_unit_test(test_a_group_has_its_mac),
        cmocka_unit_test(test_headers_have_the_lengths_of_their_documents),
        cmocka_unit_test(test_golden_tcp_options),
        cmocka_unit_test(test_refusals_say_what_would_be_right),
        cmocka_unit_test(test_what_a_varying_destination_reaches),
        cmocka_unit_test(test_a_random_range_of_groups_must_be_asked_for),
        cmocka_unit_test(test_what_is_asked_for_is_accepted),
        cmocka_unit_test(test_headers_have_bounds),
        cmocka_unit_test(test_runs_of_segments_have_conditions),
        cmocka_unit_test(test_headers_say_what_follows),
        cmocka_unit_test(test_contradictions_are_told_and_nothing_else_is),
        cmocka_unit_test(test_facts_of_a_packet),
        cmocka_unit_test(test_the_source_goes_where_it_may),
        cmocka_unit_test(test_a_reset_begins_again),
        cmocka_unit_test(test_unicast_ranges_need_no_special),
        cmocka_unit_test(test_signature_needs_room),
        cmocka_unit_test(test_varied_checksums_hold_inside_and_outside),
        cmocka_unit_test(test_odd_places_do_not_spoil_checksums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
