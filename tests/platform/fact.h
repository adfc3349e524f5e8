/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the platform programs share: a network namespace of their own, TAP lines, and a packet ring driven by
 * nothing but system calls, so that what is proved about the kernel does not lean on the engine.
 *
 * A program exits 0 when every fact holds, 1 when one does not, 77 (skipped) where namespaces are refused. */
#ifndef PLATFORM_FACT_H
#define PLATFORM_FACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Enters a fresh network namespace (and a user namespace unless root) with IPv6 off and lo up, or exits 77.
 */
void sandbox_enter(void);
/* A veth pair of these names, both up and ready to send. */
void make_veth(const char *one, const char *other);
/* Sets the link up and waits until it can send. Right after "up" a link still has the qdisc of one that is
 * down, which takes every frame and sends none: the kernel exchanges it a moment later. */
void link_up(const char *interface);
/* Runs a shell command in the sandbox; a failure ends the program with "Bail out!". */
__attribute__((format(printf, 1, 2))) void run(const char *format, ...);
__attribute__((format(printf, 1, 2))) bool try_run(const char *format, ...);

__attribute__((format(printf, 2, 3))) void fact(bool holds, const char *format, ...);
void fact_skip(const char *reason, const char *name);
int facts_end(void); /* prints the plan line; the exit code */

enum device_counter { RX_PACKETS, RX_DROPPED, TX_BYTES, TX_PACKETS, TX_DROPPED };
uint64_t device_count(const char *interface, enum device_counter which);
/* Waits until the counter has reached `least` (at most 5 s × VOLLEYD_SLOW); what it is then. */
uint64_t device_await(const char *interface, enum device_counter which, uint64_t least);

void sleep_ms(unsigned ms);
unsigned slow_factor(void); /* VOLLEYD_SLOW, at least 1 */

/* ---- a ring by system calls ---- */
struct raw {
    int fd, version;
    uint8_t *map;
    uint32_t frame_size, frames, data_at;
    size_t bytes;
};
/* Statuses by their own names, so that no program needs the kernel's header. */
enum { AVAILABLE = 0, SEND_REQUEST = 1, SENDING = 2, WRONG_FORMAT = 4 };

struct raw raw_socket(int version, bool cooked);
int raw_option(const struct raw *raw, int option, int value); /* 0 or -errno */
int raw_ring(struct raw *raw, uint32_t frames, uint32_t frame_size);
int raw_bind(const struct raw *raw, const char *interface);
/* socket, ring and bind in one; V2, RAW. Ends the program when it cannot. */
struct raw raw_open(const char *interface, uint32_t frames, uint32_t frame_size);
void raw_close(struct raw *raw);
uint8_t *raw_data(const struct raw *raw, uint32_t slot);
uint32_t raw_status(const struct raw *raw, uint32_t slot);
void raw_set_status(const struct raw *raw, uint32_t slot, uint32_t status);
void raw_set_length(const struct raw *raw, uint32_t slot, uint32_t bytes);
/* A frame of `bytes` with this ethertype, marked SEND_REQUEST. */
void raw_put(const struct raw *raw, uint32_t slot, uint32_t bytes, uint16_t type);
long raw_send(const struct raw *raw);                       /* send(MSG_DONTWAIT): bytes or -errno */
uint32_t raw_count(const struct raw *raw, uint32_t status); /* slots whose status is exactly this */
bool raw_writable(const struct raw *raw, int timeout_ms);

#endif
