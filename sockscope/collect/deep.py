"""Details of many sockets at once, for a one-shot `--deep`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import structs

from sockscope.collect.detail import SOCKET_FACETS, LiveDetailReader
from sockscope.model.detail import ON_DEMAND, SocketDetail, Wanted
from sockscope.model.gap import Gap
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
