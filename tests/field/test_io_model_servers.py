"""Real servers are told by evidence: idle, with 3 and with 50 connections."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from field import servers
from field.io_models import Told, await_told, crowd, report, summary

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
