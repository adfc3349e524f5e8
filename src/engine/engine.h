/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a queue hands frames to the kernel. Called per batch, never per packet.
 *
 *   reserve ─► fill ─► commit ─► kick ─► reap          slots in order, never across a hole
 *
 * open, rebind and close: main thread, while the worker is parked or not yet there. The rest: the worker that
 * owns the queue. What an engine knows stays in its file; nobody asks an engine's name. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* What picks the device's transmit queue for a frame. */
enum queue_choice { QUEUE_ONLY_ONE, QUEUE_BY_CPU /* XPS */, QUEUE_BY_FLOW /* a hash of its headers */ };

struct engine_facts { /* what the interface is now */
    const char *interface;
    int ifindex;
    uint32_t mtu;
    uint32_t link_header_bytes; /* 14 for Ethernet */
    bool fragments;             /* the device takes page fragments (ethtool: tx-scatter-gather) */
    bool copies_fragments; /* a driver that copies them anyway (veth, tun): linear is faster at any length */
    bool segments_in_device; /* tx-udp-segmentation is on */
    bool ends_here;          /* no other device below, whose tc filters or hashes might ask what a frame is */
    enum queue_choice queue_choice;
};

struct engine_wishes {                       /* what the plan wants */
    uint32_t largest_bytes;                  /* longest frame in memory; a whole run of segments counts */
    uint32_t smallest_bytes;                 /* shortest; 0: unknown */
    uint16_t segments;                       /* largest run of UDP segments in one slot; 1: none */
    uint32_t version;                        /* 1, 2, 3; 0: 2 */
    uint32_t frames, frame_size, block_size; /* 0: chosen */
    uint32_t offset;                         /* PACKET_TX_HAS_OFF */
    bool qdisc, loss, cooked;
    uint8_t cooked_dst[6];
    uint16_t cooked_type;
};

enum { ENGINE_PATH_BYTES = 400 /* all that may be said, and an interface's longest name */ };

struct engine_caps {
    uint32_t slots, max_batch;
    uint32_t max_bytes; /* of a plain frame; 4 more when its outer tag is 0x8100. Longer ones are rejected */
    uint32_t max_run_bytes; /* of a run of segments, all headers and payloads */
    uint16_t max_segments;
    enum { COMPLETION_BUFFER_FREE, COMPLETION_ACCEPTED } completion;
    char path[ENGINE_PATH_BYTES]; /* the chosen fast paths with their reasons, for status */
    uint32_t version, frame_size, block_size, blocks;
    uint64_t socket_memory;
};

struct engine_span {
    uint32_t first, count; /* slot numbers first … first+count-1 */
    uint8_t *data;         /* frame bytes of slot `first` */
    size_t stride;         /* to the next slot's */
};

struct engine_segmentation { /* of a slot that holds a run of UDP segments */
    uint16_t header_bytes, payload_bytes, checksum_start, checksum_offset;
};

struct engine_frame {
    uint32_t bytes;                                 /* in memory */
    uint16_t segments;                              /* frames on the wire that this slot makes; 1 */
    const struct engine_segmentation *segmentation; /* NULL: a plain frame */
};

enum engine_outcome { ENGINE_COMPLETED, ENGINE_REJECTED, ENGINE_WITHDRAWN };
struct engine_result {
    uint32_t slots; /* in commit order */
    enum engine_outcome outcome;
};

enum engine_wait_kind { WAIT_NONE, WAIT_WRITABLE, WAIT_AFTER, WAIT_NEVER };
struct engine_wait {
    enum engine_wait_kind kind;
    int fd;            /* WAIT_WRITABLE */
    uint64_t after_ns; /* WAIT_AFTER */
    int reason; /* WAIT_NEVER: the errno that will not go away by itself (ENETDOWN, ENXIO, ENOBUFS …) */
};

struct engine; /* the first member of each engine's own struct is struct engine_base */

struct engine_ops {
    const char *name;
    const char *summary;
    bool without_interface; /* frames go nowhere: no allow-list, no link, no device counters */
    int (*open)(const struct engine_facts *facts, const struct engine_wishes *wishes, struct engine **out,
                struct err *err);
    void (*caps)(const struct engine *engine, struct engine_caps *out);
    /* How many it gave, at most `slots`, all at one stride; 0: the ring is full, or a withdrawal has not been
     * reaped yet. A slot keeps its bytes from one use to the next. */
    uint32_t (*reserve)(struct engine *engine, uint32_t slots, struct engine_span *span);
    void (*commit)(struct engine *engine, const struct engine_frame *frames,
                   uint32_t slots);     /* of those reserved, from the first */
    int (*kick)(struct engine *engine); /* 0 or the -errno that send() gave; never counts frames */
    /* How many results, one run of slots each, in commit order. A rejected slot takes those behind it with it
     * (as withdrawn) when the kernel had not begun them: it would never have passed the bad one. */
    uint32_t (*reap)(struct engine *engine, struct engine_result *results, uint32_t max);
    void (*wait)(struct engine *engine, struct engine_wait *out);
    void (*woken)(struct engine *engine);    /* the fd that wait() named became ready */
    void (*withdraw)(struct engine *engine); /* takes back every slot that the kernel has not begun; reap()
                                                then says which */
    int (*rebind)(struct engine *engine, const struct engine_facts *facts, struct err *err);
    uint32_t (*in_flight)(const struct engine *engine); /* slots committed and not reaped */
    void (*close)(struct engine *engine);
};

struct engine_base {
    const struct engine_ops *ops; /* set by open */
};

/* By the name in the configuration; NULL when there is none. The names: engine_names(), NULL-terminated. */
const struct engine_ops *engine_find(const char *name);
const char *const *engine_names(void);

extern const struct engine_ops txring_ops, mock_ops, mock_async_ops, mock_partial_ops;

/* For tests: what a mock engine has completed so far. */
struct mock_seen {
    uint64_t frames, bytes, kicks; /* frames on the wire: a run of segments counts each */
};
void mock_seen(const struct engine *engine, struct mock_seen *out);
/* From now on kick() gives this negative errno and takes nothing, until 0 or a rebind. */
void mock_set_fault(struct engine *engine, int code);
/* A tap on every frame that any mock engine completes; NULL ends it. Worker thread. */
typedef void mock_tap(void *context, const uint8_t *frame, uint32_t bytes);
void mock_set_tap(mock_tap *tap, void *context);

static inline const struct engine_ops *engine_ops(const struct engine *engine)
{
    return ((const struct engine_base *)(const void *)engine)->ops;
}

#endif
