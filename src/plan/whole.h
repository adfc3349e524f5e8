/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a plan owns beside what others see of it; only plan's own files include this. Main thread. */
#ifndef PLAN_WHOLE_H
#define PLAN_WHOLE_H

#include "plan/plan.h"

/* What the copies of one entry of `streams` share. */
struct entry {
    uint32_t *expect;            /* owned */
    struct requirement *require; /* owned */
    uint32_t expected, required;
    uint64_t fingerprint;
};

struct budget { /* what one port's streams ask for on one link */
    bool known;
    uint64_t link_bit;
    enum pace_unit unit; /* of limit and sum; PACE_MAX: no limit */
    uint64_t limit, sum;
    uint64_t sum_bit;     /* the same at L1 */
    uint32_t greatest;    /* stream */
    uint32_t max_streams; /* at rate max: they share limit − sum */
};

struct whole {
    struct plan plan; /* first: what others hold a pointer to */
    unsigned references;
    struct tree *tree;        /* owned */
    struct spec spec;         /* owned; plan.spec shows it with base's ports and safety */
    const struct whole *base; /* reference; whose ports these are; NULL: its own */
    struct entry *entries;    /* owned; one for each of spec.streams */
    struct packet **packets;  /* owned, with each packet */
    size_t packet_count;
    char *names;                  /* owned; of copies */
    const struct whole **origins; /* owned, with a reference each; NULL: the stream is this plan's own */
    uint32_t *by_name;            /* owned; streams in the order of their names */
    struct budget *budgets;       /* owned; one a port, of the link asked about last */
};

static inline struct whole *whole_of(const struct plan *plan)
{
    return (struct whole *)(uintptr_t)plan;
}

/* A check that could not be made must not pass: this makes the plan refused, whether or not it can be told.
 */
static inline void complain_memory(struct complaints *complaints)
{
    complain(complaints, NULL, "memory is out; try again with less, or with more of it");
}

/* checks.c: what needs all streams; complaints name both places. */
void plan_check_names(struct whole *whole, struct complaints *complaints);
void plan_check_ports(const struct whole *whole, struct complaints *complaints);
void plan_check_chains(struct whole *whole, struct complaints *complaints);
void plan_link_chains(struct whole *whole, struct complaints *complaints);

/* rates.c */
void plan_check_rates(const struct whole *whole, struct complaints *complaints);
void plan_spread_phases(struct whole *whole);

/* fingerprint.c: of all that is written below a node, wherever it stands. */
uint64_t fingerprint_node(uint64_t seed, const struct node *node);
uint64_t fingerprint_bytes(uint64_t seed, const void *bytes, size_t count);

#endif
