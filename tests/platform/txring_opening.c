/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the transmit ring makes of wishes and facts when it is opened: the options that the kernel then has,
 * the capabilities and the path that it tells, what it refuses and how, and what it waits for. Kernels that
 * lack something are played by a setsockopt() of our own. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/engine.h"
#include "fact.h"
#include "veth_engine.h"

enum { MTU = 1500, FRAME_BYTES = 60, LONGEST = 1514, CHARGE = 832 };

/* ---- a kernel that lacks something ---- */

static struct {
    int refused;         /* of SOL_PACKET: EINVAL; 0: none */
    uint32_t most_bytes; /* more for a ring is ENOMEM; 0: no limit */
    bool no_force;       /* SO_SNDBUFFORCE is EPERM */
} poor;

int setsockopt(int fd, int level, int name, const void *value, socklen_t bytes)
{
    const struct tpacket_req *request = value;
    bool is_ring = level == SOL_PACKET && name == PACKET_TX_RING;
    if (level == SOL_PACKET && poor.refused != 0 && name == poor.refused)
        errno = EINVAL;
    else if (is_ring && poor.most_bytes != 0 &&
             (uint64_t)request->tp_block_size * request->tp_block_nr > poor.most_bytes)
        errno = ENOMEM;
    else if (level == SOL_SOCKET && name == SO_SNDBUFFORCE && poor.no_force)
        errno = EPERM;
    else
        return (int)syscall(SYS_setsockopt, fd, level, name, value, bytes);
    return -1;
}

static unsigned sends;

ssize_t sendto(int fd, const void *data, size_t bytes, int flags, const struct sockaddr *to,
               socklen_t to_bytes)
{
    sends++;
    return syscall(SYS_sendto, fd, data, bytes, flags, to, to_bytes);
}

/* ---- opening ---- */

struct opened {
    struct engine *engine;
    struct engine_caps caps;
    struct err err;
    int code, fd;
};

/* A device that takes fragments as they are, and that may stand on others. */
static struct engine_facts facts_of(const char *interface)
{
    struct engine_facts facts = veth_facts(interface);
    facts.copies_fragments = facts.ends_here = false;
    return facts;
}

static struct engine_wishes wishes_of(uint32_t frames)
{
    return (struct engine_wishes){
        .largest_bytes = LONGEST, .smallest_bytes = FRAME_BYTES, .segments = 1, .frames = frames};
}

static const struct engine_ops *ops(void)
{
    return engine_find("txring");
}

static struct opened open_with(const struct engine_facts *facts, const struct engine_wishes *wishes)
{
    struct opened opened = {.fd = dup(STDOUT_FILENO)}; /* the engine's socket will have this number */
    close(opened.fd);
    opened.code = ops()->open(facts, wishes, &opened.engine, &opened.err);
    if (opened.code == 0)
        ops()->caps(opened.engine, &opened.caps);
    return opened;
}

static void end(struct opened *opened)
{
    if (opened->code == 0)
        ops()->close(opened->engine);
}

static int option(const struct opened *opened, int name)
{
    int value = -1;
    socklen_t bytes = sizeof value;
    return getsockopt(opened->fd, SOL_PACKET, name, &value, &bytes) == 0 ? value : -errno;
}

static int protocol(const struct opened *opened)
{
    struct sockaddr_ll address = {0};
    socklen_t bytes = sizeof address;
    getsockname(opened->fd, (struct sockaddr *)&address, &bytes);
    return ntohs(address.sll_protocol);
}

static unsigned open_files(void)
{
    unsigned count = 0;
    DIR *files = opendir("/proc/self/fd");
    while (files != NULL && readdir(files) != NULL)
        count++;
    closedir(files);
    return count;
}

/* ---- options ---- */

static void the_kernel_has_the_options_that_were_wished(void)
{
    struct engine_facts facts = facts_of("va");
    for (uint32_t version = 0; version <= 3; version++) {
        struct engine_wishes wishes = wishes_of(64);
        wishes.version = version;
        wishes.loss = version % 2 == 1;
        wishes.qdisc = version >= 2;
        struct opened opened = open_with(&facts, &wishes);
        uint32_t is = version == 0 ? 2 : version;
        fact(opened.caps.version == is && option(&opened, PACKET_VERSION) == (int)is - 1, "version %u: V%u",
             version, is);
        fact(option(&opened, PACKET_LOSS) == wishes.loss &&
                 option(&opened, PACKET_QDISC_BYPASS) == !wishes.qdisc &&
                 option(&opened, PACKET_VNET_HDR) == 1 && option(&opened, PACKET_TX_HAS_OFF) == 0,
             "V%u: loss and qdisc as wished, a vnet header, no offset", is);
        end(&opened);
    }
}

/* 32 bytes of header before the data; a vnet header needs ten more. */
static void an_offset_leaves_room_for_a_vnet_header_or_none(void)
{
    static const uint16_t offsets[] = {32, 41, 42, 64};
    struct engine_facts facts = facts_of("va");
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        struct engine_wishes wishes = wishes_of(64);
        wishes.offset = offsets[i];
        struct opened opened = open_with(&facts, &wishes);
        struct engine_span span;
        uint32_t given = ops()->reserve(opened.engine, 2, &span);
        fact(option(&opened, PACKET_VNET_HDR) == (offsets[i] >= 42) &&
                 option(&opened, PACKET_TX_HAS_OFF) == 1,
             "offset %u: %s vnet header", offsets[i], offsets[i] >= 42 ? "a" : "no");
        fact(given == 2 && span.stride == opened.caps.frame_size &&
                 span.stride >= (size_t)offsets[i] + LONGEST &&
                 opened.caps.max_run_bytes == opened.caps.frame_size - offsets[i],
             "offset %u: the longest frame fits behind it", offsets[i]);
        end(&opened);
    }
}

static void only_a_bypass_to_one_device_hides_the_protocol(void)
{
    static const struct {
        bool ends_here, qdisc, cooked;
        enum queue_choice choice;
        bool hidden;
    } rows[] = {
        {true, false, false, QUEUE_ONLY_ONE, true}, {true, false, false, QUEUE_BY_CPU, true},
        {true, false, false, QUEUE_BY_FLOW, false}, {false, false, false, QUEUE_ONLY_ONE, false},
        {true, true, false, QUEUE_ONLY_ONE, false}, {true, false, true, QUEUE_ONLY_ONE, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct engine_facts facts = facts_of("va");
        struct engine_wishes wishes = wishes_of(64);
        facts.ends_here = rows[i].ends_here;
        facts.queue_choice = rows[i].choice;
        wishes.qdisc = rows[i].qdisc;
        wishes.cooked = rows[i].cooked;
        struct opened opened = open_with(&facts, &wishes);
        bool told = strstr(opened.caps.path, "; not dissected, as nobody below asks") != NULL;
        fact(protocol(&opened) == (rows[i].hidden ? 0x88b5 : 0) && told == rows[i].hidden, "row %zu: %s", i,
             opened.caps.path);
        end(&opened);
    }
}

static void a_hidden_protocol_receives_nothing(void)
{
    struct engine_facts facts = facts_of("va");
    struct engine_wishes wishes = wishes_of(64);
    char byte;
    facts.ends_here = true;
    struct opened opened = open_with(&facts, &wishes);
    struct raw sender = raw_open("vb", 16, 256);
    uint64_t before = device_count("va", RX_PACKETS);
    raw_put(&sender, 0, FRAME_BYTES, 0x88b5);
    raw_send(&sender);
    fact(device_await("va", RX_PACKETS, before + 1) > before && recv(opened.fd, &byte, 1, MSG_DONTWAIT) < 0 &&
             errno == EAGAIN,
         "a socket bound to a protocol drops what has it");
    raw_close(&sender);
    end(&opened);
}

/* ---- capabilities ---- */

static void capabilities_follow_from_the_ring(void)
{
    struct engine_facts facts = facts_of("va");
    struct engine_wishes wishes = wishes_of(64);
    struct opened opened = open_with(&facts, &wishes);
    const struct engine_caps *caps = &opened.caps;
    fact(caps->slots == caps->blocks * (caps->block_size / caps->frame_size) && caps->slots >= 64 &&
             caps->max_batch == caps->slots && caps->max_segments == 1 &&
             caps->completion == COMPLETION_BUFFER_FREE,
         "slots are what fits into the blocks: %u", caps->slots);
    fact(caps->max_bytes == LONGEST && caps->max_run_bytes == caps->frame_size - 42,
         "a frame has at most MTU and link header, a run what a slot holds");
    uint64_t charged = (uint64_t)(CHARGE + FRAME_BYTES) * caps->slots / 8 * 7;
    fact(caps->socket_memory == charged / 2 * 2 || geteuid() != 0, "socket memory: 7/8 of all slots' charge");
    end(&opened);

    wishes.cooked = true;
    wishes.largest_bytes = 2000; /* a cooked frame's length is the port's affair */
    opened = open_with(&facts, &wishes);
    fact(opened.code == 0 && opened.caps.max_bytes == MTU, "cooked: a frame has at most the MTU");
    end(&opened);

    wishes = wishes_of(64);
    wishes.frame_size = 256;
    wishes.largest_bytes = 200;
    opened = open_with(&facts, &wishes);
    fact(opened.caps.frame_size == 256 && opened.caps.max_bytes == 256 - 42, "or what a small slot holds: %u",
         opened.caps.max_bytes);
    end(&opened);
}

static void the_path_is_told(void)
{
    static const struct {
        bool fragments, copies, qdisc, loss, cooked, in_device;
        uint32_t offset;
        uint16_t segments;
        enum queue_choice choice;
        const char *path;
    } rows[] = {
        {.fragments = true,
         .path = "one linear buffer up to 256 bytes, page references above; past the qdisc"},
        {.path = "one linear buffer at any length, as va takes no fragments; past the qdisc"},
        {.fragments = true,
         .copies = true,
         .qdisc = true,
         .path = "one linear buffer at any length, as va copies fragments; through the qdisc"},
        {.cooked = true,
         .loss = true,
         .path = "cooked: the kernel builds the link header, frames by page reference; past the qdisc; "
                 "PACKET_LOSS: bad frames vanish and count as completed"},
        {.offset = 32,
         .choice = QUEUE_BY_CPU,
         .path = "frames by page reference; past the qdisc; the device's queue by CPU (XPS)"},
        {.fragments = true,
         .segments = 4,
         .choice = QUEUE_BY_FLOW,
         .loss = true,
         .path =
             "one linear buffer up to 256 bytes, page references above; UDP segments: up to 4 frames a slot, "
             "cut by the kernel, through the qdisc; the device's queue by a hash of the flow (no XPS); "
             "PACKET_LOSS: bad frames vanish and count as completed"},
        {.fragments = true,
         .segments = 2,
         .in_device = true,
         .path =
             "one linear buffer up to 256 bytes, page references above; UDP segments: up to 2 frames a slot, "
             "cut by the device, through the qdisc"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct engine_facts facts = facts_of("va");
        struct engine_wishes wishes = wishes_of(64);
        facts.fragments = rows[i].fragments;
        facts.copies_fragments = rows[i].copies;
        facts.segments_in_device = rows[i].in_device;
        facts.queue_choice = rows[i].choice;
        wishes.qdisc = rows[i].qdisc;
        wishes.loss = rows[i].loss;
        wishes.cooked = rows[i].cooked;
        wishes.offset = rows[i].offset;
        if (rows[i].segments != 0)
            wishes.segments = rows[i].segments;
        struct opened opened = open_with(&facts, &wishes);
        fact(opened.code == 0 && strcmp(opened.caps.path, rows[i].path) == 0, "path: %s", opened.caps.path);
        fact(opened.caps.max_segments == wishes.segments &&
                 (wishes.segments == 1 || option(&opened, PACKET_QDISC_BYPASS) == 0),
             "segments: %u", opened.caps.max_segments);
        end(&opened);
    }
}

/* ---- refusals ---- */

static void what_cannot_be_is_refused(void)
{
    static const struct {
        int ifindex; /* of va when 0 */
        uint32_t version, largest;
        uint16_t segments;
        bool cooked;
        int code;
        const char *text;
    } rows[] = {
        {.ifindex = -1, .code = -ENODEV, .text = "there is no interface va"},
        {.ifindex = 999999, .code = -ENODEV, .text = "the interface is gone"},
        {.version = 4, .code = -EINVAL, .text = "ring version 4: there are 1, 2 and 3"},
        {.segments = 2, .cooked = true, .code = -EOPNOTSUPP, .text = "does not go with cooked"},
        {.largest = LONGEST + 5, .code = -EMSGSIZE, .text = "at most 1518 with a VLAN tag"},
    };
    unsigned before = open_files();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct engine_facts facts = facts_of("va");
        struct engine_wishes wishes = wishes_of(64);
        if (rows[i].ifindex != 0)
            facts.ifindex = rows[i].ifindex;
        if (rows[i].largest != 0)
            wishes.largest_bytes = rows[i].largest;
        wishes.version = rows[i].version;
        wishes.segments = rows[i].segments;
        wishes.cooked = rows[i].cooked;
        struct opened opened = open_with(&facts, &wishes);
        fact(opened.code == rows[i].code && opened.engine == NULL &&
                 strstr(opened.err.text, rows[i].text) != NULL,
             "refused: %s", opened.err.text);
        end(&opened);
    }
    fact(open_files() == before, "and no file stays open");
    struct engine_facts facts = facts_of("va");
    facts.ifindex = 0;
    struct engine_wishes wishes = wishes_of(64);
    struct opened opened = open_with(&facts, &wishes);
    fact(opened.code == -ENODEV && strstr(opened.err.text, "there is no interface va") != NULL,
         "index 0 is no interface");
    end(&opened);
    facts = facts_of("va");
    wishes.largest_bytes = LONGEST + 4;
    opened = open_with(&facts, &wishes);
    fact(opened.code == 0, "a tag is let through");
    end(&opened);
}

static void options_that_the_kernel_refuses(void)
{
    static const struct {
        int option;
        uint16_t segments;
        uint32_t offset;
        bool loss;
        const char *text; /* NULL: served without */
    } rows[] = {
        {PACKET_VNET_HDR, 1, 0, false, NULL},
        {PACKET_VNET_HDR, 4, 0, false, "UDP segmentation needs PACKET_VNET_HDR, which this kernel refuses"},
        {PACKET_VERSION, 1, 0, false, "PACKET_VERSION = 1: Invalid argument"},
        {PACKET_LOSS, 1, 0, true, "PACKET_LOSS = 1: Invalid argument"},
        {PACKET_TX_HAS_OFF, 1, 64, false, "PACKET_TX_HAS_OFF = 1: Invalid argument"},
        {PACKET_QDISC_BYPASS, 1, 0, false, "PACKET_QDISC_BYPASS = 1: Invalid argument"},
        {PACKET_TX_RING, 1, 0, false, "Invalid argument"},
    };
    unsigned before = open_files();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct engine_facts facts = facts_of("va");
        struct engine_wishes wishes = wishes_of(64);
        wishes.segments = rows[i].segments;
        wishes.offset = rows[i].offset;
        wishes.loss = rows[i].loss;
        poor.refused = rows[i].option;
        struct opened opened = open_with(&facts, &wishes);
        poor.refused = 0;
        if (rows[i].text == NULL)
            fact(opened.code == 0 &&
                     strstr(opened.caps.path, "frames by page reference") == opened.caps.path &&
                     opened.caps.max_run_bytes == opened.caps.frame_size - 32,
                 "no vnet header: %s", opened.caps.path);
        else
            fact(opened.code < 0 && strstr(opened.err.text, rows[i].text) != NULL, "refused: %s",
                 opened.err.text);
        end(&opened);
    }
    fact(open_files() == before, "and no file stays open");
}

/* First the blocks become smaller, then fewer; the slots stay whole. */
static void a_ring_shrinks_to_the_memory_there_is(void)
{
    enum { BLOCK = 65536 };
    static const struct {
        uint32_t frame_size, most_bytes, block_size, blocks;
    } rows[] = {
        {256, 8 * BLOCK, BLOCK, 8},     /* all of it */
        {256, 8 * BLOCK - 1, 4096, 64}, /* smaller blocks do not help: half as many */
        {256, 3 * BLOCK, 4096, 32},     {16384, 4 * BLOCK, 16384, 16}, /* a block holds a slot at least */
        {1536, 4 * BLOCK, BLOCK, 4}, /* one that does not divide its block */
    };
    uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; page == 4096 && i < sizeof rows / sizeof rows[0]; i++) {
        struct engine_facts facts = facts_of("va");
        struct engine_wishes wishes = {.largest_bytes = 200,
                                       .smallest_bytes = FRAME_BYTES,
                                       .segments = 1,
                                       .frame_size = rows[i].frame_size,
                                       .block_size = BLOCK,
                                       .frames = 8 * (BLOCK / rows[i].frame_size)};
        poor.most_bytes = rows[i].most_bytes;
        struct opened opened = open_with(&facts, &wishes);
        poor.most_bytes = 0;
        bool told = strstr(opened.caps.path, "memory is short: ") == opened.caps.path;
        fact(opened.code == 0 && opened.caps.block_size == rows[i].block_size &&
                 opened.caps.blocks == rows[i].blocks && told == (i > 0) &&
                 opened.caps.slots == rows[i].blocks * (rows[i].block_size / rows[i].frame_size),
             "at most %u bytes: %u blocks of %u", rows[i].most_bytes, opened.caps.blocks,
             opened.caps.block_size);
        end(&opened);
    }
    struct engine_facts facts = facts_of("va");
    struct engine_wishes wishes = wishes_of(64);
    poor.most_bytes = 1;
    struct opened opened = open_with(&facts, &wishes);
    poor.most_bytes = 0;
    fact(opened.code == -ENOMEM && strstr(opened.err.text, "Cannot allocate memory") != NULL,
         "none at all: %s", opened.err.text);
    end(&opened);
}

static void without_privilege_socket_memory_is_what_everyone_gets(void)
{
    struct engine_facts facts = facts_of("va");
    struct engine_wishes wishes = wishes_of(16);
    poor.no_force = true;
    struct opened opened = open_with(&facts, &wishes);
    poor.no_force = false;
    fact(opened.caps.socket_memory == (uint64_t)(CHARGE + FRAME_BYTES) * opened.caps.slots / 8 * 7 / 2 * 2,
         "SO_SNDBUF does for a small ring: %llu", (unsigned long long)opened.caps.socket_memory);
    end(&opened);
}

/* ---- waiting ---- */

static void put(const struct opened *opened, uint32_t slots)
{
    for (uint32_t count = 1; slots > 0 && count > 0; slots -= count)
        count = veth_put(opened->engine, slots, FRAME_BYTES);
}

static struct engine_wait turn(const struct opened *opened)
{
    struct engine_result results[16];
    struct engine_wait wait;
    ops()->kick(opened->engine);
    while (ops()->reap(opened->engine, results, 16) > 0)
        ;
    ops()->wait(opened->engine, &wait);
    return wait;
}

static void tries_back_off_and_end(void)
{
    struct engine_facts facts = facts_of("va");
    struct engine_wishes wishes = wishes_of(64);
    struct opened opened = open_with(&facts, &wishes);
    struct engine_wait wait = turn(&opened);
    fact(wait.kind == WAIT_NONE, "nothing in flight: nothing to wait for");
    put(&opened, 1);
    wait = turn(&opened);
    fact(wait.kind == WAIT_NONE && ops()->in_flight(opened.engine) == 0, "a frame that went: nothing either");
    run("ip link set vb down");
    put(&opened, 3);
    static const uint64_t first[] = {100000, 200000, 400000, 800000, 1000000, 1000000};
    unsigned tries = 1, good = 0;
    for (wait = turn(&opened); wait.kind == WAIT_AFTER && tries < 1000; wait = turn(&opened), tries++)
        good += wait.after_ns == (tries <= 6 ? first[tries - 1] : 1000000);
    fact(good == 63 && tries == 64 && wait.kind == WAIT_NEVER && wait.reason == ENOBUFS,
         "no carrier: 63 waits, each twice as long up to 1 ms, then never (%u, %u)", good, tries);
    fact(ops()->in_flight(opened.engine) == 3, "all are in flight still");
    ops()->withdraw(opened.engine);
    link_up("vb");
    link_up("va");
    wait = turn(&opened);
    fact(wait.kind == WAIT_NONE && ops()->in_flight(opened.engine) == 0,
         "withdrawn and told: nothing to wait for");
    end(&opened);
}

/* A socket with a protocol remembers one link that was down; asking once more is all there is to it. */
static void a_kick_is_one_send_unless_the_link_was_down(void)
{
    struct engine_facts facts = facts_of("va");
    struct engine_wishes wishes = wishes_of(64);
    facts.ends_here = true;
    struct opened opened = open_with(&facts, &wishes);
    errno = ENETDOWN; /* of something else */
    sends = 0;
    int code = ops()->kick(opened.engine);
    fact(code == 0 && sends == 1, "nothing to send: one send");
    run("ip link set va down");
    link_up("va");
    link_up("vb");
    put(&opened, 1);
    sends = 0;
    code = ops()->kick(opened.engine);
    fact(code == 0 && sends == 2, "back from down: the second send goes through (%d, %u)", code, sends);
    struct engine_wait wait = turn(&opened);
    fact(wait.kind == WAIT_NONE, "and nothing is left");
    end(&opened);
}

static void what_woke_in_vain_waits_by_timer(void)
{
    struct engine_facts facts = facts_of("va");
    struct engine_wishes wishes = wishes_of(512);
    wishes.qdisc = true;
    struct opened opened = open_with(&facts, &wishes);
    struct engine_wait wait = {.kind = WAIT_NONE};
    run("tc qdisc add dev va root tbf rate 8kbit burst 1600 limit 1000000000"); /* a frame in 60 ms */
    for (int i = 0; i < 3; i++) {
        put(&opened, opened.caps.slots);
        wait = turn(&opened);
    }
    fact(wait.kind == WAIT_WRITABLE && wait.fd == opened.fd, "out of socket memory: wait for the socket");
    ops()->woken(opened.engine);
    unsigned timers = 0, rounds = 0;
    for (; rounds < 20 && timers == 0; rounds++) { /* again where a frame has just left */
        wait = turn(&opened);
        timers += wait.kind == WAIT_AFTER;
        ops()->woken(opened.engine);
    }
    fact(timers == 1, "woken, and nothing moved: wait by timer");
    run("tc qdisc replace dev va root pfifo limit 10000");
    ops()->withdraw(opened.engine);
    end(&opened);
    run("tc qdisc del dev va root");
}

int main(void)
{
    sandbox_enter();
    make_veth("va", "vb");
    the_kernel_has_the_options_that_were_wished();
    an_offset_leaves_room_for_a_vnet_header_or_none();
    only_a_bypass_to_one_device_hides_the_protocol();
    a_hidden_protocol_receives_nothing();
    capabilities_follow_from_the_ring();
    the_path_is_told();
    what_cannot_be_is_refused();
    options_that_the_kernel_refuses();
    a_ring_shrinks_to_the_memory_there_is();
    without_privilege_socket_memory_is_what_everyone_gets();
    tries_back_off_and_end();
    a_kick_is_one_send_unless_the_link_was_down();
    what_woke_in_vain_waits_by_timer();
    return facts_end();
}
