/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The real receiver, in all three versions: which frames it takes, what it says of them, what it owns up to
 * having lost, and that nothing of it stays behind. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/receiver.h"
#include "fact.h"
#include "packet/signature.h"

enum { FRAMES_MOST = 64, STREAMS = 8, EACH = 50, QUIET_MS = 100 };

struct seen {
    unsigned frames, by_stream[STREAMS + 1];
    struct received each[FRAMES_MOST];
    uint16_t stream[FRAMES_MOST];
};

#define NONCE UINT32_C(0x9e3779b9) /* of the run; 0 would be the filters' own magic */

/* ---- sending ---- */

static int sender(const char *interface)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface)};
    if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        printf("Bail out! sender: %s\n", strerror(errno));
        exit(EXIT_FAILURE);
    }
    return fd;
}

/* An IPv4/UDP frame of `bytes` with these tags (types and numbers, hexadecimal), its datagram `pad` bytes
 * shorter; stream 0: unsigned. */
static uint32_t build(uint8_t *frame, uint32_t bytes, const char *tags, uint32_t tag_bytes, uint32_t pad,
                      uint16_t stream)
{
    static const uint8_t addresses[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
    static const uint8_t ip[20] = {0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 198, 18, 0, 1, 198, 19, 0, 1};
    uint8_t *at = frame + sizeof addresses + tag_bytes, *signature = frame + bytes - pad - SIGNATURE_BYTES;
    uint32_t total = bytes - pad - 14 - tag_bytes;
    memset(frame, 0, bytes);
    memcpy(frame, addresses, sizeof addresses);
    memcpy(frame + sizeof addresses, tags, tag_bytes);
    at[0] = 8;
    memcpy(at + 2, ip, sizeof ip);
    at[4] = (uint8_t)(total >> 8);
    at[5] = (uint8_t)total;
    if (stream != 0) {
        signature[0] = (uint8_t)(signature_magic(NONCE) >> 8);
        signature[1] = (uint8_t)signature_magic(NONCE);
        signature[3] = (uint8_t)stream;
    }
    return bytes;
}

static void send_frame(int fd, const uint8_t *frame, uint32_t bytes)
{
    if (send(fd, frame, bytes, 0) != (ssize_t)bytes)
        printf("# send: %s\n", strerror(errno));
}

/* ---- receiving ---- */

static struct receiver_wishes wishes_of(uint32_t version)
{
    return (struct receiver_wishes){.interface = "vb",
                                    .ifindex = (int)if_nametoindex("vb"),
                                    .version = version,
                                    .signed_only = true,
                                    .nonce = NONCE};
}

static struct receiver *open_receiver(const struct receiver_wishes *wishes)
{
    struct receiver *receiver = NULL;
    struct err err = {0};
    if (receiver_open(wishes, &receiver, &err) != 0) {
        printf("Bail out! %s\n", err.text);
        exit(EXIT_FAILURE);
    }
    return receiver;
}

static void take_one(struct seen *seen, const struct received *received)
{
    const uint8_t *end = received->frame + received->captured;
    uint16_t stream = end[-SIGNATURE_BYTES] == signature_magic(NONCE) >> 8 ? end[3 - SIGNATURE_BYTES] : 0;
    if (seen->frames < FRAMES_MOST) {
        seen->each[seen->frames] = *received;
        seen->stream[seen->frames] = stream;
    }
    seen->by_stream[stream <= STREAMS ? stream : 0]++;
    seen->frames++;
}

static void take(void *context, const struct received *frames, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        take_one(context, &frames[i]);
}

/* Until `frames` are there or 5 s × VOLLEYD_SLOW are over, and then until it has been quiet for a while. */
static struct seen receive(struct receiver *receiver, unsigned frames)
{
    struct seen seen = {0};
    struct pollfd fd = {.fd = receiver_fd(receiver), .events = POLLIN};
    uint64_t until_ns = clock_monotonic_ns() + 5 * NS_PER_SECOND * slow_factor();
    while (clock_monotonic_ns() < until_ns) {
        if (poll(&fd, 1, QUIET_MS) > 0)
            receiver_next(receiver, take, &seen);
        else if (seen.frames >= frames)
            break;
    }
    return seen;
}

/* ---- the facts ---- */

static void what_is_taken(uint32_t version)
{
    struct receiver_wishes wishes = wishes_of(version);
    struct receiver *receiver = open_receiver(&wishes);
    uint8_t frame[2048] = {0};
    uint64_t before_ns = clock_realtime_ns();
    int fd = sender("va");
    send_frame(fd, frame, build(frame, 60, "", 0, 0, 1));
    send_frame(fd, frame, build(frame, 60, "", 0, 4, 2));
    send_frame(fd, frame, build(frame, 200, "", 0, 0, 0));
    send_frame(fd, frame, build(frame, 64, "\x81\x00\x20\x05", 4, 0, 3));
    send_frame(fd, frame, build(frame, 70, "\x88\xa8\x00\x06\x81\x00\x00\x05", 8, 2, 4));
    send_frame(fd, frame, build(frame, 1514, "", 0, 0, 5));
    memcpy(frame + 12, "\x88\x08\0\1", 4);
    memset(frame + 16, 0, 60);
    send_frame(fd, frame, 60);
    close(fd);
    struct seen seen = receive(receiver, 6);
    const struct received *each = seen.each;
    fact(seen.frames == 6 && seen.stream[0] == 1 && seen.stream[2] == 3 && seen.stream[4] == 5 &&
             each[1].length == 60 && each[5].length == 60,
         "V%u: signed, padded, tagged and PAUSE frames pass, one without a signature does not", version);
    fact(each[4].captured == 1514 && each[4].length == 1514 && !each[4].truncated, "V%u: frames are whole",
         version);
    fact(each[0].time_ns >= before_ns - NS_PER_MS && each[4].time_ns <= clock_realtime_ns() &&
             strstr(receiver_clock(receiver), "CLOCK_REALTIME") != NULL,
         "V%u: stamps are of CLOCK_REALTIME", version);
    if (version == 1)
        fact(!each[2].tagged && each[2].length == 60, "V1: the tag is off and nothing says so");
    else
        fact(each[2].tagged && each[2].vlan_tci == 0x2005 && each[2].vlan_tpid == 0x8100 && each[3].tagged &&
                 each[3].vlan_tpid == 0x88a8 && each[3].length == 66,
             "V%u: the outer tag is off and told", version);
    receiver_close(receiver);
}

static void snapped_and_whole(uint32_t version)
{
    struct receiver_wishes wishes = wishes_of(version);
    uint8_t frame[2048];
    int fd = sender("va");
    wishes.signed_only = false;
    wishes.snap_bytes = 96;
    struct receiver *receiver = open_receiver(&wishes);
    send_frame(fd, frame, build(frame, 1000, "", 0, 0, 1));
    struct seen seen = receive(receiver, 1);
    fact(seen.frames == 1 && seen.each[0].captured == 96 && seen.each[0].length == 1000 &&
             seen.each[0].truncated,
         "V%u: only as many bytes as were asked for, and the length is told", version);
    receiver_close(receiver);
    if (version != 3) {
        wishes = wishes_of(version);
        wishes.frame_size = 512;
        wishes.whole = true;
        receiver = open_receiver(&wishes);
        send_frame(fd, frame, build(frame, 1000, "", 0, 0, 6));
        send_frame(fd, frame, build(frame, 100, "", 0, 0, 7));
        send_frame(fd, frame, build(frame, 1001, "", 0, 0, 8));
        seen = receive(receiver, 3);
        fact(seen.frames == 3 && seen.stream[0] == 6 && seen.stream[1] == 7 && seen.stream[2] == 8 &&
                 seen.each[0].captured == 1000 && seen.each[2].captured == 1001 && !seen.each[0].truncated,
             "V%u: frames longer than a slot come whole from the socket's queue, in order", version);
        receiver_close(receiver);
    }
    close(fd);
}

static void losses_are_owned(uint32_t version)
{
    struct receiver_wishes wishes = wishes_of(version);
    struct receiver_stats stats;
    uint8_t frame[1514];
    int fd = sender("va");
    wishes.blocks = 2;
    wishes.block_size = 8192;
    wishes.frame_size = 2048;
    struct receiver *receiver = open_receiver(&wishes);
    uint64_t before = device_count("vb", RX_PACKETS);
    for (unsigned i = 0; i < 100; i++)
        send_frame(fd, frame, build(frame, 1514, "", 0, 0, 1));
    device_await("vb", RX_PACKETS, before + 100);
    struct seen seen = receive(receiver, 1);
    receiver_read_stats(receiver, &stats);
    fact(seen.frames > 0 && seen.frames + stats.drops == 100 && stats.packets == seen.frames,
         "V%u: a ring too small: %u received and %llu dropped are 100", version, seen.frames,
         (unsigned long long)stats.drops);
    send_frame(fd, frame, build(frame, 60, "", 0, 0, 1));
    struct seen more = receive(receiver, 1);
    struct receiver_stats again;
    receiver_read_stats(receiver, &again);
    fact(more.frames == 1 && again.drops == stats.drops && again.packets == stats.packets + 1,
         "V%u: counts go on from there, not from zero", version);
    receiver_close(receiver);
    close(fd);
}

static void losing_is_told(uint32_t version)
{
    struct receiver_wishes wishes = wishes_of(version);
    uint8_t frame[1514];
    int fd = sender("va");
    wishes.blocks = 2;
    wishes.block_size = 8192;
    wishes.frame_size = 2048;
    struct receiver *receiver = open_receiver(&wishes);
    uint64_t before = device_count("vb", RX_PACKETS);
    for (unsigned i = 0; i < 100; i++)
        send_frame(fd, frame, build(frame, 1514, "", 0, 0, 1));
    device_await("vb", RX_PACKETS, before + 100);
    receive(receiver, 1);
    send_frame(fd, frame, build(frame, 60, "", 0, 0, 1));
    struct seen seen = receive(receiver, 1);
    fact(seen.frames == 1 && seen.each[0].losing, "V%u: the next frame after a loss says so", version);
    receiver_close(receiver);
    close(fd);
}

static void checksum_left_to_a_device(void)
{
    struct receiver_wishes wishes = wishes_of(3);
    struct receiver *receiver = open_receiver(&wishes);
    struct virtio_net_hdr header = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .hdr_len = 42, .csum_start = 34, .csum_offset = 6};
    uint8_t packet[sizeof header + 100];
    int fd = sender("va"), on = 1;
    setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on);
    memcpy(packet, &header, sizeof header);
    build(packet + sizeof header, 100, "", 0, 0, 1);
    send_frame(fd, packet, sizeof packet);
    struct seen seen = receive(receiver, 1);
    fact(seen.frames == 1 && seen.each[0].checksum_not_ready,
         "a checksum that no device has filled in is told");
    receiver_close(receiver);
    close(fd);
}

static void a_stream_stays_on_one_thread(void)
{
    struct receiver_wishes wishes = wishes_of(3);
    uint8_t frame[200];
    int fd = sender("va");
    wishes.fanout = RECEIVER_FANOUT_STREAM;
    wishes.fanout_group = 4711;
    struct receiver *receivers[2] = {open_receiver(&wishes), open_receiver(&wishes)};
    for (unsigned i = 0; i < EACH; i++)
        for (uint16_t stream = 1; stream <= STREAMS; stream++)
            send_frame(fd, frame, build(frame, 60 + i, "", 0, i % 2 == 0 ? 4 : 0, stream));
    struct seen first = receive(receivers[0], 1), second = receive(receivers[1], 1);
    fact(first.frames + second.frames == STREAMS * EACH && first.frames == second.frames,
         "fan-out by stream: %u and %u frames, each once", first.frames, second.frames);
    /* A padded frame's last bytes are no signature, so it is counted as stream 0 by take(): look at the
     * others. */
    bool apart = true;
    for (unsigned stream = 1; stream <= STREAMS; stream++)
        apart = apart && (first.by_stream[stream] == 0 || second.by_stream[stream] == 0) &&
                first.by_stream[stream] + second.by_stream[stream] == EACH / 2;
    fact(apart, "and no stream is on both");
    receiver_close(receivers[0]);
    receiver_close(receivers[1]);
    close(fd);
}

static bool is_promiscuous(void)
{
    return try_run("ip -d link show vb | grep -q 'promiscuity [1-9]'");
}

static void promiscuity_ends(void)
{
    struct receiver_wishes wishes = wishes_of(3);
    wishes.promiscuous = true;
    bool before = is_promiscuous();
    struct receiver *receiver = open_receiver(&wishes);
    bool during = is_promiscuous();
    receiver_close(receiver);
    fact(!before && during && !is_promiscuous(), "promiscuous while it is open, not after");
}

static void a_link_that_flaps(void)
{
    struct receiver_wishes wishes = wishes_of(3);
    struct receiver *receiver = open_receiver(&wishes);
    struct pollfd readable = {.fd = receiver_fd(receiver), .events = POLLIN};
    struct seen none = {0};
    uint8_t frame[60];
    int fd = sender("va");
    run("ip link set vb down");
    bool told = poll(&readable, 1, 1000) == 1 && (readable.revents & POLLERR) != 0;
    receiver_next(receiver, take, &none);
    fact(told && poll(&readable, 1, 0) == 0, "link down is said once; after a look poll() is quiet");
    link_up("vb");
    link_up("va");
    send_frame(fd, frame, build(frame, 60, "", 0, 0, 1));
    fact(receive(receiver, 1).frames == 1, "and after link up frames come again");
    receiver_close(receiver);
    close(fd);
}

int main(void)
{
    sandbox_enter();
    make_veth("va", "vb");
    for (uint32_t version = 1; version <= 3; version++) {
        what_is_taken(version);
        snapped_and_whole(version);
        losses_are_owned(version);
        losing_is_told(version);
    }
    checksum_left_to_a_device();
    a_stream_stays_on_one_thread();
    promiscuity_ends();
    a_link_that_flaps();
    return facts_end();
}
