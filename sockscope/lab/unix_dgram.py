"""Unix datagrams: the queue is counted in messages (net.unix.max_dgram_qlen, 10 by default), not in bytes.

Nothing is dropped: a sender to a full queue waits. The reader here keeps up.
"""

from __future__ import annotations

import socket
import sys
import time

from sockscope.lab.stage import Role, play

LEFT, RIGHT = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)


def write() -> None:
    """Send five messages a second."""
    while True:
        LEFT.send(b"event")
        time.sleep(0.2)


def read() -> None:
    """Read each as it comes."""
    while True:
        RIGHT.recv(1024)


if __name__ == "__main__":
    sys.exit(play("unix-dgram", Role("writer", write, [LEFT]), Role("reader", read, [RIGHT])))
