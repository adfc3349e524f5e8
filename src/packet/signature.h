/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The 14 bytes that make a frame ours: which stream, which number, when it left.
 *
 *    0      2        4            8           12      14
 *   | magic | stream | sequence   | time      | check |      big endian; time in units of 16 ns (wraps in 68
 * s)
 *
 * magic is SIGNATURE_MAGIC mixed with a nonce of the run, so that frames of an earlier run are foreign. check
 * brings the one's-complement sum of the seven words to SIGNATURE_SUM, a zero of one's-complement arithmetic,
 * in every run: writing a signature over zeros never changes an L4 checksum, and a filter that knows no
 * nonce can test the sum. Pure; any thread. */
#ifndef PACKET_SIGNATURE_H
#define PACKET_SIGNATURE_H

#include <stdbool.h>
#include <stdint.h>

enum { SIGNATURE_BYTES = 14, SIGNATURE_MAGIC = 0x764f, SIGNATURE_SUM = 0xffff, SIGNATURE_TIME_SHIFT = 4 };

struct signature_stamp {
    uint32_t nonce;    /* of the run */
    uint16_t stream;   /* number in the plan + 1 */
    uint32_t sequence; /* counts frames of the stream (of a part, when split) */
    uint64_t time_ns;  /* CLOCK_REALTIME as the batch is committed */
};

struct signature {
    uint16_t stream;
    uint32_t sequence;
    uint32_t time_16ns;
    uint32_t end; /* of its bytes in the frame, as signature_find() found it */
};

/* The first two bytes of every signature of a run, for filters. */
uint16_t signature_magic(uint32_t nonce);
void signature_write(uint8_t at[SIGNATURE_BYTES], const struct signature_stamp *stamp);
/* Whether the 14 bytes are a signature of this run; out is untouched if not. */
bool signature_read(const uint8_t at[SIGNATURE_BYTES], uint32_t nonce, struct signature *out);

/* Finds the signature in a received frame: at the end of the (innermost outer) IP datagram, else at the
 * frame's end; captured bytes may be fewer than length. */
bool signature_find(const uint8_t *frame, uint32_t captured, uint32_t length, uint32_t nonce,
                    struct signature *out);

/* Runs of UDP segments that a device put together, or never cut, arrive as one frame. How many signatures of
 * consecutive frames end at last->end and segment_bytes each before; at least 1. */
uint32_t signature_run(const uint8_t *frame, const struct signature *last, uint32_t segment_bytes,
                       uint32_t nonce);

#endif
