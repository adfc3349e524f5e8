# SPDX-License-Identifier: GPL-2.0-or-later
"""What a stream can say, seen at the peer.

What is due is arithmetic: `scheduled` is compared with a closed form in rationals, computed here. With `late` far above any stall
nothing is missed, so that all of it must arrive, on a busy machine as well. Only where a gap itself is the question is the test
skipped when others keep every core busy."""

import collections
import math
import time
from fractions import Fraction

import machine
import netns
import pytest
from capture import Capture

PATIENT = '{ name = "east"; interface = "east0"; late = "10s"; speed = "100Mbit"; }'
STREAM = '{{ name = "{name}"; port = "east"; template = "plain"; {keys} }}'
L1, L2 = 20, 0
MS = Fraction(1, 1000)


def stream(keys, name="s"):
    return STREAM.format(name=name, keys=keys)


def ran(net, *streams, ports=PATIENT, **keywords):
    """A run of all streams to its end: its result, by name, when all that was due has arrived."""
    east, west = net.pair()
    daemon = net.daemon(east, netns.config(", ".join(streams), ports=ports, **keywords))
    result = daemon.run_to_end()
    return settled(west, result)


def settled(west, result):
    netns.balance_all(result)
    rows = {row["name"]: row for row in result["streams"]}
    assert all(row["missed"] == 0 and row["completed"] == row["scheduled"] for row in rows.values()), rows
    assert west.counter("west0", "rx_packets") == sum(row["completed"] for row in rows.values())
    return rows


# ---- how many frames are due: closed forms ----

def steady(rate, seconds):
    """Frames with k / rate < seconds."""
    return math.ceil(Fraction(rate) * seconds)


def bits(rate, size, extra, seconds):
    return math.ceil(Fraction(rate) * seconds / ((size + extra) * 8))


def ramped(first, last, over, seconds):
    """The integral of the rate; afterwards the last rate stays."""
    inside = min(Fraction(seconds), Fraction(over))
    at_end = first + (last - first) * inside / over
    return math.ceil((first + at_end) / 2 * inside + last * (seconds - inside))


def climbed(rates, each, seconds):
    each, seconds = Fraction(each), Fraction(seconds)
    stairs = sum(rate * max(0, min(each, seconds - i * each)) for i, rate in enumerate(rates))
    return math.ceil(stairs + rates[-1] * max(0, seconds - len(rates) * each))


def on_and_off(rate, on, off, seconds):
    cycles, rest = divmod(Fraction(seconds), on + off)
    return math.ceil(rate * (cycles * on + min(rest, on)))


DUE = {
    "pps": ('rate = "3333"; duration = "700ms";', steady(3333, 700 * MS)),
    "odd": ('rate = "333.37pps"; duration = "900ms";', steady(Fraction(33337, 100), 900 * MS)),
    "slow": ('rate = "2.5pps"; duration = "1s";', steady(Fraction(5, 2), 1)),
    "L1": ('rate = "7Mbit/L1"; size = 777; duration = "800ms";', bits(7e6, 777, L1, 800 * MS)),
    "L2": ('rate = "7Mbit/L2"; size = 777; duration = "800ms";', bits(7e6, 777, L2, 800 * MS)),
    "percent": ('rate = "12.5%"; size = 300; duration = "500ms";', bits(12.5e6, 300, L1, 500 * MS)),
    "gap": ('gap = "130us"; duration = "650ms";', steady(Fraction(10**9, 130000), 650 * MS)),
    "ramp up": ('ramp = { from = "0"; to = "9kpps"; over = "600ms"; }; duration = "600ms";', ramped(0, 9000, 600 * MS, 600 * MS)),
    "ramp down": ('ramp = { from = "8kpps"; to = "0"; over = "500ms"; }; duration = "900ms";', ramped(8000, 0, 500 * MS, 900 * MS)),
    "ramp stays": ('ramp = { from = "1kpps"; to = "7kpps"; over = "300ms"; }; duration = "700ms";', ramped(1000, 7000, 300 * MS, 700 * MS)),
    "stairs": ('stairs = { steps = ( "1kpps", "5kpps", "0", "3kpps" ); each = "130ms"; }; duration = "600ms";',
               climbed((1000, 5000, 0, 3000), 130 * MS, 600 * MS)),
    "ten stairs": ('stairs = { steps = ( "10%", "20%", "30%", "40%", "50%", "60%", "70%", "80%", "90%", "100%" ); each = "50ms"; }; '
                   'size = 1518; duration = "500ms";', math.ceil(sum(Fraction(10**7 * i, 1538 * 8) for i in range(1, 11)) / 20)),
    "on and off": ('rate = "4kpps"; on_off = { on = "70ms"; off = "50ms"; }; duration = "650ms";',
                   on_and_off(4000, 70 * MS, 50 * MS, 650 * MS)),
    "mean of trains": ('rate = "4kpps"; burst = { frames = 64; }; duration = "640ms";', 2560),
    "delayed": ('rate = "5kpps"; delay = "200ms"; duration = "300ms";', steady(5000, 300 * MS)),
    "count": ('rate = "20kpps"; count = 4321;', 4321),
    "count before time": ('rate = "20kpps"; count = 1000; duration = "10s";', 1000),
    "time before count": ('rate = "10kpps"; count = 1000000; duration = "300ms";', 3000),
}


@pytest.mark.parametrize("keys, due", DUE.values(), ids=DUE.keys())
def test_what_is_due_is_the_closed_form(net, keys, due):
    assert ran(net, stream(keys))["s"]["scheduled"] == due


def test_all_shapes_together_are_each_what_they_are_alone(net):
    streams = [stream(keys, f"s{i}") for i, (keys, _) in enumerate(DUE.values())]
    rows = ran(net, *streams, ports=PATIENT.replace("100Mbit", "10Gbit").replace("late", "max_burst = 4096; late"))
    for i, (name, (keys, due)) in enumerate(DUE.items()):
        if "%" not in keys:
            # Streams of one rate are spread over their gap: a phase can take the last frame's place.
            assert due - 1 <= rows[f"s{i}"]["scheduled"] <= due, name


def test_the_bit_rate_of_mixed_sizes_is_exact(net):
    """All frames but the last fit into the rate times the time, and with the last it is used up."""
    row = ran(net, stream('rate = "20Mbit/L2"; mix = ( { size = 64; weight = 7; }, { size = 594; weight = 4; }, { size = 1518; weight = 1; } ); '
                          'duration = "900ms";'))["s"]
    asked = Fraction(20_000_000 * 900, 1000)
    assert 0 <= row["bytes_l2"] * 8 - asked < 1518 * 8


def test_counts_of_several_streams_are_exact(net):
    counts = {"a": 1, "b": 1009, "c": 20011, "d": 333}
    rows = ran(net, *(stream(f'rate = "{rate}"; count = {counts[name]};', name)
                      for name, rate in zip(counts, ("max", "5kpps", "max", "1Mbit/L1"))))
    assert {name: row["completed"] for name, row in rows.items()} == counts


def test_poisson_is_random_with_its_mean_and_its_seed(net):
    """10,000 expected: five standard deviations of a Poisson count are 500; the same seed makes the same number, another one another."""
    keys = 'rate = "10kpps"; duration = "1s"; arrivals = {{ seed = {}; }};'
    rows = ran(net, stream(keys.format(7), "a"), stream(keys.format(7) + ' phase = "0";', "b"), stream(keys.format(8) + ' phase = "0";', "c"))
    east = rows["b"]["scheduled"], rows["c"]["scheduled"]
    assert all(abs(scheduled - 10000) <= 500 for scheduled in east)
    again = ran(net, stream(keys.format(7) + ' phase = "0";', "b"))
    assert again["b"]["scheduled"] == rows["b"]["scheduled"] != rows["c"]["scheduled"]


# ---- what the peer sees, frame by frame ----

UDP_DST, IP_DST = 36, 30  # in an Ethernet frame without a tag


def captured(net, tmp_path, streams, count=None, **keywords):
    east, west = net.pair()
    capture = Capture(net, west, "west0", str(tmp_path / "arrived.pcap"))
    daemon = net.daemon(east, netns.config(streams, **{"ports": PATIENT, **keywords}))
    rows = settled(west, daemon.run_to_end())
    return capture.frames(sum(row["completed"] for row in rows.values())), rows


def trains_of(times, apart_ns):
    """Lengths of the runs of frames that have no gap above apart_ns between them, and the gaps between the runs."""
    lengths, gaps = [1], []
    for before, after in zip(times, times[1:]):
        if after - before > apart_ns:
            lengths.append(1)
            gaps.append(after - before)
        else:
            lengths[-1] += 1
    return lengths, gaps


def judge_time(holds, what):
    """A claim that only time stamps can show is for a machine with a core to spare."""
    if holds:
        return
    if machine.is_busy():
        pytest.skip(machine.BUSY)
    raise AssertionError(what)


def test_bursts_are_bursts(net, tmp_path):
    """Twelve trains of 300, far above max_burst, and nothing between them."""
    frames, rows = captured(net, tmp_path, stream('burst = { frames = 300; bursts = 12; gap = "60ms"; }; duration = "forever";'))
    assert rows["s"]["scheduled"] == 3600
    lengths, gaps = trains_of([at for at, _ in frames], 20_000_000)
    judge_time(lengths == [300] * 12, f"trains of {lengths}")
    judge_time(all(abs(gap - 60_000_000) < 3_000_000 for gap in gaps), f"gaps of {gaps} ns, not 60 ms ± 5 %")


def test_trains_keep_the_mean_rate(net, tmp_path):
    frames, rows = captured(net, tmp_path, stream('rate = "2kpps"; burst = { frames = 100; rate = "50kpps"; }; count = 1000;'))
    assert rows["s"]["scheduled"] == 1000
    lengths, _ = trains_of([at for at, _ in frames], 20_000_000)
    judge_time(lengths == [100] * 10, f"trains of {lengths}")


def test_ten_stairs_are_seen_as_ten_stairs(net, tmp_path):
    steps = [1000 * i for i in range(1, 11)]
    keys = f'stairs = {{ steps = ( {", ".join(str(s) for s in steps)} ); each = "100ms"; }}; duration = "1s";'
    frames, rows = captured(net, tmp_path, stream(keys))
    assert rows["s"]["scheduled"] == climbed(steps, 100 * MS, 1) == len(frames)
    first = frames[0][0]
    seen = collections.Counter((at - first + 500_000) // 100_000_000 for at, _ in frames)
    judge_time(all(abs(seen[i] - step // 10) <= step // 100 + 2 for i, step in enumerate(steps)), f"stairs of {dict(seen)}")


def test_two_streams_interleave_by_their_rates(net, tmp_path):
    """3:1, in order of their deadlines; only what is late makes up for it each at its own pace."""
    other = 'set = ( { field = "udp.dst"; value = 9; } );'
    frames, _ = captured(net, tmp_path, stream('rate = "6kpps"; count = 3000; phase = "0";', "three") + ", " +
                         stream(f'rate = "2kpps"; count = 1000; phase = "0.5"; {other}', "one"))
    order = "".join("1" if frame[UDP_DST:UDP_DST + 2] == b"\0\x09" else "3" for _, frame in frames)
    # one's deadlines are 250 us + k · 500 us, three's k · 166.7 us: two of three, one, then three by three.
    assert collections.Counter(order) == {"3": 3000, "1": 1000}
    judge_time(order == "33" + "1" + "3331" * 999 + "3", order)


def test_copies_differ_as_each_says(net, tmp_path):
    frames, rows = captured(net, tmp_path, stream('copies = 5; each = ( { field = "ipv4.dst"; from = "198.19.7.10"; step = 3; } ); rate = "1kpps"; count = 40;'))
    assert sorted(rows) == [f"s.{i}" for i in range(1, 6)] and all(row["completed"] == 40 for row in rows.values())
    seen = collections.Counter(frame[IP_DST:IP_DST + 4] for _, frame in frames)
    assert seen == {bytes((198, 19, 7, 10 + 3 * i)): 40 for i in range(5)}


# ---- chains ----

HOME = f'''home = ( {{ ethernet = {{ src = "{netns.WEST_MAC}"; dst = "{netns.EAST_MAC}"; }}; }},
  {{ ipv4 = {{ src = "198.19.0.1"; dst = "198.18.0.1"; }}; }}, {{ udp = {{ src = 7; dst = 7; }}; }} );'''


def test_a_chain_runs_its_streams_one_after_the_other(net, tmp_path):
    """A step's frames all arrive before the next one's first."""
    streams = ", ".join(stream(f'rate = "10kpps"; count = {100 * i}; {f"next = {chr(34)}s{i + 1}{chr(34)};" if i < 5 else ""} '
                               f'set = ( {{ field = "udp.dst"; value = {i}; }} );', f"s{i}") for i in range(1, 6))
    frames, rows = captured(net, tmp_path, streams)
    assert [rows[f"s{i}"]["completed"] for i in range(1, 6)] == [100, 200, 300, 400, 500]
    order = [frame[UDP_DST + 1] for _, frame in frames]
    assert order == sorted(order)


def test_a_chain_across_ports_comes_back_as_often_as_it_says(net):
    east, west = net.space(), net.space()
    east.veth("east0", west, "peer1")
    east.veth("west0", west, "peer2", "02:00:00:00:00:02", "02:00:00:00:00:03")
    ports = PATIENT + ', { name = "west"; interface = "west0"; late = "10s"; }'
    daemon = net.daemon(east, netns.config(
        stream('rate = "20kpps"; count = 101; next = "there"; loops = 4;', "here") +
        ', { name = "there"; port = "west"; template = "home"; rate = "20kpps"; count = 57; next = "here"; loops = 4; }',
        ports=ports, templates=HOME))
    result = daemon.run_to_end("here")
    rows = {row["name"]: row for row in result["streams"]}
    assert (rows["here"]["completed"], rows["there"]["completed"]) == (404, 228)
    assert (west.counter("peer1", "rx_packets"), west.counter("peer2", "rx_packets")) == (404, 228)
    netns.balance_all(result)


# ---- changes while it runs ----

FOREVER = stream('rate = "2kpps"; duration = "forever";')


def running(net, streams=FOREVER, ports=PATIENT, **keywords):
    east, west = net.pair()
    daemon = net.daemon(east, netns.config(streams, ports=ports, **keywords))
    daemon.call("Start")
    netns.wait_until(lambda: daemon.stream_row("s")["completed"] > 100, 10, "frames")
    return daemon, west


def settles_at(daemon, pps):
    """Two windows in a row with this rate, however late frames were before; a wrong rate never comes to it."""
    def sample():
        counters = daemon.counters()
        return counters["streams"][0]["scheduled"], counters["run"]["elapsed_ns"]

    def window():
        (first, began_ns), _, (last, now_ns) = sample(), time.sleep(max(0.2, 60 / pps)), sample()
        due = pps * (now_ns - began_ns) / 10**9
        return abs(last - first - due) < due / 20

    netns.wait_until(lambda: window() and window(), 20, f"{float(pps):.1f} frames a second")


@pytest.mark.parametrize("change, factor", (({"rate": "8kpps"}, 4), ({"multiplier": "2.5"}, Fraction(5, 2)), ({"multiplier": "0.25"}, Fraction(1, 4)),
                                            ({"rate": "1Mbit/L1"}, Fraction(1_000_000, 84 * 8 * 2000)), ({"rate": "3%"}, Fraction(3_000_000, 84 * 8 * 2000))),
                         ids=str)
def test_a_new_rate_is_the_rate_from_then_on(net, change, factor):
    daemon, west = running(net)
    daemon.call("SetRate", streams=["s"], **change)
    settles_at(daemon, 2000 * factor)
    daemon.call("Stop")
    row = daemon.stream_row("s")
    netns.balance(row)
    assert west.counter("west0", "rx_packets") == row["completed"]


def test_a_rate_and_a_multiplier_in_one_call_both_hold(net):
    daemon, _ = running(net)
    daemon.call("SetRate", streams=["s"], rate="1kpps", multiplier="4")
    settles_at(daemon, 4000)


def test_a_new_rate_ends_the_multiplier(net):
    """What is asked for is what is sent, and what the limit is held against."""
    daemon, _ = running(net, safety='max_rate = "12kpps";')
    daemon.call("SetRate", streams=["s"], multiplier="5")
    settles_at(daemon, 10000)
    daemon.call("SetRate", streams=["s"], rate="3kpps")
    settles_at(daemon, 3000)
    daemon.call("SetRate", streams=["s"], rate="4kpps")
    daemon.call("SetRate", streams=["s"], multiplier="3")
    settles_at(daemon, 12000)


def test_many_changes_leave_balanced_accounts(net):
    daemon, west = running(net, FOREVER + ", " + stream('rate = "max"; duration = "forever";', "m"))
    for i in range(60):
        if i % 3 == 0:
            daemon.call("SetRate", rate=("1kpps", "50kpps", "20Mbit/L2", "max", "0.5pps")[i % 5])
        else:
            daemon.call("SetRate", multiplier=("1", "0.1", "3")[i % 3])
        netns.balance_all(daemon.counters())
    daemon.call("Stop")
    result = daemon.counters()
    netns.balance_all(result)
    assert all(row["in_flight"] == 0 for row in result["streams"])
    assert west.counter("west0", "rx_packets") == sum(row["completed"] for row in result["streams"])


def test_a_rate_above_the_limit_is_refused_and_nothing_changes(net):
    daemon, _ = running(net, safety='max_rate = "5kpps";')
    with pytest.raises(netns.Error) as refusal:
        daemon.call("SetRate", streams=["s"], rate="6kpps")
    assert refusal.value.name == "io.volleyd.Refused" and "safety.max_rate" in str(refusal.value)
    with pytest.raises(netns.Error):
        daemon.call("SetRate", streams=["s"], multiplier="3")
    daemon.call("SetRate", streams=["s"], rate="5kpps")


def refused(daemon, method, **parameters):
    with pytest.raises(netns.Error) as refusal:
        daemon.call(method, **parameters)
    assert refusal.value.name == "io.volleyd.Refused" and "safety.max_rate" in str(refusal.value)


def test_max_does_not_escape_the_limit_while_it_runs(net):
    daemon, _ = running(net, safety='max_rate = "5kpps";')
    refused(daemon, "SetRate", streams=["s"], rate="max")
    settles_at(daemon, 2000)


def test_what_a_stream_at_max_has_counts_against_the_limit(net):
    daemon, _ = running(net, FOREVER + ", " + stream('rate = "max"; duration = "forever";', "m"), safety='max_rate = "6kpps";')
    refused(daemon, "SetRate", streams=["s"], rate="3kpps")
    refused(daemon, "SetRate", streams=["m"], multiplier="1.5")
    daemon.call("SetRate", streams=["m"], multiplier="0.5")
    daemon.call("SetRate", streams=["s"], rate="4kpps")


def test_a_ramp_counts_with_its_peak(net):
    daemon, _ = running(net, stream('ramp = { from = "1kpps"; to = "4kpps"; over = "50s"; }; duration = "forever";'), safety='max_rate = "6kpps";')
    refused(daemon, "SetRate", streams=["s"], multiplier="2")
    daemon.call("SetRate", streams=["s"], multiplier="1.5")


def test_a_start_is_held_against_what_others_were_raised_to(net):
    east, _ = net.pair()
    daemon = net.daemon(east, netns.config(FOREVER + ", " + stream('rate = "2kpps"; duration = "forever";', "other"), safety='max_rate = "5kpps";'))
    daemon.call("Start", streams=["s"])
    daemon.call("SetRate", streams=["s"], rate="4kpps")
    refused(daemon, "Start", streams=["other"])
    daemon.call("SetRate", streams=["s"], rate="3kpps")
    daemon.call("Start", streams=["other"])
    daemon.call("Stop")
    daemon.call("Start")


def test_time_stands_still_while_paused(net):
    """Half a second of frames, with three pauses in it: exactly as many as without."""
    east, west = net.pair()
    daemon = net.daemon(east, netns.config(stream('rate = "4kpps"; duration = "500ms";'), ports=PATIENT))
    daemon.call("Start")
    for i in range(3):
        netns.wait_until(lambda: daemon.stream_row("s")["completed"] > 300 * (i + 1), 10, "frames")
        if daemon.stream_row("s")["state"] != "running":
            pytest.skip(machine.BUSY)
        daemon.call("Pause")
        netns.wait_until(lambda: daemon.stream_row("s")["in_flight"] == 0, 5, "nothing in flight")
        time.sleep(0.05)
        before = daemon.stream_row("s")["scheduled"], west.counter("west0", "rx_packets")
        time.sleep(0.3)
        assert (daemon.stream_row("s")["scheduled"], west.counter("west0", "rx_packets")) == before
        assert daemon.stream_row("s")["state"] == "paused"
        daemon.call("Resume")
    netns.wait_until(lambda: daemon.counters()["run"]["state"] == "ended", 20, "the run's end")
    row = settled(west, daemon.call("Report"))["s"]
    assert row["scheduled"] == 2000


# ---- starting together, and limits ----

def test_start_at_a_time_arms_and_begins_then(net, tmp_path):
    east, west = net.pair()
    capture = Capture(net, west, "west0", str(tmp_path / "at.pcap"))
    daemon = net.daemon(east, netns.config(stream('rate = "1kpps"; count = 50;'), ports=PATIENT))
    at = time.time() + 0.6 * netns.SLOW
    assert daemon.call("Start", at=f"{at:.9f}")["armed"]
    if time.time() < at:
        assert daemon.stream_row("s")["state"] == "armed" and daemon.stream_row("s")["scheduled"] == 0
    netns.wait_until(lambda: daemon.counters()["run"]["state"] == "ended", 20, "the run's end")
    settled(west, daemon.call("Report"))
    first = capture.frames(50)[0][0] / 1e9
    assert first >= at - 0.0005, "a frame left before its time"
    judge_time(first - at < 0.005, f"the first frame is {first - at:.6f} s after the time asked for")


def test_ports_of_one_daemon_start_together(net, tmp_path):
    """Each has a CPU; the first frames of both, of twelve starts, by the stamps at both far ends."""
    east, far = net.space(), net.space()
    captures = []
    for interface, peer, mac in (("east0", "peer1", netns.EAST_MAC), ("west0", "peer2", netns.WEST_MAC)):
        east.veth(interface, far, peer, mac, f"02:00:00:00:02:0{peer[-1]}")
        captures.append(Capture(net, far, peer, str(tmp_path / peer)))
    ports = ", ".join(f'{{ name = "{side}"; interface = "{side}0"; pacing = "precise"; late = "10s"; }}' for side in ("east", "west"))
    streams = ", ".join(f'{{ name = "to_{side}"; port = "{side}"; template = "plain"; rate = "1kpps"; count = 2; }}' for side in ("east", "west"))
    daemon = net.daemon(east, netns.config(streams, ports=ports))
    for _ in range(12):
        daemon.run_to_end()
    stamps = [[ns for ns, _ in capture.frames(24)][::2] for capture in captures]
    apart_us = sorted(abs(one - other) / 1000 for one, other in zip(*stamps))
    print("first frames apart, in µs:", *apart_us)
    judge_time(apart_us[6] < 50, f"the median start is {apart_us[6]:.0f} µs apart")


def realtime_ahead_ns():
    """Of the monotonic clock, as of the closest of some readings."""
    readings = []
    for _ in range(1000):
        before, monotonic, after = time.time_ns(), time.monotonic_ns(), time.time_ns()
        readings.append((after - before, (before + after) // 2 - monotonic))
    return min(readings)[1]


def test_frames_of_a_round_rate_are_due_before_the_tick(net, tmp_path):
    """A start that names no time begins 15 µs before a whole millisecond, and so all frames of 1 kpps do."""
    frames, _ = captured(net, tmp_path, stream('rate = "1kpps"; count = 200;'))
    ahead_ns = realtime_ahead_ns()
    late_us = sorted((ns - ahead_ns + 15_000) % 1_000_000 / 1000 for ns, _ in frames)
    judge_time(late_us[100] < 200, f"the median frame is {late_us[100]:.0f} µs after its time")


@pytest.mark.parametrize("at", ("1999-12-31T23:59:59Z", "1", "2999-01-01T00:00:00Z", "soon"))
def test_a_time_that_cannot_be_is_refused(net, at):
    east, _ = net.pair()
    daemon = net.daemon(east, netns.config(FOREVER))
    with pytest.raises(netns.Error) as refusal:
        daemon.call("Start", at=at)
    assert refusal.value.name == "io.volleyd.Invalid"
    assert daemon.stream_row("s")["state"] == "idle"


def test_max_is_paced_to_the_limit(net):
    """A stream at max gets what the paced one beside it leaves of max_rate."""
    rows = ran(net, stream('rate = "max"; duration = "500ms";', "m"), stream('rate = "3kpps"; duration = "500ms"; phase = "0";'),
               safety='max_rate = "10kpps";')
    assert rows["s"]["scheduled"] == 1500 and rows["m"]["scheduled"] == 3500


def test_a_stream_without_end_ends_at_max_duration(net):
    row = ran(net, stream('rate = "5kpps"; duration = "forever";'), safety='max_duration = "400ms";')["s"]
    assert row["scheduled"] == 2000


def test_a_rate_that_cannot_be_held_is_missed_and_says_by_how_much(net):
    """No error: it runs, and what was due is due, whether it went or not."""
    east, west = net.pair()
    daemon = net.daemon(east, netns.config(stream('rate = "50Mpps"; duration = "300ms";'), ports='{ name = "east"; interface = "east0"; speed = "100Gbit"; }'))
    result = daemon.run_to_end()
    row = result["streams"][0]
    netns.balance_all(result)
    assert row["scheduled"] == 15_000_000 and row["missed"] > 0 and result["run"]["verdict"] == "invalid"
    assert west.counter("west0", "rx_packets") == row["completed"] == 15_000_000 - row["missed"]
