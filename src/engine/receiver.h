/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a receiving thread gets frames from the kernel: in blocks, with time stamps and honest losses.
 * open and close: main thread; the rest: the receive worker that owns it. */
#ifndef ENGINE_RECEIVER_H
#define ENGINE_RECEIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum receiver_fanout {
    RECEIVER_FANOUT_NONE,
    RECEIVER_FANOUT_STREAM,
    RECEIVER_FANOUT_CPU,
    RECEIVER_FANOUT_HASH,
    RECEIVER_FANOUT_LB,
    RECEIVER_FANOUT_QM,
    RECEIVER_FANOUT_ROLLOVER
};

struct receiver_wishes {
    const char *interface;
    int ifindex;
    uint32_t version;            /* 1, 2, 3; 0: 3 */
    uint32_t blocks, block_size; /* 0: chosen */
    uint32_t snap_bytes;         /* bytes of each frame that are needed; 0: all */
    enum receiver_fanout fanout;
    uint16_t fanout_group; /* the same for all threads of a port */
    bool promiscuous;
    bool signed_only; /* let only frames pass whose last bytes may be a signature, and PAUSE frames */
};

struct received {
    const uint8_t *frame;
    uint32_t captured, length; /* bytes here, bytes on the wire (without FCS) */
    uint64_t time_ns;          /* CLOCK_REALTIME, or the NIC's clock */
    bool truncated, losing, checksum_not_ready, hardware_time;
    bool tagged; /* the kernel took the outer VLAN tag off */
    uint16_t vlan_tci, vlan_tpid;
};

struct receiver_stats {
    uint64_t packets, drops, freezes; /* since open; packets without drops */
};

struct receiver;
int receiver_open(const struct receiver_wishes *wishes, struct receiver **out, struct err *err);
void receiver_close(struct receiver *receiver);   /* NULL is fine; promiscuous membership ends with it */
int receiver_fd(const struct receiver *receiver); /* readable when a block is ready */

/* Calls take for each frame of the next ready block and gives the block back. Frames handled; 0: none ready.
 */
typedef void receiver_take(void *context, const struct received *frame);
uint32_t receiver_next(struct receiver *receiver, receiver_take *take, void *context);
void receiver_read_stats(struct receiver *receiver, struct receiver_stats *out);
const char *
receiver_clock(const struct receiver *receiver); /* "software (CLOCK_REALTIME)" or "hardware (raw)" */

#endif
