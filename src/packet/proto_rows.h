/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the rows of the protocol table are written; only for proto_*.c. */
#ifndef PACKET_PROTO_ROWS_H
#define PACKET_PROTO_ROWS_H

#include "packet/proto.h"

/* name, bit offset in its block, bits, sentence for the manual, then what else there is to say */
#define ROW(kind_, name_, offset_, width_, doc_, ...)                                                        \
    {                                                                                                        \
        .name = (name_), .offset = (offset_), .width = (width_), .kind = (kind_), .doc = (doc_), __VA_ARGS__ \
    }
#define NUMBER(name, offset, width, doc, ...) ROW(FIELD_NUMBER, name, offset, width, doc, __VA_ARGS__)
#define FLAGS(name, offset, width, doc, ...)  ROW(FIELD_FLAGS, name, offset, width, doc, __VA_ARGS__)
#define MAC(name, offset, doc, ...)           ROW(FIELD_MAC, name, offset, 48, doc, __VA_ARGS__)
#define IPV4(name, offset, doc, ...)          ROW(FIELD_IPV4, name, offset, 32, doc, __VA_ARGS__)
#define IPV6(name, offset, doc, ...)          ROW(FIELD_IPV6, name, offset, 128, doc, __VA_ARGS__)
#define BYTES(name, offset, width, doc, ...)  ROW(FIELD_BYTES, name, offset, width, doc, __VA_ARGS__)
#define TEXT(name, offset, doc, ...)          ROW(FIELD_TEXT, name, offset, 0, doc, __VA_ARGS__)
#define MARK(name, doc, ...)                  ROW(FIELD_MARK, name, 0, 0, doc, __VA_ARGS__)
#define CHECKSUM(offset, width, ...) \
    ROW(FIELD_NUMBER, "checksum", offset, width, "checksum", .automatic = AUTO_CHECKSUM, __VA_ARGS__)

#define NAMES(...)   ((const struct value_name[]){__VA_ARGS__, {NULL, 0}})
#define PREFIX(text) .prefix = (text), .prefix_bytes = sizeof(text) - 1
#define FIELDS(rows) .fields = (rows), .field_count = sizeof(rows) / sizeof((rows)[0])
#define BLOCKS(rows) .blocks = (rows), .block_count = sizeof(rows) / sizeof((rows)[0])

extern const struct proto proto_ethernet, proto_llc, proto_snap, proto_vlan, proto_mpls, proto_pppoe,
    proto_ppp, proto_arp, proto_lldp, proto_stp, proto_rstp, proto_pause, proto_pfc, proto_ptp, proto_raw;
extern const struct proto proto_ipv4, proto_ipv6, proto_hop_by_hop, proto_routing, proto_fragment,
    proto_destination_options, proto_ah, proto_esp;
extern const struct proto proto_icmp, proto_icmpv6, proto_neighbor_solicitation, proto_neighbor_advertisement,
    proto_router_solicitation, proto_router_advertisement, proto_igmp, proto_igmpv3_query,
    proto_igmpv3_report, proto_igmp_record, proto_mld, proto_mldv2_query, proto_mldv2_report,
    proto_mld_record;
extern const struct proto proto_udp, proto_tcp, proto_sctp, proto_sctp_data, proto_sctp_chunk;
extern const struct proto proto_gre, proto_vxlan, proto_geneve, proto_gtpu, proto_l2tp, proto_l2tpv3;

#endif
