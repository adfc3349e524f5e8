# SPDX-License-Identifier: GPL-2.0-or-later
"""A foreign client, varlinkctl of systemd 257, from a Debian 13 tree (tests/control/trixie-tree, `make check-varlinkctl`): it sees
nothing of this machine but the socket's directory, through a bind mount."""

import json
import os
import subprocess

import pytest
from client import SLOW, Interface
from conftest import BUILD

TREE = os.environ.get("VOLLEYD_TRIXIE", os.path.join(BUILD, "trixie"))
POINT = "/run/volleyd-test"  # where the directory appears in the tree


def why_not():
    if not os.path.exists(TREE + "/usr/bin/varlinkctl"):
        return "no Debian 13 tree: make check-varlinkctl makes it, or VOLLEYD_TRIXIE names one"
    done = subprocess.run(["unshare", "--mount", "chroot", TREE, "true"], capture_output=True, text=True, check=False)
    return f"the Debian 13 tree cannot be entered: {done.stderr.strip()}" if done.returncode != 0 else None


REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")


def command(daemon, *arguments):
    """varlinkctl in the tree, in a mount namespace where the daemon's directory is bound into it."""
    inside = f'mount --bind "$1" "$2{POINT}" && shift && exec chroot "$@"'
    os.makedirs(TREE + POINT, exist_ok=True)
    return ["unshare", "--mount", "sh", "-c", inside, "sh", daemon.directory, TREE, "varlinkctl", "--no-pager", *arguments]


@pytest.fixture
def varlinkctl(daemon):
    """What it prints; where it is to fail, what it complains of."""
    def call(*arguments, fails=False):
        done = subprocess.run(command(daemon, *arguments), capture_output=True, text=True, timeout=60 * SLOW, check=False)
        assert (done.returncode != 0) == fails, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stderr if fails else done.stdout

    return call


CONTROL = f"unix:{POINT}/control.sock"
STATUS = f"unix:{POINT}/status.sock"


def objects(text):
    """The JSON objects that follow each other in a text (varlinkctl may put a record separator before each)."""
    decoder, at, found = json.JSONDecoder(), 0, []
    text = text.replace("\x1e", " ")
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        one, at = decoder.raw_decode(text, at)
        found.append(one)
    return found


@pytest.mark.parametrize("address", [CONTROL, STATUS])
def test_info(varlinkctl, daemon, address):
    (told,) = objects(varlinkctl("info", "-j", address))
    with daemon.reader() as reader:
        assert told == reader.call("org.varlink.service.GetInfo")
    assert "io.volleyd" in varlinkctl("info", address)
    assert varlinkctl("list-interfaces", address).split() == ["io.volleyd", "org.varlink.service"]


def test_introspect(varlinkctl, interface):
    """What it prints is its own rendering of what it understood: the same methods, types and errors, member by member."""
    understood = Interface(varlinkctl("introspect", CONTROL, "io.volleyd"))
    assert (understood.types, understood.methods, understood.errors) == (interface.types, interface.methods, interface.errors)
    assert Interface(varlinkctl("introspect", STATUS, "org.varlink.service")).name == "org.varlink.service"
    methods = varlinkctl("list-methods", CONTROL, "io.volleyd").split()
    assert sorted(m.rpartition(".")[2] for m in methods) == sorted(interface.methods)


def test_call(varlinkctl, daemon, interface):
    (status,) = objects(varlinkctl("call", "-j", STATUS, "io.volleyd.GetStatus", "{}"))
    interface.check_reply("GetStatus", status)
    assert status["streams"][0]["name"] == "voice"
    varlinkctl("call", CONTROL, "io.volleyd.Start", '{"streams":["voice"]}')
    assert daemon.call("Counters", streams=["voice"])["streams"][0]["state"] == "running"
    varlinkctl("call", CONTROL, "io.volleyd.Stop", "{}")


def test_errors_keep_their_names(varlinkctl):
    assert "io.volleyd.ReadOnly" in varlinkctl("call", STATUS, "io.volleyd.Stop", "{}", fails=True)
    assert "MethodNotFound" in varlinkctl("call", CONTROL, "io.volleyd.Explode", "{}", fails=True)


def test_call_more(daemon, interface):
    """A stream of counters, which goes on until the reader goes away."""
    daemon.call("Start", streams=["voice"])
    process = subprocess.Popen(command(daemon, "--more", "--json=short", "call", STATUS, "io.volleyd.Counters", '{"interval_ms":20,"limit":1}'),
                               stdout=subprocess.PIPE, text=True)
    try:
        rows = [objects(process.stdout.readline())[0] for _ in range(5)]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    for row in rows:
        interface.check_reply("Counters", row)
    counts = [row["streams"][0]["scheduled"] for row in rows]
    assert counts == sorted(counts) and counts[0] < counts[-1]
    daemon.call("Stop")
