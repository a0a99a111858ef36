"""View 1: all sockets, those where somebody must act first. The port view is made of the same parts."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import TYPE_CHECKING, ClassVar

from msgspec import structs
from textual.app import ComposeResult
from textual.binding import BindingType

from sockscope.analysis.arrange import GROUPINGS, SORT_KEYS, section_of
from sockscope.analysis.query import Query, all_of, select
from sockscope.analysis.why import sentence
from sockscope.model.detail import Wanted
from sockscope.model.observation import Observation
from sockscope.model.socket import Socket
from sockscope.present.cells import row_role
from sockscope.present.columns import COLUMNS
from sockscope.present.format import count, endpoint
from sockscope.present.text import sanitise
from sockscope.tui.arrangement import NO_QUERY, HeadLine, Table, View, arrange_lines
from sockscope.tui.bindings import bind
from sockscope.tui.pictures.parts import Part, line, wrap
from sockscope.tui.screens.dialogs import ChoiceDialog
from sockscope.tui.screens.room import FACETS, Room
from sockscope.tui.toggles import TOGGLES, narrow, toggle
from sockscope.tui.widgets.parts_line import PartsLine
from sockscope.tui.widgets.query_bar import QueryBar, QueryInput
from sockscope.tui.widgets.socket_table import SocketTable

if TYPE_CHECKING:
    from sockscope.tui.session import Session
    from sockscope.tui.widgets.keyed_lines import KeyedLines

TALL_FROM, TALL_SENTENCE = 24, 2  # rows of terminal, lines of the sentence
ASIDE_FROM = 3_000  # sockets; arranging 20,000 takes 100 ms
NOTE_FROM = 16  # rows of terminal; below it the table needs them all
MOST_SHOWN = 200  # sockets whose details are read for being on screen
SORTS = tuple(dict.fromkeys(column.sort for column in COLUMNS.values() if column.sort in SORT_KEYS))
GROUPS = ("process", "remote", "state", "port", "user")


class SocketsRoom(Room):
    """The table with its filter line and the sentence below."""

    VIEW = "sockets"
    KEYS: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("⏎", "why", "follow_cursor"), ("/", "filter", "filter"), ("?", "help", "help"), ("q", "quit", "leave"),
        ("s", "sort", "sort_menu"), ("v", "group", "group_menu"), ("p", "pause", "pause"),
        ("!", "trouble", "trouble"), ("K", "signal", "signal"), ("c", "copy", "copy"), ("w", "write", "write"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("slash,f3,f4", "filter", at_once=True), bind("asterisk", "narrow"),
        bind("exclamation_mark", "trouble"), bind("a", "all"),
        *(bind(key, f"toggle_term('{key}')") for key in TOGGLES),
        bind("s,f6", "sort_menu"), bind("less_than_sign", "sort_step(-1)"),
        bind("greater_than_sign", "sort_step(1)"), bind("S", "reverse"),
        bind("v,f5", "group_menu"),
    ]

    def __init__(self, session: Session, text: str = "", base: Query = NO_QUERY) -> None:
        super().__init__(session)
        sort = session.options.sort or "move"
        self.base = base
        self._is_arranging = self._is_stale = False
        self.bar = QueryBar(text, session.query_history)
        self.view = View(query=all_of(base, self.bar.query_in_force), sort=sort.lstrip("-"),
                         reverse=sort.startswith("-"))
        self.table = SocketTable(id="sockets")
        self.table.columns = session.options.columns
        self.said = PartsLine(id="sentence")
        self.note = PartsLine(id="note")

    def compose_room(self) -> ComposeResult:
        """Note what to look at, if somebody said so; then filter, table, sentence."""
        if self.session.options.note and self.VIEW == "sockets":
            yield self.note
        yield self.bar
        yield self.table
        yield self.said

    def on_mount(self) -> None:
        """Keys go to the table."""
        self.table.focus()
        self.set_class(bool(self.bar.text), "-filtered")

    def on_descendant_focus(self) -> None:
        """Return the filter line is always shown while one types in it."""
        self.set_class(self.bar.is_editing or bool(self.bar.text), "-filtered")

    def show_look(self, observation: Observation) -> None:
        """Sort and divide this look, and show it; a large one in a thread, so that keys are served meanwhile."""
        if len(observation.snapshot.sockets) < ASIDE_FROM:
            session = self.session
            gone = session.gone_of(self.view.query)
            self._show_table(arrange_lines(observation, self.view, session.marks, gone), observation, session.before)
            return
        self._is_stale = True
        if not self._is_arranging:
            self._is_arranging = True
            self.run_worker(self._arrange_aside(), group="arrange", exit_on_error=True)

    async def _arrange_aside(self) -> None:
        """Arrange until nothing newer was asked for meanwhile."""
        try:
            while self._is_stale and self.session.observation is not None:
                self._is_stale = False
                session, observation, view = self.session, self.session.observation, self.view
                marks, before, gone = session.marks, session.before, session.gone_of(view.query)
                table = await asyncio.to_thread(arrange_lines, observation, view, marks, gone)
                if self.is_mounted:
                    self._show_table(table, observation, before)
        finally:
            self._is_arranging = False

    def _show_table(self, table: Table, observation: Observation, before: Observation | None) -> None:
        self.bar.show_counts(table.matched, table.total)
        self.table.show(table, observation, before, self.view.sort, reverse=self.view.reverse)
        self.show_sentence()

    def on_resize(self) -> None:
        """Give the sentence two lines where there is room."""
        self.said.styles.height = TALL_SENTENCE if self.size.height >= TALL_FROM else 1
        lines = wrap(sanitise(self.session.options.note), self.size.width - 2, "accent", indent=" ")
        lines = lines if self.size.height >= NOTE_FROM else []
        self.note.styles.height = len(lines)
        self.note.show(*(one.parts for one in lines))

    def show_sentence(self) -> None:
        """Why, since when and the mend for the cursor's row; else what is worth knowing of the whole."""
        observation, socket = self.session.observation, self.table.cursor_socket
        if observation is None:
            return
        if socket is not None and (text := sentence(socket, observation)):
            role = row_role(socket, observation)
            glyph = {"severe": "▲ ", "warning": "! "}.get(role, "")
            most = TALL_SENTENCE if self.size.height >= TALL_FROM else 1
            lines = wrap(glyph + sanitise(text), self.size.width - 2, role if glyph else "plain", indent=" ")
            if len(lines) > most:
                rest = "".join(part for one in lines[most - 1 :] for part, _ in one.parts)
                lines[most - 1 :] = [line((rest, lines[0].parts[0][1]))]
            self.said.show(*(one.parts for one in lines))
            return
        self.said.show(self._of_the_whole(self.table.table, observation))

    def _of_the_whole(self, table: Table, observation: Observation) -> tuple[Part, ...]:
        hidden = observation.snapshot.hidden_processes
        if not table.matched:
            return self.nothing_matches()
        if not table.acting and self.table.is_touched is False:
            return (*_quiet_text(observation), (_quiet_rules(observation), "dim"), (_hidden_hint(hidden), "dim"))
        return ((_hidden_hint(hidden) if hidden else "", "dim"),)

    def nothing_matches(self) -> tuple[Part, ...]:
        """Return what to say when no row is left."""
        return ((" Nothing here matches. Watching.", "warning"), ("   a all   / another filter", "dim"))

    def keys(self) -> tuple[tuple[str, str, str], ...]:
        """Esc too, where it does something."""
        if self.app.screen_stack[0] is not self:
            return (*self.KEYS[:2], ("Esc", "back", "back"), *self.KEYS[2:])
        return (*self.KEYS[:2], ("Esc", "clear", "back"), *self.KEYS[2:]) if self.bar.text else self.KEYS

    def subject_socket(self) -> Socket | None:
        """Return the cursor's."""
        return self.table.cursor_socket

    def wanted(self) -> Wanted:
        """Return the cursor's socket first, then those on screen."""
        at = self.table.cursor_socket
        shown = self.table.shown_keys()[:MOST_SHOWN]
        sockets = dict.fromkeys((at.key, *shown) if at is not None else shown)
        return Wanted(0, tuple(sockets), (), FACETS)

    def shown_sockets(self) -> list[Socket]:
        """All that match."""
        observation = self.session.observation
        return [] if observation is None else select(observation, self.view.query)

    # -- messages

    def on_query_bar_changed(self, event: QueryBar.Changed) -> None:
        """Another filter is in force."""
        self._set_view(query=all_of(self.base, event.query))

    def on_query_input_left(self, event: QueryInput.Left) -> None:
        """Editing is over: apply, and keys go to the table."""
        event.stop()
        self.bar.set_text(self.bar.text)
        self.table.focus()

    def on_keyed_lines_highlighted(self, event: KeyedLines.Highlighted) -> None:
        """Return the cursor moved: another sentence, other subjects."""
        event.stop()
        self.show_sentence()
        self.show_top()
        self.show_keys()
        self.want_details()

    def on_keyed_lines_folded(self, event: KeyedLines.Folded) -> None:
        """Open or close a heading."""
        event.stop()
        head = self.table.cursor_line
        if isinstance(head, HeadLine):
            self._set_view(folds={**self.view.folds, head.name: not head.is_folded})

    def on_keyed_lines_followed(self, event: KeyedLines.Followed) -> None:
        """Open the anatomy of a socket, or a heading."""
        event.stop()
        socket = self.table.cursor_socket
        if socket is None:
            self.table.action_fold()
            return
        siblings = tuple(one.key for one in self.table.table.lines if not isinstance(one, HeadLine))
        self.scope_app.open_socket(socket.key, siblings)

    def on_socket_table_sort_asked(self, event: SocketTable.SortAsked) -> None:
        """Sort by the heading; again reverses."""
        event.stop()
        self.sort_by(event.column)

    # -- actions

    def action_back(self) -> None:
        """Leave the filter line; else go back; at the root clear the filter."""
        if self.bar.is_editing:
            self.table.focus()
        elif not self.scope_app.go_back():
            self.action_all()

    def action_follow_cursor(self) -> None:
        """Follow the cursor's row."""
        self.table.action_follow()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let the filter's keys be text while one types in it (10.0.0.0/8)."""
        if action == "filter" and self.bar.is_editing:
            return False
        return super().check_action(action, parameters)

    def action_filter(self) -> None:
        """Edit the filter."""
        self.add_class("-filtered")
        self.bar.edit()

    def action_all(self) -> None:
        """Clear the filter and the trouble switch."""
        self._set_view(trouble_only=False)
        self.set_filter("")

    def set_filter(self, text: str) -> None:
        """Put a text into the filter line and apply it."""
        self.bar.set_text(text)
        self.set_class(bool(text) or self.bar.is_editing, "-filtered")
        self.show_keys()

    def action_toggle_term(self, key: str) -> None:
        """Edit the visible filter by one key."""
        self.set_filter(toggle(self.bar.text, key))

    def action_trouble(self) -> None:
        """Show only rows where somebody must act, or all again."""
        self._set_view(trouble_only=not self.view.trouble_only)

    def action_reverse(self) -> None:
        """Turn the order round."""
        self._set_view(reverse=not self.view.reverse)

    def sort_by(self, column: str) -> None:
        """Sort by a column; the one in force is reversed."""
        self._set_view(sort=column, reverse=not self.view.reverse if column == self.view.sort else False)

    def action_sort_step(self, by: int) -> None:
        """Sort by the next or previous column on screen."""
        shown = [placed.column.sort for placed in self.table.placed() if placed.column.sort]
        at = shown.index(self.view.sort) if self.view.sort in shown else 0
        self._set_view(sort=shown[(at + by) % len(shown)], reverse=False)

    def action_sort_menu(self) -> None:
        """Choose the column to sort by."""
        choices = [(name, COLUMNS[name].title if name in COLUMNS else name) for name in SORTS if name]
        self.app.push_screen(ChoiceDialog("Sort by", choices, self.view.sort), self._sort_chosen)

    def _sort_chosen(self, name: str | None) -> None:
        if name is not None:
            self.sort_by(name)

    def action_group_menu(self) -> None:
        """Choose what to group by."""
        choices = [("", "sections"), *((name, f"by {name}") for name in GROUPS)]
        self.app.push_screen(ChoiceDialog("Group", choices, self.view.group or ""), self._group_chosen)

    def _group_chosen(self, name: str | None) -> None:
        if name is not None:
            self._set_view(group=name or None, folds={**self.view.folds, **self._unfolded_around_cursor(name)})

    def _unfolded_around_cursor(self, grouping: str) -> dict[Hashable, bool]:
        """Return what must be open for the cursor to stay on its socket, where somebody put it there."""
        socket, observation = self.table.cursor_socket, self.session.observation
        if socket is None or observation is None or not self.table.is_touched:
            return {}
        within, _, _ = GROUPINGS[grouping or "service"](socket, observation)
        return {("group", within): False} | ({} if grouping else {section_of(socket, observation): False})

    def action_narrow(self) -> None:
        """Narrow the filter to something of this row."""
        socket = self.table.cursor_socket
        if socket is None:
            return
        process = self.subject_process()
        choices = [] if process is None else [(f"pid:{process.pid}", f"process {self.process_subject()}")]
        if socket.remote is not None and socket.remote.address:
            choices.append((f"remote:{socket.remote.address}", f"remote {endpoint(socket.remote).rpartition(':')[0]}"))
        if (port := self.subject_port()) is not None:
            choices.append((f"port:{port}", f"port {port}"))
        choices.append((f"state:{socket.state.lower().replace('_', '-')}", f"state {socket.state}"))
        self.app.push_screen(ChoiceDialog("Narrow to this row's", choices, ""), self._narrow_chosen)

    def _narrow_chosen(self, term: str | None) -> None:
        if term:
            self.set_filter(narrow(self.bar.text, term))

    def _set_view(self, **changes: object) -> None:
        self.view = structs.replace(self.view, **changes)
        self.refresh_look()


def _quiet_text(observation: Observation) -> tuple[Part, ...]:
    """Say that nobody has to act, as far as it is known: bytes may wait of which nothing proves that they stand."""
    moves = (observation.moves or {}).values()
    doubtful = sum(move.row.party == "app" and move.row.condition == "unverified" for move in moves)
    if not doubtful:
        return ((" nobody has to act ✓ ", "good"),)
    rows = "1 row waits" if doubtful == 1 else f"{count(doubtful)} rows wait"
    return ((" nobody is proved to be due ✓ ", "good"), (f"{rows} for app?  ", "dim"))


def _quiet_rules(observation: Observation) -> str:
    return "" if observation.findings is None else "See trouble staged: L or `sockscope lab`"


def _hidden_hint(hidden: int) -> str:
    if not hidden:
        return ""
    whose = "1 owner belongs to another user" if hidden == 1 else f"{count(hidden)} owners belong to other users"
    return f'  {whose}: sudo "$(command -v sockscope)"'
