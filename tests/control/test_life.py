# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon's life: signals, systemd's protocols, crashes, privileges, and environments that are broken: one clear line, and a code."""

import grp
import os
import pwd
import signal
import socket
import subprocess
import sys

import pytest
from client import SLOW, Error
from conftest import BUILD, CONFIG, VOLLEYD, wait_until

AUTOSTART = CONFIG.replace('name = "voice";', 'name = "voice"; autostart = true;')
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def volleyd(*arguments, **options):
    return subprocess.run([VOLLEYD, *arguments], capture_output=True, text=True, timeout=20 * SLOW, check=False, **options)


def run_state(daemon):
    with daemon.reader() as reader:
        return reader.call("GetStatus", limit=0)["run"]["state"]


# ---- ending ----

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(make_daemon, number):
    daemon = make_daemon().start()
    daemon.call("Start")
    daemon.signal(number)
    assert daemon.ended() == 0
    assert "run 1 ended" in daemon.log()
    assert not any(os.path.exists(p) for p in (daemon.socket, daemon.status_socket, daemon.marker))


def test_a_signal_amid_calls_that_wait(make_daemon):
    daemon = make_daemon().start()
    daemon.call("Start", streams=["voice"])
    clients = [daemon.client() for _ in range(5)]
    for client in clients:
        client.send("Counters", {"interval_ms": 10}, more=True)
        client.reply()
    clients[0].send_bytes(b'{"method":')
    daemon.signal(signal.SIGTERM)
    assert daemon.ended() == 0
    for client in clients:
        client.close()


def test_sighup_reloads(daemon, client):
    daemon.write(CONFIG.replace('"voice"', '"other"'))
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: client.call("GetStatus")["streams"][0]["name"] == "other", "the reload")
    assert f"file {daemon.file} is in force" in daemon.log()


def test_sighup_with_a_bad_file_changes_nothing(daemon, client):
    client.call("Start", streams=["voice"])
    daemon.write(CONFIG.replace("1kpps", "1kbps"))
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: "stays as it was" in daemon.log(), "the complaint")
    assert client.call("GetStatus")["streams"][0]["state"] == "running"


# ---- crashes ----

def test_autostart(make_daemon):
    daemon = make_daemon(AUTOSTART).start()
    wait_until(lambda: run_state(daemon) == "open", "the start")
    daemon.stop()


@root_only
def test_autostart_that_safety_refuses_is_told_and_the_daemon_stays(make_daemon):
    daemon = make_daemon(AUTOSTART.replace('interface = "mock0"; engine = "mock"', 'interface = "none0"; engine = "txring"'))
    daemon.user = {}
    daemon.start()
    wait_until(lambda: "autostart: " in daemon.log(), "the refusal")
    (line,) = [line for line in daemon.log().split("\n") if "autostart: " in line]
    assert "none0 is not in safety.allow" in line, line
    assert run_state(daemon) == "none"
    daemon.stop()


def test_port_without_an_interface_needs_no_permission_and_is_not_warned_of(make_daemon):
    daemon = make_daemon(CONFIG.replace('allow = [ "mock*" ]', 'allow = [ ]')).start()
    assert "not allowed" not in daemon.log()
    daemon.call("Start", streams=["voice"])
    assert run_state(daemon) == "open"
    daemon.stop()


def test_after_a_crash_traffic_stays_stopped_and_the_reason_is_kept(make_daemon):
    daemon = make_daemon(AUTOSTART).start()
    wait_until(lambda: run_state(daemon) == "open", "the start")
    pid = daemon.process.pid
    daemon.signal(signal.SIGKILL)
    daemon.ended()
    assert os.path.exists(daemon.marker) and os.path.exists(daemon.socket)
    os.truncate(daemon.log_path, 0)
    daemon.start()  # and takes the dead one's sockets over
    assert run_state(daemon) == "none"
    (warning,) = [w for w in daemon.call("GetStatus")["configuration"]["warnings"] if "ended without a stop" in w]
    assert f"pid {pid}" in warning
    assert warning.split("volleyd: ")[-1].split(": ", 1)[-1] in daemon.log()
    daemon.call("Start", streams=["voice"])
    daemon.signal(signal.SIGTERM)
    assert daemon.ended() == 0
    os.truncate(daemon.log_path, 0)
    daemon.start()  # after a clean end all is as before
    wait_until(lambda: run_state(daemon) == "open", "the start")
    daemon.stop()


def test_a_marker_that_was_tampered_with(make_daemon):
    daemon = make_daemon(AUTOSTART)
    with open(daemon.marker, "wb") as marker:
        marker.write(b"\x1b[31m\xff" * 500)
    daemon.start()
    assert "\x1b" not in daemon.log() and run_state(daemon) == "none"
    daemon.stop()


def test_two_daemons_on_one_socket(daemon, make_daemon):
    other = make_daemon()
    with open(daemon.file, encoding="utf-8") as mine, open(other.file, "w", encoding="utf-8") as out:
        out.write(mine.read())
    other.spawn()
    assert other.ended() == 1
    assert other.log().rstrip().endswith("another daemon listens there") and os.path.exists(daemon.marker)
    assert run_state(daemon) == "none"


# ---- systemd's protocols ----

class Manager:
    """The receiving end of sd_notify."""

    def __init__(self, directory, user):
        self.path = os.path.join(directory, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(20 * SLOW)
        os.chmod(self.path, 0o666)
        del user

    def next(self, key):
        """The next message with this key; what comes before it is dropped."""
        while True:
            text = self.socket.recv(4096).decode()
            fields = dict(line.split("=", 1) for line in text.split("\n"))
            if key in fields:
                return fields


@pytest.fixture
def managed(make_daemon):
    daemon = make_daemon(environment={"WATCHDOG_USEC": "300000"})
    daemon.manager = Manager(daemon.directory, daemon.user)
    daemon.environment["NOTIFY_SOCKET"] = daemon.manager.path
    daemon.start()
    yield daemon
    daemon.manager.socket.close()


def test_notify(managed):
    manager = managed.manager
    assert manager.next("READY") == {"READY": "1"}
    assert manager.next("STATUS")["STATUS"] == "idle, 2 ports, 15 streams"
    managed.call("Start", streams=["voice"])
    assert manager.next("STATUS")["STATUS"] == "run 1 on 2 ports, 15 streams"
    managed.signal(signal.SIGHUP)
    reloading = manager.next("RELOADING")
    assert reloading["RELOADING"] == "1" and int(reloading["MONOTONIC_USEC"]) > 0
    assert manager.next("READY")["READY"] == "1"
    for _ in range(3):
        assert manager.next("WATCHDOG") == {"WATCHDOG": "1"}
    managed.signal(signal.SIGTERM)
    assert manager.next("STOPPING")["STOPPING"] == "1"
    assert managed.ended() == 0


def test_the_watchdog_starves_when_the_loop_stands(managed):
    managed.manager.next("WATCHDOG")
    managed.signal(signal.SIGSTOP)
    managed.manager.socket.settimeout(1)
    with pytest.raises(TimeoutError):
        while True:
            managed.manager.next("WATCHDOG")
    managed.signal(signal.SIGCONT)
    managed.manager.socket.settimeout(20 * SLOW)
    managed.manager.next("WATCHDOG")
    managed.stop()


def activated(make_daemon, names, sockets):
    """A daemon whose sockets are made here and handed over as fds 3, 4, …; a small Python between sets LISTEN_PID."""
    script = ("import os, sys\nfor i, fd in enumerate(map(int, sys.argv[1].split(','))):\n    os.dup2(fd, 3 + i)\n"
              "os.environ['LISTEN_PID'] = str(os.getpid())\nos.execv(sys.argv[2], sys.argv[2:])")
    numbers = ",".join(str(s.fileno()) for s in sockets)
    daemon = make_daemon(wrap=[sys.executable, "-c", script, numbers], pass_fds=[s.fileno() for s in sockets],
                         environment={"LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": ":".join(names)})
    return daemon


def listeners(tmp_path, names):
    made = []
    for name in names:
        made.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        # Out of the way of the numbers that they are given in the daemon.
        high = socket.socket(fileno=os.dup(made[-1].fileno()) if False else made[-1].detach())
        made[-1] = high
        high.bind(str(tmp_path / name))
        os.chmod(tmp_path / name, 0o666)
        high.listen(5)
    return made


@pytest.fixture
def open_path(tmp_path):
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        os.chmod(parent, 0o755)
    return tmp_path


def test_sockets_from_systemd_have_their_roles_by_name(make_daemon, open_path):
    given = listeners(open_path, ["s", "c"])
    daemon = activated(make_daemon, ["status", "control"], given)
    daemon.start()
    assert not os.path.exists(daemon.socket)
    daemon.socket, daemon.status_socket = str(open_path / "c"), str(open_path / "s")
    daemon.call("Start", streams=["voice"])
    with daemon.reader() as reader:
        with pytest.raises(Error) as caught:
            reader.call("Stop")
        assert caught.value.name == "io.volleyd.ReadOnly"
    daemon.signal(signal.SIGTERM)
    assert daemon.ended() == 0
    assert os.path.exists(daemon.socket), "systemd's socket is systemd's to remove"
    for one in given:
        one.close()


@pytest.mark.parametrize("names, says", [(["other"], "neither control nor status"), (["control", "control"], "two control sockets")])
def test_sockets_from_systemd_that_mean_nothing(make_daemon, open_path, names, says):
    given = listeners(open_path, [str(i) for i in range(len(names))])
    daemon = activated(make_daemon, names, given).spawn()
    assert daemon.ended() == 1 and says in daemon.log()
    for one in given:
        one.close()


# ---- broken environments: one line, and a code ----

def last_line(daemon, code):
    assert daemon.spawn().ended() == code, daemon.log()
    lines = [line for line in daemon.log().split("\n") if line]
    assert "Sanitizer" not in daemon.log()
    return lines[-1], lines


def test_a_socket_path_that_is_too_long(make_daemon):
    daemon = make_daemon()
    daemon.write("")
    with open(daemon.file, "w", encoding="utf-8") as out:
        out.write(f'control = {{ socket = "/tmp/{"x" * 200}/s"; status_socket = "{daemon.status_socket}"; }};\n' + CONFIG)
    line, _ = last_line(daemon, 1)
    assert "at most 107 bytes" in line


def test_a_group_that_is_missing(make_daemon):
    daemon = make_daemon()
    with open(daemon.file, "w", encoding="utf-8") as out:
        out.write(f'control = {{ socket = "{daemon.socket}"; status_socket = "{daemon.status_socket}"; group = "no-such-group"; }};\n' + CONFIG)
    line, _ = last_line(daemon, 1)
    assert "no group `no-such-group`" in line and not os.path.exists(daemon.socket)


def test_a_user_that_is_missing(make_daemon):
    line, _ = last_line(make_daemon(options=["--user", "no-such-user"]), 1)
    assert "no user `no-such-user`" in line


def test_another_user_without_root(make_daemon):
    daemon = make_daemon(options=["--user", "daemon"])
    if not daemon.user and os.geteuid() == 0:
        pytest.skip("the build is out of an ordinary user's reach")
    line, _ = last_line(daemon, 1)
    assert "cannot become user `daemon`" in line


def test_a_directory_that_cannot_be_written(make_daemon):
    daemon = make_daemon()
    if not daemon.user and os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    os.chmod(daemon.directory, 0o555)
    os.chown(daemon.directory, 0, 0) if os.geteuid() == 0 else None
    line, _ = last_line(daemon, 1)
    assert "Permission denied" in line and daemon.socket[:-12] in line


def test_a_port_without_cap_net_raw(make_daemon):
    daemon = make_daemon(CONFIG.replace('engine = "mock"; queues', 'engine = "txring"; queues'))
    if not daemon.user and os.geteuid() == 0:
        pytest.skip("the build is out of an ordinary user's reach")
    line, _ = last_line(daemon, 1)
    assert "CAP_NET_RAW is missing" in line
    assert not os.path.exists(daemon.marker), "this was no crash"


def test_too_few_descriptors(make_daemon):
    daemon = make_daemon(wrap=["prlimit", "--nofile=64:64"])
    line, _ = last_line(daemon, 1)
    assert "descriptors" in line and "128" in line


@root_only
def test_without_proc(make_daemon):
    if os.environ.get("VOLLEYD_SANITIZED"):
        pytest.skip("LeakSanitizer itself needs /proc")
    daemon = make_daemon(wrap=["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"])
    daemon.user = {}
    line, _ = last_line(daemon, 1)
    assert "/proc is not there" in line


def test_a_configuration_that_is_wrong(make_daemon):
    daemon = make_daemon(CONFIG.replace("1kpps", "1kbps"))
    line, lines = last_line(daemon, 2)
    assert "cannot be used as it is" in line and any(f"{daemon.file}:" in one for one in lines)
    assert not os.path.exists(daemon.socket)


def test_closed_standard_streams(make_daemon):
    """No socket takes the place of a closed descriptor, where a message would be written into it."""
    daemon = make_daemon(wrap=["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"])
    daemon.spawn()
    wait_until(lambda: os.path.exists(daemon.socket), "the socket")
    daemon.call("GetStatus")
    assert [os.readlink(f"/proc/{daemon.process.pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3
    daemon.signal(signal.SIGTERM)
    assert daemon.ended() == 0


# ---- privileges ----

def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as text:
        return dict(line.rstrip("\n").split(":\t", 1) for line in text)


@root_only
def test_root_becomes_the_user_and_keeps_the_network_capabilities(make_daemon):
    daemon = make_daemon(options=["--user", "daemon"])
    daemon.user = {}
    os.chown(daemon.directory, pwd.getpwnam("daemon").pw_uid, -1)
    daemon.start()
    status = status_of(daemon.process.pid)
    uid = str(pwd.getpwnam("daemon").pw_uid)
    assert status["Uid"].split() == [uid] * 4
    kept = int(status["CapEff"], 16)
    net_admin, net_raw = 1 << 12, 1 << 13
    assert kept & net_raw and not kept & ~(net_raw | net_admin)
    assert int(status["CapPrm"], 16) == kept and int(status["CapInh"], 16) == int(status["CapAmb"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1" and "0" not in status["Groups"].split()
    daemon.stop()


@root_only
def test_root_without_user_keeps_no_other_capability(make_daemon):
    daemon = make_daemon()
    daemon.user = {}
    daemon.start()
    assert not int(status_of(daemon.process.pid)["CapEff"], 16) & ~(1 << 12 | 1 << 13)
    daemon.stop()


def seccomp_modes(daemon):
    """Of each thread but the first: 0 without a filter, 2 with one."""
    pid = daemon.process.pid
    return [int(status_of(f"{pid}/task/{task}")["Seccomp"]) for task in os.listdir(f"/proc/{pid}/task") if int(task) != pid]


@pytest.mark.parametrize("options, mode", [([], 2), (["--no-confine"], 0)])
def test_threads_that_send_are_confined_unless_told_otherwise(make_daemon, options, mode):
    if "Seccomp" not in status_of("self"):
        pytest.skip("this kernel has no seccomp")
    if int(status_of("self")["Seccomp"]) != 0:
        pytest.skip("a filter is on all that we start")
    daemon = make_daemon(options=options).start()
    daemon.call("Start", streams=["voice", "video"])
    assert run_state(daemon) == "open"
    modes = seccomp_modes(daemon)
    assert modes.count(mode) >= 3 if mode else set(modes) == {0}, modes  # east has two queues, west one
    daemon.stop()


@root_only
def test_control_socket_belongs_to_the_group(make_daemon):
    daemon = make_daemon()
    daemon.user = {}
    group = grp.getgrnam("man")
    with open(daemon.file, "w", encoding="utf-8") as out:
        out.write(f'control = {{ socket = "{daemon.socket}"; status_socket = "{daemon.status_socket}"; group = "man"; }};\n' + CONFIG)
    daemon.start()
    control, status = os.stat(daemon.socket), os.stat(daemon.status_socket)
    assert (control.st_gid, control.st_mode & 0o777) == (group.gr_gid, 0o660)
    assert status.st_mode & 0o777 == 0o666
    daemon.stop()


# ---- the modes that print ----

@pytest.mark.parametrize("part, page", [("control", "volleyd-control.7"), ("conf", "volleyd.conf.5"), ("protocols", "volleyd.conf.5"),
                                        ("options", "volleyd.8"), ("events", "volleyd.8")])
def test_what_the_manual_holds_is_what_the_program_says(part, page):
    done = volleyd("--print-manual", part)
    assert done.returncode == 0 and done.stdout.count("\n") > 10
    with open(os.path.join(BUILD, "man", page), encoding="utf-8") as text:
        assert done.stdout in text.read()


def test_check(make_daemon):
    daemon = make_daemon()
    good = volleyd("-c", daemon.file, "--check")
    assert (good.returncode, good.stdout) == (0, f"{daemon.file}: good: 2 ports, 15 streams\n")
    daemon.write(CONFIG.replace("1kpps", "1kbps").replace("500pps", "500"))
    bad = volleyd("-c", daemon.file, "--check")
    assert bad.returncode == 2 and bad.stdout == ""
    assert len([line for line in bad.stderr.split("\n") if line.startswith(daemon.file + ":")]) >= 2  # all in one pass
    missing = volleyd("-c", "/nonexistent", "--check")
    assert missing.returncode == 2 and "/nonexistent" in missing.stderr


@pytest.mark.parametrize("arguments", [["--nonsense"], ["stray"], ["--check", "--version"], ["--frames", "5"], ["--dry-run"],
                                       ["--frames", "x", "--dry-run", "o"], ["--frames", "0", "--dry-run", "o"], ["--print-manual", "x"]])
def test_wrong_usage(arguments):
    done = volleyd(*arguments)
    assert done.returncode == 2 and done.stderr and not done.stdout


def test_help_lists_every_option_of_the_manual():
    text = volleyd("--help").stdout
    for option in ("--config", "--check", "--dry-run", "--frames", "--explain", "--user", "--no-confine", "--version"):
        assert option in text


def test_explain(make_daemon):
    daemon = make_daemon()
    done = volleyd("-c", daemon.file, "--explain", "voice")
    assert done.returncode == 0 and "198.19.0.1" in done.stdout and "\x1b" not in done.stdout
    assert volleyd("-c", daemon.file, "--explain", "nothing").returncode == 2


def test_dry_run(make_daemon, tmp_path):
    """Read back by Scapy: as many frames as asked for, in order of time, spaced as the rates say."""
    scapy = pytest.importorskip("scapy.utils", reason="Scapy is not here")
    daemon = make_daemon("""
        safety = { allow = [ "mock0" ]; };
        ports = ( { name = "east"; interface = "mock0"; engine = "mock"; } );
        templates = { plain = ( { ethernet = { dst = "02:00:00:00:00:02"; }; }, { ipv4 = { src = "198.18.0.1"; dst = "198.19.0.1"; }; }, { udp = { src = 1; dst = 2; }; } ); };
        streams = ( { name = "a"; port = "east"; template = "plain"; size = 100; rate = "1kpps"; count = 40; phase = "0"; },
                    { name = "b"; port = "east"; template = "plain"; size = 64; rate = "500pps"; duration = "10ms"; phase = "0"; } );""")
    path = str(tmp_path / "out.pcap")
    done = volleyd("-c", daemon.file, "--dry-run", path, "--frames", "1000")
    assert done.returncode == 0, done.stderr
    frames = list(scapy.RawPcapReader(path))
    lengths = [len(data) for data, _ in frames]
    times = [(meta.sec, meta.usec) for _, meta in frames]
    assert lengths.count(96) == 40 and lengths.count(60) == 5
    assert times == sorted(times)
    assert [t for t, n in zip(times, lengths) if n == 96] == [(0, i * 1000000) for i in range(40)]
    assert [t for t, n in zip(times, lengths) if n == 60] == [(0, i * 2000000) for i in range(5)]
    assert volleyd("-c", daemon.file, "--dry-run", path, "--frames", "7").returncode == 0
    assert len(list(scapy.RawPcapReader(path))) == 7
    full = volleyd("-c", daemon.file, "--dry-run", "/dev/full", "--frames", "1000")
    assert full.returncode == 1 and "/dev/full" in full.stderr


def test_a_full_disk_behind_standard_output():
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([VOLLEYD, "--help"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1 and b"standard output" in done.stderr
