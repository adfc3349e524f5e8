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
    RECEIVER_FANOUT_STREAM, /* by the number in the signature: a stream stays on one thread, in order */
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
    uint32_t frame_size;         /* of a slot in versions 1 and 2; 0: the MTU's */
    uint32_t snap_bytes;         /* bytes of each frame that are needed; 0: all */
    enum receiver_fanout fanout;
    uint16_t fanout_group; /* the same for all threads of a port, and of no other port of this namespace */
    bool promiscuous;
    bool signed_only; /* let only frames pass whose last bytes may be a signature, and PAUSE frames */
    uint32_t nonce;   /* of the run: other runs' signatures are none (signed_only, RECEIVER_FANOUT_STREAM) */
    bool whole; /* versions 1 and 2: frames longer than a slot come from the socket's queue, unless that is
                   full (PACKET_COPY_THRESH) */
    bool hardware_time; /* the NIC's stamps, where it has them: of a clock that is only CLOCK_REALTIME's when
                           somebody keeps them together (phc2sys) */
};

struct received {
    const uint8_t *frame;
    uint32_t captured, length; /* bytes here, bytes on the wire (without FCS) */
    uint64_t time_ns;          /* CLOCK_REALTIME, or the NIC's clock */
    bool truncated;            /* captured < length */
    bool losing;               /* frames were dropped for want of room since the statistics were last read */
    bool checksum_not_ready;   /* left to a device that never saw it: do not judge it */
    bool hardware_time;
    bool tagged; /* the kernel took the outer VLAN tag off; version 1 never says */
    uint16_t vlan_tci, vlan_tpid;
};

struct receiver_stats {
    uint64_t packets, drops, freezes; /* since open; packets without drops */
};

struct receiver;
int receiver_open(const struct receiver_wishes *wishes, struct receiver **out, struct err *err);
/* NULL is fine. Promiscuous membership and the NIC's stamping end with it. */
void receiver_close(struct receiver *receiver);
/* One frame out of the same socket, to teach a switch where an address is. Main thread or the worker; 0 or
 * -errno. */
int receiver_send(const struct receiver *receiver, const uint8_t *frame, uint32_t bytes);
int receiver_fd(const struct receiver *receiver); /* readable when a block is ready */

/* Calls take for the frames of the next ready block, some at a time (1 … RECEIVER_AT_ONCE) and in order, and
 * gives the block back; at most 64 frames in versions 1 and 2, which have no blocks to wait for. Frames
 * handled; 0: none ready. The frames are gone when take returns. */
enum { RECEIVER_AT_ONCE = 16 };
typedef void receiver_take(void *context, const struct received *frames, uint32_t count);
uint32_t receiver_next(struct receiver *receiver, receiver_take *take, void *context);
void receiver_read_stats(struct receiver *receiver, struct receiver_stats *out);
/* "software (CLOCK_REALTIME)" or "hardware (raw)" */
const char *receiver_clock(const struct receiver *receiver);

#endif
