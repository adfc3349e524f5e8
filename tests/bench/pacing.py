#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Are frames on time? Gaps between arrivals at the far end of a veth, by the kernel's receive time stamps (gaps.c), for each
pacing and for peers, in interleaved slices.

    pacing.py [--rates 1000,10000,100000,500000] [--seconds 2] [--rounds 3] [--json FILE] [--svg FILE]

`on time` is the share of gaps within 10 % of the one asked for, `off` what the rate between the first and last frame differs,
`core` the sender's share of a core. A busy machine measures its own scheduler: the head of the table says how busy it was."""

import argparse
import array
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import bench

PACINGS = ("precise", "balanced", "economy")
SENDER = max(os.sched_getaffinity(0))  # the CPU that sends; all else, the receiver too, runs on the others
EDGES = [0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.05, 1.1, 1.25, 1.5, 2, 4, float("inf")]  # of the gap asked for


def arrivals(namespace, build, seconds, pps, sending):
    """Stamps of a slice, taken while sending() runs, which gives back the sender's share of a core; none where a peer sent more
    than twice what it was asked for."""
    command = [os.path.join(build, "tests/bench/gaps"), "sink0", str(seconds), str(int(2 * seconds * pps))]
    process = namespace.popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr.readline() == b"ready\n"
    core = sending()
    out, told = process.communicate()
    if b"dropped 0\n" not in told:
        return [], core
    stamps = array.array("Q")
    stamps.frombytes(out)
    return stamps, core


def judge(stamps, pps, core):
    asked_ns = 1e9 / pps
    gaps = [after - before for before, after in zip(stamps, stamps[1:])]
    if len(gaps) < 10:
        return None
    within = sum(0.9 * asked_ns <= gap <= 1.1 * asked_ns for gap in gaps) / len(gaps)
    rate = len(gaps) * 1e9 / (stamps[-1] - stamps[0])
    histogram = [sum(low <= gap / asked_ns < high for gap in gaps) / len(gaps) for low, high in zip(EDGES, EDGES[1:])]
    return {"on_time": within, "off": abs(rate / pps - 1), "core": core, "frames": len(stamps), "histogram": histogram}


class Daemon:
    """volleyd with one pacing; its rates are streams."""

    def __init__(self, pacing, rates, namespace, build, directory, cpu):
        streams = ", ".join(f'{{ name = "r{r}"; port = "east"; template = "t"; rate = "{r}"; duration = "30min"; }}' for r in rates)
        port = f'pacing = "{pacing}"; ' + f"cpus = [ {cpu} ];"
        config = bench.TEMPLATE.format(queues=1, port=port, size=64, extra="")
        config = config[:config.index("streams = (")] + f"streams = ( {streams} );\n"
        self.name = f"volleyd {pacing}"
        self.daemon = bench.Volleyd(self.name, build, namespace, config, directory)

    def send(self, pps, seconds):
        self.daemon.call("Start", streams=[f"r{pps}"])
        cpu, at = bench.cpu_seconds(self.daemon.process.pid), time.monotonic()
        time.sleep(seconds)
        core = (bench.cpu_seconds(self.daemon.process.pid) - cpu) / (time.monotonic() - at)
        self.daemon.call("Stop")
        return core

    def close(self):
        self.daemon.close()


class Peer:
    """A program that is started for each slice; the CPU time is its whole life's, loading included."""

    def __init__(self, name, command, namespace):
        self.name, self.command, self.namespace = name, command, namespace

    def send(self, pps, seconds):
        process = self.namespace.popen(["taskset", "-c", str(SENDER)] + [word.format(pps=pps) for word in self.command], start_new_session=True)
        time.sleep(seconds)
        core = bench.cpu_seconds(process.pid) / seconds
        bench.end(process)
        return core

    def close(self):
        pass


def contenders(rates, namespace, build, directory):
    found = [Daemon(p, rates, namespace, build, directory, SENDER) for p in PACINGS]
    file = found[0].daemon.file
    if shutil.which("tcpreplay"):
        pcap = bench.pcap_file(directory, build, file, 64)
        found.append(Peer("tcpreplay", ["tcpreplay", "-i", "gen0", "--pps={pps}", "--loop=0", "--preload-pcap", "-q", pcap], namespace))
    if shutil.which("trafgen"):
        config = bench.trafgen_file(directory, 64, False)
        found.append(Peer("trafgen", ["trafgen", "-o", "gen0", "-i", config, "-P", "1", "-q", "-b", "{pps}pps"], namespace))
    return found


def measure(options, namespace, directory):
    rates = [int(r) for r in options.rates.split(",")]
    found, slices = contenders(rates, namespace, options.build, directory), []
    try:
        for turn in range(options.rounds):
            for pps in rates:
                for who in found[turn % len(found):] + found[:turn % len(found)]:
                    stamps, core = arrivals(namespace, options.build, options.seconds + 0.5, pps, lambda w=who, r=pps: w.send(r, options.seconds))
                    one = judge(stamps, pps, core)
                    if one is not None:
                        slices.append({"who": who.name, "pps": pps, "round": turn, **one})
    finally:
        for who in found:
            who.close()
    return slices


def medians(slices):
    table = []
    for pps in sorted({s["pps"] for s in slices}):
        for who in dict.fromkeys(s["who"] for s in slices):
            mine = [s for s in slices if (s["who"], s["pps"]) == (who, pps)]
            if mine:
                row = {key: statistics.median(s[key] for s in mine) for key in ("on_time", "off", "core")}
                row["histogram"] = [statistics.mean(column) for column in zip(*(s["histogram"] for s in mine))]
                table.append({"pps": pps, "who": who, **row})
    return table


def draw(table, path):
    """A strip a row: how much of it lies in which multiple of the gap asked for; on time is green."""
    colours = ["#7f1d1d", "#b91c1c", "#dc2626", "#f97316", "#fbbf24", "#bef264", "#15803d", "#bef264", "#fbbf24", "#f97316", "#dc2626", "#b91c1c", "#7f1d1d"]
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="820" height="{28 * len(table) + 50}" font-family="sans-serif" font-size="12">',
           '<text x="10" y="20">Gaps between arrivals: green within 5 %, light green within 10 %, red below a tenth or above four times the gap asked for</text>']
    for i, row in enumerate(table):
        x, y = 200.0, 36 + 28 * i
        out.append(f'<text x="10" y="{y + 14}">{row["pps"]} pps, {row["who"]}</text>')
        for share, colour in zip(row["histogram"], colours):
            out.append(f'<rect x="{x:.2f}" y="{y}" width="{share * 520:.2f}" height="20" fill="{colour}"/>')
            x += share * 520
        out.append(f'<text x="730" y="{y + 14}">{row["on_time"] * 100:.2f} %</text>')
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(out + ["</svg>\n"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default=os.path.abspath(os.environ.get("VOLLEYD_BUILD", "build")))
    parser.add_argument("--rates", default="1000,10000,100000,500000")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    parser.add_argument("--svg")
    options = parser.parse_args()
    before = os.getloadavg()[0]
    os.sched_setaffinity(0, os.sched_getaffinity(0) - {SENDER} or {SENDER})
    namespace = bench.Namespace("veth")
    try:
        with tempfile.TemporaryDirectory(prefix="volleyd-pacing-") as directory:
            slices = measure(options, namespace, directory)
    finally:
        namespace.close()
    table = medians(slices)
    print(f"load before {before:.1f} on {os.cpu_count()} cores; {options.rounds} rounds of {options.seconds:g} s; medians")
    print(f"{'pps':>8}  {'who':<18} {'on time':>9} {'off':>10} {'core':>7}")
    for row in table:
        print(f"{row['pps']:8}  {row['who']:<18} {row['on_time'] * 100:8.2f}% {row['off'] * 100:9.4f}% {row['core'] * 100:6.1f}%")
    if options.svg:
        draw(table, options.svg)
    if options.json:
        with open(options.json, "w", encoding="ascii") as out:
            json.dump({"load": before, "table": table, "slices": slices}, out, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
