"""Rows become the Socket that made them, recorded ones included, and whatever else comes raises MalformedError only."""

from __future__ import annotations

import socket
import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from kernel.netlink_bytes import RECORDED, attribute, inet_row, message

from sockscope.kernel.inet_rows import TCP_STATES, InetRows
from sockscope.kernel.malformed import MalformedError
from sockscope.kernel.unix_rows import NetlinkRows, PacketRows, UnixRows
from sockscope.model.socket import Endpoint, Socket, Timer

DECODERS = (InetRows(1, "tcp"), InetRows(1, "udp"), UnixRows(1), PacketRows(1), NetlinkRows(1))
NUMBERS = st.integers(0, 2**32 - 1)
PORTS = st.integers(0, 65535)


def tcp(name: str) -> Socket:
    return InetRows(1, "tcp").decode(RECORDED[name], 0, len(RECORDED[name]))


def test_recorded_listeners() -> None:
    six, four = tcp("listener6"), tcp("listener4")
    assert (six.state, six.family, six.local.address, six.v6only, six.send_queued) == (
        "LISTEN", "inet6", "::1", True, 128,
    )
    assert (four.state, four.remote, four.receive_queued, four.send_queued, four.v6only) == ("LISTEN", None, 1, 0, None)
    assert four.memory is not None
    assert four.memory.drops == 2


def test_recorded_bound_only_socket() -> None:
    one = tcp("bound_only")
    assert (one.state, one.remote, one.local.address) == ("CLOSE", None, "127.0.0.1")
    assert one.inode


def test_recorded_timers() -> None:
    assert tcp("syn_sent").timer == Timer("retransmit", 0)
    assert tcp("keepalive").timer == Timer("keepalive", 0)
    row = RECORDED["keepalive"]
    timer = InetRows(1, "tcp").decode(row, 0, len(row), expires=True).timer
    assert timer is not None
    assert timer.expires_s is not None
    assert 7190 < timer.expires_s <= 7200  # net.ipv4.tcp_keepalive_time


def test_recorded_rows_without_a_file() -> None:
    """TIME_WAIT has no memory: unknown, not zero. An unaccepted connection has its data, inode 0 and no user."""
    ended, waiting = tcp("time_wait6"), tcp("not_accepted")
    assert (ended.state, ended.memory, ended.shutdown, ended.uid, ended.inode) == ("TIME_WAIT", None, None, None, 0)
    assert (waiting.state, waiting.inode, waiting.uid) == ("ESTABLISHED", 0, None)
    assert waiting.memory is not None


def test_recorded_others() -> None:
    row = RECORDED["unix"]
    assert UnixRows(1).decode(row, 0, len(row)).local == Endpoint(path=b"sockscope\x1b[31m", abstract=True)
    row = RECORDED["netlink"]
    assert NetlinkRows(1).decode(row, 0, len(row)).local.address == "sock_diag"
    row = RECORDED["packet"]
    assert PacketRows(1).decode(row, 0, len(row)).local.address == "all"


@given(
    st.booleans(), st.integers(1, 12), st.integers(0, 4), PORTS, PORTS, NUMBERS, NUMBERS, NUMBERS,
    st.integers(0, 2**64 - 1), st.lists(NUMBERS, min_size=9, max_size=9), st.integers(0, 3),
    st.lists(st.tuples(st.integers(12, 60), st.binary(max_size=40)), max_size=4), st.randoms(),
)
def test_round_trip(six: Any, state: Any, timer: Any, sport: Any, dport: Any, receive: Any, send: Any, inode: Any, cookie: Any, memory: Any, shutdown: Any, unknown: Any, order: Any) -> None:  # noqa: PLR0917
    """Any values, in any order of attributes, known and unknown ones, come back."""
    source = "2001:db8::1" if six else "192.0.2.1"
    parts = [attribute(7, struct.pack("=9I", *memory)), attribute(8, bytes([shutdown]))]
    parts += [attribute(kind if kind != 21 else 61, payload) for kind, payload in unknown]
    order.shuffle(parts)
    row = inet_row(
        cookie, family=10 if six else 2, state=state, timer=timer, sport=sport, dport=dport, source=source,
        target=source, receive=receive, send=send, inode=inode, attributes=b"".join(parts),
    )
    one = DECODERS[0].decode(row, 0, len(row))
    assert (one.cookie, one.state, one.receive_queued, one.send_queued, one.inode) == (
        cookie, TCP_STATES[state], receive, send, inode,
    )
    assert one.local == Endpoint(source, sport)
    assert one.remote == (None if state == 10 else Endpoint(source, dport))
    assert one.shutdown == shutdown
    assert one.memory is not None
    assert [one.memory.receive_alloc, one.memory.drops] == [memory[0], memory[8]]
    assert (one.timer is None) == (timer == 0)


@given(st.binary(max_size=300))
def test_garbage_raises_nothing_else(row: bytes) -> None:
    for decoder in DECODERS:
        try:
            decoder.decode(row, 0, len(row))
        except MalformedError:
            continue


@given(st.sampled_from(sorted(RECORDED)), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=5),
       st.integers(0, 200))
def test_damaged_rows_raise_nothing_else(name: str, changes: Any, cut: Any) -> None:
    row = bytearray(RECORDED[name])
    for at, value in changes:
        row[at % len(row)] = value
    for end in (len(row), max(len(row) - cut, 0)):
        for decoder in DECODERS:
            try:
                decoder.decode(row, 0, end)
            except MalformedError:
                continue


@given(st.sampled_from([1, 2, 5]), st.sampled_from([1, 7, 10]), NUMBERS, st.binary(min_size=1, max_size=107), NUMBERS,
       st.one_of(st.none(), NUMBERS), st.lists(NUMBERS, max_size=5))
def test_unix_round_trip(kind: Any, state: Any, inode: Any, name: bytes, receive: Any, peer: Any, waiting: Any) -> None:  # noqa: PLR0917
    parts = attribute(0, name) + attribute(4, struct.pack("=II", receive, 3)) + attribute(6, b"\3")
    if peer is not None:
        parts += attribute(2, struct.pack("=I", peer))
    if waiting:
        parts += attribute(3, struct.pack(f"={len(waiting)}I", *waiting))
    row = message(20, struct.pack("=4BIQ", socket.AF_UNIX, kind, state, 0, inode, 77) + parts)
    one = UnixRows(1).decode(row, 0, len(row))
    assert (one.cookie, one.inode, one.receive_queued, one.send_queued, one.shutdown) == (77, inode, receive, 3, 3)
    assert one.peer_inode == (peer or 0)
    assert list(one.waiting_clients or ()) == waiting
    if name[:1] == b"\0":
        assert one.local == Endpoint(path=name[1:], abstract=True)
    else:
        assert one.local == Endpoint(path=name.split(b"\0", maxsplit=1)[0])


def test_equal_parts_are_shared() -> None:
    """A hundred thousand idle sockets must not hold a hundred thousand equal memories."""
    decoder = InetRows(1, "tcp")
    rows = [inet_row(cookie) for cookie in range(2)]
    one, other = (decoder.decode(row, 0, len(row)) for row in rows)
    assert one.memory is other.memory
    assert one.local is other.local
