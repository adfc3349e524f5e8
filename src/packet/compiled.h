/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inside of a struct packet, for compile.c (which makes it), packet.c (which sends it) and explain.c.
 *
 *   image    the bytes of the largest frame; a shorter variant is its beginning
 *   cells    16-bit words that differ among variants (lengths, checksums that do not vary): a row of values
 * each patches  up to 8 bytes that vary: constant bits and terms of varying values checks   checksums that
 * vary, innermost first: a base a variant, and the sums of what varies in their scope
 *
 *   row of a variant = values of all cells, then bases of all checks */
#ifndef PACKET_COMPILED_H
#define PACKET_COMPILED_H

#include "packet/packet.h"
#include "packet/proto.h"
#include "packet/value.h"

enum { PATCHES_MAX = 512, CHECKS_MAX = 64, SOURCES_MAX = 4 };

struct term { /* (value >> down & mask) << up */
    uint16_t entry;
    uint8_t down, up;
    uint64_t mask;
};

struct patch {
    uint16_t offset;
    uint8_t bytes;              /* 1 … 8 */
    uint8_t sum_shift;          /* 8 where the last byte is the high one of its pair */
    uint16_t first_term, terms; /* terms = 0: the word is the value of entry first_term, whole */
    uint64_t constant;
};

struct check {
    uint16_t offset;                /* of the checksum */
    uint16_t from, to;              /* CRC32c: its scope; to = 0: the frame's end */
    uint16_t first_source, sources; /* in packet->sources: patch p is p, check c is patch_count + c */
    uint16_t flip;                  /* "bad": xor with this */
    bool crc32c, odd, optional;
};

struct packet_layer { /* for explain */
    const struct proto *proto;
    uint16_t start, bytes;
    uint16_t block_start[PROTO_BLOCKS_MAX];
    uint64_t given; /* a bit a field */
};

struct packet {
    uint32_t references;   /* the plan's, and one a part that sends it; main thread */
    struct sizes *sizes;   /* owned */
    struct vary *vary;     /* owned; NULL when nothing varies */
    uint8_t *image;        /* owned */
    uint16_t *rows;        /* owned; variants × row_words */
    uint16_t *cells;       /* owned; offsets */
    struct patch *patches; /* owned */
    struct term *terms;    /* owned */
    struct check *checks;  /* owned */
    uint16_t *sources;     /* owned */
    uint32_t variants, largest, smallest;
    uint16_t row_words, cell_count, patch_count, check_count;
    uint16_t header_bytes;
    bool signature, open;
    uint8_t mac_count;
    uint16_t mac_offset[SOURCES_MAX]; /* where the interface's address goes */
    struct packet_segmentation segmentation;
    struct packet_layer *layers; /* owned */
    uint16_t layer_count;
    char *payload; /* owned; how it reads */
};

#endif
