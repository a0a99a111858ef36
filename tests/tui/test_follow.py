"""Enter goes on where a thread waits: along the wait chain, and through a pipe to whoever has its other end."""

from __future__ import annotations

from collections.abc import Callable

from builders import make_snapshot, make_socket
from scripted import make_thread
from tui.fake_source import ScriptedApp

from sockscope.model.detail import PipeEnd, ProcessDetail, Read
from sockscope.model.gap import Gap
from sockscope.model.process import Fd, Process
from sockscope.model.snapshot import Snapshot
from sockscope.tui.screens.findings import FindingsRoom
from sockscope.tui.screens.process import ProcessRoom
from sockscope.tui.screens.socket import SocketRoom

SERVED = make_socket("192.0.2.1:3000", "198.51.100.9:40000", cookie=1, inode=101, receive_queued=500)
DATABASE = make_socket("192.0.2.1:41000", "203.0.113.7:5432", cookie=2, inode=102)


def machine(sequence: int = 1) -> Snapshot:
    """A server 10 with a connection and a database, and a child 20 that it reads from by a pipe."""
    return make_snapshot(
        SERVED, DATABASE, sequence=sequence, monotonic_s=99.0 + sequence,
        holders={101: (10, 24), 102: (10, 9)},
        processes={10: Process(10, 1, b"server"), 20: Process(20, 1, b"child")},
    )


def details(waits_on: int, call: str) -> Callable[[float], tuple[ProcessDetail, ...]]:
    def read(at_s: float) -> tuple[ProcessDetail, ...]:
        pipe = Fd(10, 6, "pipe", b"pipe:[77]", inode=77, flags=0)
        server = ProcessDetail(
            (10, 1), threads=Read((make_thread(10, call=call, on_fd=waits_on),), at_s), fds=Read((pipe,), at_s),
            pipes=Read((PipeEnd(20, 1, 77, writes=True),), at_s),
        )
        child = ProcessDetail((20, 1), threads=Read((make_thread(20, call="clock_nanosleep", on_fd=None),), at_s))
        return server, child

    return read


async def test_the_wait_chain_leads_to_the_socket_it_waits_on():
    app = ScriptedApp(machine(1), machine(2), details=details(9, "recvfrom"), query="port:3000")
    async with app.run_test(size=(120, 44)) as pilot:
        await pilot.press("enter")
        assert isinstance(app.screen, SocketRoom)
        assert app.screen.picture.move_to(("socket", DATABASE.key, "link"))
        await pilot.press("enter")
        assert isinstance(app.screen, SocketRoom)
        assert app.screen.key == DATABASE.key
        await pilot.press("escape")
        assert isinstance(app.screen, SocketRoom)
        assert app.screen.key == SERVED.key


async def test_the_wait_chain_leads_through_a_pipe_to_the_process_that_is_due():
    app = ScriptedApp(machine(1), machine(2), details=details(6, "read"), query="port:3000")
    async with app.run_test(size=(120, 44)) as pilot:
        await pilot.press("enter")
        assert isinstance(app.screen, SocketRoom)
        assert app.screen.picture.move_to(("process", 20, "link"))
        await pilot.press("enter")
        assert isinstance(app.screen, ProcessRoom)
        assert app.screen.pid == 20


async def test_a_pipe_among_the_fds_leads_to_the_process_with_its_other_end():
    app = ScriptedApp(machine(1), machine(2), details=details(6, "read"), opening="process", subject=10)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("tab")
        room = app.screen
        assert isinstance(room, ProcessRoom)
        told = ["".join(text for text, _ in one.parts) for one in room.fds.lines]
        assert any("← child 20 fd 1" in one for one in told)
        assert room.fds.move_to(("process", 20, "fd", 6))
        await pilot.press("enter")
        assert isinstance(app.screen, ProcessRoom)
        assert app.screen.pid == 20
        await pilot.press("escape")
        assert app.screen is room
        assert room.fds.cursor_key == ("process", 20, "fd", 6)


async def test_escape_goes_back_over_every_step_also_where_a_room_was_met_twice():
    app = ScriptedApp(machine(1), machine(2), details=details(6, "read"), opening="process", subject=10)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        for key in (("process", 20), ("socket", SERVED.key), ("process", 10)):
            app.follow(key)
            await pilot.pause()
        assert [type(one) for one in app.screen_stack[1:]] == [ProcessRoom, ProcessRoom, SocketRoom, ProcessRoom]
        app.follow(("socket", SERVED.key))  # straight back to where one came from: no step more
        await pilot.pause()
        assert len(app.screen_stack) == 4
        await pilot.press("escape")
        assert isinstance(app.screen, ProcessRoom)
        assert app.screen.pid == 20
        await pilot.press("4", "2", "4", "3", "4")
        assert len([one for one in app.screen_stack if isinstance(one, FindingsRoom)]) == 1, "views do not pile up"


async def test_from_a_socket_to_its_process_the_cursor_of_the_fds_stands_on_that_socket():
    app = ScriptedApp(machine(1), machine(2), query="port:5432")
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("enter")
        assert isinstance(app.screen, SocketRoom)
        app.follow(("process", 10))
        await pilot.pause()
        assert isinstance(app.screen, ProcessRoom)
        assert app.screen.fds.cursor_key == ("socket", DATABASE.key, "fd", 9)


async def test_a_process_that_ended_is_shown_as_it_was_and_said_to_have_ended():
    def read(at_s: float) -> tuple[ProcessDetail, ...]:
        if at_s > 101:
            return (ProcessDetail((10, None), process=Read(None, at_s, Gap("process", "vanished"))),)
        process = Process(10, 1, b"server", started_at=0.0)
        return (ProcessDetail((10, 1), process=Read(process, at_s), threads=Read((make_thread(10),), at_s)),)

    app = ScriptedApp(machine(1), machine(2), details=read, opening="process", subject=10)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        room = app.screen
        assert isinstance(room, ProcessRoom)
        facts = room.facts.lines[0]
        fds = len(room.fds.lines)
        for sequence in (3, 4):
            app.show(make_snapshot(sequence=sequence, monotonic_s=99.0 + sequence))
        await pilot.pause()
        assert "ended" in "".join(text for text, _ in room.facts.lines[1])
        assert room.facts.lines[0] == facts, "its age stands still"
        assert len(room.fds.lines) == fds
        assert room.subject_process() is None
