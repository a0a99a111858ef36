"""An event loop by epoll, level-triggered: the kernel keeps the set, and says "readable" for as long as it is true.

Who reads only a part is told again at once. The cost follows the sockets that are ready, not those that wait.
"""

from __future__ import annotations

import sys

from sockscope.lab.serve import echo, run_epoll
from sockscope.lab.stage import Role, listen, play, port_of, requests

LISTENER = listen()

if __name__ == "__main__":
    PORT = port_of(LISTENER)
    sys.exit(play("epoll-level", Role("server", lambda: run_epoll(LISTENER, echo), [LISTENER]),
                  Role("client", lambda: requests(PORT)), ports=[PORT]))
