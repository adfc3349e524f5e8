# SPDX-License-Identifier: GPL-2.0-or-later
"""A small Debian 12 under a systemd of its own, in a container: what the service tests install the package into.

The tree is made once (VOLLEYD_TREE, or beside the build) and never written to again: each machine has an overlay in memory."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

from netns import BUILD, SLOW, wait_until

RELEASE = "bookworm"
TREE = os.path.abspath(os.environ.get("VOLLEYD_TREE", os.path.join(BUILD, "service-tree")))
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class Impossible(Exception):
    """Why there can be no such machine here."""


def mirror():
    """Where apt gets this release from."""
    done = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", f"Codename: {RELEASE}"],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0 or not done.stdout.strip():
        raise Impossible(f"apt knows no mirror of {RELEASE}")
    return done.stdout.split()[0]


def needed_packages(deb):
    """What the package depends on, without versions; the first of alternatives."""
    depends = subprocess.run(["dpkg-deb", "-f", deb, "Depends"], capture_output=True, text=True, check=True).stdout
    names = {re.split(r"[ (|]", part.strip())[0] for part in depends.split(",")}
    return sorted(names | {"systemd", "systemd-sysv", "dbus"})


def make_tree(deb):
    """The tree, made when it is not there or lacks something."""
    packages = ",".join(needed_packages(deb))
    stamp = TREE + ".packages"
    os.makedirs(os.path.dirname(TREE), exist_ok=True)
    with open(TREE + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(stamp) and open(stamp, encoding="ascii").read() == packages:
            return
        shutil.rmtree(TREE, ignore_errors=True)
        done = subprocess.run(["debootstrap", "--variant=minbase", f"--include={packages}", RELEASE, TREE, mirror()],
                              capture_output=True, text=True, check=False, timeout=400 * SLOW)
        if done.returncode != 0:
            raise Impossible(f"debootstrap cannot make a {RELEASE}: {done.stdout.strip().splitlines()[-1]}")
        with open(stamp, "w", encoding="ascii") as out:
            out.write(packages)


def possible():
    """Raises Impossible, with the reason."""
    if os.geteuid() != 0:
        raise Impossible("not root, so that no machine can be booted")
    for program, package in (("debootstrap", "debootstrap"), ("systemd-nspawn", "systemd-container"), ("nsenter", "util-linux")):
        if shutil.which(program) is None:
            raise Impossible(f"{program} is missing; on Debian: apt-get install {package}")


class Machine:
    """Booted; `close` ends it, and nothing of it is left."""

    def __init__(self, deb):
        possible()
        make_tree(deb)
        self.cursor = None
        self.log = tempfile.NamedTemporaryFile("w+", prefix="volleyd-machine-", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen(
            # Whatever ends us ends the machine.
            ["setpriv", "--pdeathsig", "KILL", "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--console=pipe", "--private-network", "--volatile=overlay",
             "--link-journal=no", f"--bind-ro={deb}:/srv/volleyd.deb", "--boot", "-D", TREE],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        try:
            self.leader = wait_until(self.find_leader, 30, "the machine's first process")
            wait_until(self.is_up, 60, "the machine's start")
        except BaseException:
            self.close()
            raise

    def find_leader(self):
        if self.process.poll() is not None:
            self.log.seek(0)
            raise Impossible(f"systemd-nspawn cannot boot here: {self.log.read().strip().splitlines()[-1:]}")
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as children:
            for child in children.read().split():
                # Others come and go before it.
                with open(f"/proc/{child}/status", encoding="ascii", errors="replace") as status:
                    text = status.read()
                if text.startswith("Name:\tsystemd\n") and re.search(r"^NSpid:.*\t1$", text, re.M):
                    return int(child)
        return None

    def is_up(self):
        # systemd's state counts from when it has loaded its units; a degraded one is a machine as well.
        return self.sh("systemctl is-system-running", check=False).stdout.strip() in ("running", "degraded")

    def run(self, arguments, check=True, text=None):
        done = subprocess.run(["nsenter", "-t", str(self.leader), "-a", "env", "-i", f"PATH={PATH}", "HOME=/root", "LC_ALL=C.UTF-8", *arguments],
                              capture_output=True, text=True, check=False, timeout=60 * SLOW, input=text)
        if check and done.returncode != 0:
            raise AssertionError(f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def sh(self, command, check=True, user=None):
        return self.run((["runuser", "-u", user, "--"] if user else []) + ["sh", "-c", command], check)

    def write(self, path, text):
        self.run(["mkdir", "-p", os.path.dirname(path)])
        self.run(["tee", path], text=text)

    def outside(self, *arguments):
        """A program of this machine in the other's network."""
        return subprocess.run(["nsenter", "-t", str(self.leader), "-n", *arguments], capture_output=True, text=True, check=True).stdout

    def sent(self, interface):
        return json.loads(self.outside("ip", "-j", "-s", "link", "show", interface))[0]["stats64"]["tx"]["packets"]

    def mark_journal(self):
        """What `journal` gives begins here."""
        self.cursor = self.run(["journalctl", "-n0", "--show-cursor"]).stdout.partition("cursor: ")[2].strip()

    def journal(self, **fields):
        """What the daemon wrote, and systemd about it, where the fields are these."""
        self.run(["journalctl", "-q", "--sync"])
        out = self.run(["journalctl", "-q", "-o", "json", "-u", "volleyd", f"--after-cursor={self.cursor}"]).stdout
        entries = [json.loads(line) for line in out.splitlines()]
        return [entry for entry in entries if all(entry.get(name) == value for name, value in fields.items())]

    def show(self, what, unit="volleyd.service"):
        return self.run(["systemctl", "show", "-P", what, unit]).stdout.strip()

    def main_pid(self):
        """The daemon's, as this machine counts."""
        inner, spaces = self.show("MainPID"), os.readlink(f"/proc/{self.leader}/ns/pid")
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
                    same = re.search(rf"^NSpid:.*\t{inner}$", status.read(), re.M)
                if same and os.readlink(f"/proc/{pid}/ns/pid") == spaces:
                    return int(pid)
            except OSError:
                continue
        raise AssertionError(f"no process {inner}")

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.log.close()
