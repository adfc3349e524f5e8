/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The geometry of a packet ring: how large slots and blocks are, and how many.
 *
 *   block 0                                  block 1
 *   | slot | slot | slot | slot | hole |     | slot | …      frames never span blocks
 *     └ header | (virtio header) | frame bytes … |
 *
 * Arithmetic only; knows the kernel's conditions (net/packet/af_packet.c, packet_set_ring) but calls nothing.
 * Pure; any thread. */
#ifndef BASE_GEOMETRY_H
#define BASE_GEOMETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { GEOMETRY_ALIGNMENT = 16, GEOMETRY_VIRTIO_BYTES = 10 };

struct geometry_wishes {
    uint32_t version;                        /* 1, 2, 3 */
    uint32_t page_bytes;                     /* sysconf(_SC_PAGESIZE) */
    uint32_t largest_bytes;                  /* longest frame in memory */
    bool virtio;                             /* PACKET_VNET_HDR: room for its header before each frame */
    uint32_t frames, frame_size, block_size; /* 0: chosen. frames is rounded up to whole blocks */
};

struct geometry {
    uint32_t frame_size, frames, block_size, blocks;
};

/* Where frame bytes begin in a slot without PACKET_TX_HAS_OFF: 32 (V1, V2) or 48 (V3). */
uint32_t geometry_header_bytes(uint32_t version);
/* Bytes lost at the end of each block, and of the whole mapping. */
uint32_t geometry_hole_bytes(const struct geometry *geometry);
uint64_t geometry_memory_bytes(const struct geometry *geometry);

/* A geometry that the kernel takes and that holds the largest frame: slots of 256 bytes and about 1,024 of
 * them for small frames, bounded memory for jumbo frames and runs of segments. -EINVAL when what was asked
 * for cannot be. */
int geometry_choose(const struct geometry_wishes *wishes, struct geometry *out, struct err *err);

/* Which of the kernel's conditions is broken, each with its own message: 0 or -EINVAL. Does not know whether
 * there is memory. */
int geometry_check(uint32_t version, uint32_t page_bytes, const struct geometry *geometry, struct err *err);

#endif
