"""Details of many sockets at once, for a one-shot `--deep`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import closing

from msgspec import structs

from sockscope.collect.detail import SOCKET_FACETS, LiveDetailReader
from sockscope.model.detail import ON_DEMAND, ProcessDetail, SocketDetail, Wanted
from sockscope.model.gap import Gap
from sockscope.model.process import Thread
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Socket, SocketKey

BUDGET_S = 30.0


def read_deep(
    snapshot: Snapshot, sockets: Iterable[Socket], probe: bool = True
) -> tuple[dict[SocketKey, SocketDetail], tuple[Gap, ...]]:
    """Every facet of these sockets; threads and epoll sets of their holders are read once, large sets too.

    The gaps are those of the details, counted by what and reason. Raises nothing.
    """
    keys = tuple(socket.key for socket in sockets)
    wanted = Wanted(0, sockets=keys, facets=SOCKET_FACETS | {ON_DEMAND}, budget_s=BUDGET_S)
    reader = LiveDetailReader(probe=probe)
    try:
        details = {
            detail.key: detail
            for detail in reader.read(wanted, snapshot, lambda: False)
            if isinstance(detail, SocketDetail)
        }
    finally:
        reader.close()
    gaps = count_gaps(details.values())
    if len(details) < len(keys):
        left = len(keys) - len(details)
        gaps += (Gap("tcp_info", "over_budget", left, f"{left} sockets' details were not read in {BUDGET_S:g} s"),)
    return details, gaps


def read_facts(snapshot: Snapshot, pids: Iterable[int], asked: Collection[int]) -> tuple[Snapshot, tuple[Gap, ...]]:
    """Add all facts of these processes (command, cgroup, limits), and every thread of those `asked` for by --pid.

    Threads are None where none could be read. Raises nothing.
    """
    processes, threads, gaps = dict(snapshot.processes), list[Thread](), list[Gap]()
    was_read = False
    end_s = time.monotonic() + BUDGET_S
    with closing(LiveDetailReader()) as reader:
        for pid in dict.fromkeys((*asked, *pids)):
            facets = frozenset({"process", "threads"} if pid in asked else {"process"})
            wanted = Wanted(0, processes=(pid,), facets=facets, budget_s=max(0.1, end_s - time.monotonic()))
            for detail in reader.read(wanted, snapshot, lambda: False):
                if not isinstance(detail, ProcessDetail):
                    continue
                read = (detail.process, detail.threads)
                gaps += [facet.gap for facet in read if facet is not None and facet.gap is not None]
                if detail.process is not None and detail.process.value is not None:
                    processes[pid] = detail.process.value
                if detail.threads is not None and detail.threads.value is not None:
                    was_read = True
                    threads += detail.threads.value
    found = tuple(threads) if was_read else None
    return structs.replace(snapshot, processes=processes, threads=found), tuple(dict.fromkeys(gaps))


def count_gaps(details: Iterable[SocketDetail]) -> tuple[Gap, ...]:
    """One gap per what and reason over all facets, with the first detail seen. What no kernel could give is no gap."""
    counts: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], Gap] = {}
    for detail in details:
        for read in (detail.tcp, detail.marks, detail.waiters, detail.watches, detail.nonblocking):
            if read is not None and read.gap is not None and read.gap.reason != "unsupported":
                key = (read.gap.what, read.gap.reason)
                counts[key] += 1
                first.setdefault(key, read.gap)
    return tuple(structs.replace(gap, count=counts[key]) for key, gap in first.items())
