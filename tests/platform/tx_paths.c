/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts about the fast paths: PACKET_VNET_HDR with one linear buffer, UDP segmentation, and cooked rings. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fact.h"

enum { TYPE = 0x88b5, FRAMES = 4, FRAME_BYTES = 4096, VNET = 10, GSO_UDP_L4 = 5, HEADERS = 42 };

static struct raw vnet_ring(bool bypass)
{
    struct raw raw = raw_socket(2, false);
    raw_option(&raw, PACKET_VNET_HDR, 1);
    raw_option(&raw, PACKET_QDISC_BYPASS, bypass ? 1 : 0);
    raw_ring(&raw, FRAMES, FRAME_BYTES);
    raw_bind(&raw, "va");
    raw.data_at += VNET;
    return raw;
}

static void put_vnet(const struct raw *raw, uint32_t bytes, const struct virtio_net_hdr *header)
{
    memcpy(raw_data(raw, 0) - VNET, header, sizeof *header);
    raw_put(raw, 0, bytes, TYPE);
    raw_set_length(raw, 0, bytes + VNET);
}

static long send_plain(uint32_t bytes, uint16_t copied)
{
    struct raw raw = vnet_ring(false);
    struct virtio_net_hdr header = {.hdr_len = copied};
    put_vnet(&raw, bytes, &header);
    long result = raw_send(&raw);
    if (raw_status(&raw, 0) != (result > 0 ? AVAILABLE : WRONG_FORMAT))
        result = 0;
    raw_close(&raw);
    return result;
}

/* The bytes that arrive, to see that a copy of the whole frame changes nothing. */
static bool arrives(uint32_t bytes, uint16_t copied)
{
    uint8_t frame[2048] = {0};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(TYPE));
    struct sockaddr_ll at = {
        .sll_family = AF_PACKET, .sll_protocol = htons(TYPE), .sll_ifindex = (int)if_nametoindex("vb")};
    struct timeval limit = {.tv_sec = 5};
    struct raw raw = vnet_ring(false);
    struct virtio_net_hdr header = {.hdr_len = copied};
    bind(fd, (struct sockaddr *)&at, sizeof at);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    for (uint32_t i = 14; i < bytes; i++)
        raw_data(&raw, 0)[i] = (uint8_t)i;
    put_vnet(&raw, bytes, &header);
    raw_send(&raw);
    bool same =
        recv(fd, frame, sizeof frame, 0) == (ssize_t)bytes && memcmp(frame, raw_data(&raw, 0), bytes) == 0;
    close(fd);
    raw_close(&raw);
    return same;
}

static void linear(void)
{
    fact(arrives(60, 60) && arrives(60, 0) && arrives(1514, 1514) && arrives(1514, 0),
         "the same bytes arrive, copied whole (hdr_len = length) or by page");
    fact(send_plain(60, 61) == -EINVAL, "hdr_len above the length: EINVAL and WRONG_FORMAT");
    run("ip link set vb mtu 9000"); /* else veth drops it for the receiver's sake */
    fact(send_plain(1600, 0) == 1600, "with a vnet header the kernel checks no MTU");
    run("ip link set vb mtu 1500");
}

static struct virtio_net_hdr segments_of(uint16_t payload)
{
    return (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                   .gso_type = GSO_UDP_L4,
                                   .hdr_len = HEADERS,
                                   .gso_size = payload,
                                   .csum_start = 34,
                                   .csum_offset = 6};
}

/* One IPv4/UDP datagram; its UDP checksum is the pseudo-header's sum over the whole. */
static void put_datagram(const struct raw *raw, uint16_t payload, uint16_t gso_size)
{
    static const uint8_t ip_head[] = {0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 198, 18, 0, 1, 198, 19, 0, 1};
    struct virtio_net_hdr header = segments_of(gso_size);
    uint8_t *ip = raw_data(raw, 0) + 14, *udp = ip + sizeof ip_head;
    uint16_t total = htons((uint16_t)(payload + 28)), length = htons((uint16_t)(payload + 8));
    uint32_t sum = 0xc612 + 0x0001 + 0xc613 + 0x0001 + 17 + (uint32_t)(payload + 8);
    sum = (sum & 0xffff) + (sum >> 16);
    uint16_t seed = htons((uint16_t)((sum & 0xffff) + (sum >> 16)));
    memcpy(ip, ip_head, sizeof ip_head);
    memcpy(ip + 2, &total, sizeof total);
    memcpy(udp + 4, &length, sizeof length);
    memcpy(udp + 6, &seed, sizeof seed);
    put_vnet(raw, HEADERS + payload, &header);
    raw_data(raw, 0)[12] = 0x08;
    raw_data(raw, 0)[13] = 0x00;
}

static void segments_on_the_qdisc_path(void)
{
    struct raw raw = vnet_ring(false);
    uint64_t before = device_count("va", TX_PACKETS), bytes = device_count("va", TX_BYTES);
    put_datagram(&raw, 1010, 100);
    long result = raw_send(&raw);
    fact(result == HEADERS + 1010 && device_count("va", TX_PACKETS) - before == 11 &&
             device_count("va", TX_BYTES) - bytes == 10 * (HEADERS + 100) + HEADERS + 10,
         "1,010 bytes in segments of 100: 11 frames, the last with the remainder");
    raw_close(&raw);
    raw = vnet_ring(false);
    before = device_count("va", TX_PACKETS);
    put_datagram(&raw, 100, 100);
    fact(raw_send(&raw) == HEADERS + 100 && device_count("va", TX_PACKETS) - before == 1,
         "a run of one segment is an ordinary frame");
    raw_close(&raw);
}

static void segments_past_the_qdisc(void)
{
    struct raw raw = vnet_ring(true);
    put_datagram(&raw, 1010, 100);
    fact(raw_send(&raw) == -ENOBUFS && raw_send(&raw) == -ENOBUFS && raw_status(&raw, 0) == SEND_REQUEST,
         "past the qdisc, with segmentation in software: ENOBUFS for ever");
    raw_close(&raw);
}

static void segments_in_the_device(void)
{
    if (!try_run("ethtool -K va tx-udp-segmentation on >/dev/null 2>&1")) {
        fact_skip("no ethtool", "a device that segments counts one packet");
        return;
    }
    struct raw raw = vnet_ring(false);
    uint64_t before = device_count("va", TX_PACKETS);
    put_datagram(&raw, 1010, 100);
    raw_send(&raw);
    fact(device_count("va", TX_PACKETS) - before == 1,
         "a veth that \"segments\" counts one packet for the run");
    raw_close(&raw);
    run("ethtool -K va tx-udp-segmentation off >/dev/null 2>&1");
}

static long send_to(const struct raw *raw, const struct sockaddr_ll *to)
{
    ssize_t sent =
        sendto(raw->fd, NULL, 0, MSG_DONTWAIT, (const struct sockaddr *)to, to == NULL ? 0 : sizeof *to);
    return sent < 0 ? -errno : sent;
}

static void cooked_needs_an_address(void)
{
    struct raw raw = raw_socket(2, true);
    struct sockaddr_ll to = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(TYPE),
                             .sll_ifindex = (int)if_nametoindex("va"),
                             .sll_halen = 6,
                             .sll_addr = {2, 0, 0, 0, 0, 2}};
    uint64_t bytes = device_count("va", TX_BYTES);
    raw_ring(&raw, FRAMES, FRAME_BYTES);
    raw_bind(&raw, "va");
    for (uint32_t slot = 0; slot < FRAMES; slot++)
        raw_put(&raw, slot, 46, TYPE);
    long without = send_to(&raw, NULL);
    fact(without == -EINVAL && raw_status(&raw, 0) == WRONG_FORMAT,
         "a cooked ring without an address: EINVAL and WRONG_FORMAT");
    raw_put(&raw, 0, 46, TYPE);
    long with = send_to(&raw, &to);
    fact(raw_count(&raw, AVAILABLE) == FRAMES && device_count("va", TX_BYTES) - bytes == FRAMES * 60,
         "one address serves the whole kick (%ld), and the kernel builds 14 bytes of link header", with);
    raw_close(&raw);
}

/* A ring bound to a protocol that no code knows, behind a filter that drops what has it. */
static struct raw undissected_ring(void)
{
    struct raw raw = raw_socket(2, false);
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {1, &drop};
    struct sockaddr_ll at = {
        .sll_family = AF_PACKET, .sll_protocol = htons(TYPE), .sll_ifindex = (int)if_nametoindex("va")};
    raw_ring(&raw, FRAMES, FRAME_BYTES);
    setsockopt(raw.fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    bind(raw.fd, (struct sockaddr *)&at, sizeof at);
    return raw;
}

static int listen_for(const char *interface, uint16_t type)
{
    struct sockaddr_ll at = {
        .sll_family = AF_PACKET, .sll_protocol = htons(type), .sll_ifindex = (int)if_nametoindex(interface)};
    struct timeval limit = {.tv_sec = 5};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(type));
    bind(fd, (struct sockaddr *)&at, sizeof at);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

static void a_protocol_of_no_meaning(void)
{
    uint8_t frame[2048] = {0};
    struct raw raw = undissected_ring(), back = raw_open("vb", FRAMES, FRAME_BYTES);
    int peer = listen_for("vb", 0x0800), own = listen_for("va", TYPE);
    raw_put(&raw, 0, 60, 0x0800);
    raw_send(&raw);
    fact(recv(peer, frame, sizeof frame, 0) == 60 && memcmp(frame, raw_data(&raw, 0), 60) == 0,
         "a protocol of the socket's own changes no byte, and the peer goes by the frame's");
    raw_put(&back, 0, 60, TYPE);
    raw_send(&back);
    fact(recv(own, frame, sizeof frame, 0) == 60 && recv(raw.fd, frame, sizeof frame, MSG_DONTWAIT) < 0,
         "behind a filter that drops all, the socket receives nothing");
    run("ip link set va down");
    link_up("va");
    raw_put(&raw, 1, 60, 0x0800);
    long first = raw_send(&raw), second = raw_send(&raw);
    fact(first == -ENETDOWN && second == 60,
         "a socket with a protocol says ENETDOWN once after the link was down, and then sends");
    raw_close(&raw);
    raw_close(&back);
    close(peer);
    close(own);
}

int main(void)
{
    sandbox_enter();
    make_veth("va", "vb");
    try_run("ethtool -K va tx-udp-segmentation off >/dev/null 2>&1");
    linear();
    segments_on_the_qdisc_path();
    segments_past_the_qdisc();
    segments_in_the_device();
    cooked_needs_an_address();
    a_protocol_of_no_meaning();
    return facts_end();
}
