"""Look at the machine for some seconds as the live program does, without a screen, and say what it finds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sockscope.collect.sources import open_source
from sockscope.feed.feed import Feed
from sockscope.feed.result import FeedResult
from sockscope.model.finding import Finding
from sockscope.model.snapshot import Scope, Snapshot

SERIOUS = ("severe", "warning")


def watch(
    pids: set[int], seconds: float, enough: Callable[[list[Finding]], bool] = lambda _: False,
    severities: tuple[str, ...] = SERIOUS,
) -> list[Finding]:
    """Serious findings about sockets of these processes, each rule once, until `enough` or the time is over."""
    found: dict[tuple[str, str], Finding] = {}
    done = threading.Event()

    def deliver(result: FeedResult) -> None:
        assert result.error is None, result.error
        if result.observation is None:
            return
        snapshot = result.observation.snapshot
        for finding in result.observation.findings or ():
            if finding.severity in severities and concerns(finding, pids, snapshot):
                found[finding.rule, str(finding.about)] = finding
        if enough(list(found.values())):
            done.set()

    feed = Feed(open_source(None), Scope(), 1.0, deliver)
    feed.start()
    try:
        done.wait(seconds)
        if done.is_set():
            time.sleep(2)  # a second, wrong finding would come with the next looks
    finally:
        feed.close()
    return list(found.values())


def concerns(finding: Finding, pids: set[int], snapshot: Snapshot) -> bool:
    """Whether it is about these processes: their sockets, or sockets of nobody at their ports."""
    if {int(what) for kind, what in finding.about if kind == "process" and what.isdigit()} & pids:
        return True
    ours = {
        row.local.port for row in snapshot.sockets.values()
        if row.is_inet and any(holder.pid in pids for holder in snapshot.holders_of(row))
    }
    for key in finding.sockets:
        row = snapshot.sockets.get(key)
        if row is None:
            continue
        if any(holder.pid in pids for holder in snapshot.holders_of(row)) or (row.is_inet and row.local.port in ours):
            return True
    return False
