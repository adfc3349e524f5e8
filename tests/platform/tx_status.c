/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts about what a send() does to the slots, and which errno goes with it. */
#include <errno.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include "fact.h"

enum { TYPE = 0x88b5, VLAN = 0x8100, SERVICE_VLAN = 0x88a8, FRAMES = 16, FRAME_BYTES = 2048 };

static void put_all(const struct raw *raw, uint32_t from)
{
    for (uint32_t slot = from; slot < raw->frames; slot++)
        raw_put(raw, slot, 60, TYPE);
}

static void lengths(void)
{
    static const struct {
        uint32_t bytes;
        uint16_t type;
        long result;
        const char *name;
    } cases[] = {
        {1514, TYPE, 1514, "MTU and link header: accepted"},
        {1515, TYPE, -EMSGSIZE, "one byte more: EMSGSIZE"},
        {1518, VLAN, 1518, "4 more with ethertype 0x8100: accepted"},
        {1519, VLAN, -EMSGSIZE, "5 more with 0x8100: EMSGSIZE"},
        {1518, SERVICE_VLAN, -EMSGSIZE, "4 more with 0x88a8: EMSGSIZE"},
        {14, TYPE, 14, "the link header alone: accepted"},
        {13, TYPE, -EINVAL, "less than the link header: EINVAL"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct raw raw = raw_open("va", FRAMES, FRAME_BYTES);
        raw_put(&raw, 0, cases[i].bytes, cases[i].type);
        long result = raw_send(&raw);
        uint32_t status = raw_status(&raw, 0), expected = cases[i].result > 0 ? AVAILABLE : WRONG_FORMAT;
        fact(result == cases[i].result && status == expected, "%s (%ld, status %u)", cases[i].name, result,
             status);
        raw_close(&raw);
    }
}

static void short_frames_are_not_padded(void)
{
    struct raw raw = raw_open("va", FRAMES, FRAME_BYTES);
    uint64_t before = device_count("va", TX_BYTES);
    raw_put(&raw, 0, 20, TYPE);
    raw_send(&raw);
    fact(device_count("va", TX_BYTES) - before == 20, "a frame of 20 bytes is not padded to 60");
    raw_close(&raw);
}

static void an_error_discards_the_count(void)
{
    struct raw raw = raw_open("va", FRAMES, FRAME_BYTES);
    uint64_t before = device_count("va", TX_PACKETS);
    raw_put(&raw, 0, 60, TYPE);
    raw_put(&raw, 1, 1600, TYPE);
    raw_put(&raw, 2, 60, TYPE);
    fact(raw_send(&raw) == -EMSGSIZE && device_count("va", TX_PACKETS) - before == 1,
         "a bad second frame: EMSGSIZE, though the first went out");
    fact(raw_status(&raw, 1) == WRONG_FORMAT && raw_status(&raw, 2) == SEND_REQUEST,
         "it is WRONG_FORMAT, the one behind it still SEND_REQUEST");
    fact(raw_send(&raw) == 0 && raw_status(&raw, 2) == SEND_REQUEST,
         "WRONG_FORMAT blocks the ring: send() is 0");
    raw_set_status(&raw, 1, AVAILABLE);
    fact(raw_send(&raw) == 0 && raw_status(&raw, 2) == SEND_REQUEST,
         "cleared, the kernel's head still waits in that very slot");
    raw_put(&raw, 1, 60, TYPE);
    fact(raw_send(&raw) == 120, "a good frame in that slot, and the ring moves on");
    raw_close(&raw);
}

static void loss_hides_bad_frames(void)
{
    struct raw raw = raw_socket(2, false);
    uint64_t before = device_count("va", TX_PACKETS);
    raw_option(&raw, PACKET_LOSS, 1);
    raw_ring(&raw, FRAMES, FRAME_BYTES);
    raw_bind(&raw, "va");
    raw_put(&raw, 0, 1600, TYPE);
    raw_put(&raw, 1, 60, TYPE);
    fact(raw_send(&raw) == 60 && raw_status(&raw, 0) == AVAILABLE &&
             device_count("va", TX_PACKETS) - before == 1,
         "PACKET_LOSS: a bad frame becomes AVAILABLE and is not told");
    raw_close(&raw);
}

static void send_stops_at_the_first_hole(void)
{
    struct raw raw = raw_open("va", FRAMES, FRAME_BYTES);
    raw_put(&raw, 0, 60, TYPE);
    raw_put(&raw, 2, 60, TYPE);
    fact(raw_send(&raw) == 60 && raw_status(&raw, 2) == SEND_REQUEST,
         "send() stops at the first AVAILABLE slot");
    raw_put(&raw, 1, 60, TYPE);
    raw_set_status(&raw, 1, SEND_REQUEST | 1U << 29);
    fact(raw_send(&raw) == 0, "the status must be exactly SEND_REQUEST: with a time stamp bit nothing goes");
    raw_close(&raw);
}

static void a_link_that_is_down_keeps_the_frames(void)
{
    struct raw raw = raw_open("va", FRAMES, FRAME_BYTES);
    uint64_t before = device_count("va", TX_PACKETS);
    run("ip link set va down");
    put_all(&raw, 0);
    fact(raw_send(&raw) == -ENETDOWN && raw_count(&raw, SEND_REQUEST) == FRAMES,
         "link down: ENETDOWN, all stay SEND_REQUEST");
    link_up("va");
    fact(raw_send(&raw) == FRAMES * 60 && device_count("va", TX_PACKETS) - before == FRAMES,
         "link up again: the old frames go out");
    raw_close(&raw);
}

static void a_lost_carrier(void)
{
    struct raw raw = raw_open("va", FRAMES, FRAME_BYTES), bypass = raw_socket(2, false);
    raw_option(&bypass, PACKET_QDISC_BYPASS, 1);
    raw_ring(&bypass, FRAMES, FRAME_BYTES);
    raw_bind(&bypass, "va");
    run("ip link set vb down");
    uint64_t sent = device_count("va", TX_PACKETS), dropped = device_count("va", TX_DROPPED);
    put_all(&bypass, 0);
    bool kept = raw_send(&bypass) == -ENOBUFS && raw_send(&bypass) == -ENOBUFS;
    fact(kept && raw_count(&bypass, SEND_REQUEST) == FRAMES,
         "bypass, no carrier: ENOBUFS, all stay SEND_REQUEST");
    fact(device_count("va", TX_DROPPED) - dropped == 2, "bypass, no carrier: tx_dropped counts every retry");
    put_all(&raw, 0);
    long result = raw_send(&raw);
    fact(result == FRAMES * 60 && raw_count(&raw, AVAILABLE) == FRAMES &&
             device_count("va", TX_PACKETS) == sent,
         "qdisc path, no carrier: every slot comes back, nothing is sent");
    link_up("vb");
    link_up("va");
    raw_close(&raw);
    raw_close(&bypass);
}

static void an_interface_that_goes_and_returns(void)
{
    struct raw raw = raw_socket(2, false);
    raw_ring(&raw, FRAMES, FRAME_BYTES);
    raw_put(&raw, 0, 60, TYPE);
    fact(raw_send(&raw) == -ENXIO && raw_status(&raw, 0) == SEND_REQUEST,
         "not bound: ENXIO, the slot untouched");
    make_veth("vx", "vy");
    raw_bind(&raw, "vx");
    fact(raw_send(&raw) == 60, "bound after the ring: sends");
    run("ip link del vx");
    put_all(&raw, 1);
    fact(raw_send(&raw) == -ENXIO && raw_count(&raw, SEND_REQUEST) == FRAMES - 1, "interface deleted: ENXIO");
    make_veth("vx", "vy");
    fact(raw_send(&raw) == -ENXIO, "a new one of the same name: still ENXIO");
    fact(raw_bind(&raw, "vx") == 0 && raw_send(&raw) == (FRAMES - 1) * 60 &&
             device_count("vx", TX_PACKETS) == FRAMES - 1,
         "bound to the new one: ring and mapping serve on, and old frames go out there");
    run("ip link del vx");
    raw_close(&raw);
}

static void socket_memory(void)
{
    struct raw raw = raw_open("va", 64, FRAME_BYTES);
    int bytes = 1; /* the kernel's least is a few kB */
    setsockopt(raw.fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    run("tc qdisc add dev va root tbf rate 8kbit burst 1600 limit 1000000");
    put_all(&raw, 0);
    long first = raw_send(&raw);
    uint32_t left = raw_count(&raw, SEND_REQUEST);
    fact(first > 0 && left > 0, "socket memory runs out in the middle: no error, %u stay SEND_REQUEST", left);
    fact(raw_send(&raw) == -EAGAIN && raw_count(&raw, SEND_REQUEST) == left,
         "socket memory out at the first frame: EAGAIN, SEND_REQUEST");
    run("tc qdisc del dev va root");
    raw_close(&raw);
}

static void a_qdisc_that_drops(void)
{
    struct raw raw = raw_open("va", 64, FRAME_BYTES);
    run("tc qdisc add dev va root tbf rate 8kbit burst 1600 limit 100");
    put_all(&raw, 0);
    long result = raw_send(&raw);
    uint32_t left = raw_count(&raw, SEND_REQUEST);
    fact(result == -ENOBUFS && left > 0, "a qdisc that is full: ENOBUFS (%ld), %u stay SEND_REQUEST", result,
         left);
    run("tc qdisc del dev va root");
    raw_close(&raw);
}

int main(void)
{
    sandbox_enter();
    make_veth("va", "vb");
    lengths();
    short_frames_are_not_padded();
    an_error_discards_the_count();
    loss_hides_bad_frames();
    send_stops_at_the_first_hole();
    a_link_that_is_down_keeps_the_frames();
    a_lost_carrier();
    an_interface_that_goes_and_returns();
    socket_memory();
    a_qdisc_that_drops();
    return facts_end();
}
