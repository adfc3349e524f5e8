# SPDX-License-Identifier: GPL-2.0-or-later
"""Every file of etc/examples runs as it is, only shorter, and what arrives is what the accounts say."""

import pathlib
import re

import netns
import pytest

EXAMPLES = sorted((pathlib.Path(__file__).parents[2] / "etc" / "examples").glob("*.conf"))
DURATION_S = 0.5
COUNT = 10000
LEARNING = 2  # frames of a receiving port, for each stream that expects its own there
MTU = 9000  # what jumbo.conf asks for; the others do not mind


def shortened(text):
    """The example with less to send: nothing else of it is changed."""
    text = re.sub(r'duration = "\d+s"', f'duration = "{DURATION_S}s"', text)
    return re.sub(r"count = \d+", f"count = {COUNT}", text)


def interfaces(text):
    """Both ends of the cable that an example is meant for; the first has its generator."""
    names = re.findall(r'interface = "([\w-]+)"', text)
    assert names and names[0].endswith(("east", "east0")), names
    return names[0], names[0].replace("east", "west")


def cable(net, text):
    """One veth pair, both ends in one namespace: frames end at the far end, where they are counted and may be received."""
    east, west = interfaces(text)
    space = net.space()
    space.veth(east, space, west)
    for name in (east, west):
        space.sh(f"ip link set {name} mtu {MTU}")
        space.drop_arrivals(name)
    return space, {east: west, west: east}


def due_frames(text, stream):
    """How many frames the file's words make due; None where it takes more than its rate to know."""
    name = re.escape(stream.partition(".")[0])
    if re.search(rf'name = "{name}";[^}}]*count = ', text):
        return COUNT
    rate = re.search(rf'name = "{name}";[^}}]* rate = "(\d+)kpps"', text)
    return rate and int(int(rate[1]) * 1000 * DURATION_S)


def check_streams(result):
    for row in result["streams"]:
        netns.balance(row)
        assert row["rejected"] == row["in_flight"] == 0 and row["completed"] > 0, row
        for seen in row.get("receive", []):
            assert seen["duplicates"] == seen["reordered"] == seen["corrupted"] == 0, row
            assert seen["received"] + seen["lost"] == row["completed"], row


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_sends_what_it_says(net, path):
    text = path.read_text(encoding="utf-8")
    space, peers = cable(net, text)
    daemon = net.daemon(space, shortened(text))
    before = {name: space.counter(name, "rx_packets") for name in peers}
    result = daemon.run_to_end()
    check_streams(result)
    for row in result["ports"]:
        netns.balance(row)
        peer = peers[row["interface"]]
        arrived = space.counter(peer, "rx_packets") - before[peer]
        if row["scheduled"]:
            assert arrived == row["completed"], row
            assert row["device"]["unaccounted"] == row["device"]["foreign"] == 0, row
        else:  # it only receives; what it has sent are the frames that teach a switch where it is
            assert arrived == row["device"]["foreign"] <= LEARNING * len(result["streams"]), row
    for row in result["streams"]:
        if due := due_frames(text, row["name"]):  # misses make a count last longer, and a duration bring less
            assert row["scheduled" if "count = " not in text else "completed"] == due, row
    assert result["run"]["verdict"] == "passed" or path.stem == "line-rate" or excused(result), result["run"]


def excused(result):
    """A busy machine may miss a deadline, or read too late what came; then the run says so, which is right as well."""
    return any(row["missed"] for row in result["streams"]) or any("overrun" in reason for reason in result["run"]["reasons"])


def test_there_is_an_example_of_each_kind():
    assert len(EXAMPLES) >= 11
