/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory of a TX ring and its status words: who owns which slot. No system call in here, so that it runs
 * on plain memory in tests as it does on a kernel's ring.
 *
 *          tail            head           next
 *     ──────┼───────────────┼──────────────┼──────
 *      free │ SENDING or    │ SEND_REQUEST │ free        committed = tail … next, unsent = head … next
 *           │ back, unread  │              │
 *
 * The kernel changes SEND_REQUEST only inside a send() on the ring's own socket; whoever owns the ring (its
 * worker, or the main thread while that is parked) is therefore alone in head … next. SENDING goes back at
 * any time, from any CPU. */
#ifndef ENGINE_SLOTRING_H
#define ENGINE_SLOTRING_H

#include "engine/engine.h"

enum {
    VNET_HEADER_BYTES = 10,
    VNET_GSO_UDP_L4 = 5, /* not in the headers of kernels before 6.2 */
    VLAN_TAG_BYTES = 4
};

struct slotring_shape {
    uint32_t version; /* 1, 2, 3 */
    uint32_t frame_size, block_size, blocks;
    uint32_t offset; /* of the frame's bytes in a slot; 0: where the kernel looks by default */
    bool cooked;     /* the offset goes to tp_net, not tp_mac */
    bool vnet;       /* a virtio_net header stands before each frame */
};

struct slot_cursor {
    uint8_t *at;
    uint32_t slot, in_block;
};

struct slotring {
    uint8_t *memory; /* borrowed */
    uint32_t slots, per_block, frame_size;
    size_t hole;        /* bytes at each block's end that hold no slot */
    uint32_t status_at; /* of the 32 bits of the status that are ever set */
    uint32_t length_at, vnet_at, data_at;
    bool vnet;
    uint32_t frame_limit;  /* longest plain frame, without tag; set by the owner, as the two below */
    uint32_t linear_limit; /* up to here the kernel copies a frame into one buffer; 0: never */
    struct slot_cursor tail, head, next;
    uint32_t committed, unsent;
    uint32_t withdrawn; /* taken back, not yet told; no slot is given out meanwhile */
};

/* Where frame bytes begin in a slot of this shape. */
uint32_t slotring_data_offset(const struct slotring_shape *shape);
/* memory: blocks × block_size bytes of zeros. */
void slotring_init(struct slotring *ring, uint8_t *memory, const struct slotring_shape *shape);

uint32_t slotring_reserve(struct slotring *ring, uint32_t slots, struct engine_span *span);
void slotring_commit(struct slotring *ring, const struct engine_frame *frames, uint32_t slots);
/* After a send(): how many more slots the kernel has begun. */
uint32_t slotring_advance(struct slotring *ring);
uint32_t slotring_reap(struct slotring *ring, struct engine_result *results, uint32_t max);
void slotring_withdraw(struct slotring *ring);

#endif
