/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether the checksums of a received frame are right. Pure; any thread. */
#ifndef RUN_INTACT_H
#define RUN_INTACT_H

#include <stdbool.h>
#include <stdint.h>

/* The IPv4 header's sum, and UDP's or TCP's over IPv4 or IPv6, behind Ethernet and any tags. Anything else, a
 * fragment, and an IPv4 datagram whose UDP carries no sum, has nothing to be wrong. */
bool frame_is_intact(const uint8_t *frame, uint32_t bytes);

#endif
