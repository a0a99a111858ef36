"""Ephemeral ports running out: one client, one remote address and port, and a range of ports that ends.

A connection is the four-tuple; towards one remote only the source port is left to vary. In the lab's own namespace the
range has 200 ports (usually 28,232), and 196 are taken. Mend: reuse connections, more source or target addresses.
"""

from __future__ import annotations

import sys

from sockscope.lab import namespace
from sockscope.lab.stage import Role, connect, listen, pause, play, port_of

RANGE, CONNECTIONS = (40_000, 40_199), 196


def serve() -> None:
    """Accept and keep."""
    kept = []
    while True:
        kept.append(LISTENER.accept()[0])


def connect_all() -> None:
    """Take nearly every port there is."""
    kept = [connect(PORT) for _ in range(CONNECTIONS)]
    pause()
    kept.clear()


if __name__ == "__main__":
    namespace.ensure()
    LISTENER = listen()
    PORT = port_of(LISTENER)
    namespace.set_sysctl("ipv4.ip_local_port_range", f"{RANGE[0]} {RANGE[1]}")
    sys.exit(play("port-exhaustion", Role("server", serve, [LISTENER]), Role("client", connect_all), ports=[PORT]))
