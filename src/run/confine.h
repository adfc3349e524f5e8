/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A system call filter for one thread that only sends: kicks, waits and clocks. */
#ifndef RUN_CONFINE_H
#define RUN_CONFINE_H

#include <stdbool.h>

#include "base/err.h"

/* For the calling thread and for good; sets no_new_privs for it. What is not let through fails with EPERM:
 * opening, binding, connecting, executing, and sendto() with an address unless `addressed` (cooked rings need
 * one). 0 or -errno; a kernel without seccomp gives -ENOSYS or -EINVAL. */
int confine_thread(bool addressed, struct err *err);

#endif
