# SPDX-License-Identifier: GPL-2.0-or-later
"""The value machines against a slow reference: 100,000 frames of every op, whole and in parts.

The reference counts places with division and looks every value up from its place; the C code does neither."""
import ipaddress
import itertools
import math
import os
import random
import subprocess
from pathlib import Path

import pytest

BUILD = Path(os.environ.get("VOLLEYD_BUILD", "build"))
VALUES = BUILD / "tests/packet/values"
FRAMES = 100_000
SEED = 20240601
WIDTHS = {"mac": 48, "ipv4": 32, "ipv6": 128}
M64 = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15
GROUP_BIT = 1 << 40

pytestmark = pytest.mark.skipif(not VALUES.exists(), reason=f"{VALUES} is not built: make check")


def mix(x):
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & M64
    x = (x ^ x >> 27) * 0x94D049BB133111EB & M64
    return x ^ x >> 31


def draws(seed, place):
    x = mix((mix(seed + GAMMA & M64) + (place + 1) * GAMMA) & M64)
    while True:
        yield x
        x = mix(x + GAMMA & M64)


def evenly(seed, place, count):
    """0 … count-1: from 64 bits by multiplication, from more by masking; unlikely draws are thrown away."""
    drawn = draws(seed, place)
    if count <= 1 << 64:
        for x in drawn:
            if (x * count & M64) >= (1 << 64) % count:
                return x * count >> 64
    ones = (1 << (count - 1).bit_length()) - 1
    while True:
        high, low = next(drawn), next(drawn)
        if ((high << 64 | low) & ones) < count:
            return (high << 64 | low) & ones


def deposit(value, mask):
    out = 0
    for bit in range(128):
        if mask >> bit & 1:
            out |= (value & 1) << bit
            value >>= 1
    return out


class Entry:
    """One entry of vary: text for the C code, and its values by place."""

    def __init__(self, op, width, then=(), flows=None, **keys):
        self.op, self.width, self.then, self.flows, self.keys = op, width, then, flows, keys
        self.bits = WIDTHS.get(width, width)
        limit = (1 << self.bits) - 1
        if op in ("increment", "decrement"):
            self.step = keys.get("step", 1)
            self.first = keys["from"]
            last = keys.get("to", limit if op == "increment" else 0)
            self.period = abs(last - self.first) // self.step + 1
        elif op == "list":
            self.period = len(keys["values"])
        elif op == "pattern":
            size = 1 << bin(keys["mask"]).count("1")
            self.step = keys.get("step", 1)
            self.period = size // math.gcd(self.step, size)
        else:
            self.period = None

    def text(self):
        def word(key, value):
            if key == "values":
                return "( " + ", ".join(f'"{v}"' for v in value) + " )"
            if self.width == "ipv6" and key != "seed":
                return f'"{ipaddress.IPv6Address(value)}"'
            return f'"{value}"'

        width = f'"{self.width}"' if isinstance(self.width, str) else str(self.width)
        parts = [f'op = "{self.op}"', f"width = {width}"]
        parts += [f"{key} = {word(key, value)}" for key, value in self.keys.items()]
        if self.flows:
            parts.append(f"flows = {self.flows}")
        if self.then:
            parts.append("then = ( " + ", ".join(entry.text() for entry in self.then) + " )")
        return "{ " + " ".join(part + ";" for part in parts) + " }"

    def value(self, place):
        if self.op == "increment":
            return self.first + place * self.step
        if self.op == "decrement":
            return self.first - place * self.step
        if self.op == "list":
            return self.keys["values"][place]
        if self.op == "pattern":
            mask = self.keys["mask"]
            size = 1 << bin(mask).count("1")
            return deposit(place * self.step % size, mask) | self.keys.get("from", 0) & ~mask
        seed = self.keys["seed"]
        limit = (1 << self.bits) - 1
        mask, low, high, fixed = limit, self.keys.get("from", 0), self.keys.get("to", limit), 0
        if "mask" in self.keys:
            mask, low, high, fixed = self.keys["mask"], 0, limit, self.keys.get("from", 0)
        elif self.width == "mac":
            fixed = self.keys.get("from", 0)
        if self.width == "mac":
            mask &= ~GROUP_BIT
        return low + evenly(seed, place, high - low + 1) & mask | fixed & limit & ~mask

    def rows(self, times):
        """Values of this entry and its nest after so many advances of it."""
        if self.flows:
            times %= self.flows
        inner = 0 if self.period is None else times // self.period
        place = times if self.period is None else times % self.period
        yield self.value(place)
        for entry in self.then:
            yield from entry.rows(inner)


def machine(config, frames, part=0, parts=1):
    done = subprocess.run([VALUES, "vary", config, str(frames), str(part), str(parts)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [[int(word) for word in line.split()] for line in done.stdout.splitlines()]


def check(entries, frames=FRAMES, part=0, parts=1):
    config = "vary = ( " + ", ".join(entry.text() for entry in entries) + " );"
    got = machine(config, frames, part, parts)
    assert len(got) == frames
    for frame, row in enumerate(got):
        expected = [value for entry in entries for value in entry.rows(part + frame * parts)]
        assert row == expected, f"frame {frame} of part {part} of {parts}: {config}"


OPS = {
    "increment": Entry("increment", 16, **{"from": 5, "to": 60000, "step": 7}),
    "increment 1 bit": Entry("increment", 1, **{"from": 0}),
    "increment 64 bits": Entry("increment", 64, **{"from": M64 - 50000, "step": 3}),
    "increment mac": Entry("increment", "mac", **{"from": 0x020000000000, "to": 0x02000000FFFF}),
    "increment ipv6": Entry("increment", "ipv6", **{"from": 0x20010DB8 << 96, "step": 1 << 60}),
    "decrement": Entry("decrement", 32, **{"from": 50000, "to": 3, "step": 11}),
    "decrement ipv6": Entry("decrement", "ipv6", **{"from": (1 << 127) + 1000, "to": 5}),
    "random": Entry("random", 16, seed=1),
    "random range": Entry("random", "ipv4", seed=7, **{"from": 0xC6120001, "to": 0xC613FFFE}),
    "random 64 bits": Entry("random", 64, seed=2),
    "random most of 64 bits": Entry("random", 64, seed=2, **{"from": 1, "to": 3 << 62}),
    "random mac": Entry("random", "mac", seed=3),
    "random ipv6": Entry("random", "ipv6", seed=4),
    "random ipv6 range": Entry("random", "ipv6", seed=4, **{"from": 1 << 64, "to": 5 << 64}),
    "random mask": Entry("random", 32, seed=5, mask=0x0FF00FF1, **{"from": 0xA000000E}),
    "list": Entry("list", 16, values=[80, 443, 53, 5004, 65535, 0, 1]),
    "pattern": Entry("pattern", 32, mask=0x01010F0F, step=5, **{"from": 0xC0000000}),
    "pattern ipv6": Entry("pattern", "ipv6", mask=0xFF << 120 | 0xFFFF << 56 | 0xF0, step=99),
}


@pytest.mark.parametrize("name", OPS)
def test_every_op_for_a_hundred_thousand_frames(name):
    check([OPS[name]])


@pytest.mark.parametrize("name", OPS)
def test_every_op_in_parts(name):
    for parts in (2, 3, 32):
        check([OPS[name]], 1000, parts - 1, parts)


def random_entry(rng, depth):
    bits = rng.choice([1, 3, 8, 16, 32, 48, 64])
    limit = (1 << bits) - 1
    op = rng.choice(["increment", "decrement", "random", "list", "pattern"])
    keys = {}
    low, high = sorted((rng.randint(0, limit), rng.randint(0, limit)))
    if rng.random() < 0.7:
        high = min(limit, low + rng.randint(0, 20))
    if op == "increment":
        keys = {"from": low, "to": high, "step": rng.randint(1, min(limit, 9))}
    elif op == "decrement":
        keys = {"from": high, "to": low, "step": rng.randint(1, min(limit, 9))}
    elif op == "random":
        keys = {"seed": rng.randint(0, 99), "from": low, "to": high}
    elif op == "list":
        keys = {"values": [rng.randint(0, limit) for _ in range(rng.randint(1, 9))]}
    else:
        mask = rng.randint(1, limit)
        keys = {"mask": mask, "from": low, "step": 1}
    then = []
    if op != "random" and depth < 3 and rng.random() < 0.6:
        then = [random_entry(rng, depth + 1) for _ in range(rng.randint(1, 2))]
    flows = rng.randint(1, 200) if depth == 0 and rng.random() < 0.4 else None
    return Entry(op, bits, then=then, flows=flows, **keys)


def test_random_nests_in_random_parts():
    print("seed", SEED)
    rng = random.Random(SEED)
    for _ in range(150):
        entries = [random_entry(rng, 0) for _ in range(rng.randint(1, 3))]
        parts = rng.choice([1, 1, 2, 3, 5, 8, 31])
        check(entries, 300, rng.randrange(parts), parts)


def test_the_parts_of_a_split_stream_never_repeat_each_other():
    config = 'vary = ( { op = "increment"; width = 16; from = 0; to = 999; } );'
    together = list(itertools.chain.from_iterable(machine(config, 125, part, 8) for part in range(8)))
    assert sorted(row[0] for row in together) == list(range(1000))


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
