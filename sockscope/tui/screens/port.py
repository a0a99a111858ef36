"""View 2: one port. Its listeners, the last minute, and everything that has the port at either end."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from sockscope.analysis.query import parse_query
from sockscope.model.observation import Observation
from sockscope.model.socket import Socket
from sockscope.present.format import port as port_word
from sockscope.tui.bindings import bind
from sockscope.tui.pictures.parts import Part
from sockscope.tui.pictures.port_head import port_lines
from sockscope.tui.screens.sockets import SocketsRoom
from sockscope.tui.widgets.keyed_lines import KeyedLines
from sockscope.tui.widgets.text_list import TextList

if TYPE_CHECKING:
    from sockscope.tui.session import Session

ACCEPTS_KEPT = 61  # looks


class PortRoom(SocketsRoom):
    """The head above, the table of its sockets below."""

    VIEW = "port"
    KEYS: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("⏎", "why", "follow_cursor"), ("/", "filter", "filter"), ("?", "help", "help"),
        ("q", "quit", "leave"), ("Tab", "listeners", "other_pane"), ("s", "sort", "sort_menu"),
        ("v", "group", "group_menu"), ("!", "trouble", "trouble"), ("K", "signal", "signal"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [bind("tab,shift+tab", "other_pane")]

    def __init__(self, session: Session, port: int, text: str = "") -> None:
        super().__init__(session, text, parse_query(f"port:{port}"))
        self.port = port
        self.head = TextList(id="head")
        self._accepts: deque[tuple[float, int]] = deque(maxlen=ACCEPTS_KEPT)

    def compose_room(self) -> ComposeResult:
        """Head, filter, table, sentence."""
        yield self.head
        yield from super().compose_room()

    def show_look(self, observation: Observation) -> None:
        """Return the head too."""
        result = self.session.result
        if result is not None:
            self._count_accepts(observation)
            service = port_word(self.port, "tcp", observation.names)
            lines = port_lines(
                self.port, service if service != str(self.port) else "", observation, result.memory,
                seen=self.session.moves_seen, accepts=tuple(self._accepts), width=self.size.width,
                height=self.size.height,
            )
            self.head.styles.height = len(lines)
            self.head.show(lines)
        super().show_look(observation)

    def _count_accepts(self, observation: Observation) -> None:
        """Keep the running count of accepts: a rate is the difference of two looks."""
        memory = self.session.result.memory if self.session.result is not None else None
        if memory is None or (self._accepts and self._accepts[-1][0] == observation.snapshot.monotonic_s):
            return
        total = sum(seen.count for (_, port), seen in memory.accepts.items() if port == self.port)
        self._accepts.append((observation.snapshot.monotonic_s, total))

    def nothing_matches(self) -> tuple[Part, ...]:
        """Nothing on the port yet; ports nearby."""
        text = f" Nothing here has port {self.port}. Watching: rows appear the moment something binds or connects."
        nearby = self._listening_nearby()
        return ((text, "warning"), (f"  Listening close by: {nearby}" if nearby else "", "dim"))

    def _listening_nearby(self) -> str:
        observation = self.session.observation
        if observation is None:
            return ""
        ports = {one.local.port for one in observation.snapshot.sockets.values() if one.is_listener and one.local.port}
        return "  ".join(f":{port}" for port in sorted(ports, key=lambda port: abs(port - self.port))[:3])

    def subject_port(self) -> int | None:
        """Return this one."""
        return self.port

    def subject_socket(self) -> Socket | None:
        """Return the cursor's, in the pane that has the keys."""
        if self.head.has_focus and isinstance(self.head.cursor_key, tuple) and self.session.observation is not None:
            return self.session.observation.snapshot.sockets.get(self.head.cursor_key[1])
        return super().subject_socket()

    def action_other_pane(self) -> None:
        """Between listeners and table."""
        (self.table if self.head.has_focus else self.head).focus()

    def action_follow_cursor(self) -> None:
        """Follow in the pane that has the keys."""
        (self.head if self.head.has_focus else self.table).action_follow()

    def on_keyed_lines_followed(self, event: KeyedLines.Followed) -> None:
        """Return a listener, or a row."""
        if event.lines is self.head:
            event.stop().prevent_default()  # Textual would call the table's handler as well
            self.scope_app.follow(event.key)

    def on_keyed_lines_folded(self, event: KeyedLines.Folded) -> None:
        """Only the table folds."""
        if event.lines is self.head:
            event.stop().prevent_default()
