#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Do tests notice when the code is wrong? `make mutation [MUTATION_S=900] [MUTATION="--mutants 200 --seed 1"]`

    mutation.py BUILD [--mutants N] [--seed N] [--seconds N] [--only src/pace/]

Each mutant is one condition, operator or constant changed in one file. Only that object is compiled and linked before the library
into the test programs that cover it; a program that fails, crashes or does not end kills it. A mutant whose machine code is the
original's is no mutant. Survivors are printed with their lines: each is a hole in the tests, or another way to write the same."""

import argparse
import collections
import concurrent.futures
import os
import random
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
# Which programs cover what, the quickest first; a row's pattern ends with / for a folder.
COVERED = (
    ("src/pace/", ("unit/test_pacer", "unit/test_schedule")),
    ("src/packet/checksum.c", ("unit/test_checksum", "unit/test_packet")),
    ("src/packet/signature.c", ("unit/test_signature",)),
    ("src/packet/payload.c", ("unit/test_payload", "unit/test_packet")),
    ("src/packet/size.c", ("unit/test_size", "unit/test_packet")),
    ("src/packet/vary.c", ("unit/test_vary", "unit/test_packet")),
    ("src/packet/manual.c", ()),
    ("src/packet/", ("unit/test_packet", "unit/test_checksum", "unit/test_signature", "unit/test_vary", "unit/test_plan")),
    ("src/engine/txring.c", ("platform/tx_setup", "platform/tx_status", "platform/tx_paths", "platform/tx_waking", "platform/geometry_random",
                             "platform/txring_faults")),
    ("src/run/counters.c", ("unit/test_counters", "unit/test_sendloop", "unit/test_worker")),
    ("src/run/sendloop.c", ("unit/test_sendloop", "unit/test_worker")),
)
FILES = ("src/pace/", "src/packet/", "src/engine/txring.c", "src/run/counters.c", "src/run/sendloop.c")
SWAPS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&", "+": "-", "-": "+", "*": "+", "/": "*",
         "%": "/", "&": "|", "|": "&", "<<": ">>", ">>": "<<", "+=": "-=", "-=": "+=", "++": "--", "--": "++", "true": "false", "false": "true"}
POINT = re.compile(r"(?<= )(<=|>=|==|!=|&&|\|\||<<|>>|\+=|-=|[<>+*/%&|-])(?= )|\+\+|--|\b(?:true|false)\b|(?<![\w.])(?:0|[1-9]\d*)(?![\w.xX])|(?<=\bif \()(?=\S)")

Mutant = collections.namedtuple("Mutant", "file line column old new")


def masked(text):
    """The text with comments, strings, directives and assertions blanked out, of the same length."""
    for pattern in (r"/\*.*?\*/", r"//[^\n]*", r'"(?:\\.|[^"\\\n])*"', r"'(?:\\.|[^'\\\n])*'", r"^\s*#(?:[^\n]*\\\n)*[^\n]*", r"\b_?(?:static_)?[aA]ssert\(.*?\);",
                    r"_Static_assert\(.*?\);", r"^(?:static )?const [^;{=]*\[[^\]]*\][^;{]*= \{.*?^\};", r"^enum [^;]*;", r"^\s*enum \{[^}]*\};"):
        text = re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.S | re.M if "/\\*" in pattern or "ssert" in pattern or "^" in pattern else 0)
    return text


def mutants_of(file):
    with open(os.path.join(TOP, file), encoding="utf-8") as source:
        text = masked(source.read())
    found, depth = [], 0
    for number, line in enumerate(text.split("\n")):
        if depth > 0:
            for match in POINT.finditer(line):
                old = match[0]
                new = "!" if old == "" else SWAPS[old] if old in SWAPS else str(int(old) + 1)
                found.append(Mutant(file, number, match.start(), old, new))
        depth += line.count("{") - line.count("}")
    return found


def write_mutant(mutant, path):
    with open(os.path.join(TOP, mutant.file), encoding="utf-8") as source:
        lines = source.read().split("\n")
    line = lines[mutant.line]
    end = mutant.column + len(mutant.old)
    if mutant.old == "":  # the whole condition
        depth = 1
        while end < len(line) and depth > 0:
            depth += {"(": 1, ")": -1}.get(line[end], 0)
            end += 1
        if depth > 0:
            return None
        changed = line[:mutant.column] + "!(" + line[mutant.column:end - 1] + ")" + line[end - 1:]
    else:
        changed = line[:mutant.column] + mutant.new + line[end:]
    lines[mutant.line] = changed
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(lines))
    return changed.strip()


class Builder:
    """The commands of a configured build, and the programs as they are."""

    def __init__(self, build):
        self.build = build
        rule = "print-commands:\n\t@echo '$(COMPILE)'; echo '$(CCLD) $(AM_CFLAGS) $(CFLAGS) $(AM_LDFLAGS) $(LDFLAGS)'; echo 'libvolley.a $(VOLLEY_LIBS) $(CMOCKA_LIBS)'\n"
        out = subprocess.run(["make", "-s", "-f", "Makefile", "-f", "-", "print-commands"], input=rule, cwd=build, check=True, capture_output=True,
                             text=True).stdout.strip().split("\n")
        self.compile, self.link, self.libraries = out[-3:]
        self.seconds = {}

    def shell(self, command, seconds=120):
        return subprocess.run(command, shell=True, cwd=self.build, capture_output=True, timeout=seconds, check=False).returncode

    def object(self, source, out):
        """Without line numbers, so that two objects of the same code are the same."""
        return self.shell(f"{self.compile} -w -g0 -O1 -c -o {out} {source}") == 0

    def program(self, name, mutated, out):
        parts = f"tests/{name}.o" + (" tests/platform/fact.o" if name.startswith("platform/") else "")
        return self.shell(f"{self.link} -w -o {out} {parts} {mutated} {self.libraries}") == 0

    def passes(self, path, name):
        began = time.monotonic()
        bound = 5 * self.seconds[name] + 5 if name in self.seconds else 120
        process = subprocess.Popen([path], cwd=self.build, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            code = process.wait(bound)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            return False
        self.seconds.setdefault(name, time.monotonic() - began)
        return code == 0


def programs_of(file):
    return next(programs for pattern, programs in COVERED if file == pattern or (pattern.endswith("/") and file.startswith(pattern)))


def judge(builder, mutant, directory, number):
    """killed, survived, same or broken; and the changed line"""
    base = os.path.join(directory, str(number))
    changed = write_mutant(mutant, base + ".c")
    if changed is None or not builder.object(base + ".c", base + ".o"):
        return "broken", changed
    with open(base + ".o", "rb") as one, open(os.path.join(directory, mutant.file.replace("/", "-") + ".o"), "rb") as other:
        if one.read() == other.read():
            return "same", changed
    outcome = "survived"
    for name in programs_of(mutant.file):
        if not builder.program(name, base + ".o", base) or not builder.passes(base, name):
            outcome = "killed"
            break
    for suffix in ("", ".c", ".o"):
        if os.path.exists(base + suffix):
            os.unlink(base + suffix)
    return outcome, changed


def prepare(builder, files, directory):
    """Every program must pass as it is; one that cannot run here covers nothing."""
    for file in files:
        source = os.path.join(directory, "original.c")
        with open(os.path.join(TOP, file), encoding="utf-8") as text, open(source, "w", encoding="utf-8") as out:
            out.write(text.read())
        if not builder.object(source, os.path.join(directory, file.replace("/", "-") + ".o")):
            raise SystemExit(f"{file} does not compile")
    for name in sorted({name for file in files for name in programs_of(file)}):
        if not builder.passes(os.path.join(builder.build, "tests", name), name):
            raise SystemExit(f"tests/{name} does not pass as it is")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build")
    parser.add_argument("--mutants", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    files = [f for f in subprocess.run(["git", "ls-files", *FILES], cwd=TOP, check=True, capture_output=True, text=True).stdout.split()
             if f.endswith(".c") and f.startswith(options.only) and programs_of(f)]
    candidates = [mutant for file in files for mutant in mutants_of(file)]
    chosen = random.Random(options.seed).sample(candidates, min(options.mutants, len(candidates)))
    print(f"seed {options.seed}: {len(chosen)} of {len(candidates)} mutants in {len(files)} files", flush=True)
    builder, until = Builder(os.path.abspath(options.build)), time.monotonic() + options.seconds
    outcomes, by_folder = collections.Counter(), collections.defaultdict(collections.Counter)
    with tempfile.TemporaryDirectory(prefix="volleyd-mutation-") as directory:
        prepare(builder, files, directory)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            def one(item):
                return ("late", None) if time.monotonic() > until else judge(builder, item[1], directory, item[0])

            for mutant, (outcome, changed) in zip(chosen, pool.map(one, enumerate(chosen))):
                outcomes[outcome] += 1
                by_folder[mutant.file.rpartition("/")[0]][outcome] += 1
                if outcome == "survived":
                    print(f"survived {mutant.file}:{mutant.line + 1}: {mutant.old or 'condition'} → {mutant.new}   {changed}", flush=True)
    for folder, count in sorted(by_folder.items()):
        print(f"{folder:<12} {count['killed']:4} killed {count['survived']:4} survived")
    judged = outcomes["killed"] + outcomes["survived"]
    print(f"{outcomes['killed']} of {judged} killed ({100 * outcomes['killed'] / max(1, judged):.0f} %); {outcomes['same']} changed no code, "
          f"{outcomes['broken']} did not compile, {outcomes['late']} were left out for lack of time")
    return 0 if judged else 1


if __name__ == "__main__":
    sys.exit(main())
