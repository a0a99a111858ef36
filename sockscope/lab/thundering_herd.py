"""The thundering herd: eight processes wait for one listener, and every connection wakes several of them.

Each has its own epoll set with the shared listener in it, level-triggered and not exclusive. One wins the accept(),
the others woke for nothing. Mend: EPOLLEXCLUSIVE, or a listener each with SO_REUSEPORT.
"""

from __future__ import annotations

import contextlib
import select
import sys
import time

from sockscope.lab.stage import Role, connect, listen, play, port_of

LISTENER = listen()
WORKERS = 8


def work() -> None:
    """Wait on the shared listener, accept if still possible, close at once."""
    LISTENER.setblocking(False)
    loop = select.epoll()
    loop.register(LISTENER, select.EPOLLIN)
    while True:
        loop.poll()
        with contextlib.suppress(BlockingIOError):
            LISTENER.accept()[0].close()


def knock() -> None:
    """Make forty connections a second."""
    while True:
        with contextlib.closing(connect(PORT)) as client:
            client.recv(1)
        time.sleep(0.025)


if __name__ == "__main__":
    PORT = port_of(LISTENER)
    sys.exit(play("thundering-herd", *(Role(f"worker{number}", work, [LISTENER]) for number in range(WORKERS)),
                  Role("clients", knock), ports=[PORT]))
