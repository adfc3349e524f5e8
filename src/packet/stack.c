/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A template becomes a stack of headers: each group is looked up in the protocol table, its fields are read,
 * what `set` and the copies change is laid over, neighbours are checked, and every header gets its place.
 * What fields become when nobody set them is decided here, by one function a rule. */
#include "packet/stack.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "packet/proto_rows.h"

#define EACH_LAYER(stack, i)    for (size_t i = 0; i < (stack)->count; i++)
#define EACH_FIELD(stack, i, f) for (unsigned f = 0; f < (stack)->layers[i].proto->field_count; f++)

const struct field *stack_field(const struct stack *stack, struct field_place place)
{
    return &stack->layers[place.layer].proto->fields[place.field];
}

struct field_value *stack_value(const struct stack *stack, struct field_place place)
{
    return &stack->layers[place.layer].values[place.field];
}

bool stack_has(const struct stack *stack, struct field_place place)
{
    return stack->layers[place.layer].block_start[stack_field(stack, place)->block] != BLOCK_ABSENT;
}

size_t stack_offset_bits(const struct stack *stack, struct field_place place)
{
    const struct layer *layer = &stack->layers[place.layer];
    const struct field *field = stack_field(stack, place);
    size_t start = (layer->start + layer->block_start[field->block]) * 8u;
    return (size_t)((ptrdiff_t)start + field->offset);
}

/* ---- reading ---- */

static bool assign(const struct stack *stack, struct field_place place, const struct node *value)
{
    struct err err = {0};
    if (field_read(stack_field(stack, place), value, stack_value(stack, place), &err) == 0)
        return true;
    complain(stack->complaints, value, "%s", err.text);
    return false;
}

static bool read_member(const struct stack *stack, size_t i, const struct node *member)
{
    const struct proto *proto = stack->layers[i].proto;
    int field = proto_field(proto, member->name);
    if (field >= 0)
        return assign(stack, (struct field_place){i, (unsigned)field}, member);
    const char *nearest = proto_nearest_field(proto, member->name);
    complain(stack->complaints, member, "%s has no field `%s`%s%s%s", proto->name, member->name,
             nearest != NULL ? "; `" : "; volleyd.conf(5) lists its fields", nearest != NULL ? nearest : "",
             nearest != NULL ? "`?" : "");
    return false;
}

static bool read_members(const struct stack *stack, size_t i, const struct node *node)
{
    const struct proto *proto = stack->layers[i].proto;
    bool good = true;
    if (node->kind == NODE_TEXT && proto->shorthand != NULL)
        return assign(stack, (struct field_place){i, (unsigned)proto_field(proto, proto->shorthand)}, node);
    if (node->kind != NODE_GROUP && (node->kind != NODE_LIST || node->children > 0)) {
        complain(stack->complaints, node, "%s is %s; a group { field = value; … } would be right", node->name,
                 node_kind_name(node->kind));
        return false;
    }
    NODE_EACH(member, node)
    good = read_member(stack, i, member) && good;
    return good;
}

static int layer_init(struct layer *layer, const struct proto *proto, const struct node *at)
{
    *layer = (struct layer){.proto = proto, .at = at};
    layer->values = calloc(proto->field_count, sizeof *layer->values);
    if (layer->values == NULL)
        return -ENOMEM;
    for (unsigned f = 0; f < proto->field_count; f++)
        if (field_preset(&proto->fields[f], &layer->values[f]) != 0)
            return -EINVAL;
    return 0;
}

static bool read_layer(struct stack *stack, const struct node *group)
{
    if (group->kind != NODE_GROUP || group->children != 1) {
        complain(stack->complaints, group,
                 "each member of a template is a group with one header, such as "
                 "{ udp = { dst = 5004; }; }");
        return false;
    }
    const struct node *node = group->child;
    const struct proto *proto = proto_find(node->name);
    if (proto == NULL) {
        const char *nearest = proto_nearest(node->name);
        complain(stack->complaints, node, "unknown header `%s`%s%s%s", node->name,
                 nearest != NULL ? "; `" : "; volleyd.conf(5) lists them", nearest != NULL ? nearest : "",
                 nearest != NULL ? "`?" : "");
        return false;
    }
    if (layer_init(&stack->layers[stack->count++], proto, node) != 0) {
        complain(stack->complaints, node, "no memory for %s", proto->name);
        return false;
    }
    return read_members(stack, stack->count - 1, node);
}

static bool read_layers(struct stack *stack, const struct packet_request *request)
{
    const struct node *list = request->layers;
    bool good = true;
    if (list == NULL || list->kind != NODE_LIST || list->children == 0) {
        complain(stack->complaints, list != NULL ? list : request->at,
                 "a template is a list of headers in wire order, such as ( { ethernet = { }; }, … )");
        return false;
    }
    if (list->children > LAYERS_MAX) {
        complain(stack->complaints, list, "%zu headers; at most %d would be right", list->children,
                 LAYERS_MAX);
        return false;
    }
    stack->layers = calloc(list->children, sizeof *stack->layers);
    if (stack->layers == NULL) {
        complain(stack->complaints, list, "out of memory");
        return false;
    }
    NODE_EACH(group, list)
    good = read_layer(stack, group) && good;
    return good;
}

/* ---- finding ---- */

static int no_such_header(const struct stack *stack, const char *name, int length, struct err *err)
{
    char have[200] = "";
    size_t used = 0;
    EACH_LAYER(stack, i)
    if (used < sizeof have)
        used += (size_t)snprintf(have + used, sizeof have - used, "%s%s", i > 0 ? ", " : "",
                                 stack->layers[i].proto->name);
    return err_set(err, -ENOENT, "the packet has no `%.*s`; its headers are %s", length, name, have);
}

/* Splits "ipv4[2].dst". The index is 1-based; 0 says that it is not a name like this. */
static size_t split_name(const char *name, size_t *header, const char **field)
{
    size_t index = 1;
    char *end = NULL;
    *header = strcspn(name, "[.");
    const char *at = name + *header;
    if (*at == '[') {
        index = strtoul(at + 1, &end, 10);
        if (end == at + 1 || *end != ']')
            return 0;
        at = end + 1;
    }
    *field = at + 1;
    return *at == '.' ? index : 0;
}

int stack_find(const struct stack *stack, const char *name, struct field_place *out, struct err *err)
{
    size_t header, seen = 0, index;
    const char *field_name;
    index = split_name(name, &header, &field_name);
    if (index == 0)
        return err_set(err, -EINVAL, "`%.80s` is not a field; header.field or header[2].field would be right",
                       name);
    EACH_LAYER(stack, i)
    {
        const struct proto *proto = stack->layers[i].proto;
        if (strlen(proto->name) != header || strncmp(proto->name, name, header) != 0 || ++seen != index)
            continue;
        int field = proto_field(proto, field_name);
        if (field >= 0) {
            *out = (struct field_place){i, (unsigned)field};
            return 0;
        }
        const char *nearest = proto_nearest_field(proto, field_name);
        return err_set(err, -ENOENT, "%s has no field `%.60s`%s%s%s", proto->name, field_name,
                       nearest != NULL ? "; `" : "", nearest != NULL ? nearest : "",
                       nearest != NULL ? "`?" : "");
    }
    return no_such_header(stack, name, (int)strcspn(name, "."), err);
}

static bool set_field(const struct stack *stack, const char *name, const struct node *at,
                      const struct node *value)
{
    struct err err = {0};
    struct field_place place;
    if (stack_find(stack, name, &place, &err) == 0)
        return assign(stack, place, value);
    complain(stack->complaints, at, "%s", err.text);
    return false;
}

static bool read_setting(const struct stack *stack, const struct node *group)
{
    const struct node *field = group->kind == NODE_GROUP ? node_find(group, "field") : NULL;
    const struct node *value = group->kind == NODE_GROUP ? node_find(group, "value") : NULL;
    if (field == NULL || field->kind != NODE_TEXT || value == NULL || group->children != 2) {
        complain(stack->complaints, group,
                 "set is a list of groups such as { field = \"vlan.id\"; value = 5; }");
        return false;
    }
    return set_field(stack, field->text, field, value);
}

static bool apply_changes(const struct stack *stack, const struct packet_request *request)
{
    bool good = true;
    if (request->set != NULL && request->set->kind != NODE_LIST) {
        good = read_setting(stack, request->set);
    } else if (request->set != NULL) {
        NODE_EACH(group, request->set)
        good = read_setting(stack, group) && good;
    }
    for (size_t i = 0; i < request->override_count; i++) {
        const struct packet_override *change = &request->overrides[i];
        struct node value = *change->at;
        value.kind = NODE_TEXT;
        value.text = change->value;
        good = set_field(stack, change->field, change->at, &value) && good;
    }
    return good;
}

/* ---- neighbours ---- */

/* "ipv4, ipv6": the headers that carry a space in which proto has a number. */
static void name_carriers(const struct proto *proto, char *out, size_t size)
{
    size_t used = 0;
    *out = '\0';
    for (size_t i = 0; protos[i] != NULL; i++)
        if (proto_carried(proto, protos[i]->carries) != NULL && used < size)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? ", " : "", protos[i]->name);
}

static bool may_begin(const struct proto *proto, bool cooked)
{
    return proto == &proto_raw || proto_carried(proto, cooked ? SPACE_ETHERTYPE : SPACE_FRAME) != NULL;
}

static bool check_neighbours(const struct stack *stack, bool cooked)
{
    bool good = true;
    char carriers[240];
    if (!may_begin(stack->layers[0].proto, cooked)) {
        complain(stack->complaints, stack->layers[0].at, "%s cannot be the first header; %s would be right",
                 stack->layers[0].proto->name,
                 cooked ? "on a cooked port the kernel writes Ethernet's: ipv4, ipv6, arp or raw"
                        : "ethernet or raw");
        good = false;
    }
    for (size_t i = 1; i < stack->count; i++) {
        const struct proto *before = stack->layers[i - 1].proto, *proto = stack->layers[i].proto;
        if (before == &proto_raw || proto == &proto_raw || proto_carried(proto, before->carries) != NULL)
            continue;
        name_carriers(proto, carriers, sizeof carriers);
        complain(stack->complaints, stack->layers[i].at,
                 "%s cannot follow %s; it follows %s, or a raw group between the two", proto->name,
                 before->name, carriers);
        good = false;
    }
    return good;
}

/* ---- layout ---- */

static bool block_given(const struct layer *layer, unsigned block)
{
    for (unsigned f = 0; f < layer->proto->field_count; f++)
        if (layer->proto->fields[f].block == block && layer->values[f].given != GIVEN_NOT)
            return true;
    return false;
}

static size_t block_length(const struct layer *layer, unsigned block)
{
    const struct block *row = &layer->proto->blocks[block];
    size_t bytes = row->bytes != 0 ? row->bytes : row->prefix_bytes;
    for (unsigned f = 0; row->bytes == 0 && f < layer->proto->field_count; f++)
        if (layer->proto->fields[f].block == block)
            bytes += layer->values[f].length;
    return bytes;
}

static void lay_out_layer(struct layer *layer, uint32_t start)
{
    const struct proto *proto = layer->proto;
    uint32_t bytes = proto->bytes;
    layer->start = start;
    layer->block_bytes[0] = proto->bytes;
    for (unsigned b = 1; b < proto->block_count; b++) {
        layer->block_start[b] = BLOCK_ABSENT;
        if (!proto->blocks[b].always && !block_given(layer, b))
            continue;
        layer->block_start[b] = (uint16_t)bytes;
        layer->block_bytes[b] = (uint16_t)block_length(layer, b);
        bytes += layer->block_bytes[b];
    }
    if (proto->align > 1)
        bytes = (bytes + proto->align - 1u) / proto->align * proto->align;
    layer->bytes = bytes;
}

/* A header's own length must fit into the field that says it. */
static bool check_header_length(const struct stack *stack, size_t i)
{
    const struct layer *layer = &stack->layers[i];
    EACH_FIELD(stack, i, f)
    {
        const struct field *field = &layer->proto->fields[f];
        uint64_t most = (uint64_t)bits_mask(field->width) * field->unit + field->bias;
        if (field->automatic != AUTO_HEADER || layer->bytes <= most)
            continue;
        complain(stack->complaints, layer->at,
                 "%s with its options has %u bytes; at most %" PRIu64 " would be right", layer->proto->name,
                 layer->bytes, most);
        return false;
    }
    return true;
}

/* So must an option's. */
static bool check_block_lengths(const struct stack *stack, const struct layer *layer)
{
    for (unsigned b = 1; b < layer->proto->block_count; b++) {
        const struct block *block = &layer->proto->blocks[b];
        unsigned most = (unsigned)bits_mask(block->length_width);
        if (block->length_width == 0 || layer->block_bytes[b] <= most + block->length_bias)
            continue;
        complain(stack->complaints, layer->at,
                 "a text of %s has %u bytes with its head; at most %u would be right", layer->proto->name,
                 layer->block_bytes[b], most + block->length_bias);
        return false;
    }
    return true;
}

static bool lay_out(struct stack *stack)
{
    uint32_t at = 0;
    bool good = true;
    EACH_LAYER(stack, i)
    {
        lay_out_layer(&stack->layers[i], at);
        good = check_header_length(stack, i) && check_block_lengths(stack, &stack->layers[i]) && good;
        at += stack->layers[i].bytes;
        if (at > FRAME_MAX_BYTES) {
            complain(stack->complaints, stack->layers[i].at, "the headers have more than %d bytes",
                     FRAME_MAX_BYTES);
            return false;
        }
    }
    stack->header_bytes = at;
    return good;
}

static bool tpid_has_room(const struct stack *stack)
{
    struct field_place place = {0, 0};
    for (; place.field < stack->layers[0].proto->field_count; place.field++)
        if (stack_field(stack, place)->offset < 0 && stack_value(stack, place)->given != GIVEN_NOT) {
            complain(stack->complaints, stack_value(stack, place)->at,
                     "%s stands in the header before, and there is none", stack_field(stack, place)->name);
            return false;
        }
    return true;
}

int stack_read(const struct packet_request *request, struct stack *out, struct complaints *complaints)
{
    *out = (struct stack){.complaints = complaints};
    bool good = read_layers(out, request);
    if (out->count == 0 || !good)
        return -EINVAL;
    good = apply_changes(out, request);
    good = check_neighbours(out, request->cooked) && good;
    good = tpid_has_room(out) && good;
    if (!good || !lay_out(out))
        return -EINVAL;
    /* A signature is payload, also where nobody would expect any. */
    out->open = !out->layers[out->count - 1].proto->closed ||
                (request->signature && stack_ip_before(out, out->count) >= 0);
    return 0;
}

void stack_fini(struct stack *stack)
{
    EACH_LAYER(stack, i)
    {
        for (unsigned f = 0; stack->layers[i].values != NULL && f < stack->layers[i].proto->field_count; f++)
            field_value_fini(&stack->layers[i].values[f]);
        free(stack->layers[i].values);
    }
    free(stack->layers);
    *stack = (struct stack){0};
}

int stack_ip_before(const struct stack *stack, size_t i)
{
    while (i-- > 0)
        if (stack->layers[i].proto == &proto_ipv4 || stack->layers[i].proto == &proto_ipv6)
            return (int)i;
    return -1;
}

/* ---- automatic values: one function a rule ---- */

/* A header may say its own number: vlan.tpid. */
static bool own_number(const struct layer *layer, uint64_t *out)
{
    for (unsigned f = 0; f < layer->proto->field_count; f++)
        if (layer->proto->fields[f].offset < 0 && layer->values[f].given == GIVEN_VALUE) {
            *out = (uint64_t)layer->values[f].number;
            return true;
        }
    return false;
}

static bool next_number(const struct stack *stack, struct field_place place, uint64_t *out)
{
    size_t next = place.layer + 1;
    const struct carried *carried =
        next < stack->count
            ? proto_carried(stack->layers[next].proto, stack->layers[place.layer].proto->carries)
            : NULL;
    if (carried == NULL)
        return false;
    if (own_number(&stack->layers[next], out))
        return true;
    bool stacked = next + 1 < stack->count && stack->layers[next + 1].proto == stack->layers[next].proto;
    *out = stacked && carried->stacked != 0 ? carried->stacked : carried->number;
    return *out != NUMBER_IS_LENGTH;
}

static bool header_units(const struct stack *stack, struct field_place place, uint64_t *out)
{
    const struct field *field = stack_field(stack, place);
    *out = (stack->layers[place.layer].bytes - field->bias) / field->unit;
    return true;
}

static bool is_last(const struct stack *stack, struct field_place place, uint64_t *out)
{
    size_t next = place.layer + 1;
    *out = next >= stack->count || stack->layers[next].proto != stack->layers[place.layer].proto;
    return true;
}

static size_t records_after(const struct stack *stack, size_t i)
{
    size_t records = 0;
    for (size_t j = i + 1; j < stack->count; j++)
        records += proto_carried(stack->layers[j].proto, stack->layers[i].proto->carries) != NULL;
    return records;
}

static size_t members_of(const struct layer *layer, unsigned block)
{
    for (unsigned f = 0; f < layer->proto->field_count; f++)
        if (layer->proto->fields[f].block == block && layer->proto->fields[f].repeats)
            return layer->values[f].length * 8 / layer->proto->fields[f].width;
    return 0;
}

static bool count_members(const struct stack *stack, struct field_place place, uint64_t *out)
{
    const struct field *field = stack_field(stack, place);
    size_t count = field->of == 0 ? records_after(stack, place.layer)
                                  : members_of(&stack->layers[place.layer], field->of);
    *out = count > field->bias ? count - field->bias : 0;
    return true;
}

static bool is_present(const struct stack *stack, struct field_place place, uint64_t *out)
{
    *out = stack->layers[place.layer].block_start[stack_field(stack, place)->of] != BLOCK_ABSENT;
    return true;
}

/* RFC 1112 and RFC 2464: the MAC of a multicast group. */
static bool group_mac(const struct stack *stack, size_t i, uint64_t *out)
{
    const struct layer *layer = &stack->layers[i];
    wide address = layer->values[proto_field(layer->proto, "dst")].number;
    if (layer->proto == &proto_ipv4 && address >> 28 == 0xe)
        *out = UINT64_C(0x01005e000000) | ((uint64_t)address & 0x7fffff);
    else if (layer->proto == &proto_ipv6 && address >> 120 == 0xff)
        *out = UINT64_C(0x333300000000) | ((uint64_t)address & 0xffffffff);
    else
        return false;
    return true;
}

static bool fitting_destination(const struct stack *stack, struct field_place place, uint64_t *out)
{
    uint8_t mac[6];
    for (size_t i = place.layer + 1; i < stack->count; i++) {
        const struct proto *proto = stack->layers[i].proto;
        if (proto == &proto_ethernet)
            return false;
        if (proto == &proto_ipv4 || proto == &proto_ipv6)
            return group_mac(stack, i, out);
        if (proto->destination != NULL && units_mac(proto->destination, mac, NULL) == 0) {
            *out = (uint64_t)bits_load(mac, 0, 48);
            return true;
        }
    }
    return false;
}

typedef bool automatic_rule(const struct stack *stack, struct field_place place, uint64_t *out);
static automatic_rule *const rules[AUTO_COUNT_RULES] = {
    [AUTO_NEXT] = next_number,
    [AUTO_TYPE] = next_number,
    [AUTO_HEADER] = header_units,
    [AUTO_LAST] = is_last,
    [AUTO_COUNT] = count_members,
    [AUTO_PRESENT] = is_present,
    [AUTO_DESTINATION] = fitting_destination,
};

bool stack_automatic(const struct stack *stack, struct field_place place, uint64_t *out)
{
    automatic_rule *rule = rules[stack_field(stack, place)->automatic];
    return rule != NULL && rule(stack, place, out);
}

bool stack_is_length(const struct stack *stack, struct field_place place)
{
    const struct field *field = stack_field(stack, place);
    if (stack_value(stack, place)->given == GIVEN_VALUE || !stack_has(stack, place))
        return false;
    if (field->automatic != AUTO_TYPE)
        return field->automatic == AUTO_LENGTH;
    const struct carried *carried = place.layer + 1 < stack->count
                                        ? proto_carried(stack->layers[place.layer + 1].proto, SPACE_ETHERTYPE)
                                        : NULL;
    return carried != NULL && carried->number == NUMBER_IS_LENGTH;
}

/* Where the payload of a header ends. */
static uint32_t payload_end(const struct stack *stack, size_t i, uint32_t frame_bytes)
{
    for (size_t j = i + 1; stack->layers[i].proto->sibling && j < stack->count; j++)
        if (proto_carried(stack->layers[j].proto, stack->layers[i].proto->carries) != NULL)
            return stack->layers[j].start;
    return stack->open ? frame_bytes : stack->header_bytes;
}

uint64_t stack_length(const struct stack *stack, struct field_place place, uint32_t frame_bytes)
{
    const struct layer *layer = &stack->layers[place.layer];
    const struct field *field = stack_field(stack, place);
    uint32_t bytes = payload_end(stack, place.layer, frame_bytes) - layer->start;
    return field->automatic == AUTO_TYPE ? bytes - layer->bytes : (bytes - field->bias) / field->unit;
}

/* ---- writing ---- */

uint64_t stack_spoil(uint64_t right, unsigned width_bits)
{
    uint64_t mask = (uint64_t)bits_mask(width_bits);
    uint64_t bad = (right ^ UINT64_C(0x5555555555555555)) & mask;
    return bad != 0 ? bad : UINT64_C(0x2aaaaaaaaaaaaaaa) & mask;
}

static void write_blocks(const struct layer *layer, uint8_t *frame)
{
    for (unsigned b = 1; b < layer->proto->block_count; b++) {
        const struct block *block = &layer->proto->blocks[b];
        size_t at = layer->start + layer->block_start[b];
        if (layer->block_start[b] == BLOCK_ABSENT)
            continue;
        if (block->prefix_bytes > 0)
            memcpy(frame + at, block->prefix, block->prefix_bytes);
        if (block->length_width > 0)
            bits_store(frame, at * 8 + block->length_offset, block->length_width,
                       (wide)layer->block_bytes[b] - block->length_bias);
    }
}

static void write_field(const struct stack *stack, struct field_place place, uint8_t *frame)
{
    const struct field *field = stack_field(stack, place);
    const struct field_value *value = stack_value(stack, place);
    size_t at = stack_offset_bits(stack, place);
    wide number = value->number;
    uint64_t automatic;
    if (field_is_long(field)) {
        if (value->length > 0)
            memcpy(frame + at / 8, value->bytes, value->length);
        return;
    }
    if (value->given != GIVEN_VALUE && stack_automatic(stack, place, &automatic))
        number = automatic;
    if (value->given == GIVEN_BAD && field->automatic != AUTO_CHECKSUM) /* a sum begins with zero */
        number = stack_spoil((uint64_t)number, field->width);
    bits_store(frame, at, field->width, number);
}

/* Where a given value is not what would be right: it goes out as given, and the person is told. */
static void warn_contradiction(const struct stack *stack, struct field_place place)
{
    const struct field *field = stack_field(stack, place);
    const struct field_value *value = stack_value(stack, place);
    uint64_t right;
    char given[64], would[64];
    if (value->given != GIVEN_VALUE || field->automatic == AUTO_DESTINATION ||
        !stack_automatic(stack, place, &right) || value->number == right)
        return;
    complain_warn(stack->complaints, value->at, "%s is %s; %s would agree with the rest of the packet",
                  field->name, field_format(field, value->number, given, sizeof given),
                  field_format(field, right, would, sizeof would));
}

/* Defaults before given values: an alias may be given where its other name has a default. */
static void write_pass(const struct stack *stack, bool given, uint8_t *frame)
{
    EACH_LAYER(stack, i)
    EACH_FIELD(stack, i, f)
    {
        struct field_place place = {i, f};
        bool is_given = stack_value(stack, place)->given != GIVEN_NOT;
        if (!stack_has(stack, place) || is_given != given || (!given && stack_field(stack, place)->alias))
            continue;
        write_field(stack, place, frame);
        warn_contradiction(stack, place);
    }
}

void stack_write(const struct stack *stack, uint8_t *frame)
{
    EACH_LAYER(stack, i)
    write_blocks(&stack->layers[i], frame);
    write_pass(stack, false, frame);
    write_pass(stack, true, frame);
}
