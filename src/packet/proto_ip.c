/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of the protocol table: the network layer, its options and extension headers. */
#include "packet/proto_rows.h"

#define IP_EXPERIMENT "253" /* RFC 3692: what a packet without known payload says */

static const struct value_name ip_protocols[] = {
    {"hop_by_hop", 0}, {"icmp", 1},  {"igmp", 2},     {"ipv4", 4},   {"tcp", 6},
    {"udp", 17},       {"ipv6", 41}, {"gre", 47},     {"esp", 50},   {"ah", 51},
    {"icmpv6", 58},    {"none", 59}, {"l2tpv3", 115}, {"sctp", 132}, {NULL, 0}};

static const struct value_name code_points[] = {
    {"cs0", 0},   {"cs1", 8},   {"af11", 10}, {"af12", 12}, {"af13", 14}, {"cs2", 16},
    {"af21", 18}, {"af22", 20}, {"af23", 22}, {"cs3", 24},  {"af31", 26}, {"af32", 28},
    {"af33", 30}, {"cs4", 32},  {"af41", 34}, {"af42", 36}, {"af43", 38}, {"cs5", 40},
    {"ef", 46},   {"cs6", 48},  {"cs7", 56},  {NULL, 0}};

static const struct value_name congestion[] = {
    {"not_ect", 0}, {"ect1", 1}, {"ect0", 2}, {"ce", 3}, {NULL, 0}};

enum { IPV4_ROUTER_ALERT = 1, IPV4_OPTIONS };
static const struct block ipv4_blocks[] = {
    [IPV4_ROUTER_ALERT] = {.bytes = 4, PREFIX("\x94\x04")},
    [IPV4_OPTIONS] = {.bytes = 0},
};
static const struct field ipv4_fields[] = {
    NUMBER("version", 0, 4, "version", .preset = "4"),
    NUMBER("ihl", 4, 4, "words of the header", .automatic = AUTO_HEADER, .unit = 4),
    NUMBER("tos", 8, 8, "dscp and ecn in one", .alias = true),
    NUMBER("dscp", 8, 6, "differentiated services code point", .names = code_points),
    NUMBER("ecn", 14, 2, "explicit congestion notification", .names = congestion),
    NUMBER("length", 16, 16, "bytes of the packet", .automatic = AUTO_LENGTH, .unit = 1),
    NUMBER("id", 32, 16, "identification"),
    FLAGS("flags", 48, 3, "fragmentation flags", .names = NAMES({"mf", 1}, {"df", 2}, {"evil", 4})),
    NUMBER("fragment_offset", 51, 13, "place of a fragment, in 8 bytes"),
    NUMBER("ttl", 64, 8, "time to live", .preset = "64"),
    NUMBER("protocol", 72, 8, "protocol that follows", .automatic = AUTO_NEXT, .preset = IP_EXPERIMENT,
           .names = ip_protocols),
    CHECKSUM(80, 16),
    IPV4("src", 96, "source address", .preset = "198.18.0.1"),
    IPV4("dst", 128, "destination address", .preset = "198.19.0.1"),
    NUMBER("router_alert", 16, 16, "router alert option", .block = IPV4_ROUTER_ALERT),
    BYTES("options", 0, 0, "further options as they are, at most 40 bytes in all", .block = IPV4_OPTIONS),
};
const struct proto proto_ipv4 = {
    .name = "ipv4",
    .title = "Internet protocol, version 4",
    .reference = "RFC 791",
    .bytes = 20,
    .align = 4,
    FIELDS(ipv4_fields),
    BLOCKS(ipv4_blocks),
    .carries = SPACE_IP,
    .checksum = CHECKSUM_HEADER,
    .in = {{SPACE_ETHERTYPE, 0x0800, 0},
           {SPACE_IP, 4, 0},
           {SPACE_PPP, 0x0021, 0},
           {SPACE_MPLS, 0, 0},
           {SPACE_INNER_IP, 0, 0}},
};

static const struct field ipv6_fields[] = {
    NUMBER("version", 0, 4, "version", .preset = "6"),
    NUMBER("traffic_class", 4, 8, "traffic class"),
    NUMBER("dscp", 4, 6, "differentiated services code point", .alias = true, .names = code_points),
    NUMBER("ecn", 10, 2, "explicit congestion notification", .alias = true, .names = congestion),
    NUMBER("flow_label", 12, 20, "flow label"),
    NUMBER("length", 32, 16, "bytes after this header", .automatic = AUTO_LENGTH, .unit = 1, .bias = 40),
    NUMBER("next_header", 48, 8, "header that follows", .automatic = AUTO_NEXT, .preset = IP_EXPERIMENT,
           .names = ip_protocols),
    NUMBER("hop_limit", 56, 8, "hop limit", .preset = "64"),
    IPV6("src", 64, "source address", .preset = "2001:2::1"),
    IPV6("dst", 192, "destination address", .preset = "2001:2:0:1::1"),
};
const struct proto proto_ipv6 = {
    .name = "ipv6",
    .title = "Internet protocol, version 6",
    .reference = "RFC 8200",
    .bytes = 40,
    FIELDS(ipv6_fields),
    .carries = SPACE_IP,
    .in = {{SPACE_ETHERTYPE, 0x86dd, 0},
           {SPACE_IP, 41, 0},
           {SPACE_PPP, 0x0057, 0},
           {SPACE_MPLS, 0, 0},
           {SPACE_INNER_IP, 0, 0}},
};

#define NEXT_HEADER                                                                                     \
    NUMBER("next_header", 0, 8, "header that follows", .automatic = AUTO_NEXT, .preset = IP_EXPERIMENT, \
           .names = ip_protocols)
#define EXTENSION_LENGTH                                                                                 \
    NUMBER("length", 8, 8, "length in 8 bytes, beyond the first 8", .automatic = AUTO_HEADER, .unit = 8, \
           .bias = 8)

/* Options are padded with Pad1, which is a zero byte. */
enum { OPTIONS_ROUTER_ALERT = 1, OPTIONS_RAW };
static const struct block option_blocks[] = {
    [OPTIONS_ROUTER_ALERT] = {.bytes = 4, PREFIX("\x05\x02")},
    [OPTIONS_RAW] = {.bytes = 0},
};
static const struct field hop_by_hop_fields[] = {
    NEXT_HEADER,
    EXTENSION_LENGTH,
    NUMBER("router_alert", 16, 16, "router alert option", .block = OPTIONS_ROUTER_ALERT),
    BYTES("options", 0, 0, "further options as they are", .block = OPTIONS_RAW),
};
const struct proto proto_hop_by_hop = {
    .name = "hop_by_hop",
    .title = "IPv6 hop-by-hop options",
    .reference = "RFC 8200",
    .bytes = 2,
    .align = 8,
    FIELDS(hop_by_hop_fields),
    BLOCKS(option_blocks),
    .carries = SPACE_IP,
    .in = {{SPACE_IP, 0, 0}},
};

enum { DESTINATION_OPTIONS_RAW = 1 };
static const struct block destination_options_blocks[] = {[DESTINATION_OPTIONS_RAW] = {.bytes = 0}};
static const struct field destination_options_fields[] = {
    NEXT_HEADER,
    EXTENSION_LENGTH,
    BYTES("options", 0, 0, "options as they are", .block = DESTINATION_OPTIONS_RAW),
};
const struct proto proto_destination_options = {
    .name = "destination_options",
    .title = "IPv6 destination options",
    .reference = "RFC 8200",
    .bytes = 2,
    .align = 8,
    FIELDS(destination_options_fields),
    BLOCKS(destination_options_blocks),
    .carries = SPACE_IP,
    .in = {{SPACE_IP, 60, 0}},
};

enum { ROUTING_SEGMENTS = 1 };
static const struct block routing_blocks[] = {[ROUTING_SEGMENTS] = {.bytes = 0}};
static const struct field routing_fields[] = {
    NEXT_HEADER,
    EXTENSION_LENGTH,
    NUMBER("type", 16, 8, "routing type", .preset = "segments",
           .names = NAMES({"source", 0}, {"mobile", 2}, {"segments", 4})),
    NUMBER("segments_left", 24, 8, "segments left; 0: the last one was reached"),
    NUMBER("last_entry", 32, 8, "index of the last segment", .automatic = AUTO_COUNT, .of = ROUTING_SEGMENTS,
           .bias = 1),
    NUMBER("flags", 40, 8, "flags"),
    NUMBER("tag", 48, 16, "tag"),
    IPV6("segments", 0, "addresses", .block = ROUTING_SEGMENTS, .repeats = true),
};
const struct proto proto_routing = {
    .name = "routing",
    .title = "IPv6 routing header",
    .reference = "RFC 8200, RFC 8754",
    .bytes = 8,
    FIELDS(routing_fields),
    BLOCKS(routing_blocks),
    .carries = SPACE_IP,
    .in = {{SPACE_IP, 43, 0}},
};

static const struct field fragment_fields[] = {
    NEXT_HEADER,
    NUMBER("offset", 16, 13, "place of the fragment, in 8 bytes"),
    NUMBER("more", 31, 1, "more fragments follow"),
    NUMBER("id", 32, 32, "identification"),
};
const struct proto proto_fragment = {
    .name = "fragment",
    .title = "IPv6 fragment header",
    .reference = "RFC 8200",
    .bytes = 8,
    FIELDS(fragment_fields),
    .carries = SPACE_IP,
    .in = {{SPACE_IP, 44, 0}},
};

enum { AH_ICV = 1 };
static const struct block ah_blocks[] = {[AH_ICV] = {.bytes = 0, .always = true}};
static const struct field ah_fields[] = {
    NEXT_HEADER,
    NUMBER("length", 8, 8, "words of the header, less 2", .automatic = AUTO_HEADER, .unit = 4, .bias = 8),
    NUMBER("spi", 32, 32, "security parameters index", .preset = "256"),
    NUMBER("seq", 64, 32, "sequence number"),
    BYTES("icv", 0, 0, "integrity check value", .block = AH_ICV, .preset = "000000000000000000000000"),
};
const struct proto proto_ah = {
    .name = "ah",
    .title = "IP authentication header",
    .reference = "RFC 4302",
    .bytes = 12,
    .align = 4,
    FIELDS(ah_fields),
    BLOCKS(ah_blocks),
    .carries = SPACE_IP,
    .in = {{SPACE_IP, 51, 0}},
};

static const struct field esp_fields[] = {
    NUMBER("spi", 0, 32, "security parameters index", .preset = "256"),
    NUMBER("seq", 32, 32, "sequence number"),
};
const struct proto proto_esp = {
    .name = "esp",
    .title = "IP encapsulating security payload (header)",
    .reference = "RFC 4303",
    .bytes = 8,
    FIELDS(esp_fields),
    .carries = SPACE_INNER_IP,
    .in = {{SPACE_IP, 50, 0}, {SPACE_PORT, 4500, 0}},
};
