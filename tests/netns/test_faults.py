# SPDX-License-Identifier: GPL-2.0-or-later
"""What can go wrong with a link, a ring or a machine, done on purpose; the wire and the accounts say what became of each frame.

`make check-faults` runs each of them 20 times (VOLLEYD_ROUNDS). Every test prints one line: fault → the accounts."""

import os
import signal
import time

import netns
import pytest
from test_traffic import Capture

ROUNDS = range(int(os.environ.get("VOLLEYD_ROUNDS", "1")))
pytestmark = pytest.mark.parametrize("turn", ROUNDS)

FOREVER = '{ name = "s"; port = "east"; template = "plain"; rate = "20kpps"; duration = "forever"; }'
MAX = '{ name = "s"; port = "east"; template = "plain"; rate = "max"; duration = "forever"; }'


def east_port(more=""):
    return f'{{ name = "east"; interface = "east0"; {more} }}'


def started(net, east, stream=FOREVER, port="", frames=500):
    daemon = net.daemon(east, netns.config(stream, ports=east_port(port)))
    daemon.call("Start")
    netns.wait_until(lambda: daemon.stream_row("s")["completed"] > frames, 10, "frames")
    return daemon


def port_state(daemon):
    return daemon.call("GetStatus")["ports"][0]


def await_state(daemon, *states):
    """The port's state and reason, seen soon after the fault (100 ms on an idle machine; SLOW scales how long we look)."""
    netns.wait_until(lambda: port_state(daemon)["state"] in states, 3, f"the port is {' or '.join(states)}")
    return port_state(daemon)


def tell(fault, daemon, arrived):
    row = daemon.stream_row("s")
    netns.balance(row)
    print(f"{fault} → scheduled {row['scheduled']} completed {row['completed']} arrived {arrived} withdrawn {row['withdrawn']} missed {row['missed']}")
    return row


def stays(west, daemon, seconds=0.3):
    """Nothing leaves any more: no stale frame, no late one."""
    before = west.counter("west0", "rx_packets")
    time.sleep(seconds)
    assert west.counter("west0", "rx_packets") == before
    return before


def test_link_down_stops_with_its_reason(net, turn):
    east, west = net.pair()
    daemon = started(net, east)
    east.sh("ip link set east0 down")
    state = await_state(daemon, "down")
    assert "east0 is down" in state["reason"]
    netns.wait_until(lambda: daemon.stream_row("s")["state"] == "failed", 3, "the stream has failed")
    east.sh("ip link set east0 up")
    await_state(daemon, "ready")
    row = tell("link down", daemon, stays(west, daemon))
    assert row["in_flight"] == 0 and row["completed"] == west.counter("west0", "rx_packets")


def test_link_down_and_up_goes_on_when_asked(net, turn):
    east, west = net.pair()
    daemon = started(net, east, port='on_link_loss = "resume"; link_delay = "200ms";')
    east.sh("ip link set east0 down")
    await_state(daemon, "down")
    netns.wait_until(lambda: daemon.stream_row("s")["state"] == "paused", 3, "the stream waits")
    before = daemon.stream_row("s")["completed"]
    east.sh("ip link set east0 up")
    netns.wait_until(lambda: daemon.stream_row("s")["completed"] > before + 1000, 10, "frames after the link is back")
    daemon.call("Stop")
    row = tell("link down and up", daemon, stays(west, daemon))
    assert row["completed"] == west.counter("west0", "rx_packets")


@pytest.mark.parametrize("qdisc", ("", "qdisc = true;"))
def test_carrier_loss_on_both_paths(net, turn, qdisc):
    east, west = net.pair()
    daemon = started(net, east, port=qdisc)
    west.sh("ip link set west0 down")
    state = await_state(daemon, "no-carrier")
    assert "no carrier" in state["reason"]
    netns.wait_until(lambda: daemon.stream_row("s")["state"] == "failed", 3, "the stream has failed")
    west.sh("ip link set west0 up")
    await_state(daemon, "ready")
    row = tell(f"carrier loss {qdisc}", daemon, stays(west, daemon))
    assert row["in_flight"] == 0


def test_interface_deleted_and_made_again(net, turn):
    east, west = net.pair()
    daemon = started(net, east, port='on_link_loss = "resume";')
    for _ in range(3):
        east.sh("ip link del east0")
        state = await_state(daemon, "absent")
        assert "no interface east0" in state["reason"]
        before = daemon.stream_row("s")["completed"]
        east.veth("east0", west, "west0")
        west.drop_arrivals("west0")
        netns.wait_until(lambda: daemon.stream_row("s")["completed"] > before + 500, 10, "frames on the new interface")
    daemon.call("Stop")
    row = tell("deleted and made again", daemon, stays(west, daemon))
    assert row["in_flight"] == 0


def test_a_renamed_interface_is_left_at_once(net, turn):
    east, west = net.pair()
    daemon = started(net, east)
    east.sh("ip link set east0 down")
    east.sh("ip link set east0 name other0")
    east.sh("ip link set other0 up")
    await_state(daemon, "absent")
    row = tell("renamed", daemon, stays(west, daemon))
    assert row["in_flight"] == 0 and daemon.stream_row("s")["state"] == "failed"


def test_an_interface_moved_to_another_namespace(net, turn):
    east, west = net.pair()
    other = net.space()
    daemon = started(net, east)
    east.sh(f"ip link set east0 netns {other.name}")
    await_state(daemon, "absent")
    other.sh("ip link set east0 up")
    tell("moved", daemon, stays(west, daemon))


def test_a_lower_mtu_stops_with_its_reason(net, turn):
    east, west = net.pair()
    daemon = started(net, east)
    east.sh("ip link set east0 mtu 1000")
    netns.wait_until(lambda: daemon.stream_row("s")["state"] == "failed", 3, "the stream has failed")
    assert "MTU changed from 1500 to 1000" in daemon.stream_row("s")["reason"]
    row = tell("MTU lowered", daemon, stays(west, daemon))
    assert row["completed"] == west.counter("west0", "rx_packets")


def test_frames_above_the_mtu_are_refused_before_they_start(net, turn):
    east, west = net.pair()
    daemon = net.daemon(east, netns.config('{ name = "s"; port = "east"; template = "plain"; size = 2000; count = 10; }'))
    with pytest.raises(netns.Error) as refusal:
        daemon.call("Start")
    assert "mtu" in str(refusal.value).lower() and refusal.value.name == "io.volleyd.Refused"
    assert west.counter("west0", "rx_packets") == 0


def test_a_slow_qdisc_is_waited_for_without_spinning(net, turn):
    """Socket memory runs out before the ring, POLLOUT wakes the worker, and waiting costs next to nothing."""
    east, west = net.pair()
    east.sh("tc qdisc add dev east0 root tbf rate 4mbit burst 4kb limit 20mb")
    daemon = started(net, east, stream=MAX, port="qdisc = true;", frames=10)
    time.sleep(0.5)
    cpu, at = daemon.cpu_seconds(), time.monotonic()
    time.sleep(1.5)
    share = (daemon.cpu_seconds() - cpu) / (time.monotonic() - at)
    port = daemon.ports()["east"]
    assert port["wakeups"] > 0 and port["waits"] > 0
    assert share < 0.05 * max(1, netns.SLOW / 2)
    daemon.call("Stop")
    row = tell("slow qdisc", daemon, west.counter("west0", "rx_packets"))
    assert row["withdrawn"] + row["completed"] + row["in_flight"] == row["queued"]


def test_what_the_egress_path_swallows_is_unaccounted(net, turn):
    """A filter that takes frames away and calls them sent: the kernel completes them, the interface never counts them."""
    east, west = net.pair()
    east.sh("tc qdisc add dev east0 clsact")
    east.sh("tc filter add dev east0 egress bpf da bytecode '1,6 0 0 4'")
    daemon = net.daemon(east, netns.config('{ name = "s"; port = "east"; template = "plain"; rate = "10kpps"; count = 2000; }',
                                           ports=east_port("qdisc = true;")))
    result = daemon.run_to_end()
    port = result["ports"][0]
    netns.balance(port)
    assert west.counter("west0", "rx_packets") == 0
    assert port["completed"] == port["device"]["unaccounted"] == 2000
    assert result["run"]["verdict"] == "invalid" and "2000 frames were completed" in " ".join(result["run"]["reasons"])


def test_what_a_qdisc_drops_loudly_is_sent_again(net, turn):
    """tbf without room answers ENOBUFS: nothing is lost, what could not go in time is missed."""
    east, west = net.pair()
    east.sh("tc qdisc add dev east0 root tbf rate 8mbit burst 4kb limit 4kb")
    daemon = net.daemon(east, netns.config('{ name = "s"; port = "east"; template = "plain"; rate = "100kpps"; count = 20000; }',
                                           ports=east_port("qdisc = true;")))
    port = daemon.run_to_end()["ports"][0]
    netns.balance(port)
    assert port["completed"] == west.counter("west0", "rx_packets") == 20000
    assert port["device"]["unaccounted"] == 0 and port["missed"] > 0


def test_a_device_that_takes_nothing_is_a_failure_with_its_reason(net, turn):
    """Everything is refused on the way out: ENOBUFS for ever. The port says so, and does not spin."""
    east, west = net.pair()
    east.sh("tc qdisc add dev east0 clsact")
    east.sh("tc filter add dev east0 egress bpf da bytecode '1,6 0 0 2'")
    daemon = net.daemon(east, netns.config(FOREVER, ports=east_port("qdisc = true;")))
    daemon.call("Start")
    netns.wait_until(lambda: daemon.stream_row("s")["state"] == "failed", 10, "the stream has failed")
    assert "takes no frames" in daemon.stream_row("s")["reason"]
    assert west.counter("west0", "rx_packets") == 0
    netns.balance(daemon.stream_row("s"))


def test_stop_with_frames_in_flight_drains_or_says_so(net, turn):
    east, west = net.pair()
    east.sh("tc qdisc add dev east0 root tbf rate 1mbit burst 4kb limit 20mb")
    daemon = started(net, east, stream=MAX, port='qdisc = true; drain = "200ms";', frames=10)
    try:
        daemon.call("Stop")
    except netns.Error as left:
        assert left.name == "io.volleyd.Undrained"
    netns.wait_until(lambda: daemon.counters()["run"]["state"] == "ended", 5, "the run's end")
    row = daemon.stream_row("s")
    netns.balance(row)
    if row["in_flight"] > 0:
        assert daemon.call("Report")["run"]["verdict"] == "invalid"


def steady_count(west):
    """What has arrived, once nothing that was on its way still counts."""
    def twice_the_same():
        before = west.counter("west0", "rx_packets")
        time.sleep(0.02)
        return west.counter("west0", "rx_packets") == before
    netns.wait_until(twice_the_same, 5, "silence at the peer")
    return west.counter("west0", "rx_packets")


def thread_states(pid):
    states = set()
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/stat", encoding="ascii") as stat:
            states.add(stat.read().rpartition(")")[2].split()[0])
    return states


class Signals:
    """Halts by SIGSTOP."""

    def __init__(self, pid):
        self.pid = pid

    def halt(self):
        os.kill(self.pid, signal.SIGSTOP)
        netns.wait_until(lambda: thread_states(self.pid) == {"T"}, 5, "all threads stopped")

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)

    def close(self):
        self.go_on()


class Cgroup:
    """Halts by freezing a control group: cgroup.freeze where version 2 is mounted, or version 1's freezer."""

    KINDS = {"cgroup2": ("cgroup.freeze", ("1", "0"), "cgroup.events", "frozen 1"),
             "cgroup": ("freezer.state", ("FROZEN", "THAWED"), "freezer.state", "FROZEN")}

    def __init__(self, pid):
        reasons = []
        for kind, mount in self.mounts():
            try:
                self.enter(kind, mount, pid)
                return
            except OSError as reason:
                reasons.append(f"{mount}: {reason.strerror}")
        pytest.skip(f"no control group can be frozen here: {'; '.join(reasons) or 'none is mounted'}")

    @staticmethod
    def mounts():
        with open("/proc/mounts", encoding="utf-8") as mounts:
            rows = [line.split() for line in mounts]
        return [(kind, mount) for _, mount, kind, options, *_ in rows
                if kind == "cgroup2" or (kind == "cgroup" and "freezer" in options.split(","))]

    def enter(self, kind, mount, pid):
        self.path, self.home = os.path.join(mount, f"volleyd-test-{os.getpid()}"), mount
        self.switch, self.words, self.tells, self.told = self.KINDS[kind]
        self.pid = pid
        os.mkdir(self.path)
        try:
            self.write("cgroup.procs", str(pid))
            self.write(self.switch, self.words[1])
        except OSError:
            self.close()
            raise

    def write(self, name, text, folder=None):
        with open(os.path.join(folder or self.path, name), "r+", encoding="ascii") as out:
            out.write(text)

    def read(self, name):
        with open(os.path.join(self.path, name), encoding="ascii") as file:
            return file.read()

    def halt(self):
        self.write(self.switch, self.words[0])
        netns.wait_until(lambda: self.told in self.read(self.tells), 5, "a frozen group")

    def go_on(self):
        self.write(self.switch, self.words[1])

    def close(self):
        """Thawed and left, whatever came before."""
        if os.path.exists(os.path.join(self.path, self.switch)):
            self.go_on()
        if str(self.pid) in self.read("cgroup.procs").split():
            self.write("cgroup.procs", str(self.pid), self.home)
        os.rmdir(self.path)


HALTED_PPS, HALTED_S, RUN_S = 10000, 3, 5
LATE_S, MAX_BURST = 0.01, 32
# A frame is stamped a moment after the pacer let it go; a thread that is preempted in between lets a few more go when it is back.
STAMP_S = 0.002 * netns.SLOW


def halted_run(daemon, west, by):
    """Starts, halts in the middle, goes on until the run has ended by itself. For how long it stood still at least, or None when
    the machine took so long to halt it that all was over."""
    daemon.call("Start")
    netns.wait_until(lambda: daemon.stream_row("s")["completed"] > HALTED_PPS / 4, 10, "frames")
    by.halt()
    halted_at, arrived = time.monotonic(), steady_count(west)
    time.sleep(HALTED_S)
    assert west.counter("west0", "rx_packets") == arrived
    halted_s = time.monotonic() - halted_at
    by.go_on()
    netns.wait_until(lambda: daemon.counters()["run"]["state"] == "ended", RUN_S, "the run's end")
    return halted_s if west.counter("west0", "rx_packets") > arrived else None


@pytest.mark.parametrize("means", (Signals, Cgroup))
def test_a_halted_process_does_not_catch_up(net, tmp_path, turn, means):
    """All of the daemon stands still for three seconds of a run: nothing leaves meanwhile; afterwards no burst, by the peer's
    stamps; what was due is missed, to the frame; and the run ends when it would have ended."""
    east, west = net.pair()
    capture = Capture(net, west, "west0", str(tmp_path / "arrived.pcap"))
    stream = f'{{ name = "s"; port = "east"; template = "plain"; rate = "{HALTED_PPS}pps"; duration = "{RUN_S}s"; }}'
    daemon = net.daemon(east, netns.config(stream, ports=east_port(f'late = "{LATE_S * 1000:g}ms"; max_burst = {MAX_BURST};')))
    by = means(daemon.pid())
    try:
        halted_s = halted_run(daemon, west, by)
    finally:
        by.close()
    if halted_s is None:
        pytest.skip("this machine halted it only when the run was over")
    row = tell(f"halted for {halted_s:.3f} s ({means.__name__})", daemon, stays(west, daemon))
    assert row["state"] == "done" and row["in_flight"] == 0
    assert row["scheduled"] == HALTED_PPS * RUN_S and row["completed"] == west.counter("west0", "rx_packets")
    assert row["missed"] >= HALTED_PPS * (halted_s - LATE_S) - MAX_BURST
    times = [at for at, _ in capture.frames(row["completed"])]
    for window_s in (0.001, 0.01, 0.1, 1):
        most = netns.most_in_a_window(times, int(window_s * 1e9))
        assert most <= HALTED_PPS * (window_s + LATE_S + STAMP_S) + MAX_BURST, f"{most} frames in {window_s:g} s"


def test_killed_in_full_flight_nothing_leaves_any_more(net, turn):
    east, west = net.pair()
    daemon = started(net, east, stream=MAX)
    daemon.process.kill()
    daemon.process.wait()
    time.sleep(0.1)
    arrived = west.counter("west0", "rx_packets")
    for path in (daemon.socket, daemon.status_socket):
        if os.path.exists(path):
            os.unlink(path)
    daemon.start()
    time.sleep(0.3)
    assert west.counter("west0", "rx_packets") == arrived
    assert daemon.stream_row("s")["completed"] == 0


def test_a_tap_on_the_interface_is_warned_about(net, turn):
    east, _ = net.pair()
    tap = net.process(east, ["tcpdump", "-i", "east0", "-w", "/dev/null", "-Z", "root"], stderr=-3)
    netns.wait_until(lambda: int(east.sh("grep -c 0003 /proc/net/packet", check=False).strip() or 0) > 0, 5, "a tap")
    daemon = started(net, east, port="qdisc = true;")
    assert "tap" in port_state(daemon)["warning"]
    tap.terminate()


def test_an_address_on_the_interface_refuses_it(net, turn):
    east, west = net.pair()
    daemon = net.daemon(east, netns.config(FOREVER))
    east.sh("ip address add 192.0.2.1/24 dev east0")
    with pytest.raises(netns.Error) as refusal:
        daemon.call("Start")
    assert refusal.value.name == "io.volleyd.Refused" and "192.0.2.1" in str(refusal.value) and "force" in str(refusal.value)
    assert west.counter("west0", "rx_packets") == 0


def test_a_bridge_member_is_refused(net, turn):
    east, _ = net.pair()
    east.bridge("br0", "east0")
    daemon = net.daemon(east, netns.config(FOREVER))
    with pytest.raises(netns.Error) as refusal:
        daemon.call("Start")
    assert "br0" in str(refusal.value)


def test_an_interface_outside_the_allow_list_is_refused(net, turn):
    east, west = net.pair()
    daemon = net.daemon(east, netns.config(FOREVER, allow=("other*",)))
    assert daemon.call("GetStatus")["ports"][0]["state"] == "refused"
    with pytest.raises(netns.Error) as refusal:
        daemon.call("Start")
    assert "safety.allow" in str(refusal.value)
    assert west.counter("west0", "rx_packets") == 0


def test_enslaved_while_it_sends_it_stops(net, turn):
    east, west = net.pair()
    daemon = started(net, east)
    east.bridge("br0", "east0")
    netns.wait_until(lambda: daemon.stream_row("s")["state"] == "failed", 3, "the stream has failed")
    tell("enslaved", daemon, stays(west, daemon))


def test_link_flaps_leave_balanced_accounts(net, turn):
    east, west = net.pair()
    daemon = started(net, east, stream=MAX, port='on_link_loss = "resume";')
    for _ in range(10):
        west.sh("ip link set west0 down")
        time.sleep(0.03)
        west.sh("ip link set west0 up")
        time.sleep(0.05)
    netns.wait_until(lambda: daemon.stream_row("s")["state"] == "running", 5, "running again")
    daemon.call("Stop")
    row = tell("flaps", daemon, stays(west, daemon))
    assert row["in_flight"] == 0
