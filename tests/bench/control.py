#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How long the daemon takes to answer while both cores send at full rate: two ports at `max`, each into a black hole, and one client
that asks again and again. In every round the same is asked of a daemon that sends nothing; output: a table, JSON (--json FILE)."""

import argparse
import json
import os
import socket
import tempfile
import time

import bench

GOAL_MS = 20
CONFIG = """safety = { allow = [ "gen0", "gen1" ]; max_duration = "1h"; };
ports = ( { name = "east"; interface = "gen0"; speed = "10Gbit"; }, { name = "west"; interface = "gen1"; speed = "10Gbit"; } );
templates = { t = ( { ethernet = { dst = "02:00:00:00:00:02"; }; }, { ipv4 = { src = "198.18.0.1"; dst = "198.19.0.1"; }; },
  { udp = { src = 9; dst = 9; }; } ); };
streams = ( { name = "a"; port = "east"; template = "t"; rate = "max"; duration = "30min"; },
  { name = "b"; port = "west"; template = "t"; rate = "max"; duration = "30min"; } );
"""


class Client:
    """One connection, so that a call costs what the daemon makes of it."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(30)
        self.socket.connect(path)

    def timed(self, method, **parameters):
        """Milliseconds from the request to the whole answer."""
        began, answer = time.monotonic(), b""
        self.socket.sendall(json.dumps({"method": "io.volleyd." + method, "parameters": parameters}).encode() + b"\0")
        while not answer.endswith(b"\0"):
            piece = self.socket.recv(1 << 20)
            if not piece:
                raise RuntimeError(f"{method}: the daemon hung up")
            answer += piece
        if b'"error"' in answer:
            raise RuntimeError(f"{method}: {answer.decode()}")
        return (time.monotonic() - began) * 1000


def status_times(client, seconds):
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        times.append(client.timed("GetStatus"))
        time.sleep(0.002)
    return times


def stop_times(client, count, sending):
    """Of stopping one port while the other goes on; without traffic, of stopping what does not run."""
    times = []
    for i in range(count):
        name = "ab"[i % 2]
        times.append(client.timed("Stop", streams=[name]))
        if sending:
            client.timed("Start", streams=[name])
            time.sleep(0.03)  # the ring fills
    return times


def measure(client, rounds, seconds, stops):
    """{(method, sending): times}, from rounds of both states in turn."""
    times = {}
    for _ in range(rounds):
        for sending in (False, True):
            if sending:
                client.timed("Start")
                time.sleep(0.2)
            times.setdefault(("GetStatus", sending), []).extend(status_times(client, seconds))
            times.setdefault(("Stop", sending), []).extend(stop_times(client, stops, sending))
            client.timed("Stop")
    return times


def quantile(times, share):
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def summarise(times, pps):
    return [{"method": method, "sending": sending, "calls": len(some), "p50_ms": round(quantile(some, 0.5), 3), "p99_ms": round(quantile(some, 0.99), 3),
             "worst_ms": round(max(some), 3), "goal_ms": GOAL_MS, "pps": round(pps) if sending else 0} for (method, sending), some in sorted(times.items())]


def print_row(row):
    state = f"{row['pps'] / 1e6:.2f} Mpps" if row["sending"] else "no traffic"
    met = "met" if row["p99_ms"] <= row["goal_ms"] else "NOT met"
    print(f"{row['method']:10} {state:>10} {row['calls']:6} calls  p50 {row['p50_ms']:8.3f} ms  p99 {row['p99_ms']:8.3f} ms  worst {row['worst_ms']:8.3f} ms  "
          f"(goal p99 ≤ {row['goal_ms']} ms: {met})")


def rate_of(daemon):
    """Frames a second of both ports together, by the daemon's accounts over half a second."""
    def sample():
        counters = daemon.call("Counters")
        return sum(port["completed"] for port in counters["ports"]), counters["run"]["elapsed_ns"]

    daemon.call("Start")
    (first, began_ns), _, (last, now_ns) = sample(), time.sleep(0.5), sample()
    daemon.call("Stop")
    return (last - first) * 1e9 / (now_ns - began_ns)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.environ.get("VOLLEYD_BUILD", "."))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of GetStatus, a round and state")
    parser.add_argument("--stops", type=int, default=40, help="a round and state")
    parser.add_argument("--json")
    args = parser.parse_args()
    namespace = bench.Namespace("ifb")
    try:
        namespace.ip("ip link add gen1 address 02:00:00:00:00:03 type ifb")
        namespace.ip("ip link set gen1 up")
        with tempfile.TemporaryDirectory(prefix="volleyd-bench-") as directory:
            daemon = bench.Volleyd("volleyd", os.path.abspath(args.build), namespace, CONFIG, directory)
            try:
                pps = rate_of(daemon)
                rows = summarise(measure(Client(daemon.socket), args.rounds, args.seconds, args.stops), pps)
            finally:
                daemon.close()
    finally:
        namespace.close()
    for row in rows:
        print_row(row)
    if args.json:
        with open(args.json, "w", encoding="ascii") as out:
            json.dump(rows, out, indent=1)


if __name__ == "__main__":
    main()
