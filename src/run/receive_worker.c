/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A turn of the thread: some blocks, some rows of a snapshot that is asked for, and back to the loop, where
 * letters wait. The receiver's fd is watched; when it says readable and there is no block, a timer looks
 * again, because what poll() says of a ring is not always true.
 *
 *   rows_free   the worker may begin a snapshot ──► makes rows ──► rows_free = false, answered
 *               ◄── the main thread has copied the rows: rows_free = true, poke */
#include "run/receive_worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "analysis/latency.h"
#include "analysis/sequence.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "packet/signature.h"
#include "run/intact.h"
#include "run/thread.h"

enum { SLICE_NS = 500000, ROWS_A_TURN = 32, ETHERTYPE_AT = 12, ETHERTYPE_MAC_CONTROL = 0x8808 };
enum { FEW_STREAMS = 64 /* so many records stay in the cache by themselves */ };
static const double look_again_s = 0.001;

struct stream_record { /* one stream */
    bool begun;
    uint64_t corrupted;
    struct latency latency;
    struct sequence sequence;
};

struct receive_worker {
    struct receive_worker_wishes wishes;
    struct thread thread;
    struct ev_loop *loop; /* owned; run by the thread */
    struct mailbox posts, answers;
    ev_async wake; /* in loop */
    ev_async told; /* in main_loop */
    _Atomic bool rows_free;
    struct stream_result *rows; /* owned; the worker's while rows_free, then the main thread's */
    uint32_t *next_rows;        /* owned; the same */
    struct receive_totals totals_row;

    /* worker thread only */
    ev_io readable;
    ev_timer look_again;
    ev_idle more;                  /* rows are to be made */
    struct stream_record *records; /* owned */
    uint32_t nonce;
    struct receive_totals totals;
    uint64_t last_ns;       /* when our last frame arrived; 0: none yet */
    uint64_t drops_before;  /* of the receiver, at begin */
    struct letter *waiting; /* snapshots and what was posted behind them, oldest first */
    uint32_t rows_made;     /* of the first one */
    bool quits;

    struct receive_post quit;
};

struct recognised { /* a frame of ours */
    const struct received *frame;
    struct signature signature;
    int64_t delay_ns;
};

static struct receive_post *post_of(struct letter *letter)
{
    return (struct receive_post *)(void *)letter;
}

static struct receive_snapshot *snapshot_of(struct letter *letter)
{
    return (struct receive_snapshot *)(void *)letter;
}

/* ---- frames ---- */

static bool is_pause(const struct received *frame)
{
    return frame->captured >= ETHERTYPE_AT + 2 &&
           load_be16(frame->frame + ETHERTYPE_AT) == ETHERTYPE_MAC_CONTROL;
}

static void begin_record(struct stream_record *record)
{
    latency_init(&record->latency);
    sequence_init(&record->sequence);
    record->corrupted = 0;
    record->begun = true;
}

/* Between consecutive frames of ours, whatever their streams; a clock that was set back tells no gap. */
static void take_gap(struct receive_worker *worker, uint64_t time_ns)
{
    if (worker->last_ns != 0 && time_ns >= worker->last_ns)
        worker->totals.gaps[gap_bucket(time_ns - worker->last_ns)]++;
    worker->last_ns = time_ns;
}

static struct receive_stream wish_of(const struct receive_worker *worker, uint16_t stream)
{
    return worker->wishes.stream != NULL ? worker->wishes.stream[stream - 1] : (struct receive_stream){0};
}

/* A frame with a signature is the stream's even when some other byte of it was changed on the way. */
static void take_ours(struct receive_worker *worker, const struct recognised *ours)
{
    const struct received *frame = ours->frame;
    const struct signature *signature = &ours->signature;
    struct stream_record *record = &worker->records[signature->stream - 1];
    worker->totals.ours++;
    take_gap(worker, frame->time_ns);
    if (!record->begun)
        begin_record(record);
    if (wish_of(worker, signature->stream).check_payload && !frame->checksum_not_ready && !frame->truncated &&
        !frame_is_intact(frame->frame, frame->captured))
        record->corrupted++;
    if (sequence_take(&record->sequence, signature->sequence, frame->time_ns))
        latency_take(&record->latency, ours->delay_ns);
}

/* Each segment of a run that arrived as one frame is a frame that was sent. */
static void take_run(struct receive_worker *worker, const struct recognised *last, uint32_t segment_bytes)
{
    uint32_t count = signature_run(last->frame->frame, &last->signature, segment_bytes, worker->nonce);
    struct recognised one = *last;
    for (one.signature.sequence -= count - 1; count > 0; one.signature.sequence++, count--)
        take_ours(worker, &one);
}

/* Whether it is a frame of ours; all others are counted here. */
static bool recognise(struct receive_worker *worker, const struct received *frame,
                      struct signature *signature)
{
    worker->totals.frames++;
    worker->totals.truncated += frame->truncated;
    if (is_pause(frame)) {
        worker->totals.pause++;
        return false;
    }
    bool ours = signature_find(frame->frame, frame->captured, frame->length, worker->nonce, signature) &&
                signature->stream <= worker->wishes.streams;
    worker->totals.foreign += !ours;
    return ours;
}

/* With many streams each frame's record is far memory: it is fetched while those before are taken, first the
 * record, then the counter of its delay, whose place the record says. */
static void fetch_records(const struct receive_worker *worker, const struct recognised *found, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct stream_record *record = &worker->records[found[i].signature.stream - 1];
        __builtin_prefetch(record, 1);
        latency_prefetch(&record->latency, found[i].delay_ns);
        sequence_prefetch(&record->sequence, found[i].signature.sequence);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct stream_record *record = &worker->records[found[i].signature.stream - 1];
        if (record->begun)
            latency_prefetch_counter(&record->latency, found[i].delay_ns);
    }
}

static void take(void *context, const struct received *frames, uint32_t count)
{
    struct receive_worker *worker = context;
    struct recognised found[RECEIVER_AT_ONCE];
    uint32_t ours = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct recognised *next = &found[ours];
        if (!recognise(worker, &frames[i], &next->signature))
            continue;
        next->frame = &frames[i];
        next->delay_ns = latency_between(next->signature.time_16ns, frames[i].time_ns);
        ours++;
    }
    if (worker->wishes.streams > FEW_STREAMS)
        fetch_records(worker, found, ours);
    for (uint32_t i = 0; i < ours; i++) {
        uint32_t segment_bytes = wish_of(worker, found[i].signature.stream).segment_bytes;
        if (segment_bytes != 0)
            take_run(worker, &found[i], segment_bytes);
        else
            take_ours(worker, &found[i]);
    }
}

static bool take_blocks(struct receive_worker *worker)
{
    uint64_t until_ns = clock_monotonic_ns() + SLICE_NS;
    uint32_t frames = 0, taken;
    do {
        taken = receiver_next(worker->wishes.receiver, take, worker);
        frames += taken;
    } while (taken > 0 && clock_monotonic_ns() < until_ns);
    return frames > 0;
}

static uint64_t drops_of(const struct receive_worker *worker)
{
    struct receiver_stats stats;
    receiver_read_stats(worker->wishes.receiver, &stats);
    return stats.drops;
}

/* ---- posts ---- */

static void answer(struct receive_worker *worker, struct letter *letter)
{
    mailbox_drop(&worker->answers, letter);
    ev_async_send(worker->wishes.main_loop, &worker->told);
}

static void forget(struct receive_worker *worker, uint32_t nonce)
{
    for (uint32_t i = 0; i < worker->wishes.streams; i++)
        if (worker->records[i].begun) {
            latency_fini(&worker->records[i].latency);
            worker->records[i].begun = false;
        }
    worker->nonce = nonce;
    worker->totals = (struct receive_totals){0};
    worker->last_ns = 0;
    worker->drops_before = drops_of(worker);
}

static void make_row(const struct receive_worker *worker, const struct receive_snapshot *asked,
                     uint32_t stream)
{
    const struct stream_record *record = &worker->records[stream];
    struct stream_result *row = &worker->rows[stream];
    struct sequence_result result;
    *row = (struct stream_result){0};
    worker->next_rows[stream] = 0;
    bool final = asked->final && asked->sent != NULL;
    if (!record->begun) {
        row->lost = final ? asked->sent[stream] : 0;
        return;
    }
    sequence_result(&record->sequence, final ? asked->sent[stream] : UINT64_MAX, final, &result);
    row->received = result.received + result.duplicates;
    row->lost = result.lost;
    row->duplicates = result.duplicates;
    row->reordered = result.reordered;
    row->reorder_extent = result.extent;
    row->late = result.late;
    row->stale = result.stale;
    row->outage_frames = result.outage_frames;
    row->outage_ns = result.outage_ns;
    row->corrupted = record->corrupted;
    latency_result(&record->latency, row);
    worker->next_rows[stream] = (uint32_t)record->sequence.next;
}

/* Some rows of a snapshot; true when that was all of it. */
static bool make_rows(struct receive_worker *worker, struct receive_snapshot *asked)
{
    uint32_t streams = asked->streams < worker->wishes.streams ? asked->streams : worker->wishes.streams;
    uint32_t until = worker->rows_made + ROWS_A_TURN;
    if (!atomic_load_explicit(&worker->rows_free, memory_order_acquire))
        return false;
    for (; worker->rows_made < until && worker->rows_made < streams; worker->rows_made++)
        make_row(worker, asked, worker->rows_made);
    if (worker->rows_made < streams)
        return false;
    worker->totals.overrun = drops_of(worker) - worker->drops_before;
    worker->totals_row = worker->totals;
    worker->rows_made = 0;
    atomic_store_explicit(&worker->rows_free, false, memory_order_relaxed); /* released by the answer */
    return true;
}

/* In order; a snapshot may take several turns. */
static void handle_posts(struct receive_worker *worker)
{
    while (worker->waiting != NULL) {
        struct letter *first = worker->waiting;
        struct receive_post *post = post_of(first);
        if (post->kind == POST_SNAPSHOT && !make_rows(worker, snapshot_of(first)))
            return;
        worker->waiting = first->next;
        if (post->kind == POST_BEGIN)
            forget(worker, post->nonce);
        if (post->kind == POST_QUIT) {
            worker->quits = true;
            ev_break(worker->loop, EVBREAK_ALL);
        } else {
            answer(worker, first);
        }
    }
}

static void fetch_posts(struct receive_worker *worker)
{
    struct letter **end = &worker->waiting;
    while (*end != NULL)
        end = &(*end)->next;
    *end = mailbox_take(&worker->posts);
}

/* ---- the thread ---- */

static void turn(struct receive_worker *worker)
{
    bool wait_for_main = !atomic_load_explicit(&worker->rows_free, memory_order_acquire);
    fetch_posts(worker);
    handle_posts(worker);
    if (worker->waiting != NULL && !wait_for_main)
        ev_idle_start(worker->loop, &worker->more);
    else
        ev_idle_stop(worker->loop, &worker->more);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct receive_worker *worker = watcher->data;
    (void)events;
    if (!take_blocks(worker)) {
        ev_io_stop(loop, &worker->readable);
        ev_timer_set(&worker->look_again, look_again_s, 0.);
        ev_timer_start(loop, &worker->look_again);
    }
}

static void on_look_again(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct receive_worker *worker = watcher->data;
    (void)events;
    ev_io_start(loop, &worker->readable);
}

static void on_wake(struct ev_loop *loop, ev_async *watcher, int events)
{
    (void)loop;
    (void)events;
    turn(watcher->data);
}

static void on_more(struct ev_loop *loop, ev_idle *watcher, int events)
{
    struct receive_worker *worker = watcher->data;
    (void)loop;
    (void)events;
    take_blocks(worker);
    turn(worker);
}

/* ---- the main thread's side ---- */

static void give_rows(struct receive_worker *worker, struct receive_snapshot *snapshot)
{
    uint32_t streams =
        snapshot->streams < worker->wishes.streams ? snapshot->streams : worker->wishes.streams;
    memcpy(snapshot->results, worker->rows, streams * sizeof *worker->rows);
    memcpy(snapshot->expected_next, worker->next_rows, streams * sizeof *worker->next_rows);
    snapshot->totals = worker->totals_row;
    atomic_store_explicit(&worker->rows_free, true, memory_order_release);
    ev_async_send(worker->loop, &worker->wake);
    if (snapshot->done != NULL)
        snapshot->done(snapshot);
}

static void deliver(struct receive_worker *worker)
{
    struct letter *letter = mailbox_take(&worker->answers);
    while (letter != NULL) {
        struct letter *next = letter->next;
        if (post_of(letter)->kind == POST_SNAPSHOT)
            give_rows(worker, snapshot_of(letter));
        else
            free(post_of(letter)); /* of receive_worker_begin() */
        letter = next;
    }
}

static void on_told(struct ev_loop *loop, ev_async *watcher, int events)
{
    (void)loop;
    (void)events;
    deliver(watcher->data);
}

/* Records of many streams are used in no order: with pages of 4 KB each use would miss the TLB. A hint. */
static void prefer_large_pages(void *memory, size_t bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = ((uintptr_t)memory + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)memory + bytes) / page * page;
    if (memory != NULL && from < end)
        madvise((void *)from, end - from, MADV_HUGEPAGE);
}

static int allocate(struct receive_worker *worker)
{
    size_t streams = (size_t)worker->wishes.streams + 1;
    /* calloc: pages of streams that never receive are never touched. */
    worker->records = calloc(streams, sizeof *worker->records);
    if (streams > FEW_STREAMS)
        prefer_large_pages(worker->records, streams * sizeof *worker->records);
    worker->rows = calloc(streams, sizeof *worker->rows);
    worker->next_rows = calloc(streams, sizeof *worker->next_rows);
    worker->loop = ev_loop_new(EVBACKEND_POLL | EVFLAG_NOENV | EVFLAG_NOSIGMASK);
    return worker->records && worker->rows && worker->next_rows && worker->loop ? 0 : -ENOMEM;
}

static void init_watchers(struct receive_worker *worker)
{
    ev_async_init(&worker->wake, on_wake);
    ev_async_init(&worker->told, on_told);
    ev_io_init(&worker->readable, on_readable, receiver_fd(worker->wishes.receiver), EV_READ);
    ev_timer_init(&worker->look_again, on_look_again, look_again_s, 0.);
    ev_idle_init(&worker->more, on_more);
    worker->wake.data = worker->told.data = worker->readable.data = worker;
    worker->look_again.data = worker->more.data = worker;
    ev_async_start(worker->loop, &worker->wake);
    ev_io_start(worker->loop, &worker->readable);
}

int receive_worker_new(const struct receive_worker_wishes *wishes, struct receive_worker **out,
                       struct err *err)
{
    struct receive_worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return err_set(err, -ENOMEM, "no memory for a receiving thread");
    worker->wishes = *wishes;
    worker->rows_free = true;
    worker->quit.kind = POST_QUIT;
    int code = allocate(worker);
    if (code != 0) {
        receive_worker_free(worker);
        return err_set(err, code, "no memory for the results of %u streams", wishes->streams);
    }
    init_watchers(worker);
    const struct thread_wishes thread = {.name = wishes->name, .cpu = -1, .confine = wishes->confine};
    code = thread_start(&worker->thread, worker->loop, &thread, err);
    if (code != 0) {
        receive_worker_free(worker);
        return code;
    }
    worker->wishes.name = NULL;
    ev_async_start(wishes->main_loop, &worker->told);
    *out = worker;
    return 0;
}

static void post(struct receive_worker *worker, struct letter *letter)
{
    mailbox_drop(&worker->posts, letter);
    ev_async_send(worker->loop, &worker->wake);
}

/* Rows that the thread waits to hand over are taken while it ends. */
static void end_thread(struct receive_worker *worker)
{
    if (worker->thread.runs)
        post(worker, &worker->quit.letter);
    do
        deliver(worker);
    while (!thread_join(&worker->thread, NS_PER_MS));
    deliver(worker);
}

void receive_worker_free(struct receive_worker *worker)
{
    if (worker == NULL)
        return;
    end_thread(worker);
    if (ev_is_active(&worker->told))
        ev_async_stop(worker->wishes.main_loop, &worker->told);
    for (uint32_t i = 0; worker->records != NULL && i < worker->wishes.streams; i++)
        if (worker->records[i].begun)
            latency_fini(&worker->records[i].latency);
    if (worker->loop != NULL)
        ev_loop_destroy(worker->loop);
    free(worker->next_rows);
    free(worker->rows);
    free(worker->records);
    free(worker);
}

int receive_worker_begin(struct receive_worker *worker, uint32_t nonce)
{
    struct receive_post *begin = calloc(1, sizeof *begin);
    if (begin == NULL)
        return -ENOMEM;
    begin->kind = POST_BEGIN;
    begin->nonce = nonce;
    post(worker, &begin->letter);
    return 0;
}

void receive_worker_snapshot(struct receive_worker *worker, struct receive_snapshot *snapshot)
{
    snapshot->post.kind = POST_SNAPSHOT;
    post(worker, &snapshot->post.letter);
}
