"""Looking at one real server as `--deep` does, and waiting until it has come to rest."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sockscope.analysis.io_model import servers as told_servers
from sockscope.collect.deep import read_deep
from sockscope.collect.live import LiveSource
from sockscope.model.observation import Observation
from sockscope.model.server import Server
from sockscope.model.snapshot import Scope

Told = tuple[str, str | None, str | None, str | None, str | None]  # model, mechanism, trigger, pool, exclusive

OLD_ENOUGH_S = 0.3  # analysis/serving.py believes a difference of start times above 0.1 s


@contextmanager
def crowd(port: int, count: int, speaking: int = 0) -> Iterator[None]:
    """Connections that stay open, one after the other: a backlog of 5 drops what comes in a burst.

    One that is not answered in half a second is left to itself: some servers serve no more than a few. The first
    `speaking` of them say a word.
    """
    await_age(port)
    with ExitStack() as stack:
        for number in range(count):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            if select.select((), (client,), (), 0.5)[1] and number < speaking:
                client.send(b"x")
        yield


def await_age(port: int) -> None:
    """Until the listener's holders are older than start times are exact: a worker is pre-forked by its age."""
    while (young := youngest_s(port)) is not None and young < OLD_ENOUGH_S:
        time.sleep(OLD_ENOUGH_S - young)


def youngest_s(port: int) -> float | None:
    """The age of the youngest process that holds the listener."""
    source = LiveSource()
    try:
        snapshot = source.snapshot(Scope())
    finally:
        source.close()
    listeners = [row for row in snapshot.sockets.values() if row.is_listener and row.is_inet and row.local.port == port]
    pids = {holder.pid for row in listeners for holder in snapshot.holders_of(row)}
    started = [ticks for pid in pids if (ticks := snapshot.processes[pid].start_ticks) is not None]
    return time.clock_gettime(time.CLOCK_BOOTTIME) - max(started) / 100 if started else None


def look(port: int) -> Server:
    """The server at this port, from a snapshot and all details of its sockets."""
    source = LiveSource()
    try:
        snapshot = source.snapshot(Scope())
    finally:
        source.close()
    near = [row for row in snapshot.sockets.values() if row.is_inet and row.local.port == port]
    details, _ = read_deep(snapshot, near)
    told = told_servers(Observation(snapshot, details=details))
    return next(one for one in told if one.local.port == port)


def summary(server: Server) -> Told:
    return server.model, server.mechanism, server.trigger, server.pool, server.exclusive


def await_told(port: int, wanted: Told, connections: int) -> Server:
    """The last look: its threads need a moment to come to rest, and a busy one is rightly told as less."""
    end = time.monotonic() + 15
    while True:
        server = look(port)
        if (summary(server) == wanted and server.connections == connections) or time.monotonic() > end:
            return server


def report(name: str, count: int, server: Server) -> None:
    print(f"\n{name}, {count} clients: {summary(server)} {server.connections} connections, {server.threads} threads")
    for line in server.evidence:
        print("   ", line)
