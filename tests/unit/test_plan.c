/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plans from configuration text: copies, chains, phases, rates, shapes; malformed_plan/NAME.conf is refused
 * with exactly the messages of NAME.expected (VOLLEYD_BLESS=1 writes them, for review). */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>
#include <malloc.h>
#include <pcap/pcap.h>

#include "base/clock.h"
#include "plan/dryrun.h"
#include "plan/plan.h"
#include "reading.h"

#define HEAD                                                                                                \
    "safety = { allow = [ \"veth*\" ]; %s };\n"                                                             \
    "ports = ( { name = \"east\"; interface = \"veth0\"; %s }, "                                            \
    "{ name = \"west\"; interface = \"veth1\"; receive = true; } );\n"                                      \
    "templates = { voice = ( { ethernet = { dst = \"02:00:00:00:00:02\"; }; }, { vlan = { id = 5; }; }, "   \
    "{ ipv4 = { src = \"198.18.0.1\"; dst = \"198.19.0.1\"; }; }, { udp = { src = 1; dst = 2; }; } ); };\n" \
    "streams = ( %s );\n"
#define VOICE "port = \"east\"; template = \"voice\"; "

static void print_complaints(const struct complaints *complaints)
{
    for (size_t i = 0; i < complaints_count(complaints); i++)
        print_error("%s: %s\n", complaints_get(complaints, i)->where, complaints_get(complaints, i)->text);
}

static struct plan *plan_of(const char *safety, const char *port, const char *streams)
{
    char *text;
    struct plan *plan = NULL;
    assert_true(asprintf(&text, HEAD, safety, port, streams) > 0);
    struct reading reading = reading_of(text);
    int rc = plan_compile(reading.tree, "test", &plan, reading.complaints);
    if (rc != 0)
        print_complaints(reading.complaints);
    assert_int_equal(rc, 0);
    complaints_free(reading.complaints);
    free(text);
    return plan;
}

static struct plan *applied(const struct plan *base, bool add, const char *text)
{
    struct plan *plan = NULL;
    struct reading reading = reading_of(text);
    int rc = plan_apply(base, reading.tree, add, "test", &plan, reading.complaints);
    if (rc != 0)
        print_complaints(reading.complaints);
    assert_int_equal(rc, 0);
    complaints_free(reading.complaints);
    return plan;
}

static struct pace_shape shape_of(const struct plan *plan, const char *name, uint64_t link_bit, uint32_t part,
                                  uint32_t parts, struct pace_rate **stairs)
{
    struct pace_shape shape;
    struct err err;
    if (plan_shape(plan, plan_find_stream(plan, name), link_bit, part, parts, &shape, stairs, &err) != 0)
        fail_msg("%s", err.text);
    return shape;
}

static void assert_rate(struct pace_rate rate, enum pace_unit unit, uint64_t num, uint64_t den)
{
    assert_int_equal(rate.unit, unit);
    assert_int_equal(rate.per_second.num, num);
    assert_int_equal(rate.per_second.den, den);
}

static void test_a_stream_has_its_defaults(void **state)
{
    (void)state;
    struct plan *plan = plan_of("", "", "{ name = \"a\"; " VOICE "}");
    assert_int_equal(plan->stream_count, 1);
    const struct plan_stream *stream = &plan->streams[0];
    assert_string_equal(stream->name, "a");
    assert_int_equal(stream->copy, 0);
    assert_int_equal(stream->port, 0);
    assert_int_equal(stream->next, PLAN_NONE);
    assert_int_equal(stream->duration_ns, 10 * NS_PER_SECOND);
    assert_int_equal(plan->ports[0].largest_bytes, 60);
    assert_int_equal(plan->ports[0].streams, 1);
    assert_int_equal(plan->ports[1].streams, 0);
    struct pace_rate *stairs;
    struct pace_shape shape = shape_of(plan, "a", 0, 0, 1, &stairs);
    assert_null(stairs);
    assert_rate(shape.rate, PACE_FRAMES, 1000, 1);
    assert_int_equal(shape.phase_ns, 0);
    plan_unref(plan);
}

static void frame_of(const struct plan_stream *stream, uint8_t frame[2000])
{
    struct packet_cursor *cursor = packet_cursor_new(stream->packet, 0, 1);
    packet_stamp(cursor, frame);
    packet_patch(cursor, frame, NULL);
    packet_cursor_free(cursor);
}

static void test_copies_step_fields_and_rates(void **state)
{
    (void)state;
    struct plan *plan = plan_of("", "",
                                "{ name = \"v\"; " VOICE "copies = 5; each = ("
                                "{ field = \"vlan.id\"; from = 100; step = 10; },"
                                "{ field = \"ipv4.src\"; from = \"198.18.0.254\"; },"
                                "{ field = \"ethernet.src\"; from = \"02:00:00:00:00:ff\"; },"
                                "{ field = \"udp.dst\"; op = \"decrement\"; from = 9; to = 7; },"
                                "{ field = \"udp.src\"; values = ( 7, 11 ); },"
                                "{ key = \"rate\"; from = \"1kpps\"; step = \"500pps\"; },"
                                "{ key = \"delay\"; from = \"0s\"; step = \"1ms\"; } ); }");
    assert_int_equal(plan->stream_count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        char name[20];
        uint8_t frame[2000];
        const struct plan_stream *stream = &plan->streams[i];
        snprintf(name, sizeof name, "v.%u", i + 1);
        assert_string_equal(stream->name, name);
        assert_int_equal(plan_find_stream(plan, name), i);
        assert_int_equal(stream->copy, i + 1);
        assert_int_equal(stream->rate.value.num, 1000 + 500 * i);
        assert_int_equal(stream->delay_ns, i * NS_PER_MS);
        frame_of(stream, frame);
        assert_int_equal((frame[14] << 8 | frame[15]) & 0xfff, 100 + 10 * i);
        assert_int_equal(frame[10] << 8 | frame[11], 0xff + i);
        assert_int_equal(frame[32] << 8 | frame[33], i < 2 ? 254 + i : 256 + i - 2);
        assert_int_equal(frame[38] << 8 | frame[39], i % 2 == 0 ? 7 : 11);
        assert_int_equal(frame[40] << 8 | frame[41], 9 - i % 3);
    }
    plan_unref(plan);
}

static void test_copies_step_ipv6_across_a_carry(void **state)
{
    (void)state;
    struct plan *base = plan_of("", "", "{ name = \"a\"; " VOICE "}");
    struct plan *plan = applied(
        base, true,
        "templates = { six = ( { ethernet = { dst = \"02:00:00:00:00:02\"; }; }, "
        "{ ipv6 = { src = \"2001:db8::1\"; dst = \"2001:db8::2\"; }; }, { udp = { src = 1; dst = 2; }; } ); "
        "};\n"
        "streams = ( { name = \"v\"; port = \"east\"; template = \"six\"; size = 100; copies = 4; each = ("
        "{ field = \"ipv6.src\"; from = \"2001:db8::ffff:ffff:ffff:fffe\"; },"
        "{ field = \"ipv6.dst\"; op = \"decrement\"; from = \"2001:db8:0:1::\"; step = 256; } ); } );");
    static const uint8_t sources[4][16] = {
        {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe},
        {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
        {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0},
        {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1}};
    for (uint32_t i = 0; i < 4; i++) {
        char name[20];
        uint8_t frame[2000], destination[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1};
        snprintf(name, sizeof name, "v.%u", i + 1);
        frame_of(&plan->streams[plan_find_stream(plan, name)], frame);
        assert_memory_equal(frame + 22, sources[i], 16);
        if (i > 0) {
            memset(destination + 7, 0, 1);
            memset(destination + 8, 0xff, 8);
            destination[14] = (uint8_t)(0x100 - i);
            destination[15] = 0;
        }
        assert_memory_equal(frame + 38, destination, 16);
    }
    plan_unref(plan);
    plan_unref(base);
}

static void test_copies_take_listed_rates_and_delays_in_turn(void **state)
{
    (void)state;
    static const uint64_t rates[] = {1000, 30, 1000, 30, 1000}, delays_us[] = {5, 0, 7, 5, 0};
    struct plan *plan = plan_of("", "",
                                "{ name = \"v\"; " VOICE "copies = 5; each = ("
                                "{ key = \"rate\"; values = ( \"1kpps\", \"30%\" ); },"
                                "{ key = \"delay\"; values = ( \"5us\", \"0s\", \"7us\" ); } ); }");
    for (uint32_t i = 0; i < 5; i++) {
        const struct rate *rate = &plan->streams[i].rate;
        assert_int_equal(rate->kind, i % 2 == 0 ? RATE_PPS : RATE_PERCENT);
        assert_int_equal(rate->value.num / rate->value.den, rates[i]);
        assert_int_equal(plan->streams[i].delay_ns, delays_us[i] * 1000);
    }
    plan_unref(plan);
}

static void test_equal_streams_are_spread_over_their_gap(void **state)
{
    (void)state;
    struct plan *plan = plan_of("", "",
                                "{ name = \"a\"; " VOICE "copies = 4; rate = \"1kpps\"; },"
                                "{ name = \"b\"; " VOICE "rate = \"1kpps\"; },"
                                "{ name = \"c\"; " VOICE "rate = \"1kpps\"; phase = 0; },"
                                "{ name = \"d\"; " VOICE "rate = \"2kpps\"; phase = \"25%\"; }");
    struct pace_rate *stairs;
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(shape_of(plan, plan->streams[i].name, 0, 0, 1, &stairs).phase_ns, i * 200000);
    assert_int_equal(shape_of(plan, "c", 0, 0, 1, &stairs).phase_ns, 0);
    assert_int_equal(shape_of(plan, "d", 0, 0, 1, &stairs).phase_ns, 125000);
    plan_unref(plan);
}

static void test_parts_of_a_split_stream_interleave(void **state)
{
    (void)state;
    struct plan *plan =
        plan_of("", "queues = 4;", "{ name = \"a\"; " VOICE "rate = \"1kpps\"; split = true; }");
    for (uint32_t part = 0; part < 4; part++) {
        struct pace_rate *stairs;
        struct pace_shape shape = shape_of(plan, "a", 0, part, 4, &stairs);
        assert_rate(shape.rate, PACE_FRAMES, 250, 1);
        assert_int_equal(shape.phase_ns, part * NS_PER_MS);
    }
    plan_unref(plan);
}

static void test_percent_is_resolved_on_the_link(void **state)
{
    (void)state;
    struct plan *plan =
        plan_of("", "",
                "{ name = \"a\"; " VOICE "rate = \"30%\"; },"
                "{ name = \"s\"; " VOICE "stairs = { steps = ( \"10%\", \"33.3%\" ); each = \"2s\"; }; }");
    struct pace_rate *stairs = NULL;
    struct pace_shape shape;
    struct err err;
    assert_int_equal(plan_shape(plan, 0, 0, 0, 1, &shape, &stairs, &err), -EINVAL);
    assert_non_null(strstr(err.text, "`speed`"));
    assert_null(stairs);
    shape = shape_of(plan, "a", UINT64_C(10000000000), 0, 1, &stairs);
    assert_rate(shape.rate, PACE_BITS_L1, UINT64_C(3000000000), 1);
    assert_int_equal(plan_rate_in(&plan->streams[0], &shape.rate, PACE_BITS_L1), UINT64_C(3000000000));
    shape = shape_of(plan, "s", UINT64_C(10000000000), 0, 1, &stairs);
    assert_int_equal(shape.steps, 2);
    assert_int_equal(shape.duration_ns, 4 * NS_PER_SECOND);
    assert_rate(shape.stairs[1], PACE_BITS_L1, UINT64_C(3330000000), 1);
    free(stairs);
    plan_unref(plan);
}

static void test_rates_meet_at_l1_bits(void **state)
{
    (void)state;
    struct plan *plan = plan_of("", "",
                                "{ name = \"a\"; " VOICE "},"
                                "{ name = \"m\"; " VOICE
                                "mix = ( { size = 64; weight = 1; }, { size = 1518; weight = 3; } ); }");
    const struct pace_rate frames = {PACE_FRAMES, {1000, 1}}, l2 = {PACE_BITS_L2, {512000, 1}},
                           max = {PACE_MAX, {0, 1}};
    assert_int_equal(plan_rate_in(&plan->streams[0], &frames, PACE_BITS_L1), 1000 * 84 * 8);
    assert_int_equal(plan_rate_in(&plan->streams[0], &l2, PACE_BITS_L1), 1000 * 84 * 8);
    assert_int_equal(plan_rate_in(&plan->streams[1], &frames, PACE_BITS_L1), 1000 * (84 + 3 * 1538) * 8 / 4);
    assert_int_equal(plan_rate_in(&plan->streams[0], &max, PACE_BITS_L1), UINT64_MAX);
    plan_unref(plan);
}

static void test_max_is_paced_to_what_max_rate_leaves(void **state)
{
    (void)state;
    struct plan *plan = plan_of("max_rate = \"100Mbit/L1\";", "",
                                "{ name = \"a\"; " VOICE "rate = \"40Mbit/L1\"; },"
                                "{ name = \"m\"; " VOICE "rate = \"max\"; copies = 3; }");
    struct pace_rate *stairs;
    assert_rate(shape_of(plan, "m.2", 0, 0, 1, &stairs).rate, PACE_BITS_L1, 20000000, 1);
    plan_unref(plan);
    plan = plan_of("", "", "{ name = \"m\"; " VOICE "rate = \"max\"; }");
    assert_int_equal(shape_of(plan, "m", 0, 0, 1, &stairs).rate.unit, PACE_MAX);
    plan_unref(plan);
}

static void test_limits_are_judged_again_on_the_link(void **state)
{
    (void)state;
    struct err err;
    struct plan *plan =
        plan_of("max_rate = \"1Gbit/L1\";", "",
                "{ name = \"a\"; " VOICE "rate = \"60%\"; }, { name = \"b\"; " VOICE "rate = \"60%\"; }");
    assert_int_equal(plan_check_port(plan, 0, 100000000, &err), 0);
    assert_int_equal(plan_check_port(plan, 0, 1000000000, &err), -EPERM);
    assert_non_null(strstr(err.text, "1.2 Gbit/L1"));
    plan_unref(plan);
    plan = plan_of("", "", "{ name = \"a\"; " VOICE "rate = \"2Gbit/L1\"; }");
    assert_int_equal(plan_check_port(plan, 0, 0, &err), 0);
    assert_int_equal(plan_check_port(plan, 0, 1000000000, &err), -EINVAL);
    assert_non_null(strstr(err.text, "stream a asks for 2 Gbit/L1"));
    plan_unref(plan);
}

static void test_chains_link_by_name_and_copies_by_number(void **state)
{
    (void)state;
    struct plan *plan =
        plan_of("max_rate = \"100Mbit/L1\";", "",
                "{ name = \"a\"; " VOICE "rate = \"60Mbit/L1\"; next = \"b\"; },"
                "{ name = \"b\"; " VOICE "rate = \"90Mbit/L1\"; next = \"a\"; loops = \"forever\"; },"
                "{ name = \"x\"; " VOICE "copies = 3; rate = 1; next = \"y\"; },"
                "{ name = \"y\"; " VOICE "copies = 3; rate = 1; next = \"a\"; }");
    assert_int_equal(plan->streams[0].next, 1);
    assert_int_equal(plan->streams[1].next, 0);
    assert_true(plan->streams[1].spec->loops == UINT64_MAX);
    for (uint32_t i = 2; i < 5; i++) {
        assert_int_equal(plan->streams[i].next, i + 3);
        assert_int_equal(plan->streams[i + 3].next, 0);
    }
    const bool follows[] = {true, true, false, false, false, true, true, true};
    for (uint32_t i = 0; i < plan->stream_count; i++)
        assert_int_equal(plan->streams[i].follows, follows[i]);
    plan_unref(plan);
}

static void test_a_ring_begins_with_its_first_stream(void **state)
{
    (void)state;
    struct plan *plan = plan_of("", "",
                                "{ name = \"a\"; " VOICE "next = \"b\"; },"
                                "{ name = \"b\"; " VOICE "next = \"a\"; loops = 3; }");
    assert_false(plan->streams[0].follows);
    assert_true(plan->streams[1].follows);
    assert_true(plan->streams[0].loops == UINT64_MAX);
    assert_int_equal(plan->streams[1].loops, 3);
    plan_unref(plan);
}

/* Reads a dry run back: how many frames, of what length, when. */
struct seen {
    uint64_t frames;
    uint64_t at_ns[100];
    uint32_t bytes[100];
};

static struct seen dry_run(const struct plan *plan, uint64_t frames)
{
    struct seen seen = {0};
    struct err err;
    char path[] = "/tmp/test_plan_XXXXXX", text[PCAP_ERRBUF_SIZE];
    struct pcap_pkthdr *header;
    const u_char *data;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    if (dryrun_write(plan, path, frames, &err) != 0)
        fail_msg("%s", err.text);
    pcap_t *pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, text);
    assert_non_null(pcap);
    for (; pcap_next_ex(pcap, &header, &data) == 1 && seen.frames < 100; seen.frames++) {
        seen.at_ns[seen.frames] = (uint64_t)header->ts.tv_sec * NS_PER_SECOND + (uint64_t)header->ts.tv_usec;
        seen.bytes[seen.frames] = header->len;
    }
    pcap_close(pcap);
    unlink(path);
    close(fd);
    return seen;
}

static void test_a_dry_run_follows_deadlines_and_chains(void **state)
{
    (void)state;
    struct plan *plan = plan_of(
        "", "",
        "{ name = \"a\"; " VOICE "size = 100; rate = \"1kpps\"; duration = \"3ms\"; next = \"b\"; },"
        "{ name = \"b\"; " VOICE "size = 200; rate = \"2kpps\"; count = 2; next = \"a\"; loops = 2; },"
        "{ name = \"c\"; " VOICE "size = 300; rate = \"250pps\"; phase = \"50%\"; duration = \"4ms\"; }");
    struct seen seen = dry_run(plan, 100);
    const uint64_t at_us[] = {0,    1000, 2000, 2000, 3000, 3500, 3500,
                              4500, 5500, 6500, 7000, 7000, 8000, 9000};
    const uint32_t bytes[] = {96, 96, 96, 296, 196, 196, 96, 96, 96, 196, 196, 96, 96, 96};
    assert_int_equal(seen.frames, 14);
    for (size_t i = 0; i < 14; i++) {
        assert_int_equal(seen.at_ns[i], at_us[i] * 1000);
        if (i != 2 && i != 3) /* due together */
            assert_int_equal(seen.bytes[i], bytes[i]);
    }
    assert_int_equal(dry_run(plan, 5).frames, 5);
    plan_unref(plan);
}

static void test_a_dry_run_needs_the_speed_for_max_and_percent(void **state)
{
    (void)state;
    const char *const streams[] = {"{ name = \"a\"; " VOICE "rate = \"max\"; }",
                                   "{ name = \"a\"; " VOICE "rate = \"100%\"; }"};
    for (size_t i = 0; i < 2; i++) {
        struct err err;
        struct plan *plan = plan_of("", "", streams[i]);
        assert_int_equal(dryrun_write(plan, "/dev/null", 1, &err), -EINVAL);
        assert_non_null(strstr(err.text, "`speed`"));
        plan_unref(plan);
        plan = plan_of("", "speed = \"1Gbit\";", streams[i]);
        struct seen seen = dry_run(plan, 10);
        assert_int_equal(seen.frames, 10);
        assert_int_equal(seen.at_ns[9], 9 * 672);
        plan_unref(plan);
    }
}

static void test_explain_says_rate_shape_and_limits(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    struct plan *plan =
        plan_of("", "",
                "{ name = \"a\"; " VOICE
                "burst = { frames = 64; gap = \"5ms\"; bursts = 9; }; count = 500; next = \"b\"; },"
                "{ name = \"b\"; " VOICE "ramp = { from = \"1kpps\"; to = \"5kpps\"; over = \"2s\"; }; }");
    FILE *out = open_memstream(&text, &size);
    plan_explain(plan, 0, out, false);
    plan_explain(plan, 1, out, false);
    fclose(out);
    const char *const wanted[] = {
        "stream    a\n",
        "port      east (veth0), 1 queue\n",
        "trains    64 frames back to back, 5 ms from the end of one to the next, 9 trains\n",
        "ends      after 500 completed frames, at most 3600.000 s\n",
        "next      b\n",
        "rate      1 kpps to 5 kpps over 2.000 s, which then stays\n",
        "ends      after 2.000 s\n",
        "start     only after another one"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (strstr(text, wanted[i]) == NULL)
            fail_msg("explain does not say `%s` but:\n%s", wanted[i], text);
    free(text);
    plan_unref(plan);
}

static void test_fingerprints_tell_what_changed(void **state)
{
    (void)state;
    struct plan *one = plan_of("", "",
                               "{ name = \"a\"; " VOICE "}, { name = \"b\"; " VOICE
                               "copies = 2; }, { name = \"c\"; " VOICE "}");
    struct plan *other = plan_of("", "",
                                 "\n\n{ name = \"a\"; " VOICE "},\n { name = \"b\"; " VOICE
                                 "copies = 2; }, { name = \"c\"; " VOICE "size = 65; }");
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(one->streams[i].fingerprint == other->streams[i].fingerprint, i < 3);
    assert_true(one->streams[1].fingerprint != one->streams[2].fingerprint);
    plan_unref(one);
    plan_unref(other);
}

static void test_apply_replaces_and_adds(void **state)
{
    (void)state;
    const char *text = "templates = { t = ( { ethernet = { dst = \"02:00:00:00:00:09\"; }; } ); };"
                       "streams = ( { name = \"b\"; port = \"west\"; template = \"t\"; },"
                       "            { name = \"c\"; port = \"west\"; template = \"t\"; } );";
    struct plan *base = plan_of("", "",
                                "{ name = \"a\"; " VOICE "next = \"b\"; }, { name = \"b\"; " VOICE "},"
                                "{ name = \"c\"; " VOICE "copies = 3; }");
    struct plan *alone = applied(base, false, text);
    assert_int_equal(alone->stream_count, 2);
    assert_int_equal(alone->port_count, 2);
    assert_int_equal(alone->streams[0].port, 1);
    struct plan *both = applied(base, true, text);
    uint64_t fingerprint = base->streams[0].fingerprint;
    plan_unref(base);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(both->stream_count, 3);
        assert_int_equal(plan_find_stream(both, "c.1"), PLAN_NONE);
        const struct plan_stream *a = &both->streams[plan_find_stream(both, "a")];
        assert_int_equal(a->next, plan_find_stream(both, "b"));
        assert_int_equal(a->fingerprint, fingerprint);
        struct plan *next = applied(both, true, text);
        plan_unref(both);
        both = next;
    }
    uint8_t frame[2000];
    frame_of(&both->streams[plan_find_stream(both, "a")], frame);
    assert_int_equal(frame[5], 2);
    plan_unref(alone);
    plan_unref(both);
}

static size_t bytes_in_use(void)
{
    struct mallinfo2 all = mallinfo2();
    return all.uordblks + all.hblkhd;
}

static void test_ten_thousand_copies_share_and_stay_small(void **state)
{
    (void)state;
    enum { COPIES = 10000 };
    for (int varied = 0; varied < 2; varied++) {
        size_t before = bytes_in_use();
        uint64_t begin_ns = clock_monotonic_ns();
        struct plan *plan =
            plan_of("", "",
                    varied ? "{ name = \"a\"; " VOICE
                             "copies = 10000; each = ( { field = \"udp.src\"; from = 1; } ); }"
                           : "{ name = \"a\"; " VOICE "copies = 10000; }");
        uint64_t took_ns = clock_monotonic_ns() - begin_ns;
        size_t bytes = bytes_in_use() - before;
        assert_int_equal(plan->stream_count, COPIES);
        assert_int_equal(plan->streams[0].packet == plan->streams[COPIES - 1].packet, !varied);
        assert_ptr_equal(plan->streams[0].spec, plan->streams[COPIES - 1].spec);
        print_message("%d copies, %s: %zu bytes a stream, %.1f ms\n", COPIES,
                      varied ? "own packets" : "shared", bytes / COPIES, (double)took_ns / 1e6);
        plan_unref(plan);
    }
}

/* ---- malformed ---- */

enum { CASES_AT_LEAST = 40, TEXT_BYTES = 1 << 16 };

static void judge(const char *name, char *out)
{
    struct complaints *complaints = complaints_new();
    struct tree *tree = NULL;
    struct plan *plan = NULL;
    assert_int_equal(tree_read_file(name, &tree, complaints), 0);
    assert_int_equal(plan_compile(tree, "test", &plan, complaints), -EINVAL);
    assert_null(plan);
    size_t used = 0;
    for (size_t i = 0; i < complaints_count(complaints); i++) {
        const struct complaint *complaint = complaints_get(complaints, i);
        used += (size_t)snprintf(out + used, TEXT_BYTES - used, "%s: %s%s\n", complaint->where,
                                 complaint->error ? "" : "warning: ", complaint->text);
    }
    out[used] = '\0';
    complaints_free(complaints);
}

static int ends_with_conf(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return length > 5 && strcmp(entry->d_name + length - 5, ".conf") == 0;
}

static void compare_with_file(const char *name, const char *seen, int *wrong)
{
    static char wanted[TEXT_BYTES];
    bool bless = getenv("VOLLEYD_BLESS") != NULL;
    FILE *file = fopen(name, bless ? "w" : "r");
    if (file == NULL)
        fail_msg("%s is missing", name);
    if (bless) {
        fputs(seen, file);
        fclose(file);
        return;
    }
    wanted[fread(wanted, 1, TEXT_BYTES - 1, file)] = '\0';
    fclose(file);
    if (strcmp(seen, wanted) != 0) {
        print_error("%s\n--- expected\n%s+++ seen\n%s", name, wanted, seen);
        ++*wrong;
    }
}

/* The sources' folder: make check names it; by hand it is run from the build directory or the top. */
static void enter(const char *folder)
{
    static char start[4096];
    const char *places[] = {getenv("srcdir"), "..", "."};
    char path[4096];
    if (*start == '\0')
        assert_non_null(getcwd(start, sizeof start));
    assert_int_equal(chdir(start), 0);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", places[i] != NULL ? places[i] : ".", folder);
        if (chdir(path) == 0)
            return;
    }
    fail_msg("%s is not found", folder);
}

static void test_the_examples_compile(void **state)
{
    (void)state;
    struct dirent **entries;
    enter("etc/examples");
    int count = scandir(".", &entries, ends_with_conf, alphasort);
    assert_true(count >= 10);
    for (int i = 0; i < count; i++) {
        struct complaints *complaints = complaints_new();
        struct tree *tree = NULL;
        struct plan *plan = NULL;
        assert_int_equal(tree_read_file(entries[i]->d_name, &tree, complaints), 0);
        int rc = plan_compile(tree, "test", &plan, complaints);
        print_complaints(complaints);
        assert_int_equal(rc, 0);
        assert_true(plan->stream_count > 0);
        plan_unref(plan);
        complaints_free(complaints);
        free(entries[i]);
    }
    free(entries);
}

static void test_each_malformed_plan_is_refused_with_its_messages(void **state)
{
    (void)state;
    static char seen[TEXT_BYTES];
    struct dirent **entries;
    int wrong = 0;
    enter("tests/unit/malformed_plan");
    int count = scandir(".", &entries, ends_with_conf, alphasort);
    assert_true(count >= CASES_AT_LEAST);
    for (int i = 0; i < count; i++) {
        char expected[300];
        const char *name = entries[i]->d_name;
        snprintf(expected, sizeof expected, "%.*s.expected", (int)strlen(name) - 5, name);
        judge(name, seen);
        compare_with_file(expected, seen, &wrong);
        free(entries[i]);
    }
    free(entries);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stream_has_its_defaults),
        cmocka_unit_test(test_copies_step_fields_and_rates),
        cmocka_unit_test(test_copies_step_ipv6_across_a_carry),
        cmocka_unit_test(test_copies_take_listed_rates_and_delays_in_turn),
        cmocka_unit_test(test_equal_streams_are_spread_over_their_gap),
        cmocka_unit_test(test_parts_of_a_split_stream_interleave),
        cmocka_unit_test(test_percent_is_resolved_on_the_link),
        cmocka_unit_test(test_rates_meet_at_l1_bits),
        cmocka_unit_test(test_max_is_paced_to_what_max_rate_leaves),
        cmocka_unit_test(test_limits_are_judged_again_on_the_link),
        cmocka_unit_test(test_chains_link_by_name_and_copies_by_number),
        cmocka_unit_test(test_a_ring_begins_with_its_first_stream),
        cmocka_unit_test(test_a_dry_run_follows_deadlines_and_chains),
        cmocka_unit_test(test_a_dry_run_needs_the_speed_for_max_and_percent),
        cmocka_unit_test(test_explain_says_rate_shape_and_limits),
        cmocka_unit_test(test_fingerprints_tell_what_changed),
        cmocka_unit_test(test_apply_replaces_and_adds),
        cmocka_unit_test(test_ten_thousand_copies_share_and_stay_small),
        cmocka_unit_test(test_the_examples_compile),
        cmocka_unit_test(test_each_malformed_plan_is_refused_with_its_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
