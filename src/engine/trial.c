/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/trial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/slotring.h"

enum {
    LOOPBACK_INDEX = 1 /* in every namespace: LOOPBACK_IFINDEX, include/net/flow.h */,
    SEGMENT_BYTES = 18
};

struct run {
    struct virtio_net_hdr how;
    struct ether_header link;
    struct iphdr ip;
    struct udphdr udp;
    uint8_t payload[2 * SEGMENT_BYTES];
} __attribute__((packed));

static void fill(struct run *run)
{
    const size_t ip_bytes = sizeof *run - offsetof(struct run, ip);
    memset(run, 0, sizeof *run);
    run->link.ether_dhost[0] =
        2; /* not the loopback's, which is zero: the frame is dropped as another host's */
    run->link.ether_type = htons(ETHERTYPE_IP);
    run->ip = (struct iphdr){.version = 4,
                             .ihl = 5,
                             .ttl = 1,
                             .protocol = IPPROTO_UDP,
                             .tot_len = htons((uint16_t)ip_bytes),
                             .saddr = htonl(INADDR_LOOPBACK),
                             .daddr = htonl(INADDR_LOOPBACK)};
    run->udp.source = run->udp.dest = htons(9); /* discard */
    run->udp.len = htons((uint16_t)(ip_bytes - sizeof run->ip));
    run->how = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                       .gso_type = VNET_GSO_UDP_L4,
                                       .hdr_len = offsetof(struct run, payload) - sizeof run->how,
                                       .gso_size = SEGMENT_BYTES,
                                       .csum_start = offsetof(struct run, udp) - sizeof run->how,
                                       .csum_offset = offsetof(struct udphdr, check)};
}

int trial_udp_segments(void)
{
    const struct sockaddr_ll to = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE_IP), .sll_ifindex = LOOPBACK_INDEX};
    const int yes = 1;
    struct run run;
    fill(&run);
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int result = 1;
    if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &yes, sizeof yes) != 0)
        result = -errno;
    else if (sendto(fd, &run, sizeof run, MSG_DONTWAIT, (const struct sockaddr *)&to, sizeof to) < 0)
        result = errno == EINVAL ? 0 : -errno;
    close(fd);
    return result;
}
