/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of the protocol table: headers whose payload is another packet. */
#include "packet/proto_rows.h"

enum { GRE_CHECKSUM = 1, GRE_KEY, GRE_SEQUENCE };
static const struct block gre_blocks[] = {
    [GRE_CHECKSUM] = {.bytes = 4},
    [GRE_KEY] = {.bytes = 4},
    [GRE_SEQUENCE] = {.bytes = 4},
};
static const struct field gre_fields[] = {
    NUMBER("checksum_present", 0, 1, "a checksum is there", .automatic = AUTO_PRESENT, .of = GRE_CHECKSUM),
    NUMBER("key_present", 2, 1, "a key is there", .automatic = AUTO_PRESENT, .of = GRE_KEY),
    NUMBER("sequence_present", 3, 1, "a sequence number is there", .automatic = AUTO_PRESENT,
           .of = GRE_SEQUENCE),
    NUMBER("version", 13, 3, "version"),
    NUMBER("protocol", 16, 16, "type of what follows", .automatic = AUTO_NEXT, .preset = "0x88b5"),
    CHECKSUM(0, 16, .block = GRE_CHECKSUM),
    NUMBER("key", 0, 32, "key", .block = GRE_KEY),
    NUMBER("sequence", 0, 32, "sequence number", .block = GRE_SEQUENCE),
};
const struct proto proto_gre = {
    .name = "gre",
    .title = "Generic routing encapsulation; checksum = \"auto\" adds one",
    .reference = "RFC 2784, RFC 2890",
    .bytes = 4,
    FIELDS(gre_fields),
    BLOCKS(gre_blocks),
    .checksum = CHECKSUM_WHOLE,
    .carries = SPACE_ETHERTYPE,
    .in = {{SPACE_IP, 47, 0}, {SPACE_PORT, 4754, 0}},
};

static const struct field vxlan_fields[] = {
    NUMBER("flags", 0, 8, "flags; 8: the identifier is valid", .preset = "8"),
    NUMBER("vni", 32, 24, "network identifier", .preset = "1"),
};
const struct proto proto_vxlan = {
    .name = "vxlan",
    .title = "Virtual extensible LAN",
    .reference = "RFC 7348",
    .bytes = 8,
    FIELDS(vxlan_fields),
    .carries = SPACE_ETHERNET,
    .in = {{SPACE_PORT, 4789, 0}},
};

enum { GENEVE_OPTIONS = 1 };
static const struct block geneve_blocks[] = {[GENEVE_OPTIONS] = {.bytes = 0}};
static const struct field geneve_fields[] = {
    NUMBER("version", 0, 2, "version"),
    NUMBER("length", 2, 6, "words of options", .automatic = AUTO_HEADER, .unit = 4, .bias = 8),
    FLAGS("flags", 8, 2, "flags", .names = NAMES({"critical", 1}, {"control", 2})),
    NUMBER("protocol", 16, 16, "type of what follows", .automatic = AUTO_NEXT, .preset = "0x88b5"),
    NUMBER("vni", 32, 24, "network identifier", .preset = "1"),
    BYTES("options", 0, 0, "options as they are", .block = GENEVE_OPTIONS),
};
const struct proto proto_geneve = {
    .name = "geneve",
    .title = "Generic network virtualization",
    .reference = "RFC 8926",
    .bytes = 8,
    .align = 4,
    FIELDS(geneve_fields),
    BLOCKS(geneve_blocks),
    .carries = SPACE_ETHERTYPE,
    .in = {{SPACE_PORT, 6081, 0}},
};

enum { GTPU_SEQUENCE = 1 };
static const struct block gtpu_blocks[] = {[GTPU_SEQUENCE] = {.bytes = 4}};
static const struct field gtpu_fields[] = {
    NUMBER("version", 0, 3, "version", .preset = "1"),
    NUMBER("protocol_type", 3, 1, "1: GTP, 0: GTP'", .preset = "1"),
    NUMBER("extension_present", 5, 1, "an extension header follows"),
    NUMBER("sequence_present", 6, 1, "a sequence number is there", .automatic = AUTO_PRESENT,
           .of = GTPU_SEQUENCE),
    NUMBER("npdu_present", 7, 1, "an N-PDU number is there"),
    NUMBER("type", 8, 8, "message type", .preset = "gpdu", .names = NAMES({"echo", 1}, {"gpdu", 255})),
    NUMBER("length", 16, 16, "bytes after the first 8", .automatic = AUTO_LENGTH, .unit = 1, .bias = 8),
    NUMBER("teid", 32, 32, "tunnel endpoint identifier", .preset = "1"),
    NUMBER("sequence", 0, 16, "sequence number", .block = GTPU_SEQUENCE),
    NUMBER("npdu", 16, 8, "N-PDU number", .block = GTPU_SEQUENCE),
    NUMBER("extension", 24, 8, "type of the next extension header", .block = GTPU_SEQUENCE),
};
const struct proto proto_gtpu = {
    .name = "gtpu",
    .title = "GPRS tunnelling, user plane",
    .reference = "3GPP TS 29.281",
    .bytes = 8,
    FIELDS(gtpu_fields),
    BLOCKS(gtpu_blocks),
    .carries = SPACE_INNER_IP,
    .in = {{SPACE_PORT, 2152, 0}},
};

enum { L2TP_LENGTH = 1, L2TP_TUNNEL, L2TP_SEQUENCE };
static const struct block l2tp_blocks[] = {
    [L2TP_LENGTH] = {.bytes = 2},
    [L2TP_TUNNEL] = {.bytes = 4, .always = true},
    [L2TP_SEQUENCE] = {.bytes = 4},
};
static const struct field l2tp_fields[] = {
    NUMBER("control", 0, 1, "1: a control message"),
    NUMBER("length_present", 1, 1, "the length is there", .automatic = AUTO_PRESENT, .of = L2TP_LENGTH),
    NUMBER("sequence_present", 4, 1, "sequence numbers are there", .automatic = AUTO_PRESENT,
           .of = L2TP_SEQUENCE),
    NUMBER("priority", 7, 1, "priority"),
    NUMBER("version", 12, 4, "version", .preset = "2"),
    NUMBER("length", 0, 16, "bytes of the message; \"auto\" adds it", .automatic = AUTO_LENGTH, .unit = 1,
           .block = L2TP_LENGTH),
    NUMBER("tunnel", 0, 16, "tunnel identifier", .block = L2TP_TUNNEL, .preset = "1"),
    NUMBER("session", 16, 16, "session identifier", .block = L2TP_TUNNEL, .preset = "1"),
    NUMBER("ns", 0, 16, "number of this message", .block = L2TP_SEQUENCE),
    NUMBER("nr", 16, 16, "number of the next expected", .block = L2TP_SEQUENCE),
};
const struct proto proto_l2tp = {
    .name = "l2tp",
    .title = "Layer two tunnelling, version 2",
    .reference = "RFC 2661",
    .bytes = 2,
    FIELDS(l2tp_fields),
    BLOCKS(l2tp_blocks),
    .carries = SPACE_PPP,
    .in = {{SPACE_PORT, 1701, 0}},
};

enum { L2TPV3_COOKIE = 1 };
static const struct block l2tpv3_blocks[] = {[L2TPV3_COOKIE] = {.bytes = 0}};
static const struct field l2tpv3_fields[] = {
    NUMBER("session", 0, 32, "session identifier", .preset = "1"),
    BYTES("cookie", 0, 0, "cookie, 4 or 8 bytes", .block = L2TPV3_COOKIE),
};
const struct proto proto_l2tpv3 = {
    .name = "l2tpv3",
    .title = "Layer two tunnelling, version 3, over IP",
    .reference = "RFC 3931",
    .bytes = 4,
    FIELDS(l2tpv3_fields),
    BLOCKS(l2tpv3_blocks),
    .carries = SPACE_ETHERNET,
    .in = {{SPACE_IP, 115, 0}},
};
