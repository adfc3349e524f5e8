# SPDX-License-Identifier: GPL-2.0-or-later
"""Each verb as text and as JSON against recorded replies; each exit code; each request that is sent."""
import grp
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

import fake as daemon
from conftest import LIMIT, VOLLEYCTL
from fake import Error, Fake

TEXTS = {
    "status": ["status"], "status-east": ["status", "east"], "counters": ["counters"],
    "counters-match": ["counters", "--match", "vi*"], "start-wait": ["start", "--wait"],
    "send": ["send", "east", "--count", "1000"], "reload": ["reload"], "watch": ["watch", "--count", "2"],
    "watch-stream": ["watch", "voice", "-n", "1"], "lease": ["lease", "60"], "lease-none": ["lease"],
    "metrics": ["metrics", "--streams"], "openmetrics": ["metrics", "--streams", "--openmetrics"],
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_as_recorded(ctl, fake, expect, name):
    done = ctl(*TEXTS[name])
    assert (done.code, done.err) == (0, "")
    expect(name + ".txt", done.out)


def json_of(text):
    return json.loads(text)


def test_status_json_is_the_reply(ctl, fake):
    assert json_of(ctl("status", "--json").out) == daemon.page(daemon.status(), {})


def test_counters_json_is_the_reply(ctl, fake):
    assert json_of(ctl("--json", "counters").out) == daemon.page(daemon.counters(), {})


def test_start_wait_json_is_the_frozen_result(ctl, fake):
    assert json_of(ctl("start", "--wait", "--json").out) == daemon.report()


def test_watch_json_is_one_object_a_line(ctl, fake):
    lines = ctl("watch", "--json", "--count", "3").out.splitlines()
    assert [json_of(line) for line in lines] == [daemon.page(daemon.counters(), {})] * 3


@pytest.mark.parametrize("words, reply", [
    (["start"], {"run": 4, "armed": False}), (["stop"], {}), (["pause"], {}), (["resume"], {}),
    (["rate", "--all", "1kpps"], {}),
    (["reload"], {"added": 0, "removed": 1, "changed": 1, "unchanged": 1, "warnings": []}),
    (["lease", "9"], {"holder": "root (pid 71)", "until": "2026-11-22T10:01:00Z"}), (["lease"], None),
])
def test_other_verbs_print_the_reply_as_json(ctl, fake, words, reply):
    assert json_of(ctl("--json", *words).out) == reply


@pytest.mark.parametrize("words, method, parameters", [
    (["start"], "Start", {}),
    (["start", "a", "b", "--port", "east"], "Start", {"streams": ["a", "b"], "port": "east"}),
    (["start", "--at", "2026-11-22T10:00:00Z", "--clock", "tai", "--max-skew", "50us"], "Start",
     {"at": "2026-11-22T10:00:00Z", "clock": "tai", "max_skew_ns": 50000}),
    (["stop", "-p", "east"], "Stop", {"port": "east"}),
    (["pause", "a"], "Pause", {"streams": ["a"]}),
    (["resume", "a"], "Resume", {"streams": ["a"]}),
    (["rate", "a", "b", "500kpps"], "SetRate", {"streams": ["a", "b"], "rate": "500kpps"}),
    (["rate", "--all", "30%"], "SetRate", {"rate": "30%"}),
    (["rate", "30%", "--port", "east"], "SetRate", {"port": "east", "rate": "30%"}),
    (["rate", "--all", "x1.5"], "SetRate", {"multiplier": "1.5"}),
    (["lease", "60", "--force"], "Lease", {"seconds": 60, "force": True}),
    (["lease", "--release"], "Release", {}),
    (["watch", "voice", "-n", "1", "-i", "0.02"], "Counters", {"streams": ["voice"], "interval_ms": 20}),
])
def test_words_become_the_request(ctl, fake, words, method, parameters):
    assert ctl(*words).code == 0
    assert fake.asked(method) == [parameters]


def test_start_in_some_seconds_is_an_absolute_time(ctl, fake):
    before = time.time()
    assert ctl("start", "--at", "+30").code == 0
    at = float(fake.asked("Start")[0]["at"])
    assert before + 30 <= at <= time.time() + 30


def test_send_makes_one_stream_and_starts_it(ctl, fake):
    ctl("send", "east", "--src", "02:00:00:00:00:07", "--vlan", "100", "--size", "imix", "--rate", "30%", "--duration", "5s")
    assert fake.asked("Apply") == [{
        "add": True,
        "templates": {"send": [
            {"ethernet": {"src": "02:00:00:00:00:07", "dst": "02:00:00:00:00:02"}}, {"vlan": {"id": 100}},
            {"ipv4": {"src": "198.18.0.1", "dst": "198.19.0.1"}}, {"udp": {"src": 9, "dst": 9}}]},
        "streams": [{"name": "send", "port": "east", "template": "send", "size": "imix", "rate": "30%",
                     "duration": "5s"}]}]
    assert fake.asked("Start") == [{"streams": ["send"]}]


def test_send_of_a_template_brings_no_headers_of_its_own(ctl, fake):
    ctl("send", "east", "--packet", "voice", "--count", "1M", "--no-wait")
    assert fake.asked("Apply") == [{
        "add": True, "streams": [{"name": "send", "port": "east", "template": "voice", "count": "1M"}]}]
    assert fake.asked("Report") == []


def test_apply_reads_the_file_here(ctl, fake, tmp_path):
    file = tmp_path / "x.conf"
    file.write_text('templates = { t = ( { ethernet = { dst = "02:00:00:00:00:02"; }; } ); };\n'
                    'streams = ( { name = "s"; port = "east"; template = "t"; size = 128; count = 5000000000L; } );\n')
    assert ctl("apply", "--dry", file).code == 0
    assert fake.asked("Apply") == [{
        "dry": True, "templates": {"t": [{"ethernet": {"dst": "02:00:00:00:00:02"}}]},
        "streams": [{"name": "s", "port": "east", "template": "t", "size": 128, "count": 5000000000}]}]


def test_apply_to_what_is_there_says_so_and_tells_warnings_clean(ctl, fake, tmp_path):
    file = tmp_path / "more.conf"
    file.write_text('streams = ( { name = "more"; port = "east"; template = "voice"; } );')
    fake.answers["Apply"] = {"added": 1, "removed": 0, "changed": 0, "unchanged": 2, "warnings": ["streams.more: \x1b[31mred"]}
    done = ctl("apply", file, "--add", "--dry")
    (asked,) = fake.asked("Apply")
    assert asked["add"] is True and asked["dry"] is True and set(asked) == {"streams", "add", "dry"}
    warning, counts = done.out.splitlines()
    assert warning.startswith("warning: streams.more: ") and "\x1b" not in warning
    assert counts == "streams: 1 added, 0 changed, 0 removed, 2 as before" and done.code == 0


def test_apply_of_a_broken_file_names_the_line_and_sends_nothing(ctl, fake, tmp_path):
    file = tmp_path / "x.conf"
    file.write_text("streams = (\n  { name = ;\n")
    done = ctl("apply", file)
    assert done.code == 2 and "x.conf:2:" in done.err
    assert fake.calls == []


def many(count):
    status = daemon.status()
    status["streams"] = [dict(daemon.STREAMS[0], name=f"s.{n}") for n in range(count)]
    return status


def test_pages_are_gathered(ctl, fake):
    fake.answers["GetStatus"] = lambda p: daemon.page(many(2500), p)
    assert [row["name"] for row in json_of(ctl("status", "--json").out)["streams"]] == [f"s.{n}" for n in range(2500)]
    assert [p["offset"] for p in fake.asked("GetStatus")] == [0, 1000, 2000]
    assert "and 2,460 more: volleyctl status --all" in ctl("status").out
    assert "s.2499" in ctl("status", "--all").out


def test_ring_needs_no_daemon(ctl, expect):
    expect("ring.txt", ctl("ring", "--frames", "1024", "--frame-size", "2048", "--block-size", "65536").out)
    jumbo = json_of(ctl("ring", "--mtu", "9000", "--json").out)
    assert jumbo["largest_bytes"] >= 9018 and jumbo["frames"] == jumbo["blocks"] * jumbo["frames_per_block"]
    assert jumbo["memory_bytes"] == jumbo["blocks"] * jumbo["block_size"]
    assert jumbo["hole_bytes"] == jumbo["memory_bytes"] - jumbo["frames"] * jumbo["frame_size"]


@pytest.mark.parametrize("frames, frame_size, block_size, says", [
    (1024, 2040, 65536, "16"), (1024, 2048, 5000, "block"), (1024, 8192, 4096, "block"), (1000, 2048, 65536, "frames"),
    (1024, 16, 65536, "frame_size")])
def test_ring_names_the_condition_that_is_broken(ctl, frames, frame_size, block_size, says):
    done = ctl("ring", "--frames", frames, "--frame-size", frame_size, "--block-size", block_size)
    assert done.code == 2 and says in done.err, done.err


def test_waiting_asks_only_for_what_was_started(ctl, fake):
    assert ctl("start", "voi*", "--wait").code in (0, 2)  # the fake knows no patterns: the daemon does
    assert all(asked.get("streams") == ["voi*"] for asked in fake.asked("Counters"))


# --- exit codes ---------------------------------------------------------------------------------------------

ERRORS = [
    (Error("NotFound", name="voise", nearest="voice"), 2, "voise (voice?)"),
    (Error("Refused", reason="eth0 is not in safety.allow", key="safety.allow"), 4, "the key is safety.allow"),
    (Error("Held", holder="anna (pid 7)", remaining_ms=9000), 4, "volleyctl lease 60 --force"),
    (Error("Invalid", complaints=[{"where": "streams[0].rate", "text": "`x` is not a rate"}]), 2, "streams[0].rate: "),
    (Error("Busy", reason="another apply is under way"), 1, "another apply is under way"),
    (Error("Undrained", reason="12 frames"), 9, "not drained: 12 frames"),
    (Error("NoResult"), 1, "volleyctl start --wait"),
    (Error("ReadOnly", method="Start"), 4, "read-only status socket"),
    (Error("org.varlink.service.MethodNotFound", method="Start"), 1, "volleyctl version"),
    (Error("org.varlink.service.InvalidParameter", parameter="port"), 2, "port"),
    (Error("com.example.Strange"), 1, "com.example.Strange"),
]


@pytest.mark.parametrize("error, code, words", ERRORS, ids=[row[0].name for row in ERRORS])
def test_error_has_its_code_and_says_what_to_do(ctl, fake, error, code, words):
    fake.answers["Start"] = error
    done = ctl("start")
    assert (done.code, done.out) == (code, "") and words in done.err
    done = ctl("start", "--json")
    told = json_of(done.out)
    assert done.err == "" and set(told) == {"error", "text", "exit", "parameters"}
    assert (done.code, told["error"], told["exit"], told["parameters"]) == (code, error.name, code, error.parameters)


@pytest.mark.parametrize("verdict, code", [("passed", 0), ("none", 0), ("unmet", 8), ("invalid", 9)])
def test_verdict_is_the_exit_code(ctl, fake, verdict, code):
    result = daemon.report()
    result["run"].update(verdict=verdict, reasons=["loss == 0: 12 of 1,000 frames were lost"])
    fake.answers["Report"] = result
    done = ctl("start", "--wait")
    assert done.code == code and "12 of 1,000 frames were lost" in done.out


def test_no_daemon_is_7_and_says_how_to_start_it(ctl):
    done = ctl("status")
    assert done.code == 7 and "systemctl start volleyd" in done.err


def test_stale_socket_is_7(ctl, environment):
    import socket
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(environment["VOLLEYD_SOCKET"])
    assert ctl("status").code == 7


def test_silence_is_124(ctl, fake):
    fake.answers["Stop"] = Fake.HANG
    done = ctl("stop", "--timeout", "0.05")
    assert done.code == 124 and "--timeout" in done.err


def test_silence_in_a_stream_is_124(ctl, fake):
    fake.answers["Counters"] = Fake.HANG
    assert ctl("watch", "--interval", "0.01", "--timeout", "0.05").code == 124


def test_daemon_that_dies_is_1(ctl, fake):
    fake.answers["Stop"] = Fake.CLOSE
    assert ctl("stop").code == 1


@pytest.mark.parametrize("words, says", [
    ([], "Usage:"), (["stat"], "(status?)"), (["status", "--jsn"], "(--json?)"), (["start", "--at"], "needs a value"),
    (["rate", "5"], "--all"), (["rate", "--all", "voice", "5"], "either"), (["rate", "--all", "fast"], "fast"),
    (["send"], "send PORT"), (["send", "a", "b"], "too many"), (["status", "nowhere"], "nowhere"),
    (["send", "east", "--packet", "v", "--dst", "02:00:00:00:00:01"], "--packet"),
    (["status", "--timeout", "0"], "between"), (["watch", "--interval", "0.001"], "between"),
    (["lease", "soon"], "seconds"), (["start", "--at", "+x"], "+SECONDS"), (["send", "east", "--rate", "5 miles"], "50kpps"),
    (["watch", "--count", "-1"], "-1"), (["start", "--max-skew", "x"], "--max-skew"),
])
def test_usage_is_2_and_says_what_would_be_right(ctl, fake, words, says):
    done = ctl(*words)
    assert done.code == 2 and says in done.err, done.err


def test_version_is_that_of_both_sides(ctl, fake):
    own = ctl("--version").out
    assert re.fullmatch(r"volleyctl \S+\n", own)
    assert ctl("version").out == own + "volleyd   1.0.0\n"
    assert json_of(ctl("version", "--json").out) == {"volleyctl": own.split()[1], "volleyd": "1.0.0"}


def test_version_without_a_daemon_tells_its_own_and_fails(ctl):
    done = ctl("version")
    assert done.out == ctl("--version").out and done.code == 7


# --- leases -------------------------------------------------------------------------------------------------


def test_holder_is_told_with_what_is_left(ctl, fake):
    held = {"holder": "eve\x1b[2J (pid 9)", "remaining_ms": 2500}
    fake.answers["GetStatus"] = lambda parameters: daemon.page(dict(daemon.status(), lease=held), parameters)
    done = ctl("lease")
    assert re.fullmatch(r"eve\S* \(pid 9\) holds it for another 2\.500 s\n", done.out), done.out
    assert "\x1b" not in done.out and json_of(ctl("lease", "--json").out) == held
    assert re.search(r"held by eve\S* \(pid 9\) for another 2\.500 s", ctl("status").out)


def test_kept_lease_is_renewed_without_force_and_given_back_on_ctrl_c(fake, environment):
    child = subprocess.Popen([VOLLEYCTL, "lease", "1", "--keep", "--force"], env=environment, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + LIMIT
    while len(fake.asked("Lease")) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=LIMIT)
    first, *renewals = fake.asked("Lease")
    assert first == {"seconds": 1, "force": True}
    assert len(renewals) >= 2 and all(again == {"seconds": 1, "force": False} for again in renewals), "taken away is taken away"
    assert fake.asked("Release") == [{}] and child.returncode == 0 and out.count("held until") == 1


def test_kept_lease_that_another_took_is_the_end(ctl, fake):
    fake.answers["Lease"] = [{"holder": "us", "until": "2026-11-22T10:01:00Z"}, Error("Held", holder="eve", until="2026-11-22T10:02:00Z")]
    done = ctl("lease", "1", "--keep")
    assert done.code == 4 and "eve" in done.err and fake.asked("Release") == []


# --- permission ---------------------------------------------------------------------------------------------


def test_permission_is_4_and_names_the_group(environment):
    if os.geteuid() != 0:
        pytest.skip("needs root, to become a user without permission")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(VOLLEYCTL, folder)
        os.chmod(folder, 0o755)
        closed = Fake(folder + "/s")
        os.chmod(closed.path, 0o600)
        os.chown(closed.path, 0, grp.getgrnam("man").gr_gid)
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", folder + "/volleyctl",
                               "--socket", closed.path, "start"], capture_output=True, text=True, env=environment,
                              timeout=LIMIT)
        closed.close()
    assert done.returncode == 4 and "usermod -aG man $USER" in done.stderr


def test_output_that_cannot_be_written_is_a_failure(fake, environment):
    with open("/dev/full", "w") as full:
        assert subprocess.run([VOLLEYCTL, "status"], stdout=full, stderr=subprocess.DEVNULL, env=environment,
                              timeout=LIMIT).returncode == 1


# --- manners ------------------------------------------------------------------------------------------------


def test_ctrl_c_stops_what_was_started(fake, environment):
    busy = daemon.counters()
    busy["run"].update(state="open", verdict="none")
    busy["streams"][0]["state"] = "running"
    asked_twice = []

    def answer(parameters):
        if fake.asked("Stop"):
            return daemon.page(daemon.counters(), parameters)
        asked_twice.append(1)
        return daemon.page(busy, parameters)

    fake.answers["Counters"] = answer
    child = subprocess.Popen([VOLLEYCTL, "start", "voice", "--wait"], env=environment, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + LIMIT
    while len(asked_twice) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(asked_twice) >= 2, "it waits as long as the stream runs"
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=LIMIT)
    assert fake.asked("Stop") == [{"streams": ["voice"]}]
    assert child.returncode == 1 and "run 3 ended" in out and "stopping" in err


def test_waiting_for_a_port_ignores_the_streams_of_others(ctl, fake):
    busy = daemon.counters()
    busy["run"].update(state="open", verdict="none")
    busy["streams"][0].update(state="running", port="west")
    fake.answers["Counters"] = busy
    done = ctl("start", "--wait", "--port", "east")
    assert done.code == 0 and "is under way" in done.out and fake.asked("Report") == []


def test_watch_ends_when_nobody_reads(fake, environment):
    child = subprocess.Popen([VOLLEYCTL, "watch", "--interval", "0.01"], env=environment, stdout=subprocess.PIPE)
    child.stdout.readline()
    child.stdout.close()
    assert child.wait(timeout=LIMIT) == -signal.SIGPIPE


def test_control_characters_never_reach_the_terminal(ctl, fake):
    bad = daemon.status()
    bad["ports"][0]["reason"] = "\x1b[2Jgone\n"
    fake.answers["GetStatus"] = bad
    assert "?[2Jgone?" in ctl("status").out


def test_every_command_has_help_with_examples(ctl):
    listed = ctl("--help").out
    verbs = [line.split()[0] for line in listed.split("Commands:\n")[1].split("\n\n")[0].splitlines()]
    assert len(verbs) >= 17
    for verb in verbs:
        done = ctl(verb, "--help")
        assert done.code == 0 and "Examples:\n  volleyctl " + verb in done.out
        assert max(map(len, done.out.splitlines())) <= 120


def test_progress_on_a_terminal_says_what_is_left(fake, environment):
    pexpect = pytest.importorskip("pexpect")
    status, busy = daemon.status(), daemon.counters()
    status["run"].update(state="open", elapsed_ns=0)
    status["streams"][0].update(count=1000000, duration_ns=0)
    busy["run"].update(state="open", verdict="none", elapsed_ns=5 * 10**9)
    busy["streams"][0].update(state="running", achieved=daemon.rates(50000), completed=250000)
    fake.answers["GetStatus"] = lambda p: daemon.page(status, p)
    fake.answers["Counters"] = [lambda p: daemon.page(busy, p), lambda p: daemon.page(daemon.counters(), p)]
    child = pexpect.spawn(str(VOLLEYCTL), ["start", "--wait", "voice"], env=environment, timeout=LIMIT)
    text = child.read().decode()
    assert "[######" in text and " 25 %" in text and "250,000 frames, 50.0 kpps, 15.000 s left" in text
    assert "run 3 ended" in text and text.count("\r") > 2


@pytest.mark.parametrize("extra, coloured", [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colour_only_on_a_terminal_and_not_with_no_color(fake, environment, extra, coloured):
    pexpect = pytest.importorskip("pexpect")
    child = pexpect.spawn(str(VOLLEYCTL), ["status"], env=dict(dict(environment, TERM="xterm"), **extra), timeout=LIMIT)
    text = child.read().decode()
    assert ("\x1b[" in text) == coloured
