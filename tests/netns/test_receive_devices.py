# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices that others wrote, doing known harm: Open vSwitch in user space, tc, a relay between two sockets. What they did is
reported to the frame. Nothing here depends on how fast anything goes: what is late waits for what overtakes it."""

import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading

import netns
import pytest
from test_receive import PORTS, bridged, row_of, stream

BYTES = 96  # of the frames of test_receive.stream(), without FCS; the signature is in the last 14
SEQUENCE_AT = BYTES - 14 + 4
PAYLOAD_AT, SIGNATURE_AT = 42, BYTES - 14
SO_RCVBUFFORCE, ETH_P_ALL, PACKET_OUTGOING = 33, 3, 4


def figures(row):
    return {key: row[key] for key in ("received", "lost", "duplicates", "reordered", "corrupted")}


def expected(received, **others):
    return dict({"received": received, "lost": 0, "duplicates": 0, "reordered": 0, "corrupted": 0}, **others)


# ---- tc ----

def filter_when(load, at, mask, value, then):
    """A clsact filter's arguments: frames whose byte (48) or half-word (40) at an offset, masked, is value go the way of then."""
    hit, miss = (2, 4294967295) if then == "drop" else (4294967295, 0)
    program = f"5,{load} 0 0 {at},84 0 0 {mask},21 0 1 {value},6 0 0 {hit},6 0 0 {miss}"
    return f"bpf {'da ' if then == 'drop' else ''}bytecode '{program}'" + ("" if then == "drop" else f" {then}")


def on_ingress(switch, interface, text):
    switch.sh(f"tc qdisc add dev {interface} clsact")
    switch.sh(f"tc filter add dev {interface} ingress {text}")


SEVERAL = 'copies = 5; each = ( { field = "udp.src"; from = 1000; step = 1; } );'


def test_one_stream_of_several_is_dropped(net):
    daemon, _, switch = bridged(net, stream(400, "2kpps", SEVERAL))
    on_ingress(switch, "port1", filter_when(40, 34, 0xFFFF, 1002, "drop"))
    result = daemon.run_to_end()
    for i in range(1, 6):
        row = row_of(result, f"s.{i}")
        assert figures(row) == (expected(0, lost=400) if i == 3 else expected(400))
        assert row["outage"]["frames"] == (400 if i == 3 else 0)


# ---- a relay ----

def listen(interface):
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    link.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
    link.bind((interface, ETH_P_ALL))
    link.settimeout(0.05)
    return link


class Relay:
    """Threads that take frames from interfaces of a space and do with each what the subclass says."""

    def __init__(self, space, *interfaces):
        self.ended = False
        self.lock = threading.Lock()
        with netns.Inside(space.name):
            self.links = {name: listen(name) for name in interfaces}
        self.threads = [threading.Thread(target=self.work, args=(name,)) for name in interfaces]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        for thread in self.threads:
            thread.join()
        for link in self.links.values():
            link.close()

    def work(self, name):
        while not self.ended:
            try:
                frame, address = self.links[name].recvfrom(65536)
            except (TimeoutError, OSError):
                continue
            with self.lock:
                self.take(name, frame, address[2] == PACKET_OUTGOING)


class Corruptor(Relay):
    """The device itself: port1 to port2, with one byte of every n-th frame changed."""

    def __init__(self, space, every, at):
        super().__init__(space, "port1", "port2")
        self.every, self.at, self.seen = every, at, 0

    def take(self, name, frame, outgoing):
        if name != "port1" or outgoing:
            return
        if len(frame) == BYTES:
            self.seen += 1
            if self.seen % self.every == 0:
                frame = frame[:self.at] + bytes([frame[self.at] ^ 0x10]) + frame[self.at + 1:]
        self.links["port2"].send(frame)


class SlowPath(Relay):
    """What came in at slow1 leaves by port2 only after so many later numbers of the stream have left there."""

    def __init__(self, space, behind):
        super().__init__(space, "slow1", "port2")
        self.behind, self.held, self.highest = behind, [], -1

    def take(self, name, frame, outgoing):
        if len(frame) != BYTES:
            return
        number = struct.unpack_from(">I", frame, SEQUENCE_AT)[0]
        if name == "slow1" and not outgoing:
            self.held.append((number, frame))
        elif name == "port2" and outgoing:
            self.highest = max(self.highest, number)
        ready = [item for item in self.held if item[0] + self.behind <= self.highest]
        self.held = [item for item in self.held if item[0] + self.behind > self.highest]
        for _, late in ready:
            self.links["port2"].send(late)


def cabled(net):
    """A tester with two cables into a space where nothing forwards yet."""
    tester, device = net.space(), net.space()
    tester.veth("east0", device, "port1", netns.EAST_MAC, "02:00:00:00:01:01")
    tester.veth("west0", device, "port2", netns.WEST_MAC, "02:00:00:00:01:02")
    return tester, device


@pytest.mark.parametrize("what,at", (("payload", PAYLOAD_AT), ("address", 29), ("checksum", 40)))
def test_every_tenth_frame_is_corrupted(net, what, at):
    tester, device = cabled(net)
    with Corruptor(device, 10, at):
        daemon = net.daemon(tester, netns.config(stream(2000, "4kpps", "check_payload = true;"), ports=PORTS))
        assert figures(row_of(daemon.run_to_end())) == expected(2000, corrupted=200), what


def test_a_frame_with_a_spoilt_signature_is_lost(net):
    tester, device = cabled(net)
    with Corruptor(device, 10, SIGNATURE_AT + 5):
        daemon = net.daemon(tester, netns.config(stream(2000, "4kpps"), ports=PORTS))
        result = daemon.run_to_end()
    row = row_of(result)
    assert (row["received"], row["lost"], row["duplicates"], row["stale"]) == (1800, 200, 0, 0)


def test_every_eighth_frame_is_overtaken(net):
    """Redirected by tc into a slower path: each leaves it after the next four numbers have passed."""
    daemon, _, switch = bridged(net, stream(4000, "4kpps"))
    switch.veth("slow0", switch, "slow1", "02:00:00:00:02:01", "02:00:00:00:02:02")
    on_ingress(switch, "port1", filter_when(48, SEQUENCE_AT + 3, 7, 3, "action mirred egress redirect dev slow0"))
    with SlowPath(switch, 4):
        row = row_of(daemon.run_to_end())
    assert figures(row) == expected(4000, reordered=500)
    assert row["reorder_extent"] >= 4 and row["late"] == 0


# ---- what carries the signature ----

IPV4 = '{ ipv4 = { src = "198.18.0.1"; dst = "198.19.0.1"; }; }'
UDP = "{ udp = { src = 7; dst = 9; }; }"
INNER = f'{{ ethernet = {{ src = "02:00:00:00:0a:01"; dst = "02:00:00:00:0a:02"; }}; }}, {IPV4}, {UDP}'
STACKS = {
    "vlan": f"{{ vlan = {{ id = 100; }}; }}, {IPV4}, {UDP}",
    "qinq": f"{{ vlan = {{ id = 100; tpid = 0x88a8; }}; }}, {{ vlan = {{ id = 7; }}; }}, {IPV4}, {UDP}",
    "mpls": f"{{ mpls = {{ label = 16; }}; }}, {{ mpls = {{ label = 17; }}; }}, {IPV4}, {UDP}",
    "vxlan": f"{IPV4}, {{ udp = {{ src = 49152; dst = 4789; }}; }}, {{ vxlan = {{ vni = 5; }}; }}, {INNER}",
    "ipv6": f'{{ ipv6 = {{ src = "2001:db8::1"; dst = "2001:db8::2"; }}; }}, {UDP}',
    "tcp": f"{IPV4}, {{ tcp = {{ src = 7; dst = 9; }}; }}",
    "no-ip": "",
}


@pytest.mark.parametrize("name", STACKS)
def test_signatures_survive(net, name):
    ethernet = f'{{ ethernet = {{ src = "{netns.EAST_MAC}"; dst = "{netns.WEST_MAC}"; {"" if STACKS[name] else "type = 0x88b5;"} }}; }}'
    layers = ", ".join(filter(None, (ethernet, STACKS[name])))
    tester, _ = net.switched()
    streams = stream(1000, "5kpps").replace('"plain"', '"carried"').replace("size = 100", "size = 200")
    daemon = net.daemon(tester, netns.config(streams, ports=PORTS, templates=f"carried = ( {layers} );"))
    result = daemon.run_to_end()
    assert figures(row_of(result)) == expected(1000)
    assert result["run"]["verdict"] == "passed"


def test_a_full_mesh_of_four(net):
    tester, switch = net.space(), net.space()
    names = ("east", "west", "north", "south")
    macs = {name: f"02:00:00:00:00:{i + 1:02x}" for i, name in enumerate(names)}
    for i, name in enumerate(names):
        tester.veth(f"{name}0", switch, f"port{i}", macs[name], f"02:00:00:00:01:{i + 1:02x}")
    switch.bridge("br0", "port0", "port1", "port2", "port3")
    pairs = [(a, b) for a in names for b in names if a != b]
    templates = "\n".join(f'{a}_{b} = ( {{ ethernet = {{ src = "{macs[a]}"; dst = "{macs[b]}"; }}; }}, {IPV4}, {UDP} );' for a, b in pairs)
    streams = ",\n".join(f'{{ name = "{a}_{b}"; port = "{a}"; template = "{a}_{b}"; size = 100; rate = "1kpps"; count = 500; '
                         f'expect = [ "{b}" ]; tolerance = "100%"; }}' for a, b in pairs)
    ports = ", ".join(f'{{ name = "{n}"; interface = "{n}0"; receive = true; }}' for n in names)
    daemon = net.daemon(tester, netns.config(streams, ports=ports, allow=("*0",), templates=templates))
    result = daemon.run_to_end()
    assert len(result["streams"]) == 12
    for row in result["streams"]:
        (only,) = row["receive"]
        assert row["name"].endswith(only["port"]) and figures(only) == expected(500)


# ---- runs of UDP segments ----

@pytest.mark.parametrize("count,rate", ((20000, "max"), (3001, "10kpps")))
@pytest.mark.parametrize("cut_by_device", (False, True))
def test_udp_segments_are_told_apart(net, cut_by_device, count, rate):
    """Cut at the sender each segment is a frame; a veth that takes runs hands them over uncut, and they count the same."""
    tester, switch = net.switched()
    tester.sh(f"ethtool -K east0 tx-udp-segmentation {'on' if cut_by_device else 'off'}")
    ports = PORTS.replace('interface = "east0";', 'interface = "east0"; qdisc = true;')
    daemon = net.daemon(tester, netns.config(stream(count, rate, 'offload = "udp-segment";'), ports=ports))
    before = tester.counter("west0", "rx_packets")
    result = daemon.run_to_end()
    assert figures(row_of(result)) == expected(count)
    assert daemon.stream_row("s")["completed"] == count and result["run"]["verdict"] == "passed"
    seen = tester.counter("west0", "rx_packets") - before
    assert seen < count if cut_by_device else seen == count


# ---- Open vSwitch, its user-space datapath ----

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


class OpenVSwitch:
    """A switch of its own in a space: its own directories and sockets, nothing of the machine's."""

    def __init__(self, net, space, *members):
        for program in ("ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl"):
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not installed")
        self.space, self.directory = space, tempfile.mkdtemp(prefix="volleyd-ovs-")
        self.environment = dict(os.environ, OVS_RUNDIR=self.directory, OVS_LOGDIR=self.directory, OVS_DBDIR=self.directory)
        self.remote = f"unix:{self.directory}/db.sock"
        self.log = open(f"{self.directory}/log", "wb")
        self.tool("ovsdb-tool", "create", f"{self.directory}/conf.db", SCHEMA)
        self.start(net, "ovsdb-server", f"--remote=p{self.remote}", f"--unixctl={self.directory}/db.ctl", f"{self.directory}/conf.db")
        netns.wait_until(lambda: os.path.exists(f"{self.directory}/db.sock"), 10, "the switch's database")
        self.tool("ovs-vsctl", f"--db={self.remote}", "--no-wait", "init")
        self.start(net, "ovs-vswitchd", f"--unixctl={self.directory}/switch.ctl", self.remote)
        try:
            self.tool("ovs-vsctl", f"--db={self.remote}", "--timeout=20", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev",
                      "protocols=OpenFlow10,OpenFlow13")
            for i, member in enumerate(members):
                self.tool("ovs-vsctl", f"--db={self.remote}", "--timeout=20", "add-port", "br0", member, "--", "set", "interface", member,
                          f"ofport_request={i + 1}")
            self.flows("priority=0,actions=NORMAL")
        except RuntimeError as why:
            self.close()
            pytest.skip(f"Open vSwitch's user-space datapath does not start here: {why}")

    def start(self, net, *command):
        net.process(self.space, list(command), env=self.environment, stdout=self.log, stderr=self.log, preexec_fn=netns.die_with_parent)

    def tool(self, *command):
        done = subprocess.run(["ip", "netns", "exec", self.space.name, *command], env=self.environment, capture_output=True, text=True,
                              check=False, timeout=60 * netns.SLOW)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]}: {done.stderr.strip()}")
        return done.stdout

    def flows(self, *flows):
        self.tool("ovs-ofctl", "-O", "OpenFlow13", "del-flows", f"unix:{self.directory}/br0.mgmt")
        for flow in flows:
            self.tool("ovs-ofctl", "-O", "OpenFlow13", "add-flow", f"unix:{self.directory}/br0.mgmt", flow)

    def close(self):
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)


@pytest.fixture
def ovs(net):
    tester, device = cabled(net)
    switch = OpenVSwitch(net, device, "port1", "port2")
    yield tester, switch
    switch.close()


def through(net, ovs, *flows, count=500, more=""):
    """One run; what the interface itself says has arrived is the oracle, as a busy machine's switch may drop some by itself."""
    tester, switch = ovs
    if flows:
        switch.flows(*flows)
    daemon = net.daemon(tester, netns.config(stream(count, "500pps", more), ports=PORTS))
    before = tester.counter("west0", "rx_packets")
    result = daemon.run_to_end()
    return result, tester.counter("west0", "rx_packets") - before


def test_open_vswitch_forwards(net, ovs):
    result, seen = through(net, ovs)
    assert figures(row_of(result)) == expected(seen, lost=500 - seen) and seen > 0


def test_open_vswitch_drops_one_stream(net, ovs):
    more = 'copies = 3; each = ( { field = "udp.src"; from = 1000; step = 1; } );'
    result, seen = through(net, ovs, "priority=9,udp,tp_src=1001,actions=drop", "priority=0,actions=NORMAL", count=200, more=more)
    rows = [row_of(result, f"s.{i}") for i in (1, 2, 3)]
    assert figures(rows[1]) == expected(0, lost=200)
    assert rows[0]["received"] + rows[2]["received"] == seen > 0
    for row in (rows[0], rows[2]):
        assert row["lost"] == 200 - row["received"] and row["duplicates"] == row["reordered"] == 0


def test_open_vswitch_sends_everything_twice(net, ovs):
    result, seen = through(net, ovs, "priority=9,in_port=1,actions=output:2,output:2", "priority=0,actions=NORMAL")
    row = row_of(result)
    assert row["received"] == seen > 0 and row["reordered"] == 0
    assert (row["duplicates"], row["lost"]) == (seen // 2, 500 - seen // 2)


def test_open_vswitch_pushes_a_tag(net, ovs):
    """The tag makes the frame four bytes longer on its way; its end, with the signature, stays what it was."""
    result, seen = through(net, ovs, "priority=9,in_port=1,actions=push_vlan:0x8100,set_field:4196->vlan_vid,output:2",
                           "priority=0,actions=NORMAL")
    assert figures(row_of(result)) == expected(seen, lost=500 - seen) and seen > 0


def test_open_vswitch_rewrites_and_routes(net, ovs):
    """Hop limit and addresses changed with their checksums put right: nothing is corrupted."""
    result, seen = through(net, ovs, f"priority=9,in_port=1,ip,actions=dec_ttl,set_field:10.1.2.3->ip_src,set_field:{netns.EAST_MAC}->eth_src,output:2",
                           "priority=0,actions=NORMAL")
    assert figures(row_of(result)) == expected(seen, lost=500 - seen) and seen > 0
