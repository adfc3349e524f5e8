// SPDX-License-Identifier: GPL-2.0-or-later
/* geometry_check() and the kernel agree: 500 geometries, most of them near a condition's edge, each tried on
 * a fresh socket. The seed is printed and may be given as the only argument. Memory is bounded: 2 MiB a ring,
 * one at a time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_packet.h>

#include "base/geometry.h"
#include "fact.h"

enum { TRIES = 500, MEMORY_MAX = 2 << 20 };

static uint64_t state;

static uint32_t below(uint32_t limit) /* splitmix64 */
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ z >> 31) % limit);
}

/* Right, or wrong in one or two places. */
static struct geometry random_geometry(uint32_t page)
{
    struct geometry ring = {.frame_size = 16 * (3 + below(600)), .block_size = page << below(5)};
    switch (below(8)) {
    case 0:
        ring.frame_size += below(16);
        break;
    case 1:
        ring.frame_size = 40 + below(48);
        break;
    case 2:
        ring.block_size += below(page);
        break;
    case 3:
        ring.block_size = below(3) == 0 ? 0 : 0x80000000U + below(page);
        break;
    default:
        break;
    }
    uint64_t affordable = ring.block_size != 0 ? MEMORY_MAX / ring.block_size : 1;
    ring.blocks = 1 + below(affordable > 0 ? (uint32_t)affordable : 1);
    ring.frames = (ring.frame_size != 0 ? ring.block_size / ring.frame_size : 0) * ring.blocks;
    if (below(6) == 0)
        ring.frames += below(5) - 2;
    if (below(20) == 0)
        ring.blocks = 0;
    return ring;
}

/* 0 or the -errno that the kernel gives. */
static int try_kernel(int version, const struct geometry *ring)
{
    struct tpacket_req3 request = {.tp_block_size = ring->block_size,
                                   .tp_block_nr = ring->blocks,
                                   .tp_frame_size = ring->frame_size,
                                   .tp_frame_nr = ring->frames};
    int kernel_version = version - 1; /* TPACKET_V1 is 0 */
    socklen_t size = version == 3 ? sizeof request : sizeof(struct tpacket_req);
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), rc = 0;
    if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VERSION, &kernel_version, sizeof kernel_version) != 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_TX_RING, &request, size) != 0)
        rc = -errno;
    if (fd >= 0)
        close(fd);
    return rc;
}

int main(int argc, char **argv)
{
    uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE), right = 0, wrong = 0, short_of_memory = 0, disagreed = 0;
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20240607;
    state = seed;
    sandbox_enter();
    printf("# seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < TRIES; i++) {
        struct geometry ring = random_geometry(page);
        struct err err = {0};
        int version = 1 + (int)below(3);
        int ours = geometry_check((uint32_t)version, page, &ring, &err), theirs = try_kernel(version, &ring);
        /* No blocks and no frames is how a ring is taken down: the kernel says yes, we mean a ring. */
        bool taken_down = ring.blocks == 0 && ring.frames == 0;
        short_of_memory += theirs == -ENOMEM;
        right += ours == 0;
        wrong += ours != 0;
        if (taken_down || theirs == ours || (theirs == -ENOMEM && ours == 0))
            continue;
        disagreed++;
        printf("# V%d frame_size %u frames %u block_size %u blocks %u: kernel %s, we %s\n", version,
               ring.frame_size, ring.frames, ring.block_size, ring.blocks, strerror(-theirs),
               ours == 0 ? "yes" : err.text);
    }
    fact(disagreed == 0, "%u of %d geometries are judged as the kernel judges them", TRIES - disagreed,
         TRIES);
    fact(right >= 100 && wrong >= 100, "%u of them are right and %u wrong", right, wrong);
    fact(short_of_memory < right / 2, "%u could not be tried for want of memory", short_of_memory);
    return facts_end();
}
