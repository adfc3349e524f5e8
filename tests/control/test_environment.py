# SPDX-License-Identifier: GPL-2.0-or-later
"""Surroundings that volleyd did not choose: tiny limits, a hostile umask, closed descriptors, full and read-only file systems, no /proc,
clocks that step. It works, or ends with a message that says why; it never crashes and leaves nothing half done."""

import datetime
import glob
import os
import shutil
import stat
import subprocess
import tempfile
import time

import pytest
from conftest import CONFIG, SLOW, VOLLEYD, Daemon, wait_until

SANITIZED = bool(os.environ.get("VOLLEYD_SANITIZED"))
VOLLEYCTL = os.path.join(os.path.dirname(VOLLEYD), "volleyctl")
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a mount namespace")


def limited(which, value):
    return ["prlimit", f"--{which}={value}:{value}", "--"]


def ends_with_a_reason(daemon):
    """It came up, or it ended by itself with a line of its own; a signal would be a negative code."""
    daemon.spawn()
    wait_until(lambda: daemon.process.poll() is not None or "is ready" in daemon.log(), "an end or a daemon")
    if daemon.process.poll() is None:
        daemon.call("Start", streams=["short"])
        daemon.process.terminate()
        assert daemon.ended() == 0, daemon.log()
        return True
    assert daemon.process.returncode in (1, 2), daemon.log()
    assert daemon.log().strip(), "it ended without a word"
    return False


@pytest.mark.parametrize("files", [8, 16, 64, 127, 128])
def test_few_descriptors(make_daemon, files):
    came_up = ends_with_a_reason(make_daemon(wrap=limited("nofile", files)))
    assert came_up == (files >= 128)


@pytest.mark.skipif(SANITIZED, reason="a sanitizer reserves address space of its own")
@pytest.mark.parametrize("megabytes", [16, 24, 32, 48, 64, 96, 128, 1024])
def test_little_address_space(make_daemon, megabytes):
    daemon = make_daemon(wrap=limited("as", megabytes << 20))
    daemon.spawn()
    wait_until(lambda: daemon.process.poll() is not None or "is ready" in daemon.log(), "an end or a daemon")
    if daemon.process.poll() is None:
        daemon.process.terminate()
        assert daemon.ended() == 0, daemon.log()
    else:
        assert daemon.process.returncode in (1, 2, 127), daemon.log()  # 127: the loader had no room for libraries
    assert megabytes < 1024 or "is ready" in daemon.log()


def test_no_locked_memory(make_daemon):
    assert ends_with_a_reason(make_daemon(wrap=limited("memlock", 0)))


@pytest.mark.parametrize("umask", [0, 0o777])
def test_a_hostile_umask_changes_no_mode(make_daemon, umask):
    daemon = make_daemon(wrap=["sh", "-c", f'umask {umask:o}; exec "$@"', "sh"])
    daemon.start()
    assert stat.S_IMODE(os.stat(daemon.socket).st_mode) == 0o660
    assert stat.S_IMODE(os.stat(daemon.marker).st_mode) & 0o022 == 0
    daemon.process.terminate()
    assert daemon.ended() == 0


def answers(daemon):
    try:
        return bool(daemon.call("GetStatus"))
    except (FileNotFoundError, ConnectionRefusedError):
        return False


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_closed_standard_descriptors(make_daemon, closed):
    """No socket or ring may take the place of a descriptor that something prints to."""
    daemon = make_daemon(wrap=["sh", "-c", f'exec "$@" {closed}', "sh"])
    daemon.spawn()
    wait_until(lambda: daemon.process.poll() is not None or answers(daemon), "the daemon's answer")
    assert daemon.process.poll() is None, daemon.log()
    assert daemon.call("GetStatus")["streams_total"] > 0
    for number in range(3):
        assert not os.readlink(f"/proc/{daemon.process.pid}/fd/{number}").startswith(("socket:", "anon_inode:"))
    daemon.process.terminate()
    assert daemon.ended() == 0


# ---- file systems ----


def inside_mounts(script, **options):
    """In a mount namespace of its own, where $D is an empty directory to mount on."""
    directory = tempfile.mkdtemp(prefix="volleyd-mounts-")
    os.chmod(directory, 0o755)
    try:
        return subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script], capture_output=True, text=True,
                              timeout=60 * SLOW, check=False, env=dict(os.environ, D=directory, VOLLEYD=VOLLEYD, VOLLEYCTL=VOLLEYCTL), **options)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def config_in(directory, sub="run"):
    path = os.path.join(directory, "volleyd.conf")
    with open(path, "w", encoding="utf-8") as out:
        out.write(f'control = {{ socket = "{directory}/{sub}/control.sock"; status_socket = "{directory}/{sub}/status.sock"; }};\n' + CONFIG)
    return path


@pytest.fixture
def config(tmp_path):
    (tmp_path / "run").mkdir()
    return config_in(str(tmp_path))


@ROOT
def test_a_read_only_directory_for_sockets_is_said(config):
    run = os.path.join(os.path.dirname(config), "run")
    done = inside_mounts(f'mount -t tmpfs -o ro tmpfs {run} && exec "$VOLLEYD" -c {config}')
    assert done.returncode == 1 and "Read-only file system" in done.stderr and run in done.stderr, done.stderr


@ROOT
def test_a_full_disk_for_sockets_is_said_or_survived(config):
    run = os.path.join(os.path.dirname(config), "run")
    done = inside_mounts(f"""mount -t tmpfs -o size=4k,nr_inodes=1 tmpfs {run} && exec timeout -k 5 5 "$VOLLEYD" -c {config}""")
    assert done.returncode == 1 and "No space left" in done.stderr, done.stderr
    assert "Sanitizer" not in done.stderr


@ROOT
def test_a_full_disk_for_the_marker_is_survived(config):
    """The sockets fit, the marker's text does not: the daemon runs, ends well and leaves nothing."""
    run = os.path.join(os.path.dirname(config), "run")
    done = inside_mounts(f"""mount -t tmpfs -o size=4k tmpfs {run} && {{ head -c 4096 /dev/zero >{run}/ballast; }} &&
        timeout --preserve-status 3 "$VOLLEYD" -c {config}; code=$?; ls {run}; exit $code""")
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout.split() == ["ballast"], done.stdout + done.stderr
    assert done.returncode == 0 or "No space left" in done.stderr


@ROOT
@pytest.mark.parametrize("options", ["size=4k", "ro"])
def test_a_dry_run_that_cannot_be_written_is_a_failure(config, options):
    done = inside_mounts(f'mount -t tmpfs -o {options} tmpfs "$D" && "$VOLLEYD" -c {config} --dry-run "$D/out.pcap" --frames 1000')
    assert done.returncode == 1, done.stderr
    assert ("No space left" if options != "ro" else "Read-only file system") in done.stderr, done.stderr


@pytest.mark.parametrize("arguments", [["--explain", "voice"], ["--version"], ["--help"]])
def test_standard_output_on_a_full_disk_is_a_failure(config, arguments):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([VOLLEYD, "-c", config, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=20 * SLOW, check=False)
    assert done.returncode == 1 and "No space left" in done.stderr


@ROOT
@pytest.mark.parametrize("options", ["size=4k", "ro"])
def test_a_textfile_of_metrics_that_cannot_be_written_is_a_failure_and_keeps_the_old_one(daemon, options):
    prepare = 'mount -t tmpfs -o size=4k tmpfs "$D" && echo old >"$D/v.prom"' + (' && mount -o remount,ro "$D"' if options == "ro" else "")
    done = inside_mounts(f'{prepare} && {{ "$VOLLEYCTL" --socket {daemon.socket} metrics --textfile "$D/v.prom"; echo $?; cat "$D"/*; }}')
    code, *rest = done.stdout.split("\n")
    assert code == "1" and rest == ["old", ""], done.stdout + done.stderr
    assert ("No space left" if options != "ro" else "Read-only file system") in done.stderr, done.stderr


@pytest.mark.parametrize("form", [[], ["--json"], ["--html"]])
def test_a_report_that_cannot_be_written_is_a_failure(daemon, form):
    daemon.call("Start", streams=["short"])
    wait_until(lambda: daemon.call("Counters")["run"]["state"] == "ended", "the run's end")
    done = subprocess.run([VOLLEYCTL, "--socket", daemon.socket, *(f for f in form if f == "--json"), "report", *(f for f in form if f == "--html"),
                           "--output", "/dev/full"], capture_output=True, text=True, timeout=20 * SLOW, check=False)
    assert done.returncode == 1 and "could not be written: No space left" in done.stdout + done.stderr, done.stdout + done.stderr


@ROOT
@pytest.mark.parametrize("missing", ["/proc", "/sys"])
def test_without_proc_or_sys(config, missing):
    if SANITIZED and missing == "/proc":
        pytest.skip("LeakSanitizer itself needs /proc")
    done = inside_mounts(f'mount -t tmpfs tmpfs {missing} && exec timeout --preserve-status 3 "$VOLLEYD" -c {config}')
    assert done.returncode in (0, 1), done.stderr
    assert "is ready" in done.stderr or done.stderr.strip(), "it ended without a word"
    assert "Sanitizer" not in done.stderr


# ---- time ----


def run_of(daemon):
    return daemon.call("Counters")["run"]


def wall_clock(daemon):
    """The daemon's own: a lease of a minute ends a minute from what it reads."""
    until = daemon.call("Lease", seconds=60)["until"]
    return datetime.datetime.strptime(until[:19], "%Y-%m-%dT%H:%M:%S") - datetime.timedelta(seconds=60)


# faketime moves every absolute timer by the step, those of the monotonic clock too: these go to the kernel as they are.
TIMERS_LEFT_ALONE = """#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>
int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
{
    return (int)syscall(SYS_timerfd_settime, fd, flags, value, old);
}
"""


def faked_clock(directory):
    """What a daemon's environment needs so that its wall clock goes by the file `clock`, and nothing else does."""
    libraries = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not libraries or shutil.which("cc") is None:
        pytest.skip("faketime or a compiler is not installed; on Debian: apt-get install faketime gcc")
    timers = os.path.join(directory, "timers.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", timers, "-x", "c", "-"], input=TIMERS_LEFT_ALONE, text=True, check=True)
    os.chmod(timers, 0o755)
    return {"LD_PRELOAD": f"{timers}:{libraries[0]}", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DISABLE_SHM": "1", "FAKETIME_TIMESTAMP_FILE": os.path.join(directory, "clock")}


def set_clock(daemon, text):
    path = daemon.environment["FAKETIME_TIMESTAMP_FILE"]
    with open(path + ".new", "w", encoding="utf-8") as out:
        out.write(text + "\n")
    os.chmod(path + ".new", 0o644)
    os.replace(path + ".new", path)  # never seen half written


@pytest.mark.skipif(SANITIZED, reason="faketime and the sanitizers both stand in for the C library")
@pytest.mark.parametrize("years", [-10, 10])
def test_a_step_of_the_wall_clock_neither_stops_nor_hurries_traffic(make_daemon, years):
    daemon = make_daemon()
    daemon.environment.update(faked_clock(daemon.directory))
    set_clock(daemon, "+0")
    daemon.spawn()
    try:
        wait_until(lambda: daemon.process.poll() is not None or "is ready" in daemon.log(), "the daemon", 5)
    except AssertionError:
        pytest.skip("the daemon does not start under faketime here")
    if daemon.process.poll() is not None:
        pytest.skip(f"the daemon does not start under faketime here: {daemon.log().strip()[-200:]}")
    daemon.call("Start", streams=["voice"])

    def queued():
        return next(s for s in daemon.call("Counters")["streams"] if s["name"] == "voice")["queued"]

    def stepped():
        return round((wall_clock(daemon) - datetime.datetime.utcnow()).days / 365.25)

    wait_until(lambda: queued() > 50, "traffic")
    assert stepped() == 0
    began, before, ran_ns = time.monotonic(), queued(), run_of(daemon)["elapsed_ns"]
    set_clock(daemon, f"{years:+d}y")
    wait_until(lambda: stepped() == years, "a daemon whose wall clock was stepped")
    wait_until(lambda: queued() > before + 200, "traffic after the step")
    after, elapsed = queued(), time.monotonic() - began
    assert after - before <= 1000 * (elapsed + 0.01) + 32  # the window bound of DESIGN §7 at 1 kpps
    ran_s = (run_of(daemon)["elapsed_ns"] - ran_ns) / 1e9
    assert elapsed - 0.5 * SLOW <= ran_s <= time.monotonic() - began + 0.01, (ran_s, elapsed)
    with daemon.reader() as reader:
        lease = reader.call("GetStatus", limit=0)["lease"]
    assert lease is not None and lease["remaining_ms"] <= 60000  # a lease counts on the other clock too
    daemon.call("Stop")
    daemon.process.terminate()
    assert daemon.ended() == 0, daemon.log()
