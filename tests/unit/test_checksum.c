/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sums and CRC32c against the plainest reference there is. */
#include "packet/checksum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static uint16_t plain_sum(const uint8_t *frame, size_t from, size_t to)
{
    uint32_t sum = 0;
    for (size_t i = from; i < to; i++) {
        sum += i % 2 == 0 ? (uint32_t)frame[i] << 8 : frame[i];
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

static uint32_t plain_crc32c(const uint8_t *bytes, size_t count)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
    }
    return ~crc;
}

static void fill(uint8_t *bytes, size_t count, unsigned *seed)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)rand_r(seed);
}

static void test_sum_agrees_with_reference_at_every_edge(void **state)
{
    (void)state;
    uint8_t frame[200];
    unsigned seed = 4711;
    print_message("seed %u\n", seed);
    fill(frame, sizeof frame, &seed);
    for (size_t from = 0; from < sizeof frame; from++)
        for (size_t to = from; to <= sizeof frame; to++)
            assert_int_equal(checksum_sum(frame, from, to), plain_sum(frame, from, to));
}

static void test_sum_of_ones_does_not_overflow(void **state)
{
    (void)state;
    static uint8_t frame[65535];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = 0xff;
    assert_int_equal(checksum_sum(frame, 0, sizeof frame), plain_sum(frame, 0, sizeof frame));
}

static void test_sum_of_a_word_is_the_sum_of_its_bytes(void **state)
{
    (void)state;
    unsigned seed = 815;
    for (int round = 0; round < 1000; round++) {
        uint8_t bytes[8];
        uint64_t word = 0;
        fill(bytes, sizeof bytes, &seed);
        for (size_t i = 0; i < sizeof bytes; i++)
            word = word << 8 | bytes[i];
        assert_int_equal(checksum_fold(checksum_of_word(word)), plain_sum(bytes, 0, sizeof bytes));
    }
}

static void test_crc32c_agrees_with_reference(void **state)
{
    (void)state;
    uint8_t bytes[300];
    unsigned seed = 42;
    fill(bytes, sizeof bytes, &seed);
    for (size_t count = 0; count <= sizeof bytes; count++) {
        assert_int_equal(checksum_crc32c(bytes, count), plain_crc32c(bytes, count));
        assert_int_equal(checksum_crc32c_plain(bytes, count), plain_crc32c(bytes, count));
    }
    assert_int_equal(checksum_crc32c((const uint8_t *)"123456789", 9),
                     0xe3069283); /* RFC 3720's check value */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum_agrees_with_reference_at_every_edge),
        cmocka_unit_test(test_sum_of_ones_does_not_overflow),
        cmocka_unit_test(test_sum_of_a_word_is_the_sum_of_its_bytes),
        cmocka_unit_test(test_crc32c_agrees_with_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
