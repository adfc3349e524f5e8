#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines that tests reach, folder by folder: `make coverage [COVERAGE="unit control"]`.

    coverage.py BUILD [SUITE…]        a build with --enable-coverage; without suites all but those that only look at text

The ten files with the most lines that nothing reaches are named; the end is a line a folder against its goal. Exit 1 when one is below."""

import collections
import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
SUITES = ("unit", "platform", "control", "cli", "packet", "netns", "service")
GOALS = {"config": 90, "packet": 90, "pace": 90, "control": 90, "engine": 90}
OTHERS = 80


def files_of(build, ending):
    return [os.path.join(folder, name) for folder, _, names in os.walk(build) for name in names if name.endswith(ending)]


def forget(build):
    """No counts yet, and files for them that every process may write: tests run as root, as nobody, and as root without capabilities."""
    for counts in [notes[:-len(".gcno")] + ".gcda" for notes in files_of(build, ".gcno")]:
        with open(counts, "wb"):
            os.chmod(counts, 0o666)


def header(path):
    with open(path, "rb") as file:
        return file.read(12)


def check_counts(build):
    """gcov takes an empty file for a broken one, and says nothing loud of counts whose stamp (the third word) is not that of the notes."""
    for counts in files_of(build, ".gcda"):
        if os.path.getsize(counts) == 0:
            os.unlink(counts)
        elif header(counts)[8:] != header(counts[:-len(".gcda")] + ".gcno")[8:]:
            sys.exit(f"{counts}: counted by a program that was linked before this file was compiled; make clean in {build}")


def lines_reached(build):
    """(file, lines, lines reached)"""
    out = subprocess.run(["gcovr", "--root", TOP, "--object-directory", build, "--filter", os.path.join(TOP, "src") + "/", "--json-summary",
                          "--gcov-ignore-parse-errors", "-j", "2", build], check=True, stdout=subprocess.PIPE, text=True, cwd=build).stdout
    return [(f["filename"], f["line_total"], f["line_covered"]) for f in json.loads(out)["files"] if f["line_total"] > 0]


def folder_of(name):
    return name.split("/")[1]


def main():
    build, suites = os.path.abspath(sys.argv[1]), sys.argv[2:] or SUITES
    if shutil.which("gcovr") is None:
        sys.exit("gcovr is missing: apt-get install gcovr")
    forget(build)
    # Code that is not optimised is slower: bounds in time are scaled. A suite that fails is told, its lines count.
    environment = dict(os.environ, VOLLEYD_BUILD=build, VOLLEYD_SLOW=os.environ.get("VOLLEYD_SLOW", "3"))
    tests = subprocess.run([os.path.join(HERE, "run"), *suites], env=environment, check=False)
    check_counts(build)
    files = lines_reached(build)
    total, reached = collections.Counter(), collections.Counter()
    for name, lines, hit in files:
        total[folder_of(name)] += lines
        reached[folder_of(name)] += hit
    short = 0
    print("least reached: " + ", ".join(f"{name} {lines - hit}" for name, lines, hit in sorted(files, key=lambda f: f[2] - f[1])[:10]))
    print(f"{'folder':<10} {'lines':>6} {'reached':>8} {'goal':>5}")
    for folder in sorted(total):
        goal, share = GOALS.get(folder, OTHERS), 100 * reached[folder] / total[folder]
        short += share <= goal
        print(f"{folder:<10} {total[folder]:6} {share:7.1f}% {goal:4}%  {'below' if share <= goal else 'met'}")
    return 1 if short or tests.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
