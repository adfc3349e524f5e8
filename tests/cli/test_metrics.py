# SPDX-License-Identifier: GPL-2.0-or-later
"""metrics: judged by promtool and by Prometheus' own Python parsers; the text file is replaced in one step."""
import os
import shutil
import subprocess
import threading

import pytest

import fake as daemon
from conftest import LIMIT


def test_promtool_has_no_complaint(ctl, fake):
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    text = ctl("metrics", "--streams").out
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=LIMIT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def samples(families):
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families for sample in family.samples}


@pytest.mark.parametrize("form", ["prometheus", "openmetrics"])
def test_every_figure_is_the_daemon_s(ctl, fake, form):
    pytest.importorskip("prometheus_client")
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
    from prometheus_client.parser import text_string_to_metric_families as prometheus
    counters = daemon.counters()
    counters["streams"][0]["name"] = 'odd"na\\me'
    counters["ports"][0].update(missed=17, in_flight=3)
    fake.answers["Counters"] = lambda p: daemon.page(counters, p)
    if form == "openmetrics":
        found = samples(openmetrics(ctl("metrics", "--streams", "--openmetrics").out))
    else:
        found = samples(prometheus(ctl("metrics", "--streams").out))
    east = (("interface", "veth0"), ("port", "east"))
    voice = (("port", "east"), ("stream", 'odd"na\\me'))
    assert found["volleyd_port_completed_frames_total", east] == 500000
    assert found["volleyd_port_missed_frames_total", east] == 17
    assert found["volleyd_port_in_flight_frames", east] == 3
    assert found["volleyd_stream_completed_frames_total", voice] == 500000
    assert found["volleyd_received_frames_total", (("at", "west"),) + voice] == 500000
    assert found["volleyd_latency_p99_seconds", (("at", "west"),) + voice] == pytest.approx(12.5e-6)
    assert found["volleyd_run_elapsed_seconds", ()] == 10


def test_streams_only_when_asked_for(ctl, fake):
    assert "stream" not in ctl("metrics").out and fake.asked("Counters") == [{"limit": 1}]


def test_textfile_is_never_half(ctl, fake, tmp_path):
    path = tmp_path / "volleyd.prom"
    whole = ctl("metrics", "--openmetrics").out
    over, halves = threading.Event(), []

    def read():
        while not over.is_set():
            if path.exists() and (text := path.read_text()) != whole:
                halves.append(text)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        assert ctl("metrics", "--openmetrics", "--textfile", path).code == 0
    over.set()
    reader.join()
    assert halves == [] and path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path).count("volleyd.prom") == 1 and not [n for n in os.listdir(tmp_path) if "prom." in n]


def test_textfile_that_cannot_be_written_leaves_the_old_one(ctl, fake, tmp_path):
    done = ctl("metrics", "--textfile", tmp_path / "none" / "x.prom")
    assert done.code == 1 and "x.prom" in done.err
    (tmp_path / "folder.prom").mkdir()
    assert ctl("metrics", "--textfile", tmp_path / "folder.prom").code == 1
    assert sorted(name for name in os.listdir(tmp_path) if "prom" in name) == ["folder.prom"]
