"""CLOSE_WAIT piles up: the peer has closed, our program has not.

The kernel has told us with EOF; only close() can end the socket, and no timeout ever will. Each lost one is an fd.
"""

from __future__ import annotations

import socket
import sys
import time

from sockscope.lab.stage import Role, connect, listen, pause, play, port_of

LISTENER = listen()
MOST = 150  # then it stays as it is: the lab is bounded


def serve() -> None:
    """Answer each connection and forget it."""
    kept: list[socket.socket] = []
    while len(kept) < MOST:
        connection, _ = LISTENER.accept()
        connection.recv(1024)
        kept.append(connection)
    pause()


def come_and_go() -> None:
    """Connect, say something, close: 5 a second after a first 30."""
    for number in range(MOST):
        connect(PORT, b"bye\n").close()
        time.sleep(0.02 if number < 30 else 0.2)
    pause()


if __name__ == "__main__":
    PORT = port_of(LISTENER)
    sys.exit(play("close-wait-leak", Role("server", serve, [LISTENER]), Role("clients", come_and_go), ports=[PORT]))
