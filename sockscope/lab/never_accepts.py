"""A listener whose program never calls accept(): the kernel finishes the handshakes all the same.

Clients see "connected" and send; nobody reads. The rows are ESTABLISHED without any process, and wait in the queue.
"""

from __future__ import annotations

import sys

from sockscope.lab.stage import Role, connect, listen, pause, play, port_of

LISTENER = listen(64)


def clients() -> None:
    """Five clients that each send a request and wait."""
    kept = [connect(PORT, b"GET / HTTP/1.0\r\n\r\n") for _ in range(5)]
    pause()
    kept.clear()


if __name__ == "__main__":
    PORT = port_of(LISTENER)
    sys.exit(play("never-accepts", Role("server", pause, [LISTENER]), Role("clients", clients), ports=[PORT]))
