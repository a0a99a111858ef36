"""Small Python servers, each with one I/O model: `python python_servers.py KIND PORT`. They read and answer nothing."""

from __future__ import annotations

import asyncio
import http.server
import os
import select
import selectors
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def listen(port: int, backlog: int = 64) -> socket.socket:
    return socket.create_server(("127.0.0.1", port), backlog=backlog)


def drain(connection: socket.socket) -> None:
    """Read until the end, blocking."""
    with connection:
        while connection.recv(4096):
            pass


class Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        drain(self.request)


class Threading(socketserver.ThreadingTCPServer):
    daemon_threads = True


def run_socketserver(kind: type[socketserver.TCPServer]) -> Callable[[int], None]:
    return lambda port: kind(("127.0.0.1", port), Handler).serve_forever()


def run_http(port: int) -> None:
    http.server.ThreadingHTTPServer(("127.0.0.1", port), http.server.SimpleHTTPRequestHandler).serve_forever()


def run_asyncio(port: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            pass
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", port)
        await server.serve_forever()

    asyncio.run(main())


def run_selector(make: Callable[[], selectors.BaseSelector]) -> Callable[[int], None]:
    def run(port: int) -> None:
        loop, listener = make(), listen(port)
        listener.setblocking(False)
        loop.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in loop.select():
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    connection.setblocking(False)
                    loop.register(connection, selectors.EVENT_READ)
                elif isinstance(key.fileobj, socket.socket) and not key.fileobj.recv(4096):
                    loop.unregister(key.fileobj)
                    key.fileobj.close()

    return run


def run_epoll_edge(port: int) -> None:
    """Edge-triggered done right: each event drains until EAGAIN."""
    loop, listener, held = select.epoll(), listen(port), dict[int, socket.socket]()
    listener.setblocking(False)
    loop.register(listener, select.EPOLLIN | select.EPOLLET)
    while True:
        for fd, _ in loop.poll():
            try:
                while True:
                    if fd == listener.fileno():
                        connection, _ = listener.accept()
                        connection.setblocking(False)
                        held[connection.fileno()] = connection
                        loop.register(connection, select.EPOLLIN | select.EPOLLET)
                    elif not held[fd].recv(4096):
                        held.pop(fd).close()
                        break
            except BlockingIOError:
                continue


def run_prefork(port: int) -> None:
    """Four blocking workers that all wait in accept() on one listener."""
    listener = listen(port)
    for _ in range(4):
        if not os.fork():
            while True:
                drain(listener.accept()[0])
    while True:
        os.wait()


def run_iterative(port: int) -> None:
    """One connection at a time."""
    listener = listen(port)
    while True:
        drain(listener.accept()[0])


def run_thread_pool(port: int) -> None:
    """Eight threads that all wait in accept()."""
    listener = listen(port)

    def work() -> None:
        while True:
            drain(listener.accept()[0])

    for _ in range(8):
        threading.Thread(target=work, daemon=True).start()
    while True:
        time.sleep(3600)


def run_hybrid(port: int) -> None:
    """An epoll loop beside a pool of idle workers."""
    pool = ThreadPoolExecutor(4)
    for _ in range(4):
        pool.submit(time.sleep, 0.2)
    run_selector(selectors.EpollSelector)(port)


KINDS: dict[str, Callable[[int], None]] = {
    "asyncio": run_asyncio,
    "select": run_selector(selectors.SelectSelector),
    "poll": run_selector(selectors.PollSelector),
    "epoll-level": run_selector(selectors.EpollSelector),
    "epoll-edge": run_epoll_edge,
    "threading": run_socketserver(Threading),
    "forking": run_socketserver(socketserver.ForkingTCPServer),
    "http": run_http,
    "prefork": run_prefork,
    "iterative": run_iterative,
    "thread-pool": run_thread_pool,
    "hybrid": run_hybrid,
}

if __name__ == "__main__":
    KINDS[sys.argv[1]](int(sys.argv[2]))
