"""TCP sockets that are bound, but neither listen nor are connected (Linux 6.8 reports them).

Hardly any exist, and asking for them takes a seventh of the whole TCP dump (1.5 ms at 10,000 sockets, 4 with cold
caches). So they are asked for where a holder has a TCP socket that the table lacks, and on a netlink socket of their
own, which a thread may do while the dump goes on. They lie over the table: once a socket is in that, it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from sockscope.kernel import sock_diag
from sockscope.kernel.inet_rows import ROW_BYTES, InetRows
from sockscope.kernel.netlink import Dump, Netlink, NetlinkError
from sockscope.model.snapshot import Scope
from sockscope.model.socket import Socket, SocketKey


class BoundSockets:
    """Those of one namespace, kept from look to look. Equal rows stay the same objects."""

    def __init__(self, netns: int, open_channel: Callable[[], Netlink]) -> None:
        self.sockets: Mapping[SocketKey, Socket] = {}
        self.inodes: Collection[int] = ()
        self.has_changed = False
        self._before: Mapping[SocketKey, Socket] = {}
        self._rows = InetRows(netns, "tcp")
        self._dump = Dump()
        self._open_channel = open_channel
        self._channel: Netlink | None = None

    def read(self, scope: Scope) -> None:
        """Look again. Without an answer there are none: the dump of the table tells why netlink fails. Never raises."""
        dump = self._dump
        try:
            if self._channel is None:
                self._channel = self._open_channel()
            self._channel.dump(sock_diag.TCPDIAG_GETSOCK, sock_diag.tcp_bound(scope.ports), 1, dump, ROW_BYTES)
        except NetlinkError:
            dump.clear()
        found = {} if dump.trouble is None else dict(self.sockets)
        for row in self._rows.decode_all(dump.data, dump.starts):
            if row is not None:
                known = self.sockets.get(row.key)
                found[row.key] = known if known == row else row
        self._put(found)

    def forget(self) -> None:
        """Take it that there are none: TCP is not in scope or read from elsewhere, or there is no sign of any."""
        self._put({})

    def has_lost(self, others: Collection[SocketKey]) -> bool:
        """Tell whether a socket is here no more, and not in `others` either."""
        return self.has_changed and any(key not in others and key not in self.sockets for key in self._before)

    def close(self) -> None:
        """Give the netlink socket back."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _put(self, found: Mapping[SocketKey, Socket]) -> None:
        self._before = self.sockets
        self.has_changed = found != self.sockets
        self.sockets = found
        self.inodes = {row.inode for row in found.values() if row.inode}
