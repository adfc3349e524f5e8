/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A thread that runs a libev loop: pinned, named, without signals (all are the main thread's), confined by a
 * system call filter before the loop begins. Main thread. */
#ifndef RUN_THREAD_H
#define RUN_THREAD_H

#include <ev.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct thread_wishes {
    const char *name; /* at most 15 bytes */
    int cpu;          /* -1: any */
    bool confine;
    bool addressed; /* see confine.h */
};

struct thread { /* all zero: none; it must not move while it runs */
    pthread_t id;
    bool started; /* to be joined */
    bool runs;    /* in its loop, until someone breaks that */
    struct thread_wishes wishes;
    struct ev_loop *loop; /* borrowed */
    sem_t ready;
    int result;
    struct err err;
};

/* 0 once the thread runs the loop; -errno when it could not be made, pinned or confined: then it has ended,
 * and thread_join() is still due. */
int thread_start(struct thread *thread, struct ev_loop *loop, const struct thread_wishes *wishes,
                 struct err *err);
/* Waits for its end; true when it has come. timeout_ns UINT64_MAX: as long as it takes. */
bool thread_join(struct thread *thread, uint64_t timeout_ns);

#endif
