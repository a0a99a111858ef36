"""A unix stream whose reader is asleep: the writer blocks in send() when its own buffer is charged full."""

from __future__ import annotations

import socket
import sys

from sockscope.lab.stage import Role, pause, play

LEFT, RIGHT = socket.socketpair()


def write() -> None:
    """Write without end."""
    while True:
        LEFT.sendall(bytes(65536))


if __name__ == "__main__":
    sys.exit(play("unix-stuck", Role("writer", write, [LEFT]), Role("reader", pause, [RIGHT])))
