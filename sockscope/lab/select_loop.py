"""An event loop by select(): one thread asks the kernel "which of these are readable?" and serves those.

The whole set is handed over at each call, and no fd may be 1024 or above.
"""

from __future__ import annotations

import select
import sys

from sockscope.lab.serve import run_loop
from sockscope.lab.stage import Role, listen, play, port_of, requests

LISTENER = listen()


def serve() -> None:
    """Wait on all fds with select()."""
    run_loop(LISTENER, lambda fds: select.select(fds, [], [])[0])


if __name__ == "__main__":
    PORT = port_of(LISTENER)
    sys.exit(play("select", Role("server", serve, [LISTENER]), Role("client", lambda: requests(PORT)), ports=[PORT]))
