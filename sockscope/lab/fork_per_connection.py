"""A process per connection: the oldest model, one blocking flow of control for each client.

The parent blocks in accept(). For every connection it forks a child, which blocks in recv() on that one socket. Simple
to write, isolated by the kernel; the price is a process for each client, idle ones too.
"""

from __future__ import annotations

import signal
import sys

from sockscope.lab.serve import echo_until_closed
from sockscope.lab.stage import Role, fork, listen, play, port_of, requests

LISTENER = listen()


def serve() -> None:
    """Accept, fork, go on accepting."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps ended children
    while True:
        connection, _ = LISTENER.accept()
        if fork("child") == 0:
            LISTENER.close()
            echo_until_closed(connection)
            return
        connection.close()


if __name__ == "__main__":
    PORT = port_of(LISTENER)
    sys.exit(play("fork-per-connection", Role("server", serve, [LISTENER]), Role("client", lambda: requests(PORT)),
                  ports=[PORT]))
