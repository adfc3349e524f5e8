/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frame sizes: what `size` and `mix` say becomes a short ascending array of distinct sizes and an order.
 *
 *   distinct   60  590  1514                      in memory: the configuration counts the FCS, we do not
 *   order      0 1 0 0 1 0 2 0 1 0 1 0            indices into distinct; repeats for ever
 *
 * A mix is interleaved smoothly: each step gives the turn to the size that is furthest behind its share, so
 * that every run of frames holds each size within one frame of its share, and the bit rate does not swing.
 * Random sizes have no order: each draw picks evenly among the distinct ones. Part p of n takes places p,
 * p + n, … of the one sequence. */
#include "packet/value.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "packet/nodes.h"
#include "packet/random.h"

enum { PERIOD_MAX = 65536, MIX_MAX = 256, WEIGHT_SCALE = 10000, DEFAULT_SIZE = 64 };

struct sizes {
    uint32_t count, period;
    uint32_t *distinct; /* owned; ascending */
    uint16_t *order;    /* owned; period of them; NULL when random */
    struct random_range range;
    uint64_t seed;
    uint64_t mean_bytes, mean_frames;
};

struct share { /* one line of a mix */
    uint32_t size;
    uint64_t weight;
};

/* What a compile gathers. */
struct draft {
    const struct node *at;
    uint32_t smallest, largest;
    struct complaints *complaints;
    uint32_t *sequence; /* owned; sizes in memory, as they are sent */
    uint32_t period;
    bool random;
    uint64_t seed;
};

/* Named mixes, FCS counted, weights in percent of a percent where they were published so. The long ones are
 * those of the Journal of Internet Test Methodologies (Agilent 2007), which Spirent's and Ixia's testers
 * carry; its IPv6 mix counts IP bytes for the two short sizes (60 and 496), here with Ethernet's 18. */
static const struct named_mix {
    const char *name;
    struct share shares[4];
} named_mixes[] = {
    {"simple", {{64, 7}, {594, 4}, {1518, 1}}},
    {"imix", {{64, 7}, {594, 4}, {1518, 1}}},
    {"tcp", {{90, 5867}, {92, 200}, {594, 2366}, {1518, 1567}}},
    {"ipv6", {{78, 5867}, {514, 200}, {594, 2366}, {1518, 1567}}},
    {"ipsec", {{90, 5867}, {92, 200}, {594, 2366}, {1418, 1567}}},
};

/* RFC 6985 §3. z is the MTU, which a plan does not know. */
static const uint32_t genome_sizes[] = {
    ['a'] = 64,   ['b'] = 128,  ['c'] = 256,  ['d'] = 512,  ['e'] = 1024,
    ['f'] = 1280, ['g'] = 1518, ['h'] = 2112, ['i'] = 9000, ['j'] = 16000};

/* ---- pieces ---- */

static bool size_fits(const struct draft *draft, const struct node *at, uint64_t size)
{
    uint64_t least = (uint64_t)draft->smallest + FCS_BYTES, most = (uint64_t)draft->largest + FCS_BYTES;
    if (size < least)
        complain(draft->complaints, at,
                 "size %" PRIu64 " does not hold the headers; the least size that fits is %" PRIu64
                 " (FCS counted)",
                 size, least);
    else if (size > most)
        complain(draft->complaints, at,
                 "size %" PRIu64 " is too large; it is at most %" PRIu64 " (FCS counted)", size, most);
    return size >= least && size <= most;
}

static bool read_size(const struct draft *draft, const struct node *node, const char *what, uint32_t *out)
{
    uint64_t size;
    struct err err = {0};
    if (node->kind == NODE_TEXT) {
        if (units_bytes(node->text, &size, &err) != 0) {
            complain(draft->complaints, node, "%s: %s", what, err.text);
            return false;
        }
    } else if (!nodes_count(node, what, 0, UINT32_MAX, &size, draft->complaints)) {
        return false;
    }
    if (!size_fits(draft, node, size))
        return false;
    *out = (uint32_t)size - FCS_BYTES;
    return true;
}

static bool sequence_new(struct draft *draft, uint32_t period)
{
    assert(period != 0); /* every caller has at least one frame */
    draft->sequence = calloc(period, sizeof *draft->sequence);
    draft->period = period;
    if (draft->sequence == NULL)
        complain(draft->complaints, draft->at, "out of memory");
    return draft->sequence != NULL;
}

static bool draft_one(struct draft *draft, const struct node *at, uint64_t size)
{
    if (!size_fits(draft, at, size) || !sequence_new(draft, 1))
        return false;
    draft->sequence[0] = (uint32_t)size - FCS_BYTES;
    return true;
}

/* ---- mixes ---- */

static uint64_t greatest_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The shares in an order in which each is always within one frame of its share. */
static bool draft_shares(struct draft *draft, const struct node *at, struct share *shares, size_t count)
{
    uint64_t divisor = 0, total = 0;
    for (size_t i = 0; i < count; i++)
        divisor = greatest_divisor(shares[i].weight, divisor);
    for (size_t i = 0; i < count; i++)
        total += shares[i].weight /= divisor;
    if (total > PERIOD_MAX) {
        complain(draft->complaints, at,
                 "the weights come to a mix of %" PRIu64 " frames; at most %d: round them, or give them a "
                 "common divisor",
                 total, PERIOD_MAX);
        return false;
    }
    int64_t behind[MIX_MAX] = {0};
    if (!sequence_new(draft, (uint32_t)total))
        return false;
    for (uint32_t place = 0; place < total; place++) {
        size_t turn = 0;
        for (size_t i = 0; i < count; i++) {
            behind[i] += (int64_t)shares[i].weight;
            if (behind[i] > behind[turn])
                turn = i;
        }
        behind[turn] -= (int64_t)total;
        draft->sequence[place] = shares[turn].size;
    }
    return true;
}

/* In units of 1/WEIGHT_SCALE, so that "58.67" is whole. */
static bool read_weight(const struct draft *draft, const struct node *node, uint64_t *out)
{
    enum { WEIGHT_MAX = 1000000000 };
    uint64_t scaled = 0;
    struct err err = {0};
    struct ratio ratio;
    if (node->kind == NODE_INT && node->integer > 0 && node->integer <= WEIGHT_MAX)
        scaled = (uint64_t)node->integer * WEIGHT_SCALE;
    else if (node->kind == NODE_FLOAT && node->real > 0 && node->real <= WEIGHT_MAX)
        scaled = (uint64_t)llround(node->real * WEIGHT_SCALE);
    else if (node->kind == NODE_TEXT && units_ratio(node->text, &ratio, &err) == 0 &&
             ratio.num <= UINT64_C(1) * WEIGHT_MAX && WEIGHT_SCALE % ratio.den == 0)
        scaled = ratio.num * (WEIGHT_SCALE / ratio.den);
    if (scaled == 0) {
        complain(draft->complaints, node, "weight must be a number above 0, with at most 4 decimals");
        return false;
    }
    *out = scaled;
    return true;
}

static bool read_share(const struct draft *draft, const struct node *member, struct share *out)
{
    static const char *const keys[] = {"size", "weight"};
    if (member->kind != NODE_GROUP) {
        complain(draft->complaints, member, "a mix is a list of groups such as { size = 64; weight = 7; }");
        return false;
    }
    if (!nodes_know_keys(member, keys, NODES_COUNT_OF(keys), draft->complaints))
        return false;
    const struct node *size = node_find(member, "size"), *weight = node_find(member, "weight");
    if (size == NULL) {
        complain(draft->complaints, member, "size is missing; for example { size = 64; weight = 7; }");
        return false;
    }
    out->weight = WEIGHT_SCALE;
    return read_size(draft, size, "size", &out->size) &&
           (weight == NULL || read_weight(draft, weight, &out->weight));
}

static bool draft_mix(struct draft *draft, const struct node *mix)
{
    struct share shares[MIX_MAX];
    size_t count = 0;
    bool good = true;
    if (mix->kind != NODE_LIST || mix->children == 0 || mix->children > MIX_MAX) {
        complain(draft->complaints, mix,
                 "mix must be a list of 1 … %d sizes, such as ( { size = 64; weight = 7; }, … )", MIX_MAX);
        return false;
    }
    NODE_EACH(member, mix)
    good = read_share(draft, member, &shares[count++]) && good;
    return good && draft_shares(draft, mix, shares, count);
}

static bool draft_named(struct draft *draft, const struct node *at, const struct named_mix *named)
{
    struct share shares[NODES_COUNT_OF(named->shares)];
    size_t count = 0;
    for (; count < NODES_COUNT_OF(shares) && named->shares[count].size != 0; count++) {
        if (!size_fits(draft, at, named->shares[count].size))
            return false;
        shares[count] = named->shares[count];
        shares[count].size -= FCS_BYTES;
    }
    return draft_shares(draft, at, shares, count);
}

/* ---- genomes (RFC 6985): letters name sizes, their order is the order of the frames ---- */

static bool gene_size(const struct draft *draft, const struct node *group, const struct node *at, char letter,
                      uint32_t *out)
{
    const char name[] = {letter, '\0'};
    const struct node *own = group != NULL ? node_find(group, name) : NULL;
    uint32_t size = (size_t)letter < NODES_COUNT_OF(genome_sizes) ? genome_sizes[(size_t)letter] : 0;
    if (own != NULL)
        return read_size(draft, own, name, out);
    if (size == 0) {
        complain(draft->complaints, at,
                 "the genome letter %c has no size here (a 64 … j 16000 have); give it one: "
                 "size = { genome = \"…\"; %c = 1500; }",
                 letter, letter);
        return false;
    }
    if (!size_fits(draft, at, size))
        return false;
    *out = size - FCS_BYTES;
    return true;
}

static bool is_genome(const char *text)
{
    static const char letters[] = "abcdefghijzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return text[0] != '\0' && text[strspn(text, letters)] == '\0';
}

static bool draft_genome(struct draft *draft, const struct node *group, const struct node *at)
{
    if (at->kind != NODE_TEXT || !is_genome(at->text) || strlen(at->text) > PERIOD_MAX) {
        complain(draft->complaints, at,
                 "a genome is text of up to %d letters a … j and z, and A … Z for sizes of your own, such as "
                 "\"aaafg\"",
                 PERIOD_MAX);
        return false;
    }
    if (!sequence_new(draft, (uint32_t)strlen(at->text)))
        return false;
    for (uint32_t i = 0; i < draft->period; i++)
        if (!gene_size(draft, group, at, at->text[i], &draft->sequence[i]))
            return false; /* once is enough: the same letter may stand there a thousand times */
    return true;
}

/* size = { genome = "aaZ"; Z = 1500; } */
static bool draft_genome_group(struct draft *draft, const struct node *group)
{
    NODE_EACH(member, group)
    {
        if (strcmp(member->name, "genome") == 0 || (is_genome(member->name) && member->name[1] == '\0'))
            continue;
        complain(draft->complaints, member, "unknown key `%s`; beside genome stand letters and their sizes",
                 member->name);
        return false;
    }
    return draft_genome(draft, group, node_find(group, "genome"));
}

/* ---- ranges ---- */

enum range_op { RANGE_INCREMENT, RANGE_DECREMENT, RANGE_RANDOM };
static const char *const range_ops[] = {
    [RANGE_INCREMENT] = "increment", [RANGE_DECREMENT] = "decrement", [RANGE_RANDOM] = "random"};

/* low and high in memory. Complains about ranges that go the wrong way or hold too many sizes. */
static bool read_range(const struct draft *draft, const struct node *group, enum range_op op, uint32_t *low,
                       uint32_t *high, uint32_t *step)
{
    const struct node *from = node_find(group, "from"), *to = node_find(group, "to");
    uint32_t first, last;
    uint64_t wide_step;
    if (from == NULL || to == NULL) {
        complain(draft->complaints, group,
                 "%s sizes need from and to, such as { op = \"%s\"; from = %s; to = %s; }", range_ops[op],
                 range_ops[op], op == RANGE_DECREMENT ? "1518" : "64", op == RANGE_DECREMENT ? "64" : "1518");
        return false;
    }
    bool good = read_size(draft, from, "from", &first);
    good = read_size(draft, to, "to", &last) && good;
    if (!nodes_member_count(group, "step", 1, UINT32_MAX, 1, &wide_step, draft->complaints) || !good)
        return false;
    *low = op == RANGE_DECREMENT ? last : first;
    *high = op == RANGE_DECREMENT ? first : last;
    *step = (uint32_t)wide_step;
    if (*low > *high) {
        complain(draft->complaints, group, "%s goes from %u to %u, the wrong way; swap them", range_ops[op],
                 first + FCS_BYTES, last + FCS_BYTES);
        return false;
    }
    uint32_t count = (*high - *low) / *step + 1;
    if (count > SIZES_MAX) {
        complain(draft->complaints, group, "%u different sizes; at most %d: step = %u would do", count,
                 SIZES_MAX, (*high - *low) / SIZES_MAX + 1);
        return false;
    }
    return true;
}

static bool draft_range(struct draft *draft, const struct node *group)
{
    static const char *const keys[] = {"op", "from", "to", "step", "seed"};
    const struct node *name = node_find(group, "op");
    uint32_t low, high, step;
    size_t op;
    if (!nodes_know_keys(group, keys, NODES_COUNT_OF(keys), draft->complaints))
        return false;
    if (name == NULL) {
        complain(draft->complaints, group,
                 "op is missing: increment, decrement or random; or genome, for letters of one's own");
        return false;
    }
    if (!nodes_choice(name, "op", range_ops, NODES_COUNT_OF(range_ops), &op, draft->complaints) ||
        !read_range(draft, group, (enum range_op)op, &low, &high, &step) ||
        !nodes_member_count(group, "seed", 0, UINT64_MAX, 1, &draft->seed, draft->complaints))
        return false;
    if (op != RANGE_RANDOM && node_find(group, "seed") != NULL) {
        complain(draft->complaints, node_find(group, "seed"),
                 "seed is only for op = \"random\"; leave it out");
        return false;
    }
    if (!sequence_new(draft, (high - low) / step + 1))
        return false;
    draft->random = op == RANGE_RANDOM;
    for (uint32_t i = 0; i < draft->period; i++)
        draft->sequence[i] = op == RANGE_DECREMENT ? high - i * step : low + i * step;
    return true;
}

/* ---- all together ---- */

static bool draft_text(struct draft *draft, const struct node *size)
{
    uint32_t bytes;
    for (size_t i = 0; i < NODES_COUNT_OF(named_mixes); i++)
        if (strcmp(size->text, named_mixes[i].name) == 0)
            return draft_named(draft, size, &named_mixes[i]);
    if (is_genome(size->text))
        return draft_genome(draft, NULL, size);
    if (size->text[0] < '0' || size->text[0] > '9') {
        complain(
            draft->complaints, size,
            "unknown size `%s`; it is a number, a mix (simple, tcp, ipv6, ipsec) or a genome of the letters "
            "a … j",
            size->text);
        return false;
    }
    return read_size(draft, size, "size", &bytes) && draft_one(draft, size, (uint64_t)bytes + FCS_BYTES);
}

static bool draft_size(struct draft *draft, const struct node *size)
{
    uint64_t bytes;
    switch (size->kind) {
    case NODE_TEXT:
        return draft_text(draft, size);
    case NODE_GROUP:
        return node_find(size, "genome") != NULL ? draft_genome_group(draft, size) : draft_range(draft, size);
    case NODE_LIST:
        return draft_mix(draft, size);
    case NODE_INT:
    case NODE_FLOAT:
    case NODE_BOOL:
        break;
    }
    return nodes_count(size, "size", 0, UINT32_MAX, &bytes, draft->complaints) &&
           draft_one(draft, size, bytes);
}

static int by_size(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static int index_of(const uint32_t *sorted, uint32_t count, uint32_t size)
{
    const uint32_t *found = bsearch(&size, sorted, count, sizeof size, by_size);
    return (int)(found - sorted);
}

/* sequence becomes distinct and order. */
static struct sizes *sizes_from(const struct draft *draft)
{
    struct sizes *sizes = calloc(1, sizeof *sizes);
    if (sizes == NULL)
        return NULL;
    sizes->period = draft->period;
    sizes->distinct = calloc(draft->period, sizeof *sizes->distinct);
    sizes->order = calloc(draft->period, sizeof *sizes->order);
    if (sizes->distinct == NULL || sizes->order == NULL) {
        sizes_free(sizes);
        return NULL;
    }
    memcpy(sizes->distinct, draft->sequence, draft->period * sizeof *sizes->distinct);
    qsort(sizes->distinct, draft->period, sizeof *sizes->distinct, by_size);
    for (uint32_t i = 0; i < draft->period; i++)
        if (i == 0 || sizes->distinct[i] != sizes->distinct[sizes->count - 1])
            sizes->distinct[sizes->count++] = sizes->distinct[i];
    for (uint32_t i = 0; i < draft->period; i++) {
        sizes->order[i] = (uint16_t)index_of(sizes->distinct, sizes->count, draft->sequence[i]);
        sizes->mean_bytes += draft->sequence[i];
    }
    sizes->mean_frames = draft->period;
    sizes->seed = draft->seed;
    sizes->range = random_range(draft->random ? sizes->count : 0);
    if (draft->random) {
        free(sizes->order);
        sizes->order = NULL;
    }
    return sizes;
}

static bool draft_any(struct draft *draft, const struct node *size, const struct node *mix)
{
    if (size != NULL && mix != NULL) {
        complain(draft->complaints, mix, "size and mix exclude each other; leave one out");
        return false;
    }
    if (mix != NULL)
        return draft_mix(draft, mix);
    return size != NULL ? draft_size(draft, size) : draft_one(draft, draft->at, DEFAULT_SIZE);
}

int sizes_compile(const struct node *at, const struct node *size, const struct node *mix, uint32_t smallest,
                  uint32_t largest, struct sizes **out, struct complaints *complaints)
{
    struct draft draft = {.at = at, .smallest = smallest, .largest = largest, .complaints = complaints};
    int result = draft_any(&draft, size, mix) ? 0 : -EINVAL;
    if (result == 0) {
        struct sizes *sizes = sizes_from(&draft);
        if (sizes != NULL)
            *out = sizes;
        else
            result = -ENOMEM;
    }
    free(draft.sequence);
    return result;
}

void sizes_free(struct sizes *sizes)
{
    if (sizes == NULL)
        return;
    free(sizes->distinct);
    free(sizes->order);
    free(sizes);
}

uint32_t sizes_count(const struct sizes *sizes)
{
    return sizes->count;
}

uint32_t sizes_distinct(const struct sizes *sizes, uint32_t i)
{
    return sizes->distinct[i];
}

void sizes_mean(const struct sizes *sizes, uint64_t *bytes, uint64_t *frames)
{
    *bytes = sizes->mean_bytes;
    *frames = sizes->mean_frames;
}

void sizes_begin(const struct sizes *sizes, struct size_cursor *cursor, uint32_t part, uint32_t parts)
{
    if (sizes->order == NULL) {
        cursor->state = random_state(sizes->seed, part);
        cursor->stride = parts * RANDOM_GAMMA;
        cursor->next = (uint32_t)random_below(&sizes->range, cursor->state);
        return;
    }
    cursor->state = part % sizes->period;
    cursor->stride = parts % sizes->period;
    cursor->next = sizes->order[cursor->state];
}

void sizes_step(const struct sizes *sizes, struct size_cursor *cursor)
{
    cursor->state += cursor->stride;
    if (sizes->order == NULL) {
        cursor->next = (uint32_t)random_below(&sizes->range, cursor->state);
        return;
    }
    if (cursor->state >= sizes->period)
        cursor->state -= sizes->period;
    cursor->next = sizes->order[cursor->state];
}
