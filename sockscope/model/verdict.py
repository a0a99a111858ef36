"""What is concluded about a socket: queue fills, readiness, and whose move it is."""

from __future__ import annotations

from msgspec import Struct


class Queue(Struct, frozen=True, gc=False):
    """One direction of a socket.

    `queued_bytes` is payload where the kernel gives payload (kernel-facts.md 1.4). `fill` is 0..1.2 of the present
    capacity by the kernel's own accounting, so it need not equal queued/capacity. `mark_source`: read, default,
    kernel (the send side's fixed fraction). `ready` is poll()'s verdict; `would_block` (send only) is send()'s.
    `mark_fraction` is where on a bar of `fill` the mark stands, None where it cannot be placed.
    """

    queued_bytes: int | None
    capacity_bytes: int | None
    fill: float | None
    mark_bytes: int | None
    mark_source: str | None
    mark_fraction: float | None
    ready: bool | None
    reason: str
    would_block: bool | None = None
    eof: bool = False


class AcceptQueue(Struct, frozen=True, gc=False):
    """A listener's accept queue. It is full when length > limit: it holds limit + 1 connections."""

    length: int
    limit: int

    @property
    def fill(self) -> float:
        """Fill: length / (limit + 1), so that 1.0 is full."""
        return self.length / (self.limit + 1)

    @property
    def is_full(self) -> bool:
        """The kernel's sk_acceptq_is_full()."""
        return self.length > self.limit


class Move(Struct, frozen=True, gc=False):
    """Whose move it is. party: app, peer, network, none, unknown; condition: moving, stalled, unverified.

    `since_s` is how long, None when one sight alone cannot tell; `at_least` marks it as a lower bound.
    """

    party: str
    condition: str
    since_s: float | None = None
    reason: str = ""
    at_least: bool = False


class RowMove(Struct, frozen=True, gc=False):
    """The move of each direction and the worse of them, and `turn` (app, peer, or None: not known)."""

    row: Move
    receive: Move
    send: Move
    turn: str | None = None
    turn_reason: str = ""
