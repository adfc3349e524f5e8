/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fact.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_SKIPPED = 77, BLOCK_BYTES = 4096 };

static unsigned told, broken;

__attribute__((noreturn, format(printf, 1, 2))) static void bail_out(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("Bail out! ");
    vprintf(format, args);
    putchar('\n');
    va_end(args);
    exit(EXIT_FAILURE);
}

/* ---- the sandbox ----------------------------------------------------------------------------------------
 */

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return done;
}

static bool enter_namespaces(void)
{
    char map[32];
    uid_t uid = geteuid();
    gid_t gid = getegid();
    if (uid == 0 && unshare(CLONE_NEWNET) == 0)
        return true;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return false;
    snprintf(map, sizeof map, "0 %u 1", uid);
    if (!write_file("/proc/self/setgroups", "deny") || !write_file("/proc/self/uid_map", map))
        return false;
    snprintf(map, sizeof map, "0 %u 1", gid);
    return write_file("/proc/self/gid_map", map);
}

void sandbox_enter(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!enter_namespaces()) {
        printf("1..0 # SKIP no namespace: %s\n", strerror(errno));
        exit(EXIT_SKIPPED);
    }
    /* An idle link with IPv6 sends frames of its own, which would be counted as ours. */
    write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
    write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    run("ip link set lo up");
}

static bool is_running(const char *interface)
{
    struct ifreq ifreq = {.ifr_flags = 0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    strncpy(ifreq.ifr_name, interface, sizeof ifreq.ifr_name - 1);
    bool running = fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &ifreq) == 0 && (ifreq.ifr_flags & IFF_RUNNING) != 0;
    if (fd >= 0)
        close(fd);
    return running;
}

void link_up(const char *interface)
{
    run("ip link set %s up", interface);
    for (unsigned ms = 0; !is_running(interface) && ms < 5000 * slow_factor(); ms++)
        sleep_ms(1);
    run("ip link set %s up", interface); /* waits for the lock that the kernel's exchange holds */
}

void make_veth(const char *one, const char *other)
{
    run("ip link add %s type veth peer name %s", one, other);
    run("ip link set %s up", other);
    link_up(one);
    link_up(other);
}

static bool run_list(const char *format, va_list args)
{
    char command[512];
    vsnprintf(command, sizeof command, format, args);
    fflush(stdout);
    return system(command) == 0; /* constant commands of these tests */
}

bool try_run(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    bool done = run_list(format, args);
    va_end(args);
    return done;
}

void run(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    bool done = run_list(format, args);
    va_end(args);
    if (!done)
        bail_out("failed: %s", format);
}

/* ---- telling ---------------------------------------------------------------------------------------------
 */

void fact(bool holds, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("%s %u - ", holds ? "ok" : "not ok", ++told);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
    broken += holds ? 0 : 1;
}

void fact_skip(const char *reason, const char *name)
{
    printf("ok %u - %s # SKIP %s\n", ++told, name, reason);
}

int facts_end(void)
{
    printf("1..%u\n", told);
    return broken == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- counters and time -----------------------------------------------------------------------------------
 */

uint64_t device_count(const char *interface, enum device_counter which)
{
    static const unsigned columns[] = {
        [RX_PACKETS] = 1, [RX_DROPPED] = 3, [TX_BYTES] = 8, [TX_PACKETS] = 9, [TX_DROPPED] = 11};
    char line[512], wanted[IFNAMSIZ + 2];
    uint64_t value = 0;
    FILE *file = fopen("/proc/thread-self/net/dev", "re");
    snprintf(wanted, sizeof wanted, "%s:", interface);
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *at = strstr(line, wanted);
        if (at == NULL)
            continue;
        at += strlen(wanted);
        for (unsigned column = 0; column <= columns[which]; column++)
            value = strtoull(at, &at, 10);
    }
    if (file != NULL)
        fclose(file);
    return value;
}

unsigned slow_factor(void)
{
    const char *text = getenv("VOLLEYD_SLOW");
    int factor = text == NULL ? 1 : atoi(text);
    return factor > 1 ? (unsigned)factor : 1;
}

void sleep_ms(unsigned ms)
{
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
    while (nanosleep(&t, &t) != 0)
        ;
}

uint64_t device_await(const char *interface, enum device_counter which, uint64_t least)
{
    uint64_t value = device_count(interface, which);
    for (unsigned ms = 0; value < least && ms < 5000 * slow_factor(); ms += 5) {
        sleep_ms(5);
        value = device_count(interface, which);
    }
    return value;
}

/* ---- a ring by system calls ------------------------------------------------------------------------------
 */

struct raw raw_socket(int version, bool cooked)
{
    static const int versions[] = {[1] = TPACKET_V1, [2] = TPACKET_V2, [3] = TPACKET_V3};
    struct raw raw = {.fd = socket(AF_PACKET, (cooked ? SOCK_DGRAM : SOCK_RAW) | SOCK_CLOEXEC, 0),
                      .version = version,
                      .data_at = version == 3 ? 48 : 32};
    if (raw.fd < 0 || raw_option(&raw, PACKET_VERSION, versions[version]) != 0)
        bail_out("packet socket, version %d: %s", version, strerror(errno));
    return raw;
}

int raw_option(const struct raw *raw, int option, int value)
{
    return setsockopt(raw->fd, SOL_PACKET, option, &value, sizeof value) == 0 ? 0 : -errno;
}

int raw_ring(struct raw *raw, uint32_t frames, uint32_t frame_size)
{
    uint32_t block = BLOCK_BYTES;
    while (block < frame_size)
        block *= 2;
    uint32_t per_block = block / frame_size;
    struct tpacket_req3 request = {.tp_block_size = block,
                                   .tp_block_nr = frames / per_block,
                                   .tp_frame_size = frame_size,
                                   .tp_frame_nr = frames};
    socklen_t size = raw->version == 3 ? sizeof request : sizeof(struct tpacket_req);
    if (setsockopt(raw->fd, SOL_PACKET, PACKET_TX_RING, &request, size) != 0)
        return -errno;
    raw->bytes = (size_t)block * request.tp_block_nr;
    void *map = mmap(NULL, raw->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, raw->fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    raw->map = map;
    raw->frames = frames;
    raw->frame_size = frame_size;
    return 0;
}

int raw_bind(const struct raw *raw, const char *interface)
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface)};
    return bind(raw->fd, (struct sockaddr *)&to, sizeof to) == 0 ? 0 : -errno;
}

struct raw raw_open(const char *interface, uint32_t frames, uint32_t frame_size)
{
    struct raw raw = raw_socket(2, false);
    if (raw_ring(&raw, frames, frame_size) != 0 || raw_bind(&raw, interface) != 0)
        bail_out("ring on %s: %s", interface, strerror(errno));
    return raw;
}

void raw_close(struct raw *raw)
{
    if (raw->map != NULL)
        munmap(raw->map, raw->bytes);
    close(raw->fd);
    *raw = (struct raw){.fd = -1};
}

static uint8_t *slot_at(const struct raw *raw, uint32_t slot)
{
    return raw->map + (size_t)slot * raw->frame_size; /* frame sizes here divide the block */
}

uint8_t *raw_data(const struct raw *raw, uint32_t slot)
{
    return slot_at(raw, slot) + raw->data_at;
}

uint32_t raw_status(const struct raw *raw, uint32_t slot)
{
    uint8_t *at = slot_at(raw, slot);
    if (raw->version == 1)
        return (uint32_t)__atomic_load_n(&((struct tpacket_hdr *)(void *)at)->tp_status, __ATOMIC_ACQUIRE);
    if (raw->version == 2)
        return __atomic_load_n(&((struct tpacket2_hdr *)(void *)at)->tp_status, __ATOMIC_ACQUIRE);
    return __atomic_load_n(&((struct tpacket3_hdr *)(void *)at)->tp_status, __ATOMIC_ACQUIRE);
}

void raw_set_status(const struct raw *raw, uint32_t slot, uint32_t status)
{
    uint8_t *at = slot_at(raw, slot);
    if (raw->version == 1)
        __atomic_store_n(&((struct tpacket_hdr *)(void *)at)->tp_status, status, __ATOMIC_RELEASE);
    else if (raw->version == 2)
        __atomic_store_n(&((struct tpacket2_hdr *)(void *)at)->tp_status, status, __ATOMIC_RELEASE);
    else
        __atomic_store_n(&((struct tpacket3_hdr *)(void *)at)->tp_status, status, __ATOMIC_RELEASE);
}

void raw_set_length(const struct raw *raw, uint32_t slot, uint32_t bytes)
{
    uint8_t *at = slot_at(raw, slot);
    if (raw->version == 1)
        ((struct tpacket_hdr *)(void *)at)->tp_len = bytes;
    else if (raw->version == 2)
        ((struct tpacket2_hdr *)(void *)at)->tp_len = bytes;
    else
        ((struct tpacket3_hdr *)(void *)at)->tp_len = bytes;
}

void raw_put(const struct raw *raw, uint32_t slot, uint32_t bytes, uint16_t type)
{
    static const uint8_t addresses[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
    uint8_t *data = raw_data(raw, slot);
    uint16_t wire = htons(type);
    memcpy(data, addresses, sizeof addresses);
    memcpy(data + sizeof addresses, &wire, sizeof wire);
    raw_set_length(raw, slot, bytes);
    raw_set_status(raw, slot, SEND_REQUEST);
}

long raw_send(const struct raw *raw)
{
    ssize_t sent = send(raw->fd, NULL, 0, MSG_DONTWAIT);
    return sent < 0 ? -errno : sent;
}

uint32_t raw_count(const struct raw *raw, uint32_t status)
{
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < raw->frames; slot++)
        count += raw_status(raw, slot) == status ? 1 : 0;
    return count;
}

bool raw_writable(const struct raw *raw, int timeout_ms)
{
    struct pollfd fd = {.fd = raw->fd, .events = POLLOUT};
    return poll(&fd, 1, timeout_ms) == 1 && (fd.revents & POLLOUT) != 0;
}
