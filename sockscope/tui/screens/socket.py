"""One socket: its anatomy, live. Enter follows a line to the peer or the process, `[` and `]` go along the table."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from sockscope.analysis.peers import peer_of
from sockscope.analysis.wait_chain import follow
from sockscope.model.detail import ON_DEMAND, Wanted
from sockscope.model.observation import Observation
from sockscope.model.socket import Socket, SocketKey
from sockscope.tui.bindings import bind
from sockscope.tui.pictures.anatomy import anatomy_lines, crumbs
from sockscope.tui.pictures.frame import Frame
from sockscope.tui.pictures.rates import Totals, keep, rates_text, totals_of
from sockscope.tui.screens.room import FACETS, Room
from sockscope.tui.widgets.parts_line import PartsLine
from sockscope.tui.widgets.text_list import TextList

if TYPE_CHECKING:
    from sockscope.tui.session import Session
    from sockscope.tui.widgets.keyed_lines import KeyedLines


ANATOMY_FACETS = FACETS | {"threads", "fds", "pipes", ON_DEMAND}
MOST_HOLDERS = 8  # of a socket, or of a pipe's other end: their threads and fds are read with each look
MEANING_BELOW = 2  # lines: a group that takes two, then what it means


class SocketRoom(Room):
    """The anatomy of the socket with this key; it stays when the socket is gone, and says so."""

    KEYS: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("Esc", "back", "back"), ("⏎", "follow", "follow_cursor"), ("?", "help", "help"),
        ("[ ]", "previous/next", "sibling(1)"), ("m", "numbers", "numbers"), ("c", "copy report", "copy"),
        ("K", "signal", "signal"), ("D", "close socket", "destroy"), ("p", "pause", "pause"), ("q", "quit", "leave"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("left_square_bracket", "sibling(-1)"),
        bind("right_square_bracket", "sibling(1)"), bind("m", "numbers"),
    ]

    def __init__(self, session: Session, key: SocketKey, along: tuple[SocketKey, ...] = ()) -> None:
        super().__init__(session)
        self.key, self.along = key, along
        self.with_numbers = True
        self.focus_on = ""  # the group of numbers under the cursor: its meaning is told
        self._readings: deque[Totals] = deque()
        self.seen: tuple[Socket, Observation] | None = None
        self.crumbs = PartsLine(id="crumbs")
        self.picture = TextList(id="anatomy")

    def compose_room(self) -> ComposeResult:
        """Where we are, and the picture."""
        yield self.crumbs
        yield self.picture

    def on_mount(self) -> None:
        """Keys go to the picture."""
        self.picture.focus()

    def show_look(self, observation: Observation) -> None:
        """Draw the socket as it is in this look, or as it was in the last one that had it."""
        socket = observation.snapshot.sockets.get(self.key)
        is_there = socket is not None
        if socket is not None:
            self.seen = (socket, observation)
        elif self.seen is None:
            found = self.session.find_socket(self.key)
            if found is None:
                return
            self.seen = found[:2]
        if self.seen is None or self.session.result is None:
            return
        socket, shown_in = self.seen
        width, height = self.size.width, self.size.height
        self.crumbs.show(crumbs(socket, shown_in, self._place(), width, is_there=is_there).parts)
        if is_there:
            keep(self._readings, totals_of(socket, shown_in))
        frame = Frame(width - 1, height, self.session.clock(), self.with_numbers, rates_text(self._readings),
                      self.focus_on)
        self.picture.show(
            anatomy_lines(socket, shown_in, self.session.result.memory, self.session.moves_seen, frame),
        )

    def _place(self) -> str:
        if self.key not in self.along:
            return ""
        return f"{self.along.index(self.key) + 1} of {len(self.along)}"

    def subject_socket(self) -> Socket | None:
        """Return this one."""
        return self.seen[0] if self.seen is not None else None

    def wanted(self) -> Wanted:
        """Return this socket, its peer, and the processes that hold them: for the wait chain."""
        observation, socket = self.session.observation, self.subject_socket()
        if observation is None or socket is None:
            return Wanted(0, (self.key,), (), FACETS | {ON_DEMAND})
        peer = peer_of(observation.snapshot, socket)
        ends = (socket,) if peer is None else (socket, peer)
        holders = [holder.pid for end in ends for holder in observation.snapshot.holders_of(end)]
        links, beyond = follow(socket, observation)
        pids = dict.fromkeys((*holders[:MOST_HOLDERS], *(link.pid for link in links), *beyond[:MOST_HOLDERS]))
        return Wanted(0, tuple(end.key for end in ends), tuple(pids), ANATOMY_FACETS)

    def action_sibling(self, by: int) -> None:
        """Go to the previous or next socket of the table it was opened from; those that are gone are left out."""
        observation = self.session.observation
        if observation is None or self.key not in self.along:
            return
        at = self.along.index(self.key) + by
        while 0 <= at < len(self.along) and self.along[at] not in observation.snapshot.sockets:
            at += by
        if 0 <= at < len(self.along):
            self.key, self.seen = self.along[at], None
            self._readings.clear()
            self.refresh_look()

    def can(self, action: str) -> bool:
        """Nothing is previous or next where the socket was not opened from a table."""
        return super().can(action) and (not action.startswith("sibling") or len(self.along) > 1)

    def action_numbers(self) -> None:
        """Fold the numbers, or open them."""
        self.with_numbers = not self.with_numbers
        self.refresh_look()

    def action_follow_cursor(self) -> None:
        """Follow the cursor's line."""
        self.picture.action_follow()

    def on_keyed_lines_followed(self, event: KeyedLines.Followed) -> None:
        """To the peer, or the process."""
        event.stop()
        self.scope_app.follow(event.key)

    def on_keyed_lines_highlighted(self, event: KeyedLines.Highlighted) -> None:
        """Tell what the group of numbers under the cursor means."""
        event.stop()
        key = event.key
        focus_on = str(key[1]) if isinstance(key, tuple) and key[0] == "number" else ""
        if focus_on != self.focus_on:
            self.focus_on = focus_on
            self.refresh_look()
            if focus_on:
                self.picture.reveal(MEANING_BELOW)
