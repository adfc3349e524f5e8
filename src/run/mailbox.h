/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A lock-free mailbox: any thread drops letters in, one takes them all, in the order in which they came.
 * It wakes nobody: who drops a letter in sends an ev_async afterwards (which may coalesce; hence "all"). */
#ifndef RUN_MAILBOX_H
#define RUN_MAILBOX_H

#include <stdatomic.h>
#include <stddef.h>

struct letter { /* first member of what is sent */
    struct letter *next;
};

struct mailbox {
    _Atomic(struct letter *) newest; /* newest → … → oldest */
};

/* Any thread. Release: who takes the letter sees what was written into it. */
static inline void mailbox_drop(struct mailbox *box, struct letter *letter)
{
    letter->next = atomic_load_explicit(&box->newest, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&box->newest, &letter->next, letter, memory_order_release,
                                                  memory_order_relaxed))
        continue;
}

/* The one receiver. All letters, oldest first, linked by next; NULL: none. */
static inline struct letter *mailbox_take(struct mailbox *box)
{
    struct letter *newest = atomic_exchange_explicit(&box->newest, NULL, memory_order_acquire);
    struct letter *oldest = NULL;
    while (newest != NULL) {
        struct letter *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

#endif
