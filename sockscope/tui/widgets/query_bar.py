"""The filter line: applies while one types, completes, remembers; shows an error beside what is still in force."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.suggester import Suggester
from textual.timer import Timer
from textual.widgets import Input

from sockscope.analysis.query import Query, QueryError, complete, parse_query
from sockscope.present.format import count
from sockscope.present.text import sanitise
from sockscope.tui.pictures.parts import Part
from sockscope.tui.widgets.parts_line import PartsLine

SETTLE_S = 0.3  # what is no query yet is told as an error only when typing pauses so long
HISTORY = 50


class QuerySuggester(Suggester):
    """The first completion of the query language."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """Return a longer text that begins with `value`, or None."""
        return next(iter(complete(value, 1)), None) if value else None


class QueryInput(Input):
    """An input whose up and down are history and the way out."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "history(1)", show=False), Binding("down,enter", "leave", show=False),
        Binding("tab", "complete", show=False),
    ]

    class Left(Message):
        """Editing is over."""

    def __init__(self, text: str, history: list[str]) -> None:
        super().__init__(placeholder="type to filter: nginx  :443  move:app  state:listen", compact=True,
                         suggester=QuerySuggester(), select_on_focus=False, id="query")
        self._history = history
        self._at = 0
        self._text = text

    def on_mount(self) -> None:
        """Take the text to begin with: Input can only do so on a screen that is up."""
        with self.prevent(Input.Changed):
            self.value = self._text

    @property
    def text(self) -> str:
        """What stands in the line."""
        return self.value if self.is_mounted else self._text

    def action_history(self, by: int) -> None:
        """Show an earlier query."""
        if not self._history:
            return
        self._at = min(len(self._history), self._at + by)
        if self._history[-self._at] == self.value:  # the one in force: nobody asks for it
            self._at = min(len(self._history), self._at + by)
        self.value = self._history[-self._at]
        self.cursor_position = len(self.value)

    def action_leave(self) -> None:
        """Keep the text and go to the table."""
        self._at = 0
        text = self.value.strip()
        if text and (not self._history or self._history[-1] != text):
            self._history.append(text)
            del self._history[:-HISTORY]
        self.post_message(self.Left())

    def action_complete(self) -> None:
        """Take the completion offered."""
        found = complete(self.value, 1)
        if found:
            self.value = found[0]
            self.cursor_position = len(self.value)


class QueryBar(Horizontal):
    """The input with the counts, or the error, beside it. `query` is the one in force."""

    class Changed(Message):
        """Another query is in force."""

        def __init__(self, query: Query) -> None:
            super().__init__()
            self.query = query

    def __init__(self, text: str, history: list[str]) -> None:
        super().__init__()
        self._input = QueryInput(text, history)
        self._beside = PartsLine(id="query-counts")
        self._timer: Timer | None = None
        self.error: QueryError | None = None
        self.query_in_force = _parsed(text)
        self._counts = ""

    def compose(self) -> ComposeResult:
        """Return a slash, the input, the counts."""
        slash = PartsLine(id="query-slash")
        slash.show(((" / ", "accent"),))
        yield slash
        yield self._input
        yield self._beside

    @property
    def text(self) -> str:
        """What stands in the line."""
        return self._input.text

    @property
    def is_editing(self) -> bool:
        """Whether keys go into the line (`has_focus` comes a message later)."""
        return self.is_mounted and self.screen.focused is self._input

    def edit(self) -> None:
        """Let keys go into the line: the very next too, where focus() would come after what was typed ahead."""
        self.screen.set_focus(self._input)
        self._input.cursor_position = len(self._input.value)

    def set_text(self, text: str) -> None:
        """Put a text there and apply it at once."""
        with self.prevent(Input.Changed):
            self._input.value = text
            self._input.cursor_position = len(text)
        self._apply()

    def show_counts(self, matched: int, total: int) -> None:
        """Say how many there are, unless an error is shown."""
        self._counts = f"{count(matched)} of {count(total)}"
        self._show_beside()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Apply every text that is a query with the key that made it one; the error of one that is not yet can wait."""
        event.stop()
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        try:
            query = parse_query(self._input.value)
        except QueryError:
            self._timer = self.set_timer(SETTLE_S, self._apply)
        else:
            self._put_in_force(query)

    def _apply(self) -> None:
        try:
            query = parse_query(self._input.value)
        except QueryError as error:
            self.error = error
            self._show_beside()
        else:
            self._put_in_force(query)

    def _put_in_force(self, query: Query) -> None:
        self.error = None
        if query != self.query_in_force:
            self.query_in_force = query
            self.post_message(self.Changed(query))
        self._show_beside()

    def _show_beside(self) -> None:
        self.set_class(self.error is not None, "-error")
        part: Part = (self._counts, "dim")
        if self.error is not None:
            part = (f"at {self.error.position + 1}: {sanitise(str(self.error))}", "severe")
        self._beside.show(((" ", "plain"), part))
        self._beside.styles.width = len(part[0]) + 2


def _parsed(text: str) -> Query:
    try:
        return parse_query(text)
    except QueryError:
        return parse_query("")
