/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Varying values. The entries of a list, with all that `then` nests, are one array in pre-order:
 *
 *   vary = ( { A; then = ( { B }, { C } ); }, { D } );         A   B   C   D
 *                                                     skip:    3   2   3   4     index after the subtree
 *                                                     parent:  -   A   A   -
 *
 * A frame's step walks it once: D and A advance with every frame; B and C are entered only when A wraps.
 *
 * Counting. Every entry has places 0 … period-1 and a value for each place. A part of a split stream takes
 * every parts-th place of the whole sequence: an entry that should advance by n moves n mod period places on
 * and hands n / period to its children, one more if it wrapped. Both are constants of the cursor, so that a
 * step has additions and comparisons and no division. Where a cursor begins is found with divisions once.
 *
 * Values. Increment and decrement add a constant of the cursor; `pattern` counts in the bits of its mask by
 * letting carries run through the others; `list` looks up; `random` hashes its place (random.h), so that it
 * repeats for its seed and parts do not repeat each other. A period of 0 means that no number of frames ever
 * wraps it (over 2^64 values; random). */
#include "packet/value.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/units.h"
#include "packet/nodes.h"
#include "packet/random.h"

typedef unsigned __int128 wide;

enum vary_op { OP_INCREMENT, OP_DECREMENT, OP_RANDOM, OP_LIST, OP_PATTERN };
static const char *const op_names[] = {[OP_INCREMENT] = "increment",
                                       [OP_DECREMENT] = "decrement",
                                       [OP_RANDOM] = "random",
                                       [OP_LIST] = "list",
                                       [OP_PATTERN] = "pattern"};

enum { ENTRIES_MAX = 256, VALUES_MAX = 1 << 20, NO_PARENT = UINT32_MAX };
static const uint64_t MAC_GROUP_BIT = UINT64_C(1) << 40;

struct entry {
    struct vary_target target;
    enum vary_op op;
    uint32_t parent, skip;
    uint64_t period; /* 0: never wraps */
    uint64_t flows;  /* frames after which the whole subtree starts again; 0: no limit */
    wide from, to;
    wide step;                 /* modulo 2^128: a decrement's is negative */
    wide mask, fixed;          /* pattern and random: the bits that vary, and the others */
    wide *values;              /* owned; list */
    uint64_t seed;             /* random */
    struct random_range range; /* random: to - from + 1 of them; */
    wide range_bits;           /* or, over 64 bits: ones up to the highest bit of to - from. Else 0 */
};

struct gait {        /* how one entry moves, for cursors of so many parts */
    wide delta, one; /* what places, and one place more, add to the value */
    wide back;       /* what a wrap takes away */
    uint64_t places; /* a step moves so many on, below its period … */
    uint64_t carry;  /* … and hands so many whole periods to the children */
    uint64_t flow_places;
};

struct vary {
    uint32_t count;
    struct entry *entries; /* owned */
    struct gait *gaits;    /* owned; one an entry, for one part */
};

/* ---- values by place ---- */

/* The lowest bits of value, in the places where mask has ones. */
static wide spread(wide value, wide mask)
{
    wide out = 0;
    for (wide rest = mask; rest != 0; rest &= rest - 1, value >>= 1)
        if (value & 1)
            out |= rest & (0 - rest);
    return out;
}

static wide all_ones(uint32_t bits)
{
    return bits >= 128 ? ~(wide)0 : ((wide)1 << bits) - 1;
}

/* 128 bits at once: draws until one is inside; on average fewer than two. */
static wide random_wide(const struct entry *entry, uint64_t state)
{
    uint64_t high = random_mix(state), low = random_again(high);
    for (;;) {
        wide drawn = ((wide)high << 64 | low) & entry->range_bits;
        if (drawn <= entry->to - entry->from)
            return drawn;
        high = random_again(low);
        low = random_again(high);
    }
}

static wide random_value(const struct entry *entry, uint64_t place)
{
    uint64_t state = random_state(entry->seed, place);
    wide drawn = entry->range_bits != 0 ? random_wide(entry, state) : random_below(&entry->range, state);
    return ((drawn + entry->from) & entry->mask) | entry->fixed;
}

static wide value_at(const struct entry *entry, uint64_t place)
{
    switch (entry->op) {
    case OP_INCREMENT:
    case OP_DECREMENT:
        return entry->from + entry->step * place;
    case OP_RANDOM:
        return random_value(entry, place);
    case OP_LIST:
        return entry->values[place];
    case OP_PATTERN:
        return spread(entry->step * place, entry->mask) | entry->fixed;
    }
    return 0;
}

/* ---- the cursor ---- */

struct walk {       /* where one entry stands */
    uint64_t place; /* below its period */
    uint64_t flow;  /* place within its flows */
    bool wrapped;   /* in the last step that it took part in */
};

struct stand {
    uint64_t place;
    wide value;
};

struct vary_cursor {
    const struct vary *vary;  /* borrowed */
    const struct gait *gaits; /* vary's, which all undivided cursors share, or own_gaits */
    struct gait *own_gaits;   /* owned; NULL when undivided */
    uint32_t part, parts;
    struct walk *walks; /* one an entry, behind values */
    struct stand
        *restarts; /* owned; row g, one an entry: where place g of its flows begins. NULL: no flows */
    wide values[]; /* one an entry; with the walks behind them all that a step writes is in one piece */
};

static void move_value(const struct entry *entry, const struct gait *gait, const struct walk *walk, bool more,
                       wide *value)
{
    switch (entry->op) {
    case OP_INCREMENT:
    case OP_DECREMENT:
        *value += gait->delta + (more ? gait->one : 0) - (walk->wrapped ? gait->back : 0);
        break;
    case OP_RANDOM:
        *value = random_value(entry, walk->place);
        break;
    case OP_LIST:
        *value = entry->values[walk->place];
        break;
    case OP_PATTERN: /* ones outside the mask let the carries through */
        *value = (((*value | ~entry->mask) + gait->delta) & entry->mask) | entry->fixed;
        if (more)
            *value = (((*value | ~entry->mask) + gait->one) & entry->mask) | entry->fixed;
        break;
    }
}

/* Moves one entry on. Whether its children move too. */
static bool advance(struct vary_cursor *cursor, uint32_t i)
{
    const struct entry *entry = &cursor->vary->entries[i];
    const struct gait *gait = &cursor->gaits[i];
    struct walk *walk = &cursor->walks[i];
    bool more = entry->parent != NO_PARENT && cursor->walks[entry->parent].wrapped;
    walk->place += gait->places + more;
    walk->wrapped = entry->period != 0 && walk->place >= entry->period;
    if (walk->wrapped)
        walk->place -= entry->period;
    move_value(entry, gait, walk, more, &cursor->values[i]);
    return walk->wrapped || gait->carry != 0;
}

/* Counts the flows of a root. At their end the subtree starts again: at the place that the limit leaves to
 * this part. With fewer flows than parts every step is such a jump. */
static bool restart(struct vary_cursor *cursor, uint32_t root)
{
    const struct entry *entry = &cursor->vary->entries[root];
    struct walk *walk = &cursor->walks[root];
    walk->flow += cursor->gaits[root].flow_places;
    if (walk->flow >= entry->flows)
        walk->flow -= entry->flows;
    else if (cursor->parts <= entry->flows)
        return false;
    for (uint32_t i = root; i < entry->skip; i++) {
        const struct stand *stand = &cursor->restarts[walk->flow * cursor->vary->count + i];
        cursor->walks[i].place = stand->place;
        cursor->values[i] = stand->value;
    }
    return true;
}

void vary_prefetch(const struct vary_cursor *cursor)
{
    const char *at = (const char *)cursor, *end = (const char *)(cursor->values + 3);
    for (; at < end; at += 64)
        __builtin_prefetch(at, 1);
}

void vary_step(struct vary_cursor *cursor)
{
    const struct entry *entries = cursor->vary->entries;
    for (uint32_t i = 0; i < cursor->vary->count;) {
        if (entries[i].flows != 0 && restart(cursor, i))
            i = entries[i].skip;
        else
            i = advance(cursor, i) ? i + 1 : entries[i].skip;
    }
}

const wide *vary_values(const struct vary_cursor *cursor)
{
    return cursor->values;
}

/* How often entry i has advanced when its root has advanced n times. */
static uint64_t times_of(const struct vary *vary, uint32_t i, uint64_t n)
{
    uint32_t parent = vary->entries[i].parent;
    if (parent == NO_PARENT)
        return n;
    uint64_t period = vary->entries[parent].period;
    return period == 0 ? 0 : times_of(vary, parent, n) / period;
}

static struct stand stand_after(const struct vary *vary, uint32_t i, uint64_t n)
{
    const struct entry *entry = &vary->entries[i];
    uint64_t times = times_of(vary, i, n);
    uint64_t place = entry->period == 0 ? times : times % entry->period;
    return (struct stand){place, value_at(entry, place)};
}

static struct gait gait_of(const struct vary *vary, uint32_t i, uint32_t parts)
{
    const struct entry *entry = &vary->entries[i];
    uint64_t times = times_of(vary, i, parts);
    struct gait gait = {.places = times};
    if (entry->period != 0) {
        gait.places = times % entry->period;
        gait.carry = times / entry->period;
    }
    gait.delta = entry->step * gait.places;
    gait.one = entry->step;
    gait.back = entry->step * entry->period;
    if (entry->op == OP_PATTERN) {
        gait.delta = spread(gait.delta, entry->mask);
        gait.one = spread(gait.one, entry->mask);
    }
    if (entry->flows != 0)
        gait.flow_places = parts <= entry->flows ? parts : parts % entry->flows;
    return gait;
}

/* NULL when memory is out. */
static struct gait *gaits_of(const struct vary *vary, uint32_t parts)
{
    struct gait *gaits = calloc(vary->count + 1, sizeof *gaits); /* one more: never of size 0 */
    for (uint32_t i = 0; gaits != NULL && i < vary->count; i++)
        gaits[i] = gait_of(vary, i, parts);
    return gaits;
}

void vary_cursor_reset(struct vary_cursor *cursor)
{
    const struct vary *vary = cursor->vary;
    for (uint32_t root = 0; root < vary->count; root = vary->entries[root].skip) {
        uint64_t flows = vary->entries[root].flows, first = flows == 0 ? cursor->part : cursor->part % flows;
        for (uint32_t i = root; i < vary->entries[root].skip; i++) {
            struct stand stand = stand_after(vary, i, first);
            cursor->walks[i].place = stand.place;
            cursor->walks[i].wrapped = false;
            cursor->walks[i].flow = i == root ? first : 0;
            cursor->values[i] = stand.value;
        }
    }
}

static bool has_flows(const struct vary *vary)
{
    for (uint32_t i = 0; i < vary->count; i++)
        if (vary->entries[i].flows != 0)
            return true;
    return false;
}

static int make_restarts(struct vary_cursor *cursor)
{
    const struct vary *vary = cursor->vary;
    if (!has_flows(vary))
        return 0;
    cursor->restarts = calloc((size_t)cursor->parts * vary->count, sizeof *cursor->restarts);
    if (cursor->restarts == NULL)
        return -ENOMEM;
    for (uint32_t row = 0; row < cursor->parts; row++)
        for (uint32_t i = 0; i < vary->count; i++)
            cursor->restarts[(size_t)row * vary->count + i] = stand_after(vary, i, row);
    return 0;
}

struct vary_cursor *vary_cursor_new(const struct vary *vary, uint32_t part, uint32_t parts)
{
    size_t values_bytes = vary->count * sizeof(wide);
    struct vary_cursor *cursor =
        calloc(1, sizeof *cursor + values_bytes + vary->count * sizeof *cursor->walks);
    if (cursor == NULL)
        return NULL;
    cursor->vary = vary;
    cursor->part = part;
    cursor->parts = parts;
    cursor->walks = (struct walk *)(void *)((char *)cursor->values + values_bytes);
    cursor->gaits = vary->gaits;
    if (parts > 1)
        cursor->gaits = cursor->own_gaits = gaits_of(vary, parts);
    if (cursor->gaits == NULL || make_restarts(cursor) < 0) {
        vary_cursor_free(cursor);
        return NULL;
    }
    vary_cursor_reset(cursor);
    return cursor;
}

void vary_cursor_free(struct vary_cursor *cursor)
{
    if (cursor == NULL)
        return;
    free(cursor->own_gaits);
    free(cursor->restarts);
    free(cursor);
}

/* ---- reading ---- */

struct reader {
    vary_resolve *resolve;
    void *context;
    struct complaints *complaints;
    struct vary *vary;
};

static wide wide_from(const uint8_t *bytes, size_t count)
{
    wide value = 0;
    for (size_t i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

static char *format_value(const struct vary_target *target, wide value, char *out, size_t size)
{
    uint8_t bytes[16];
    store_be64(bytes, (uint64_t)(value >> 64));
    store_be64(bytes + 8, (uint64_t)value);
    switch (target->kind) {
    case VARY_NUMBER:
        snprintf(out, size, "%" PRIu64, (uint64_t)value);
        break;
    case VARY_MAC:
        units_format_mac(bytes + 10, out, size);
        break;
    case VARY_IPV4:
        inet_ntop(AF_INET, bytes + 12, out, (socklen_t)size);
        break;
    case VARY_IPV6:
        inet_ntop(AF_INET6, bytes, out, (socklen_t)size);
        break;
    }
    return out;
}

/* An address in its own notation, when the text is meant as one. */
static int read_address(const struct vary_target *target, const char *text, wide *out, struct err *err)
{
    uint8_t bytes[16];
    int result = -EINVAL;
    size_t length = 0;
    switch (target->kind) {
    case VARY_MAC:
        result = units_mac(text, bytes, err);
        length = 6;
        break;
    case VARY_IPV4:
        result = units_ipv4(text, bytes, err);
        length = 4;
        break;
    case VARY_IPV6:
        result = units_ipv6(text, bytes, err);
        length = 16;
        break;
    case VARY_NUMBER:
        err_set(err, -EINVAL, "`%s` is not a number", text);
        break;
    }
    if (result == 0)
        *out = wide_from(bytes, length);
    return result;
}

/* A value of the target: a number, or its own notation. */
static bool read_value(const struct reader *reader, const struct vary_target *target, const struct node *node,
                       const char *what, wide *out)
{
    wide value;
    uint64_t number;
    struct err err = {0};
    if (node->kind == NODE_TEXT && strpbrk(node->text, ".:") != NULL) {
        if (read_address(target, node->text, &value, &err) != 0) {
            complain(reader->complaints, node, "%s: %s", what, err.text);
            return false;
        }
    } else if (nodes_count(node, what, 0, UINT64_MAX, &number, reader->complaints)) {
        value = number;
    } else {
        return false;
    }
    if (value > all_ones(target->width_bits)) {
        complain(reader->complaints, node, "%s does not fit into %u bits; it is 0 … %" PRIu64, what,
                 target->width_bits, (uint64_t)all_ones(target->width_bits));
        return false;
    }
    *out = value;
    return true;
}

static bool read_member(const struct reader *reader, const struct node *group, const char *name,
                        const struct vary_target *target, wide fallback, wide *out)
{
    const struct node *member = node_find(group, name);
    if (member != NULL)
        return read_value(reader, target, member, name, out);
    *out = fallback;
    return true;
}

/* 0 when there are more values than frames can ever be. */
static uint64_t period_of(wide last_place)
{
    return last_place >= UINT64_MAX ? 0 : (uint64_t)last_place + 1;
}

static bool read_counting(const struct reader *reader, const struct node *group, struct entry *entry)
{
    bool down = entry->op == OP_DECREMENT;
    wide step, limit = down ? 0 : all_ones(entry->target.width_bits);
    if (!read_member(reader, group, "from", &entry->target, entry->target.start, &entry->from) ||
        !read_member(reader, group, "to", &entry->target, limit, &entry->to) ||
        !read_member(reader, group, "step", &entry->target, 1, &step))
        return false;
    if (step == 0) {
        complain(reader->complaints, node_find(group, "step"), "step must be at least 1");
        return false;
    }
    if (down ? entry->to > entry->from : entry->from > entry->to) {
        char from[48], to[48];
        complain(reader->complaints, group, "%s goes from %s to %s, the wrong way; swap them, or use %s",
                 op_names[entry->op], format_value(&entry->target, entry->from, from, sizeof from),
                 format_value(&entry->target, entry->to, to, sizeof to),
                 op_names[down ? OP_INCREMENT : OP_DECREMENT]);
        return false;
    }
    entry->period = period_of((down ? entry->from - entry->to : entry->to - entry->from) / step);
    entry->step = down ? 0 - step : step;
    return true;
}

/* The range, or all of the field; a MAC address stays individual or group, whichever it is. */
static bool read_random_range(const struct reader *reader, const struct node *group, struct entry *entry)
{
    const struct vary_target *target = &entry->target;
    bool ranged = node_find(group, "from") != NULL || node_find(group, "to") != NULL;
    wide kept = target->start;
    if (!read_member(reader, group, "from", target, 0, &entry->from) ||
        !read_member(reader, group, "to", target, all_ones(target->width_bits), &entry->to))
        return false;
    if (entry->from > entry->to) {
        complain(reader->complaints, group, "random needs from to be at most to; swap them");
        return false;
    }
    entry->mask = all_ones(target->width_bits);
    if (target->kind != VARY_MAC)
        return true;
    if (ranged) {
        kept = entry->from;
        if (entry->from >> 40 != entry->to >> 40) {
            complain(reader->complaints, group,
                     "a random range of MAC addresses must not leave its first byte, which says unicast or "
                     "multicast; use mask = \"fe:ff:ff:ff:ff:ff\" for all unicast addresses");
            return false;
        }
    }
    entry->mask &= ~(wide)MAC_GROUP_BIT;
    entry->fixed = kept & MAC_GROUP_BIT;
    return true;
}

static bool read_mask(const struct reader *reader, const struct node *group, struct entry *entry)
{
    const struct node *mask = node_find(group, "mask");
    wide base;
    if (mask == NULL) {
        complain(reader->complaints, group, "%s needs mask: the bits that vary, such as 0xff",
                 op_names[entry->op]);
        return false;
    }
    if (!read_value(reader, &entry->target, mask, "mask", &entry->mask) ||
        !read_member(reader, group, "from", &entry->target, entry->target.start, &base))
        return false;
    if (entry->op == OP_RANDOM && entry->target.kind == VARY_MAC)
        entry->mask &= ~(wide)MAC_GROUP_BIT;
    if (entry->mask == 0) {
        complain(reader->complaints, mask, "mask leaves no bit to vary; set at least one%s",
                 entry->target.kind == VARY_MAC ? " (beside the group bit)" : "");
        return false;
    }
    entry->fixed = base & ~entry->mask;
    return true;
}

static wide fill_right(wide value)
{
    for (unsigned shift = 1; shift < 128; shift *= 2)
        value |= value >> shift;
    return value;
}

static bool read_random(const struct reader *reader, const struct node *group, struct entry *entry)
{
    uint64_t own = (uint64_t)(entry - reader->vary->entries) + 1; /* so that two fields are not alike */
    if (!nodes_member_count(group, "seed", 0, UINT64_MAX, own, &entry->seed, reader->complaints))
        return false;
    if (node_find(group, "mask") == NULL) {
        if (!read_random_range(reader, group, entry))
            return false;
    } else if (node_find(group, "to") != NULL) {
        complain(reader->complaints, node_find(group, "to"),
                 "to and mask exclude each other; with mask, from gives the bits that stay");
        return false;
    } else {
        if (!read_mask(reader, group, entry))
            return false;
        entry->from = 0;
        entry->to = all_ones(entry->target.width_bits);
    }
    wide last = entry->to - entry->from;
    if (last > UINT64_MAX)
        entry->range_bits = fill_right(last);
    else
        entry->range = random_range((uint64_t)last + 1);
    return true;
}

static bool read_list(const struct reader *reader, const struct node *group, struct entry *entry)
{
    const struct node *values = node_find(group, "values");
    bool good = true;
    if (values == NULL || values->kind != NODE_LIST || values->children == 0 ||
        values->children > VALUES_MAX) {
        complain(reader->complaints, values != NULL ? values : group,
                 "list needs values = ( … ), 1 … %d of them", VALUES_MAX);
        return false;
    }
    entry->values = calloc(values->children, sizeof *entry->values);
    if (entry->values == NULL)
        return false;
    NODE_EACH(member, values)
    good = read_value(reader, &entry->target, member, "a value", &entry->values[entry->period++]) && good;
    return good;
}

static bool read_pattern(const struct reader *reader, const struct node *group, struct entry *entry)
{
    if (!read_mask(reader, group, entry) ||
        !read_member(reader, group, "step", &entry->target, 1, &entry->step))
        return false;
    wide counters = 0, step = entry->step; /* as many ones as the mask has, from the lowest bit */
    for (wide rest = entry->mask; rest != 0; rest &= rest - 1)
        counters = counters << 1 | 1;
    if ((step & counters) == 0) {
        complain(reader->complaints, group, "step would not move the bits of mask; it is 1 … %" PRIu64,
                 (uint64_t)counters);
        return false;
    }
    for (; (step & 1) == 0; step >>= 1)
        counters >>= 1; /* an even step comes round sooner */
    entry->period = period_of(counters);
    return true;
}

static const struct op_row {
    bool (*read)(const struct reader *reader, const struct node *group, struct entry *entry);
    const char *options[4]; /* what may stand beside the keys that all have; the rest are NULL */
} op_rows[] = {
    [OP_INCREMENT] = {read_counting, {"from", "to", "step"}},
    [OP_DECREMENT] = {read_counting, {"from", "to", "step"}},
    [OP_RANDOM] = {read_random, {"from", "to", "mask", "seed"}},
    [OP_LIST] = {read_list, {"values"}},
    [OP_PATTERN] = {read_pattern, {"from", "mask", "step"}},
};

static bool read_op(const struct reader *reader, const struct node *group, struct entry *entry)
{
    static const char *const common[] = {"field", "offset", "width", "op", "then", "flows"};
    const char *keys[NODES_COUNT_OF(common) + NODES_COUNT_OF(op_rows->options)];
    const struct node *named = node_find(group, "op");
    size_t op = OP_INCREMENT, count = NODES_COUNT_OF(common);
    if (named != NULL &&
        !nodes_choice(named, "op", op_names, NODES_COUNT_OF(op_names), &op, reader->complaints))
        return false;
    memcpy(keys, common, sizeof common);
    for (size_t i = 0; i < NODES_COUNT_OF(op_rows->options) && op_rows[op].options[i] != NULL; i++)
        keys[count++] = op_rows[op].options[i];
    if (!nodes_know_keys(group, keys, count, reader->complaints))
        return false;
    entry->op = (enum vary_op)op;
    return op_rows[op].read(reader, group, entry);
}

static bool read_flows(const struct reader *reader, const struct node *group, struct entry *entry)
{
    const struct node *flows = node_find(group, "flows");
    if (flows != NULL && entry->parent != NO_PARENT) {
        complain(reader->complaints, flows, "flows limits a whole nest; put it into the outermost entry");
        return false;
    }
    return flows == NULL || nodes_count(flows, "flows", 1, UINT64_MAX, &entry->flows, reader->complaints);
}

static bool read_entries(const struct reader *reader, const struct node *list, uint32_t parent);

static bool read_then(const struct reader *reader, const struct node *group, uint32_t own)
{
    const struct node *then = node_find(group, "then");
    if (then == NULL)
        return true;
    if (reader->vary->entries[own].op == OP_RANDOM) {
        complain(reader->complaints, then,
                 "random never wraps, so nothing can follow it; swap the two entries");
        return false;
    }
    return read_entries(reader, then, own);
}

static bool read_entry(const struct reader *reader, const struct node *group, uint32_t parent)
{
    struct vary *vary = reader->vary;
    if (group->kind != NODE_GROUP) {
        complain(reader->complaints, group,
                 "vary is a list of groups such as { field = \"udp.src\"; op = \"increment\"; }");
        return false;
    }
    if (vary->count == ENTRIES_MAX) {
        complain(reader->complaints, group, "more than %d varying fields", ENTRIES_MAX);
        return false;
    }
    uint32_t own = vary->count++;
    struct entry *entry = &vary->entries[own];
    entry->parent = parent;
    if (!reader->resolve(reader->context, group, &entry->target, reader->complaints))
        return false;
    bool good = read_op(reader, group, entry);
    good = read_flows(reader, group, entry) && good;
    good = good && read_then(reader, group, own);
    entry->skip = vary->count;
    return good;
}

/* A list of entries, or one alone. */
static bool read_entries(const struct reader *reader, const struct node *list, uint32_t parent)
{
    bool good = true;
    if (list->kind != NODE_LIST)
        return read_entry(reader, list, parent);
    NODE_EACH(group, list)
    good = read_entry(reader, group, parent) && good;
    return good;
}

int vary_compile(const struct node *list, vary_resolve *resolve, void *context, struct vary **out,
                 struct complaints *complaints)
{
    struct vary *vary = calloc(1, sizeof *vary);
    if (vary == NULL)
        return -ENOMEM;
    vary->entries = calloc(ENTRIES_MAX, sizeof *vary->entries);
    if (vary->entries == NULL) {
        vary_free(vary);
        return -ENOMEM;
    }
    const struct reader reader = {resolve, context, complaints, vary};
    if (list != NULL && !read_entries(&reader, list, NO_PARENT)) {
        vary_free(vary);
        return -EINVAL;
    }
    struct entry *fitting = realloc(vary->entries, (vary->count + 1) * sizeof *fitting);
    if (fitting != NULL)
        vary->entries = fitting;
    vary->gaits = gaits_of(vary, 1);
    if (vary->gaits == NULL) {
        vary_free(vary);
        return -ENOMEM;
    }
    *out = vary;
    return 0;
}

void vary_free(struct vary *vary)
{
    if (vary == NULL)
        return;
    for (uint32_t i = 0; vary->entries != NULL && i < vary->count; i++)
        free(vary->entries[i].values);
    free(vary->entries);
    free(vary->gaits);
    free(vary);
}

size_t vary_count(const struct vary *vary)
{
    return vary->count;
}

const struct vary_target *vary_target(const struct vary *vary, size_t i)
{
    return &vary->entries[i].target;
}

/* ---- reach ---- */

/* Whether some v in low … high has (v & mask) == match: the least candidate above low, by the lowest bit that
 * is raised. */
static bool range_reaches(wide low, wide high, wide mask, wide match)
{
    if ((low & mask) == match)
        return true;
    for (uint32_t bit = 0; bit < 127; bit++) {
        wide next = ((low >> bit) + 1) << bit;
        next |= match & all_ones(bit);
        if (next <= high && (next & mask) == match)
            return true;
    }
    return false;
}

static bool list_reaches(const struct entry *entry, wide mask, wide match)
{
    for (uint64_t i = 0; i < entry->period; i++)
        if ((entry->values[i] & mask) == match)
            return true;
    return false;
}

bool vary_reaches(const struct vary *vary, size_t i, wide mask, wide match)
{
    const struct entry *entry = &vary->entries[i];
    wide still = mask & ~entry->mask;
    switch (entry->op) {
    case OP_INCREMENT:
        return range_reaches(entry->from, entry->to, mask, match);
    case OP_DECREMENT:
        return range_reaches(entry->to, entry->from, mask, match);
    case OP_LIST:
        return list_reaches(entry, mask, match);
    case OP_RANDOM:
        return (entry->fixed & still) == (match & still) &&
               range_reaches(entry->from, entry->to, mask & entry->mask, match & entry->mask);
    case OP_PATTERN:
        return (entry->fixed & still) == (match & still);
    }
    return true;
}

/* ---- describing ---- */

static char *format_mask(wide mask, char *out, size_t size)
{
    if (mask >> 64 != 0)
        snprintf(out, size, "0x%" PRIx64 "%016" PRIx64, (uint64_t)(mask >> 64), (uint64_t)mask);
    else
        snprintf(out, size, "0x%" PRIx64, (uint64_t)mask);
    return out;
}

static int describe_op(const struct entry *entry, char *out, size_t size)
{
    const struct vary_target *target = &entry->target;
    char from[48], to[48], step[48];
    switch (entry->op) {
    case OP_INCREMENT:
    case OP_DECREMENT:
        format_value(&(struct vary_target){.kind = VARY_NUMBER},
                     entry->op == OP_DECREMENT ? 0 - entry->step : entry->step, step, sizeof step);
        return snprintf(out, size, "%s %s … %s, step %s", op_names[entry->op],
                        format_value(target, entry->from, from, sizeof from),
                        format_value(target, entry->to, to, sizeof to), step);
    case OP_RANDOM:
        if (entry->mask != all_ones(target->width_bits))
            return snprintf(out, size, "random in the bits of %s, seed %" PRIu64,
                            format_mask(entry->mask, from, sizeof from), entry->seed);
        return snprintf(out, size, "random %s … %s, seed %" PRIu64,
                        format_value(target, entry->from, from, sizeof from),
                        format_value(target, entry->to, to, sizeof to), entry->seed);
    case OP_LIST:
        return snprintf(out, size, "list of %" PRIu64 ", %s first", entry->period,
                        format_value(target, entry->values[0], from, sizeof from));
    case OP_PATTERN:
        return snprintf(out, size, "pattern in the bits of %s, %s first",
                        format_mask(entry->mask, to, sizeof to),
                        format_value(target, entry->fixed, from, sizeof from));
    }
    return 0;
}

void vary_describe(const struct vary *vary, size_t i, char *out, size_t size)
{
    const struct entry *entry = &vary->entries[i];
    int used = describe_op(entry, out, size);
    if (entry->flows != 0 && used >= 0 && (size_t)used < size)
        used += snprintf(out + used, size - (size_t)used, ", %" PRIu64 " flows", entry->flows);
    if (entry->parent != NO_PARENT && used >= 0 && (size_t)used < size)
        snprintf(out + used, size - (size_t)used, ", when the one before wraps");
}
