/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A hierarchical timing wheel: nine levels of 64 slots, a slot of level L being 2^10 × 64^L ns wide.
 *
 *   level 0   |·|·|x|·|·|x| … 64 slots of 1 µs, from base_ns on
 *   level 1     |x|·|x|x| …   64 slots of 66 µs     a slot whose time has come is dealt out to lower levels
 *   level 2        |·|x| …    64 slots of 4.2 ms    …
 *
 * An entry stands at the lowest level whose 64 slots reach its time; each level's slots are a ring that turns
 * with base_ns, so that a slot never holds more than what its own width brings, and a word of bits finds the
 * first one in use. base_ns is never after now nor after any slot in use. A stream costs one cache line here
 * and one in its pacer. Streams at rate max stand in a ring of their own when nothing else keeps them. */
#include "pace/schedule.h"

#include <stdlib.h>

/* Wide enough that a stream at common rates is dealt out once or twice on its way, narrow enough that few
 * entries share a slot of level 0, which is searched: measured by bench-schedule. */
enum { LEVELS = 9, SLOTS = 64, SLOT_BITS = 6, FIRST_BITS = 10, FIRST_WIDTH_NS = 1 << FIRST_BITS };
enum { NOBODY = SCHEDULE_NOBODY };
/* How far a slot of a higher level is searched for its first deadline before its beginning must do. */
enum { LOOK_AT_MOST = 16 };

enum state {
    STATE_OUT,    /* not taking part, or paused */
    STATE_PACED,  /* in the wheel, with a frame due at its time */
    STATE_MAX,    /* in the ring of those at rate max */
    STATE_OPENS,  /* in the wheel until its phase at rate max begins */
    STATE_ENDING, /* in the wheel until its end */
};

/* One cache line a stream. */
struct entry {
    uint64_t time_ns;     /* when to look at it: its deadline, or later where it catches up */
    uint64_t deadline_ns; /* PACED; MAX: until when */
    struct pacer *pacer;  /* borrowed */
    uint32_t next, previous;
    uint16_t slot; /* level × SLOTS + index, while in the wheel */
    uint8_t state;
    bool trains;
    uint64_t earned_ns; /* overdue: what it has sent is worth the time until then, at twice its rate */
} __attribute__((aligned(64)));

struct schedule {
    uint64_t base_ns;
    uint32_t levels_used; /* bit L: level L has a slot in use */
    uint32_t max_next;    /* in the ring of STATE_MAX: whose turn it is */
    uint64_t slots_used[LEVELS];
    uint32_t heads[LEVELS * SLOTS];
    struct schedule_limits limits;
    uint32_t streams;
    struct entry *entries;
};

struct schedule *schedule_new(uint32_t streams, const struct schedule_limits *limits)
{
    struct schedule *schedule = calloc(1, sizeof *schedule);
    if (schedule == NULL)
        return NULL;
    if (posix_memalign((void **)&schedule->entries, 64, (streams + 1) * sizeof(struct entry)) != 0) {
        free(schedule);
        return NULL;
    }
    for (uint32_t i = 0; i <= streams; i++)
        schedule->entries[i] = (struct entry){.state = STATE_OUT};
    schedule->streams = streams;
    schedule->limits = *limits;
    schedule->max_next = NOBODY;
    return schedule;
}

void schedule_free(struct schedule *schedule)
{
    if (schedule != NULL)
        free(schedule->entries);
    free(schedule);
}

/* ---- the wheel ---- */

static int level_shift(int level)
{
    return FIRST_BITS + SLOT_BITS * level;
}

/* The lowest level whose slots, counted from base's own, reach a time so many slots of level 0 on. */
static int level_for(uint64_t base_ns, uint64_t time_ns)
{
    uint64_t distance = (time_ns - base_ns) >> FIRST_BITS;
    int level = distance < SLOTS ? 0 : (63 - __builtin_clzll(distance)) / SLOT_BITS;
    int shift = level_shift(level);
    return (time_ns >> shift) - (base_ns >> shift) < SLOTS ? level : level + 1;
}

static void wheel_insert(struct schedule *schedule, uint32_t id)
{
    struct entry *entry = &schedule->entries[id];
    uint64_t time_ns = entry->time_ns > schedule->base_ns ? entry->time_ns : schedule->base_ns;
    int level = level_for(schedule->base_ns, time_ns);
    unsigned index = (unsigned)(time_ns >> level_shift(level)) % SLOTS;
    uint16_t slot = (uint16_t)((unsigned)level * SLOTS + index);
    uint64_t bit = UINT64_C(1) << index;
    uint32_t head = NOBODY;
    if (schedule->slots_used[level] & bit) {
        head = schedule->heads[slot];
        schedule->entries[head].previous = id;
    }
    entry->next = head;
    entry->previous = NOBODY;
    entry->slot = slot;
    schedule->heads[slot] = id;
    schedule->slots_used[level] |= bit;
    schedule->levels_used |= UINT32_C(1) << level;
}

static void slot_empty(struct schedule *schedule, unsigned slot)
{
    unsigned level = slot / SLOTS;
    schedule->slots_used[level] &= ~(UINT64_C(1) << slot % SLOTS);
    if (schedule->slots_used[level] == 0)
        schedule->levels_used &= ~(UINT32_C(1) << level);
}

static void wheel_remove(struct schedule *schedule, uint32_t id)
{
    const struct entry *entry = &schedule->entries[id];
    if (entry->next != NOBODY)
        schedule->entries[entry->next].previous = entry->previous;
    if (entry->previous != NOBODY)
        schedule->entries[entry->previous].next = entry->next;
    else if (entry->next != NOBODY)
        schedule->heads[entry->slot] = entry->next;
    else
        slot_empty(schedule, entry->slot);
}

struct first_slot {
    unsigned slot;
    uint64_t begins_ns;
    uint64_t others_ns; /* when the first slot of any other level begins: what it holds may come before */
};

/* The slot in use that begins first; of two, the wider one. The wheel is not empty. */
static struct first_slot find_first(const struct schedule *schedule)
{
    struct first_slot first = {.begins_ns = DEADLINE_NEVER, .others_ns = DEADLINE_NEVER};
    for (uint32_t levels = schedule->levels_used; levels != 0; levels &= levels - 1) {
        int level = __builtin_ctz(levels), shift = level_shift(level);
        uint64_t base_slot = schedule->base_ns >> shift;
        unsigned turn = (unsigned)base_slot % SLOTS;
        uint64_t used = schedule->slots_used[level];
        uint64_t turned = used >> turn | used << (SLOTS - turn) % SLOTS;
        uint64_t slot = base_slot + (unsigned)__builtin_ctzll(turned);
        uint64_t begins_ns = slot << shift;
        if (begins_ns <= first.begins_ns) {
            first.others_ns = first.begins_ns;
            first.begins_ns = begins_ns;
            first.slot = (unsigned)level * SLOTS + (unsigned)slot % SLOTS;
        } else if (begins_ns < first.others_ns) {
            first.others_ns = begins_ns;
        }
    }
    return first;
}

/* Deals a slot's entries out to lower levels; base_ns stands at its beginning. */
static void deal_out(struct schedule *schedule, unsigned slot)
{
    uint32_t id = schedule->heads[slot];
    slot_empty(schedule, slot);
    while (id != NOBODY) {
        struct entry *entry = &schedule->entries[id];
        uint32_t next = entry->next;
        if (next != NOBODY)
            __builtin_prefetch(&schedule->entries[next]);
        __builtin_prefetch(entry->pacer);
        wheel_insert(schedule, id);
        id = next;
    }
}

/* One of the first slot that is due, or NOBODY and the time of the earliest, or a bound below it. */
static uint32_t find_due(const struct schedule *schedule, const struct first_slot *first, uint64_t now_ns,
                         uint64_t *look_again_ns)
{
    uint32_t id = schedule->heads[first->slot];
    if (now_ns >= first->begins_ns && now_ns - first->begins_ns >= FIRST_WIDTH_NS - 1)
        return id;
    uint64_t earliest_ns = first->others_ns;
    for (unsigned looked = 0; id != NOBODY; id = schedule->entries[id].next) {
        uint64_t time_ns = schedule->entries[id].time_ns;
        if (time_ns <= now_ns)
            return id;
        if (time_ns < earliest_ns)
            earliest_ns = time_ns;
        if (first->slot >= SLOTS && ++looked == LOOK_AT_MOST && schedule->entries[id].next != NOBODY) {
            earliest_ns = first->begins_ns;
            break;
        }
    }
    *look_again_ns = earliest_ns;
    return NOBODY;
}

/* Who is due, or NOBODY and when to look again. */
static uint32_t wheel_due(struct schedule *schedule, uint64_t now_ns, uint64_t *look_again_ns)
{
    *look_again_ns = DEADLINE_NEVER;
    while (schedule->levels_used != 0) {
        struct first_slot first = find_first(schedule);
        if (first.begins_ns > schedule->base_ns && first.begins_ns <= now_ns)
            schedule->base_ns = first.begins_ns;
        if (first.slot < SLOTS || first.begins_ns > now_ns)
            return find_due(schedule, &first, now_ns, look_again_ns);
        deal_out(schedule, first.slot);
    }
    if (schedule->base_ns < now_ns)
        schedule->base_ns = now_ns;
    return NOBODY;
}

/* ---- the ring of those at rate max ---- */

static void ring_insert(struct schedule *schedule, uint32_t id)
{
    struct entry *entries = schedule->entries;
    uint32_t at = schedule->max_next;
    if (at == NOBODY) {
        entries[id].next = entries[id].previous = schedule->max_next = id;
        return;
    }
    entries[id].next = at;
    entries[id].previous = entries[at].previous;
    entries[entries[at].previous].next = id;
    entries[at].previous = id;
}

static void ring_remove(struct schedule *schedule, uint32_t id)
{
    struct entry *entries = schedule->entries;
    if (schedule->max_next == id)
        schedule->max_next = entries[id].next == id ? NOBODY : entries[id].next;
    entries[entries[id].previous].next = entries[id].next;
    entries[entries[id].next].previous = entries[id].previous;
}

/* ---- streams ---- */

static void take_out(struct schedule *schedule, uint32_t id)
{
    struct entry *entry = &schedule->entries[id];
    if (entry->state == STATE_MAX)
        ring_remove(schedule, id);
    else if (entry->state != STATE_OUT)
        wheel_remove(schedule, id);
    entry->state = STATE_OUT;
}

/* Puts an entry that is out where its pacer says. */
static void put(struct schedule *schedule, uint32_t id)
{
    struct entry *entry = &schedule->entries[id];
    const struct pacer *pacer = entry->pacer;
    uint64_t deadline_ns = pacer_deadline(pacer);
    entry->deadline_ns = entry->time_ns = deadline_ns;
    entry->trains = pacer_has_trains(pacer);
    if (deadline_ns == DEADLINE_NEVER) {
        entry->time_ns = pacer_has_ended(pacer) ? 0 : pacer_end(pacer);
        if (pacer_is_paused(pacer) || entry->time_ns == DEADLINE_NEVER)
            return;
        entry->state = STATE_ENDING;
    } else {
        entry->state = pacer_is_max(pacer) ? STATE_OPENS : STATE_PACED;
    }
    wheel_insert(schedule, id);
}

void schedule_add(struct schedule *schedule, uint32_t id, struct pacer *pacer)
{
    take_out(schedule, id);
    schedule->entries[id].pacer = pacer;
    schedule->entries[id].earned_ns = 0;
    put(schedule, id);
}

void schedule_remove(struct schedule *schedule, uint32_t id)
{
    take_out(schedule, id);
    schedule->entries[id].pacer = NULL;
}

void schedule_touch(struct schedule *schedule, uint32_t id)
{
    if (schedule->entries[id].pacer == NULL)
        return;
    take_out(schedule, id);
    put(schedule, id);
}

/* ---- turns ---- */

static void turn_wait(struct schedule_turn *turn, uint64_t look_again_ns)
{
    *turn = (struct schedule_turn){.verdict = SCHEDULE_WAIT, .deadline_ns = look_again_ns};
}

static void turn_ended(struct schedule *schedule, uint32_t id, struct schedule_turn *turn)
{
    schedule_remove(schedule, id);
    *turn = (struct schedule_turn){.verdict = SCHEDULE_ENDED, .id = id};
}

static void turn_send(uint32_t id, uint64_t deadline_ns, struct schedule_turn *turn)
{
    *turn = (struct schedule_turn){.verdict = SCHEDULE_SEND, .id = id, .deadline_ns = deadline_ns};
}

/* False: there is nothing to tell, look on. */
static bool turn_max(struct schedule *schedule, uint64_t now_ns, struct schedule_turn *turn)
{
    uint32_t id = schedule->max_next;
    struct entry *entry = &schedule->entries[id];
    if (now_ns < entry->deadline_ns) {
        turn_send(id, now_ns, turn);
        return true;
    }
    take_out(schedule, id);
    pacer_skip(entry->pacer, now_ns, 0);
    put(schedule, id);
    return false;
}

static bool turn_wheel(struct schedule *schedule, uint32_t id, uint64_t now_ns,
                       schedule_frame_bytes *frame_bytes, void *context, struct schedule_turn *turn)
{
    struct entry *entry = &schedule->entries[id];
    switch ((enum state)entry->state) {
    case STATE_ENDING:
        turn_ended(schedule, id, turn);
        return true;
    case STATE_OPENS:
        take_out(schedule, id);
        entry->state = STATE_MAX;
        entry->deadline_ns = pacer_until(entry->pacer);
        ring_insert(schedule, id);
        return false;
    default:
        break;
    }
    if (now_ns - entry->deadline_ns <= schedule->limits.late_ns) {
        turn_send(id, entry->deadline_ns, turn);
        return true;
    }
    uint64_t missed = pacer_skip(entry->pacer, now_ns - schedule->limits.late_ns, frame_bytes(context, id));
    schedule_touch(schedule, id);
    *turn = (struct schedule_turn){.verdict = SCHEDULE_MISSED, .id = id, .missed = missed};
    return true;
}

void schedule_next(struct schedule *schedule, uint64_t now_ns, schedule_frame_bytes *frame_bytes,
                   void *context, struct schedule_turn *turn)
{
    for (;;) {
        uint64_t look_again_ns;
        uint32_t id = wheel_due(schedule, now_ns, &look_again_ns);
        if (id != NOBODY) {
            if (turn_wheel(schedule, id, now_ns, frame_bytes, context, turn))
                return;
        } else if (schedule->max_next == NOBODY) {
            turn_wait(turn, look_again_ns);
            return;
        } else if (turn_max(schedule, now_ns, turn)) {
            return;
        }
    }
}

/* An overdue stream sends max_burst frames back to back, or one train; beyond that it earns one for each half
 * of a gap that has passed (the generic cell rate algorithm, ITU-T I.371, at twice the stream's rate). */
static uint64_t hold_back(struct schedule *schedule, struct entry *entry, uint64_t gap_ns, uint64_t now_ns)
{
    uint64_t half_ns = gap_ns / 2, burst_ns = half_ns * schedule->limits.max_burst;
    if (entry->trains)
        return pacer_in_train(entry->pacer) ? entry->deadline_ns : now_ns + half_ns;
    entry->earned_ns = (entry->earned_ns > now_ns ? entry->earned_ns : now_ns) + half_ns;
    return entry->earned_ns - now_ns >= burst_ns ? entry->earned_ns - burst_ns + half_ns : entry->deadline_ns;
}

void schedule_sent(struct schedule *schedule, uint32_t id, uint32_t frame_bytes, uint64_t now_ns)
{
    struct entry *entry = &schedule->entries[id];
    if (entry->state == STATE_MAX) {
        schedule->max_next = entry->next;
        return;
    }
    if (entry->state != STATE_PACED)
        return;
    wheel_remove(schedule, id);
    entry->state = STATE_OUT;
    uint64_t sent_ns = entry->deadline_ns;
    pacer_advance(entry->pacer, frame_bytes);
    uint64_t next_ns = pacer_deadline(entry->pacer);
    if (next_ns == DEADLINE_NEVER || pacer_is_max(entry->pacer)) {
        put(schedule, id);
        return;
    }
    entry->deadline_ns = entry->time_ns = next_ns;
    if (next_ns <= now_ns)
        entry->time_ns = hold_back(schedule, entry, next_ns - sent_ns, now_ns);
    entry->state = STATE_PACED;
    wheel_insert(schedule, id);
}

/* The next in its slot, else the first of the next slot in use on the lowest level. */
static uint32_t following_in_wheel(const struct schedule *schedule, const struct entry *entry)
{
    if (entry->next != NOBODY || entry->slot >= SLOTS)
        return entry->next;
    unsigned turn = (entry->slot + 1u) % SLOTS;
    uint64_t used = schedule->slots_used[0];
    uint64_t turned = used >> turn | used << (SLOTS - turn) % SLOTS;
    return turned == 0 ? NOBODY : schedule->heads[(turn + (unsigned)__builtin_ctzll(turned)) % SLOTS];
}

uint32_t schedule_following(const struct schedule *schedule, uint32_t id)
{
    const struct entry *entry = &schedule->entries[id];
    uint32_t next = NOBODY;
    if (entry->state == STATE_MAX)
        next = entry->next;
    else if (entry->state == STATE_PACED)
        next = following_in_wheel(schedule, entry);
    __builtin_prefetch(entry->pacer, 1);
    if (next == id || next == NOBODY)
        return NOBODY;
    __builtin_prefetch(&schedule->entries[next], 1);
    return next;
}
