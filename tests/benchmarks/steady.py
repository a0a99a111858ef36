"""Steady refreshes in one process: dump, owners, changes. Prints one JSON line: medians, rows, memory, accuracy.

`python steady.py --times 10 --interval 1 --check` looks once more after each snapshot: `moved` counts holders whose fd is
another socket a moment later (reused since, or wrong before: from outside the two cannot be told apart; tests/live
holds the accuracy test), `unheld` sockets with an inode and no holder.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Sequence

from sockscope.analysis.changes import compare
from sockscope.collect.sources import open_source
from sockscope.model.snapshot import Scope, Snapshot


def count_moved(snapshot: Snapshot) -> tuple[int, int]:
    """Holders that point at another socket now, and sockets without a holder that have an inode."""
    moved = 0
    for inode, holders in snapshot.holders.items():
        for holder in holders:
            try:
                target = os.readlink(f"/proc/{holder.pid}/fd/{holder.fd}")
            except OSError:
                continue  # closed meanwhile
            moved += target != f"socket:[{inode}]"
    unheld = sum(1 for row in snapshot.sockets.values() if row.inode and row.inode not in snapshot.holders)
    return moved, unheld


def main(argv: Sequence[str]) -> int:
    """Refresh, time, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--interval", type=float, default=0.3)
    parser.add_argument("--check", action="store_true", help="count moved and unheld")
    chosen = parser.parse_args(argv)
    source = open_source(None)
    scope = Scope(protocols=frozenset({"tcp"}))
    previous = source.snapshot(scope)
    taken: list[float] = []
    used: list[float] = []
    moved = unheld = 0
    for number in range(chosen.times + 3):
        time.sleep(chosen.interval)
        start, cpu = time.perf_counter(), time.process_time()
        current = source.snapshot(scope)
        compare(previous, current)
        if number >= 3:  # the first ones warm the caches
            taken.append((time.perf_counter() - start) * 1e3)
            used.append((time.process_time() - cpu) * 1e3)
        previous = current
        if chosen.check:
            now_moved, now_unheld = count_moved(current)
            moved, unheld = moved + now_moved, unheld + now_unheld
    source.close()
    result = {
        "median_ms": statistics.median(taken), "worst_ms": max(taken), "cpu_ms": statistics.median(used),
        "rows": len(previous.sockets),
        "max_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "sources": dict(previous.sources), "moved": moved, "unheld": unheld,
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
