# SPDX-License-Identifier: GPL-2.0-or-later
"""The real volleyd on the mock engine, as an ordinary user."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest
from client import SLOW, Client, Interface

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(os.environ.get("VOLLEYD_BUILD", os.path.join(HERE, "..", "..", "build")))
VOLLEYD = os.path.join(BUILD, "volleyd")

TEMPLATE = """
templates = { plain = ( { ethernet = { dst = "02:00:00:00:00:02"; }; }, { ipv4 = { src = "198.18.0.1"; dst = "198.19.0.1"; }; },
                        { udp = { src = 5004; dst = 5004; }; } ); };
"""
CONFIG = """
safety = { allow = [ "mock*" ]; max_rate = "9Gbit/L1"; };
ports = ( { name = "east"; interface = "mock0"; engine = "mock"; queues = 2; }, { name = "west"; interface = "mock1"; engine = "mock"; } );
""" + TEMPLATE + """
streams = (
  { name = "voice"; port = "east"; template = "plain"; rate = "1kpps"; duration = "forever"; },
  { name = "video"; port = "west"; template = "plain"; size = 512; rate = "500pps"; duration = "forever"; },
  { name = "short"; port = "west"; template = "plain"; rate = "1kpps"; count = 100; },
  { name = "flow"; port = "east"; template = "plain"; rate = "10pps"; duration = "forever"; copies = 12; } );
"""


def wait_until(condition, what, seconds=10):
    end = time.monotonic() + seconds * SLOW
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.005)
    raise AssertionError(f"waited in vain for {what}")


def ordinary_user():
    """Arguments for Popen that make the child nobody, where we are root; the build may be out of nobody's reach, then root stays."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    try:
        if subprocess.run([VOLLEYD, "--version"], capture_output=True, check=False, **who).returncode == 0:
            return who
    except PermissionError:
        pass
    return {}


class Daemon:
    def __init__(self, config=CONFIG, options=(), environment=None, pass_fds=(), wrap=()):
        self.directory = tempfile.mkdtemp(prefix="volleyd-control-")
        self.user = ordinary_user()
        if self.user:
            os.chown(self.directory, self.user["user"], self.user["group"])
        self.socket = os.path.join(self.directory, "control.sock")
        self.status_socket = os.path.join(self.directory, "status.sock")
        self.marker = self.socket + ".running"
        self.file = os.path.join(self.directory, "volleyd.conf")
        self.log_path = os.path.join(self.directory, "log")
        self.options, self.environment, self.pass_fds, self.wrap = list(options), environment or {}, pass_fds, list(wrap)
        self.process = None
        self.write(config)

    def write(self, config):
        with open(self.file, "w", encoding="utf-8") as out:
            out.write(f'control = {{ socket = "{self.socket}"; status_socket = "{self.status_socket}"; }};\n' + config)
        os.chmod(self.file, 0o644)

    def spawn(self):
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen([*self.wrap, VOLLEYD, "-c", self.file, *self.options], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=dict(os.environ, **self.environment),
                                            pass_fds=self.pass_fds, **self.user)
        return self

    def start(self):
        self.spawn()
        wait_until(self.is_ready, "the daemon")
        return self

    def is_ready(self):
        assert self.process.poll() is None, f"volleyd ended with {self.process.returncode}:\n{self.log()}"
        return "is ready" in self.log()

    def ended(self, seconds=20):
        return self.process.wait(seconds * SLOW)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as text:
            return text.read()

    def client(self, **options):
        return Client(self.socket, **options)

    def reader(self, **options):
        return Client(self.status_socket, **options)

    def call(self, method, **parameters):
        with self.client() as client:
            return client.call(method, **parameters)

    def signal(self, number):
        self.process.send_signal(number)

    def descriptors(self):
        return sorted(filter(None, (self.link_of(fd) for fd in os.listdir(f"/proc/{self.process.pid}/fd"))))

    def link_of(self, fd):
        try:
            return os.readlink(f"/proc/{self.process.pid}/fd/{fd}")
        except FileNotFoundError:  # closed since it was listed
            return None

    def stop(self):
        """Ends as systemd would; a wrong exit code or a sanitizer's complaint is a failure."""
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.ended()
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        code, log = self.process.returncode, self.log()
        shutil.rmtree(self.directory)
        assert code == 0, f"volleyd ended with {code}:\n{log}"
        assert not re.search(r"Sanitizer|runtime error:", log), log

    def discard(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


@pytest.fixture
def daemon():
    one = Daemon()
    try:
        one.start()
        yield one
        one.stop()
    finally:
        one.discard()


@pytest.fixture
def make_daemon():
    """For daemons that are not meant to start, or to end as they do: these are only cleared away."""
    made = []

    def make(*arguments, **options):
        made.append(Daemon(*arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.discard()


@pytest.fixture
def client(daemon):
    with daemon.client() as one:
        yield one


@pytest.fixture
def interface(daemon):
    with daemon.reader() as reader:
        return Interface(reader.call("org.varlink.service.GetInterfaceDescription", interface="io.volleyd")["description"])
