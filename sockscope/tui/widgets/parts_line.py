"""Fixed lines of text: tabs and summary on top, the sentence, the keys at the bottom. Parts may be clicked."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events

from sockscope.present.width import cell_len
from sockscope.tui.pictures.parts import Part, cut
from sockscope.tui.widgets.keyed_lines import KeyedLines


class PartsLine(KeyedLines, can_focus=False, inherit_bindings=False):
    """One or a few lines that never scroll. `actions` names what a click on a part of the first line does."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's name
        super().__init__(id=id)
        self.lines: Sequence[tuple[Part, ...]] = ()
        self._actions: Sequence[str | None] = ()

    def show(self, *lines: tuple[Part, ...], actions: Sequence[str | None] = ()) -> None:
        """Show these instead."""
        if lines == self.lines and actions == self._actions:
            return
        self.lines, self._actions = lines, actions
        self._keys = [None] * len(lines)
        self.refresh()

    def parts_of(self, index: int, width: int) -> tuple[Part, ...]:
        """Return a line, cut or filled to the width."""
        return cut(self.lines[index], width)

    async def on_click(self, event: events.Click) -> None:
        """Run the action of the part that was clicked."""
        event.prevent_default()
        if event.y or not self.lines:
            return
        x = 0
        for (text, _), action in zip(self.lines[0], self._actions, strict=False):
            if x <= event.x < x + cell_len(text) and action is not None:
                await self.app.run_action(action, default_namespace=self.screen)
                return
            x += cell_len(text)
