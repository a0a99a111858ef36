"""One row of sock_diag by exact id and cookie: tcp_info, the timer, and SOCK_DESTROY (net/ipv4/inet_diag.c).

INET_DIAG_INFO and SOCK_DESTROY take the socket's lock; a target stuck in send() holds it. Only the expendable helper
process may call these, and never for more than one row.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import NamedTuple

from sockscope.kernel.netlink import HEADER, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR
from sockscope.kernel.sock_diag import SOCK_DIAG_BY_FAMILY

SOCK_DESTROY = 21
NLM_F_ACK = 4
INET_DIAG_INFO = 2
INET_DIAG_CONG = 4
LISTEN = 10
ANY_STATE = 0xFFF
RECEIVE_SIZE = 65_536

_REQUEST = struct.Struct("=BBBxI")
_MESSAGE = struct.Struct("=BBBB48sIIIII")
_MOST_ERRNO = 4095  # MAX_ERRNO (include/linux/err.h); strerror() refuses numbers beyond a C int
_COOKIE_OFFSET = 40  # in the 48 bytes of inet_diag_sockid


class RowId(NamedTuple):
    """struct inet_diag_sockid with its family and protocol. Addresses are 4 or 16 bytes, as the family has them."""

    family: int
    protocol: int
    local_address: bytes
    local_port: int
    remote_address: bytes
    remote_port: int
    interface: int
    cookie: int
    listener: bool = False

    def packed(self) -> bytes:
        """As the kernel wants it: ports in network order, addresses padded to 16 bytes."""
        return (
            struct.pack("!HH", self.local_port, self.remote_port)
            + self.local_address.ljust(16, b"\0")
            + self.remote_address.ljust(16, b"\0")
            + struct.pack("=IQ", self.interface, self.cookie)
        )


class Row(NamedTuple):
    """What one request gave; `info` is a raw struct tcp_info, None for rows that have none (TIME_WAIT, SYN_RECV)."""

    state: int
    timer: int
    retransmits: int
    expires_ms: int
    info: bytes | None
    congestion: bytes | None
    receive_queued: int = 0
    send_queued: int = 0


def read_row(diag: socket.socket, row: RowId, *, with_info: bool = True) -> Row:
    """Read the row with exactly this id and cookie. Raises OSError: ENOENT when there is none (any more).

    Of several listeners on one port a lookup finds only one, so listeners are dumped and picked by cookie.
    """
    extensions = (1 << (INET_DIAG_INFO - 1)) | (1 << (INET_DIAG_CONG - 1)) if with_info else 0
    states = 1 << LISTEN if row.listener else ANY_STATE
    request = _REQUEST.pack(row.family, row.protocol, extensions, states) + row.packed()
    for payload in _talk(diag, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP if row.listener else 0, request):
        found = _parse(payload, row.cookie)
        if found is not None:
            return found
    raise OSError(errno.ENOENT, "no such row")


def destroy(diag: socket.socket, row: RowId) -> None:
    """Close the socket from outside (needs CAP_NET_ADMIN). Its owner sees ECONNABORTED, the peer a reset.

    Raises OSError: ENOENT or ESTALE when no socket has this id and cookie, EPERM, EOPNOTSUPP.
    """
    request = _REQUEST.pack(row.family, row.protocol, 0, ANY_STATE) + row.packed()
    for _ in _talk(diag, SOCK_DESTROY, NLM_F_ACK, request):
        pass


def _talk(diag: socket.socket, kind: int, flags: int, payload: bytes) -> list[bytes]:
    """Payloads of the answer: all of a dump, one row, or none for an acknowledgement. Raises OSError."""
    header = HEADER.pack(HEADER.size + len(payload), kind, NLM_F_REQUEST | flags, 1, 0)
    diag.send(header + payload)
    answers: list[bytes] = []
    while True:
        data = diag.recv(RECEIVE_SIZE)
        if not data:
            raise OSError(errno.EIO, "netlink gave nothing")
        for message, body in _messages(data):
            if message in (NLMSG_ERROR, NLMSG_DONE):
                code = struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0
                if code < 0:
                    raise OSError(-code, os.strerror(min(-code, _MOST_ERRNO)))
                return answers
            answers.append(body)
        if not flags & (NLM_F_DUMP | NLM_F_ACK):
            return answers


def _messages(data: bytes) -> list[tuple[int, bytes]]:
    """(type, payload) of each message; a broken length ends the list."""
    found = []
    place = 0
    while place + HEADER.size <= len(data):
        length, kind, _flags, _sequence, _port = HEADER.unpack_from(data, place)
        if length < HEADER.size or place + length > len(data):
            break
        found.append((kind, data[place + HEADER.size : place + length]))
        place += (length + 3) & ~3
    return found


def _parse(payload: bytes, cookie: int) -> Row | None:
    """Decode the row, if it is long enough and carries the cookie asked for."""
    if len(payload) < _MESSAGE.size:
        return None
    _family, state, timer, retransmits, identity, expires, receive, send, _uid, _inode = _MESSAGE.unpack_from(payload)
    if struct.unpack_from("=Q", identity, _COOKIE_OFFSET)[0] != cookie:
        return None
    attributes = _attributes(payload[_MESSAGE.size :])
    return Row(
        state, timer, retransmits, expires, attributes.get(INET_DIAG_INFO), attributes.get(INET_DIAG_CONG), receive,
        send,
    )


def _attributes(data: bytes) -> dict[int, bytes]:
    """rtattrs by type; a broken length ends them."""
    found = {}
    place = 0
    while place + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, place)
        if length < 4 or place + length > len(data):
            break
        found[kind] = data[place + 4 : place + length]
        place += (length + 3) & ~3
    return found
