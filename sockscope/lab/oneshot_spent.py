"""EPOLLONESHOT never armed again: the registration is switched off after its first event until epoll_ctl(MOD).

Multi-threaded loops use it so that one thread alone serves a socket. Whoever forgets to re-arm never hears of it again.
"""

from __future__ import annotations

import select
import socket
import sys
import time

from sockscope.lab.serve import run_epoll
from sockscope.lab.stage import Role, connect, listen, pause, play, port_of

LISTENER = listen()


def read_once(connection: socket.socket) -> bool:
    """Read all of the first message, and forget to arm the registration again."""
    return bool(connection.recv(65536))


def client() -> None:
    """Send one message, and, when that was read, the one that is never looked at."""
    kept = connect(PORT, b"first\n")
    time.sleep(1)
    kept.sendall(b"second\n")
    pause()


if __name__ == "__main__":
    PORT = port_of(LISTENER)
    sys.exit(play("oneshot-spent",
                  Role("server", lambda: run_epoll(LISTENER, read_once, select.EPOLLONESHOT), [LISTENER]),
                  Role("client", client), ports=[PORT]))
