"""The detail lane: readings that may hang, in a thread of their own (design.md section 1, DetailReader).

A reader that is silent for SILENCE_S is abandoned with its thread, the first key it had not answered is left alone
for QUARANTINE_S, and a fresh reader takes over. After MOST_ABANDONED of them the facets asked for are off for good,
and a gap says so. Nobody waits for this lane: whoever submits takes later what has come.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from msgspec import structs

from sockscope.model.detail import ProcessDetail, SocketDetail, Wanted
from sockscope.model.gap import Gap
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import SocketKey
from sockscope.model.source import DetailReader

SILENCE_S = 1.0
QUARANTINE_S = 60.0
MOST_ABANDONED = 3
JOIN_S = 0.5

Key = SocketKey | int  # of a socket, or a pid


class _Worker:
    """One reader with its thread. `busy_since_s` is the last sign of life while it works, None while idle."""

    def __init__(self, reader: DetailReader, deliver: Callable[[_Worker, SocketDetail | ProcessDetail], None],
                 done: Callable[[_Worker], None], clock: Callable[[], float]) -> None:
        self.reader = reader
        self.busy_since_s: float | None = None
        self.unanswered: dict[Key, None] = {}
        self.asked: frozenset[str] = frozenset()
        self.failure: str | None = None
        self._deliver, self._done, self._clock = deliver, done, clock
        self._next: tuple[tuple[Wanted, ...], Snapshot] | None = None
        self._wake = threading.Condition()
        self.stopped = False
        self.thread = threading.Thread(target=self._run, name="sockscope-details", daemon=True)
        self.thread.start()

    def submit(self, wanted: tuple[Wanted, ...], snapshot: Snapshot) -> None:
        """Ask these next, in their order; what was asked but not begun is dropped."""
        with self._wake:
            self._next = (wanted, snapshot)
            self._wake.notify()

    def stop(self) -> None:
        """Tell the thread to end when it next looks, and take the reader's handles away from it."""
        with self._wake:
            self.stopped = True
            self._wake.notify()
        self.reader.close()

    def _superseded(self) -> bool:
        return self.stopped or self._next is not None

    def _run(self) -> None:
        while True:
            with self._wake:
                while self._next is None and not self.stopped:
                    self._wake.wait()
                if self.stopped or self._next is None:
                    return
                (wanted, snapshot), self._next = self._next, None
                self.asked = frozenset[str]().union(*(one.facets for one in wanted))
                self.unanswered = {}
                for one in wanted:
                    self.unanswered.update(dict.fromkeys(one.sockets))
                    self.unanswered.update(dict.fromkeys(one.processes))
                self.busy_since_s = self._clock()
            try:
                for one in wanted:
                    self._read(one, snapshot)
                self.failure = None
            except Exception as error:  # noqa: BLE001  # thread boundary: what a reader raises must not end the lane
                self.failure = f"{type(error).__name__}: {error}"
            self.busy_since_s = None
            self._done(self)

    def _read(self, wanted: Wanted, snapshot: Snapshot) -> None:
        if self._superseded():
            return
        for detail in self.reader.read(wanted, snapshot, self._superseded):
            if self.stopped:
                return
            self.busy_since_s = self._clock()
            self.unanswered.pop(detail.key if isinstance(detail, SocketDetail) else detail.key[0], None)
            self._deliver(self, detail)


class DetailLane:
    """Submit what is wanted, `check` now and then, `take` what has come; all from one thread, the feed's.

    `on_ready` is called from the lane's thread when a reading is complete.
    """

    def __init__(self, open_reader: Callable[[], DetailReader], on_ready: Callable[[], None],
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._open_reader, self._on_ready, self._clock = open_reader, on_ready, clock
        self._lock = threading.Lock()
        self._worker: _Worker | None = None
        self._come: list[SocketDetail | ProcessDetail] = []
        self._quarantine: dict[Key, float] = {}
        self._abandoned = 0
        self._off: frozenset[str] = frozenset()

    def submit(self, snapshot: Snapshot, *wanted: Wanted) -> None:
        """Ask for these, each request with its own facets and budget, without what is quarantined or off.

        Requests that are still unread are replaced.
        """
        now_s = self._clock()
        self._quarantine = {key: until_s for key, until_s in self._quarantine.items() if until_s > now_s}
        left = tuple(one for one in map(self._allowed, wanted) if one.facets and (one.sockets or one.processes))
        if not left:
            return
        if self._worker is None:
            self._worker = _Worker(self._open_reader(), self._deliver, self._done, self._clock)
        self._worker.submit(left, snapshot)

    def _allowed(self, wanted: Wanted) -> Wanted:
        return structs.replace(
            wanted, facets=wanted.facets - self._off,
            sockets=tuple(key for key in wanted.sockets if key not in self._quarantine),
            processes=tuple(pid for pid in wanted.processes if pid not in self._quarantine),
        )

    def check(self) -> None:
        """Abandon a reader that has been silent too long."""
        worker = self._worker
        since_s = worker.busy_since_s if worker is not None else None
        if worker is None or since_s is None or self._clock() - since_s < SILENCE_S:
            return
        self._worker = None
        worker.stop()
        first = next(iter(worker.unanswered), None)
        if first is not None:
            self._quarantine[first] = self._clock() + QUARANTINE_S
        self._abandoned += 1
        if self._abandoned >= MOST_ABANDONED:
            self._off |= worker.asked
            self._abandoned = 0

    @property
    def is_busy(self) -> bool:
        """Whether a reading is under way: then `check` again soon."""
        return self._worker is not None and self._worker.busy_since_s is not None

    def take(self) -> list[SocketDetail | ProcessDetail]:
        """Return what has come since the last call."""
        with self._lock:
            come, self._come = self._come, []
        return come

    def gaps(self) -> tuple[Gap, ...]:
        """Say what is left alone at present."""
        now_s = self._clock()
        silent = sum(until_s > now_s for until_s in self._quarantine.values())
        gaps = [Gap(facet, "off", 1, "three readers in turn gave no answer") for facet in sorted(self._off)]
        if silent:
            gaps.append(Gap("tcp_info", "timed_out", silent, "no answer for 1 s: left alone for a minute"))
        if self._worker is not None and self._worker.failure is not None:
            gaps.append(Gap("tcp_info", "failed", 1, self._worker.failure))
        return tuple(gaps)

    def close(self) -> None:
        """End the reader and its thread; a thread that hangs is a daemon and is left behind."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()
            worker.thread.join(JOIN_S)

    def _deliver(self, worker: _Worker, detail: SocketDetail | ProcessDetail) -> None:
        if worker is self._worker:
            with self._lock:
                self._come.append(detail)

    def _done(self, worker: _Worker) -> None:
        if worker is self._worker:
            self._on_ready()
