"""Small questions over a screen: a list to choose from, which signal to send, whether to close a socket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from sockscope.tui.pictures.parts import TextLine, line
from sockscope.tui.widgets.text_list import TextList

if TYPE_CHECKING:
    from sockscope.tui.widgets.keyed_lines import KeyedLines


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
        box = self.query_one("#dialog")
        box.styles.width = min(64, self.app.size.width)
        box.styles.height = min(len(self._lines) + (6 if self._options else 4), self.app.size.height)
        self._show()
        self._list.focus()

    def _show(self) -> None:
        lines = [*self._lines, line()]
        if self._options:
            parts = [(f" {name} ", "tab" if number == self._at else "dim") for number, name in enumerate(self._options)]
            lines += [line((" ", "plain"), *parts, ("   ← →", "dim")), line()]
        chosen = f" {self._options[self._at]}" if self._options else ""
        lines.append(line((" y", "key"), f" {self._verb}{chosen}   ", ("Esc", "key"), " cancel"))
        self._list.show(lines)

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
