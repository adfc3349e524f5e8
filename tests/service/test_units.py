# SPDX-License-Identifier: GPL-2.0-or-later
"""The unit files: what systemd says about them, and what must be in them."""

import configparser
import os
import re
import shutil
import subprocess

import pytest

from netns import BUILD

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SYSTEMD = os.path.join(TOP, "systemd")
EXPOSURE_MAX = 1.3

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")


def read_unit(path):
    """Sections of keys, each with the list of its values."""
    unit, section = {}, None
    with open(path, encoding="utf-8") as lines:
        for line in map(str.strip, lines):
            if line.startswith("["):
                section = unit.setdefault(line.strip("[]"), {})
            elif "=" in line and not line.startswith(("#", ";")):
                key, _, value = line.partition("=")
                section.setdefault(key, []).append(value)
    return unit


@pytest.fixture(scope="module", name="units")
def unit_files(tmp_path_factory):
    """The unit files as they are installed, with the daemon that was built here."""
    folder = tmp_path_factory.mktemp("units")
    for name in ("volleyd.socket", "volleyd-status.socket"):
        shutil.copy(os.path.join(SYSTEMD, name), folder)
    with open(os.path.join(SYSTEMD, "volleyd.service.in"), encoding="utf-8") as text:
        (folder / "volleyd.service").write_text(text.read().replace("@sbindir@", BUILD))
    return folder


@pytest.fixture(scope="module", name="service")
def service_section(units):
    return read_unit(units / "volleyd.service")["Service"]


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", "--no-pager", *arguments], capture_output=True, text=True, check=False)


@needs_systemd
def test_systemd_finds_nothing_wrong(units):
    done = analyze("verify", "--man=no", "--recursive-errors=no", *map(str, sorted(units.iterdir())))
    assert done.returncode == 0 and "volleyd" not in done.stderr, done.stderr


@needs_systemd
def test_exposure_is_low(units):
    done = analyze("security", "--offline=true", str(units / "volleyd.service"))
    level = re.search(r"exposure level for volleyd\.service: ([\d.]+)", done.stdout)
    assert level, done.stdout + done.stderr
    assert float(level[1]) <= EXPOSURE_MAX, done.stdout


@pytest.mark.parametrize("key, value", [
    ("Type", "notify"), ("User", "volleyd"), ("CapabilityBoundingSet", "CAP_NET_RAW"), ("AmbientCapabilities", "CAP_NET_RAW"),
    ("NoNewPrivileges", "yes"), ("ProtectSystem", "strict"), ("ProtectHome", "yes"), ("PrivateTmp", "yes"), ("PrivateDevices", "yes"),
    ("PrivateMounts", "yes"), ("ProtectProc", "invisible"), ("MemoryDenyWriteExecute", "yes"), ("RestrictNamespaces", "yes"),
    ("RestrictSUIDSGID", "yes"), ("Restart", "on-failure"), ("RestartPreventExitStatus", "2"), ("RuntimeDirectoryPreserve", "yes"),
    ("RestrictAddressFamilies", "AF_PACKET AF_NETLINK AF_UNIX"), ("SystemCallArchitectures", "native"),
])
def test_key_is_there(service, key, value):
    assert service.get(key) == [value]


def test_configuration_is_checked_before_start_and_reload(service):
    assert service["ExecStartPre"] == [f"{BUILD}/volleyd --check"]
    assert service["ExecReload"][0] == f"{BUILD}/volleyd --check"


def test_watchdog_is_on(service):
    assert re.fullmatch(r"\d+s", service["WatchdogSec"][0])


def test_workers_may_be_pinned_and_confined(service):
    assert service["SystemCallFilter"][-1].split() == ["sched_setaffinity", "seccomp"]


@pytest.mark.parametrize("name, role, mode", [("volleyd.socket", "control", "0660"), ("volleyd-status.socket", "status", "0666")])
def test_socket_has_its_role(units, name, role, mode):
    socket = read_unit(units / name)["Socket"]
    assert socket["ListenStream"] == [f"/run/volleyd/{role}.sock"]
    assert (socket["FileDescriptorName"], socket["SocketMode"]) == ([role], [mode])
    assert (socket["SocketUser"], socket["SocketGroup"]) == (["root"], ["volleyd"])


def test_who_may_only_look_cannot_start_the_daemon(units):
    unit = read_unit(units / "volleyd-status.socket")
    assert "Install" not in unit and unit["Unit"]["StopWhenUnneeded"] == ["yes"]


def test_more_capability_is_an_example_only():
    drop_in = configparser.ConfigParser()
    drop_in.optionxform = str
    drop_in.read(os.path.join(SYSTEMD, "10-net-admin.conf"))
    assert set(drop_in["Service"].items()) == {("AmbientCapabilities", "CAP_NET_ADMIN"), ("CapabilityBoundingSet", "CAP_NET_ADMIN")}


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is missing")
def test_user_and_directory_can_be_made(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "run").mkdir()
    for program, more, folder in (("systemd-sysusers", [], "sysusers.d"), ("systemd-tmpfiles", ["--create"], "tmpfiles.d")):
        done = subprocess.run([program, f"--root={tmp_path}", *more, os.path.join(SYSTEMD, folder, "volleyd.conf")],
                              capture_output=True, text=True, check=False)
        if os.geteuid() == 0:
            assert done.returncode == 0, done.stderr
        else: # only root may give files away; what is written wrongly is said first
            assert ".conf:" not in done.stderr, done.stderr
    if os.geteuid() == 0:
        assert re.search(r"^volleyd:x:\d+:\d+:", (tmp_path / "etc" / "passwd").read_text(), re.M)
        assert (tmp_path / "run" / "volleyd").is_dir()


def test_sysctl_raises_a_limit_that_exists():
    with open(os.path.join(SYSTEMD, "sysctl.d", "60-volleyd.conf"), encoding="ascii") as text:
        settings = [line.split(" = ") for line in text.read().splitlines() if line and not line.startswith("#")]
    assert [key for key, _ in settings] == ["net.core.wmem_max"]
    assert 1 << 20 < int(settings[0][1]) < 1 << 30


def test_installed_configuration_is_good_and_allows_nothing():
    done = subprocess.run([os.path.join(BUILD, "volleyd"), "--check", "-c", os.path.join(TOP, "etc", "volleyd.conf")],
                          capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "") and "0 ports, 0 streams" in done.stdout


def test_templates_and_streams_come_from_files_in_order(tmp_path):
    shutil.copytree(os.path.join(TOP, "etc"), tmp_path / "etc")
    file = tmp_path / "etc" / "volleyd.conf"
    file.write_text(file.read_text().replace("ports = ( );", 'ports = ( { name = "east"; interface = "east0"; engine = "mock"; } );'))
    (tmp_path / "etc" / "templates.d" / "plain.conf").write_text('plain = ( { ethernet = { dst = "02:00:00:00:00:02"; }; } );\n')
    for name in ("20-b", "10-a"):
        (tmp_path / "etc" / "streams.d" / f"{name}.conf").write_text(f'{{ name = "{name[3:]}"; port = "east"; template = "plain"; }},\n')
    done = subprocess.run([os.path.join(BUILD, "volleyd"), "-c", str(file), "--explain", "b"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (tmp_path / "etc" / "streams.d" / "15-bad.conf").write_text("{ name = 7; },\n")
    done = subprocess.run([os.path.join(BUILD, "volleyd"), "-c", str(file), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "streams.d/15-bad.conf:1: streams[1].name" in done.stderr, done.stderr


def test_what_security_md_relies_on_exists():
    with open(os.path.join(TOP, "SECURITY.md"), encoding="utf-8") as text:
        claims = re.findall(r"(tests/[\w./]+\.(?:py|c)): ((?:\w+(?:, )?)+)", text.read())
    assert len(claims) > 20
    for path, names in claims:
        with open(os.path.join(TOP, path), encoding="utf-8") as source:
            text = source.read()
        for name in names.split(", "):
            assert re.search(rf"\b{name}\(", text), f"{path}: {name}"
