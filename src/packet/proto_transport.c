/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of the protocol table: the transport layer. */
#include "packet/proto_rows.h"

#define PORT_DISCARD "9" /* RFC 863: nobody answers */

static const struct field udp_fields[] = {
    NUMBER("src", 0, 16, "source port", .preset = "49152"),
    NUMBER("dst", 16, 16, "destination port; the well-known one of what follows", .automatic = AUTO_NEXT,
           .preset = PORT_DISCARD),
    NUMBER("length", 32, 16, "bytes of the datagram", .automatic = AUTO_LENGTH, .unit = 1),
    CHECKSUM(48, 16, .optional = true),
};
const struct proto proto_udp = {
    .name = "udp",
    .title = "User datagram protocol",
    .reference = "RFC 768",
    .bytes = 8,
    FIELDS(udp_fields),
    .checksum = CHECKSUM_PSEUDO,
    .carries = SPACE_PORT,
    .in = {{SPACE_IP, 17, 0}},
};

enum { TCP_MSS = 1, TCP_WSCALE, TCP_SACK_PERMITTED, TCP_TIMESTAMP, TCP_SACK, TCP_OPTIONS };
static const struct block tcp_blocks[] = {
    [TCP_MSS] = {.bytes = 4, PREFIX("\x02\x04")},
    [TCP_WSCALE] = {.bytes = 4, PREFIX("\x01\x03\x03")},
    [TCP_SACK_PERMITTED] = {.bytes = 4, PREFIX("\x01\x01\x04\x02")},
    [TCP_TIMESTAMP] = {.bytes = 12, PREFIX("\x01\x01\x08\x0a")},
    [TCP_SACK] = {.bytes = 12, PREFIX("\x01\x01\x05\x0a")},
    [TCP_OPTIONS] = {.bytes = 0},
};
static const struct field tcp_fields[] = {
    NUMBER("src", 0, 16, "source port", .preset = "49152"),
    NUMBER("dst", 16, 16, "destination port", .preset = PORT_DISCARD),
    NUMBER("seq", 32, 32, "sequence number"),
    NUMBER("ack", 64, 32, "acknowledgement number"),
    NUMBER("data_offset", 96, 4, "words of the header", .automatic = AUTO_HEADER, .unit = 4),
    NUMBER("reserved", 100, 3, "reserved"),
    FLAGS("flags", 103, 9, "control bits", .preset = "ack",
          .names = NAMES({"fin", 1}, {"syn", 2}, {"rst", 4}, {"psh", 8}, {"ack", 16}, {"urg", 32},
                         {"ece", 64}, {"cwr", 128}, {"ns", 256})),
    NUMBER("window", 112, 16, "window", .preset = "65535"),
    CHECKSUM(128, 16),
    NUMBER("urgent", 144, 16, "urgent pointer"),
    NUMBER("mss", 16, 16, "maximum segment size option", .block = TCP_MSS),
    NUMBER("wscale", 24, 8, "window scale option", .block = TCP_WSCALE),
    MARK("sack_permitted", "selective acknowledgement permitted option", .block = TCP_SACK_PERMITTED),
    NUMBER("timestamp", 32, 32, "timestamp option: value", .block = TCP_TIMESTAMP),
    NUMBER("timestamp_echo", 64, 32, "timestamp option: echo reply", .block = TCP_TIMESTAMP),
    NUMBER("sack_left", 32, 32, "selective acknowledgement option: left edge", .block = TCP_SACK),
    NUMBER("sack_right", 64, 32, "selective acknowledgement option: right edge", .block = TCP_SACK),
    BYTES("options", 0, 0, "further options as they are, at most 40 bytes in all", .block = TCP_OPTIONS),
};
const struct proto proto_tcp = {
    .name = "tcp",
    .title = "Transmission control protocol",
    .reference = "RFC 9293",
    .bytes = 20,
    .align = 4,
    FIELDS(tcp_fields),
    BLOCKS(tcp_blocks),
    .checksum = CHECKSUM_PSEUDO,
    .in = {{SPACE_IP, 6, 0}},
};

static const struct field sctp_fields[] = {
    NUMBER("src", 0, 16, "source port", .preset = "49152"),
    NUMBER("dst", 16, 16, "destination port", .preset = PORT_DISCARD),
    NUMBER("tag", 32, 32, "verification tag"),
    CHECKSUM(64, 32),
};
const struct proto proto_sctp = {
    .name = "sctp",
    .title = "Stream control transmission protocol",
    .reference = "RFC 9260",
    .bytes = 12,
    FIELDS(sctp_fields),
    .checksum = CHECKSUM_CRC32C,
    .carries = SPACE_CHUNK,
    .in = {{SPACE_IP, 132, 0}, {SPACE_PORT, 9899, 0}},
};

#define CHUNK_HEAD(flags_)                              \
    NUMBER("flags", 8, 8, "flags", .preset = (flags_)), \
        NUMBER("length", 16, 16, "bytes of the chunk", .automatic = AUTO_LENGTH, .unit = 1)
static const struct field sctp_data_fields[] = {
    NUMBER("type", 0, 8, "chunk type"),
    CHUNK_HEAD("3"),
    NUMBER("tsn", 32, 32, "transmission sequence number"),
    NUMBER("stream", 64, 16, "stream identifier"),
    NUMBER("seq", 80, 16, "stream sequence number"),
    NUMBER("ppid", 96, 32, "payload protocol identifier"),
};
const struct proto proto_sctp_data = {
    .name = "sctp_data",
    .title = "DATA chunk of sctp",
    .reference = "RFC 9260",
    .bytes = 16,
    FIELDS(sctp_data_fields),
    .carries = SPACE_CHUNK,
    .in = {{SPACE_CHUNK, 0, 0}},
    .sibling = true,
};

static const struct field sctp_chunk_fields[] = {
    NUMBER("type", 0, 8, "chunk type", .preset = "heartbeat",
           .names = NAMES({"init", 1}, {"init_ack", 2}, {"sack", 3}, {"heartbeat", 4}, {"heartbeat_ack", 5},
                          {"abort", 6}, {"shutdown", 7}, {"error", 9}, {"cookie_echo", 10})),
    CHUNK_HEAD("0"),
};
const struct proto proto_sctp_chunk = {
    .name = "sctp_chunk",
    .title = "Any other chunk of sctp; what it says follows as raw",
    .reference = "RFC 9260",
    .bytes = 4,
    FIELDS(sctp_chunk_fields),
    .carries = SPACE_CHUNK,
    .in = {{SPACE_CHUNK, 0, 0}},
    .sibling = true,
};
