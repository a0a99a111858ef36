"""Both ends of the connections within this host, kept up to date row by row.

peers.peer_of() indexes all rows of a snapshot when first asked, 30 ms at 100,000 rows. The rules of the move ask at
every look, so memory keeps what they need: its cost follows the rows that came and went. Rows whose other end cannot
be here, because no row has that local address, are not in it.

One look alone is not worth it: few ask then, and what shows the look has peers' index made anyway. So memory keeps
none after its first look, and the second one makes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from sockscope.analysis.peers import living_peer_of, normalised
from sockscope.model.snapshot import Changes, Snapshot
from sockscope.model.socket import Socket, SocketKey

NO_KEY: SocketKey = ()
ENDED = ("TIME_WAIT", "CLOSE")  # may share its addresses with the connection that took its place


class Ends(Struct, frozen=True):
    """`first` is by port pair (local << 16 | remote), or minus the inode of a unix socket; `more` where rows share it.

    `addresses` are the local addresses seen so far: another end can only be at one of them.
    """

    addresses: frozenset[str] = frozenset()
    first: Mapping[int, SocketKey] = {}
    more: Mapping[int, tuple[SocketKey, ...]] = {}


def fold_ends(ends: Ends | None, before: Snapshot | None, now: Snapshot, changes: Changes) -> Ends | None:
    """Bring it up to date; an address not seen before makes it anew, for rows that could not have a peer now can."""
    if before is None:
        return None
    rows, old = now.sockets, before.sockets
    if ends is None:
        return _made(rows, _addresses(rows.values()))
    came = [key for key in changes.new if key in rows]
    addresses = _addresses(rows[key] for key in came)
    if not addresses <= ends.addresses:
        return _made(rows, ends.addresses | addresses)
    # A unix datagram server, which has no remote end, is in CLOSE all its life.
    left = [key for key in changes.gone if (row := old.get(key)) and (row.state not in ENDED or row.remote is None)]
    moved = [key for key in changes.changed if key in rows and key in old and rows[key].state != old[key].state]
    born = [key for key in came if (row := rows[key]).state not in ENDED or row.remote is None]
    if not (left or moved or born):
        return ends
    first, more = dict(ends.first), dict(ends.more)
    for key in (*left, *moved):
        _remove(key, old[key], first, more)
    _enter(((key, rows[key]) for key in (*moved, *born)), ends.addresses, first, more)
    return Ends(ends.addresses, first, more)


def _made(rows: Mapping[SocketKey, Socket], addresses: frozenset[str]) -> Ends:
    first: dict[int, SocketKey] = {}
    more: dict[int, tuple[SocketKey, ...]] = {}
    _enter(rows.items(), addresses, first, more)
    return Ends(addresses, first, more)


def _addresses(rows: Iterable[Socket]) -> frozenset[str]:
    return frozenset(normalised(address) for address in {row.local.address for row in rows})


def other_end(ends: Ends | None, snapshot: Snapshot, socket: Socket) -> Socket | None:
    """Find the row of the other end, as peers.living_peer_of() does; None where it is not here or not unique."""
    if ends is None:
        return living_peer_of(snapshot, socket)
    sockets = snapshot.sockets
    if socket.family == "unix":
        return sockets.get(ends.first.get(-socket.peer_inode, NO_KEY)) if socket.peer_inode else None
    remote = socket.remote
    if remote is None or not remote.port or socket.local.port is None:
        return None
    pair = (remote.port << 16) | socket.local.port
    key = ends.first.get(pair)
    if key is None:
        return None
    far, near = normalised(remote.address), normalised(socket.local.address)
    here: Socket | None = None
    elsewhere: list[Socket] = []
    for one in (key, *ends.more.get(pair, ())):
        row = sockets.get(one)
        if row is None or row.remote is None or row.protocol != socket.protocol:
            continue
        if normalised(row.local.address) != far or normalised(row.remote.address) != near:
            continue
        if row.netns == socket.netns:
            here = here or row
        else:
            elsewhere.append(row)
    if here is not None or near.startswith("127.") or near == "::1":
        return here  # loopback never leaves its namespace
    return elsewhere[0] if len(elsewhere) == 1 else None


def _enter(
    rows: Iterable[tuple[SocketKey, Socket]], addresses: frozenset[str], first: dict[int, SocketKey],
    more: dict[int, tuple[SocketKey, ...]],
) -> None:
    is_here: dict[str, bool] = {}  # few addresses for many rows
    for key, socket in rows:
        remote = socket.remote
        if remote is not None and remote.port:
            if socket.state in ENDED:
                continue
            here = is_here.get(remote.address)
            if here is None:
                here = is_here[remote.address] = normalised(remote.address) in addresses
            if not here:
                continue
            place = ((socket.local.port or 0) << 16) | remote.port
        else:
            if socket.family != "unix" or not socket.inode:
                continue  # nobody asks for it
            place = -socket.inode
        if first.setdefault(place, key) != key and key not in more.get(place, ()):
            more[place] = (*more.get(place, ()), key)


def _remove(
    key: SocketKey, socket: Socket, first: dict[int, SocketKey], more: dict[int, tuple[SocketKey, ...]]
) -> None:
    remote = socket.remote
    place = -socket.inode if remote is None else ((socket.local.port or 0) << 16) | (remote.port or 0)
    others = more.pop(place, ())
    if first.get(place) == key:
        del first[place]
        if others:
            first[place], others = others[0], others[1:]
    else:
        others = tuple(one for one in others if one != key)
    if others:
        more[place] = others
