/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PACKET_MMAP receive rings.
 *
 *   V3      | block | block | …    the kernel fills a block with frames of any length and hands it over
 * whole, when it is full or RETIRE_MS old V1, V2  | slot | slot | …      one frame a slot, handed over singly
 *
 * A socket is closed to all frames (a filter that takes none) until it is bound and in its fan-out group, so
 * that no frame is seen twice.
 *
 * open, close: main thread; the rest: the receive worker that owns it. */
#include "engine/receiver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "packet/signature.h"

enum {
    BLOCK_BYTES = 256 * 1024,
    RING_BYTES = 8 * 1024 * 1024,
    V3_FRAME_BYTES = 2048, /* nominal: V3 packs frames of any length */
    SLOT_OVERHEAD = 128,   /* header, address and alignment before a frame, and a tag */
    RETIRE_MS = 5,
    SLOTS_AT_ONCE = 64,
    WHOLE_BYTES = 65536 + 64, /* the longest frame that GRO makes */
    SNAP_ALL = 0x40000,
};

struct receiver {
    int fd;         /* owned */
    uint8_t *map;   /* owned; blocks × block_size */
    uint8_t *whole; /* owned; where a frame longer than its slot is read to; NULL: not asked for */
    struct tpacket_req3 geometry;
    uint32_t version;
    uint32_t next, count; /* block (V3) or slot to look at; of how many */
    struct receiver_stats stats;
    bool hardware_time, restore_stamping;
    char interface[IFNAMSIZ];
    struct hwtstamp_config stamping_before;
};

/* ---- what is let through --------------------------------------------------------------------------------
 */

#define JUMP_IF(VALUE, THEN, ELSE) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (VALUE), (THEN), (ELSE))
#define JUMP(BY)                   BPF_JUMP(BPF_JMP | BPF_JA, (BY), 0, 0)
#define LOAD_LENGTH                BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0)
#define LOAD_16(AT)                BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (AT))
#define LOAD_16_AT_X(PLUS)         BPF_STMT(BPF_LD | BPF_H | BPF_IND, (PLUS))
#define LOAD_ABOUT(WHAT)           BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_AD_OFF + (WHAT))
#define TO_X                       BPF_STMT(BPF_MISC | BPF_TAX, 0)
#define ADD(NUMBER)                BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, (NUMBER))
#define SUBTRACT(NUMBER)           BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, (NUMBER))
#define RETURN(NUMBER)             BPF_STMT(BPF_RET | BPF_K, (NUMBER))
#define RETURN_A                   BPF_STMT(BPF_RET | BPF_A, 0)

static const struct sock_filter take_none[] = {RETURN(0)};
static const struct sock_filter take_all[] = {RETURN(SNAP_ALL)};

/* The magic (of nonce 0; put_magic() puts the run's) at the frame's end, or at the end of an IPv4 datagram
 * that was padded to the least frame; MAC control (PAUSE). Offsets count from the Ethernet header, whose 14
 * bytes and the signature's 14 cancel out in "start of the last 14 bytes of the datagram" = total length. A
 * load beyond the end ends the program with 0. */
static const struct sock_filter take_signed[] = {
    /*  0 */ LOAD_LENGTH,
    /*  1 */ SUBTRACT(SIGNATURE_BYTES),
    /*  2 */ TO_X,
    /*  3 */ LOAD_16_AT_X(0),
    /*  4 */ JUMP_IF(SIGNATURE_MAGIC, 14, 0),
    /*  5 */ LOAD_16(12),
    /*  6 */ JUMP_IF(0x8808, 12, 0),
    /*  7 */ JUMP_IF(ETHERTYPE_IP, 6, 0),
    /*  8 */ JUMP_IF(ETHERTYPE_VLAN, 0, 9),
    /*  9 */ LOAD_16(16), /* a tag that stayed in the frame */
    /* 10 */ JUMP_IF(ETHERTYPE_IP, 0, 7),
    /* 11 */ LOAD_16(20),
    /* 12 */ ADD(4),
    /* 13 */ JUMP(1),
    /* 14 */ LOAD_16(16),
    /* 15 */ TO_X,
    /* 16 */ LOAD_16_AT_X(0),
    /* 17 */ JUMP_IF(SIGNATURE_MAGIC, 1, 0),
    /* 18 */ RETURN(0),
    /* 19 */ RETURN(SNAP_ALL),
};

/* The stream's number, where the filter above found the magic; frames without one go by their hash. Offsets
 * count from the network header: fan-out sees the frame without its link header. */
static const struct sock_filter by_stream[] = {
    /*  0 */ LOAD_LENGTH,
    /*  1 */ SUBTRACT(SIGNATURE_BYTES),
    /*  2 */ TO_X,
    /*  3 */ LOAD_16_AT_X(0),
    /*  4 */ JUMP_IF(SIGNATURE_MAGIC, 9, 0),
    /*  5 */ LOAD_ABOUT(SKF_AD_PROTOCOL),
    /*  6 */ JUMP_IF(ETHERTYPE_IP, 0, 5),
    /*  7 */ LOAD_16(2),
    /*  8 */ SUBTRACT(SIGNATURE_BYTES),
    /*  9 */ TO_X,
    /* 10 */ LOAD_16_AT_X(0),
    /* 11 */ JUMP_IF(SIGNATURE_MAGIC, 2, 0),
    /* 12 */ LOAD_ABOUT(SKF_AD_RXHASH),
    /* 13 */ RETURN_A,
    /* 14 */ LOAD_16_AT_X(2),
    /* 15 */ RETURN_A,
};

enum { LONGEST_FILTER = sizeof take_signed / sizeof take_signed[0] };

static void put_magic(struct sock_filter *filter, size_t count, uint32_t nonce)
{
    for (size_t i = 0; i < count; i++)
        if (filter[i].code == (BPF_JMP | BPF_JEQ | BPF_K) && filter[i].k == SIGNATURE_MAGIC)
            filter[i].k = signature_magic(nonce);
}

/* Replaces the filter at once; the last instruction of each is "take it", up to snap_bytes. */
static int set_filter(int fd, const struct sock_filter *filter, size_t count, uint32_t snap_bytes,
                      uint32_t nonce)
{
    struct sock_filter copy[LONGEST_FILTER];
    struct sock_fprog program = {.len = (unsigned short)count, .filter = copy};
    memcpy(copy, filter, count * sizeof *filter);
    put_magic(copy, count, nonce);
    if (snap_bytes != 0)
        copy[count - 1].k = snap_bytes;
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0 ? 0 : -errno;
}

static int open_filter(const struct receiver *receiver, const struct receiver_wishes *wishes)
{
    if (wishes->signed_only)
        return set_filter(receiver->fd, take_signed, sizeof take_signed / sizeof take_signed[0],
                          wishes->snap_bytes, wishes->nonce);
    return set_filter(receiver->fd, take_all, 1, wishes->snap_bytes, 0);
}

static int join_fanout(const struct receiver *receiver, const struct receiver_wishes *wishes)
{
    static const int kinds[] = {
        [RECEIVER_FANOUT_STREAM] = PACKET_FANOUT_CBPF, [RECEIVER_FANOUT_CPU] = PACKET_FANOUT_CPU,
        [RECEIVER_FANOUT_HASH] = PACKET_FANOUT_HASH,   [RECEIVER_FANOUT_LB] = PACKET_FANOUT_LB,
        [RECEIVER_FANOUT_QM] = PACKET_FANOUT_QM,       [RECEIVER_FANOUT_ROLLOVER] = PACKET_FANOUT_ROLLOVER,
    };
    struct sock_filter copy[sizeof by_stream / sizeof by_stream[0]];
    struct sock_fprog program = {.len = sizeof by_stream / sizeof by_stream[0], .filter = copy};
    int argument = wishes->fanout_group | kinds[wishes->fanout] << 16;
    if (wishes->fanout == RECEIVER_FANOUT_NONE)
        return 0;
    if (setsockopt(receiver->fd, SOL_PACKET, PACKET_FANOUT, &argument, sizeof argument) != 0)
        return -errno;
    memcpy(copy, by_stream, sizeof by_stream);
    put_magic(copy, program.len, wishes->nonce);
    if (wishes->fanout == RECEIVER_FANOUT_STREAM &&
        setsockopt(receiver->fd, SOL_PACKET, PACKET_FANOUT_DATA, &program, sizeof program) != 0)
        return -errno;
    return 0;
}

/* ---- the NIC's clock -------------------------------------------------------------------------------------
 */

static int interface_ioctl(const struct receiver *receiver, unsigned long request, void *data)
{
    struct ifreq ifreq = {.ifr_data = data};
    memcpy(ifreq.ifr_name, receiver->interface, sizeof ifreq.ifr_name);
    return ioctl(receiver->fd, request, &ifreq) == 0 ? 0 : -errno;
}

static bool nic_stamps_all(const struct receiver *receiver)
{
    struct ethtool_ts_info info = {.cmd = ETHTOOL_GET_TS_INFO};
    return interface_ioctl(receiver, SIOCETHTOOL, &info) == 0 &&
           (info.so_timestamping & SOF_TIMESTAMPING_RAW_HARDWARE) != 0 &&
           (info.rx_filters & (1U << HWTSTAMP_FILTER_ALL)) != 0;
}

static bool start_hardware_stamps(struct receiver *receiver)
{
    struct hwtstamp_config wanted = {0};
    int raw = SOF_TIMESTAMPING_RAW_HARDWARE;
    if (!nic_stamps_all(receiver) ||
        interface_ioctl(receiver, SIOCGHWTSTAMP, &receiver->stamping_before) != 0)
        return false;
    wanted = receiver->stamping_before;
    wanted.rx_filter = HWTSTAMP_FILTER_ALL;
    if (receiver->stamping_before.rx_filter != HWTSTAMP_FILTER_ALL) {
        if (interface_ioctl(receiver, SIOCSHWTSTAMP, &wanted) != 0)
            return false;
        receiver->restore_stamping = true;
    }
    return setsockopt(receiver->fd, SOL_PACKET, PACKET_TIMESTAMP, &raw, sizeof raw) == 0;
}

/* ---- opening ---------------------------------------------------------------------------------------------
 */

static int set_option(const struct receiver *receiver, int option, int value, const char *name,
                      struct err *err)
{
    if (setsockopt(receiver->fd, SOL_PACKET, option, &value, sizeof value) != 0)
        return err_set(err, -errno, "%s = %d: %s", name, value, strerror(errno));
    return 0;
}

static uint32_t power_of_two(uint32_t least)
{
    uint32_t value = 1;
    while (value < least)
        value <<= 1;
    return value;
}

static uint32_t mtu_of(const struct receiver *receiver)
{
    struct ifreq ifreq = {.ifr_mtu = 0};
    memcpy(ifreq.ifr_name, receiver->interface, sizeof ifreq.ifr_name);
    return ioctl(receiver->fd, SIOCGIFMTU, &ifreq) == 0 && ifreq.ifr_mtu > 0 ? (uint32_t)ifreq.ifr_mtu : 1500;
}

static void choose_geometry(struct receiver *receiver, const struct receiver_wishes *wishes)
{
    struct tpacket_req3 *geometry = &receiver->geometry;
    geometry->tp_frame_size = wishes->frame_size;
    if (receiver->version == 3)
        geometry->tp_frame_size = V3_FRAME_BYTES;
    else if (geometry->tp_frame_size == 0)
        geometry->tp_frame_size = power_of_two(mtu_of(receiver) + SLOT_OVERHEAD);
    geometry->tp_block_size = wishes->block_size != 0 ? wishes->block_size : BLOCK_BYTES;
    geometry->tp_block_nr = wishes->blocks != 0 ? wishes->blocks : RING_BYTES / geometry->tp_block_size;
    if (receiver->version == 3)
        geometry->tp_retire_blk_tov = RETIRE_MS;
}

static int request_ring(struct receiver *receiver)
{
    struct tpacket_req3 *geometry = &receiver->geometry;
    socklen_t size = receiver->version == 3 ? sizeof *geometry : sizeof(struct tpacket_req);
    geometry->tp_frame_nr = geometry->tp_block_size / geometry->tp_frame_size * geometry->tp_block_nr;
    return setsockopt(receiver->fd, SOL_PACKET, PACKET_RX_RING, geometry, size) == 0 ? 0 : -errno;
}

static size_t map_bytes(const struct receiver *receiver)
{
    return (size_t)receiver->geometry.tp_block_size * receiver->geometry.tp_block_nr;
}

/* Where memory is short, half the blocks, and half again. */
static int make_ring(struct receiver *receiver, struct err *err)
{
    struct tpacket_req3 *geometry = &receiver->geometry;
    int code = request_ring(receiver);
    while (code == -ENOMEM && geometry->tp_block_nr > 2) {
        geometry->tp_block_nr /= 2;
        code = request_ring(receiver);
    }
    if (code != 0)
        return err_set(err, code, "receive ring of %u blocks of %u bytes, frames of %u bytes: %s",
                       geometry->tp_block_nr, geometry->tp_block_size, geometry->tp_frame_size,
                       strerror(-code));
    void *map = mmap(NULL, map_bytes(receiver), PROT_READ | PROT_WRITE, MAP_SHARED, receiver->fd, 0);
    if (map == MAP_FAILED)
        return err_set(err, -errno, "mapping a receive ring of %zu bytes: %s", map_bytes(receiver),
                       strerror(errno));
    receiver->map = map;
    receiver->count = receiver->version == 3 ? geometry->tp_block_nr : geometry->tp_frame_nr;
    return 0;
}

static int open_socket(struct receiver *receiver, struct err *err)
{
    static const int kernel_version[] = {[1] = TPACKET_V1, [2] = TPACKET_V2, [3] = TPACKET_V3};
    receiver->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (receiver->fd < 0)
        return err_set(err, -errno, "packet socket: %s",
                       errno == EPERM ? "needs CAP_NET_RAW" : strerror(errno));
    int code = set_filter(receiver->fd, take_none, 1, 0, 0);
    if (code != 0)
        return err_set(err, code, "socket filter: %s", strerror(-code));
    code = set_option(receiver, PACKET_VERSION, kernel_version[receiver->version], "PACKET_VERSION", err);
    if (code == 0)
        code = set_option(receiver, PACKET_IGNORE_OUTGOING, 1, "PACKET_IGNORE_OUTGOING", err);
    if (code == 0 && receiver->whole != NULL)
        code = set_option(receiver, PACKET_COPY_THRESH, 1, "PACKET_COPY_THRESH", err);
    return code;
}

static int join_interface(struct receiver *receiver, const struct receiver_wishes *wishes, struct err *err)
{
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = wishes->ifindex};
    struct packet_mreq membership = {.mr_ifindex = wishes->ifindex, .mr_type = PACKET_MR_PROMISC};
    if (bind(receiver->fd, (struct sockaddr *)&address, sizeof address) != 0)
        return err_set(err, -errno, "binding to %s (index %d): %s", wishes->interface, wishes->ifindex,
                       errno == ENODEV ? "the interface is gone" : strerror(errno));
    int code = join_fanout(receiver, wishes);
    if (code != 0)
        return err_set(err, code, "fan-out group %u on %s: %s", wishes->fanout_group, wishes->interface,
                       strerror(-code));
    if (wishes->promiscuous &&
        setsockopt(receiver->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership) != 0)
        return err_set(err, -errno, "making %s promiscuous: %s", wishes->interface, strerror(errno));
    code = open_filter(receiver, wishes);
    if (code != 0)
        return err_set(err, code, "socket filter: %s", strerror(-code));
    return 0;
}

int receiver_open(const struct receiver_wishes *wishes, struct receiver **out, struct err *err)
{
    if (wishes->version > 3)
        return err_set(err, -EINVAL, "receive ring version %u: there are 1, 2 and 3", wishes->version);
    if (wishes->ifindex <= 0)
        return err_set(err, -ENODEV, "there is no interface %s", wishes->interface);
    struct receiver *receiver = calloc(1, sizeof *receiver);
    if (receiver == NULL)
        return err_set(err, -ENOMEM, "no memory for a receiver");
    receiver->fd = -1;
    receiver->version = wishes->version == 0 ? 3 : wishes->version;
    strncpy(receiver->interface, wishes->interface, sizeof receiver->interface - 1);
    int code = -ENOMEM;
    if (wishes->whole && receiver->version != 3 && (receiver->whole = malloc(WHOLE_BYTES)) == NULL) {
        err_set(err, code, "no memory for whole frames");
        goto fail;
    }
    code = open_socket(receiver, err);
    if (code != 0)
        goto fail;
    receiver->hardware_time = wishes->hardware_time && start_hardware_stamps(receiver);
    choose_geometry(receiver, wishes);
    code = make_ring(receiver, err);
    if (code == 0)
        code = join_interface(receiver, wishes, err);
    if (code != 0)
        goto fail;
    *out = receiver;
    return 0;
fail:
    receiver_close(receiver);
    return code;
}

void receiver_close(struct receiver *receiver)
{
    if (receiver == NULL)
        return;
    if (receiver->restore_stamping)
        interface_ioctl(receiver, SIOCSHWTSTAMP, &receiver->stamping_before);
    if (receiver->map != NULL)
        munmap(receiver->map, map_bytes(receiver));
    if (receiver->fd >= 0)
        close(receiver->fd);
    free(receiver->whole);
    free(receiver);
}

int receiver_send(const struct receiver *receiver, const uint8_t *frame, uint32_t bytes)
{
    return send(receiver->fd, frame, bytes, MSG_DONTWAIT) == (ssize_t)bytes ? 0 : -errno;
}

int receiver_fd(const struct receiver *receiver)
{
    return receiver->fd;
}

const char *receiver_clock(const struct receiver *receiver)
{
    return receiver->hardware_time ? "hardware (raw)" : "software (CLOCK_REALTIME)";
}

/* ---- frames ----------------------------------------------------------------------------------------------
 */

/* What the statuses of all three versions say alike. */
static struct received judge(const uint8_t *frame, uint32_t captured, uint32_t length, uint32_t status)
{
    return (struct received){
        .frame = frame,
        .captured = captured,
        .length = length,
        .truncated = captured < length,
        .losing = (status & TP_STATUS_LOSING) != 0,
        .checksum_not_ready = (status & TP_STATUS_CSUMNOTREADY) != 0,
        .hardware_time = (status & TP_STATUS_TS_RAW_HARDWARE) != 0,
        .tagged = (status & TP_STATUS_VLAN_VALID) != 0,
    };
}

static struct received read_v3(const uint8_t *at, uint32_t status)
{
    const struct tpacket3_hdr *header = (const struct tpacket3_hdr *)(const void *)at;
    struct received received = judge(at + header->tp_mac, header->tp_snaplen, header->tp_len, status);
    received.time_ns = header->tp_sec * NS_PER_SECOND + header->tp_nsec;
    received.vlan_tci = (uint16_t)header->hv1.tp_vlan_tci;
    received.vlan_tpid = header->hv1.tp_vlan_tpid;
    return received;
}

static uint32_t take_block(struct receiver *receiver, receiver_take *take, void *context)
{
    uint8_t *at = receiver->map + (size_t)receiver->next * receiver->geometry.tp_block_size;
    struct tpacket_hdr_v1 *block = &((struct tpacket_block_desc *)(void *)at)->hdr.bh1;
    /* Acquire pairs with the kernel's release of the block: its frames were written before. */
    uint32_t block_status = __atomic_load_n(&block->block_status, __ATOMIC_ACQUIRE);
    if ((block_status & TP_STATUS_USER) == 0)
        return 0;
    uint32_t frames = block->num_pkts;
    at += block->offset_to_first_pkt;
    struct received some[RECEIVER_AT_ONCE];
    for (uint32_t taken = 0, count; taken < frames; taken += count) {
        for (count = 0; count < RECEIVER_AT_ONCE && taken + count < frames; count++) {
            const struct tpacket3_hdr *header = (const struct tpacket3_hdr *)(const void *)at;
            some[count] = read_v3(at, header->tp_status | (block_status & TP_STATUS_LOSING));
            at += header->tp_next_offset;
        }
        take(context, some, count);
    }
    __atomic_store_n(&block->block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    receiver->next = receiver->next + 1 < receiver->count ? receiver->next + 1 : 0;
    return frames;
}

/* The kernel queued the whole frame when it did not fit its slot; the queue is in the slots' order. */
static void read_whole(struct receiver *receiver, struct received *received)
{
    ssize_t bytes = recv(receiver->fd, receiver->whole, WHOLE_BYTES, MSG_DONTWAIT);
    if (bytes <= 0)
        return;
    received->frame = receiver->whole;
    received->captured = (uint32_t)bytes;
    received->truncated = received->captured < received->length;
}

static struct received read_v1(const uint8_t *at, uint32_t status)
{
    const struct tpacket_hdr *header = (const struct tpacket_hdr *)(const void *)at;
    struct received received = judge(at + header->tp_mac, header->tp_snaplen, header->tp_len, status);
    received.time_ns = header->tp_sec * NS_PER_SECOND + header->tp_usec * NS_PER_US;
    return received;
}

static struct received read_v2(const uint8_t *at, uint32_t status)
{
    const struct tpacket2_hdr *header = (const struct tpacket2_hdr *)(const void *)at;
    struct received received = judge(at + header->tp_mac, header->tp_snaplen, header->tp_len, status);
    received.time_ns = header->tp_sec * NS_PER_SECOND + header->tp_nsec;
    received.vlan_tci = header->tp_vlan_tci;
    received.vlan_tpid = header->tp_vlan_tpid;
    return received;
}

static uint32_t load_status(const struct receiver *receiver, const uint8_t *at)
{
    if (receiver->version == 1)
        return (uint32_t)__atomic_load_n(&((const struct tpacket_hdr *)(const void *)at)->tp_status,
                                         __ATOMIC_ACQUIRE);
    return __atomic_load_n(&((const struct tpacket2_hdr *)(const void *)at)->tp_status, __ATOMIC_ACQUIRE);
}

static void release_slot(const struct receiver *receiver, uint8_t *at)
{
    if (receiver->version == 1)
        __atomic_store_n(&((struct tpacket_hdr *)(void *)at)->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    else
        __atomic_store_n(&((struct tpacket2_hdr *)(void *)at)->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
}

static uint8_t *slot_at(const struct receiver *receiver, uint32_t slot)
{
    uint32_t per_block = receiver->geometry.tp_block_size / receiver->geometry.tp_frame_size;
    return receiver->map + (size_t)(slot / per_block) * receiver->geometry.tp_block_size +
           (size_t)(slot % per_block) * receiver->geometry.tp_frame_size;
}

static uint32_t take_slots(struct receiver *receiver, receiver_take *take, void *context)
{
    uint32_t frames = 0;
    for (; frames < SLOTS_AT_ONCE; frames++) {
        uint8_t *at = slot_at(receiver, receiver->next);
        uint32_t status = load_status(receiver, at);
        if ((status & TP_STATUS_USER) == 0)
            break;
        struct received received = receiver->version == 1 ? read_v1(at, status) : read_v2(at, status);
        if ((status & TP_STATUS_COPY) != 0 && receiver->whole != NULL)
            read_whole(receiver, &received);
        take(context, &received, 1);
        release_slot(receiver, at);
        receiver->next = receiver->next + 1 < receiver->count ? receiver->next + 1 : 0;
    }
    return frames;
}

uint32_t receiver_next(struct receiver *receiver, receiver_take *take, void *context)
{
    uint32_t frames =
        receiver->version == 3 ? take_block(receiver, take, context) : take_slots(receiver, take, context);
    if (frames == 0) {
        /* A link that went down leaves an error that makes poll() return at once until it is read. */
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(receiver->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
    return frames;
}

/* The kernel's counts begin anew at each reading, and its packets include its drops. */
void receiver_read_stats(struct receiver *receiver, struct receiver_stats *out)
{
    struct tpacket_stats_v3 now = {0};
    socklen_t size = sizeof now;
    if (getsockopt(receiver->fd, SOL_PACKET, PACKET_STATISTICS, &now, &size) == 0) {
        receiver->stats.packets += now.tp_packets - now.tp_drops;
        receiver->stats.drops += now.tp_drops;
        receiver->stats.freezes += now.tp_freeze_q_cnt;
    }
    *out = receiver->stats;
}
