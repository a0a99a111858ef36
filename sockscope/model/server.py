"""How a listening socket is served."""

from __future__ import annotations

from msgspec import Struct

from sockscope.model.socket import Endpoint, SocketKey


class Server(Struct, frozen=True, gc=False):
    """The concurrency model behind one local endpoint, with the evidence for it.

    model: process-per-connection, thread-per-connection, event-loop, hybrid, iterative, unknown; mechanism: blocking,
    select, poll, epoll, io_uring or None; trigger: level, edge, mixed or None; pool: pre-forked, pre-threaded or None.
    """

    local: Endpoint
    protocol: str
    model: str
    mechanism: str | None
    trigger: str | None
    pool: str | None
    exclusive: str | None  # EPOLLEXCLUSIVE, SO_REUSEPORT
    connections: int
    threads: int | None
    listeners: tuple[SocketKey, ...]
    evidence: tuple[str, ...]
