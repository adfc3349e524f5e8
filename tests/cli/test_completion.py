# SPDX-License-Identifier: GPL-2.0-or-later
"""Completion driven in real shells, with names that come from the (fake) daemon; the manual."""
import re
import shutil
import subprocess

import pytest

from conftest import BUILD, LIMIT, VOLLEYCTL

BASH = r'''
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
[[ $(complete -p volleyctl) == *_volleyctl* ]] || exit 3
_volleyctl
printf '%s\n' "${COMPREPLY[@]}"
'''


@pytest.fixture
def bash(environment):
    def complete(*words):
        # Under its own name, as a user has it in PATH.
        done = subprocess.run(["bash", "-uc", BASH, "bash", BUILD / "etc/completions/volleyctl", "volleyctl", *words],
                              capture_output=True, text=True, timeout=LIMIT,
                              env=dict(environment, PATH=f"{BUILD}:{environment['PATH']}"))
        assert (done.returncode, done.stderr) == (0, "")
        return sorted(done.stdout.split())

    return complete


def test_commands(bash):
    assert bash("st") == ["start", "status", "stop"]
    assert bash("--json", "--timeout", "3", "re") == ["reload", "report", "resume"]
    assert "describe" not in bash("") and "top" in bash("")


def test_stream_and_port_names_are_live(bash, fake):
    assert bash("start", "v") == ["video", "voice"]
    assert bash("start", "--port", "") == bash("start", "-p", "") == bash("send", "") == ["east", "west"]
    assert bash("status", "") == ["east", "video", "voice", "west"]
    assert bash("send", "east", "--packet", "vo") == ["voice"]
    fake.answers["GetStatus"] = fake.HANG
    assert bash("start", "--port", "") == [], "a daemon that hangs does not hang the shell"


def test_without_a_daemon_nothing_is_offered(bash):
    assert bash("start", "") == []


def test_named_socket_is_asked(bash, fake, environment):
    environment.pop("VOLLEYD_SOCKET")
    assert bash("--socket", fake.path, "start", "vo") == ["voice"]


def test_options_are_the_command_s_and_the_global_ones(bash):
    assert bash("start", "--ma") == ["--max-skew"]
    assert bash("start", "--js") == ["--json"]
    assert bash("start", "--clock", "t") == ["tai"]
    assert bash("stop", "--ma") == []


def test_files(bash, tmp_path, monkeypatch):
    (tmp_path / "test.conf").touch()
    assert bash("apply", f"{tmp_path}/te") == [f"{tmp_path}/test.conf"]


def test_zsh(fake, environment):
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    pexpect = pytest.importorskip("pexpect")
    environment = dict(environment, TERM="dumb", PATH=f"{BUILD}:{environment['PATH']}")
    zsh = pexpect.spawn("zsh", ["-f", "-i"], env=environment, encoding="utf-8", timeout=LIMIT, dimensions=(40, 200))
    zsh.sendline(f"PS1='ready> '; fpath=({BUILD}/etc/completions $fpath); autoload -U compinit; "
                 "compinit -u -D; zstyle ':completion:*' list-prompt ''; LISTMAX=1000; echo com''plete")
    zsh.expect("complete\r")
    for typed, found in [("volleyctl stat\t", "status "), ("volleyctl pause voi\t", "voice "),
                         ("volleyctl send ea\t", "east "), ("volleyctl start --max\t", "--max-skew "),
                         ("volleyctl start --clock t\t", "tai "), ("volleyctl --soc\t", "--socket ")]:
        zsh.expect("ready> ")
        zsh.send(typed)
        zsh.expect(re.escape(found))
        zsh.sendcontrol("u")
        zsh.sendline("")
    zsh.sendline("exit")
    zsh.expect(pexpect.EOF)


def test_manual_names_every_command_and_option():
    if shutil.which("man") is None and shutil.which("mandoc") is None:
        pytest.skip("no man here")
    manual = (BUILD / "man/volleyctl.1").read_text().replace("\\-", "-")
    help_text = subprocess.run([VOLLEYCTL, "--help"], capture_output=True, text=True).stdout
    for verb in re.findall(r"^  ([a-z]+)  ", help_text.split("Options")[0], re.M):
        assert f'.SS "{verb}' in manual
        own = subprocess.run([VOLLEYCTL, verb, "--help"], capture_output=True, text=True).stdout
        for option in re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", own, re.M):
            assert option in manual
    assert "@" not in re.sub(r"\S+@\S+\.\S+", "", manual)


def test_what_is_installed_is_what_the_table_says(ctl):
    for form, file in (("roff", "man/volleyctl.1"), ("bash", "etc/completions/volleyctl"), ("zsh", "etc/completions/_volleyctl")):
        part = ctl("describe", form)
        assert part.code == 0 and len(part.out) > 1000 and part.out in (BUILD / file).read_text(), file
    wrong = ctl("describe", "fish")
    assert (wrong.code, wrong.out) == (2, "") and "roff, bash or zsh" in wrong.err


def test_manual_is_clean_roff():
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    done = subprocess.run(["groff", "-t", "-man", "-ww", "-Tutf8", "-rLL=100n", BUILD / "man/volleyctl.1"],
                          capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0 and done.stderr == ""
