# SPDX-License-Identifier: GPL-2.0-or-later
"""metrics: judged by promtool and by Prometheus' own Python parsers; the text file is replaced in one step."""
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.request

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


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answer_of(url, holds):
    """What the URL gives once it holds."""
    deadline, text = time.monotonic() + LIMIT, ""
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=LIMIT) as reply:
                text = reply.read().decode()
            if holds(text):
                return text
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{url}: {text}")


def test_prometheus_scrapes_it_through_node_exporter(ctl, fake, tmp_path):
    for program in ("prometheus", "prometheus-node-exporter"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    (tmp_path / "text").mkdir()
    assert ctl("metrics", "--textfile", tmp_path / "text" / "volleyd.prom").code == 0
    exporter, server = free_port(), free_port()
    (tmp_path / "prometheus.yml").write_text(
        "scrape_configs:\n- job_name: volleyd\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n"
        f"  static_configs:\n  - targets: ['127.0.0.1:{exporter}']\n")
    programs = [
        ["prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile",
         f"--collector.textfile.directory={tmp_path}/text", f"--web.listen-address=127.0.0.1:{exporter}"],
        ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
         f"--web.listen-address=127.0.0.1:{server}"]]
    children = [subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for words in programs]
    try:
        text = answer_of(f"http://127.0.0.1:{server}/api/v1/query?query=volleyd_port_completed_frames_total",
                         lambda told: "veth0" in told)
    finally:
        for child in children:
            child.kill()
            child.wait()
    results = json.loads(text)["data"]["result"]
    assert {row["metric"]["port"]: row["value"][1] for row in results} == {"east": "500000", "west": "0"}
