/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The limit of receiving: a V3 block ring whose blocks are walked, their frames' lengths added, and given
 * back.
 *
 *   bare_rx -i INTERFACE [-t SECONDS] [-n BLOCKS] [-f BLOCK_SIZE]
 *
 * Ends at SIGINT or SIGTERM too; prints JSON. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum { FRAME_BYTES = 2048, RETIRE_MS = 5, POLL_MS = 100 };

struct counted {
    uint64_t frames, bytes;
};

static volatile sig_atomic_t ended;

static void end(int signal)
{
    (void)signal;
    ended = 1;
}

static void fail(const char *what)
{
    fprintf(stderr, "bare_rx: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static uint8_t *open_ring(const char *interface, unsigned blocks, unsigned block_size, int *fd)
{
    struct tpacket_req3 request = {
        .tp_block_size = block_size,
        .tp_block_nr = blocks,
        .tp_frame_size = FRAME_BYTES,
        .tp_frame_nr = block_size / FRAME_BYTES * blocks,
        .tp_retire_blk_tov = RETIRE_MS,
    };
    struct sockaddr_ll at = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_ALL),
                             .sll_ifindex = (int)if_nametoindex(interface)};
    int version = TPACKET_V3, on = 1;
    *fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (*fd < 0 || setsockopt(*fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0 ||
        setsockopt(*fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0 ||
        setsockopt(*fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) != 0)
        fail("ring");
    void *map = mmap(NULL, (size_t)block_size * blocks, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (map == MAP_FAILED || bind(*fd, (struct sockaddr *)&at, sizeof at) != 0)
        fail(interface);
    return map;
}

static void walk(struct tpacket_block_desc *block, struct counted *counted)
{
    uint8_t *at = (uint8_t *)block + block->hdr.bh1.offset_to_first_pkt;
    for (uint32_t i = 0; i < block->hdr.bh1.num_pkts; i++) {
        const struct tpacket3_hdr *header = (const struct tpacket3_hdr *)(const void *)at;
        counted->bytes += header->tp_len;
        at += header->tp_next_offset;
    }
    counted->frames += block->hdr.bh1.num_pkts;
}

int main(int argc, char **argv)
{
    const char *interface = NULL;
    unsigned seconds = 3, blocks = 32, block_size = 262144;
    for (int c; (c = getopt(argc, argv, "i:t:n:f:")) != -1;) {
        if (c == 'i')
            interface = optarg;
        unsigned *const numbers[] = {
            ['t' - 'f'] = &seconds, ['n' - 'f'] = &blocks, ['f' - 'f'] = &block_size};
        if (c == 't' || c == 'n' || c == 'f')
            *numbers[c - 'f'] = (unsigned)strtoul(optarg, NULL, 10);
    }
    if (interface == NULL) {
        fprintf(stderr, "bare_rx: -i INTERFACE is missing\n");
        return 2;
    }
    int fd;
    uint8_t *map = open_ring(interface, blocks, block_size, &fd);
    struct counted counted = {0};
    struct tpacket_stats_v3 stats = {0};
    socklen_t size = sizeof stats;
    signal(SIGINT, end);
    signal(SIGTERM, end);
    uint64_t cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID); /* making the ring is not receiving */
    uint64_t started = clock_monotonic_ns(), until_ns = started + seconds * NS_PER_SECOND;
    for (unsigned next = 0; !ended && clock_monotonic_ns() < until_ns;) {
        struct tpacket_block_desc *block = (void *)(map + (size_t)next * block_size);
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        if ((__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0) {
            poll(&readable, 1, POLL_MS);
            continue;
        }
        walk(block, &counted);
        __atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        next = (next + 1) % blocks;
    }
    double elapsed = (double)(clock_monotonic_ns() - started) / 1e9;
    getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size);
    printf("{\"frames\": %llu, \"bytes\": %llu, \"drops\": %u, \"seconds\": %.6f, \"pps\": %.0f, "
           "\"cpu_seconds\": %.6f}\n",
           (unsigned long long)counted.frames, (unsigned long long)counted.bytes, stats.tp_drops, elapsed,
           (double)counted.frames / elapsed,
           (double)(clock_read_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns) / 1e9);
    return EXIT_SUCCESS;
}
