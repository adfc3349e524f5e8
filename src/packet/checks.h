/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a sum to the checksum that is sent; the same for compiling and sending. Pure; any thread. */
#ifndef PACKET_CHECKS_H
#define PACKET_CHECKS_H

#include "base/bytes.h"
#include "packet/checksum.h"
#include "packet/compiled.h"

/* sum: of the scope with zeros for the checksum, in the frame's pairs of bytes. */
static inline uint16_t check_finish(const struct check *check, uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    uint16_t value = (uint16_t) ~(sum + (sum >> 16));
    if (check->odd)
        value = checksum_swap(value);
    if (check->optional && value == 0) /* RFC 768: zero would say that there is none */
        value = 0xffff;
    if (check->flip != 0) {
        value ^= check->flip;
        value = value != 0 ? value : 0x2aaa;
    }
    return value;
}

/* Computes and writes a CRC32c over the frame of so many bytes. */
static inline void check_store_crc(const struct check *check, uint8_t *frame, uint32_t frame_bytes)
{
    size_t end = check->to != 0 ? check->to : frame_bytes;
    store_be32(frame + check->offset, 0);
    uint32_t crc = checksum_crc32c(frame + check->from, end - check->from);
    store_be32(frame + check->offset, __builtin_bswap32(crc) ^ check->flip * 0x00010001u);
}

#endif
