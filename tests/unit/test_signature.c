/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signatures: what is written is read back by the same run only, at the place where it was put, and no
 * Internet checksum notices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "packet/signature.h"

enum { FRAME_BYTES = 200 };

static const struct signature_stamp stamp = {
    .nonce = 0xdecade11, .stream = 7, .sequence = 0xfffffffe, .time_ns = UINT64_C(0x123456789abc)};

static uint64_t state;

static uint32_t draw(void) /* xorshift64*; its seed is printed by main */
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)(state * UINT64_C(2685821657736338717) >> 32);
}

/* RFC 1071, byte by byte, from any offset. */
static uint16_t internet_checksum(const uint8_t *at, size_t bytes)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum += i % 2 == 0 ? (uint64_t)at[i] << 8 : at[i];
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void what_is_written_is_read(void **unused)
{
    uint8_t bytes[SIGNATURE_BYTES];
    struct signature out;
    (void)unused;
    signature_write(bytes, &stamp);
    assert_true(signature_read(bytes, stamp.nonce, &out));
    assert_int_equal(out.stream, 7);
    assert_int_equal(out.sequence, 0xfffffffe);
    assert_int_equal(out.time_16ns, 0x456789ab);
}

static void the_layout_is_as_documented(void **unused)
{
    static const uint8_t expected[12] = {0x76, 0x4f, 0x00, 0x01, 0, 0, 0, 2, 0, 0, 0, 3};
    uint8_t bytes[SIGNATURE_BYTES];
    (void)unused;
    signature_write(bytes, &(struct signature_stamp){.stream = 1, .sequence = 2, .time_ns = 3 << 4});
    assert_memory_equal(bytes, expected, sizeof expected);
}

static void another_run_is_foreign(void **unused)
{
    uint8_t bytes[SIGNATURE_BYTES];
    struct signature out;
    unsigned taken = 0;
    (void)unused;
    signature_write(bytes, &stamp);
    for (int i = 0; i < 100000; i++) {
        uint32_t nonce = draw();
        taken += nonce != stamp.nonce && signature_read(bytes, nonce, &out);
    }
    assert_in_range(taken, 0, 12); /* 1.5 expected: one nonce in 65,536 */
}

static void no_checksum_notices(void **unused)
{
    uint8_t frame[FRAME_BYTES];
    (void)unused;
    for (int i = 0; i < 20000; i++) {
        for (size_t b = 0; b < sizeof frame; b++)
            frame[b] = (uint8_t)draw();
        uint8_t *at = frame + draw() % (FRAME_BYTES - SIGNATURE_BYTES);
        memset(at, 0, SIGNATURE_BYTES);
        uint16_t before = internet_checksum(frame, sizeof frame);
        signature_write(at, &(struct signature_stamp){draw(), (uint16_t)(draw() | 1), draw(),
                                                      (uint64_t)draw() << 32 | draw()});
        assert_int_equal(internet_checksum(frame, sizeof frame), before);
    }
}

static void any_changed_bit_is_noticed(void **unused)
{
    uint8_t bytes[SIGNATURE_BYTES];
    struct signature out = {0};
    (void)unused;
    signature_write(bytes, &stamp);
    for (unsigned bit = 0; bit < 8 * SIGNATURE_BYTES; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(signature_read(bytes, stamp.nonce, &out));
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(out.stream, 0);
}

static void zeros_and_ones_are_no_signature(void **unused)
{
    uint8_t bytes[SIGNATURE_BYTES];
    struct signature out;
    (void)unused;
    for (uint32_t nonce = 0; nonce < 65536; nonce++) {
        memset(bytes, 0, sizeof bytes);
        assert_false(signature_read(bytes, nonce, &out));
    }
    memset(bytes, 0xff, sizeof bytes);
    assert_false(signature_read(bytes, stamp.nonce, &out));
}

/* ---- finding ---- */

static const struct shape {
    const char *name;
    size_t bytes; /* of headers */
    uint8_t header[64];
    size_t length_at; /* of the IP length field; 0: no IP */
    size_t length_from;
} shapes[] = {
    {"ipv4", 34, {[12] = 0x08, 0x00, [14] = 0x45}, 16, 14},
    {"ipv6", 54, {[12] = 0x86, 0xdd, [14] = 0x60}, 18, 54},
    {"vlan ipv4", 38, {[12] = 0x81, 0x00, 0, 5, 0x08, 0x00, 0x45}, 20, 18},
    {"qinq ipv6", 62, {[12] = 0x88, 0xa8, 0, 5, 0x81, 0x00, 0, 6, 0x86, 0xdd, 0x60}, 26, 62},
    {"mpls ipv4", 42, {[12] = 0x88, 0x47, 0, 0, 0x10, 64, 0, 0, 0x21, 64, 0x45}, 24, 22},
    {"vlan mpls ipv6", 62, {[12] = 0x81, 0x00, 0, 5, 0x88, 0x47, 0, 0, 0x21, 64, 0x60}, 26, 62},
    {"not ip", 14, {[12] = 0x88, 0xb5}, 0, 0},
};

/* A frame of this shape with so many bytes after the headers, its signature, and padding. Its length. */
static uint32_t build(const struct shape *shape, uint8_t *frame, size_t payload, size_t padding)
{
    size_t end = shape->bytes + payload;
    memset(frame, 0x5a, FRAME_BYTES);
    memcpy(frame, shape->header, shape->bytes);
    if (shape->length_at != 0) {
        frame[shape->length_at] = (uint8_t)((end - shape->length_from) >> 8);
        frame[shape->length_at + 1] = (uint8_t)(end - shape->length_from);
    }
    signature_write(frame + end - SIGNATURE_BYTES, &stamp);
    return (uint32_t)(end + padding);
}

static void found_in_every_shape_padded_or_not(void **unused)
{
    uint8_t frame[FRAME_BYTES];
    (void)unused;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        for (size_t padding = 0; padding <= (shapes[i].length_at != 0 ? 9 : 0); padding++) {
            struct signature out = {0};
            uint32_t length = build(&shapes[i], frame, 40, padding);
            if (!signature_find(frame, length, length, stamp.nonce, &out))
                fail_msg("%s with %zu bytes of padding: not found", shapes[i].name, padding);
            assert_int_equal(out.sequence, stamp.sequence);
        }
    }
}

static void found_at_the_end_when_a_tunnel_hides_the_datagram(void **unused)
{
    uint8_t frame[FRAME_BYTES];
    struct signature out;
    (void)unused;
    uint32_t length = build(&shapes[0], frame, 40, 0);
    frame[17] = 21; /* an IP length that says less than there is */
    assert_true(signature_find(frame, length, length, stamp.nonce, &out));
}

/* malloc'ed to the byte, so that the address sanitizer sees every look beyond the captured bytes. */
static void truncated_frames_are_foreign_and_never_overread(void **unused)
{
    uint8_t frame[FRAME_BYTES];
    (void)unused;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        uint32_t length = build(&shapes[i], frame, 40, 0);
        for (uint32_t captured = 0; captured < length; captured++) {
            struct signature out;
            uint8_t *copy = malloc(captured + 1);
            assert_non_null(copy);
            memcpy(copy, frame, captured);
            uint8_t *end = memmove(copy + 1, copy, captured); /* its last byte is the allocation's last */
            assert_false(signature_find(end, captured, length, stamp.nonce, &out));
            free(copy);
        }
    }
}

/* Three segments of 30 bytes behind headers of 42, where the first of the run is not the stream's first. */
static void segments_of_an_uncut_run_are_counted(void **unused)
{
    enum { HEADERS = 42, SEGMENT = 30, SEGMENTS = 3, BYTES = HEADERS + SEGMENT * SEGMENTS };
    uint8_t frame[BYTES] = {0};
    struct signature last;
    struct signature_stamp next = stamp;
    (void)unused;
    for (uint32_t i = 1; i <= SEGMENTS; i++, next.sequence++)
        signature_write(frame + HEADERS + i * SEGMENT - SIGNATURE_BYTES, &next);
    assert_true(signature_find(frame, BYTES, BYTES, stamp.nonce, &last));
    assert_int_equal(last.end, BYTES);
    assert_int_equal(last.sequence, 0); /* numbers wrap */
    assert_int_equal(signature_run(frame, &last, SEGMENT, stamp.nonce), 3);
    assert_int_equal(signature_run(frame, &last, SEGMENT - 1, stamp.nonce), 1);
    assert_int_equal(signature_run(frame, &last, BYTES + 1, stamp.nonce), 1);
    frame[HEADERS + SEGMENT - 1] ^= 1; /* the first is spoilt */
    assert_int_equal(signature_run(frame, &last, SEGMENT, stamp.nonce), 2);
    next.sequence = 5; /* the second is another frame's */
    signature_write(frame + HEADERS + 2 * SEGMENT - SIGNATURE_BYTES, &next);
    assert_int_equal(signature_run(frame, &last, SEGMENT, stamp.nonce), 1);
}

static void noise_is_foreign(void **unused)
{
    uint8_t frame[FRAME_BYTES];
    unsigned found = 0;
    (void)unused;
    for (int i = 0; i < 100000; i++) {
        struct signature out;
        uint32_t length = 1 + draw() % FRAME_BYTES;
        for (size_t b = 0; b < sizeof frame; b++)
            frame[b] = (uint8_t)draw();
        memcpy(frame, shapes[i % 7].header, 30);
        found += signature_find(frame, length, length, stamp.nonce, &out);
    }
    assert_in_range(found, 0, 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_layout_is_as_documented),
        cmocka_unit_test(another_run_is_foreign),
        cmocka_unit_test(no_checksum_notices),
        cmocka_unit_test(any_changed_bit_is_noticed),
        cmocka_unit_test(zeros_and_ones_are_no_signature),
        cmocka_unit_test(found_in_every_shape_padded_or_not),
        cmocka_unit_test(found_at_the_end_when_a_tunnel_hides_the_datagram),
        cmocka_unit_test(truncated_frames_are_foreign_and_never_overread),
        cmocka_unit_test(segments_of_an_uncut_run_are_counted),
        cmocka_unit_test(noise_is_foreign),
    };
    state = 20240601;
    printf("# seed %llu\n", (unsigned long long)state);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
