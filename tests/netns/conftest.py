# SPDX-License-Identifier: GPL-2.0-or-later
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
import netns  # noqa: E402


def why_not():
    """Why namespaces cannot be made here, or None."""
    done = subprocess.run(["ip", "netns", "add", f"vt{os.getpid()}-try"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"cannot make network namespaces here: {done.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", f"vt{os.getpid()}-try"], check=False)
    return None


REASON = why_not()


@pytest.fixture
def net(request):
    """What a test makes here is gone when it ends: spaces, daemons, processes, in reverse order."""
    if REASON:
        pytest.skip(REASON)
    made = Made()
    yield made
    failed = getattr(request.node, "failed", False)
    made.close(failed)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call" and outcome.get_result().failed:
        item.failed = True


class Made:
    """The things of one test."""

    def __init__(self):
        self.daemons, self.spaces, self.processes = [], [], []

    def space(self):
        self.spaces.append(netns.Space())
        return self.spaces[-1]

    def daemon(self, space, text, *options, **keywords):
        self.daemons.append(netns.Daemon(space, text, *options, **keywords))
        return self.daemons[-1]

    def process(self, space, command, **options):
        self.processes.append(space.popen(command, **options))
        return self.processes[-1]

    def pair(self, queues=1):
        """east0 in one space, west0 in another, a veth between; what arrives at west0 is counted and dropped."""
        east, west = self.space(), self.space()
        east.veth("east0", west, "west0", queues=queues)
        west.drop_arrivals("west0")
        return east, west

    def switched(self):
        """east0 and west0 in one space, each with its cable into a bridge in another."""
        tester, switch = self.space(), self.space()
        tester.veth("east0", switch, "port1", netns.EAST_MAC, "02:00:00:00:01:01")
        tester.veth("west0", switch, "port2", netns.WEST_MAC, "02:00:00:00:01:02")
        switch.bridge("br0", "port1", "port2")
        return tester, switch

    def close(self, failed):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        logs = []
        try:
            for daemon in self.daemons:
                logs.append(daemon.log())
                if not failed and daemon.process.poll() is None:
                    daemon.stop()
        finally:
            for daemon in self.daemons:
                daemon.close()
            for space in self.spaces:
                space.close()
            if failed:
                print("\n".join(f"--- daemon's log\n{log}" for log in logs))
