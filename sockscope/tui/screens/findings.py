"""View 4: what is wrong, worst first; for the one under the cursor why, on what evidence, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult

from sockscope.analysis.findings.rules import RULES
from sockscope.model.detail import Wanted
from sockscope.model.finding import Finding
from sockscope.model.observation import Observation
from sockscope.model.socket import Socket
from sockscope.tui.pictures.finding_lines import finding_key, head_parts, list_lines, quiet_lines, story_lines
from sockscope.tui.screens.room import FACETS, Room
from sockscope.tui.widgets.parts_line import PartsLine
from sockscope.tui.widgets.text_list import TextList

if TYPE_CHECKING:
    from sockscope.tui.session import Session
    from sockscope.tui.widgets.keyed_lines import KeyedLines

TELLS_FROM = 16  # rows of terminal from which the story fits below the list


class FindingsRoom(Room):
    """A list above, the story of its cursor's finding below."""

    VIEW = "findings"
    KEYS: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("⏎", "to the socket", "follow_cursor"), ("Esc", "back", "back"), ("?", "help", "help"),
        ("c", "copy report", "copy"), ("L", "lab", "lab"), ("p", "pause", "pause"), ("q", "quit", "leave"),
    )

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.head = PartsLine(id="findings-head")
        self.list = TextList(id="findings")
        self.story = TextList(id="story")
        self.story.can_focus = False

    def compose_room(self) -> ComposeResult:
        """Head, list, story."""
        yield self.head
        yield self.list
        yield self.story

    def on_mount(self) -> None:
        """Keys go to the list."""
        self.list.focus()

    def show_look(self, observation: Observation) -> None:
        """Draw the findings of this look."""
        width, height = self.size.width, self.size.height
        now_s = observation.snapshot.monotonic_s
        cleared = self.session.cleared
        memory = self.session.result.memory if self.session.result is not None else None
        watched_s = now_s - memory.first_s if memory is not None else 0.0
        self.head.show(head_parts(observation, cleared, len(RULES), watched_s, width))
        lines = list_lines(observation, cleared, now_s, watched_s, width)
        self.list.styles.height = min(len(lines), max(3, height // 3)) if height >= TELLS_FROM else "1fr"
        self.list.show(lines)
        self.show_story()

    def show_story(self) -> None:
        """Tell the cursor's finding."""
        observation, finding = self.session.observation, self.finding()
        if observation is None:
            return
        width = self.size.width
        lines = story_lines(finding, width) if finding is not None else []
        self.story.show([*lines, *quiet_lines(observation, tuple(RULES), width)])

    def finding(self) -> Finding | None:
        """Return the one under the cursor."""
        observation = self.session.observation
        findings = observation.findings or () if observation is not None else ()
        return next((one for one in findings if finding_key(one) == self.list.cursor_key), None)

    def subject_socket(self) -> Socket | None:
        """Return the finding's first socket that is still there."""
        observation, finding = self.session.observation, self.finding()
        if observation is None or finding is None:
            return None
        sockets = observation.snapshot.sockets
        return next((sockets[key] for key in finding.sockets if key in sockets), None)

    def wanted(self) -> Wanted:
        """Return the finding's sockets."""
        finding = self.finding()
        return Wanted(0, finding.sockets[:32] if finding is not None else (), (), FACETS)

    def shown_sockets(self) -> list[Socket]:
        """All sockets of all findings."""
        observation = self.session.observation
        if observation is None:
            return []
        keys = dict.fromkeys(key for finding in observation.findings or () for key in finding.sockets)
        return [observation.snapshot.sockets[key] for key in keys if key in observation.snapshot.sockets]

    def action_follow_cursor(self) -> None:
        """Follow the cursor's finding."""
        self.list.action_follow()

    def on_keyed_lines_followed(self, event: KeyedLines.Followed) -> None:
        """To its first socket; without one, to its process or port."""
        event.stop()
        finding, socket = self.finding(), self.subject_socket()
        if socket is not None and finding is not None:
            self.scope_app.open_socket(socket.key, finding.sockets)
            return
        for kind, name in finding.about if finding is not None else ():
            if kind in ("process", "port") and name.isdigit():
                self.scope_app.follow((kind, int(name)))
                return

    def on_keyed_lines_highlighted(self, event: KeyedLines.Highlighted) -> None:
        """Another story."""
        event.stop()
        if event.lines is self.list:
            self.show_story()
            self.show_top()
            self.show_keys()
            self.want_details()
