/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One thread a receiver: takes blocks, recognises our frames, keeps one record a stream. Records belong to
 * the thread; the main thread asks for a snapshot.
 *
 *   main ── begin, snapshot ──► worker (libev, EVBACKEND_POLL, receiver's fd) ── rows, ev_async ──► main:
 * done()
 *
 * Protocol: the worker makes the rows in a buffer of its own, some streams between two blocks, so that the
 * ring never waits for a snapshot; each row is of one instant. Then the buffer is the main thread's: it
 * copies it to the asker, gives it back and calls done(). What the asker reads is never written behind his
 * back. */
#ifndef RUN_RECEIVE_WORKER_H
#define RUN_RECEIVE_WORKER_H

#include <ev.h>

#include "analysis/gaps.h"
#include "analysis/requirement.h"
#include "engine/receiver.h"
#include "run/mailbox.h"

struct receive_totals {                               /* since begin */
    uint64_t frames, ours, foreign, pause, truncated; /* ours: signatures of this run */
    uint64_t overrun;                                 /* frames that the ring had no room for */
    uint64_t gaps[GAP_BUCKETS];
};

struct receive_post { /* the worker's own */
    struct letter letter;
    enum receive_post_kind { POST_SNAPSHOT, POST_BEGIN, POST_QUIT } kind;
    uint32_t nonce;
};

struct receive_snapshot {
    struct receive_post post;
    struct stream_result *results; /* of stream 0 … streams-1; owned by the asker, written just before done().
                                      received counts every copy; lost, unless final, the holes below the
                                      highest number; sent, flooded and misdirected are his to fill */
    uint32_t *expected_next; /* per stream: the sequence number after the highest seen, to tell what was lost
                                at the end; owned by the asker */
    uint32_t streams;
    struct receive_totals totals;
    bool final;           /* also judge the tail: everything sent has had time to arrive */
    const uint64_t *sent; /* per stream, with final: frames completed by the sender; borrowed until done */
    void (*done)(struct receive_snapshot *snapshot); /* main thread; must not free the worker */
    void *context;
};

struct receive_stream {
    uint16_t segment_bytes; /* of a segment's payload where runs of UDP segments may arrive uncut, else 0 */
    bool check_payload;     /* judge each frame by its checksums: `corrupted` */
};

struct receive_worker;
struct receive_worker_wishes {
    const char *name;                    /* of the thread, at most 15 bytes */
    struct receiver *receiver;           /* borrowed; closed by the main thread after receive_worker_free */
    uint32_t streams;                    /* stream numbers in signatures are 1 … streams */
    const struct receive_stream *stream; /* each of them; borrowed; NULL: nothing special */
    struct ev_loop *main_loop;
    bool confine;
};
/* Room for all streams is reserved here, about 4.5 KB each, and used when a stream's first frame comes;
 * histograms grow with the range of latencies seen. */
int receive_worker_new(const struct receive_worker_wishes *wishes, struct receive_worker **out,
                       struct err *err);
void receive_worker_free(struct receive_worker *worker); /* joins; snapshots under way are answered first */
/* All records to zero; from now on only signatures with this nonce are ours. Main thread; takes effect
 * between two blocks, answered before any later snapshot. */
int receive_worker_begin(struct receive_worker *worker, uint32_t nonce);
void receive_worker_snapshot(struct receive_worker *worker, struct receive_snapshot *snapshot);

#endif
