/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A packet as a person reads it: the first frame layer by layer, what varies and how, and a hex dump with the
 * varying bytes marked. Values are read back from the frame, so that what is shown is what is sent. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "packet/compiled.h"
#include "packet/field.h"
#include "packet/signature.h"

enum { DUMP_MAX_BYTES = 256, NAME_WIDTH = 22 };

struct explaining {
    const struct packet *packet;
    FILE *out;
    uint8_t *frame;  /* owned; the first */
    uint8_t *varies; /* owned; a byte a byte: 'v' a varying field, 'c' a checksum or signature that follows */
    uint32_t bytes;
    bool colour;
};

/* ---- what varies ---- */

static void mark(const struct explaining *x, size_t from, size_t count, uint8_t with)
{
    for (size_t i = from; i < from + count && i < x->bytes; i++)
        x->varies[i] = with;
}

static void mark_all(const struct explaining *x)
{
    const struct packet *packet = x->packet;
    for (uint16_t c = 0; c < packet->cell_count; c++)
        mark(x, packet->cells[c], 2, 'c');
    for (uint16_t c = 0; c < packet->check_count; c++)
        mark(x, packet->checks[c].offset, packet->checks[c].crc32c ? 4 : 2, 'c');
    if (packet->signature)
        mark(x, x->bytes - SIGNATURE_BYTES, SIGNATURE_BYTES, 'c');
    for (uint16_t p = 0; p < packet->patch_count; p++)
        mark(x, packet->patches[p].offset, packet->patches[p].bytes, 'v');
}

/* The entry of vary that writes exactly this field, or -1. */
static int entry_at(const struct packet *packet, size_t offset_bits, unsigned width_bits)
{
    for (size_t i = 0; packet->vary != NULL && i < vary_count(packet->vary); i++) {
        const struct vary_target *target = vary_target(packet->vary, i);
        if (target->offset_bits == offset_bits && target->width_bits == width_bits)
            return (int)i;
    }
    return -1;
}

/* ---- layers ---- */

static size_t block_end(const struct packet_layer *layer, unsigned block)
{
    for (unsigned b = block + 1; b < layer->proto->block_count; b++)
        if (layer->block_start[b] != UINT16_MAX)
            return layer->start + layer->block_start[b];
    return (size_t)layer->start + layer->bytes;
}

static void print_bytes(const struct explaining *x, size_t from, size_t to, bool text)
{
    for (size_t i = from; i < to && i < from + 32; i++)
        if (text && x->frame[i] >= ' ' && x->frame[i] < 0x7f)
            fputc(x->frame[i], x->out);
        else
            fprintf(x->out, text ? "\\x%02x" : "%02x", x->frame[i]);
    fprintf(x->out, "%s", to > from + 32 ? "…" : "");
}

static void print_how(const struct explaining *x, size_t offset_bits, unsigned width_bits)
{
    char how[200];
    int entry = entry_at(x->packet, offset_bits, width_bits);
    if (entry >= 0) {
        vary_describe(x->packet->vary, (size_t)entry, how, sizeof how);
        fprintf(x->out, "   varies: %s", how);
    } else if (x->varies[offset_bits / 8] == 'c') {
        fprintf(x->out, "   follows");
    }
}

static void print_field(const struct explaining *x, const struct packet_layer *layer, unsigned f)
{
    const struct field *field = &layer->proto->fields[f];
    char value[120];
    if (layer->block_start[field->block] == UINT16_MAX || (field->alias && !(layer->given >> f & 1)))
        return;
    ptrdiff_t block = (layer->start + layer->block_start[field->block]) * 8;
    size_t at = (size_t)(block + field->offset);
    fprintf(x->out, "%5zu    %-*s ", at / 8, NAME_WIDTH, field->name);
    if (field_is_long(field)) {
        print_bytes(x, at / 8, block_end(layer, field->block), field->kind == FIELD_TEXT);
    } else if (field->kind == FIELD_MARK) {
        fputs("true", x->out);
    } else {
        fputs(field_format(field, bits_load(x->frame, at, field->width), value, sizeof value), x->out);
        print_how(x, at, field->width);
    }
    fputc('\n', x->out);
}

static void print_layers(const struct explaining *x)
{
    for (uint16_t i = 0; i < x->packet->layer_count; i++) {
        const struct packet_layer *layer = &x->packet->layers[i];
        fprintf(x->out, "%5u  %s%s%s  %s, %u bytes\n", layer->start, x->colour ? "\033[1m" : "",
                layer->proto->name, x->colour ? "\033[0m" : "", layer->proto->title, layer->bytes);
        for (unsigned f = 0; f < layer->proto->field_count; f++)
            print_field(x, layer, f);
    }
    uint32_t rest = x->bytes - x->packet->header_bytes;
    fprintf(x->out, "%5u  %s  %s, %u bytes\n", x->packet->header_bytes,
            x->packet->open ? "payload" : "padding", x->packet->payload, rest);
    if (x->packet->signature)
        fprintf(x->out, "%5u  signature  of this program, %d bytes\n", x->bytes - SIGNATURE_BYTES,
                SIGNATURE_BYTES);
}

static bool is_field(const struct packet *packet, const struct vary_target *target)
{
    for (uint16_t i = 0; i < packet->layer_count; i++) {
        const struct packet_layer *layer = &packet->layers[i];
        for (unsigned f = 0; f < layer->proto->field_count; f++) {
            const struct field *field = &layer->proto->fields[f];
            ptrdiff_t block = (layer->start + layer->block_start[field->block]) * 8;
            if (layer->block_start[field->block] != UINT16_MAX &&
                (!field->alias || (layer->given >> f & 1)) &&
                block + field->offset == (ptrdiff_t)target->offset_bits && field->width == target->width_bits)
                return true;
        }
    }
    return false;
}

/* Entries that point at bytes instead of a field that was shown. */
static void print_offsets(const struct explaining *x)
{
    char how[200];
    const struct vary *vary = x->packet->vary;
    for (size_t i = 0; vary != NULL && i < vary_count(vary); i++) {
        const struct vary_target *target = vary_target(vary, i);
        if (is_field(x->packet, target))
            continue;
        vary_describe(vary, i, how, sizeof how);
        fprintf(x->out, "%5u    %u bits   varies: %s\n", target->offset_bits / 8, target->width_bits, how);
    }
}

/* ---- dump ---- */

static void print_byte(const struct explaining *x, uint32_t i)
{
    uint8_t kind = x->varies[i];
    const char *colour = kind == 'v' ? "\033[33m" : "\033[36m";
    if (x->colour && kind != 0)
        fprintf(x->out, " %s%02x\033[0m", colour, x->frame[i]);
    else
        fprintf(x->out, " %02x", x->frame[i]);
}

/* Without colour a second line marks the bytes: ^^ varies, '' follows. */
static void print_marks(const struct explaining *x, uint32_t from, uint32_t to)
{
    bool any = false;
    for (uint32_t i = from; i < to; i++)
        any = any || x->varies[i] != 0;
    if (x->colour || !any)
        return;
    fputs("      ", x->out);
    for (uint32_t i = from; i < to; i++)
        fputs(x->varies[i] == 'v' ? " ^^" : x->varies[i] == 'c' ? " ''" : "   ", x->out);
    fputc('\n', x->out);
}

static void print_dump(const struct explaining *x)
{
    uint32_t end = x->bytes < DUMP_MAX_BYTES ? x->bytes : DUMP_MAX_BYTES;
    for (uint32_t line = 0; line < end; line += 16) {
        uint32_t to = line + 16 < end ? line + 16 : end;
        fprintf(x->out, "  %04x", line);
        for (uint32_t i = line; i < to; i++)
            print_byte(x, i);
        fputc('\n', x->out);
        print_marks(x, line, to);
    }
    if (end < x->bytes)
        fprintf(x->out, "  …    %u more bytes\n", x->bytes - end);
}

static void print_sizes(const struct explaining *x)
{
    const struct packet *packet = x->packet;
    if (packet->segmentation.segments > 1)
        fprintf(x->out, "a run of %u UDP segments of %u bytes, %u bytes in all\n",
                packet->segmentation.segments, packet->segmentation.payload_bytes, packet->largest);
    else if (packet->variants > 1)
        fprintf(x->out, "%u sizes, %u … %u bytes with FCS; the first frame:\n", packet->variants,
                packet->smallest + FCS_BYTES, packet->largest + FCS_BYTES);
    else
        fprintf(x->out, "%u bytes with FCS\n", packet->largest + FCS_BYTES);
}

void packet_explain(const struct packet *packet, FILE *out, bool colour)
{
    struct explaining x = {.packet = packet, .out = out, .colour = colour};
    struct packet_cursor *cursor = packet_cursor_new(packet, 0, 1);
    x.frame = calloc(1, packet->largest + 1u);
    x.varies = calloc(1, packet->largest + 1u);
    if (cursor != NULL && x.frame != NULL && x.varies != NULL) {
        x.bytes = packet_next_length(cursor);
        packet_stamp(cursor, x.frame);
        const struct signature_stamp stamp = {.stream = 1};
        packet_patch(cursor, x.frame, packet->signature ? &stamp : NULL);
        mark_all(&x);
        print_sizes(&x);
        print_layers(&x);
        print_offsets(&x);
        print_dump(&x);
    }
    free(x.frame);
    free(x.varies);
    packet_cursor_free(cursor);
}
