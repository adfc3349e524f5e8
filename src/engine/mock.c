/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An engine without a kernel, so that pacing, accounts and the daemon can be tested unprivileged.
 *
 *     done ≤ ripe ≤ sent ≤ committed          counts of slots since open; slot = count mod slots
 *
 *   mock           a kick sends all that is committed, and the next reap has it all
 *   mock-async     a kick sends all; what it sent is reaped by the second reap after it (as from a device)
 *   mock-partial   a kick sends at most PARTIAL_SLOTS, as when socket memory runs out; its wait is WRITABLE
 *
 * Frames longer than MTU and link header are rejected, as the kernel rejects them, but nothing behind them is
 * held up. The tap sees each frame once, when it is sent. */
#include "engine/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    DEFAULT_SLOTS = 512,
    SLOT_ALIGN = 64,
    PARTIAL_SLOTS = 7,
    TAG_BYTES = 4,
    RIPENING_NS = 20000, /* how long mock-async asks to be left alone */
};

struct sent_slot {
    uint32_t bytes;
    uint16_t segments;
    bool rejected;
};

struct mock {
    struct engine_base base;
    struct engine_facts facts;
    struct engine_wishes wishes;
    bool ripens;         /* mock-async */
    uint32_t kick_limit; /* slots a kick; UINT32_MAX: all */
    int fd;              /* owned; always writable; -1 in the modes that never wait for it */
    uint32_t slots, stride;
    uint8_t *memory;            /* owned; slots × stride */
    struct sent_slot *contents; /* owned; one a slot */
    uint64_t committed, sent, ripe, done;
    uint32_t withdrawn; /* behind `committed`, not yet told */
    int fault;
    struct mock_seen seen;
};

static struct {
    mock_tap *take;
    void *context;
} tap;

void mock_set_tap(mock_tap *take, void *context)
{
    tap.context = context;
    tap.take = take;
}

static struct mock *of(struct engine *engine)
{
    return (struct mock *)(void *)engine;
}

static const struct mock *of_const(const struct engine *engine)
{
    return (const struct mock *)(const void *)engine;
}

static uint32_t slot_of(const struct mock *mock, uint64_t count)
{
    return (uint32_t)(count % mock->slots);
}

static void close_mock(struct engine *engine)
{
    struct mock *mock = of(engine);
    if (mock == NULL)
        return;
    if (mock->fd >= 0)
        close(mock->fd);
    free(mock->contents);
    free(mock->memory);
    free(mock);
}

static int allocate(struct mock *mock)
{
    mock->slots = mock->wishes.frames != 0 ? mock->wishes.frames : DEFAULT_SLOTS;
    mock->stride = (mock->wishes.largest_bytes + SLOT_ALIGN - 1) / SLOT_ALIGN * SLOT_ALIGN;
    mock->memory = calloc(mock->slots, mock->stride);
    mock->contents = calloc(mock->slots, sizeof *mock->contents);
    return mock->memory == NULL || mock->contents == NULL ? -ENOMEM : 0;
}

static int open_mode(const struct mock *mode, const struct engine_facts *facts,
                     const struct engine_wishes *wishes, struct engine **out, struct err *err)
{
    if (wishes->largest_bytes == 0)
        return err_set(err, -EINVAL, "a mock ring needs the length of its longest frame");
    struct mock *mock = malloc(sizeof *mock);
    if (mock == NULL)
        return err_set(err, -ENOMEM, "no memory for a mock ring");
    *mock = *mode;
    mock->facts = *facts;
    mock->wishes = *wishes;
    if (mock->kick_limit != UINT32_MAX)
        mock->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int code = mock->kick_limit != UINT32_MAX && mock->fd < 0 ? -errno : allocate(mock);
    if (code != 0) {
        close_mock((struct engine *)(void *)mock);
        return err_set(err, code, "a mock ring on %s: %s", facts->interface, strerror(-code));
    }
    *out = (struct engine *)(void *)mock;
    return 0;
}

static int open_sync(const struct engine_facts *facts, const struct engine_wishes *wishes,
                     struct engine **out, struct err *err)
{
    return open_mode(&(struct mock){.base = {&mock_ops}, .kick_limit = UINT32_MAX, .fd = -1}, facts, wishes,
                     out, err);
}

static int open_async(const struct engine_facts *facts, const struct engine_wishes *wishes,
                      struct engine **out, struct err *err)
{
    return open_mode(
        &(struct mock){.base = {&mock_async_ops}, .kick_limit = UINT32_MAX, .fd = -1, .ripens = true}, facts,
        wishes, out, err);
}

static int open_partial(const struct engine_facts *facts, const struct engine_wishes *wishes,
                        struct engine **out, struct err *err)
{
    return open_mode(&(struct mock){.base = {&mock_partial_ops}, .kick_limit = PARTIAL_SLOTS, .fd = -1},
                     facts, wishes, out, err);
}

static uint32_t frame_limit(const struct mock *mock)
{
    uint32_t limit = mock->facts.mtu + mock->facts.link_header_bytes;
    return limit == 0 || limit > mock->stride ? mock->stride : limit;
}

static void caps(const struct engine *engine, struct engine_caps *out)
{
    const struct mock *mock = of_const(engine);
    *out = (struct engine_caps){
        .slots = mock->slots,
        .max_batch = mock->slots,
        .max_bytes = frame_limit(mock),
        .max_run_bytes = mock->stride,
        .max_segments = mock->wishes.segments > 1 ? mock->wishes.segments : 1,
        .completion = COMPLETION_ACCEPTED,
        .path = "no kernel: frames go nowhere",
        .frame_size = mock->stride,
        .block_size = mock->stride * mock->slots,
        .blocks = 1,
    };
}

static uint32_t reserve(struct engine *engine, uint32_t slots, struct engine_span *span)
{
    struct mock *mock = of(engine);
    uint32_t first = slot_of(mock, mock->committed);
    uint32_t count = mock->slots - (uint32_t)(mock->committed - mock->done);
    if (mock->withdrawn != 0 || count == 0)
        return 0;
    if (count > mock->slots - first)
        count = mock->slots - first;
    if (count > slots)
        count = slots;
    *span = (struct engine_span){first, count, mock->memory + (size_t)first * mock->stride, mock->stride};
    return count;
}

static bool is_tagged(const uint8_t *frame)
{
    return frame[12] == 0x81 && frame[13] == 0x00;
}

static bool fits(const struct mock *mock, const struct engine_frame *frame, const uint8_t *bytes)
{
    if (frame->segmentation != NULL)
        return frame->bytes <= mock->stride;
    return frame->bytes <= frame_limit(mock) + (is_tagged(bytes) ? TAG_BYTES : 0);
}

static void commit(struct engine *engine, const struct engine_frame *frames, uint32_t slots)
{
    struct mock *mock = of(engine);
    for (uint32_t i = 0; i < slots; i++) {
        uint32_t slot = slot_of(mock, mock->committed++);
        mock->contents[slot] =
            (struct sent_slot){frames[i].bytes, frames[i].segments,
                               !fits(mock, &frames[i], mock->memory + (size_t)slot * mock->stride)};
    }
}

static void send_slot(struct mock *mock)
{
    uint32_t slot = slot_of(mock, mock->sent++);
    const struct sent_slot *content = &mock->contents[slot];
    if (content->rejected)
        return;
    mock->seen.frames += content->segments;
    mock->seen.bytes += content->bytes;
    if (tap.take != NULL)
        tap.take(tap.context, mock->memory + (size_t)slot * mock->stride, content->bytes);
}

static int kick(struct engine *engine)
{
    struct mock *mock = of(engine);
    mock->seen.kicks++;
    if (mock->fault != 0)
        return mock->fault;
    for (uint32_t left = mock->kick_limit; left > 0 && mock->sent < mock->committed; left--)
        send_slot(mock);
    if (!mock->ripens)
        mock->ripe = mock->sent;
    return 0;
}

static uint32_t reap(struct engine *engine, struct engine_result *results, uint32_t max)
{
    struct mock *mock = of(engine);
    uint32_t used = 0;
    while (mock->done < mock->ripe) {
        enum engine_outcome outcome =
            mock->contents[slot_of(mock, mock->done)].rejected ? ENGINE_REJECTED : ENGINE_COMPLETED;
        if (used == 0 || results[used - 1].outcome != outcome) {
            if (used == max)
                return used;
            results[used++] = (struct engine_result){0, outcome};
        }
        results[used - 1].slots++;
        mock->done++;
    }
    if (mock->done == mock->committed && mock->withdrawn != 0 && used < max) {
        results[used++] = (struct engine_result){mock->withdrawn, ENGINE_WITHDRAWN};
        mock->withdrawn = 0;
    }
    mock->ripe = mock->sent;
    return used;
}

static void wait(struct engine *engine, struct engine_wait *out)
{
    struct mock *mock = of(engine);
    *out = (struct engine_wait){.kind = WAIT_NONE};
    if (mock->fault != 0 && mock->sent < mock->committed)
        *out = (struct engine_wait){.kind = WAIT_NEVER, .reason = -mock->fault};
    else if (mock->sent < mock->committed && mock->fd >= 0)
        *out = (struct engine_wait){.kind = WAIT_WRITABLE, .fd = mock->fd};
    else if (mock->done < mock->sent)
        *out = (struct engine_wait){.kind = WAIT_AFTER, .after_ns = RIPENING_NS};
}

static void woken(struct engine *engine)
{
    (void)engine;
}

static void withdraw(struct engine *engine)
{
    struct mock *mock = of(engine);
    mock->withdrawn += (uint32_t)(mock->committed - mock->sent);
    mock->committed = mock->sent;
}

static int rebind(struct engine *engine, const struct engine_facts *facts, struct err *err)
{
    struct mock *mock = of(engine);
    (void)err;
    mock->facts = *facts;
    mock->fault = 0;
    return 0;
}

static uint32_t in_flight(const struct engine *engine)
{
    const struct mock *mock = of_const(engine);
    return (uint32_t)(mock->committed - mock->done) + mock->withdrawn;
}

void mock_seen(const struct engine *engine, struct mock_seen *out)
{
    *out = of_const(engine)->seen;
}

void mock_set_fault(struct engine *engine, int code)
{
    of(engine)->fault = code;
}

/* The modes differ in how they are opened and in nothing else. */
#define MOCK_OPS(NAME, SUMMARY, OPEN)                                                                   \
    {                                                                                                   \
        .name = (NAME), .summary = (SUMMARY), .without_interface = true, .open = (OPEN), .caps = caps,  \
        .reserve = reserve, .commit = commit, .kick = kick, .reap = reap, .wait = wait, .woken = woken, \
        .withdraw = withdraw, .rebind = rebind, .in_flight = in_flight, .close = close_mock             \
    }

const struct engine_ops mock_ops = MOCK_OPS("mock", "sends nothing; every kick takes all", open_sync);
const struct engine_ops mock_async_ops =
    MOCK_OPS("mock-async", "sends nothing; frames come back late, as from a device", open_async);
const struct engine_ops mock_partial_ops =
    MOCK_OPS("mock-partial", "sends nothing; a kick takes a few frames only", open_partial);
