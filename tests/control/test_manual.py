# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples of volleyd-control(7) do what the page says, on the sockets of a daemon."""

import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from client import SLOW

PAGE = (pathlib.Path(__file__).parents[2] / "man" / "volleyd-control.7.in").read_text(encoding="utf-8")


def examples():
    blocks = re.findall(r"^\.EX\n(.*?)^\.EE", PAGE, re.M | re.S)
    return [block.replace("\\-", "-") for block in blocks]


def run(daemon, block):
    block = block.replace("/run/volleyd/control.sock", daemon.socket).replace("/run/volleyd/status.sock", daemon.status_socket)
    command = [sys.executable, "-c", block] if block.startswith("import") else ["sh", "-c", block]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30 * SLOW)
    assert done.returncode == 0, block + done.stderr
    return done.stdout


@pytest.mark.skipif(not (shutil.which("nc") and shutil.which("jq")), reason="nc (netcat-openbsd) and jq are not here")
def test_the_examples_of_the_manual_work(daemon):
    status, start, times, rate = examples()
    assert '"version"' in run(daemon, status)
    assert '"run":' in run(daemon, start)
    lines = [int(line) for line in run(daemon, times).split()]
    assert len(lines) == 3 and lines[0] < lines[1] < lines[2]
    run(daemon, rate)
    voice, = [row for row in daemon.call("Counters")["streams"] if row["name"] == "voice"]
    assert voice["requested"] == "2 kpps", voice
