# SPDX-License-Identifier: GPL-2.0-or-later
"""Namespaces with links in them, and a real daemon beside them: what the namespace tests, the demo and the soak are built from.

Everything is named after this process and removed with the object that made it. IPv6 is switched off before links are made, so
that an idle link sends nothing of its own."""

import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

SLOW = float(os.environ.get("VOLLEYD_SLOW", "1"))
BUILD = os.path.abspath(os.environ.get("VOLLEYD_BUILD", "build"))
EAST_MAC, WEST_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
CLONE_NEWNET = 0x40000000
DROP_ALL = "bpf da bytecode '1,6 0 0 2'"


def run(command, check=True):
    """A shell command's output; a failing one says what it printed."""
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def wait_until(condition, seconds, what):
    """The condition's first true value; time is scaled by VOLLEYD_SLOW, and is only how long a failure takes."""
    deadline = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds * SLOW:g} s")
        time.sleep(0.02)


def enter(name):
    """Puts the calling thread into a namespace; for sockets that shall be opened there."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{name}", "rb") as handle:
        if libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {name}")


class Inside:
    """with Inside(name): this thread is in that namespace."""

    def __init__(self, name):
        self.name, self.home = name, None

    def __enter__(self):
        self.home = open("/proc/thread-self/ns/net", "rb")
        enter(self.name)
        return self

    def __exit__(self, *_):
        ctypes.CDLL(None).setns(self.home.fileno(), CLONE_NEWNET)
        self.home.close()


def die_with_parent():
    """In a child before exec: SIGKILL when the thread that made it ends, so that nothing outlives a runner that was killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def sweep():
    """Removes the namespaces of runners that were killed."""
    for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else []:
        match = re.fullmatch(r"vt(\d+)-\d+", name)
        if match and not os.path.exists(f"/proc/{match[1]}"):
            run(f"ip netns del {name}", check=False)


class Space:
    """One network namespace."""

    count = 0

    def __init__(self):
        if Space.count == 0:
            sweep()
        Space.count += 1
        self.name = f"vt{os.getpid()}-{Space.count}"
        run(f"ip netns add {self.name}")
        self.sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1")

    def sh(self, command, check=True):
        return run(f"ip netns exec {self.name} {command}", check)

    def popen(self, command, **options):
        return subprocess.Popen(["ip", "netns", "exec", self.name] + command, **options)

    def veth(self, name, other_space, other, mac=EAST_MAC, other_mac=WEST_MAC, queues=1):
        self.sh(f"ip link add {name} numtxqueues {queues} numrxqueues {queues} address {mac} type veth peer name {other} address {other_mac} "
                f"netns {other_space.name}")
        self.sh(f"ip link set {name} up")
        other_space.sh(f"ip link set {other} up")

    def bridge(self, name, *members):
        self.sh(f"ip link add {name} type bridge mcast_snooping 0")
        self.sh(f"ip link set {name} up")
        for member in members:
            self.sh(f"ip link set {member} master {name}")

    def drop_arrivals(self, interface):
        """Frames end here, counted by the interface, before anything else in the stack sees them."""
        self.sh(f"tc qdisc add dev {interface} clsact")
        self.sh(f"tc filter add dev {interface} ingress {DROP_ALL}")

    def counter(self, interface, which):
        """One of the interface's 64-bit counters, as /sys names it."""
        out = self.sh(f"ip -j -s link show {interface}")
        stats = json.loads(out)[0]["stats64"]
        side, _, name = which.partition("_")
        return stats[side][name]

    def close(self):
        run(f"ip netns del {self.name}", check=False)


class Error(Exception):
    """A Varlink error."""

    def __init__(self, name, parameters):
        super().__init__(f"{name}: {parameters}")
        self.name, self.parameters = name, parameters


class Daemon:
    """The real volleyd in a namespace, with a configuration written here."""

    def __init__(self, space, config, *options, environment=None, user=None, wrap=()):
        self.space = space
        self.directory = tempfile.mkdtemp(prefix="volleyd-test-")
        self.socket = os.path.join(self.directory, "control.sock")
        self.status_socket = os.path.join(self.directory, "status.sock")
        self.file = os.path.join(self.directory, "volleyd.conf")
        self.log_path = os.path.join(self.directory, "log")
        self.options = list(options)
        self.environment = environment
        self.user = user
        self.wrap = list(wrap)
        self.process = None
        self.write(config)
        self.start()

    def write(self, config):
        head = f'control = {{ socket = "{self.socket}"; status_socket = "{self.status_socket}"; }};\n'
        with open(self.file, "w", encoding="utf-8") as out:
            out.write(head + config)

    def start(self):
        log = open(self.log_path, "a", encoding="utf-8")
        environment = dict(os.environ, **(self.environment or {}))
        environment.setdefault("ASAN_OPTIONS", "detect_leaks=1")
        command = self.wrap + [os.path.join(BUILD, "volleyd"), "-c", self.file] + self.options
        self.process = self.space.popen(command, stdout=log, stderr=log, env=environment, preexec_fn=die_with_parent)
        log.close()
        wait_until(self.answers, 10, "the daemon's answer")

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"volleyd ended with {self.process.returncode}:\n{self.log()}")
        try:
            self.call("GetStatus", limit=1)
            return True
        except OSError:
            return False

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as text:
            return text.read()

    def call(self, method, timeout=20, **parameters):
        return next(self.stream(method, timeout, False, **parameters))

    def stream(self, method, timeout=20, more=True, **parameters):
        request = {"method": method if "." in method else "io.volleyd." + method, "parameters": parameters}
        if more:
            request["more"] = True
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(timeout * SLOW)
            client.connect(self.socket)
            client.sendall(json.dumps(request).encode() + b"\0")
            rest = b""
            while True:
                while b"\0" in rest:
                    one, _, rest = rest.partition(b"\0")
                    answer = json.loads(one)
                    if "error" in answer:
                        raise Error(answer["error"], answer.get("parameters"))
                    yield answer.get("parameters", {})
                    if not more:
                        return
                piece = client.recv(1 << 20)
                if not piece:
                    return
                rest += piece

    def counters(self):
        return self.call("Counters")

    def streams(self):
        return {row["name"]: row for row in self.counters()["streams"]}

    def ports(self):
        return {row["name"]: row for row in self.counters()["ports"]}

    def stream_row(self, name):
        return self.streams()[name]

    def run_to_end(self, *names, seconds=60):
        """Starts streams (all without names) and gives back the frozen result of their run."""
        self.call("Start", **({"streams": list(names)} if names else {}))
        wait_until(lambda: self.counters()["run"]["state"] == "ended", seconds, "the run's end")
        return self.call("Report")

    def ctl(self, *arguments, check=None, **options):
        """volleyctl against this daemon."""
        command = [os.path.join(BUILD, "volleyctl"), "--socket", self.socket, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120 * SLOW, **options)
        if check is not None:
            assert done.returncode == check, f"{arguments}: {done.returncode}, not {check}\n{done.stdout}{done.stderr}"
        return done

    def pid(self):
        return self.process.pid

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid()}/fd"))

    def cpu_seconds(self):
        with open(f"/proc/{self.pid()}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        """Ends it as systemd would; a sanitizer's complaint or a wrong exit code is a failure."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(20 * SLOW)
        assert self.process.returncode == 0, f"volleyd ended with {self.process.returncode}:\n{self.log()}"
        assert not re.search(r"(Address|Thread|Leak|UndefinedBehavior)Sanitizer|runtime error:", self.log()), self.log()

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def config(streams, ports=None, allow=("east0", "west0"), templates="", safety="", stream_defaults=""):
    """A configuration with the template `plain` (Ethernet, IPv4, UDP to west) and a port east on east0.

    Its `late` is far above any stall, so that nothing is missed and all must arrive, on a busy machine as well."""
    ports = ports or '{ name = "east"; interface = "east0"; late = "10s"; }'
    patterns = ", ".join(f'"{a}"' for a in allow)
    return f"""safety = {{ allow = [ {patterns} ]; {safety} }};
ports = ( {ports} );
templates = {{
  plain = ( {{ ethernet = {{ src = "{EAST_MAC}"; dst = "{WEST_MAC}"; }}; }}, {{ ipv4 = {{ src = "198.18.0.1"; dst = "198.19.0.1"; }}; }},
            {{ udp = {{ src = 1024; dst = 2048; }}; }} );
  {templates}
}};
streams = ( {streams} );
"""


def most_in_a_window(stamps, window_ns):
    """How many of the ascending stamps at most lie within one window, wherever it begins."""
    worst, first = 0, 0
    for last, stamp in enumerate(stamps):
        while stamp - stamps[first] >= window_ns:
            first += 1
        worst = max(worst, last - first + 1)
    return worst


def balance(row):
    """Both identities of the accounts, in one row."""
    assert row["scheduled"] == row["queued"] + row["missed"], row
    assert row["queued"] == row["completed"] + row["rejected"] + row["withdrawn"] + row["in_flight"], row


def balance_all(counters):
    for row in counters["ports"] + counters["streams"]:
        balance(row)
