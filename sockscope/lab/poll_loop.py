"""An event loop by poll(): select() without the limit of 1024; the kernel still walks the whole set at each call."""

from __future__ import annotations

import select
import sys

from sockscope.lab.serve import run_loop
from sockscope.lab.stage import Role, listen, play, port_of, requests

LISTENER = listen()


def wait(fds: list[int]) -> list[int]:
    """Wait on all fds with poll()."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return [fd for fd, _ in poll.poll()]


if __name__ == "__main__":
    PORT = port_of(LISTENER)
    sys.exit(play("poll", Role("server", lambda: run_loop(LISTENER, wait), [LISTENER]),
                  Role("client", lambda: requests(PORT)), ports=[PORT]))
