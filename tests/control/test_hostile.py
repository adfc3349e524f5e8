# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients that mean harm, while traffic runs: each gets its documented answer, others keep getting theirs, nothing leaks."""

import json
import os
import random
import socket
import threading
import time

import pytest
from client import SLOW, Client, Error
from conftest import CONFIG, wait_until

SEED = 20261122
BUSY_CONFIG = CONFIG.replace('rate = "1kpps"; duration', 'rate = "50kpps"; duration')


class Bystander(threading.Thread):
    """An honest client that asks all the time, and keeps how long each answer took."""

    def __init__(self, daemon):
        super().__init__()
        self.client, self.times, self.failure, self.going = daemon.client(), [], None, True
        self.start()

    def run(self):
        try:
            while self.going:
                began = time.monotonic()
                self.client.call("Counters", limit=2)
                self.times.append(time.monotonic() - began)
                time.sleep(0.002)
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error

    def finish(self):
        self.going = False
        self.join()
        self.client.close()
        assert self.failure is None, self.failure
        assert self.times
        return sorted(self.times)


@pytest.fixture
def busy(make_daemon):
    """A daemon with traffic and a bystander. Afterwards: the bystander was served, traffic went on, and descriptors are what they were."""
    daemon = make_daemon(BUSY_CONFIG).start()
    with daemon.client() as client:
        client.call("Start", streams=["voice", "video"])
    wait_until(lambda: len(connections(daemon)) == 2, "quiet")  # the two listeners
    before = daemon.descriptors()
    bystander = Bystander(daemon)
    daemon.bystander = bystander
    yield daemon
    times = bystander.finish()
    # A test machine is busy, and this process itself takes turns with its threads; p99 is for `make bench` to measure.
    assert times[len(times) // 2] < 0.05 * SLOW and times[-1] < 5 * SLOW, f"median {times[len(times) // 2]:.3f} s, worst {times[-1]:.3f} s"
    after = wait_until(lambda: (lambda now: now if len(now) <= len(before) else None)(daemon.descriptors()), "descriptors to be closed")
    assert [d.split(":")[0] for d in after] == [d.split(":")[0] for d in before]
    with daemon.client() as client:
        counters = client.call("Counters", streams=["voice"])
        assert counters["run"]["state"] == "open" and counters["streams"][0]["state"] == "running"
        client.call("Stop")
    daemon.stop()


def connections(daemon):
    """Inodes of the daemon's UNIX stream sockets."""
    ours = {int(d[8:-1]) for d in daemon.descriptors() if d.startswith("socket:[")}
    with open("/proc/net/unix", encoding="ascii", errors="replace") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return [row[6] for row in rows if int(row[6]) in ours and row[4] == "0001"]


def answer_to(daemon, data, path=None, whole=True):
    """What comes back for bytes, up to the end of the stream (whole), else one message."""
    with Client(path or daemon.socket) as client:
        try:
            client.send_bytes(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it hung up in the middle; its answer is still there
        if not whole:
            return client.message()
        text = b""
        while True:
            try:
                piece = client.socket.recv(65536)
            except ConnectionResetError:
                break
            if not piece:
                break
            text += piece
        return json.loads(text.strip(b"\0\n"))


def is_refused(answer, says):
    assert answer["error"] == "io.volleyd.Invalid", answer
    (complaint,) = answer["parameters"]["complaints"]
    assert complaint["where"] == "request" and says in complaint["text"], complaint


@pytest.mark.parametrize("data, says", [
    (b"GET / HTTP/1.1\r\n\r\n", "begins with {"),
    (b"\x16\x03\x01\x02\x00", "begins with {"),
    (b"[]\0", "begins with {"),
    (b'"text"\0', "begins with {"),
    (b'{"method":"io.volleyd.Counters"} x\0', "after the end"),
    (b'{"method":"io.volleyd.Counters",}\0', "line 1"),
    (b'{"method":"io.volleyd.Counters","method":"io.volleyd.Stop"}\0', "duplicate"),
    (b'{"method":"io.volleyd.Start","parameters":{"port":"east","port":"west"}}\0', "duplicate"),
    (b'{"method":"io.volleyd.\xff\xfe"}\0', "decode"),
    (b'{"method":"io.volleyd.\xc0\x80"}\0', "decode"),
    (b'{"method":"io.volleyd.\xed\xa0\x80"}\0', "decode"),
    (b'{"method":"io.volleyd.Counters","parameters":{"limit":18446744073709551616}}\0', "too big"),
    (b'{"method":"io.volleyd.Counters","parameters":{"limit":-9223372036854775809}}\0', "too big"),
    (b'{"method":"io.volleyd.Counters","parameters":{"limit":1e400}}\0', "overflow"),
    (b'{"method":"io.volleyd.Counters","parameters":{"match":"a\\u0000b"}}\0', "u0000"),
    (b'{"method":"io.volleyd.Counters","parameters":{"match":"\\ud800"}}\0', "line 1"),
    (b'{"method":"io.volleyd.Counters","parameters":{"limit":NaN}}\0', "line 1"),
    (b'{"a":' * 33, "nested"),
    (b'{"a":' + b"[" * 32, "nested"),
    (b'{"a":' + b"[" * 60000, "nested"),
    (b"{}\0", "method"),
    (b'{"method":null}\0', "method"),
    (b'{"method":"io.volleyd.Counters","parameters":[]}\0', "parameters"),
    (b'{"method":"io.volleyd.Counters","more":"yes"}\0', "more"),
])
def test_what_is_no_request(daemon, data, says):
    is_refused(answer_to(daemon, data), says)
    is_refused(answer_to(daemon, data, daemon.status_socket), says)


def test_depth_32_is_read(daemon):
    nested = b'{"method":"io.volleyd.Counters","parameters":{"streams":' + b"[" * 30 + b"]" * 30 + b"}}\0"
    assert answer_to(daemon, nested, whole=False) == {"error": "org.varlink.service.InvalidParameter", "parameters": {"parameter": "streams"}}


def test_a_request_of_65_kib(daemon):
    request = json.dumps({"method": "io.volleyd.Counters", "parameters": {"match": "x" * 65 * 1024}}).encode() + b"\0"
    is_refused(answer_to(daemon, request, daemon.status_socket), "65536 bytes")
    is_refused(answer_to(daemon, request, whole=False), "64 KiB")


def test_more_than_32_mib_is_too_much_even_for_apply(busy):
    request = b'{"method":"io.volleyd.Apply","parameters":{"templates":{"a":"' + b"x" * (33 << 20) + b'"}}}\0'
    is_refused(answer_to(busy, request), "33554432 bytes")


def test_one_large_request_at_a_time(busy):
    head = b'{"method":"io.volleyd.Apply","parameters":{"dry":true,"templates":{"a":"' + b"x" * (200 << 10)
    with busy.client() as first, busy.client() as second:
        first.send_bytes(head)
        time.sleep(0.05)
        try:
            second.send_bytes(head)
        except (BrokenPipeError, ConnectionResetError):
            pass
        with pytest.raises(Error) as caught:
            second.reply()
        assert caught.value.name == "io.volleyd.Busy"
        first.send_bytes(b'"}}}\0')
        with pytest.raises(Error) as caught:
            first.reply()  # the template is nonsense, and is read
        assert caught.value.name == "io.volleyd.Invalid"


def test_garbage(busy):
    random.seed(SEED)
    for _ in range(300):
        data = random.randbytes(random.randint(1, 300))
        with Client(random.choice([busy.socket, busy.status_socket])) as client:
            try:
                client.send_bytes(data)
            except (BrokenPipeError, ConnectionResetError):
                pass


@pytest.mark.parametrize("head", [b"", b"{", b'{"a":"'])
def test_a_million_random_bytes(busy, head):
    random.seed(SEED)
    is_refused(answer_to(busy, head + random.randbytes(10**6)), "")


def test_mutated_requests(busy):
    """Each byte of good requests changed: an answer of the interface, or a hang-up."""
    random.seed(SEED)
    good = [b'{"method":"io.volleyd.Counters","parameters":{"limit":2,"match":"v*"}}', b'{"method":"io.volleyd.GetStatus","parameters":{"offset":1}}',
            b'{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"io.volleyd"}}']
    for request in good:
        for at in range(0, len(request), 2):
            mutant = bytearray(request)
            mutant[at] = random.randrange(1, 256)
            with busy.reader() as client:
                client.send_bytes(bytes(mutant) + b"\0")
                answer = client.message()
                assert answer is not None and answer.get("error", "io.volleyd.").startswith(("io.volleyd.", "org.varlink.service.")), answer


def test_half_a_request_is_dropped_after_5_s_even_at_a_byte_a_second(busy):
    with busy.client() as quiet, busy.client() as slow:
        quiet.send_bytes(b'{"method":')
        slow.send_bytes(b'{"method":"')
        began = time.monotonic()
        while time.monotonic() - began < 4:
            time.sleep(1)
            slow.send_bytes(b"x")
        for client in (quiet, slow):
            assert client.message()["parameters"]["complaints"][0]["text"].startswith("half a request")
            assert client.message() is None
        assert 4 < time.monotonic() - began < 5 + 5 * SLOW


def test_ten_thousand_connections(busy):
    """They are taken, told Busy or served, at a ration; at no time more than the limit is open."""
    refused = 0
    for i in range(10000):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
            one.connect(busy.status_socket)  # blocks while the backlog is full, as a connect to a UNIX socket does
            one.settimeout(30 * SLOW)
            if i % 2000 == 0:
                one.sendall(b'{"method":"io.volleyd.Counters","parameters":{"limit":0}}\n')
                refused += b"Busy" in one.recv(4096)
    assert refused <= 5


def test_connections_over_the_limit_are_told_busy(busy):
    readers = [busy.reader() for _ in range(48)]
    for reader in readers:
        reader.call("Counters", limit=0)
    with busy.reader() as late:
        with pytest.raises((Error, EOFError, ConnectionError)) as caught:  # closed before, while or after we speak
            late.call("Counters")
        assert caught.type is not Error or caught.value.name == "io.volleyd.Busy"
    writers = [busy.client() for _ in range(15)]  # and the bystander
    for writer in writers:
        writer.call("Counters", limit=0)
    with busy.client() as late:
        late.ending = b"\n"
        assert late.message()["error"] == "io.volleyd.Busy"
    for client in readers + writers:
        client.close()
    wait_until(lambda: len(connections(busy)) == 3, "them to be gone")
    with busy.reader() as again:
        again.call("Counters", limit=0)


def test_a_streaming_client_that_never_reads(busy):
    clients = [busy.reader() for _ in range(8)]
    for client in clients:
        client.send("Counters", {"interval_ms": 10}, more=True)
    wait_until(lambda: len(connections(busy)) == 3, "them to be dropped", 30)
    for client in clients:
        client.close()


def test_an_answer_that_nobody_reads(busy):
    with busy.client() as client:
        client.socket.setblocking(False)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            end = time.monotonic() + 30 * SLOW
            while time.monotonic() < end:
                try:
                    client.send("GetStatus")
                except BlockingIOError:
                    time.sleep(0.05)


def test_clients_that_vanish(busy):
    random.seed(SEED)
    requests = [b'{"method":"io.volleyd.Counters","parameters":{"interval_ms":10},"more":true}\0', b'{"method":"io.volleyd.Stop","parameters":{"streams":["flow"]}}\0',
                b'{"method":"io.volleyd.GetStatus"}\0', b'{"method":"io.vol', b'{"method":"io.volleyd.Reload"}\0']
    for _ in range(200):
        with busy.client() as client:
            data = random.choice(requests)
            client.send_bytes(data)
            if random.random() < 0.3:
                client.socket.shutdown(socket.SHUT_WR)
            if random.random() < 0.3 and data.endswith(b"\0"):
                client.socket.recv(10)


@pytest.mark.skipif(bool(os.environ.get("VOLLEYD_SANITIZED")), reason="a sanitizer keeps what was freed, on purpose")
def test_memory_does_not_grow(busy):
    def resident_kib():
        with open(f"/proc/{busy.process.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024

    def hurt(times):
        random.seed(SEED)
        for _ in range(times):
            try:
                answer_to(busy, b"{" + random.randbytes(300000))
            except json.JSONDecodeError:
                pass
            with busy.reader() as reader:
                reader.call("Counters")

    hurt(30)
    before = resident_kib()
    hurt(100)
    assert resident_kib() - before < 4096, "a leak of more than 40 KiB a client"
