/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checksums and lengths while compiling. Every automatic checksum has a scope; where nothing in it varies its
 * value is a constant of the variant, else its base is: the sum of all that stands still. Frame sizes go up,
 * and the sum of the payload so far goes along, so that 2,048 sizes cost little more than the largest. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "packet/build.h"
#include "packet/checks.h"
#include "packet/proto_rows.h"
#include "packet/signature.h"

/* ---- scopes ---- */

static struct range field_bytes(const struct build *build, size_t layer, const char *name)
{
    const struct proto *proto = build->stack.layers[layer].proto;
    struct field_place place = {layer, (unsigned)proto_field(proto, name)};
    uint32_t from = (uint32_t)(stack_offset_bits(&build->stack, place) / 8);
    return (struct range){from, from + stack_field(&build->stack, place)->width / 8u};
}

/* RFC 8200 §8.1: while segments are left, the pseudo header has the final destination of the routing header.
 */
static struct range final_destination(const struct build *build, size_t ip, size_t layer)
{
    for (size_t i = ip + 1; i < layer; i++) {
        const struct layer *routing = &build->stack.layers[i];
        if (routing->proto != &proto_routing)
            continue;
        const struct field_value *values = routing->values;
        size_t segments = (size_t)proto_field(&proto_routing, "segments");
        uint32_t first = routing->start + proto_routing.bytes, length = (uint32_t)values[segments].length;
        if (values[proto_field(&proto_routing, "segments_left")].number == 0 || length == 0)
            continue;
        if (values[proto_field(&proto_routing, "type")].number != 4) /* the others name it last */
            first += length - 16;
        return (struct range){first, first + 16};
    }
    return field_bytes(build, ip, "dst");
}

static uint32_t ip_number(const struct proto *proto)
{
    const struct carried *carried = proto_carried(proto, SPACE_IP);
    return carried != NULL ? carried->number : 0;
}

static bool add_pseudo_header(struct build *build, struct scope *scope)
{
    const struct stack *stack = &build->stack;
    int ip = stack_ip_before(stack, scope->place.layer);
    if (ip < 0)
        return true;
    if ((stack->layers[ip].start ^ scope->bytes.from) & 1) {
        complain(
            build->complaints, stack->layers[scope->place.layer].at,
            "an odd number of raw bytes stands between this header and its addresses; an even number, or a "
            "checksum set by hand, would be right");
        return false;
    }
    scope->has_pseudo = true;
    scope->pseudo = ip_number(stack->layers[scope->place.layer].proto);
    scope->source = field_bytes(build, (size_t)ip, "src");
    scope->destination = final_destination(build, (size_t)ip, scope->place.layer);
    return true;
}

static bool add_scope(struct build *build, struct field_place place)
{
    const struct stack *stack = &build->stack;
    const struct layer *layer = &stack->layers[place.layer];
    size_t at = stack_offset_bits(stack, place);
    if (stack_field(stack, place)->automatic != AUTO_CHECKSUM || !stack_has(stack, place) ||
        stack_value(stack, place)->given == GIVEN_VALUE ||
        build_varies(build, at, stack_field(stack, place)->width))
        return true;
    struct scope *scope = &build->scopes[build->scope_count++];
    *scope = (struct scope){.place = place, .offset = (uint32_t)(at / 8), .bytes.from = layer->start};
    if (layer->proto->checksum == CHECKSUM_HEADER)
        scope->bytes.to = layer->start + layer->bytes;
    else
        scope->bytes.to = stack->open ? 0 : stack->header_bytes;
    return layer->proto->checksum != CHECKSUM_PSEUDO || add_pseudo_header(build, scope);
}

int build_find_scopes(struct build *build)
{
    for (size_t i = build->stack.count; i-- > 0;)
        for (unsigned f = 0; f < build->stack.layers[i].proto->field_count; f++)
            if (!add_scope(build, (struct field_place){i, f}))
                return -EINVAL;
    return 0;
}

/* ---- what varies ---- */

static bool meets(struct range a, struct range b)
{
    return a.from < b.to && b.from < a.to;
}

static bool is_source(const struct scope *scope, struct range bytes)
{
    struct range own = {scope->bytes.from, scope->bytes.to != 0 ? scope->bytes.to : UINT32_MAX};
    return meets(bytes, own) || meets(bytes, scope->source) || meets(bytes, scope->destination);
}

static bool is_crc(const struct build *build, const struct scope *scope)
{
    return build->stack.layers[scope->place.layer].proto->checksum == CHECKSUM_CRC32C;
}

/* Writes the sources of one check at `at` (NULL: only counts them). */
static size_t find_sources(const struct build *build, size_t s, uint16_t *at)
{
    const struct packet *packet = build->packet;
    size_t count = 0, check = 0;
    for (size_t p = 0; p < packet->patch_count; p++) {
        const struct patch *patch = &packet->patches[p];
        if (!is_source(&build->scopes[s], (struct range){patch->offset, patch->offset + patch->bytes}))
            continue;
        if (at != NULL)
            at[count] = (uint16_t)p;
        count++;
    }
    for (size_t inner = 0; inner < s; inner++) {
        const struct scope *scope = &build->scopes[inner];
        if (!scope->varies)
            continue;
        if (is_source(&build->scopes[s], (struct range){scope->offset, scope->offset + 2})) {
            if (at != NULL)
                at[count] = (uint16_t)(packet->patch_count + check);
            count++;
        }
        check++;
    }
    return count;
}

static struct check check_of(const struct build *build, const struct scope *scope)
{
    bool bad = build->stack.layers[scope->place.layer].values[scope->place.field].given == GIVEN_BAD;
    return (struct check){.offset = (uint16_t)scope->offset,
                          .from = (uint16_t)scope->bytes.from,
                          .to = (uint16_t)scope->bytes.to,
                          .crc32c = is_crc(build, scope),
                          .odd = scope->bytes.from % 2 != 0,
                          .optional = stack_field(&build->stack, scope->place)->optional,
                          .flip = bad ? 0x5555 : 0};
}

static int build_checks(struct build *build)
{
    struct packet *packet = build->packet;
    size_t total = 0;
    for (size_t s = 0; s < build->scope_count; s++) {
        struct scope *scope = &build->scopes[s];
        size_t sources = find_sources(build, s, NULL);
        scope->varies = sources > 0 || (is_crc(build, scope) && packet->signature);
        packet->check_count = (uint16_t)(packet->check_count + scope->varies);
        total += sources;
    }
    packet->checks = calloc((size_t)packet->check_count + 1, sizeof *packet->checks);
    packet->sources = calloc(total + 1, sizeof *packet->sources);
    if (packet->checks == NULL || packet->sources == NULL)
        return -ENOMEM;
    size_t at = 0, check = 0;
    for (size_t s = 0; s < build->scope_count; s++) {
        if (!build->scopes[s].varies)
            continue;
        struct check *row = &packet->checks[check++];
        *row = check_of(build, &build->scopes[s]);
        row->first_source = (uint16_t)at;
        row->sources = (uint16_t)find_sources(build, s, packet->sources + at);
        at += row->sources;
    }
    return 0;
}

/* ---- rows ---- */

struct filling {
    struct build *build;
    uint8_t *frame;     /* the image with zeros for what varies */
    uint32_t bytes;     /* of this variant */
    uint32_t summed;    /* end of the payload in tail */
    uint64_t tail;      /* sum of the payload so far */
    uint16_t signature; /* what a signature adds */
    uint16_t *row;      /* where the next value goes */
};

/* The payload up to this variant's end, its signature included. */
static uint64_t tail_sum(struct filling *filling)
{
    uint32_t end = filling->bytes - (filling->build->packet->signature ? SIGNATURE_BYTES : 0);
    if (filling->summed < end) {
        filling->tail += checksum_sum(filling->frame, filling->summed, end);
        filling->summed = end;
    }
    return filling->tail + (end % 2 != 0 ? checksum_swap(filling->signature) : filling->signature);
}

static uint16_t still_sum(struct filling *filling, const struct scope *scope)
{
    uint32_t headers = filling->build->stack.header_bytes;
    uint64_t sum = scope->bytes.to != 0
                       ? checksum_sum(filling->frame, scope->bytes.from, scope->bytes.to)
                       : checksum_sum(filling->frame, scope->bytes.from, headers) + tail_sum(filling);
    if (scope->has_pseudo) {
        uint32_t to = scope->bytes.to != 0 ? scope->bytes.to : filling->bytes;
        uint16_t rest = checksum_fold((uint64_t)scope->pseudo + (to - scope->bytes.from));
        sum += checksum_sum(filling->frame, scope->source.from, scope->source.to);
        sum += checksum_sum(filling->frame, scope->destination.from, scope->destination.to);
        sum += scope->bytes.from % 2 != 0 ? checksum_swap(rest) : rest;
    }
    return checksum_fold(sum);
}

static void fill_check(struct filling *filling, const struct scope *scope, uint16_t **base)
{
    const struct check check = check_of(filling->build, scope);
    if (scope->varies) {
        *(*base)++ = check.crc32c ? 0 : still_sum(filling, scope);
        return;
    }
    if (check.crc32c) {
        check_store_crc(&check, filling->frame, filling->bytes);
        *filling->row++ = load_be16(filling->frame + check.offset);
        *filling->row++ = load_be16(filling->frame + check.offset + 2);
        return;
    }
    store_be16(filling->frame + check.offset, 0); /* what the variant before had */
    uint16_t value = check_finish(&check, still_sum(filling, scope));
    store_be16(filling->frame + check.offset, value);
    *filling->row++ = value;
}

static void fill_length(struct filling *filling, struct field_place place)
{
    const struct stack *stack = &filling->build->stack;
    uint64_t value = stack_length(stack, place, filling->bytes);
    if (stack_value(stack, place)->given == GIVEN_BAD)
        value = stack_spoil(value, 16);
    store_be16(filling->frame + stack_offset_bits(stack, place) / 8, (uint16_t)value);
    *filling->row++ = (uint16_t)value;
}

static void fill_row(struct filling *filling, uint32_t variant)
{
    struct build *build = filling->build;
    struct packet *packet = build->packet;
    filling->row = packet->rows + (size_t)variant * packet->row_words;
    uint16_t *base = filling->row + packet->cell_count;
    for (size_t i = 0; i < build->length_count; i++)
        fill_length(filling, build->lengths[i]);
    for (size_t s = 0; s < build->scope_count; s++)
        fill_check(filling, &build->scopes[s], &base);
}

static void name_cells(const struct build *build, struct packet *packet)
{
    uint16_t *cell = packet->cells;
    for (size_t i = 0; i < build->length_count; i++)
        *cell++ = (uint16_t)(stack_offset_bits(&build->stack, build->lengths[i]) / 8);
    for (size_t s = 0; s < build->scope_count; s++) {
        if (build->scopes[s].varies)
            continue;
        *cell++ = (uint16_t)build->scopes[s].offset;
        if (is_crc(build, &build->scopes[s]))
            *cell++ = (uint16_t)(build->scopes[s].offset + 2);
    }
    packet->cell_count = (uint16_t)(cell - packet->cells);
}

static uint16_t signature_sum(void)
{
    uint8_t bytes[SIGNATURE_BYTES];
    signature_write(bytes, &(struct signature_stamp){.nonce = 1, .stream = 1});
    return checksum_sum(bytes, 0, sizeof bytes);
}

int build_rows(struct build *build)
{
    struct packet *packet = build->packet;
    int result = build_checks(build);
    if (result != 0)
        return result;
    packet->cells = calloc(build->length_count + 2 * build->scope_count + 1, sizeof *packet->cells);
    struct filling filling = {.build = build,
                              .frame = malloc(build->frame_bytes + 1u),
                              .summed = build->stack.header_bytes,
                              .signature = packet->signature ? signature_sum() : 0};
    result = -ENOMEM;
    if (packet->cells == NULL || filling.frame == NULL)
        goto fail;
    name_cells(build, packet);
    packet->row_words = (uint16_t)(packet->cell_count + packet->check_count);
    packet->rows = calloc((size_t)packet->variants * packet->row_words + 1, sizeof *packet->rows);
    if (packet->rows == NULL)
        goto fail;
    memcpy(filling.frame, packet->image, build->frame_bytes);
    for (size_t p = 0; p < packet->patch_count; p++)
        memset(filling.frame + packet->patches[p].offset, 0, packet->patches[p].bytes);
    for (uint32_t v = 0; v < packet->variants; v++) {
        filling.bytes = packet->variants > 1 ? sizes_distinct(packet->sizes, v) : build->frame_bytes;
        fill_row(&filling, v);
    }
    result = 0;
fail:
    free(filling.frame);
    return result;
}
