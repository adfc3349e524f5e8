/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sums over what they cover, with the sum in its place, come to 0xffff (RFC 1071). */
#include "run/intact.h"

#include "base/bytes.h"
#include "packet/checksum.h"

enum {
    TYPE_AT = 12,
    TAG_BYTES = 4,
    IPV4_LEAST = 20,
    IPV6_BYTES = 40,
    UDP_SUM_AT = 6,
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17
};

struct datagram {
    uint32_t from, end; /* of what follows the IP header */
    uint32_t addresses, addresses_end;
    uint8_t protocol;
};

static bool is_tag(uint16_t type)
{
    return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

static bool has_sum(const uint8_t *frame, const struct datagram *datagram)
{
    uint32_t bytes = datagram->end - datagram->from;
    if (datagram->protocol == PROTOCOL_TCP)
        return bytes >= 20;
    return datagram->protocol == PROTOCOL_UDP && bytes >= 8 &&
           load_be16(frame + datagram->from + UDP_SUM_AT) != 0;
}

/* Sums are taken in the frame's pairs of bytes; a header at an odd place swaps all of them alike, and 0xffff
 * is its own swap, but the pseudo header's numbers must be swapped too. */
static bool sum_is_right(const uint8_t *frame, const struct datagram *datagram)
{
    uint32_t bytes = datagram->end - datagram->from;
    uint16_t pseudo = checksum_fold((uint64_t)datagram->protocol + bytes);
    uint64_t sum = datagram->from % 2 != 0 ? checksum_swap(pseudo) : pseudo;
    if (!has_sum(frame, datagram))
        return true;
    sum += checksum_sum(frame, datagram->addresses, datagram->addresses_end);
    sum += checksum_sum(frame, datagram->from, datagram->end);
    return checksum_fold(sum) == 0xffff;
}

static bool ipv4_is_intact(const uint8_t *frame, uint32_t at, uint32_t bytes)
{
    uint32_t header = (frame[at] & 15) * 4u, total = load_be16(frame + at + 2);
    if (header < IPV4_LEAST || total < header || at + total > bytes ||
        checksum_sum(frame, at, at + header) != 0xffff)
        return false;
    bool fragment = (load_be16(frame + at + 6) & 0x3fff) != 0;
    struct datagram datagram = {at + header, at + total, at + 12, at + 20, frame[at + 9]};
    return fragment || sum_is_right(frame, &datagram);
}

static bool ipv6_is_intact(const uint8_t *frame, uint32_t at, uint32_t bytes)
{
    uint32_t payload = load_be16(frame + at + 4);
    if (at + IPV6_BYTES + payload > bytes)
        return false;
    struct datagram datagram = {at + IPV6_BYTES, at + IPV6_BYTES + payload, at + 8, at + 40, frame[at + 6]};
    return sum_is_right(frame, &datagram);
}

bool frame_is_intact(const uint8_t *frame, uint32_t bytes)
{
    uint32_t at = TYPE_AT;
    while (at + 2 + TAG_BYTES <= bytes && is_tag(load_be16(frame + at)))
        at += TAG_BYTES;
    if (at + 2 > bytes)
        return true;
    uint16_t type = load_be16(frame + at);
    at += 2;
    if (type == 0x0800 && at + IPV4_LEAST <= bytes && frame[at] >> 4 == 4)
        return ipv4_is_intact(frame, at, bytes);
    if (type == 0x86dd && at + IPV6_BYTES <= bytes && frame[at] >> 4 == 6)
        return ipv6_is_intact(frame, at, bytes);
    return true;
}
