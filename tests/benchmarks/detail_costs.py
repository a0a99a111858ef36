"""What details cost on hostile targets: 50,000 watches, 1,000 threads, a poll set that changes all the time.

Run by bench.py at its end, or alone: python tests/benchmarks/detail_costs.py
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from live.hostile import CHANGING, LARGE, MANY_THREADS
from live.targets import by_inode, look, target

from sockscope.collect.detail import LiveDetailReader
from sockscope.collect.expendable import Expendable
from sockscope.model.detail import ON_DEMAND, Wanted

RUNS = 5


def best_ms(act: Callable[[], object]) -> float:
    """The least of some runs, after one to warm up."""
    act()
    took = []
    for _ in range(RUNS):
        start_s = time.perf_counter()
        act()
        took.append(time.perf_counter() - start_s)
    return min(took) * 1000


def read(reader: LiveDetailReader, wanted: Wanted) -> Callable[[], object]:
    """A reading of these details from one snapshot."""
    snapshot = look()
    return lambda: list(reader.read(wanted, snapshot, lambda: False))


def large_set(reader: LiveDetailReader) -> None:
    with target("COUNT = 50000\n" + LARGE) as server:
        pid, path = server.pid, f"/proc/{server.pid}/fdinfo/{server['set']}"
        held = best_ms(lambda: Path(path).read_bytes())
        wanted = Wanted(1, processes=(pid,), facets=frozenset({"watches", ON_DEMAND}), budget_s=30.0)
        print(f"  an epoll set of {server['count']:,} watches, on demand: {best_ms(read(reader, wanted)):.0f} ms, "
              f"of which its mutex is held for {held:.0f} ms")
        for child in server["children"]:
            os.kill(child, signal.SIGKILL)


def many_threads(reader: LiveDetailReader) -> None:
    with target(MANY_THREADS) as server:
        wanted = Wanted(1, processes=(server.pid,), facets=frozenset({"threads"}), budget_s=30.0)
        print(f"  1,000 threads with call, wchan, switches, run time: {best_ms(read(reader, wanted)):.0f} ms")
        key = by_inode(look(), server["inode"]).key
        wanted = Wanted(1, sockets=(key,), facets=frozenset({"waiters"}), budget_s=30.0)
        print(f"  who of 1,000 threads waits on a socket: {best_ms(read(reader, wanted)):.0f} ms")
        for facet in ("marks", "tcp"):
            wanted = Wanted(1, sockets=(key,), facets=frozenset({facet}), budget_s=30.0)
            print(f"  {facet} of one socket: {best_ms(read(reader, wanted)) * 1000:.0f} us")


def changing_poll_set() -> None:
    helper = Expendable()
    with target(CHANGING) as server:
        answers = [helper.ask("memory", "key", "poll_set", server.pid, server["tid"]) for _ in range(5_000)]
        seen = [{fd for fd, _ in answer[1]} for answer in answers if answer is not None]
        torn = sum(fds not in ({server["a"]}, {server["b"]}) for fds in seen)
        print(f"  a poll set of 512 fds that changes 1,000 times a second: {len(seen):,} of {len(answers):,} readings "
              f"answered, {torn} torn")
    helper.close()


def main() -> None:
    """Print them all."""
    print("details:")
    reader = LiveDetailReader(probe=True)
    large_set(reader)
    many_threads(reader)
    changing_poll_set()
    reader.close()


if __name__ == "__main__":
    main()
