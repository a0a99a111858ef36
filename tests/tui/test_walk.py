"""Issue 3's walk by keys alone, on nginx with two workers and 50 clients, and all the way back."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from field.servers import clients, nginx
from textual.pilot import Pilot

from sockscope.collect.sources import open_source
from sockscope.model.observation import Observation
from sockscope.model.socket import Socket
from sockscope.tui.app import SockscopeApp
from sockscope.tui.options import TuiOptions
from sockscope.tui.screens.port import PortRoom
from sockscope.tui.screens.process import ProcessRoom
from sockscope.tui.screens.room import Room
from sockscope.tui.screens.socket import SocketRoom
from sockscope.tui.screens.sockets import SocketsRoom
from sockscope.tui.widgets.keyed_lines import KeyedLines

AnyRoom = TypeVar("AnyRoom", bound=Room)


class Walk:
    """Somebody at the keyboard, who remembers where the cursor stood in each room."""

    def __init__(self, app: SockscopeApp, pilot: Pilot[int]) -> None:
        self.app, self.pilot = app, pilot
        self.trail: list[tuple[Room, KeyedLines, Hashable]] = []

    async def come(self, holds: Callable[[], object], what: str) -> None:
        for _ in range(400):
            if holds():
                return
            await self.pilot.pause(0.05)
        raise AssertionError(f"{what} did not come")

    async def down_to(self, lines: KeyedLines, is_meant: Callable[[Hashable], bool]) -> Hashable:
        """Press j until the cursor stands on such a line."""
        await self.pilot.press("home")
        for _ in range(300):
            if lines.cursor_key is not None and is_meant(lines.cursor_key):
                return lines.cursor_key
            await self.pilot.press("j")
        raise AssertionError(f"no such line as far as {lines.cursor_key!r}")

    async def go(self, key: str, lines: KeyedLines, kind: type[AnyRoom]) -> AnyRoom:
        """Press a key that leads to another room."""
        here = self.app.screen
        assert isinstance(here, Room)
        self.trail.append((here, lines, lines.cursor_key))
        await self.pilot.press(key)
        return self.room(kind)

    def room(self, kind: type[AnyRoom]) -> AnyRoom:
        room = self.app.screen
        assert isinstance(room, kind), room
        return room

    @property
    def look(self) -> Observation:
        assert self.app.session.observation is not None
        return self.app.session.observation

    def socket(self, key: Hashable) -> Socket | None:
        sockets: Mapping[Any, Socket] = self.look.snapshot.sockets  # headings have keys too
        return sockets.get(key)

    def holder(self, key: Hashable) -> int | None:
        socket = self.socket(key)
        held = self.look.snapshot.holders_of(socket) if socket is not None else ()
        return held[0].pid if held else None


@asynccontextmanager
async def live(port: int) -> AsyncIterator[Walk]:
    """`sockscope --port PORT` on this machine."""
    options = TuiOptions(opening="port", subject=port, query=f"port:{port}", interval_s=0.25, readonly=True)
    app = SockscopeApp(options, open_source(None, probe=True))
    try:
        async with app.run_test(size=(120, 36)) as pilot:
            yield Walk(app, pilot)
    finally:
        app.session.feed.close()
        app.naming.close()


async def test_from_the_listener_to_a_peers_process_and_back_by_keys_alone():
    with nginx(2) as server, clients(server.port, 50):
        async with live(server.port) as walk:

            def is_accepted(key: Hashable) -> bool:
                socket = walk.socket(key)
                return (socket is not None and socket.state == "ESTABLISHED" and socket.local.port == server.port
                        and walk.holder(key) not in {None, server.pid})

            port = walk.room(PortRoom)
            await walk.come(lambda: port.table.table.matched >= 101, "50 connections at both ends")
            assert "50 served here" in "".join(text for text, _ in port.head.parts_of(0, 120))
            listener = port.table.cursor_key
            start = walk.socket(listener)
            assert start is not None
            assert start.is_listener

            first = await walk.down_to(port.table, is_accepted)  # from the listener to a worker's connection
            its_line, worker = port.table.region_of_cursor(), walk.holder(first)
            anatomy = await walk.go("enter", port.table, SocketRoom)
            assert anatomy.key == first

            await walk.down_to(anatomy.picture, lambda key: key == ("process", worker))
            process = await walk.go("enter", anatomy.picture, ProcessRoom)
            assert process.pid == worker
            await to_another_fd_and_its_peer(walk, process, lambda key: key != first and is_accepted(key))

            for room, lines, key in reversed(walk.trail):  # all the way back
                await walk.pilot.press("escape")
                assert walk.app.screen is room
                assert lines.cursor_key == key
                assert lines.has_focus
            assert port.table.region_of_cursor() == its_line
            await walk.down_to(port.table, lambda key: key == listener)
            await walk.pilot.press("escape")
            assert not isinstance(walk.room(SocketsRoom), PortRoom)


async def to_another_fd_and_its_peer(walk: Walk, process: ProcessRoom, is_another: Callable[[Hashable], bool]) -> None:
    """From a worker's process by another of its fds to the process at the other end: this test."""
    await walk.come(lambda: process.fds.cursor_key is not None and len(process.wanted().sockets) > 1, "the worker's fds")
    await walk.pilot.press("tab")
    assert process.fds.has_focus
    fd = await walk.down_to(process.fds, lambda key: isinstance(key, tuple) and key[0] == "socket" and is_another(key[1]))
    second = await walk.go("enter", process.fds, SocketRoom)
    assert isinstance(fd, tuple)
    assert second.key == fd[1]

    await walk.down_to(second.picture, lambda key: isinstance(key, tuple) and key[0] == "socket")
    near = walk.socket(second.key)
    peer = await walk.go("enter", second.picture, SocketRoom)
    far = walk.socket(peer.key)
    assert near is not None
    assert far is not None
    assert (far.local, far.remote) == (near.remote, near.local)
    client = await walk.go("3", peer.picture, ProcessRoom)
    assert client.pid == os.getpid()
