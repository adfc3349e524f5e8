#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Do tests notice when the code is wrong? `make mutation [MUTATION_S=900] [MUTATION="--mutants 200 --seed 1"]`

    mutation.py BUILD [--mutants N] [--seed N] [--seconds N] [--only src/pace/]

Each mutant is one condition, operator or constant changed in one file. Only that object is compiled and linked before the library
into the test programs that cover it, the quickest first; the first that fails, crashes or does not end kills it. What survives them
all runs once more with that object under AddressSanitizer and UBSan, as CI runs all tests. A program that needs the kernel or a clock
must fail twice. A mutant whose machine code is the original's is no mutant, nor is one of EQUIVALENT. Survivors are printed
with their lines: each is a hole in the tests, or another way to write the same."""

import argparse
import collections
import concurrent.futures
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
# Which programs cover what, the quickest first; a row's pattern ends with / for a folder. A name that ends with .py is a file of
# pytest, which starts the programs of TOOLS.
PACKET = ("unit/test_packet", "unit/test_field", "unit/test_explain", "unit/test_checksum", "unit/test_signature", "unit/test_vary",
          "unit/test_size", "unit/test_plan", "unit/test_memory_plan")
STACKS = ("packet/test_random_stacks.py", "packet/test_protocols.py")
COVERED = (
    ("src/pace/", ("unit/test_pacer", "unit/test_schedule")),
    ("src/packet/checksum.c", ("unit/test_checksum", "unit/test_packet")),
    ("src/packet/signature.c", ("unit/test_signature",)),
    ("src/packet/payload.c", ("unit/test_payload", "unit/test_packet", "unit/test_memory_plan")),
    ("src/packet/size.c", ("unit/test_size", "unit/test_packet", "unit/test_memory_plan")),
    ("src/packet/vary.c", ("unit/test_vary", "unit/test_packet", "unit/test_memory_plan", "packet/test_vary_reference.py")),
    ("src/packet/nodes.c", ("unit/test_size", "unit/test_payload", "unit/test_vary")),
    ("src/packet/manual.c", ()),
    ("src/packet/", PACKET + STACKS),
    ("src/engine/txring.c", ("platform/txring_opening", "platform/open_faults", "platform/txring_faults")),
    ("src/run/counters.c", ("unit/test_counters", "unit/test_worker", "unit/test_sendloop")),
    ("src/run/sendloop.c", ("unit/test_sendloop", "unit/test_worker")),
)
TIMED = ("platform/", "unit/test_worker", "unit/test_sendloop")
TOOLS = ("packet/frames", "packet/values")
FILES = ("src/pace/", "src/packet/", "src/engine/txring.c", "src/run/counters.c", "src/run/sendloop.c")
UNLESS_ASKED = ("src/run/sendloop.c",)  # only with --only: its tests take long
# Mutants that no test can tell from the original: file, what `function: changed line` holds, why.
EQUIVALENT = (
    ("src/", r"__builtin_prefetch", "a hint to the processor"),
    ("src/", r": char \w+\[\d+\](?:, \w+\[\d+\])*;", "room that nothing fills"),
    ("src/", r"\+ 2, sizeof|\+ 2\) \* sizeof", "memory that nothing uses"),
    ("src/", r"struct err err = \{1\}", "an error that is read only after it was set"),
    ("src/", r"sizeof [\w>.-]+\[1\]", "the size of another member of the same array"),
    ("src/", r"used <= size", "the end of a room, where nothing is written either way"),
    ("src/", r"deal_out: if \(|packet_cursor_prefetch: if \(|^vary_prefetch: ", "whether a hint is given to the processor"),
    ("src/pace/beat.c", r"beat_load_slope\(beat, 0, 2\)", "what zero is divided by"),
    ("src/pace/pacer.c", r"\(struct ratio\)\{2, 0\}", "how often a ratio is infinite"),
    ("src/pace/ramp.c", r"~\(uint128\)1", "how far a sum is past 128 bits"),
    ("src/pace/schedule.c", r"looked != LOOK_AT_MOST", "how long one searches before a bound does"),
    ("src/packet/field.c", r"read_fixed_bytes: uint8_t bytes\[17\]", "room that nothing fills"),
    ("src/packet/field.c", r"format_bytes: .*size \+ 2 \* i", "a bound that a condition has seen to already"),
    ("src/packet/stack.c", r"proto->align >= 1", "whether a number is rounded up to whole ones"),
    ("src/engine/txring.c", r"after_ns <= BACKOFF_LAST_NS", "which of two equals is taken"),
    ("src/packet/compile.c", r"least <= FRAME_MIN_BYTES", "which of two equals is taken"),
    ("src/pace/schedule.c", r"base_ns <= now_ns|time_ns >= schedule->base_ns", "which of two equals is taken"),
    ("src/pace/ramp.c", r": 1;$|\+ 2;$|\+ 2\) / 2\)", "a bound that only has to be high enough"),
    ("src/packet/payload.c", r": -2;", "a number that only has to be below zero"),
    ("src/packet/compile.c", r"\.width = 33|offset = 1, width = 8", "what is read only with bounds or a value of its own"),
    ("src/engine/txring.c", r"bytes <= INT_MAX / 2", "which of two equals is taken"),
    ("src/run/counters.c", r"sequence - 1", "a number that only has to be odd while words are written"),
    ("src/run/counters.c", r"tries = [02];|tries % READS|READS_BEFORE_YIELD != 0", "when a reader that waits lets others run"),
)
SWAPS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&", "+": "-", "-": "+", "*": "+", "/": "*",
         "%": "/", "&": "|", "|": "&", "<<": ">>", ">>": "<<", "+=": "-=", "-=": "+=", "++": "--", "--": "++", "true": "false", "false": "true"}
POINT = re.compile(r"(?<= )(<=|>=|==|!=|&&|\|\||<<|>>|\+=|-=|[<>+*/%&|-])(?= )|\+\+|--|\b(?:true|false)\b|(?<![\w.])(?:0|[1-9]\d*)(?![\w.xX])|(?<=\bif \()(?=\S)")

SANITIZE = "-fsanitize=address,undefined -fno-sanitize-recover=all"

Mutant = collections.namedtuple("Mutant", "file line column old new function")


def masked(text):
    """The text with comments, strings, directives and assertions blanked out, of the same length."""
    for pattern in (r"/\*.*?\*/", r"//[^\n]*", r'"(?:\\.|[^"\\\n])*"', r"'(?:\\.|[^'\\\n])*'", r"^\s*#(?:[^\n]*\\\n)*[^\n]*", r"\b_?(?:static_)?[aA]ssert\(.*?\);",
                    r"_Static_assert\(.*?\);", r"^(?:static )?const [^;{=]*\[[^\]]*\][^;{]*= \{.*?^\};", r"^enum [^;]*;", r"^\s*enum \{[^}]*\};"):
        text = re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.S | re.M if "/\\*" in pattern or "ssert" in pattern or "^" in pattern else 0)
    return text


def mutants_of(file):
    with open(os.path.join(TOP, file), encoding="utf-8") as source:
        text = masked(source.read())
    found, depth, function = [], 0, ""
    for number, line in enumerate(text.split("\n")):
        named = re.search(r"(\w+)\(", line) if depth == 0 else None
        function = named[1] if named and line[:1].strip() else function
        if depth > 0:
            for match in POINT.finditer(line):
                old = match[0]
                new = "!" if old == "" else SWAPS[old] if old in SWAPS else str(int(old) + 1)
                found.append(Mutant(file, number, match.start(), old, new, function))
        depth += line.count("{") - line.count("}")
    return found


def chosen_of(files, seed, count):
    """In the order of a hash over the seed and what is changed, so that other changes of the code choose no others."""
    order = []
    for file in files:
        seen = collections.Counter()
        for mutant in mutants_of(file):
            what = f"{seed} {file} {write_mutant(mutant, None)}"
            seen[what] += 1
            order.append((hashlib.sha256(f"{what} {seen[what]}".encode()).digest(), mutant))
    return [mutant for _, mutant in sorted(order)[:count]], len(order)


def equivalent(mutant, changed):
    """Why no test can tell this changed line from the original, or None."""
    line = f"{mutant.function}: {changed}"
    return next((reason for path, pattern, reason in EQUIVALENT if mutant.file.startswith(path) and re.search(pattern, line)), None)


def write_mutant(mutant, path):
    """The changed line, or None; and the changed file, unless path is None."""
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
    if path is not None:
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
        self.seconds, self.known = {}, {}

    def shell(self, command, seconds=120):
        return subprocess.run(command, shell=True, cwd=self.build, capture_output=True, timeout=seconds, check=False).returncode

    def object(self, source, out):
        """Without line numbers, so that two objects of the same code are the same."""
        return self.shell(f"{self.compile} -w -g0 -O1 -c -o {out} {source}") == 0

    def sanitized(self, source, out):
        return self.shell(f"{self.compile} -w -O1 {SANITIZE} -c -o {out} {source}") == 0

    def parts(self, name):
        """Objects and options of one program, as make knows them."""
        if name not in self.known:
            variable = re.sub(r"\W", "_", f"tests/{name}")
            rule = f"print-parts:\n\t@echo '$({variable}_OBJECTS) $({variable}_LDFLAGS)'\n"
            self.known[name] = subprocess.run(["make", "-s", "-f", "Makefile", "-f", "-", "print-parts"], input=rule, cwd=self.build, check=True,
                                              capture_output=True, text=True).stdout.strip()
        return self.known[name]

    def program(self, name, mutated, out, flags=""):
        return self.shell(f"{self.link} -w {flags} -o {out} {self.parts(name)} {mutated} {self.libraries}") == 0

    def kills(self, name, mutated, base):
        """Whether one program, or file of pytest, notices."""
        if name.endswith(".py"):
            tools = base + ".d/tests"
            os.makedirs(tools + "/packet", exist_ok=True)
            good = all(self.program(tool, mutated, f"{tools}/{tool}") for tool in TOOLS) and self.passes(base + ".d", name)
            shutil.rmtree(base + ".d")
            return not good
        if not self.program(name, mutated, base):
            return True
        return not self.passes(base, name) and (not name.startswith(TIMED) or not self.passes(base, name))

    def passes(self, path, name):
        """A program at path; or pytest, with path as the build directory."""
        began = time.monotonic()
        bound = 4 * self.seconds[name] + 5 if name in self.seconds else 120
        command, settings = [path], dict(os.environ, MALLOC_PERTURB_="165")
        if name.endswith(".py"):
            command = ["/usr/bin/python3", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", os.path.join(HERE, name)]
            settings.update(VOLLEYD_BUILD=path, PYTHONDONTWRITEBYTECODE="1")
        process = subprocess.Popen(command, cwd=self.build, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   start_new_session=True)
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
    """killed, survived, same, broken or why it is equivalent; and the changed line"""
    base = os.path.join(directory, str(number))
    changed = write_mutant(mutant, base + ".c")
    if changed is not None and equivalent(mutant, changed):
        return equivalent(mutant, changed), changed
    if changed is None or not builder.object(base + ".c", base + ".o"):
        return "broken", changed
    with open(base + ".o", "rb") as one, open(os.path.join(directory, mutant.file.replace("/", "-") + ".o"), "rb") as other:
        if one.read() == other.read():
            return "same", changed
    names = programs_of(mutant.file)
    killed = any(builder.kills(name, base + ".o", base) for name in names) or (
        builder.sanitized(base + ".c", base + ".o") and
        any(not builder.passes(base, name) for name in names if name.startswith("unit/") and builder.program(name, base + ".o", base, SANITIZE)))
    for suffix in ("", ".c", ".o"):
        if os.path.exists(base + suffix):
            os.unlink(base + suffix)
    return "killed" if killed else "survived", changed


def prepare(builder, files, directory):
    """Every program must pass as it is; one that cannot run here covers nothing."""
    for file in files:
        source = os.path.join(directory, "original.c")
        with open(os.path.join(TOP, file), encoding="utf-8") as text, open(source, "w", encoding="utf-8") as out:
            out.write(text.read())
        if not builder.object(source, os.path.join(directory, file.replace("/", "-") + ".o")):
            raise SystemExit(f"{file} does not compile")
    for name in sorted({name for file in files for name in programs_of(file)}):
        path = builder.build if name.endswith(".py") else os.path.join(builder.build, "tests", name)
        if not builder.passes(path, name) and not builder.passes(path, name):
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
             if f.endswith(".c") and f.startswith(options.only) and programs_of(f) and (options.only or f not in UNLESS_ASKED)]
    chosen, candidates = chosen_of(files, options.seed, options.mutants)
    print(f"seed {options.seed}: {len(chosen)} of {candidates} mutants in {len(files)} files", flush=True)
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
        share = 100 * count["killed"] / max(1, count["killed"] + count["survived"])
        print(f"{folder:<12} {count['killed']:4} killed {count['survived']:4} survived {share:4.0f} %")
    for reason in dict.fromkeys(row[2] for row in EQUIVALENT):
        if outcomes[reason]:
            print(f"left out {outcomes[reason]}, because they change {reason}")
    judged = outcomes["killed"] + outcomes["survived"]
    print(f"{outcomes['killed']} of {judged} killed ({100 * outcomes['killed'] / max(1, judged):.0f} %); {outcomes['same']} changed no code, "
          f"{outcomes['broken']} did not compile, {outcomes['late']} were left out for lack of time")
    return 0 if judged else 1


if __name__ == "__main__":
    sys.exit(main())
