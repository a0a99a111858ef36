"""Promises that several targets check: what a Socket may hold whatever bytes it was made of."""

from __future__ import annotations

import socket as sockets

import msgspec

from sockscope.kernel.inet_rows import TCP_STATES, TIMER_KINDS
from sockscope.model.socket import Endpoint, Socket

STATES = frozenset(TCP_STATES)
TYPES = frozenset({"stream", "dgram", "raw", "rdm", "seqpacket", "packet", "unknown"})
_encode = msgspec.json.Encoder().encode


def check_socket(socket: Socket) -> None:
    """Words of the model, numbers that a kernel has, and JSON can be made of it."""
    assert socket.state in STATES, socket.state
    assert socket.type in TYPES, socket.type
    assert 0 <= socket.inode < 1 << 64, socket.inode
    assert socket.uid is None or 0 <= socket.uid < 1 << 32, socket.uid
    for number in (socket.receive_queued, socket.send_queued, socket.interface, socket.peer_inode, socket.drops):
        assert number is None or 0 <= number < 1 << 64, number
    for end in (socket.local, socket.remote):
        if end is not None:
            _check_endpoint(end, socket.family)
    if socket.timer is not None:
        assert socket.timer.kind in TIMER_KINDS and socket.timer.retransmits >= 0, socket.timer
        assert socket.timer.expires_s is None or socket.timer.expires_s >= 0, socket.timer
    _encode((socket.cookie, socket.memory, socket.timer, socket.cgroup_id, socket.waiting_clients))
    hash(socket.key)


def _check_endpoint(end: Endpoint, family: str) -> None:
    if family in ("inet", "inet6"):
        assert end.port is not None and 0 <= end.port <= 65535, end
        sockets.inet_pton(sockets.AF_INET if family == "inet" else sockets.AF_INET6, end.address)
    elif family == "unix":
        assert (end.address, end.port) == ("", None), end
        assert end.abstract or b"\0" not in (end.path or b""), end
    else:
        assert end.address and end.path is None, end
        assert end.port is None or 0 <= end.port < 1 << 32, end
