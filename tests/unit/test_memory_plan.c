// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory runs out while a configuration is read, compiled, applied, explained: at each allocation in turn. It
 * is refused, or it is whole; never half of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fail_alloc.h"
#include "plan/dryrun.h"
#include "reading.h"

/* Something of everything that allocates on the way. */
static const char file[] =
    "control = { socket = \"/tmp/x\"; group = \"nobody\"; };\n"
    "safety = { allow = [ \"mock*\", \"veth*\" ]; max_rate = \"9Gbit/L1\"; };\n"
    "ports = ( { name = \"east\"; interface = \"mock0\"; engine = \"mock\"; queues = 2; speed = \"10Gbit\"; "
    "},\n"
    "  { name = \"west\"; interface = \"mock1\"; receive = true; speed = \"10Gbit\"; qdisc = true; } );\n"
    "templates = { plain = ( { ethernet = { src = \"02:00:00:00:00:01\"; dst = \"02:00:00:00:00:02\"; }; },\n"
    "    { vlan = { id = 5; }; }, { ipv4 = { src = \"198.18.0.1\"; dst = \"198.19.0.1\"; }; },\n"
    "    { udp = { src = 5004; dst = 5004; }; } );\n"
    "  six = ( { ethernet = { dst = \"02:00:00:00:00:02\"; }; }, { ipv6 = { src = \"2001:db8::1\";\n"
    "    dst = \"2001:db8::2\"; }; }, { tcp = { src = 1; dst = 2; flags = \"syn,ack\"; }; } ); };\n"
    "streams = (\n"
    "  { name = \"voice\"; port = \"east\"; template = \"plain\"; rate = \"1kpps\"; duration = \"1s\";\n"
    "    vary = ( { field = \"ipv4.dst\"; op = \"increment\"; from = \"198.19.0.1\"; to = \"198.19.0.9\"; "
    "},\n"
    "             { field = \"udp.src\"; op = \"list\"; values = [ 7, 9, 11 ]; },\n"
    "             { field = \"vlan.id\"; op = \"random\"; from = 1; to = 99; seed = 3; } ); },\n"
    "  { name = \"mixed\"; port = \"east\"; template = \"six\"; rate = \"10%\"; count = 50; split = true;\n"
    "    mix = ( { size = 128; weight = 2; }, { size = 512; weight = 1; } ); next = \"voice\"; },\n"
    "  { name = \"flow\"; port = \"east\"; template = \"plain\"; size = 256; count = 20; copies = 4;\n"
    "    each = ( { field = \"vlan.pcp\"; from = 0; step = 1; }, { key = \"rate\"; from = \"10pps\"; step = "
    "\"1pps\"; } );\n"
    "    payload = { text = \"abc\"; }; expect = [ \"west\" ]; require = ( \"loss == 0\" ); },\n"
    "  { name = \"steps\"; port = \"east\"; template = \"plain\"; size = \"simple\";\n"
    "    stairs = { steps = ( \"1kpps\", \"2kpps\", \"3kpps\" ); each = \"10ms\"; }; },\n"
    "  { name = \"runs\"; port = \"west\"; template = \"plain\"; size = 400; rate = \"100pps\"; count = 4; "
    "offload = \"udp-segment\"; } );\n";
enum { FILE_STREAMS = 8 };

static const char request[] =
    "{\"templates\": {\"t\": [{\"ethernet\": {\"dst\": \"02:00:00:00:00:02\"}}, {\"ipv4\": {\"src\": "
    "\"198.18.0.1\","
    "\"dst\": \"198.19.0.1\"}}, {\"udp\": {\"src\": 1, \"dst\": 2}}]},"
    "\"streams\": [{\"name\": \"one\", \"port\": \"east\", \"template\": \"t\", \"count\": 10, \"size\": 100,"
    "\"vary\": [{\"field\": \"udp.src\", \"op\": \"increment\", \"from\": 1, \"to\": 9}]},"
    "{\"name\": \"flow\", \"port\": \"west\", \"template\": \"t\", \"copies\": 3, \"count\": 5, \"rate\": "
    "\"10pps\"}]}";
enum { APPLIED_STREAMS = 4, ADDED_STREAMS = FILE_STREAMS - 4 + APPLIED_STREAMS };

static int compile(const char *text, struct plan **out, struct complaints *complaints)
{
    struct tree *tree = NULL;
    int rc = tree_read_text(text, strlen(text), "test", &tree, complaints);
    return rc < 0 ? rc : plan_compile(tree, "a test", out, complaints);
}

static struct plan *compiled(void)
{
    struct complaints *complaints = complaints_new();
    struct plan *plan = NULL;
    if (compile(file, &plan, complaints) != 0)
        for (size_t i = 0; i < complaints_count(complaints); i++)
            print_error("the test's own text: %s: %s\n", complaints_get(complaints, i)->where,
                        complaints_get(complaints, i)->text);
    assert_non_null(plan);
    assert_int_equal(plan->stream_count, FILE_STREAMS);
    complaints_free(complaints);
    return plan;
}

/* Whole, or refused. A refusal without a failure would be the test's own mistake. */
static void judge(bool failed, int rc, const struct plan *plan, uint32_t streams)
{
    if (rc < 0)
        assert_true(failed);
    else {
        assert_int_equal(plan->stream_count, streams);
        for (uint32_t i = 0; i < streams; i++) {
            assert_non_null(plan->streams[i].packet);
            assert_int_equal(plan_find_stream(plan, plan->streams[i].name), i);
        }
    }
}

static void read_and_compile(void *context)
{
    struct complaints *complaints = complaints_new();
    struct plan *plan = NULL;
    int rc = complaints == NULL ? -1 : compile(context, &plan, complaints);
    bool failed = fail_alloc_rest();
    judge(failed, rc, plan, FILE_STREAMS);
    if (rc < 0)
        assert_null(plan);
    plan_unref(plan);
    complaints_free(complaints);
}

static void a_file_is_refused_or_whole(void **state)
{
    (void)state;
    plan_unref(compiled());
    uint64_t allocations = fail_alloc_each(read_and_compile, (void *)file);
    print_message("%ju allocations\n", (uintmax_t)allocations);
    assert_true(allocations > 50);
}

static const char wrong[] =
    "ports = ( { name = \"east\"; interfaec = \"mock0\"; }, { name = \"east\"; } );\n"
    "templates = { t = ( { ipv4 = { scr = 1; }; } ); };\n"
    "streams = ( { name = \"a\"; port = \"eats\"; template = \"tt\"; rate = \"1furlong\"; },\n"
    "  { name = \"b\"; port = \"east\"; template = \"t\"; require = \"loess\"; expect = [ \"no\" ]; } );\n";

static void read_wrong(void *context)
{
    struct complaints *complaints = complaints_new();
    struct plan *plan = NULL;
    if (complaints != NULL)
        assert_true(compile(context, &plan, complaints) < 0);
    fail_alloc_rest();
    assert_null(plan);
    complaints_free(complaints);
}

static void what_is_wrong_stays_wrong_when_it_cannot_be_told(void **state)
{
    (void)state;
    assert_true(fail_alloc_each(read_wrong, (void *)wrong) > 20);
}

struct applying {
    const struct plan *base;
    const json_t *request;
    bool add;
};

static int apply(const struct applying *it, struct plan **out, struct complaints *complaints)
{
    struct tree *tree = NULL;
    int rc = complaints == NULL ? -1 : tree_read_json(it->request, &tree, complaints);
    return rc < 0 ? rc : plan_apply(it->base, tree, it->add, "a test", out, complaints);
}

static void apply_request(void *context)
{
    const struct applying *it = context;
    struct complaints *complaints = complaints_new();
    struct plan *plan = NULL;
    int rc = apply(it, &plan, complaints);
    bool failed = fail_alloc_rest();
    judge(failed, rc, plan, it->add ? ADDED_STREAMS : APPLIED_STREAMS);
    plan_unref(plan);
    complaints_free(complaints);
}

static void a_request_is_refused_or_whole_and_the_plan_below_it_stays(void **state)
{
    (void)state;
    struct plan *base = compiled();
    json_t *object = json_loads(request, 0, NULL);
    assert_non_null(object);
    for (int add = 0; add < 2; add++)
        assert_true(fail_alloc_each(apply_request, &(struct applying){base, object, add}) > 20);
    judge(false, 0, base, FILE_STREAMS);
    json_decref(object);
    plan_unref(base);
}

static void shape_all(void *context)
{
    const struct plan *plan = context;
    for (uint32_t i = 0; i < plan->stream_count; i++) {
        struct pace_shape shape;
        struct pace_rate *stairs = NULL;
        struct err err;
        struct pacer *pacer = NULL;
        if (plan_shape(plan, i, UINT64_C(10000000000), 0, 2, &shape, &stairs, &err) == 0)
            pacer = pacer_new(&shape);
        struct packet_cursor *cursor = packet_cursor_new(plan->streams[i].packet, 0, 2);
        packet_cursor_free(cursor);
        pacer_free(pacer);
        free(stairs);
    }
}

static void arming_a_stream_fails_or_is_whole(void **state)
{
    (void)state;
    struct plan *plan = compiled();
    assert_true(fail_alloc_each(shape_all, plan) > FILE_STREAMS);
    plan_unref(plan);
}

static void dry_run(void *context)
{
    struct err err = {0};
    int rc = dryrun_write(context, "/dev/null", 200, &err);
    if (rc < 0) {
        assert_true(fail_alloc_rest());
        assert_true(err.text[0] != '\0');
    }
}

static void a_dry_run_fails_with_its_story(void **state)
{
    (void)state;
    struct plan *plan = compiled();
    assert_true(fail_alloc_each(dry_run, plan) > FILE_STREAMS);
    plan_unref(plan);
}

static void explain_all(void *context)
{
    const struct plan *plan = context;
    FILE *out = fopen("/dev/null", "w");
    for (uint32_t i = 0; out != NULL && i < plan->stream_count; i++)
        plan_explain(plan, i, out, false);
    if (out != NULL)
        fclose(out);
}

static void explaining_never_breaks(void **state)
{
    (void)state;
    struct plan *plan = compiled();
    fail_alloc_each(explain_all, plan);
    plan_unref(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_refused_or_whole),
        cmocka_unit_test(what_is_wrong_stays_wrong_when_it_cannot_be_told),
        cmocka_unit_test(a_request_is_refused_or_whole_and_the_plan_below_it_stays),
        cmocka_unit_test(arming_a_stream_fails_or_is_whole),
        cmocka_unit_test(a_dry_run_fails_with_its_story),
        cmocka_unit_test(explaining_never_breaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
