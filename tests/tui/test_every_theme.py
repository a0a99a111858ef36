"""Every screen at every size says the same in a light theme, an ansi theme and without colour as in the dark one.

What it says in the dark one is in test_pictures. Severity is doubled by a glyph or bold, so the same text is enough.
"""

from __future__ import annotations

import pytest
from textual.pilot import Pilot
from tui.fake_source import ScriptedApp, sick_details, sick_script
from tui.test_pictures import SIZES, WAYS

MORE_WAYS = WAYS | {"help": ["question_mark"], "signal": ["K"], "close": ["slash", *"pid:23118", "enter", "D"],
                    "group": ["v", "down", "enter"]}


class Nobody:
    """Acts never; with it the keys that act are offered."""

    def signal(self, process: object, number: int) -> None:
        raise AssertionError((process, number))

    def destroy(self, socket: object) -> None:
        raise AssertionError(socket)


def whole_text(app: ScriptedApp) -> list[str]:
    """All lines of the screen; of a dialog only its box, since an ansi theme cannot dim what lies behind it."""
    strips = app.screen._compositor.render_strips()
    box = next(iter(app.screen.query("#dialog")), None)
    if box is None:
        return [strip.text for strip in strips]
    return [strips[y].crop(box.region.x, box.region.right).text for y in range(box.region.y, box.region.bottom)]


def colours(app: ScriptedApp) -> set[tuple[int, int, int]]:
    """Every colour on the screen that is no grey."""
    found = {
        colour.triplet for strip in app.screen._compositor.render_strips() for one in strip if one.style is not None
        for colour in (one.style.color, one.style.bgcolor) if colour is not None
    }
    return {
        (one.red, one.green, one.blue) for one in found if one is not None and not one.red == one.green == one.blue
    }


async def settle(pilot: Pilot[int]) -> None:
    for _ in range(3):
        await pilot.pause()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("way", MORE_WAYS)
async def test_the_same_is_said_in_every_theme_and_without_colour(way, size, monkeypatch):
    monkeypatch.setattr("sockscope.tui.app.keep_theme", lambda _: None)
    app = ScriptedApp(*sick_script(12), details=sick_details, actor=Nobody())
    async with app.run_test(size=size) as pilot:
        await pilot.press(*MORE_WAYS[way])
        await settle(pilot)
        dark = whole_text(app)
        assert colours(app)
        assert any(dark)
        for theme in ("textual-light", "ansi-dark", "ansi-light"):
            app.theme = theme
            await settle(pilot)
            assert whole_text(app) == dark, theme
    monkeypatch.setenv("NO_COLOR", "1")
    app = ScriptedApp(*sick_script(12), details=sick_details, actor=Nobody())
    async with app.run_test(size=size) as pilot:
        await pilot.press(*MORE_WAYS[way])
        await settle(pilot)
        assert whole_text(app) == dark
        assert not colours(app)
