/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rings while they are opened, when the kernel says no (link-time wrap of the system calls): each call
 * fails in its turn. What can do without serves on; what cannot is told, leaves nothing behind and gives
 * nothing out. Memory that is short makes the ring smaller. The NIC's stamping is given back as it was. */
#include <errno.h>
#include <inttypes.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
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
#include "engine/engine.h"
#include "engine/receiver.h"
#include "fact.h"
#include "veth_engine.h"

int __real_socket(int domain, int type, int protocol);
int __real_bind(int fd, const struct sockaddr *address, socklen_t bytes);
int __real_setsockopt(int fd, int level, int option, const void *value, socklen_t bytes);
int __real_close(int fd);
int __real_ioctl(int fd, unsigned long request, ...);
int __real_uname(struct utsname *out);
ssize_t __real_sendto(int fd, const void *data, size_t bytes, int flags, const struct sockaddr *to,
                      socklen_t to_bytes);
void *__real_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t bytes);

int __wrap_socket(int domain, int type, int protocol);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t bytes);
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t bytes);
int __wrap_close(int fd);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_uname(struct utsname *out);
ssize_t __wrap_sendto(int fd, const void *data, size_t bytes, int flags, const struct sockaddr *to,
                      socklen_t to_bytes);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t bytes);

enum { FRAMES = 10, FRAME_BYTES = 60, REQUESTS_MOST = 64, NEVER = 0 };

/* ---- a kernel that says no ---- */

static struct {
    unsigned call, fails_at; /* counted from 1; NEVER */
    int error;
    char failed[48];                                   /* which call that was */
    unsigned short_of_memory;                          /* ring requests that are still to be refused */
    struct tpacket_req3 requests[REQUESTS_MOST], last; /* as asked for; the one that was granted */
    unsigned request_count;
    const char *release; /* of the kernel, instead of its own */
    bool takes_no_runs;  /* of UDP segments */
} kernel;

static struct { /* a NIC that can stamp */
    bool there;
    unsigned filters; /* bits of the receive filters that it has */
    int filter;       /* the one in force */
    unsigned sets;
} nic;

static int sockets_open;
static size_t bytes_mapped;

static bool fails(const char *call, int detail)
{
    if (++kernel.call != kernel.fails_at)
        return false;
    snprintf(kernel.failed, sizeof kernel.failed, "%s %d", call, detail);
    errno = kernel.error;
    return true;
}

static void fail_at(unsigned call, int error)
{
    memset(&kernel, 0, sizeof kernel);
    kernel.fails_at = call;
    kernel.error = error;
}

int __wrap_socket(int domain, int type, int protocol)
{
    if (domain != AF_PACKET)
        return __real_socket(domain, type, protocol);
    int fd = fails("socket", type & SOCK_DGRAM) ? -1 : __real_socket(domain, type, protocol);
    sockets_open += fd >= 0;
    return fd;
}

int __wrap_close(int fd)
{
    int domain = 0;
    socklen_t size = sizeof domain;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_PACKET)
        sockets_open--;
    return __real_close(fd);
}

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t bytes)
{
    return fails("bind", 0) ? -1 : __real_bind(fd, address, bytes);
}

static int request_ring(int fd, int option, const void *value, socklen_t bytes)
{
    if (kernel.request_count < REQUESTS_MOST)
        memcpy(&kernel.requests[kernel.request_count++], value, bytes);
    if (kernel.short_of_memory > 0) {
        kernel.short_of_memory--;
        errno = ENOMEM;
        return -1;
    }
    memcpy(&kernel.last, value, bytes);
    return __real_setsockopt(fd, SOL_PACKET, option, value, bytes);
}

int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t bytes)
{
    if (fails(level == SOL_PACKET ? "packet option" : "socket option", option))
        return -1;
    if (level == SOL_PACKET && (option == PACKET_TX_RING || option == PACKET_RX_RING))
        return request_ring(fd, option, value, bytes);
    return __real_setsockopt(fd, level, option, value, bytes);
}

static int nic_ioctl(unsigned long request, const struct ifreq *ifreq)
{
    if (request == SIOCETHTOOL) {
        struct ethtool_ts_info *info = (void *)ifreq->ifr_data;
        info->so_timestamping = SOF_TIMESTAMPING_RAW_HARDWARE;
        info->rx_filters = nic.filters;
        return 0;
    }
    struct hwtstamp_config *config = (void *)ifreq->ifr_data;
    if (request == SIOCSHWTSTAMP) {
        nic.filter = config->rx_filter;
        nic.sets++;
    }
    config->rx_filter = nic.filter;
    return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    va_start(args, request);
    void *data = va_arg(args, void *);
    va_end(args);
    if (request == SIOCGIFFLAGS)
        return __real_ioctl(fd, request, data);
    if (fails("ioctl", (int)request))
        return -1;
    bool about_stamps = request == SIOCETHTOOL || request == SIOCGHWTSTAMP || request == SIOCSHWTSTAMP;
    return nic.there && about_stamps ? nic_ioctl(request, data) : __real_ioctl(fd, request, data);
}

int __wrap_uname(struct utsname *out)
{
    int code = __real_uname(out);
    if (kernel.release != NULL)
        snprintf(out->release, sizeof out->release, "%s", kernel.release);
    return code;
}

/* As before Linux 6.2: virtio_net_hdr_to_skb() does not know the kind. */
ssize_t __wrap_sendto(int fd, const void *data, size_t bytes, int flags, const struct sockaddr *to,
                      socklen_t to_bytes)
{
    if (kernel.takes_no_runs && bytes > 0) {
        errno = EINVAL;
        return -1;
    }
    return __real_sendto(fd, data, bytes, flags, to, to_bytes);
}

void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    void *map = fails("mmap", 0) ? MAP_FAILED : __real_mmap(at, bytes, protection, flags, fd, offset);
    bytes_mapped += map == MAP_FAILED ? 0 : bytes;
    return map;
}

int __wrap_munmap(void *at, size_t bytes)
{
    bytes_mapped -= bytes;
    return __real_munmap(at, bytes);
}

static bool nothing_left(void)
{
    return sockets_open == 0 && bytes_mapped == 0;
}

/* ---- sending and receiving a little, to see that a ring works ---- */

static bool sends(struct engine *engine)
{
    const struct engine_ops *ops = engine_ops(engine);
    struct engine_result results[FRAMES];
    uint64_t before = device_count("va", TX_PACKETS);
    uint32_t count = veth_put(engine, FRAMES, FRAME_BYTES), completed = 0;
    for (unsigned ms = 0; completed < count && ms < 5000 * slow_factor(); ms++) {
        ops->kick(engine);
        uint32_t got = ops->reap(engine, results, FRAMES);
        for (uint32_t i = 0; i < got; i++)
            completed += results[i].outcome == ENGINE_COMPLETED ? results[i].slots : 0;
        if (completed < count)
            sleep_ms(1);
    }
    return count > 0 && completed == count &&
           device_await("va", TX_PACKETS, before + count) == before + count;
}

static void take(void *context, const struct received *frames, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        *(unsigned *)context += memcmp(frames[i].frame, veth_header, sizeof veth_header) == 0;
}

/* `from`: a socket that is bound to the other end. */
static bool receives(struct receiver *receiver, int from)
{
    uint8_t frame[FRAME_BYTES] = {0};
    unsigned taken = 0;
    struct pollfd fd = {.fd = receiver_fd(receiver), .events = POLLIN};
    uint64_t until_ns = clock_monotonic_ns() + 5 * NS_PER_SECOND * slow_factor();
    memcpy(frame, veth_header, sizeof veth_header);
    for (unsigned i = 0; i < FRAMES; i++)
        send(from, frame, sizeof frame, 0);
    while (taken < FRAMES && clock_monotonic_ns() < until_ns) {
        poll(&fd, 1, 10);
        while (receiver_next(receiver, take, &taken) > 0)
            ;
    }
    return taken == FRAMES;
}

/* ---- each call fails in its turn ---- */

/* What is lost with a call that fails: all, but for these. */
enum loss { LOST_ALL, LOST_NOTHING, LOST_STAMPS };

static enum loss loss_of(const char *call)
{
    static const struct {
        const char *call;
        int detail;
        enum loss loss;
    } rows[] = {{"packet option", PACKET_VNET_HDR, LOST_NOTHING},
                {"socket option", SO_SNDBUFFORCE, LOST_NOTHING},
                {"socket option", SO_SNDBUF, LOST_NOTHING},
                {"ioctl", SIOCGIFMTU, LOST_NOTHING},
                {"ioctl", SIOCETHTOOL, LOST_STAMPS},
                {"ioctl", SIOCGHWTSTAMP, LOST_STAMPS},
                {"ioctl", SIOCSHWTSTAMP, LOST_STAMPS},
                {"packet option", PACKET_TIMESTAMP, LOST_STAMPS}};
    char text[48];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(text, sizeof text, "%s %d", rows[i].call, rows[i].detail);
        if (strcmp(call, text) == 0)
            return rows[i].loss;
    }
    return *call == '\0' ? LOST_NOTHING : LOST_ALL;
}

static bool refused_well(int code, const struct err *err, bool out_untouched)
{
    return code == -EIO && err->code == -EIO && err->text[0] != '\0' && out_untouched && nothing_left();
}

static void sender_in_turn(const char *name, const struct engine_wishes *wishes)
{
    const struct engine_ops *ops = engine_find("txring");
    struct engine_facts facts = veth_facts("va");
    unsigned refused = 0, served = 0, wrong = 0;
    for (unsigned call = 1;; call++) {
        struct engine *engine = NULL;
        struct err err = {0};
        fail_at(call, EIO);
        int code = ops->open(&facts, wishes, &engine, &err);
        bool reached = kernel.failed[0] != '\0', good;
        kernel.fails_at = NEVER;
        if (code == 0) {
            good = loss_of(kernel.failed) != LOST_ALL && sends(engine);
            ops->close(engine);
            good &= nothing_left();
            served += reached;
        } else {
            good = loss_of(kernel.failed) == LOST_ALL && refused_well(code, &err, engine == NULL);
            refused++;
        }
        if (!good)
            printf("# %s: call %u (%s): %d, %s\n", name, call, kernel.failed, code, err.text);
        wrong += !good;
        if (!reached)
            break;
    }
    fact(wrong == 0 && refused >= 5, "%s: of the calls that fail, %u are told and %u are done without", name,
         refused, served);
}

static void senders_in_turn(void)
{
    struct engine_wishes wishes = {
        .largest_bytes = 1518, .smallest_bytes = FRAME_BYTES, .segments = 1, .frames = 64};
    for (wishes.version = 1; wishes.version <= 3; wishes.version++) {
        char name[32];
        snprintf(name, sizeof name, "send V%u past the qdisc", wishes.version);
        sender_in_turn(name, &wishes);
    }
    wishes.version = 2;
    wishes.offset = 64;
    wishes.loss = wishes.qdisc = true;
    sender_in_turn("send V2 at an offset, PACKET_LOSS", &wishes);
}

static void receiver_in_turn(const char *name, const struct receiver_wishes *wishes, int from)
{
    unsigned refused = 0, served = 0, wrong = 0;
    for (unsigned call = 1;; call++) {
        struct receiver *receiver = NULL;
        struct err err = {0};
        bool good;
        fail_at(call, EIO);
        nic.filter = HWTSTAMP_FILTER_NONE;
        int code = receiver_open(wishes, &receiver, &err);
        bool reached = kernel.failed[0] != '\0';
        kernel.fails_at = NEVER;
        if (code == 0) {
            bool hardware = strstr(receiver_clock(receiver), "hardware") != NULL;
            good = loss_of(kernel.failed) != LOST_ALL && receives(receiver, from) &&
                   hardware == (wishes->hardware_time && loss_of(kernel.failed) != LOST_STAMPS);
            receiver_close(receiver);
            good &= nothing_left();
            served += reached;
        } else {
            good = loss_of(kernel.failed) == LOST_ALL && refused_well(code, &err, receiver == NULL);
            refused++;
        }
        good &= nic.filter == HWTSTAMP_FILTER_NONE;
        if (!good)
            printf("# %s: call %u (%s): %d, %s\n", name, call, kernel.failed, code, err.text);
        wrong += !good;
        if (!reached)
            break;
    }
    fact(wrong == 0 && refused >= 6, "%s: of the calls that fail, %u are told and %u are done without", name,
         refused, served);
}

static void receivers_in_turn(int from)
{
    struct receiver_wishes wishes = {.interface = "vb", .ifindex = (int)if_nametoindex("vb"), .blocks = 4};
    for (wishes.version = 1; wishes.version <= 3; wishes.version++) {
        char name[32];
        snprintf(name, sizeof name, "receive V%u", wishes.version);
        receiver_in_turn(name, &wishes, from);
    }
    wishes.version = 2;
    wishes.whole = wishes.promiscuous = wishes.hardware_time = true;
    wishes.fanout = RECEIVER_FANOUT_STREAM;
    wishes.fanout_group = 7;
    nic.there = true;
    nic.filters = 1U << HWTSTAMP_FILTER_ALL;
    receiver_in_turn("receive V2, all that can be asked for", &wishes, from);
    nic.there = false;
}

/* ---- what cannot be, is told before anything is opened ---- */

static bool refuses(const struct engine_facts *facts, const struct engine_wishes *wishes, int code,
                    const char *says)
{
    struct engine *engine = NULL;
    struct err err = {0};
    int got = engine_find("txring")->open(facts, wishes, &engine, &err);
    if (got != code || strstr(err.text, says) == NULL)
        printf("# %d: %s\n", got, err.text);
    return got == code && strstr(err.text, says) != NULL && engine == NULL && nothing_left();
}

/* The loopback is up: what the kernel does counts, not what it calls itself. */
static void segments_are_tried(const struct engine_facts *facts, const struct engine_wishes *wishes)
{
    struct engine *engine = NULL;
    fail_at(NEVER, 0);
    uint64_t looped = device_count("lo", RX_PACKETS), left = device_count("va", TX_PACKETS);
    kernel.release = "5.14.0-427.el9.x86_64";
    fact(engine_find("txring")->open(facts, wishes, &engine, NULL) == 0,
         "segments on a 5.14 that takes them");
    engine_find("txring")->close(engine);
    fact(device_count("lo", RX_PACKETS) == looped + 1 && device_count("va", TX_PACKETS) == left,
         "the trial went over the loopback, and only there");
    kernel.release = "6.2.0";
    kernel.takes_no_runs = true;
    fact(refuses(facts, wishes, -EOPNOTSUPP, "takes no UDP segments"), "and not on a 6.2 that does not");
}

static void segments_by_version(const struct engine_facts *facts, const struct engine_wishes *wishes)
{
    struct engine *engine = NULL;
    fail_at(NEVER, 0);
    fact(system("ip link set lo down") == 0, "nothing can be tried where the loopback is down");
    kernel.release = "6.1.0-18-amd64";
    fact(refuses(facts, wishes, -EOPNOTSUPP, "Linux 6.2"), "segments on Linux 6.1");
    kernel.release = "6.2.0";
    fact(engine_find("txring")->open(facts, wishes, &engine, NULL) == 0, "and not on 6.2");
    engine_find("txring")->close(engine);
}

static void wishes_that_cannot_be(void)
{
    const struct engine_facts facts = veth_facts("va");
    const struct engine_wishes good = {.largest_bytes = 1518, .segments = 1, .frames = 64};
    struct engine_facts gone = facts;
    struct engine_wishes wishes = good;
    fail_at(NEVER, 0);
    gone.ifindex = 0;
    fact(refuses(&gone, &good, -ENODEV, "no interface va"), "no interface");
    gone.ifindex = 999999;
    fact(refuses(&gone, &good, -ENODEV, "the interface is gone"), "an interface that has just gone");
    wishes.version = 4;
    fact(refuses(&facts, &wishes, -EINVAL, "1, 2 and 3"), "ring version 4");
    wishes = good;
    wishes.largest_bytes = 1519;
    fact(refuses(&facts, &wishes, -EMSGSIZE, "at most 1518"), "a frame one byte above the MTU and a tag");
    wishes = good;
    wishes.segments = 4;
    wishes.cooked = true;
    fact(refuses(&facts, &wishes, -EOPNOTSUPP, "cooked"), "segments of what has no link header");
    wishes.cooked = false;
    segments_are_tried(&facts, &wishes);
    segments_by_version(&facts, &wishes);
    fail_at(1, EPERM);
    fact(refuses(&facts, &good, -EPERM, "CAP_NET_RAW"), "no permission");
}

static bool receiver_refuses(const struct receiver_wishes *wishes, int code, const char *says)
{
    struct receiver *receiver = NULL;
    struct err err = {0};
    int got = receiver_open(wishes, &receiver, &err);
    return got == code && strstr(err.text, says) != NULL && receiver == NULL && nothing_left();
}

static void receivers_that_cannot_be(void)
{
    struct receiver_wishes wishes = {.interface = "vb", .ifindex = (int)if_nametoindex("vb"), .version = 4};
    fail_at(NEVER, 0);
    fact(receiver_refuses(&wishes, -EINVAL, "1, 2 and 3"), "receive ring version 4");
    wishes.version = 3;
    wishes.ifindex = 0;
    fact(receiver_refuses(&wishes, -ENODEV, "no interface vb"), "receiving from no interface");
    wishes.ifindex = 999999;
    fact(receiver_refuses(&wishes, -ENODEV, "the interface is gone"),
         "receiving from one that has just gone");
    fail_at(1, EPERM);
    fact(receiver_refuses(&wishes, -EPERM, "CAP_NET_RAW"), "receiving without permission");
}

/* ---- memory that is short ---- */

static uint64_t ring_bytes(const struct tpacket_req3 *request)
{
    return (uint64_t)request->tp_block_size * request->tp_block_nr;
}

static bool never_grew(void)
{
    for (unsigned i = 1; i < kernel.request_count; i++)
        if (ring_bytes(&kernel.requests[i]) > ring_bytes(&kernel.requests[i - 1]) ||
            kernel.requests[i].tp_block_size > kernel.requests[i - 1].tp_block_size)
            return false;
    return true;
}

static void sender_short_of_memory(void)
{
    const struct engine_ops *ops = engine_find("txring");
    struct engine_facts facts = veth_facts("va");
    struct engine_wishes wishes = {
        .largest_bytes = 1518, .smallest_bytes = FRAME_BYTES, .segments = 1, .frames = 1024};
    struct engine *engine = NULL;
    struct engine_caps caps;
    fail_at(NEVER, 0);
    kernel.short_of_memory = 6;
    bool open = ops->open(&facts, &wishes, &engine, NULL) == 0;
    ops->caps(engine, &caps);
    fact(open && kernel.request_count == 7 && never_grew() &&
             ring_bytes(&kernel.last) < ring_bytes(&kernel.requests[0]) &&
             caps.blocks == kernel.last.tp_block_nr && caps.block_size == kernel.last.tp_block_size &&
             caps.slots == kernel.last.tp_frame_nr && bytes_mapped == ring_bytes(&kernel.last),
         "memory is short six times: %u slots in %u blocks of %u bytes", caps.slots, caps.blocks,
         caps.block_size);
    fact(strstr(caps.path, "memory is short") != NULL && sends(engine),
         "and the smaller ring says so, and sends");
    ops->close(engine);
    struct err err = {0};
    fail_at(NEVER, 0);
    kernel.short_of_memory = UINT32_MAX;
    engine = NULL;
    int code = ops->open(&facts, &wishes, &engine, &err);
    fact(code == -ENOMEM && engine == NULL && nothing_left() &&
             kernel.requests[kernel.request_count - 1].tp_block_nr == 1 &&
             strstr(err.text, "ring of 1 blocks of 4096 bytes") != NULL,
         "no memory at all is told when one page was too much: %s", err.text);
}

static void receiver_short_of_memory(int from)
{
    struct receiver_wishes wishes = {.interface = "vb", .ifindex = (int)if_nametoindex("vb"), .blocks = 16};
    struct receiver *receiver = NULL;
    fail_at(NEVER, 0);
    kernel.short_of_memory = 2;
    bool open = receiver_open(&wishes, &receiver, NULL) == 0;
    fact(open && kernel.request_count == 3 && kernel.last.tp_block_nr == 4 &&
             bytes_mapped == ring_bytes(&kernel.last) && receives(receiver, from),
         "memory is short twice: a quarter of the blocks, and they receive");
    receiver_close(receiver);
    fail_at(NEVER, 0);
    kernel.short_of_memory = UINT32_MAX;
    fact(receiver_refuses(&wishes, -ENOMEM, "2 blocks"), "no memory for two blocks is told");
}

/* ---- the NIC's stamps ---- */

static bool stamps(const char *clock, int filter_before, int filter_during, unsigned sets)
{
    struct receiver_wishes wishes = {
        .interface = "vb", .ifindex = (int)if_nametoindex("vb"), .blocks = 4, .hardware_time = true};
    struct receiver *receiver = NULL;
    nic.filter = filter_before;
    nic.sets = 0;
    if (receiver_open(&wishes, &receiver, NULL) != 0)
        return false;
    bool good = strncmp(receiver_clock(receiver), clock, strlen(clock)) == 0 && nic.filter == filter_during;
    receiver_close(receiver);
    return good && nic.filter == filter_before && nic.sets == sets;
}

static void stamping(void)
{
    fail_at(NEVER, 0);
    fact(stamps("software", HWTSTAMP_FILTER_NONE, HWTSTAMP_FILTER_NONE, 0),
         "a veth has no stamps of its own");
    nic.there = true;
    nic.filters = 1U << HWTSTAMP_FILTER_ALL | 1U << HWTSTAMP_FILTER_PTP_V2_EVENT;
    fact(stamps("hardware", HWTSTAMP_FILTER_PTP_V2_EVENT, HWTSTAMP_FILTER_ALL, 2),
         "the NIC stamps all, and PTP only again afterwards");
    fact(stamps("hardware", HWTSTAMP_FILTER_ALL, HWTSTAMP_FILTER_ALL, 0),
         "what stamps all already is left alone");
    nic.filters = 1U << HWTSTAMP_FILTER_PTP_V2_EVENT;
    fact(stamps("software", HWTSTAMP_FILTER_NONE, HWTSTAMP_FILTER_NONE, 0), "a NIC for PTP only is not used");
    nic.there = false;
}

int main(void)
{
    sandbox_enter();
    make_veth("va", "vb");
    int from = __real_socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("va")};
    if (__real_bind(from, (struct sockaddr *)&to, sizeof to) != 0) {
        printf("Bail out! bind: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    wishes_that_cannot_be();
    senders_in_turn();
    sender_short_of_memory();
    receivers_that_cannot_be();
    receivers_in_turn(from);
    receiver_short_of_memory(from);
    stamping();
    return facts_end();
}
