# SPDX-License-Identifier: GPL-2.0-or-later
"""Both ways to end a message, with the tools that people have: nc and jq."""

import json
import shutil
import subprocess

import pytest
from client import SLOW, Client

needs_tools = pytest.mark.skipif(not (shutil.which("nc") and shutil.which("jq")), reason="nc (netcat-openbsd) and jq are not here")


def shell(script, **environment):
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=20 * SLOW, check=False, env={"PATH": "/usr/bin:/bin", **environment})


@needs_tools
def test_nc_and_jq(daemon):
    done = shell("""echo '{"method":"io.volleyd.GetStatus","parameters":{"limit":1}}' | nc -U -N "$SOCKET" | jq -r '.parameters.streams[0].name'""",
                 SOCKET=daemon.status_socket)
    assert (done.stdout, done.stderr) == ("voice\n", "")


@needs_tools
def test_jq_writes_requests_over_many_lines(daemon):
    done = shell("""jq -n '{method: "io.volleyd.Start", parameters: {streams: ["short"]}}' | nc -U -N "$SOCKET" | jq .parameters.run""",
                 SOCKET=daemon.socket)
    assert (done.stdout, done.stderr) == ("1\n", "")


@needs_tools
def test_nc_streams(daemon):
    done = shell("""(echo '{"method":"io.volleyd.Counters","parameters":{"interval_ms":10},"more":true}'; sleep 5) | nc -U "$SOCKET" | head -n 5""",
                 SOCKET=daemon.status_socket)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 5 and all(line["continues"] for line in lines)


@pytest.mark.parametrize("ending", [b"\0", b"\n"])
def test_answers_end_as_requests_did(daemon, ending):
    with Client(daemon.status_socket, ending=ending) as client:
        for _ in range(3):
            assert client.call("Counters", limit=0)["streams_total"] == 15


@pytest.mark.parametrize("ending", [b"\0", b"\n"])
def test_requests_in_one_piece_are_answered_in_order(daemon, ending):
    with Client(daemon.status_socket, ending=ending) as client:
        requests = [{"method": "io.volleyd.Counters", "parameters": {"limit": n}} for n in range(15)]
        client.send_bytes(b"".join(json.dumps(r).encode() + ending for r in requests))
        for n in range(15):
            assert len(client.reply()["parameters"]["streams"]) == n


def test_a_request_byte_by_byte(daemon):
    with daemon.reader() as client:
        for byte in b'{"method":"io.volleyd.Counters","parameters":{"limit":0}}\0':
            client.send_bytes(bytes([byte]))
        assert client.reply()["parameters"]["streams"] == []


def test_oneway_is_done_and_not_answered(daemon, client):
    client.send("Start", {"streams": ["voice"]}, oneway=True)
    client.send("NoSuchMethod", oneway=True)
    assert client.call("GetStatus", limit=1)["streams"][0]["state"] == "running"


def test_null_stands_for_absent(client):
    assert len(client.call("Counters", match=None, limit=None)["streams"]) == 15
    client.send_bytes(b'{"method":"io.volleyd.Counters","parameters":null}\0')
    assert client.reply()["parameters"]["streams_total"] == 15
