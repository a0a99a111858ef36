"""A soak: the whole app against the kernel while 200 connections a second come and go; its memory, fds and threads.

`python tests/benchmarks/soak.py [SECONDS]` runs headless in a network namespace of its own where that is allowed, works
the keys, prints a line a sample, and ends with 1 unless all three stay flat. The last line is the result as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

from msgspec import Struct, to_builtins

from sockscope.collect.sources import open_source
from sockscope.lab.namespace import enter
from sockscope.lab.stage import NotHereError
from sockscope.tui.app import SockscopeApp
from sockscope.tui.options import TuiOptions

RATE = 200.0
INTERVAL_S = 0.5
KEYS = (
    ("j", "j"), ("pagedown", "k"), ("S", "S"), ("t", "t"), ("p", "p"), ("4", "escape"), ("2", "escape"), ("3", "escape"),
    ("enter", "escape"), ("enter", "3", "escape", "escape"), ("question_mark", "escape"),
    ("slash", *"tcp", "enter", "escape"),
)
CHURNER = Path(__file__).parents[1] / "live" / "churner.py"


class Sample(Struct):
    """What we use at one moment. `kib` with our helper processes; `looks` so far."""

    at_s: float
    kib: int
    helpers: int
    fds: int
    threads: int
    looks: int
    rows: int


def main(seconds: float) -> int:
    with suppress(NotHereError):
        enter()
    churner = subprocess.Popen(
        [sys.executable, str(CHURNER), str(RATE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )
    try:
        assert churner.stdout is not None
        churner.stdout.readline()
        samples = asyncio.run(soak(seconds, churner.pid))
        assert churner.poll() is None, "the churn ended early"
    finally:
        churner.communicate("")
    told = verdict(samples)
    print(json.dumps({**told, "samples": to_builtins(samples[-1])}))
    return 0 if told["flat"] else 1


async def soak(seconds: float, churner: int) -> list[Sample]:
    """Run the app, press keys, sample it 30 times and more."""
    app = SockscopeApp(TuiOptions(interval_s=INTERVAL_S, readonly=True), open_source(None), None)
    keys, samples, begun = random.Random(1), list[Sample](), time.monotonic()
    every_s = min(10.0, seconds / 30)
    async with app.run_test(size=(120, 36)) as pilot:
        while (at_s := time.monotonic() - begun) < seconds:
            await pilot.press(*keys.choice(KEYS))
            await pilot.pause(0.1)
            if at_s >= len(samples) * every_s:
                samples.append(sample(app, at_s, churner))
                print(json.dumps(to_builtins(samples[-1])), flush=True)
        assert app.is_running
    return samples


def sample(app: SockscopeApp, at_s: float, churner: int) -> Sample:
    gc.collect()
    helpers = [pid for pid in children_of(os.getpid()) if pid != churner]
    status = Path("/proc/self/status").read_text(encoding="ascii")
    threads = int(status.partition("\nThreads:")[2].split()[0])
    snapshot = app.session.observation.snapshot if app.session.observation is not None else None
    return Sample(
        round(at_s, 1), sum(resident_kib(pid) for pid in (os.getpid(), *helpers)), len(helpers),
        sum(1 for _ in Path("/proc/self/fd").iterdir()), threads, snapshot.sequence if snapshot else 0,
        len(snapshot.sockets) if snapshot else 0,
    )


def resident_kib(pid: int) -> int:
    with suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") // 1024
    return 0


def children_of(pid: int) -> list[int]:
    text = " ".join(path.read_text(encoding="ascii") for path in Path(f"/proc/{pid}/task").glob("*/children"))
    return [int(word) for word in text.split()]


def verdict(samples: list[Sample]) -> dict[str, object]:
    """Compare the last third with the third before it: by then what is kept for a minute has been kept for long."""
    third = len(samples) // 3
    before, last = samples[third : 2 * third], samples[2 * third :]
    grown_kib = median(each.kib for each in last) - median(each.kib for each in before)
    more_fds = max(each.fds for each in last) - max(each.fds for each in before)
    more_threads = max(each.threads for each in last) - max(each.threads for each in before)
    return {
        "flat": grown_kib < 16 * 1024 and more_fds <= 4 and more_threads <= 2,
        "seconds": round(samples[-1].at_s), "looks": samples[-1].looks,
        "rows": [min(each.rows for each in last), max(each.rows for each in last)],
        "kib": [median(each.kib for each in before), median(each.kib for each in last)],
        "fds": [max(each.fds for each in before), max(each.fds for each in last)],
        "threads": [max(each.threads for each in before), max(each.threads for each in last)],
    }


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 25.0))
