/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A packet while it is being compiled; shared by compile.c, patches.c and checks.c. Main thread. */
#ifndef PACKET_BUILD_H
#define PACKET_BUILD_H

#include "packet/compiled.h"
#include "packet/stack.h"

enum { LENGTHS_MAX = LAYERS_MAX };

struct range {
    uint32_t from, to; /* bytes of the frame */
};

struct scope { /* one automatic checksum */
    struct field_place place;
    uint32_t offset;                  /* of the checksum */
    struct range bytes;               /* to = 0: to the frame's end */
    struct range source, destination; /* addresses of the pseudo header; empty without one */
    uint32_t pseudo;                  /* what else the pseudo header holds, but the length */
    bool has_pseudo, varies;
};

struct build {
    const struct packet_request *request;
    struct complaints *complaints;
    struct stack stack;
    struct payload *payload; /* owned */
    struct packet *packet;   /* owned until it is handed out */
    uint32_t frame_bytes;    /* of the image */
    struct field_place lengths[LENGTHS_MAX];
    size_t length_count;
    struct scope scopes[CHECKS_MAX]; /* innermost first */
    size_t scope_count;
};

/* Whether some entry of vary writes any of these bits. */
bool build_varies(const struct build *build, size_t offset_bits, size_t width_bits);

/* patches.c: what vary writes, cut where a checksum's scope begins or ends. */
int build_patches(struct build *build);

/* checks.c: finds the automatic checksums; fills cells, checks and rows once there are patches. */
int build_find_scopes(struct build *build);
int build_rows(struct build *build);

#endif
