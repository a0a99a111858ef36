"""Both queues of a socket: bytes, capacity, fill, mark, and what poll() and send() say about them.

Fills follow the kernel's accounting (kernel-facts.md 1.4), which counts truesize, so a fill need not equal bytes over
capacity. Without a SocketDetail every number comes from the bulk row, with the bulk formula. A table that shows both
kinds of rows asks for `by_window=False`, or a fill jumps when the detail arrives.
"""

from __future__ import annotations

from sockscope.analysis import readiness
from sockscope.analysis.readiness import Mark, Room, Unsent, Verdict
from sockscope.model.detail import Marks, SocketDetail, TcpInfo
from sockscope.model.socket import SHUTDOWN_RECEIVE, SHUTDOWN_SEND, Socket, SocketMemory
from sockscope.model.verdict import AcceptQueue, Queue

_GOT_FIN = frozenset({"CLOSE_WAIT", "LAST_ACK", "CLOSING", "TIME_WAIT"})
_SENT_FIN = frozenset({"FIN_WAIT1", "FIN_WAIT2", "CLOSING", "LAST_ACK", "TIME_WAIT"})
_FIN_IN_FLIGHT = frozenset({"FIN_WAIT1", "CLOSING", "LAST_ACK"})
_STREAMS = frozenset({"tcp", "mptcp"})  # MPTCP's poll() asks sk_stream_is_writeable too (net/mptcp/protocol.c)
_NOT_YET = {
    "SYN_SENT": Verdict(False, "connecting: neither until the handshake ends", would_block=True),
    "SYN_RECV": Verdict(False, "handshake not finished: not yet a socket of anybody"),
}
_GONE = Verdict(None, "closed: the kernel keeps only its addresses for a minute")
_UNTOLD = Verdict(None, "this source does not tell its queue: not known")
_TCP_MARK, _DATAGRAM_MARK, _UNIX_MARK = 2 / 3, 1 / 2, 1 / 4  # of the send buffer: in use, poll() still says yes
_PRESSURE = 7 / 8  # of the receive buffer: from here on any byte is readable, whatever the mark
_DELAYED_ACK_MS = 250  # TCP_DELACK_MAX is 200 ms (include/net/tcp.h)


def receive_queue(
    socket: Socket, peer: Socket | None = None, detail: SocketDetail | None = None, *, by_window: bool = True
) -> Queue:
    """Measure and judge what waits to be read. A unix socket's unread bytes are charged to its `peer`: pass it.

    `queued_bytes` is payload for TCP (an unread FIN not counted) and unix streams, buffer memory for UDP, and the
    first message alone for unix datagrams. With `detail` the mark is the one read, and `by_window` lets the fill count
    the window.
    """
    if socket.is_listener:
        return _listener_queue(socket)
    if socket.protocol == "tcp":
        return _tcp_receive(socket, detail, by_window=by_window)
    if socket.family == "unix":
        return _unix_receive(socket, peer)
    return _datagram_receive(socket)


def send_queue(socket: Socket, peer: Socket | None = None, detail: SocketDetail | None = None) -> Queue:
    """Measure and judge what waits to be sent. `mark_bytes` is how much may be in use for poll() to say writable.

    `queued_bytes` is payload not acknowledged yet for TCP (a FIN not counted), buffer memory for all others. `peer`
    tells a connected unix datagram socket whether its receiver is connected back.
    """
    if socket.is_listener:
        return Queue(None, None, None, None, None, None, False, "a listener is never writable")
    if socket.protocol in _STREAMS:
        return _tcp_send(socket, detail)
    return _message_send(socket, peer)


def accept_queue(socket: Socket) -> AcceptQueue | None:
    """Tell how many connections wait to be accepted; None for no listener, and where its source does not tell."""
    if not socket.is_listener or socket.receive_queued is None or socket.send_queued is None:
        return None
    return AcceptQueue(socket.receive_queued, socket.send_queued)


def receive_fill(socket: Socket, peer: Socket | None = None) -> float | None:
    """Return the bulk fill of the receive side alone: what sorts and filters of 100,000 rows ask for."""
    if socket.is_listener:
        queue = accept_queue(socket)
        return queue.fill if queue is not None else None
    if socket.family == "unix":
        charged = peer.memory if peer is not None else None
        if charged is None or socket.type == "dgram":
            return None
        return _part(charged.send_alloc, charged.send_buffer)
    memory = socket.memory
    if memory is None:
        return None
    if socket.protocol == "tcp":
        return _part(memory.receive_alloc, memory.receive_buffer)
    used = socket.receive_queued if socket.receive_queued is not None else memory.receive_alloc
    return _part(used, memory.receive_buffer)


def send_fill(socket: Socket) -> float | None:
    """Return the bulk fill of the send side alone."""
    memory = socket.memory
    if memory is None or socket.is_listener:
        return None
    return _part(memory.send_queued if socket.protocol in _STREAMS else memory.send_alloc, memory.send_buffer)


def received_end(socket: Socket) -> bool:
    """Whether it will receive no more: RCV_SHUTDOWN, or where that is not told a state after the peer's FIN."""
    return bool(socket.shutdown & SHUTDOWN_RECEIVE) if socket.shutdown is not None else socket.state in _GOT_FIN


def receive_payload(socket: Socket) -> int | None:
    """Return TCP's bytes to read: idiag_rqueue counts an unread FIN as one (kernel-facts.md 1.4, quirks)."""
    queued = socket.receive_queued
    if not queued or socket.is_listener:
        return queued
    return queued - 1 if socket.protocol == "tcp" and socket.state in _GOT_FIN else queued


def send_payload(socket: Socket) -> int | None:
    """Return TCP's bytes not acknowledged: idiag_wqueue counts a SYN and a FIN as one each.

    MPTCP's idiag_wqueue stays 0 with megabytes queued (seen on 6.18), so there it is buffer memory.
    """
    queued = socket.send_queued
    if socket.protocol == "mptcp" and socket.memory is not None:
        return socket.memory.send_queued
    if not queued or socket.is_listener or socket.protocol != "tcp":
        return queued
    return queued - 1 if socket.state == "SYN_SENT" or socket.state in _FIN_IN_FLIGHT else queued


def _listener_queue(socket: Socket) -> Queue:
    length = socket.receive_queued
    verdict = readiness.listener_readable(length) if length is not None else _UNTOLD
    return Queue(None, None, receive_fill(socket), None, None, None, verdict.ready, verdict.reason)


def _tcp_receive(socket: Socket, detail: SocketDetail | None, *, by_window: bool) -> Queue:
    payload, memory = receive_payload(socket), socket.memory
    marks = detail.marks.value if detail is not None and detail.marks is not None else None
    info = detail.tcp.value if detail is not None and detail.tcp is not None else None
    mark, room = _mark(marks), _room(memory, info)
    ended = received_end(socket)
    if socket.state == "TIME_WAIT":
        verdict = _GONE
    elif socket.state in _NOT_YET:
        verdict = _NOT_YET[socket.state]
    elif payload is None:
        verdict = _UNTOLD
    elif ended:
        verdict = readiness.end_of_file(payload)
    elif socket.state == "CLOSE":
        verdict = Verdict(False, "not connected: not readable")
    else:
        verdict = readiness.tcp_readable(payload, mark, room)
    fill = receive_fill(socket)
    if by_window and info is not None and info.rcv_wnd is not None and payload:
        fill = max(fill or 0.0, payload / (payload + info.rcv_wnd))
    return Queue(
        payload, memory.receive_buffer if memory is not None else None, fill, mark.bytes, mark.source,
        _receive_mark_fraction(mark.bytes, payload, fill, memory), verdict.ready, verdict.reason, eof=ended,
    )


def _receive_mark_fraction(
    mark: int, payload: int | None, fill: float | None, memory: SocketMemory | None
) -> float | None:
    """Place SO_RCVLOWAT, which counts payload, on a bar of buffer memory, so that the bar passes it as the bytes do.

    What is queued tells how much memory a byte costs now; in an empty queue a byte is taken to cost two, as the kernel
    does for a new socket (TCP_DEFAULT_SCALING_RATIO). Past 7/8 any byte is readable, so the mark ends there.
    """
    if mark <= 1:
        return 0.0
    if payload and fill:
        return min(_PRESSURE, mark * fill / payload)
    if memory is None or memory.receive_buffer <= 0:
        return None
    return min(_PRESSURE, 2 * mark / memory.receive_buffer)


def _tcp_send(socket: Socket, detail: SocketDetail | None) -> Queue:
    memory, queued = socket.memory, send_payload(socket)
    info = detail.tcp.value if detail is not None and detail.tcp is not None else None
    marks = detail.marks.value if detail is not None and detail.marks is not None else None
    unsent = _unsent(socket, marks, info)
    if socket.state == "TIME_WAIT":
        verdict = _GONE
    elif socket.state in _NOT_YET:
        verdict = _NOT_YET[socket.state]
    elif _sent_end(socket):
        verdict = readiness.nothing_to_send()
    elif socket.state == "CLOSE":
        verdict = Verdict(True, "not connected: poll says writable, send() fails", would_block=False)
    elif memory is not None:
        verdict = readiness.tcp_writable(memory.send_queued, memory.send_buffer, unsent)
    else:
        verdict = _empty_send(queued)
    if memory is None:
        return _queue_without_memory(queued, verdict)
    fill = _part(memory.send_queued, memory.send_buffer)
    mark, source, fraction = memory.send_buffer * 2 // 3, "kernel", _TCP_MARK
    if 0 < unsent.lowat < readiness.UNLIMITED and unsent.lowat // 2 < mark:
        mark, source = unsent.lowat // 2, "read"
        fraction = _unsent_fraction(unsent, fill, queued, memory)
    return Queue(
        queued, memory.send_buffer, fill, mark, source, fraction, verdict.ready, verdict.reason, verdict.would_block,
    )


def _unsent_fraction(unsent: Unsent, fill: float | None, queued: int | None, memory: SocketMemory) -> float:
    """Place half of TCP_NOTSENT_LOWAT on a bar that shows what is in flight first and then what is not sent."""
    half = unsent.lowat // 2
    if queued and fill:
        return min(_TCP_MARK, (max(0, queued - unsent.most) + half) * fill / queued)
    return min(_TCP_MARK, half / memory.send_buffer) if memory.send_buffer > 0 else _TCP_MARK


def _datagram_receive(socket: Socket) -> Queue:
    queued, memory = socket.receive_queued, socket.memory
    ended = received_end(socket)
    if queued is None:
        verdict = _UNTOLD
    elif ended:
        verdict = readiness.end_of_file(queued)
    elif socket.family == "packet":
        verdict = readiness.packet_readable(queued)
    else:
        verdict = readiness.datagram_readable(queued)
    capacity = memory.receive_buffer if memory is not None else None
    return Queue(queued, capacity, receive_fill(socket), 1, "kernel", 0.0, verdict.ready, verdict.reason, eof=ended)


def _unix_receive(socket: Socket, peer: Socket | None) -> Queue:
    queued, charged = socket.receive_queued, peer.memory if peer is not None else None
    ended = bool((socket.shutdown or 0) & SHUTDOWN_RECEIVE)
    if queued is None:
        verdict = _UNTOLD
    elif ended:
        verdict = readiness.end_of_file(queued)
    elif socket.type == "stream":
        verdict = readiness.unix_stream_readable(queued)
    else:
        is_sender = peer is not None and peer.inode == socket.peer_inode  # unix_may_send: it hears nobody else
        charge = charged.send_alloc if charged is not None and is_sender else None
        verdict = readiness.unix_message_readable(queued, charge, is_only_receiver=socket.type == "seqpacket")
    capacity = charged.send_buffer if charged is not None and socket.type != "dgram" else None
    fill = receive_fill(socket, peer)
    return Queue(queued, capacity, fill, 1, "kernel", 0.0, verdict.ready, verdict.reason, eof=ended)


def _message_send(socket: Socket, peer: Socket | None) -> Queue:
    """Everything but streams of the internet: sock_writeable's half for datagrams, unix_writable's quarter for unix."""
    memory, queued = socket.memory, socket.send_queued
    is_unix = socket.family == "unix"
    if memory is None:
        return _queue_without_memory(queued, _empty_send(queued))
    judge = readiness.unix_writable if is_unix else readiness.datagram_writable
    verdict = judge(memory.send_alloc, memory.send_buffer)
    if is_unix and socket.type != "stream" and socket.peer_inode:
        verdict = readiness.unix_message_writable(verdict, peer_takes=_is_mutual(socket, peer) or None)
    if verdict.ready and (socket.shutdown or 0) & SHUTDOWN_SEND:
        verdict = readiness.nothing_to_send()
    fraction = _UNIX_MARK if is_unix else _DATAGRAM_MARK
    return Queue(
        queued, memory.send_buffer, send_fill(socket), int(memory.send_buffer * fraction), "kernel", fraction,
        verdict.ready, verdict.reason, verdict.would_block,
    )


def _queue_without_memory(queued: int | None, verdict: Verdict) -> Queue:
    return Queue(queued, None, None, None, None, None, verdict.ready, verdict.reason, verdict.would_block)


def _empty_send(queued: int | None) -> Verdict:
    """Judge without the buffer's size: an empty send queue is writable whatever the size (SOCK_MIN_SNDBUF is 4,608)."""
    if queued == 0:
        return Verdict(True, "nothing queued: writable", would_block=False)
    return Verdict(None, "this source does not tell the buffer's size: not known")


def _is_mutual(socket: Socket, peer: Socket | None) -> bool:
    return peer is not None and peer.inode == socket.peer_inode and peer.peer_inode == socket.inode


def _sent_end(socket: Socket) -> bool:
    return bool(socket.shutdown & SHUTDOWN_SEND) if socket.shutdown is not None else socket.state in _SENT_FIN


def _mark(marks: Marks | None) -> Mark:
    if marks is None:
        return Mark()
    urgent: bool | None = False
    if marks.urgent_mark and not marks.urgent_inline:
        urgent = True if marks.urgent_inline is False else None
    return Mark(max(1, marks.receive_lowat), "read", urgent)


def _room(memory: SocketMemory | None, info: TcpInfo | None) -> Room:
    alloc, buffer = (memory.receive_alloc, memory.receive_buffer) if memory is not None else (None, None)
    if info is None:
        return Room(alloc, buffer)
    return Room(alloc, buffer, info.rcv_wnd, info.rcv_mss, info.last_data_recv_ms >= _DELAYED_ACK_MS)


def _unsent(socket: Socket, marks: Marks | None, info: TcpInfo | None) -> Unsent:
    """Bound what is not sent: exactly by tcp_info, else by all that is not acknowledged."""
    if marks is None or not marks.notsent_lowat:
        return Unsent()
    lowat = marks.notsent_lowat & readiness.UNLIMITED
    if info is not None and info.notsent_bytes is not None:
        return Unsent(lowat, info.notsent_bytes, info.notsent_bytes)
    queued = socket.send_queued
    return Unsent(lowat, 0, queued if queued is not None else readiness.UNLIMITED)


def _part(used: int, whole: int) -> float | None:
    return used / whole if whole > 0 else None
