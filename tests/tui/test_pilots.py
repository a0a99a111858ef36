"""The screens by keys alone: the cursor stays on its socket, filters apply while typed, ways lead back."""

from __future__ import annotations

import json

from builders import make_snapshot, make_socket
from msgspec import structs
from textual import events
from tui.fake_source import ScriptedApp, sick_details, sick_script

from sockscope.model.snapshot import Snapshot
from sockscope.settings import Settings
from sockscope.tui.screens.findings import FindingsRoom
from sockscope.tui.screens.port import PortRoom
from sockscope.tui.screens.process import ProcessRoom
from sockscope.tui.screens.socket import SocketRoom
from sockscope.tui.screens.sockets import SocketsRoom
from sockscope.tui.widgets.keyed_lines import KeyedLines


def root(app: ScriptedApp) -> SocketsRoom:
    screen = app.screen
    assert isinstance(screen, SocketsRoom)
    return screen


def churned(before: Snapshot, number: int, kept: int) -> Snapshot:
    """The first `kept` sockets stay, 200 others are new."""
    fresh = [
        make_socket("192.0.2.1:80", f"198.51.100.7:{20_000 + number * 200 + n}", cookie=10_000 + number * 200 + n)
        for n in range(200)
    ]
    sockets = {**dict(list(before.sockets.items())[:kept]), **{one.key: one for one in fresh}}
    return structs.replace(before, sequence=number + 2, monotonic_s=101.0 + number, sockets=sockets)


async def test_cursor_stays_on_its_socket_and_line_while_200_come_and_go():
    base = [make_socket("192.0.2.1:80", f"198.51.100.9:{10_000 + n}", cookie=100 + n) for n in range(150)]
    first = make_snapshot(*base)
    app = ScriptedApp(first)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("t", "e")  # a filter unfolds: every row is a line of its own
        room = root(app)
        room.sort_by("remote")
        await pilot.press(*["j"] * 60)
        await pilot.pause()
        key, region = room.table.cursor_key, room.table.region_of_cursor()
        assert region is not None
        for number in range(10):
            app.show(churned(first, number, 150))
            await pilot.pause()
            assert room.table.cursor_key == key
            assert room.table.region_of_cursor() == region


async def test_cursor_untouched_sticks_to_the_top():
    app = ScriptedApp(*sick_script(2))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert root(app).table.scroll_y == 0
        assert root(app).table.cursor_index == 1  # the first row below its heading


async def test_gone_rows_stay_for_one_refresh():
    one, two = make_socket("192.0.2.1:80", cookie=1), make_socket("192.0.2.1:81", cookie=2)
    app = ScriptedApp(make_snapshot(one, two))
    async with app.run_test(size=(80, 24)) as pilot:
        app.show(make_snapshot(one, sequence=2, monotonic_s=101.0))
        await pilot.pause()
        assert two.key in [line.key for line in root(app).table.table.lines]
        app.show(make_snapshot(one, sequence=3, monotonic_s=102.0))
        await pilot.pause()
        assert two.key not in [line.key for line in root(app).table.table.lines]


async def test_resizing_breaks_nothing():
    app = ScriptedApp(*sick_script(3))
    async with app.run_test(size=(200, 50)) as pilot:
        for size in ((40, 10), (80, 24), (20, 5), (1, 1), (120, 36)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        for key in ("enter", "escape", "2", "escape", "3", "tab", "escape", "4", "question_mark"):
            await pilot.resize_terminal(200, 50)
            await pilot.press(key)
            await pilot.resize_terminal(40, 10)
            await pilot.pause()


async def test_query_error_keeps_the_old_filter():
    app = ScriptedApp(*sick_script(2))
    async with app.run_test(size=(120, 36)) as pilot:
        room = root(app)
        await pilot.press("slash", *"port:22", "enter")
        assert room.table.table.matched == 1
        await pilot.press("slash", *" (", "enter")  # no part of it is a query, however fast it is typed
        assert room.bar.error is not None
        assert room.table.table.matched == 1
        await pilot.press("escape", "escape")
        assert room.bar.text == ""
        assert room.table.table.matched == room.table.table.total


async def test_each_key_that_makes_a_query_applies_it_and_half_a_word_is_no_error_yet():
    app = ScriptedApp(*sick_script(2))
    async with app.run_test(size=(120, 36)) as pilot:
        room = root(app)
        await pilot.press("slash", *"port:2")
        two = room.view.query
        assert str(two) == "port:2"
        await pilot.press("2")
        assert str(room.view.query) == "port:22"
        assert room.table.table.matched == 1
        await pilot.press(*" (")
        assert room.bar.error is None, "typing goes on"
        assert str(room.view.query) == "port:22"
        await pilot.press("enter")
        assert room.bar.error is not None


async def test_a_walk_by_keys_and_back_the_same_way():
    app = ScriptedApp(*sick_script(12), details=sick_details)
    async with app.run_test(size=(120, 36)) as pilot:
        room = root(app)
        await pilot.press("slash", *"port:41022", "enter")
        await pilot.press("home", "down")
        start = room.table.cursor_key
        await pilot.press("enter")
        assert isinstance(app.screen, SocketRoom)
        keys = [key for key in app.screen.picture._keys if isinstance(key, tuple)]
        peer = next(key for key in keys if key[0] == "socket")
        assert app.screen.picture.move_to(peer)
        await pilot.press("enter")
        assert isinstance(app.screen, SocketRoom)
        assert app.screen.key == peer[1]
        await pilot.press("3")
        assert isinstance(app.screen, ProcessRoom)
        await pilot.press("4")
        assert isinstance(app.screen, FindingsRoom)
        await pilot.press("escape", "escape", "2")
        assert isinstance(app.screen, PortRoom)
        await pilot.press("escape", "escape", "escape")
        assert app.screen is room
        assert room.table.cursor_key == start


async def test_text_below_the_last_line_to_follow_can_be_read():
    app = ScriptedApp(*sick_script(12), details=sick_details, query="pid:23118 state:established")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter", *["down"] * 60)
        assert isinstance(app.screen, SocketRoom)
        picture = app.screen.picture
        assert picture.scroll_y == len(picture.lines) - picture.size.height > 0
        await pilot.press(*["up"] * 90)
        assert picture.scroll_y == 0


async def test_keys_edit_the_visible_filter():
    app = ScriptedApp(*sick_script(2))
    async with app.run_test(size=(120, 36)) as pilot:
        room = root(app)
        await pilot.press("l")
        assert room.bar.text == "state:listen"
        await pilot.press("e", "t")
        assert room.bar.text == "state:listen,established proto:tcp"
        await pilot.press("l", "e")
        assert room.bar.text == "proto:tcp"
        await pilot.press("a")
        assert room.bar.text == ""


async def test_sort_group_trouble_pause():
    app = ScriptedApp(*sick_script(12), details=sick_details)
    async with app.run_test(size=(120, 36)) as pilot:
        room = root(app)
        await pilot.press("s", "down", "enter")
        assert room.view.sort == "process"
        await pilot.press("S")
        assert room.view.reverse
        await pilot.press("v", "down", "enter")
        assert room.view.group == "process"
        await pilot.press("exclamation_mark")
        assert 0 < room.table.table.matched < room.table.table.total
        await pilot.press("exclamation_mark", "p")
        total = room.table.table.total
        app.show(make_snapshot(sequence=99, monotonic_s=130.0))
        await pilot.pause()
        assert room.table.table.total == total
        await pilot.press("p")
        assert room.table.table.total == 0


async def test_work_follows_what_is_shown_not_how_many_there_are():
    """Cells formatted and lines drawn for one refresh are the same for 100 and for 5,000 sockets."""
    counts = []
    for number in (100, 5_000):
        sockets = [make_socket("192.0.2.1:80", f"198.51.{n // 250}.{n % 250}:{1_000 + n}") for n in range(number)]
        app = ScriptedApp(make_snapshot(*sockets), query="proto:tcp", sort="remote")
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.pause()
            table = root(app).table
            table.cells_formatted = 0
            app.show(make_snapshot(*sockets, sequence=2, monotonic_s=101.0))
            await pilot.pause()
            counts.append(table.cells_formatted)
    assert counts[0] == counts[1] > 0


async def test_signal_needs_a_y_and_destroy_too():
    class Recorder:
        def __init__(self) -> None:
            self.did: list[str] = []

        def signal(self, process: object, number: int) -> None:  # noqa: ARG002  # the protocol's
            self.did.append(f"signal {number}")

        def destroy(self, socket: object) -> None:  # noqa: ARG002  # the protocol's
            self.did.append("destroy")

    actor = Recorder()
    app = ScriptedApp(*sick_script(2), actor=actor)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("K", "enter")
        await pilot.press("K", "escape", "D", "q")
        assert actor.did == []
        await pilot.press("K", "right", "y")
        await wait_for(pilot, lambda: actor.did == ["signal 2"])
        await pilot.press("D", "y")
        await wait_for(pilot, lambda: actor.did == ["signal 2", "destroy"])


async def wait_for(pilot, condition):
    for _ in range(200):
        if condition():
            return
        await pilot.pause(0.01)
    raise AssertionError("did not come")


async def test_w_writes_a_file_for_the_owner_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = ScriptedApp(*sick_script(2))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("l", "w", "enter", "w", "down", "enter")
        await pilot.pause()
    written = sorted(tmp_path.iterdir(), key=lambda path: path.suffix)  # their names begin with the second
    assert [path.suffix for path in written] == [".csv", ".json"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in written)
    assert len(json.loads(written[1].read_text())["sockets"]) == 4


async def test_c_copies_a_report_with_ready_commands():
    app = ScriptedApp(*sick_script(2), query="port:41022 pid:23118")
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("c")
        assert "tcp 127.0.0.1:3000 127.0.0.1:41022" in app.clipboard
        assert "ss -tanpimo" in app.clipboard
        assert "kill 23118" in app.clipboard


async def test_a_row_narrows_the_filter_and_the_palette_goes_to_a_port():
    app = ScriptedApp(*sick_script(2))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("l", "asterisk", "enter")
        assert root(app).bar.text.startswith("state:listen pid:")
        await pilot.press("ctrl+p", *"port 3000")
        await pilot.pause(0.5)
        await pilot.press("down", "enter")
        await wait_for(pilot, lambda: isinstance(app.screen, PortRoom))


async def test_keys_from_the_configuration_replace_the_usual_ones():
    app = ScriptedApp(*sick_script(1))
    app.settings = Settings(keys={"pause": ("f2",)})
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("p")
        assert app.session.paused_at_s is None
        await pilot.press("f2")
        assert app.session.paused_at_s is not None


async def test_readonly_has_no_actor():
    app = ScriptedApp(*sick_script(2), readonly=True)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("K")
        assert isinstance(app.screen, SocketsRoom)


async def test_outside_text_is_never_markup():
    """A process named evil[/x] with an escape sequence in it is shown as such on every screen."""
    app = ScriptedApp(*sick_script(2), query="evil")
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        text = screen_text(app)
        assert "evil[/x]" in text
        assert "\x1b" not in text
        for keys in (("enter",), ("3",), ("tab",), ("K",), ("escape",), ("c",), ("question_mark",)):
            await pilot.press(*keys)
            await pilot.pause()
            assert "\x1b" not in screen_text(app)


def screen_text(app: ScriptedApp) -> str:
    lines = [
        widget.render_line(y).text
        for widget in app.screen.query(KeyedLines) for y in range(widget.size.height)
    ]
    return "\n".join(lines)


async def test_q_closes_what_is_on_top_and_then_quits():
    app = ScriptedApp(*sick_script(1))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("question_mark", "q")
        assert app.is_running
        assert isinstance(app.screen, SocketsRoom)
        await pilot.press("q")
    assert app.return_value == 0


async def test_what_is_typed_ahead_of_the_filter_line_is_text_and_no_command():
    """A slow line delivers `/` and the word in one read: no letter may sort, group or signal."""
    app = ScriptedApp(*sick_script(2))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        for character in "/evil 10.0.0.0/8 Kq":
            key = {"/": "slash", " ": "space", ".": "full_stop"}.get(character, character)
            app.post_message(events.Key(key, character))
        for _ in range(3):
            await pilot.pause()
        assert root(app).bar.text == "evil 10.0.0.0/8 Kq"
        assert root(app).view.group is None


async def test_the_cursor_stays_on_its_socket_however_the_table_is_divided():
    sockets = [make_socket("192.0.2.1:80", f"198.51.100.9:{10_000 + n}", cookie=100 + n) for n in range(150)]
    app = ScriptedApp(make_snapshot(*sockets))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        room, mine = root(app), sockets[70]
        assert room.table.move_to(mine.key)
        for _ in range(7):  # through every grouping, and back to sections
            await pilot.press("v", "down", "enter")
            await pilot.pause()
            assert room.table.cursor_socket == mine, room.view.group
