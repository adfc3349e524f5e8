#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What receiving costs: one core that takes frames off a veth and analyses them, beside the bare block ring (bare_rx) and
tcpdump -w /dev/null on the same core.

    receive.py [--pps 300000] [--seconds 0.5] [--rounds 11] [--streams 1,10000] [--json FILE]

RPS gives all received frames to the last core, where the receiving thread is pinned too, as a NIC's queue does with its core; all
else runs on the others. A contender's figure is how long that core was busy, the kernel's part included, for each frame that came;
a ratio (theirs over ours) is taken within a round, whose order rotates. Rounds are short and many, as a virtual machine's speed
changes by half from one second to the next; the figures in brackets are those between which half of the rounds lie. The same signed
frames are offered in every slice: by a daemon that expects them there, or by one that expects them where none arrive, so that a peer
is alone. The thread's own CPU time is told beside. A slice with drops counts for nothing."""

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

import bench

GOAL = 0.95  # of the bare ring's core
CONFIG = """safety = {{ allow = [ "gen0", "sink0" ]; max_duration = "1h"; }};
ports = ( {{ name = "east"; interface = "gen0"; speed = "10Gbit"; cpus = [ {cpu} ]; receive = true; }},
          {{ name = "west"; interface = "sink0"; speed = "10Gbit"; receive = {{ blocks = 32; block_size = 262144; }}; }} );
templates = {{ t = ( {{ ethernet = {{ dst = "02:00:00:00:00:02"; }}; }}, {{ ipv4 = {{ src = "198.18.0.1"; dst = "198.19.0.1"; }}; }},
  {{ udp = {{ src = 9; dst = 9; }}; }} ); }};
streams = ( {{ name = "s"; port = "east"; template = "t"; size = 64; copies = {streams}; rate = "{each}pps"; duration = "30min";
  tolerance = "100%"; expect = [ "{expect}" ]; learn = false; }} );
"""


CORE = max(os.sched_getaffinity(0))


def threads(pid, name):
    """Of a process, whose names hold this."""
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm", encoding="utf-8") as comm:
            if name in comm.read():
                yield int(task)


def thread_cpu_s(pid, name):
    total = 0
    for task in threads(pid, name):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as stat:
            total += int(stat.read().split()[0])
    return total / 1e9


class Ours:
    """The daemon's own receive thread."""

    name = "volleyd"

    def start(self, daemon):
        self.daemon = daemon
        for task in threads(daemon.process.pid, "west/rx"):
            os.sched_setaffinity(task, {CORE})

    def cpu_s(self):
        return thread_cpu_s(self.daemon.process.pid, "west/rx")

    def stop(self):
        """Frames that it lost."""
        time.sleep(0.6)  # the daemon refreshes its figures twice a second
        return next(p for p in self.daemon.call("GetStatus", limit=1)["ports"] if p["name"] == "west")["receive"]["overrun"]


class Program:
    """A peer that is started for each slice."""

    def __init__(self, name, namespace, command):
        self.name, self.namespace, self.command = name, namespace, ["taskset", "-c", str(CORE)] + command

    def start(self, daemon):
        del daemon
        self.process = self.namespace.popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(0.3)

    def cpu_s(self):
        return thread_cpu_s(self.process.pid, "")

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        out, told = self.process.communicate()
        found = re.search(r'"drops": (\d+)|(\d+) packets dropped by kernel', (out + told).decode())
        return int(found[1] or found[2])


def one_slice(daemon, contender, namespace, seconds):
    daemon.call("Start")
    try:
        contender.start(daemon)
        time.sleep(0.3)
        frames, busy, cpu = namespace.frames(), bench.core_busy_s([CORE]), contender.cpu_s()
        time.sleep(seconds)
        frames, busy, cpu = namespace.frames() - frames, bench.core_busy_s([CORE]) - busy, contender.cpu_s() - cpu
        return {"frames": frames, "busy": busy, "cpu": cpu, "drops": contender.stop()}
    finally:
        daemon.call("Stop")


def measure(streams, args, build, directory):
    namespace = bench.Namespace("veth")
    namespace.ip(f"sh -c 'echo {1 << CORE:x} > /sys/class/net/sink0/queues/rx-0/rps_cpus'")
    others = os.sched_getaffinity(0) - {CORE}
    os.sched_setaffinity(0, others)
    daemons = []
    for name, expect in (("receiving", "west"), ("sending", "east")):
        config = CONFIG.format(streams=streams, each=max(1, args.pps // streams), expect=expect, cpu=min(others))
        daemons.append(bench.Volleyd(f"{name} {streams}", build, namespace, config, directory))
    bare = [os.path.join(build, "tests/bench/bare_rx"), "-i", "sink0", "-t", str(int(args.seconds) + 10), "-n", "32", "-f", "262144"]
    contenders = [(daemons[0], Ours()), (daemons[1], Program("bare ring", namespace, bare))]
    if shutil.which("tcpdump"):
        tcpdump = ["tcpdump", "-i", "sink0", "-Q", "in", "-w", "/dev/null", "-B", "8192", "-n", "-Z", "root"]
        contenders.append((daemons[1], Program("tcpdump", namespace, tcpdump)))
    results = {contender.name: [] for _, contender in contenders}
    try:
        for i in range(args.rounds):
            turn = i % len(contenders)
            for daemon, contender in contenders[turn:] + contenders[:turn]:
                results[contender.name].append(one_slice(daemon, contender, namespace, args.seconds))
    finally:
        for daemon in daemons:
            daemon.close()
        namespace.close()
    return results


def cost(one, figure="busy"):
    return one[figure] / one["frames"] * 1e6 if one["frames"] and not one["drops"] else None


def summarise(streams, results):
    row = {"streams": streams, "contenders": {}, "ratios": {}}
    for name, slices in results.items():
        taken = [s for s in slices if cost(s) is not None]
        row["contenders"][name] = {
            "busy_s_per_million": statistics.median(cost(s) for s in taken) if taken else None,
            "cpu_s_per_million": statistics.median(cost(s, "cpu") for s in taken) if taken else None,
            "slices": slices, "with_drops": len(slices) - len(taken)}
        pairs = [cost(theirs) / cost(ours) for ours, theirs in zip(results["volleyd"], slices) if cost(ours) and cost(theirs)]
        if name != "volleyd" and pairs:
            row["ratios"][name] = {"median": statistics.median(pairs), "rounds": pairs,
                                   "quarters": statistics.quantiles(pairs * 2, n=4)[::2]}  # twice: one round has some too
    return row


def show(row):
    print(f"\n{row['streams']} stream(s)")
    for name, c in row["contenders"].items():
        figure = "dropped frames in every slice"
        if c["busy_s_per_million"] is not None:
            figure = f"core busy {c['busy_s_per_million']:.3f} s a million frames, {c['cpu_s_per_million']:.3f} of it the program's"
        ratio = row["ratios"].get(name)
        text = f"   ratio {ratio['median']:.2f} ({ratio['quarters'][0]:.2f}–{ratio['quarters'][1]:.2f})" if ratio else ""
        if ratio and name == "bare ring":
            text += f" (goal {GOAL:.2f}: {'met' if ratio['median'] >= GOAL else 'NOT met'})"
        print(f"  {name:12} {figure}{text}" + (f"   {c['with_drops']} slices with drops left out" if c["with_drops"] else ""), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.environ.get("VOLLEYD_BUILD", "."))
    parser.add_argument("--pps", type=int, default=300000)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--streams", default="1,10000")
    parser.add_argument("--json")
    args = parser.parse_args()
    rows = []
    print(f"load average {os.getloadavg()[0]:.1f}, {args.pps} frames a second offered")
    with tempfile.TemporaryDirectory(prefix="volleyd-bench-") as directory:
        for streams in map(int, args.streams.split(",")):
            rows.append(summarise(streams, measure(streams, args, os.path.abspath(args.build), directory)))
            show(rows[-1])
    if args.json:
        with open(args.json, "w", encoding="ascii") as out:
            json.dump(rows, out, indent=1)


if __name__ == "__main__":
    main()
