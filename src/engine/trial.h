/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What only a try can tell of the kernel. */
#ifndef ENGINE_TRIAL_H
#define ENGINE_TRIAL_H

/* Whether a packet socket takes a run of UDP segments (virtio_net_hdr_to_skb(), include/linux/virtio_net.h:
 * since Linux 6.2, and in older kernels of some distributions). A run of two goes over the loopback, to an
 * address that nobody has there. 1: it is taken; 0: it is not; -errno: it could not be tried, as the loopback
 * is down. */
int trial_udp_segments(void);

#endif
