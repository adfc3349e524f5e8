/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which CPU a thread gets, on whatever CPUs this machine has. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/schema.h"
#include "run/places.h"

static cpu_set_t allowed;
static int last_allowed;

static int read_allowed(void **state)
{
    (void)state;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return -1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET((size_t)cpu, &allowed))
            last_allowed = cpu;
    return 0;
}

static void each_has_a_cpu_before_any_has_two(void **state)
{
    (void)state;
    struct places places = {{0}};
    for (unsigned int round = 1; round <= 3; round++) {
        for (int i = 0; i < CPU_COUNT(&allowed); i++)
            assert_true(CPU_ISSET((size_t)places_take(&places, CPU_AUTO, -1), &allowed));
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
            assert_int_equal(places.threads[cpu], CPU_ISSET((size_t)cpu, &allowed) ? round : 0);
    }
}

static void the_last_one_comes_first(void **state)
{
    (void)state;
    struct places places = {{0}};
    assert_int_equal(places_take(&places, CPU_AUTO, -1), last_allowed);
}

static void what_is_asked_for_is_given_and_counts(void **state)
{
    (void)state;
    struct places places = {{0}};
    for (int i = 0; i < 3; i++)
        assert_int_equal(places_take(&places, last_allowed, -1), last_allowed);
    assert_int_equal(places.threads[last_allowed], 3);
    for (int i = 0; i < 3 * (CPU_COUNT(&allowed) - 1); i++)
        assert_int_not_equal(places_take(&places, CPU_AUTO, -1), last_allowed);
    assert_int_equal(places_take(&places, CPU_AUTO, -1), last_allowed);
}

static void what_is_given_back_is_given_again(void **state)
{
    (void)state;
    struct places places = {{0}};
    for (int i = 0; i < 100; i++) {
        int cpu = places_take(&places, CPU_AUTO, -1);
        assert_int_equal(cpu, last_allowed);
        places_give(&places, cpu);
    }
    assert_int_equal(places.threads[last_allowed], 0);
}

static void any_is_no_place(void **state)
{
    (void)state;
    struct places places = {{0}};
    assert_int_equal(places_take(&places, CPU_ANY, -1), -1);
    places_give(&places, -1);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        assert_int_equal(places.threads[cpu], 0);
}

/* A node that does not exist has no CPU: each is as far away as the others, and none is refused. */
static void a_far_card_has_a_thread_as_well(void **state)
{
    (void)state;
    struct places places = {{0}};
    assert_int_equal(places_take(&places, CPU_AUTO, 4000), last_allowed);
}

static void only_what_the_process_may_use(void **state)
{
    (void)state;
    struct places places = {{0}};
    int first = 0;
    cpu_set_t one;
    while (!CPU_ISSET((size_t)first, &allowed))
        first++;
    CPU_ZERO(&one);
    CPU_SET((size_t)first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(places_take(&places, CPU_AUTO, -1), first);
    assert_int_equal(sched_setaffinity(0, sizeof allowed, &allowed), 0);
}

/* No thread can be started there, which says so; until then nothing is broken by it. */
static void a_number_beyond_all_is_handed_on(void **state)
{
    (void)state;
    struct places places = {{0}};
    assert_int_equal(places_take(&places, 4095, -1), 4095);
    places_give(&places, 4095);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_a_cpu_before_any_has_two),
        cmocka_unit_test(the_last_one_comes_first),
        cmocka_unit_test(what_is_asked_for_is_given_and_counts),
        cmocka_unit_test(what_is_given_back_is_given_again),
        cmocka_unit_test(any_is_no_place),
        cmocka_unit_test(a_far_card_has_a_thread_as_well),
        cmocka_unit_test(only_what_the_process_may_use),
        cmocka_unit_test(a_number_beyond_all_is_handed_on),
    };
    return cmocka_run_group_tests(tests, read_allowed, NULL);
}
