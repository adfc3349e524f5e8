// SPDX-License-Identifier: GPL-2.0-or-later
/* A ring whose kernel is hostile: any status at any moment in any slot, between the owner's moves in any
 * order. Every slot that was committed is told exactly once, and no span leaves the ring. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/slotring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BLOCK_BYTES = 4096, BLOCKS = 3, RESULTS = 2, MOST = 32 };

static uint8_t memory[BLOCK_BYTES * BLOCKS] __attribute__((aligned(BLOCK_BYTES)));

struct told {
    uint64_t committed, told;
};

static void must(int holds)
{
    if (!holds)
        abort();
}

static uint8_t *status_at(const struct slotring *ring, uint32_t slot)
{
    return ring->memory + (size_t)(slot / ring->per_block) * BLOCK_BYTES +
           (size_t)(slot % ring->per_block) * ring->frame_size + ring->status_at;
}

static void put(struct slotring *ring, uint32_t slots, struct told *told)
{
    struct engine_frame frames[MOST];
    struct engine_span span;
    uint32_t count = slotring_reserve(ring, slots, &span);
    must(count <= slots);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *frame = span.data + i * span.stride;
        must(frame >= memory && frame + 60 <= memory + sizeof memory);
        memset(frame, 0xff, 60);
        frames[i] = (struct engine_frame){.bytes = 60, .segments = 1};
    }
    if (count > 0)
        slotring_commit(ring, frames, count);
    told->committed += count;
}

static void reap(struct slotring *ring, struct told *told)
{
    struct engine_result results[RESULTS];
    uint32_t count = slotring_reap(ring, results, RESULTS);
    must(count <= RESULTS);
    for (uint32_t i = 0; i < count; i++) {
        must(results[i].slots > 0);
        told->told += results[i].slots;
    }
}

static void write_status(struct slotring *ring, uint8_t slot, uint8_t value)
{
    /* The flags that mean something, and the time stamp bits. */
    uint32_t status = (value & 7U) | (uint32_t)(value >> 5) << 29;
    memcpy(status_at(ring, slot % ring->slots), &status, sizeof status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t frame_sizes[] = {128, 256, 1536, 4096};
    struct slotring ring;
    struct told told = {0};
    if (size < 2)
        return 0;
    struct slotring_shape shape = {.version = 1 + data[0] % 3,
                                   .frame_size = frame_sizes[data[1] % 4],
                                   .block_size = BLOCK_BYTES,
                                   .blocks = BLOCKS,
                                   .vnet = (data[1] & 0x80) != 0};
    memset(memory, 0, sizeof memory);
    slotring_init(&ring, memory, &shape);
    for (size_t i = 2; i + 2 < size; i += 3) {
        switch (data[i] % 5) {
        case 0:
            put(&ring, data[i + 1] % MOST, &told);
            break;
        case 1:
            reap(&ring, &told);
            break;
        case 2:
            slotring_advance(&ring);
            break;
        case 3:
            slotring_withdraw(&ring);
            break;
        default:
            write_status(&ring, data[i + 1], data[i + 2]);
        }
        must(ring.unsent <= ring.committed && ring.committed <= ring.slots);
        must(told.committed == told.told + ring.committed + ring.withdrawn);
    }
    return 0;
}
