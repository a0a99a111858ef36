"""A thread per connection: as simple as a process each, and cheaper.

The main thread blocks in accept(), each connection's thread in recv(). Ten thousand clients are ten thousand stacks.
"""

from __future__ import annotations

import sys
import threading

from sockscope.lab.serve import echo_until_closed
from sockscope.lab.stage import Role, listen, play, port_of, requests

LISTENER = listen()


def serve() -> None:
    """Accept, start a thread, go on accepting."""
    while True:
        connection, _ = LISTENER.accept()
        threading.Thread(target=echo_until_closed, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    PORT = port_of(LISTENER)
    sys.exit(play("thread-per-connection", Role("server", serve, [LISTENER]), Role("client", lambda: requests(PORT)),
                  ports=[PORT]))
