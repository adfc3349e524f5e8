/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets that say who they are, in place of src/packet (whose objects the linker then leaves in the
 * library): each frame carries its packet's mark in every constant byte, its variant, and, unless it is
 * static, its number; so that a slot stamped too rarely shows in the bytes that left. Stamps and patches are
 * counted. */
#ifndef FAKE_PACKET_H
#define FAKE_PACKET_H

#include <stdlib.h>
#include <string.h>

#include "packet/packet.h"
#include "packet/signature.h"

enum {
    AT_VARIANT = 16,
    AT_NUMBER = 20,
    AT_SEGMENTS = 28,
    AT_SEQUENCE = 32,
    AT_NONCE = 36,
    FAKE_LEAST_BYTES = 60,
    FAKE_MOST_BYTES = 4096
};

struct packet {
    uint8_t mark;
    bool varies;
    uint32_t bytes, step; /* variant v is bytes + v × step long */
    uint32_t variants;
    struct packet_segmentation segmentation; /* segments 0: none */
    uint64_t stamps, patches;
    bool counted; /* has no image: each slot is stamped by the cursor, and counted */
    uint8_t image[FAKE_MOST_BYTES];
};

struct packet_cursor {
    struct packet *packet;
    uint64_t number;
};

static inline uint32_t fake_u32(const uint8_t *frame, int at)
{
    uint32_t value;
    memcpy(&value, frame + at, sizeof value);
    return value;
}

static inline uint64_t fake_u64(const uint8_t *frame, int at)
{
    uint64_t value;
    memcpy(&value, frame + at, sizeof value);
    return value;
}

struct packet *packet_ref(struct packet *packet)
{
    return packet;
}

void packet_free(struct packet *packet) /* they live on the test's stack */
{
    (void)packet;
}

struct packet_cursor *packet_cursor_new(const struct packet *packet, uint32_t part, uint32_t parts)
{
    struct packet_cursor *cursor = calloc(1, sizeof *cursor);
    (void)part;
    (void)parts;
    if (cursor != NULL)
        cursor->packet = (struct packet *)(uintptr_t)packet;
    return cursor;
}

void packet_cursor_free(struct packet_cursor *cursor)
{
    free(cursor);
}

void packet_cursor_prefetch(const struct packet_cursor *cursor)
{
    (void)cursor;
}

void packet_cursor_reset(struct packet_cursor *cursor)
{
    cursor->number = 0;
}

uint32_t packet_variants(const struct packet *packet)
{
    return packet->variants;
}

uint32_t packet_next_variant(const struct packet_cursor *cursor)
{
    return (uint32_t)(cursor->number % cursor->packet->variants);
}

uint32_t packet_next_length(const struct packet_cursor *cursor)
{
    const struct packet_segmentation *segmentation = &cursor->packet->segmentation;
    if (segmentation->segments > 0)
        return (uint32_t)segmentation->header_bytes +
               (uint32_t)segmentation->payload_bytes * segmentation->segments;
    return cursor->packet->bytes + packet_next_variant(cursor) * cursor->packet->step;
}

void packet_stamp(const struct packet_cursor *cursor, uint8_t *frame)
{
    uint32_t variant = packet_next_variant(cursor), segments = cursor->packet->segmentation.segments;
    memset(frame, cursor->packet->mark, packet_next_length(cursor));
    memcpy(frame + AT_VARIANT, &variant, sizeof variant);
    memcpy(frame + AT_SEGMENTS, &segments, sizeof segments);
    cursor->packet->stamps++;
}

uint32_t packet_largest(const struct packet *packet)
{
    struct packet_cursor last = {(struct packet *)(uintptr_t)packet, packet->variants - 1};
    return packet_next_length(&last);
}

const uint8_t *packet_image(const struct packet *packet)
{
    struct packet *own = (struct packet *)(uintptr_t)packet;
    struct packet_cursor first = {own, 0};
    if (packet->variants > 1 || packet->counted || packet_largest(packet) > sizeof packet->image)
        return NULL;
    packet_stamp(&first, own->image);
    return own->image;
}

void packet_patch(struct packet_cursor *cursor, uint8_t *frame, const struct signature_stamp *stamp)
{
    memcpy(frame + AT_NUMBER, &cursor->number, sizeof cursor->number);
    if (stamp != NULL) {
        memcpy(frame + AT_SEQUENCE, &stamp->sequence, sizeof stamp->sequence);
        memcpy(frame + AT_NONCE, &stamp->nonce, sizeof stamp->nonce);
    }
    cursor->packet->patches++;
    cursor->number++;
}

bool packet_is_static(const struct packet *packet)
{
    return !packet->varies;
}

const struct packet_segmentation *packet_segmentation(const struct packet *packet)
{
    return packet->segmentation.segments > 0 ? &packet->segmentation : NULL;
}

void packet_shorten(const struct packet *packet, uint8_t *frame, uint16_t segments)
{
    uint32_t wide = segments;
    (void)packet;
    memcpy(frame + AT_SEGMENTS, &wide, sizeof wide);
}

#endif
