"""Names for one-shot output: users always, hosts and services with --names. Looked up once, of what was seen only."""

from __future__ import annotations

import pwd
import queue
import socket as sockets
import threading
import time
from collections.abc import Iterable

from sockscope.model.names import Names
from sockscope.model.snapshot import Snapshot

_DNS_WAIT_S = 3.0  # all of them together; what has not answered by then stays a number
_DNS_THREADS = 16
_MOST_HOSTS = 1000
_WILDCARDS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  # recognised, not bound


def names_of(snapshot: Snapshot, *, with_hosts: bool) -> Names:
    """Return the names of the users (and hosts and services) in this snapshot; what has none is left out."""
    uids = {socket.uid for socket in snapshot.sockets.values()} | {each.uid for each in snapshot.processes.values()}
    users = _users(uid for uid in uids if uid is not None)
    return Names(users, _hosts(snapshot), _services(snapshot)) if with_hosts else Names(users)


def _users(uids: Iterable[int]) -> dict[int, str]:
    found = {}
    for uid in uids:
        try:
            found[uid] = pwd.getpwuid(uid).pw_name
        except (KeyError, OverflowError):  # no such user here: a container's, or one that was deleted
            continue
    return found


def _services(snapshot: Snapshot) -> dict[tuple[str, int], str]:
    wanted = {
        (socket.protocol, end.port)
        for socket in snapshot.sockets.values()
        if socket.is_inet
        for end in (socket.local, socket.remote)
        if end is not None and end.port
    }
    found = {}
    for protocol, port in wanted:
        try:
            found[protocol, port] = sockets.getservbyport(port, "udp" if protocol.startswith("udp") else "tcp")
        except OSError:
            continue
    return found


def _hosts(snapshot: Snapshot) -> dict[str, str]:
    """Ask for all at once: daemon threads, so that a silent DNS server cannot hold us beyond the wait."""
    addresses = {
        end.address
        for socket in snapshot.sockets.values()
        if socket.is_inet
        for end in (socket.local, socket.remote)
        if end is not None and end.address not in _WILDCARDS
    }
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    answers: queue.SimpleQueue[tuple[str, str | None]] = queue.SimpleQueue()
    asked = sorted(addresses)[:_MOST_HOSTS]
    for address in asked:
        waiting.put(address)
    for _ in range(min(_DNS_THREADS, len(asked))):
        threading.Thread(target=_ask, args=(waiting, answers), daemon=True).start()
    found: dict[str, str] = {}
    deadline_s = time.monotonic() + _DNS_WAIT_S
    for _ in asked:
        try:
            address, name = answers.get(timeout=max(0.0, deadline_s - time.monotonic()))
        except queue.Empty:
            break
        if name is not None:
            found[address] = name
    return found


def _ask(waiting: queue.SimpleQueue[str], answers: queue.SimpleQueue[tuple[str, str | None]]) -> None:
    while True:
        try:
            address = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            answers.put((address, sockets.gethostbyaddr(address)[0]))
        except OSError:
            answers.put((address, None))
