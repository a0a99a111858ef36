"""Whose move it is on the send side (findings.md section 1: Send, Zero window, Peer on this host, limits)."""

from __future__ import annotations

from sockscope.analysis.receive_move import payload, unread_since
from sockscope.analysis.sight import (
    NOBODY,
    SEND_VERIFY_S,
    VERIFY_S,
    VERIFY_SAMPLES,
    Sight,
    bytes_text,
    for_text,
    seconds_text,
)
from sockscope.analysis.tracks import is_unaccepted
from sockscope.model.detail import TcpInfo
from sockscope.model.socket import Socket
from sockscope.model.verdict import Move

RETRANSMIT_S = 3.0


def send_move(sight: Sight) -> Move:
    """Tell who must act for what was sent to go on."""
    socket, timer = sight.socket, sight.socket.timer
    if socket.is_listener:
        return NOBODY
    if socket.protocol == "tcp" and timer is not None and timer.kind == "keepalive" and timer.retransmits >= 2:
        return Move("network", "stalled", None, f"{timer.retransmits} keepalive probes unanswered: the peer vanished")
    if not socket.send_queued:
        return NOBODY
    if socket.protocol == "unix":
        return _unix(sight)
    if socket.protocol != "tcp":
        return Move("network", "moving", None, f"{bytes_text(socket.send_queued)} leaving this host")
    if sight.peer is not None and sight.peer is not socket:
        return _local_peer(sight, sight.peer)
    if timer is not None and timer.kind == "zero-window-probe":
        return _zero_window(sight, timer.retransmits)
    if timer is not None and timer.kind == "retransmit" and timer.retransmits >= 2:
        return _retransmitting(sight, timer.retransmits)
    return _moving(sight)


def _local_peer(sight: Sight, peer: Socket) -> Move:
    """Decide from the other row, never `network`: there is no wire between the two."""
    what = f"{bytes_text(sight.socket.send_queued or 0)} queued"
    other = Sight(sight.memory, sight.snapshot, peer)
    if is_unaccepted(peer):
        since = other.track.unaccepted_since_s if other.track is not None else None
        age_s = None if since is None else sight.now_s - since
        stalled = age_s is not None and age_s >= VERIFY_S
        return Move("peer", "stalled" if stalled else "moving", age_s, f"{what}: not accepted yet at the other end",
                    other.track is None or not other.track.whole)
    if not payload(peer):
        return Move("peer", "moving", 0.0, f"{what}, on the way to the other end on this host")
    proved = unread_since(other)
    unread = f"{what}: the other end has {bytes_text(payload(peer))} unread"
    if proved is not None:
        age_s = sight.now_s - proved[0]
        return Move("peer", "stalled", age_s, f"{unread} {for_text(age_s, proved[1])}", proved[1])
    since_s = other.track.receive_since_s if other.track is not None else None
    age_s = None if since_s is None else sight.now_s - since_s
    if age_s is not None and age_s < VERIFY_SAMPLES and not _probing(sight):
        return Move("peer", "moving", age_s, unread)
    return Move("peer", "unverified", age_s, unread, at_least=True)


def _probing(sight: Sight) -> bool:
    return sight.track is not None and sight.track.probe_since_s is not None


def _zero_window(sight: Sight, unanswered: int) -> Move:
    """Judge timer 4: with an open window TCP_CORK arms it for 200 ms, so time and bytes_acked decide."""
    track, tcp, queued = sight.track, sight.tcp, bytes_text(sight.socket.send_queued or 0)
    if track is None or track.probe_since_s is None or track.send_since_s is None:
        return Move("peer", "unverified", None, f"{queued} wait: the zero-window probe timer runs")
    began_s = max(track.probe_since_s, track.send_since_s)
    since_s, at_least = sight.now_s - began_s, not track.send_whole
    if unanswered >= 3:
        reason = f"{queued} wait: {unanswered} zero-window probes unanswered, the peer vanished"
        return Move("network", "stalled", since_s, reason, at_least)
    flat = (
        tcp is not None and tcp.info.bytes_acked is not None and tcp.acked_reads >= VERIFY_SAMPLES
        and sight.memory.is_fresh(tcp.at_s)
        and (tcp.acked_flat_s() >= SEND_VERIFY_S or _acked_floor(tcp.info) >= SEND_VERIFY_S)
    )
    if flat and unanswered <= 1 and since_s >= SEND_VERIFY_S:
        reason = f"{queued} wait {for_text(since_s, at_least)}: the peer's window is 0"
        return Move("peer", "stalled", since_s, reason, at_least)
    reason = f"{queued} wait: zero-window probes for {seconds_text(since_s)}"
    return Move("peer", "unverified", since_s, reason, at_least)


def _acked_floor(info: TcpInfo) -> float:
    """Nothing acknowledges data while no new data is sent and the window is 0: the last sending bounds it."""
    return info.last_data_sent_ms / 1000 if info.unacked == 0 else 0.0


def _retransmitting(sight: Sight, retransmits: int) -> Move:
    track, memory = sight.track, sight.socket.memory
    since_s = None if track is None or track.retransmit_since_s is None else sight.now_s - track.retransmit_since_s
    reason = f"{bytes_text(sight.socket.send_queued or 0)} unacknowledged, sent again {retransmits} times"
    if memory is not None and memory.send_alloc:
        reason += "; a part is still in this host's own queue (qdisc or ARP)"
    stalled = since_s is not None and since_s >= RETRANSMIT_S
    return Move("network", "stalled" if stalled else "unverified", since_s, reason, at_least=True)


def _moving(sight: Sight) -> Move:
    """Judge data on its way: which of three limits holds it, tcp_info tells by the growth of its busy times."""
    queued = bytes_text(sight.socket.send_queued or 0)
    tcp = sight.tcp
    if tcp is not None and tcp.previous is not None and sight.memory.is_fresh(tcp.at_s):
        limited = _limited(tcp.previous, tcp.info)
        if limited == "rwnd":
            return Move("peer", "moving", None, f"{queued} queued: limited by the peer's receive window")
        if limited == "sndbuf":
            return Move("app", "moving", None, f"{queued} queued: limited by the send buffer, SO_SNDBUF is small")
    return Move("network", "moving", None, f"{queued} on the way")


def _limited(before: TcpInfo, now: TcpInfo) -> str | None:
    busy = (now.busy_time_us or 0) - (before.busy_time_us or 0)
    if busy <= 0:
        return None
    if (now.rwnd_limited_us or 0) - (before.rwnd_limited_us or 0) > busy / 2:
        return "rwnd"
    return "sndbuf" if (now.sndbuf_limited_us or 0) - (before.sndbuf_limited_us or 0) > busy / 2 else None


def _unix(sight: Sight) -> Move:
    """Judge a unix socket: its queue is what the other end has not read: charged here (kernel-facts.md 0.5)."""
    track = sight.track
    what = f"{bytes_text(sight.socket.send_queued or 0)} charged, not read by the other end"
    if track is None or track.send_since_s is None:
        return Move("peer", "unverified", None, what)
    since_s = sight.now_s - track.send_since_s
    if since_s >= SEND_VERIFY_S and sight.samples_since(track.send_sample) >= VERIFY_SAMPLES and _peer_sleeps(sight):
        at_least = not track.send_whole
        return Move("peer", "stalled", since_s, f"{what} {for_text(since_s, at_least)}", at_least)
    condition = "moving" if track.send_since_s > track.first_s and since_s < VERIFY_SAMPLES else "unverified"
    return Move("peer", condition, since_s, what, not track.send_whole)


def _peer_sleeps(sight: Sight) -> bool:
    """Equal charge proves nothing by itself: no thread of the reader ran, or a writer sleeps in its send."""
    if sight.peer is not None:
        other = Sight(sight.memory, sight.snapshot, sight.peer)
        frozen_s = other.frozen_since_s()
        if frozen_s is not None and sight.now_s - frozen_s >= SEND_VERIFY_S:
            return True
    return blocked_in_send_s(sight) >= SEND_VERIFY_S


def blocked_in_send_s(sight: Sight) -> float:
    """Tell how long a thread of a holder has slept in one and the same send or write on this socket."""
    longest = 0.0
    for holder in sight.snapshot.holders_of(sight.socket):
        seen = sight.memory.process(sight.snapshot.processes.get(holder.pid))
        for thread in seen.threads if seen is not None else ():
            call = thread.thread.call or ""
            if thread.thread.on_fd == holder.fd and call in SEND_CALLS and thread.call_since_s is not None and seen:
                longest = max(longest, seen.at_s - thread.call_since_s)
    return longest


SEND_CALLS = frozenset({"write", "writev", "sendto", "sendmsg", "sendmmsg", "sendfile", "splice"})
