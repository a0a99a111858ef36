"""Whose move it is on the receive side (findings.md section 1: Receive, Accept, EOF, UDP)."""

from __future__ import annotations

from sockscope.analysis.sight import (
    NOBODY,
    VERIFY_S,
    VERIFY_SAMPLES,
    Sight,
    bytes_text,
    for_text,
    is_full,
    port_text,
    seconds_text,
)
from sockscope.analysis.tracks import is_unaccepted
from sockscope.model.socket import SHUTDOWN_RECEIVE, Socket
from sockscope.model.verdict import Move

ACCEPT_SAMPLES = 5


def receive_move(sight: Sight) -> Move:
    """Tell who must act for received data, or connections, to go on."""
    socket = sight.socket
    if socket.is_listener:
        return _accept(sight)
    if is_unaccepted(socket):
        return _unaccepted(sight)
    if not payload(socket):
        return _empty(sight)
    if _is_of_the_look(socket):
        return NOBODY
    if _below_mark(sight):
        return _waiting_for_more(sight)
    return _unread(sight)


def _is_of_the_look(socket: Socket) -> bool:
    """Tell the kernel's own netlink sockets, and those of sock_diag: looking is what puts bytes there."""
    return socket.family == "netlink" and (not socket.local.port or socket.local.address == "sock_diag")


def payload(socket: Socket) -> int:
    """Count unread bytes: rq, less the one that stands for an unread FIN."""
    queued = socket.receive_queued or 0
    at_end = socket.protocol == "tcp" and (socket.shutdown or 0) & SHUTDOWN_RECEIVE
    return queued - 1 if queued and at_end else queued


def unread_text(socket: Socket) -> str:
    """Say how much is unread. Of datagrams the kernel tells the memory they take, not their bytes."""
    amount = bytes_text(payload(socket))
    if socket.protocol in ("tcp", "mptcp", "unix"):
        return f"{amount} unread"
    return f"datagrams in {amount} of buffer unread"


def unread_since(sight: Sight) -> tuple[float, bool] | None:
    """Tell since when it is proved that nobody took anything, and whether that is only a lower bound.

    Proof is bytes_received - rq standing still over three readings and five seconds; or a queue that did not fall
    while nothing arrived (last_data_recv), for then any read would have shown; or that no thread of any holder ran
    (schedstat). None: not proved.
    """
    track = sight.track
    if track is None or track.receive_since_s is None or sight.samples_since(track.receive_sample) < VERIFY_SAMPLES:
        return None
    began_s = track.receive_since_s
    if sight.now_s - began_s < VERIFY_S:
        return None
    proofs = []
    tcp = sight.tcp
    if (
        tcp is not None and tcp.consumed is not None and tcp.consumed_reads >= VERIFY_SAMPLES
        and sight.memory.is_fresh(tcp.at_s) and tcp.consumed_flat_s() >= VERIFY_S
    ):
        proofs.append(tcp.consumed_since_s)
    quiet_s = _quiet_since(sight)
    if tcp is not None and quiet_s is not None and tcp.at_s - max(quiet_s, began_s) >= VERIFY_S:
        proofs.append(max(quiet_s, began_s))
    frozen_s = sight.frozen_since_s()
    if frozen_s is not None and min(seen.at_s for seen in sight.threads or ()) - max(frozen_s, began_s) >= VERIFY_S:
        proofs.append(frozen_s)
    if not proofs:
        return None
    proof_s = min(proofs)
    if proof_s <= began_s or (track.receive_whole and proof_s - began_s <= VERIFY_SAMPLES):
        return began_s, not track.receive_whole
    return proof_s, True


def _quiet_since(sight: Sight) -> float | None:
    """Tell since when no data has arrived, by a fresh reading that shows the queue as the last look did."""
    tcp = sight.tcp
    if tcp is None or not sight.memory.is_fresh(tcp.at_s) or not tcp.info.bytes_received:
        return None
    if tcp.info.receive_queued != sight.socket.receive_queued:
        return None
    return tcp.at_s - tcp.info.last_data_recv_ms / 1000


def _unread(sight: Sight) -> Move:
    socket, track = sight.socket, sight.track
    what = unread_text(socket)
    if track is None or track.receive_since_s is None:
        return Move("app", "unverified", None, f"{what}: one look cannot tell whether it is being read")
    proved = unread_since(sight)
    queued_s = sight.now_s - track.receive_since_s
    if proved is not None:
        since_s, at_least = sight.now_s - proved[0], proved[1]
        floor_s = arrival_floor(sight)
        if floor_s is not None and floor_s > since_s:
            since_s, at_least = floor_s, True
        return Move("app", "stalled", since_s, f"{what} {for_text(since_s, at_least)}: nobody reads it", at_least)
    tcp = sight.tcp
    if tcp is not None and tcp.previous is not None and tcp.consumed_reads == 1 and sight.memory.is_fresh(tcp.at_s):
        return Move("app", "moving", 0.0, f"{what}, and it is being read")
    if track.receive_since_s > track.first_s and queued_s < VERIFY_SAMPLES:
        return Move("app", "moving", queued_s, f"{what}: it fell or came {seconds_text(queued_s)} ago")
    looks = sight.samples_since(track.receive_sample)
    text = f"{what}: queued at every look for {seconds_text(queued_s)}" if looks > 1 else f"{what} at this look"
    return Move("app", "unverified", queued_s if looks > 1 else None, text, not track.receive_whole)


def arrival_floor(sight: Sight) -> float | None:
    """Give the least age of the last byte in the queue: nothing has arrived for so long (last_data_recv)."""
    tcp = sight.tcp
    if tcp is None or not tcp.info.bytes_received or not payload(sight.socket):
        return None
    return tcp.info.last_data_recv_ms / 1000


def _below_mark(sight: Sight) -> bool:
    """Not enough for the reader: less than SO_RCVLOWAT, buffer and window not tight (kernel-facts.md 1.1)."""
    mark, socket, tcp = sight.lowat(), sight.socket, sight.tcp
    if mark is None or socket.protocol != "tcp" or (socket.shutdown or 0) & SHUTDOWN_RECEIVE:
        return False
    memory = socket.memory
    tight = memory is not None and memory.receive_alloc > memory.receive_buffer - (memory.receive_buffer >> 3)
    closed = tcp is not None and tcp.info.rcv_wnd is not None and tcp.info.rcv_wnd <= tcp.info.rcv_mss
    return payload(socket) < mark and not tight and not closed


def _waiting_for_more(sight: Sight) -> Move:
    since_s = sight.now_s - sight.track.receive_since_s if sight.track and sight.track.receive_since_s else None
    mark = sight.lowat() or 1
    reason = f"{bytes_text(payload(sight.socket))} queued, mark {bytes_text(mark)}: the reader is not woken before"
    return Move("peer", "unverified", since_s, reason, at_least=True)


def _empty(sight: Sight) -> Move:
    """Nothing unread: a hole in the stream, a thread that waits for an answer, or nothing to say."""
    socket, tcp, memory = sight.socket, sight.tcp, sight.socket.memory
    if socket.state == "CLOSE_WAIT":
        return _close_owed(sight)
    if (
        tcp is not None and tcp.previous is not None and memory is not None and memory.receive_alloc
        and (tcp.info.rcv_ooopack or 0) > (tcp.previous.rcv_ooopack or 0)
    ):
        return Move("network", "unverified", None, "a hole: later data has arrived, what comes before it has not")
    return NOBODY


def _close_owed(sight: Sight) -> Move:
    """One quiet CLOSE_WAIT is common (idle HTTP pools) and never stalled; many of them are a finding."""
    track, tcp = sight.track, sight.tcp
    since_s = sight.now_s - track.state_since_s if track is not None else None
    at_least = track is None or not track.state_whole
    if at_least and tcp is not None and tcp.info.last_ack_recv_ms / 1000 > (since_s or 0.0):
        since_s = tcp.info.last_ack_recv_ms / 1000
    read = "EOF not read" if sight.socket.receive_queued else "EOF"
    return Move("app", "unverified", since_s, f"{read}: the peer has closed, this end has not", at_least)


def _unaccepted(sight: Sight) -> Move:
    track = sight.track
    if track is None or track.unaccepted_since_s is None:
        return Move("app", "unverified", None, "in the accept queue")
    age_s = sight.now_s - track.unaccepted_since_s
    condition = "stalled" if age_s >= VERIFY_S and not _accepted_lately(sight) else "moving"
    reason = f"in the accept queue of {port_text(sight.socket)} {for_text(age_s, not track.whole)}"
    return Move("app", condition, age_s, reason, not track.whole)


def _accepted_lately(sight: Sight) -> bool:
    socket = sight.socket
    seen = sight.memory.accepts.get((socket.netns, socket.local.port or 0))
    return seen is not None and sight.memory.sample - seen.sample < ACCEPT_SAMPLES


def _accept(sight: Sight) -> Move:
    socket, track = sight.socket, sight.track
    waiting = socket.receive_queued or 0
    if not waiting:
        return NOBODY
    full = "accept queue full: " if is_full(socket) else ""
    most = f" of {socket.send_queued + 1}" if socket.send_queued is not None else ""
    what = f"{full}{waiting}{most} wait to be accepted"
    if track is None or track.receive_since_s is None:
        return Move("app", "unverified", None, what)
    queued_s = sight.now_s - track.receive_since_s
    oldest = oldest_wait(sight)
    if oldest is None:
        condition = "unverified" if queued_s >= VERIFY_S and not _accepted_lately(sight) else "moving"
        return Move("app", condition, queued_s, what, not track.receive_whole)
    since_s, at_least = oldest
    stalled = since_s >= VERIFY_S and queued_s >= VERIFY_S and not _accepted_lately(sight)
    text = f"{what}, the oldest {for_text(since_s, at_least)}"
    return Move("app", "stalled" if stalled else "moving", since_s, text, at_least)


def oldest_wait(sight: Sight) -> tuple[float, bool] | None:
    """Tell how long the head of the accept queue has waited: the queue is first in, first out."""
    track = sight.track
    if sight.socket.family == "unix":
        if track is None or track.head_since_s is None:
            return None
        return sight.now_s - track.head_since_s, not track.whole
    first = sight.memory.waiting.get((sight.socket.netns, sight.socket.local.port or 0))
    return None if first is None else (sight.now_s - first[0], not first[1])


def listener_of(sight: Sight, socket: Socket) -> Socket | None:
    """Find the listener on this host that a connection to `socket.local` would come to; the fullest of several."""
    keys = sight.memory.listeners.get((socket.netns, socket.local.port or 0), ())
    found = [row for key in keys if (row := sight.snapshot.sockets.get(key)) is not None]
    return max(found, key=lambda row: (row.receive_queued or 0) - (row.send_queued or 0), default=None)
