"""A receive low-water mark: bytes are there, yet poll() says "not readable".

SO_RCVLOWAT asks the kernel to wake us only when at least that much has arrived. This server wants records of 50,000
bytes; the client sent 10,000 and waits for the answer. Mend: lower the mark, or send whole records.
"""

from __future__ import annotations

import select
import socket
import sys

from sockscope.lab.stage import Role, connect, listen, pause, play, port_of

LISTENER = listen()
MARK, SENT = 50_000, 10_000


def serve() -> None:
    """Wait for a whole record before reading."""
    connection, _ = LISTENER.accept()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, MARK)
    loop = select.epoll()
    loop.register(connection, select.EPOLLIN)
    while True:
        loop.poll()
        connection.recv(MARK)


def client() -> None:
    """Send a part of a record and wait."""
    kept = connect(PORT, bytes(SENT))
    pause()
    kept.close()


if __name__ == "__main__":
    PORT = port_of(LISTENER)
    sys.exit(play("low-water-mark", Role("server", serve, [LISTENER]), Role("client", client), ports=[PORT]))
