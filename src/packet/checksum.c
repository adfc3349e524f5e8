/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One's complement sums eight bytes at a time; CRC32c with the processor's instruction where it has one. */
#include "packet/checksum.h"

#include "base/bytes.h"

/* Adding in the machine's byte order and swapping once at the end gives the same (RFC 1071 §2 (B)). */
static uint16_t sum_even(const uint8_t *at, size_t bytes)
{
    uint64_t sum = 0;
    for (; bytes >= 4; at += 4, bytes -= 4) {
        uint32_t word;
        memcpy(&word, at, sizeof word);
        sum += word;
    }
    uint8_t rest[4] = {0};
    uint32_t last;
    memcpy(rest, at, bytes);
    memcpy(&last, rest, sizeof last);
    return be16toh(checksum_fold(sum + last));
}

uint16_t checksum_sum(const uint8_t *frame, size_t from, size_t to)
{
    uint32_t odd = 0;
    if (from < to && from % 2 != 0)
        odd = frame[from++];
    return from < to ? checksum_fold((uint64_t)sum_even(frame + from, to - from) + odd) : (uint16_t)odd;
}

/* Castagnoli's polynomial, reflected, by half bytes. */
static const uint32_t crc32c_nibbles[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};

uint32_t checksum_crc32c_plain(const uint8_t *bytes, size_t count)
{
    uint32_t crc = UINT32_MAX;
    for (; count > 0; count--) {
        crc ^= *bytes++;
        crc = crc >> 4 ^ crc32c_nibbles[crc & 15];
        crc = crc >> 4 ^ crc32c_nibbles[crc & 15];
    }
    return ~crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc32c_machine(uint32_t crc, const uint8_t *bytes,
                                                                 size_t count)
{
    uint64_t wide = crc;
    for (; count >= 8; bytes += 8, count -= 8) {
        uint64_t word;
        memcpy(&word, bytes, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; count > 0; count--)
        crc = __builtin_ia32_crc32qi(crc, *bytes++);
    return crc;
}
#endif

uint32_t checksum_crc32c(const uint8_t *bytes, size_t count)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc32c_machine(UINT32_MAX, bytes, count);
#endif
    return checksum_crc32c_plain(bytes, count);
}
