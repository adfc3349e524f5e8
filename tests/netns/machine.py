# SPDX-License-Identifier: GPL-2.0-or-later
"""What this machine can be asked to show just now: on a busy one no gap can be judged, only counts."""

import os
import time

BUSY = "others keep every core busy"


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
