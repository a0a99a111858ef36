"""An accept queue that runs over: more clients come than the program accepts.

listen(7) lets the kernel keep 8 finished handshakes. This server accepts nobody; ten clients come, and go on coming.
Two of ten, and all later ones, stay in SYN_SENT: the kernel drops their SYNs and counts ListenOverflows.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time

from sockscope.lab.stage import LOOPBACK, Role, listen, pause, play, port_of

LISTENER = listen(7)


def clients() -> None:
    """Connect without waiting; those that find no place try again, with a fresh one every half second."""
    kept: list[socket.socket] = []
    while True:
        client = socket.socket()
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            client.connect((LOOPBACK, PORT))
        kept.append(client)
        if len(kept) > 10:
            time.sleep(0.5)
        if len(kept) > 60:
            kept.pop(20).close()


if __name__ == "__main__":
    PORT = port_of(LISTENER)
    sys.exit(play("accept-queue-full", Role("server", pause, [LISTENER]), Role("clients", clients), ports=[PORT]))
