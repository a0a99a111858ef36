"""Real servers are told by evidence: idle, with 3 and with 50 connections."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest
from field import servers

from sockscope.analysis.io_model import servers as told_servers
from sockscope.collect.deep import read_deep
from sockscope.collect.live import LiveSource
from sockscope.model.observation import Observation
from sockscope.model.server import Server
from sockscope.model.snapshot import Scope

Told = tuple[str, str | None, str | None, str | None, str | None]  # model, mechanism, trigger, pool, exclusive
Start = Callable[[], AbstractContextManager[servers.Running]]

LOOP = ("event-loop", "epoll", "level", None, None)
UNSEEN = ("unknown", "poll", None, None, None)  # a blocking listener, polled: what follows accept() shows later
THREADS = ("thread-per-connection", "blocking", None, None, None)
CASES: dict[str, tuple[Start, Told, Told]] = {  # start, idle, serving
    "nginx-1": (
        lambda: servers.nginx(1), LOOP, ("event-loop", "epoll", "edge", None, None),
    ),
    "nginx-2": (
        lambda: servers.nginx(2), ("event-loop", "epoll", "level", "pre-forked", "EPOLLEXCLUSIVE"),
        ("event-loop", "epoll", "edge", "pre-forked", "EPOLLEXCLUSIVE"),
    ),
    "nginx-2-reuseport": (
        lambda: servers.nginx(2, reuseport=True), ("event-loop", "epoll", "level", "pre-forked", "SO_REUSEPORT"),
        ("event-loop", "epoll", "edge", "pre-forked", "SO_REUSEPORT"),
    ),
    "redis": (servers.redis, LOOP, LOOP),
    "postgres": (
        servers.postgres, ("unknown", "select", None, None, None),
        ("process-per-connection", "epoll", "level", None, None),
    ),
    "node": (servers.node, LOOP, LOOP),
    "asyncio": (lambda: servers.python_server("asyncio"), LOOP, LOOP),
    "select": (
        lambda: servers.python_server("select"), ("event-loop", "select", None, None, None),
        ("event-loop", "select", None, None, None),
    ),
    "poll": (
        lambda: servers.python_server("poll"), ("event-loop", "poll", None, None, None),
        ("event-loop", "poll", None, None, None),
    ),
    "epoll-edge": (
        lambda: servers.python_server("epoll-edge"), ("event-loop", "epoll", "edge", None, None),
        ("event-loop", "epoll", "edge", None, None),
    ),
    "forking": (
        lambda: servers.python_server("forking"), UNSEEN, ("process-per-connection", "blocking", None, None, None),
    ),
    "threading": (lambda: servers.python_server("threading"), UNSEEN, THREADS),
    "http": (lambda: servers.python_server("http"), UNSEEN, THREADS),
    "java-blocking": (
        lambda: servers.java_server("Blocking"), ("unknown", "blocking", None, None, None), THREADS,
    ),
    "java-nio": (lambda: servers.java_server("Nio"), LOOP, LOOP),
    "prefork": (
        lambda: servers.python_server("prefork"), ("process-per-connection", "blocking", None, "pre-forked", None),
        ("process-per-connection", "blocking", None, "pre-forked", None),
    ),
    "thread-pool": (
        lambda: servers.python_server("thread-pool"), ("thread-per-connection", "blocking", None, "pre-threaded", None),
        ("thread-per-connection", "blocking", None, "pre-threaded", None),
    ),
    "iterative": (
        lambda: servers.python_server("iterative"), ("unknown", "blocking", None, None, None),
        ("iterative", "blocking", None, None, None),
    ),
}
TAKES = {"prefork": 4, "thread-pool": 8, "iterative": 1, "forking": 40}  # socketserver's max_children is 40


@contextmanager
def crowd(port: int, count: int) -> Iterator[None]:
    """Connections that stay open, one after the other: a backlog of 5 drops what comes in a burst.

    One that is not answered in half a second is left to itself: some servers serve no more than a few.
    """
    with ExitStack() as stack:
        for _ in range(count):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            select.select((), (client,), (), 0.5)
        yield


def look(port: int) -> tuple[Server, Observation]:
    source = LiveSource()
    try:
        snapshot = source.snapshot(Scope())
    finally:
        source.close()
    near = [row for row in snapshot.sockets.values() if row.is_inet and row.local.port == port]
    details, _ = read_deep(snapshot, near)
    observation = Observation(snapshot, details=details)
    return next(one for one in told_servers(observation) if one.local.port == port), observation


def summary(server: Server) -> Told:
    return server.model, server.mechanism, server.trigger, server.pool, server.exclusive


def await_told(port: int, wanted: Told, connections: int) -> Server:
    """The server's threads need a moment to come to rest; a busy one is rightly told as less."""
    end = time.monotonic() + 15
    while True:
        server, _ = look(port)
        if (summary(server) == wanted and server.connections == connections) or time.monotonic() > end:
            return server


def report(name: str, count: int, server: Server) -> None:
    print(f"\n{name}, {count} clients: {summary(server)} {server.connections} connections, {server.threads} threads")
    for line in server.evidence:
        print("   ", line)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to read other users' threads")
@pytest.mark.parametrize("name", CASES)
def test_told_idle_and_serving(name: str):
    start, idle, serving = CASES[name]
    with start() as running:
        server = await_told(running.port, idle, 0)
        report(name, 0, server)
        assert summary(server) == idle, server.evidence
        for count in (3, 50):
            with crowd(running.port, count):
                server = await_told(running.port, serving, min(count, TAKES.get(name, count)))
                report(name, count, server)
                assert summary(server) == serving, server.evidence
                assert server.connections == min(count, TAKES.get(name, count))
