"""Watches one lab scenario as the live screens do and prints what was found: `python watch_scenario.py NAME SECONDS`.

As root in a network namespace of its own, so that what else this machine is doing cannot be mistaken for the scenario's.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Iterator

from sockscope.analysis.memory import EMPTY, remember
from sockscope.analysis.suspects import suspects
from sockscope.collect.sources import open_source
from sockscope.feed.conclude import conclude
from sockscope.lab import namespace
from sockscope.lab.catalogue import SCENARIOS
from sockscope.lab.run import staged
from sockscope.lab.stage import NotHereError
from sockscope.model.detail import ProcessDetail, SocketDetail
from sockscope.model.finding import Finding
from sockscope.model.names import Names
from sockscope.model.observation import Observation
from sockscope.model.snapshot import Scope

PR_SET_PDEATHSIG = 1


def looks(seconds: float, interval_s: float = 1.0) -> Iterator[Observation]:
    """Observations, `interval_s` apart, with the details that the suspects ask for folded in."""
    source = open_source(None)
    reader = source.open_detail()
    details: list[SocketDetail | ProcessDetail] = []
    memory, end_s = EMPTY, time.monotonic() + seconds
    try:
        while time.monotonic() < end_s:
            next_s = time.monotonic() + interval_s
            snapshot = source.snapshot(Scope(namespaces=False))
            memory = remember(memory, snapshot, details)
            yield conclude(memory, snapshot, Names())
            details = list(reader.read(suspects(memory, snapshot, 64), snapshot, lambda: False))
            time.sleep(max(0.0, next_s - time.monotonic()))
    finally:
        reader.close()
        source.close()


def main(name: str, seconds: float) -> int:
    """Print one JSON line: every finding ever seen, with when it first came, and whether it is there at the end."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.geteuid() == 0:
        namespace.enter()
    first: dict[tuple[str, str | None, str], tuple[float, Finding]] = {}
    try:
        with staged(SCENARIOS[name]):
            began_s = time.monotonic()
            last: tuple[Finding, ...] = ()
            for observation in looks(seconds):
                last = observation.findings or ()
                for one in last:
                    first.setdefault((one.rule, one.cause, one.severity), (time.monotonic() - began_s, one))
    except NotHereError as error:
        print(json.dumps({"name": name, "missing": str(error)}))
        return 0
    at_end = {(one.rule, one.cause, one.severity) for one in last}
    found = [
        {"rule": one.rule, "cause": one.cause, "severity": one.severity, "after_s": round(after_s, 1),
         "stays": key in at_end, "also": one.also, "summary": one.summary}
        for key, (after_s, one) in first.items()
    ]
    print(json.dumps({"name": name, "found": found}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
