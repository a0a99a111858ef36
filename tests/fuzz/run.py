"""Fuzz the parsers, guided by coverage (atheris): `make fuzz`, or `python tests/fuzz/run.py query btf --runs 100000`.

Each target runs in a process of its own. What it learns is kept in .fuzz/NAME/ and used the next time; an input that
breaks a promise is written to .fuzz/NAME.crash-... and fails the run. A line of figures ends each.
"""

from __future__ import annotations

import argparse
import importlib
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
KEPT = ROOT / ".fuzz"
_DONE = re.compile(r"#(\d+)\s+DONE\s+cov: (\d+)")
_LAST = re.compile(r"#(\d+)\s+\w+\s+cov: (\d+)")


class Figures(NamedTuple):
    """What one target's run came to. `inputs` and `coverage` (edges of bytecode) are as libFuzzer counted them."""

    inputs: int
    seconds: float
    coverage: int
    failed: bool


def main() -> int:
    """Run the targets named (all), print the table, return 1 if any broke its promise."""
    sys.path.insert(0, str(TESTS))
    from fuzz.target import NAMES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of: {' '.join(NAMES)}")
    parser.add_argument("--runs", type=int, default=2_000_000, help="inputs a target (2,000,000)")
    parser.add_argument("--seconds", type=int, default=600, help="at most, a target (600)")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.targets) - set(NAMES)
    if unknown:
        parser.error(f"no such target: {min(unknown)}")
    if options.inside:
        fuzz(options.targets[0], options.runs, options.seconds)
    failed = False
    for name in options.targets or NAMES:
        one = run(name, options.runs, options.seconds)
        failed |= one.failed
        end = "BROKEN" if one.failed else "held"
        line = f"{name:<16} {one.inputs:>10,} inputs {one.seconds:>6.0f} s {one.coverage:>6} edges  {end}"
        print(line, flush=True)
    return int(failed)


def run(name: str, runs: int, seconds: int) -> Figures:
    """Fuzz one target in a process of its own."""
    command = [sys.executable, __file__, "--inside", "--runs", str(runs), "--seconds", str(seconds), name]
    begun = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    found = _DONE.findall(done.stderr) or _LAST.findall(done.stderr) or [("0", "0")]
    failed = done.returncode != 0
    if failed:
        print(done.stderr[-6000:], file=sys.stderr)
    return Figures(int(found[-1][0]), time.monotonic() - begun, int(found[-1][1]), failed)


def fuzz(name: str, runs: int, seconds: int) -> None:
    """Never returns: libFuzzer ends the process."""
    from fuzz import target

    atheris = importlib.import_module("atheris")  # has no types, and is not needed to check this file
    with atheris.instrument_imports(include=["sockscope", "tomllib"]):
        loaded = target.load(name)
    corpus = KEPT / name
    corpus.mkdir(parents=True, exist_ok=True)
    arguments = [
        sys.argv[0], f"-runs={runs}", f"-max_total_time={seconds}", f"-max_len={loaded.longest}", "-timeout=20",
        "-rss_limit_mb=2048", f"-artifact_prefix={KEPT / name}.",
    ]
    if loaded.tokens:
        words = KEPT / f"{name}.dict"
        words.write_text("".join(f'"{_escaped(token)}"\n' for token in loaded.tokens), encoding="ascii")
        arguments.append(f"-dict={words}")
    arguments += [str(corpus), str(target.seed_folder(name))]
    with loaded.around():
        atheris.Setup(arguments, loaded.check)
        atheris.Fuzz()


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


if __name__ == "__main__":
    sys.exit(main())
