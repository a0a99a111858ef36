"""Endpoints in a given width.

What identifies a socket never leaves the row: IPv6 is elided by whole groups, and a port never.
"""

from __future__ import annotations

from sockscope.analysis.direction import serves
from sockscope.analysis.peers import peer_of
from sockscope.model.names import Names
from sockscope.model.observation import Observation
from sockscope.model.socket import Endpoint, Socket
from sockscope.present import format as words
from sockscope.present.text import ELLIPSIS
from sockscope.present.width import cell_len, elide_middle, fit

_ARROWS = {True: "←", False: "→", None: "⇄"}
_ROOMY = 24  # from here on arrows stand in one column


def local_and_remote(socket: Socket, observation: Observation, width: int | None) -> str:
    """Return the one column that tells who talks to whom: `:3000 ← 127.0.0.1:41022`, `127.0.0.1:3000`, a path."""
    if socket.family == "unix":
        return _unix(socket, observation, width)
    names = observation.names
    if socket.remote is None or not (socket.remote.address or socket.remote.port):
        return short_endpoint(socket.local, width, socket.protocol, names) or _unbound(socket, observation)
    arrow = _ARROWS[serves(observation.snapshot, socket)]
    if socket.local.port is None:
        ours = words.endpoint(socket.local, socket.protocol, names)
    else:
        ours = ":" + words.port(socket.local.port, socket.protocol, names)
    if width is None:
        ours = words.endpoint(socket.local, socket.protocol, names)
        return f"{ours} {arrow} {words.endpoint(socket.remote, socket.protocol, names)}"
    ours = f"{fit(ours, max(6, cell_len(ours)))} {arrow} " if width >= _ROOMY else ours + arrow
    return ours + short_endpoint(socket.remote, max(0, width - cell_len(ours)), socket.protocol, names)


def short_endpoint(end: Endpoint, width: int | None, protocol: str = "tcp", names: Names | None = None) -> str:
    """Return an endpoint in at most `width` cells: the middle of its address goes first, the port never."""
    whole = words.endpoint(end, protocol, names)
    if width is None or cell_len(whole) <= width:
        return whole
    if end.path is not None or end.port is None:
        return elide_middle(whole, width)
    port = ":" + words.port(end.port, protocol, names)
    host = words.address(end.address, names)
    room = width - len(port)
    if room <= 0:
        return port if cell_len(port) <= width else elide_middle(port, width)
    return (_short_ipv6(host, room) if host.startswith("[") else elide_middle(host, room)) + port


def _short_ipv6(host: str, width: int) -> str:
    """`[2003:10e…9a:7c40]`: as many whole groups as fit, the last ones first (they tell hosts apart)."""
    groups = host.strip("[]").split(":")
    for kept in range(len(groups) - 1, 0, -1):
        tail = (kept + 1) // 2
        head = kept - tail
        text = f"[{':'.join(groups[:head]).rstrip(':')}{ELLIPSIS}{':'.join(groups[-tail:]).lstrip(':')}]"
        if len(text) <= width:
            return text
    return f"[{ELLIPSIS}]" if width >= 3 else ELLIPSIS


def _unbound(socket: Socket, observation: Observation) -> str:
    if socket.interface is not None:
        return observation.snapshot.interfaces.get(socket.interface, f"if{socket.interface}")
    return "" if socket.is_inet or socket.told_inode is None else f"inode {socket.inode}"


def _unix(socket: Socket, observation: Observation, width: int | None) -> str:
    """Its own name; without one, its peer's (a client of it); without any, the two inodes of a pair."""
    if socket.local.path is not None:
        text = words.endpoint(socket.local)
    else:
        peer = peer_of(observation.snapshot, socket)
        if peer is not None and peer.local.path is not None:
            text = "→ " + words.endpoint(peer.local)
        elif socket.peer_inode:
            text = f"{socket.inode} ⇄ {socket.peer_inode}"
        else:
            text = f"inode {socket.inode}" if socket.told_inode is not None else words.UNKNOWN
    return text if width is None else elide_middle(text, width)
