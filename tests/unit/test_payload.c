/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Payloads: every kind fills every length with the bytes it promises and not one more; what cannot be is
 * refused with a remedy; files only where they may be read. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "packet/value.h"
#include "reading.h"

/* Reads of so many bytes at most, every second one interrupted; or none at all. */
static struct {
    bool meddles;
    size_t most;
    int error;
    unsigned calls;
} reads;

ssize_t read(int fd, void *out, size_t bytes)
{
    if (reads.meddles && (reads.error != 0 || ++reads.calls % 2 == 0)) {
        errno = reads.error != 0 ? reads.error : EINTR;
        return -1;
    }
    return syscall(SYS_read, fd, out, reads.meddles && bytes > reads.most ? reads.most : bytes);
}

enum { ROOM = 300, GUARD = 0xa5 };

static struct payload *payload_of(const char *text, bool may_read_files)
{
    struct payload *payload = NULL;
    struct reading reading = reading_of(text);
    if (payload_compile(reading_node(&reading, "payload"), may_read_files, &payload, reading.complaints) != 0)
        fail_msg("%s: %s", text, complaints_get(reading.complaints, 0)->text);
    reading_end(&reading);
    return payload;
}

/* expected is the beginning of what any length gives. */
static void assert_fill(const char *text, const char *description, const uint8_t *expected, size_t known)
{
    uint8_t out[ROOM], longest[ROOM];
    struct payload *payload = payload_of(text, false);
    assert_string_equal(payload_describe(payload), description);
    payload_fill(payload, longest, sizeof longest);
    if (memcmp(longest, expected, known) != 0)
        fail_msg("%s begins %02x %02x %02x %02x", text, longest[0], longest[1], longest[2], longest[3]);
    for (size_t bytes = 0; bytes < ROOM; bytes++) {
        memset(out, GUARD, sizeof out);
        payload_fill(payload, out, bytes);
        assert_memory_equal(out, longest, bytes);
        for (size_t i = bytes; i < ROOM; i++)
            assert_int_equal(out[i], GUARD);
    }
    payload_free(payload);
}
#define ASSERT_FILL(text, description, ...) \
    assert_fill(text, description, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void every_kind_fills_as_promised(void **unused)
{
    (void)unused;
    ASSERT_FILL("", "zeros", 0, 0, 0, 0);
    ASSERT_FILL("payload = \"zeros\";", "zeros", 0, 0, 0, 0);
    ASSERT_FILL("payload = \"ones\";", "ones", 255, 255, 255);
    ASSERT_FILL("payload = { byte = 0x55; };", "byte 0x55", 0x55, 0x55, 0x55);
    ASSERT_FILL("payload = { byte = \"0\"; };", "zeros", 0, 0);
    ASSERT_FILL("payload = { word = 0xcafe; };", "word 0xcafe", 0xca, 0xfe, 0xca, 0xfe, 0xca);
    ASSERT_FILL("payload = { increment = \"bytes\"; from = 254; };", "incrementing bytes from 254, step 1",
                254, 255, 0, 1);
    ASSERT_FILL("payload = { increment = \"bytes\"; step = 3; };", "incrementing bytes from 0, step 3", 0, 3,
                6);
    ASSERT_FILL("payload = { decrement = \"bytes\"; from = 1; };", "decrementing bytes from 1, step 1", 1, 0,
                255);
    ASSERT_FILL("payload = { increment = \"words\"; from = 0xfffe; };",
                "incrementing words from 65534, step 1", 0xff, 0xfe, 0xff, 0xff, 0, 0, 0, 1);
    ASSERT_FILL("payload = { decrement = \"words\"; from = 1; };", "decrementing words from 1, step 1", 0, 1,
                0, 0, 0xff, 0xff);
    ASSERT_FILL("payload = \"incrementing bytes\";", "incrementing bytes", 0, 1, 2, 3);
    ASSERT_FILL("payload = \"decrementing bytes\";", "decrementing bytes", 255, 254);
    ASSERT_FILL("payload = \"incrementing words\";", "incrementing words", 0, 0, 0, 1, 0, 2);
    ASSERT_FILL("payload = \"decrementing words\";", "decrementing words", 255, 255, 255, 254);
    ASSERT_FILL("payload = { text = \"hello\"; };", "text, 5 bytes", 'h', 'e', 'l', 'l', 'o', 0, 0, 0);
    ASSERT_FILL("payload = { text = \"ab\"; repeat = true; };", "text, 2 bytes, repeated", 'a', 'b', 'a', 'b',
                'a');
    ASSERT_FILL("payload = { hex = \"de:AD be-ef\"; };", "hex, 4 bytes", 0xde, 0xad, 0xbe, 0xef, 0);
}

static void prbs_is_the_sequence_of_its_polynomial(void **unused)
{
    enum { BYTES = 1 << 20 }; /* one full period of 2^23 - 1 bits, and one bit more */
    (void)unused;
    struct payload *payload = payload_of("payload = { prbs = 23; };", false);
    uint8_t *out = malloc(BYTES);
    assert_non_null(out);
    payload_fill(payload, out, BYTES);
    uint64_t ones = 0;
    for (uint32_t i = 0; i < (1u << 23) - 1; i++) {
#define BIT(n) ((unsigned)out[(n) / 8] >> (7 - (n) % 8) & 1)
        ones += BIT(i);
        if (i < 23)
            assert_int_equal(BIT(i), 1);
        else
            assert_int_equal(BIT(i), BIT(i - 23) ^ BIT(i - 18));
    }
    assert_int_equal(ones, 1u << 22); /* a maximal sequence has one more one than zeros */
    assert_int_equal(BIT((1u << 23) - 1), 1);
    free(out);
    payload_free(payload);
}

static void random_repeats_for_its_seed_only(void **unused)
{
    uint8_t one[4096], two[4096], other[4096];
    unsigned ones = 0;
    (void)unused;
    struct payload *payloads[] = {payload_of("payload = { random = 1; };", false),
                                  payload_of("payload = \"random\";", false),
                                  payload_of("payload = { random = 2; };", false)};
    payload_fill(payloads[0], one, sizeof one);
    payload_fill(payloads[1], two, sizeof two);
    payload_fill(payloads[2], other, sizeof other);
    assert_memory_equal(one, two, sizeof one);
    assert_memory_not_equal(one, other, 16);
    for (size_t i = 0; i < sizeof one; i++)
        ones += (unsigned)__builtin_popcount(one[i]);
    assert_in_range(ones, 16384 - 453, 16384 + 453); /* five standard deviations */
    for (size_t i = 0; i < 3; i++)
        payload_free(payloads[i]);
}

static void files_are_read_where_they_may_be(void **unused)
{
    char path[] = "/tmp/volleyd-test-XXXXXX", text[100];
    uint8_t out[8];
    struct payload *payload;
    (void)unused;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "\x01\0\x02", 3), 3);
    snprintf(text, sizeof text, "payload = { file = \"%s\"; repeat = true; };", path);
    payload = payload_of(text, true);
    payload_fill(payload, out, sizeof out);
    assert_memory_equal(out, "\x01\0\x02\x01\0\x02\x01\0", 8);
    payload_free(payload);

    struct reading reading = reading_of(text);
    assert_int_not_equal(
        payload_compile(reading_node(&reading, "payload"), false, &payload, reading.complaints), 0);
    assert_complaint(&reading, "only in the configuration file");
    reading_end(&reading);

    assert_int_equal(ftruncate(fd, 65536), 0);
    reading = reading_of(text);
    assert_int_not_equal(
        payload_compile(reading_node(&reading, "payload"), true, &payload, reading.complaints), 0);
    assert_complaint(&reading, "65536 bytes; it must have 1 … 65535");
    reading_end(&reading);
    close(fd);
    unlink(path);
}

static void what_cannot_be_is_refused_with_a_remedy(void **unused)
{
    static const struct {
        const char *text, *complaint;
    } rows[] = {
        {"payload = \"hello\";", "a group such as { text ="},
        {"payload = 5;", "a payload is a group"},
        {"payload = {};", "a payload needs one of byte"},
        {"payload = { byte = 256; };", "byte 256 is out of range; it is 0 … 255"},
        {"payload = { byte = -1; };", "byte -1 is out of range; it is 0 … 255"},
        {"payload = { word = 65536; };", "it is 0 … 65535"},
        {"payload = { byte = 1; text = \"x\"; };", "byte and text exclude each other"},
        {"payload = { byte = 1; from = 1; };", "unknown key `from`"},
        {"payload = { increment = \"bites\"; };", "`bytes`?"},
        {"payload = { increment = \"bytes\"; from = 256; };", "from 256 is out of range; it is 0 … 255"},
        {"payload = { increment = \"bytes\"; step = 0; };", "step 0 is out of range; it is 1 … 255"},
        {"payload = { increment = 5; };", "it must be bytes or words"},
        {"payload = { prbs = 7; };", "it is 23 … 23"},
        {"payload = { text = \"\"; };", "text has 0 bytes; it must have 1"},
        {"payload = { text = 5; };", "it must be text"},
        {"payload = { text = \"x\"; repeat = 1; };", "it must be true or false"},
        {"payload = { hex = \"abc\"; };", "pairs of hexadecimal digits"},
        {"payload = { hex = \"gg\"; };", "pairs of hexadecimal digits"},
        {"payload = { hex = 12; };", "pairs of hexadecimal digits"},
        {"payload = { file = \"/nonexistent/x\"; };", "cannot read /nonexistent/x: No such file"},
        {"payload = { file = \"/dev/zero\"; };", "/dev/zero is not a regular file"},
        {"payload = { file = \"/dev\"; };", "/dev is not a regular file"},
        {"payload = { file = 5; };", "it must be a path"},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct reading reading = reading_of(rows[i].text);
        struct payload *untouched = (struct payload *)&reading;
        assert_int_not_equal(
            payload_compile(reading_node(&reading, "payload"), true, &untouched, reading.complaints), 0);
        assert_ptr_equal(untouched, &reading);
        assert_complaint(&reading, rows[i].complaint);
        reading_end(&reading);
    }
}

static void a_file_is_read_in_pieces_or_said_to_be_unreadable(void **unused)
{
    char path[] = "/tmp/volleyd-payload-XXXXXX", text[100];
    uint8_t out[12];
    int fd = mkstemp(path);
    (void)unused;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "0123456789", 10), 10);
    close(fd);
    snprintf(text, sizeof text, "payload = { file = \"%s\"; };", path);
    struct reading reading = reading_of(text);
    struct payload *payload = NULL;
    reads.meddles = true;
    reads.most = 3;
    errno = EINTR; /* of something else */
    int result = payload_compile(reading_node(&reading, "payload"), true, &payload, reading.complaints);
    reads.error = EIO;
    struct payload *untouched = NULL;
    int failed = payload_compile(reading_node(&reading, "payload"), true, &untouched, reading.complaints);
    reads.meddles = false;
    assert_int_equal(result, 0);
    payload_fill(payload, out, sizeof out);
    assert_memory_equal(out, "0123456789\0\0", sizeof out);
    assert_string_equal(payload_describe(payload), "file, 10 bytes");
    assert_true(failed == -EINVAL && untouched == NULL);
    assert_complaint(&reading, "Input/output error");
    payload_free(payload);
    reading_end(&reading);
    unlink(path);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_fills_as_promised),
        cmocka_unit_test(prbs_is_the_sequence_of_its_polynomial),
        cmocka_unit_test(random_repeats_for_its_seed_only),
        cmocka_unit_test(files_are_read_where_they_may_be),
        cmocka_unit_test(what_cannot_be_is_refused_with_a_remedy),
        cmocka_unit_test(a_file_is_read_in_pieces_or_said_to_be_unreadable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
