/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of the protocol table: what stands before the network layer, and what needs none. */
#include "config/schema.h"
#include "packet/proto_rows.h"

/* An Ethernet type for experiments (IEEE 802, local experimental 1): what a frame without known payload says.
 */
#define TYPE_EXPERIMENT "0x88b5"

static const struct value_name ethertypes[] = {{"ipv4", 0x0800}, {"arp", 0x0806},   {"teb", 0x6558},
                                               {"vlan", 0x8100}, {"ipv6", 0x86dd},  {"pause", 0x8808},
                                               {"mpls", 0x8847}, {"pppoe", 0x8864}, {"qinq", 0x88a8},
                                               {"lldp", 0x88cc}, {"ptp", 0x88f7},   {NULL, 0}};

static const struct field ethernet_fields[] = {
    MAC("dst", 0, "destination address; the one that goes with a multicast or control protocol inside",
        .automatic = AUTO_DESTINATION, .preset = "02:00:00:00:00:02"),
    MAC("src", 48, "source address; the interface's own", .automatic = AUTO_SOURCE,
        .preset = "02:00:00:00:00:01"),
    NUMBER("type", 96, 16, "type of what follows, or its length before llc", .automatic = AUTO_TYPE,
           .preset = TYPE_EXPERIMENT, .names = ethertypes),
};
const struct proto proto_ethernet = {
    .name = "ethernet",
    .title = "Ethernet II or IEEE 802.3",
    .reference = "IEEE 802.3",
    .bytes = 14,
    FIELDS(ethernet_fields),
    .carries = SPACE_ETHERTYPE,
    .in = {{SPACE_FRAME, 0, 0}, {SPACE_ETHERTYPE, 0x6558, 0}, {SPACE_ETHERNET, 0, 0}, {SPACE_MPLS, 0, 0}},
};

static const struct field llc_fields[] = {
    NUMBER("dsap", 0, 8, "destination service access point", .automatic = AUTO_NEXT),
    NUMBER("ssap", 8, 8, "source service access point", .automatic = AUTO_NEXT),
    NUMBER("control", 16, 8, "control field; 3: unnumbered information", .preset = "3"),
};
const struct proto proto_llc = {
    .name = "llc",
    .title = "Logical link control",
    .reference = "IEEE 802.2",
    .bytes = 3,
    FIELDS(llc_fields),
    .carries = SPACE_LLC,
    .in = {{SPACE_ETHERTYPE, NUMBER_IS_LENGTH, 0}},
};

static const struct field snap_fields[] = {
    NUMBER("oui", 0, 24, "organization; 0: type is an Ethernet type"),
    NUMBER("type", 24, 16, "type of what follows", .automatic = AUTO_NEXT, .preset = TYPE_EXPERIMENT,
           .names = ethertypes),
};
const struct proto proto_snap = {
    .name = "snap",
    .title = "Subnetwork access protocol",
    .reference = "IEEE 802, RFC 1042",
    .bytes = 5,
    FIELDS(snap_fields),
    .carries = SPACE_ETHERTYPE,
    .in = {{SPACE_LLC, 0xaa, 0}},
};

static const struct field vlan_fields[] = {
    NUMBER("tpid", -16, 16, "tag protocol identifier: 0x8100, or 0x88a8 outside of another tag",
           .alias = true),
    NUMBER("pcp", 0, 3, "priority code point"),
    NUMBER("dei", 3, 1, "drop eligible"),
    NUMBER("id", 4, 12, "VLAN identifier"),
    NUMBER("type", 16, 16, "type of what follows, or its length before llc", .automatic = AUTO_TYPE,
           .preset = TYPE_EXPERIMENT, .names = ethertypes),
};
const struct proto proto_vlan = {
    .name = "vlan",
    .title = "VLAN tag (802.1Q; the outer one of two: 802.1ad)",
    .reference = "IEEE 802.1Q",
    .bytes = 4,
    FIELDS(vlan_fields),
    .carries = SPACE_ETHERTYPE,
    .in = {{SPACE_ETHERTYPE, 0x8100, 0x88a8}},
};

static const struct field mpls_fields[] = {
    NUMBER("label", 0, 20, "label", .preset = "16"),
    NUMBER("tc", 20, 3, "traffic class"),
    NUMBER("s", 23, 1, "bottom of stack", .automatic = AUTO_LAST),
    NUMBER("ttl", 24, 8, "time to live", .preset = "64"),
};
const struct proto proto_mpls = {
    .name = "mpls",
    .title = "MPLS label",
    .reference = "RFC 3032",
    .bytes = 4,
    FIELDS(mpls_fields),
    .carries = SPACE_MPLS,
    .in = {{SPACE_ETHERTYPE, 0x8847, 0},
           {SPACE_MPLS, 0, 0},
           {SPACE_PPP, 0x0281, 0},
           {SPACE_IP, 137, 0},
           {SPACE_PORT, 6635, 0}},
};

static const struct field pppoe_fields[] = {
    NUMBER("version", 0, 4, "version", .preset = "1"),
    NUMBER("type", 4, 4, "type", .preset = "1"),
    NUMBER("code", 8, 8, "0: session data"),
    NUMBER("session", 16, 16, "session identifier", .preset = "1"),
    NUMBER("length", 32, 16, "bytes that follow", .automatic = AUTO_LENGTH, .unit = 1, .bias = 6),
};
const struct proto proto_pppoe = {
    .name = "pppoe",
    .title = "PPP over Ethernet, session",
    .reference = "RFC 2516",
    .bytes = 6,
    FIELDS(pppoe_fields),
    .carries = SPACE_PPP,
    .in = {{SPACE_ETHERTYPE, 0x8864, 0}},
};

static const struct field ppp_fields[] = {
    NUMBER("protocol", 0, 16, "protocol that follows", .automatic = AUTO_NEXT, .preset = "0x4001",
           .names = NAMES({"ipv4", 0x0021}, {"ipv6", 0x0057}, {"lcp", 0xc021})),
};
const struct proto proto_ppp = {
    .name = "ppp",
    .title = "Point-to-point protocol",
    .reference = "RFC 1661",
    .bytes = 2,
    FIELDS(ppp_fields),
    .carries = SPACE_PPP,
    .in = {{SPACE_PPP, 0, 0}, {SPACE_ETHERTYPE, 0x880b, 0}},
};

static const struct field arp_fields[] = {
    NUMBER("hardware", 0, 16, "hardware type; 1: Ethernet", .preset = "1"),
    NUMBER("protocol", 16, 16, "protocol type", .preset = "0x0800", .names = ethertypes),
    NUMBER("hardware_length", 32, 8, "bytes of a hardware address", .preset = "6"),
    NUMBER("protocol_length", 40, 8, "bytes of a protocol address", .preset = "4"),
    NUMBER("op", 48, 16, "operation", .preset = "request", .names = NAMES({"request", 1}, {"reply", 2})),
    MAC("sender_mac", 64, "hardware address of the sender; the interface's own", .automatic = AUTO_SOURCE,
        .preset = "02:00:00:00:00:01"),
    IPV4("sender_ip", 112, "protocol address of the sender", .preset = "198.18.0.1"),
    MAC("target_mac", 144, "hardware address of the target"),
    IPV4("target_ip", 192, "protocol address of the target", .preset = "198.19.0.1"),
};
const struct proto proto_arp = {
    .name = "arp",
    .title = "Address resolution protocol",
    .reference = "RFC 826",
    .bytes = 28,
    FIELDS(arp_fields),
    .in = {{SPACE_ETHERTYPE, 0x0806, 0}},
    .closed = true,
};

/* Each TLV is 7 bits of type and 9 bits of length. */
#define TLV(head) PREFIX(head), .length_offset = 7, .length_width = 9, .length_bias = 2
enum {
    LLDP_PORT = 1,
    LLDP_TTL,
    LLDP_PORT_DESCRIPTION,
    LLDP_SYSTEM_NAME,
    LLDP_SYSTEM_DESCRIPTION,
    LLDP_CAPABILITIES,
    LLDP_TLVS,
    LLDP_END
};
static const struct block lldp_blocks[] = {
    [LLDP_PORT] = {TLV("\x04\x00\x07"), .always = true}, /* subtype 7: locally assigned */
    [LLDP_TTL] = {.bytes = 4, TLV("\x06\x00"), .always = true},
    [LLDP_PORT_DESCRIPTION] = {TLV("\x08\x00")},
    [LLDP_SYSTEM_NAME] = {TLV("\x0a\x00")},
    [LLDP_SYSTEM_DESCRIPTION] = {TLV("\x0c\x00")},
    [LLDP_CAPABILITIES] = {.bytes = 6, TLV("\x0e\x00")},
    [LLDP_TLVS] = {.bytes = 0},
    [LLDP_END] = {.bytes = 2, .always = true},
};
static const struct field lldp_fields[] = {
    NUMBER("chassis_tlv", 0, 16, "type and length of the chassis identifier", .preset = "0x0207"),
    NUMBER("chassis_subtype", 16, 8, "kind of chassis identifier; 4: MAC", .preset = "4"),
    MAC("chassis_id", 24, "chassis identifier; the interface's MAC", .automatic = AUTO_SOURCE,
        .preset = "02:00:00:00:00:01"),
    TEXT("port_id", 24, "port identifier, locally assigned", .block = LLDP_PORT, .preset = "volleyd"),
    NUMBER("ttl", 16, 16, "seconds that this holds", .block = LLDP_TTL, .preset = "120"),
    TEXT("port_description", 16, "port description", .block = LLDP_PORT_DESCRIPTION),
    TEXT("system_name", 16, "system name", .block = LLDP_SYSTEM_NAME),
    TEXT("system_description", 16, "system description", .block = LLDP_SYSTEM_DESCRIPTION),
    NUMBER("capabilities", 16, 16, "system capabilities", .block = LLDP_CAPABILITIES),
    NUMBER("enabled_capabilities", 32, 16, "enabled capabilities", .block = LLDP_CAPABILITIES),
    BYTES("tlvs", 0, 0, "further TLVs as they are", .block = LLDP_TLVS),
};
const struct proto proto_lldp = {
    .name = "lldp",
    .title = "Link layer discovery",
    .reference = "IEEE 802.1AB",
    .bytes = 9,
    FIELDS(lldp_fields),
    BLOCKS(lldp_blocks),
    .in = {{SPACE_ETHERTYPE, 0x88cc, 0}},
    .closed = true,
    .destination = "01:80:c2:00:00:0e",
};

#define BPDU_FIELDS(version_, type_)                                                                       \
    NUMBER("protocol", 0, 16, "protocol identifier"),                                                      \
        NUMBER("version", 16, 8, "protocol version", .preset = (version_)),                                \
        NUMBER("type", 24, 8, "kind of BPDU", .preset = (type_)), NUMBER("flags", 32, 8, "flags"),         \
        NUMBER("root_priority", 40, 16, "priority and system identifier of the root", .preset = "0x8000"), \
        MAC("root_mac", 56, "MAC of the root", .preset = "02:00:00:00:00:01"),                             \
        NUMBER("root_cost", 104, 32, "cost of the path to the root"),                                      \
        NUMBER("bridge_priority", 136, 16, "priority of this bridge", .preset = "0x8000"),                 \
        MAC("bridge_mac", 152, "MAC of this bridge", .preset = "02:00:00:00:00:01"),                       \
        NUMBER("port", 200, 16, "port identifier", .preset = "0x8001"),                                    \
        NUMBER("message_age", 216, 16, "age, in 1/256 s"),                                                 \
        NUMBER("max_age", 232, 16, "longest age, in 1/256 s", .preset = "0x1400"),                         \
        NUMBER("hello", 248, 16, "hello time, in 1/256 s", .preset = "0x0200"),                            \
        NUMBER("delay", 264, 16, "forward delay, in 1/256 s", .preset = "0x0f00")
static const struct field stp_fields[] = {BPDU_FIELDS("0", "0")};
const struct proto proto_stp = {
    .name = "stp",
    .title = "Spanning tree BPDU",
    .reference = "IEEE 802.1D",
    .bytes = 35,
    FIELDS(stp_fields),
    .in = {{SPACE_LLC, 0x42, 0}},
    .closed = true,
    .special = SPECIAL_BPDU,
    .destination = "01:80:c2:00:00:00",
};

static const struct field rstp_fields[] = {
    BPDU_FIELDS("2", "2"),
    NUMBER("version1_length", 280, 8, "length of version 1 information"),
};
const struct proto proto_rstp = {
    .name = "rstp",
    .title = "Rapid spanning tree BPDU",
    .reference = "IEEE 802.1w",
    .bytes = 36,
    FIELDS(rstp_fields),
    .in = {{SPACE_LLC, 0x42, 0}},
    .closed = true,
    .special = SPECIAL_BPDU,
    .destination = "01:80:c2:00:00:00",
};

static const struct field pause_fields[] = {
    NUMBER("opcode", 0, 16, "MAC control opcode", .preset = "1"),
    NUMBER("quanta", 16, 16, "pause time in units of 512 bit times", .preset = "0xffff"),
};
const struct proto proto_pause = {
    .name = "pause",
    .title = "PAUSE",
    .reference = "IEEE 802.3 annex 31B",
    .bytes = 4,
    FIELDS(pause_fields),
    .in = {{SPACE_ETHERTYPE, 0x8808, 0}},
    .closed = true,
    .special = SPECIAL_PAUSE,
    .destination = "01:80:c2:00:00:01",
};

static const struct field pfc_fields[] = {
    NUMBER("opcode", 0, 16, "MAC control opcode", .preset = "0x0101"),
    NUMBER("classes", 16, 16, "bit n: the time of class n holds"),
    NUMBER("time0", 32, 16, "pause time of class 0"),
    NUMBER("time1", 48, 16, "pause time of class 1"),
    NUMBER("time2", 64, 16, "pause time of class 2"),
    NUMBER("time3", 80, 16, "pause time of class 3"),
    NUMBER("time4", 96, 16, "pause time of class 4"),
    NUMBER("time5", 112, 16, "pause time of class 5"),
    NUMBER("time6", 128, 16, "pause time of class 6"),
    NUMBER("time7", 144, 16, "pause time of class 7"),
};
const struct proto proto_pfc = {
    .name = "pfc",
    .title = "Priority-based flow control",
    .reference = "IEEE 802.1Qbb",
    .bytes = 20,
    FIELDS(pfc_fields),
    .in = {{SPACE_ETHERTYPE, 0x8808, 0}},
    .closed = true,
    .special = SPECIAL_PAUSE,
    .destination = "01:80:c2:00:00:01",
};

static const struct field ptp_fields[] = {
    NUMBER("transport", 0, 4, "transport specific"),
    NUMBER("type", 4, 4, "message type", .names = NAMES({"sync", 0}, {"delay_req", 1}, {"follow_up", 8})),
    NUMBER("version", 8, 8, "minor version and version", .preset = "2"),
    NUMBER("length", 16, 16, "bytes of the message", .automatic = AUTO_LENGTH, .unit = 1),
    NUMBER("domain", 32, 8, "domain"),
    NUMBER("flags", 48, 16, "flags"),
    NUMBER("correction", 64, 64, "correction, in 2^-16 ns"),
    BYTES("clock", 160, 64, "clock identity of the source", .preset = "020000fffe000001"),
    NUMBER("port", 224, 16, "port number of the source", .preset = "1"),
    NUMBER("sequence", 240, 16, "sequence number"),
    NUMBER("control", 256, 8, "control field"),
    NUMBER("interval", 264, 8, "logarithm of the message interval, two's complement"),
    NUMBER("seconds", 272, 48, "origin timestamp: seconds"),
    NUMBER("nanoseconds", 320, 32, "origin timestamp: nanoseconds"),
};
const struct proto proto_ptp = {
    .name = "ptp",
    .title = "Precision time protocol: Sync, Delay_Req, Follow_Up",
    .reference = "IEEE 1588",
    .bytes = 44,
    FIELDS(ptp_fields),
    .in = {{SPACE_ETHERTYPE, 0x88f7, 0}, {SPACE_PORT, 319, 0}},
    .closed = true,
    .destination = "01:1b:19:00:00:00",
};

enum { RAW_BYTES = 1, RAW_TEXT };
static const struct block raw_blocks[] = {[RAW_BYTES] = {.bytes = 0}, [RAW_TEXT] = {.bytes = 0}};
static const struct field raw_fields[] = {
    BYTES("bytes", 0, 0, "bytes as they are, in hex", .block = RAW_BYTES),
    TEXT("text", 0, "text as it is", .block = RAW_TEXT),
};
const struct proto proto_raw = {
    .name = "raw",
    .title = "Bytes as they are; may follow anything, and anything may follow",
    .reference = "-",
    FIELDS(raw_fields),
    BLOCKS(raw_blocks),
    .shorthand = "bytes",
};
