/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts about what poll() says of a transmit ring, and what remains after close(). */
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/sockios.h>

#include "fact.h"

enum { TYPE = 0x88b5, FRAMES = 64, FRAME_BYTES = 256 };

static void fill(const struct raw *raw)
{
    for (uint32_t slot = 0; slot < raw->frames; slot++)
        raw_put(raw, slot, 60, TYPE);
}

static void pollout_lies_when_all_are_sending(void)
{
    struct raw raw = raw_open("va", FRAMES, FRAME_BYTES);
    int charged = 0;
    fill(&raw);
    raw_send(&raw);
    uint32_t sending = raw_count(&raw, SENDING);
    fact(sending >= FRAMES - 40 && raw_count(&raw, SEND_REQUEST) == 0,
         "behind a slow qdisc %u slots are SENDING", sending);
    fact(raw_writable(&raw, 0), "and poll() says POLLOUT all the same: memory is under half of sndbuf");
    ioctl(raw.fd, SIOCOUTQ, &charged);
    fact(sending > 0 && charged / (int)sending >= 832,
         "SIOCOUTQ tells the charge: %d bytes for a frame of 60, at least 832", charged / (int)sending);
    raw_close(&raw);
}

static void memory_wakes(void)
{
    struct raw raw = raw_open("va", FRAMES, FRAME_BYTES);
    int bytes = 20000; /* doubled by the kernel: about 48 frames */
    setsockopt(raw.fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    fill(&raw);
    raw_send(&raw);
    fact(raw_count(&raw, SEND_REQUEST) > 0 && !raw_writable(&raw, 0),
         "socket memory is out and the head SEND_REQUEST: poll() says nothing");
    fact(raw_writable(&raw, 5000 * (int)slow_factor()),
         "when the qdisc has sent enough, poll() says POLLOUT");
    fact(raw_send(&raw) > 0, "and a send() moves the head");
    raw_close(&raw);
}

static void frames_leave_after_close(void)
{
    struct raw raw = raw_open("va", FRAMES, FRAME_BYTES);
    fill(&raw);
    raw_send(&raw);
    uint64_t at_close = device_count("va", TX_PACKETS);
    raw_close(&raw);
    fact(device_await("va", TX_PACKETS, at_close + 10) >= at_close + 10,
         "what is in a qdisc leaves after close()");
}

int main(void)
{
    sandbox_enter();
    make_veth("va", "vb");
    run("tc qdisc add dev va root tbf rate 100kbit burst 1600 limit 1000000");
    pollout_lies_when_all_are_sending();
    run("tc qdisc replace dev va root tbf rate 100kbit burst 1600 limit 1000000");
    memory_wakes();
    frames_leave_after_close();
    return facts_end();
}
