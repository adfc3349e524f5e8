# SPDX-License-Identifier: GPL-2.0-or-later
"""Every command of the README works as it is written there, on the configuration that stands there.

A command that is added there and not here fails."""

import itertools
import os
import pathlib
import re
import subprocess

import netns

README = (pathlib.Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
STREAMS_CONF = '''
templates = { video = ( { ethernet = { dst = "02:00:00:00:00:02"; }; }, { ipv4 = { src = "198.18.0.1"; dst = "198.19.0.1"; }; } ); };
streams = ( { name = "video"; port = "east"; template = "video"; rate = "1kpps"; count = 100; } );
'''


def section(title):
    return re.search(rf"^## {re.escape(title)}\n(.*?)^## ", README, re.M | re.S)[1]


def blocks(title):
    return re.findall(r"^```\n(.*?)^```", section(title), re.M | re.S)


def commands(block):
    """The left column; words with | between them are several commands."""
    for line in block.splitlines():
        first, *others = re.split(r"\s{2,}", line)[0].split(" | ")
        program = first.split()[0]
        for text in [first, *(f"{program} {other}" for other in others)]:
            yield from (" ".join(words) for words in itertools.product(*(part.split("|") for part in text.split())))


class Shell:
    """A directory with the README's configuration, and our programs in the path."""

    def __init__(self, space, directory, daemon=None):
        self.space, self.directory = space, directory
        self.environment = dict(os.environ, PATH=f"{netns.BUILD}:{os.environ['PATH']}", NO_COLOR="1")
        if daemon is not None:
            self.environment["VOLLEYD_SOCKET"] = daemon.socket

    def run(self, command):
        """Its output. 9 is an answer too: a busy machine may miss frames, and then the run says so."""
        done = subprocess.run(["ip", "netns", "exec", self.space.name, "sh", "-c", command], cwd=self.directory, env=self.environment,
                              capture_output=True, text=True, check=False, timeout=60 * netns.SLOW)
        assert done.returncode in (0, 9), f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout


def first_configuration():
    return blocks("A first configuration of your own")[0]


def cable(net):
    """The interface of the README, and what it is plugged into."""
    tester, far = net.space(), net.space()
    tester.veth("enp3s0f0", far, "west0")
    far.drop_arrivals("west0")
    return tester, far


def test_the_first_configuration_is_looked_at_and_sent(net, tmp_path):
    tester, far = cable(net)
    (tmp_path / "volleyd.conf").write_text(first_configuration().replace('duration = "60s"', 'duration = "1s"'), encoding="utf-8")
    daemon = net.daemon(tester, (tmp_path / "volleyd.conf").read_text(encoding="utf-8"))
    shell = Shell(tester, tmp_path, daemon)
    proofs = {
        "volleyd --check -c volleyd.conf": lambda out: "good: 1 ports, 1 streams" in out,
        "volleyd --explain voice -c volleyd.conf": lambda out: "198.19.0.1" in out and "5004" in out,
        "volleyd --dry-run voice.pcap -c volleyd.conf": lambda _: (tmp_path / "voice.pcap").stat().st_size > 1000 * 124,
        "systemctl start volleyd": None,  # the daemon above
        "volleyctl start --wait voice": lambda _: far.counter("west0", "rx_packets") == daemon.streams()["voice"]["completed"] > 0,
    }
    written = [re.split(r"\s+#", line)[0] for line in blocks("A first configuration of your own")[1].splitlines()]
    assert written == list(proofs)
    for command, proof in proofs.items():
        if proof is not None:
            out = shell.run(command)
            assert proof(out), f"{command}\n{out}"


def test_every_command_of_the_overview_works(net, tmp_path):
    tester, _ = cable(net)
    daemon = net.daemon(tester, first_configuration())
    shell = Shell(tester, tmp_path, daemon)
    (tmp_path / "streams.conf").write_text(STREAMS_CONF, encoding="utf-8")
    here = {  # what would not end by itself
        "volleyctl watch": "volleyctl watch --count 2 --interval 0.1",
        "volleyctl top": "volleyctl top --count 2 --interval 0.1",
        "volleyctl lease 60": "volleyctl lease 60 && volleyctl lease --release",
        "volleyctl rate voice 80kpps": "volleyctl rate voice 80kpps && volleyctl rate --all x0.5",  # both stand there
    }
    order = ("start", "pause", "resume", "rate", "counters", "watch", "top", "status", "metrics", "stop", "send", "report", "apply", "lease")
    written = list(commands(blocks("Driving it")[0]))
    assert {command.split()[1] for command in written} == set(order)
    for command in sorted(written, key=lambda text: order.index(text.split()[1])):
        shell.run(here.get(command, command))
    assert "<html" in (tmp_path / "run.html").read_text(encoding="utf-8")
    assert list(daemon.streams()) == ["video"]


def test_the_session_is_the_one_that_is_tested():
    recorded = (pathlib.Path(__file__).parents[2] / "man" / "transcript.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- transcript -->\n(.*)<!-- /transcript -->", README, re.S)[1]
    assert shown == recorded
