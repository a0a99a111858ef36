"""A list of drawn lines (tui/pictures): trees, fds, findings, the anatomy."""

from __future__ import annotations

from collections.abc import Sequence

from sockscope.tui.pictures.parts import Part, TextLine, cut
from sockscope.tui.widgets.keyed_lines import KeyedLines


class TextList(KeyedLines):
    """Shows TextLines; those with a key can hold the cursor and be followed."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's name
        super().__init__(id=id)
        self.lines: Sequence[TextLine] = ()

    def show(self, lines: Sequence[TextLine]) -> None:
        """Show these instead."""
        self.lines = lines
        self.place([line.key for line in lines])

    def parts_of(self, index: int, width: int) -> tuple[Part, ...]:
        """Return the line's parts, with the cursor's pointer where it can hold the cursor."""
        line = self.lines[index]
        pointer = "▸" if line.key is not None and line.key == self.cursor_key and self.has_focus else " "
        return cut(((pointer, "accent"), *line.parts), width)
