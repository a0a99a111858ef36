"""Churn on loopback until its input ends: 200 connections a second, short-lived processes among them (run as a program).

Three connections of four are reset, so that TIME_WAIT rows do not pile up. Each lives about a second, some with unread
bytes, some watched by an epoll set. `churner.py RATE` says when it runs by a line with its pid.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import sys
import time
from collections import deque

LINGER = struct.pack("ii", 1, 0)


def main(rate: float) -> None:
    made, live, children = 0, deque[tuple[float, socket.socket, socket.socket]](), deque[int]()
    with contextlib.closing(socket.create_server(("127.0.0.1", 0), backlog=64)) as listener, select.epoll() as watching:
        print(os.getpid(), flush=True)
        begun = time.monotonic()
        while not select.select([sys.stdin], [], [], 0.02)[0]:
            now = time.monotonic()
            while made < (now - begun) * rate:
                made += 1
                live.append(connect(listener, watching, made, now))
                if made % 100 == 0:
                    children.append(hold(live[-1][1]))
            while live and now - live[0][0] > 1.0:
                _, client, server = live.popleft()
                for one in (client, server):
                    one.close()
            while len(children) > 3:
                os.kill(children[0], 9)
                os.waitpid(children.popleft(), 0)
    for child in children:
        os.kill(child, 9)
        os.waitpid(child, 0)


def connect(
    listener: socket.socket, watching: select.epoll, number: int, now: float,
) -> tuple[float, socket.socket, socket.socket]:
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    if number % 4:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
    if number % 3 == 0:
        client.sendall(b"x" * 5_000)
    if number % 2 == 0:
        watching.register(server, select.EPOLLIN)
    return now, client, server


def hold(one: socket.socket) -> int:
    """A child that holds a socket and sleeps until it is killed."""
    child = os.fork()
    if child == 0:
        try:
            one.fileno()
            time.sleep(60)
        finally:
            os._exit(0)
    return child


if __name__ == "__main__":
    main(float(sys.argv[1]))
