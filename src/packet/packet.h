/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one stream sends: a template compiled to constant bytes, and the patches that vary.
 *
 *   struct packet         immutable once armed; shared by all queues of a stream
 *   struct packet_cursor  where one queue stands in it (sizes and varying values); one writer: its worker
 *
 * A slot is stamped with the constant bytes only when it holds another (packet, length); after that each
 * frame only writes its patches, as absolute values, with checksums from the template's sum plus the varying
 * words. */
#ifndef PACKET_PACKET_H
#define PACKET_PACKET_H

#include <stdio.h>

#include "config/tree.h"

enum { FRAME_MIN_BYTES = 14, FRAME_MAX_BYTES = 65535 };

struct packet;

/* Where the pieces of a stream's packet stand in the tree. All but layers may be NULL. */
struct packet_request {
    const struct node *at;      /* for messages without a better place */
    const struct node *layers;  /* the template: a list of one-key groups in wire order */
    const struct node *set;     /* list of { field, value } */
    const struct node *vary;    /* list of { field | offset, width; op; … } */
    const struct node *size;    /* number, text (mix, genome) or group; NULL: 64, counted with FCS */
    const struct node *mix;     /* list of { size, weight } */
    const struct node *payload; /* group or text; NULL: zeros */
    bool may_read_files;        /* payload = { file = … } only from the configuration file */
    bool signature;             /* room for the 14-byte signature (stream with expect) */
    uint16_t segments;          /* over 1: UDP segmentation, this many frames a slot */
    unsigned special;           /* SPECIAL_… kinds of destination that were asked for (schema.h) */
    bool cooked;                /* no link header of our own: layers begin at layer 3 */
    /* Overrides of one copy, as "field" = value text; from stream.each. */
    struct packet_override {
        const char *field, *value;
        const struct node *at;
    } const *overrides;
    size_t override_count;
};

/* Compiles. On failure complaints say why and *out is untouched. Pure; main thread. */
int packet_compile(const struct packet_request *request, struct packet **out, struct complaints *complaints);
void packet_free(struct packet *packet); /* NULL is fine; the last holder's call frees */
struct packet *
packet_ref(struct packet *packet); /* one more holder, who calls packet_free as well. Main thread */

/* Arming: where the template left the source address open, it becomes the interface's. Main thread, before
 * any worker has the packet. */
void packet_set_source(struct packet *packet, const uint8_t mac[6]);

/* Lengths in memory (without FCS), over everything that the packet can send. */
uint32_t packet_largest(const struct packet *packet);
uint32_t packet_smallest(const struct packet *packet);
/* Mean length in memory times period, and the period: the exact mean over a whole mix. */
void packet_mean(const struct packet *packet, uint64_t *bytes, uint64_t *frames);

/* For the UDP segmentation engine: where the L4 header starts and the segment's payload. 0 when segments
 * is 1. */
struct packet_segmentation {
    uint16_t header_bytes;  /* all headers to the end of UDP */
    uint16_t payload_bytes; /* of one segment */
    uint16_t checksum_start, checksum_offset;
    uint16_t segments;
};
const struct packet_segmentation *packet_segmentation(const struct packet *packet); /* NULL: plain frames */
/* After packet_patch: this frame carries only so many segments (1 … segments - 1); its lengths and what sums
 * over them are written anew. Worker thread. */
void packet_shorten(const struct packet *packet, uint8_t *frame, uint16_t segments);

struct packet_cursor; /* allocated by packet_cursor_new on the main thread */

/* Part `part` of `parts` of a split stream (0 of 1 otherwise): the parts together produce the whole sequence
 * of values, none twice. NULL when memory is out. */
struct packet_cursor *packet_cursor_new(const struct packet *packet, uint32_t part, uint32_t parts);
void packet_cursor_free(struct packet_cursor *cursor);
/* Into the cache what the next packet_patch() walks; the cursor itself must be there already. Worker thread.
 */
void packet_cursor_prefetch(const struct packet_cursor *cursor);
void packet_cursor_reset(struct packet_cursor *cursor); /* back to the first frame */

/* Length in memory of the next frame, without moving. Worker thread; no division, no allocation. */
uint32_t packet_next_length(const struct packet_cursor *cursor);
/* The variant that the next frame's constant bytes belong to: slots are stamped when it differs from what
 * they hold. Unique among the lengths of one packet, below packet_variants(). */
uint32_t packet_next_variant(const struct packet_cursor *cursor);
uint32_t packet_variants(const struct packet *packet);
/* Writes the constant bytes of the next frame (all of its length). */
void packet_stamp(const struct packet_cursor *cursor, uint8_t *frame);
/* The same bytes for every frame, packet_largest() of them, where there is one length only; else NULL. They
 * follow packet_set_source(). For who stamps one stream after another and would touch all of their cursors.
 */
const uint8_t *packet_image(const struct packet *packet);
/* Writes what varies, checksums included, and moves on to the next frame. stamp: see signature.h, NULL
 * without one. */
struct signature_stamp;
void packet_patch(struct packet_cursor *cursor, uint8_t *frame, const struct signature_stamp *stamp);
/* Whether packet_patch writes anything: an unvarying stream of one length needs no touch at all. */
bool packet_is_static(const struct packet *packet);

/* The packet layer by layer with offsets and values, what varies and how, and a hex dump with the varying
 * bytes marked. */
void packet_explain(const struct packet *packet, FILE *out, bool colour);

/* Every protocol and field from the table, as roff for volleyd.conf(5). */
void packet_print_roff(FILE *out);

#endif
