# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole life under valgrind: start, run, reload while it runs, stop. No error, no lost memory, no descriptor of ours left open."""

import os
import re
import shutil
import tempfile

import netns
import pytest

FRAMES = 400
ERRORS = 99
STREAMS = f'{{ name = "s"; port = "east"; template = "plain"; rate = "500pps"; count = {FRAMES}; }}'
MORE = STREAMS + ', { name = "late"; port = "east"; template = "plain"; size = 512; rate = "500pps"; count = 100; split = true; }'
PORTS = '{ name = "east"; interface = "east0"; queues = 2; late = "10s"; }'

pytestmark = [
    pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed; on Debian: apt-get install valgrind"),
    pytest.mark.skipif(bool(os.environ.get("VOLLEYD_SANITIZED")), reason="a sanitizer and valgrind both stand in for the allocator"),
]


@pytest.fixture(name="report")
def report_file():
    """What valgrind says goes here; pytest's own directories are out of reach once the daemon has dropped its privileges."""
    handle, path = tempfile.mkstemp(prefix="volleyd-valgrind-")
    os.close(handle)
    yield path
    os.unlink(path)


def valgrind(report):
    """Threads take turns fairly; everything that is not reachable when it ends counts as an error."""
    return ["valgrind", "--quiet", "--fair-sched=try", "--track-fds=yes", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect,possible",
            "--show-leak-kinds=definite,indirect,possible", f"--error-exitcode={ERRORS}", f"--log-file={report}"]


def left_open(text):
    """Descriptors that it opened and did not close, each with where it was opened; those it was started with are `inherited`."""
    found = re.findall(r"Open (?:file descriptor|AF_\w+ socket) \d+:.*?(?=\n==\d+== *\n|\Z)", text, re.S)
    return [one for one in found if "<inherited from parent>" not in one]


def test_a_life_from_start_to_stop(net, report):
    # The workers' filter would keep valgrind itself from mapping what it translates.
    east, west = net.pair(queues=2)
    daemon = net.daemon(east, netns.config(STREAMS, ports=PORTS), "--no-confine", wrap=valgrind(report))
    daemon.call("Start", streams=["s"], timeout=30)
    netns.wait_until(lambda: daemon.stream_row("s")["completed"] > 50, 20, "frames")
    daemon.write(netns.config(MORE, ports=PORTS))
    daemon.call("Reload", timeout=30)
    daemon.call("Start", streams=["late"], timeout=30)
    netns.wait_until(lambda: daemon.counters()["run"]["state"] == "ended", 30, "the run's end")
    counters = daemon.counters()
    netns.balance_all(counters)
    assert {row["name"]: row["completed"] for row in counters["streams"]} == {"s": FRAMES, "late": 100}
    assert west.counter("west0", "rx_packets") == FRAMES + 100
    assert daemon.call("Report")["ports"][0]["device"]["unaccounted"] == 0
    daemon.call("Start", streams=["s"], timeout=30)
    netns.wait_until(lambda: daemon.stream_row("s")["completed"] > 10, 20, "frames of the second run")
    daemon.call("Stop", timeout=30)
    daemon.process.terminate()
    code = daemon.process.wait(30 * netns.SLOW)
    with open(report, encoding="utf-8", errors="replace") as out:
        text = out.read()
    assert code == 0, f"{code}\n{text}\n{daemon.log()}"
    assert "FILE DESCRIPTORS" in text, f"valgrind said nothing about descriptors:\n{text}"
    assert not left_open(text), text
