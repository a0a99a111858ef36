"""What is remembered of ports: who listens, when something was accepted, who waits longest, who was closed.

Parts of memory.remember(), each a pure fold over what changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from msgspec import Struct

from sockscope.analysis.peers import listening
from sockscope.analysis.tracks import Track
from sockscope.model.snapshot import Changes, Snapshot
from sockscope.model.socket import Socket, SocketKey

Port: TypeAlias = tuple[int, int]  # (netns, local port) of TCP listeners
Listeners: TypeAlias = Mapping[Port, tuple[SocketKey, ...]]
PORTS_KEPT = 4096


class Accepts(Struct, frozen=True, gc=False):
    """Connections seen to be accepted on a port: the last time, its sample, and how many since watching began."""

    at_s: float
    sample: int
    count: int


def fold_listeners(
    kept: Listeners, before: Snapshot | None, now: Snapshot, changes: Changes
) -> Listeners:
    """TCP listeners by port; several under SO_REUSEPORT or on several addresses."""
    folded = dict(kept)
    for key in changes.gone | changes.changed:
        socket = before.sockets.get(key) if before is not None else None
        if socket is not None and _listens(socket):
            port = (socket.netns, socket.local.port or 0)
            folded[port] = tuple(other for other in folded.get(port, ()) if other != key)
            if not folded[port]:
                del folded[port]
    if before is None:
        came = [socket for socket in listening(now) if _listens(socket)]
    else:
        restless = (*changes.new, *changes.changed)
        came = [socket for key in restless if (socket := now.sockets.get(key)) is not None and _listens(socket)]
    for socket in sorted(came, key=lambda row: repr(row.key)):  # sets have no order, and memory is deterministic
        port = (socket.netns, socket.local.port or 0)
        folded[port] = (*folded.get(port, ()), socket.key)
    return folded


def _listens(socket: Socket) -> bool:
    return socket.state == "LISTEN" and socket.is_inet and bool(socket.local.port)


def fold_accepts(
    kept: Mapping[Port, Accepts], listeners: Listeners, before: Snapshot | None, now: Snapshot, changes: Changes, *,
    sample: int,
) -> Mapping[Port, Accepts]:
    """Count accepts: a cookie seen before with inode 0 now has an inode, or one never seen has one already."""
    if before is None or not listeners:
        return kept
    counted: dict[Port, int] = {}
    for key in (*changes.new, *changes.changed):
        socket = now.sockets.get(key)
        if socket is None or not socket.inode or socket.protocol != "tcp" or socket.state == "LISTEN":
            continue
        old = before.sockets.get(key)
        port = (socket.netns, socket.local.port or 0)
        if (old is None or not old.inode) and port in listeners:
            counted[port] = counted.get(port, 0) + 1
    if not counted:
        return kept
    folded = {port: seen for port, seen in kept.items() if port in listeners}
    for port, count in counted.items():
        earlier = folded[port].count if port in folded else 0
        folded[port] = Accepts(now.monotonic_s, sample, earlier + count)
    return folded


def service_port(listeners: Listeners, socket: Socket) -> int:
    """Return the port that names the service: the local one where we listen there, else the remote one."""
    local = socket.local.port or 0
    if (socket.netns, local) in listeners or socket.remote is None:
        return local
    return socket.remote.port or 0


def fold_closes(
    kept: Mapping[Port, float], listeners: Listeners, before: Snapshot | None, now: Snapshot, changes: Changes
) -> Mapping[Port, float]:
    """Note when a connection that was in CLOSE_WAIT left it: whoever closes does not leak."""
    if before is None:
        return kept
    ended: dict[Port, float] = {}
    for key in (*changes.gone, *changes.changed):
        old, new = before.sockets.get(key), now.sockets.get(key)
        if old is not None and old.state == "CLOSE_WAIT" and (new is None or new.state != "CLOSE_WAIT"):
            ended[old.netns, service_port(listeners, old)] = now.monotonic_s
    if not ended:
        return kept
    newest = sorted({**kept, **ended}.items(), key=lambda entry: entry[1])
    return dict(newest[-PORTS_KEPT:])


def oldest_waiting(kept: Mapping[SocketKey, Track], snapshot: Snapshot) -> Mapping[Port, tuple[float, bool]]:
    """Find each port's oldest connection without an inode: the accept queue is first in, first out."""
    oldest: dict[Port, tuple[float, bool]] = {}
    for key, track in kept.items():
        since_s = track.unaccepted_since_s
        if since_s is None:
            continue
        socket = snapshot.sockets[key]
        port = (socket.netns, socket.local.port or 0)
        if port not in oldest or since_s < oldest[port][0]:
            oldest[port] = (since_s, track.whole)
    return oldest
