"""Rows of inet_diag (TCP, UDP, UDP-Lite, MPTCP) as Socket values (include/uapi/linux/inet_diag.h).

Rows of one length nearly always carry the same attributes. Their positions are learnt once per length and checked by
the attribute headers of each row, so that a row costs one `struct` call instead of one a field: 1.1 us.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from socket import AF_INET, AF_INET6, inet_ntop
from sys import byteorder

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
_SKMEMINFO, _SHUTDOWN, _SKV6ONLY, _CGROUP_ID = 7, 8, 11, 21
# Attributes read as a number: by kind and length. Any other length is left as bytes, and says nothing.
_NUMBERS = {(_SHUTDOWN, 1): "B", (_SKV6ONLY, 1): "B", (_CGROUP_ID, 8): "Q"}
_NOWHERE = bytes(18)  # no address and no port
_MEMORY = struct.Struct("=9I")
_ATTRIBUTE = struct.Struct("=HH")
_CACHE_LIMIT = 300_000


class _Layout:
    """Where the attributes of rows of one length stand. `headers` are their packed (length, type) words."""

    __slots__ = ("headers", "places", "unpack")

    def __init__(self, row: bytes | bytearray, start: int, length: int) -> None:
        words: list[int] = []
        places: dict[int, int] = {}
        pattern = _BASE
        at, end = start + ROW_BYTES, start + length
        while at + 4 <= end:
            size, kind = _ATTRIBUTE.unpack_from(row, at)
            if size < 4 or at + size > end:
                raise MalformedError("attribute length")
            pad = min((size + 3) & ~3, end - at) - size
            kind &= 0x3FFF
            if kind == _SKMEMINFO or (kind, size - 4) in _NUMBERS:
                places.setdefault(kind, 16 + 2 * len(words))
            words.append(int.from_bytes(row[at:at + 4], byteorder))
            pattern += f"I{_NUMBERS.get((kind, size - 4), f'{size - 4}s')}{pad}x"
            at += size + pad
        self.headers = tuple(words)
        self.unpack = struct.Struct(pattern).unpack_from
        # 0, where the row's family is, stands for an attribute that is not there.
        self.places = tuple([places.get(kind, 0) for kind in (_SKMEMINFO, _SHUTDOWN, _CGROUP_ID, _SKV6ONLY)])


class InetRows:
    """Decodes rows of one protocol in one namespace. Equal endpoints and memories are shared between rows."""

    def __init__(self, netns: int, protocol: str) -> None:
        self.netns = netns
        self.protocol = protocol
        self._type = TYPES.get(protocol, "raw")
        self._layouts: dict[int, _Layout] = {}
        self._endpoints4: dict[bytes, Endpoint] = {}  # by address and port as they stand in the row
        self._endpoints6: dict[bytes, Endpoint] = {}
        self._memories: dict[bytes, SocketMemory] = {}
        self._timers: dict[tuple[int, int], Timer | None] = {}

    def decode(self, row: bytes | bytearray, start: int, end: int, *, expires: bool = False) -> Socket:
        """Read the row at data[start:end]. Raises MalformedError only. `expires`: timers' remaining time as well."""
        (socket,) = self.decode_all(row, (start, end), expires=expires)
        if socket is None:
            raise MalformedError("row")
        return socket

    def decode_all(
        self, data: bytes | bytearray, starts: Sequence[int], *, expires: bool = False
    ) -> list[Socket | None]:
        """Read the rows that follow each other at `starts`, the last of which is their end; None for one malformed."""
        netns, protocol, kind, states = self.netns, self.protocol, self._type, TCP_STATES
        memories, four, six = self._memories, self._endpoints4, self._endpoints6
        sockets: list[Socket | None] = []
        put, known, layout = sockets.append, -1, None
        start = starts[0] if starts else 0
        for end in starts[1:]:
            try:
                if layout is None or end - start != known:
                    known = end - start
                    layout = self._layouts.get(known) or self._learn(data, start, known)
                values = layout.unpack(data, start)
                if values[15::2] != layout.headers:
                    layout = self._learn(data, start, known)
                    values = layout.unpack(data, start)
            except MalformedError:
                put(None)
                start, layout = end, None
                continue
            start = end
            (family, state, timer, retransmits, sport, dport, source, target, interface, cookie, left, receive, send,
             uid, inode) = values[:15]
            at_memory, at_shutdown, at_cgroup, at_v6only = layout.places
            raw_memory = values[at_memory] if at_memory else b""
            endpoints = four if family == 2 else six
            here, there = source + sport, target + dport
            if state == 10 or there == _NOWHERE:
                remote = None
            else:
                remote = endpoints.get(there) or _endpoint(endpoints, family, there)
            put(Socket(
                netns, cookie, "inet" if family == 2 else "inet6", kind, protocol,
                states[state] if state < 14 else "UNKNOWN", endpoints.get(here) or _endpoint(endpoints, family, here),
                remote, interface or None, inode, uid if inode or uid else None, receive, send,
                memories.get(raw_memory) or self._memory(raw_memory), values[at_shutdown] if at_shutdown else None,
                self._timer(timer, retransmits, left if expires else None) if timer else None,
                None, None, None, values[at_cgroup] if at_cgroup else None,
                values[at_v6only] != 0 if at_v6only else None,
            ))
        return sockets

    def _learn(self, row: bytes | bytearray, start: int, length: int) -> _Layout:
        if length < ROW_BYTES or start + length > len(row):
            raise MalformedError("row length")
        layout = self._layouts[length] = _Layout(row, start, length)
        return layout

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


def _endpoint(endpoints: dict[bytes, Endpoint], family: int, place: bytes) -> Endpoint:
    if len(endpoints) > _CACHE_LIMIT:
        endpoints.clear()
    text = inet_ntop(AF_INET, place[:4]) if family == 2 else inet_ntop(AF_INET6, place[:16])
    endpoint = endpoints[place] = Endpoint(text, int.from_bytes(place[16:], "big"))
    return endpoint
