"""The last minutes of every row that was not at rest, in arrays, within a fixed number of bytes.

A tick holds the keys of the rows that changed in one look and five numbers for each. Ticks are immutable and shared
by the memories that follow each other, so the screen may read one while the feed makes the next.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from itertools import pairwise

from msgspec import Struct

from sockscope.model.socket import Socket, SocketKey

LIMIT_BYTES = 16_000_000
ENTRY_BYTES = 5 * 8 + 8 + 120  # the numbers, the reference, and a key tuple that may outlive its socket
WIDTH = 5
STATES = (
    "", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
    "LAST_ACK", "LISTEN", "CLOSING",
)
TIMERS = ("", "retransmit", "keepalive", "time-wait", "zero-window-probe")
_STATE_CODE = {state: code for code, state in enumerate(STATES)}
_TIMER_CODE = {timer: code for code, timer in enumerate(TIMERS)}


class Tick(Struct, frozen=True):
    """The rows that changed at one look: WIDTH numbers for each key, in the order of `keys`."""

    at_s: float
    keys: tuple[SocketKey, ...]
    numbers: array[int]

    @property
    def size_bytes(self) -> int:
        """What it is reckoned at against LIMIT_BYTES; an upper estimate."""
        return 200 + len(self.keys) * ENTRY_BYTES


class Sample(Struct, frozen=True, gc=False):
    """One row at one look. `state` is "" where it has no name in the kernel's TCP states."""

    at_s: float
    receive_queued: int
    send_queued: int
    timer: str
    retransmits: int
    state: str


class History(Struct, frozen=True):
    """Ticks, oldest first, never above LIMIT_BYTES together. `from_s`: nothing before it is known."""

    ticks: tuple[Tick, ...] = ()
    size_bytes: int = 0
    from_s: float | None = None


def record(
    history: History, at_s: float, changed: Iterable[SocketKey], sockets: Mapping[SocketKey, Socket]
) -> History:
    """Add one look. A look with more changes than fit at all keeps its first ones."""
    keys: list[SocketKey] = []
    numbers = array("q")
    most = LIMIT_BYTES // ENTRY_BYTES - 2
    for key in changed:
        socket = sockets.get(key)
        if socket is None or len(keys) >= most:
            continue
        keys.append(key)
        timer = socket.timer
        numbers.extend((
            socket.receive_queued or 0, socket.send_queued or 0, _TIMER_CODE.get(timer.kind, 0) if timer else 0,
            timer.retransmits if timer else 0, _STATE_CODE.get(socket.state, 0),
        ))
    from_s = at_s if history.from_s is None else history.from_s
    if not keys:
        return history if history.from_s is not None else History(from_s=from_s)
    tick = Tick(at_s, tuple(keys), numbers)
    ticks, size = (*history.ticks, tick), history.size_bytes + tick.size_bytes
    dropped = 0
    while size > LIMIT_BYTES:
        size -= ticks[dropped].size_bytes
        from_s = ticks[dropped + 1].at_s
        dropped += 1
    return History(ticks[dropped:], size, from_s)


def samples_of(history: History, key: SocketKey, from_s: float) -> tuple[Sample, ...]:
    """List the looks at which this row had changed, from `from_s` on, and the last one before it; oldest first."""
    found: list[Sample] = []
    for tick in reversed(history.ticks):
        if key not in tick.keys:
            continue
        at = tick.keys.index(key) * WIDTH
        receive, send, timer, retransmits, state = tick.numbers[at : at + WIDTH]
        found.append(Sample(tick.at_s, receive, send, TIMERS[timer], retransmits, STATES[state]))
        if tick.at_s < from_s:
            break
    return tuple(reversed(found))


def falls_of(history: History, key: SocketKey, from_s: float) -> int:
    """Count how often the receive queue was seen to fall since then: proofs that somebody read."""
    samples = samples_of(history, key, from_s)
    return sum(new.receive_queued < old.receive_queued for old, new in pairwise(samples))
