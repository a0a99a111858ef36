"""An event loop by epoll, edge-triggered and done right: the kernel says "something arrived" once, when it arrives.

So every event is answered by reading until there is nothing left (EAGAIN). Who stops earlier is not told again.
"""

from __future__ import annotations

import select
import socket
import sys

from sockscope.lab.serve import echo, run_epoll
from sockscope.lab.stage import Role, listen, play, port_of, requests

LISTENER = listen()


def drain(connection: socket.socket) -> bool:
    """Echo until EAGAIN: the edge is spent only when the buffer is empty."""
    try:
        while echo(connection):
            pass
    except BlockingIOError:
        return True
    return False


if __name__ == "__main__":
    PORT = port_of(LISTENER)
    sys.exit(play("epoll-edge", Role("server", lambda: run_epoll(LISTENER, drain, select.EPOLLET), [LISTENER]),
                  Role("client", lambda: requests(PORT)), ports=[PORT]))
