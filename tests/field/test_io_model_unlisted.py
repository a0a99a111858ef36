"""Servers of other shapes than the listed ones are told by the same rules."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from field import servers
from field.io_models import Told, await_told, crowd, report, summary

PROGRAM = Path(__file__).with_name("more_servers.py")
LOOP = ("event-loop", "epoll", "level", None, None)
CASES: dict[str, tuple[Told, Told, int]] = {  # idle, serving, how many of 12 connections it takes
    "sync-workers": (
        ("unknown", "select", None, "pre-forked", None),
        ("process-per-connection", "blocking", None, "pre-forked", None), 4,
    ),
    "queue-pool": (
        ("unknown", "blocking", None, None, None), ("thread-per-connection", "blocking", None, "pre-threaded", None), 12,
    ),
    "worker-loops": (
        ("unknown", "blocking", None, None, None), ("event-loop", "epoll", "level", "pre-threaded", None), 12,
    ),
    "reuseport-loops": (
        ("event-loop", "epoll", "level", "pre-forked", "SO_REUSEPORT"),
        ("event-loop", "epoll", "level", "pre-forked", "SO_REUSEPORT"), 12,
    ),
    "shared-loops": (
        ("event-loop", "epoll", "level", "pre-forked", None), ("event-loop", "epoll", "level", "pre-forked", None), 12,
    ),
    "processes-of-threads": (
        ("process-per-connection", "blocking", None, "pre-forked", None),  # idle: one thread each is all there is
        ("thread-per-connection", "blocking", None, "pre-forked", None), 12,
    ),
    "timed-threads": (
        ("unknown", "blocking", None, None, None), ("thread-per-connection", "poll", None, None, None), 12,
    ),
    "hybrid": (LOOP, ("hybrid", "epoll", "level", None, None), 12),
    "asyncio-executor": (LOOP, LOOP, 12),
    "fork-each": (
        ("unknown", "blocking", None, None, None), ("process-per-connection", "blocking", None, None, None), 12,
    ),
    "one-shot-loop": (LOOP, ("event-loop", "epoll", "edge", None, None), 12),
}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to read other users' threads")
@pytest.mark.parametrize("name", CASES)
def test_told_idle_and_serving(name: str):
    idle, serving, takes = CASES[name]
    port = servers.free_port()
    with servers.started(name, [sys.executable, str(PROGRAM), name, str(port)], port):
        server = await_told(port, idle, 0)
        report(name, 0, server)
        assert summary(server) == idle, server.evidence
        for count in (3, 12):
            with crowd(port, count, speaking=2 if name == "hybrid" else 0):
                server = await_told(port, serving, min(count, takes))
                report(name, count, server)
                if name == "queue-pool" and count == 3:  # six workers for three: nothing tells them from new threads
                    assert summary(server)[:2] == serving[:2]
                    continue
                assert summary(server) == serving, server.evidence
                assert server.connections == min(count, takes)
