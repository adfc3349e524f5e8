/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Times as text. The expected seconds are date(1)'s: date -u -d 2026-11-22T10:00:00Z +%s. */
#include "base/instant.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *text;
    uint64_t ns;
} right[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"2026-11-22T10:00:00Z", UINT64_C(1795341600000000000)},
    {"2026-11-22t10:00:00.25z", UINT64_C(1795341600250000000)},
    {"2026-11-22T11:00:00+01:00", UINT64_C(1795341600000000000)},
    {"2026-11-22 04:30:00.000000001-05:30", UINT64_C(1795341600000000001)},
    {"2024-02-29T00:00:00Z", UINT64_C(1709164800000000000)},
    {"0", 0},
    {"1795341600", UINT64_C(1795341600000000000)},
    {"1795341600.123456789", UINT64_C(1795341600123456789)},
    {"9223372035.999999999", UINT64_C(9223372035999999999)},
};

static const char *const refused[] = {"",
                                      "now",
                                      "-1",
                                      "1.",
                                      "1.0000000001",
                                      "1e9",
                                      "99999999999999999999",
                                      "9223372036",
                                      "1795341600 ",
                                      "2026-11-22T10:00:00",
                                      "2026-11-22T10:00:60Z",
                                      "2026-02-29T10:00:00Z",
                                      "2026-11-31T10:00:00Z",
                                      "2026-13-01T10:00:00Z",
                                      "2026-11-22T24:00:00Z",
                                      "2026-11-22T10:00:00.Z",
                                      "2026-11-22T10:00:00+24:00",
                                      "2026-11-22T10:00:00+0100",
                                      "2026-11-22T10:00:00Zx",
                                      "1969-12-31T23:59:59Z",
                                      "1970-01-01T00:00:00+00:01",
                                      "2300-01-01T00:00:00Z",
                                      "26-11-22T10:00:00Z"};

static void times_are_read_exactly(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        uint64_t ns = 7;
        assert_int_equal(instant_parse(right[i].text, &ns, NULL), 0);
        assert_int_equal(ns, right[i].ns);
    }
}

static void what_is_no_time_is_refused_and_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        uint64_t ns = 7;
        struct err err = {0};
        if (instant_parse(refused[i], &ns, &err) != -EINVAL)
            fail_msg("%s was read", refused[i]);
        assert_int_equal(ns, 7);
        assert_non_null(strstr(err.text, refused[i]));
    }
}

static void what_is_written_can_be_read(void **state)
{
    (void)state;
    char text[INSTANT_BYTES];
    assert_string_equal(instant_format(UINT64_C(1795341600250000999), text, sizeof text),
                        "2026-11-22T10:00:00.250000Z");
    assert_string_equal(instant_format(0, text, sizeof text), "1970-01-01T00:00:00.000000Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read_exactly),
        cmocka_unit_test(what_is_no_time_is_refused_and_named),
        cmocka_unit_test(what_is_written_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
