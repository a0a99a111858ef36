"""What poll() and send() would say, worked out from a few numbers, each with its reason in one sentence.

The rules are the kernel's (kernel-facts.md 1.1-1.3): tcp_poll and tcp_stream_is_readable (net/ipv4/tcp.c),
datagram_poll (net/core/datagram.c), unix_poll and unix_dgram_poll (net/unix/af_unix.c), sock_writeable and
sk_stream_is_writeable (include/net/sock.h). `ready` is whether poll() would report POLLIN or POLLOUT; a pending error
shows as POLLERR beside them and is in no table. None is said only where the tables cannot tell.

Everything here is a pure function of a few ints, memoised: neighbouring rows ask the same question again and again.
"""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

UNLIMITED = 0xFFFF_FFFF  # TCP_NOTSENT_LOWAT's and its sysctl's "no limit"
_MEMO = 8192


class Verdict(Struct, frozen=True, gc=False):
    """poll()'s verdict, why, and for sending whether send() itself would block (None: it would fail, or not known)."""

    ready: bool | None
    reason: str
    would_block: bool | None = None


class Mark(Struct, frozen=True, gc=False):
    """SO_RCVLOWAT: `source` is read or default. `urgent`: the next byte is urgent and counts one more (None: maybe)."""

    bytes: int = 1
    source: str = "default"
    urgent: bool | None = False


class Room(Struct, frozen=True, gc=False):
    """What the receive side has: sk_rmem_alloc and sk_rcvbuf, and from tcp_info the window and the peer's segments.

    `is_settled`: the last data is older than any delayed acknowledgement, so `window` (advertised then) is today's.
    """

    alloc: int | None = None
    buffer: int | None = None
    window: int | None = None
    segment: int | None = None
    is_settled: bool = False


@lru_cache(maxsize=_MEMO)
def tcp_readable(queued: int, mark: Mark, room: Room) -> Verdict:
    """Judge tcp_stream_is_readable: enough bytes for the mark, or a receive buffer that can hardly take more."""
    if queued <= 0:
        return Verdict(False, "nothing queued: not readable")
    said = f"{queued:,} B queued, mark {mark.bytes:,} B"
    if mark.source == "default":
        said += " (default)"
    if mark.urgent and queued == mark.bytes:
        said += ", the next byte is urgent and does not count"
    if queued >= mark.bytes + (mark.urgent is not False):
        return Verdict(True, f"{said}: readable")
    if room.alloc is not None and room.buffer is not None and room.alloc > room.buffer - (room.buffer >> 3):
        return Verdict(True, f"{said}, but the receive buffer is over 7/8 full: readable")
    by_window = _window_says(queued, room)
    if by_window:
        return Verdict(True, f"{said}, but the window is down to one segment ({room.window:,} B): readable")
    if mark.urgent is None and queued == mark.bytes:
        return Verdict(None, f"{said}, but the next byte may be urgent and not count: not known")
    if by_window is None:
        return Verdict(None, f"{said}, but the window may be down to one segment: not known")
    return Verdict(False, f"{said}: not readable")


def _window_says(queued: int, room: Room) -> bool | None:
    """Whether tcp_receive_window() <= rcv_mss, which makes any byte readable.

    `tcpi_rcv_wnd` is the window as last advertised; what came since and is not acknowledged yet has shrunk it. Of that,
    what was read is at most a segment, as reading acknowledges more at once (tcp_cleanup_rbuf); the rest is queued.
    Without tcp_info a buffer that is less than half used is taken to have a window.
    """
    if room.window is None or room.segment is None:
        is_roomy = room.alloc is None or room.buffer is None or room.alloc * 2 <= room.buffer
        return False if is_roomy else None
    if room.window <= room.segment:
        return True
    if room.is_settled or room.window - queued - room.segment > room.segment:
        return False
    return None


@lru_cache(maxsize=_MEMO)
def end_of_file(payload: int) -> Verdict:
    """Judge a socket that will receive no more: always readable."""
    if payload > 0:
        return Verdict(True, f"{payload:,} B queued before the end of file: readable")
    return Verdict(True, "end of file: readable, recv() returns 0")


@lru_cache(maxsize=_MEMO)
def datagram_readable(queued: int) -> Verdict:
    """Judge UDP, raw and netlink, whose queue is counted as buffer memory, so that an empty datagram shows as well.

    An entry of the error queue (IP_RECVERR, transmit timestamps) is charged to the same counter, yet it gives POLLERR
    only.
    """
    if queued > 0:
        said = f"datagrams fill {queued:,} B of buffer: readable (an error-queue entry alone would not be)"
        return Verdict(True, said)
    return Verdict(False, "no datagram queued: not readable")


def packet_readable(queued: int) -> Verdict:
    """Judge a packet socket: the frames of a mapped ring (PACKET_RX_RING) are counted in no table."""
    if queued > 0:
        return datagram_readable(queued)
    return Verdict(None, "no packet queued, but a mapped ring's frames are not told: not known")


@lru_cache(maxsize=_MEMO)
def unix_stream_readable(queued: int) -> Verdict:
    """Judge a unix stream: its poll() knows no mark (recv() does: it would wait for SO_RCVLOWAT bytes)."""
    if queued > 0:
        return Verdict(True, f"{queued:,} B queued: readable")
    return Verdict(False, "nothing queued: not readable")


@lru_cache(maxsize=_MEMO)
def unix_message_readable(first: int, peer_charge: int | None, *, is_only_receiver: bool) -> Verdict:
    """Judge unix datagrams and seqpackets: the table tells the first message's length, 0 for none and for an empty one.

    Unread messages are charged to their sender. So a peer that is the only sender and has no charge sent nothing, and
    one that can send nowhere else (seqpacket) and has a charge sent an empty message.
    """
    if first > 0:
        return Verdict(True, f"the first message has {first:,} B: readable")
    if peer_charge == 0:
        return Verdict(False, "the peer has nothing under way: not readable")
    if peer_charge is not None and is_only_receiver:
        return Verdict(True, "an empty message is queued: readable")
    return Verdict(None, "nothing queued, or an empty message first: not known")


@lru_cache(maxsize=_MEMO)
def listener_readable(length: int) -> Verdict:
    """Judge a listener: readable when a connection waits to be accepted."""
    if length <= 0:
        return Verdict(False, "no connection waits: not readable")
    word = "connection waits" if length == 1 else "connections wait"
    return Verdict(True, f"{length:,} {word} to be accepted: readable")


class Unsent(Struct, frozen=True, gc=False):
    """TCP_NOTSENT_LOWAT where it is set (0 and UNLIMITED: it is not), and bounds of the bytes not sent yet."""

    lowat: int = 0
    least: int = 0
    most: int = 0


@lru_cache(maxsize=_MEMO)
def tcp_writable(used: int, buffer: int, unsent: Unsent) -> Verdict:
    """Judge sk_stream_is_writeable: a third of the buffer free, and less unsent than half of TCP_NOTSENT_LOWAT.

    send() itself goes on until the buffer, or the whole of TCP_NOTSENT_LOWAT, is used up.
    """
    has_room = buffer - used >= used >> 1 and used < buffer
    if 0 < unsent.lowat < UNLIMITED:
        bound = _unsent_verdict(used, buffer, unsent, has_room=has_room)
        if bound is not None:
            return bound
    free, need = _percent(buffer - used, buffer), "33%"
    if has_room:
        return Verdict(True, f"free {free} of send buffer: writable", would_block=False)
    if used >= buffer:
        return Verdict(False, "send buffer full: poll says no, send() would block", would_block=True)
    if free == need:
        free, need = f"{100 * (buffer - used) / buffer:.2f}%", "33.33%"
    return Verdict(
        False, f"free {free} of send buffer, poll needs {need}: poll says no, send() would still take data",
        would_block=False,
    )


def _unsent_verdict(used: int, buffer: int, unsent: Unsent, *, has_room: bool) -> Verdict | None:
    """Say what the unsent mark forbids or leaves open; None where the buffer alone decides."""
    half = unsent.lowat // 2
    if 2 * unsent.most < unsent.lowat:
        return None
    if 2 * unsent.least < unsent.lowat:
        if not has_room:
            return None
        said = f"up to {unsent.most:,} B not sent yet, poll's mark {half:,} B: not known"
        return Verdict(None, said, would_block=False if unsent.most < unsent.lowat else None)
    blocks = unsent.least >= unsent.lowat or used >= buffer
    said = f"{unsent.least:,} B not sent yet, poll's mark {half:,} B (half of TCP_NOTSENT_LOWAT): poll says no"
    if blocks:
        return Verdict(False, f"{said}, send() would block", would_block=True)
    if unsent.most < unsent.lowat:
        return Verdict(False, f"{said}, send() would still take data", would_block=False)
    return Verdict(False, said)


@lru_cache(maxsize=_MEMO)
def datagram_writable(used: int, buffer: int) -> Verdict:
    """Judge sock_writeable: less than half of the send buffer in use. The table shows one byte less than there is."""
    free = _percent(buffer - used, buffer)
    if used + 1 < buffer >> 1:
        return Verdict(True, f"free {free} of send buffer: writable", would_block=False)
    return _short_of_room(used, buffer, free, "50%")


@lru_cache(maxsize=_MEMO)
def unix_writable(used: int, buffer: int) -> Verdict:
    """Judge unix_writable: at most a quarter of the send buffer in use. Unread bytes are charged to their sender."""
    free = _percent(buffer - used, buffer)
    if (used + 1) * 4 <= buffer:
        return Verdict(True, f"free {free} of send buffer: writable", would_block=False)
    return _short_of_room(used, buffer, free, "75%")


def unix_message_writable(own: Verdict, *, peer_takes: bool | None) -> Verdict:
    """Judge a connected datagram sender: its receiver's queue must have room too, and no table counts what is in it.

    `peer_takes`: True where that does not matter, because the receiver is connected back.
    """
    if own.ready is not True or peer_takes:
        return own
    return Verdict(None, f"{own.reason.removesuffix(': writable')}, but the receiver's queue may be full: not known")


def nothing_to_send() -> Verdict:
    """Judge a socket that was closed for sending."""
    return Verdict(True, "closed for sending: poll says writable, send() fails with EPIPE", would_block=False)


def _short_of_room(used: int, buffer: int, free: str, need: str) -> Verdict:
    if used >= buffer:
        return Verdict(False, "send buffer full: poll says no, send() would block", would_block=True)
    if free == need:
        free = f"{100 * (buffer - used) / buffer:.2f}%"
    return Verdict(
        False, f"free {free} of send buffer, poll needs {need}: poll says no, send() would still take data",
        would_block=False,
    )


def _percent(part: int, whole: int) -> str:
    return f"{max(0, 100 * part // whole) if whole > 0 else 0}%"
