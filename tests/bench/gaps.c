/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When frames arrive: the kernel's receive time stamps of an interface, nanoseconds as 64-bit words on
 * standard output.
 *
 *   gaps INTERFACE SECONDS SLOTS
 *
 * Ends then, or at SIGTERM. Says "ready" on standard error, and at the end how many frames there was no room
 * for. The stamp is taken as the frame enters the stack, on the sender's core over a veth. That core is
 * hardly disturbed: no frame is copied, nobody is woken, and with a slot for each frame none is used twice.
 */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

enum { BLOCK_BYTES = 1 << 20, SLOT_BYTES = 128, LOOK_NS = 20000000 };

static int die(const char *what)
{
    perror(what);
    return 1;
}

/* A ring of version 2 with no fewer slots than asked; -1 and errno. */
static int open_ring(const char *interface, struct tpacket_req *request, uint8_t **slots)
{
    static struct sock_filter one_byte[] = {BPF_STMT(BPF_RET | BPF_K, 1)};
    const struct sock_fprog filter = {.len = 1, .filter = one_byte};
    const int yes = 1, version = TPACKET_V2;
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_protocol = htons(ETH_P_ALL),
                                  .sll_ifindex = (int)if_nametoindex(interface)};
    request->tp_block_size = BLOCK_BYTES;
    request->tp_frame_size = SLOT_BYTES;
    request->tp_block_nr = (request->tp_frame_nr + BLOCK_BYTES / SLOT_BYTES - 1) / (BLOCK_BYTES / SLOT_BYTES);
    request->tp_frame_nr = request->tp_block_nr * (BLOCK_BYTES / SLOT_BYTES);
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof yes) != 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_RX_RING, request, sizeof *request) != 0)
        return -1;
    *slots = mmap(NULL, (size_t)request->tp_block_nr * BLOCK_BYTES, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_POPULATE, fd, 0);
    if (*slots == MAP_FAILED || bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
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

/* What has come since; the slot that will be next. */
static unsigned int write_stamps(uint8_t *slots, unsigned int count, unsigned int next)
{
    for (;; next = (next + 1) % count) {
        struct tpacket2_hdr *slot = (void *)(slots + (size_t)next * SLOT_BYTES);
        if ((__atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0)
            return next;
        uint64_t stamp = (uint64_t)slot->tp_sec * 1000000000u + slot->tp_nsec;
        fwrite(&stamp, sizeof stamp, 1, stdout);
        __atomic_store_n(&slot->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    }
}

int main(int argc, char **argv)
{
    struct tpacket_req request = {0};
    uint8_t *slots = NULL;
    if (argc != 4) {
        fprintf(stderr, "usage: gaps INTERFACE SECONDS SLOTS\n");
        return 2;
    }
    request.tp_frame_nr = (unsigned int)strtoul(argv[3], NULL, 10);
    int fd = open_ring(argv[1], &request, &slots);
    if (fd < 0)
        return die(argv[1]);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL);
    fprintf(stderr, "ready\n");
    uint64_t end_ns = now_ns() + (uint64_t)(atof(argv[2]) * 1e9);
    for (unsigned int next = 0; !over && now_ns() < end_ns;) {
        nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
        next = write_stamps(slots, request.tp_frame_nr, next);
    }
    struct tpacket_stats stats;
    socklen_t size = sizeof stats;
    if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) != 0)
        return die("PACKET_STATISTICS");
    fprintf(stderr, "dropped %u\n", stats.tp_drops);
    return fflush(stdout) == 0 ? 0 : die("stdout");
}
