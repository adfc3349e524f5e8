# SPDX-License-Identifier: GPL-2.0-or-later
"""report: text, JSON, several machines added up, and the HTML page: its structure here, and in a real browser."""
import html.parser
import json
import re
import shutil
import subprocess

import pytest

import fake as daemon
from conftest import LIMIT


class Page(html.parser.HTMLParser):
    """Checks that tags are balanced; collects text, tags and what the page would fetch."""

    VOID = {"meta", "line"}

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.fetched, self.words = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.fetched += [value for key, value in attributes if key in ("src", "href") or "url(" in (value or "")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def page_of(ctl, *words):
    done = ctl("report", "--html", *words)
    assert (done.code, done.err) == (0, "")
    return Page(done.out), done.out


def test_text_and_json(ctl, fake, expect):
    expect("report.txt", ctl("report").out)
    assert json.loads(ctl("report", "--json").out) == daemon.report()


def test_page_tells_the_verdict_first_and_fetches_nothing(ctl, fake):
    page, text = page_of(ctl)
    words = [word.strip() for word in page.words if word.strip()]
    assert "Passed" in words[2:4] and page.fetched == [] and "http" not in text and "@import" not in text
    assert page.tags.count("svg") == 2 and page.tags.count("table") == 3
    assert "500,000" in words and "12.5 us" in words


def test_page_shows_reasons_and_marks_what_is_bad(ctl, fake):
    result = daemon.report()
    result["run"].update(verdict="unmet", reasons=["loss == 0: 12 of <1,000> & more"])
    result["streams"][0]["receive"][0]["lost"] = 12
    fake.answers["Report"] = result
    _, text = page_of(ctl)
    assert "<li>loss == 0: 12 of &lt;1,000&gt; &amp; more</li>" in text and '<td class="n bad">12</td>' in text


def test_names_cannot_become_markup(ctl, fake):
    result = daemon.report()
    result["streams"][0]["name"] = result["ports"][0]["name"] = '<script>alert("x")</script>'
    result["history"] = [{"elapsed_ns": 10**9, "ports": [{"name": '<script>alert("x")</script>', "completed": 1,
                                                         "missed": 0}]}]
    fake.answers["Report"] = result
    page, _ = page_of(ctl)
    assert "script" not in page.tags


def test_chart_follows_the_history(ctl, fake):
    result = daemon.report()
    result["history"] = [{"elapsed_ns": n * 10**9, "ports": [{"name": "east", "completed": c, "missed": 0}]}
                         for n, c in enumerate([1000, 3000, 3000], 1)]
    fake.answers["Report"] = result
    _, text = page_of(ctl)
    points = [tuple(map(float, point.split(","))) for point in
              re.search(r'<polyline class=c0 points="([^"]*)"', text)[1].split()]
    heights = [y for _, y in points]  # rates 1000 (from the beginning), 1000, 2000, 0: y falls as they rise
    assert len(points) == 4 and heights[0] == heights[1] and heights[3] > heights[1] > heights[2]
    assert heights[3] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.2)
    assert [x for x, _ in points] == sorted(x for x, _ in points)


def test_run_without_history_still_makes_a_page(ctl, fake):
    result = daemon.counters()
    result["history"] = []
    fake.answers["Report"] = result
    page, _ = page_of(ctl)
    assert "svg" not in page.tags and page.tags.count("table") == 3


@pytest.fixture
def machines(tmp_path):
    first, second = daemon.report(), daemon.report()
    second["run"].update(id=9, started="2026-11-22T09:59:59.000Z", elapsed_ns=12_000_000_000, verdict="invalid",
                         reasons=["east: 5 frames were missed"])
    second["ports"][0].update(missed=5, scheduled=500005)
    paths = [tmp_path / "A.json", tmp_path / "B.json"]
    paths[0].write_text(json.dumps(first))
    paths[1].write_text(json.dumps(second))
    return paths


def test_machines_are_added_up_without_a_daemon(ctl, machines, expect):
    done = ctl("report", *machines)
    assert (done.code, done.err) == (0, "")
    expect("report-machines.txt", done.out)
    whole = json.loads(ctl("report", "--json", *machines).out)
    assert [row["name"] for row in whole["ports"]] == ["A:east", "A:west", "B:east", "B:west"]
    assert [(row["name"], row["port"]) for row in whole["streams"]][2] == ("B:voice", "B:east")
    assert whole["streams"][0]["receive"][0]["port"] == "A:west"
    assert (whole["run"]["verdict"], whole["run"]["reasons"]) == ("invalid", ["B: east: 5 frames were missed"])
    assert (whole["run"]["started"], whole["run"]["elapsed_ns"]) == ("2026-11-22T09:59:59.000Z", 12_000_000_000)
    assert [machine["run"]["id"] for machine in whole["machines"]] == [3, 9]
    page, _ = page_of(ctl, *machines)
    assert "A:east" in page.words and "B:east" in page.words


def test_one_file_is_shown_as_it_is(ctl, machines):
    assert json.loads(ctl("report", "--json", machines[0]).out) == daemon.report()


@pytest.mark.parametrize("text, says", [("{", "x.json:1"), ("{}", "report --json"), ("[]", "report --json"),
                                        ('{"run": {}, "ports": 3, "streams": []}', "report --json")])
def test_file_that_is_no_result_is_2(ctl, tmp_path, machines, text, says):
    (tmp_path / "x.json").write_text(text)
    done = ctl("report", machines[0], tmp_path / "x.json")
    assert done.code == 2 and says in done.err


def test_output_goes_to_the_file(ctl, fake, tmp_path):
    assert ctl("report", "--html", "--output", tmp_path / "run.html").out == ""
    assert (tmp_path / "run.html").read_text().startswith("<!doctype html>")
    assert ctl("report", "-o", tmp_path / "none" / "x").code == 1


def test_browser_draws_the_page(ctl, fake, tmp_path):
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed")
    ctl("report", "--html", "--output", tmp_path / "run.html")
    chromium = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                f"--user-data-dir={tmp_path}/profile", "--window-size=1150,1700"]
    done = subprocess.run([*chromium, "--dump-dom", f"file://{tmp_path}/run.html"], capture_output=True, text=True,
                          timeout=LIMIT * 3)
    assert "<h1>Passed</h1>" in done.stdout and done.stdout.count("<svg") == 2
    subprocess.run([*chromium, f"--screenshot={tmp_path}/run.png", f"file://{tmp_path}/run.html"], capture_output=True,
                   timeout=LIMIT * 3)
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")
