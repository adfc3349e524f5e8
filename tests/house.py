#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules of the house, as CONTRIBUTING.md has them: who may include whom, and what no file may hold. Prints TAP."""

import os
import re
import subprocess
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
ORDER = ["base", "config", "packet", "pace", "engine", "analysis", "plan", "run", "control", "daemon", "cli"]
CLI_MAY = {"base", "config", "cli"}
CLI_MAY_ALSO = {"control/varlink.h"}
OWNERS = {  # a header of the outside: which files may know it
    "linux/if_packet.h": r"src/engine/\w*ring\w*\.[ch]$|src/base/geometry\.c$",
    "libconfig.h": r"src/config/from_libconfig\.c$",
    "libmnl/libmnl.h": r"src/run/link\.c$",
    "seccomp.h": r"src/run/confine\.c$",
    "pcap/pcap.h": r"src/plan/dryrun\.c$",
    "pcap.h": r"src/plan/dryrun\.c$",
    "cap-ng.h": r"src/daemon/\w+\.c$",
    "ncurses.h": r"src/cli/top\w*\.[ch]$",
    "curses.h": r"src/cli/top\w*\.[ch]$",
}
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.M)


def files():
    try:
        listed = subprocess.run(["git", "-C", TOP, "ls-files"], capture_output=True, text=True, check=True).stdout.split("\n")
    except (OSError, subprocess.CalledProcessError):
        listed = [os.path.relpath(os.path.join(d, f), TOP) for d, _, names in os.walk(os.path.join(TOP, "src")) for f in names]
    return [f for f in listed if f and os.path.isfile(os.path.join(TOP, f)) and not os.path.islink(os.path.join(TOP, f))]


def text_of(path):
    with open(os.path.join(TOP, path), encoding="utf-8", errors="replace") as text:
        return text.read()


def upward_includes(sources):
    for path in sources:
        folder = path.split("/")[1]
        for header in INCLUDE.findall(text_of(path)):
            other = header.split("/")[0]
            if other not in ORDER:
                continue
            if folder == "cli" and other not in CLI_MAY and header not in CLI_MAY_ALSO:
                yield f"{path} includes {header}: cli may know base, config and control/varlink.h"
            elif ORDER.index(other) > ORDER.index(folder):
                yield f"{path} includes {header}: {other} stands below {folder} in the house"


def foreign_headers(sources):
    for path in sources:
        for header in INCLUDE.findall(text_of(path)):
            if header in OWNERS and not re.search(OWNERS[header], path):
                yield f"{path} includes <{header}>, which belongs to {OWNERS[header]}"


def licence_lines(sources):
    for path in sources:
        if "SPDX-License-Identifier: GPL-2.0-or-later" not in text_of(path)[:200]:
            yield f"{path} has no SPDX line"


def unfinished(sources):
    for path in sources:
        for match in re.finditer(r"\b(TODO|FIXME|XXX|HACK)\b", text_of(path)):
            yield f"{path}: {match[0]}"


def long_functions(sources):
    for path in sources:
        start = 0
        for number, line in enumerate(text_of(path).split("\n"), 1):
            if line.startswith("{"):
                start = number
            elif line.startswith("}") and start:
                if number - start > 100:
                    yield f"{path}:{start}: a function of {number - start} lines"
                start = 0


def machine_paths(tracked):
    words = re.compile("|".join(["/ro" + "ot/", "/wo" + "rk/", "/fa" + "rm/", "bash" + "_jobs"]))
    for path in tracked:
        if path.endswith((".pcap", ".png")) or "/corpus/" in path:
            continue
        for match in words.finditer(text_of(path)):
            yield f"{path}: the path {match[0]} of some machine"


def headers_stand_alone(sources):
    """Each header compiles by itself."""
    for path in sources:
        if not path.endswith(".h"):
            continue
        done = subprocess.run([os.environ.get("CC", "gcc"), "-std=gnu11", "-D_GNU_SOURCE", "-Isrc", "-fsyntax-only", "-x", "c", "-"], cwd=TOP,
                              input=f'#include "{path[4:]}"\n', capture_output=True, text=True, check=False)
        if done.returncode != 0:
            yield f"{path} does not compile alone: {done.stderr.splitlines()[0]}"


def main():
    tracked = files()
    sources = [f for f in tracked if f.startswith("src/") and f.endswith((".c", ".h"))]
    rules = [("folders include only folders above them", upward_includes, sources),
             ("each foreign header has its owner", foreign_headers, sources),
             ("every source names its licence", licence_lines, sources),
             ("nothing is marked unfinished", unfinished, sources),
             ("no function is over 100 lines", long_functions, sources),
             ("headers compile alone", headers_stand_alone, sources),
             ("no path of some machine", machine_paths, tracked)]
    failed = False
    for number, (name, rule, over) in enumerate(rules, 1):
        problems = list(rule(over))
        failed |= bool(problems)
        print(f"{'not ok' if problems else 'ok'} {number} - {name}")
        for problem in problems:
            print(f"#   {problem}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
