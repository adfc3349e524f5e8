# SPDX-License-Identifier: GPL-2.0-or-later
"""The other end: what a switch that others wrote did to our frames, told to the frame."""

import os
import shutil
import socket

import netns
import pytest
from capture import Capture

PORTS = '''{ name = "east"; interface = "east0"; receive = true; late = "10s"; },
           { name = "west"; interface = "west0"; receive = true; late = "10s"; }'''
STREAM = '{{ name = "s"; port = "east"; template = "plain"; size = 100; rate = "{rate}"; count = {count}; expect = [ "west" ]; tolerance = "100%"; {more} }}'


def stream(count=5000, rate="20kpps", more=""):
    return STREAM.format(count=count, rate=rate, more=more)


def bridged(net, streams, ports=PORTS):
    tester, switch = net.switched()
    daemon = net.daemon(tester, netns.config(streams, ports=ports))
    return daemon, tester, switch


def row_of(result, name="s", port="west"):
    rows = {row["name"]: row for row in result["streams"]}
    return next(r for r in rows[name]["receive"] if r["port"] == port)


# The signature of a 96-byte frame stands in its last 14 bytes; its sequence number's last byte is byte 96 - 14 + 7.
SEQUENCE_LOW = 96 - 14 + 7


def drop_when(switch, interface, mask, value):
    """Frames of 96 bytes whose sequence number has these low bits are dropped on their way into the switch; all others pass.
    ldb [SEQUENCE_LOW]; and mask; jeq value → shot (2), else go on (-1)."""
    switch.sh(f"tc qdisc add dev {interface} clsact")
    program = f"5,48 0 0 {SEQUENCE_LOW},84 0 0 {mask},21 0 1 {value},6 0 0 2,6 0 0 4294967295"
    switch.sh(f"tc filter add dev {interface} ingress bpf da bytecode '{program}'")


def test_a_loss_free_bridge_loses_nothing(net):
    daemon, *_ = bridged(net, stream(20000, "max"))
    for _ in range(3):
        result = daemon.run_to_end()
        row = row_of(result)
        assert (row["received"], row["lost"], row["duplicates"], row["reordered"], row["corrupted"]) == (20000, 0, 0, 0, 0)
        assert row["final"] and 0 < row["latency"]["min_ns"] <= row["latency"]["p50_ns"] <= row["latency"]["max_ns"]
        assert 0 < row["latency"]["uncertainty_mean_ns"] <= row["latency"]["uncertainty_ns"]
        assert result["run"]["verdict"] == "passed"


def test_status_tells_of_each_port_that_receives(net):
    """PAUSE frames by number, ours apart; what bears no signature is dropped by the socket's filter and counts nowhere."""
    daemon, _, switch = bridged(net, stream(400, "1kpps"))
    before = {port["name"]: port["receive"] for port in daemon.call("GetStatus")["ports"]}
    assert before == {"east": None, "west": None}
    daemon.call("Start")
    with netns.Inside(switch.name), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as cable:
        cable.bind(("port2", 0))
        for _ in range(3):
            cable.send(bytes.fromhex("0180c2000001 020000000102 8808 0001 ffff") + bytes(42))
        for _ in range(5):
            cable.send(bytes.fromhex("ffffffffffff 020000000102 88b5") + bytes(46))
    netns.wait_until(lambda: daemon.counters()["run"]["state"] == "ended", 20, "the run's end")
    west = {port["name"]: port["receive"] for port in daemon.call("GetStatus")["ports"]}["west"]
    assert west == {"received": 400, "overrun": 0, "foreign": 0, "pause": 3, "clock": "software (CLOCK_REALTIME)"}


HOME = f'''home = ( {{ ethernet = {{ src = "{netns.WEST_MAC}"; dst = "{netns.EAST_MAC}"; }}; }},
  {{ ipv4 = {{ src = "198.19.0.1"; dst = "198.18.0.1"; }}; }}, {{ udp = {{ src = 7; dst = 7; }}; }} );'''
BACK = '{ name = "back"; port = "west"; template = "home"; size = 200; rate = "10kpps"; count = 3000; expect = [ "east" ]; }'


def test_gaps_are_counted_where_they_arrive(net):
    """Trains of 10 frames every 20 ms: nine short gaps to each long one, but for the first train."""
    daemon, *_ = bridged(net, stream(200, more="burst = { frames = 10; gap = \"20ms\"; };").replace('rate = "20kpps"; ', ""))
    west = next(port for port in daemon.run_to_end()["ports"] if port["name"] == "west")
    assert sum(gap["count"] for gap in west["gaps"]) == 199
    assert all(gap["from_ns"] < gap["to_ns"] for gap in west["gaps"])
    assert sum(gap["count"] for gap in west["gaps"] if gap["from_ns"] > 8e6) in range(15, 20)


def test_both_directions_at_once(net):
    tester, _ = net.switched()
    daemon = net.daemon(tester, netns.config(stream(5000) + "," + BACK, ports=PORTS, templates=HOME))
    result = daemon.run_to_end()
    assert row_of(result)["received"] == 5000 and row_of(result)["lost"] == 0
    assert row_of(result, "back", "east")["received"] == 3000 and row_of(result, "back", "east")["lost"] == 0


def test_one_in_eight_dropped_is_told_to_the_frame(net):
    daemon, _, switch = bridged(net, stream(8000, more='require = ( "loss == 0" );'))
    drop_when(switch, "port1", 7, 3)
    result = daemon.run_to_end()
    row = row_of(result)
    assert (row["received"], row["lost"], row["duplicates"], row["reordered"]) == (7000, 1000, 0, 0)
    assert row["outage"]["frames"] == 1
    assert result["run"]["verdict"] == "unmet" and "loss == 0" in result["run"]["reasons"][0]


def test_a_run_of_lost_frames_is_an_outage(net):
    daemon, _, switch = bridged(net, stream(256, more='require = ( "loss <= 10%" );'))
    drop_when(switch, "port1", 0xF0, 0x40)
    row = row_of(daemon.run_to_end())
    assert (row["received"], row["lost"], row["outage"]["frames"]) == (240, 16, 16)
    assert daemon.call("Report")["run"]["verdict"] == "passed"


def test_lost_at_the_very_end_is_lost_too(net):
    daemon, _, switch = bridged(net, stream(255))
    drop_when(switch, "port1", 0xF0, 0xF0)
    row = row_of(daemon.run_to_end())
    assert (row["received"], row["lost"]) == (240, 15)


def test_mirrored_frames_are_duplicates(net):
    daemon, _, switch = bridged(net, stream(2000))
    switch.sh("tc qdisc add dev port1 clsact")
    # A copy of everything that comes in goes out of port2, beside what the bridge forwards.
    switch.sh("tc filter add dev port1 ingress bpf bytecode '1,6 0 0 4294967295' action mirred egress mirror dev port2")
    row = row_of(daemon.run_to_end())
    assert row["received"] == row["duplicates"] + 2000 and row["lost"] == 0
    assert row["duplicates"] == 2000


def test_an_unknown_destination_is_flooded_until_it_is_learned(net):
    """Four ports on a bridge; only west is expected. Without learning the frames are seen everywhere."""
    for learn in ("false", "true"):
        tester, switch = net.space(), net.space()
        names = ("east", "west", "north", "south")
        for i, name in enumerate(names):
            tester.veth(f"{name}0", switch, f"port{i}", f"02:00:00:00:00:{i + 1:02x}", f"02:00:00:00:01:{i + 1:02x}")
        switch.bridge("br0", "port0", "port1", "port2", "port3")
        ports = ", ".join(f'{{ name = "{n}"; interface = "{n}0"; receive = true; }}' for n in names)
        daemon = net.daemon(tester, netns.config(stream(1000, more=f"learn = {learn};"), ports=ports, allow=("*0",)))
        result = daemon.run_to_end()
        rows = {row["port"]: row for row in result["streams"][0]["receive"]}
        assert rows["west"]["received"] == 1000 and rows["west"]["lost"] == 0
        if learn == "false":
            assert rows["north"]["flooded"] == rows["south"]["flooded"] == 1000
        else:
            assert set(rows) == {"west"}


def test_frames_that_only_arrive_elsewhere_are_misdirected(net):
    tester, switch = net.space(), net.space()
    for i, name in enumerate(("east", "west", "north")):
        tester.veth(f"{name}0", switch, f"port{i}", f"02:00:00:00:00:{i + 1:02x}", f"02:00:00:00:01:{i + 1:02x}")
    switch.bridge("br0", "port0", "port1", "port2")
    switch.sh(f"bridge fdb add {netns.WEST_MAC} dev port2 master static")
    ports = ", ".join(f'{{ name = "{n}"; interface = "{n}0"; receive = true; }}' for n in ("east", "west", "north"))
    daemon = net.daemon(tester, netns.config(stream(500, more="learn = false;"), ports=ports, allow=("*0",)))
    rows = {row["port"]: row for row in daemon.run_to_end()["streams"][0]["receive"]}
    assert rows["west"]["received"] == 0 and rows["west"]["lost"] == 500
    assert rows["north"]["misdirected"] == 500


def test_a_stopped_receiver_is_overrun_not_loss_in_the_switch(net):
    """Rings of the least size and many frames at once: what the tester itself had no room for makes the run invalid."""
    ports = PORTS.replace('interface = "west0"; receive = true;', 'interface = "west0"; receive = { blocks = 2; block_size = 4096; };')
    daemon, *_ = bridged(net, stream(100000, "max"), ports)
    result = daemon.run_to_end()
    row = row_of(result)
    if row["received"] == 100000:
        pytest.skip("this machine's receiver kept up with rings of 8 KiB")
    assert result["run"]["verdict"] == "invalid" and "receive ring full" in " ".join(result["run"]["reasons"])


def test_frames_of_an_earlier_run_are_foreign(net):
    """A capture of one run, played again into the next: nobody is fooled."""
    if shutil.which("tcpreplay") is None:
        pytest.skip("tcpreplay is not installed")
    daemon, tester, _ = bridged(net, stream(300))
    earlier = Capture(net, tester, "west0", os.path.join(daemon.directory, "earlier.pcap"))
    daemon.run_to_end()
    earlier.frames(300)
    daemon.call("Start")
    tester.sh(f"tcpreplay -q --topspeed -i east0 {earlier.path}", check=False)
    netns.wait_until(lambda: daemon.counters()["run"]["state"] == "ended", 20, "the run's end")
    row = row_of(daemon.call("Report"))
    assert (row["received"], row["duplicates"], row["lost"]) == (300, 0, 0)


def test_a_thousand_streams_are_told_apart(net):
    daemon, *_ = bridged(net, stream(5, "100pps", more="copies = 1000; each = ( { field = \"udp.src\"; from = 1000; step = 1; } );"))
    result = daemon.run_to_end()
    assert len(daemon.call("Counters", limit=2000)["streams"]) == 1000
    for row in result["streams"]:
        assert row["receive"][0]["received"] == 5 and row["receive"][0]["lost"] == 0


@pytest.mark.parametrize("version", (1, 2, 3))
def test_each_receive_ring_version(net, version):
    ports = PORTS.replace("receive = true; }, { name = \"west\"", "}, { name = \"west\"").replace(
        "receive = true;", f"receive = {{ version = {version}; }};")
    daemon, *_ = bridged(net, stream(3000), ports)
    row = row_of(daemon.run_to_end())
    assert (row["received"], row["lost"], row["duplicates"], row["reordered"]) == (3000, 0, 0, 0)


@pytest.mark.parametrize("fanout", ("stream", "hash", "cpu", "lb"))
def test_threads_share_a_port(net, fanout):
    ports = PORTS.replace('interface = "west0"; receive = true;', f'interface = "west0"; receive = {{ threads = 2; fanout = "{fanout}"; }};')
    daemon, *_ = bridged(net, stream(500, "5kpps", more='copies = 8; each = ( { field = "udp.src"; from = 1000; step = 1; } );'), ports)
    for row in daemon.run_to_end()["streams"]:
        assert row["receive"][0]["received"] == 500 and row["receive"][0]["lost"] == 0
        if fanout == "stream":
            assert row["receive"][0]["reordered"] == 0


def test_a_slow_path_is_seen_as_latency(net):
    """200 frames at once through 4 Mbit/s: the last of them waits for the others, about 40 ms."""
    daemon, _, switch = bridged(net, stream(200, "max"))
    daemon.run_to_end()
    switch.sh("tc qdisc add dev port2 root tbf rate 4mbit burst 200 limit 1mb")
    slow = row_of(daemon.run_to_end())
    assert (slow["received"], slow["lost"]) == (200, 0)
    assert 25e6 < slow["latency"]["max_ns"] < 400e6 * netns.SLOW
    assert slow["latency"]["min_ns"] < slow["latency"]["p50_ns"] < slow["latency"]["max_ns"]
