"""The verdicts worked out from tables equal what poll() and send() say, over thousands of random socket states."""

from __future__ import annotations

import contextlib
import os
import random
import select
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from live.own_rows import OwnRows, detail_of, marks_of

from sockscope.analysis.queues import receive_queue, send_queue
from sockscope.collect.live import LiveSource
from sockscope.model.snapshot import Scope
from sockscope.model.socket import Socket
from sockscope.model.verdict import Queue

SEED = 20_261_124
SIZES = (1, 30, 500, 1000, 4000, 20_000, 65_536, 300_000)
BUFFERS = (None, None, 2304, 10_000, 60_000, 1_000_000)
LOWATS = (None, None, 2, 100, 5000, 50_000, 1 << 30)
NOTSENTS = (None, None, None, 1, 4096, 16_384, 131_072)
NO_LINGER = struct.pack("ii", 1, 0)
ATTEMPTS = 20
MPTCP = 262


class Tally:
    """Counts states and answers; each unknown and each disagreement by its class."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    def compare(self, kind: str, queue: Queue, polled: bool, state: str) -> None:
        if queue.ready is None:
            self.counts[f"{kind}: not known ({'poll yes' if polled else 'poll no'}): {queue.reason.rpartition(',')[2]}"] += 1
        elif queue.ready == polled:
            self.counts[f"{kind}: agreed"] += 1
        else:
            self.wrong.append(f"{kind}: poll {polled}, {queue.reason!r}; {state}")

    def report(self, title: str) -> None:
        print(f"\n{title}")
        for kind, count in sorted(self.counts.items()):
            print(f"  {count:6} {kind}")
        for line in self.wrong[:10]:
            print("  WRONG", line)


@pytest.fixture
def rows() -> Iterator[OwnRows]:
    own = OwnRows()
    yield own
    own.close()


def polled(one: socket.socket) -> int:
    poller = select.poll()
    poller.register(one, select.POLLIN | select.POLLOUT)
    return dict(poller.poll(0)).get(one.fileno(), 0)


def check(rows: OwnRows, one: socket.socket, tally: Tally, kind: str, other: socket.socket | None = None) -> Queue | None:
    """Compare one socket; the row must be the same before and after poll(), or a packet came in between."""
    for _ in range(ATTEMPTS):
        before = rows.row(one)
        peer = rows.row(other) if other is not None else None
        marks = marks_of(one)
        events = polled(one)
        if before is None or rows.row(one) != before:
            continue
        if other is not None and rows.row(other) != peer:
            continue
        row, info = before
        detail = detail_of(row, info, marks)
        peer_row = peer[0] if peer is not None and row.peer_inode else None
        state = f"{row}, {marks}, {info}" if kind.startswith("tcp") else f"{row}"
        receiving, sending = receive_queue(row, peer_row, detail), send_queue(row, peer_row, detail)
        tally.compare(f"{kind} readable", receiving, bool(events & select.POLLIN), state)
        tally.compare(f"{kind} writable", sending, bool(events & select.POLLOUT), state)
        tally.counts["states"] += 1
        return sending
    tally.counts[f"{kind}: no row" if rows.row(one) is None else f"{kind}: never still"] += 1
    return None


def quietly(action: Callable[[], object]) -> bool:
    """Do it; whether the kernel refused is part of the game."""
    try:
        action()
    except OSError:
        return False
    return True


def tcp_pair(dice: random.Random) -> tuple[socket.socket, socket.socket]:
    family, host = dice.choice(((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")))
    with socket.socket(family) as listener:
        set_buffers(listener, dice)
        listener.bind((host, 0))
        listener.listen(1)
        client = socket.socket(family)
        set_buffers(client, dice)
        client.connect(listener.getsockname())
        server, _ = listener.accept()
    for one in (client, server):
        one.setblocking(False)
        set_option(one, socket.SOL_SOCKET, socket.SO_RCVLOWAT, dice.choice(LOWATS))
        set_option(one, socket.IPPROTO_TCP, 25, dice.choice(NOTSENTS))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, dice.random() < 0.2)
    return client, server


def set_buffers(one: socket.socket, dice: random.Random) -> None:
    set_option(one, socket.SOL_SOCKET, socket.SO_RCVBUF, dice.choice(BUFFERS))
    set_option(one, socket.SOL_SOCKET, socket.SO_SNDBUF, dice.choice(BUFFERS))


def set_option(one: socket.socket, level: int, name: int, value: int | None) -> None:
    if value is not None:
        one.setsockopt(level, name, value)


def act(one: socket.socket, dice: random.Random) -> None:
    """Something a program may do with a connection."""
    size = dice.choice(SIZES)
    throw = dice.random()
    if throw < 0.5:
        quietly(lambda: one.send(bytes(size)))
    elif throw < 0.85:
        quietly(lambda: one.recv(size))
    elif throw < 0.88:
        quietly(lambda: one.send(b"!", socket.MSG_OOB))
    elif throw < 0.90:
        quietly(lambda: one.recv(1, socket.MSG_OOB))
    elif throw < 0.93:
        quietly(lambda: one.shutdown(dice.choice((socket.SHUT_RD, socket.SHUT_WR))))
    elif one.family != socket.AF_UNIX:
        set_option(one, socket.SOL_SOCKET, socket.SO_RCVLOWAT, dice.choice(LOWATS))


def try_send(one: socket.socket, judged: Queue | None, tally: Tally, kind: str) -> None:
    """Whether send() of one byte blocks where that was said. EPIPE and its like are no blocking."""
    if judged is None or judged.would_block is None:
        return
    try:
        one.send(b"x")
    except BlockingIOError:
        blocks = True
    except OSError:
        return
    else:
        blocks = False
    said = "blocks" if judged.would_block else "takes"
    tally.counts[f"{kind} send(): said {said}, {'blocked' if blocks else 'took'}"] += 1


def test_tcp(rows: OwnRows):
    """Marks set and unset, buffers small and large, urgent bytes, half closed, full: every known verdict is poll()'s."""
    dice, tally = random.Random(SEED), Tally()
    while tally.counts["states"] < 4000:
        client, server = tcp_pair(dice)
        with client, server:
            for _ in range(dice.randrange(4, 30)):
                act(dice.choice((client, server)), dice)
                for one in (client, server):
                    judged = check(rows, one, tally, "tcp")
                    if dice.random() < 0.3:
                        try_send(one, judged, tally, "tcp")
    tally.report("TCP")
    assert tally.wrong == []
    assert tally.counts["tcp send(): said takes, blocked"] == 0  # the reverse happens: the last segment may have room
    assert unknown(tally) < 0.06 * tally.counts["states"]  # all of one class: tcpi_rcv_wnd is the window last advertised


def unknown(tally: Tally) -> int:
    return sum(count for kind, count in tally.counts.items() if "not known" in kind)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM])
def test_unix(rows: OwnRows, kind: socket.SocketKind):
    """Connected pairs: empty messages, full, half closed. A pair's receivers are always known, a datagram's but once."""
    dice, tally = random.Random(SEED + kind), Tally()
    while tally.counts["states"] < 1500:
        one, other = socket.socketpair(socket.AF_UNIX, kind)
        with one, other:
            for end in (one, other):
                end.setblocking(False)
                set_option(end, socket.SOL_SOCKET, socket.SO_SNDBUF, dice.choice(BUFFERS))
                set_option(end, socket.SOL_SOCKET, socket.SO_RCVLOWAT, dice.choice(LOWATS))
            for _ in range(dice.randrange(4, 30)):
                act_unix(dice.choice((one, other)), dice)
                for end, far in ((one, other), (other, one)):
                    judged = check(rows, end, tally, f"unix {kind.name}", far)
                    if dice.random() < 0.3:
                        try_send(end, judged, tally, f"unix {kind.name}")
    tally.report(f"unix {kind.name}")
    assert tally.wrong == []
    assert kind == socket.SOCK_DGRAM or unknown(tally) == 0


def act_unix(one: socket.socket, dice: random.Random) -> None:
    size = dice.choice((0, *SIZES[:6]))
    throw = dice.random()
    if throw < 0.6:
        quietly(lambda: one.send(bytes(size)))
    elif throw < 0.95:
        quietly(lambda: one.recv(size or 1))
    else:
        quietly(lambda: one.shutdown(dice.choice((socket.SHUT_RD, socket.SHUT_WR))))


def test_unix_datagram_server(rows: OwnRows):
    """Many senders to one receiver: its count of messages is told nowhere, so a full queue must stay unknown."""
    dice, tally = random.Random(SEED), Tally()
    while tally.counts["states"] < 1500:
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            server.bind(f"\0verdicts-{dice.random()}")
            senders = [stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) for _ in range(3)]
            for sender in senders:
                sender.connect(server.getsockname())
            for one in (server, *senders):
                one.setblocking(False)
            for _ in range(30):
                act_unix(dice.choice((server, *senders)), dice)
                check(rows, server, tally, "unix server")
                check(rows, dice.choice(senders), tally, "unix client", server)
    tally.report("unix datagram server")
    assert tally.wrong == []


def test_udp(rows: OwnRows):
    """Empty datagrams, small buffers, corked senders, shutdown."""
    dice, tally = random.Random(SEED), Tally()
    while tally.counts["states"] < 1500:
        family, host = dice.choice(((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")))
        with socket.socket(family, socket.SOCK_DGRAM) as one, socket.socket(family, socket.SOCK_DGRAM) as other:
            for end in (one, other):
                end.setblocking(False)
                end.bind((host, 0))
                set_buffers(end, dice)
                set_option(end, socket.SOL_SOCKET, socket.SO_RCVLOWAT, dice.choice(LOWATS))
            one.connect(other.getsockname())
            other.connect(one.getsockname())
            for _ in range(dice.randrange(4, 30)):
                act_udp(dice.choice((one, other)), dice)
                for end in (one, other):
                    judged = check(rows, end, tally, "udp")
                    if dice.random() < 0.2:
                        try_send(end, judged, tally, "udp")
    tally.report("UDP")
    assert tally.wrong == []
    assert unknown(tally) == 0


def act_udp(one: socket.socket, dice: random.Random) -> None:
    size = dice.choice((0, *SIZES[:6]))
    throw = dice.random()
    if throw < 0.45:
        quietly(lambda: one.send(bytes(size)))
    elif throw < 0.6:
        quietly(lambda: one.send(bytes(size), socket.MSG_MORE))  # corked: it stays charged to the sender
    elif throw < 0.95:
        quietly(lambda: one.recv(65_536))
    else:
        quietly(lambda: one.shutdown(dice.choice((socket.SHUT_RD, socket.SHUT_WR))))


def test_tcp_ends_and_listeners(rows: OwnRows):
    """Listeners empty and with one waiting, a connecting socket, a bound one, end of file with and without data."""
    tally = Tally()
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        check(rows, listener, tally, "tcp listener")
        client = stack.enter_context(socket.create_connection(listener.getsockname()))
        check(rows, listener, tally, "tcp listener")
        connecting = stack.enter_context(socket.socket())
        connecting.setblocking(False)
        connecting.connect_ex(listener.getsockname())  # the queue is full: it stays SYN_SENT
        rows.connecting[connecting] = listener.getsockname()
        check(rows, connecting, tally, "tcp connecting")
        client.send(b"last words")
        client.shutdown(socket.SHUT_WR)
        server = stack.enter_context(listener.accept()[0])
        check(rows, server, tally, "tcp end")
        queue = receive_queue(rows.row(server)[0])  # type: ignore[index]
        assert (queue.queued_bytes, queue.eof, queue.ready) == (10, True, True)
        server.recv(100)
        queue = receive_queue(rows.row(server)[0])  # type: ignore[index]
        assert (queue.queued_bytes, queue.eof, queue.ready) == (0, True, True)
        check(rows, server, tally, "tcp end")
        check(rows, client, tally, "tcp end")
    tally.report("TCP listeners and ends")
    assert tally.wrong == [] and unknown(tally) == 0
    assert tally.counts["states"] == 6


def test_udp_error_queue_is_the_named_exception(rows: OwnRows):
    """An ICMP error kept for IP_RECVERR is charged like a datagram: the table says readable, poll() says POLLERR only."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        one.bind(("127.0.0.1", 0))
        one.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
        one.connect(gone.getsockname())
        gone.close()
        one.send(b"x")
        events = polled(one)
        queue = receive_queue(rows.row(one)[0])  # type: ignore[index]
        assert events & select.POLLERR and not events & select.POLLIN
        assert queue.ready is True and "error-queue entry" in queue.reason


def test_a_reset_socket_has_no_row(rows: OwnRows):
    """Nothing can be said of it from the tables, so nothing is."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        client.connect(listener.getsockname())
        server, _ = listener.accept()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        cookie_known = rows.row(client)
        server.close()
        assert polled(client) & select.POLLHUP
        assert cookie_known is not None
        with contextlib.suppress(OSError):
            assert rows.row(client) is None


def test_mptcp():
    """Readable by what is queued, writable by the stream rule; its rows come from the bulk dump."""
    try:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, MPTCP)
    except OSError:
        pytest.skip("this kernel has no MPTCP")
    dice, tally, source = random.Random(SEED), Tally(), LiveSource()
    with contextlib.ExitStack() as stack:
        stack.callback(source.close)
        stack.enter_context(listener)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM, MPTCP))
        client.connect(listener.getsockname())
        ends = (client, stack.enter_context(listener.accept()[0]))
        for end in ends:
            end.setblocking(False)
        while tally.counts["states"] < 100:
            end, size = dice.choice(ends), dice.choice(SIZES)
            with contextlib.suppress(OSError):
                _ = end.send(bytes(300_000)) if dice.random() < 0.7 else end.recv(size)
            for end in ends:
                before, events, after = mptcp_row(source, end), polled(end), mptcp_row(source, end)
                if before == after:
                    tally.compare("mptcp readable", receive_queue(before), bool(events & select.POLLIN), str(before))
                    tally.compare("mptcp writable", send_queue(before), bool(events & select.POLLOUT), str(before))
                    tally.counts["states"] += 1
    tally.report("MPTCP")
    assert tally.wrong == []


def mptcp_row(source: LiveSource, one: socket.socket) -> Socket:
    inode = os.fstat(one.fileno()).st_ino
    rows = source.snapshot(Scope(protocols=frozenset({"tcp", "mptcp"}))).sockets.values()
    return next(row for row in rows if row.inode == inode)
