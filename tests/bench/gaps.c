/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When frames arrive: the kernel's receive time stamps of an interface, nanoseconds as 64-bit words on
 * standard output.
 *
 *   gaps INTERFACE SECONDS
 *
 * Ends then, or at SIGTERM. Says "ready" on standard error, and at the end what the socket had no room for.
 * The stamp is taken as the frame enters the stack, on the sender's core over a veth: how late this program
 * is scheduled does not matter, only that its buffer is large enough. */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 256, BUFFER_BYTES = 256 << 20 };

static int die(const char *what)
{
    perror(what);
    return 1;
}

static int listen_on(const char *interface)
{
    const int yes = 1, room = BUFFER_BYTES;
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_protocol = htons(ETH_P_ALL),
                                  .sll_ifindex = (int)if_nametoindex(interface)};
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof yes) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        return -1;
    return fd;
}

static volatile sig_atomic_t over;

static void on_signal(int number)
{
    (void)number;
    over = 1;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t stamp_of(struct msghdr *message)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part))
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SO_TIMESTAMPNS) {
            const struct timespec *stamp = (const void *)CMSG_DATA(part);
            return (uint64_t)stamp->tv_sec * 1000000000u + (uint64_t)stamp->tv_nsec;
        }
    return 0;
}

/* What waits, at most BATCH. Stamps go to standard output in the machine's order. */
static void take(int fd)
{
    static struct mmsghdr messages[BATCH];
    static struct iovec parts[BATCH];
    static char head[BATCH], control[BATCH][64];
    uint64_t stamps[BATCH];
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){.iov_base = &head[i], .iov_len = 1};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i],
                                              .msg_iovlen = 1,
                                              .msg_control = control[i],
                                              .msg_controllen = sizeof control[i]};
    }
    int taken = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < taken; i++)
        stamps[i] = stamp_of(&messages[i].msg_hdr);
    if (taken > 0)
        fwrite(stamps, sizeof *stamps, (size_t)taken, stdout);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: gaps INTERFACE SECONDS\n");
        return 2;
    }
    int fd = listen_on(argv[1]);
    if (fd < 0)
        return die(argv[1]);
    fprintf(stderr, "ready\n");
    uint64_t end_ns = now_ns() + (uint64_t)(atof(argv[2]) * 1e9);
    signal(SIGTERM, on_signal);
    while (!over && now_ns() < end_ns) {
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        if (poll(&readable, 1, 20) > 0)
            take(fd);
    }
    struct tpacket_stats stats;
    socklen_t size = sizeof stats;
    if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) != 0)
        return die("PACKET_STATISTICS");
    fprintf(stderr, "dropped %u\n", stats.tp_drops);
    return fflush(stdout) == 0 ? 0 : die("stdout");
}
