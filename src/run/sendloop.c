/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One turn of the loop, once a batch:
 *
 *   collect ─► fill ───────────────────────────► kick ─► collect ─► publish
 *              schedule_next, stamp?, patch               │
 *              commit            │                        │
 *                   queue a run  ▼                        │ settle the oldest runs
 *                       ┌──────────────────────────────┐  │
 *                 head ─┤ part, slots, frames, bytes … ├──┘ tail
 *                       └──────────────────────────────┘
 * The engine answers in slots and in commit order; the FIFO of runs says whose they were. What a slot holds
 * is remembered as a tag (part and variant in one number), so that nothing is written twice. A lone stream at
 * rate max costs one comparison of tags a frame.
 *
 * While the last kick left frames behind, paced streams commit no more, and frames that became overdue on the
 * ring are withdrawn: what a stall held up never leaves as a burst.
 *
 * Always holds: the FIFO's slots are the engine's slots in flight (but for orphans of an earlier loop), and
 * each part's in_flight is the sum of its runs. */
#include "run/sendloop.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "packet/signature.h"

enum {
    RESULTS_MAX = 64,      /* of one reap */
    KICK_LONG_NS = 100000, /* a kick that takes longer makes stops and orders late: smaller batches */
    COLLECT_NS = 1000000,  /* buffers need not be collected earlier than the next frame within this */
    RETRY_NS = 50000,      /* when the engine knows no better */
    BETWEEN_SLICES_NS = 20000,
    ACCOUNT_NS = 100000000, /* even when nothing moves, misses and ends are accounted this often */
    AHEAD = 3,
    FEW_PARTS = 64,            /* so many stay in the cache by themselves */
    IMAGE_FETCHED_BYTES = 256, /* of a long frame the rest comes by itself, as memory read in order does */
};

struct run_of_slots { /* consecutive slots of one part that are alike */
    uint32_t part, slots;
    uint32_t bytes_l2; /* of a slot's frames, with FCS */
    uint32_t frames;   /* of a slot */
};

struct sendloop {
    struct engine *engine; /* borrowed */
    const struct engine_ops *ops;
    struct schedule *schedule;
    struct part **parts; /* owned array of borrowed parts */
    uint64_t (*clock_ns)(void);

    struct run_of_slots *fifo; /* a power of two of at least as many as the ring has slots */
    uint32_t fifo_mask, fifo_head, fifo_tail;
    uint64_t committed, settled; /* slots since the loop was made */
    uint32_t orphans;            /* slots in flight that an earlier loop committed */

    uint32_t slots, max_segments;
    uint32_t *tags;              /* of each slot; 0: holds nothing that is known */
    struct engine_frame *frames; /* of the span being filled */
    uint32_t alike;              /* so many of them are the plain frame of alike_part already */
    const struct part *alike_part;

    uint32_t *touched, touched_count;
    uint32_t batch, batch_min, batch_max; /* slots */
    uint32_t part_count, active;
    uint32_t ahead[AHEAD];  /* who is expected to come next; a hint */
    uint32_t listed, paced; /* parts that the schedule has; those of them that have deadlines */
    uint32_t sent;          /* frames in this slice */

    struct signature_stamp stamp;
    bool signs;
    bool full;    /* a frame is due and there is no slot */
    bool blocked; /* the last kick left frames behind */
    bool parts_ended, counts_touched;
    int never;            /* the engine waits for what will not come by itself: the errno */
    uint64_t deadline_ns; /* of the next frame; DEADLINE_NEVER when that is not what the loop waits for */
    uint64_t oldest_ns;   /* deadline of the oldest paced frame since the last kick that left none behind */
    uint64_t stamped_ns;  /* when the oldest signed frames that were not yet handed over were; 0: none */
    uint64_t spin_ns;
    struct schedule_limits limits;

    struct queue_counts counts;
    struct record record;
};

/* ---- parts ---- */

struct part *part_new(struct packet *packet, uint32_t part, uint32_t parts)
{
    struct part *new = aligned_alloc(CACHE_LINE_BYTES, sizeof *new);
    if (new == NULL)
        return NULL;
    memset(new, 0, sizeof *new);
    new->cursor = packet_cursor_new(packet, part, parts);
    if (new->cursor == NULL) {
        free(new);
        return NULL;
    }
    new->packet = packet_ref(packet); /* a stream that goes on outlives its plan */
    record_init(&new->record, COUNTS_WORDS);
    return new;
}

void part_free(struct part *part)
{
    if (part == NULL)
        return;
    pacer_free(part->pacer);
    packet_cursor_free(part->cursor);
    packet_free(part->packet);
    free(part->stairs);
    free(part);
}

static enum part_state state_of(const struct part *part)
{
    return (enum part_state)atomic_load_explicit(&part->state, memory_order_relaxed);
}

/* Release: who sees the state also sees the record published before it. */
static void set_state(struct part *part, enum part_state state)
{
    atomic_store_explicit(&part->state, (uint32_t)state, memory_order_release);
}

static void list(struct sendloop *loop, uint32_t id)
{
    struct part *part = loop->parts[id];
    schedule_add(loop->schedule, id, part->pacer);
    if (!part->listed) {
        part->listed = true;
        loop->listed++;
        loop->paced += !part->always_due;
    }
}

/* The schedule has let go of it already, or does now. */
static void unlist(struct sendloop *loop, uint32_t id)
{
    struct part *part = loop->parts[id];
    if (!part->listed)
        return;
    schedule_remove(loop->schedule, id);
    part->listed = false;
    loop->listed--;
    loop->paced -= !part->always_due;
}

static void touch(struct sendloop *loop, uint32_t id)
{
    struct part *part = loop->parts[id];
    loop->counts_touched = true;
    if (part->touched)
        return;
    part->touched = true;
    loop->touched[loop->touched_count++] = id;
}

/* ---- life of a loop ---- */

static void adopt_packet(struct sendloop *loop, struct part *part, uint32_t *next_tag)
{
    const struct packet_segmentation *segmentation = packet_segmentation(part->packet);
    part->first_tag = *next_tag;
    *next_tag += packet_variants(part->packet);
    part->unvarying = packet_is_static(part->packet) && !part->signed_frames;
    part->image = packet_image(part->packet);
    part->image_bytes = packet_largest(part->packet);
    part->one_length = packet_variants(part->packet) == 1 && segmentation == NULL;
    part->bytes = packet_next_length(part->cursor);
    part->segments = 1;
    if (segmentation != NULL) {
        part->segments = segmentation->segments;
        if (part->segments > loop->max_segments)
            part->segments = (uint16_t)loop->max_segments;
        part->bytes = (uint32_t)segmentation->header_bytes + segmentation->payload_bytes;
        part->full_segments = segmentation->segments;
        part->segmentation = (struct engine_segmentation){
            .header_bytes = segmentation->header_bytes,
            .payload_bytes = segmentation->payload_bytes,
            .checksum_start = segmentation->checksum_start,
            .checksum_offset = segmentation->checksum_offset,
        };
    }
    loop->signs |= part->signed_frames;
}

static void adopt(struct sendloop *loop, uint32_t id, uint32_t *next_tag)
{
    struct part *part = loop->parts[id];
    enum part_state state = state_of(part);
    adopt_packet(loop, part, next_tag);
    part->touched = false;
    part->listed = false;
    part->always_due = pacer_is_max(part->pacer);
    if (state == PART_RUNNING && part->left > 0)
        list(loop, id);
    loop->active += state == PART_RUNNING || state == PART_PAUSED;
}

static bool allocate(struct sendloop *loop, uint32_t slots)
{
    uint32_t runs = 1;
    while (runs < slots)
        runs *= 2;
    loop->fifo_mask = runs - 1;
    loop->fifo = calloc(runs, sizeof *loop->fifo);
    loop->tags = calloc(slots, sizeof *loop->tags);
    loop->frames = calloc(loop->batch_max, sizeof *loop->frames);
    loop->parts = calloc(loop->part_count + 1, sizeof *loop->parts);
    loop->touched = calloc(loop->part_count + 1, sizeof *loop->touched);
    return loop->fifo && loop->tags && loop->frames && loop->parts && loop->touched && loop->schedule;
}

struct sendloop *sendloop_new(struct engine *engine, struct part **parts, uint32_t count,
                              const struct sendloop_wishes *wishes)
{
    struct engine_caps caps;
    struct sendloop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return NULL;
    loop->engine = engine;
    loop->ops = engine_ops(engine);
    loop->ops->caps(engine, &caps);
    loop->part_count = count;
    loop->clock_ns = wishes->clock_ns != NULL ? wishes->clock_ns : clock_monotonic_ns;
    loop->limits = wishes->limits;
    loop->batch_max = wishes->batch_max < caps.max_batch ? wishes->batch_max : caps.max_batch;
    if (loop->batch_max == 0)
        loop->batch_max = 1;
    loop->batch_min = wishes->batch_min < loop->batch_max ? wishes->batch_min : loop->batch_max;
    if (loop->batch_min == 0)
        loop->batch_min = 1;
    loop->batch = loop->batch_min;
    loop->oldest_ns = DEADLINE_NEVER;
    loop->stamp.nonce = wishes->nonce;
    loop->schedule = schedule_new(count, &wishes->limits);
    record_init(&loop->record, QUEUE_COUNTS_WORDS);
    if (!allocate(loop, caps.slots)) {
        sendloop_free(loop);
        return NULL;
    }
    loop->slots = caps.slots;
    loop->max_segments = caps.max_segments;
    memcpy(loop->parts, parts, count * sizeof *parts);
    return loop;
}

void sendloop_take(struct sendloop *loop)
{
    uint32_t next_tag = 1;
    loop->orphans = loop->ops->in_flight(loop->engine);
    for (uint32_t id = 0; id < loop->part_count; id++)
        adopt(loop, id, &next_tag);
}

void sendloop_free(struct sendloop *loop)
{
    if (loop == NULL)
        return;
    if (loop->schedule != NULL)
        schedule_free(loop->schedule);
    free(loop->touched);
    free(loop->parts);
    free(loop->frames);
    free(loop->tags);
    free(loop->fifo);
    free(loop);
}

/* ---- accounts ---- */

/* Whether nothing of the part is left to do. */
static bool is_finished(const struct part *part)
{
    enum part_state state = state_of(part);
    return part->counts.in_flight == 0 &&
           (state == PART_DRAINING || (state == PART_RUNNING && part->left == 0));
}

static void finish(struct sendloop *loop, struct part *part)
{
    loop->active -= state_of(part) == PART_RUNNING;
    loop->parts_ended = true;
    set_state(part, PART_DONE);
}

static void publish(struct sendloop *loop)
{
    for (uint32_t i = 0; i < loop->touched_count; i++) {
        struct part *part = loop->parts[loop->touched[i]];
        part->touched = false;
        record_publish(&part->record, (const uint64_t *)&part->counts);
        if (is_finished(part))
            finish(loop, part);
    }
    loop->touched_count = 0;
    if (loop->counts_touched)
        record_publish(&loop->record, (const uint64_t *)&loop->counts);
    loop->counts_touched = false;
}

static void count_queued(struct counts *counts, uint64_t frames)
{
    counts->scheduled += frames;
    counts->queued += frames;
    counts->in_flight += frames;
}

/* `slots` more slots of the part, alike, are being committed. */
static void queue_run(struct sendloop *loop, uint32_t id, uint32_t slots, uint32_t frames, uint32_t bytes_l2)
{
    struct part *part = loop->parts[id];
    struct run_of_slots *last = &loop->fifo[(loop->fifo_head - 1) & loop->fifo_mask];
    uint64_t all = (uint64_t)slots * frames;

    if (loop->fifo_head != loop->fifo_tail && last->part == id && last->bytes_l2 == bytes_l2 &&
        last->frames == frames)
        last->slots += slots;
    else
        loop->fifo[loop->fifo_head++ & loop->fifo_mask] =
            (struct run_of_slots){.part = id, .slots = slots, .bytes_l2 = bytes_l2, .frames = frames};
    loop->committed += slots;
    loop->sent += (uint32_t)all;
    count_queued(&part->counts, all);
    count_queued(&loop->counts.frames, all);
    touch(loop, id);
    if (part->left != UINT64_MAX) {
        part->left -= all;
        if (part->left == 0)
            unlist(loop, id);
    }
}

static void count_settled(struct counts *counts, enum engine_outcome outcome, uint64_t frames, uint64_t bytes)
{
    counts->in_flight -= frames;
    switch (outcome) {
    case ENGINE_COMPLETED:
        counts->completed += frames;
        counts->bytes_l2 += bytes;
        break;
    case ENGINE_REJECTED:
        counts->rejected += frames;
        break;
    case ENGINE_WITHDRAWN:
        counts->withdrawn += frames;
        break;
    }
}

/* Frames that did not complete do not count: a limited part sends as many more. */
static void top_up(struct sendloop *loop, uint32_t id, uint64_t frames)
{
    struct part *part = loop->parts[id];
    if (part->left == UINT64_MAX)
        return;
    part->left += frames;
    if (state_of(part) == PART_RUNNING && !part->listed)
        list(loop, id);
}

static void settle(struct sendloop *loop, const struct run_of_slots *run, uint32_t slots,
                   enum engine_outcome outcome)
{
    uint64_t frames = (uint64_t)slots * run->frames, bytes = (uint64_t)slots * run->bytes_l2;
    count_settled(&loop->parts[run->part]->counts, outcome, frames, bytes);
    count_settled(&loop->counts.frames, outcome, frames, bytes);
    touch(loop, run->part);
    if (outcome != ENGINE_COMPLETED)
        top_up(loop, run->part, frames);
}

static void settle_oldest(struct sendloop *loop, uint32_t slots, enum engine_outcome outcome)
{
    uint32_t orphans = slots < loop->orphans ? slots : loop->orphans;
    loop->orphans -= orphans;
    slots -= orphans;
    loop->settled += slots;
    while (slots > 0) {
        struct run_of_slots *run = &loop->fifo[loop->fifo_tail & loop->fifo_mask];
        uint32_t taken = slots < run->slots ? slots : run->slots;
        settle(loop, run, taken, outcome);
        run->slots -= taken;
        slots -= taken;
        loop->fifo_tail += run->slots == 0;
    }
}

/* Slots that came back. */
static uint32_t collect(struct sendloop *loop)
{
    struct engine_result results[RESULTS_MAX];
    uint32_t slots = 0, runs;
    do {
        runs = loop->ops->reap(loop->engine, results, RESULTS_MAX);
        for (uint32_t i = 0; i < runs; i++) {
            slots += results[i].slots;
            settle_oldest(loop, results[i].slots, results[i].outcome);
        }
    } while (runs == RESULTS_MAX);
    return slots;
}

/* ---- filling ---- */

/* ENOBUFS alone is worth another try now and then: nobody will say when it is over. */
static bool is_stuck(const struct sendloop *loop)
{
    return loop->never != 0 && loop->never != ENOBUFS;
}

static uint32_t next_bytes(void *context, uint32_t id)
{
    const struct part *part = ((struct sendloop *)context)->parts[id];
    return part->one_length || part->segments > 1 ? part->bytes : packet_next_length(part->cursor);
}

static void count_missed(struct sendloop *loop, uint32_t id, uint64_t frames)
{
    struct part *part = loop->parts[id];
    part->counts.scheduled += frames;
    part->counts.missed += frames;
    loop->counts.frames.scheduled += frames;
    loop->counts.frames.missed += frames;
    touch(loop, id);
}

static void end_shape(struct sendloop *loop, uint32_t id)
{
    struct part *part = loop->parts[id];
    unlist(loop, id);
    loop->active--;
    set_state(part, PART_DRAINING);
    touch(loop, id);
}

/* Accounts misses and ends; true when a frame of turn->id is due, else deadline_ns says when to look again.
 */
static bool next_due(struct sendloop *loop, uint64_t now_ns, struct schedule_turn *turn)
{
    for (;;) {
        schedule_next(loop->schedule, now_ns, next_bytes, loop, turn);
        switch (turn->verdict) {
        case SCHEDULE_SEND:
            return true;
        case SCHEDULE_MISSED:
            count_missed(loop, turn->id, turn->missed);
            break;
        case SCHEDULE_ENDED:
            end_shape(loop, turn->id);
            break;
        case SCHEDULE_WAIT:
            loop->deadline_ns = turn->deadline_ns;
            return false;
        }
    }
}

static void stamp_slot(struct sendloop *loop, const struct part *part, uint32_t slot, uint8_t *at)
{
    uint32_t tag = part->first_tag + (part->image != NULL ? 0 : packet_next_variant(part->cursor));
    if (loop->tags[slot] == tag)
        return;
    if (part->image != NULL)
        memcpy(at, part->image, part->image_bytes);
    else
        packet_stamp(part->cursor, at);
    loop->tags[slot] = tag;
}

/* A slot's frames are signed with consecutive numbers. */
static void patch_slot(struct sendloop *loop, struct part *part, uint32_t frames, uint8_t *at)
{
    if (part->unvarying)
        return;
    if (!part->signed_frames) {
        packet_patch(part->cursor, at, NULL);
        return;
    }
    loop->stamp.stream = part->signature_stream;
    loop->stamp.sequence = part->sequence;
    part->sequence += frames;
    packet_patch(part->cursor, at, &loop->stamp);
}

/* How many frames the next slot of a segmented part makes: all that fit, but none past its count or its end.
 */
static uint32_t take_segments(struct sendloop *loop, uint32_t id, uint64_t now_ns)
{
    const struct part *part = loop->parts[id];
    uint32_t most = part->left < part->segments ? (uint32_t)part->left : part->segments;
    uint32_t frames = 0;
    do {
        schedule_sent(loop->schedule, id, part->bytes, now_ns);
        frames++;
    } while (frames < most && pacer_deadline(part->pacer) != DEADLINE_NEVER);
    return frames;
}

static void fill_segments(struct sendloop *loop, uint32_t id, uint32_t slot, uint8_t *at, uint64_t now_ns,
                          struct engine_frame *frame)
{
    struct part *part = loop->parts[id];
    uint32_t frames = take_segments(loop, id, now_ns);
    uint32_t payload = part->segmentation.payload_bytes * frames;

    stamp_slot(loop, part, slot, at);
    patch_slot(loop, part, frames, at);
    if (frames != part->full_segments) {
        packet_shorten(part->packet, at, (uint16_t)frames);
        loop->tags[slot] = 0; /* its lengths are no longer the template's */
    }
    *frame = (struct engine_frame){.bytes = part->segmentation.header_bytes + payload,
                                   .segments = (uint16_t)frames,
                                   .segmentation = &part->segmentation};
    queue_run(loop, id, 1, frames, frames * (part->bytes + FCS_BYTES));
}

static void fill_plain(struct sendloop *loop, uint32_t id, uint32_t slot, uint8_t *at, uint64_t now_ns,
                       struct engine_frame *frame)
{
    struct part *part = loop->parts[id];
    uint32_t bytes = part->one_length ? part->bytes : packet_next_length(part->cursor);

    stamp_slot(loop, part, slot, at);
    patch_slot(loop, part, 1, at);
    *frame = (struct engine_frame){.bytes = bytes, .segments = 1};
    schedule_sent(loop->schedule, id, bytes, now_ns);
    queue_run(loop, id, 1, 1, bytes + FCS_BYTES);
}

/* A span for the only part there is, always due and of one length: tags to compare, and what varies. */
static uint32_t fill_alone(struct sendloop *loop, uint32_t id, const struct engine_span *span,
                           uint64_t now_ns)
{
    struct part *part = loop->parts[id];
    uint32_t slots = span->count < part->left ? span->count : (uint32_t)part->left;
    for (uint32_t i = 0; i < slots; i++) {
        uint8_t *at = span->data + i * span->stride;
        stamp_slot(loop, part, span->first + i, at);
        patch_slot(loop, part, 1, at);
    }
    if (loop->alike_part != part)
        loop->alike = 0;
    for (loop->alike_part = part; loop->alike < slots; loop->alike++)
        loop->frames[loop->alike] = (struct engine_frame){.bytes = part->bytes, .segments = 1};
    schedule_sent(loop->schedule, id, part->bytes, now_ns);
    queue_run(loop, id, slots, 1, part->bytes + FCS_BYTES);
    return slots;
}

/* What its next frame is made of. */
static void fetch_frame(const struct part *part)
{
    uint32_t bytes = part->image_bytes < IMAGE_FETCHED_BYTES ? part->image_bytes : IMAGE_FETCHED_BYTES;
    for (uint32_t at = 0; part->image != NULL && at < bytes; at += CACHE_LINE_BYTES)
        __builtin_prefetch(part->image + at);
    if (part->unvarying)
        return;
    __builtin_prefetch(part->cursor, 1);
    __builtin_prefetch((const char *)part->cursor + CACHE_LINE_BYTES, 1);
}

/* With many streams, what a frame touches is far memory. The streams that come next are known ahead: the
 * third from now has its part fetched, the second what its frame is made of, the first what its packet
 * varies, each step standing on the one before. */
static void look_ahead(struct sendloop *loop, uint32_t id)
{
    uint32_t *ahead = loop->ahead;
    bool as_foreseen = ahead[0] == id;
    ahead[0] = as_foreseen ? ahead[1] : SCHEDULE_NOBODY;
    ahead[1] = as_foreseen ? ahead[2] : SCHEDULE_NOBODY;
    ahead[2] = SCHEDULE_NOBODY;
    for (uint32_t i = 0, last = id; i < AHEAD && last != SCHEDULE_NOBODY; last = ahead[i++])
        if (ahead[i] == SCHEDULE_NOBODY)
            ahead[i] = schedule_following(loop->schedule, last);
    if (ahead[2] != SCHEDULE_NOBODY) {
        const char *part = (const char *)loop->parts[ahead[2]];
        for (size_t at = 0; at < offsetof(struct part, segmentation); at += CACHE_LINE_BYTES)
            __builtin_prefetch(part + at, 1);
    }
    if (ahead[1] != SCHEDULE_NOBODY)
        fetch_frame(loop->parts[ahead[1]]);
    if (ahead[0] != SCHEDULE_NOBODY && !loop->parts[ahead[0]]->unvarying)
        packet_cursor_prefetch(loop->parts[ahead[0]]->cursor);
}

/* From the turn that is due, as far as frames are due; slots filled. */
static uint32_t fill_span(struct sendloop *loop, const struct engine_span *span, uint64_t now_ns,
                          struct schedule_turn *turn)
{
    uint32_t slots = 0;
    do {
        const struct part *part = loop->parts[turn->id];
        uint32_t slot = span->first + slots;
        uint8_t *at = span->data + slots * span->stride;
        if (slots == 0 && loop->listed == 1 && part->always_due && part->one_length)
            return fill_alone(loop, turn->id, span, now_ns);
        loop->alike_part = NULL;
        if (loop->listed > FEW_PARTS)
            look_ahead(loop, turn->id);
        if (turn->deadline_ns < loop->oldest_ns && !part->always_due)
            loop->oldest_ns = turn->deadline_ns;
        if (part->full_segments > 0)
            fill_segments(loop, turn->id, slot, at, now_ns, &loop->frames[slots]);
        else
            fill_plain(loop, turn->id, slot, at, now_ns, &loop->frames[slots]);
        slots++;
    } while (slots < span->count && next_due(loop, now_ns, turn));
    return slots;
}

/* A batch of what is due; slots committed. */
static uint32_t fill(struct sendloop *loop, uint64_t now_ns)
{
    struct schedule_turn turn;
    struct engine_span span;
    uint32_t slots = 0;

    loop->full = false;
    loop->deadline_ns = DEADLINE_NEVER;
    if (loop->signs)
        loop->stamp.time_ns = clock_realtime_ns();
    while (slots < loop->batch && next_due(loop, now_ns, &turn)) {
        if (is_stuck(loop) || (loop->blocked && loop->paced > 0))
            break;
        if (loop->ops->reserve(loop->engine, loop->batch - slots, &span) == 0) {
            loop->full = true;
            break;
        }
        uint32_t filled = fill_span(loop, &span, now_ns, &turn);
        loop->ops->commit(loop->engine, loop->frames, filled);
        slots += filled;
    }
    if (loop->signs && slots > 0 && loop->stamped_ns == 0)
        loop->stamped_ns = now_ns;
    return slots;
}

/* ---- handing over ---- */

static void note_error(struct sendloop *loop, int code)
{
    loop->counts.again += code == -EAGAIN;
    loop->counts.nobufs += code == -ENOBUFS;
    loop->counts.last_error = (uint64_t)-code;
}

static void adapt_batch(struct sendloop *loop, uint32_t slots, uint64_t took_ns)
{
    uint32_t step = loop->batch / 4 + 1;
    if (took_ns > KICK_LONG_NS)
        loop->batch = loop->batch > loop->batch_min + step ? loop->batch - step : loop->batch_min;
    else if (slots == loop->batch && took_ns < KICK_LONG_NS / 2)
        loop->batch = loop->batch + step < loop->batch_max ? loop->batch + step : loop->batch_max;
}

/* The uncertainty of every latency: frames leave at some time between their stamp and now. */
static void note_handover(struct sendloop *loop, uint64_t now_ns)
{
    uint64_t took_ns = now_ns - loop->stamped_ns;
    loop->counts.handovers++;
    loop->counts.handover_ns += took_ns;
    if (took_ns > loop->counts.handover_max_ns)
        loop->counts.handover_max_ns = took_ns;
    loop->stamped_ns = 0;
}

/* Hands over what is committed, `slots` of it just now. */
static void kick(struct sendloop *loop, uint32_t slots)
{
    uint64_t before_ns = loop->clock_ns();
    int code = loop->ops->kick(loop->engine);
    uint64_t after_ns = loop->clock_ns();
    adapt_batch(loop, slots, after_ns - before_ns);
    loop->counts.kicks++;
    loop->counts_touched = true;
    loop->blocked = code != 0;
    if (code != 0)
        note_error(loop, code);
    else
        loop->oldest_ns = DEADLINE_NEVER;
    if (code == 0 && loop->stamped_ns != 0)
        note_handover(loop, after_ns);
}

void sendloop_withdraw(struct sendloop *loop)
{
    loop->ops->withdraw(loop->engine);
    loop->oldest_ns = DEADLINE_NEVER;
    loop->stamped_ns = 0;
    loop->blocked = false;
    collect(loop);
    publish(loop);
}

void sendloop_collect(struct sendloop *loop)
{
    collect(loop);
    publish(loop);
}

/* One turn; whether anything moved. */
static bool turn_once(struct sendloop *loop, uint64_t now_ns)
{
    uint32_t back = collect(loop), slots;
    if (loop->blocked && now_ns > loop->oldest_ns && now_ns - loop->oldest_ns > loop->limits.late_ns)
        sendloop_withdraw(loop);
    if (loop->blocked && loop->paced > 0 && !is_stuck(loop))
        kick(loop, 0);
    slots = fill(loop, now_ns);
    if (slots > 0 || (sendloop_in_flight(loop) > 0 && !is_stuck(loop)))
        kick(loop, slots);
    back += collect(loop);
    publish(loop);
    return slots + back > 0;
}

/* ---- what to wait for ---- */

static void ask_engine(struct sendloop *loop, struct engine_wait *wait)
{
    loop->ops->wait(loop->engine, wait);
    if (wait->kind == WAIT_NONE)
        *wait = (struct engine_wait){.kind = WAIT_AFTER, .after_ns = RETRY_NS};
    loop->never = wait->kind == WAIT_NEVER ? wait->reason : 0;
    loop->counts.waits++;
    loop->counts_touched = true;
    if (is_stuck(loop))
        sendloop_withdraw(loop); /* what is of now must not leave when the link is back */
}

static void wait_for_engine(struct sendloop *loop, uint64_t now_ns, struct sendloop_state *out)
{
    out->need = NEED_ENGINE;
    if (is_stuck(loop)) /* until sendloop_rebound() or a new start */
        out->wait = (struct engine_wait){.kind = WAIT_NEVER, .reason = loop->never};
    else
        ask_engine(loop, &out->wait);
    if (loop->blocked && loop->oldest_ns < DEADLINE_NEVER - loop->limits.late_ns &&
        loop->oldest_ns + loop->limits.late_ns < out->deadline_ns)
        out->deadline_ns = loop->oldest_ns + loop->limits.late_ns;
    if (out->deadline_ns > now_ns + ACCOUNT_NS && loop->listed > 0)
        out->deadline_ns = now_ns + ACCOUNT_NS;
}

static void decide(struct sendloop *loop, uint64_t now_ns, struct sendloop_state *out)
{
    bool soon = loop->deadline_ns < now_ns + COLLECT_NS;
    bool uncollected = sendloop_in_flight(loop) > 0 && !soon;
    if (loop->full || loop->blocked || uncollected || (is_stuck(loop) && loop->listed > 0))
        wait_for_engine(loop, now_ns, out);
    else
        out->need = loop->deadline_ns != DEADLINE_NEVER ? NEED_DEADLINE : NEED_NOTHING;
}

/* On the clock to a deadline that is near; true when there is something to do now. A slice does not end right
 * before a deadline but behind its frame, where what the worker does between slices has the most room. */
static bool await(const struct sendloop *loop, uint64_t *now_ns, uint64_t *until_ns)
{
    uint64_t deadline_ns = loop->deadline_ns, end_ns = *until_ns;
    if (deadline_ns > *now_ns && deadline_ns - *now_ns > loop->spin_ns)
        return false;
    if (deadline_ns > end_ns && deadline_ns - end_ns < BETWEEN_SLICES_NS)
        end_ns = deadline_ns;
    while (*now_ns < deadline_ns && *now_ns < end_ns)
        *now_ns = loop->clock_ns();
    if (end_ns == deadline_ns && *now_ns >= *until_ns)
        *until_ns = *now_ns + 1; /* time for one more turn */
    return true;
}

void sendloop_slice(struct sendloop *loop, uint64_t until_ns, struct sendloop_state *out)
{
    uint64_t now_ns = loop->clock_ns();
    bool more;

    loop->sent = 0;
    do {
        more = turn_once(loop, now_ns);
        now_ns = loop->clock_ns();
        if (!more && now_ns < until_ns)
            more = await(loop, &now_ns, &until_ns);
    } while (more && now_ns < until_ns);
    *out = (struct sendloop_state){.need = NEED_MORE, .deadline_ns = loop->deadline_ns};
    if (!more)
        decide(loop, now_ns, out);
    publish(loop);
    out->sent = loop->sent;
    out->parts_ended = loop->parts_ended;
    loop->parts_ended = false;
}

/* ---- orders ---- */

static void forget_sent(struct counts *counts)
{
    *counts = (struct counts){
        .scheduled = counts->in_flight, .queued = counts->in_flight, .in_flight = counts->in_flight};
}

void sendloop_reset(struct sendloop *loop, uint32_t nonce)
{
    loop->stamp.nonce = nonce;
    struct counts frames = loop->counts.frames;
    forget_sent(&frames);
    loop->counts = (struct queue_counts){.frames = frames};
    for (uint32_t id = 0; id < loop->part_count; id++) {
        forget_sent(&loop->parts[id]->counts);
        loop->parts[id]->sequence = 0;
        touch(loop, id);
    }
    publish(loop);
}

static bool is_active(const struct part *part)
{
    enum part_state state = state_of(part);
    return state == PART_RUNNING || state == PART_PAUSED;
}

void sendloop_begin(struct sendloop *loop, uint32_t id, uint64_t at_ns)
{
    struct part *part = loop->parts[id];
    loop->active += !is_active(part);
    loop->never = 0;
    unlist(loop, id);
    packet_cursor_reset(part->cursor);
    pacer_start(part->pacer, at_ns);
    part->always_due = pacer_is_max(part->pacer);
    part->left = part->count != 0 ? part->count : UINT64_MAX;
    set_state(part, PART_RUNNING);
    list(loop, id);
}

void sendloop_end(struct sendloop *loop, uint32_t id)
{
    struct part *part = loop->parts[id];
    if (!is_active(part))
        return;
    unlist(loop, id);
    loop->active--;
    set_state(part, PART_DRAINING);
    touch(loop, id);
    publish(loop);
}

void sendloop_pause(struct sendloop *loop, uint32_t id, uint64_t now_ns)
{
    struct part *part = loop->parts[id];
    if (state_of(part) != PART_RUNNING)
        return;
    unlist(loop, id);
    pacer_pause(part->pacer, now_ns);
    set_state(part, PART_PAUSED);
}

void sendloop_resume(struct sendloop *loop, uint32_t id, uint64_t now_ns)
{
    struct part *part = loop->parts[id];
    if (state_of(part) != PART_PAUSED)
        return;
    pacer_resume(part->pacer, now_ns);
    set_state(part, PART_RUNNING);
    if (part->left > 0)
        list(loop, id);
    touch(loop, id); /* it may have nothing left to do */
}

void sendloop_rate(struct sendloop *loop, uint32_t id, const struct pace_rate *rate, uint64_t now_ns)
{
    struct part *part = loop->parts[id];
    bool was_listed = part->listed;
    unlist(loop, id);
    pacer_set_rate(part->pacer, rate, now_ns);
    part->always_due = pacer_is_max(part->pacer);
    if (was_listed)
        list(loop, id);
}

void sendloop_multiply(struct sendloop *loop, uint32_t id, struct ratio multiplier, uint64_t now_ns)
{
    struct part *part = loop->parts[id];
    pacer_set_multiplier(part->pacer, multiplier, now_ns);
    if (part->listed)
        schedule_touch(loop->schedule, id);
}

void sendloop_rebound(struct sendloop *loop)
{
    memset(loop->tags, 0, loop->slots * sizeof *loop->tags);
    loop->never = 0;
    loop->blocked = false;
}

void sendloop_set_spin(struct sendloop *loop, uint64_t spin_ns)
{
    loop->spin_ns = spin_ns;
}

void sendloop_woken(struct sendloop *loop)
{
    loop->counts.wakeups++;
    loop->counts_touched = true;
    loop->ops->woken(loop->engine);
}

/* ---- views ---- */

const struct record *sendloop_record(const struct sendloop *loop)
{
    return &loop->record;
}

uint32_t sendloop_in_flight(const struct sendloop *loop)
{
    return (uint32_t)(loop->committed - loop->settled);
}

uint64_t sendloop_committed(const struct sendloop *loop)
{
    return loop->committed;
}

uint64_t sendloop_settled(const struct sendloop *loop)
{
    return loop->settled;
}

uint32_t sendloop_active(const struct sendloop *loop)
{
    return loop->active;
}

const struct schedule_limits *sendloop_limits(const struct sendloop *loop)
{
    return &loop->limits;
}

uint32_t sendloop_parts(const struct sendloop *loop)
{
    return loop->part_count;
}

struct part *sendloop_part(const struct sendloop *loop, uint32_t id)
{
    return loop->parts[id];
}
