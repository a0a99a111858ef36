"""Each real server starts, accepts, and leaves nothing behind."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest
from field import servers
from field.python_servers import KINDS

REAL: dict[str, AbstractContextManager[servers.Running]] = {
    "nginx": servers.nginx(2), "redis": servers.redis(), "postgres": servers.postgres(), "node": servers.node(),
    "java-blocking": servers.java_server("Blocking"), "java-nio": servers.java_server("Nio"),
    **{kind: servers.python_server(kind) for kind in KINDS},
}


@pytest.mark.parametrize("name", REAL)
def test_starts_accepts_and_ends(name):
    """It accepts three clients, and its session is empty afterwards."""
    with REAL[name] as running, servers.clients(running.port, 3):
        assert servers.accepts(running.port)
    assert not servers.accepts(running.port)
    assert servers.living_members(running.pid) == []
