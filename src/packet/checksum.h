/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One's complement sums (RFC 1071) and CRC32c. Pure; any thread.
 *
 * Sums are taken in the frame's own pairs of bytes: the byte at an even offset is the high one. So the sums
 * of neighbouring ranges add up whatever their lengths; a header that starts at an odd offset swaps the two
 * bytes of the total. */
#ifndef PACKET_CHECKSUM_H
#define PACKET_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

static inline uint16_t checksum_fold(uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* The four 16-bit words of one big word, added up. */
static inline uint32_t checksum_of_word(uint64_t word)
{
    uint64_t pairs = (word & 0x0000ffff0000ffff) + (word >> 16 & 0x0000ffff0000ffff);
    return (uint32_t)(pairs + (pairs >> 32));
}

static inline uint16_t checksum_swap(uint16_t sum)
{
    return (uint16_t)(sum << 8 | sum >> 8);
}

/* The folded sum of frame[from … to). */
uint16_t checksum_sum(const uint8_t *frame, size_t from, size_t to);

/* CRC32c (RFC 3385) as a number; SCTP sends its lowest byte first. */
uint32_t checksum_crc32c(const uint8_t *bytes, size_t count);
/* The same where the processor has no instruction for it; tests reach it anywhere. */
uint32_t checksum_crc32c_plain(const uint8_t *bytes, size_t count);

#endif
