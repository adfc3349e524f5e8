#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules of the house, as CONTRIBUTING.md has them: who may include whom, and what no file may hold. Prints TAP."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

BUILD = os.path.abspath(os.environ.get("VOLLEYD_BUILD", "build"))
NOT_DISTRIBUTED = {".ci/run", ".gitignore"}
MADE = {"etc/volleyd/volleyd.conf"}  # a path of an installed machine
TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
ORDER = ["base", "config", "packet", "pace", "engine", "analysis", "plan", "run", "control", "daemon", "cli"]
CLI_MAY = {"base", "config", "cli"}
CLI_MAY_ALSO = {"control/varlink.h"}
OWNERS = {  # a header of the outside: which files may know it
    "linux/if_packet.h": r"src/engine/(\w*ring\w*|trial)\.[ch]$|src/base/geometry\.c$",
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


def table_names(path, table, row):
    """The first column of a table of C, by the pattern of its rows."""
    return re.findall(row, re.search(rf"{table}\[\] = \{{\n(.*?)^\}};", text_of(path), re.M | re.S)[1], re.M)


def page(name):
    """A manual page as it was made, roff's escapes taken out; empty when it was not made."""
    try:
        with open(os.path.join(BUILD, "man", name), encoding="utf-8") as text:
            return text.read().replace("\\-", "-").replace("\\&", "")
    except FileNotFoundError:
        return ""


def undocumented_keys():
    text = page("volleyd.conf.5")
    for table in re.findall(r"struct key (\w+)_keys\[\] = ", text_of("src/config/schema.c")):
        part = re.search(rf"^\.SS (?:\w+\.)?{table}\n(.*?)(?=^\.S[SH] |\Z)", text, re.M | re.S)
        described = re.findall(r"^\.B (\w+)$", part[1], re.M) if part else []
        for key in table_names("src/config/schema.c", f"{table}_keys", r'^    \{"(\w+)", '):
            if key not in described:
                yield f"volleyd.conf.5 does not have {table}.{key}"


def undocumented_protocols():
    text = page("volleyd.conf.5")
    for path in (f for f in files() if re.match(r"src/packet/proto_\w+\.c$", f)):
        for name in re.findall(r'^    \.name = "(\w+)"', text_of(path), re.M):
            if f"\n.SS {name}\n" not in text:
                yield f"volleyd.conf.5 does not have the protocol {name}"


def undocumented_methods():
    text = page("volleyd-control.7")
    names = table_names("src/control/methods.c", "struct method methods", r'^    \{\.name = "(\w+)"')
    errors = table_names("src/control/methods.c", "struct interface_error errors", r'^    \{"(\w+)", ')
    for name in names + [f"io.volleyd.{error}" for error in errors]:
        if not re.search(rf"^\.(SS|B|BR) \W*{re.escape(name)}\b", text, re.M):
            yield f"volleyd-control.7 does not have {name}"


def undocumented_commands():
    text = page("volleyctl.1")
    for verb in table_names("src/cli/commands.c", "struct command commands", r'^    \{"([a-z]+)", "[^"]*", "'):
        if not re.search(rf'^\.SS "?{verb}\b', text, re.M):
            yield f"volleyctl.1 does not have {verb}"


def faulty_pages():
    """What mandoc and groff find wrong with the pages."""
    for source in (path for path in files() if re.match(r"man/.*\.\d\.in$", path)):
        path = os.path.join(BUILD, source[:-len(".in")])
        for command in (["mandoc", "-T", "lint", "-W", "warning", path], ["groff", "-ww", "-Kutf8", "-t", "-man", "-Tutf8", "-z", path]):
            if shutil.which(command[0]):
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                yield from (done.stdout + done.stderr).splitlines()


def unlisted_in_makefile(tracked):
    makefile = text_of("Makefile.am")
    for path in tracked:
        unit = re.match(r"(tests/unit/test_\w+)\.c$", path)
        if unit and not re.search(rf"^UNIT_TESTS \+= {unit[1]}$", makefile, re.M):
            yield f"{path} is not in UNIT_TESTS"
        if path.startswith("etc/examples/") and not re.search(rf"^\t{re.escape(path)}( \\)?$", makefile, re.M):
            yield f"{path} is not in EXAMPLES"


def untrue_map(tracked):
    """CONTRIBUTING.md's map against the tree: the folders of src in their order, and all of tests."""
    text = text_of("CONTRIBUTING.md")
    mapped = re.findall(r"^\| src/(\w+) \|", text, re.M)
    if mapped != ORDER:
        yield f"CONTRIBUTING.md has the folders {' '.join(mapped)}; the house {' '.join(ORDER)}"
    for folder in sorted({"/".join(path.split("/")[:2]) for path in tracked if re.match(r"(src|tests)/\w+/", path)}):
        if folder not in text:
            yield f"CONTRIBUTING.md does not have {folder}"


def dead_references(tracked):
    """Files and tests that a document names and that are not there."""
    tests = "\n".join(text_of(path) for path in tracked if path.startswith("tests/") and path.endswith((".py", ".c")))
    for document in (path for path in tracked if path.endswith(".md")):
        text = text_of(document)
        for path in sorted(set(re.findall(r"\b(?:src|tests|etc|man|systemd|debian)/[\w./-]*[\w/]", text))):
            if path not in MADE and not any(other == path or other.startswith(path.rstrip("/") + "/") for other in tracked):
                yield f"{document} names {path}, which is not there"
        for name in sorted(set(re.findall(r"\btest_\w+\b(?!\.)", text))):
            if not re.search(rf"\b{name}\b", tests) and not any(re.search(rf"/{name}\.\w+$", path) for path in tracked):
                yield f"{document} names the test {name}, which is not there"


def undistributed(tracked):
    """What `make dist` would leave out."""
    with tempfile.TemporaryDirectory(prefix="volleyd-dist-") as directory:
        folder = os.path.join(directory, "volleyd")
        done = subprocess.run(["make", "-C", BUILD, "distdir", f"distdir={folder}"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            yield from ["make distdir fails:", *done.stderr.splitlines()[-5:]]
            return
        for path in tracked:
            if path not in NOT_DISTRIBUTED and not os.path.exists(os.path.join(folder, path)):
                yield f"{path} is not distributed"


OF_THE_BUILD = {undocumented_keys, undocumented_protocols, undocumented_methods, undocumented_commands, faulty_pages, undistributed}


def main():
    tracked = files()
    sources = [f for f in tracked if f.startswith("src/") and f.endswith((".c", ".h"))]
    rules = [("folders include only folders above them", upward_includes, sources),
             ("each foreign header has its owner", foreign_headers, sources),
             ("every source names its licence", licence_lines, sources),
             ("nothing is marked unfinished", unfinished, sources),
             ("no function is over 100 lines", long_functions, sources),
             ("headers compile alone", headers_stand_alone, sources),
             ("no path of some machine", machine_paths, tracked),
             ("tests and examples are in Makefile.am", unlisted_in_makefile, tracked),
             ("the map is true to the tree", untrue_map, tracked),
             ("what documents name is there", dead_references, tracked),
             ("every key is in its manual page", undocumented_keys, None),
             ("every protocol is in its manual page", undocumented_protocols, None),
             ("every method and error is in its manual page", undocumented_methods, None),
             ("every command is in its manual page", undocumented_commands, None),
             ("manual pages are well-formed", faulty_pages, None),
             ("what is tracked is distributed", undistributed, tracked)]
    failed = False
    for number, (name, rule, over) in enumerate(rules, 1):
        if rule in OF_THE_BUILD and not os.path.exists(os.path.join(BUILD, "Makefile")):
            print(f"ok {number} - {name} # SKIP nothing is built in {BUILD}")
            continue
        problems = list(rule() if over is None else rule(over))
        failed |= bool(problems)
        print(f"{'not ok' if problems else 'ok'} {number} - {name}")
        for problem in problems:
            print(f"#   {problem}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
