# SPDX-License-Identifier: GPL-2.0-or-later
"""What a test sees of the wire: tcpdump, with room for all that a test sends.

Each slot of its ring takes a whole snapshot: with the usual length and buffer there are eight, and a busy machine drops the ninth."""

import signal
import struct
import subprocess

import netns

SNAPSHOT, BUFFER_KIB = "2048", "65536"


class Capture:
    """All frames that arrive at an interface, with nanosecond time stamps of their arrival."""

    def __init__(self, net, space, interface, path):
        self.path = path
        self.dump = net.process(space, ["tcpdump", "-i", interface, "-Q", "in", "-w", path, "-U", "--immediate-mode", "-s", SNAPSHOT,
                                        "-B", BUFFER_KIB, "--time-stamp-precision=nano", "-Z", "root"], stderr=subprocess.PIPE)
        assert b"listening" in self.dump.stderr.readline()

    def frames(self, count):
        """(ns, bytes) of each; waits until so many are there."""
        netns.wait_until(lambda: len(self.read()) >= count, 10, f"{count} frames in the capture")
        self.dump.send_signal(signal.SIGINT)
        self.dump.wait()
        return self.read()

    def read(self):
        with open(self.path, "rb") as file:
            data = file.read()
        frames, at = [], 24
        while at + 16 <= len(data):
            seconds, ns, length, _ = struct.unpack_from("<IIII", data, at)
            if at + 16 + length > len(data):
                break
            frames.append((seconds * 10**9 + ns, data[at + 16:at + 16 + length]))
            at += 16 + length
        return frames
