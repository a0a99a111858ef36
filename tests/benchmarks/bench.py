"""`make bench`: sockscope against ss, lsof, netstat, psutil and a bare C dump, in turn, on the same sockets.

Makes its own load (load.py) in a network namespace of its own when root. Prints the table of the design's speed
targets with medians and ratios; `--json FILE` writes the figures. `--quick`: 1,000 and 10,000 sockets, few runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a script: it finds its siblings from tests/

from benchmarks import detail_costs, live_start, load, screen_costs, tools

HERE = Path(__file__).parent
SIZES = (1_000, 10_000, 100_000)
# What each line promises, by number of sockets: ours / theirs at most.
TARGETS: dict[str, dict[int, float]] = {
    "cold --once, /proc owners / ss -tanp": {1_000: 5, 10_000: 1.2, 100_000: 0.22},
    "cold --once, /proc owners / lsof -nP -i": {1_000: 1.5, 10_000: 0.6, 100_000: 0.45},
    "cold --json, BPF owners / ss -tanp": {10_000: 0.9, 100_000: 0.13},
    "steady refresh / ss -tanp": {1_000: 0.2, 10_000: 0.1, 100_000: 0.03},
    "steady refresh, 500 churn/s / ss -tanp": {10_000: 0.2, 100_000: 0.1},
    "steady refresh / bare C dump": {1_000: 4, 10_000: 1.8, 100_000: 1.5},
}
START_S = 2.0  # from the start of the process to the first screen
MEMORY_MIB = {1_000: 90.0, 10_000: 120.0, 100_000: 260.0}  # of the whole live program


@contextmanager
def loaded(sockets: int, churn: float = 0.0) -> Iterator[dict[str, Any]]:
    """The load, standing; ended on the way out."""
    processes = 20 if sockets <= 10_000 else 100
    command = [sys.executable, str(HERE / "load.py"), "--sockets", str(sockets), "--processes", str(processes)]
    with subprocess.Popen([*command, "--churn", str(churn)], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield json.loads(process.stdout.readline())
        process.stdin.close()


def run_steady(*arguments: str) -> dict[str, Any]:
    """One run of steady.py, its figures."""
    command = [sys.executable, str(HERE / "steady.py"), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


def measure(sockets: int, runs: int) -> dict[str, Any]:
    """Every figure at one size."""
    figures: dict[str, Any] = {"sockets": sockets}
    with loaded(sockets):
        there, figures["not_run"] = tools.available(sockets)
        figures["cold_ms"] = tools.time_in_turn(there, runs)
        figures["steady"] = run_steady("--times", str(max(10, runs)))
        figures["bare_dump_ms"] = tools.time_bare_dump(21)
        figures["live"] = live_start.measure(10)
    figures["churn"] = {}
    for rate in (500, 2_000) if sockets == 10_000 else (500,) if sockets > 10_000 else ():
        with loaded(sockets, churn=rate):
            figures["churn"][rate] = run_steady("--times", "10", "--interval", "1", "--check")
    return figures


def ratios(figures: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Each promised line's ratio at this size, where both sides were measured."""
    cold, steady_ms = figures["cold_ms"], figures["steady"]["median_ms"]
    once, full, ss = (cold.get(tool.name) for tool in tools.TOOLS[:3])
    lsof = cold.get("lsof -nP -i")
    lines = list(TARGETS)
    churn = figures["churn"].get(500)
    bare = figures["bare_dump_ms"]
    pairs = [
        (lines[0], once, ss), (lines[1], once, lsof), (lines[2], full, ss), (lines[3], steady_ms, ss),
        (lines[4], churn and churn["median_ms"], ss), (lines[5], steady_ms, bare and bare[0]),
    ]
    for line, ours, theirs in pairs:
        if ours and theirs:
            yield line, ours / theirs


def print_size(figures: dict[str, Any]) -> None:
    """One block of the table."""
    sockets = figures["sockets"]
    print(f"\n{sockets:,} sockets")
    for name, taken in figures["cold_ms"].items():
        print(f"  {name:42} {taken:10,.1f} ms")
    steady = figures["steady"]
    print(f"  {'steady refresh':42} {steady['median_ms']:10,.1f} ms   CPU {steady['cpu_ms']:,.1f} ms, "
          f"{steady['max_rss_mib']:,.0f} MiB at most")
    print_live(figures["live"], sockets)
    if figures["bare_dump_ms"]:
        print(f"  {'bare C dump':42} {figures['bare_dump_ms'][0]:10,.1f} ms")
    for rate, churned in figures["churn"].items():
        print(
            f"  {f'steady refresh, {rate} connections/s churn':42} {churned['median_ms']:10,.1f} ms   "
            f"holders moved a moment later {churned['moved']}, sockets without one {churned['unheld']}"
        )
    for line, ratio in ratios(figures):
        target = TARGETS[line].get(sockets)
        verdict = "" if target is None else f"target {target:g}x  {'met' if ratio <= target else 'NOT MET'}"
        print(f"  {line:42} {ratio:10.3f} x    {verdict}")
    for sentence in figures["not_run"]:
        print(f"  not run: {sentence}")


def print_live(live: dict[str, Any], sockets: int) -> None:
    """The whole program's figures, and what is promised of them."""
    live_start.print_figures(live)
    if sockets not in MEMORY_MIB:
        return
    for what, ours, most, unit in (("start", live["start_s"], START_S, "s"), ("CPU", 100 * live["cpu"], 100.0, "%"),
                                   ("memory", live["peak_mib"], MEMORY_MIB[sockets], "MiB")):
        verdict = "met" if ours <= most else "NOT MET"
        print(f"  {f'the whole program, {what}':42} {ours:10,.1f} {unit:4} target {most:g}  {verdict}")


def main(argv: Sequence[str]) -> int:
    """Measure each size and print as we go."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sizes", type=lambda text: [int(part) for part in text.split(",")])
    parser.add_argument("--runs", type=int)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args(argv)
    own = load.enter_own_namespace()
    load.allow_files(300_000)
    print(f"{platform.platform()}  {os.cpu_count()} cores  Python {platform.python_version()}")
    print(f"network namespace of our own: {'yes' if own else 'no (not root): other sockets of this machine count too'}")
    print(f"PYTHONDONTWRITEBYTECODE: {os.environ.get('PYTHONDONTWRITEBYTECODE', 'not set')}")
    for tool in tools.TOOLS:
        if version := tools.version_of(tool):
            print(f"  {tool.name}: {version}")
    results = []
    for sockets in chosen.sizes or (SIZES[:2] if chosen.quick else SIZES):
        results.append(measure(sockets, chosen.runs or (5 if chosen.quick or sockets > 10_000 else 15)))
        print_size(results[-1])
    detail_costs.main()
    screen_costs.main(["--seconds", "4"] if chosen.quick else ["--sockets", "1000,5000,10000,100000"])
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
