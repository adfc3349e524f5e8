# SPDX-License-Identifier: GPL-2.0-or-later
"""What this machine can be asked to show just now: on a busy one no gap can be judged, only counts."""

import os
import time

BUSY = "others keep every core busy"


class Others:
    """How many cores were busy for neither the daemon nor this process and its children that have ended, since this was made."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.began, self.before = time.monotonic(), self.busy_s()

    def busy_s(self):
        with open("/proc/stat", encoding="ascii") as stat:
            user, nice, system, _, _, irq, softirq, steal = map(int, stat.readline().split()[1:9])
        ticks = user + nice + system + irq + softirq + steal
        return ticks / os.sysconf("SC_CLK_TCK") - sum(os.times()[:4]) - self.daemon.cpu_seconds()

    def cores(self):
        return (self.busy_s() - self.before) / (time.monotonic() - self.began)


def share_of_a_core(seconds=0.05):
    """How much of a core a thread that only spins gets, by its own clock and by the wall's."""
    wall, own = time.monotonic(), time.thread_time()
    while time.monotonic() - wall < seconds:
        pass
    return (time.thread_time() - own) / (time.monotonic() - wall)


def is_busy():
    """Others want more than what is left beside a sender and a receiver."""
    with open("/proc/loadavg", encoding="ascii") as load:
        wanted = float(load.read().split()[0])
    return wanted > len(os.sched_getaffinity(0)) or share_of_a_core() < 0.9
