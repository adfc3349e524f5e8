/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sending a compiled packet: stamp constant bytes, patch what varies. The worker's side; no division, no
 * allocation.
 *
 *   patch   value → word → frame, and the word's sum into sums[p]
 *   check   base of the variant + sums[its sources] → frame, and what it wrote into sums[patches + c], so
 * that an outer checksum covers an inner one */
#include "packet/packet.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "packet/checks.h"
#include "packet/compiled.h"
#include "packet/proto_rows.h"
#include "packet/signature.h"

struct packet_cursor {
    const struct packet *packet; /* borrowed */
    struct vary_cursor *vary;    /* owned; NULL when nothing varies */
    struct size_cursor size;
    uint32_t part, parts;
    uint32_t sums[]; /* one a patch, one a check */
};

/* ---- facts ---- */

void packet_set_source(struct packet *packet, const uint8_t mac[6])
{
    for (uint8_t i = 0; i < packet->mac_count; i++)
        memcpy(packet->image + packet->mac_offset[i], mac, 6);
}

uint32_t packet_largest(const struct packet *packet)
{
    return packet->largest;
}

uint32_t packet_smallest(const struct packet *packet)
{
    return packet->smallest;
}

void packet_mean(const struct packet *packet, uint64_t *bytes, uint64_t *frames)
{
    sizes_mean(packet->sizes, bytes, frames);
}

uint32_t packet_variants(const struct packet *packet)
{
    return packet->variants;
}

const struct packet_segmentation *packet_segmentation(const struct packet *packet)
{
    return packet->segmentation.segments > 1 ? &packet->segmentation : NULL;
}

bool packet_is_static(const struct packet *packet)
{
    return packet->variants == 1 && packet->vary == NULL && !packet->signature;
}

/* ---- cursor ---- */

struct packet_cursor *packet_cursor_new(const struct packet *packet, uint32_t part, uint32_t parts)
{
    size_t sums = (size_t)packet->patch_count + packet->check_count;
    struct packet_cursor *cursor = calloc(1, sizeof *cursor + sums * sizeof *cursor->sums);
    if (cursor == NULL)
        return NULL;
    cursor->packet = packet;
    cursor->part = part;
    cursor->parts = parts;
    if (packet->vary != NULL)
        cursor->vary = vary_cursor_new(packet->vary, part, parts);
    if (packet->vary != NULL && cursor->vary == NULL) {
        packet_cursor_free(cursor);
        return NULL;
    }
    sizes_begin(packet->sizes, &cursor->size, part, parts);
    return cursor;
}

void packet_cursor_free(struct packet_cursor *cursor)
{
    if (cursor == NULL)
        return;
    vary_cursor_free(cursor->vary);
    free(cursor);
}

void packet_cursor_prefetch(const struct packet_cursor *cursor)
{
    if (cursor->vary != NULL)
        vary_prefetch(cursor->vary);
}

void packet_cursor_reset(struct packet_cursor *cursor)
{
    sizes_begin(cursor->packet->sizes, &cursor->size, cursor->part, cursor->parts);
    if (cursor->vary != NULL)
        vary_cursor_reset(cursor->vary);
}

/* ---- sending ---- */

uint32_t packet_next_variant(const struct packet_cursor *cursor)
{
    return cursor->size.next;
}

uint32_t packet_next_length(const struct packet_cursor *cursor)
{
    const struct packet *packet = cursor->packet;
    return packet->variants == 1 ? packet->largest : sizes_distinct(packet->sizes, cursor->size.next);
}

static const uint16_t *row_of(const struct packet_cursor *cursor)
{
    return cursor->packet->rows + (size_t)cursor->size.next * cursor->packet->row_words;
}

const uint8_t *packet_image(const struct packet *packet)
{
    return packet->variants == 1 && packet->cell_count == 0 ? packet->image : NULL;
}

void packet_stamp(const struct packet_cursor *cursor, uint8_t *frame)
{
    const struct packet *packet = cursor->packet;
    const uint16_t *row = row_of(cursor);
    memcpy(frame, packet->image, packet_next_length(cursor));
    for (uint16_t i = 0; i < packet->cell_count; i++)
        store_be16(frame + packet->cells[i], row[i]);
}

static void store_word(uint8_t *at, uint64_t word, unsigned bytes)
{
    switch (bytes) {
    case 2:
        store_be16(at, (uint16_t)word);
        break;
    case 4:
        store_be32(at, (uint32_t)word);
        break;
    case 6:
        store_be16(at, (uint16_t)(word >> 32));
        store_be32(at + 2, (uint32_t)word);
        break;
    case 8:
        store_be64(at, word);
        break;
    default:
        for (; bytes > 0; bytes--, word >>= 8)
            at[bytes - 1] = (uint8_t)word;
    }
}

/* value >> down for 0 … 127, without the compiler's general shift of 128 bits. */
static inline uint64_t shift_down(unsigned __int128 value, unsigned down)
{
    uint64_t low = (uint64_t)value, high = (uint64_t)(value >> 64);
    return down < 64 ? low >> down | high << 1 << (63 - down) : high >> (down - 64);
}

static inline uint64_t term_value(const struct term *term, const unsigned __int128 *values)
{
    return (shift_down(values[term->entry], term->down) & term->mask) << term->up;
}

static inline uint64_t patch_word(const struct patch *patch, const struct term *terms,
                                  const unsigned __int128 *values)
{
    if (patch->terms == 0)
        return (uint64_t)values[patch->first_term];
    uint64_t word = patch->constant;
    for (uint16_t t = 0; t < patch->terms; t++)
        word |= term_value(&terms[patch->first_term + t], values);
    return word;
}

/* frame is restrict in all of these: it is bytes, and bytes could be anything for the compiler. */
static void write_patches(const struct packet *packet, const unsigned __int128 *values,
                          uint8_t *restrict frame, uint32_t *restrict sums)
{
    const struct patch *patch = packet->patches, *end = patch + packet->patch_count;
    for (; patch < end; patch++) {
        uint64_t word = patch_word(patch, packet->terms, values);
        *sums++ = checksum_of_word(word << patch->sum_shift);
        store_word(frame + patch->offset, word, patch->bytes);
    }
}

static uint32_t write_sum(const struct packet *packet, const struct check *check, uint16_t base,
                          const uint32_t *restrict sums, uint8_t *restrict frame)
{
    const uint16_t *source = packet->sources + check->first_source, *end = source + check->sources;
    uint32_t sum = base; /* at most 2^10 sources of 18 bits */
    for (; source < end; source++)
        sum += sums[*source];
    uint16_t value = check_finish(check, sum);
    store_be16(frame + check->offset, value);
    return check->offset % 2 != 0 ? checksum_swap(value) : value;
}

static uint32_t write_crc(const struct packet_cursor *cursor, const struct check *check, uint8_t *frame)
{
    check_store_crc(check, frame, packet_next_length(cursor));
    return checksum_sum(frame, check->offset, check->offset + 4u);
}

static void write_checks(struct packet_cursor *cursor, uint8_t *restrict frame)
{
    const struct packet *packet = cursor->packet;
    const uint16_t *base = row_of(cursor) + packet->cell_count;
    const struct check *check = packet->checks, *end = check + packet->check_count;
    uint32_t *sums = cursor->sums, *written = sums + packet->patch_count;
    for (; check < end; check++, base++)
        *written++ =
            check->crc32c ? write_crc(cursor, check, frame) : write_sum(packet, check, *base, sums, frame);
}

/* A run of UDP segments has one in each. Kept out of packet_patch, whose other paths need no stack. */
__attribute__((noinline)) static void write_signatures(const struct packet_cursor *cursor, uint8_t *frame,
                                                       const struct signature_stamp *stamp)
{
    const struct packet *packet = cursor->packet;
    uint32_t step = packet->segmentation.payload_bytes, end = packet_next_length(cursor);
    if (packet->segmentation.segments <= 1) {
        signature_write(frame + end - SIGNATURE_BYTES, stamp);
        return;
    }
    struct signature_stamp next = *stamp;
    for (uint32_t at = packet->segmentation.header_bytes + step; at <= end; at += step, next.sequence++)
        signature_write(frame + at - SIGNATURE_BYTES, &next);
}

void packet_patch(struct packet_cursor *cursor, uint8_t *frame, const struct signature_stamp *stamp)
{
    if (cursor->packet->patch_count > 0)
        write_patches(cursor->packet, vary_values(cursor->vary), frame, cursor->sums);
    if (stamp != NULL)
        write_signatures(cursor, frame, stamp);
    if (cursor->packet->check_count > 0)
        write_checks(cursor, frame);
    if (cursor->vary != NULL)
        vary_step(cursor->vary);
    if (cursor->packet->variants > 1)
        sizes_step(cursor->packet->sizes, &cursor->size);
}

/* A length that a sum covers becomes smaller by `cut`; the sum as it is before it is inverted (RFC 1624). */
static uint16_t cut_length(uint8_t *length, uint16_t cut, uint16_t sum)
{
    uint16_t before = load_be16(length), after = (uint16_t)(before - cut);
    store_be16(length, after);
    return checksum_fold((uint64_t)sum + (uint16_t)~before + after);
}

void packet_shorten(const struct packet *packet, uint8_t *frame, uint16_t segments)
{
    const struct packet_segmentation *run = &packet->segmentation;
    const struct packet_layer *last = &packet->layers[packet->layer_count - 2];
    uint16_t cut = (uint16_t)((run->segments - segments) * run->payload_bytes);
    uint8_t *ip = frame + last->start, *udp = frame + run->checksum_start;
    uint8_t *seed = udp + run->checksum_offset;
    store_be16(seed, cut_length(udp + 4, cut, load_be16(seed)));
    if (last->proto == &proto_ipv4)
        store_be16(ip + 10, (uint16_t)~cut_length(ip + 2, cut, (uint16_t)~load_be16(ip + 10)));
    else
        cut_length(ip + 4, cut, 0);
}
