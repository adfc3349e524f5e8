# SPDX-License-Identifier: GPL-2.0-or-later
"""A configuration becomes packets on a wire, and the accounts balance."""

import os
import signal
import threading

import netns
import pytest
from capture import Capture


def test_a_count_arrives_exactly(net):
    east, west = net.pair()
    daemon = net.daemon(east, netns.config('{ name = "s"; port = "east"; template = "plain"; rate = "max"; count = 1000003; }'))
    for _ in range(3):
        before = west.counter("west0", "rx_packets")
        result = daemon.run_to_end()
        assert west.counter("west0", "rx_packets") - before == 1000003
        assert result["streams"][0]["completed"] == 1000003
        assert result["run"]["verdict"] == "passed"
        assert result["ports"][0]["device"]["unaccounted"] == 0
        netns.balance_all(result)


def test_a_duration_schedules_exactly(net):
    east, west = net.pair()
    daemon = net.daemon(east, netns.config('{ name = "s"; port = "east"; template = "plain"; rate = "50kpps"; duration = "3s"; }'))
    result = daemon.run_to_end()
    row = result["streams"][0]
    assert row["scheduled"] == 150000
    assert west.counter("west0", "rx_packets") == row["completed"] == row["scheduled"] - row["missed"]
    assert result["run"]["elapsed_ns"] >= 2.99e9
    netns.balance_all(result)


def test_identities_hold_at_every_read(net):
    east, _ = net.pair()
    daemon = net.daemon(east, netns.config(
        '{ name = "a"; port = "east"; template = "plain"; rate = "max"; duration = "forever"; },'
        '{ name = "b"; port = "east"; template = "plain"; rate = "10kpps"; size = "simple"; duration = "forever"; }'))
    daemon.call("Start")
    reads = 0
    for counters in daemon.stream("Counters", interval_ms=10):
        netns.balance_all(counters)
        reads += 1
        if reads == 300:
            break
    daemon.call("Stop")
    netns.balance_all(daemon.counters())
    assert all(row["in_flight"] == 0 for row in daemon.counters()["streams"])


def test_every_frame_is_what_the_configuration_says(net):
    """The far end captures; Scapy decodes; each field is compared."""
    scapy = pytest.importorskip("scapy.all")
    east, west = net.space(), net.space()
    east.veth("east0", west, "west0")
    path = os.path.join("/tmp", f"volleyd-capture-{os.getpid()}.pcap")
    seen = Capture(net, west, "west0", path)
    daemon = net.daemon(east, netns.config(
        '''{ name = "s"; port = "east"; template = "tagged"; rate = "2kpps"; count = 500; size = 100; payload = { text = "volley"; };
           vary = ( { field = "ipv4.dst"; op = "increment"; from = "198.19.0.1"; to = "198.19.0.100"; },
                    { field = "udp.src"; op = "increment"; from = 5000; to = 5006; } ); }''',
        templates=f'''tagged = ( {{ ethernet = {{ dst = "{netns.WEST_MAC}"; }}; }}, {{ vlan = {{ id = 100; pcp = 5; }}; }},
          {{ ipv4 = {{ src = "198.18.0.1"; dst = "198.19.0.1"; dscp = 46; ttl = 9; }}; }}, {{ udp = {{ src = 1; dst = 7; }}; }} );'''))
    daemon.run_to_end()
    seen.frames(500)
    frames = scapy.rdpcap(path)
    os.unlink(path)
    assert len(frames) == 500
    for i, frame in enumerate(frames):
        assert (frame.src, frame.dst, len(frame)) == (netns.EAST_MAC, netns.WEST_MAC, 96)
        assert (frame[scapy.Dot1Q].vlan, frame[scapy.Dot1Q].prio) == (100, 5)
        ip, udp = frame[scapy.IP], frame[scapy.UDP]
        assert (ip.src, ip.dst, ip.tos, ip.ttl, ip.len) == ("198.18.0.1", f"198.19.0.{i % 100 + 1}", 46 << 2, 9, 78)
        assert (udp.sport, udp.dport, udp.len) == (5000 + i % 7, 7, 58)
        assert bytes(udp.payload).startswith(b"volley")
        sums = ip.chksum, udp.chksum
        again = scapy.Ether(bytes(frame))
        del again[scapy.IP].chksum, again[scapy.UDP].chksum
        again = scapy.Ether(bytes(again))
        assert (again[scapy.IP].chksum, again[scapy.UDP].chksum) == sums


def test_streams_of_a_queue_share_it_by_their_rates(net):
    east, _ = net.pair()
    daemon = net.daemon(east, netns.config(
        '{ name = "three"; port = "east"; template = "plain"; rate = "6kpps"; duration = "2s"; },'
        '{ name = "one"; port = "east"; template = "plain"; rate = "2kpps"; duration = "2s"; }'))
    result = daemon.run_to_end()
    rows = {row["name"]: row for row in result["streams"]}
    assert rows["three"]["scheduled"] == 12000 and rows["one"]["scheduled"] == 4000
    port = result["ports"][0]
    assert port["completed"] == rows["three"]["completed"] + rows["one"]["completed"]


def test_several_queues_send_an_exact_total(net):
    east, west = net.pair(queues=2)
    daemon = net.daemon(east, netns.config(
        '{ name = "s"; port = "east"; template = "plain"; rate = "max"; count = 100001; split = true; }',
        ports='{ name = "east"; interface = "east0"; queues = 2; late = "10s"; }'))
    result = daemon.run_to_end()
    assert west.counter("west0", "rx_packets") == result["streams"][0]["completed"] == 100001
    assert len(result["ports"][0]["queues"]) == 2
    assert all(queue["completed"] > 0 for queue in result["ports"][0]["queues"])


@pytest.mark.parametrize("version", (1, 2, 3))
def test_each_ring_version_transmits(net, version):
    east, west = net.pair()
    daemon = net.daemon(east, netns.config(
        '{ name = "s"; port = "east"; template = "plain"; rate = "max"; count = 20011; size = "simple"; }',
        ports=f'{{ name = "east"; interface = "east0"; ring = {{ version = {version}; }}; }}'))
    daemon.run_to_end()
    assert west.counter("west0", "rx_packets") == 20011
    assert daemon.call("GetStatus")["ports"][0]["ring"]["version"] == version


def test_the_ordinary_queueing_path_sends_as_well(net):
    east, west = net.pair()
    daemon = net.daemon(east, netns.config('{ name = "s"; port = "east"; template = "plain"; rate = "max"; count = 30011; }',
                                           ports='{ name = "east"; interface = "east0"; qdisc = true; }'))
    assert daemon.run_to_end()["streams"][0]["completed"] == 30011
    assert west.counter("west0", "rx_packets") == 30011


def test_reload_on_hangup_and_a_bad_file_changes_nothing(net):
    east, _ = net.pair()
    good = netns.config('{ name = "s"; port = "east"; template = "plain"; rate = "1kpps"; duration = "forever"; }')
    daemon = net.daemon(east, good)
    daemon.call("Start")
    daemon.write(good.replace("1kpps", "1kkpps"))
    daemon.process.send_signal(signal.SIGHUP)
    netns.wait_until(lambda: "1kkpps" in daemon.log(), 5, "a complaint in the log")
    assert daemon.stream_row("s")["state"] == "running"
    daemon.write(good.replace('name = "s"', 'name = "t"'))
    daemon.process.send_signal(signal.SIGHUP)
    netns.wait_until(lambda: "t" in daemon.streams(), 5, "the new stream")
    assert daemon.stream_row("t")["state"] == "idle"


def test_an_unchanged_stream_goes_on_through_a_reload(net):
    east, west = net.pair()
    base = '{ name = "s"; port = "east"; template = "plain"; rate = "5kpps"; duration = "forever"; }'
    daemon = net.daemon(east, netns.config(base))
    daemon.call("Start")
    netns.wait_until(lambda: daemon.stream_row("s")["completed"] > 500, 5, "frames")
    before = daemon.stream_row("s")["completed"]
    daemon.write(netns.config(base + ', { name = "other"; port = "east"; template = "plain"; }'))
    answer = daemon.call("Reload")
    assert (answer["added"], answer["unchanged"], answer["changed"], answer["removed"]) == (1, 1, 0, 0)
    row = daemon.stream_row("s")
    assert row["state"] == "running" and row["completed"] >= before
    netns.wait_until(lambda: daemon.stream_row("s")["completed"] > before + 1000, 5, "more frames")
    daemon.call("Stop")
    row = daemon.stream_row("s")
    netns.balance(row)
    assert west.counter("west0", "rx_packets") == row["completed"]


def test_stop_is_final(net):
    """After the answer to a stop not one frame leaves."""
    east, west = net.pair()
    daemon = net.daemon(east, netns.config('{ name = "s"; port = "east"; template = "plain"; rate = "max"; duration = "forever"; }'))
    for _ in range(10):
        daemon.call("Start")
        netns.wait_until(lambda: daemon.stream_row("s")["completed"] > 1000, 5, "frames")
        daemon.call("Stop")
        after = west.counter("west0", "rx_packets")
        row = daemon.stream_row("s")
        assert row["in_flight"] == 0
        netns.balance(row)
        assert west.counter("west0", "rx_packets") == after


def test_many_readers_see_balanced_accounts(net):
    east, _ = net.pair()
    daemon = net.daemon(east, netns.config(
        '{ name = "s"; port = "east"; template = "plain"; rate = "max"; duration = "forever"; size = "simple"; copies = 20; }'))
    daemon.call("Start")
    failures = []

    def read():
        try:
            for _ in range(50):
                netns.balance_all(daemon.counters())
        except Exception as problem:  # shown by the main thread
            failures.append(problem)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    daemon.call("Stop")
    assert not failures, failures[0]


def allowed_cpus(pid):
    """Of each thread, by its name: the CPUs that the kernel lets it run on, such as "0-3"."""
    threads = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as status:
            fields = dict(line.rstrip("\n").split(":\t") for line in status if ":\t" in line)
        threads[fields["Name"]] = fields["Cpus_allowed_list"]
    return threads


def test_each_queue_keeps_a_cpu(net):
    """One that is moved overtakes its own frames. As many queues as CPUs: each has one of its own; what is asked for is kept."""
    usable = sorted(os.sched_getaffinity(0))
    east, _ = net.pair(queues=len(usable))
    for cpus, wanted in (("", usable[::-1]), (f"cpus = {usable[0]};", [usable[0], *usable[:0:-1]]), ('cpus = "any";', [-1] * len(usable))):
        daemon = net.daemon(east, netns.config('{ name = "s"; port = "east"; template = "plain"; rate = "1kpps"; duration = "forever"; split = true; }',
                                               ports=f'{{ name = "east"; interface = "east0"; queues = {len(usable)}; {cpus} }}'))
        assert daemon.call("GetStatus")["ports"][0]["cpus"] == []
        daemon.call("Start")
        assert sorted(daemon.call("GetStatus")["ports"][0]["cpus"]) == sorted(wanted)
        of_threads = allowed_cpus(daemon.pid())
        assert [of_threads[f"east/{i}"] for i in range(len(usable))] == [
            of_threads["volleyd"] if cpu < 0 else str(cpu) for cpu in daemon.call("GetStatus")["ports"][0]["cpus"]], of_threads
        shown = daemon.ctl("status", "east", check=0).stdout
        assert f"CPUs: {'any' if wanted[0] < 0 else ''}" in shown
        daemon.call("Stop")
        daemon.stop()
