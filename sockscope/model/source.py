"""The protocols between the collector and its users. Live, recorded, remote and portable sources differ only here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from msgspec import Struct

from sockscope.model.detail import ProcessDetail, SocketDetail, Wanted
from sockscope.model.process import Process
from sockscope.model.snapshot import Scope, Snapshot
from sockscope.model.socket import Socket


class SourceLostError(Exception):
    """The source cannot give another snapshot; the message says why, in one line."""


class About(Struct, frozen=True):
    """What a source is; constant for its life. kind: live, recording, remote, portable."""

    kind: str
    host: str
    boot_id: str
    facets: frozenset[str]
    can_seek: bool = False


class DetailReader(Protocol):
    """Reads details on its own lane with its own fds. It may hang: its caller abandons it."""

    def read(
        self, wanted: Wanted, snapshot: Snapshot, stop: Callable[[], bool]
    ) -> Iterator[SocketDetail | ProcessDetail]:
        """Yield what was asked, one key at a time, until done, over budget, or `stop()`."""
        ...

    def close(self) -> None:
        """Give everything back; from any thread, more than once."""
        ...


class Source(Protocol):
    """Gives snapshots. `snapshot` blocks, is called from one thread only, and raises only SourceLostError."""

    @property
    def about(self) -> About:
        """What this source is."""
        ...

    def snapshot(self, scope: Scope) -> Snapshot:
        """One look at everything in scope."""
        ...

    def open_detail(self) -> DetailReader:
        """Open a fresh reader of details."""
        ...

    def close(self) -> None:
        """Give everything back; from any thread, more than once."""
        ...


class ActionError(Exception):
    """An action was refused or had no target; the message says so in one sentence."""


class Actor(Protocol):
    """Acts on the machine, only on an explicit, confirmed key. Absent with --readonly and for recordings."""

    def signal(self, process: Process, number: int) -> None:
        """Send it, by pidfd, only if the process is still the one meant. Raises ActionError."""
        ...

    def destroy(self, socket: Socket) -> None:
        """SOCK_DESTROY by exact cookie. Raises ActionError."""
        ...
