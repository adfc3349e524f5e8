# SPDX-License-Identifier: GPL-2.0-or-later
import os
import pathlib
import subprocess
import types

import pytest

from fake import Fake

HERE = pathlib.Path(__file__).parent
BUILD = pathlib.Path(os.environ.get("VOLLEYD_BUILD", HERE.parent.parent / "build"))
VOLLEYCTL = BUILD / "volleyctl"
SLOW = float(os.environ.get("VOLLEYD_SLOW", "1"))  # a factor for every bound on time
LIMIT = 30 * SLOW


@pytest.fixture
def fake(tmp_path):
    daemon = Fake(tmp_path / "s")
    yield daemon
    daemon.close()


@pytest.fixture
def environment(tmp_path):
    """What volleyctl sees: no terminal, no colour, no daemon of this machine."""
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS")
            if key in os.environ}
    return dict(kept, LC_ALL="C.UTF-8", TERM="dumb", VOLLEYD_SOCKET=str(tmp_path / "s"))


@pytest.fixture
def ctl(environment):
    """Runs volleyctl; gives out, err and code."""

    def run(*words, stdin=""):
        done = subprocess.run([VOLLEYCTL, *map(str, words)], input=stdin, capture_output=True, text=True,
                              env=environment, timeout=LIMIT)
        return types.SimpleNamespace(out=done.stdout, err=done.stderr, code=done.returncode)

    return run


@pytest.fixture
def expect():
    """Compares with tests/cli/expected/NAME; VOLLEYD_RECORD=1 writes it anew, for a look with git diff."""

    def check(name, text):
        path = HERE / "expected" / name
        if os.environ.get("VOLLEYD_RECORD"):
            path.write_text(text)
        assert text == path.read_text(), name

    return check
