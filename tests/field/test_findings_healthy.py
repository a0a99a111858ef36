"""Real servers under a real load of 200 connections raise nothing: a finding on a healthy machine is a bug."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from field import servers
from field.watching import watch

LOADED_S = 60.0
CONNECTIONS = 200
CLIENTS = Path(__file__).with_name("load_clients.py")


@pytest.mark.slow
def test_nginx_redis_postgres_and_node_under_load_raise_none():
    """60 s, 200 connections each, all four at once; warnings and above are counted."""
    with ExitStack() as stack:
        running = [
            (stack.enter_context(servers.nginx(2)), "http", CONNECTIONS),
            (stack.enter_context(servers.redis()), "redis", CONNECTIONS),
            (stack.enter_context(servers.node("http")), "http", CONNECTIONS),
            (stack.enter_context(servers.postgres(connections=CONNECTIONS + 10)), "postgres", CONNECTIONS),
        ]
        for server, kind, count in running:
            command = [sys.executable, str(CLIENTS), kind, str(server.port), str(count), str(LOADED_S + 10)]
            client = stack.enter_context(subprocess.Popen(command))
            stack.callback(client.kill)
        pids = servers.family(*(server.pid for server, _, _ in running))
        found = watch(pids, LOADED_S)
    for server, _, count in running:
        print(f"{server.name:10} {count} connections, {LOADED_S:.0f} s")
    print("found:", ", ".join(f"{one.rule}: {one.summary}" for one in found) or "none")
    assert found == []
