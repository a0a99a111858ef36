"""The footer and the help name the keys that work: the usual ones, or those of the configuration file."""

from __future__ import annotations

import pytest
from textual.binding import Binding
from tui.fake_source import ScriptedApp, sick_snapshot

from sockscope.settings import Settings
from sockscope.tui.bindings import name_of
from sockscope.tui.key_names import key_text, shown_key
from sockscope.tui.screens.help import help_lines
from sockscope.tui.screens.room import Room
from sockscope.tui.widgets.parts_line import PartsLine


@pytest.mark.parametrize(("key", "shown"), [
    ("p", "p"), ("K", "K"), ("space", "Space"), ("question_mark", "?"), ("f9", "F9"), ("ctrl+s", "Ctrl+S"),
    ("shift+tab", "Shift+Tab"), ("pagedown", "PgDn"), ("+", "+"),
])
def test_a_key_is_shown_as_it_is_called(key, shown):
    assert key_text(key) == shown


def test_two_ways_of_one_action_have_names_of_their_own():
    ids = [one.id for one in Room.BINDINGS if isinstance(one, Binding)]
    assert len(ids) == len(set(ids)) + 1  # 4 and f are one action
    assert name_of("move(-1)") != name_of("move(1)")


def test_a_key_taken_away_is_not_shown():
    assert shown_key("p", "pause", {"pause": ()}) == ""
    assert shown_key("⏎", "follow_cursor", {"follow": ("o", "enter")}) == "o"
    assert shown_key("? F1", "help", {"help": ("f1", "h")}, most=3) == "F1 h"


async def test_footer_and_help_show_the_configured_key_and_it_works():
    app = ScriptedApp(sick_snapshot())
    app.settings = Settings(keys={"pause": ("z",), "follow": ("o",)})
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        room = app.room
        assert room is not None
        footer = "".join(text for text, _ in room.query_one("#keys", PartsLine).lines[0])
        assert " z pause" in footer
        assert " p pause" not in footer
        assert "o why" in footer
        await pilot.press("p")
        assert app.session.paused_at_s is None
        await pilot.press("z")
        assert app.session.paused_at_s is not None
    told = ["".join(text for text, _ in one.parts).split() for one in help_lines(None, 90, app.settings.keys)]
    assert ["z", "pause"] in told
    assert ["p", "pause"] not in told
