# SPDX-License-Identifier: GPL-2.0-or-later
"""top under tmux: keys typed, screens captured, three sizes; plain tables without a terminal."""
import shutil
import subprocess
import time

import pytest

import fake as daemon
from conftest import LIMIT, VOLLEYCTL
from fake import Error

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Screen:
    def __init__(self, tmp_path, environment, width, height, *words):
        self.socket = str(tmp_path / "tmux")
        command = " ".join(["exec", "env", *(f"{key}={value}" for key, value in environment.items() if key != "TERM"),
                            str(VOLLEYCTL), "top", "--interval", "0.1", *words])
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), command)

    def tmux(self, *words):
        return subprocess.run(["tmux", "-S", self.socket, *words], capture_output=True, text=True, timeout=LIMIT).stdout

    def text(self):
        return self.tmux("capture-pane", "-p")

    def press(self, *keys):
        self.tmux("send-keys", *keys)

    def wait(self, holds):
        """Until the screen is as wanted; what it was last is the message."""
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            text = self.text()
            if holds(text):
                return text
            time.sleep(0.05)
        raise AssertionError(text)

    def has(self, *words):
        return self.wait(lambda text: all(word in text for word in words))

    def ended(self):
        deadline = time.monotonic() + LIMIT
        while self.tmux("list-sessions") and time.monotonic() < deadline:
            time.sleep(0.05)
        return not self.tmux("list-sessions")


@pytest.fixture
def screen(tmp_path, environment):
    screens = []

    def open_screen(width, height, *words):
        screens.append(Screen(tmp_path, environment, width, height, *words))
        screens[-1].has(", by name")  # keys typed before it listens would be lost
        return screens[-1]

    yield open_screen
    for one in screens:
        one.press("C-c")  # ends it at any time, whatever it shows or asks
        ended = one.ended()
        one.tmux("kill-server")
        assert ended


def running(count=0):
    counters = daemon.counters()
    counters["run"].update(state="open", verdict="none", elapsed_ns=7 * 10**9)
    counters["ports"][0].update(state="running", achieved=daemon.rates(50000))
    counters["streams"][0].update(state="running", achieved=daemon.rates(50000))
    counters["streams"] += [dict(counters["streams"][1], name=f"bulk.{n}", missed=n) for n in range(1, count + 1)]
    return lambda parameters: daemon.page(counters, parameters)


@pytest.mark.parametrize("width, height", [(40, 10), (80, 24), (200, 60)])
def test_screen_is_as_recorded(screen, fake, expect, width, height):
    fake.answers["Counters"] = running(100)
    top = screen(width, height)
    top.press("Tab")
    full = "█" * (0 if width < 52 else 12 if width < 180 else 40)  # the bars grow until they fill their place
    if width >= 52:
        top.press("End")
    text = top.wait(lambda shown: "102 streams" in shown and full in shown)
    assert len(text.splitlines()) <= height and max(map(len, text.splitlines())) <= width
    expect(f"top-{width}x{height}.txt", text)


def test_bars_show_the_last_rates_newest_right(screen, fake):
    rates = iter([0, 50000] + [100000] * 10000)

    def answer(parameters):
        counters = daemon.counters()
        counters["ports"][0].update(achieved=daemon.rates(next(rates)))
        return daemon.page(counters, parameters)

    fake.answers["Counters"] = answer
    assert " ▅█" in screen(80, 24).has(" ▅█")


def test_keys_steer_what_is_chosen(screen, fake):
    fake.answers["Counters"] = running()
    top = screen(80, 24)
    top.has("2 ports, by name")
    top.press("s")
    top.press("x")
    top.press("Tab")
    top.has("2 streams, by name")
    top.press("j")
    top.press("p")
    top.press("r")
    top.has("rate: _")
    top.press("5", "0", "k", "p", "p", "x", "BSpace", "s", "Enter")
    top.press("X")
    deadline = time.monotonic() + LIMIT
    while len(fake.asked("Stop")) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert fake.asked("Start") == [{"port": "east"}]
    assert fake.asked("Stop") == [{"port": "east"}, {}]
    assert fake.asked("Pause") == [{"streams": ["voice"]}]
    assert fake.asked("SetRate") == [{"streams": ["voice"], "rate": "50kpps"}]
    top.press("q")
    assert top.ended()


def test_paused_stream_is_resumed(screen, fake):
    counters = daemon.counters()
    counters["streams"][0]["state"] = "paused"
    fake.answers["Counters"] = lambda p: daemon.page(counters, p)
    top = screen(80, 24)
    top.press("Tab", "End")
    top.has("paused")
    top.press("p")
    deadline = time.monotonic() + LIMIT
    while not fake.asked("Resume") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert fake.asked("Resume") == [{"streams": ["voice"]}] and fake.asked("Pause") == []


def test_filter_and_order(screen, fake):
    fake.answers["Counters"] = running(2000)
    top = screen(80, 24)
    top.press("Tab")
    top.has("2,002 streams")
    top.press("/", "1", "9", "9", "Enter")
    text = top.has("12 streams, by name, name has 199")
    assert "voice" not in text
    top.press("Escape")
    top.has("2,002 streams")
    top.press("o", "o", "o")
    text = top.has("by missed")
    assert text.splitlines()[3].startswith("bulk.2000"), "the most missed first"


def test_every_stream_is_reached(screen, fake):
    fake.answers["Counters"] = running(2500)
    top = screen(80, 24)
    top.press("Tab")
    top.has("2,502 streams")
    top.press("End")
    top.has("bulk.2500", "voice")
    top.press("Home")
    top.has("bulk.1 ")


def test_reason_of_a_refused_port_is_shown(screen, fake):
    top = screen(80, 24)
    top.press("Down")
    top.has("west: carries the default route; force = true allows it")


def test_refusal_is_told_on_the_screen(screen, fake):
    fake.answers["Start"] = Error("Refused", reason="eth0 is not allowed", key="safety.allow")
    top = screen(80, 24)
    top.has("2 ports")
    top.press("s")
    top.has("refused: eth0 is not allowed")


def test_help_and_back(screen, fake):
    top = screen(40, 10)
    top.has("2 ports")
    top.press("?")
    top.has("any key goes back")
    top.press("q")
    top.has("2 ports")


def test_resized_terminal_is_drawn_anew(screen, fake):
    top = screen(80, 24)
    top.has("Tab view")
    top.tmux("resize-window", "-x", "40", "-y", "10")
    top.has("? help q")


def test_daemon_that_goes_away_is_waited_for(screen, tmp_path, environment):
    first = daemon.Fake(tmp_path / "s")
    top = screen(80, 24)
    top.has("2 ports")
    first.close()
    top.wait(lambda text: "hung up" in text or "no daemon" in text or "reset" in text)
    second = daemon.Fake(tmp_path / "s")
    second.answers["Counters"] = running()
    top.has("run 3 open")
    top.press("C-c")
    assert top.ended()
    second.close()


def test_without_a_terminal_it_prints_tables(ctl, fake, expect):
    done = ctl("top", "--count", "2", "--interval", "0.05")
    assert done.code == 0
    expect("top-plain.txt", done.out)
