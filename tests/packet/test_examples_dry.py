# SPDX-License-Identifier: GPL-2.0-or-later
"""Each file of etc/examples without a wire: checked, explained, and written as a capture in which tshark finds nothing wrong."""
import os
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import protocols as p
import pytest

VOLLEYD = p.BUILD / "volleyd"
TOP = Path(__file__).parents[2]
EXAMPLES = sorted((TOP / "etc/examples").glob("*.conf"))
FRAMES = 200
each_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def volleyd(*arguments):
    return subprocess.run([VOLLEYD, *arguments], capture_output=True, text=True, check=False, env=dict(os.environ, NO_COLOR="1"))


def streams_of(path):
    """Names in the file's list of streams, with the numbers of copies behind them."""
    text = path.read_text(encoding="utf-8").partition("streams = (")[2]
    for name, rest in re.findall(r'\{ name = "([\w-]+)"((?:(?!\{ name = ).)*)', text, re.S):
        copies = re.search(r"copies = (\d+)", rest)
        yield from (f"{name}.{i + 1}" for i in range(int(copies[1]))) if copies else [name]


@each_example
def test_the_check_finds_no_mistake(path):
    done = volleyd("--check", "-c", path)
    assert done.returncode == 0, done.stderr
    assert f"{path}: good: " in done.stdout and f" {len(list(streams_of(path)))} streams" in done.stdout
    assert "error" not in done.stderr


@each_example
def test_every_stream_is_explained(path):
    for stream in streams_of(path):
        done = volleyd("--explain", stream, "-c", path)
        assert done.returncode == 0, done.stderr
        assert stream in done.stdout and "ethernet" in done.stdout.lower(), done.stdout


@each_example
def test_its_capture_is_well_formed(path, tmp_path):
    capture = tmp_path / "dry.pcap"
    done = volleyd("--dry-run", capture, "--frames", str(FRAMES), "-c", path)
    assert done.returncode == 0, done.stderr
    pdml = subprocess.run(["tshark", "-r", capture, "-T", "pdml", *p.DECODE], capture_output=True, check=True).stdout
    packets = list(ElementTree.fromstring(pdml).iter("packet"))
    assert len(packets) == FRAMES
    for number, packet in enumerate(packets, 1):
        assert p.trouble(packet) == [], f"frame {number}"


def examples_of_the_manual():
    """The blocks of volleyd.conf(5): a whole configuration, then streams for its ports and templates."""
    page = (TOP / "man/volleyd.conf.5.in").read_text(encoding="utf-8")
    blocks = re.findall(r"^\.EX\n(.*?)^\.EE", page, re.M | re.S)
    whole, = [block for block in blocks if block.startswith("safety")]
    streams = [block for block in blocks if block.startswith("{")]
    assert len(streams) >= 5
    return [whole] + [whole.partition("streams = (")[0] + f"streams = ( {block} );" for block in streams]


def test_the_examples_of_the_manual_are_right(tmp_path):
    for text in examples_of_the_manual():
        file = tmp_path / "volleyd.conf"
        file.write_text(text, encoding="utf-8")
        done = volleyd("--check", "-c", file)
        assert done.returncode == 0, text + done.stderr


def test_the_shipped_configuration_is_good_and_sends_nothing():
    done = volleyd("--check", "-c", TOP / "etc/volleyd.conf")
    assert done.returncode == 0 and "0 ports, 0 streams" in done.stdout, done.stdout + done.stderr
