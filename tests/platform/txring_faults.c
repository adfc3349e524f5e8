/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The real engine under faults: after each, every slot that was committed is completed, rejected or
 * withdrawn, and the device sent what was completed and nothing else. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/engine.h"
#include "fact.h"
#include "veth_engine.h"

enum { BATCH = 64, RESULTS = 16, FRAME_BYTES = 60, VNET_OFFSET = 42, REBINDS = 20 };

struct traffic {
    struct engine *engine;
    const struct engine_ops *ops;
    uint64_t committed, completed, rejected, withdrawn;
    struct engine_wait wait;
    int trouble; /* of the last kick */
};

static struct traffic open_traffic(const char *interface, const struct engine_wishes *wishes)
{
    struct engine_facts facts = veth_facts(interface);
    struct traffic traffic = {.ops = engine_find("txring")};
    struct err err = {0};
    if (traffic.ops->open(&facts, wishes, &traffic.engine, &err) != 0) {
        printf("Bail out! %s\n", err.text);
        exit(EXIT_FAILURE);
    }
    return traffic;
}

static struct engine_wishes wishes_of(uint32_t frames)
{
    return (struct engine_wishes){
        .largest_bytes = 1518, .smallest_bytes = FRAME_BYTES, .segments = 1, .frames = frames, .qdisc = true};
}

static uint32_t put(struct traffic *traffic, uint32_t slots, uint32_t bytes)
{
    uint32_t count = veth_put(traffic->engine, slots, bytes);
    traffic->committed += count;
    return count;
}

static uint32_t fill(struct traffic *traffic, uint32_t slots, uint32_t bytes)
{
    uint32_t done = 0, now;
    while (done < slots && (now = put(traffic, slots - done, bytes)) > 0)
        done += now;
    return done;
}

static void reap(struct traffic *traffic)
{
    uint64_t *const where[] = {
        [ENGINE_COMPLETED] = &traffic->completed,
        [ENGINE_REJECTED] = &traffic->rejected,
        [ENGINE_WITHDRAWN] = &traffic->withdrawn,
    };
    struct engine_result results[RESULTS];
    uint32_t count = traffic->ops->reap(traffic->engine, results, RESULTS);
    for (uint32_t i = 0; i < count; i++)
        *where[results[i].outcome] += results[i].slots;
}

static void turn(struct traffic *traffic)
{
    traffic->trouble = traffic->ops->kick(traffic->engine);
    reap(traffic);
    traffic->ops->wait(traffic->engine, &traffic->wait);
}

/* Waits as the engine says; false: it said never. */
static bool obey(struct traffic *traffic)
{
    struct pollfd fd = {.fd = traffic->wait.fd, .events = POLLOUT};
    switch (traffic->wait.kind) {
    case WAIT_WRITABLE:
        if (poll(&fd, 1, 1000) == 1)
            traffic->ops->woken(traffic->engine);
        break;
    case WAIT_AFTER:
        sleep_ms((unsigned)(traffic->wait.after_ns / NS_PER_MS) + 1);
        break;
    case WAIT_NEVER:
        return false;
    default:
        break;
    }
    return true;
}

/* Until nothing is in flight, the engine says never, or 10 s × VOLLEYD_SLOW; how many waits it took. */
static unsigned settle(struct traffic *traffic)
{
    uint64_t until = clock_monotonic_ns() + 10 * NS_PER_SECOND * slow_factor();
    unsigned waits = 0;
    turn(traffic);
    while (traffic->ops->in_flight(traffic->engine) > 0 && clock_monotonic_ns() < until && obey(traffic)) {
        waits++;
        turn(traffic);
    }
    return waits;
}

static bool balances(const struct traffic *traffic)
{
    return traffic->committed == traffic->completed + traffic->rejected + traffic->withdrawn +
                                     traffic->ops->in_flight(traffic->engine);
}

static void tell(const char *fault, const struct traffic *traffic, uint64_t arrived)
{
    printf("# %s: committed %" PRIu64 ", completed %" PRIu64 ", rejected %" PRIu64 ", withdrawn %" PRIu64
           ", in flight %" PRIu32 ", sent by the device %" PRIu64 "\n",
           fault, traffic->committed, traffic->completed, traffic->rejected, traffic->withdrawn,
           traffic->ops->in_flight(traffic->engine), arrived);
}

static void end(struct traffic *traffic)
{
    traffic->ops->close(traffic->engine);
}

static void no_fault(uint32_t version, bool qdisc)
{
    struct engine_wishes wishes = wishes_of(0);
    wishes.version = version;
    wishes.qdisc = qdisc;
    struct traffic traffic = open_traffic("va", &wishes);
    uint64_t before = device_count("va", TX_PACKETS), arrived_before = device_count("vb", RX_PACKETS);
    for (uint32_t i = 0; i < 200; i++) {
        put(&traffic, BATCH, i % 3 == 0 ? 1514 : FRAME_BYTES);
        turn(&traffic);
    }
    settle(&traffic);
    uint64_t sent = device_count("va", TX_PACKETS) - before;
    uint64_t arrived = device_await("vb", RX_PACKETS, arrived_before + sent) - arrived_before;
    tell("none", &traffic, sent);
    fact(traffic.completed == traffic.committed && sent == traffic.completed && arrived == sent &&
             sent > 10000,
         "V%u, %s: completed is what the device sent and what arrived", version, qdisc ? "qdisc" : "bypass");
    end(&traffic);
}

static void link_down(void)
{
    struct engine_wishes wishes = wishes_of(256);
    struct traffic traffic = open_traffic("va", &wishes);
    uint64_t before = device_count("va", TX_PACKETS);
    fill(&traffic, 100, FRAME_BYTES);
    turn(&traffic);
    run("ip link set va down");
    fill(&traffic, 100, FRAME_BYTES);
    turn(&traffic);
    fact(traffic.trouble == -ENETDOWN && traffic.wait.kind == WAIT_NEVER && traffic.wait.reason == ENETDOWN,
         "link down: the engine waits for nothing and says ENETDOWN");
    traffic.ops->withdraw(traffic.engine);
    reap(&traffic);
    link_up("va");
    turn(&traffic);
    uint64_t sent = device_count("va", TX_PACKETS) - before;
    tell("link down", &traffic, sent);
    fact(traffic.withdrawn == 100 && balances(&traffic) && sent == 100,
         "what was withdrawn does not go out when the link is back");
    fill(&traffic, 50, FRAME_BYTES);
    settle(&traffic);
    fact(traffic.completed == 150 && device_count("va", TX_PACKETS) - before == 150,
         "and the ring serves on");
    end(&traffic);
}

static void carrier_lost_past_the_qdisc(void)
{
    struct engine_wishes wishes = wishes_of(256);
    wishes.qdisc = false;
    struct traffic traffic = open_traffic("va", &wishes);
    run("ip link set vb down");
    uint64_t before = device_count("va", TX_PACKETS);
    fill(&traffic, 100, FRAME_BYTES);
    unsigned waits = settle(&traffic);
    fact(traffic.wait.kind == WAIT_NEVER && traffic.wait.reason == ENOBUFS && waits > 10 && waits < 100,
         "no carrier past the qdisc: ENOBUFS is told after %u backed-off tries", waits);
    traffic.ops->withdraw(traffic.engine);
    reap(&traffic);
    link_up("vb");
    link_up("va");
    turn(&traffic);
    tell("carrier lost", &traffic, device_count("va", TX_PACKETS) - before);
    fact(traffic.withdrawn == 100 && balances(&traffic) && device_count("va", TX_PACKETS) == before,
         "nothing left, all was withdrawn");
    end(&traffic);
}

static void interface_replaced(void)
{
    struct engine_wishes wishes = wishes_of(256);
    make_veth("vx", "vy");
    struct traffic traffic = open_traffic("vx", &wishes);
    unsigned good = 0;
    for (unsigned i = 0; i < REBINDS; i++) {
        struct err err = {0};
        run("ip link del vx");
        fill(&traffic, 37, FRAME_BYTES);
        turn(&traffic);
        bool told = traffic.wait.kind == WAIT_NEVER && traffic.wait.reason == ENXIO;
        make_veth("vx", "vy");
        struct engine_facts facts = veth_facts("vx");
        traffic.ops->withdraw(traffic.engine);
        bool bound = traffic.ops->rebind(traffic.engine, &facts, &err) == 0;
        reap(&traffic);
        fill(&traffic, 23, FRAME_BYTES);
        settle(&traffic);
        good += told && bound && balances(&traffic) && device_count("vx", TX_PACKETS) == 23;
    }
    tell("interface replaced", &traffic, (uint64_t)REBINDS * 23);
    fact(good == REBINDS && traffic.withdrawn == REBINDS * 37 && traffic.completed == REBINDS * 23,
         "interface deleted and made anew %u times: ENXIO, rebound, no stale frame on the new one", good);
    run("ip link del vx");
    struct engine_facts gone = veth_facts("vx");
    struct err err = {0};
    gone.ifindex = 999999;
    fact(traffic.ops->rebind(traffic.engine, &gone, &err) == -ENODEV && err.text[0] != 0,
         "binding to nothing: %s", err.text);
    end(&traffic);
}

static void wrong_format_planted(void)
{
    struct engine_wishes wishes = wishes_of(256);
    struct traffic traffic = open_traffic("va", &wishes);
    struct engine_span span;
    uint64_t before = device_count("va", TX_PACKETS);
    traffic.ops->reserve(traffic.engine, 20, &span);
    uint8_t *third = span.data + 2 * span.stride - VNET_OFFSET;
    put(&traffic, 20, FRAME_BYTES);
    __atomic_store_n((uint32_t *)(void *)third, (uint32_t)WRONG_FORMAT, __ATOMIC_RELEASE);
    settle(&traffic);
    tell("WRONG_FORMAT planted", &traffic, device_count("va", TX_PACKETS) - before);
    fact(traffic.completed == 2 && traffic.rejected == 1 && traffic.withdrawn == 17 && balances(&traffic),
         "a planted WRONG_FORMAT: 2 completed, 1 rejected, 17 withdrawn");
    fill(&traffic, 500, FRAME_BYTES);
    settle(&traffic);
    fact(device_count("va", TX_PACKETS) - before == traffic.completed && traffic.completed > 200,
         "and the ring serves on");
    end(&traffic);
}

static void too_long(void)
{
    struct engine_wishes wishes = wishes_of(256);
    run("ip link set vb mtu 9000"); /* so that nobody but the engine minds */
    struct traffic traffic = open_traffic("va", &wishes);
    uint64_t before = device_count("va", TX_PACKETS);
    put(&traffic, 3, 1514);
    put(&traffic, 1, 1515);
    put(&traffic, 2, FRAME_BYTES);
    settle(&traffic);
    tell("above the MTU", &traffic, device_count("va", TX_PACKETS) - before);
    fact(traffic.completed == 3 && traffic.rejected == 1 && traffic.withdrawn == 2 &&
             device_count("va", TX_PACKETS) - before == 3,
         "a frame above the MTU is rejected, though the kernel checks none with a vnet header");
    end(&traffic);
    run("ip link set vb mtu 1500");
}

static void mtu_lowered(void)
{
    struct engine_wishes wishes = wishes_of(256);
    wishes.offset = 32; /* no room for a vnet header: the kernel checks */
    struct traffic traffic = open_traffic("va", &wishes);
    uint64_t before = device_count("va", TX_PACKETS);
    put(&traffic, 10, 1514);
    run("ip link set va mtu 1000");
    settle(&traffic);
    tell("MTU lowered", &traffic, device_count("va", TX_PACKETS) - before);
    fact(traffic.completed == 0 && traffic.rejected == 1 && traffic.withdrawn == 9 && balances(&traffic) &&
             device_count("va", TX_PACKETS) == before,
         "MTU lowered under queued frames: none goes out, all are told");
    run("ip link set va mtu 1500");
    end(&traffic);
}

static void memory_before_ring(uint32_t frames, uint32_t bytes)
{
    struct engine_wishes wishes = wishes_of(frames);
    wishes.largest_bytes = bytes;
    wishes.smallest_bytes = bytes;
    struct traffic traffic = open_traffic("va", &wishes);
    struct engine_caps caps;
    uint64_t before = device_count("va", TX_PACKETS);
    traffic.ops->caps(traffic.engine, &caps);
    run("tc qdisc add dev va root tbf rate 100kbit burst 1600 limit 1000000000");
    while (fill(&traffic, caps.slots, bytes) > 0) /* again for what the burst let through at once */
        turn(&traffic);
    uint32_t held = traffic.ops->in_flight(traffic.engine);
    fact(traffic.wait.kind == WAIT_WRITABLE,
         "%u slots of %u bytes, all filled: socket memory (%" PRIu64 ") ends first", caps.slots, bytes,
         caps.socket_memory);
    traffic.ops->withdraw(traffic.engine);
    run("tc qdisc replace dev va root pfifo limit 10000");
    settle(&traffic);
    uint64_t sent = device_count("va", TX_PACKETS) - before;
    tell("slow qdisc", &traffic, sent);
    fact(balances(&traffic) && traffic.ops->in_flight(traffic.engine) == 0 && traffic.withdrawn > 0 &&
             held > 0,
         "withdrawn before the qdisc goes: nothing is left over");
    run("tc qdisc del dev va root");
    end(&traffic);
}

static void waking(void)
{
    struct engine_wishes wishes = wishes_of(256);
    struct traffic traffic = open_traffic("va", &wishes);
    uint64_t before = device_count("va", TX_PACKETS);
    run("tc qdisc add dev va root tbf rate 400kbit burst 1600 limit 1000000000");
    fill(&traffic, 256, FRAME_BYTES);
    unsigned waits = settle(&traffic);
    tell("slow qdisc, drained", &traffic, device_count("va", TX_PACKETS) - before);
    fact(traffic.completed == 256 && device_count("va", TX_PACKETS) - before == 256,
         "256 frames through a slow qdisc arrive, all");
    fact(waits < 2000, "with %u waits: nothing spins", waits);
    fill(&traffic, 40, FRAME_BYTES);
    turn(&traffic);
    fact(traffic.wait.kind == WAIT_AFTER && traffic.wait.after_ns >= 50000,
         "a ring that is all SENDING waits by timer, whatever POLLOUT says");
    settle(&traffic);
    run("tc qdisc del dev va root");
    end(&traffic);
}

static void full_qdisc(void)
{
    struct engine_wishes wishes = wishes_of(256);
    struct traffic traffic = open_traffic("va", &wishes);
    uint64_t before = device_count("va", TX_PACKETS);
    run("tc qdisc add dev va root tbf rate 1mbit burst 1600 limit 200");
    fill(&traffic, 200, FRAME_BYTES);
    settle(&traffic);
    tell("full qdisc", &traffic, device_count("va", TX_PACKETS) - before);
    fact(traffic.completed == 200 && device_count("va", TX_PACKETS) - before == 200,
         "a qdisc that is full again and again (ENOBUFS): every frame is tried until it goes");
    run("tc qdisc del dev va root");
    end(&traffic);
}

static void closed_in_flight(void)
{
    struct engine_wishes wishes = wishes_of(256);
    struct traffic traffic = open_traffic("va", &wishes);
    uint64_t before = device_count("va", TX_PACKETS);
    run("tc qdisc add dev va root tbf rate 1mbit burst 1600 limit 1000000000");
    fill(&traffic, 100, FRAME_BYTES);
    turn(&traffic);
    fill(&traffic, 100, FRAME_BYTES); /* never kicked */
    uint64_t started = clock_monotonic_ns();
    end(&traffic);
    fact(clock_monotonic_ns() - started < 500 * NS_PER_MS * slow_factor(),
         "close() does not wait for the qdisc");
    uint64_t sent = device_await("va", TX_PACKETS, before + 100) - before;
    sleep_ms(100);
    fact(sent == 100 && device_count("va", TX_PACKETS) - before == 100,
         "what was begun leaves after it (%" PRIu64 "), what was not, never", sent);
    run("tc qdisc del dev va root");
}

static void segments(void)
{
    struct engine_wishes wishes = wishes_of(32);
    struct engine_segmentation cut = {
        .header_bytes = 42, .payload_bytes = 100, .checksum_start = 34, .checksum_offset = 6};
    struct engine_frame run_of = {.bytes = 42 + 1010, .segments = 11, .segmentation = &cut};
    struct engine_span span;
    wishes.segments = 11;
    wishes.qdisc = false;
    wishes.largest_bytes = 42 + 1100;
    try_run("ethtool -K va tx-udp-segmentation off >/dev/null 2>&1");
    struct traffic traffic = open_traffic("va", &wishes);
    uint64_t before = device_count("va", TX_PACKETS);
    traffic.ops->reserve(traffic.engine, 1, &span);
    memset(span.data, 0, run_of.bytes);
    memcpy(span.data,
           "\2\0\0\0\0\2\2\0\0\0\0\1\x08\0\x45\0\x04\x0e\0\0\0\0\x40\x11\0\0\xc6\x12\0\1\xc6\x13\0\1", 34);
    memcpy(span.data + 38, "\x03\xfa", 2);
    traffic.ops->commit(traffic.engine, &run_of, 1);
    traffic.committed++;
    settle(&traffic);
    fact(traffic.completed == 1 && device_count("va", TX_PACKETS) - before == 11,
         "a slot of 11 UDP segments: 11 frames on the wire, through the qdisc although bypass was wished");
    end(&traffic);
}

static void cooked(void)
{
    struct engine_wishes wishes = wishes_of(32);
    wishes.cooked = true;
    wishes.cooked_type = 0x88b5;
    memcpy(wishes.cooked_dst, "\2\0\0\0\0\2", 6);
    struct traffic traffic = open_traffic("va", &wishes);
    uint64_t bytes = device_count("va", TX_BYTES);
    put(&traffic, 10, 46);
    settle(&traffic);
    fact(traffic.completed == 10 && device_count("va", TX_BYTES) - bytes == 10 * 60,
         "cooked: the kernel puts 14 bytes of link header before each");
    end(&traffic);
}

int main(void)
{
    sandbox_enter();
    make_veth("va", "vb");
    for (uint32_t version = 1; version <= 3; version++) {
        no_fault(version, true);
        no_fault(version, false);
    }
    link_down();
    carrier_lost_past_the_qdisc();
    interface_replaced();
    wrong_format_planted();
    too_long();
    mtu_lowered();
    memory_before_ring(512, FRAME_BYTES);
    memory_before_ring(512, 1514);
    memory_before_ring(4096, FRAME_BYTES);
    memory_before_ring(4096, 1514);
    waking();
    full_qdisc();
    closed_in_flight();
    segments();
    cooked();
    return facts_end();
}
