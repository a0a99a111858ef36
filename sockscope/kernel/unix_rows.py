"""Rows of unix_diag, packet_diag and netlink_diag as Socket values (include/uapi/linux/*_diag.h, net/*/diag.c)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from sockscope.kernel.inet_rows import TCP_STATES
from sockscope.kernel.malformed import MalformedError
from sockscope.model.socket import Endpoint, Socket, SocketMemory

UNIX_ROW_BYTES = 32  # nlmsghdr and struct unix_diag_msg; packet_diag_msg has the same size
UNIX_COOKIE_AT = 24
PACKET_COOKIE_AT = 24
NETLINK_ROW_BYTES = 44
NETLINK_COOKIE_AT = 36

TYPES = {1: "stream", 2: "dgram", 3: "raw", 4: "rdm", 5: "seqpacket", 10: "packet"}
UNNAMED = Endpoint()

_UNIX = struct.Struct("=16x3BxIQ")  # family, type, state, inode, cookie
_PACKET = struct.Struct("=16xBBHIQ")  # family, type, number (host order), inode, cookie
_NETLINK = struct.Struct("=16x4B4IQ")  # family, type, protocol, state, port id, its peer's, group, inode, cookie
_ATTRIBUTE = struct.Struct("=HH")
_WORD = struct.Struct("=I")
_PAIR = struct.Struct("=II")
_MEMORY = struct.Struct("=9I")


class UnixRows:
    """Decodes unix sockets of one namespace."""

    def __init__(self, netns: int) -> None:
        self.netns = netns
        self._memories: dict[bytes, SocketMemory] = {}

    def decode(self, row: bytes | bytearray, start: int, end: int, *, expires: bool = False) -> Socket:  # noqa: ARG002
        """Read the row at data[start:end]. Raises MalformedError only."""
        if end - start < UNIX_ROW_BYTES or end > len(row):
            raise MalformedError("row length")
        _, kind, state, inode, cookie = _UNIX.unpack_from(row, start)
        found = dict(attributes(row, start + UNIX_ROW_BYTES, end))
        receive, send = _PAIR.unpack_from(found[4]) if len(found.get(4, b"")) >= 8 else (None, None)
        shutdown = found.get(6, b"")
        uid = found.get(7, b"")
        peer = found.get(2, b"")
        waiting = found.get(3)
        state_word = TCP_STATES[state] if state < 14 else "UNKNOWN"
        local = unix_endpoint(found[0]) if 0 in found else UNNAMED
        return Socket(
            self.netns, cookie, "unix", TYPES.get(kind, "unknown"), "unix", state_word, local, None, None, inode,
            _WORD.unpack_from(uid)[0] if len(uid) >= 4 else None, receive, send,
            self._memory(found.get(5, b"")), shutdown[0] if shutdown else None, None,
            _WORD.unpack_from(peer)[0] if len(peer) >= 4 else 0, None,
            _words(waiting) if waiting is not None else (() if state == 10 else None),
        )

    def decode_all(
        self, data: bytes | bytearray, starts: Sequence[int], *, expires: bool = False
    ) -> list[Socket | None]:
        """Read the rows that follow each other at `starts`, the last of which is their end; None for one malformed."""
        return _one_by_one(self.decode, data, starts, expires=expires)

    def _memory(self, raw: bytes) -> SocketMemory | None:
        if len(raw) < 36:
            return None
        memory = self._memories.get(raw)
        if memory is None:
            if len(self._memories) > 50_000:
                self._memories.clear()
            memory = self._memories[raw] = SocketMemory(*_MEMORY.unpack_from(raw))
        return memory


class PacketRows:
    """Decodes packet sockets. `local.port` stays None; the protocol is an Ethernet type, told by `local.address`."""

    def __init__(self, netns: int) -> None:
        self.netns = netns

    def decode(self, row: bytes | bytearray, start: int, end: int, *, expires: bool = False) -> Socket:  # noqa: ARG002
        """Read the row at data[start:end]. Raises MalformedError only."""
        if end - start < UNIX_ROW_BYTES or end > len(row):
            raise MalformedError("row length")
        _, kind, number, inode, cookie = _PACKET.unpack_from(row, start)
        found = dict(attributes(row, start + UNIX_ROW_BYTES, end))
        info, uid = found.get(0, b""), found.get(5, b"")
        memory = memory_of(found.get(6, b""))
        return packet_socket(
            self.netns, cookie, kind=kind, number=number, interface=_WORD.unpack_from(info)[0] if len(info) >= 4 else 0,
            inode=inode, uid=_WORD.unpack_from(uid)[0] if len(uid) >= 4 else None, memory=memory,
        )

    def decode_all(
        self, data: bytes | bytearray, starts: Sequence[int], *, expires: bool = False
    ) -> list[Socket | None]:
        """Read the rows that follow each other at `starts`, the last of which is their end; None for one malformed."""
        return _one_by_one(self.decode, data, starts, expires=expires)


class NetlinkRows:
    """Decodes netlink sockets. `local.port` is the port id; `local.address` the netlink protocol's name."""

    def __init__(self, netns: int) -> None:
        self.netns = netns

    def decode(self, row: bytes | bytearray, start: int, end: int, *, expires: bool = False) -> Socket:  # noqa: ARG002
        """Read the row at data[start:end]. Raises MalformedError only."""
        if end - start < NETLINK_ROW_BYTES or end > len(row):
            raise MalformedError("row length")
        _, kind, protocol, state, port, _, _, inode, cookie = _NETLINK.unpack_from(row, start)
        found = dict(attributes(row, start + NETLINK_ROW_BYTES, end))
        memory = memory_of(found.get(0, b""))
        return netlink_socket(
            self.netns, cookie, kind=kind, protocol=protocol, port=port, inode=inode, memory=memory,
            connected=state == 1,
        )

    def decode_all(
        self, data: bytes | bytearray, starts: Sequence[int], *, expires: bool = False
    ) -> list[Socket | None]:
        """Read the rows that follow each other at `starts`, the last of which is their end; None for one malformed."""
        return _one_by_one(self.decode, data, starts, expires=expires)


NETLINK_NAMES = {  # include/uapi/linux/netlink.h
    0: "route", 2: "usersock", 3: "firewall", 4: "sock_diag", 5: "nflog", 6: "xfrm", 7: "selinux", 8: "iscsi",
    9: "audit", 10: "fib_lookup", 11: "connector", 12: "netfilter", 13: "ip6_fw", 14: "dnrtmsg",
    15: "kobject_uevent", 16: "generic", 18: "scsitransport", 19: "ecryptfs", 20: "rdma", 21: "crypto", 22: "smc",
}
ETHERNET_NAMES = {  # include/uapi/linux/if_ether.h
    0: "none", 0x0003: "all", 0x0800: "ip", 0x0806: "arp", 0x86DD: "ipv6", 0x888E: "eapol", 0x88CC: "lldp",
}


def packet_socket(
    netns: int, cookie: int | None, *, kind: int, number: int, interface: int, inode: int, uid: int | None,
    memory: SocketMemory | None = None, receive: int | None = None,
) -> Socket:
    """Make a packet socket's value of what packet_diag or /proc/net/packet told. Its queue is rmem, truesize.

    Once its interface is gone the index is -1 (af_packet.c packet_notifier).
    """
    name = ETHERNET_NAMES.get(number, f"0x{number:04x}")
    return Socket(
        netns, cookie, "packet", TYPES.get(kind, "unknown"), "packet", "CLOSE", Endpoint(name), None,
        interface if 0 < interface < 1 << 31 else None, inode, uid, memory.receive_alloc if memory else receive,
        memory.send_alloc if memory else None, memory, None,
    )


def netlink_socket(
    netns: int, cookie: int | None, *, kind: int, protocol: int, port: int, inode: int,
    memory: SocketMemory | None = None, connected: bool | None = None, receive: int | None = None,
    send: int | None = None, drops: int | None = None,
) -> Socket:
    """Make a netlink socket's value. The kernel's own have port id 0; no uid is told of any."""
    name = NETLINK_NAMES.get(protocol, str(protocol))
    return Socket(
        netns, cookie, "netlink", TYPES.get(kind, "raw"), "netlink", "ESTABLISHED" if connected else "CLOSE",
        Endpoint(name, port), None, None, inode, None, memory.receive_alloc if memory else receive,
        memory.send_alloc if memory else send, memory, None, None, None, drops,
    )


def unix_endpoint(name: bytes) -> Endpoint:
    """UNIX_DIAG_NAME: a leading NUL is the abstract namespace; a path may carry its terminating NUL."""
    if name[:1] == b"\0":
        return Endpoint("", None, bytes(name[1:]), abstract=True)
    return Endpoint("", None, bytes(name.split(b"\0", 1)[0])) if name else UNNAMED


def memory_of(raw: bytes) -> SocketMemory | None:
    """SKMEMINFO's nine words, or None where there are fewer."""
    return SocketMemory(*_MEMORY.unpack_from(raw)) if len(raw) >= 36 else None


def attributes(row: bytes | bytearray, at: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Netlink attributes (netlink(7)): (type, payload), to the first one that does not fit. Raises MalformedError."""
    while at + 4 <= end:
        size, kind = _ATTRIBUTE.unpack_from(row, at)
        if size < 4 or at + size > end:
            raise MalformedError("attribute length")
        yield kind & 0x3FFF, bytes(row[at + 4:at + size])
        at += (size + 3) & ~3


def _one_by_one(
    decode: Callable[..., Socket], data: bytes | bytearray, starts: Sequence[int], *, expires: bool
) -> list[Socket | None]:
    """For tables that are short, or whose rows are never alike."""
    sockets: list[Socket | None] = []
    for start, end in pairwise(starts):
        try:
            sockets.append(decode(data, start, end, expires=expires))
        except MalformedError:
            sockets.append(None)
    return sockets


def _words(raw: bytes) -> tuple[int, ...]:
    return struct.unpack(f"={len(raw) // 4}I", raw[:len(raw) & ~3])
