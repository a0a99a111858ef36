"""Names of users, hosts and services, looked up beside the path that collects: each of these look-ups can block.

getpwuid may ask LDAP, reverse DNS waits for dead servers, getservbyport reads a file of 12,000 lines.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Hashable, Iterable
from queue import SimpleQueue
from typing import Generic, TypeVar

from sockscope.collect.user_names import user_name
from sockscope.model.names import Names

K = TypeVar("K", bound=Hashable)

KEPT = 20_000  # names of each kind; the oldest are forgotten
_HOST_THREADS = 4  # a dead DNS server holds each for 10 s and more


def service_name(port: tuple[str, int]) -> str | None:
    """Look the name of (protocol, port) up by NSS (getservbyport(3))."""
    protocol, number = port
    try:
        return socket.getservbyport(number, protocol)
    except (OSError, OverflowError):
        return None


def host_name(address: str) -> str | None:
    """Look a numeric address up by reverse DNS (getnameinfo(3)). It comes from outside: anything may be in it."""
    try:
        return socket.getnameinfo((address, 0), socket.NI_NAMEREQD)[0]
    except (OSError, UnicodeError):
        return None


class _Kind(Generic[K]):
    """One kind of names: what is known, what was asked. A key without a name is remembered as None."""

    def __init__(self, look_up: Callable[[K], str | None], threads: int, changed: Callable[[], None]) -> None:
        self._look_up = look_up
        self._threads = threads
        self._changed = changed
        self._queue: SimpleQueue[K | None] = SimpleQueue()
        self._known: dict[K, str | None] = {}
        self._lock = threading.Lock()
        self._started = 0

    def want(self, keys: Iterable[K]) -> None:
        with self._lock:
            fresh = [key for key in keys if key not in self._known]
            for key in fresh:
                self._known[key] = None
            if len(self._known) > KEPT:
                for key in list(self._known)[: len(self._known) - KEPT]:
                    del self._known[key]
        for key in fresh:
            self._queue.put(key)
        while fresh and self._started < self._threads:
            self._started += 1
            threading.Thread(target=self._run, name="names", daemon=True).start()

    def found(self) -> dict[K, str]:
        with self._lock:
            return {key: name for key, name in self._known.items() if name is not None}

    def close(self) -> None:
        for _ in range(self._threads):
            self._queue.put(None)

    def _run(self) -> None:
        while (key := self._queue.get()) is not None:
            name = self._look_up(key)
            if name is None:
                continue
            with self._lock:
                if key in self._known:
                    self._known[key] = name
            self._changed()


class NameLookup:
    """A cache that never makes its caller wait: `want` asks, `names` tells what is known by now."""

    def __init__(self) -> None:
        self._stale = threading.Event()
        self._stale.set()
        self._names = Names()
        self._users: _Kind[int] = _Kind(user_name, 1, self._stale.set)
        self._hosts: _Kind[str] = _Kind(host_name, _HOST_THREADS, self._stale.set)
        self._services: _Kind[tuple[str, int]] = _Kind(service_name, 1, self._stale.set)

    def want(
        self, *, users: Iterable[int] = (), hosts: Iterable[str] = (), services: Iterable[tuple[str, int]] = (),
    ) -> None:
        """Ask for names that are not known yet; each is asked for once only. `services` are (protocol, port)."""
        self._users.want(users)
        self._hosts.want(hosts)
        self._services.want(services)

    def names(self) -> Names:
        """All names known by now; the same object until another is found."""
        if self._stale.is_set():
            self._stale.clear()
            self._names = Names(self._users.found(), self._hosts.found(), self._services.found())
        return self._names

    def close(self) -> None:
        """Let the threads end as soon as they are back from their look-ups. They are daemons: nobody waits for them."""
        for kind in (self._users, self._hosts, self._services):
            kind.close()
