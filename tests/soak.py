#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything at once, for a long time, in an order that a seed decides: `make soak [SOAK_S=600]`.

    soak.py [--seconds 600] [--seed N]        a failure prints the seed; the same seed asks for the same things again

Two ports in a namespace, each with a cable to a counting peer, and a third interface that is not allowed: the canary. Streams are
started, stopped, paused and changed at random; the configuration is reloaded once a second, 1,000 streams are applied beside it,
links go down and up, hostile clients talk to the socket, eight watchers read ten times a second.

At every read both identities hold. At the end: nothing in flight, memory and descriptors where they were after a warm-up, not one
frame on the canary, never more frames in a window at the peer than DESIGN allows, and a quiet stream's total is exact."""

import argparse
import array
import collections
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "netns"))
import netns  # noqa: E402

LIMIT_PPS, LATE_S, MAX_BURST = 20000, 0.010, 32
# A frame is stamped at the peer a moment after the pacer let it go: that long a thread may be kept from its CPU in between.
STAMP_S = 0.002 * netns.SLOW
RSS_GROWTH_KIB = 1024
WATCHERS, WATCH_MS = 8, 100

PORTS = """{ name = "east"; interface = "east0"; on_link_loss = "resume"; },
  { name = "west"; interface = "west0"; pacing = "economy"; }"""
HOME = f"""home = ( {{ ethernet = {{ src = "{netns.WEST_MAC}"; dst = "{netns.EAST_MAC}"; }}; }},
  {{ ipv4 = {{ src = "198.19.0.1"; dst = "198.18.0.1"; }}; }}, {{ udp = {{ src = 7; dst = 7; }}; }} );"""
EAST = '{{ name = "{}"; port = "east"; template = "plain"; {} }}'
WEST = '{{ name = "{}"; port = "west"; template = "home"; {} }}'
BASE = [
    EAST.format("steady", 'rate = "2kpps"; duration = "forever";'),
    EAST.format("max", 'rate = "max"; duration = "forever";'),
    EAST.format("mixed", 'rate = "2Mbit/L1"; size = "simple"; duration = "forever"; vary = ( { field = "ipv4.dst"; op = "random"; seed = 4; from = "198.19.0.0"; to = "198.19.255.255"; } );'),
    EAST.format("trains", 'burst = { frames = 40; gap = "50ms"; }; duration = "forever";'),
    EAST.format("first", 'rate = "3kpps"; count = 200; next = "second"; loops = 3;'),
    EAST.format("second", 'rate = "3kpps"; duration = "100ms"; next = "first"; loops = 3;'),
    EAST.format("quiet", 'rate = "1234pps"; duration = "1500ms";'),
    WEST.format("w1", 'rate = "5kpps"; duration = "forever";'),
    WEST.format("w2", 'rate = "1Mbit/L2"; duration = "forever";'),
    WEST.format("ramp", 'ramp = { from = "0"; to = "4kpps"; over = "2s"; }; duration = "5s";'),
]
# What else a reload may bring: streams come, go and change while others of the file run on.
EXTRAS = (
    {},
    {"extra": EAST.format("extra", 'rate = "500pps"; copies = 8; duration = "forever";')},
    {"extra": WEST.format("extra", 'rate = "700pps"; duration = "2s";'),
     "poisson": EAST.format("poisson", 'rate = "900pps"; arrivals = "poisson"; duration = "forever";')},
)
WEST_STREAMS_MOST = 4
SLOTS = str(1 << 20)  # of the ring that stamps arrivals
NAMES = ("steady", "max", "mixed", "trains", "first", "w1", "w2", "ramp")


def configuration(extra):
    return netns.config(", ".join(BASE + list(extra.values())), ports=PORTS, templates=HOME, safety=f'max_rate = "{LIMIT_PPS}pps";')


class Failure(Exception):
    """Something that must never happen."""


class Place:
    """The spaces, the daemon in one of them, and what is measured from outside."""

    def __init__(self, directory):
        self.tester, self.far, self.gaps, self.daemon = netns.Space(), netns.Space(), None, None
        self.tester.veth("east0", self.far, "peer1", netns.EAST_MAC, "02:00:00:00:02:01")
        self.tester.veth("west0", self.far, "peer2", netns.WEST_MAC, "02:00:00:00:02:02")
        self.tester.veth("canary0", self.far, "peer3", "02:00:00:00:00:03", "02:00:00:00:02:03")
        for peer in ("peer1", "peer2", "peer3"):
            self.far.drop_arrivals(peer)
        self.stamps_path = os.path.join(directory, "stamps")

    def begin(self, seconds):
        with open(self.stamps_path, "wb") as out:
            self.gaps = self.far.popen([os.path.join(netns.BUILD, "tests/bench/gaps"), "peer2", str(seconds), SLOTS], stdout=out, stderr=subprocess.PIPE)
        if self.gaps.stderr.readline() != b"ready\n":
            raise Failure("the receiver did not start")
        self.daemon = netns.Daemon(self.tester, configuration({}))

    def rss_kib(self):
        with open(f"/proc/{self.daemon.pid()}/status", encoding="ascii") as status:
            return int(next(line for line in status if line.startswith("VmRSS")).split()[1])

    def close(self):
        for made in (self.daemon, self.tester, self.far):
            if made is not None:
                made.close()
        if self.gaps is not None and self.gaps.poll() is None:
            self.gaps.kill()
            self.gaps.wait()


class Watcher(threading.Thread):
    """Reads counters without end, and keeps the first that does not balance."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.target, self.problem, self.reads, self.over = daemon, None, 0, False

    def run(self):
        while not self.over and self.problem is None:
            try:
                for counters in self.target.stream("Counters", interval_ms=WATCH_MS):
                    netns.balance_all(counters)
                    self.reads += 1
                    if self.over:
                        return
            except (netns.Error, OSError):
                time.sleep(0.1)
            except Exception as problem:  # told by the main thread
                self.problem = problem


HOSTILE = (b"\0", b"{}\0", b"[" * 5000 + b"\0", b'{"method":', b"\xff\xfe\0" * 100, b'{"method":"io.volleyd.Start","parameters":{"streams":[1]}}\0',
           b'{"method":"io.volleyd.Apply","parameters":{"streams":[{"name":"x"}]}}\0', b"A" * 100000, b'{"method":"io.volleyd.Counters"}\0' * 50)


class Soak:
    """The things that are done, each one by a name and its own randomness."""

    def __init__(self, place, seed):
        self.place, self.random, self.open = place, random.Random(seed), []
        self.done, self.last = collections.Counter(), collections.deque(maxlen=30)
        self.accepted, self.refused = collections.Counter(), collections.Counter()
        self.names = list(NAMES)

    def call(self, method, **parameters):
        """A refusal is an answer; silence is not, and what is asked here is never nonsense."""
        self.last.append((method, str(parameters)[:120]))
        try:
            answer = self.place.daemon.call(method, **parameters)
            self.accepted[method] += 1
            return answer
        except netns.Error as error:
            self.refused[error.name.rpartition(".")[2]] += 1
            self.last.append(("refused", str(error)[:200]))
            if error.name.startswith("org.varlink.service.") or error.name.endswith(("Undrained", "Invalid", "NotFound")):
                raise Failure(f"{method} {parameters}: {error}") from error
            return None

    def some(self):
        return self.random.sample(self.names, self.random.randint(1, 4))

    def start(self):
        self.call("Start", **({"streams": self.some()} if self.random.random() < 0.8 else {}))

    def stop(self):
        self.call("Stop", **({"streams": self.some()} if self.random.random() < 0.7 else {}))

    def pause(self):
        self.call("Pause", streams=self.some()[:1])

    def resume(self):
        self.call("Resume", **({"streams": self.some()[:1]} if self.random.random() < 0.5 else {}))

    def rate(self):
        name = self.some()[:1]
        if self.random.random() < 0.5:
            self.call("SetRate", streams=name, rate=self.random.choice(("100pps", "3kpps", "9kpps", "1Mbit/L1", "max", "0.5pps")))
        else:
            self.call("SetRate", streams=name, multiplier=self.random.choice(("0.1", "1", "2.5")))

    def reload(self):
        extra = self.random.choice(EXTRAS)
        self.place.daemon.write(configuration(extra))
        if self.call("Reload") is not None:
            self.names = [*NAMES, *extra]

    def apply(self):
        many = [{"name": "many", "port": "east", "template": "many", "rate": "5pps", "duration": "forever", "copies": 1000}]
        template = [{"ethernet": {"src": netns.EAST_MAC, "dst": netns.WEST_MAC}}, {"ipv4": {"src": "198.18.0.1", "dst": "198.19.0.1"}}, {"udp": {"src": 1, "dst": 2}}]
        if self.call("Apply", streams=many, templates={"many": template}, add=True) is not None:
            self.names.append("many")
            self.call("Start", streams=["many"])

    def flap(self):
        peer = self.random.choice(("peer1", "peer2"))
        self.last.append(("flap", peer))
        self.place.far.sh(f"ip link set {peer} down")
        time.sleep(self.random.uniform(0, 0.2))
        self.place.far.sh(f"ip link set {peer} up")

    def hostile(self):
        """Talks nonsense and hangs up, or stays: at most eight of them at a time."""
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        try:
            client.connect(self.place.daemon.socket)
            client.sendall(self.random.choice(HOSTILE))
            if self.random.random() < 0.3:
                client.recv(100)
        except OSError:
            pass
        self.open.append(client)
        while len(self.open) > 8:
            self.open.pop(0).close()

    # What is done how often, beside a reload a second.
    MENU = (("start", 6), ("stop", 3), ("pause", 2), ("resume", 2), ("rate", 6), ("flap", 1), ("hostile", 3), ("apply", 1))

    def one(self):
        name = self.random.choices([n for n, _ in self.MENU], [w for _, w in self.MENU])[0]
        getattr(self, name)()
        self.done[name] += 1

    def spell(self, seconds, watchers):
        until, reload_at = time.monotonic() + seconds, time.monotonic()
        while time.monotonic() < until:
            if time.monotonic() >= reload_at:
                self.reload()
                self.done["reload"] += 1
                reload_at += 1
            self.one()
            if self.place.daemon.process.poll() is not None:
                raise Failure(f"volleyd ended with {self.place.daemon.process.returncode}")
            for watcher in watchers:
                if watcher.problem is not None:
                    raise Failure(f"a watcher saw {watcher.problem!r}")
            time.sleep(self.random.uniform(0, 0.1))

    def calm(self):
        """Everything stopped, only the base in force, nobody connected; then one stream alone is exact."""
        while self.open:
            self.open.pop().close()
        daemon = self.place.daemon
        daemon.write(configuration({}))
        for attempt in range(20):
            if self.call("Stop") is not None and self.call("Reload") is not None:
                break
            time.sleep(0.2)
        else:
            raise Failure("the configuration could not be reloaded")
        netns.wait_until(lambda: daemon.counters()["run"]["state"] != "open", 10, "the run's end")
        counters = daemon.counters()
        netns.balance_all(counters)
        for row in counters["streams"] + counters["ports"]:
            if row["in_flight"] != 0:
                raise Failure(f"in flight after a stop: {row}")
        netns.wait_until(lambda: {p["state"] for p in daemon.call("GetStatus")["ports"]} == {"ready"}, 10, "both ports ready")
        before = self.place.far.counter("peer1", "rx_packets")
        result = daemon.run_to_end("quiet")
        arrived = self.place.far.counter("peer1", "rx_packets") - before
        row = next(r for r in result["streams"] if r["name"] == "quiet")
        if row["scheduled"] != 1851 or arrived != row["completed"]:
            raise Failure(f"a quiet second and a half at 1,234 pps: {arrived} arrived, {row}")


def check_windows(stamps):
    """DESIGN §7: in any window w at most rate × (w + late) + max_burst of each stream; all rates together are max_rate."""
    for window_s in (0.01, 0.1, 1):
        most = LIMIT_PPS * (window_s + LATE_S + STAMP_S) + WEST_STREAMS_MOST * MAX_BURST
        worst = netns.most_in_a_window(stamps, int(window_s * 1e9))
        print(f"most frames in {window_s:g} s at the peer: {worst} of {most:.0f} allowed")
        if worst > most:
            raise Failure(f"{worst} frames in {window_s} s, {most:.0f} allowed")


def read_stamps(place):
    told = place.gaps.communicate()[1]
    if b"dropped 0\n" not in told:
        print(f"the receiver lost stamps ({told.decode().strip()}): windows are judged by those that it has")
    stamps = array.array("Q")
    with open(place.stamps_path, "rb") as file:
        stamps.frombytes(file.read())
    return array.array("Q", sorted(stamps))


def soak(place, seconds, seed):
    warm_s, task = max(10, seconds * 0.2), Soak(place, seed)
    place.begin(seconds + warm_s + 60)
    baseline_fds = None
    try:
        task.apply()
        for name, spell_s in (("warm-up", warm_s), ("soak", seconds)):
            watchers = [Watcher(place.daemon) for _ in range(WATCHERS)]
            for watcher in watchers:
                watcher.start()
            task.spell(spell_s, watchers)
            for watcher in watchers:
                watcher.over = True
            task.calm()
            for watcher in watchers:
                watcher.join(10)
                if watcher.problem is not None:
                    raise Failure(f"a watcher saw {watcher.problem!r}")
            netns.wait_until(lambda: len(os.listdir(f"/proc/{place.daemon.pid()}/fd")) == (baseline_fds or place.daemon.descriptors()), 10,
                             f"{baseline_fds} descriptors, as after the warm-up")
            rss, fds = place.rss_kib(), place.daemon.descriptors()
            print(f"{name}: {sum(w.reads for w in watchers)} reads balanced, {rss} KiB, {fds} descriptors", flush=True)
            if baseline_fds is None:
                baseline_fds, baseline_rss = fds, rss
        if rss - baseline_rss > RSS_GROWTH_KIB:
            raise Failure(f"memory grew from {baseline_rss} to {rss} KiB")
        if place.far.counter("peer3", "rx_packets") != 0:
            raise Failure("frames on an interface that was not allowed")
        if len(task.accepted) < 7:
            raise Failure(f"only {', '.join(task.accepted)} were ever accepted: this soak shows nothing")
        place.daemon.stop()
        place.gaps.send_signal(15)
        check_windows(read_stamps(place))
    except Exception:
        print("\n".join(f"  {method} {parameters}" for method, parameters in task.last))
        print(place.daemon.log()[-3000:])
        raise
    print("done: " + ", ".join(f"{n} {k}" for k, n in sorted(task.done.items())) + "; accepted: " +
          ", ".join(f"{n} {k}" for k, n in sorted(task.accepted.items())) + "; refused: " +
          (", ".join(f"{n} {k}" for k, n in sorted(task.refused.items())) or "nothing"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.seconds:g} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="volleyd-soak-") as directory:
        place = Place(directory)
        try:
            soak(place, options.seconds, options.seed)
        except (Failure, AssertionError) as failure:
            print(f"FAILED with seed {options.seed}: {failure}")
            return 1
        finally:
            place.close()
    print("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
