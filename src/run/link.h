/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel says about an interface, by rtnetlink and ethtool netlink
 * (Documentation/networking/ethtool-netlink.rst). Main thread only; each question is one bounded exchange.
 * The only file that speaks netlink is link.c. */
#ifndef RUN_LINK_H
#define RUN_LINK_H

#include <ev.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct link_stats { /* the interface's 64-bit counters */
    uint64_t tx_packets, tx_bytes, tx_dropped, tx_errors, rx_packets, rx_bytes, rx_dropped;
};

struct link_facts {
    char name[IFNAMSIZ];
    char kind[IFNAMSIZ]; /* IFLA_INFO_KIND: "veth", "ifb", "tun" …; empty for hardware */
    int ifindex;         /* 0: there is no such interface */
    int master;          /* ifindex of its bridge or bond; 0: none */
    bool up;             /* administratively */
    bool carrier;
    uint16_t hardware; /* ARPHRD_… */
    uint32_t mtu, tx_queues;
    uint8_t mac[6];
    struct link_stats stats;
};

/* By name. An absent interface is not an error: facts->ifindex is 0. */
int link_read(const char *name, struct link_facts *facts, struct err *err);

struct link_abilities {    /* from ethtool netlink; all zero where the device does not say */
    uint64_t speed_bit;    /* L1 bit/s */
    bool fragments;        /* tx-scatter-gather */
    bool udp_segmentation; /* tx-udp-segmentation */
};
void link_read_abilities(int ifindex, struct link_abilities *abilities);

/* Why nobody should load this interface by mistake: "it carries the default route", "it has the address
 * 192.0.2.1", "it is a member of br0". 0: no reason; 1: reason written; -errno: netlink failed. IPv6
 * link-local addresses do not count. */
int link_reason_to_refuse(const struct link_facts *facts, char *reason, size_t size);

/* How many sockets besides `own` tap what leaves the interface (/proc/net/packet, protocol ETH_P_ALL); each
 * clones and copies every frame of the qdisc path. -errno when /proc is not there. */
int link_taps(int ifindex);

/* Whether XPS gives each CPU a queue of its own: then no two of our queues wait for one lock of the device's.
 * Else a hash of each frame's flow picks. False where /sys does not say. */
bool link_picks_queue_by_cpu(const char *name);

/* The memory node that the card is at; -1: none, or nobody knows. */
int link_node(const char *name);

/* Tells of changes: something about an interface of this name or index has changed; read it again. */
struct link_watch;
typedef void link_changed(void *context, const char *name, int ifindex);
int link_watch_new(struct ev_loop *loop, link_changed *changed, void *context, struct link_watch **out,
                   struct err *err);
void link_watch_free(struct link_watch *watch);

#endif
