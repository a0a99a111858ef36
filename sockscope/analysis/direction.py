"""Whether we serve on a connection or call out on it: told by who listens, not by guessing from names."""

from __future__ import annotations

from sockscope.analysis.peers import listening
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Socket

_FIRST_EPHEMERAL = 32_768  # net.ipv4.ip_local_port_range starts here unless changed
_newest: tuple[Snapshot, frozenset[tuple[int, int | None]]] | None = None


def serves(snapshot: Snapshot, socket: Socket) -> bool | None:
    """Tell who called. True: it came to a port of ours (`<-`); False: we called (`->`); None: it has no two ends.

    Without a listener in sight (a dump narrowed to one port) the lower port is the service, unless both are ephemeral.
    """
    if socket.remote is None or not socket.is_inet or socket.local.port is None or not socket.remote.port:
        return None
    doors = _doors(snapshot)
    if (socket.netns, socket.local.port) in doors:
        return True
    if (socket.netns, socket.remote.port) in doors:
        return False
    return socket.local.port < min(socket.remote.port, _FIRST_EPHEMERAL)


def _doors(snapshot: Snapshot) -> frozenset[tuple[int, int | None]]:
    """(netns, port) of every listener; kept for the newest snapshot only (one table draws one snapshot)."""
    global _newest  # noqa: PLW0603  # a memo of one entry; replacing it is atomic
    memo = _newest
    if memo is not None and memo[0] is snapshot:
        return memo[1]
    ports = frozenset((s.netns, s.local.port) for s in listening(snapshot) if s.is_inet)
    _newest = (snapshot, ports)
    return ports
