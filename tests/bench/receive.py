#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What receiving costs: volleyd's receive thread beside the bare block ring (bare_rx) and tcpdump -w /dev/null.

    receive.py [--pps 100000] [--seconds 2] [--rounds 5] [--streams 1,10000] [--json FILE]

The same load is offered over a veth in every slice: by a daemon whose receive thread takes the frames, or by one without `expect`,
which opens no receiver, so that a peer is alone. A contender's figure is its CPU seconds per million frames
that it took; a ratio (peer's cost over ours) is taken within a round, whose order rotates. Who drops frames is told: a slice with
drops counts for nothing."""

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

GOAL = 0.95  # of the bare ring's cost
CONFIG = """safety = {{ allow = [ "gen0", "sink0" ]; max_duration = "1h"; }};
ports = ( {{ name = "east"; interface = "gen0"; speed = "10Gbit"; }},
          {{ name = "west"; interface = "sink0"; speed = "10Gbit"; receive = {{ blocks = 32; block_size = 262144; }}; }} );
templates = {{ t = ( {{ ethernet = {{ dst = "02:00:00:00:00:02"; }}; }}, {{ ipv4 = {{ src = "198.18.0.1"; dst = "198.19.0.1"; }}; }},
  {{ udp = {{ src = 9; dst = 9; }}; }} ); }};
streams = ( {{ name = "s"; port = "east"; template = "t"; size = 64; copies = {streams}; rate = "{each}pps"; duration = "30min";
  tolerance = "100%"; {expect} }} );
"""
EXPECT = 'expect = [ "west" ]; learn = false;'  # opens the receiver


def thread_cpu_ns(pid, name):
    """CPU time of the threads whose names hold this."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm", encoding="utf-8") as comm:
            if name not in comm.read():
                continue
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as stat:
            total += int(stat.read().split()[0])
    return total


class Contender:
    """CPU seconds and frames of one slice, while the daemon sends."""

    def __init__(self, name, daemon, namespace):
        self.name, self.daemon, self.namespace = name, daemon, namespace


class Ours(Contender):
    def west(self):
        """Received and overrun so far; the daemon refreshes them twice a second."""
        port = next(p for p in self.daemon.call("GetStatus", limit=1)["ports"] if p["name"] == "west")
        return port["receive"]["received"], port["receive"]["overrun"]

    def edge(self):
        """The moment at which the daemon's figures become new: frames, drops and CPU time of one instant."""
        before = self.west()
        while (now := self.west()) == before:
            time.sleep(0.005)
        return now, thread_cpu_ns(self.daemon.process.pid, "west/rx")

    def run(self, seconds):
        (frames, drops), cpu = self.edge()
        time.sleep(seconds)
        (frames_after, drops_after), cpu_after = self.edge()
        return {"frames": frames_after - frames, "drops": drops_after - drops, "cpu": (cpu_after - cpu) / 1e9}


class Bare(Contender):
    def __init__(self, daemon, namespace, build):
        super().__init__("bare ring", daemon, namespace)
        self.program = os.path.join(build, "tests/bench/bare_rx")

    def run(self, seconds):
        command = [self.program, "-i", "sink0", "-t", str(max(1, round(seconds))), "-n", "32", "-f", "262144"]
        out = json.loads(self.namespace.popen(command, stdout=subprocess.PIPE).communicate()[0])
        return {"frames": out["frames"], "drops": out["drops"], "cpu": out["cpu_seconds"]}


class Tcpdump(Contender):
    def run(self, seconds):
        command = ["tcpdump", "-i", "sink0", "-Q", "in", "-w", "/dev/null", "-B", "8192", "-n", "-Z", "root"]
        process = self.namespace.popen(command, stderr=subprocess.PIPE)
        while b"listening" not in process.stderr.readline():
            pass
        started = thread_cpu_ns(process.pid, "")
        time.sleep(seconds)
        cpu = thread_cpu_ns(process.pid, "") - started
        process.send_signal(signal.SIGINT)
        told = process.communicate()[1].decode()
        frames, drops = (int(re.search(rf"(\d+) packets {what}", told)[1]) for what in ("captured", "dropped by kernel"))
        return {"frames": frames, "drops": drops, "cpu": cpu / 1e9}


def measure(streams, args, build, directory):
    namespace = bench.Namespace("veth")
    daemons = []
    for name, expect in (("receiving", EXPECT), ("sending", "")):
        config = CONFIG.format(streams=streams, each=max(1, args.pps // streams), expect=expect)
        daemons.append(bench.Volleyd(f"{name} {streams}", build, namespace, config, directory))
    contenders = [(daemons[0], Ours("volleyd", daemons[0], namespace)), (daemons[1], Bare(daemons[1], namespace, build))]
    if shutil.which("tcpdump"):
        contenders.append((daemons[1], Tcpdump("tcpdump", daemons[1], namespace)))
    results = {contender.name: [] for _, contender in contenders}
    try:
        for i in range(args.rounds):
            turn = i % len(contenders)
            for daemon, contender in contenders[turn:] + contenders[:turn]:
                daemon.call("Start")
                time.sleep(0.3)
                results[contender.name].append(contender.run(args.seconds))
                daemon.call("Stop")
    finally:
        for daemon in daemons:
            daemon.close()
        namespace.close()
    return results


def cost(one):
    return one["cpu"] / one["frames"] * 1e6 if one["frames"] and not one["drops"] else None


def summarise(streams, results):
    row = {"streams": streams, "contenders": {}, "ratios": {}}
    for name, slices in results.items():
        costs = [c for c in map(cost, slices) if c is not None]
        row["contenders"][name] = {"cpu_s_per_million": statistics.median(costs) if costs else None, "slices": slices,
                                   "with_drops": sum(s["drops"] > 0 for s in slices)}
        pairs = [cost(theirs) / cost(ours) for ours, theirs in zip(results["volleyd"], slices) if cost(ours) and cost(theirs)]
        if name != "volleyd" and pairs:
            row["ratios"][name] = {"median": statistics.median(pairs), "rounds": pairs}
    return row


def show(row):
    print(f"\n{row['streams']} stream(s)")
    for name, c in row["contenders"].items():
        figure = f"{c['cpu_s_per_million']:.3f} CPU-s per million" if c["cpu_s_per_million"] is not None else "dropped frames in every slice"
        ratio = row["ratios"].get(name)
        text = f"   ratio {ratio['median']:.2f}" if ratio else ""
        if ratio and name == "bare ring":
            text += f" (goal {GOAL:.2f}: {'met' if ratio['median'] >= GOAL else 'NOT met'})"
        print(f"  {name:12} {figure}{text}" + (f"   {c['with_drops']} slices with drops left out" if c["with_drops"] else ""), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.environ.get("VOLLEYD_BUILD", "."))
    parser.add_argument("--pps", type=int, default=100000)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=5)
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
