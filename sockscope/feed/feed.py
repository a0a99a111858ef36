"""The feed: one daemon thread that looks again and again, remembers, concludes, and delivers. Knows no screen.

The next wait counts from the end of the last look, so a slow machine never queues up work. Whoever receives the
results keeps the newest only. Nothing here blocks on details: they come by the lane and are shown when they are there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from msgspec import structs

from sockscope.analysis.memory import EMPTY, difference, remember
from sockscope.analysis.suspects import suspects
from sockscope.feed.conclude import conclude, with_details
from sockscope.feed.lane import DetailLane
from sockscope.feed.result import FeedResult
from sockscope.model.detail import ProcessDetail, SocketDetail, Wanted
from sockscope.model.gap import Gap
from sockscope.model.names import Names
from sockscope.model.observation import Observation
from sockscope.model.snapshot import Scope, Snapshot
from sockscope.model.source import Source, SourceLostError

MOST_WANTED = 256  # sockets a refresh; the rest is a gap (design.md section 1)
LANE_CHECK_S = 0.25
JOIN_S = 2.0
SHORTEST_S = 0.05


class Feed:
    """Looks every `interval_s` seconds and calls `deliver` with a FeedResult, from the feed's own thread.

    `names` gives the names known so far for a look, at once. Errors are delivered, never raised; after
    SourceLostError no further look is taken. All methods may be called from any thread.
    """

    def __init__(self, source: Source, scope: Scope, interval_s: float, deliver: Callable[[FeedResult], None],
                 names: Callable[[Snapshot], Names] | None = None) -> None:
        self._source, self._scope, self._interval_s, self._deliver = source, scope, interval_s, deliver
        self._names = names or (lambda _: Names())
        self._wake = threading.Event()
        self._requested = self._closed = self._paused = False
        self._wanted = Wanted(0)
        self._wanted_changed = False
        self._memory = EMPTY
        self._pending: list[SocketDetail | ProcessDetail] = []  # came after the last look
        self._last: FeedResult | None = None
        self._lane = DetailLane(source.open_detail, self._wake.set)
        self._thread = threading.Thread(target=self._run, name="sockscope-feed", daemon=True)

    def start(self) -> None:
        """Begin with a look at once."""
        self._thread.start()

    def request_now(self) -> None:
        """Look again without waiting, also while paused."""
        self._requested = True
        self._wake.set()

    def set_interval_s(self, interval_s: float) -> None:
        """Set the pause between the end of a look and the next; takes effect at once."""
        self._interval_s = max(SHORTEST_S, interval_s)
        self._wake.set()

    def set_wanted(self, wanted: Wanted) -> None:
        """Say whose details are wanted from now on, most wanted first; read at once and with every look."""
        self._wanted, self._wanted_changed = wanted, True
        self._wake.set()

    def set_scope(self, scope: Scope) -> None:
        """Look at something else from the next look on."""
        self._scope = scope
        self.request_now()

    def pause(self, paused: bool = True) -> None:
        """Take no further look until resumed or asked for one."""
        self._paused = paused
        self._wake.set()

    def close(self) -> None:
        """End the thread and close the source; more than once is harmless."""
        self._closed = True
        self._wake.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(JOIN_S)
        self._lane.close()
        self._source.close()

    def _run(self) -> None:
        while not self._closed:
            self._requested = False
            try:
                self._look()
            except SourceLostError as error:
                self._fail(str(error), lost=True)
                return
            except Exception as error:  # noqa: BLE001  # thread boundary: delivered instead of dying in silence
                self._fail(f"{type(error).__name__}: {error}", lost=False)
            self._wait()

    def _look(self) -> None:
        snapshot = self._source.snapshot(self._scope)
        if self._closed:
            return
        details, self._pending = [*self._pending, *self._lane.take()], []
        before = self._memory.snapshot
        self._memory = remember(self._memory, snapshot, details)
        changes = difference(before, snapshot)
        wanted, gaps = self._wanted_now(snapshot)
        observation = conclude(self._memory, snapshot, self._names(snapshot), (*gaps, *self._lane.gaps()))
        self._last = FeedResult(observation, self._memory, changes)
        self._deliver(self._last)
        self._wanted_changed = False
        self._lane.submit(snapshot, *wanted)

    def _wanted_now(self, snapshot: Snapshot) -> tuple[tuple[Wanted, ...], tuple[Gap, ...]]:
        """Return what the screen wants, then what is suspect and not among it, each with its own facets.

        A suspect that the screen wants too is read once, with the facets of both but for "on_demand": that is the
        screen's alone, since it lets epoll sets of any size be read.
        """
        shown, doubtful = self._limited(self._wanted), suspects(self._memory, snapshot, MOST_WANTED)
        if shown.sockets or shown.processes:
            shown = structs.replace(shown, facets=shown.facets | doubtful.facets)
        known = frozenset(shown.sockets)
        others = tuple(key for key in doubtful.sockets if key not in known)
        left = MOST_WANTED - len(shown.sockets)
        doubtful = structs.replace(
            doubtful, sockets=others[:left],
            processes=tuple(pid for pid in doubtful.processes if pid not in shown.processes),
        )
        over = len(self._wanted.sockets) + len(others) - MOST_WANTED
        gaps = (Gap("tcp_info", "over_budget", over, f"at most {MOST_WANTED} sockets are read a refresh"),)
        return (shown, doubtful), gaps if over > 0 else ()

    @staticmethod
    def _limited(wanted: Wanted) -> Wanted:
        return structs.replace(wanted, sockets=wanted.sockets[:MOST_WANTED])

    def _wait(self) -> None:
        """Wait for the next look; show details that come meanwhile, and watch the lane."""
        ended_s = time.monotonic()
        while not self._closed and not self._requested:
            left_s = None if self._paused else ended_s + self._interval_s - time.monotonic()
            if left_s is not None and left_s <= 0:
                return
            pause_s = min(left_s, LANE_CHECK_S) if left_s is not None and self._lane.is_busy else left_s
            self._wake.wait(LANE_CHECK_S if pause_s is None and self._lane.is_busy else pause_s)
            self._wake.clear()
            self._lane.check()
            self._show_details()
            if self._wanted_changed:
                self._submit_wanted()

    def _submit_wanted(self) -> None:
        self._wanted_changed = False
        last = self._last
        if last is not None and last.observation is not None:
            self._lane.submit(last.observation.snapshot, self._limited(self._wanted))

    def _show_details(self) -> None:
        come = self._lane.take()
        last = self._last
        if not come or last is None or last.observation is None or self._closed:
            return
        self._pending += come
        observation: Observation = with_details(last.observation, come)
        self._last = FeedResult(observation, self._memory)
        self._deliver(self._last)

    def _fail(self, message: str, *, lost: bool) -> None:
        observation = self._last.observation if self._last is not None else None
        self._deliver(FeedResult(observation, self._memory, error=message, lost=lost))
