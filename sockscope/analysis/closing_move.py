"""Whose move it is while a TCP connection is being made or ended (findings.md section 1)."""

from __future__ import annotations

from sockscope.analysis.receive_move import listener_of, payload
from sockscope.analysis.sight import NOBODY, Sight, bytes_text, is_full, port_text, seconds_text
from sockscope.model.socket import Socket, SocketKey
from sockscope.model.verdict import Move

ANSWER_S = 3.0


def handshake_or_closing(sight: Sight) -> Move | None:
    """Return the move of a state that is decided by itself; None where the queues decide."""
    socket = sight.socket
    if socket.protocol != "tcp":
        return None
    if socket.state == "SYN_SENT":
        return _syn_sent(sight)
    if socket.state == "SYN_RECV":
        return _syn_received(sight)
    if socket.state == "FIN_WAIT2":
        return _fin_wait2(sight)
    if socket.state in ("FIN_WAIT1", "CLOSING", "LAST_ACK"):
        return _unsent(sight)
    return None


def _state_s(sight: Sight) -> tuple[float | None, bool]:
    track = sight.track
    if track is None:
        return None, True
    return sight.now_s - track.state_since_s, not track.state_whole


def _syn_sent(sight: Sight) -> Move:
    since_s, at_least = _state_s(sight)
    tries = sight.socket.timer.retransmits if sight.socket.timer is not None else 0
    full = full_listener(sight)
    if full is not None:
        stalled = tries >= 1 and since_s is not None and since_s >= ANSWER_S
        reason = f"not accepted: {port_text(full)}'s accept queue is full"
        return Move("peer", "stalled" if stalled else "moving", since_s, reason, at_least)
    if sight.peer is not None:
        return Move("peer", "moving", since_s, "not accepted yet at the other end", at_least)
    if tries and since_s is not None and since_s >= ANSWER_S:
        reason = f"no answer to {tries + 1} SYNs in {seconds_text(since_s)}: filtered or dead"
        return Move("peer", "stalled", since_s, reason, at_least)
    return Move("network", "unverified" if tries else "moving", since_s, "connecting", at_least)


def full_listener(sight: Sight) -> Socket | None:
    """Find the listener on this host that throws these SYNs away. Without one, None."""
    remote = sight.socket.remote
    if remote is None or not _is_local(sight, remote.address):
        return None
    keys: tuple[SocketKey, ...] = sight.memory.listeners.get((sight.socket.netns, remote.port or 0), ())
    rows = [row for key in keys if (row := sight.snapshot.sockets.get(key)) is not None]
    return next((row for row in rows if is_full(row)), None)


def _is_local(sight: Sight, address: str) -> bool:
    return address.startswith(("127.", "::1", "::ffff:127.")) or address == sight.socket.local.address


def _syn_received(sight: Sight) -> Move:
    since_s, at_least = _state_s(sight)
    listener = listener_of(sight, sight.socket)
    if listener is not None and is_full(listener):
        return Move("app", "moving", since_s, "the accept queue is full: this handshake cannot end", at_least)
    return Move("network", "moving", since_s, "handshake: its last packet is awaited", at_least)


def _fin_wait2(sight: Sight) -> Move | None:
    since_s, at_least = _state_s(sight)
    if not sight.socket.inode:
        return NOBODY
    if payload(sight.socket):
        return None  # unread data: the receive side decides
    return Move("peer", "unverified", since_s, "this end has shut its side down, the peer has not closed", at_least)


def _unsent(sight: Sight) -> Move | None:
    """Judge FIN_WAIT1, CLOSING, LAST_ACK: the FIN is one byte of wq; anything beyond it is unsent data."""
    socket, timer = sight.socket, sight.socket.timer
    since_s, at_least = _state_s(sight)
    if timer is not None and timer.retransmits >= 2 and timer.kind == "retransmit":
        return None  # the send side says it: retransmitting
    if (socket.send_queued or 0) > 1:
        reason = f"closed with {bytes_text((socket.send_queued or 0) - 1)} not taken by the peer"
        return Move("peer", "unverified", since_s, reason, at_least)
    return NOBODY if not socket.inode else None
