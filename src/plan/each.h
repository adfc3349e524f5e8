/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the copies of a stream have different: each = ( { field = "vlan.id"; from = 100; step = 1; }, … ).
 *
 * An entry has `field`, or `key` (rate, delay); and `from` with `step` (1) and `to` (inclusive; then it
 * starts again), or `values`. Numbers, MAC and IP addresses step alike. Main thread. */
#ifndef PLAN_EACH_H
#define PLAN_EACH_H

#include "config/schema.h"
#include "packet/packet.h"

enum { EACH_MAX = 16 };

struct each_rule {
    const struct node *at;
    const char *field; /* NULL: a key of the stream */
    enum each_key { EACH_RATE, EACH_DELAY } key;
    const struct node *values; /* NULL: counted */
    enum each_form { FORM_NUMBER, FORM_MAC, FORM_IPV4, FORM_IPV6, FORM_RATE } form;
    unsigned __int128 from, step, period; /* period 0: none; of values too */
    bool down;
    struct rate rate, rate_step;
};

struct each {
    struct each_rule rules[EACH_MAX];
    size_t count, fields;
};

/* node may be NULL: no rules. False after complaints. */
bool each_read(const struct node *node, struct each *out, struct complaints *complaints);

struct each_texts {
    char text[EACH_MAX][48];
    struct packet_override overrides[EACH_MAX];
};
/* The fields of copy index (from 0), out->overrides being each->fields many; they borrow out's text. False
 * and a complaint when one would go beyond what its form holds. */
bool each_fields(const struct each *each, uint64_t index, struct each_texts *out,
                 struct complaints *complaints);
/* The stream's own keys of that copy; what no rule names stays. False after a complaint. */
bool each_keys(const struct each *each, uint64_t index, struct rate *rate, uint64_t *delay_ns,
               struct complaints *complaints);

#endif
