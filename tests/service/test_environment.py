# SPDX-License-Identifier: GPL-2.0-or-later
"""A daemon that is started in a bad place says so in one clear line and ends with 1 (2 for its configuration).

What an ordinary directory can show is in tests/control/test_life.py; here is what needs namespaces and their kind."""

import os
import socket
import subprocess

import pytest

from netns import BUILD, SLOW

VOLLEYD = os.path.join(BUILD, "volleyd")
MOCK = 'safety = { allow = [ "east0" ]; };\nports = ( { name = "east"; interface = "east0"; engine = "mock"; } );\n'
REAL = 'safety = { allow = [ "lo" ]; };\nports = ( { name = "east"; interface = "lo"; } );\n'
ROOT = os.geteuid() == 0


def in_namespace():
    """Whether mounts can be made here, as root of a user namespace."""
    return subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False).returncode == 0


needs_namespace = pytest.mark.skipif(not in_namespace(), reason="no user namespaces here")


@pytest.fixture(name="start")
def starter(tmp_path):
    """Starts volleyd, which must end by itself; the lines that it said, and its exit code."""

    def start(text, *options, before=(), control="", environment=None):
        paths = "" if "socket" in control else f'socket = "{tmp_path}/control.sock"; status_socket = "{tmp_path}/status.sock"; '
        file = tmp_path / "volleyd.conf"
        file.write_text(f"control = {{ {paths}{control} }};\n{text}")
        os.chmod(tmp_path, 0o755)
        clean = {name: value for name, value in os.environ.items() if name not in ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "JOURNAL_STREAM")}
        done = subprocess.run([*before, VOLLEYD, "-c", str(file), *options], capture_output=True, text=True, check=False,
                              timeout=20 * SLOW, env=dict(clean, **(environment or {})))
        return done.stderr.splitlines(), done.returncode

    return start


def assert_one_line(result, *words, code=1):
    lines, returned = result
    assert returned == code, result
    assert len(lines) == 1 and all(word in lines[0] for word in words), lines


@needs_namespace
def test_read_only_run(start):
    result = start(MOCK, before=["unshare", "-Urm", "sh", "-c", 'mount -t tmpfs -o ro tmpfs /run && exec "$@"', "sh"],
                   control='socket = "/run/volleyd/c.sock"; status_socket = "/run/volleyd/s.sock";')
    assert_one_line(result, "/run/volleyd")


def test_without_the_capability(start):
    drop = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"] if ROOT else []
    assert_one_line(start(REAL, before=drop), "CAP_NET_RAW is missing")


def test_old_kernel(start):
    """The version that setarch --uname-2.6 lets the kernel tell."""
    assert_one_line(start(MOCK, before=["setarch", "--uname-2.6"]), "the kernel is 2.6", "needs 4.9")


def test_configuration_that_is_not_there(start, tmp_path):
    lines, code = start(MOCK, "-c", str(tmp_path / "none.conf"))
    assert code == 2 and "none.conf" in lines[0], lines


def test_configuration_that_may_not_be_read(start, tmp_path):
    (tmp_path / "folder.conf").mkdir()
    lines, code = start(MOCK, "-c", str(tmp_path / "folder.conf"))
    assert code == 2 and "folder.conf" in lines[0], lines


def test_another_daemon_is_there(start, tmp_path):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "status.sock"))
        other.listen()
        assert_one_line(start(MOCK), "another daemon listens")
    assert (tmp_path / "status.sock").exists()


def test_notification_that_nobody_reads_is_no_obstacle(start):
    """A NOTIFY_SOCKET that is wrong must not keep the daemon from saying what is wrong elsewhere."""
    assert_one_line(start(MOCK, control='group = "no-such-group";', environment={"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "soon"}), "no group")


def test_nothing_is_left_after_a_failed_start(start, tmp_path):
    lines, code = start(REAL, before=["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"] if ROOT else [])
    assert code == 1 and lines
    assert sorted(os.listdir(tmp_path)) == ["volleyd.conf"]
