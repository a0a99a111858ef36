"""The fill formulas of kernel-facts.md 1.4 and the marks' places, case by case."""

from __future__ import annotations

import pytest
from builders import make_memory, make_socket
from scripted import make_unix, tcp_detail

from sockscope.analysis.queues import accept_queue, receive_fill, receive_queue, send_fill, send_queue
from sockscope.model.detail import Marks, Read, SocketDetail
from sockscope.model.socket import Socket

LOCAL, FAR = "192.0.2.1:80", "198.51.100.7:40000"


def tcp(**values: object) -> Socket:
    return make_socket(LOCAL, FAR, **values)


def marked(socket: Socket, receive_lowat: int = 1, notsent_lowat: int | None = None) -> SocketDetail:
    return SocketDetail(socket.key, marks=Read(Marks(receive_lowat, notsent_lowat), 0.0))


def test_bulk_fill_is_the_buffers_own_accounting() -> None:
    socket = tcp(receive_queued=30_000, memory=make_memory(receive_alloc=65_536))
    assert receive_queue(socket).fill == receive_fill(socket) == 0.5
    assert receive_queue(socket).capacity_bytes == 131_072


def test_a_window_limited_buffer_is_full_by_its_window_once_that_is_read() -> None:
    """SO_RCVBUF 3000: the window closed at 64% of the memory."""
    socket = tcp(receive_queued=3_000, memory=make_memory(receive_alloc=3_840, receive_buffer=6_000))
    assert receive_queue(socket).fill == 0.64
    detail = tcp_detail(socket, 0.0, rcv_wnd=0)
    assert receive_queue(socket, detail=detail).fill == 1.0
    assert receive_queue(socket, detail=detail, by_window=False).fill == 0.64  # a table's rows do not jump


@pytest.mark.parametrize(("state", "queued", "payload"), [
    ("CLOSE_WAIT", 1, 0), ("CLOSE_WAIT", 0, 0), ("CLOSE_WAIT", 101, 100), ("ESTABLISHED", 1, 1),
])
def test_an_unread_fin_is_no_payload(state: str, queued: int, payload: int) -> None:
    queue = receive_queue(tcp(state=state, receive_queued=queued, shutdown=1 if state == "CLOSE_WAIT" else 0))
    assert queue.queued_bytes == payload
    assert queue.eof is (state == "CLOSE_WAIT")
    assert queue.ready is True


@pytest.mark.parametrize(("state", "queued", "payload"), [("SYN_SENT", 1, 0), ("FIN_WAIT1", 8, 7), ("ESTABLISHED", 8, 8)])
def test_syn_and_fin_are_no_bytes_to_send(state: str, queued: int, payload: int) -> None:
    assert send_queue(tcp(state=state, send_queued=queued)).queued_bytes == payload


def test_the_sentences_of_the_issue() -> None:
    socket = tcp(receive_queued=10_000, memory=make_memory(receive_alloc=20_000))
    queue = receive_queue(socket, detail=marked(socket, receive_lowat=50_000))
    assert (queue.ready, queue.reason) == (False, "10,000 B queued, mark 50,000 B: not readable")
    assert (queue.mark_bytes, queue.mark_source) == (50_000, "read")
    queue = send_queue(tcp(memory=make_memory(send_buffer=100_000, send_queued=69_000)))
    assert queue.reason == "free 31% of send buffer, poll needs 33%: poll says no, send() would still take data"
    assert (queue.ready, queue.would_block) == (False, False)


def test_an_unread_mark_is_the_default_and_says_so() -> None:
    queue = receive_queue(tcp(receive_queued=5))
    assert (queue.ready, queue.mark_bytes, queue.mark_source, queue.mark_fraction) == (True, 1, "default", 0.0)
    assert queue.reason == "5 B queued, mark 1 B (default): readable"


def test_the_mark_is_passed_on_the_bar_exactly_when_its_bytes_are_there() -> None:
    for queued in (10_000, 50_000):
        socket = tcp(receive_queued=queued, memory=make_memory(receive_alloc=queued + 2_000))
        queue = receive_queue(socket, detail=marked(socket, receive_lowat=30_000))
        assert queue.fill is not None and queue.mark_fraction is not None
        assert (queue.fill >= queue.mark_fraction) is (queued >= 30_000)


@pytest.mark.parametrize(("used", "ready", "blocks"), [
    (0, True, False), (66_666, True, False), (66_700, False, False), (99_999, False, False), (120_000, False, True),
])
def test_tcp_writable_ends_at_two_thirds(used: int, ready: bool, blocks: bool) -> None:
    queue = send_queue(tcp(memory=make_memory(send_buffer=100_000, send_queued=used)))
    assert (queue.ready, queue.would_block, queue.mark_source) == (ready, blocks, "kernel")
    assert queue.mark_fraction == pytest.approx(2 / 3)


def test_notsent_lowat_is_polls_at_half_and_sends_at_whole() -> None:
    socket = tcp(send_queued=9_000, memory=make_memory(send_queued=12_000))
    def judged(unsent: int) -> tuple[bool | None, bool | None]:
        detail = SocketDetail(
            socket.key, tcp=tcp_detail(socket, 0.0, notsent_bytes=unsent).tcp,
            marks=marked(socket, notsent_lowat=8_192).marks,
        )
        queue = send_queue(socket, detail=detail)
        assert (queue.mark_bytes, queue.mark_source) == (4_096, "read")
        return queue.ready, queue.would_block

    assert [judged(unsent) for unsent in (4_095, 4_096, 8_191, 8_192)] == [
        (True, False), (False, False), (False, False), (False, True),
    ]


def test_notsent_lowat_without_tcp_info_stays_unknown_only_between_its_bounds() -> None:
    def judged(queued: int) -> bool | None:
        socket = tcp(send_queued=queued, memory=make_memory(send_queued=queued))
        return send_queue(socket, detail=marked(socket, notsent_lowat=8_192)).ready

    assert judged(1_000) is True
    assert judged(9_000) is None


def test_unsigned_all_ones_is_no_mark() -> None:
    socket = tcp(send_queued=9_000, memory=make_memory(send_queued=9_000))
    assert send_queue(socket, detail=marked(socket, notsent_lowat=-1)).mark_source == "kernel"


def test_a_unix_streams_unread_bytes_are_its_peers_charge() -> None:
    near = make_unix(receive_queued=93_000, peer_inode=7)
    far = make_unix(inode=7, peer_inode=near.inode, memory=make_memory(send_alloc=106_496, send_buffer=212_992))
    assert receive_queue(near).fill is None
    assert receive_queue(near, far).fill == 0.5
    assert send_queue(far).fill == send_fill(far) == 0.5
    assert (send_queue(far).ready, send_queue(far).mark_fraction) == (False, 0.25)


def test_what_a_source_does_not_tell_is_unknown() -> None:
    socket = tcp(memory=None, receive_queued=None, send_queued=5)
    assert receive_queue(socket).ready is None and send_queue(socket).ready is None
    assert send_queue(tcp(memory=None, send_queued=0)).ready is True  # empty is writable whatever the size
    assert receive_queue(tcp(state="TIME_WAIT", memory=None)).ready is None


def test_accept_queue_is_full_one_past_its_backlog() -> None:
    queue = accept_queue(make_socket(receive_queued=3, send_queued=2))
    assert queue is not None and queue.is_full and queue.fill == 1.0
    assert receive_queue(make_socket(receive_queued=3, send_queued=2)).reason == "3 connections wait to be accepted: readable"
    assert send_queue(make_socket()).ready is False
    assert accept_queue(tcp()) is None and accept_queue(make_socket(send_queued=None)) is None


def test_udp_counts_what_the_kernel_counts() -> None:
    memory = make_memory(receive_alloc=3_136, receive_buffer=4_608, send_alloc=2_304, send_buffer=4_608)
    socket = make_socket(LOCAL, FAR, protocol="udp", type="dgram", receive_queued=2_304, memory=memory)
    assert receive_queue(socket).fill == 0.5  # rq, not rmem: that lags after reads
    assert (send_queue(socket).ready, send_queue(socket).mark_fraction) == (False, 0.5)


def test_an_urgent_byte_at_the_mark_does_not_count() -> None:
    socket = tcp(receive_queued=1)
    def ready(**values: object) -> bool | None:
        marks = Marks(1, **values)  # type: ignore[arg-type]
        return receive_queue(socket, detail=SocketDetail(socket.key, marks=Read(marks, 0.0))).ready

    assert ready(urgent_mark=False) is True
    assert ready(urgent_mark=True, urgent_inline=False) is False
    assert ready(urgent_mark=True, urgent_inline=True) is True
    assert ready(urgent_mark=True) is None


def test_mptcp_writes_as_a_stream_though_its_send_queue_says_nothing() -> None:
    """Seen on 6.18: wqueue 0 and wmem 0 with 2,741,689 of 3,943,936 queued, and poll() said no."""
    memory = make_memory(send_buffer=3_943_936, send_queued=2_741_689)
    queue = send_queue(tcp(protocol="mptcp", send_queued=0, memory=memory))
    assert (queue.ready, queue.would_block, queue.queued_bytes) == (False, False, 2_741_689)
