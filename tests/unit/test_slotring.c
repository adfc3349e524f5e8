/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Slots and status words on plain memory, with the test as the kernel: its head, its statuses, its refusals.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/slotring.h"

enum { AVAILABLE = 0, SEND_REQUEST = 1, SENDING = 2, WRONG_FORMAT = 4, RESULTS = 16, STEPS = 200000 };

/* The kernel's side: it knows a slot's place from its number alone, and each version's status from the header
 * files' text, not from the module under test. */
struct kernel {
    uint8_t *memory;
    struct slotring_shape shape;
    uint32_t head, slots;
};

static uint32_t status_offset(const struct kernel *kernel)
{
    static const uint32_t offsets[] = {[1] = 0, [2] = 0, [3] = 20}; /* little endian */
    return offsets[kernel->shape.version];
}

static uint8_t *slot_of(const struct kernel *kernel, uint32_t slot)
{
    uint32_t per_block = kernel->shape.block_size / kernel->shape.frame_size;
    return kernel->memory + (size_t)(slot / per_block) * kernel->shape.block_size +
           (size_t)(slot % per_block) * kernel->shape.frame_size;
}

static uint32_t get(const struct kernel *kernel, uint32_t slot)
{
    uint32_t status;
    memcpy(&status, slot_of(kernel, slot) + status_offset(kernel), sizeof status);
    return status;
}

static void set(const struct kernel *kernel, uint32_t slot, uint32_t status)
{
    memcpy(slot_of(kernel, slot) + status_offset(kernel), &status, sizeof status);
}

static struct kernel kernel_new(uint32_t version, uint32_t frame_size, uint32_t block_size, uint32_t blocks)
{
    struct kernel kernel = {
        .memory = aligned_alloc(4096, (size_t)block_size * blocks),
        .shape = {.version = version, .frame_size = frame_size, .block_size = block_size, .blocks = blocks},
        .slots = block_size / frame_size * blocks,
    };
    assert_non_null(kernel.memory);
    memset(kernel.memory, 0, (size_t)block_size * blocks);
    return kernel;
}

/* One send(): takes at most `most` frames, stops where the kernel stops, refuses the one behind `good` good
 * ones. How many it took. */
static uint32_t kernel_send(struct kernel *kernel, uint32_t most, uint32_t good)
{
    uint32_t taken = 0;
    while (most-- > 0 && get(kernel, kernel->head) == SEND_REQUEST) {
        if (good-- == 0) {
            set(kernel, kernel->head, WRONG_FORMAT);
            return taken;
        }
        set(kernel, kernel->head, SENDING);
        kernel->head = (kernel->head + 1) % kernel->slots;
        taken++;
    }
    return taken;
}

static uint32_t put(struct slotring *ring, uint32_t slots)
{
    struct engine_frame frames[64];
    struct engine_span span;
    uint32_t count = slotring_reserve(ring, slots < 64 ? slots : 64, &span);
    for (uint32_t i = 0; i < count; i++)
        frames[i] = (struct engine_frame){.bytes = 60, .segments = 1};
    if (count > 0)
        slotring_commit(ring, frames, count);
    return count;
}

static void every_version_writes_status_and_length_where_the_kernel_looks(void **state)
{
    (void)state;
    static const uint32_t length_offsets[] = {[1] = 8, [2] = 4, [3] = 16},
                          data[] = {[1] = 32, [2] = 32, [3] = 48};
    for (uint32_t version = 1; version <= 3; version++) {
        struct kernel kernel = kernel_new(version, 256, 4096, 2);
        struct slotring ring;
        struct engine_span span;
        slotring_init(&ring, kernel.memory, &kernel.shape);
        assert_int_equal(slotring_reserve(&ring, 1, &span), 1);
        assert_int_equal(span.data - kernel.memory, data[version]);
        assert_int_equal(put(&ring, 20), 20);
        for (uint32_t slot = 0; slot < 32; slot++) {
            uint32_t length;
            memcpy(&length, slot_of(&kernel, slot) + length_offsets[version], sizeof length);
            assert_int_equal(get(&kernel, slot), slot < 20 ? SEND_REQUEST : AVAILABLE);
            assert_int_equal(length, slot < 20 ? 60 : 0);
        }
        free(kernel.memory);
    }
}

static void spans_end_at_holes(void **state)
{
    (void)state;
    struct kernel kernel = kernel_new(2, 1536, 4096, 3); /* two slots a block, 1,024 bytes of hole */
    struct slotring ring;
    struct engine_span span;
    slotring_init(&ring, kernel.memory, &kernel.shape);
    assert_int_equal(ring.slots, 6);
    for (uint32_t slot = 0; slot < 6; slot += 2) {
        assert_int_equal(slotring_reserve(&ring, 6, &span), 2);
        assert_int_equal(span.first, slot);
        assert_ptr_equal(span.data, slot_of(&kernel, slot) + 32);
        assert_int_equal(put(&ring, 2), 2);
    }
    assert_int_equal(put(&ring, 1), 0);
    free(kernel.memory);
}

static void a_time_stamp_left_in_the_status_does_not_hold_a_slot(void **state)
{
    (void)state;
    struct kernel kernel = kernel_new(2, 256, 4096, 1);
    struct slotring ring;
    struct engine_result results[RESULTS];
    slotring_init(&ring, kernel.memory, &kernel.shape);
    put(&ring, 2);
    kernel_send(&kernel, 2, 2);
    set(&kernel, 0, AVAILABLE | 1U << 29);
    assert_int_equal(slotring_reap(&ring, results, RESULTS), 1);
    assert_int_equal(results[0].slots, 1);
    assert_int_equal(results[0].outcome, ENGINE_COMPLETED);
    free(kernel.memory);
}

static void a_bad_slot_is_told_and_filled_again(void **state)
{
    (void)state;
    struct kernel kernel = kernel_new(2, 256, 4096, 1);
    struct slotring ring;
    struct engine_result results[RESULTS];
    struct engine_span span;
    slotring_init(&ring, kernel.memory, &kernel.shape);
    put(&ring, 8);
    kernel_send(&kernel, 8, 3);
    slotring_advance(&ring);
    for (uint32_t slot = 0; slot < 3; slot++)
        set(&kernel, slot, AVAILABLE);
    assert_int_equal(slotring_reap(&ring, results, RESULTS), 3);
    assert_int_equal(results[0].slots, 3);
    assert_int_equal(results[0].outcome, ENGINE_COMPLETED);
    assert_int_equal(results[1].slots, 1);
    assert_int_equal(results[1].outcome, ENGINE_REJECTED);
    assert_int_equal(results[2].slots, 4);
    assert_int_equal(results[2].outcome, ENGINE_WITHDRAWN);
    assert_int_equal(slotring_reserve(&ring, 1, &span), 1);
    assert_int_equal(span.first, 3);
    for (uint32_t slot = 0; slot < 16; slot++)
        assert_int_equal(get(&kernel, slot), AVAILABLE);
    free(kernel.memory);
}

static void results_that_do_not_fit_are_told_later(void **state)
{
    (void)state;
    struct kernel kernel = kernel_new(2, 256, 4096, 1);
    struct slotring ring;
    struct engine_result result;
    slotring_init(&ring, kernel.memory, &kernel.shape);
    put(&ring, 8);
    kernel_send(&kernel, 8, 3);
    for (uint32_t slot = 0; slot < 3; slot++)
        set(&kernel, slot, AVAILABLE);
    static const struct engine_result expected[] = {
        {3, ENGINE_COMPLETED}, {1, ENGINE_REJECTED}, {4, ENGINE_WITHDRAWN}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(slotring_reap(&ring, &result, 1), 1);
        assert_int_equal(result.slots, expected[i].slots);
        assert_int_equal(result.outcome, expected[i].outcome);
    }
    assert_int_equal(slotring_reap(&ring, &result, 1), 0);
    free(kernel.memory);
}

static void withdrawing_leaves_what_the_kernel_has_begun(void **state)
{
    (void)state;
    struct kernel kernel = kernel_new(3, 256, 4096, 1);
    struct slotring ring;
    struct engine_result results[RESULTS];
    slotring_init(&ring, kernel.memory, &kernel.shape);
    put(&ring, 10);
    kernel_send(&kernel, 4, 4);
    assert_int_equal(slotring_advance(&ring), 4);
    slotring_withdraw(&ring);
    for (uint32_t slot = 0; slot < 16; slot++)
        assert_int_equal(get(&kernel, slot), slot < 4 ? SENDING : AVAILABLE);
    assert_int_equal(put(&ring, 1), 0); /* until it is told */
    assert_int_equal(slotring_reap(&ring, results, RESULTS), 0);
    for (uint32_t slot = 0; slot < 4; slot++)
        set(&kernel, slot, AVAILABLE);
    assert_int_equal(slotring_reap(&ring, results, RESULTS), 2);
    assert_int_equal(results[0].slots, 4);
    assert_int_equal(results[1].slots, 6);
    assert_int_equal(results[1].outcome, ENGINE_WITHDRAWN);
    assert_int_equal(put(&ring, 1), 1);
    free(kernel.memory);
}

struct vnet_header { /* as the virtio specification writes it */
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset;
};

static struct vnet_header committed_header(struct slotring *ring, const struct engine_frame *frame,
                                           bool tagged)
{
    struct vnet_header header;
    struct engine_span span;
    slotring_reserve(ring, 1, &span);
    span.data[12] = tagged ? 0x81 : 0x08;
    span.data[13] = 0;
    slotring_commit(ring, frame, 1);
    memcpy(&header, span.data - VNET_HEADER_BYTES, sizeof header);
    return header;
}

static void the_vnet_header_says_how_a_frame_goes(void **state)
{
    (void)state;
    static const struct {
        uint32_t bytes;
        bool tagged;
        uint16_t copied;
    } cases[] = {
        {60, false, 60},       {256, false, 256}, {257, false, 0},      {1514, false, 0},
        {1515, false, 0xffff}, {1518, true, 0},   {1519, true, 0xffff},
    };
    struct kernel kernel = kernel_new(2, 2048, 65536, 1);
    struct slotring ring;
    kernel.shape.vnet = true;
    slotring_init(&ring, kernel.memory, &kernel.shape);
    ring.frame_limit = 1514;
    ring.linear_limit = 256;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct engine_frame frame = {.bytes = cases[i].bytes, .segments = 1};
        struct vnet_header header = committed_header(&ring, &frame, cases[i].tagged);
        assert_int_equal(header.hdr_len, cases[i].copied);
        assert_int_equal(header.flags, 0);
        assert_int_equal(header.gso_type, 0);
    }
    free(kernel.memory);
}

static void the_vnet_header_says_how_a_run_of_segments_is_cut(void **state)
{
    (void)state;
    struct kernel kernel = kernel_new(2, 8192, 65536, 1);
    struct slotring ring;
    struct engine_segmentation cut = {
        .header_bytes = 42, .payload_bytes = 100, .checksum_start = 34, .checksum_offset = 6};
    struct engine_frame run = {.bytes = 42 + 1010, .segments = 11, .segmentation = &cut};
    struct engine_frame single = {.bytes = 42 + 100, .segments = 1, .segmentation = &cut};
    kernel.shape.vnet = true;
    slotring_init(&ring, kernel.memory, &kernel.shape);
    ring.frame_limit = 1514;
    struct vnet_header header = committed_header(&ring, &run, false);
    assert_int_equal(header.flags, 1);
    assert_int_equal(header.gso_type, 5);
    assert_int_equal(header.hdr_len, 42);
    assert_int_equal(header.gso_size, 100);
    assert_int_equal(header.csum_start, 34);
    assert_int_equal(header.csum_offset, 6);
    header = committed_header(&ring, &single, false);
    assert_int_equal(header.flags, 1);
    assert_int_equal(header.gso_type, 0);
    cut.payload_bytes = 1600; /* one segment is above the MTU */
    assert_int_equal(committed_header(&ring, &run, false).hdr_len, 0xffff);
    cut.payload_bytes = 100;
    ring.linear_limit = 2000;
    assert_int_equal(committed_header(&ring, &run, false).hdr_len, 42 + 1010);
    free(kernel.memory);
}

struct totals {
    uint64_t committed, completed, rejected, withdrawn, kernel_took;
};

static void play_step(struct kernel *kernel, struct slotring *ring, struct totals *totals)
{
    struct engine_result results[3];
    uint32_t slot = (uint32_t)rand() % kernel->slots;
    switch (rand() % 8) {
    case 0:
    case 1:
        totals->committed += put(ring, (uint32_t)rand() % 9);
        break;
    case 2:
        totals->kernel_took +=
            kernel_send(kernel, (uint32_t)rand() % 12, rand() % 4 == 0 ? (uint32_t)rand() % 6 : UINT32_MAX);
        slotring_advance(ring);
        break;
    case 3:
        if (rand() % 4 == 0)
            slotring_withdraw(ring);
        break;
    case 4:
    case 5:
    case 6: /* frames come back in any order */
        if (get(kernel, slot) == SENDING)
            set(kernel, slot, AVAILABLE);
        break;
    default:
        for (uint32_t n = slotring_reap(ring, results, 3), i = 0; i < n; i++) {
            uint64_t *const where[] = {&totals->completed, &totals->rejected, &totals->withdrawn};
            *where[results[i].outcome] += results[i].slots;
        }
    }
    assert_int_equal(totals->committed, totals->completed + totals->rejected + totals->withdrawn +
                                            ring->committed + ring->withdrawn);
    assert_true(ring->unsent <= ring->committed && ring->committed <= ring->slots);
}

static void accounts_balance_under_any_kernel(void **state)
{
    (void)state;
    static const uint32_t frame_sizes[] = {256, 1536, 4096};
    unsigned seed = 20250711;
    printf("seed %u\n", seed);
    srand(seed);
    for (size_t i = 0; i < 3; i++) {
        struct kernel kernel = kernel_new(1 + (uint32_t)i, frame_sizes[i], 4096, 5);
        struct slotring ring;
        struct totals totals = {0};
        struct engine_result results[RESULTS];
        slotring_init(&ring, kernel.memory, &kernel.shape);
        for (uint32_t step = 0; step < STEPS; step++)
            play_step(&kernel, &ring, &totals);
        slotring_withdraw(&ring);
        for (uint32_t slot = 0; slot < kernel.slots; slot++)
            if (get(&kernel, slot) == SENDING)
                set(&kernel, slot, AVAILABLE);
        for (uint32_t n = slotring_reap(&ring, results, RESULTS), r = 0; r < n; r++)
            totals.completed += results[r].outcome == ENGINE_COMPLETED ? results[r].slots : 0;
        assert_int_equal(ring.committed + ring.withdrawn, 0);
        assert_int_equal(totals.completed, totals.kernel_took);
        printf("completed %lu, rejected %lu, withdrawn %lu\n", totals.completed, totals.rejected,
               totals.withdrawn);
        assert_true(totals.completed > STEPS / 100 && totals.rejected > 0 && totals.withdrawn > 0);
        assert_int_equal(ring.next.slot, kernel.head); /* still in step */
        free(kernel.memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_version_writes_status_and_length_where_the_kernel_looks),
        cmocka_unit_test(spans_end_at_holes),
        cmocka_unit_test(a_time_stamp_left_in_the_status_does_not_hold_a_slot),
        cmocka_unit_test(a_bad_slot_is_told_and_filled_again),
        cmocka_unit_test(results_that_do_not_fit_are_told_later),
        cmocka_unit_test(withdrawing_leaves_what_the_kernel_has_begun),
        cmocka_unit_test(the_vnet_header_says_how_a_frame_goes),
        cmocka_unit_test(the_vnet_header_says_how_a_run_of_segments_is_cut),
        cmocka_unit_test(accounts_balance_under_any_kernel),
    };
    return cmocka_run_group_tests_name("slotring", tests, NULL, NULL);
}
