/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writing and finding signatures.
 *
 * Fourteen bytes have room for 32 bits of redundancy beside stream, sequence and time. Half of it, the magic
 * word mixed with the nonce, says "of this run": a constant of the run, not of the world. The other half, the
 * check, is what makes the one's-complement sum of the seven words 0xffff. 0xffff is the other zero of
 * one's-complement arithmetic, so a signature counts for an Internet checksum as fourteen zero bytes do, at
 * odd offsets too (swapping the bytes of all words swaps those of the sum): template checksums are made over
 * zeros and stay right whatever is stamped. */
#include "packet/signature.h"

#include <stddef.h>

#include "base/bytes.h"

uint16_t signature_magic(uint32_t nonce)
{
    return (uint16_t)(SIGNATURE_MAGIC ^ nonce ^ nonce >> 16);
}

/* One's-complement sum of the first words at an address. */
static uint16_t sum_words(const uint8_t *at, size_t words)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < words; i++)
        sum += load_be16(at + 2 * i);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)(sum + (sum >> 16));
}

void signature_write(uint8_t at[SIGNATURE_BYTES], const struct signature_stamp *stamp)
{
    store_be16(at, signature_magic(stamp->nonce));
    store_be16(at + 2, stamp->stream);
    store_be32(at + 4, stamp->sequence);
    store_be32(at + 8, (uint32_t)(stamp->time_ns >> SIGNATURE_TIME_SHIFT));
    store_be16(at + 12, (uint16_t)~sum_words(at, 6));
}

bool signature_read(const uint8_t at[SIGNATURE_BYTES], uint32_t nonce, struct signature *out)
{
    if (load_be16(at) != signature_magic(nonce) || sum_words(at, 7) != SIGNATURE_SUM ||
        load_be16(at + 2) == 0)
        return false;
    *out = (struct signature){load_be16(at + 2), load_be32(at + 4), load_be32(at + 8), 0};
    return true;
}

enum { ETHERNET_BYTES = 14, TAG_BYTES = 4, LABEL_BYTES = 4, IPV4_LEAST = 20, IPV6_BYTES = 40 };

static bool is_tag(uint16_t type)
{
    return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

/* Offset of what a label stack carries; captured when it never ends. */
static uint32_t skip_labels(const uint8_t *frame, uint32_t captured, uint32_t at)
{
    while (at + LABEL_BYTES <= captured) {
        bool bottom = (frame[at + 2] & 1) != 0;
        at += LABEL_BYTES;
        if (bottom)
            return at;
    }
    return captured;
}

/* Where the IP datagram ends, from the frame's start; 0: there is none. */
static uint32_t datagram_end(const uint8_t *frame, uint32_t captured)
{
    uint32_t at = ETHERNET_BYTES;
    if (captured < at)
        return 0;
    uint16_t type = load_be16(frame + at - 2);
    while (is_tag(type) && at + TAG_BYTES <= captured) {
        at += TAG_BYTES;
        type = load_be16(frame + at - 2);
    }
    bool labelled = type == 0x8847 || type == 0x8848;
    if (labelled)
        at = skip_labels(frame, captured, at); /* what follows has no type: its version tells */
    if ((type == 0x0800 || labelled) && at + IPV4_LEAST <= captured && frame[at] >> 4 == 4)
        return at + load_be16(frame + at + 2);
    if ((type == 0x86dd || labelled) && at + IPV6_BYTES <= captured && frame[at] >> 4 == 6)
        return at + IPV6_BYTES + load_be16(frame + at + 4);
    return 0;
}

static bool read_before(const uint8_t *frame, uint32_t captured, uint32_t end, uint32_t nonce,
                        struct signature *out)
{
    if (end < ETHERNET_BYTES + SIGNATURE_BYTES || end > captured ||
        !signature_read(frame + end - SIGNATURE_BYTES, nonce, out))
        return false;
    out->end = end;
    return true;
}

bool signature_find(const uint8_t *frame, uint32_t captured, uint32_t length, uint32_t nonce,
                    struct signature *out)
{
    uint32_t end = datagram_end(frame, captured);
    return read_before(frame, captured, end, nonce, out) || read_before(frame, captured, length, nonce, out);
}

uint32_t signature_run(const uint8_t *frame, const struct signature *last, uint32_t segment_bytes,
                       uint32_t nonce)
{
    uint32_t count = 1, end = last->end;
    struct signature one;
    while (end >= segment_bytes && read_before(frame, last->end, end - segment_bytes, nonce, &one) &&
           one.stream == last->stream && one.sequence == last->sequence - count) {
        end -= segment_bytes;
        count++;
    }
    return count;
}
