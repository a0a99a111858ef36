"""Rows of inet_diag (TCP, UDP, UDP-Lite, MPTCP) as Socket values (include/uapi/linux/inet_diag.h).

Rows of one length nearly always carry the same attributes. Their positions are learnt once per length and checked by
the attribute headers, of a run of rows by one comparison a header: 0.9 us a row, of a row alone 1.5.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from socket import AF_INET, AF_INET6, inet_ntop
from sys import byteorder
from typing import Any, TypeAlias

from sockscope.kernel.malformed import MalformedError
from sockscope.model.socket import Endpoint, Socket, SocketMemory, Timer

ROW_BYTES = 88  # nlmsghdr and struct inet_diag_msg
TIMER_AT = 18
COOKIE_AT = 60
EXPIRES_AT = 68

TCP_STATES = (
    "UNKNOWN", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
    "LAST_ACK", "LISTEN", "CLOSING", "SYN_RECV", "CLOSE",
)  # include/net/tcp_states.h; the last two are NEW_SYN_RECV and BOUND_INACTIVE
TIMER_KINDS = (None, "retransmit", "keepalive", "time-wait", "zero-window-probe")
TYPES = {"tcp": "stream", "mptcp": "stream", "udp": "dgram", "udplite": "dgram", "raw": "raw", "icmp": "dgram"}

_BASE = "=16x4B2s2s16s16sIQ5I"
_SHUTDOWN, _SKV6ONLY, _CGROUP_ID, _SKMEMINFO = 8, 11, 21, 7
# The attributes that are read, in the order of a row's values and of the kernel, and how. One of any other length says
# nothing. An attribute that is not there is read as "0s", b"".
_WANTED = {(_SHUTDOWN, 1): "B", (_SKV6ONLY, 1): "B", (_CGROUP_ID, 8): "Q"}
_ORDER = (_SHUTDOWN, _SKV6ONLY, _CGROUP_ID, _SKMEMINFO)
_FIXED = 15  # values before the attributes
_RUN = 256  # rows that are compared and unpacked at once
_RUNS = (_RUN, 64, 16, 4)
_NOWHERE = bytes(18)  # no address and no port
_MEMORY = struct.Struct("=9I")
_ATTRIBUTE = struct.Struct("=HH")
_CACHE_LIMIT = 300_000

Row: TypeAlias = tuple[Any, ...]  # the values of one row, as struct gives them


class _Layout:
    """Where the attributes of rows of one length stand, told by the words (length, type) that lead them."""

    __slots__ = ("_check", "_columns", "_headers", "_length", "_order", "_struct")

    def __init__(self, row: bytes | bytearray, start: int, length: int) -> None:
        places, words, kinds = [0], [length], []
        pattern, check = _BASE, f"={ROW_BYTES}x"
        at, end = start + ROW_BYTES, start + length
        while at + 4 <= end:
            size, kind = _ATTRIBUTE.unpack_from(row, at)
            if size < 4 or at + size > end:
                raise MalformedError("attribute length")
            room = min((size + 3) & ~3, end - at) - 4
            kind &= 0x3FFF
            code = f"{size - 4}s" if kind == _SKMEMINFO else _WANTED.get((kind, size - 4), "")
            if code and kind not in kinds:
                kinds.append(kind)
                pattern += f"4x{code}{room + 4 - size}x"
            else:
                pattern += f"4x{room}x"
            check += f"I{room}x"
            places.append(at - start)
            words.append(int.from_bytes(row[at:at + 4], byteorder))
            at += room + 4
        absent = [kind for kind in _ORDER if kind not in kinds]
        self._length = length
        self._struct = struct.Struct(pattern + f"{end - at}x" + "0s" * len(absent))
        self._check, self._headers = struct.Struct(check).unpack_from, tuple(words[1:])
        columns = [memoryview(array("I", [word] * _RUN)) for word in words]
        self._columns = list(zip([at // 4 for at in places], columns, strict=True))
        found = [*kinds, *absent]
        self._order: Callable[[Row], Row] | None = None
        if found != list(_ORDER):
            self._order = itemgetter(*range(_FIXED), *[_FIXED + found.index(kind) for kind in _ORDER])

    def fits(self, data: bytes | bytearray, start: int) -> bool:
        """Tell whether the row at `start` has these attributes."""
        return self._check(data, start) == self._headers

    def read(self, data: bytes | bytearray, start: int) -> Row:
        """Give a row's values: those of _BASE, then the wanted attributes in _ORDER."""
        row = self._struct.unpack_from(data, start)
        return row if self._order is None else self._order(row)

    def fit(self, view: memoryview, rows: int) -> bool:
        """Tell whether all these rows, which are `view`, have these attributes."""
        step = self._length // 4
        with view.cast("I") as words:
            return all(words[at::step] == column[:rows] for at, column in self._columns)

    def read_all(self, view: memoryview) -> Iterable[Row]:
        """Give the values of each of these rows."""
        rows = self._struct.iter_unpack(view)
        return rows if self._order is None else map(self._order, rows)


class InetRows:
    """Decodes rows of one protocol in one namespace. Equal endpoints and memories are shared between rows."""

    def __init__(self, netns: int, protocol: str) -> None:
        self.netns = netns
        self.protocol = protocol
        self._type = TYPES.get(protocol, "raw")
        self._layouts: dict[int, _Layout] = {}
        self._endpoints4: dict[bytes, Endpoint] = {}  # by address and port as they stand in the row
        self._endpoints6: dict[bytes, Endpoint] = {}
        self._addresses: dict[bytes, str] = {}
        self._memories: dict[bytes, SocketMemory] = {}
        self._timers: dict[tuple[int, int], Timer | None] = {}

    def decode(self, row: bytes | bytearray, start: int, end: int, *, expires: bool = False) -> Socket:
        """Read the row at data[start:end]. Raises MalformedError only. `expires`: timers' remaining time as well."""
        return self._make((self._one(row, start, end - start),), expires=expires)[0]

    def decode_all(
        self, data: bytes | bytearray, starts: Sequence[int], *, expires: bool = False
    ) -> list[Socket | None]:
        """Read the rows that follow each other at `starts`, the last of which is their end; None for one malformed."""
        sockets: list[Socket | None] = []
        last, at = len(starts) - 1, 0
        with memoryview(data) as whole:
            while at < last:
                start, length = starts[at], starts[at + 1] - starts[at]
                rows = next((n for n in _RUNS if at + n <= last and starts[at + n] - start == n * length), 1)
                try:
                    layout = self._layouts.get(length) or self._learn(data, start, length)
                    with whole[start:start + rows * length] as part:
                        if rows > 1 and not length % 4 and layout.fit(part, rows):
                            sockets += self._make(layout.read_all(part), expires=expires)
                        else:
                            rows = 1
                            sockets.append(self.decode(data, start, start + length, expires=expires))
                except MalformedError:
                    sockets.append(None)
                    rows = 1
                at += rows
        return sockets

    def _one(self, data: bytes | bytearray, start: int, length: int) -> Row:
        layout = self._layouts.get(length)
        if layout is None or not layout.fits(data, start):
            layout = self._learn(data, start, length)
        return layout.read(data, start)

    def _make(self, rows: Iterable[Row], *, expires: bool) -> list[Socket]:
        netns, protocol, kind, states = self.netns, self.protocol, self._type, TCP_STATES
        memories, four, six, endpoint = self._memories, self._endpoints4, self._endpoints6, self._endpoint
        sockets: list[Socket] = []
        put = sockets.append
        for (
            family, state, timer, retransmits, sport, dport, source, target, interface, cookie, left, receive, send,
            uid, inode, shutdown, v6only, cgroup, memory,
        ) in rows:
            endpoints = four if family == 2 else six
            here, there = source + sport, target + dport
            if state == 10 or there == _NOWHERE:
                remote = None
            else:
                remote = endpoints.get(there) or endpoint(endpoints, family, there)
            put(Socket(
                netns, cookie, "inet" if family == 2 else "inet6", kind, protocol,
                states[state] if state < 14 else "UNKNOWN", endpoints.get(here) or endpoint(endpoints, family, here),
                remote, interface or None, inode, uid if inode or uid else None, receive, send,
                memories.get(memory) or self._memory(memory), None if shutdown == b"" else shutdown,
                self._timer(timer, retransmits, left if expires else None) if timer else None,
                None, None, None, None if cgroup == b"" else cgroup, None if v6only == b"" else v6only != 0,
            ))
        return sockets

    def _learn(self, row: bytes | bytearray, start: int, length: int) -> _Layout:
        if length < ROW_BYTES or start + length > len(row):
            raise MalformedError("row length")
        layout = self._layouts[length] = _Layout(row, start, length)
        return layout

    def _endpoint(self, endpoints: dict[bytes, Endpoint], family: int, place: bytes) -> Endpoint:
        if len(endpoints) > _CACHE_LIMIT:
            endpoints.clear()
        raw = place[:4] if family == 2 else place[:16]
        text = self._addresses.get(raw)
        if text is None:
            if len(self._addresses) > _CACHE_LIMIT:
                self._addresses.clear()
            text = self._addresses[raw] = inet_ntop(AF_INET if family == 2 else AF_INET6, raw)
        endpoint = endpoints[place] = Endpoint(text, place[16] << 8 | place[17])
        return endpoint

    def _memory(self, raw: bytes) -> SocketMemory | None:
        if len(raw) < 36:  # before Linux 4.12 without drops; TIME_WAIT and SYN_RECV have none
            return None
        if len(self._memories) > _CACHE_LIMIT:
            self._memories.clear()
        memory = self._memories[raw] = SocketMemory(*_MEMORY.unpack_from(raw))
        return memory

    def _timer(self, timer: int, retransmits: int, left: int | None) -> Timer | None:
        kind = TIMER_KINDS[timer] if timer < len(TIMER_KINDS) else None
        if kind is None:
            return None
        if left is not None:
            return Timer(kind, retransmits, left / 1000)
        shared = self._timers.get((timer, retransmits))
        if shared is None:
            shared = self._timers[timer, retransmits] = Timer(kind, retransmits)
        return shared
