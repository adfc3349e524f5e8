// SPDX-License-Identifier: GPL-2.0-or-later
/* Ring geometry. What is measured in KERNEL.md speaks here: small slots in a ring that the cache holds are
 * worth 5 to 20 %, so frames up to a page get slots of a power of two, 256 bytes at least; larger ones get
 * what they need, in blocks of which little is lost. */
#include "base/geometry.h"

#include <errno.h>
#include <stddef.h>

enum {
    SLOT_SMALLEST = 256,
    SLOT_ROUNDED_MAX = 4096,
    FRAMES_USUAL = 1024,
    FRAMES_FEWEST = 64,
    MEMORY_USUAL = 4 << 20,
    BLOCK_USUAL = 64 << 10,
    BLOCK_LARGEST = 1 << 20,
    ADDRESS_BYTES = 20,     /* the kernel also wants room for a struct sockaddr_ll after the header */
    BLOCK_HEADER_BYTES = 48 /* V3: struct tpacket_block_desc, also asked of a TX ring */
};

uint32_t geometry_header_bytes(uint32_t version)
{
    return version >= 3 ? 48 : 32;
}

uint32_t geometry_hole_bytes(const struct geometry *geometry)
{
    return geometry->block_size % geometry->frame_size;
}

uint64_t geometry_memory_bytes(const struct geometry *geometry)
{
    return (uint64_t)geometry->block_size * geometry->blocks;
}

static uint32_t power_of_two(uint32_t at_least)
{
    uint32_t power = 1;
    while (power < at_least)
        power <<= 1;
    return power;
}

static uint32_t least_frame_size(uint32_t version)
{
    return geometry_header_bytes(version) + ADDRESS_BYTES;
}

static uint32_t choose_frame_size(uint32_t need)
{
    if (need <= SLOT_ROUNDED_MAX)
        return power_of_two(need > SLOT_SMALLEST ? need : SLOT_SMALLEST);
    return (need + GEOMETRY_ALIGNMENT - 1) & ~(uint32_t)(GEOMETRY_ALIGNMENT - 1);
}

/* The smallest block of which at most an eighth is lost; for a ring of few frames not larger than the ring.
 */
static uint32_t choose_block_size(uint32_t page_bytes, uint32_t frame_size, uint32_t frames)
{
    uint32_t block = page_bytes > BLOCK_USUAL ? page_bytes : BLOCK_USUAL;
    while (block < frame_size || (block % frame_size > block / 8 && block < BLOCK_LARGEST))
        block *= 2;
    while (frames != 0 && block / 2 >= page_bytes && block / 2 >= frame_size &&
           block / 2 / frame_size >= frames)
        block /= 2;
    return block;
}

static uint32_t choose_frames(uint32_t frame_size)
{
    uint32_t affordable = MEMORY_USUAL / frame_size;
    return affordable > FRAMES_USUAL ? FRAMES_USUAL : affordable < FRAMES_FEWEST ? FRAMES_FEWEST : affordable;
}

int geometry_choose(const struct geometry_wishes *wishes, struct geometry *out, struct err *err)
{
    struct geometry chosen = {.frame_size = wishes->frame_size, .block_size = wishes->block_size};
    if (wishes->largest_bytes > 1 << 20)
        return err_set(err, -EINVAL, "no slot holds a frame of %u bytes", wishes->largest_bytes);
    uint32_t need = geometry_header_bytes(wishes->version) + wishes->largest_bytes +
                    (wishes->virtio ? (uint32_t)GEOMETRY_VIRTIO_BYTES : 0);
    if (chosen.frame_size == 0)
        chosen.frame_size = choose_frame_size(need);
    else if (chosen.frame_size < need)
        return err_set(err, -EINVAL,
                       "frame_size %u has no room for a frame of %u bytes and its header; write %u or more",
                       chosen.frame_size, wishes->largest_bytes, choose_frame_size(need));
    if (chosen.block_size == 0)
        chosen.block_size = choose_block_size(wishes->page_bytes, chosen.frame_size, wishes->frames);
    uint32_t per_block = chosen.block_size / chosen.frame_size;
    if (per_block > 0) { /* else geometry_check says what is wrong */
        uint64_t frames = wishes->frames != 0 ? wishes->frames : choose_frames(chosen.frame_size);
        chosen.blocks = (uint32_t)((frames + per_block - 1) / per_block);
        chosen.frames = chosen.blocks * per_block;
    }
    int rc = geometry_check(wishes->version, wishes->page_bytes, &chosen, err);
    if (rc == 0)
        *out = chosen;
    return rc;
}

/* In the kernel's order, so that the first that is broken is the one it would have stopped at. */
int geometry_check(uint32_t version, uint32_t page_bytes, const struct geometry *geometry, struct err *err)
{
    uint32_t frame = geometry->frame_size, block = geometry->block_size;
    if (version < 1 || version > 3)
        return err_set(err, -EINVAL, "version %u is no ring; write 1, 2 or 3", version);
    if (block == 0 || block > INT32_MAX)
        return err_set(err, -EINVAL, "block_size %u is out of range; write at least a page (%u)", block,
                       page_bytes);
    if (block % page_bytes != 0)
        return err_set(err, -EINVAL, "block_size %u is no multiple of the page size; write a multiple of %u",
                       block, page_bytes);
    if (version == 3 && block < BLOCK_HEADER_BYTES + least_frame_size(version))
        return err_set(err, -EINVAL, "block_size %u has no room for a V3 block header", block);
    if (frame < least_frame_size(version))
        return err_set(err, -EINVAL, "frame_size %u has no room for the slot's header; write at least %u",
                       frame, (least_frame_size(version) + 15) & ~15U);
    if (frame % GEOMETRY_ALIGNMENT != 0)
        return err_set(err, -EINVAL, "frame_size %u is no multiple of %d; write %u", frame,
                       GEOMETRY_ALIGNMENT, (frame + 15) & ~15U);
    uint32_t per_block = block / frame;
    if (per_block == 0)
        return err_set(err, -EINVAL, "frame_size %u is larger than a block (%u); write a larger block_size",
                       frame, block);
    if (geometry->blocks == 0)
        return err_set(err, -EINVAL, "a ring has at least one block");
    if (per_block > UINT32_MAX / geometry->blocks)
        return err_set(err, -EINVAL, "%u blocks of %u frames cannot be counted; write fewer",
                       geometry->blocks, per_block);
    if (per_block * geometry->blocks != geometry->frames)
        return err_set(err, -EINVAL, "frames %u do not fill %u blocks of %u; write %u", geometry->frames,
                       geometry->blocks, per_block, per_block * geometry->blocks);
    return 0;
}
