"""Sockets that are open but in no table: never bound, or closed and reset while their fd stays open.

The holders' scan finds their inodes; `getxattr(/proc/PID/fd/N, "system.sockprotoname")` (net/socket.c
sockfs_xattr_get) names their protocol without a duplicate of the fd and without a lock.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import filterfalse

from sockscope.collect.families import identify
from sockscope.collect.plans import ORDER
from sockscope.kernel.gone import is_gone
from sockscope.model.gap import Gap
from sockscope.model.socket import Endpoint, Holder, Socket

_BUDGET = 2_000  # sockets a look (4 us to see that one is still open, 10 us to read a new one)
_NOWHERE = Endpoint()
# What another file under that fd answers: it has no such attribute, or a path too long to print.
_NO_SOCKET = frozenset({errno.ENODATA, errno.EOPNOTSUPP, errno.ENAMETOOLONG})

_ALL = frozenset(ORDER)  # a scope of all tables also means families that have none (vsock, xdp, sctp...)


class Unlisted:
    """What is known of sockets outside the tables, kept between looks.

    A socket made after the tables were read and before the holders were is not unlisted, only young: whoever asks reads
    the table again, or waits for the next look (`is_settled`).
    """

    def __init__(self) -> None:
        self._rows: dict[int, Socket | None] = {}
        self._settled: set[int] = set()
        self._inodes: Iterable[int] = ()  # those in no table
        self._refused: set[int] = set()  # held by somebody, as BPF tells, whose fds we may not look at

    def is_settled(self, inode: int) -> bool:
        """Whether the look before missed it in the tables too."""
        return inode in self._settled

    def find(
        self, holders: Mapping[int, tuple[Holder, ...]], listed: Sequence[Collection[int]], netns: int,
        protocols: frozenset[str], tables: Collection[str], *, unchanged: bool = False,
    ) -> tuple[dict[int, Socket], tuple[Gap, ...]]:
        """Find the rows of all unlisted sockets of these protocols, by inode, and what went over the budget.

        `listed` are the inodes of all tables, `tables` those that were read: only a socket missing in its protocol's
        table is known to be closed. `unchanged`: holders and tables are those of the call before.
        """
        if not unchanged:
            inodes: Iterable[int] = holders
            for table in listed:
                inodes = list(filterfalse(table.__contains__, inodes))  # 2 ms for 100,000, a set difference 6
            self._inodes = inodes
        before, self._rows = self._rows, {}
        self._settled = set(before)
        budget, left_out = _BUDGET, 0
        for inode in self._inodes:
            if not budget:
                left_out += 1
                continue
            budget -= 1
            if inode not in before:
                self._rows[inode] = self._read(holders[inode], inode, netns, tables)
            elif before[inode] is None or any(_may_be_open(holder, inode) for holder in holders[inode]):
                self._rows[inode] = before[inode]
        wants_others = protocols >= _ALL
        found = {
            inode: row for inode, row in self._rows.items()
            if row is not None and (row.protocol in protocols or (wants_others and row.protocol not in _ALL))
        }
        self._refused &= self._rows.keys()
        gaps = []
        if left_out:
            gaps.append(Gap("unlisted", "over_budget", left_out, "sockets in no table, left out at this look"))
        if self._refused:
            detail = "sockets in no table, of a kind that may not be read"
            gaps.append(Gap("unlisted", "not_permitted", len(self._refused), detail))
        return found, tuple(gaps)

    def _read(
        self, holders: tuple[Holder, ...], inode: int, netns: int, tables: Collection[str],
    ) -> Socket | None:
        for holder in holders:
            path = f"/proc/{holder.pid}/fd/{holder.fd}"
            try:
                raw = os.getxattr(path, "system.sockprotoname")
                is_open = _is_open(holder, inode)  # checked after: the fd may have been another file meanwhile
            except OSError as error:
                if not is_gone(error) and error.errno not in _NO_SOCKET:
                    self._refused.add(inode)
                continue
            if not is_open:
                continue
            self._refused.discard(inode)
            family, kind, protocol = identify(raw.rstrip(b"\0").decode("ascii", "replace"))
            state = "CLOSE" if protocol in tables else "UNKNOWN"
            return Socket(
                netns, None, family, kind, protocol, state, _NOWHERE, None, None, inode, None, None, None, None, None,
            )
        return None


def _is_open(holder: Holder, inode: int) -> bool:
    """Tell whether the fd is still this socket: the owner map learns of ends by the tables, so not of these.

    Raises OSError where it is there and could not be asked.
    """
    try:
        return os.readlink(f"/proc/{holder.pid}/fd/{holder.fd}") == f"socket:[{inode}]"  # noqa: PTH115
    except OSError as error:
        if is_gone(error) or error.errno in _NO_SOCKET:
            return False
        raise


def _may_be_open(holder: Holder, inode: int) -> bool:
    try:
        return _is_open(holder, inode)
    except OSError:
        return True
