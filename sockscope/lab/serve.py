"""Event loops shared by scenarios that differ only in how they wait."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable


def echo(connection: socket.socket) -> bool:
    """Echo what is there; False when the peer has closed. The socket may be blocking: it is known to be readable."""
    data = connection.recv(65536)
    if data:
        connection.sendall(data)
    return bool(data)


def echo_until_closed(connection: socket.socket) -> None:
    """Serve one connection to its end, blocking in recv() whenever there is nothing to do."""
    with connection:
        while echo(connection):
            pass


def run_loop(listener: socket.socket, wait: Callable[[list[int]], list[int]]) -> None:
    """Run an event loop: `wait` blocks on all fds and returns the readable ones."""
    held: dict[int, socket.socket] = {listener.fileno(): listener}
    while True:
        for fd in wait(list(held)):
            if fd == listener.fileno():
                connection, _ = listener.accept()
                held[connection.fileno()] = connection
            elif not echo(held[fd]):
                held.pop(fd).close()


def run_epoll(listener: socket.socket, handle: Callable[[socket.socket], bool], mode: int = 0) -> None:
    """Run an epoll loop whose connections are registered for reading with `mode` (select.EPOLLET...) beside.

    `handle` serves a readable connection and returns False when it has ended.
    """
    loop, held = select.epoll(), dict[int, socket.socket]()
    listener.setblocking(False)
    loop.register(listener, select.EPOLLIN)
    while True:
        for fd, _ in loop.poll():
            if fd == listener.fileno():
                connection, _ = listener.accept()
                connection.setblocking(False)
                held[connection.fileno()] = connection
                loop.register(connection, select.EPOLLIN | mode)
            elif not handle(held[fd]):
                held.pop(fd).close()
