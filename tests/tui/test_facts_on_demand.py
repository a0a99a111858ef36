"""What is told only where it is asked for: meanings, rates, marks in plots, facts of a process, whom a key would hit."""

from __future__ import annotations

import os
import time
from collections import deque

import pytest
from builders import make_snapshot, make_socket
from msgspec import structs
from tui.fake_source import ScriptedApp, sick_details, sick_script, sick_snapshot
from tui.test_every_theme import Nobody, settle, whole_text

from sockscope.analysis.memory import EMPTY, remember
from sockscope.feed.conclude import conclude
from sockscope.model.names import Names
from sockscope.model.observation import Observation
from sockscope.model.process import Process
from sockscope.model.snapshot import Snapshot
from sockscope.present.width import cell_len
from sockscope.tui.actions import destroy_lines, signal_lines
from sockscope.tui.pictures.numbers import MEANINGS
from sockscope.tui.pictures.parts import TextLine
from sockscope.tui.pictures.plot import AXIS, plot_rows
from sockscope.tui.pictures.process_fds import place_line
from sockscope.tui.pictures.rates import KEPT_S, Totals, keep, rates_text
from sockscope.tui.screens.help import KEYS, NARROW, help_lines
from sockscope.tui.screens.process import ProcessRoom
from sockscope.tui.screens.socket import SocketRoom
from sockscope.tui.screens.sockets import SocketsRoom


def observed(snapshot: Snapshot) -> Observation:
    return conclude(remember(EMPTY, snapshot), snapshot, Names())


def text_of(lines: list[TextLine]) -> str:
    return "\n".join("".join(text for text, _ in line.parts) for line in lines)


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_a_group_of_numbers_says_what_it_means_when_the_cursor_comes(size):
    app = ScriptedApp(*sick_script(12), details=sick_details, query="pid:23118 state:established")
    async with app.run_test(size=size) as pilot:
        await pilot.press("enter")
        room = app.screen
        assert isinstance(room, SocketRoom)
        for _ in range(60):
            if room.picture.cursor_key == ("number", "memory"):
                break
            await pilot.press("j")
        await settle(pilot)
        assert MEANINGS["memory"] in "\n".join(whole_text(app))
        await pilot.press("enter")  # leads nowhere
        assert app.screen is room


def test_rates_are_the_difference_of_readings():
    readings: deque[Totals] = deque()
    keep(readings, Totals(100.0, 1_000, 0, 3, 0))
    assert rates_text(readings) == ""
    keep(readings, Totals(100.0, 9_999, 0, 3, 0))  # the same reading
    keep(readings, Totals(100.3, 1_000, 0, 3, 0))
    assert rates_text(readings) == ""  # too short a time to tell
    keep(readings, Totals(102.0, 51_000, None, 4, 0))
    assert rates_text(readings) == "in 25K" "B/s   resent 0.5/s   drops 0/s   over 2 s"
    for second in range(100):
        keep(readings, Totals(103.0 + second, 51_000, 0, 4, 0))
    assert len(readings) <= KEPT_S + 2
    assert rates_text(readings).startswith("in 0B/s   out 0B/s   resent 0/s")


def test_a_plot_has_an_axis_and_its_mark():
    rows = ["".join(text for text, _ in parts) for parts in plot_rows([0.0, 10.0, 100.0], 50, 6, 4)]
    assert rows == ["  100 │     █", "      │     █", "   50 │─────█ mark", "    0 │    ▃█"]
    flat = ["".join(text for text, _ in parts) for parts in plot_rows([0.0], 1_000, 3, 2)]
    assert flat == ["   1K │─── mark", "    0 │   "]
    assert all(len(parts[0][0]) == AXIS for parts in plot_rows([], None, 3, 3))


async def test_the_mark_is_drawn_on_a_high_screen_and_told_on_a_lower_one():
    app = ScriptedApp(*sick_script(12), details=sick_details, query="pid:23118 state:established")
    async with app.run_test(size=(200, 50)) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        assert sum(" mark" in line and "│─" in line for line in whole_text(app)) >= 1
        await pilot.resize_terminal(120, 36)
        await settle(pilot)
        assert any(line.lstrip().startswith("send ") and "mark" in line for line in whole_text(app))


def test_where_a_process_runs_and_since_when():
    process = Process(7, 1, b"x", cwd=b"/srv/\x1b[2J", cgroup=b"/system.slice/x.service", started_at=time.time())
    text = "".join(part for part, _ in place_line(process, 200))
    assert text.startswith(" since 20")
    assert "cgroup /system.slice/x.service" in text
    assert "\x1b" not in text
    assert place_line(Process(7), 80) == ()


async def test_the_footer_offers_only_what_works_under_the_cursor():
    app = ScriptedApp(*sick_script(12), details=sick_details, actor=Nobody())
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("home")
        await settle(pilot)
        assert "K signal" not in whole_text(app)[-1]  # a heading is nobody's process
        assert "c copy" not in whole_text(app)[-1]
        await pilot.press("j")
        await settle(pilot)
        assert "K signal" in whole_text(app)[-1]
        await pilot.press("enter")
        await settle(pilot)
        assert "[ ] previous/next" in whole_text(app)[-1]
        assert "D close socket" in whole_text(app)[-1]
        await pilot.press("escape", "3")
        assert isinstance(app.screen, ProcessRoom)
        await settle(pilot)
        assert "D close socket" not in whole_text(app)[-1]  # a thread is no socket
        app.follow(("socket", (4_026_531_840, 60)))
        await settle(pilot)
        assert "[ ] previous/next" not in whole_text(app)[-1]  # it was opened from no table
        assert "D close" not in whole_text(app)[-1]  # the kernel closes no unix socket


async def test_enter_cancels_what_would_act():
    app = ScriptedApp(*sick_script(2), actor=Nobody())
    async with app.run_test(size=(120, 36)) as pilot:
        for key in ("K", "D"):
            await pilot.press(key)
            assert not isinstance(app.screen, SocketsRoom)
            await pilot.press("enter")
            assert isinstance(app.screen, SocketsRoom)


def test_the_signal_dialog_tells_age_though_the_table_reads_none():
    ticks = int((time.clock_gettime(time.CLOCK_BOOTTIME) - 120) * os.sysconf("SC_CLK_TCK"))
    snapshot = structs.replace(sick_snapshot(), taken_at=time.time())
    text = text_of(signal_lines(Process(23118, ticks, b"node", uid=0), observed(snapshot)))
    assert "started 2m ago" in text


def test_closing_tells_of_a_listener_what_happens_to_it():
    listener = make_socket("0.0.0.0:80", receive_queued=3)
    told = " ".join(text_of(destroy_lines(listener, observed(make_snapshot(listener)))).split())
    assert "accept() fails with EINVAL" in told
    assert "(3 now)" in told
    connection = make_socket("127.0.0.1:1", "127.0.0.1:2")
    told = " ".join(text_of(destroy_lines(connection, observed(make_snapshot(connection)))).split())
    assert "ECONNABORTED" in told
    assert "The peer gets a reset." in told


@pytest.mark.parametrize("width", [34, 74, 90])
def test_help_is_cut_at_no_width(width):
    lines = text_of(help_lines(None, width, {}))
    assert "…" not in lines
    assert all(cell_len(one) <= width for one in lines.splitlines())
    assert all(what in " ".join(lines.split()) for _, what in KEYS) or width > NARROW
