"""One socket with all that is remembered of it: what the rules of the move look at."""

from __future__ import annotations

from functools import cached_property

from sockscope.analysis.ends import other_end
from sockscope.analysis.memory import Memory
from sockscope.analysis.progress import ProcessProgress
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Socket
from sockscope.model.verdict import Move

VERIFY_SAMPLES = 3  # findings.md section 1: at least three samples ...
VERIFY_S = 5.0  # ... and five seconds without progress
SEND_VERIFY_S = 10.0
NOBODY = Move("none", "moving")


class Sight:
    """A socket at one look, joined with its track, its progress, its holders' threads and its peer row."""

    def __init__(self, memory: Memory, snapshot: Snapshot, socket: Socket) -> None:
        self.memory, self.snapshot, self.socket = memory, snapshot, socket
        key = socket.key
        self.track = memory.tracks.get(key)
        self.tcp = memory.tcp.get(key)
        self.detail = memory.details.get(key)
        self.now_s = snapshot.monotonic_s

    @cached_property
    def peer(self) -> Socket | None:
        """The row of the other end, where it is on this host."""
        peer = other_end(self.memory.ends, self.snapshot, self.socket)
        return None if peer is None or peer is self.socket else peer

    @cached_property
    def threads(self) -> tuple[ProcessProgress, ...] | None:
        """The threads of every holder; None where one is hidden or was not read lately."""
        holders = self.snapshot.holders_of(self.socket)
        if not holders or not self.snapshot.holders_complete(self.socket):
            return None
        found = []
        for pid in {holder.pid for holder in holders}:
            seen = self.memory.process(self.snapshot.processes.get(pid))
            if seen is None or not self.memory.is_fresh(seen.at_s):
                return None
            found.append(seen)
        return tuple(found)

    def frozen_since_s(self) -> float | None:
        """Since when no thread of any holder used the CPU: since then nobody read. None where not known."""
        if self.threads is None:
            return None
        starts = [seen.frozen_since_s for seen in self.threads]
        known = [start for start in starts if start is not None]
        return max(known) if len(known) == len(starts) else None

    def lowat(self) -> int | None:
        """SO_RCVLOWAT where it was read."""
        marks = self.detail.marks if self.detail is not None else None
        return marks.value.receive_lowat if marks is not None and marks.value is not None else None

    def samples_since(self, sample: int) -> int:
        """How many looks, both ends counted."""
        return self.memory.sample - sample + 1


def is_full(listener: Socket) -> bool:
    """Whether the accept queue is full; False where its limit is not known (/proc/net has none)."""
    return listener.send_queued is not None and (listener.receive_queued or 0) > listener.send_queued


def bytes_text(count: int) -> str:
    """Say a size to the byte: 212,004 B."""
    return f"{count:,} B"


def seconds_text(seconds: float) -> str:
    """Say a duration: 9 s, 4 min, 2 h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def for_text(seconds: float, at_least: bool) -> str:
    """Say how long: "for 9 s", or "for at least 9 s" where the beginning was not seen."""
    return f"for {'at least ' if at_least else ''}{seconds_text(seconds)}"


def port_text(socket: Socket) -> str:
    """Say where it listens: :3000, or a unix socket's path."""
    if socket.local.port is not None:
        return f":{socket.local.port}"
    return (socket.local.path or b"").decode("utf-8", "backslashreplace") or "this socket"
