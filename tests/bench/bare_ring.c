/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The limit: a transmit ring whose slots were written once, status flips and send(), nothing else.
 *
 *   bare_ring -i INTERFACE [-b BYTES] [-t SECONDS] [-l] [-p] [-q] [-n FRAMES] [-f FRAME_SIZE] [-k BATCH]
 *
 * -l: one linear buffer by PACKET_VNET_HDR; -p: bound to a protocol that the kernel does not dissect; -q:
 * through the qdisc. Ends at SIGINT or SIGTERM too; prints JSON. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { DATA_AT = 32, VNET_BYTES = 10, BLOCK_BYTES = 65536, UNKNOWN_PROTOCOL = 0x88b5 };

struct options {
    const char *interface;
    unsigned bytes, seconds, frames, frame_size, batch;
    bool linear, undissected, qdisc;
};

static volatile sig_atomic_t ended;

static void end(int signal)
{
    (void)signal;
    ended = 1;
}

static void fail(const char *what)
{
    fprintf(stderr, "bare_ring: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static struct options read_options(int argc, char **argv)
{
    struct options options = {.bytes = 60, .seconds = 3, .frames = 1024, .frame_size = 256, .batch = 64};
    for (int c; (c = getopt(argc, argv, "i:b:t:n:f:k:lpq")) != -1;) {
        unsigned value = optarg == NULL ? 0 : (unsigned)strtoul(optarg, NULL, 10);
        switch (c) {
        case 'i':
            options.interface = optarg;
            break;
        case 'b':
            options.bytes = value;
            break;
        case 't':
            options.seconds = value;
            break;
        case 'n':
            options.frames = value;
            break;
        case 'f':
            options.frame_size = value;
            break;
        case 'k':
            options.batch = value;
            break;
        case 'l':
            options.linear = true;
            break;
        case 'p':
            options.undissected = true;
            break;
        case 'q':
            options.qdisc = true;
            break;
        default:
            exit(2);
        }
    }
    while (options.frame_size < options.bytes + DATA_AT + VNET_BYTES)
        options.frame_size *= 2;
    if (options.interface == NULL || BLOCK_BYTES % options.frame_size != 0 ||
        options.frames % (BLOCK_BYTES / options.frame_size) != 0 || options.batch == 0 ||
        options.frames % options.batch != 0) {
        fprintf(stderr,
                "bare_ring: -i INTERFACE is missing, or frames, frame size and batch do not divide\n");
        exit(2);
    }
    return options;
}

static uint8_t *open_ring(const struct options *options, int *fd)
{
    struct tpacket_req request = {
        .tp_block_size = BLOCK_BYTES,
        .tp_block_nr = options->frames / (BLOCK_BYTES / options->frame_size),
        .tp_frame_size = options->frame_size,
        .tp_frame_nr = options->frames,
    };
    struct sockaddr_ll to = {.sll_family = AF_PACKET,
                             .sll_protocol = options->undissected ? htons(UNKNOWN_PROTOCOL) : 0,
                             .sll_ifindex = (int)if_nametoindex(options->interface)};
    int version = TPACKET_V2, linear = options->linear, bypass = !options->qdisc, memory = 1 << 24;
    *fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (*fd < 0 || setsockopt(*fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0 ||
        setsockopt(*fd, SOL_PACKET, PACKET_VNET_HDR, &linear, sizeof linear) != 0 ||
        setsockopt(*fd, SOL_PACKET, PACKET_QDISC_BYPASS, &bypass, sizeof bypass) != 0 ||
        setsockopt(*fd, SOL_PACKET, PACKET_TX_RING, &request, sizeof request) != 0)
        fail("ring");
    setsockopt(*fd, SOL_SOCKET, SO_SNDBUFFORCE, &memory, sizeof memory);
    void *map = mmap(NULL, (size_t)request.tp_block_size * request.tp_block_nr, PROT_READ | PROT_WRITE,
                     MAP_SHARED, *fd, 0);
    if (map == MAP_FAILED || bind(*fd, (struct sockaddr *)&to, sizeof to) != 0)
        fail(options->interface);
    return map;
}

/* IPv4/UDP 198.18.0.1 → 198.19.0.1, discard port; the header's checksum is right, UDP has none. */
static void write_slots(uint8_t *map, const struct options *options)
{
    static const uint8_t head[34] = {2,  0, 0, 0, 0, 2,  2,  0, 0, 0,   0,  1, 8, 0,   0x45, 0, 0,
                                     46, 0, 0, 0, 0, 64, 17, 0, 0, 198, 18, 0, 1, 198, 19,   0, 1};
    uint8_t frame[65536] = {0};
    uint32_t sum = 0;
    memcpy(frame, head, sizeof head);
    frame[16] = (uint8_t)((options->bytes - 14) >> 8);
    frame[17] = (uint8_t)(options->bytes - 14);
    for (unsigned i = 14; i < 34; i += 2)
        sum += (uint32_t)frame[i] << 8 | frame[i + 1];
    sum = ~((sum & 0xffff) + (sum >> 16));
    frame[24] = (uint8_t)(sum >> 8);
    frame[25] = (uint8_t)sum;
    frame[37] = 9;
    frame[38] = (uint8_t)((options->bytes - 34) >> 8);
    frame[39] = (uint8_t)(options->bytes - 34);
    for (unsigned slot = 0; slot < options->frames; slot++) {
        uint8_t *at = map + (size_t)slot * options->frame_size, *data = at + DATA_AT;
        uint16_t copied = (uint16_t)options->bytes;
        ((struct tpacket2_hdr *)(void *)at)->tp_len = options->bytes + (options->linear ? VNET_BYTES : 0);
        if (options->linear) {
            memcpy(data + 2, &copied, sizeof copied); /* virtio_net_hdr.hdr_len */
            data += VNET_BYTES;
        }
        memcpy(data, frame, options->bytes);
    }
}

static uint64_t send_until(int fd, uint8_t *map, const struct options *options, uint64_t until_ns)
{
    uint64_t frames = 0;
    unsigned slot = 0;
    while (!ended && clock_monotonic_ns() < until_ns) {
        uint8_t *first = map + (size_t)slot * options->frame_size, *at = first;
        unsigned i = 0;
        for (; i < options->batch; i++, at += options->frame_size) {
            uint32_t *status = &((struct tpacket2_hdr *)(void *)at)->tp_status;
            if ((__atomic_load_n(status, __ATOMIC_ACQUIRE) & (TP_STATUS_SEND_REQUEST | TP_STATUS_SENDING)) !=
                0)
                break;
            __atomic_store_n(status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
        }
        send(fd, NULL, 0, MSG_DONTWAIT);
        frames += i;
        slot = (slot + i) % options->frames;
    }
    /* What was handed over and not taken does not count. */
    for (unsigned s = 0; s < options->frames; s++)
        frames -= ((struct tpacket2_hdr *)(void *)(map + (size_t)s * options->frame_size))->tp_status ==
                  TP_STATUS_SEND_REQUEST;
    return frames;
}

int main(int argc, char **argv)
{
    struct options options = read_options(argc, argv);
    int fd;
    uint8_t *map = open_ring(&options, &fd);
    write_slots(map, &options);
    signal(SIGINT, end);
    signal(SIGTERM, end);
    uint64_t started = clock_monotonic_ns();
    uint64_t frames = send_until(fd, map, &options, started + options.seconds * NS_PER_SECOND);
    double seconds = (double)(clock_monotonic_ns() - started) / 1e9;
    printf("{\"frames\": %llu, \"seconds\": %.6f, \"pps\": %.0f, \"cpu_seconds\": %.6f}\n",
           (unsigned long long)frames, seconds, (double)frames / seconds,
           (double)clock_read_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e9);
    return EXIT_SUCCESS;
}
