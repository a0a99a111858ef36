"""View 3: one process. What its threads wait for, as a tree, and every fd it has open."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal

from sockscope.model.detail import ON_DEMAND, Wanted
from sockscope.model.observation import Observation
from sockscope.model.process import Process
from sockscope.model.socket import Socket, SocketKey
from sockscope.tui.bindings import bind
from sockscope.tui.pictures.parts import TextLine, line
from sockscope.tui.pictures.process_fds import fact_lines, fd_lines, has_ended, holding_of, place_line, process_of
from sockscope.tui.pictures.process_tree import fold_key, make_tree, tree_lines
from sockscope.tui.screens.room import FACETS, Room
from sockscope.tui.widgets.keyed_lines import KeyedLines
from sockscope.tui.widgets.parts_line import PartsLine
from sockscope.tui.widgets.text_list import TextList

if TYPE_CHECKING:
    from sockscope.tui.session import Session

WIDE, TALL = 100, 20  # both panes side by side; room for a third line of facts
MOST_SOCKETS = 100
PROCESS_FACETS = FACETS | {"process", "fds", "threads", "pipes", ON_DEMAND}


class ProcessRoom(Room):
    """Threads at the left, fds at the right; on a narrow screen one of them at a time."""

    VIEW = "process"
    KEYS: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("Tab", "other pane", "other_pane"), ("⏎", "follow", "follow_cursor"), ("Esc", "back", "back"),
        ("?", "help", "help"), ("Space", "fold", "fold_cursor"), ("K", "signal", "signal"), ("q", "quit", "leave"),
        ("p", "pause", "pause"), ("c", "copy", "copy"), ("D", "close socket", "destroy"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [bind("tab,shift+tab", "other_pane")]

    def __init__(self, session: Session, pid: int, come_from: SocketKey | None = None) -> None:
        super().__init__(session)
        self._come_from = come_from  # the cursor of the fds is put on it once they are there
        self.pid = pid
        self.process: Process | None = None
        self._last: Observation | None = None  # the last look that had it
        self.opened: frozenset[Hashable] = frozenset()
        self.facts = PartsLine(id="facts")
        self.tree_list = TextList(id="threads")
        self.fds = TextList(id="fds")

    def compose_room(self) -> ComposeResult:
        """Facts, and the panes."""
        yield self.facts
        with Horizontal(id="panes"):
            yield self.tree_list
            yield self.fds

    def on_mount(self) -> None:
        """Keys go to the threads where both panes fit, else to the fds, which are known at once."""
        self.tree_list.focus()

    def on_descendant_focus(self) -> None:
        """On a narrow screen only the pane with the keys is shown."""
        self.set_class(self.fds.has_focus, "-fds")
        if self.is_mounted:
            self.refresh_look()

    def show_look(self, observation: Observation) -> None:
        """Draw facts, tree and fds."""
        process = process_of(self.pid, observation)
        self.process = process or self.process
        if process is not None or self._last is None:
            self._last = observation
        observation = self._last
        holding = holding_of(self.pid, observation)
        width = self.size.width
        self.set_class(width >= WIDE, "-wide")
        if self.process is None:
            self.facts.show(((f" No process {self.pid} here", "warning"),))
            self.tree_list.show([])
            self.fds.show([])
            return
        facts = fact_lines(self.process, holding, observation, width)
        if process is None:
            facts[1] = ((" ended", "severe"), (": what was last seen of it", "dim"))
        place = place_line(self.process, width) if self.size.height >= TALL else ()
        self.facts.styles.height = 3 if place else 2
        self.facts.show(*facts, *([place] if place else []))
        memory = self.session.result.memory if self.session.result is not None else None
        if memory is not None:
            pane = width // 2 if width >= WIDE else width
            self.tree_list.show(_distinct(tree_lines(make_tree(
                self.pid, observation, memory, holding, opened=self.opened, width=pane,
            ))))
        self.fds.show(fd_lines(holding, observation, width // 2 if width >= WIDE else width))
        self._point_at_origin()

    def _point_at_origin(self) -> None:
        """Put the cursor of the fds on the socket that one came from, at first."""
        for one in self.fds.lines if self._come_from is not None else ():
            if isinstance(one.key, tuple) and one.key[:2] == ("socket", self._come_from):
                self.fds.move_to(one.key)
                self._come_from = None
                return

    def wanted(self) -> Wanted:
        """Return the process, and its sockets."""
        observation = self.session.observation
        if observation is None:
            return Wanted(0, (), (self.pid,), PROCESS_FACETS)
        held = [socket.key for _, socket in holding_of(self.pid, observation).sockets()]
        return Wanted(0, tuple(held[:MOST_SOCKETS]), (self.pid,), PROCESS_FACETS)

    @property
    def pane(self) -> TextList:
        """The pane that has the keys."""
        return self.fds if self.fds.has_focus else self.tree_list

    def subject_process(self) -> Process | None:
        """Return this one, as long as it lives."""
        observation = self.session.observation
        return None if observation is not None and has_ended(self.pid, observation) else self.process

    def subject_socket(self) -> Socket | None:
        """Return the one on the cursor's line."""
        key, observation = self.pane.cursor_key, self.session.observation
        if not isinstance(key, tuple) or key[0] != "socket" or observation is None:
            return None
        return observation.snapshot.sockets.get(key[1])

    def shown_sockets(self) -> list[Socket]:
        """All it has."""
        observation = self.session.observation
        return [] if observation is None else [one for _, one in holding_of(self.pid, observation).sockets()]

    def action_other_pane(self) -> None:
        """Between threads and fds."""
        (self.tree_list if self.fds.has_focus else self.fds).focus()

    def action_follow_cursor(self) -> None:
        """Follow the cursor's line."""
        self.pane.action_follow()

    def action_fold_cursor(self) -> None:
        """Fold the cursor's line."""
        self.pane.action_fold()

    def on_keyed_lines_followed(self, event: KeyedLines.Followed) -> None:
        """To a socket; a thread or set opens and closes."""
        event.stop()
        key = event.key
        if isinstance(key, tuple) and key[0] in ("thread", "set", "more"):
            self._fold(key)
        else:
            self.scope_app.follow(key)

    def on_keyed_lines_folded(self, event: KeyedLines.Folded) -> None:
        """Open or close a thread or set."""
        event.stop()
        self._fold(event.key)

    def _fold(self, key: Hashable) -> None:
        self.opened = self.opened ^ {fold_key(key)}
        self.refresh_look()

    def on_keyed_lines_highlighted(self, event: KeyedLines.Highlighted) -> None:
        """Other subjects in the tabs."""
        event.stop()
        self.show_top()
        self.show_keys()


def _distinct(lines: list[TextLine]) -> list[TextLine]:
    """Give a set that several threads sleep in, and is drawn under each, keys of its own the second time."""
    seen: set[Hashable] = set()
    made: list[TextLine] = []
    for number, one in enumerate(lines):
        if one.key is None or one.key not in seen:
            seen.add(one.key)
            made.append(one)
        else:
            key = (*one.key, number) if isinstance(one.key, tuple) else (one.key, number)
            made.append(line(*one.parts, key=key, foldable=one.foldable))
    return made
