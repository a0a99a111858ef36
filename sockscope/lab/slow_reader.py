"""A reader that does not read: the peer's receive window closes, and the writer stands still.

Bytes fill the reader's receive buffer first, then the window is 0, then the writer's own send buffer fills. The kernel
probes the closed window with a timer (zero-window probe). It is the reader's move, whatever the writer does.
"""

from __future__ import annotations

import sys

from sockscope.lab.stage import Role, connect, listen, pause, play, port_of

LISTENER = listen()


def serve() -> None:
    """Accept one client and write to it without end; sendall() blocks when the send buffer is full."""
    connection, _ = LISTENER.accept()
    while True:
        connection.sendall(bytes(65536))


def read_nothing() -> None:
    """Connect and forget to read."""
    kept = connect(PORT)
    pause()
    kept.close()


if __name__ == "__main__":
    PORT = port_of(LISTENER)
    sys.exit(play("slow-reader", Role("writer", serve, [LISTENER]), Role("reader", read_nothing), ports=[PORT]))
