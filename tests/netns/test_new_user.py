# SPDX-License-Identifier: GPL-2.0-or-later
"""The first quarter of an hour of a user who has nothing but `volleyctl --help`: the session that the README shows.

man/transcript.md holds the commands with what they print. Here they are run against the real daemon and compared, numbers and
times apart; the far end of the wire says whether it was true. VOLLEYD_RECORD=1 writes the transcript anew."""

import os
import pathlib
import re
import subprocess

import netns

TRANSCRIPT = pathlib.Path(__file__).parents[2] / "man" / "transcript.md"
CONFIG = '''
safety = { allow = [ "east0" ]; };
ports = ( { name = "east"; interface = "east0"; late = "10s"; }, { name = "office"; interface = "office0"; } );
templates = { voice = ( { ethernet = { dst = "02:00:00:00:00:02"; }; }, { ipv4 = { src = "198.18.0.1"; dst = "198.19.0.1"; dscp = 46; }; },
    { udp = { src = 5004; dst = 5004; }; } ); };
streams = ( { name = "voice"; port = "east"; template = "voice"; size = 128; rate = "2kpps"; duration = "30min"; } );
'''


class User:
    """Types commands, sees what they print, and keeps the transcript."""

    def __init__(self, daemon):
        self.daemon, self.transcript = daemon, []

    def types(self, command, code=0):
        words = command.split()
        assert words[0] == "volleyctl"
        done = subprocess.run([os.path.join(netns.BUILD, "volleyctl"), "--socket", self.daemon.socket, *words[1:]],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60 * netns.SLOW)
        assert done.returncode == code, done.stdout
        shown = done.stdout.replace(self.daemon.file, "/etc/volleyd/volleyd.conf")
        self.transcript += [f"$ {command}"] + shown.splitlines()
        return shown

    def says(self, text):
        self.transcript += ["```", "", text, "", "```console"]


def shape(text):
    """A transcript without what differs from run to run: numbers with their units, versions, widths of columns."""
    text = re.sub(r"volleyd \S+, ", "volleyd VERSION, ", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    text = re.sub(r"[\d,.]+ (ns|us|ms|s|[kMG]?pps|[kMG]?bit/s|[KM]?i?B)\b", "N", text)
    text = re.sub(r"\b[\d,]+\b(?![:.%])", "N", text)
    return [" ".join(line.split()) for line in text.splitlines()]


def test_first_steps(net):
    east, west = net.pair()
    daemon = net.daemon(east, CONFIG)
    user = User(daemon)
    help_text = subprocess.run([os.path.join(netns.BUILD, "volleyctl"), "--help"], capture_output=True, text=True).stdout

    user.says("What is there? One port is ready, the other is refused, and says why:")
    shown = user.types("volleyctl status")
    assert "office0 is not in safety.allow" in shown

    user.says("Send 1,000 frames, and see them counted:")
    before = west.counter("west0", "rx_packets")
    assert "passed" in user.types("volleyctl send east --count 1000")
    assert west.counter("west0", "rx_packets") - before == 1000
    shown = user.types("volleyctl counters send")
    assert re.search(r"^send +east +done +1,000 ", shown, re.M)

    user.says("Start a stream of the configuration, and change its rate while it runs:")
    user.types("volleyctl start voice")
    user.types("volleyctl rate voice 500pps")
    netns.wait_until(lambda: 450 < daemon.streams()["voice"]["achieved"]["pps"] < 550, 30, "the new rate")
    assert daemon.streams()["voice"]["requested"] == "500 pps"
    user.types("volleyctl watch voice --count 3")

    user.says("Why is nothing sent on the other port? It says which key to change:")
    shown = user.types("volleyctl send office --count 1", code=4)
    assert "the key is safety.allow" in shown

    user.says("Stop everything; no frame leaves after the command has returned:")
    user.types("volleyctl stop")
    arrived = west.counter("west0", "rx_packets")
    assert arrived - before == 1000 + daemon.streams()["voice"]["completed"]
    assert "stopped by request" in user.types("volleyctl status voice")

    for line in user.transcript:
        if line.startswith("$ volleyctl"):
            assert re.search(rf"^  (volleyctl )?{line.split()[2]}\b", help_text, re.M), "found with --help alone"
    text = "\n".join(["```console", *user.transcript, "```", ""]).replace("```console\n```\n\n", "", 1)
    if os.environ.get("VOLLEYD_RECORD"):
        TRANSCRIPT.write_text(text)
    assert shape(text) == shape(TRANSCRIPT.read_text())


def test_results_of_two_machines_are_added_up(net, tmp_path):
    """Two daemons in two namespaces start at one instant; their results, kept as files, make one."""
    machines = [net.pair() for _ in range(2)]
    config = CONFIG.replace('duration = "30min"', "count = 1000")
    users = [User(net.daemon(east, config)) for east, _ in machines]
    at = subprocess.run(["date", "-d", f"+{3 + int(3 * netns.SLOW)} seconds", "+%s"], capture_output=True, text=True).stdout.strip()
    for user in users:
        user.types(f"volleyctl start --at {at}")
    files = []
    for user, name in zip(users, "AB"):
        netns.wait_until(lambda u=user: u.daemon.counters()["run"]["state"] == "ended", 60, "the end")
        files.append(tmp_path / f"{name}.json")
        user.types(f"volleyctl report --json --output {files[-1]}")
    shown = users[0].types(f"volleyctl report {files[0]} {files[1]}")
    assert re.search(r"^A:voice +A:east +done +1,000 ", shown, re.M) and re.search(r"^B:voice +B:east +done +1,000 ", shown, re.M)
    assert re.search(r"^ +2 +2,000 ", shown, re.M)
    assert [west.counter("west0", "rx_packets") for _, west in machines] == [1000, 1000]
