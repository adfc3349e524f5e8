/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One table of every key (name, type, default, range, sentence for the manual) walks a tree into a struct
 * spec: what was asked, typed and with defaults, but not yet compiled. Unknown keys get the nearest name;
 * wrong types, ranges and contradictions on one line's level are complaints. What needs more than one entry
 * of the file is plan's work. The same rows make volleyd.conf(5) and completion. Main thread. */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include <stdio.h>

#include "base/units.h"
#include "config/tree.h"

enum { NAME_MAX_BYTES = 63, PORTS_MAX = 64, QUEUES_MAX = 32, STREAMS_MAX = 100000 };

enum pacing { PACING_BALANCED, PACING_PRECISE, PACING_ECONOMY };
enum on_link_loss { LINK_LOSS_STOP, LINK_LOSS_RESUME };
enum fanout { FANOUT_STREAM, FANOUT_CPU, FANOUT_HASH, FANOUT_LB, FANOUT_QM, FANOUT_ROLLOVER };

struct control_spec {
    const char *socket, *status_socket, *group; /* borrowed from the tree; group may be NULL */
    unsigned mode;
};

struct safety_spec {
    const char **allow; /* owned array of borrowed glob patterns */
    size_t allowed;
    struct rate max_rate; /* kind RATE_MAX: none set */
    uint64_t max_duration_ns;
};

enum { CPU_AUTO = -1, CPU_ANY = -2 };

struct port_spec {
    const struct node *at;
    const char *name, *interface, *engine;
    uint32_t queues;
    int cpus[QUEUES_MAX]; /* a number, CPU_AUTO or CPU_ANY */
    enum pacing pacing;
    uint32_t max_burst;
    uint64_t late_ns, drain_ns, link_delay_ns;
    bool qdisc, force, loss;
    uint32_t ring_version, ring_frames, ring_frame_size, ring_block_size; /* 0: chosen by geometry */
    uint32_t ring_offset;                                                 /* PACKET_TX_HAS_OFF; 0: none */
    uint64_t speed_bit;                                                   /* L1 bit/s; 0: from the link */
    enum on_link_loss on_link_loss;
    bool cooked;
    uint8_t cooked_dst[6];
    uint16_t cooked_type;
    bool receive;
    uint32_t receive_version, receive_blocks, receive_block_size, receive_threads;
    uint32_t receive_snap; /* bytes kept of each frame; 0: chosen */
    enum fanout receive_fanout;
    bool receive_promiscuous;
};

struct shape_spec {
    bool has_burst;
    uint64_t burst_frames, bursts; /* bursts 0: for ever */
    uint64_t burst_gap_ns;  /* end of one train to the start of the next; 0: from the stream's mean rate */
    struct rate burst_rate; /* inside a train; RATE_MAX: back to back */
    bool has_onoff;
    uint64_t on_ns, off_ns;
    bool has_ramp;
    struct rate ramp_from, ramp_to;
    uint64_t ramp_over_ns;
    bool has_stairs;
    struct rate *stairs; /* owned */
    size_t steps;
    uint64_t stair_ns;
    bool poisson;
    uint64_t seed;
};

struct stream_spec {
    const struct node *at; /* its group: template, set, vary, size, mix, payload, each are read by packet */
    const char *name, *port, *template_name; /* template_name NULL: written in place, see at */
    bool has_rate, has_gap, has_count, has_duration;
    struct rate rate;
    uint64_t gap_ns;
    struct shape_spec shape;
    uint64_t count, duration_ns, delay_ns, loops; /* duration, loops UINT64_MAX: forever */
    bool has_phase;
    struct ratio phase; /* share of one gap */
    const char *next;
    uint64_t copies;
    bool split, autostart, check_payload;
    bool learn; /* true by default with expect; always false without */
    bool udp_segment;
    unsigned special;    /* SPECIAL_… bits that were asked for */
    const char **expect; /* owned array of borrowed port names */
    size_t expected;
    const char **require; /* owned array of borrowed requirement texts */
    size_t required;
    struct ratio tolerance; /* share of scheduled frames that may be missed */
};

enum { SPECIAL_BROADCAST = 1, SPECIAL_MULTICAST = 2, SPECIAL_PAUSE = 4, SPECIAL_BPDU = 8 };

struct spec {
    struct control_spec control;
    struct safety_spec safety;
    struct port_spec *ports;
    size_t port_count;
    const struct node *templates; /* group of lists; NULL when absent */
    struct stream_spec *streams;
    size_t stream_count;
};

enum spec_scope {
    SPEC_FILE, /* everything */
    SPEC_APPLY /* templates and streams only, and no key that names a file */
};

/* Fills out (zeroed by the caller); the spec borrows from the tree, which must outlive it. 0, or -EINVAL when
 * there were errors; spec_fini() in both cases. */
int spec_read(const struct tree *tree, enum spec_scope scope, struct spec *out,
              struct complaints *complaints);
void spec_fini(struct spec *spec);

/* Every key as one row a line for the manual (roff) or for completion (plain "section.key"). */
void schema_print_roff(FILE *out);
void schema_print_keys(FILE *out);

#endif
