"""A scrolling list whose cursor is a key, not a line number (line API: cost follows the lines shown).

When the lines change, the cursor's line keeps its place on the screen and the others move around it. Until the cursor
is first moved, the view sticks to the top. Textual's own tables measure every row; see code-models 2.5 for numbers.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from sockscope.present.text import to_ascii
from sockscope.tui.bindings import bind
from sockscope.tui.pictures.parts import Part

ROLES = ("severe", "warning", "dim", "good", "bar", "mark", "plain", "header", "accent", "gone", "new", "title", "tab",
         "key")


class KeyedLines(ScrollView, can_focus=True, inherit_bindings=False):
    """`HEADER` fixed lines stay on top. Subclasses give `parts_of(index, width)` and `header_parts(y, width)`."""

    HEADER: ClassVar[int] = 0
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"lines--{role}" for role in (*ROLES, "cursor", "cursor-blurred")}
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up,k", "move(-1)"), bind("down,j", "move(1)"),
        bind("home,g", "first"), bind("end,G", "last"),
        bind("pageup,ctrl+b", "page(-1.0)"), bind("pagedown,ctrl+f", "page(1.0)"),
        bind("ctrl+u", "page(-0.5)"), bind("ctrl+d", "page(0.5)"),
        bind("enter", "follow"), bind("space", "fold"),
    ]

    class Followed(Message):
        """Enter or a click on the cursor's line."""

        def __init__(self, lines: KeyedLines, key: Hashable) -> None:
            super().__init__()
            self.lines, self.key = lines, key

        @property
        def control(self) -> KeyedLines:
            """The list it came from."""
            return self.lines

    class Highlighted(Followed):
        """The cursor stands on another key, or its line was replaced."""

    class Folded(Followed):
        """Space on a line that opens and closes."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's name
        super().__init__(id=id)
        self._keys: Sequence[Hashable | None] = ()
        self._index: dict[Hashable, int] = {}
        self._styles_of: dict[str, Style] = {}
        self.cursor_key: Hashable | None = None
        self.is_touched = False

    # -- what subclasses say

    def parts_of(self, index: int, width: int) -> tuple[Part, ...]:
        """Return the parts of one line, `width` cells in all."""
        raise NotImplementedError

    def header_parts(self, y: int, width: int) -> tuple[Part, ...]:
        """Return the parts of a fixed line on top."""
        raise NotImplementedError

    # -- lines and cursor

    @property
    def cursor_index(self) -> int | None:
        """Where the cursor's key is now."""
        return self._index.get(self.cursor_key) if self.cursor_key is not None else None

    def place(self, keys: Sequence[Hashable | None]) -> None:
        """Take these lines instead; None is a line that cannot hold the cursor."""
        before, at = self._keys, self.cursor_index
        screen_line = None if at is None else at - round(self.scroll_y)
        self._keys = keys
        self._index = {key: number for number, key in enumerate(keys) if key is not None}
        self.virtual_size = Size(0, len(keys) + self.HEADER)
        if self.is_touched and at is not None and screen_line is not None:
            survivor = self._survivor(before, at)
            self.cursor_key = survivor
            if survivor is not None:
                self._scroll(self._index[survivor] - screen_line)
        elif self.cursor_index is None or not self.is_touched:
            self.cursor_key = self._first_key()
        self.refresh()
        self.post_message(self.Highlighted(self, self.cursor_key))

    def _survivor(self, before: Sequence[Any], at: int) -> Any:
        """Return the cursor's key, or the nearest line of before that is still there."""
        for number in (*range(at, len(before)), *range(at - 1, -1, -1)):
            key = before[number]
            if key is not None and key in self._index:
                return key
        return self._first_key()

    def _first_key(self) -> Hashable | None:
        """Where the cursor stands at first."""
        return next(iter(self._index), None)

    def move_to(self, key: Hashable) -> bool:
        """Set the cursor on a key and show it; False where there is no such line."""
        if key not in self._index:
            return False
        self.is_touched = True
        self.cursor_key = key
        self.reveal()
        self.refresh()
        self.post_message(self.Highlighted(self, key))
        return True

    def reveal(self, below: int = 0) -> None:
        """Scroll just so far that the cursor is in view, and so many lines below it."""
        at = self.cursor_index
        height = self._page_height
        if at is None or height <= 0:
            return
        top = round(self.scroll_y)
        if at < top:
            self._scroll(0 if at == self._first_index() else at)
        elif at + below >= top + height:
            self._scroll(min(at, at + below - height + 1))

    def _first_index(self) -> int:
        return next((number for number, key in enumerate(self._keys) if key is not None), 0)

    @property
    def _page_height(self) -> int:
        return self.size.height - self.HEADER

    def _scroll(self, y: float) -> None:
        highest = max(0, len(self._keys) + self.HEADER - self.size.height)
        self.scroll_to(y=min(max(0, y), highest), animate=False, immediate=True, force=True)

    def _step(self, start: int, by: int) -> None:
        """Go to the first line that can hold the cursor at or beyond `start` in the direction of `by`."""
        steps = range(max(0, start), len(self._keys)) if by > 0 else range(min(start, len(self._keys) - 1), -1, -1)
        for number in steps:
            key = self._keys[number]
            if key is not None:
                self.move_to(key)
                return
        # Text beyond the last line that can hold the cursor (or above the first) is read by scrolling.
        self.is_touched = True
        self._scroll(round(self.scroll_y) + by)

    def action_move(self, by: int) -> None:
        """Go up or down."""
        at = self.cursor_index
        self._step(0 if at is None else at + by, by)

    def action_page(self, pages: float) -> None:
        """Go up or down by a page or part of one; stops at the ends."""
        by = int(pages * max(1, self._page_height))
        target = min(len(self._keys) - 1, max(0, (self.cursor_index or 0) + by))
        before = self.cursor_key
        self._step(target, by or 1)
        if self.cursor_key == before:
            self._scroll(round(self.scroll_y) + by)
            return
        if self.cursor_index is not None and (target in (0, len(self._keys) - 1)):
            self._step(target, 1 if target == 0 else -1)

    def action_first(self) -> None:
        """Go to the first line."""
        self._step(0, 1)
        self._scroll(0)

    def action_last(self) -> None:
        """Go to the last line."""
        self._step(len(self._keys) - 1, -1)
        self._scroll(len(self._keys))

    def action_follow(self) -> None:
        """Follow the cursor's line."""
        if self.cursor_index is not None and self.cursor_key is not None:
            self.post_message(self.Followed(self, self.cursor_key))

    def action_fold(self) -> None:
        """Open or close the cursor's line."""
        if self.cursor_index is not None and self.cursor_key is not None:
            self.post_message(self.Folded(self, self.cursor_key))

    # -- events and drawing

    async def on_click(self, event: events.Click) -> None:
        """Set the cursor; on the cursor's own line, follow it."""
        at = event.y + round(self.scroll_y) - self.HEADER
        if event.y < self.HEADER or not 0 <= at < len(self._keys) or self._keys[at] is None:
            return
        key = self._keys[at]
        if key == self.cursor_key and self.is_touched:
            self.action_follow()
        elif key is not None:
            self.move_to(key)

    def on_resize(self) -> None:
        """Keep the cursor in view."""
        self.reveal()

    def notify_style_update(self) -> None:
        """Forget styles of the theme before."""
        super().notify_style_update()
        self._styles_of.clear()

    def style_of(self, role: str) -> Style:
        """Return the role's style in the present theme, without background."""
        style = self._styles_of.get(role)
        if style is None:
            name = f"lines--{role}" if role in ROLES or role.startswith("cursor") else "lines--plain"
            style = self.get_component_rich_style(name, partial=True)
            colour = self.get_component_styles(name).color
            if 0 < colour.a < 1:  # a rich style has no transparency: without this, muted text is as loud as the rest
                style += Style(color=self.background_colors[1].blend(colour, colour.a, 1.0).rich_color)
            self._styles_of[role] = style
        return style

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        width = self.size.width
        if y < self.HEADER:
            return self._strip(self.header_parts(y, width), self.rich_style, width)
        index = y - self.HEADER + round(self.scroll_y)
        if index >= len(self._keys):
            return Strip.blank(width, self.rich_style)
        key = self._keys[index]
        if key is not None and key == self.cursor_key:
            cursor = self.style_of("cursor" if self.has_focus else "cursor-blurred")
            return self._strip(self.parts_of(index, width), self.rich_style, width, cursor)
        return self._strip(self.parts_of(index, width), self.rich_style, width)

    def _strip(self, parts: Sequence[Part], base: Style, width: int, over: Style | None = None) -> Strip:
        is_ascii = bool(getattr(self.app, "is_ascii", False))
        segments = []
        for text, role in parts:
            style = base + self.style_of(role)
            segments.append(Segment(to_ascii(text) if is_ascii else text, style + over if over is not None else style))
        return Strip(segments).adjust_cell_length(width, base + over if over is not None else base)

    def region_of_cursor(self) -> Region | None:
        """Where on this widget the cursor's line is, None where it is out of view."""
        at = self.cursor_index
        y = -1 if at is None else at - round(self.scroll_y) + self.HEADER
        return Region(0, y, self.size.width, 1) if self.HEADER <= y < self.size.height else None
