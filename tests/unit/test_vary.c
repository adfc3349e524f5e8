/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Varying values: each op's sequence, nests, flow limits, parts that together are the whole, random values
 * that are even and repeat, and what is refused. test_vary_reference.py checks long runs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "packet/value.h"
#include "reading.h"

typedef unsigned __int128 wide;

/* Fields of the tests: named after their kind. */
static bool resolve(void *context, const struct node *entry, struct vary_target *out,
                    struct complaints *complaints)
{
    static const struct {
        const char *name;
        struct vary_target target;
    } fields[] = {
        {"bit", {.width_bits = 1, .kind = VARY_NUMBER}},
        {"byte", {.width_bits = 8, .kind = VARY_NUMBER, .start = 7}},
        {"port", {.width_bits = 16, .kind = VARY_NUMBER, .start = 5004}},
        {"long", {.width_bits = 64, .kind = VARY_NUMBER, .start = 1}},
        {"mac", {.width_bits = 48, .kind = VARY_MAC, .start = 0x020000000001}},
        {"group", {.width_bits = 48, .kind = VARY_MAC, .start = 0x01005e000001}},
        {"ipv4", {.width_bits = 32, .kind = VARY_IPV4, .start = 0xc6120001}},
        {"ipv6", {.width_bits = 128, .kind = VARY_IPV6, .start = 1}},
    };
    const struct node *field = node_find(entry, "field");
    (void)context;
    for (size_t i = 0; field != NULL && i < sizeof fields / sizeof *fields; i++) {
        if (strcmp(fields[i].name, field->text) == 0) {
            *out = fields[i].target;
            return true;
        }
    }
    complain(complaints, entry, "no such field");
    return false;
}

static struct vary *vary_of(const char *text)
{
    struct vary *vary = NULL;
    struct reading reading = reading_of(text);
    if (vary_compile(reading_node(&reading, "vary"), resolve, NULL, &vary, reading.complaints) != 0)
        fail_msg("%s: %s", text, complaints_get(reading.complaints, 0)->text);
    reading_end(&reading);
    return vary;
}

static wide first_value(const char *text, size_t steps)
{
    struct vary *vary = vary_of(text);
    struct vary_cursor *cursor = vary_cursor_new(vary, 0, 1);
    assert_non_null(cursor);
    while (steps-- != 0)
        vary_step(cursor);
    wide value = vary_values(cursor)[0];
    vary_cursor_free(cursor);
    vary_free(vary);
    return value;
}

/* rows × the vary's entries, twice: the second time after a reset. */
static void assert_rows(const char *text, const uint64_t *expected, size_t numbers)
{
    struct vary *vary = vary_of(text);
    struct vary_cursor *cursor = vary_cursor_new(vary, 0, 1);
    assert_non_null(cursor);
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < numbers; i++) {
            size_t column = i % vary_count(vary);
            if ((uint64_t)vary_values(cursor)[column] != expected[i])
                fail_msg("%s: row %zu, column %zu is %llu, not %llu", text, i / vary_count(vary), column,
                         (unsigned long long)vary_values(cursor)[column], (unsigned long long)expected[i]);
            if (column + 1 == vary_count(vary))
                vary_step(cursor);
        }
        vary_cursor_reset(cursor);
    }
    vary_cursor_free(cursor);
    vary_free(vary);
}
#define ASSERT_ROWS(text, ...)                         \
    assert_rows(text, (const uint64_t[]){__VA_ARGS__}, \
                sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static void counting(void **unused)
{
    (void)unused;
    ASSERT_ROWS("vary = ( { field = \"byte\"; from = 3; to = 5; } );", 3, 4, 5, 3, 4);
    ASSERT_ROWS("vary = ( { field = \"byte\"; op = \"increment\"; from = 1; to = 9; step = 3; } );", 1, 4, 7,
                1);
    ASSERT_ROWS("vary = ( { field = \"byte\"; op = \"increment\"; from = 254; } );", 254, 255, 254);
    ASSERT_ROWS("vary = ( { field = \"byte\"; op = \"increment\"; to = 8; } );", 7, 8, 7);
    ASSERT_ROWS("vary = ( { field = \"byte\"; op = \"decrement\"; from = 9; to = 2; step = 3; } );", 9, 6, 3,
                9);
    ASSERT_ROWS("vary = ( { field = \"byte\"; op = \"decrement\"; from = 1; } );", 1, 0, 1);
    ASSERT_ROWS("vary = ( { field = \"bit\"; } );", 0, 1, 0, 1);
    ASSERT_ROWS("vary = { field = \"bit\"; };", 0, 1, 0, 1);
    ASSERT_ROWS("vary = ( { field = \"long\"; from = \"0xfffffffffffffffe\"; } );", UINT64_MAX - 1,
                UINT64_MAX, UINT64_MAX - 1);
    ASSERT_ROWS("vary = ( { field = \"long\"; from = 0; step = \"0x8000000000000000\"; } );", 0,
                UINT64_C(1) << 63, 0);
    ASSERT_ROWS("vary = ( { field = \"long\"; op = \"decrement\"; from = 1; to = 0; } );", 1, 0, 1);
}

static void addresses(void **unused)
{
    (void)unused;
    ASSERT_ROWS("vary = ( { field = \"ipv4\"; from = \"198.19.0.255\"; to = \"198.19.1.0\"; } );", 0xc61300ff,
                0xc6130100, 0xc61300ff);
    ASSERT_ROWS(
        "vary = ( { field = \"ipv4\"; from = \"10.0.0.1\"; to = \"10.0.2.1\"; step = \"0.0.1.0\"; } );",
        0x0a000001, 0x0a000101, 0x0a000201, 0x0a000001);
    ASSERT_ROWS("vary = ( { field = \"mac\"; from = \"02:00:00:00:00:ff\"; to = \"02:00:00:00:01:00\"; } );",
                0x0200000000ff, 0x020000000100, 0x0200000000ff);
    assert_true(first_value("vary = ( { field = \"ipv6\"; from = \"2001:db8::ffff:ffff:ffff:ffff\"; } );",
                            1) == (((wide)0x20010db8 << 96) + ((wide)1 << 64)));
    assert_true(first_value("vary = ( { field = \"ipv6\"; op = \"decrement\"; from = \"1::\"; } );", 1) ==
                ((wide)1 << 112) - 1);
    assert_true(
        first_value("vary = ( { field = \"ipv6\"; from = \"::\"; to = \"::3:0:0:0\"; step = \"::1:0:0:0\"; "
                    "} );",
                    6) == (wide)2 << 48);
}

static void lists_and_patterns(void **unused)
{
    (void)unused;
    ASSERT_ROWS("vary = ( { field = \"port\"; op = \"list\"; values = ( 80, \"0x1bb\", 53 ); } );", 80, 443,
                53, 80);
    ASSERT_ROWS("vary = ( { field = \"port\"; op = \"list\"; values = [ 9 ]; } );", 9, 9);
    ASSERT_ROWS("vary = ( { field = \"byte\"; op = \"pattern\"; mask = 0x82; from = 0x01; } );", 0x01, 0x03,
                0x81, 0x83, 0x01);
    ASSERT_ROWS("vary = ( { field = \"byte\"; op = \"pattern\"; mask = 0x55; from = 0; step = 5; } );", 0x00,
                0x11, 0x44, 0x55, 0x10, 0x41, 0x54, 0x05);
    ASSERT_ROWS("vary = ( { field = \"byte\"; op = \"pattern\"; mask = 0x0f; from = 0; step = 8; "
                "then = { field = \"bit\"; }; } );",
                0, 0, 8, 0, 0, 1, 8, 1, 0, 0);
}

static void nests_step_when_the_outer_wraps(void **unused)
{
    (void)unused;
    ASSERT_ROWS("vary = ( { field = \"byte\"; from = 0; to = 1; then = { field = \"port\"; from = 5; to = 6; "
                "then = { field = \"bit\"; }; }; } );",
                0, 5, 0, 1, 5, 0, 0, 6, 0, 1, 6, 0, 0, 5, 1, 1, 5, 1, 0, 6, 1, 1, 6, 1, 0, 5, 0);
    ASSERT_ROWS(
        "vary = ( { field = \"byte\"; from = 0; to = 1; then = ( { field = \"port\"; from = 5; to = 7; }, "
        "{ field = \"bit\"; } ); }, { field = \"byte\"; from = 1; to = 3; } );",
        0, 5, 0, 1, 1, 5, 0, 2, 0, 6, 1, 3, 1, 6, 1, 1, 0, 7, 0, 2, 1, 7, 0, 3, 0, 5, 1, 1);
}

static void flows_start_again(void **unused)
{
    (void)unused;
    ASSERT_ROWS(
        "vary = ( { field = \"byte\"; from = 0; to = 1; flows = 3; then = { field = \"port\"; from = 5; to "
        "= 9; }; }, { field = \"bit\"; } );",
        0, 5, 0, 1, 5, 1, 0, 6, 0, 0, 5, 1, 1, 5, 0, 0, 6, 1, 0, 5, 0);
    ASSERT_ROWS("vary = ( { field = \"byte\"; from = 4; flows = 1; } );", 4, 4, 4);
}

static const char *const many[] = {
    "vary = ( { field = \"byte\"; from = 3; to = 5; } );",
    "vary = ( { field = \"byte\"; op = \"decrement\"; from = 250; to = 3; step = 7; }, { field = \"port\"; } "
    ");",
    "vary = ( { field = \"byte\"; op = \"pattern\"; mask = 0x5a; step = 3; then = { field = \"port\"; op = "
    "\"random\"; }; } );",
    "vary = ( { field = \"byte\"; op = \"list\"; values = ( 1, 2, 3, 5, 8 ); then = ( { field = \"port\"; "
    "from = 1; "
    "to = 2; then = { field = \"ipv6\"; op = \"decrement\"; }; }, { field = \"long\"; op = \"random\"; } ); "
    "} );",
    "vary = ( { field = \"byte\"; from = 0; to = 1; then = { field = \"port\"; from = 0; to = 2; then = { "
    "field = "
    "\"long\"; from = 0; to = 4; then = { field = \"byte\"; op = \"pattern\"; mask = 0x33; from = 0; }; }; "
    "}; } );",
    "vary = ( { field = \"byte\"; from = 0; to = 1; flows = 5; then = { field = \"port\"; from = 5; to = 9; "
    "}; }, "
    "{ field = \"port\"; op = \"random\"; flows = 2; }, { field = \"mac\"; op = \"random\"; flows = 100; } "
    ");",
    "vary = ( { field = \"ipv6\"; op = \"random\"; }, { field = \"ipv4\"; op = \"random\"; mask = "
    "\"0.0.255.1\"; }, "
    "{ field = \"ipv6\"; op = \"pattern\"; mask = \"ffff:0:0:ffff::ff\"; step = 77; } );",
};

static void parts_together_are_the_whole(void **unused)
{
    static const uint32_t parts_of[] = {1, 2, 3, 4, 5, 7, 8, 16, 32};
    enum { FRAMES = 6000 };
    (void)unused;
    for (size_t t = 0; t < sizeof many / sizeof *many; t++) {
        struct vary *vary = vary_of(many[t]);
        size_t columns = vary_count(vary);
        wide *whole = calloc(FRAMES * columns, sizeof *whole);
        assert_non_null(whole);
        struct vary_cursor *cursor = vary_cursor_new(vary, 0, 1);
        for (size_t frame = 0; frame < FRAMES; frame++, vary_step(cursor))
            memcpy(whole + frame * columns, vary_values(cursor), columns * sizeof *whole);
        vary_cursor_free(cursor);
        for (size_t p = 0; p < sizeof parts_of / sizeof *parts_of; p++) {
            for (uint32_t part = 0; part < parts_of[p]; part++) {
                cursor = vary_cursor_new(vary, part, parts_of[p]);
                for (size_t frame = part; frame < FRAMES; frame += parts_of[p], vary_step(cursor))
                    if (memcmp(whole + frame * columns, vary_values(cursor), columns * sizeof *whole) != 0)
                        fail_msg("%s: part %u of %u goes wrong at frame %zu", many[t], part, parts_of[p],
                                 frame);
                vary_cursor_free(cursor);
            }
        }
        free(whole);
        vary_free(vary);
    }
}

static void random_is_even_over_its_whole_range(void **unused)
{
    enum { FRAMES = 100000, VALUES = 10 };
    unsigned seen[VALUES] = {0};
    double chi = 0;
    (void)unused;
    struct vary *vary =
        vary_of("vary = ( { field = \"port\"; op = \"random\"; from = 100; to = 109; seed = 3; } );");
    struct vary_cursor *cursor = vary_cursor_new(vary, 0, 1);
    for (size_t i = 0; i < FRAMES; i++, vary_step(cursor)) {
        assert_in_range((uint64_t)vary_values(cursor)[0], 100, 109);
        seen[(uint64_t)vary_values(cursor)[0] - 100]++;
    }
    for (size_t i = 0; i < VALUES; i++)
        chi += ((double)seen[i] - FRAMES / VALUES) * ((double)seen[i] - FRAMES / VALUES) / (FRAMES / VALUES);
    assert_true(chi < 27.9); /* 9 degrees of freedom, one in a thousand; the seed is fixed */
    vary_cursor_free(cursor);
    vary_free(vary);
}

/* Every bit of the field is set about half the time, whatever its width. */
static void random_moves_every_bit(void **unused)
{
    static const struct {
        const char *text;
        wide bits, fixed_mask, fixed;
    } rows[] = {
        {"vary = ( { field = \"long\"; op = \"random\"; } );", UINT64_MAX, 0, 0},
        {"vary = ( { field = \"ipv6\"; op = \"random\"; } );", ~(wide)0, 0, 0},
        {"vary = ( { field = \"ipv4\"; op = \"random\"; } );", UINT32_MAX, 0, 0},
        {"vary = ( { field = \"mac\"; op = \"random\"; } );", 0xfeffffffffff, 0x010000000000, 0},
        {"vary = ( { field = \"group\"; op = \"random\"; } );", 0xfeffffffffff, 0x010000000000,
         0x010000000000},
        {"vary = ( { field = \"mac\"; op = \"random\"; mask = \"ff:00:00:00:00:ff\"; } );", 0xfe00000000ff,
         0x01ffffffff00, 0},
        {"vary = ( { field = \"mac\"; op = \"random\"; from = \"02:00:00:00:00:00\"; to = "
         "\"02:00:00:ff:ff:ff\"; } );",
         0xffffff, 0xffffff000000, 0x020000000000},
        {"vary = ( { field = \"port\"; op = \"random\"; mask = 0x0ff0; from = 0xf00f; } );", 0x0ff0, 0xf00f,
         0xf00f},
    };
    enum { FRAMES = 4000 };
    (void)unused;
    for (size_t t = 0; t < sizeof rows / sizeof *rows; t++) {
        unsigned set[128] = {0};
        struct vary *vary = vary_of(rows[t].text);
        struct vary_cursor *cursor = vary_cursor_new(vary, 0, 1);
        for (size_t i = 0; i < FRAMES; i++, vary_step(cursor)) {
            wide value = vary_values(cursor)[0];
            if ((value & rows[t].fixed_mask) != rows[t].fixed)
                fail_msg("%s: frame %zu changes bits that must stay", rows[t].text, i);
            for (unsigned bit = 0; bit < 128; bit++)
                set[bit] += (unsigned)(value >> bit) & 1;
        }
        for (unsigned bit = 0; bit < 128; bit++)
            if ((rows[t].bits >> bit & 1) != 0)
                assert_in_range(set[bit], FRAMES / 2 - 160, FRAMES / 2 + 160); /* five standard deviations */
        vary_cursor_free(cursor);
        vary_free(vary);
    }
}

static void random_repeats_for_its_seed_only(void **unused)
{
    (void)unused;
    struct vary *vary =
        vary_of("vary = ( { field = \"long\"; op = \"random\"; seed = 1; }, "
                "{ field = \"long\"; op = \"random\"; seed = 1; }, "
                "{ field = \"long\"; op = \"random\"; }, { field = \"long\"; op = \"random\"; } );");
    struct vary_cursor *cursor = vary_cursor_new(vary, 0, 1);
    for (size_t i = 0; i < 1000; i++, vary_step(cursor)) {
        const wide *values = vary_values(cursor);
        assert_true(values[0] == values[1]);
        assert_true(values[1] != values[2] && values[2] != values[3]);
    }
    vary_cursor_free(cursor);
    vary_free(vary);
}

static void descriptions_read_well(void **unused)
{
    static const struct {
        const char *text, *description;
    } rows[] = {
        {"vary = ( { field = \"ipv4\"; from = \"198.19.0.1\"; to = \"198.19.3.255\"; } );",
         "increment 198.19.0.1 … 198.19.3.255, step 1"},
        {"vary = ( { field = \"mac\"; op = \"decrement\"; step = 2; } );",
         "decrement 02:00:00:00:00:01 … 00:00:00:00:00:00, step 2"},
        {"vary = ( { field = \"ipv6\"; op = \"random\"; seed = 5; from = \"2001:db8::\"; to = "
         "\"2001:db8::ff\"; } );",
         "random 2001:db8:: … 2001:db8::ff, seed 5"},
        {"vary = ( { field = \"port\"; op = \"list\"; values = ( 80, 443 ); flows = 9; } );",
         "list of 2, 80 first, 9 flows"},
        {"vary = ( { field = \"port\"; op = \"pattern\"; mask = 0xff; from = 0x100; } );",
         "pattern in the bits of 0xff, 256 first"},
        {"vary = ( { field = \"ipv6\"; op = \"pattern\"; mask = \"1::2\"; from = \"::4\"; } );",
         "pattern in the bits of 0x10000000000000000000000000002, ::4 first"},
        {"vary = ( { field = \"ipv6\"; op = \"pattern\"; mask = \"::1:0:0:0:0\"; from = 0; flows = 1; } );",
         "pattern in the bits of 0x10000000000000000, :: first, 1 flows"},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[160];
        struct vary *vary = vary_of(rows[i].text);
        vary_describe(vary, 0, text, sizeof text);
        assert_string_equal(text, rows[i].description);
        for (size_t room = strlen(rows[i].description) + 1; room > 0; room--) { /* never beyond its room */
            memset(text, 'x', sizeof text);
            vary_describe(vary, 0, text, room);
            assert_memory_equal(text, rows[i].description, room - 1);
            assert_int_equal(text[room - 1], '\0');
            for (size_t beyond = room; beyond < sizeof text; beyond++)
                assert_int_equal(text[beyond], 'x');
        }
        vary_free(vary);
    }
    char text[160];
    struct vary *vary =
        vary_of("vary = ( { field = \"byte\"; op = \"random\"; mask = 3; seed = 4; }, { field = \"byte\"; "
                "then = { field = \"port\"; }; } );");
    static const char *const expected[] = {"random in the bits of 0x3, seed 4", "increment 7 … 255, step 1",
                                           "increment 5004 … 65535, step 1, when the one before wraps"};
    for (size_t i = 0; i < 3; i++) {
        vary_describe(vary, i, text, sizeof text);
        assert_string_equal(text, expected[i]);
    }
    for (size_t room = strlen(expected[2]) + 1; room > 0; room--) {
        memset(text, 'x', sizeof text);
        vary_describe(vary, 2, text, room);
        assert_memory_equal(text, expected[2], room - 1);
        assert_int_equal(text[room - 1], '\0');
        assert_int_equal(text[room], 'x');
    }
    vary_free(vary);
}

static void what_cannot_be_is_refused_with_a_remedy(void **unused)
{
    static const struct {
        const char *text, *complaint;
    } rows[] = {
        {"vary = 5;", "vary is a list of groups"},
        {"vary = ( 5 );", "vary is a list of groups"},
        {"vary = ( { field = \"nix\"; } );", "no such field"},
        {"vary = ( { field = \"byte\"; op = \"incremet\"; } );", "`increment`?"},
        {"vary = ( { field = \"byte\"; op = 5; } );",
         "it must be increment, decrement, random, list or pattern"},
        {"vary = ( { field = \"byte\"; stop = 5; } );", "unknown key `stop`; `step`?"},
        {"vary = ( { field = \"byte\"; values = ( 1 ); } );", "unknown key `values`"},
        {"vary = ( { field = \"byte\"; from = 256; } );", "from does not fit into 8 bits; it is 0 … 255"},
        {"vary = ( { field = \"byte\"; to = -1; } );", "to -1 is out of range"},
        {"vary = ( { field = \"byte\"; from = 9; to = 8; } );",
         "goes from 9 to 8, the wrong way; swap them, or use "
         "decrement"},
        {"vary = ( { field = \"byte\"; op = \"decrement\"; from = 8; to = 9; } );", "or use increment"},
        {"vary = ( { field = \"byte\"; op = \"random\"; from = 9; to = 8; } );", "swap them"},
        {"vary = ( { field = \"byte\"; step = 0; } );", "step must be at least 1"},
        {"vary = ( { field = \"byte\"; from = \"10.0.0.1\"; } );", "`10.0.0.1` is not a number"},
        {"vary = ( { field = \"ipv4\"; from = \"10.0.0.256\"; } );", "from: "},
        {"vary = ( { field = \"mac\"; from = \"02:00\"; } );", "from: "},
        {"vary = ( { field = \"ipv4\"; from = \"0x100000000\"; } );", "does not fit into 32 bits"},
        {"vary = ( { field = \"byte\"; op = \"list\"; } );", "list needs values"},
        {"vary = ( { field = \"byte\"; op = \"list\"; values = (); } );", "list needs values"},
        {"vary = ( { field = \"byte\"; op = \"list\"; values = ( 1, 256 ); } );",
         "a value does not fit into 8 bits"},
        {"vary = ( { field = \"byte\"; op = \"pattern\"; } );", "pattern needs mask"},
        {"vary = ( { field = \"byte\"; op = \"pattern\"; mask = 0; } );", "set at least one"},
        {"vary = ( { field = \"byte\"; op = \"pattern\"; mask = 3; step = 4; } );", "it is 1 … 3"},
        {"vary = ( { field = \"mac\"; op = \"random\"; mask = \"01:00:00:00:00:00\"; } );",
         "beside the group bit"},
        {"vary = ( { field = \"mac\"; op = \"random\"; from = \"02:00:00:00:00:00\"; to = "
         "\"03:00:00:00:00:00\"; } );",
         "must not leave its first byte"},
        {"vary = ( { field = \"byte\"; op = \"random\"; mask = 3; to = 5; } );",
         "to and mask exclude each other"},
        {"vary = ( { field = \"byte\"; op = \"random\"; then = { field = \"bit\"; }; } );",
         "random never wraps"},
        {"vary = ( { field = \"byte\"; then = { field = \"bit\"; flows = 5; }; } );", "the outermost entry"},
        {"vary = ( { field = \"byte\"; flows = 0; } );", "flows 0 is out of range"},
        {"vary = ( { field = \"byte\"; then = 5; } );", "vary is a list of groups"},
        {"vary = ( { field = \"nix\"; }, { field = \"byte\"; } );", "no such field"},
        {"vary = ( { field = \"byte\"; op = \"list\"; values = ( 256, 1 ); } );", "does not fit into 8 bits"},
        {"vary = ( { field = \"byte\"; op = \"list\"; values = 5; } );", "list needs values"},
        {"vary = ( { field = \"byte\"; op = \"pattern\"; mask = 3; step = 256; } );",
         "does not fit into 8 bits"},
        {"vary = ( { field = \"byte\"; op = \"pattern\"; mask = 256; } );", "does not fit into 8 bits"},
        {"vary = ( { field = \"byte\"; op = \"pattern\"; mask = 3; from = 256; } );",
         "does not fit into 8 bits"},
        {"vary = ( { field = \"byte\"; op = \"random\"; seed = -1; } );", "seed -1 is out of range"},
        {"vary = ( { field = \"byte\"; op = \"random\"; mask = 0; } );",
         "mask leaves no bit to vary; set at least one"},
        {"vary = ( { field = \"byte\"; flows = \"x\"; } );", "flows: "},
        {"vary = ( { field = \"byte\"; op = \"decrement\"; step = 0; } );", "step must be at least 1"},
        {"vary = ( { field = \"byte\"; op = \"decrement\"; from = 8; to = 9; } );",
         "decrement goes from 8 to 9"},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct reading reading = reading_of(rows[i].text);
        struct vary *untouched = (struct vary *)&reading;
        if (vary_compile(reading_node(&reading, "vary"), resolve, NULL, &untouched, reading.complaints) == 0)
            fail_msg("%s was accepted", rows[i].text);
        assert_ptr_equal(untouched, &reading);
        assert_complaint(&reading, rows[i].complaint);
        reading_end(&reading);
    }
}

/* As many as there may be, and one more. */
static void there_may_be_so_many_entries_and_no_more(void **unused)
{
    enum { ENTRIES = 256 };
    static char text[30 * ENTRIES];
    (void)unused;
    for (size_t count = ENTRIES; count <= ENTRIES + 1; count++) {
        size_t used = (size_t)sprintf(text, "vary = (");
        for (size_t i = 0; i < count; i++)
            used += (size_t)sprintf(text + used, "%s{ field = \"byte\"; }", i > 0 ? "," : "");
        strcpy(text + used, ");");
        struct reading reading = reading_of(text);
        struct vary *vary = NULL;
        int result = vary_compile(reading_node(&reading, "vary"), resolve, NULL, &vary, reading.complaints);
        assert_int_equal(result, count == ENTRIES ? 0 : -EINVAL);
        if (count == ENTRIES)
            assert_int_equal(vary_count(vary), ENTRIES);
        else
            assert_complaint(&reading, "more than 256 varying fields");
        vary_free(vary);
        reading_end(&reading);
    }
}

/* A list that says how many it has and has one: a million would take long to read. */
static void there_may_be_so_many_values_and_no_more(void **unused)
{
    enum { VALUES = 1 << 20 };
    struct reading reading = reading_of("vary = { field = \"byte\"; op = \"list\"; values = ( 7 ); };");
    struct node group = *reading_node(&reading, "vary"), values = *node_find(&group, "values");
    struct node field = *node_find(&group, "field"), op = *node_find(&group, "op");
    (void)unused;
    field.next = &op;
    op.next = &values;
    values.next = NULL;
    group.child = &field;
    for (values.children = VALUES; values.children <= VALUES + 1; values.children++) {
        struct vary *vary = NULL;
        int result = vary_compile(&group, resolve, NULL, &vary, reading.complaints);
        assert_int_equal(result, values.children == VALUES ? 0 : -EINVAL);
        vary_free(vary);
    }
    assert_complaint(&reading, "1 … 1048576 of them");
    reading_end(&reading);
}

static void no_entries_are_no_trouble(void **unused)
{
    (void)unused;
    struct vary *vary = vary_of("");
    struct vary_cursor *cursor = vary_cursor_new(vary, 0, 1);
    assert_int_equal(vary_count(vary), 0);
    vary_step(cursor);
    vary_cursor_reset(cursor);
    vary_cursor_free(cursor);
    vary_free(vary);
    vary_free(NULL);
    vary_cursor_free(NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(counting),
        cmocka_unit_test(addresses),
        cmocka_unit_test(lists_and_patterns),
        cmocka_unit_test(nests_step_when_the_outer_wraps),
        cmocka_unit_test(flows_start_again),
        cmocka_unit_test(parts_together_are_the_whole),
        cmocka_unit_test(random_is_even_over_its_whole_range),
        cmocka_unit_test(random_moves_every_bit),
        cmocka_unit_test(random_repeats_for_its_seed_only),
        cmocka_unit_test(descriptions_read_well),
        cmocka_unit_test(what_cannot_be_is_refused_with_a_remedy),
        cmocka_unit_test(there_may_be_so_many_entries_and_no_more),
        cmocka_unit_test(there_may_be_so_many_values_and_no_more),
        cmocka_unit_test(no_entries_are_no_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
