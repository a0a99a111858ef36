"""A source of N sockets of which some come and go at every look: for what a screen costs, without a kernel's own time."""

from __future__ import annotations

import time
from collections.abc import Iterator

from builders import make_snapshot, make_socket
from msgspec import structs

from sockscope.model.process import Process
from sockscope.model.snapshot import Scope, Snapshot
from sockscope.model.socket import Holder, Socket, SocketKey
from sockscope.model.source import About, DetailReader


class NoDetails:
    """A reader that has nothing to tell."""

    def read(self, *_: object) -> Iterator[object]:
        return iter(())

    def close(self) -> None:
        """Nothing is open."""


class Churning:
    """`count` connections to ten listeners; each look the oldest `churn` of them are gone and as many are new."""

    def __init__(self, count: int, churn: int) -> None:
        self.about = About("live", "host", "0", frozenset())
        self._churn, self._made, self._sequence = churn, 0, 0
        listeners = [make_socket(f"192.0.2.1:{8000 + n}", inode=10 + n) for n in range(10)]
        self._doors = [listener.local for listener in listeners]
        self._kept: dict[SocketKey, Socket] = {socket.key: socket for socket in listeners}
        self._young: dict[SocketKey, Socket] = {}
        for _ in range(count):
            self._make()
        self._holders = {10 + n: (Holder(100 + n, 3),) for n in range(10)}
        self._processes = {100 + n: Process(100 + n, 1, b"server") for n in range(10)}

    def _make(self) -> None:
        self._made += 1
        number = self._made
        remote = f"198.51.{number // 60_000 % 250}.{number % 250}:{1024 + number % 60_000}"
        socket = make_socket(f"192.0.2.1:{8000 + number % 10}", remote, inode=1_000 + number)
        socket = structs.replace(socket, local=self._doors[number % 10])  # rows share it, as those of the real source
        self._young[socket.key] = socket

    def snapshot(self, _: Scope) -> Snapshot:
        """The next look."""
        self._sequence += 1
        for key in list(self._young)[: self._churn]:
            del self._young[key]
            self._make()
        return make_snapshot(
            sequence=self._sequence, monotonic_s=time.monotonic(), sockets={**self._kept, **self._young},
            processes=self._processes, took_s=0.0,
        )

    def open_detail(self) -> DetailReader:
        """One that has nothing to tell."""
        return NoDetails()  # type: ignore[return-value]

    def close(self) -> None:
        """Nothing is open."""
