"""From a model Socket to the exact id by which the kernel finds its row, and the path of its namespace."""

from __future__ import annotations

import itertools
import os
import socket as net
from collections.abc import Iterable

from sockscope.kernel.namespaces import netns_of
from sockscope.kernel.tcp_row import RowId
from sockscope.model.socket import Endpoint, Socket

PROTOCOLS = {"tcp": 6, "udp": 17, "udplite": 136}
FAMILIES = {"inet": net.AF_INET, "inet6": net.AF_INET6}


def row_id(socket: Socket) -> RowId | None:
    """Give its id; None without a cookie, or for a protocol that has no rows found by id."""
    protocol, family = PROTOCOLS.get(socket.protocol), FAMILIES.get(socket.family)
    if protocol is None or family is None or socket.cookie is None:
        return None
    local, remote = _packed(family, socket.local), _packed(family, socket.remote)
    if local is None or remote is None:
        return None
    return RowId(
        int(family), protocol, local, socket.local.port or 0, remote, (socket.remote.port or 0) if socket.remote else 0,
        socket.interface or 0, socket.cookie, socket.is_listener,
    )


def netns_path(socket: Socket, likely: Iterable[int] = ()) -> str | None:
    """Find a path to the socket's namespace; None for our own. Raises FileNotFoundError when no process shows it.

    `likely` are pids to try first: its holders.
    """
    if socket.netns in (netns_of("self"), 0):  # 0: ours, of which no more is known
        return None
    every = (int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208
    for pid in itertools.chain(likely, every):
        if netns_of(pid) == socket.netns:
            return f"/proc/{pid}/ns/net"
    raise FileNotFoundError(2, "no process is left in its network namespace")


def _packed(family: net.AddressFamily, endpoint: Endpoint | None) -> bytes | None:
    """Give the address in network order; nothing for no remote end."""
    if endpoint is None or not endpoint.address:
        return b""
    try:
        return net.inet_pton(family, endpoint.address.partition("%")[0])
    except OSError:
        return None
