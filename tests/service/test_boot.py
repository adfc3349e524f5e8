# SPDX-License-Identifier: GPL-2.0-or-later
"""The package under a real systemd: installed, started, reloaded, killed, removed. One machine; the tests stand in the order of its life."""

import ctypes
import json
import os
import re
import signal
import threading
import time

import pytest

from machine import Impossible, Machine
from netns import SLOW, wait_until

if "VOLLEYD_DEB" not in os.environ:
    pytest.skip("no package was built; make check-service does", allow_module_level=True)

RESTART_S = 2
OBSERVED_S = 1
PORTS = """safety = { allow = [ "east0" ]; };
ports = ( { name = "east"; interface = "east0"; } );
templates = {
  @include "templates.d/*.conf"
};
streams = (
  @include "streams.d/*.conf"
);
"""
PLAIN = """plain = ( { ethernet = { dst = "02:00:00:00:00:02"; }; }, { ipv4 = { src = "198.18.0.1"; dst = "198.19.0.1"; }; },
          { udp = { src = 1024; dst = 2048; }; } );
"""
CRASHED = "9a6c07849493484ca8945d43479679ac"


def stream(name, more=""):
    return f'{{ name = "{name}"; port = "east"; template = "plain"; rate = "1kpps"; duration = "1h"; {more} }},\n'


@pytest.fixture(scope="module", name="booted")
def booted_machine(deb):
    try:
        machine = Machine(deb)
    except Impossible as reason:
        pytest.skip(str(reason))
    machine.before = files(machine)
    yield machine
    machine.close()


@pytest.fixture(scope="module", name="installed")
def installed_machine(booted):
    """With the package, a cable from east0, a member of the group and a stranger."""
    booted.run(["dpkg", "-i", "/srv/volleyd.deb"])
    booted.outside("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
    booted.outside("ip", "link", "add", "east0", "type", "veth", "peer", "name", "west0")
    booted.outside("ip", "link", "set", "east0", "up")
    booted.outside("ip", "link", "set", "west0", "up")
    booted.sh("useradd --groups volleyd member; useradd stranger")
    return booted


@pytest.fixture(name="machine")
def machine_at_rest(installed):
    """The daemon runs with the streams `one` and, started by itself, `auto`, without anything that a test before has left."""
    installed.sh("systemctl stop volleyd.service volleyd.socket; systemctl reset-failed; rm -rf /run/systemd/system/volleyd.service.d "
                 "/etc/volleyd/streams.d/*.conf /run/volleyd/control.sock.running; systemctl daemon-reload", check=False)
    installed.write("/etc/volleyd/volleyd.conf", PORTS)
    installed.write("/etc/volleyd/templates.d/plain.conf", PLAIN)
    installed.write("/etc/volleyd/streams.d/10-one.conf", stream("one"))
    installed.write("/etc/volleyd/streams.d/20-auto.conf", stream("auto", "autostart = true;"))
    installed.mark_journal()
    installed.run(["systemctl", "start", "volleyd"])
    return installed


def files(machine):
    return set(machine.sh("find /etc /usr /lib/systemd /var/lib /run -xdev -not -path '/var/lib/dpkg/*' -not -path '/run/systemd/*' "
                          "-not -path '/run/log/*' -not -path '/run/udev/*'").stdout.splitlines())


def rows(machine, what):
    out = machine.run(["volleyctl", "--json", "counters"]).stdout
    return {row["name"]: row for row in json.loads(out)[what]}


def warnings(machine):
    return json.loads(machine.run(["volleyctl", "--json", "status"]).stdout)["configuration"]["warnings"]


def is_sending(machine):
    before = machine.sent("east0")
    return lambda: machine.sent("east0") > before


def drop_in(machine, text):
    machine.write("/run/systemd/system/volleyd.service.d/test.conf", "[Service]\n" + text)
    machine.run(["systemctl", "daemon-reload"])


def assert_silent_for(machine, seconds):
    before = machine.sent("east0")
    time.sleep(seconds)
    assert machine.sent("east0") == before


def await_restart(machine, began):
    """Running again, soon after `began`; what is measured includes a command or two of ours."""
    wait_until(lambda: machine.show("NRestarts") != "0" and machine.show("ActiveState") == "active", RESTART_S,
               f"the restart ({machine.show('Result')})")
    assert time.monotonic() - began <= (RESTART_S + 1) * SLOW


def assert_stopped_with_the_reason(machine):
    assert_silent_for(machine, OBSERVED_S)
    assert rows(machine, "streams")["auto"]["state"] == "idle"
    assert any("ended without a stop" in text for text in warnings(machine))
    wait_until(lambda: "ended without a stop" in machine.show("StatusText"), 5, "the reason in systemd's status")
    assert machine.journal(MESSAGE_ID=CRASHED)


# ---- installed ----


def test_installing_starts_nothing(booted, installed):
    assert installed.sh("systemctl is-enabled volleyd volleyd.socket", check=False).stdout.split() == ["disabled", "disabled"]
    assert installed.show("ActiveState") == "inactive"
    assert installed.sh("stat -c %U:%G /run/volleyd").stdout.strip() == "volleyd:volleyd"
    assert "0 ports, 0 streams" in installed.run(["volleyd", "--check"]).stdout
    assert installed.sh("test -s /usr/share/bash-completion/completions/volleyctl; echo $?").stdout == "0\n"


def test_enabled_it_starts_with_the_machine(machine):
    machine.run(["systemctl", "enable", "volleyd"])
    assert machine.sh("systemctl is-enabled volleyd volleyd.socket").stdout.split() == ["enabled", "enabled"]
    assert "volleyd.service" in machine.sh("systemctl list-dependencies --plain multi-user.target").stdout
    machine.run(["systemctl", "disable", "volleyd"])


def test_ready_means_that_it_answers(machine):
    machine.run(["systemctl", "restart", "volleyd"])
    assert machine.run(["volleyctl", "status"]).returncode == 0
    wait_until(lambda: "run 1" in machine.show("StatusText"), 5, "a status that tells of the run")


def test_process_has_what_it_needs_and_no_more(machine):
    with open(f"/proc/{machine.main_pid()}/status", encoding="ascii") as status:
        facts = dict(line.split(":\t") for line in status.read().splitlines() if ":\t" in line)
    net_raw = f"{1 << 13:016x}"
    assert (facts["CapPrm"], facts["CapEff"], facts["CapBnd"], facts["CapAmb"]) == (net_raw, net_raw, net_raw, f"{0:016x}")
    assert facts["NoNewPrivs"] == "1" and facts["Seccomp"] == "2"
    assert "0" not in facts["Uid"].split() + facts["Gid"].split()


def test_workers_are_confined_further(machine):
    folder = f"/proc/{machine.main_pid()}/task"
    filters = {}
    for thread in os.listdir(folder):
        with open(f"{folder}/{thread}/status", encoding="ascii") as status:
            filters[thread] = int(re.search(r"^Seccomp_filters:\t(\d+)", status.read(), re.M)[1])
    main = filters.pop(str(machine.main_pid()))
    assert filters and all(count > main for count in filters.values())


def test_it_cannot_write_outside_its_directory(machine):
    """What a taken over daemon would see: tried by a program in its mounts, as its user."""
    done = machine.sh("pid=$(systemctl show -P MainPID volleyd); nsenter -t $pid -m -- sh -c "
                      "'for f in /etc/x /usr/x /var/x /home/x /sys/x; do touch $f && echo $f; done; ls /home; touch /run/volleyd/x && rm /run/volleyd/x'")
    assert done.stdout.split() == [], done


def test_net_admin_drop_in_adds_just_that(machine):
    machine.sh("mkdir -p /run/systemd/system/volleyd.service.d && cp /usr/share/doc/volleyd/examples/10-net-admin.conf "
               "/run/systemd/system/volleyd.service.d/ && systemctl daemon-reload && systemctl restart volleyd")
    with open(f"/proc/{machine.main_pid()}/status", encoding="ascii") as status:
        assert f"CapEff:\t{1 << 12 | 1 << 13:016x}" in status.read()


# ---- sockets and roles ----


def test_sockets_have_their_owners_and_modes(machine):
    assert machine.sh("stat -c '%a %U:%G' /run/volleyd/control.sock /run/volleyd/status.sock").stdout.splitlines() == [
        "660 root:volleyd", "666 root:volleyd"]


def test_first_connection_of_a_member_starts_the_daemon(machine):
    machine.run(["systemctl", "stop", "volleyd"])
    machine.run(["systemctl", "start", "volleyd.socket"])
    assert machine.show("ActiveState") == "inactive"
    assert machine.sh("test -e /run/volleyd/status.sock", check=False).returncode != 0
    assert machine.sh("volleyctl status", check=False, user="stranger").returncode != 0
    assert machine.show("ActiveState") == "inactive"
    assert machine.sh("volleyctl status", user="member").stdout
    assert machine.show("ActiveState") == "active"
    assert machine.sh("volleyctl --socket /run/volleyd/status.sock status", user="stranger").stdout


def test_member_steers(machine):
    machine.sh("volleyctl start one", user="member")
    assert rows(machine, "streams")["one"]["state"] == "running"
    uid = machine.sh("id -u member").stdout.strip()
    assert any(f"uid {uid}" in entry["MESSAGE"] for entry in machine.journal(VOLLEYD_EVENT="control-change"))


def test_stranger_is_refused(machine):
    done = machine.sh("volleyctl start one", check=False, user="stranger")
    assert done.returncode == 4 and "group volleyd" in done.stderr, done
    done = machine.sh("volleyctl --socket /run/volleyd/status.sock start one", check=False, user="stranger")
    assert done.returncode == 4 and "read-only" in done.stderr, done
    assert rows(machine, "streams")["one"]["state"] == "idle"


# ---- reload ----


def test_reload_under_traffic(machine):
    wait_until(is_sending(machine), 10, "traffic")
    before = rows(machine, "streams")["auto"]["completed"]
    machine.write("/etc/volleyd/streams.d/30-new.conf", stream("new"))
    machine.run(["systemctl", "reload", "volleyd"])
    wait_until(lambda: "new" in rows(machine, "streams"), 5, "the new stream")
    auto = rows(machine, "streams")["auto"]
    assert auto["state"] == "running" and auto["completed"] >= before
    wait_until(is_sending(machine), 10, "traffic after the reload")
    assert (machine.show("ActiveState"), machine.show("SubState"), machine.show("NRestarts")) == ("active", "running", "0")
    assert machine.journal(VOLLEYD_EVENT="config-loaded")


def test_bad_reload_fails_and_changes_nothing(machine):
    machine.write("/etc/volleyd/streams.d/30-bad.conf", '{ nome = "x"; },\n')
    assert machine.run(["systemctl", "reload", "volleyd"], check=False).returncode != 0
    assert any("streams.d/30-bad.conf:1" in entry["MESSAGE"] for entry in machine.journal())
    wait_until(is_sending(machine), 10, "traffic after the reload")
    assert (machine.show("ActiveState"), machine.show("NRestarts")) == ("active", "0")


# ---- failures ----


def test_killed_it_comes_back_and_is_silent(machine):
    wait_until(is_sending(machine), 10, "traffic")
    began = time.monotonic()
    os.kill(machine.main_pid(), signal.SIGKILL)
    await_restart(machine, began)
    assert_stopped_with_the_reason(machine)
    machine.run(["volleyctl", "start", "auto"])
    wait_until(is_sending(machine), 10, "traffic when it is asked for")


def test_after_a_stop_streams_start_by_themselves_again(machine):
    os.kill(machine.main_pid(), signal.SIGKILL)
    wait_until(lambda: machine.show("NRestarts") == "1" and machine.show("ActiveState") == "active", 10, "the restart")
    machine.run(["systemctl", "restart", "volleyd"])
    wait_until(lambda: rows(machine, "streams")["auto"]["state"] == "running", 10, "the stream that starts by itself")
    assert not any("ended without a stop" in text for text in warnings(machine))


def test_watchdog_ends_a_stopped_process(machine):
    drop_in(machine, "WatchdogSec=1s\n")
    machine.run(["systemctl", "restart", "volleyd"])
    os.kill(machine.main_pid(), signal.SIGSTOP)
    wait_until(lambda: machine.show("NRestarts") != "0" and machine.show("ActiveState") == "active", 10, "the watchdog's restart")
    assert any("watchdog" in entry["MESSAGE"].lower() for entry in machine.journal())
    assert_stopped_with_the_reason(machine)


PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000


def halt_thread(thread):
    """Stops one thread of a process, as a tracer can, until the process is killed."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    halted, errors = threading.Event(), []

    def trace():
        for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
            if libc.ptrace(request, thread, None, None) != 0:
                errors.append(os.strerror(ctypes.get_errno()))
        if not errors:
            os.waitpid(thread, WALL)
        halted.set()
        if not errors:
            os.waitpid(thread, WALL)  # its end; before a tracer has seen it, the process does not end either

    threading.Thread(target=trace, daemon=True).start()
    halted.wait()
    if errors:
        pytest.skip(f"threads cannot be traced here: {errors[0]}")


def test_watchdog_ends_a_daemon_with_a_wedged_worker(machine):
    drop_in(machine, "WatchdogSec=2s\n")
    machine.run(["systemctl", "restart", "volleyd"])
    pid = machine.main_pid()
    workers = [int(thread) for thread in os.listdir(f"/proc/{pid}/task") if int(thread) != pid]
    halt_thread(workers[0])
    assert machine.run(["volleyctl", "status"]).returncode == 0, "the main loop gets on"
    wait_until(lambda: machine.show("NRestarts") != "0" and machine.show("ActiveState") == "active", 15, "the watchdog's restart")
    assert any("watchdog" in entry["MESSAGE"].lower() for entry in machine.journal())
    assert_stopped_with_the_reason(machine)


def test_idle_daemon_lives_under_the_watchdog(machine):
    drop_in(machine, "WatchdogSec=1s\n")
    machine.run(["systemctl", "restart", "volleyd"])
    machine.run(["volleyctl", "stop"])
    time.sleep(3)
    assert (machine.show("ActiveState"), machine.show("NRestarts")) == ("active", "0")


def test_wrong_configuration_is_said_and_not_tried_forever(machine):
    machine.run(["systemctl", "stop", "volleyd.service", "volleyd.socket"])
    machine.write("/etc/volleyd/streams.d/10-one.conf", stream("one").replace("rate", "raet"))
    done = machine.run(["systemctl", "start", "volleyd"], check=False)
    assert done.returncode != 0
    assert any("10-one.conf:1" in entry["MESSAGE"] and "rate" in entry["MESSAGE"] for entry in machine.journal())
    wait_until(lambda: machine.show("ActiveState") == "failed", 20, "an end of trying")


def test_without_the_capability_one_line_says_so(machine):
    drop_in(machine, "CapabilityBoundingSet=\nAmbientCapabilities=\n")
    machine.run(["systemctl", "stop", "volleyd.service"])
    assert machine.run(["systemctl", "start", "volleyd"], check=False).returncode != 0
    said = [entry["MESSAGE"] for entry in machine.journal(PRIORITY="3", SYSLOG_IDENTIFIER="volleyd")]
    assert said and "CAP_NET_RAW is missing" in said[-1]
    machine.run(["systemctl", "stop", "volleyd.service"])


# ---- the journal ----


def test_kinds_of_events_have_their_ids(machine):
    table = dict(line.split("\t") for line in machine.run(["volleyd", "--print-manual", "events"]).stdout.splitlines())
    machine.run(["volleyctl", "stop"])
    machine.run(["systemctl", "stop", "volleyd"])
    for event in ("daemon-started", "run-started", "run-ended", "control-change", "daemon-stopped"):
        found = machine.journal(VOLLEYD_EVENT=event)
        assert found and {entry["MESSAGE_ID"] for entry in found} == {table[event]}, event
        assert all(entry["SYSLOG_IDENTIFIER"] == "volleyd" for entry in found)


# ---- removed ----


def test_upgrade_does_not_end_a_measurement(machine):
    before = machine.show("MainPID")
    machine.run(["dpkg", "-i", "/srv/volleyd.deb"])
    assert machine.show("MainPID") == before and machine.show("ActiveState") == "active"
    wait_until(is_sending(machine), 10, "traffic after the upgrade")


def test_removal_stops_it_and_keeps_the_configuration(machine):
    machine.run(["dpkg", "--remove", "volleyd"])
    assert machine.sh("pgrep -x volleyd || ls /proc/*/exe -l 2>/dev/null | grep sbin/volleyd", check=False).stdout == ""
    assert_silent_for(machine, OBSERVED_S)
    assert machine.sh("ls /etc/volleyd/streams.d").stdout.split() == ["10-one.conf", "20-auto.conf"]
    assert machine.sh("test -e /run/volleyd", check=False).returncode != 0
    assert machine.show("LoadState") == "not-found"


def test_purge_leaves_nothing(installed):
    installed.sh("userdel member; userdel stranger")
    installed.run(["dpkg", "--purge", "volleyd"])
    assert installed.sh("grep volleyd /etc/passwd /etc/group /etc/shadow", check=False).stdout == ""
    backups = {f"/etc/{name}-" for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")}
    left = files(installed) - installed.before - backups
    assert not left, left
