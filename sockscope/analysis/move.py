"""Whose move it is: the one word drawn from everything (findings.md section 1). Pure functions; they never raise.

Colour, sorting and findings build on `stalled` only. `unverified` means that bytes are queued and nothing proves
or disproves progress; a saturated healthy server looks like that in 98.7 % of 1 Hz samples.
"""

from __future__ import annotations

from collections.abc import Mapping

from sockscope.analysis.closing_move import handshake_or_closing
from sockscope.analysis.memory import Memory
from sockscope.analysis.receive_move import payload, receive_move
from sockscope.analysis.send_move import send_move
from sockscope.analysis.sight import NOBODY, VERIFY_S, Sight
from sockscope.analysis.turn import turn_of, turn_reason
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Socket, SocketKey
from sockscope.model.verdict import Move, RowMove

QUIET = RowMove(NOBODY, NOBODY, NOBODY)
RECEIVE_CALLS = frozenset({"read", "readv", "recvfrom", "recvmsg", "recvmmsg"})


def moves(memory: Memory, snapshot: Snapshot) -> Mapping[SocketKey, RowMove]:
    """Return the moves of the rows that have something to say; a row that is absent has nobody's move."""
    found: dict[SocketKey, RowMove] = {}
    sockets = snapshot.sockets
    for key in (*memory.tracks, *(key for key in memory.tcp if key not in memory.tracks)):
        socket = sockets.get(key)
        if socket is None:
            continue
        move = move_of(memory, snapshot, socket)
        if move.row.party != "none" or move.turn is not None:
            found[key] = move
    return found


def move_of(memory: Memory, snapshot: Snapshot, socket: Socket) -> RowMove:
    """Return one row's move, also of a row that memory knows nothing of (then one look's worth)."""
    sight = Sight(memory, snapshot, socket)
    if sight.track is None and sight.tcp is None and _at_rest(socket):
        return QUIET
    turn = turn_of(sight.tcp.info) if sight.tcp is not None else None
    reason = turn_reason(sight.tcp, sight.now_s, payload(socket)) if turn is not None else ""
    receive, send = receive_move(sight), send_move(sight)
    state = handshake_or_closing(sight)
    if state is not None:
        return RowMove(state, receive if payload(socket) else NOBODY, state, turn, reason)
    row = _worse(sight, receive, send)
    if row.party == "none" and turn == "peer":
        row = receive = _answer_awaited(sight, receive)
    return RowMove(row, receive, send, turn, reason)


def _at_rest(socket: Socket) -> bool:
    queued = socket.receive_queued or socket.send_queued
    if socket.is_listener:
        return not socket.receive_queued
    if socket.protocol != "tcp":
        return not queued
    if socket.state in ("TIME_WAIT", "CLOSE"):
        return True
    probing = socket.timer is not None and socket.timer.retransmits
    return not queued and not probing and socket.state == "ESTABLISHED" and bool(socket.inode)


def _worse(sight: Sight, receive: Move, send: Move) -> Move:
    """Choose by findings.md's precedence: network-stalled, both-full, app-stalled, peer-stalled, moving, none."""
    track = sight.track
    if send.party == "network" and send.condition == "stalled":
        return send
    probing_s = 0.0 if track is None or track.probe_since_s is None else sight.now_s - track.probe_since_s
    if receive.party == "app" and receive.condition == "stalled" and probing_s >= VERIFY_S:
        reason = f"{receive.reason}, and the peer's window is 0: both ends write and neither reads"
        return Move("app", "stalled", receive.since_s, reason, receive.at_least)
    return max(receive, send, key=_rank)  # max keeps the first of equals: receive


def _rank(move: Move) -> int:
    if move.party == "none":
        return 0
    if move.condition == "stalled":
        return {"network": 9, "app": 8, "peer": 7}.get(move.party, 6)
    return {"unverified": 3, "moving": 2}.get(move.condition, 1)


def _answer_awaited(sight: Sight, otherwise: Move) -> Move:
    """Return the peer's move for a client that spoke last and whose thread blocks in a read on it.

    The same seen on a connection that we serve is an idle one: the next request is nobody's duty.
    """
    socket, detail = sight.socket, sight.detail
    if (socket.netns, socket.local.port or 0) in sight.memory.listeners or detail is None:
        return otherwise
    read = detail.waiters
    if read is None or read.value is None or sight.now_s - read.read_at_s > VERIFY_S:
        return otherwise
    for waiter in read.value:
        if waiter.via == "direct" and waiter.call in RECEIVE_CALLS:
            info = sight.tcp.info if sight.tcp is not None else None
            since_s = info.last_data_sent_ms / 1000 if info is not None else None
            return Move("peer", "moving", since_s, f"thread {waiter.tid} waits in {waiter.call} for the answer")
    return otherwise
