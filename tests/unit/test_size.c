/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frame sizes: every way to say them gives the frames that it promises, in an order without swings, and what
 * cannot be is refused with a remedy. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/units.h"
#include "packet/value.h"
#include "reading.h"

enum { SMALLEST = 14, LARGEST = 65535, FRAMES_MAX = 20000 };

static int compile(const char *text, uint32_t smallest, uint32_t largest, struct sizes **out,
                   struct reading *reading)
{
    *reading = reading_of(text);
    return sizes_compile(tree_root(reading->tree), reading_node(reading, "size"),
                         reading_node(reading, "mix"), smallest, largest, out, reading->complaints);
}

static struct sizes *sizes_of(const char *text)
{
    struct reading reading;
    struct sizes *sizes = NULL;
    if (compile(text, SMALLEST, LARGEST, &sizes, &reading) != 0)
        fail_msg("%s: %s", text, complaints_get(reading.complaints, 0)->text);
    reading_end(&reading);
    return sizes;
}

/* The first frames of one part, with FCS as a person counts them. */
static void draw(const struct sizes *sizes, uint32_t part, uint32_t parts, uint32_t *out, size_t frames)
{
    struct size_cursor cursor;
    sizes_begin(sizes, &cursor, part, parts);
    for (size_t i = 0; i < frames; i++, sizes_step(sizes, &cursor)) {
        assert_in_range(cursor.next, 0, sizes_count(sizes) - 1);
        out[i] = sizes_distinct(sizes, cursor.next) + FCS_BYTES;
    }
}

static void assert_frames(const char *text, const uint32_t *expected, size_t frames)
{
    uint32_t got[64];
    struct sizes *sizes = sizes_of(text);
    draw(sizes, 0, 1, got, frames);
    for (size_t i = 0; i < frames; i++)
        if (got[i] != expected[i])
            fail_msg("%s: frame %zu has %u bytes, not %u", text, i, got[i], expected[i]);
    sizes_free(sizes);
}
#define ASSERT_FRAMES(text, ...)                         \
    assert_frames(text, (const uint32_t[]){__VA_ARGS__}, \
                  sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void one_size_in_every_notation(void **unused)
{
    (void)unused;
    ASSERT_FRAMES("", 64, 64);
    ASSERT_FRAMES("size = 1518;", 1518, 1518);
    ASSERT_FRAMES("size = \"9000\";", 9000, 9000);
    ASSERT_FRAMES("size = \"4KiB\";", 4096);
    ASSERT_FRAMES("mix = ( { size = 100; } );", 100, 100);
}

static void ranges_go_round(void **unused)
{
    (void)unused;
    ASSERT_FRAMES("size = { op = \"increment\"; from = 64; to = 66; };", 64, 65, 66, 64);
    ASSERT_FRAMES("size = { op = \"increment\"; from = 64; to = 75; step = 5; };", 64, 69, 74, 64);
    ASSERT_FRAMES("size = { op = \"decrement\"; from = 75; to = 64; step = 5; };", 75, 70, 65, 75);
    ASSERT_FRAMES("size = { op = \"increment\"; from = 64; to = 64; };", 64, 64);
}

static void genomes_are_rfc_6985(void **unused)
{
    (void)unused;
    ASSERT_FRAMES("size = \"aaafg\";", 64, 64, 64, 1280, 1518, 64);
    ASSERT_FRAMES("size = \"abcdefghij\";", 64, 128, 256, 512, 1024, 1280, 1518, 2112, 9000, 16000, 64);
    ASSERT_FRAMES("size = { genome = \"aZz\"; Z = 200; z = 1500; };", 64, 200, 1500, 64);
    ASSERT_FRAMES("size = { genome = \"ab\"; a = 70; };", 70, 128);
}

/* Of those that are as far behind the first goes, and what is furthest behind goes before. */
static void the_order_of_a_mix_is_for_ever(void **unused)
{
    (void)unused;
    ASSERT_FRAMES("size = \"simple\";", 64, 594, 64, 64, 594, 64, 1518, 64, 594, 64, 594, 64, 64);
    ASSERT_FRAMES("mix = ( { size = 64; }, { size = 100; } );", 64, 100, 64, 100);
    ASSERT_FRAMES("mix = ( { size = 100; }, { size = 64; }, { size = 80; } );", 100, 64, 80, 100);
}

/* As many as there may be, and one more. */
static void the_most_is_accepted(void **unused)
{
    static const struct {
        const char *format, *complaint;
        unsigned most, step;
    } rows[] = {
        {"size = { op = \"random\"; from = 64; to = %u; };", "2049 different sizes; at most 2048: step = 2",
         64 + 2047, 1},
        {"size = { op = \"increment\"; from = 64; to = %u; step = 3; };",
         "2049 different sizes; at most 2048: step = 4 would do", 64 + 3 * 2048 - 1, 1},
        {"size = %u;", "it is at most 65539", 65539, 1},
        {"mix = ( { size = 64; weight = %u; }, { size = 65; weight = 1; } );", "a mix of 65537 frames", 65535,
         1},
        {"mix = ( { size = 64; weight = %u; } );", "weight must be a number above 0", 1000000000, 1},
        {"mix = ( { size = 64; weight = %u.0; } );", "weight must be a number above 0", 1000000000, 1},
        {"mix = ( { size = 64; weight = \"%u\"; } );", "weight must be a number above 0", 1000000000, 1},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[200];
        struct reading reading;
        struct sizes *sizes = NULL;
        snprintf(text, sizeof text, rows[i].format, rows[i].most);
        sizes_free(sizes_of(text));
        snprintf(text, sizeof text, rows[i].format, rows[i].most + rows[i].step);
        assert_int_not_equal(compile(text, SMALLEST, LARGEST, &sizes, &reading), 0);
        assert_complaint(&reading, rows[i].complaint);
        reading_end(&reading);
    }
    sizes_free(sizes_of("size = 18;"));
    sizes_free(sizes_of("mix = ( { size = 64; weight = 0.0001; }, { size = 65; weight = \"0.0003\"; } );"));
}

static void long_lists_and_genomes_have_a_bound(void **unused)
{
    enum { MIX = 256, GENES = 65536 };
    static char text[GENES + 100];
    struct reading reading;
    struct sizes *sizes = NULL;
    (void)unused;
    for (unsigned count = MIX; count <= MIX + 1; count++) {
        size_t used = (size_t)sprintf(text, "mix = (");
        for (unsigned i = 0; i < count; i++)
            used += (size_t)sprintf(text + used, "%s{ size = %u; }", i > 0 ? "," : "", 64 + i);
        strcpy(text + used, ");");
        assert_int_equal(compile(text, SMALLEST, LARGEST, &sizes, &reading), count == MIX ? 0 : -EINVAL);
        if (count == MIX)
            assert_int_equal(sizes_count(sizes), MIX);
        reading_end(&reading);
    }
    sizes_free(sizes);
    for (unsigned count = GENES; count <= GENES + 1; count++) {
        strcpy(text, "size = \"");
        memset(text + 8, 'a', count);
        strcpy(text + 8 + count, "\";");
        assert_int_equal(compile(text, SMALLEST, LARGEST, &sizes, &reading), count == GENES ? 0 : -EINVAL);
        reading_end(&reading);
    }
    sizes_free(sizes);
}

static void the_mean_counts_every_frame_of_the_period(void **unused)
{
    static const struct {
        const char *text;
        uint64_t bytes, frames;
    } rows[] = {
        {"", 60, 1},
        {"size = \"aab\";", 60 + 60 + 124, 3},
        {"size = { op = \"random\"; from = 64; to = 66; };", 60 + 61 + 62, 3},
        {"size = { op = \"decrement\"; from = 66; to = 64; };", 60 + 61 + 62, 3},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t bytes, frames;
        struct sizes *sizes = sizes_of(rows[i].text);
        sizes_mean(sizes, &bytes, &frames);
        assert_int_equal(bytes, rows[i].bytes);
        assert_int_equal(frames, rows[i].frames);
        sizes_free(sizes);
    }
}

/* count[i] frames of sizes[i] in every period, and never more than one frame from the share on the way. */
static void assert_mix(const char *text, const uint32_t *values, const uint32_t *weights, size_t count)
{
    static uint32_t got[FRAMES_MAX];
    uint32_t period = 0;
    uint64_t bytes, frames, expected = 0;
    struct sizes *sizes = sizes_of(text);
    for (size_t i = 0; i < count; i++) {
        period += weights[i];
        expected += (uint64_t)weights[i] * (values[i] - FCS_BYTES);
    }
    sizes_mean(sizes, &bytes, &frames);
    assert_true(bytes * period == expected * frames);
    draw(sizes, 0, 1, got, FRAMES_MAX);
    for (size_t i = 0; i < count; i++) {
        uint64_t seen = 0;
        for (uint64_t n = 1; n <= FRAMES_MAX; n++) {
            seen += got[n - 1] == values[i];
            int64_t off = (int64_t)(seen * period) - (int64_t)(n * weights[i]);
            if (llabs(off) > period)
                fail_msg("%s: %llu of %llu frames have %u bytes", text, (unsigned long long)seen,
                         (unsigned long long)n, values[i]);
        }
    }
    sizes_free(sizes);
}

static void mixes_hold_their_shares_at_every_frame(void **unused)
{
    (void)unused;
    assert_mix("size = \"simple\";", (const uint32_t[]){64, 594, 1518}, (const uint32_t[]){7, 4, 1}, 3);
    assert_mix("size = \"imix\";", (const uint32_t[]){64, 594, 1518}, (const uint32_t[]){7, 4, 1}, 3);
    assert_mix("size = \"tcp\";", (const uint32_t[]){90, 92, 594, 1518},
               (const uint32_t[]){5867, 200, 2366, 1567}, 4);
    assert_mix("size = \"ipv6\";", (const uint32_t[]){78, 514, 594, 1518},
               (const uint32_t[]){5867, 200, 2366, 1567}, 4);
    assert_mix("size = \"ipsec\";", (const uint32_t[]){90, 92, 594, 1418},
               (const uint32_t[]){5867, 200, 2366, 1567}, 4);
    assert_mix(
        "mix = ( { size = 64; weight = 700; }, { size = 594; weight = 400; }, { size = 1518; weight = 100; "
        "} );",
        (const uint32_t[]){64, 594, 1518}, (const uint32_t[]){7, 4, 1}, 3);
    assert_mix("mix = ( { size = 64; weight = 58.67; }, { size = 100; weight = \"41.33\"; } );",
               (const uint32_t[]){64, 100}, (const uint32_t[]){5867, 4133}, 2);
    assert_mix("mix = ( { size = 64; weight = 1; }, { size = 100; }, { size = 64; weight = 2; } );",
               (const uint32_t[]){64, 100}, (const uint32_t[]){3, 1}, 2);
}

static void the_bit_rate_of_a_mix_is_even_over_a_hundred_frames(void **unused)
{
    uint32_t got[1300];
    (void)unused;
    struct sizes *sizes = sizes_of("size = \"simple\";");
    draw(sizes, 0, 1, got, 1300);
    double mean = (7 * 64 + 4 * 594 + 1518) / 12.0;
    for (size_t first = 0; first + 100 <= 1300; first++) {
        double sum = 0;
        for (size_t i = 0; i < 100; i++)
            sum += got[first + i];
        assert_true(sum > 100 * mean * 0.97 && sum < 100 * mean * 1.03);
    }
    sizes_free(sizes);
}

static void random_sizes_are_even_and_repeat_for_their_seed(void **unused)
{
    static uint32_t one[FRAMES_MAX], two[FRAMES_MAX], other[FRAMES_MAX];
    unsigned seen[20] = {0}, same = 0;
    (void)unused;
    struct sizes *sizes = sizes_of("size = { op = \"random\"; from = 64; to = 83; seed = 9; };");
    struct sizes *others = sizes_of("size = { op = \"random\"; from = 64; to = 83; seed = 10; };");
    draw(sizes, 0, 1, one, FRAMES_MAX);
    draw(sizes, 0, 1, two, FRAMES_MAX);
    draw(others, 0, 1, other, FRAMES_MAX);
    assert_memory_equal(one, two, sizeof one);
    for (size_t i = 0; i < FRAMES_MAX; i++) {
        seen[one[i] - 64]++;
        same += one[i] == other[i];
    }
    for (size_t i = 0; i < 20; i++)
        assert_in_range(seen[i], 1000 - 160, 1000 + 160); /* five standard deviations */
    assert_in_range(same, 1000 - 160, 1000 + 160);
    sizes_free(sizes);
    sizes_free(others);
}

static void parts_together_are_the_whole(void **unused)
{
    static const char *const texts[] = {"size = \"simple\";", "size = \"aaafg\";",
                                        "size = { op = \"random\"; from = 64; to = 1500; };", "size = 64;",
                                        "size = { op = \"increment\"; from = 64; to = 66; };"};
    uint32_t whole[700], part[100];
    (void)unused;
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
        struct sizes *sizes = sizes_of(texts[t]);
        draw(sizes, 0, 1, whole, 700);
        for (uint32_t p = 0; p < 7; p++) {
            draw(sizes, p, 7, part, 100);
            for (size_t i = 0; i < 100; i++)
                assert_int_equal(part[i], whole[i * 7 + p]);
        }
        sizes_free(sizes);
    }
}

static void what_cannot_be_is_refused_with_a_remedy(void **unused)
{
    static const struct {
        const char *text, *complaint;
    } rows[] = {
        {"size = 45;", "the least size that fits is 46"},
        {"size = 9019;", "it is at most 9018"},
        {"", "the least size that fits is 100"},
        {"size = -5;", "size -5 is out of range"},
        {"size = true;", "it must be a whole number"},
        {"size = 64.5;", "it must be a whole number"},
        {"size = \"sixty\";", "a number, a mix (simple, tcp, ipv6, ipsec) or a genome"},
        {"size = \"aaz\";", "give it one: size = { genome"},
        {"size = \"gh\"; mix = ( { size = 64; } );", "size and mix exclude each other"},
        {"mix = 5;", "mix must be a list"},
        {"mix = ();", "mix must be a list of 1"},
        {"mix = ( 64 );", "a mix is a list of groups"},
        {"mix = ( { weight = 5; } );", "size is missing"},
        {"mix = ( { size = 64; wieght = 5; } );", "unknown key `wieght`; `weight`?"},
        {"mix = ( { size = 64; weight = 0; } );", "weight must be a number above 0"},
        {"mix = ( { size = 64; weight = 0.0; } );", "weight must be a number above 0"},
        {"mix = ( { size = 64; weight = -1; } );", "weight must be a number above 0"},
        {"mix = ( { size = 64; weight = \"0.33333\"; } );", "at most 4 decimals"},
        {"mix = ( { size = 64; weight = 99991; }, { size = 65; weight = 99989; } );", "at most 65536"},
        {"size = { op = \"random\"; from = 64; to = 9018; };", "step = 5 would do"},
        {"size = { op = \"increment\"; from = 64; };", "need from and to"},
        {"size = { op = \"increment\"; from = 128; to = 64; };", "the wrong way"},
        {"size = { op = \"decrement\"; from = 64; to = 128; };", "the wrong way"},
        {"size = { op = \"incremnt\"; from = 64; to = 128; };", "`increment`?"},
        {"size = { from = 64; to = 128; };", "op is missing"},
        {"size = { op = \"increment\"; from = 64; to = 128; step = 0; };", "step 0 is out of range"},
        {"size = { op = \"increment\"; from = 64; to = 128; seed = 1; };", "seed is only for"},
        {"size = { genome = \"aa\"; step = 5; };", "unknown key `step`"},
        {"size = { genome = \"a a\"; };", "a genome is text"},
        {"size = { genome = 5; };", "a genome is text"},
        {"size = { genome = \"aZ\"; ZZ = 100; };", "unknown key `ZZ`"},
        {"size = { genome = \"\"; };", "a genome is text"},
        {"size = \"\";", "unknown size ``"},
        {"size = \"/\";", "unknown size `/`"},
        {"size = \":\";", "unknown size `:`"},
        {"size = \"9x\";", "size: "},
        {"size = \"gj\";", "it is at most 9018"},
        {"size = \"45\";", "the least size that fits is 46"},
        {"size = \"j\";", "it is at most 9018"},
        {"mix = ( { size = 45; }, { size = 64; } );", "the least size that fits is 46"},
        {"mix = ( { size = 64; weight = true; } );", "weight must be a number above 0"},
        {"mix = ( { size = 64; weight = \"x\"; } );", "weight must be a number above 0"},
        {"size = { op = \"increment\"; to = 64; };", "from = 64; to = 1518"},
        {"size = { op = \"decrement\"; to = 64; };", "from = 1518; to = 64"},
        {"size = { op = \"increment\"; from = 45; to = 64; };", "the least size that fits is 46"},
        {"size = { op = \"increment\"; from = 64; to = 9019; };", "it is at most 9018"},
        {"size = { op = \"random\"; from = 128; to = 64; };", "random goes from 128 to 64, the wrong way"},
        {"size = { op = \"decrement\"; from = 64; to = 128; };",
         "decrement goes from 64 to 128, the wrong way"},
        {"size = { op = \"random\"; from = 64; to = 65; seed = -1; };", "seed -1 is out of range"},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct reading reading;
        struct sizes *untouched = (struct sizes *)&reading;
        if (compile(rows[i].text, i == 2 ? 96 : 42, 9014, &untouched, &reading) != -EINVAL)
            fail_msg("%s was accepted", rows[i].text);
        assert_ptr_equal(untouched, &reading);
        assert_complaint(&reading, rows[i].complaint);
        reading_end(&reading);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_size_in_every_notation),
        cmocka_unit_test(ranges_go_round),
        cmocka_unit_test(genomes_are_rfc_6985),
        cmocka_unit_test(the_order_of_a_mix_is_for_ever),
        cmocka_unit_test(the_most_is_accepted),
        cmocka_unit_test(long_lists_and_genomes_have_a_bound),
        cmocka_unit_test(the_mean_counts_every_frame_of_the_period),
        cmocka_unit_test(mixes_hold_their_shares_at_every_frame),
        cmocka_unit_test(the_bit_rate_of_a_mix_is_even_over_a_hundred_frames),
        cmocka_unit_test(random_sizes_are_even_and_repeat_for_their_seed),
        cmocka_unit_test(parts_together_are_the_whole),
        cmocka_unit_test(what_cannot_be_is_refused_with_a_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
