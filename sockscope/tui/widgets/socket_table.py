"""The table of sockets: columns from the width alone, rows formatted only when they are drawn."""

from __future__ import annotations

from collections.abc import Hashable

from textual import events
from textual.message import Message

from sockscope.model.observation import Observation
from sockscope.model.socket import Socket, SocketKey
from sockscope.present.columns import Placed, cell, layout
from sockscope.present.format import count
from sockscope.present.width import cell_len, fit
from sockscope.tui.arrangement import HeadLine, SocketLine, Table
from sockscope.tui.pictures.parts import Part, cut
from sockscope.tui.widgets.keyed_lines import KeyedLines

NOTHING = Table((), 0, 0, 0)


class SocketTable(KeyedLines):
    """Shows a Table; the cursor stands on a socket or a heading by key."""

    HEADER = 1
    class SortAsked(Message):
        """A column's heading was clicked."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's name
        super().__init__(id=id)
        self.table = NOTHING
        self.observation: Observation | None = None
        self.before: Observation | None = None
        self.sort, self.reverse = "move", False
        self.columns: tuple[str, ...] | None = None
        self.cells_formatted = 0  # tests count them: they must not grow with the number of sockets

    def show(self, table: Table, observation: Observation, before: Observation | None, sort: str, *,
             reverse: bool) -> None:
        """Show this instead; `before` is the look that rows which are gone belong to."""
        self.table, self.observation, self.before = table, observation, before
        self.sort, self.reverse = sort, reverse
        self.place([line.key for line in table.lines])

    def _first_key(self) -> Hashable | None:
        """Return the first socket; headings only where there is nothing else."""
        lines = self.table.lines
        return next((line.key for line in lines if isinstance(line, SocketLine)), super()._first_key())

    @property
    def cursor_line(self) -> SocketLine | HeadLine | None:
        """The line under the cursor."""
        at = self.cursor_index
        return self.table.lines[at] if at is not None and at < len(self.table.lines) else None

    @property
    def cursor_socket(self) -> Socket | None:
        """The socket under the cursor, None on a heading."""
        line = self.cursor_line
        return line.socket if isinstance(line, SocketLine) else None

    def shown_keys(self) -> tuple[SocketKey, ...]:
        """Return the sockets on screen now, for reading their details."""
        top = round(self.scroll_y)
        shown = self.table.lines[top : top + max(0, self.size.height - self.HEADER)]
        return tuple(line.socket.key for line in shown if isinstance(line, SocketLine) and line.mark != "gone")

    def placed(self) -> tuple[Placed, ...]:
        """Return the columns at this width."""
        return layout(self.size.width, self.columns)

    def header_parts(self, y: int, width: int) -> tuple[Part, ...]:  # noqa: ARG002  # one header line
        """Return the headings, the sorted one marked."""
        parts: list[Part] = []
        x = 0
        for placed in self.placed():
            is_sorted = placed.column.sort is not None and placed.column.sort == self.sort
            arrow = ("▴" if self.reverse else "▾") if is_sorted else ""
            text = f"{placed.column.title} {arrow}" if arrow else placed.column.title
            parts.append((" " * (placed.x - x) + fit(text, placed.width, placed.column.align), "header"))
            x = placed.x + placed.width
        return cut(parts, width)

    def parts_of(self, index: int, width: int) -> tuple[Part, ...]:
        """One row or heading."""
        line = self.table.lines[index]
        is_cursor = line.key == self.cursor_key
        if isinstance(line, HeadLine):
            return self._head_parts(line, width, is_cursor=is_cursor)
        return self._row_parts(line, width, is_cursor=is_cursor)

    @staticmethod
    def _head_parts(line: HeadLine, width: int, *, is_cursor: bool) -> tuple[Part, ...]:
        fold = "▸" if line.is_folded else "▾"
        indent = "▸" if is_cursor else " "
        text = f"{indent}{' ' * (2 * line.level)}{fold} {line.title} {count(line.count)} "
        parts: list[Part] = [(text, "header" if not line.level else "plain")]
        if line.note:
            parts.append((f"{line.note} ", "dim"))
        if not line.level:
            used = sum(cell_len(part) for part, _ in parts)
            parts.append(("─" * max(0, width - used), "dim"))
        return cut(parts, width)

    def _row_parts(self, line: SocketLine, width: int, *, is_cursor: bool) -> tuple[Part, ...]:
        observation = self.before if line.mark == "gone" and self.before is not None else self.observation
        if observation is None:
            return cut((), width)
        parts: list[Part] = []
        x = 0
        for placed in self.placed():
            shown = cell(placed.column, line.socket, observation, placed.width)
            self.cells_formatted += 1
            text, role = shown.text, shown.role
            if line.alike > 1 and placed.column.name == "address":
                text = f"×{line.alike} {text.lstrip()}"
            if line.mark == "gone":
                role = "gone"
            elif line.mark and placed.column.name in ("state", "address"):
                role = "new"
            gap = "▸" if is_cursor and not x else " " * (placed.x - x)
            parts += [(gap, "accent"), (fit(text, placed.width), role)]
            x = placed.x + placed.width
        return cut(parts, width)

    async def on_click(self, event: events.Click) -> None:
        """Sort by a heading; else as in every list."""
        if event.y >= self.HEADER:
            return
        event.prevent_default()
        for placed in self.placed():
            if placed.x <= event.x < placed.x + placed.width and placed.column.sort is not None:
                self.post_message(self.SortAsked(placed.column.sort))

