/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The protocol table: every header that a template can name, as data. Parsing, defaults, automatic values,
 * messages, explain, the manual and completion all come from these rows; a new protocol is one row in one of
 * the proto_*.c files. Constant; any thread.
 *
 *   header = block 0 (always, `bytes` long) + the blocks that are present, in order + zeros up to `align`
 *
 * A block beyond 0 is present when one of its fields is given (or `always`): an option, an optional word, a
 * list. A block of 0 bytes is as long as its one field of variable length. */
#ifndef PACKET_PROTO_H
#define PACKET_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PROTO_BLOCKS_MAX = 16, PROTO_FIELDS_MAX = 64 };

enum field_kind {
    FIELD_NUMBER, /* 1 … 64 bits; may have names */
    FIELD_FLAGS,  /* a set of named bits, "syn,ack" */
    FIELD_MAC,
    FIELD_IPV4,
    FIELD_IPV6,
    FIELD_BYTES, /* hex; width 0: any number of bytes */
    FIELD_TEXT,  /* as it stands; any number of bytes */
    FIELD_MARK   /* true: the block is there; it has no bits of its own */
};

/* What a field becomes when nobody set it. */
enum automatic {
    AUTO_NONE,        /* its preset, else zero */
    AUTO_NEXT,        /* the number of what follows, in the space that the protocol carries */
    AUTO_TYPE,        /* the same, or the length of what follows where that is LLC (IEEE 802.3) */
    AUTO_LENGTH,      /* (bytes from the header's start to the end of its payload - bias) / unit */
    AUTO_HEADER,      /* (bytes of the header - bias) / unit */
    AUTO_CHECKSUM,    /* by the protocol's checksum rule */
    AUTO_LAST,        /* 1 when what follows is another protocol: MPLS' bottom of stack */
    AUTO_COUNT,       /* members of block `of` - bias; of = 0: records that follow as headers */
    AUTO_PRESENT,     /* 1 when block `of` is present */
    AUTO_SOURCE,      /* the interface's MAC, known when armed */
    AUTO_DESTINATION, /* the MAC that goes with what follows */
    AUTO_COUNT_RULES
};

/* Where a protocol number means something. A header carries one space; what follows has a number in it. */
enum space {
    SPACE_NONE,
    SPACE_FRAME, /* the start of a frame */
    SPACE_ETHERTYPE,
    SPACE_LLC,
    SPACE_PPP,
    SPACE_MPLS, /* nothing says what follows */
    SPACE_IP,
    SPACE_PORT,     /* well-known UDP ports */
    SPACE_ETHERNET, /* an Ethernet frame and nothing else */
    SPACE_INNER_IP, /* an IP packet, told by its first four bits */
    SPACE_CHUNK,
    SPACE_GROUP_RECORD,
    SPACE_LISTENER_RECORD
};

enum checksum {
    CHECKSUM_NONE,
    CHECKSUM_HEADER, /* one's complement over the header */
    CHECKSUM_WHOLE,  /* over header and payload */
    CHECKSUM_PSEUDO, /* with the pseudo header of the IP header before it */
    CHECKSUM_CRC32C
};

struct value_name {
    const char *name; /* NULL ends the list */
    uint64_t value;
};

struct field {
    const char *name;
    int16_t offset; /* bits from the block's start; negative: in the type field of the header before */
    uint16_t width; /* bits */
    uint8_t kind, automatic;
    uint8_t block, of;
    uint8_t unit, bias;
    bool repeats;  /* any number of them, one after the other */
    bool alias;    /* another name for bits that another field holds */
    bool optional; /* AUTO_CHECKSUM: 0 means none, and a result of 0 is sent as all ones */
    const char *preset;
    const struct value_name *names;
    const char *doc;
};

struct block {
    uint16_t bytes;       /* 0: prefix and the field's own length */
    uint8_t prefix_bytes; /* constant bytes it begins with */
    const char *prefix;
    bool always;
    uint8_t length_offset, length_width, length_bias; /* bits; where the block says its own bytes - bias */
};

struct carried {
    enum space space;
    uint32_t number;
    uint32_t stacked; /* instead, when the same protocol follows; 0: the same */
};

struct proto {
    const char *name, *title, *reference;
    uint16_t bytes;
    uint8_t align;
    uint8_t field_count, block_count;
    const struct field *fields;
    const struct block *blocks;
    enum space carries;
    struct carried in[5];
    enum checksum checksum;
    bool closed;             /* carries no payload: what follows is padding that no length counts */
    bool sibling;            /* its payload ends where the next header of its space begins */
    unsigned special;        /* SPECIAL_… kind it belongs to (config/schema.h) */
    const char *destination; /* the MAC it is sent to */
    const char *shorthand;   /* field that text instead of a group sets */
};

/* A number for `in` that says: IEEE 802.3, the type field holds a length. */
enum { NUMBER_IS_LENGTH = 0xffffffff };

extern const struct proto *const protos[]; /* NULL-terminated, in the order of the manual */

const struct proto *proto_find(const char *name);                              /* NULL when unknown */
int proto_field(const struct proto *proto, const char *name);                  /* index, or -1 */
const struct carried *proto_carried(const struct proto *proto, enum space in); /* NULL: not there */
const char *proto_nearest(const char *wrong);                                  /* NULL: none is near */
const char *proto_nearest_field(const struct proto *proto, const char *wrong);

#endif
