/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of the protocol table: ICMP, neighbour discovery, and who listens to which group. */
#include "packet/proto_rows.h"

static const struct field icmp_fields[] = {
    NUMBER("type", 0, 8, "type", .preset = "echo",
           .names = NAMES({"echo_reply", 0}, {"unreachable", 3}, {"redirect", 5}, {"echo", 8},
                          {"time_exceeded", 11}, {"parameter_problem", 12})),
    NUMBER("code", 8, 8, "code"),
    CHECKSUM(16, 16),
    NUMBER("id", 32, 16, "identifier of an echo"),
    NUMBER("seq", 48, 16, "sequence number of an echo"),
    IPV4("gateway", 32, "router of a redirect", .alias = true),
    NUMBER("mtu", 48, 16, "MTU of the next hop, unreachable code 4", .alias = true),
    NUMBER("pointer", 32, 8, "byte that a parameter problem means", .alias = true),
};
const struct proto proto_icmp = {
    .name = "icmp",
    .title = "Internet control messages",
    .reference = "RFC 792",
    .bytes = 8,
    FIELDS(icmp_fields),
    .checksum = CHECKSUM_WHOLE,
    .carries = SPACE_INNER_IP,
    .in = {{SPACE_IP, 1, 0}},
};

#define ICMPV6_HEAD(type_)                                                                                \
    NUMBER("type", 0, 8, "type", .preset = (type_), .names = icmpv6_types), NUMBER("code", 8, 8, "code"), \
        CHECKSUM(16, 16)
static const struct value_name icmpv6_types[] = {{"unreachable", 1},
                                                 {"packet_too_big", 2},
                                                 {"time_exceeded", 3},
                                                 {"parameter_problem", 4},
                                                 {"echo", 128},
                                                 {"echo_reply", 129},
                                                 {"listener_query", 130},
                                                 {"listener_report", 131},
                                                 {"listener_done", 132},
                                                 {"router_solicitation", 133},
                                                 {"router_advertisement", 134},
                                                 {"neighbor_solicitation", 135},
                                                 {"neighbor_advertisement", 136},
                                                 {"listener_report_v2", 143},
                                                 {NULL, 0}};

static const struct field icmpv6_fields[] = {
    ICMPV6_HEAD("echo"),
    NUMBER("id", 32, 16, "identifier of an echo"),
    NUMBER("seq", 48, 16, "sequence number of an echo"),
    NUMBER("mtu", 32, 32, "MTU, packet too big", .alias = true),
    NUMBER("pointer", 32, 32, "byte that a parameter problem means", .alias = true),
};
const struct proto proto_icmpv6 = {
    .name = "icmpv6",
    .title = "Internet control messages for IPv6",
    .reference = "RFC 4443",
    .bytes = 8,
    FIELDS(icmpv6_fields),
    .checksum = CHECKSUM_PSEUDO,
    .carries = SPACE_INNER_IP,
    .in = {{SPACE_IP, 58, 0}},
};

enum { ND_ADDRESS = 1, ND_MTU, ND_PREFIX };
static const struct block solicitation_blocks[] = {[ND_ADDRESS] = {.bytes = 8, PREFIX("\x01\x01")}};
static const struct field neighbor_solicitation_fields[] = {
    ICMPV6_HEAD("neighbor_solicitation"),
    IPV6("target", 64, "address that is asked for", .preset = "2001:2:0:1::1"),
    MAC("source_mac", 16, "source link-layer address option", .block = ND_ADDRESS),
};
const struct proto proto_neighbor_solicitation = {
    .name = "neighbor_solicitation",
    .title = "IPv6 neighbour solicitation",
    .reference = "RFC 4861",
    .bytes = 24,
    FIELDS(neighbor_solicitation_fields),
    BLOCKS(solicitation_blocks),
    .checksum = CHECKSUM_PSEUDO,
    .in = {{SPACE_IP, 58, 0}},
    .closed = true,
};

static const struct block advertisement_blocks[] = {[ND_ADDRESS] = {.bytes = 8, PREFIX("\x02\x01")}};
static const struct field neighbor_advertisement_fields[] = {
    ICMPV6_HEAD("neighbor_advertisement"),
    FLAGS("flags", 32, 3, "flags", .names = NAMES({"override", 1}, {"solicited", 2}, {"router", 4})),
    IPV6("target", 64, "address that is told of", .preset = "2001:2::1"),
    MAC("target_mac", 16, "target link-layer address option", .block = ND_ADDRESS),
};
const struct proto proto_neighbor_advertisement = {
    .name = "neighbor_advertisement",
    .title = "IPv6 neighbour advertisement",
    .reference = "RFC 4861",
    .bytes = 24,
    FIELDS(neighbor_advertisement_fields),
    BLOCKS(advertisement_blocks),
    .checksum = CHECKSUM_PSEUDO,
    .in = {{SPACE_IP, 58, 0}},
    .closed = true,
};

static const struct field router_solicitation_fields[] = {
    ICMPV6_HEAD("router_solicitation"),
    MAC("source_mac", 16, "source link-layer address option", .block = ND_ADDRESS),
};
const struct proto proto_router_solicitation = {
    .name = "router_solicitation",
    .title = "IPv6 router solicitation",
    .reference = "RFC 4861",
    .bytes = 8,
    FIELDS(router_solicitation_fields),
    BLOCKS(solicitation_blocks),
    .checksum = CHECKSUM_PSEUDO,
    .in = {{SPACE_IP, 58, 0}},
    .closed = true,
};

static const struct block router_advertisement_blocks[] = {
    [ND_ADDRESS] = {.bytes = 8, PREFIX("\x01\x01")},
    [ND_MTU] = {.bytes = 8, PREFIX("\x05\x01")},
    [ND_PREFIX] = {.bytes = 32, PREFIX("\x03\x04")},
};
static const struct field router_advertisement_fields[] = {
    ICMPV6_HEAD("router_advertisement"),
    NUMBER("hop_limit", 32, 8, "hop limit for hosts", .preset = "64"),
    FLAGS("flags", 40, 8, "flags", .names = NAMES({"other", 0x40}, {"managed", 0x80})),
    NUMBER("lifetime", 48, 16, "seconds as a default router", .preset = "1800"),
    NUMBER("reachable", 64, 32, "reachable time, in ms"),
    NUMBER("retransmit", 96, 32, "retransmission time, in ms"),
    MAC("source_mac", 16, "source link-layer address option", .block = ND_ADDRESS),
    NUMBER("mtu", 32, 32, "MTU option", .block = ND_MTU),
    NUMBER("prefix_length", 16, 8, "bits of the prefix", .block = ND_PREFIX, .preset = "64"),
    FLAGS("prefix_flags", 24, 8, "flags of the prefix", .block = ND_PREFIX, .preset = "on_link,autonomous",
          .names = NAMES({"autonomous", 0x40}, {"on_link", 0x80})),
    NUMBER("valid_lifetime", 32, 32, "seconds that the prefix is valid", .block = ND_PREFIX,
           .preset = "86400"),
    NUMBER("preferred_lifetime", 64, 32, "seconds that it is preferred", .block = ND_PREFIX,
           .preset = "14400"),
    IPV6("prefix", 128, "prefix option", .block = ND_PREFIX),
};
const struct proto proto_router_advertisement = {
    .name = "router_advertisement",
    .title = "IPv6 router advertisement",
    .reference = "RFC 4861",
    .bytes = 16,
    FIELDS(router_advertisement_fields),
    BLOCKS(router_advertisement_blocks),
    .checksum = CHECKSUM_PSEUDO,
    .in = {{SPACE_IP, 58, 0}},
    .closed = true,
};

static const struct value_name igmp_types[] = {{"query", 0x11}, {"report_v1", 0x12}, {"report", 0x16},
                                               {"leave", 0x17}, {"report_v3", 0x22}, {NULL, 0}};
#define IGMP_HEAD(type_)                                                  \
    NUMBER("type", 0, 8, "type", .preset = (type_), .names = igmp_types), \
        NUMBER("max_response", 8, 8, "longest time to respond, in 0.1 s (0 in version 1)"), CHECKSUM(16, 16)

static const struct field igmp_fields[] = {
    IGMP_HEAD("query"),
    IPV4("group", 32, "group address"),
};
const struct proto proto_igmp = {
    .name = "igmp",
    .title = "Group management, versions 1 and 2",
    .reference = "RFC 1112, RFC 2236",
    .bytes = 8,
    FIELDS(igmp_fields),
    .checksum = CHECKSUM_WHOLE,
    .in = {{SPACE_IP, 2, 0}},
    .closed = true,
};

enum { QUERY_SOURCES = 1 };
static const struct block source_blocks[] = {[QUERY_SOURCES] = {.bytes = 0}};
static const struct field igmpv3_query_fields[] = {
    IGMP_HEAD("query"),
    IPV4("group", 32, "group address"),
    NUMBER("suppress", 68, 1, "suppress router-side processing"),
    NUMBER("robustness", 69, 3, "querier's robustness", .preset = "2"),
    NUMBER("interval", 72, 8, "querier's query interval code", .preset = "125"),
    NUMBER("source_count", 80, 16, "number of sources", .automatic = AUTO_COUNT, .of = QUERY_SOURCES),
    IPV4("sources", 0, "source addresses", .block = QUERY_SOURCES, .repeats = true),
};
const struct proto proto_igmpv3_query = {
    .name = "igmpv3_query",
    .title = "Group management, version 3: query",
    .reference = "RFC 3376",
    .bytes = 12,
    FIELDS(igmpv3_query_fields),
    BLOCKS(source_blocks),
    .checksum = CHECKSUM_WHOLE,
    .in = {{SPACE_IP, 2, 0}},
    .closed = true,
};

static const struct field igmpv3_report_fields[] = {
    NUMBER("type", 0, 8, "type", .preset = "report_v3", .names = igmp_types),
    CHECKSUM(16, 16),
    NUMBER("record_count", 48, 16, "number of records", .automatic = AUTO_COUNT),
};
const struct proto proto_igmpv3_report = {
    .name = "igmpv3_report",
    .title = "Group management, version 3: report",
    .reference = "RFC 3376",
    .bytes = 8,
    FIELDS(igmpv3_report_fields),
    .checksum = CHECKSUM_WHOLE,
    .carries = SPACE_GROUP_RECORD,
    .in = {{SPACE_IP, 2, 0}},
    .closed = true,
};

#define RECORD_HEAD                                                                     \
    NUMBER("type", 0, 8, "record type", .preset = "is_exclude", .names = record_types), \
        NUMBER("auxiliary", 8, 8, "words of auxiliary data"),                           \
        NUMBER("source_count", 16, 16, "number of sources", .automatic = AUTO_COUNT, .of = QUERY_SOURCES)
static const struct value_name record_types[] = {{"is_include", 1}, {"is_exclude", 2}, {"to_include", 3},
                                                 {"to_exclude", 4}, {"allow", 5},      {"block", 6},
                                                 {NULL, 0}};
static const struct field igmp_record_fields[] = {
    RECORD_HEAD,
    IPV4("group", 32, "group address", .preset = "233.252.0.1"),
    IPV4("sources", 0, "source addresses", .block = QUERY_SOURCES, .repeats = true),
};
const struct proto proto_igmp_record = {
    .name = "igmp_record",
    .title = "Group record of an igmpv3_report",
    .reference = "RFC 3376",
    .bytes = 8,
    FIELDS(igmp_record_fields),
    BLOCKS(source_blocks),
    .carries = SPACE_GROUP_RECORD,
    .in = {{SPACE_GROUP_RECORD, 0, 0}},
    .closed = true,
};

static const struct field mld_fields[] = {
    ICMPV6_HEAD("listener_query"),
    NUMBER("max_response", 32, 16, "longest time to respond, in ms"),
    IPV6("group", 64, "group address"),
};
const struct proto proto_mld = {
    .name = "mld",
    .title = "Multicast listener discovery, version 1",
    .reference = "RFC 2710",
    .bytes = 24,
    FIELDS(mld_fields),
    .checksum = CHECKSUM_PSEUDO,
    .in = {{SPACE_IP, 58, 0}},
    .closed = true,
};

static const struct field mldv2_query_fields[] = {
    ICMPV6_HEAD("listener_query"),
    NUMBER("max_response", 32, 16, "longest time to respond, as a code"),
    IPV6("group", 64, "group address"),
    NUMBER("suppress", 196, 1, "suppress router-side processing"),
    NUMBER("robustness", 197, 3, "querier's robustness", .preset = "2"),
    NUMBER("interval", 200, 8, "querier's query interval code", .preset = "125"),
    NUMBER("source_count", 208, 16, "number of sources", .automatic = AUTO_COUNT, .of = QUERY_SOURCES),
    IPV6("sources", 0, "source addresses", .block = QUERY_SOURCES, .repeats = true),
};
const struct proto proto_mldv2_query = {
    .name = "mldv2_query",
    .title = "Multicast listener discovery, version 2: query",
    .reference = "RFC 3810",
    .bytes = 28,
    FIELDS(mldv2_query_fields),
    BLOCKS(source_blocks),
    .checksum = CHECKSUM_PSEUDO,
    .in = {{SPACE_IP, 58, 0}},
    .closed = true,
};

static const struct field mldv2_report_fields[] = {
    ICMPV6_HEAD("listener_report_v2"),
    NUMBER("record_count", 48, 16, "number of records", .automatic = AUTO_COUNT),
};
const struct proto proto_mldv2_report = {
    .name = "mldv2_report",
    .title = "Multicast listener discovery, version 2: report",
    .reference = "RFC 3810",
    .bytes = 8,
    FIELDS(mldv2_report_fields),
    .checksum = CHECKSUM_PSEUDO,
    .carries = SPACE_LISTENER_RECORD,
    .in = {{SPACE_IP, 58, 0}},
    .closed = true,
};

static const struct field mld_record_fields[] = {
    RECORD_HEAD,
    IPV6("group", 32, "group address", .preset = "ff3e::8000:1"),
    IPV6("sources", 0, "source addresses", .block = QUERY_SOURCES, .repeats = true),
};
const struct proto proto_mld_record = {
    .name = "mld_record",
    .title = "Address record of an mldv2_report",
    .reference = "RFC 3810",
    .bytes = 20,
    FIELDS(mld_record_fields),
    BLOCKS(source_blocks),
    .carries = SPACE_LISTENER_RECORD,
    .in = {{SPACE_LISTENER_RECORD, 0, 0}},
    .closed = true,
};
