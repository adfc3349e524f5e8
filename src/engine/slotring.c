/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The slots of a TX ring. One owner at a time (slotring.h); the kernel is the other party.
 *
 *   one slot:  | header with status and length | [gap] | [vnet 10] | frame … |
 *
 * What always holds: slots are filled in order and never leave a hole, because the kernel stops at the first
 * slot that is not SEND_REQUEST and would wait there for ever. */
#include "engine/slotring.h"

#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <string.h>

/* A header length longer than any frame: the kernel refuses it (EINVAL) and marks the slot WRONG_FORMAT. */
#define VNET_IMPOSSIBLE UINT16_MAX

_Static_assert(sizeof(struct virtio_net_hdr) == VNET_HEADER_BYTES,
               "what PACKET_VNET_HDR puts before a frame");

/* V1's status is an unsigned long of which only the lower 32 bits are ever set: one 32-bit word serves all
 * three versions, and the hot path does not ask which it is. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define V1_STATUS_AT (offsetof(struct tpacket_hdr, tp_status) + sizeof(unsigned long) - sizeof(uint32_t))
#else
#define V1_STATUS_AT offsetof(struct tpacket_hdr, tp_status)
#endif

/* Without an offset of its own a frame begins behind its header, where the kernel looks for it. */
#define DATA_AT(HEADER) ((sizeof(HEADER) + TPACKET_ALIGNMENT - 1) / TPACKET_ALIGNMENT * TPACKET_ALIGNMENT)

/* A time stamp's bits may stay in the status of a slot that is free. */
enum { NOT_COMPLETED = TP_STATUS_SEND_REQUEST | TP_STATUS_SENDING | TP_STATUS_WRONG_FORMAT };

static const struct layout {
    uint32_t status_at, length_at, mac_at, net_at, data_at;
} layouts[] = {
    [1] = {V1_STATUS_AT, offsetof(struct tpacket_hdr, tp_len), offsetof(struct tpacket_hdr, tp_mac),
           offsetof(struct tpacket_hdr, tp_net), DATA_AT(struct tpacket_hdr)},
    [2] = {offsetof(struct tpacket2_hdr, tp_status), offsetof(struct tpacket2_hdr, tp_len),
           offsetof(struct tpacket2_hdr, tp_mac), offsetof(struct tpacket2_hdr, tp_net),
           DATA_AT(struct tpacket2_hdr)},
    [3] = {offsetof(struct tpacket3_hdr, tp_status), offsetof(struct tpacket3_hdr, tp_len),
           offsetof(struct tpacket3_hdr, tp_mac), offsetof(struct tpacket3_hdr, tp_net),
           DATA_AT(struct tpacket3_hdr)},
};

static uint32_t *status_word(const struct slotring *ring, const struct slot_cursor *cursor)
{
    return (uint32_t *)(void *)(cursor->at + ring->status_at);
}

/* Acquire pairs with the kernel's release of a slot: it has read the payload before it gives the slot back.
 */
static uint32_t read_status(const struct slotring *ring, const struct slot_cursor *cursor)
{
    return __atomic_load_n(status_word(ring, cursor), __ATOMIC_ACQUIRE);
}

/* Release pairs with the kernel's read of tp_status: length and payload must be visible first. */
static void write_status(const struct slotring *ring, const struct slot_cursor *cursor, uint32_t status)
{
    __atomic_store_n(status_word(ring, cursor), status, __ATOMIC_RELEASE);
}

static void step(const struct slotring *ring, struct slot_cursor *cursor)
{
    cursor->at += ring->frame_size;
    cursor->slot++;
    if (++cursor->in_block < ring->per_block)
        return;
    cursor->in_block = 0;
    cursor->at += ring->hole;
    if (cursor->slot == ring->slots)
        *cursor = (struct slot_cursor){ring->memory, 0, 0};
}

static void step_back(const struct slotring *ring, struct slot_cursor *cursor)
{
    if (cursor->slot == 0) {
        size_t block = (size_t)ring->per_block * ring->frame_size + ring->hole;
        cursor->at = ring->memory + ring->slots / ring->per_block * block;
        cursor->slot = ring->slots;
    }
    if (cursor->in_block == 0) {
        cursor->at -= ring->hole;
        cursor->in_block = ring->per_block;
    }
    cursor->at -= ring->frame_size;
    cursor->slot--;
    cursor->in_block--;
}

uint32_t slotring_data_offset(const struct slotring_shape *shape)
{
    if (shape->offset != 0)
        return shape->offset;
    return layouts[shape->version].data_at + (shape->vnet ? VNET_HEADER_BYTES : 0);
}

/* PACKET_TX_HAS_OFF reads the offset from every slot, for ever: written once. */
static void write_offsets(const struct slotring *ring, const struct slotring_shape *shape)
{
    const struct layout *layout = &layouts[shape->version];
    uint32_t field_at = shape->cooked ? layout->net_at : layout->mac_at;
    uint16_t offset = (uint16_t)ring->vnet_at;
    struct slot_cursor cursor = ring->tail;
    for (uint32_t i = 0; i < ring->slots; i++) {
        memcpy(cursor.at + field_at, &offset, sizeof offset);
        step(ring, &cursor);
    }
}

void slotring_init(struct slotring *ring, uint8_t *memory, const struct slotring_shape *shape)
{
    const struct layout *layout = &layouts[shape->version];
    uint32_t per_block = shape->block_size / shape->frame_size;
    uint32_t data_at = slotring_data_offset(shape);
    *ring = (struct slotring){
        .memory = memory,
        .slots = per_block * shape->blocks,
        .per_block = per_block,
        .frame_size = shape->frame_size,
        .hole = shape->block_size - (size_t)per_block * shape->frame_size,
        .status_at = layout->status_at,
        .length_at = layout->length_at,
        .vnet_at = data_at - (shape->vnet ? VNET_HEADER_BYTES : 0),
        .data_at = data_at,
        .vnet = shape->vnet,
        .frame_limit = UINT32_MAX - VLAN_TAG_BYTES,
        .tail = {memory, 0, 0},
        .head = {memory, 0, 0},
        .next = {memory, 0, 0},
    };
    if (shape->offset != 0)
        write_offsets(ring, shape);
}

uint32_t slotring_reserve(struct slotring *ring, uint32_t slots, struct engine_span *span)
{
    uint32_t count = ring->slots - ring->committed;
    uint32_t run = ring->hole == 0 ? ring->slots - ring->next.slot : ring->per_block - ring->next.in_block;
    if (ring->withdrawn != 0)
        return 0;
    count = count < run ? count : run;
    count = count < slots ? count : slots;
    if (count != 0)
        *span = (struct engine_span){ring->next.slot, count, ring->next.at + ring->data_at, ring->frame_size};
    return count;
}

static bool is_tagged(const uint8_t *frame)
{
    return frame[12] == 0x81 && frame[13] == 0x00;
}

/* With a vnet header the kernel checks no MTU, so it is checked here; a frame that fails gets a header that
 * the kernel refuses, and takes the same way as one that the kernel found wrong itself. */
static uint16_t plain_copied(const struct slotring *ring, uint32_t bytes, const uint8_t *frame)
{
    if (bytes > ring->frame_limit && (bytes > ring->frame_limit + VLAN_TAG_BYTES || !is_tagged(frame)))
        return VNET_IMPOSSIBLE;
    return bytes <= ring->linear_limit ? (uint16_t)bytes : 0;
}

static uint16_t run_copied(const struct slotring *ring, const struct engine_frame *frame)
{
    const struct engine_segmentation *cut = frame->segmentation;
    if ((uint32_t)cut->header_bytes + cut->payload_bytes > ring->frame_limit + VLAN_TAG_BYTES)
        return VNET_IMPOSSIBLE;
    return frame->bytes <= ring->linear_limit ? (uint16_t)frame->bytes : cut->header_bytes;
}

static void write_run_header(const struct slotring *ring, uint8_t *at, const struct engine_frame *frame)
{
    const struct engine_segmentation *cut = frame->segmentation;
    bool several = frame->bytes > (uint32_t)cut->header_bytes + cut->payload_bytes;
    struct virtio_net_hdr header = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = several ? VNET_GSO_UDP_L4 : VIRTIO_NET_HDR_GSO_NONE,
        .hdr_len = run_copied(ring, frame),
        .gso_size = several ? cut->payload_bytes : 0,
        .csum_start = cut->checksum_start,
        .csum_offset = cut->checksum_offset,
    };
    memcpy(at, &header, sizeof header);
}

/* By zeros and one field, not as a struct by way of the stack: read back in other pieces than it was written,
 * that costs as much as the rest of a commit. */
static void write_plain_header(uint8_t *at, uint16_t copied)
{
    memset(at, 0, VNET_HEADER_BYTES);
    memcpy(at + offsetof(struct virtio_net_hdr, hdr_len), &copied, sizeof copied);
}

static void write_vnet_header(const struct slotring *ring, uint8_t *slot, const struct engine_frame *frame)
{
    if (frame->segmentation != NULL)
        write_run_header(ring, slot + ring->vnet_at, frame);
    else
        write_plain_header(slot + ring->vnet_at, plain_copied(ring, frame->bytes, slot + ring->data_at));
}

void slotring_commit(struct slotring *ring, const struct engine_frame *frames, uint32_t slots)
{
    const struct slotring fixed = *ring; /* what is written to slots may alias *ring, not this */
    struct slot_cursor next = fixed.next;
    for (uint32_t i = 0; i < slots; i++) {
        uint32_t length = frames[i].bytes + (fixed.vnet ? VNET_HEADER_BYTES : 0);
        if (fixed.vnet)
            write_vnet_header(&fixed, next.at, &frames[i]);
        memcpy(next.at + fixed.length_at, &length, sizeof length);
        write_status(&fixed, &next, TP_STATUS_SEND_REQUEST);
        step(&fixed, &next);
    }
    ring->next = next;
    ring->committed += slots;
    ring->unsent += slots;
}

uint32_t slotring_advance(struct slotring *ring)
{
    uint32_t before = ring->unsent;
    if (before == 0)
        return 0;
    struct slot_cursor last = ring->next;
    step_back(ring, &last);
    if (read_status(ring, &last) != TP_STATUS_SEND_REQUEST) { /* the usual case: one look says all */
        ring->unsent = 0;
        ring->head = ring->next;
        return before;
    }
    while (ring->unsent > 0 && read_status(ring, &ring->head) != TP_STATUS_SEND_REQUEST) {
        step(ring, &ring->head);
        ring->unsent--;
    }
    return before - ring->unsent;
}

void slotring_withdraw(struct slotring *ring)
{
    /* From the last one back, so that no moment shows the kernel a hole; the exchange fails on what it owns.
     */
    while (ring->unsent > 0) {
        struct slot_cursor last = ring->next;
        uint32_t expected = TP_STATUS_SEND_REQUEST;
        step_back(ring, &last);
        if (!__atomic_compare_exchange_n(status_word(ring, &last), &expected, TP_STATUS_AVAILABLE, false,
                                         __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            break;
        ring->next = last;
        ring->unsent--;
        ring->committed--;
        ring->withdrawn++;
    }
    ring->unsent = 0;
    ring->head = ring->next;
}

/* The kernel's own head stands at a WRONG_FORMAT slot until it is given a good frame in that very slot: so
 * what waits behind is taken back, and the next frame goes into this one. */
static void clear_rejected(struct slotring *ring)
{
    write_status(ring, &ring->tail, TP_STATUS_AVAILABLE);
    slotring_withdraw(ring);
    ring->committed--;
    if (ring->committed == 0)
        ring->head = ring->next = ring->tail;
    else
        step(ring, &ring->tail); /* no kernel does this: slots behind a bad one have moved */
}

/* The run of completed slots from the tail on. */
static uint32_t take_completed(struct slotring *ring)
{
    struct slot_cursor tail = ring->tail;
    uint32_t count = 0;
    for (; count < ring->committed && (read_status(ring, &tail) & NOT_COMPLETED) == 0; count++)
        step(ring, &tail);
    ring->tail = tail;
    ring->committed -= count;
    if (ring->unsent > ring->committed) { /* no kernel does this: passed a slot that was not sent */
        ring->unsent = ring->committed;
        ring->head = tail;
    }
    return count;
}

/* Whether the tail was rejected, and is cleared now. */
static bool take_rejected(struct slotring *ring)
{
    if (ring->committed == 0 || (read_status(ring, &ring->tail) & NOT_COMPLETED) != TP_STATUS_WRONG_FORMAT)
        return false;
    clear_rejected(ring);
    return true;
}

uint32_t slotring_reap(struct slotring *ring, struct engine_result *results, uint32_t max)
{
    uint32_t used = 0;
    while (used < max) {
        uint32_t completed = take_completed(ring);
        if (completed != 0)
            results[used++] = (struct engine_result){completed, ENGINE_COMPLETED};
        if (used == max || !take_rejected(ring))
            break;
        results[used++] = (struct engine_result){1, ENGINE_REJECTED};
    }
    if (ring->committed == 0 && ring->withdrawn != 0 && used < max) {
        results[used++] = (struct engine_result){ring->withdrawn, ENGINE_WITHDRAWN};
        ring->withdrawn = 0;
    }
    return used;
}
