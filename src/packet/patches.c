/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From varying fields to patches: runs of bytes that vary are cut into words of at most eight bytes, so that
 * each lies wholly inside or outside of every checksum's scope and its sum fits into one 64-bit word.
 *
 *   entries     |----a----|          |-b-|-c-|       b and c share a byte: one run
 *   patches     [ 8 bytes ][..]      [      ]
 */
#include <errno.h>
#include <stdlib.h>

#include "packet/build.h"

static int by_start(const void *left, const void *right)
{
    const struct range *a = left, *b = right;
    return a->from < b->from ? -1 : a->from > b->from;
}

/* The bytes that vary, as ascending ranges that share no byte. Count of them. */
static size_t varying_runs(const struct vary *vary, struct range *runs)
{
    size_t count = vary_count(vary), merged = 0;
    for (size_t i = 0; i < count; i++) {
        const struct vary_target *target = vary_target(vary, i);
        runs[i].from = target->offset_bits / 8;
        runs[i].to = (target->offset_bits + target->width_bits + 7) / 8;
    }
    qsort(runs, count, sizeof *runs, by_start);
    for (size_t i = 1; i < count; i++) {
        if (runs[i].from >= runs[merged].to)
            runs[++merged] = runs[i];
        else if (runs[i].to > runs[merged].to)
            runs[merged].to = runs[i].to;
    }
    return count > 0 ? merged + 1 : 0;
}

/* The first edge of a checksum's scope after from, or to. */
static uint32_t next_cut(const struct build *build, uint32_t from, uint32_t to)
{
    for (size_t i = 0; i < build->scope_count; i++) {
        const struct scope *scope = &build->scopes[i];
        const uint32_t edges[] = {scope->bytes.from, scope->bytes.to,         scope->source.from,
                                  scope->source.to,  scope->destination.from, scope->destination.to,
                                  scope->offset};
        for (size_t e = 0; e < sizeof edges / sizeof edges[0]; e++)
            if (edges[e] > from && edges[e] < to)
                to = edges[e];
    }
    return to;
}

static void add_term(struct packet *packet, struct patch *patch, size_t entry)
{
    const struct vary_target *target = vary_target(packet->vary, entry);
    size_t start = patch->offset * 8u, end = start + patch->bytes * 8u;
    size_t first = target->offset_bits, last = first + target->width_bits;
    size_t from = first > start ? first : start, to = last < end ? last : end;
    if (from >= to)
        return;
    uint64_t mask = (uint64_t)bits_mask((unsigned)(to - from));
    packet->terms[patch->first_term + patch->terms++] =
        (struct term){(uint16_t)entry, (uint8_t)(last - to), (uint8_t)(end - to), mask};
    patch->constant &= ~(mask << (end - to));
}

/* The common case, an aligned field by itself, needs neither shifts nor masks. */
static bool is_whole(const struct packet *packet, const struct patch *patch)
{
    const struct term *term = &packet->terms[patch->first_term];
    return patch->terms == 1 && term->down == 0 && term->up == 0 && patch->constant == 0 &&
           vary_target(packet->vary, term->entry)->width_bits == patch->bytes * 8u;
}

static void add_patch(struct packet *packet, uint32_t from, uint32_t to, size_t *terms)
{
    struct patch *patch = &packet->patches[packet->patch_count++];
    *patch = (struct patch){.offset = (uint16_t)from,
                            .bytes = (uint8_t)(to - from),
                            .sum_shift = to % 2 != 0 ? 8 : 0,
                            .first_term = (uint16_t)*terms,
                            .constant = (uint64_t)bits_load(packet->image, from * 8u, (to - from) * 8u)};
    for (size_t i = 0; i < vary_count(packet->vary); i++)
        add_term(packet, patch, i);
    *terms += patch->terms;
    if (is_whole(packet, patch)) {
        patch->terms = 0;
        patch->first_term = packet->terms[patch->first_term].entry;
    }
}

int build_patches(struct build *build)
{
    struct packet *packet = build->packet;
    if (packet->vary == NULL)
        return 0;
    /* A field of 128 bits at any place is cut into three, and each edge of a scope cuts once more. */
    size_t entries = vary_count(packet->vary), room = entries * 3 + build->scope_count * 7, terms = 0;
    struct range *runs = calloc(entries + 1, sizeof *runs);
    packet->patches = calloc(room, sizeof *packet->patches);
    packet->terms = calloc(room + 2 * entries, sizeof *packet->terms);
    if (runs == NULL || packet->patches == NULL || packet->terms == NULL) {
        free(runs);
        return -ENOMEM;
    }
    size_t count = varying_runs(packet->vary, runs);
    for (size_t i = 0; i < count; i++)
        for (uint32_t from = runs[i].from, to; from < runs[i].to; from = to) {
            uint32_t most = from + 8 - from % 2;
            to = next_cut(build, from, runs[i].to < most ? runs[i].to : most);
            add_patch(packet, from, to, &terms);
        }
    free(runs);
    return 0;
}
