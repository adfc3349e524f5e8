#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job on real traffic: generator port → Linux bridge → receiving interface, each in a namespace of its own.

Runs the real daemon with etc/examples/demo.conf, shows a live table, and holds what arrived against what the accounts say.
Exit 0 only when every frame arrived and the accounts balance. Nothing is left behind, also after Ctrl-C."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "netns"))
import netns  # noqa: E402

EXAMPLE = os.path.join(HERE, "..", "etc", "examples", "demo.conf")


def build_network():
    tester, switch, far = netns.Space(), netns.Space(), netns.Space()
    tester.veth("vd-east", switch, "port1", netns.EAST_MAC, "02:00:00:00:01:01")
    far.veth("vd-west", switch, "port2", netns.WEST_MAC, "02:00:00:00:01:02")
    switch.bridge("br0", "port1", "port2")
    far.drop_arrivals("vd-west")
    netns.wait_until(lambda: switch.sh("cat /sys/class/net/br0/brif/port2/state").strip() == "3", 5, "a forwarding bridge")
    return tester, switch, far


def human(value):
    return f"{value:,}"


def rate_of(row):
    """Now; of a stream that is done, on average."""
    return row["average" if row["state"] == "done" else "achieved"]["pps"]


def draw(rows, elapsed, lines_before):
    """A table of the streams as they run; drawn over itself on a terminal."""
    out = [f"{'stream':<10}{'state':<10}{'asked':>10}{'achieved':>14}{'queued':>12}{'completed':>12}{'missed':>8}   {elapsed:4.1f} s"]
    for row in rows:
        out.append(f"{row['name']:<10}{row['state']:<10}{str(row['requested']):>10}{rate_of(row):>10,.0f} pps"
                   f"{human(row['queued']):>12}{human(row['completed']):>12}{human(row['missed']):>8}")
    if sys.stdout.isatty() and lines_before:
        sys.stdout.write(f"\x1b[{lines_before}F\x1b[J")
    print("\n".join(out), flush=True)
    return len(out)


def watch(daemon, quiet):
    drawn, shown = 0, 0.0
    while True:
        counters = daemon.counters()
        run = counters["run"]
        ended = run["state"] == "ended"
        if not quiet and (sys.stdout.isatty() or ended or time.monotonic() - shown >= 1):
            drawn = draw(counters["streams"], run["elapsed_ns"] / 1e9, drawn)
            shown = time.monotonic()
        if ended:
            return daemon.call("Report")
        time.sleep(0.1)


def judge(result, left, arrived):
    """The numbers that must agree, and whether they do."""
    port = result["ports"][0]
    balanced = all(row["scheduled"] == row["queued"] + row["missed"] and
                   row["queued"] == row["completed"] + row["rejected"] + row["withdrawn"] + row["in_flight"]
                   for row in result["ports"] + result["streams"])
    summary = {"scheduled": port["scheduled"], "sent": port["completed"], "left_interface": left, "arrived": arrived,
               "missed": port["missed"], "balanced": balanced, "verdict": result["run"]["verdict"],
               "streams": [{key: row[key] for key in ("name", "scheduled", "completed", "missed")} for row in result["streams"]]}
    summary["ok"] = balanced and arrived == left == port["completed"] and port["completed"] > 0
    return summary


def report(summary):
    print()
    for key, text in (("scheduled", "due"), ("sent", "sent (completed)"), ("left_interface", "left the interface"),
                      ("arrived", "arrived behind the bridge"), ("missed", "missed (too late to send)")):
        print(f"  {text:<28}{human(summary[key]):>12}")
    print(f"  {'accounts balance':<28}{'yes' if summary['balanced'] else 'NO':>12}")
    print("\nAll frames arrived." if summary["ok"] else "\nNot all frames arrived, or the accounts do not balance.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--build", default=netns.BUILD)
    parser.add_argument("--daemon", help="a volleyd that is installed, instead of the build's")
    parser.add_argument("--control", help=argparse.SUPPRESS)
    args = parser.parse_args()
    netns.BUILD = os.path.abspath(os.path.dirname(args.daemon) if args.daemon else args.build)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    spaces, daemon = [], None
    try:
        spaces = build_network()
        with open(EXAMPLE, encoding="utf-8") as text:
            daemon = netns.Daemon(spaces[0], text.read())
        left, arrived = spaces[0].counter("vd-east", "tx_packets"), spaces[2].counter("vd-west", "rx_packets")
        daemon.call("Start")
        result = watch(daemon, args.json)
        netns.wait_until(lambda: spaces[2].counter("vd-west", "rx_packets") - arrived >= result["ports"][0]["completed"], 2, "arrival")
        summary = judge(result, spaces[0].counter("vd-east", "tx_packets") - left, spaces[2].counter("vd-west", "rx_packets") - arrived)
        if args.json:
            print(json.dumps(summary, indent=2))
        else:
            report(summary)
        return 0 if summary["ok"] else 1
    except KeyboardInterrupt:
        print("\ninterrupted; everything is taken down", file=sys.stderr)
        return 130
    except (AssertionError, RuntimeError, netns.Error, subprocess.SubprocessError) as problem:
        print(f"demo: {problem}", file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if daemon is not None:
            daemon.close()
        for space in spaces:
            space.close()


if __name__ == "__main__":
    sys.exit(main())
