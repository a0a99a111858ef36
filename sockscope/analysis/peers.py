"""Who is at the other end of a socket, where that end is on this host (kernel-facts.md section 7).

An index is built the first time a snapshot is asked, per kind of question, and dies with its snapshot. TCP rows are
indexed by their two ports alone: one integer a row is three times cheaper than a tuple of addresses, and the few rows
that share a pair of ports are told apart when asked.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Endpoint, Socket

_MAPPED = "::ffff:"
_REPLACED = ("TIME_WAIT", "CLOSE")  # may share its addresses with the connection that took its place


def peer_of(snapshot: Snapshot, socket: Socket) -> Socket | None:
    """Find the row of the other end; None where it is elsewhere, not told, or not unique.

    For TCP and connected UDP it is the row with the reversed five-tuple, v4-mapped addresses counted as IPv4, in the
    same namespace before any other; a self-connected socket is its own peer. For a unix socket it is the one that
    UNIX_DIAG_PEER names.
    """
    return _peer_in(_index_of(snapshot), socket)


def living_peer_of(snapshot: Snapshot, socket: Socket) -> Socket | None:
    """Find it among the TCP rows that are not over: what has ended is read by nobody and sends nothing."""
    index = _index_of(snapshot)
    local, remote = socket.local, socket.remote
    if remote is None or not remote.port or local.port is None or not socket.is_inet:
        return _peer_in(index, socket)
    first, more = index.by_ports
    pair = (remote.port << 16) | local.port
    rows = (first[pair], *more.get(pair, ())) if pair in first else ()
    return _inet_peer([row for row in rows if row.state not in _REPLACED], socket)


def finder(snapshot: Snapshot) -> Callable[[Socket], Socket | None]:
    """Return `peer_of` for many sockets of one snapshot. It keeps the rows, not the snapshot, alive."""
    index = _index_of(snapshot)
    first, others = index.by_ports

    def find(socket: Socket) -> Socket | None:
        # What nearly all rows come to in `_peer_in`, in half its time.
        local, remote = socket.local, socket.remote
        if remote is not None and remote.port and local.port:
            pair = (remote.port << 16) | local.port
            row = first.get(pair)
            if row is None and socket.is_inet:
                return None
            if row is not None and row.local is remote and row.remote is local and pair not in others and (
                row.netns == socket.netns and row.protocol == socket.protocol and socket.is_inet
            ):
                return row
        return _peer_in(index, socket)

    return find


def listener_of(snapshot: Snapshot, socket: Socket) -> Socket | None:
    """Find the listener a connection came in by: same port and address, or same unix name. None for a caller's end.

    Of several (SO_REUSEPORT) it is one of them: which one got a connection is in no table.
    """
    index = _index_of(snapshot)
    if socket.is_listener:
        return None
    if socket.family == "unix":
        found = index.unix_listeners.get(_name(socket.local)) if socket.local.path is not None else None
        return found if found is not None and found.type == socket.type else None
    if socket.remote is None or socket.local.port is None:
        return None
    rows = index.listeners.get((socket.netns, socket.local.port), ())
    near = [row for row in rows if row.protocol == socket.protocol]
    exact = normalised(socket.local.address)
    for row in near:
        if normalised(row.local.address) == exact:
            return row
    wild = ("::",) if ":" in exact else ("0.0.0.0", "::")  # noqa: S104  # a dual-stack listener takes IPv4 as well
    return next((row for address in wild for row in near if row.local.address == address), None)


def listening(snapshot: Snapshot) -> Sequence[Socket]:
    """List the rows in LISTEN, in the snapshot's order; its rows are gone through once, whoever asks."""
    return _index_of(snapshot).listening


def queue_of(snapshot: Snapshot, client: Socket) -> Socket | None:
    """Find the unix listener in whose accept queue this client stands (UNIX_DIAG_ICONS); None where it is in none."""
    return _index_of(snapshot).unix_clients.get(client.inode) if client.family == "unix" and client.inode else None


def senders_of(snapshot: Snapshot, server: Socket) -> tuple[Socket, ...]:
    """Find the unix sockets connected to this one: of a datagram server many, which it does not name itself."""
    return tuple(_index_of(snapshot).unix_senders.get(server.inode, ())) if server.family == "unix" else ()


def normalised(address: str) -> str:
    """Drop the v4-mapped prefix: an IPv4 client of a dual-stack listener is a row of each family."""
    return address[7:] if address.startswith(_MAPPED) and "." in address else address


class _Index:
    """What was asked of one snapshot so far. It holds rows, never the snapshot, so that they can die together."""

    def __init__(self, sockets: Iterable[Socket]) -> None:
        self._sockets = sockets

    @cached_property
    def by_ports(self) -> tuple[dict[int, Socket], dict[int, list[Socket]]]:
        """local port << 16 | remote port -> the first such row, and any others.

        100,000 rows take 25 ms; a list for each takes 84.
        """
        first: dict[int, Socket] = {}
        others: dict[int, list[Socket]] = {}
        put = first.setdefault
        for row in self._sockets:
            remote = row.remote
            if remote is None:
                continue
            key = ((row.local.port or 0) << 16) | (remote.port or 0)
            if put(key, row) is not row:
                others.setdefault(key, []).append(row)
        return first, others

    @cached_property
    def listening(self) -> list[Socket]:
        return [row for row in self._sockets if row.state == "LISTEN"]

    @cached_property
    def listeners(self) -> dict[tuple[int, int], list[Socket]]:
        """(netns, port) -> listeners."""
        found: dict[tuple[int, int], list[Socket]] = {}
        for row in self.listening:
            if row.local.port is not None:
                found.setdefault((row.netns, row.local.port), []).append(row)
        return found

    @cached_property
    def unix(self) -> dict[int, Socket]:
        """inode -> unix socket; a peer may live in another namespace, and inodes are unique over all."""
        return {row.inode: row for row in self._sockets if row.family == "unix"}

    @cached_property
    def unix_listeners(self) -> dict[tuple[bytes | None, bool], Socket]:
        return {_name(row.local): row for row in self.listening if row.family == "unix"}

    @cached_property
    def unix_clients(self) -> dict[int, Socket]:
        return {inode: row for row in self.unix.values() for inode in row.waiting_clients or ()}

    @cached_property
    def unix_senders(self) -> dict[int, list[Socket]]:
        found: dict[int, list[Socket]] = {}
        for row in self.unix.values():
            if row.peer_inode:
                found.setdefault(row.peer_inode, []).append(row)
        return found


_indexes: dict[int, tuple[weakref.ref[Snapshot], _Index]] = {}


def _index_of(snapshot: Snapshot) -> _Index:
    known = _indexes.get(id(snapshot))
    if known is not None and known[0]() is snapshot:
        return known[1]
    number = id(snapshot)
    index = _Index(snapshot.sockets.values())
    _indexes[number] = (weakref.ref(snapshot, lambda dead: _forget(number, dead)), index)
    return index


def _forget(number: int, dead: weakref.ref[Snapshot]) -> None:
    """Drop the index, unless a newer snapshot at the same address has put its own there."""
    known = _indexes.get(number)
    if known is not None and known[0] is dead:
        del _indexes[number]


def _peer_in(index: _Index, socket: Socket) -> Socket | None:
    local, remote = socket.local, socket.remote
    if remote is None or not remote.port or local.port is None or not socket.is_inet:
        return index.unix.get(socket.peer_inode) if socket.peer_inode and socket.family == "unix" else None
    pair = (remote.port << 16) | local.port
    row = index.by_ports[0].get(pair)
    if row is None:
        return None
    more = index.by_ports[1].get(pair)
    # Nearly all rows are alone with their ports, and one table's rows share their ends: no address to be normalised.
    if row.local is remote and row.remote is local and more is None and (
        row.netns == socket.netns and row.protocol == socket.protocol
    ):
        return row
    return _inet_peer((row, *(more or ())), socket)


def _inet_peer(rows: Iterable[Socket], socket: Socket) -> Socket | None:
    assert socket.remote is not None  # noqa: S101  # for mypy: peer_of looked
    far, near = normalised(socket.remote.address), normalised(socket.local.address)
    here: list[Socket] = []
    elsewhere: list[Socket] = []
    for row in rows:
        if (
            row.protocol == socket.protocol
            and row.remote is not None
            and normalised(row.local.address) == far
            and normalised(row.remote.address) == near
        ):
            (here if row.netns == socket.netns else elsewhere).append(row)
    if here:
        return next((row for row in here if row.state not in _REPLACED), here[0])
    if near.startswith("127.") or near == "::1" or len(elsewhere) != 1:
        return None  # loopback never leaves its namespace; of two namespaces with the same addresses nobody can tell
    return elsewhere[0]


def _name(endpoint: Endpoint) -> tuple[bytes | None, bool]:
    return endpoint.path, endpoint.abstract
