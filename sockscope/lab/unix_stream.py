"""A unix stream pair: one buffer per direction, and it is the *sender's*.

What one side has written and the other not read is charged to the writer's send buffer. The reader here takes its time
but reads all; `fill` of the reader is the writer's charge.
"""

from __future__ import annotations

import socket
import sys
import time

from sockscope.lab.stage import Role, play

LEFT, RIGHT = socket.socketpair()


def write() -> None:
    """Write a message every tenth of a second."""
    while True:
        LEFT.sendall(bytes(4096))
        time.sleep(0.1)


def read() -> None:
    """Read what came every half second."""
    while RIGHT.recv(65536):
        time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(play("unix-stream", Role("writer", write, [LEFT]), Role("reader", read, [RIGHT])))
