# SPDX-License-Identifier: GPL-2.0-or-later
"""The package that `make deb` made: what is in it, how it was compiled, what Debian's checkers say."""

import glob
import hashlib
import os
import re
import shutil
import subprocess

import pytest

from netns import BUILD, SLOW

if "VOLLEYD_DEB" not in os.environ:
    pytest.skip("no package was built; make check-service does", allow_module_level=True)

FILES = """
/etc/volleyd/volleyd.conf
/etc/volleyd/streams.d/example.conf
/etc/volleyd/templates.d/example.conf
/lib/systemd/system/volleyd.service
/lib/systemd/system/volleyd.socket
/lib/systemd/system/volleyd-status.socket
/usr/bin/volleyctl
/usr/sbin/volleyd
/usr/lib/sysctl.d/60-volleyd.conf
/usr/lib/sysusers.d/volleyd.conf
/usr/lib/tmpfiles.d/volleyd.conf
/usr/share/bash-completion/completions/volleyctl
/usr/share/doc/volleyd/examples/10-net-admin.conf
/usr/share/doc/volleyd/examples/demo.conf
/usr/share/man/man1/volleyctl.1.gz
/usr/share/man/man5/volleyd.conf.5.gz
/usr/share/man/man7/volleyd-control.7.gz
/usr/share/man/man8/volleyd.8.gz
""".split()


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="module", name="tree")
def unpacked(deb, tmp_path_factory):
    folder = tmp_path_factory.mktemp("deb")
    subprocess.run(["dpkg-deb", "-R", deb, folder], check=True)
    return folder


def needs(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is missing")


@pytest.mark.parametrize("path", FILES)
def test_file_is_there(tree, path):
    assert (tree / path.lstrip("/")).is_file()


def test_configuration_is_the_administrators(tree):
    assert sorted((tree / "DEBIAN" / "conffiles").read_text().split()) == sorted(f for f in FILES if f.startswith("/etc/"))


def test_no_file_has_privileges_of_its_own(deb):
    for line in run("dpkg-deb", "-c", deb).stdout.splitlines():
        assert re.match(r"[-dl]rw[x-]r-[x-]r-[x-] root/root |lrwxrwxrwx root/root ", line), line


def test_units_name_the_installed_daemon(tree):
    text = (tree / "lib/systemd/system/volleyd.service").read_text()
    assert "ExecStart=/usr/sbin/volleyd\n" in text and "@" not in re.sub(r"(?m)^#.*|@system-service|~?@\w+", "", text)


def test_version_is_that_of_the_programs(deb, tree):
    version = run("dpkg-deb", "-f", deb, "Version").stdout.strip().rpartition("-")[0]
    assert run(tree / "usr/sbin/volleyd", "--version").stdout.strip() == f"volleyd {version}"


def test_manual_is_complete(tree):
    for path in (f for f in FILES if "/man/" in f):
        text = run("zcat", tree / path.lstrip("/")).stdout
        assert ".SH NAME" in text and not re.search(r"^@\w+@$", text, re.M), path


@needs("readelf")
@pytest.mark.parametrize("program", ["usr/sbin/volleyd", "usr/bin/volleyctl"])
def test_program_is_hardened(tree, program):
    dynamic = run("readelf", "-hld", "--wide", tree / program).stdout
    assert re.search(r"Type:\s+DYN", dynamic), "position independent"
    assert "GNU_RELRO" in dynamic and "BIND_NOW" in dynamic
    assert re.search(r"GNU_STACK.* RW ", dynamic), "no executable stack"


@needs("blhc")
def test_every_compiler_was_hardened(deb):
    log = os.path.join(os.path.dirname(deb), "build.log")
    done = run("blhc", "--bindnow", log)
    assert done.returncode == 0, done.stdout[-3000:]


@needs("lintian")
def test_lintian_is_content(deb):
    debs = sorted(glob.glob(os.path.join(os.path.dirname(deb), "*.deb")))
    done = run("lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0", *debs)
    assert done.returncode == 0 and not re.search(r"^[EW]:", done.stdout, re.M), done.stdout + done.stderr


def test_two_builds_give_the_same_bytes(deb, tmp_path):
    done = run("make", "-C", BUILD, "--no-print-directory", "deb", f"DEB_DIR={tmp_path}/again", timeout=400 * SLOW)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for first in glob.glob(os.path.join(os.path.dirname(deb), "*.deb")):
        digests = [hashlib.sha256(open(path, "rb").read()).hexdigest() for path in (first, tmp_path / "again" / os.path.basename(first))]
        assert digests[0] == digests[1], os.path.basename(first)
