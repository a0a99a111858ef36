"""Names for one-shot output: users always, hosts and services with --names. Looked up once, of what was seen only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sockscope.collect.user_names import look_up_users
from sockscope.model.names import Names
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Endpoint, Socket

if TYPE_CHECKING:
    from queue import SimpleQueue

_DNS_WAIT_S = 3.0  # all of them together; what has not answered by then stays a number
_DNS_THREADS = 16
_MOST_HOSTS = 1000
_WILDCARDS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  # recognised, not bound


def names_of(snapshot: Snapshot, *, with_hosts: bool) -> Names:
    """Return the names of the users (and hosts and services) in this snapshot; what has none is left out."""
    uids = {socket.uid for socket in snapshot.sockets.values()} | {each.uid for each in snapshot.processes.values()}
    users = look_up_users(uid for uid in uids if uid is not None)
    if not with_hosts:
        return Names(users)
    from sockscope.collect.names import service_name  # noqa: PLC0415  # only --names needs more than the users

    hosts = {end.address for _, end in _ends(snapshot)} - _WILDCARDS
    ports = {(socket.protocol, end.port) for socket, end in _ends(snapshot) if end.port}
    services = {port: name for port in ports if (name := service_name(port)) is not None}
    return Names(users, _hosts(sorted(hosts)[:_MOST_HOSTS]), services)


class RunningNames:
    """Names for a run of many looks: nothing waits for an answer, later looks have it. `close` it."""

    def __init__(self, *, with_hosts: bool) -> None:
        from sockscope.collect.names import NameLookup  # noqa: PLC0415  # likewise

        self._with_hosts = with_hosts
        self._lookup = NameLookup()

    def of(self, snapshot: Snapshot) -> Names:
        """Ask for what is new in this snapshot, and return what is known by now."""
        self._lookup.want(users={socket.uid for socket in snapshot.sockets.values() if socket.uid is not None})
        if self._with_hosts:
            self._lookup.want(
                hosts={end.address for _, end in _ends(snapshot)} - _WILDCARDS,
                services={(socket.protocol, end.port) for socket, end in _ends(snapshot) if end.port},
            )
        return self._lookup.names()

    def close(self) -> None:
        """Let its threads end."""
        self._lookup.close()


def _ends(snapshot: Snapshot) -> Iterator[tuple[Socket, Endpoint]]:
    for socket in snapshot.sockets.values():
        if socket.is_inet:
            yield socket, socket.local
            if socket.remote is not None:
                yield socket, socket.remote


def _hosts(addresses: list[str]) -> dict[str, str]:
    """Ask for all at once: daemon threads, so that a silent DNS server cannot hold us beyond the wait."""
    import queue  # noqa: PLC0415  # likewise
    import threading  # noqa: PLC0415  # likewise

    waiting: SimpleQueue[str] = queue.SimpleQueue()
    answers: SimpleQueue[tuple[str, str | None]] = queue.SimpleQueue()
    for address in addresses:
        waiting.put(address)
    for _ in range(min(_DNS_THREADS, len(addresses))):
        threading.Thread(target=_ask, args=(waiting, answers), daemon=True).start()
    found: dict[str, str] = {}
    deadline_s = time.monotonic() + _DNS_WAIT_S
    for _ in addresses:
        try:
            address, name = answers.get(timeout=max(0.0, deadline_s - time.monotonic()))
        except queue.Empty:
            break
        if name is not None:
            found[address] = name
    return found


def _ask(waiting: SimpleQueue[str], answers: SimpleQueue[tuple[str, str | None]]) -> None:
    from queue import Empty  # noqa: PLC0415  # likewise

    from sockscope.collect.names import host_name  # noqa: PLC0415  # likewise

    while True:
        try:
            address = waiting.get_nowait()
        except Empty:
            return
        answers.put((address, host_name(address)))
