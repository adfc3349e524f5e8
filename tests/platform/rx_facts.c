/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts about receiving: statistics, fan-out, what a socket sees of its own machine's sending. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fact.h"

enum { TYPE = 0x88b5, SLOTS = 16, FRAME_BYTES = 256 };

static int tap(const char *interface, bool ignore_outgoing)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = ignore_outgoing ? 1 : 0;
    struct sockaddr_ll at = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_ALL),
                             .sll_ifindex = (int)if_nametoindex(interface)};
    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
    bind(fd, (struct sockaddr *)&at, sizeof at);
    return fd;
}

static unsigned drain(int fd)
{
    unsigned frames = 0;
    char byte;
    while (recv(fd, &byte, sizeof byte, MSG_DONTWAIT | MSG_TRUNC) > 0)
        frames++;
    return frames;
}

static void send_frames(uint32_t frames, uint8_t mark)
{
    struct raw raw = raw_open("va", SLOTS, FRAME_BYTES);
    uint64_t before = device_count("vb", RX_PACKETS);
    for (uint32_t i = 0; i < frames; i++) {
        raw_data(&raw, i % SLOTS)[14] = mark;
        raw_put(&raw, i % SLOTS, 60, TYPE);
        raw_send(&raw);
    }
    device_await("vb", RX_PACKETS, before + frames);
    raw_close(&raw);
}

static struct tpacket_stats read_stats(int fd)
{
    struct tpacket_stats stats = {0};
    socklen_t size = sizeof stats;
    getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size);
    return stats;
}

static void statistics(void)
{
    int fd = tap("vb", true);
    struct tpacket_req ring = {4096, 1, 512, 8};
    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring);
    send_frames(20, 0);
    struct tpacket_stats stats = read_stats(fd);
    fact(stats.tp_packets == 20 && stats.tp_drops == 12,
         "8 slots, 20 frames: %u packets that include %u drops", stats.tp_packets, stats.tp_drops);
    stats = read_stats(fd);
    fact(stats.tp_packets == 0 && stats.tp_drops == 0, "PACKET_STATISTICS is cleared by reading");
    close(fd);
}

static void outgoing(void)
{
    int all = tap("va", false), incoming = tap("va", true);
    send_frames(5, 0);
    fact(drain(all) == 5 && drain(incoming) == 0, "PACKET_IGNORE_OUTGOING hides what this machine sends");
    close(all);
    close(incoming);
}

static void fanout_by_program(void)
{
    /* The byte behind the Ethernet header: fan-out programs count from there. */
    struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), BPF_STMT(BPF_RET | BPF_A, 0)};
    struct sock_fprog program = {2, code};
    int first = tap("vb", true), second = tap("vb", true), group = 77 | PACKET_FANOUT_CBPF << 16;
    bool joined = setsockopt(first, SOL_PACKET, PACKET_FANOUT, &group, sizeof group) == 0 &&
                  setsockopt(second, SOL_PACKET, PACKET_FANOUT, &group, sizeof group) == 0 &&
                  setsockopt(first, SOL_PACKET, PACKET_FANOUT_DATA, &program, sizeof program) == 0;
    send_frames(6, 4);
    send_frames(3, 7);
    unsigned even = drain(first), odd = drain(second);
    fact(joined && even == 6 && odd == 3,
         "PACKET_FANOUT_CBPF picks the socket by value modulo members, from the network header on (%u, %u)",
         even, odd);
    close(first);
    close(second);
}

static void a_link_that_went_down_leaves_an_error(void)
{
    int fd = tap("vb", true), error = 0;
    socklen_t size = sizeof error;
    run("ip link set vb down");
    link_up("vb");
    link_up("va");
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    fact(error == ENETDOWN, "link down leaves ENETDOWN on a receiving socket until it is read");
    send_frames(3, 0);
    fact(drain(fd) == 3, "after that and link up it receives again");
    close(fd);
}

int main(void)
{
    sandbox_enter();
    make_veth("va", "vb");
    statistics();
    outgoing();
    fanout_by_program();
    a_link_that_went_down_leaves_an_error();
    return facts_end();
}
