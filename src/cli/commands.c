/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of commands. A new verb is one row here and one handler. */
#include <string.h>

#include "cli/handlers.h"
#include "config/tree.h"

const struct option_row global_options[] = {
    {"socket", 0, "PATH", COMPLETE_FILES,
     "the daemon's socket (VOLLEYD_SOCKET, else /run/volleyd/control.sock)"},
    {"json", 0, NULL, COMPLETE_NOTHING, "print JSON for programs"},
    {"timeout", 0, "SECONDS", COMPLETE_NOTHING, "how long one reply may take (5)"},
    {"help", 'h', NULL, COMPLETE_NOTHING, "show help"},
    {"version", 'V', NULL, COMPLETE_NOTHING, "show this program's version"},
    {NULL, 0, NULL, COMPLETE_NOTHING, NULL},
};

#define PORT_OPTION                                                     \
    {                                                                   \
        "port", 'p', "PORT", COMPLETE_PORTS, "the streams of this port" \
    }
#define END                                   \
    {                                         \
        NULL, 0, NULL, COMPLETE_NOTHING, NULL \
    }

static const struct option_row port_options[] = {PORT_OPTION, END};
static const struct option_row status_options[] = {
    {"all", 'a', NULL, COMPLETE_NOTHING, "every stream, however many there are"}, END};
static const struct option_row start_options[] = {
    PORT_OPTION,
    {"wait", 'w', NULL, COMPLETE_NOTHING, "until it ends; Ctrl-C stops what was started"},
    {"at", 0, "TIME", COMPLETE_NOTHING, "start then: RFC 3339, seconds since 1970, or +SECONDS"},
    {"clock", 0, "CLOCK", COMPLETE_CLOCKS, "the clock of --at: realtime or tai (realtime)"},
    {"max-skew", 0, "TIME", COMPLETE_NOTHING, "refuse when the clock may be wrong by more: 50us"},
    END};
static const struct option_row rate_options[] = {
    {"all", 'a', NULL, COMPLETE_NOTHING, "all streams"}, PORT_OPTION, END};
static const struct option_row counters_options[] = {
    {"match", 'm', "GLOB", COMPLETE_STREAMS, "streams whose name matches: 'voice.*'"}, END};
static const struct option_row watch_options[] = {
    {"interval", 'i', "SECONDS", COMPLETE_NOTHING, "time between lines (1)"},
    {"count", 'n', "N", COMPLETE_NOTHING, "end after N lines"},
    END};
static const struct option_row top_options[] = {
    {"interval", 'i', "SECONDS", COMPLETE_NOTHING, "time between updates (1)"},
    {"count", 'n', "N", COMPLETE_NOTHING, "end after N updates"},
    END};
static const struct option_row apply_options[] = {
    {"add", 'a', NULL, COMPLETE_NOTHING, "keep the streams in force, add or replace those of FILE"},
    {"dry", 'd', NULL, COMPLETE_NOTHING, "only say what would change"},
    END};
static const struct option_row send_options[] = {
    {"packet", 0, "TEMPLATE", COMPLETE_TEMPLATES, "a template of the configuration in force"},
    {"src", 0, "MAC", COMPLETE_NOTHING, "source address (the interface's own)"},
    {"dst", 0, "MAC", COMPLETE_NOTHING, "destination address (02:00:00:00:00:02)"},
    {"vlan", 0, "ID", COMPLETE_NOTHING, "with a VLAN tag"},
    {"ip-src", 0, "ADDRESS", COMPLETE_NOTHING, "IPv4 source (198.18.0.1)"},
    {"ip-dst", 0, "ADDRESS", COMPLETE_NOTHING, "IPv4 destination (198.19.0.1)"},
    {"udp-src", 0, "PORT", COMPLETE_NOTHING, "UDP source port (9)"},
    {"udp-dst", 0, "PORT", COMPLETE_NOTHING, "UDP destination port (9, discard)"},
    {"size", 's', "SIZE", COMPLETE_NOTHING, "bytes with the FCS, or a mix: 64, imix (64)"},
    {"rate", 'r', "RATE", COMPLETE_NOTHING, "500kpps, 1Gbit/L1, 30%, max (1kpps)"},
    {"count", 'n', "N", COMPLETE_NOTHING, "frames to send"},
    {"duration", 'd', "TIME", COMPLETE_NOTHING, "how long: 10s, 5min, forever (10s unless --count)"},
    {"no-wait", 0, NULL, COMPLETE_NOTHING, "return at once; volleyctl stop send ends it"},
    END};
static const struct option_row ring_options[] = {
    {"mtu", 'm', "N", COMPLETE_NOTHING, "the interface's MTU (1500)"},
    {"frames", 'n', "N", COMPLETE_NOTHING, "slots in the ring, one frame each"},
    {"frame-size", 'f', "BYTES", COMPLETE_NOTHING, "bytes a slot"},
    {"block-size", 'b', "BYTES", COMPLETE_NOTHING, "bytes a block"},
    {"ring-version", 0, "N", COMPLETE_NOTHING, "TPACKET version: 1, 2 or 3 (2)"},
    {"virtio", 0, NULL, COMPLETE_NOTHING, "with a virtio header before each frame"},
    END};
static const struct option_row report_options[] = {
    {"html", 0, NULL, COMPLETE_NOTHING, "one HTML page that needs nothing else"},
    {"output", 'o', "FILE", COMPLETE_FILES, "write there instead of standard output"},
    END};
static const struct option_row metrics_options[] = {
    {"openmetrics", 0, NULL, COMPLETE_NOTHING, "OpenMetrics 1.0 instead of Prometheus 0.0.4"},
    {"textfile", 0, "PATH", COMPLETE_FILES, "write there atomically, for node_exporter"},
    {"streams", 0, NULL, COMPLETE_NOTHING, "also every stream (many streams make many series)"},
    END};
static const struct option_row lease_options[] = {
    {"force", 'f', NULL, COMPLETE_NOTHING, "take it from who holds it"},
    {"release", 0, NULL, COMPLETE_NOTHING, "give it back"},
    {"keep", 'k', NULL, COMPLETE_NOTHING, "renew until Ctrl-C, then give it back"},
    END};

const struct command commands[] = {
    {"status", "[NAME]...", "ports and streams, their states and reasons",
     "Shows the daemon's version, which configuration is in force, who holds a lease, each port with its\n"
     "state, link and ring, and each stream with its state and rate. What does not work has its reason\n"
     "beside it. With NAMEs, only those ports and streams, in every detail.",
     "status\twhat is there, and what is wrong\n"
     "status east\tone port with its ring and the fast paths chosen\n"
     "status --json\tthe same for programs\n",
     status_options, 0, ALL_ARGUMENTS, COMPLETE_NAMES, true, status_run},
    {"start", "[STREAM]...", "start streams",
     "Starts all streams, those named, or those of a port. With --wait it shows progress on a terminal,\n"
     "prints what was sent with the verdict and its reasons, and exits 8 when a requirement was not met and\n"
     "9 when the measurement is not valid. --at starts several machines at the same instant.",
     "start\tall streams\n"
     "start voice video --wait\ttwo streams, until they end\n"
     "start --at +5 --max-skew 100us\tin five seconds, if the clock is good to 100 us\n",
     start_options, 0, ALL_ARGUMENTS, COMPLETE_STREAMS, false, start_run},
    {"stop", "[STREAM]...", "stop streams; no frame leaves after the reply",
     "Stops all streams, those named, or those of a port. The reply comes after the drain: no frame of "
     "theirs\n"
     "leaves afterwards.",
     "stop\tstop everything\nstop voice\tone stream\nstop --port east\tall streams of a port\n", port_options,
     0, ALL_ARGUMENTS, COMPLETE_STREAMS, false, stop_run},
    {"pause", "[STREAM]...", "hold streams where they are",
     "Holds running streams: their counts and positions stay, and resume goes on from there.",
     "pause voice\thold one stream\npause --port east\thold all streams of a port\n", port_options, 0,
     ALL_ARGUMENTS, COMPLETE_STREAMS, false, pause_run},
    {"resume", "[STREAM]...", "go on with paused streams", "Goes on with paused streams.",
     "resume\tall that are paused\nresume voice\tone stream\n", port_options, 0, ALL_ARGUMENTS,
     COMPLETE_STREAMS, false, resume_run},
    {"rate", "[STREAM]... RATE", "change the rate of streams, also while they run",
     "RATE is frames a second (500kpps), bits a second of frames with (L1) or without (L2) preamble and gap\n"
     "(1Gbit/L1), a share of the link (30%), max, or a multiple of the configured rate (x1.5).\n"
     "To change all streams, say --all.",
     "rate voice 500kpps\tone stream\nrate --all 30%\tevery stream at 30 % of its link\n"
     "rate --port east x0.5\ta port at half of what was configured\n",
     rate_options, 1, ALL_ARGUMENTS, COMPLETE_STREAMS, false, rate_run},
    {"counters", "[STREAM]...", "what was sent, missed, received",
     "Shows the accounts of the run that is open, or of the last one. For each port and stream:\n"
     "scheduled = queued + missed; queued = completed + rejected + withdrawn + in flight.",
     "counters\tall ports and streams\ncounters voice\tone stream\n"
     "counters --match 'voice.*' --json\tall copies of a stream, for programs\n",
     counters_options, 0, ALL_ARGUMENTS, COMPLETE_STREAMS, true, counters_run},
    {"watch", "[STREAM]...", "a line every second",
     "One line a second about all ports, or about the named streams together. With --json each line is one\n"
     "counters object (NDJSON). Ctrl-C ends it and leaves the traffic alone.",
     "watch\tall ports together\nwatch voice --interval 0.2\tone stream, five times a second\n"
     "watch --json --count 10\tten objects for a program\n",
     watch_options, 0, ALL_ARGUMENTS, COMPLETE_STREAMS, true, watch_run},
    {"top", "", "ports and streams live on the whole terminal",
     "Shows ports and streams with their rates and small history bars. Keys: arrows or j and k choose; s\n"
     "starts, x stops, p pauses or resumes, r changes the rate; o changes the order, / filters by name, Tab\n"
     "changes between ports and streams, ? helps, q leaves. When standard output is no terminal it prints\n"
     "plain lines.",
     "top\tlook at everything\ntop --interval 0.5\ttwice a second\n", top_options, 0, 0, COMPLETE_NOTHING,
     true, top_run},
    {"reload", "", "read the configuration file again",
     "Reads the daemon's configuration again. Streams that did not change go on without a gap; a file with "
     "an\n"
     "error changes nothing.",
     "reload\tafter editing volleyd.conf\n", NULL, 0, 0, COMPLETE_NOTHING, false, reload_run},
    {"apply", "FILE", "send a set of streams to the daemon",
     "Reads templates and streams from FILE (the configuration's syntax, read here, - for standard input) "
     "and\n"
     "puts them in force in one step until the next reload. Ports and safety stay the daemon's own.",
     "apply test.conf\tthese streams instead of the configured ones\n"
     "apply --dry test.conf\tcheck, and say what would change\napply --add more.conf\tbeside those in "
     "force\n",
     apply_options, 1, 1, COMPLETE_FILES, false, apply_run},
    {"send", "PORT", "traffic in one line, without writing a stream",
     "Sends one stream, named send, out of PORT: UDP over IPv4 from test addresses (RFC 2544) unless the\n"
     "options say otherwise, or a template of the configuration. Waits until it has ended and prints what "
     "was\n"
     "sent; Ctrl-C stops it.",
     "send east --count 1000\t1,000 frames of 64 bytes at 1 kpps\n"
     "send east --dst 02:00:00:00:00:02 --size 1518 --rate 1Gbit/L1 --duration 30s\ta load for half a "
     "minute\nsend east --packet voice --rate max --count 1M\ta template as fast as it goes\n",
     send_options, 1, 1, COMPLETE_PORTS, false, send_run},
    {"ring", "", "calculate a ring: blocks, holes, memory (needs no daemon)",
     "Shows the ring that the options make: blocks, frames that fit in each, the holes they leave and the\n"
     "memory taken; or which of the kernel's conditions they break.",
     "ring\tthe ring of a port with an MTU of 1500\nring --mtu 9000 --frames 512\tfor jumbo frames\n"
     "ring --frame-size 2048 --block-size 4096\tcheck values by hand\n",
     ring_options, 0, 0, COMPLETE_NOTHING, true, ring_run},
    {"report", "[FILE]...", "the last run's frozen result",
     "Shows the result of the last run: the verdict with its reasons, ports, streams and what was received.\n"
     "With FILEs (made by report --json on several machines) it adds them up and needs no daemon.",
     "report\tas text\nreport --html --output run.html\ta page with charts\n"
     "report --json >A.json\tto keep, or to add up\nreport A.json B.json\ttwo machines together\n",
     report_options, 0, ALL_ARGUMENTS, COMPLETE_FILES, true, report_run},
    {"metrics", "", "counters for Prometheus",
     "Prints the counters in Prometheus' text format 0.0.4 or as OpenMetrics. Series of single streams only\n"
     "with --streams.",
     "metrics\tto standard output\n"
     "metrics --textfile /var/lib/prometheus/node-exporter/volleyd.prom\tfor node_exporter, from a timer\n",
     metrics_options, 0, 0, COMPLETE_NOTHING, true, metrics_run},
    {"lease", "[SECONDS]", "hold the daemon for yourself",
     "While you hold the lease others may only read, or take over with --force. A lease that is not renewed "
     "in\n"
     "time lapses, and traffic stops. Without arguments: who holds it.",
     "lease\twho holds it\nlease 60\thold it, or renew it, for a minute\nlease 30 --keep\tuntil Ctrl-C\n"
     "lease --release\tgive it back\n",
     lease_options, 0, 1, COMPLETE_NOTHING, false, lease_run},
    {"version", "", "versions of this program and of the daemon",
     "Prints the version of volleyctl and of the daemon that answers.", "version\tboth versions\n", NULL, 0,
     0, COMPLETE_NOTHING, true, version_run},
    {"names", "KIND", NULL, "Prints the names of streams, ports, templates or all, for completion.", "", NULL,
     1, 1, COMPLETE_NOTHING, true, names_run},
    {"describe", "FORM", NULL, "Prints the table of commands as roff, bash or zsh, for the build.", "", NULL,
     1, 1, COMPLETE_NOTHING, true, describe_run},
    {NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, COMPLETE_NOTHING, false, NULL},
};

const struct command *command_find(const char *verb, const char **nearest)
{
    const char *verbs[sizeof commands / sizeof *commands], *begins = NULL;
    size_t count = 0, length = strlen(verb);
    for (const struct command *row = commands; row->verb != NULL; row++) {
        if (strcmp(row->verb, verb) == 0)
            return row;
        if (row->summary == NULL)
            continue;
        verbs[count++] = row->verb;
        if (begins == NULL && length >= 2 && strncmp(row->verb, verb, length) == 0)
            begins = row->verb;
    }
    *nearest = begins != NULL ? begins : nearest_name(verb, verbs, count);
    return NULL;
}
