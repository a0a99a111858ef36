"""TCP_NOTSENT_LOWAT: "writable" means that little waits unsent, not that the buffer has room.

A streaming server keeps its kernel queue short, so that what it sends is fresh. Here the reader takes 200 KB a second;
poll() says writable only below half the mark, although the send buffer is nearly empty. Healthy, and easily mistaken.
"""

from __future__ import annotations

import select
import socket
import sys
import time

from sockscope.lab.stage import Role, connect, listen, play, port_of

LISTENER = listen()
MARK = 32_768
TCP_NOTSENT_LOWAT = 25


def serve() -> None:
    """Write whenever poll() says so."""
    connection, _ = LISTENER.accept()
    connection.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, MARK)
    connection.setblocking(False)
    poll = select.poll()
    poll.register(connection, select.POLLOUT)
    while True:
        poll.poll()
        connection.send(bytes(8192))


def read_steadily() -> None:
    """Take 20 KB every tenth of a second."""
    client = connect(PORT)
    while client.recv(20_000):
        time.sleep(0.1)


if __name__ == "__main__":
    PORT = port_of(LISTENER)
    sys.exit(play("notsent-mark", Role("server", serve, [LISTENER]), Role("reader", read_steadily), ports=[PORT]))
