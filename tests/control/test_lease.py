# SPDX-License-Identifier: GPL-2.0-or-later
"""Holding the daemon: renewed, released, lapsed, taken over, by user and by connection."""

import os
import time

import pytest
from client import Client, Error
from conftest import wait_until
from test_methods import CHANGING, NEEDED


def lease_of(daemon):
    with daemon.reader() as reader:
        return reader.call("GetStatus", limit=0)["lease"]


def held(caught):
    return caught.value.name == "io.volleyd.Held"


def test_a_lease_is_seen_and_released(daemon, client, interface):
    answer = client.call("Lease", seconds=60)
    interface.check_reply("Lease", answer)
    assert answer["holder"] == f"uid {os.getuid()}"
    lease = lease_of(daemon)
    assert lease["holder"] == answer["holder"] and 50000 < lease["remaining_ms"] <= 60000
    client.call("Lease", seconds=5)
    assert lease_of(daemon)["remaining_ms"] <= 5000
    client.call("Release")
    assert lease_of(daemon) is None


def test_the_holders_other_connections_share_it(daemon, client):
    client.call("Lease", seconds=60)
    with daemon.client() as other:
        other.call("Start", streams=["voice"])
        other.call("Release")


def test_two_sessions_at_once(daemon, client, interface):
    """Every changing method, by the introspected table, is the holder's alone; reading is everybody's."""
    client.call("Lease", seconds=60, session=True)
    with daemon.client() as other:
        for method in sorted(set(interface.methods) & CHANGING):
            with pytest.raises(Error) as caught:
                other.call(method, **NEEDED.get(method, {}))
            assert held(caught), method
            assert caught.value.parameters["holder"].startswith(f"uid {os.getuid()}, pid")
        other.call("Counters")
        client.call("Start", streams=["voice"])
        answer = other.call("Lease", seconds=60, session=True, force=True)
        assert lease_of(daemon)["holder"] == answer["holder"]
        with pytest.raises(Error) as caught:
            client.call("Stop")
        assert held(caught)
        other.call("Stop")
    assert "Lease" in daemon.log() and "force" in daemon.log()


def test_a_lapse_stops_traffic_and_says_why(daemon, client):
    client.call("Start", streams=["voice"])
    client.call("Lease", seconds=1)
    began = time.monotonic()
    status = wait_until(lambda: (lambda s: s if s["lease"] is None else None)(client.call("GetStatus")), "the lapse")
    assert time.monotonic() - began > 0.5
    wait_until(lambda: client.call("Counters")["run"]["state"] == "ended", "the stop")
    row = client.call("GetStatus")["streams"][0]
    assert row["state"] in ("idle", "done") and "lease" in row["reason"] and "not renewed" in row["reason"], row
    assert "was not renewed in time" in daemon.log()
    client.call("Start", streams=["voice"])  # free again
    assert status["configuration"]["streams"] == 15


def test_renewing_keeps_traffic_going(daemon, client):
    client.call("Start", streams=["voice"])
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        client.call("Lease", seconds=2)
        time.sleep(0.1)
    assert client.call("Counters")["run"]["state"] == "open"
    client.call("Release")


def test_a_session_lease_ends_with_its_connection(daemon, client):
    holder = daemon.client()
    holder.call("Lease", seconds=3600, session=True)
    holder.call("Start", streams=["voice"])
    holder.close()
    wait_until(lambda: lease_of(daemon) is None, "the end of the lease")
    wait_until(lambda: client.call("Counters")["run"]["state"] == "ended", "the stop")
    assert "ended with its connection" in daemon.log()


@pytest.mark.parametrize("seconds", [0, -1, 86401, 2**63 - 1])
def test_leases_that_are_none(client, seconds):
    with pytest.raises(Error) as caught:
        client.call("Lease", seconds=seconds)
    assert caught.value.name == "io.volleyd.Invalid"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be two users")
def test_another_user_is_kept_out(daemon, client):
    os.chmod(daemon.directory, 0o755)
    os.chmod(daemon.socket, 0o666)
    client.call("Lease", seconds=60)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # as another user, for good
        try:
            os.setgroups([])
            os.setgid(12345)
            os.setuid(12345)
            with Client(daemon.socket) as other:
                try:
                    other.call("Stop")
                except Error as error:
                    os.write(writing, error.name.encode() + b" ")
                os.write(writing, other.call("Lease", seconds=5, force=True)["holder"].encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as answers:
        assert answers.read() == "io.volleyd.Held uid 12345"
    with pytest.raises(Error) as caught:
        client.call("Stop")
    assert held(caught)
