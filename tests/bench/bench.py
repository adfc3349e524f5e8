#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Side by side: volleyd and its peers on the same work, in interleaved slices, as medians of per-round ratios.

Every contender has the first CPU to itself (the benchmark runs on the others), is brought to a steady state, and measured from
outside over a slice: frames by the interface's own counter, and how long that CPU was busy, with all that the kernel did there. One
round gives each contender one slice, in an order that rotates; a ratio is taken within a round,
so that a slow second of the machine hits both sides. Output: a table, JSON (--json FILE) and an SVG chart (--svg FILE)."""

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

FIRST = [min(os.sched_getaffinity(0))]  # trafgen, asked for one process, goes to CPU 0 by itself
OTHERS = os.sched_getaffinity(0) - set(FIRST) or set(FIRST)
PROCESS_CPU_CLOCK = 2  # CPUCLOCK_SCHED, include/linux/posix-timers.h
DST = "02:00:00:00:00:02"
PACKAGES = {"trafgen": "netsniff-ng", "tcpreplay": "tcpreplay", "dpdk-testpmd": "dpdk-dev"}


def sh(command, **options):
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True, **options).stdout


class Namespace:
    """A namespace of our own, with a device under test in it; gone with the object."""

    def __init__(self, device, queues=1):
        self.name = f"vb-{os.getpid()}-{device}{queues}"
        self.device, self.interface = device, "gen0"
        sh(f"ip netns add {self.name}")
        self.ip("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1")
        if device == "veth":
            self.ip(f"ip link add gen0 numtxqueues {queues} address 02:00:00:00:00:01 type veth peer name sink0 address {DST}")
            self.ip("ip link set sink0 up")
            self.ip("tc qdisc add dev sink0 clsact")
            self.ip("tc filter add dev sink0 ingress bpf da bytecode '1,6 0 0 2'")
            self.counter = "tx_packets"
        else:
            self.ip(f"ip link add gen0 numtxqueues {queues} address 02:00:00:00:00:01 type ifb")
            self.counter = "rx_packets"
        self.ip("ip link set gen0 up")
        for queue in range(queues if queues > 1 else 0):  # XPS: else one flow takes one queue, whoever sends it
            self.ip(f"sh -c 'echo {1 << queue:x} > /sys/class/net/gen0/queues/tx-{queue}/xps_cpus'")
        self.keeper = self.popen(["sleep", "3600"])

    def ip(self, command):
        return sh(f"ip netns exec {self.name} {command}")

    def popen(self, command, **options):
        options.setdefault("stdout", subprocess.DEVNULL)
        options.setdefault("stderr", subprocess.DEVNULL)
        return subprocess.Popen(["ip", "netns", "exec", self.name] + command, **options)

    def frames(self):
        with open(f"/proc/{self.keeper.pid}/net/dev", encoding="ascii") as table:
            for line in table:
                name, _, values = line.partition(":")
                if name.strip() == self.interface:
                    fields = values.split()
                    return int(fields[9] if self.counter == "tx_packets" else fields[1])
        raise RuntimeError("the interface went away")

    def close(self):
        self.keeper.kill()
        self.keeper.wait()
        subprocess.run(["ip", "netns", "del", self.name], check=False)


def cpu_seconds(pid):
    """Of a process and its children (trafgen sends from one), to the nanosecond: clock_getcpuclockid(3)."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        own = time.clock_gettime((~int(pid) << 3) | PROCESS_CPU_CLOCK)
        return own + sum(cpu_seconds(child) for child in children.read().split())


def core_busy_s(cpus):
    """Of these CPUs since the start: what was not idle, nor taken by the host."""
    with open("/proc/stat", encoding="ascii") as stat:
        times = {words[0]: list(map(int, words[1:8])) for words in map(str.split, stat) if words[0].startswith("cpu")}
    busy = 0
    for cpu in cpus:
        user, nice, system, _, _, irq, softirq = times[f"cpu{cpu}"]
        busy += user + nice + system + irq + softirq
    return busy / os.sysconf("SC_CLK_TCK")


def slice_of(namespace, cpus, seconds):
    """Frames a second, and frames a second that the CPUs were busy, over one slice in a steady state."""
    start, deadline = namespace.frames(), time.monotonic() + 5
    while namespace.frames() == start:
        if time.monotonic() > deadline:
            return None
        time.sleep(0.01)
    time.sleep(0.15)
    frames, busy, at = namespace.frames(), core_busy_s(cpus), time.monotonic()
    time.sleep(seconds)
    frames, busy, at = namespace.frames() - frames, core_busy_s(cpus) - busy, time.monotonic() - at
    return {"pps": frames / at, "per_cpu_s": frames / busy if busy > 0 else 0.0, "cpu_share": busy / at}


def end(process):
    """Of one in a session of its own, with its children: trafgen leaves its sender behind."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(3)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


class Process:
    """A contender that is a process a slice."""

    def __init__(self, name, command, cpus=FIRST):
        self.name, self.command, self.cpus = name, ["taskset", "-c", ",".join(map(str, cpus))] + command, cpus

    def run(self, namespace, seconds):
        process = namespace.popen(self.command, start_new_session=True, stdin=subprocess.PIPE)  # testpmd ends with its input
        try:
            return slice_of(namespace, self.cpus, seconds)
        finally:
            end(process)


class Volleyd:
    """A daemon for the whole benchmark; a stream a slice."""

    def __init__(self, name, build, namespace, config, directory, cpus=FIRST):
        self.name, self.namespace, self.cpus = name, namespace, cpus
        self.socket = os.path.join(directory, name.replace(" ", "-") + ".sock")
        self.file = os.path.join(directory, name.replace(" ", "-") + ".conf")
        with open(self.file, "w", encoding="ascii") as out:
            out.write(f'control = {{ socket = "{self.socket}"; status_socket = "{self.socket}.status"; }};\n' + config)
        self.log = open(os.path.join(directory, "log"), "a", encoding="utf-8")
        self.process = namespace.popen([os.path.join(build, "volleyd"), "-c", self.file], stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 10
        while not os.path.exists(self.socket):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError("volleyd did not start: " + open(self.log.name, encoding="utf-8").read())
            time.sleep(0.02)

    def call(self, method, **parameters):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(10)
            client.connect(self.socket)
            client.sendall(json.dumps({"method": "io.volleyd." + method, "parameters": parameters}).encode() + b"\0")
            answer = b""
            while not answer.endswith(b"\0"):
                more = client.recv(65536)
                if not more:
                    break
                answer += more
        answer = json.loads(answer[:-1])
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer}")
        return answer["parameters"]

    def run(self, namespace, seconds):
        self.call("Start")
        try:
            return slice_of(namespace, self.cpus, seconds)
        finally:
            self.call("Stop")

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


TEMPLATE = """safety = {{ allow = [ "gen0" ]; max_duration = "1h"; }};
ports = ( {{ name = "east"; interface = "gen0"; speed = "10Gbit"; queues = {queues}; {port} }} );
templates = {{ t = ( {{ ethernet = {{ dst = "02:00:00:00:00:02"; }}; }}, {{ ipv4 = {{ src = "198.18.0.1"; dst = "198.19.0.1"; }}; }},
  {{ udp = {{ src = 9; dst = 9; }}; }} ); }};
streams = ( {{ name = "s"; port = "east"; template = "t"; size = {size}; rate = "max"; duration = "30min"; {extra} }} );
"""
VARY = """vary = ( { field = "ipv4.src"; op = "increment"; from = "198.18.0.0"; to = "198.18.255.255"; },
  { field = "udp.src"; op = "increment"; from = 1024; to = 65535; } );"""


def trafgen_file(directory, size, varying):
    """The same frame in trafgen's language; sizes there leave out the FCS."""
    path = os.path.join(directory, f"trafgen-{size}-{varying}.cfg")
    payload = size - 4 - 42
    source = "sa=drnd()" if varying else "sa=198.18.0.1"
    port = "sp=dinc(1024, 65535)" if varying else "sp=9"
    with open(path, "w", encoding="ascii") as out:
        out.write(f"{{ eth(sa=02:00:00:00:00:01, da={DST}), ipv4({source}, da=198.19.0.1), udp({port}, dp=9), fill(0x00, {payload}) }}\n")
    return path


def pcap_file(directory, build, config_file, size):
    path = os.path.join(directory, f"{size}.pcap")
    subprocess.run([os.path.join(build, "volleyd"), "-c", config_file, "--dry-run", path, "--frames", "1000"], check=True,
                   stdout=subprocess.DEVNULL)
    return path


def bare_ring(build, size):
    """Status flips and send(), with the socket options that volleyd takes."""
    return [os.path.join(build, "tests/bench/bare_ring"), "-i", "gen0", "-b", str(size - 4), "-t", "60", "-l", "-p"]


def contenders_of(job, namespace, build, directory):
    both = sorted({*FIRST, *OTHERS})[:2]
    size, queues = job["size"], job.get("queues", 1)
    one = f"cpus = {FIRST};"
    found = [Volleyd(job.get("name", "volleyd"), build, namespace,
                     TEMPLATE.format(queues=queues, port=job.get("port", "") + f"cpus = {both[:queues]};", size=size, extra=job.get("stream", "")),
                     directory, both[:queues])]
    for other in job["against"]:
        if other.isdecimal():
            copies = f"copies = {other};"
            found.append(Volleyd(f"volleyd {int(other):,} streams", build, namespace,
                                 TEMPLATE.format(queues=1, port=one, size=size, extra=copies), directory))
        elif other == "volleyd":
            found.append(Volleyd("volleyd", build, namespace, TEMPLATE.format(queues=1, port=one, size=size, extra=""), directory))
        elif other == "bare":
            found.append(Process("bare ring", bare_ring(build, size)))
        elif other == "two bare":
            found.append(Process("two bare rings", ["sh", "-c", " & ".join(
                f"taskset -c {cpu} {' '.join(bare_ring(build, size))}" for cpu in both) + " & wait"], both))
        elif other == "trafgen" and shutil.which("trafgen"):
            found.append(Process("trafgen", ["trafgen", "-i", trafgen_file(directory, size, job.get("stream") == VARY), "-o", "gen0", "-P", "1", "-q"]))
        elif other == "tcpreplay" and shutil.which("tcpreplay"):
            found.append(Process("tcpreplay", ["tcpreplay", "--topspeed", "-K", "--loop", "0", "-i", "gen0",
                                               pcap_file(directory, build, found[0].file, size)]))
        elif other == "testpmd" and shutil.which("dpdk-testpmd"):
            for driver in ("af_packet", "af_xdp"):
                found.append(Process(f"testpmd {driver}", [
                    "taskset", "-c", ",".join(map(str, both)), "dpdk-testpmd", "--no-pci", "--no-huge", "-m", "512", "-l", f"{both[0]},{both[-1]}",
                    "--main-lcore", str(both[-1]), "--file-prefix", "volleyd-bench", "--vdev", f"net_{driver}0,iface=gen0", "--",
                    "--forward-mode=txonly", f"--txpkts={size - 4}", "--stats-period", "60", "--total-num-mbufs=16384"]))
    return found


# name, port and stream: of ours, beside what TEMPLATE says.
JOBS = [
    {"key": "veth static 64", "device": "veth", "size": 64, "against": ["trafgen", "bare", "tcpreplay", "testpmd"],
     "goals": {"trafgen": 1.30, "bare ring": 0.97}},
    {"key": "ifb static 64", "device": "ifb", "size": 64, "against": ["trafgen", "bare", "tcpreplay"],
     "goals": {"trafgen": 1.15, "bare ring": 0.97}},
    {"key": "veth static 512", "device": "veth", "size": 512, "against": ["trafgen", "bare"], "goals": {}},
    {"key": "veth static 1518", "device": "veth", "size": 1518, "against": ["trafgen", "bare"], "goals": {}},
    {"key": "veth varying 64", "device": "veth", "size": 64, "name": "volleyd varying", "stream": VARY, "against": ["volleyd", "trafgen"],
     "goals": {"volleyd": 0.93, "trafgen": 1.40}},
    {"key": "veth UDP segments 64", "device": "veth", "size": 64, "name": "volleyd segments", "stream": 'offload = "udp-segment";',
     "port": "qdisc = true; ", "against": ["trafgen"], "goals": {"trafgen": 2.0}, "no_device_segmentation": True},
    {"key": "ifb two queues", "device": "ifb", "size": 64, "name": "volleyd 2 queues", "queues": 2, "stream": "split = true;",
     "against": ["volleyd", "two bare"], "goals": {"volleyd": 1.8}, "figure": "pps"},
    {"key": "veth many streams 64", "device": "veth", "size": 64, "name": "volleyd 10,000 streams", "stream": "copies = 10000;",
     "against": ["volleyd", "10", "100", "1000"], "goals": {"volleyd": 0.80}},
]


def measure(job, build, directory, rounds, seconds):
    namespace = Namespace(job["device"], job.get("queues", 1))
    contenders = []
    try:
        if job.get("no_device_segmentation"):
            namespace.ip("ethtool -K gen0 tx-udp-segmentation off")
        contenders = contenders_of(job, namespace, build, directory)
        results = {c.name: [] for c in contenders}
        for i in range(rounds):
            for contender in contenders[i % len(contenders):] + contenders[:i % len(contenders)]:
                slices = results[contender.name]
                if not slices or slices[0] is not None:  # who sent nothing at first is not waited for again
                    slices.append(contender.run(namespace, seconds))
        return contenders[0].name, results
    finally:
        for contender in contenders:
            if isinstance(contender, Volleyd):
                contender.close()
        namespace.close()


def median(values):
    values = [v for v in values if v]
    return statistics.median(values) if values else 0.0


def summarise(job, first, results):
    """Median figures, and the median of the ratios that each round gave."""
    figure = job.get("figure", "per_cpu_s")
    row = {"job": job["key"], "figure": figure, "contenders": {}, "ratios": {}}
    for name, slices in results.items():
        row["contenders"][name] = {key: median([s[key] for s in slices if s]) for key in ("pps", "per_cpu_s", "cpu_share")}
        if name != first:
            pairs = [a[figure] / b[figure] for a, b in zip(results[first], slices) if a and b and b[figure]]
            row["ratios"][name] = {"median": median(pairs), "rounds": [round(p, 3) for p in pairs],
                                   "goal": job["goals"].get(name)}
    return row


def print_row(row):
    print(f"\n{row['job']}")
    for name, c in row["contenders"].items():
        ratio = row["ratios"].get(name)
        text = ""
        if not c["pps"]:
            print(f"  {name:22} sent nothing here")
            continue
        if ratio:
            goal = f" (goal {ratio['goal']:.2f}: {'met' if ratio['median'] >= ratio['goal'] else 'NOT met'})" if ratio["goal"] else ""
            text = f"   ratio {ratio['median']:.2f}{goal}"
        cost = f"{1e6 / c['per_cpu_s']:6.3f} CPU-s a million" if c["per_cpu_s"] else ""
        print(f"  {name:22} {c['pps'] / 1e6:7.3f} Mpps  {c['per_cpu_s'] / 1e6:7.3f} M/CPU-s  {cost}{text}")
    sys.stdout.flush()


def svg(rows):
    """Bars of frames a CPU second, a group a job."""
    bars, y = [], 30
    top = max((c["per_cpu_s"] for r in rows for c in r["contenders"].values()), default=1) or 1
    for row in rows:
        bars.append(f'<text x="10" y="{y + 12}" font-weight="bold">{row["job"]}</text>')
        y += 20
        for name, c in row["contenders"].items():
            if not c["pps"]:
                continue  # it did not run here; the table says so
            width, fill = 420 * c["per_cpu_s"] / top, "#2a6fb0" if name.startswith("volleyd") else "#b8bec6"
            bars.append(f'<text x="150" y="{y + 11}" text-anchor="end">{name}</text><rect x="160" y="{y}" width="{width:.0f}" '
                        f'height="14" fill="{fill}"/><text x="{166 + width:.0f}" y="{y + 11}">{c["per_cpu_s"] / 1e6:.2f}</text>')
            y += 18
        y += 10
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="680" height="{y + 10}" font-family="sans-serif" font-size="12">'
            f'<rect width="100%" height="100%" fill="white"/><text x="10" y="18">million frames a CPU second, median</text>' + "".join(bars) + "</svg>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.environ.get("VOLLEYD_BUILD", "."))
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--only", help="jobs whose name holds this")
    parser.add_argument("--json")
    parser.add_argument("--svg")
    args = parser.parse_args()
    for program, package in PACKAGES.items():
        if shutil.which(program) is None:
            print(f"without {program}: apt-get install {package}")
    os.sched_setaffinity(0, OTHERS)
    rows = []
    with tempfile.TemporaryDirectory(prefix="volleyd-bench-") as directory:
        for job in JOBS:
            if args.only and args.only not in job["key"]:
                continue
            first, results = measure(job, os.path.abspath(args.build), directory, args.rounds, args.seconds)
            rows.append(summarise(job, first, results))
            print_row(rows[-1])
    if args.json:
        with open(args.json, "w", encoding="ascii") as out:
            json.dump(rows, out, indent=1)
    if args.svg:
        with open(args.svg, "w", encoding="ascii") as out:
            out.write(svg(rows))


if __name__ == "__main__":
    main()
