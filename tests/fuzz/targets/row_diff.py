"""The diff of dumps: whatever rows come, after each dump the table holds what reading that dump whole gives.

The input is dumps, parted by 0xff, of rows of one byte: five bits of cookie, two of the queue, one of the length.
"""

from __future__ import annotations

from kernel.netlink_bytes import attribute, inet_row

from sockscope.collect.row_table import RowTable
from sockscope.kernel.inet_rows import COOKIE_AT, InetRows
from sockscope.kernel.netlink import Dump
from sockscope.model.socket import Socket, SocketKey

LONGEST = 100
_MOST_DUMPS = 6
_ROWS = tuple(
    inet_row(code & 31, receive=code >> 5 & 3, timer=2, attributes=attribute(30, b"long!") if code & 128 else b"")
    for code in range(256)
)


class Kept:
    """A table, and the sockets that its patches made."""

    def __init__(self) -> None:
        self.table = RowTable(InetRows(1, "tcp"), 1, COOKIE_AT, timed=True)
        self.sockets: dict[SocketKey, Socket] = {}

    def take(self, rows: list[bytes]) -> None:
        """Put the rows of a dump in."""
        fill(self.table.next_dump(), rows)
        patch = self.table.update(self.sockets)
        assert not patch.malformed
        for key in set(patch.gone):  # a socket that was dumped twice is told twice
            del self.sockets[key]
        self.sockets.update(patch.put)


def fill(dump: Dump, rows: list[bytes]) -> None:
    """Make a dump hold these rows."""
    dump.clear()
    dump.data = bytearray(b"".join(rows))
    at = 0
    for row in rows:
        dump.starts.append(at)
        dump.singles.append(at)
        at += len(row)
    dump.starts.append(at)
    dump.size = at


def check(data: bytes) -> None:
    """Feed the dumps to one table, and each to a table of its own."""
    kept = Kept()
    for codes in data.split(b"\xff")[:_MOST_DUMPS]:
        rows = [_ROWS[code] for code in codes]
        kept.take(rows)
        whole = Kept()
        whole.take(rows)
        assert kept.sockets.keys() == whole.sockets.keys()
        if len(whole.sockets) == len(rows):  # of a socket dumped twice either state may stand until the next dump
            assert kept.sockets == whole.sockets
