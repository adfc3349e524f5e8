/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A template as a stack of headers with values and places, before any frame size is known. Main thread. */
#ifndef PACKET_STACK_H
#define PACKET_STACK_H

#include "packet/field.h"
#include "packet/packet.h"

enum { LAYERS_MAX = 64, BLOCK_ABSENT = 0xffff };

struct layer {
    const struct proto *proto;
    const struct node *at;                  /* borrowed */
    uint32_t start, bytes;                  /* of the header, from the frame's start */
    uint16_t block_start[PROTO_BLOCKS_MAX]; /* from the header's start; BLOCK_ABSENT */
    uint16_t block_bytes[PROTO_BLOCKS_MAX];
    struct field_value *values; /* owned; one a field */
};

struct stack {
    struct layer *layers; /* owned */
    size_t count;
    uint32_t header_bytes; /* of all headers */
    bool open;             /* what follows the headers is payload; else padding, which no length counts */
    struct complaints *complaints;
};

/* Reads layers, set and overrides of the request, checks that the headers may follow each other, and lays
 * them out. 0 or -EINVAL with complaints; stack_fini() in both cases. */
int stack_read(const struct packet_request *request, struct stack *out, struct complaints *complaints);
void stack_fini(struct stack *stack);

/* A field by its name in this packet: "ipv4.dst", "ipv4[2].dst". */
struct field_place {
    size_t layer;
    unsigned field;
};
int stack_find(const struct stack *stack, const char *name, struct field_place *out, struct err *err);

const struct field *stack_field(const struct stack *stack, struct field_place place);
struct field_value *stack_value(const struct stack *stack, struct field_place place);
/* Whether the field's block is in the packet, and where: bits from the frame's start. */
bool stack_has(const struct stack *stack, struct field_place place);
size_t stack_offset_bits(const struct stack *stack, struct field_place place);

/* What the rule of an automatic field says; false where it says nothing (or depends on the frame: lengths and
 * checksums). */
bool stack_automatic(const struct stack *stack, struct field_place place, uint64_t *out);
/* Whether the field is an automatic length here, and its value in a frame of so many bytes. */
bool stack_is_length(const struct stack *stack, struct field_place place);
uint64_t stack_length(const struct stack *stack, struct field_place place, uint32_t frame_bytes);

/* The nearest header before layer i that carries IP protocols and has addresses; -1 when there is none. */
int stack_ip_before(const struct stack *stack, size_t i);

/* Writes all headers: prefixes, defaults, automatic values, then what was given. Lengths and checksums stay
 * as they were given, or zero. Warns about given values that contradict the automatic ones. */
void stack_write(const struct stack *stack, uint8_t *frame);

/* A "bad" value: the right one with every other bit flipped, and never zero (UDP: no checksum). */
uint64_t stack_spoil(uint64_t right, unsigned width_bits);

#endif
