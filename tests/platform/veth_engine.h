/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An engine on one end of a veth pair, as the daemon would open it, and frames for it that nobody answers. */
#ifndef VETH_ENGINE_H
#define VETH_ENGINE_H

#include <net/if.h>
#include <string.h>

#include "engine/engine.h"

static const uint8_t veth_header[14] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5};

static inline struct engine_facts veth_facts(const char *interface)
{
    return (struct engine_facts){.interface = interface,
                                 .ifindex = (int)if_nametoindex(interface),
                                 .mtu = 1500,
                                 .link_header_bytes = 14,
                                 .fragments = true,
                                 .copies_fragments = true,
                                 .ends_here = true};
}

enum { VETH_AT_ONCE = 64 };

/* Commits frames of so many bytes: at most VETH_AT_ONCE, and as far as one span goes. How many. */
static inline uint32_t veth_put(struct engine *engine, uint32_t slots, uint32_t bytes)
{
    const struct engine_ops *ops = engine_ops(engine);
    struct engine_frame frames[VETH_AT_ONCE];
    struct engine_span span;
    uint32_t count = ops->reserve(engine, slots < VETH_AT_ONCE ? slots : VETH_AT_ONCE, &span);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *frame = span.data + i * span.stride;
        memset(frame, 0, bytes);
        memcpy(frame, veth_header, sizeof veth_header);
        frames[i] = (struct engine_frame){.bytes = bytes, .segments = 1};
    }
    if (count > 0)
        ops->commit(engine, frames, count);
    return count;
}

#endif
