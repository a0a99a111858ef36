"""Small questions over a screen: a list to choose from, which signal to send, whether to close a socket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from sockscope.tui.pictures.parts import TextLine, line, parts_width, wrap
from sockscope.tui.widgets.text_list import TextList

if TYPE_CHECKING:
    from sockscope.tui.widgets.keyed_lines import KeyedLines


EDGE = 2  # cells of border and padding at each side
MORE = "  ← →"


def shown_options(options: Sequence[str], at: int, room: int) -> Sequence[str]:
    """Return the options around the chosen one that fit into `room` cells, each between two blanks."""
    first = 0
    while first < at and sum(len(name) + 2 for name in options[first : at + 1]) > room:
        first += 1
    last = len(options)
    while last > at + 1 and sum(len(name) + 2 for name in options[first:last]) > room:
        last -= 1
    return options[first:last]


def arranged(told: Sequence[TextLine], answer: list[TextLine], width: int, height: int) -> list[TextLine]:
    """Return what is told, broken at the width, and how to answer below it; above it where it would be out of sight."""
    broken = [part for one in told for part in _broken(one, width - 1)]
    lines = [*broken, line(), *answer]
    if len(lines) <= height:
        return lines
    tight = [one for one in (*broken, *answer) if one.parts]
    return tight if len(tight) <= height else [*(one for one in answer if one.parts), *broken]


def _broken(one: TextLine, width: int) -> list[TextLine]:
    if parts_width(one.parts) <= width:
        return [one]
    return wrap("".join(text for text, _ in one.parts), width, one.parts[0][1], indent=" ")


class ChoiceDialog(ModalScreen[str | None]):
    """Asks for one of (value, label); None when left without."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,backspace,q,f10", "dismiss(None)", show=False)]

    def __init__(self, title: str, choices: Sequence[tuple[str, str]], chosen: str) -> None:
        super().__init__()
        self._title, self._choices, self._chosen = title, choices, chosen
        self._list = TextList(id="choices")

    def compose(self) -> ComposeResult:
        """Return a box with the list."""
        with Vertical(id="dialog") as box:
            box.border_title = Content(self._title)
            yield self._list

    def on_mount(self) -> None:
        """Return the cursor stands on what is in force."""
        width = max(len(self._title) + 6, *(len(label) + 6 for _, label in self._choices))
        box = self.query_one("#dialog")
        box.styles.width = min(width + 2, self.app.size.width)
        box.styles.height = min(len(self._choices) + 2, self.app.size.height)
        self._list.show([line(f" {label}", key=value or "-") for value, label in self._choices])
        self._list.move_to(self._chosen or "-")
        self._list.focus()

    def on_keyed_lines_followed(self, event: KeyedLines.Followed) -> None:
        """Chosen."""
        event.stop()
        key = str(event.key)
        self.dismiss("" if key == "-" else key)

    def on_keyed_lines_highlighted(self, event: KeyedLines.Highlighted) -> None:
        """Nobody else's business."""
        event.stop()


class ConfirmDialog(ModalScreen[str | None]):
    """Tells what would be done; only `y` does it. With `options`, left and right choose one: it is the result."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,q,f10,n", "dismiss(None)", show=False), Binding("y", "confirm", show=False),
        Binding("enter", "dismiss(None)", show=False, priority=True),  # the list has the keys, and a use for Enter
        Binding("left", "choose(-1)", show=False), Binding("right", "choose(1)", show=False),
    ]

    def __init__(self, title: str, lines: Sequence[TextLine], verb: str, options: Sequence[str] = ()) -> None:
        super().__init__()
        self._title, self._lines, self._verb, self._options = title, lines, verb, options
        self._at = 0
        self._list = TextList(id="choices")

    def compose(self) -> ComposeResult:
        """Return a box with the text."""
        with Vertical(id="dialog") as box:
            box.border_title = Content(self._title)
            yield self._list

    def on_mount(self) -> None:
        """Show it."""
        self._show()
        self._list.focus()

    def on_resize(self) -> None:
        """Fit it anew."""
        self._show()

    def _show(self) -> None:
        width, height = min(64, self.app.size.width), self.app.size.height
        lines = arranged(self._lines, self._answer(width - 2 * EDGE), width - 2 * EDGE, height - 2)
        box = self.query_one("#dialog")
        box.styles.width, box.styles.height = width, min(len(lines) + 2, height)
        self._list.show(lines)

    def _answer(self, width: int) -> list[TextLine]:
        """Return what can be chosen, and the keys."""
        lines = []
        if self._options:
            parts = [(f" {name} ", "tab" if name == self._options[self._at] else "dim")
                     for name in shown_options(self._options, self._at, width - len(MORE) - 2)]
            lines += [line((" ", "plain"), *parts, (MORE, "dim")), line()]
        chosen = f" {self._options[self._at]}" if self._options else ""
        return [*lines, line((" y", "key"), f" {self._verb}{chosen}   ", ("Esc", "key"), " cancel")]

    def action_choose(self, by: int) -> None:
        """Another of the options."""
        if self._options:
            self._at = (self._at + by) % len(self._options)
            self._show()

    def action_confirm(self) -> None:
        """Do it."""
        self.dismiss(self._options[self._at] if self._options else "y")

    def on_keyed_lines_highlighted(self, event: KeyedLines.Highlighted) -> None:
        """Nobody else's business."""
        event.stop()
