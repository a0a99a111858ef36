"""The whole program on a pseudo-terminal with the real sockets there are: `python live_start.py [--seconds 15]`.

Prints how long it takes from the start of the process to the first screen that counts the sockets, what it takes of a
core afterwards at the default interval, its helper process included, and the most memory it had.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SIZE = (36, 120)
COUNTED = re.compile(rb"([\d,]+)(?:\x1b\[[\d;]*m)* sockets")
LONGEST_S = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int, float]]:
    """sockscope on a terminal: the process, the terminal's other end, the time it was started at."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, SIZE)
    start_s = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-m", "sockscope", *arguments], stdin=slave, stdout=slave, stderr=slave,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": str(SIZE[1]), "LINES": str(SIZE[0])},
    )
    os.close(slave)
    try:
        yield child, master, start_s
    finally:
        child.terminate()
        drain(master, lambda: child.poll() is not None)
        os.close(master)


def drain(master: int, is_over: Any) -> bytes:
    """Read what it draws until something is so, or nobody waits longer."""
    seen = b""
    end_s = time.perf_counter() + LONGEST_S
    while not is_over() and time.perf_counter() < end_s:
        if select.select([master], [], [], 0.01)[0]:
            try:
                seen += os.read(master, 65_536)
            except OSError:  # EIO: it has closed the terminal
                time.sleep(0.01)
    return seen


def first_count(master: int) -> tuple[int | None, float]:
    """Wait for the first screen that counts sockets; return their number and when it came."""
    seen = b""
    end_s = time.perf_counter() + LONGEST_S
    while time.perf_counter() < end_s:
        if select.select([master], [], [], 0.05)[0]:
            seen += os.read(master, 65_536)
            if found := COUNTED.search(seen):
                return int(found[1].replace(b",", b"")), time.perf_counter()
    return None, time.perf_counter()


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and its living children."""
    total = 0.0
    for one in (pid, *children(pid)):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / _TICKS
    return total


def children(pid: int) -> list[int]:
    """Its children."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def peak_mib(pid: int) -> float:
    """The most memory a process had, VmHWM."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) / 1024


def measure(seconds: float) -> dict[str, Any]:
    """Start it once and watch it for so long."""
    with started() as (child, master, start_s):
        sockets, came_s = first_count(master)
        settled_s = time.perf_counter() + 3.0  # what is read and joined only once is not the steady cost
        drain(master, lambda: time.perf_counter() > settled_s)
        before_s, began_s = cpu_s(child.pid), time.perf_counter()
        drain(master, lambda: time.perf_counter() > began_s + seconds)
        busy = (cpu_s(child.pid) - before_s) / (time.perf_counter() - began_s)
        helpers = sum(map(peak_mib, children(child.pid)))
        return {"sockets": sockets, "start_s": came_s - start_s, "cpu": busy, "peak_mib": peak_mib(child.pid),
                "helpers_mib": helpers}


def print_figures(figures: dict[str, Any]) -> None:
    """One line."""
    counted = "no screen" if figures["sockets"] is None else f"{figures['sockets']:,} sockets on the first screen"
    print(f"  the whole program: {counted} after {figures['start_s']:.2f} s; {figures['cpu']:.0%} of a core at 1 Hz; "
          f"{figures['peak_mib']:.0f} MiB at most, its helper {figures['helpers_mib']:.0f} MiB")


def main(argv: Sequence[str]) -> int:
    """Measure, print; as JSON too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(argv)
    figures = measure(chosen.seconds)
    print(json.dumps(figures)) if chosen.json else print_figures(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
