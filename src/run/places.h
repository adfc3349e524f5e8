/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which CPU each queue's thread keeps. A thread that is moved overtakes its own frames: what it handed over
 * on the CPU it left still waits there (a veth's backlog, net/core/dev.c), or the CPU it comes to has another
 * transmit queue (XPS). The receiver would call that reordered, and no switch did it. Main thread only. */
#ifndef RUN_PLACES_H
#define RUN_PLACES_H

#include <sched.h>
#include <stdint.h>

struct places {
    uint16_t threads[CPU_SETSIZE]; /* that keep this CPU */
};

/* The CPU for one more thread: the one that is asked for, none (-1) where it may be any, else of those
 * allowed to this process the one with the fewest threads, then on the core with the fewest, then on this
 * node (-1: any), then the last, as the first have most of the interrupts. To be given back. */
int places_take(struct places *places, int asked, int node);
void places_give(struct places *places, int cpu); /* -1: nothing */

#endif
