/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One field: from what was written to a value, into a header's bits and back to text. Pure; main thread. */
#ifndef PACKET_FIELD_H
#define PACKET_FIELD_H

#include "base/err.h"
#include "config/tree.h"
#include "packet/proto.h"

typedef unsigned __int128 wide;

enum given { GIVEN_NOT, GIVEN_AUTO, GIVEN_VALUE, GIVEN_BAD };

struct field_value {
    enum given given;
    wide number;           /* fields of a fixed width up to 128 bits */
    uint8_t *bytes;        /* owned; texts, bytes and repeated fields of any length */
    size_t length;         /* of bytes */
    const struct node *at; /* who gave it; borrowed, NULL for a preset */
};

/* Whether a field's value is `bytes` (else `number`). */
bool field_is_long(const struct field *field);

/* Reads what node says. "auto" and "bad" are for automatic fields. -EINVAL with a sentence that names the
 * range or the nearest name; out is untouched then. field_value_fini() afterwards. */
int field_read(const struct field *field, const struct node *node, struct field_value *out, struct err *err);
int field_preset(const struct field *field, struct field_value *out); /* the table's own; at stays NULL */
void field_value_fini(struct field_value *value);

/* Bits of a frame: bit 0 is the highest of the first byte. width 0 … 128. */
wide bits_load(const uint8_t *frame, size_t offset_bits, unsigned width_bits);
void bits_store(uint8_t *frame, size_t offset_bits, unsigned width_bits, wide value);
wide bits_mask(unsigned width_bits);

/* How a value of a fixed width reads: "198.18.0.1", "syn,ack", "0x0800 (ipv4)". Returns out. */
char *field_format(const struct field *field, wide value, char *out, size_t size);

/* "0 … 65535", "an IPv4 address", …: what would be right. */
char *field_range(const struct field *field, char *out, size_t size);

#endif
