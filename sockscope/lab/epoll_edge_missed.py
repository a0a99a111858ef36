"""Edge-triggered epoll with the drain missed: the commonest bug of event loops.

The client sent 200,000 bytes in one go. The server was told once, read 4,096 of them and went back to epoll_wait().
The rest lies in the receive buffer; no new edge comes, for the client waits for an answer. Both wait for ever.
Mend: read until EAGAIN at each event, or register without EPOLLET.
"""

from __future__ import annotations

import select
import socket
import sys

from sockscope.lab.serve import run_epoll
from sockscope.lab.stage import Role, connect, listen, pause, play, port_of

LISTENER = listen()
SENT = 200_000


def read_a_little(connection: socket.socket) -> bool:
    """Read one piece and think that was all: the bug."""
    return bool(connection.recv(4096))


def client() -> None:
    """Send much, await the answer that never comes."""
    kept = connect(PORT, bytes(SENT))
    pause()
    kept.close()


if __name__ == "__main__":
    PORT = port_of(LISTENER)
    sys.exit(play("epoll-edge-missed",
                  Role("server", lambda: run_epoll(LISTENER, read_a_little, select.EPOLLET), [LISTENER]),
                  Role("client", client), ports=[PORT]))
