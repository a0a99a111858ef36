"""Servers of shapes no list names, so that rules cannot be fitted to programs: `python more_servers.py KIND PORT`."""

from __future__ import annotations

import asyncio
import os
import queue
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def listen(port: int, *, reuse: bool = False, blocking: bool = True) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    listener.setblocking(blocking)
    return listener


def drain(connection: socket.socket) -> None:
    with connection:
        while connection.recv(4096):
            pass


def fork_workers(count: int, work: Callable[[], None]) -> None:
    for _ in range(count):
        if not os.fork():
            work()
            os._exit(0)
    while True:
        signal.pause()


def sync_workers(port: int) -> None:
    """As gunicorn's sync workers: non-blocking listener, select() on it with a second's timeout, one at a time."""
    listener = listen(port, blocking=False)

    def work() -> None:
        while True:
            if not select.select([listener], [], [], 1.0)[0]:
                continue
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                continue
            connection.setblocking(True)
            drain(connection)

    fork_workers(4, work)


def queue_pool(port: int) -> None:
    """One thread accepts, six workers take connections from a queue."""
    listener, waiting = listen(port), queue.Queue[socket.socket]()

    def work() -> None:
        while True:
            drain(waiting.get())

    for _ in range(6):
        threading.Thread(target=work, daemon=True).start()
    while True:
        waiting.put(listener.accept()[0])


def loop(watched: select.epoll, held: dict[int, socket.socket], listener: socket.socket | None) -> None:
    """Serve what is in the set; accept if the listener is in it."""
    while True:
        for fd, _ in watched.poll():
            if listener is not None and fd == listener.fileno():
                try:
                    connection, _ = listener.accept()
                except BlockingIOError:
                    continue
                connection.setblocking(False)
                held[connection.fileno()] = connection
                watched.register(connection, select.EPOLLIN)
            elif not held[fd].recv(4096):
                held.pop(fd).close()


def worker_loops(port: int) -> None:
    """As memcached or Netty: one thread accepts and deals connections to the loops of four threads."""
    listener = listen(port)
    sets = [select.epoll() for _ in range(4)]
    held: dict[int, socket.socket] = {}
    for one in sets:
        threading.Thread(target=loop, args=(one, held, None), daemon=True).start()
    turn = 0
    while True:
        connection, _ = listener.accept()
        connection.setblocking(False)
        held[connection.fileno()] = connection
        sets[turn % 4].register(connection, select.EPOLLIN)
        turn += 1


def reuseport_loops(port: int) -> None:
    """Three processes, each with its own listener and loop."""

    def work() -> None:
        listener = listen(port, reuse=True, blocking=False)
        watched = select.epoll()
        watched.register(listener, select.EPOLLIN)
        loop(watched, {}, listener)

    fork_workers(3, work)


def shared_loops(port: int) -> None:
    """Three forked processes with a loop each over one listener, without EPOLLEXCLUSIVE."""
    listener = listen(port, blocking=False)

    def work() -> None:
        watched = select.epoll()
        watched.register(listener, select.EPOLLIN)
        loop(watched, {}, listener)

    fork_workers(3, work)


def processes_of_threads(port: int) -> None:
    """As Apache's worker: two processes, in each a thread that accepts and a thread for each connection."""
    listener = listen(port)

    def work() -> None:
        while True:
            threading.Thread(target=drain, args=(listener.accept()[0],), daemon=True).start()

    fork_workers(2, work)


def timed_threads(port: int) -> None:
    """Threads whose sockets have a timeout: they sleep in poll(), one fd each, never in recv()."""
    listener = listen(port)
    while True:
        connection, _ = listener.accept()
        connection.settimeout(600)
        threading.Thread(target=drain, args=(connection,), daemon=True).start()


def hybrid(port: int) -> None:
    """An epoll loop holds most connections; whoever has spoken is handed to a thread that reads on, blocking."""
    listener, watched = listen(port, blocking=False), select.epoll()
    watched.register(listener, select.EPOLLIN)
    held: dict[int, socket.socket] = {}
    while True:
        for fd, _ in watched.poll():
            if fd == listener.fileno():
                connection, _ = listener.accept()
                held[connection.fileno()] = connection
                watched.register(connection, select.EPOLLIN)
            else:
                watched.unregister(fd)
                threading.Thread(target=drain, args=(held.pop(fd),), daemon=True).start()


def asyncio_executor(port: int) -> None:
    """asyncio with eight idle executor threads."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            pass
        writer.close()

    async def main() -> None:
        pool = ThreadPoolExecutor(8)
        for _ in range(8):
            pool.submit(time.sleep, 0.1)
        server = await asyncio.start_server(serve, "127.0.0.1", port)
        await server.serve_forever()

    asyncio.run(main())


def fork_each(port: int) -> None:
    """As inetd: accept(), fork, the child closes the listener; the parent goes straight back to accept()."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = listen(port)
    while True:
        connection, _ = listener.accept()
        if not os.fork():
            listener.close()
            drain(connection)
            os._exit(0)
        connection.close()


def one_shot_loop(port: int) -> None:
    """EPOLLET with EPOLLONESHOT, armed again after each event."""
    listener, watched = listen(port, blocking=False), select.epoll()
    watched.register(listener, select.EPOLLIN)
    held: dict[int, socket.socket] = {}
    flags = select.EPOLLIN | select.EPOLLET | select.EPOLLONESHOT
    while True:
        for fd, _ in watched.poll():
            if fd == listener.fileno():
                connection, _ = listener.accept()
                held[connection.fileno()] = connection
                watched.register(connection, flags)
            elif held[fd].recv(4096):
                watched.modify(fd, flags)
            else:
                held.pop(fd).close()


KINDS: dict[str, Callable[[int], None]] = {
    "sync-workers": sync_workers, "queue-pool": queue_pool, "worker-loops": worker_loops,
    "reuseport-loops": reuseport_loops, "shared-loops": shared_loops, "processes-of-threads": processes_of_threads,
    "timed-threads": timed_threads, "hybrid": hybrid, "asyncio-executor": asyncio_executor, "fork-each": fork_each,
    "one-shot-loop": one_shot_loop,
}

if __name__ == "__main__":
    KINDS[sys.argv[1]](int(sys.argv[2]))
