// SPDX-License-Identifier: GPL-2.0-or-later
/* The schema: defaults as documented, every key into its field, the same from JSON, and what a client may
 * not say. What is refused with which words is tests/unit/malformed's matter. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/read.h"
#include "config/schema.h"

struct read { /* one configuration, read */
    struct tree *tree;
    struct spec spec;
    struct complaints *complaints;
    int rc;
};

static void begin(struct read *read, const char *text, enum spec_scope scope)
{
    *read = (struct read){.complaints = complaints_new()};
    read->rc = tree_read_text(text, strlen(text), "t.conf", &read->tree, read->complaints);
    if (read->rc == 0)
        read->rc = spec_read(read->tree, scope, &read->spec, read->complaints);
}

static void good(struct read *read, const char *text)
{
    begin(read, text, SPEC_FILE);
    if (read->rc != 0)
        fail_msg("%s: %s", complaints_get(read->complaints, 0)->where,
                 complaints_get(read->complaints, 0)->text);
}

static void end(struct read *read)
{
    spec_fini(&read->spec);
    tree_free(read->tree);
    complaints_free(read->complaints);
}

static void nothing_is_allowed_by_default(void **state)
{
    (void)state;
    struct read read;
    good(&read, "");
    const struct spec *spec = &read.spec;
    assert_string_equal(spec->control.socket, "/run/volleyd/control.sock");
    assert_string_equal(spec->control.status_socket, "/run/volleyd/status.sock");
    assert_null(spec->control.group);
    assert_int_equal(spec->control.mode, 0660);
    assert_int_equal(spec->safety.allowed, 0);
    assert_int_equal(spec->safety.max_rate.kind, RATE_MAX);
    assert_true(spec->safety.max_duration_ns == UINT64_C(3600000000000));
    assert_int_equal(spec->port_count, 0);
    assert_int_equal(spec->stream_count, 0);
    assert_null(spec->templates);
    end(&read);
}

static void a_port_has_the_documented_defaults(void **state)
{
    (void)state;
    struct read read;
    good(&read, "ports = ( { name = \"east\"; interface = \"veth0\"; } );");
    const struct port_spec *port = &read.spec.ports[0];
    assert_int_equal(read.spec.port_count, 1);
    assert_string_equal(port->name, "east");
    assert_string_equal(port->interface, "veth0");
    assert_string_equal(port->engine, "txring");
    assert_int_equal(port->queues, 1);
    for (size_t i = 0; i < QUEUES_MAX; i++)
        assert_int_equal(port->cpus[i], CPU_AUTO);
    assert_int_equal(port->pacing, PACING_BALANCED);
    assert_int_equal(port->max_burst, 32);
    assert_int_equal(port->late_ns, 10000000);
    assert_int_equal(port->drain_ns, 1000000000);
    assert_int_equal(port->link_delay_ns, 0);
    assert_false(port->qdisc || port->force || port->loss || port->cooked || port->receive);
    assert_int_equal(port->ring_version, 2);
    assert_int_equal(port->ring_frames + port->ring_frame_size + port->ring_block_size + port->ring_offset,
                     0);
    assert_int_equal(port->speed_bit, 0);
    assert_int_equal(port->on_link_loss, LINK_LOSS_STOP);
    assert_int_equal(port->receive_version, 3);
    assert_int_equal(port->receive_threads, 1);
    assert_int_equal(port->receive_fanout, FANOUT_STREAM);
    assert_string_equal(port->at->where, "t.conf:1");
    end(&read);
}

static void every_port_key_has_its_field(void **state)
{
    (void)state;
    struct read read;
    good(&read,
         "control = { socket = \"/a\"; status_socket = \"/b\"; group = \"adm\"; mode = 0600; };\n"
         "safety = { allow = [ \"veth*\", \"enp3s0f*\" ]; max_rate = \"10Gbit/L1\"; max_duration = \"1min\"; "
         "};\n"
         "ports = ( { name = \"east\"; interface = \"enp3s0f0.100\"; engine = \"mock\"; queues = 3;\n"
         "  cpus = [ 2, 3 ]; pacing = \"precise\"; max_burst = \"64\"; late = \"1ms\"; drain = \"2s\"; qdisc "
         "= true;\n"
         "  ring = { version = 3; frames = \"1k\"; frame_size = 2048; block_size = \"64KiB\"; offset = 48; "
         "loss = true; };\n"
         "  speed = \"2.5Gbit\"; on_link_loss = \"resume\"; link_delay = \"3s\"; force = true;\n"
         "  cooked = { dst = \"02:00:00:00:00:05\"; type = 0x86dd; };\n"
         "  receive = { version = 2; blocks = 64; block_size = \"1MiB\"; threads = 2; fanout = \"cpu\";\n"
         "              promiscuous = true; snap = 128; }; } );\n");
    const struct spec *spec = &read.spec;
    const struct port_spec *port = &spec->ports[0];
    assert_string_equal(spec->control.socket, "/a");
    assert_string_equal(spec->control.status_socket, "/b");
    assert_string_equal(spec->control.group, "adm");
    assert_int_equal(spec->control.mode, 0600);
    assert_int_equal(spec->safety.allowed, 2);
    assert_string_equal(spec->safety.allow[1], "enp3s0f*");
    assert_int_equal(spec->safety.max_rate.kind, RATE_BIT_L1);
    assert_true(spec->safety.max_rate.value.num == UINT64_C(10000000000));
    assert_true(spec->safety.max_duration_ns == UINT64_C(60000000000));
    assert_string_equal(port->interface, "enp3s0f0.100");
    assert_string_equal(port->engine, "mock");
    assert_int_equal(port->queues, 3);
    assert_int_equal(port->cpus[0], 2);
    assert_int_equal(port->cpus[1], 3);
    assert_int_equal(port->cpus[2], CPU_AUTO);
    assert_int_equal(port->pacing, PACING_PRECISE);
    assert_int_equal(port->max_burst, 64);
    assert_int_equal(port->late_ns, 1000000);
    assert_int_equal(port->drain_ns, 2000000000);
    assert_true(port->qdisc && port->loss && port->force && port->cooked && port->receive);
    assert_int_equal(port->ring_version, 3);
    assert_int_equal(port->ring_frames, 1000);
    assert_int_equal(port->ring_frame_size, 2048);
    assert_int_equal(port->ring_block_size, 65536);
    assert_int_equal(port->ring_offset, 48);
    assert_true(port->speed_bit == UINT64_C(2500000000));
    assert_int_equal(port->on_link_loss, LINK_LOSS_RESUME);
    assert_true(port->link_delay_ns == UINT64_C(3000000000));
    assert_memory_equal(port->cooked_dst, "\x02\0\0\0\0\x05", 6);
    assert_int_equal(port->cooked_type, 0x86dd);
    assert_int_equal(port->receive_version, 2);
    assert_int_equal(port->receive_blocks, 64);
    assert_int_equal(port->receive_block_size, 1 << 20);
    assert_int_equal(port->receive_threads, 2);
    assert_int_equal(port->receive_fanout, FANOUT_CPU);
    assert_true(port->receive_promiscuous);
    assert_int_equal(port->receive_snap, 128);
    end(&read);
}

#define STREAM(body) "streams = ( { name = \"a\"; port = \"east\"; template = \"t\"; " body " } );"

static void receive_is_a_switch_or_a_group(void **state)
{
    (void)state;
    struct read read;
    good(&read, "ports = ( { name = \"a\"; interface = \"a\"; receive = true; },"
                "{ name = \"b\"; interface = \"b\"; receive = false; }, { name = \"c\"; interface = \"c\"; "
                "receive = {}; } );");
    assert_true(read.spec.ports[0].receive);
    assert_false(read.spec.ports[1].receive);
    assert_true(read.spec.ports[2].receive);
    end(&read);
}

static void a_stream_has_the_documented_defaults(void **state)
{
    (void)state;
    struct read read;
    good(&read, STREAM(""));
    const struct stream_spec *stream = &read.spec.streams[0];
    assert_string_equal(stream->name, "a");
    assert_string_equal(stream->port, "east");
    assert_string_equal(stream->template_name, "t");
    assert_false(stream->has_rate || stream->has_gap || stream->has_count || stream->has_duration);
    assert_int_equal(stream->rate.kind, RATE_PPS);
    assert_int_equal(stream->rate.value.num, 1000);
    assert_true(stream->duration_ns == UINT64_C(10000000000));
    assert_int_equal(stream->count + stream->delay_ns, 0);
    assert_int_equal(stream->loops, 1);
    assert_int_equal(stream->copies, 1);
    assert_false(stream->has_phase || stream->split || stream->autostart || stream->learn ||
                 stream->check_payload || stream->udp_segment);
    assert_int_equal(stream->special, 0);
    assert_null(stream->next);
    assert_int_equal(stream->expected + stream->required, 0);
    assert_int_equal(stream->tolerance.num, 0);
    assert_false(stream->shape.has_burst || stream->shape.has_onoff || stream->shape.has_ramp ||
                 stream->shape.has_stairs || stream->shape.poisson);
    end(&read);
}

static void a_count_alone_has_no_time_limit(void **state)
{
    (void)state;
    struct read read;
    good(&read, STREAM("count = 1000003;"));
    assert_int_equal(read.spec.streams[0].count, 1000003);
    assert_true(read.spec.streams[0].duration_ns == UINT64_MAX);
    end(&read);
    good(&read, STREAM("count = 5; duration = \"2s\";"));
    assert_true(read.spec.streams[0].duration_ns == UINT64_C(2000000000));
    end(&read);
    good(&read, STREAM("duration = \"forever\";"));
    assert_true(read.spec.streams[0].duration_ns == UINT64_MAX);
    end(&read);
}

static void every_stream_key_has_its_field(void **state)
{
    (void)state;
    struct read read;
    good(&read,
         STREAM(
             "rate = 0.1; on_off = { on = \"1s\"; off = \"2s\"; }; arrivals = { seed = 7; }; phase = 0.25;"
             "count = 5000000000L; duration = \"1min\"; delay = \"5ms\"; next = \"b\"; loops = 3; copies = 8;"
             "split = true; offload = \"udp-segment\"; special = [ \"broadcast\", \"bpdu\" ]; autostart = "
             "true;"
             "expect = [ \"west\", \"north\" ]; learn = false; check_payload = true;"
             "require = ( \"loss == 0\" ); tolerance = \"0.1%\";"
             "set = (); size = 64; mix = (); payload = {}; vary = (); each = ();"));
    const struct stream_spec *stream = &read.spec.streams[0];
    assert_true(stream->has_rate && stream->has_count && stream->has_duration && stream->has_phase);
    assert_int_equal(stream->rate.value.num, 1);
    assert_int_equal(stream->rate.value.den, 10);
    assert_true(stream->shape.has_onoff && stream->shape.poisson);
    assert_int_equal(stream->shape.on_ns, 1000000000);
    assert_int_equal(stream->shape.off_ns, 2000000000);
    assert_int_equal(stream->shape.seed, 7);
    assert_int_equal(stream->phase.num, 1);
    assert_int_equal(stream->phase.den, 4);
    assert_true(stream->count == UINT64_C(5000000000));
    assert_true(stream->duration_ns == UINT64_C(60000000000));
    assert_int_equal(stream->delay_ns, 5000000);
    assert_string_equal(stream->next, "b");
    assert_int_equal(stream->loops, 3);
    assert_int_equal(stream->copies, 8);
    assert_true(stream->split && stream->udp_segment && stream->autostart && stream->check_payload);
    assert_false(stream->learn);
    assert_int_equal(stream->special, SPECIAL_BROADCAST | SPECIAL_BPDU);
    assert_int_equal(stream->expected, 2);
    assert_string_equal(stream->expect[1], "north");
    assert_int_equal(stream->required, 1);
    assert_string_equal(stream->require[0], "loss == 0");
    assert_int_equal(stream->tolerance.num, 1);
    assert_int_equal(stream->tolerance.den, 1000);
    end(&read);
}

static void shapes_are_read(void **state)
{
    (void)state;
    struct read read;
    good(&read, STREAM("burst = { frames = 128; bursts = 10; gap = \"10ms\"; rate = \"1Mpps\"; };"));
    const struct shape_spec *shape = &read.spec.streams[0].shape;
    assert_true(shape->has_burst);
    assert_int_equal(shape->burst_frames, 128);
    assert_int_equal(shape->bursts, 10);
    assert_int_equal(shape->burst_gap_ns, 10000000);
    assert_int_equal(shape->burst_rate.value.num, 1000000);
    end(&read);
    good(&read, STREAM("burst = { frames = 64; }; rate = \"10kpps\";"));
    assert_int_equal(read.spec.streams[0].shape.burst_rate.kind, RATE_MAX);
    end(&read);
    good(&read, STREAM("ramp = { from = 0; to = \"80%\"; over = \"20s\"; };"));
    shape = &read.spec.streams[0].shape;
    assert_true(shape->has_ramp);
    assert_int_equal(shape->ramp_from.kind, RATE_PERCENT);
    assert_int_equal(shape->ramp_to.value.num, 80);
    assert_true(shape->ramp_over_ns == UINT64_C(20000000000));
    end(&read);
    good(&read, STREAM("stairs = { steps = ( \"30%\", \"80%\", \"max\" ); each = \"20s\"; };"));
    shape = &read.spec.streams[0].shape;
    assert_true(shape->has_stairs);
    assert_int_equal(shape->steps, 3);
    assert_int_equal(shape->stairs[1].value.num, 80);
    assert_int_equal(shape->stairs[2].kind, RATE_MAX);
    assert_true(shape->stair_ns == UINT64_C(20000000000));
    end(&read);
    good(&read, STREAM("gap = \"10us\"; arrivals = \"poisson\"; expect = \"west\";"));
    assert_true(read.spec.streams[0].has_gap && read.spec.streams[0].shape.poisson);
    assert_int_equal(read.spec.streams[0].gap_ns, 10000);
    assert_int_equal(read.spec.streams[0].shape.seed, 1);
    assert_true(read.spec.streams[0].learn);
    end(&read);
}

static void json_says_the_same(void **state)
{
    (void)state;
    struct complaints *complaints = complaints_new();
    struct tree *tree = NULL;
    struct spec spec = {0};
    json_t *json = json_loads("{\"templates\":{\"t\":[]},\"streams\":[{\"name\":\"a\",\"port\":\"east\","
                              "\"template\":[],\"rate\":\"50kpps\",\"count\":5000000000}]}",
                              0, NULL);
    assert_int_equal(tree_read_json(json, &tree, complaints), 0);
    assert_int_equal(spec_read(tree, SPEC_APPLY, &spec, complaints), 0);
    assert_int_equal(spec.stream_count, 1);
    assert_null(spec.streams[0].template_name);
    assert_int_equal(spec.streams[0].rate.value.num, 50000);
    assert_true(spec.streams[0].count == UINT64_C(5000000000));
    assert_int_equal(spec.templates->children, 1);
    spec_fini(&spec);
    tree_free(tree);
    complaints_free(complaints);
    json_decref(json);
}

static void a_client_may_not_say_everything(void **state)
{
    (void)state;
    static const struct {
        const char *text, *complaint;
    } rows[] = {
        {"safety = { allow = [ \"*\" ]; };", "safety: belongs to the configuration file"},
        {"ports = ();", "ports: belongs to the configuration file"},
        {"control = {};", "control: belongs to the configuration file"},
        {STREAM("payload = { file = \"/etc/shadow\"; };"), "streams[0].payload.file: files are read for"},
        {"templates = { t = ( { payload = { file = \"/etc/shadow\"; }; } ); };",
         "templates.t[0].payload.file: files are read for"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct read read;
        begin(&read, rows[i].text, SPEC_APPLY);
        assert_int_equal(read.rc, -EINVAL);
        assert_int_equal(complaints_errors(read.complaints), 1);
        assert_non_null(strstr(complaints_get(read.complaints, 0)->text, rows[i].complaint));
        end(&read);
        begin(&read, rows[i].text, SPEC_FILE);
        assert_int_equal(read.rc, 0);
        end(&read);
    }
}

static void too_many_ports_are_refused(void **state)
{
    (void)state;
    char text[8000] = "ports = (";
    for (int i = 0; i < 65; i++)
        sprintf(text + strlen(text), "{ name = \"p%d\"; interface = \"veth%d\"; },", i, i);
    strcat(text, ");");
    struct read read;
    begin(&read, text, SPEC_FILE);
    assert_int_equal(read.rc, -EINVAL);
    assert_non_null(strstr(complaints_get(read.complaints, 0)->text, "has 65 entries; at most 64"));
    end(&read);
}

/* Every key of DESIGN §8 is there, and the manual and the completion show each one. */
static void all_promised_keys_are_printed(void **state)
{
    (void)state;
    static const char *const promised[] = {"control.socket",
                                           "control.group",
                                           "control.mode",
                                           "control.status_socket",
                                           "safety.allow",
                                           "safety.max_rate",
                                           "safety.max_duration",
                                           "port.name",
                                           "port.interface",
                                           "port.engine",
                                           "port.queues",
                                           "port.cpus",
                                           "port.pacing",
                                           "port.max_burst",
                                           "port.late",
                                           "port.drain",
                                           "port.qdisc",
                                           "port.ring",
                                           "port.ring.version",
                                           "port.ring.frames",
                                           "port.ring.frame_size",
                                           "port.ring.block_size",
                                           "port.speed",
                                           "port.on_link_loss",
                                           "port.link_delay",
                                           "port.force",
                                           "port.cooked.dst",
                                           "port.cooked.type",
                                           "port.receive",
                                           "port.receive.fanout",
                                           "stream.name",
                                           "stream.port",
                                           "stream.template",
                                           "stream.set",
                                           "stream.size",
                                           "stream.mix",
                                           "stream.payload",
                                           "stream.vary",
                                           "stream.copies",
                                           "stream.each",
                                           "stream.rate",
                                           "stream.gap",
                                           "stream.burst.frames",
                                           "stream.ramp.over",
                                           "stream.stairs.steps",
                                           "stream.arrivals.seed",
                                           "stream.phase",
                                           "stream.count",
                                           "stream.duration",
                                           "stream.delay",
                                           "stream.next",
                                           "stream.split",
                                           "stream.offload",
                                           "stream.special",
                                           "stream.autostart",
                                           "stream.expect",
                                           "stream.require",
                                           "stream.tolerance",
                                           "stream.on_off.off",
                                           "stream.loops"};
    char *keys = NULL, *roff = NULL;
    size_t size;
    FILE *out = open_memstream(&keys, &size);
    schema_print_keys(out);
    fclose(out);
    out = open_memstream(&roff, &size);
    schema_print_roff(out);
    fclose(out);
    for (size_t i = 0; i < sizeof promised / sizeof promised[0]; i++) {
        char line[80];
        snprintf(line, sizeof line, "%s\n", promised[i]);
        if (strstr(keys, line) == NULL)
            fail_msg("%s is not there", promised[i]);
        snprintf(line, sizeof line, ".B %s\n", strrchr(promised[i], '.') + 1);
        assert_non_null(strstr(roff, line));
    }
    assert_non_null(strstr(roff, "Default: 1kpps."));
    assert_non_null(strstr(roff, "\n.SS port.ring\n"));
    assert_null(strstr(roff, "(null)"));
    free(keys);
    free(roff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_allowed_by_default),
        cmocka_unit_test(a_port_has_the_documented_defaults),
        cmocka_unit_test(every_port_key_has_its_field),
        cmocka_unit_test(receive_is_a_switch_or_a_group),
        cmocka_unit_test(a_stream_has_the_documented_defaults),
        cmocka_unit_test(a_count_alone_has_no_time_limit),
        cmocka_unit_test(every_stream_key_has_its_field),
        cmocka_unit_test(shapes_are_read),
        cmocka_unit_test(json_says_the_same),
        cmocka_unit_test(a_client_may_not_say_everything),
        cmocka_unit_test(too_many_ports_are_refused),
        cmocka_unit_test(all_promised_keys_are_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
