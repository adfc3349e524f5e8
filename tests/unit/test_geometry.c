// SPDX-License-Identifier: GPL-2.0-or-later
/* What geometry chooses always satisfies the kernel's conditions and holds the frame; each condition has its
 * own message. That the conditions are the kernel's is tests/platform/geometry_random's matter. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/geometry.h"

static struct geometry choose(struct geometry_wishes wishes)
{
    struct geometry chosen = {0};
    struct err err;
    if (wishes.page_bytes == 0)
        wishes.page_bytes = 4096;
    if (geometry_choose(&wishes, &chosen, &err) != 0)
        fail_msg("version %u, %u bytes: %s", wishes.version, wishes.largest_bytes, err.text);
    return chosen;
}

static void small_frames_get_a_ring_that_the_cache_holds(void **state)
{
    (void)state;
    struct geometry ring =
        choose((struct geometry_wishes){.version = 2, .largest_bytes = 60, .virtio = true});
    assert_int_equal(ring.frame_size, 256);
    assert_int_equal(ring.frames, 1024);
    assert_true(ring.block_size >= 4096 && ring.block_size <= 65536);
    assert_int_equal(geometry_hole_bytes(&ring), 0);
    assert_int_equal(geometry_memory_bytes(&ring), 256 << 10);
    ring = choose((struct geometry_wishes){.version = 2, .largest_bytes = 1514});
    assert_int_equal(ring.frame_size, 2048);
    assert_int_equal(ring.frames, 1024);
}

static void every_length_fits_in_bounded_memory(void **state)
{
    (void)state;
    for (uint32_t version = 1; version <= 3; version++)
        for (uint32_t page = 4096; page <= 65536; page *= 4)
            for (uint32_t bytes = 14; bytes <= 70000; bytes += bytes < 10000 ? 1 : 97) {
                struct geometry ring = choose((struct geometry_wishes){
                    .version = version, .page_bytes = page, .largest_bytes = bytes, .virtio = true});
                assert_true(ring.frame_size >=
                            geometry_header_bytes(version) + GEOMETRY_VIRTIO_BYTES + bytes);
                assert_true(ring.frames >= 64);
                assert_true(geometry_memory_bytes(&ring) <= 8 << 20);
                assert_true(geometry_hole_bytes(&ring) <= ring.block_size / 8 || ring.block_size >= 1 << 20);
            }
}

static void wishes_are_kept_and_frames_fill_blocks(void **state)
{
    (void)state;
    struct geometry ring = choose(
        (struct geometry_wishes){.version = 2, .largest_bytes = 60, .frames = 100, .frame_size = 1008});
    assert_int_equal(ring.frame_size, 1008);
    assert_true(ring.frames >= 100);
    assert_int_equal(ring.frames, ring.block_size / 1008 * ring.blocks);
    ring = choose((struct geometry_wishes){.version = 2, .largest_bytes = 60, .frames = 8});
    assert_int_equal(ring.frames, 16);
    assert_int_equal(ring.block_size, 4096);
    ring = choose((struct geometry_wishes){.version = 3, .largest_bytes = 60, .block_size = 8192});
    assert_int_equal(ring.block_size, 8192);
    assert_int_equal(ring.frames, 1024);
}

static void wishes_that_cannot_be_are_refused_and_say_why(void **state)
{
    (void)state;
    static const struct {
        struct geometry_wishes wishes;
        const char *words;
    } rows[] = {
        {{2, 4096, 9000, false, 0, 2048, 0}, "write 9040 or more"},
        {{2, 4096, 60, false, 0, 250, 0}, "no multiple of 16; write 256"},
        {{2, 4096, 60, false, 0, 0, 5000}, "no multiple of the page size"},
        {{2, 4096, 60, false, 0, 8192, 4096}, "larger than a block"},
        {{2, 4096, 2 << 20, false, 0, 0, 0}, "no slot holds"},
        {{4, 4096, 60, false, 0, 0, 0}, "write 1, 2 or 3"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct geometry untouched = {1, 2, 3, 4};
        struct err err = {0};
        assert_int_equal(geometry_choose(&rows[i].wishes, &untouched, &err), -EINVAL);
        if (strstr(err.text, rows[i].words) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", err.text, rows[i].words);
        assert_int_equal(untouched.frame_size, 1);
    }
}

static void each_condition_has_its_message(void **state)
{
    (void)state;
    static const struct {
        uint32_t version;
        struct geometry geometry; /* frame_size, frames, block_size, blocks */
        const char *words;        /* NULL: is right */
    } rows[] = {
        {2, {256, 1024, 65536, 4}, NULL},
        {2, {64, 64, 4096, 1}, NULL},
        {3, {80, 51, 4096, 1}, NULL},
        {0, {256, 1024, 65536, 4}, "version 0"},
        {2, {256, 1024, 0, 4}, "block_size 0 is out of range"},
        {2, {256, 1024, 0x80000000, 4}, "out of range"},
        {2, {256, 1024, 65537, 4}, "page size"},
        {2, {48, 85, 4096, 1}, "at least 64"},
        {3, {64, 64, 4096, 1}, "at least 80"},
        {2, {72, 56, 4096, 1}, "write 80"},
        {2, {8192, 1, 4096, 1}, "larger than a block"},
        {2, {256, 0, 4096, 0}, "at least one block"},
        {2, {256, 15, 4096, 1}, "do not fill 1 blocks of 16; write 16"},
        {2, {64, 0, 1 << 30, 256}, "cannot be counted"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err err = {0};
        int rc = geometry_check(rows[i].version, 4096, &rows[i].geometry, &err);
        assert_int_equal(rc, rows[i].words == NULL ? 0 : -EINVAL);
        if (rows[i].words != NULL && strstr(err.text, rows[i].words) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", err.text, rows[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_frames_get_a_ring_that_the_cache_holds),
        cmocka_unit_test(every_length_fits_in_bounded_memory),
        cmocka_unit_test(wishes_are_kept_and_frames_fill_blocks),
        cmocka_unit_test(wishes_that_cannot_be_are_refused_and_say_why),
        cmocka_unit_test(each_condition_has_its_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
