/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a request to a packet: read the stack of headers, then sizes, payload and variations on top of it,
 * write the image of the largest frame, and work out what differs among sizes and what varies. Main thread;
 * pure. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/units.h"
#include "config/schema.h"
#include "packet/build.h"
#include "packet/checks.h"
#include "packet/proto_rows.h"
#include "packet/signature.h"

/* ---- sizes and payload ---- */

static uint32_t least_bytes(const struct build *build)
{
    uint32_t least = build->stack.header_bytes + (build->packet->signature ? SIGNATURE_BYTES : 0);
    return least < FRAME_MIN_BYTES ? FRAME_MIN_BYTES : least;
}

static int read_sizes(struct build *build)
{
    const struct packet_request *request = build->request;
    struct packet *packet = build->packet;
    int result = sizes_compile(request->at, request->size, request->mix, least_bytes(build), FRAME_MAX_BYTES,
                               &packet->sizes, build->complaints);
    if (result != 0)
        return result;
    packet->variants = sizes_count(packet->sizes);
    packet->smallest = sizes_distinct(packet->sizes, 0);
    packet->largest = sizes_distinct(packet->sizes, packet->variants - 1);
    build->frame_bytes = packet->largest;
    return 0;
}

static int read_payload(struct build *build)
{
    int result = payload_compile(build->request->payload, build->request->may_read_files, &build->payload,
                                 build->complaints);
    if (result == 0)
        build->packet->payload = strdup(payload_describe(build->payload));
    return result == 0 && build->packet->payload == NULL ? -ENOMEM : result;
}

/* ---- UDP segmentation ---- */

static int refuse_segments(const struct build *build, const char *why)
{
    complain(build->complaints, build->request->at, "UDP segmentation offload: %s", why);
    return -EINVAL;
}

/* The kernel cuts a run of UDP payloads itself: one header for all, so nothing in it may vary. */
static int read_segments(struct build *build)
{
    struct packet *packet = build->packet;
    const struct stack *stack = &build->stack;
    uint16_t segments = build->request->segments;
    if (segments <= 1)
        return 0;
    const struct layer *last = &stack->layers[stack->count - 1];
    if (last->proto != &proto_udp || stack_ip_before(stack, stack->count) != (int)stack->count - 2)
        return refuse_segments(build, "the headers must end with ipv4 or ipv6, then udp");
    if (build->request->vary != NULL && build->request->vary->children > 0)
        return refuse_segments(build, "vary cannot reach into the segments of a run; leave offload out");
    if (packet->variants != 1)
        return refuse_segments(build, "all frames must have one size");
    uint32_t payload = packet->largest - stack->header_bytes;
    uint64_t run = stack->header_bytes + (uint64_t)payload * segments;
    if (payload == 0 || run - stack->layers[stack->count - 2].start > UINT16_MAX)
        return refuse_segments(build, "a run must have some payload, and at most 65,535 bytes of IP");
    build->frame_bytes = (uint32_t)run;
    packet->segmentation = (struct packet_segmentation){.header_bytes = (uint16_t)stack->header_bytes,
                                                        .payload_bytes = (uint16_t)payload,
                                                        .checksum_start = (uint16_t)last->start,
                                                        .checksum_offset = 6,
                                                        .segments = segments};
    return 0;
}

/* ---- the image ---- */

static int write_image(struct build *build)
{
    struct packet *packet = build->packet;
    uint32_t headers = build->stack.header_bytes, payload = packet->largest - headers;
    packet->image = calloc(1, build->frame_bytes + 8u);
    if (packet->image == NULL)
        return -ENOMEM;
    for (uint32_t at = headers; at < build->frame_bytes; at += payload)
        payload_fill(build->payload, packet->image + at, payload);
    stack_write(&build->stack, packet->image);
    return 0;
}

/* ---- vary ---- */

bool build_varies(const struct build *build, size_t offset_bits, size_t width_bits)
{
    const struct vary *vary = build->packet->vary;
    for (size_t i = 0; vary != NULL && i < vary_count(vary); i++) {
        const struct vary_target *target = vary_target(vary, i);
        if (target->offset_bits < offset_bits + width_bits &&
            offset_bits < (size_t)target->offset_bits + target->width_bits)
            return true;
    }
    return false;
}

static bool resolve_field(const struct build *build, const struct node *name, struct vary_target *out)
{
    struct err err = {0};
    struct field_place place;
    if (name->kind != NODE_TEXT || stack_find(&build->stack, name->text, &place, &err) != 0) {
        complain(build->complaints, name, "%s",
                 name->kind == NODE_TEXT ? err.text : "field is a name such as ipv4.dst");
        return false;
    }
    const struct field *field = stack_field(&build->stack, place);
    if (field_is_long(field) || field->kind == FIELD_MARK) {
        complain(build->complaints, name, "%s has no fixed width; offset and width would be right",
                 name->text);
        return false;
    }
    if (!stack_has(&build->stack, place)) {
        complain(build->complaints, name, "%s is not in the packet; give it a value in the template first",
                 name->text);
        return false;
    }
    static const uint8_t kinds[] = {
        [FIELD_NUMBER] = VARY_NUMBER, [FIELD_FLAGS] = VARY_NUMBER, [FIELD_MAC] = VARY_MAC,
        [FIELD_IPV4] = VARY_IPV4,     [FIELD_IPV6] = VARY_IPV6,    [FIELD_BYTES] = VARY_NUMBER};
    out->offset_bits = (uint32_t)stack_offset_bits(&build->stack, place);
    out->width_bits = field->width;
    out->kind = kinds[field->kind];
    out->is_mac_destination = field->automatic == AUTO_DESTINATION;
    return true;
}

static bool read_bound(const struct build *build, const struct node *entry, const char *name, uint64_t least,
                       uint64_t most, uint64_t *out)
{
    const struct node *node = node_find(entry, name);
    const struct field field = {.name = name, .kind = FIELD_NUMBER, .width = 32};
    struct field_value value = {0};
    if (node == NULL)
        return true;
    if (field_read(&field, node, &value, NULL) != 0 || value.number < least || value.number > most) {
        complain(build->complaints, node, "%s must be %" PRIu64 " … %" PRIu64, name, least, most);
        return false;
    }
    *out = (uint64_t)value.number;
    return true;
}

/* offset: bytes from the frame's start; width: bits from the highest one of that byte on. */
static bool resolve_offset(const struct build *build, const struct node *entry, struct vary_target *out)
{
    uint64_t offset = 0, width = 8;
    uint32_t end = build->packet->smallest - (build->packet->signature ? SIGNATURE_BYTES : 0);
    if (!read_bound(build, entry, "offset", 0, end - 1, &offset) ||
        !read_bound(build, entry, "width", 1, 64, &width))
        return false;
    if (offset * 8 + width > end * 8u) {
        complain(build->complaints, entry,
                 "%" PRIu64 " bits at byte %" PRIu64
                 " reach beyond the %u bytes that all frames of this stream have",
                 width, offset, end);
        return false;
    }
    out->offset_bits = (uint32_t)offset * 8;
    out->width_bits = (uint32_t)width;
    out->kind = VARY_NUMBER;
    return true;
}

static bool resolve(void *context, const struct node *entry, struct vary_target *out,
                    struct complaints *complaints)
{
    const struct build *build = context;
    struct vary_target target = {0};
    const struct node *field = node_find(entry, "field"), *offset = node_find(entry, "offset");
    if ((field == NULL) == (offset == NULL)) {
        complain(complaints, entry, "an entry of vary has either field, or offset and width");
        return false;
    }
    if (!(field != NULL ? resolve_field(build, field, &target) : resolve_offset(build, entry, &target)))
        return false;
    target.start = bits_load(build->packet->image, target.offset_bits, target.width_bits);
    *out = target;
    return true;
}

static int read_vary(struct build *build)
{
    const struct node *list = build->request->vary;
    if (list == NULL || (list->kind == NODE_LIST && list->children == 0))
        return 0;
    return vary_compile(list, resolve, build, &build->packet->vary, build->complaints);
}

/* ---- destinations that must be asked for ---- */

static const struct special_row {
    unsigned bit;
    const char *name;
    uint64_t mask, match; /* of the destination address */
} specials[] = {
    {SPECIAL_PAUSE, "pause", UINT64_C(0xffffffffffff), UINT64_C(0x0180c2000001)},
    {SPECIAL_BPDU, "bpdu", UINT64_C(0xffffffffffc0), UINT64_C(0x0180c2000000)},
    {SPECIAL_BROADCAST, "broadcast", UINT64_C(0xffffffffffff), UINT64_C(0xffffffffffff)},
    {SPECIAL_MULTICAST, "multicast", UINT64_C(0x010000000000), UINT64_C(0x010000000000)},
};
enum { SPECIALS = sizeof specials / sizeof specials[0] };

static bool ask_for(const struct build *build, const struct special_row *row, const char *what)
{
    if (build->request->special & row->bit)
        return true;
    complain(build->complaints, build->request->at, "%s %s; special = [ \"%s\" ] in the stream asks for it",
             what,
             row->bit == SPECIAL_PAUSE || row->bit == SPECIAL_BPDU ? "a control frame that switches act upon"
                                                                   : "more than one station",
             row->name);
    return false;
}

static bool check_destination(const struct build *build)
{
    uint64_t mac = (uint64_t)bits_load(build->packet->image, 0, 48);
    for (size_t i = 0; i < SPECIALS; i++)
        if ((mac & specials[i].mask) == specials[i].match)
            return ask_for(build, &specials[i], "ethernet.dst addresses");
    return true;
}

static bool check_varying_destination(const struct build *build)
{
    const struct vary *vary = build->packet->vary;
    for (size_t v = 0; vary != NULL && v < vary_count(vary); v++) {
        const struct vary_target *target = vary_target(vary, v);
        if (target->offset_bits >= 48)
            continue;
        unsigned up =
            48 - target->offset_bits > target->width_bits ? 48 - target->offset_bits - target->width_bits : 0;
        unsigned down =
            target->offset_bits + target->width_bits > 48 ? target->offset_bits + target->width_bits - 48 : 0;
        wide reach = ((bits_mask(target->width_bits) >> down) << up);
        uint64_t still = (uint64_t)bits_load(build->packet->image, 0, 48) & ~(uint64_t)reach;
        for (size_t i = 0; i < SPECIALS; i++) {
            const struct special_row *row = &specials[i];
            if ((still & row->mask & ~(uint64_t)reach) != (row->match & ~(uint64_t)reach))
                continue;
            wide mask = ((wide)(row->mask & (uint64_t)reach) >> up) << down;
            wide match = ((wide)(row->match & (uint64_t)reach) >> up) << down;
            if (vary_reaches(vary, v, mask, match) && !ask_for(build, row, "vary lets ethernet.dst address"))
                return false;
        }
    }
    return true;
}

static bool check_special(const struct build *build)
{
    bool good = true;
    for (size_t i = 0; i < build->stack.count; i++)
        for (size_t s = 0; s < SPECIALS; s++)
            if (build->stack.layers[i].proto->special == specials[s].bit)
                good = ask_for(build, &specials[s], "the template is") && good;
    if (!good || build->request->cooked)
        return good;
    return check_destination(build) && check_varying_destination(build);
}

/* ---- what is left to the frame ---- */

static int find_lengths(struct build *build)
{
    const struct stack *stack = &build->stack;
    for (size_t i = 0; i < stack->count; i++)
        for (unsigned f = 0; f < stack->layers[i].proto->field_count; f++) {
            struct field_place place = {i, f};
            if (stack_is_length(stack, place) && build->length_count < LENGTHS_MAX &&
                !build_varies(build, stack_offset_bits(stack, place), 16))
                build->lengths[build->length_count++] = place;
        }
    return 0;
}

static void warn_length(const struct build *build, struct field_place place)
{
    const struct field_value *value = stack_value(&build->stack, place);
    if (stack_field(&build->stack, place)->automatic != AUTO_LENGTH || value->given != GIVEN_VALUE)
        return;
    for (uint32_t v = 0; v < build->packet->variants; v++) {
        uint64_t right = stack_length(&build->stack, place, sizes_distinct(build->packet->sizes, v));
        if (right == value->number)
            continue;
        complain_warn(build->complaints, value->at,
                      "%s is %" PRIu64 "; %" PRIu64 " would agree with a frame of %u bytes (FCS counted)",
                      stack_field(&build->stack, place)->name, (uint64_t)value->number, right,
                      sizes_distinct(build->packet->sizes, v) + FCS_BYTES);
        return;
    }
}

static void warn_lengths(const struct build *build)
{
    for (size_t i = 0; i < build->stack.count; i++)
        for (unsigned f = 0; f < build->stack.layers[i].proto->field_count; f++)
            warn_length(build, (struct field_place){i, f});
}

/* Where the interface's address goes once it is known: not where a checksum covers it. */
static void find_sources(struct build *build)
{
    struct packet *packet = build->packet;
    for (size_t i = 0; i < build->stack.count; i++)
        for (unsigned f = 0; f < build->stack.layers[i].proto->field_count; f++) {
            struct field_place place = {i, f};
            size_t at = stack_offset_bits(&build->stack, place);
            if (stack_field(&build->stack, place)->automatic != AUTO_SOURCE ||
                stack_value(&build->stack, place)->given == GIVEN_VALUE ||
                stack_ip_before(&build->stack, i) >= 0 || build_varies(build, at, 48) ||
                packet->mac_count == SOURCES_MAX)
                continue;
            packet->mac_offset[packet->mac_count++] = (uint16_t)(at / 8);
        }
}

static int keep_layers(struct build *build)
{
    struct packet *packet = build->packet;
    packet->header_bytes = (uint16_t)build->stack.header_bytes;
    packet->open = build->stack.open;
    packet->layer_count = (uint16_t)build->stack.count;
    packet->layers = calloc(build->stack.count, sizeof *packet->layers);
    if (packet->layers == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < build->stack.count; i++) {
        const struct layer *layer = &build->stack.layers[i];
        struct packet_layer *kept = &packet->layers[i];
        kept->proto = layer->proto;
        kept->start = (uint16_t)layer->start;
        kept->bytes = (uint16_t)layer->bytes;
        memcpy(kept->block_start, layer->block_start, sizeof kept->block_start);
        for (unsigned f = 0; f < layer->proto->field_count; f++)
            if (layer->values[f].given != GIVEN_NOT)
                kept->given |= UINT64_C(1) << f;
    }
    return 0;
}

/* One size: what would be cells is written into the image for good. */
static void settle_single_variant(struct packet *packet)
{
    if (packet->variants != 1)
        return;
    for (uint16_t i = 0; i < packet->cell_count; i++)
        store_be16(packet->image + packet->cells[i], packet->rows[i]);
    memmove(packet->rows, packet->rows + packet->cell_count, packet->check_count * sizeof *packet->rows);
    packet->row_words = packet->check_count;
    packet->cell_count = 0;
}

/* The kernel completes the checksum of each segment from the sum of the pseudo header of the whole datagram.
 */
static void seed_segments(const struct build *build)
{
    struct packet *packet = build->packet;
    if (packet->segmentation.segments == 0)
        return;
    const struct scope *scope = &build->scopes[0];
    uint64_t sum = scope->pseudo + (build->frame_bytes - scope->bytes.from);
    sum += checksum_sum(packet->image, scope->source.from, scope->source.to);
    sum += checksum_sum(packet->image, scope->destination.from, scope->destination.to);
    store_be16(packet->image + packet->segmentation.checksum_start + packet->segmentation.checksum_offset,
               checksum_fold(sum));
    packet->smallest = packet->largest = build->frame_bytes;
}

/* ---- all of it, in order ---- */

static int steps(struct build *build)
{
    int (*const in_order[])(struct build *) = {read_sizes, read_payload, read_segments,     write_image,
                                               read_vary,  find_lengths, build_find_scopes, build_patches,
                                               build_rows, keep_layers};
    int result = stack_read(build->request, &build->stack, build->complaints);
    if (result != 0)
        return result;
    build->packet->signature = build->request->signature;
    for (size_t i = 0; i < sizeof in_order / sizeof in_order[0]; i++)
        if ((result = in_order[i](build)) != 0)
            return result;
    if (!check_special(build))
        return -EINVAL;
    find_sources(build);
    warn_lengths(build);
    settle_single_variant(build->packet);
    seed_segments(build);
    return 0;
}

int packet_compile(const struct packet_request *request, struct packet **out, struct complaints *complaints)
{
    struct build build = {.request = request, .complaints = complaints};
    size_t errors = complaints_errors(complaints);
    build.packet = calloc(1, sizeof *build.packet);
    int result = build.packet != NULL ? steps(&build) : -ENOMEM;
    if (result == -ENOMEM && complaints_errors(complaints) == errors)
        complain(complaints, request->at, "out of memory");
    stack_fini(&build.stack);
    payload_free(build.payload);
    if (result != 0)
        packet_free(build.packet);
    else
        *out = build.packet;
    return result;
}

struct packet *packet_ref(struct packet *packet)
{
    packet->references++;
    return packet;
}

void packet_free(struct packet *packet)
{
    if (packet == NULL || packet->references-- > 0)
        return;
    sizes_free(packet->sizes);
    vary_free(packet->vary);
    free(packet->image);
    free(packet->rows);
    free(packet->cells);
    free(packet->patches);
    free(packet->terms);
    free(packet->checks);
    free(packet->sources);
    free(packet->layers);
    free(packet->payload);
    free(packet);
}
