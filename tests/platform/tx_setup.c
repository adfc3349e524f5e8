/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts about setting up a transmit ring: the order of options, the three versions, where data begins. */
#include <errno.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>

#include "fact.h"

enum { TYPE = 0x88b5, FRAMES = 16, FRAME_BYTES = 256 };

static void options_are_refused_once_a_ring_exists(void)
{
    struct raw raw = raw_open("va", FRAMES, FRAME_BYTES);
    fact(raw_option(&raw, PACKET_VERSION, TPACKET_V3) == -EBUSY, "PACKET_VERSION after the ring: EBUSY");
    fact(raw_option(&raw, PACKET_LOSS, 1) == -EBUSY, "PACKET_LOSS after the ring: EBUSY");
    fact(raw_option(&raw, PACKET_VNET_HDR, 1) == -EBUSY, "PACKET_VNET_HDR after the ring: EBUSY");
    raw_close(&raw);
}

static void set_mac_offset(const struct raw *raw, uint32_t slot, uint16_t offset)
{
    struct tpacket2_hdr *header = (void *)(raw->map + (size_t)slot * raw->frame_size);
    header->tp_mac = offset;
}

/* A frame whose bytes stand at 48 while the kernel, if it ignores tp_mac, reads zeros at 32. */
static uint32_t status_with_offset(bool before, uint16_t offset)
{
    struct raw raw = raw_socket(2, false);
    if (before)
        raw_option(&raw, PACKET_TX_HAS_OFF, 1);
    raw_ring(&raw, FRAMES, FRAME_BYTES);
    if (!before)
        fact(raw_option(&raw, PACKET_TX_HAS_OFF, 1) == 0, "PACKET_TX_HAS_OFF after the ring: no error");
    raw_bind(&raw, "va");
    raw_put(&raw, 0, 60, TYPE);
    set_mac_offset(&raw, 0, offset);
    raw_send(&raw);
    uint32_t status = raw_status(&raw, 0);
    raw_close(&raw);
    return status;
}

static void the_offset_counts_only_when_asked_for_in_time(void)
{
    fact(status_with_offset(true, 8) == WRONG_FORMAT,
         "TX_HAS_OFF: an offset inside the header is WRONG_FORMAT");
    fact(status_with_offset(true, 32) == AVAILABLE, "TX_HAS_OFF: hdrlen - 20 = 32 is the least offset");
    fact(status_with_offset(true, FRAME_BYTES - 60) == AVAILABLE,
         "TX_HAS_OFF: frame_size - length is the largest");
    fact(status_with_offset(true, FRAME_BYTES - 59) == WRONG_FORMAT, "TX_HAS_OFF: one more is WRONG_FORMAT");
    fact(status_with_offset(false, 8) == AVAILABLE, "TX_HAS_OFF set late is silently ignored");
}

static void a_version_transmits(int version)
{
    struct raw raw = raw_socket(version, false);
    uint64_t before = device_count("vb", RX_PACKETS);
    raw_ring(&raw, FRAMES, FRAME_BYTES);
    raw_bind(&raw, "va");
    for (uint32_t slot = 0; slot < FRAMES; slot++)
        raw_put(&raw, slot, 60, TYPE);
    long sent = raw_send(&raw);
    fact(sent == FRAMES * 60 && device_await("vb", RX_PACKETS, before + FRAMES) == before + FRAMES,
         "V%d transmits: data at %u, %ld bytes sent", version, raw.data_at, sent);
    fact(raw_count(&raw, AVAILABLE) == FRAMES, "V%d: veth gives every slot back inside send()", version);
    raw_close(&raw);
}

static void v3_wants_no_next_offset(void)
{
    struct raw raw = raw_socket(3, false);
    raw_ring(&raw, FRAMES, FRAME_BYTES);
    raw_bind(&raw, "va");
    raw_put(&raw, 0, 60, TYPE);
    ((struct tpacket3_hdr *)(void *)raw.map)->tp_next_offset = FRAME_BYTES;
    fact(raw_send(&raw) == -EINVAL && raw_status(&raw, 0) == WRONG_FORMAT,
         "V3: a tp_next_offset that is not 0 is EINVAL and WRONG_FORMAT");
    raw_close(&raw);
}

static void v3_wants_no_features(void)
{
    struct raw raw = raw_socket(3, false);
    struct tpacket_req3 request = {.tp_block_size = 4096,
                                   .tp_block_nr = 1,
                                   .tp_frame_size = FRAME_BYTES,
                                   .tp_frame_nr = FRAMES,
                                   .tp_retire_blk_tov = 1};
    int code = setsockopt(raw.fd, SOL_PACKET, PACKET_TX_RING, &request, sizeof request) == 0 ? 0 : -errno;
    fact(code == -EINVAL, "V3: a transmit ring with a block timeout is EINVAL");
    raw_close(&raw);
}

static void protocol_zero_receives_nothing(void)
{
    struct raw sender = raw_open("vb", FRAMES, FRAME_BYTES), raw = raw_open("va", FRAMES, FRAME_BYTES);
    uint64_t before = device_count("va", RX_PACKETS);
    char byte;
    raw_put(&sender, 0, 60, TYPE);
    raw_send(&sender);
    device_await("va", RX_PACKETS, before + 1);
    fact(recv(raw.fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN,
         "a socket of protocol 0 receives nothing");
    raw_close(&sender);
    raw_close(&raw);
}

int main(void)
{
    sandbox_enter();
    make_veth("va", "vb");
    options_are_refused_once_a_ring_exists();
    the_offset_counts_only_when_asked_for_in_time();
    for (int version = 1; version <= 3; version++)
        a_version_transmits(version);
    v3_wants_no_next_offset();
    v3_wants_no_features();
    protocol_zero_receives_nothing();
    return facts_end();
}
