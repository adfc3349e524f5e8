// SPDX-License-Identifier: GPL-2.0-or-later
/* The whole transmit engine on a hostile kernel: the system calls that it makes end here. A ring is a piece
 * of anonymous file, send() says what it likes, statuses change at any moment, a bind fails or does not.
 *
 * After every move: what is in flight is what was committed and not told, spans lie in the ring, a wait is of
 * a kind that can end, and a hopeless one has its reason. */
#include <errno.h>
#include <linux/if_packet.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RESULTS = 3, MOST = 32, BACKOFF_MAX_NS = 1000 * 1000, TURNS_TO_END = 64 };

static void must(int holds)
{
    if (!holds)
        abort();
}

/* ---- the kernel ---- */

static struct {
    int fd, version;
    struct tpacket_req request;
    uint8_t *map; /* its own view of the ring */
    size_t map_bytes;
    int bind_error; /* what the next bind() says; 0: fine */
    ssize_t sent;   /* what send() says: a negative errno, or so many bytes */
} kernel;

int socket(int domain, int type, int protocol)
{
    (void)domain;
    (void)type;
    (void)protocol;
    return kernel.fd = memfd_create("ring", MFD_CLOEXEC);
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
    (void)size;
    must(fd == kernel.fd);
    if (level == SOL_PACKET && option == PACKET_VERSION)
        memcpy(&kernel.version, value, sizeof kernel.version);
    if (level != SOL_PACKET || option != PACKET_TX_RING)
        return 0;
    memcpy(&kernel.request, value, sizeof kernel.request);
    kernel.map_bytes = (size_t)kernel.request.tp_block_size * kernel.request.tp_block_nr;
    must(ftruncate(fd, (off_t)kernel.map_bytes) == 0);
    kernel.map = mmap(NULL, kernel.map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    must(kernel.map != MAP_FAILED);
    return 0;
}

int getsockopt(int fd, int level, int option, void *value, socklen_t *size)
{
    (void)level;
    (void)option;
    must(fd == kernel.fd);
    memset(value, 0x11, *size);
    return 0;
}

int bind(int fd, const struct sockaddr *address, socklen_t size)
{
    (void)address;
    (void)size;
    must(fd == kernel.fd);
    errno = kernel.bind_error;
    return kernel.bind_error == 0 ? 0 : -1;
}

/* A kick, or a trial over the loopback, which is taken. */
ssize_t sendto(int fd, const void *at, size_t bytes, int flags, const struct sockaddr *to, socklen_t size)
{
    const struct sockaddr_ll *link = (const void *)to;
    must(fd == kernel.fd && (flags & MSG_DONTWAIT) != 0);
    if (bytes > 0) {
        must(at != NULL && size == sizeof *link && link->sll_ifindex == 1);
        return (ssize_t)bytes;
    }
    must(at == NULL);
    if (kernel.sent >= 0)
        return kernel.sent;
    errno = (int)-kernel.sent;
    return -1;
}

static uint32_t kernel_slots(void)
{
    return kernel.request.tp_block_nr * (kernel.request.tp_block_size / kernel.request.tp_frame_size);
}

static uint8_t *kernel_slot(uint32_t slot)
{
    uint32_t in_block = kernel.request.tp_block_size / kernel.request.tp_frame_size;
    slot %= kernel_slots();
    return kernel.map + (size_t)(slot / in_block) * kernel.request.tp_block_size +
           (size_t)(slot % in_block) * kernel.request.tp_frame_size;
}

static void set_status(uint32_t slot, uint32_t status)
{
    uint8_t *at = kernel_slot(slot);
    unsigned long wide = status;
    switch (kernel.version) {
    case TPACKET_V1:
        memcpy(at + offsetof(struct tpacket_hdr, tp_status), &wide, sizeof wide);
        break;
    case TPACKET_V2:
        memcpy(at + offsetof(struct tpacket2_hdr, tp_status), &status, sizeof status);
        break;
    default:
        memcpy(at + offsetof(struct tpacket3_hdr, tp_status), &status, sizeof status);
    }
}

static void kernel_end(void)
{
    munmap(kernel.map, kernel.map_bytes);
    memset(&kernel, 0, sizeof kernel);
}

/* ---- the owner ---- */

struct owner {
    struct engine *engine;
    struct engine_caps caps;
    uint64_t committed, told;
    bool segmented;
};

static void put(struct owner *owner, uint32_t slots, uint32_t bytes)
{
    static const struct engine_segmentation cut = {42, 20, 34, 6};
    struct engine_frame frames[MOST];
    struct engine_span span;
    uint32_t count = txring_ops.reserve(owner->engine, slots, &span);
    must(count <= slots && (count == 0 || span.first + count <= owner->caps.slots));
    if (bytes > owner->caps.max_run_bytes)
        bytes = owner->caps.max_run_bytes;
    for (uint32_t i = 0; i < count; i++) {
        memset(span.data + i * span.stride, (int)bytes,
               bytes); /* AddressSanitizer knows where the ring ends */
        frames[i] = (struct engine_frame){.bytes = bytes,
                                          .segments = owner->segmented && bytes > 62 ? 2 : 1,
                                          .segmentation = owner->segmented && bytes > 62 ? &cut : NULL};
    }
    if (count > 0)
        txring_ops.commit(owner->engine, frames, count);
    owner->committed += count;
}

static void reap(struct owner *owner)
{
    struct engine_result results[RESULTS];
    uint32_t count = txring_ops.reap(owner->engine, results, RESULTS);
    must(count <= RESULTS);
    for (uint32_t i = 0; i < count; i++) {
        must(results[i].slots > 0 && results[i].outcome <= ENGINE_WITHDRAWN);
        owner->told += results[i].slots;
    }
}

static void wait_for(struct owner *owner)
{
    struct engine_wait wait = {.kind = (enum engine_wait_kind)99, .fd = -1};
    txring_ops.wait(owner->engine, &wait);
    switch (wait.kind) {
    case WAIT_NONE:
        break; /* nothing to wait for: what was taken back is told by the next reap */
    case WAIT_WRITABLE:
        must(wait.fd == kernel.fd && txring_ops.in_flight(owner->engine) > 0);
        break;
    case WAIT_AFTER:
        must(wait.after_ns > 0 && wait.after_ns <= BACKOFF_MAX_NS);
        break;
    case WAIT_NEVER:
        must(wait.reason > 0);
        break;
    default:
        abort();
    }
}

static void rebind(struct owner *owner, uint8_t how)
{
    struct engine_facts facts = {.interface = "east0",
                                 .ifindex = 2 + how % 3,
                                 .mtu = how & 0x40 ? 68 : 1500,
                                 .link_header_bytes = 14,
                                 .fragments = (how & 0x20) != 0,
                                 .ends_here = (how & 0x10) != 0};
    struct err err = {0};
    kernel.bind_error = how & 0x80 ? ENODEV : 0;
    int code = txring_ops.rebind(owner->engine, &facts, &err);
    must(code == -kernel.bind_error && (code == 0 || err.text[0] != '\0'));
    txring_ops.caps(owner->engine, &owner->caps);
}

/* A byte that is a count, or one of the errors that send() is known for. */
static ssize_t answer(uint8_t byte)
{
    static const int errors[] = {EAGAIN, ENETDOWN, ENXIO, ENODEV, EPERM, ENOBUFS, EINTR, EMSGSIZE, ETIMEDOUT};
    return byte & 1 ? -errors[byte / 2 % (sizeof errors / sizeof *errors)] : (ssize_t)byte * 100;
}

static void move(struct owner *owner, uint8_t what, uint8_t a, uint8_t b)
{
    switch (what % 9) {
    case 0:
        put(owner, a % (MOST + 1), b * 8U);
        break;
    case 1:
        kernel.sent = answer(a);
        must(txring_ops.kick(owner->engine) == (kernel.sent < 0 ? (int)kernel.sent : 0));
        break;
    case 2:
        reap(owner);
        break;
    case 3:
        wait_for(owner);
        break;
    case 4:
        txring_ops.woken(owner->engine);
        break;
    case 5:
        txring_ops.withdraw(owner->engine);
        break;
    case 6:
        rebind(owner, a);
        break;
    case 7: /* a run of slots is begun, sent or refused */
        for (uint32_t i = 0; i < b % 16U; i++)
            set_status(a + i, b >> 5);
        break;
    default:
        set_status(a, (b & 7U) | (uint32_t)(b >> 5) << 29);
    }
}

static void must_balance(const struct owner *owner)
{
    uint32_t in_flight = txring_ops.in_flight(owner->engine);
    must(owner->committed == owner->told + in_flight && in_flight <= owner->caps.slots);
}

/* A kernel that comes to its senses: everything that was committed is told. */
static void end_well(struct owner *owner)
{
    for (uint32_t slot = 0; slot < kernel_slots(); slot++)
        set_status(slot, TP_STATUS_AVAILABLE);
    for (int i = 0; i < TURNS_TO_END && txring_ops.in_flight(owner->engine) > 0; i++)
        reap(owner);
    must(txring_ops.in_flight(owner->engine) == 0 && owner->committed == owner->told);
    struct engine_wait wait;
    txring_ops.wait(owner->engine, &wait);
    must(wait.kind == WAIT_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct engine_facts facts = {
        .interface = "east0", .ifindex = 2, .mtu = 1500, .link_header_bytes = 14, .ends_here = true};
    if (size < 3)
        return 0;
    struct engine_wishes wishes = {.largest_bytes = 64U + data[0] * 8U,
                                   .smallest_bytes = 60,
                                   .segments = data[1] & 0x10 ? 4 : 1,
                                   .version = 1 + data[1] % 3,
                                   .frames = 1U + data[2] % 64,
                                   .block_size = data[2] & 0x80 ? 4096 : 0,
                                   .qdisc = (data[1] & 0x20) != 0,
                                   .loss = (data[1] & 0x40) != 0,
                                   .cooked = (data[1] & 0x80) != 0};
    struct owner owner = {.segmented = wishes.segments > 1};
    struct err err = {0};
    int code = txring_ops.open(&facts, &wishes, &owner.engine, &err);
    if (code != 0) {
        must(err.text[0] != '\0' && owner.engine == NULL);
        if (kernel.map != NULL)
            kernel_end();
        return 0;
    }
    txring_ops.caps(owner.engine, &owner.caps);
    must(owner.caps.slots == kernel_slots());
    for (size_t i = 3; i + 2 < size; i += 3) {
        move(&owner, data[i], data[i + 1], data[i + 2]);
        must_balance(&owner);
    }
    end_well(&owner);
    txring_ops.close(owner.engine);
    must(write(kernel.fd, "", 1) < 0 && errno == EBADF);
    kernel_end();
    return 0;
}
