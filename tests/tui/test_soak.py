"""Ten minutes of 5,000 sockets of which 200 come and go each second: memory flat, no exception, the cursor stays.

A look is a second to the screens, whatever it takes here: 600 looks, and no more than 50 s. SOCKSCOPE_SOAK_S=600 goes
on for ten real minutes, hours of the screens' time.
"""

from __future__ import annotations

import gc
import os
import random
import time
from pathlib import Path

import pytest
from benchmarks.churning import Churning
from builders import make_socket
from msgspec import structs
from tui.fake_source import ScriptedApp

from sockscope.model.snapshot import Scope, Snapshot
from sockscope.tui.screens.sockets import SocketsRoom

LASTING, PASSING, CHURN = 3_000, 2_000, 200
LOOKS, WARM_UP = 600, 150  # history is a minute long: by then it has been full for a while
LONGEST_S = float(os.environ.get("SOCKSCOPE_SOAK_S", "50"))
MOST_GROWN = 12 << 20  # bytes; a look kept by mistake is some 5 MB, and there are hundreds of them


class Churn(Churning):
    """The sockets of the benchmarks, and `LASTING` ones that stay; a second of its own between looks."""

    def __init__(self) -> None:
        super().__init__(PASSING, CHURN)
        lasting = [make_socket(f"192.0.2.1:{8000 + n % 10}", f"203.0.{113 + n // 250}.{n % 250}:{2_000 + n}",
                               inode=900_000 + n) for n in range(LASTING)]
        self._kept |= {one.key: one for one in lasting}
        self.lasting = [one.key for one in lasting]
        self.now_s = 1_000.0

    def snapshot(self, scope: Scope) -> Snapshot:
        self.now_s += 1.0
        return structs.replace(super().snapshot(scope), monotonic_s=self.now_s)


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
async def test_ten_minutes_of_churn():
    source, keys = Churn(), random.Random(7)
    app = ScriptedApp(source.snapshot(Scope()), query="proto:tcp", sort="remote")
    async with app.run_test(size=(120, 36)) as pilot:
        room = app.screen
        assert isinstance(room, SocketsRoom)
        table = room.table

        async def show_next() -> None:
            before = table.table
            app.show(source.snapshot(Scope()))
            while table.table is before:
                await pilot.pause(0.001)
            await pilot.pause()

        while table.table.total < LASTING:
            await pilot.pause(0.01)
        assert table.move_to(source.lasting[LASTING // 2])
        await pilot.pause()
        grown_from, looks, end_s = 0, 0, time.monotonic() + LONGEST_S
        is_bounded = "SOCKSCOPE_SOAK_S" not in os.environ
        while time.monotonic() < end_s and (not is_bounded or looks < LOOKS):
            key, line = table.cursor_key, table.region_of_cursor()
            await show_next()
            assert table.cursor_key == key, f"look {looks}: the cursor left its socket"
            assert table.region_of_cursor() == line, f"look {looks}: the cursor's line moved"
            looks += 1
            if looks == WARM_UP:
                grown_from = resident()
            if looks % 10 == 0:
                await pilot.press(keys.choice(("j", "k", "pagedown", "pageup", "S", "S", "plus", "minus", "p", "p")))
                await step_onto_a_lasting_one(pilot, app, source)
            if looks % 100 == 0:
                await pilot.press("enter", "escape")
        assert app.is_running
        assert looks > 2 * WARM_UP, f"only {looks} looks in {LONGEST_S:.0f} s"
        grown = resident() - grown_from
        print(f"{looks} looks: {grown / 1e6:+.1f} MB since look {WARM_UP}")
        assert grown < MOST_GROWN


async def step_onto_a_lasting_one(pilot, app, source):
    """What passes may take the cursor's line along: it stands on a socket that stays, and the screen is not paused."""
    if app.session.paused_at_s is not None:
        await pilot.press("p")
    room = app.screen
    if room.table.cursor_key not in source.lasting:
        assert room.table.move_to(source.lasting[len(source.lasting) // 2])
    await pilot.pause()
