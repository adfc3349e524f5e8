/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The small machines inside a packet that need no protocol: varying values, frame sizes, payload bytes.
 * Each is compiled from its node on the main thread and stepped by one worker without division or allocation.
 */
#ifndef PACKET_VALUE_H
#define PACKET_VALUE_H

#include <stddef.h>

#include "config/tree.h"

/* ---- sizes: what `size` and `mix` say. Sizes here are in memory, that is without FCS. ----
 *   size = 64;   "1518"   "simple" (also imix, tcp, ipv6, ipsec)   "aaafg" (RFC 6985 genome)
 *   size = { genome = "aaZ"; Z = 1500; };
 *   size = { op = "increment"; from = 64; to = 1518; step = 2; };   also decrement; random with seed
 *   mix  = ( { size = 64; weight = 7; }, { size = 594; weight = 4; }, … ) */
struct sizes; /* immutable */
struct size_cursor {
    uint64_t state;  /* index in the period, or the generator's state */
    uint64_t stride; /* what a step adds to it */
    uint32_t next;   /* index of the next frame's size in sizes_distinct */
};
/* smallest..largest bound what headers allow; errors name the least size that would fit. size and mix
 * NULL: 64. */
int sizes_compile(const struct node *at, const struct node *size, const struct node *mix, uint32_t smallest,
                  uint32_t largest, struct sizes **out, struct complaints *complaints);
void sizes_free(struct sizes *sizes);
uint32_t sizes_count(const struct sizes *sizes);                /* distinct sizes, at most SIZES_MAX */
uint32_t sizes_distinct(const struct sizes *sizes, uint32_t i); /* ascending */
void sizes_mean(const struct sizes *sizes, uint64_t *bytes, uint64_t *frames);
void sizes_begin(const struct sizes *sizes, struct size_cursor *cursor, uint32_t part, uint32_t parts);
void sizes_step(const struct sizes *sizes, struct size_cursor *cursor);
enum { SIZES_MAX = 2048 };

/* ---- payload: the bytes after the headers (payload.c opens with all forms). ---- */
struct payload; /* immutable */
int payload_compile(const struct node *payload, bool may_read_files, struct payload **out,
                    struct complaints *complaints);
void payload_free(struct payload *payload);
void payload_fill(const struct payload *payload, uint8_t *out,
                  size_t bytes); /* a shorter text is followed by zeros */
/* How it reads in explain: "zeros", "incrementing bytes", … */
const char *payload_describe(const struct payload *payload);

/* ---- varying values: what `vary` says.
 *   { op = "increment"; from; to; step; }     the default op; from: the template's value, to: the field's
 * last { op = "decrement"; from; to; step; }     to: 0 { op = "random"; from; to; seed; }        all of the
 * field; a MAC address keeps its I/G bit { op = "random"; mask; from; seed; }      only the bits of mask;
 * from gives the others { op = "list"; values = ( … ); } { op = "pattern"; mask; from; step; }     counts in
 * the bits of mask, wherever they are then = { … } or ( … )                     advance when this entry wraps
 *   flows = N                                 the entry and its nest start again after N frames
 * Values are absolute, big-endian when written, up to 128 bits wide (IPv6). Entries step together unless
 * `then` nests them; nested ones follow theirs in vary_target() and vary_values(). */
struct vary_target {      /* where an entry points; found by the packet's field table */
    uint32_t offset_bits; /* from the frame's start */
    uint32_t width_bits;  /* 1..64, 48 for MAC, 128 for IPv6 */
    enum { VARY_NUMBER, VARY_MAC, VARY_IPV4, VARY_IPV6 } kind;
    bool is_mac_destination; /* random values keep the I/G bit */
    unsigned __int128 start; /* the template's own value: default of `from` */
};
struct vary; /* all entries of a stream; immutable */
/* resolve finds an entry's target from its field name or offset/width, or complains and returns false. */
typedef bool vary_resolve(void *context, const struct node *entry, struct vary_target *out,
                          struct complaints *complaints);
int vary_compile(const struct node *list, vary_resolve *resolve, void *context, struct vary **out,
                 struct complaints *complaints);
void vary_free(struct vary *vary);
size_t vary_count(const struct vary *vary);
const struct vary_target *vary_target(const struct vary *vary, size_t i);
void vary_describe(const struct vary *vary, size_t i, char *out,
                   size_t size); /* "increment 198.19.0.1 … 198.19.3.255, step 1" */

/* Whether entry i can take a value v with (v & mask) == match; in doubt yes. For destinations that must be
 * asked for. */
bool vary_reaches(const struct vary *vary, size_t i, unsigned __int128 mask, unsigned __int128 match);

struct vary_cursor; /* one value an entry; the current ones */
struct vary_cursor *vary_cursor_new(const struct vary *vary, uint32_t part, uint32_t parts);
void vary_cursor_free(struct vary_cursor *cursor);
void vary_cursor_reset(struct vary_cursor *cursor);
const unsigned __int128 *vary_values(const struct vary_cursor *cursor); /* vary_count() of them */
void vary_prefetch(const struct vary_cursor *cursor); /* into the cache: it is stepped soon */
void vary_step(struct vary_cursor *cursor);

#endif
