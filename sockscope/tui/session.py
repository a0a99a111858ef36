"""What all screens share: the newest look, the one before, what is paused, who acts. Knows no widget."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping

from sockscope.analysis.changes import compare
from sockscope.analysis.query import Query
from sockscope.feed.feed import Feed
from sockscope.feed.result import NO_CHANGES, FeedResult
from sockscope.model.finding import Finding
from sockscope.model.observation import Observation
from sockscope.model.socket import Socket, SocketKey
from sockscope.model.source import Actor
from sockscope.tui.options import TuiOptions
from sockscope.tui.pictures.finding_lines import Cleared, finding_key
from sockscope.tui.pictures.past import SPAN_S, letters

SHORTEST_S, LONGEST_S = 0.125, 64.0
CLEARED_S, MOST_CLEARED = 300.0, 20
MOST_LETTERS = 200_000  # some 20 MB


class Session:
    """Takes results and says what to show. While paused, results are kept and counted but not shown."""

    def __init__(self, options: TuiOptions, feed: Feed, actor: Actor | None,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self.options, self.feed, self.actor, self.clock = options, feed, actor, clock
        self.interval_s = options.interval_s or 1.0
        self.result: FeedResult | None = None
        self.before: Observation | None = None
        self.marks: Mapping[SocketKey, str] = {}
        self.gone: tuple[Socket, ...] = ()
        self.error: str | None = None
        self.is_lost = False
        self.paused_at_s: float | None = None
        self.came = self.went = 0  # while paused
        self.query_history: list[str] = []
        self.moves_seen: deque[tuple[float, dict[SocketKey, str]]] = deque()
        self.cleared: tuple[Cleared, ...] = ()  # findings that are over, newest first
        self._loud: dict[tuple[object, ...], Finding] = {}
        self._held: FeedResult | None = None
        self._is_once = False

    @property
    def observation(self) -> Observation | None:
        """The look on screen."""
        return self.result.observation if self.result is not None else None

    def take(self, result: FeedResult) -> bool:
        """Take a result; True if the screens have something new to show."""
        self.error, self.is_lost = result.error, result.lost or self.is_lost
        self._remember_moves(result.observation)
        self._remember_cleared(result.observation)
        if self.paused_at_s is not None and not self._is_once:
            self._held = result
            self.came += len(result.changes.new)
            self.went += len(result.changes.gone)
            return False
        if self._is_once:
            self._is_once = False
            self.pause()
        self._show(result)
        return True

    def _remember_moves(self, observation: Observation | None) -> None:
        """Keep whose move it was for a minute; of a host where thousands of rows wait, for less."""
        if observation is None or observation.moves is None:
            return
        at_s, seen = observation.snapshot.monotonic_s, self.moves_seen
        if seen and seen[-1][0] == at_s:
            seen.pop()
        seen.append((at_s, letters(observation)))
        while len(seen) > 1 and (at_s - seen[0][0] > SPAN_S or sum(len(one) for _, one in seen) > MOST_LETTERS):
            seen.popleft()

    def _remember_cleared(self, observation: Observation | None) -> None:
        """Keep findings that are over for CLEARED_S: trouble that comes and goes leaves a trace."""
        if observation is None or observation.findings is None:
            return
        now_s = observation.snapshot.monotonic_s
        loud = {finding_key(one): one for one in observation.findings if one.severity in ("severe", "warning")}
        over = [(now_s, one) for key, one in self._loud.items() if key not in loud]
        kept = [(at_s, one) for at_s, one in self.cleared if now_s - at_s < CLEARED_S and finding_key(one) not in loud]
        self.cleared, self._loud = (*over, *kept)[:MOST_CLEARED], loud

    def _show(self, result: FeedResult) -> None:
        shown, now = self.observation, result.observation
        if shown is not None and now is not None and now.snapshot.sequence != shown.snapshot.sequence:
            self.before = shown
            changes = result.changes
            if now.snapshot.sequence != shown.snapshot.sequence + 1 or changes is NO_CHANGES:
                changes = compare(shown.snapshot, now.snapshot)  # looks between were replaced before they were shown
            old, new = shown.snapshot.sockets, now.snapshot.sockets
            marks = dict.fromkeys(changes.new, "new")
            marks |= {key: "changed" for key in changes.changed if key in old and old[key].state != new[key].state}
            marks |= dict.fromkeys(changes.gone, "gone")
            self.marks, self.gone = marks, tuple(old[key] for key in changes.gone if key in old)
        self.result = result

    def pause(self) -> None:
        """Freeze what is shown; looking goes on."""
        self.paused_at_s, self.came, self.went = self.clock(), 0, 0

    def resume(self) -> bool:
        """Show the newest look again; True if there is one that was held back."""
        self.paused_at_s = None
        held, self._held = self._held, None
        if held is not None:
            self._show(held)
        return held is not None

    def refresh_once(self) -> None:
        """Look now; while paused, show that one look and stay paused."""
        self._is_once = self.paused_at_s is not None
        self.feed.request_now()

    def change_interval(self, factor: float) -> None:
        """Look more or less often, between SHORTEST_S and LONGEST_S."""
        self.interval_s = min(LONGEST_S, max(SHORTEST_S, self.interval_s * factor))
        self.feed.set_interval_s(self.interval_s)

    def gone_of(self, query: Query) -> list[Socket]:
        """Return the sockets that went with the last look and would have matched."""
        before = self.before
        return [] if before is None else [socket for socket in self.gone if query.matches(socket, before)]

    def find_socket(self, key: SocketKey) -> tuple[Socket, Observation, bool] | None:
        """Return the socket with the look it is in, and whether it is still there; None if never seen."""
        for observation, is_there in ((self.observation, True), (self.before, False)):
            if observation is not None and key in observation.snapshot.sockets:
                return observation.snapshot.sockets[key], observation, is_there
        return None
