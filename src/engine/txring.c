/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The PACKET_MMAP transmit ring as an engine: the socket, its options in the order that the kernel wants, the
 * kick, and what to wait for. The slots themselves are slotring's.
 *
 *   socket ─► VERSION, LOSS, VNET_HDR, TX_HAS_OFF, QDISC_BYPASS ─► TX_RING ─► mmap ─► bind ─► SO_SNDBUF
 *
 * open, rebind, close: main thread, while the worker is parked or not yet there; the rest: the worker.
 *
 * What always holds: nothing is counted by what send() returns, because most errors discard its count; the
 * statuses are. The socket receives nothing: its protocol is 0, or a filter drops what has it. */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/geometry.h"
#include "engine/slotring.h"
#include "engine/trial.h"

enum {
    LINEAR_BYTES =
        256, /* up to here a copy into one buffer beats a page reference and a second DMA segment */
    LINEAR_ALWAYS_BYTES =
        16000, /* for drivers that copy fragments anyway; above, the allocation grows dear */
    CHARGE_BYTES =
        832, /* what the kernel charges the socket for the smallest frame, data apart (6.18, x86) */
    BACKOFF_FIRST_NS = 50 * 1000,
    BACKOFF_LAST_NS = 1000 * 1000,
    FRUITLESS_TRIES = 64, /* about 60 ms of backing off before the trouble is told */
    KERNEL_WITH_UDP_SEGMENTS = 602,
    /* IEEE 802 local experimental: no code knows it, so the kernel does not dissect a frame to find its
     * transport header (skb_probe_transport_header, include/linux/skbuff.h), a tenth of all work */
    UNKNOWN_PROTOCOL = 0x88b5,
};

struct txring {
    struct engine_base base;
    int fd;       /* owned */
    uint8_t *map; /* owned; map_bytes */
    size_t map_bytes;
    struct slotring slots;
    struct engine_wishes wishes;
    struct sockaddr_ll to; /* cooked: the address that each kick needs */
    struct engine_caps caps;
    size_t path_used;
    int trouble;              /* positive errno of the last kick, 0 */
    bool sent_nothing;        /* the last kick said 0 */
    bool woken;               /* the fd was writable since the last wait() */
    uint64_t progress;        /* slots begun or reaped, ever */
    uint64_t progress_waited; /* as of the last wait() */
    uint32_t fruitless;       /* waits in a row without progress */
};

static struct txring *of(struct engine *engine)
{
    return (struct txring *)(void *)engine;
}

static const struct txring *of_const(const struct engine *engine)
{
    return (const struct txring *)(const void *)engine;
}

/* ---- opening ------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void tell(struct txring *ring, const char *format, ...)
{
    char *at = ring->caps.path + ring->path_used;
    size_t room = sizeof ring->caps.path - ring->path_used;
    va_list args;
    if (ring->path_used != 0 && room > 2) {
        memcpy(at, "; ", 3);
        at += 2;
        room -= 2;
    }
    va_start(args, format);
    vsnprintf(at, room, format, args);
    va_end(args);
    ring->path_used = strlen(ring->caps.path);
}

static int set_option(struct txring *ring, int option, int value, const char *name, struct err *err)
{
    if (setsockopt(ring->fd, SOL_PACKET, option, &value, sizeof value) != 0)
        return err_set(err, -errno, "%s = %d: %s", name, value, strerror(errno));
    return 0;
}

static int open_socket(struct txring *ring, struct err *err)
{
    ring->fd = socket(AF_PACKET, (ring->wishes.cooked ? SOCK_DGRAM : SOCK_RAW) | SOCK_CLOEXEC, 0);
    if (ring->fd >= 0)
        return 0;
    if (errno == EPERM)
        return err_set(err, -EPERM, "a packet socket needs CAP_NET_RAW: run as the service does, or as root");
    return err_set(err, -errno, "packet socket: %s", strerror(errno));
}

static bool version_segments_udp(void)
{
    struct utsname name;
    unsigned major = 0, minor = 0;
    return uname(&name) == 0 && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
           major * 100 + minor >= KERNEL_WITH_UDP_SEGMENTS;
}

static bool kernel_segments_udp(void)
{
    int taken = trial_udp_segments();
    return taken >= 0 ? taken == 1 : version_segments_udp();
}

static int check_wishes(const struct engine_wishes *wishes, const struct engine_facts *facts, struct err *err)
{
    uint32_t limit = facts->mtu + facts->link_header_bytes + VLAN_TAG_BYTES;
    if (facts->ifindex <= 0)
        return err_set(err, -ENODEV, "there is no interface %s", facts->interface);
    if (wishes->version > 3)
        return err_set(err, -EINVAL, "ring version %u: there are 1, 2 and 3", wishes->version);
    if (wishes->segments > 1 && wishes->cooked)
        return err_set(err, -EOPNOTSUPP,
                       "UDP segmentation does not go with cooked: it needs the link header");
    if (wishes->segments > 1 && !kernel_segments_udp())
        return err_set(err, -EOPNOTSUPP,
                       "this kernel takes no UDP segments from a packet socket; Linux 6.2 and later do");
    if (wishes->segments <= 1 && !wishes->cooked && wishes->largest_bytes > limit)
        return err_set(err, -EMSGSIZE, "frames of %u bytes do not fit MTU %u: at most %u with a VLAN tag",
                       wishes->largest_bytes, facts->mtu, limit);
    return 0;
}

/* The kernel cannot segment in software behind a bypassed qdisc: it answers ENOBUFS for ever. */
static bool bypasses(const struct txring *ring)
{
    return !ring->wishes.qdisc && ring->wishes.segments <= 1;
}

/* Whether nobody below asks what a frame is: no tc filter, no other device, no hash of flows. */
static bool hides_protocol(const struct txring *ring, const struct engine_facts *facts)
{
    return facts->ends_here && facts->queue_choice != QUEUE_BY_FLOW && bypasses(ring) && !ring->wishes.cooked;
}

static bool takes_vnet(const struct txring *ring)
{
    struct slotring_shape bare = {.version = ring->caps.version};
    return !ring->wishes.cooked && (ring->wishes.offset == 0 ||
                                    ring->wishes.offset >= slotring_data_offset(&bare) + VNET_HEADER_BYTES);
}

static int set_options(struct txring *ring, struct slotring_shape *shape, struct err *err)
{
    static const int kernel_version[] = {[1] = TPACKET_V1, [2] = TPACKET_V2, [3] = TPACKET_V3};
    int code = set_option(ring, PACKET_VERSION, kernel_version[shape->version], "PACKET_VERSION", err);
    if (code == 0 && ring->wishes.loss)
        code = set_option(ring, PACKET_LOSS, 1, "PACKET_LOSS", err);
    if (code == 0 && shape->vnet && set_option(ring, PACKET_VNET_HDR, 1, "PACKET_VNET_HDR", NULL) != 0) {
        shape->vnet = false; /* before Linux 4.6 a TX ring had none */
        if (ring->wishes.segments > 1)
            code = err_set(err, -EOPNOTSUPP,
                           "UDP segmentation needs PACKET_VNET_HDR, which this kernel refuses");
    }
    if (code == 0 && shape->offset != 0)
        code = set_option(ring, PACKET_TX_HAS_OFF, 1, "PACKET_TX_HAS_OFF", err);
    if (code == 0 && bypasses(ring))
        code = set_option(ring, PACKET_QDISC_BYPASS, 1, "PACKET_QDISC_BYPASS", err);
    return code;
}

static int choose_shape(const struct txring *ring, struct slotring_shape *shape, struct err *err)
{
    struct slotring_shape usual = {.version = shape->version, .vnet = shape->vnet};
    struct geometry_wishes wishes = {
        .version = shape->version,
        .page_bytes = (uint32_t)sysconf(_SC_PAGESIZE),
        .largest_bytes =
            ring->wishes.largest_bytes + slotring_data_offset(shape) - slotring_data_offset(&usual),
        .virtio = shape->vnet,
        .frames = ring->wishes.frames,
        .frame_size = ring->wishes.frame_size,
        .block_size = ring->wishes.block_size,
    };
    struct geometry geometry;
    int code = geometry_choose(&wishes, &geometry, err);
    if (code != 0)
        return code;
    shape->frame_size = geometry.frame_size;
    shape->block_size = geometry.block_size;
    shape->blocks = geometry.blocks;
    return 0;
}

static int request_ring(int fd, const struct slotring_shape *shape)
{
    struct tpacket_req3 request = {
        .tp_block_size = shape->block_size,
        .tp_block_nr = shape->blocks,
        .tp_frame_size = shape->frame_size,
        .tp_frame_nr = shape->blocks * (shape->block_size / shape->frame_size),
    };
    socklen_t size = shape->version == 3 ? sizeof request : sizeof(struct tpacket_req);
    return setsockopt(fd, SOL_PACKET, PACKET_TX_RING, &request, size) == 0 ? 0 : -errno;
}

/* Halves what the kernel has no memory for: first the blocks' size, then their number. */
static bool shrink(struct slotring_shape *shape)
{
    uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);
    uint32_t half = shape->block_size / 2;
    if (half >= page && half % page == 0 && half >= shape->frame_size &&
        shape->block_size % shape->frame_size == 0) {
        shape->block_size = half;
        shape->blocks *= 2;
        return true;
    }
    if (shape->blocks == 1)
        return false;
    shape->blocks /= 2;
    return true;
}

static int make_ring(struct txring *ring, struct slotring_shape *shape, struct err *err)
{
    int code = request_ring(ring->fd, shape);
    bool smaller = false;
    while (code == -ENOMEM && shrink(shape)) {
        smaller = true;
        code = request_ring(ring->fd, shape);
    }
    if (code != 0)
        return err_set(err, code, "ring of %u blocks of %u bytes, frames of %u bytes: %s", shape->blocks,
                       shape->block_size, shape->frame_size, strerror(-code));
    ring->map_bytes = (size_t)shape->blocks * shape->block_size;
    void *map = mmap(NULL, ring->map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
    if (map == MAP_FAILED)
        return err_set(err, -errno, "mapping a ring of %zu bytes: %s", ring->map_bytes, strerror(errno));
    ring->map = map;
    if (smaller)
        tell(ring, "memory is short: %u blocks of %u bytes", shape->blocks, shape->block_size);
    return 0;
}

static int receive_nothing(struct txring *ring, struct err *err)
{
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {1, &drop};
    if (setsockopt(ring->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
        return err_set(err, -errno, "a filter that drops all: %s", strerror(errno));
    return 0;
}

static int bind_to(struct txring *ring, const struct engine_facts *facts, struct err *err)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = facts->ifindex};
    if (hides_protocol(ring, facts)) {
        int code = receive_nothing(ring, err);
        if (code != 0)
            return code;
        address.sll_protocol = htons(UNKNOWN_PROTOCOL);
    }
    if (bind(ring->fd, (struct sockaddr *)&address, sizeof address) != 0)
        return err_set(err, -errno, "binding to %s (index %d): %s", facts->interface, facts->ifindex,
                       errno == ENODEV ? "the interface is gone" : strerror(errno));
    ring->to = address;
    ring->to.sll_protocol = htons(ring->wishes.cooked_type);
    ring->to.sll_halen = ETH_ALEN;
    memcpy(ring->to.sll_addr, ring->wishes.cooked_dst, ETH_ALEN);
    return 0;
}

/* A little less than the ring's frames are charged, so that memory runs out before slots do: only then does
 * the kernel wake us. The charge is taken at its least, for a wrong guess may cost a wait by timer, never a
 * wake-up. */
static void size_socket_memory(struct txring *ring)
{
    uint64_t charge = CHARGE_BYTES + ring->wishes.smallest_bytes;
    uint64_t bytes = charge * ring->slots.slots / 8 * 7;
    int half = (int)((bytes < INT_MAX / 2 ? bytes : INT_MAX / 2) / 2); /* the kernel doubles it */
    int got = 0;
    socklen_t size = sizeof got;
    if (setsockopt(ring->fd, SOL_SOCKET, SO_SNDBUFFORCE, &half, sizeof half) != 0)
        setsockopt(ring->fd, SOL_SOCKET, SO_SNDBUF, &half, sizeof half);
    if (getsockopt(ring->fd, SOL_SOCKET, SO_SNDBUF, &got, &size) == 0)
        ring->caps.socket_memory = (uint64_t)got;
}

static void adopt_facts(struct txring *ring, const struct engine_facts *facts)
{
    struct slotring *slots = &ring->slots;
    uint32_t room = slots->frame_size - slots->data_at;
    uint32_t limit = facts->mtu + (ring->wishes.cooked ? 0 : facts->link_header_bytes);
    slots->frame_limit = limit < room ? limit : room;
    slots->linear_limit = facts->copies_fragments || !facts->fragments ? LINEAR_ALWAYS_BYTES : LINEAR_BYTES;
    ring->caps.max_bytes = slots->frame_limit;
    ring->caps.max_run_bytes = room;
}

static void describe_path(struct txring *ring, const struct engine_facts *facts)
{
    if (!ring->slots.vnet)
        tell(ring, ring->wishes.cooked ? "cooked: the kernel builds the link header, frames by page reference"
                                       : "frames by page reference");
    else if (ring->slots.linear_limit == LINEAR_BYTES)
        tell(ring, "one linear buffer up to %d bytes, page references above", LINEAR_BYTES);
    else
        tell(ring, "one linear buffer at any length, as %s %s fragments", facts->interface,
             facts->fragments ? "copies" : "takes no");
    if (ring->wishes.segments > 1)
        tell(ring, "UDP segments: up to %u frames a slot, cut by the %s, through the qdisc",
             ring->wishes.segments, facts->segments_in_device ? "device" : "kernel");
    else
        tell(ring, bypasses(ring) ? "past the qdisc" : "through the qdisc");
    if (hides_protocol(ring, facts))
        tell(ring, "not dissected, as nobody below asks what a frame is");
    if (facts->queue_choice != QUEUE_ONLY_ONE)
        tell(ring, facts->queue_choice == QUEUE_BY_CPU ? "the device's queue by CPU (XPS)"
                                                       : "the device's queue by a hash of the flow (no XPS)");
    if (ring->wishes.loss)
        tell(ring, "PACKET_LOSS: bad frames vanish and count as completed");
}

static void fill_caps(struct txring *ring, const struct slotring_shape *shape)
{
    ring->caps.slots = ring->slots.slots;
    ring->caps.max_batch = ring->slots.slots;
    ring->caps.max_segments = ring->wishes.segments > 1 ? ring->wishes.segments : 1;
    ring->caps.completion = COMPLETION_BUFFER_FREE;
    ring->caps.frame_size = shape->frame_size;
    ring->caps.block_size = shape->block_size;
    ring->caps.blocks = shape->blocks;
}

static int set_up(struct txring *ring, const struct engine_facts *facts, struct err *err)
{
    struct slotring_shape shape = {
        .version = ring->caps.version,
        .offset = ring->wishes.offset,
        .cooked = ring->wishes.cooked,
        .vnet = takes_vnet(ring),
    };
    int code = open_socket(ring, err);
    if (code == 0)
        code = set_options(ring, &shape, err);
    if (code != 0)
        return code;
    code = choose_shape(ring, &shape, err);
    if (code == 0)
        code = make_ring(ring, &shape, err);
    if (code == 0)
        code = bind_to(ring, facts, err);
    if (code != 0)
        return code;
    slotring_init(&ring->slots, ring->map, &shape);
    adopt_facts(ring, facts);
    fill_caps(ring, &shape);
    size_socket_memory(ring);
    describe_path(ring, facts);
    return 0;
}

/* Never blocks. What the kernel has begun leaves after this, even after the process; what it has not, never.
 */
static void close_ring(struct engine *engine)
{
    struct txring *ring = of(engine);
    if (ring == NULL)
        return;
    if (ring->map != NULL) {
        slotring_withdraw(&ring->slots);
        munmap(ring->map, ring->map_bytes);
    }
    if (ring->fd >= 0)
        close(ring->fd);
    free(ring);
}

static int open_ring(const struct engine_facts *facts, const struct engine_wishes *wishes,
                     struct engine **out, struct err *err)
{
    int code = check_wishes(wishes, facts, err);
    if (code != 0)
        return code;
    struct txring *ring = malloc(sizeof *ring);
    if (ring == NULL)
        return err_set(err, -ENOMEM, "no memory for a ring's accounts");
    *ring = (struct txring){.base = {&txring_ops}, .fd = -1, .wishes = *wishes};
    ring->caps.version = wishes->version == 0 ? 2 : wishes->version;
    code = set_up(ring, facts, err);
    if (code != 0)
        goto fail;
    *out = (struct engine *)(void *)ring;
    return 0;
fail:
    close_ring((struct engine *)(void *)ring);
    return code;
}

static int rebind(struct engine *engine, const struct engine_facts *facts, struct err *err)
{
    struct txring *ring = of(engine);
    slotring_withdraw(&ring->slots); /* nothing meant for the old interface goes out on the new one */
    int code = bind_to(ring, facts, err);
    if (code != 0)
        return code;
    adopt_facts(ring, facts);
    ring->trouble = 0;
    ring->fruitless = 0;
    return 0;
}

/* ---- the worker's part -----------------------------------------------------------------------------------
 */

static void caps(const struct engine *engine, struct engine_caps *out)
{
    *out = of_const(engine)->caps;
}

static uint32_t reserve(struct engine *engine, uint32_t slots, struct engine_span *span)
{
    return slotring_reserve(&of(engine)->slots, slots, span);
}

static void commit(struct engine *engine, const struct engine_frame *frames, uint32_t slots)
{
    slotring_commit(&of(engine)->slots, frames, slots);
}

static ssize_t send_ring(const struct txring *ring)
{
    const struct sockaddr *to = ring->wishes.cooked ? (const struct sockaddr *)&ring->to : NULL;
    return sendto(ring->fd, NULL, 0, MSG_DONTWAIT, to, to == NULL ? 0 : sizeof ring->to);
}

static int kick(struct engine *engine)
{
    struct txring *ring = of(engine);
    ssize_t sent = send_ring(ring);
    if (sent < 0 && errno == ENETDOWN)
        sent = send_ring(ring); /* a socket with a protocol remembers one link that was down, once */
    ring->trouble = sent < 0 ? errno : 0;
    ring->sent_nothing = sent == 0;
    ring->progress += slotring_advance(&ring->slots);
    return -ring->trouble;
}

static uint32_t reap(struct engine *engine, struct engine_result *results, uint32_t max)
{
    struct txring *ring = of(engine);
    uint32_t before = ring->slots.committed;
    uint32_t used = slotring_reap(&ring->slots, results, max);
    ring->progress += before - ring->slots.committed;
    return used;
}

enum remedy { REMEDY_MEMORY, REMEDY_TIME, REMEDY_NONE };

/* What makes the head slot move again after a kick that ended so; ETIMEDOUT and the like have no row and get
 * time, with the tries capped. */
static enum remedy remedy_for(int trouble)
{
    static const struct {
        int trouble;
        enum remedy remedy;
    } remedies[] = {
        {0, REMEDY_MEMORY},      /* some went out, then memory ended */
        {EAGAIN, REMEDY_MEMORY}, /* memory was out from the start */
        {ENETDOWN, REMEDY_NONE}, {ENXIO, REMEDY_NONE},  {ENODEV, REMEDY_NONE},
        {EPERM, REMEDY_NONE},    {EACCES, REMEDY_NONE},
    };
    for (size_t i = 0; i < sizeof remedies / sizeof remedies[0]; i++)
        if (remedies[i].trouble == trouble)
            return remedies[i].remedy;
    return REMEDY_TIME;
}

static void back_off(struct txring *ring, struct engine_wait *out)
{
    uint32_t doublings = ring->fruitless < 5 ? ring->fruitless : 5;
    uint64_t after_ns = (uint64_t)BACKOFF_FIRST_NS << doublings;
    *out = (struct engine_wait){
        .kind = WAIT_AFTER,
        .after_ns = after_ns < BACKOFF_LAST_NS ? after_ns : BACKOFF_LAST_NS,
    };
}

/* The head is still SEND_REQUEST after a kick. */
static void wait_for_head(struct txring *ring, bool woken_in_vain, struct engine_wait *out)
{
    int trouble = ring->trouble;
    if (ring->sent_nothing && ring->slots.unsent == ring->slots.committed)
        trouble = EPROTO; /* the kernel looks at another slot than we do: only a new ring helps */
    enum remedy remedy = remedy_for(trouble);
    if (remedy == REMEDY_NONE || (remedy == REMEDY_TIME && ring->fruitless >= FRUITLESS_TRIES))
        *out = (struct engine_wait){.kind = WAIT_NEVER, .reason = trouble};
    else if (remedy == REMEDY_MEMORY && !woken_in_vain)
        *out = (struct engine_wait){.kind = WAIT_WRITABLE, .fd = ring->fd};
    else
        back_off(ring, out);
}

static void wait(struct engine *engine, struct engine_wait *out)
{
    struct txring *ring = of(engine);
    bool moved = ring->progress != ring->progress_waited;
    bool woken_in_vain = ring->woken && !moved;
    ring->fruitless = moved ? 0 : ring->fruitless + 1;
    ring->progress_waited = ring->progress;
    ring->woken = false;
    if (ring->slots.committed == 0)
        *out = (struct engine_wait){.kind = WAIT_NONE};
    else if (ring->slots.unsent == 0)
        back_off(ring, out); /* all SENDING: POLLOUT would be said at once, and again, and again */
    else
        wait_for_head(ring, woken_in_vain, out);
}

static void woken(struct engine *engine)
{
    of(engine)->woken = true;
}

static void withdraw(struct engine *engine)
{
    slotring_withdraw(&of(engine)->slots);
}

static uint32_t in_flight(const struct engine *engine)
{
    const struct slotring *slots = &of_const(engine)->slots;
    return slots->committed + slots->withdrawn;
}

const struct engine_ops txring_ops = {
    .name = "txring",
    .summary = "PACKET_MMAP transmit ring",
    .open = open_ring,
    .caps = caps,
    .reserve = reserve,
    .commit = commit,
    .kick = kick,
    .reap = reap,
    .wait = wait,
    .woken = woken,
    .withdraw = withdraw,
    .rebind = rebind,
    .in_flight = in_flight,
    .close = close_ring,
};
