"""What the lab says to look at stays above the table, where there is room."""

from __future__ import annotations

import pytest
from tui.fake_source import ScriptedApp

from sockscope.tui.widgets.parts_line import PartsLine


@pytest.mark.parametrize(("size", "is_shown"), [((80, 24), True), ((120, 36), True), ((40, 10), False)])
async def test_note_stays_above_the_table(size, is_shown):
    app = ScriptedApp(note="epoll-edge-missed: read until EAGAIN")
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        note = app.screen.query_one("#note", PartsLine)
        text = "".join(part for line in note.lines for part, _ in line)
        assert ("read until EAGAIN" in text) == is_shown
