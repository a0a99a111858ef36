"""Out of file descriptors: accept() fails with EMFILE, and the accept queue fills behind it.

The limit here is 64 (RLIMIT_NOFILE). The connections that came first are served; the next ones wait for nothing.
Mend: close what is not used, or raise the limit.
"""

from __future__ import annotations

import resource
import sys
import time

from sockscope.lab.stage import Role, connect, listen, pause, play, port_of

LISTENER = listen(64)
LIMIT, CLIENTS = 64, 80


def serve() -> None:
    """Accept until no fd is left; then try again and again, as most servers do."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
    kept = []
    while True:
        try:
            kept.append(LISTENER.accept()[0])
        except OSError:  # EMFILE
            time.sleep(0.5)


def clients() -> None:
    """Come in greater numbers than the server has fds."""
    kept = [connect(PORT) for _ in range(CLIENTS)]
    pause()
    kept.clear()


if __name__ == "__main__":
    PORT = port_of(LISTENER)
    sys.exit(play("fd-limit", Role("server", serve, [LISTENER]), Role("clients", clients), ports=[PORT]))
