"""both-full, send-stalled, peer-vanished: what this host has to send does not go, and the other end is why."""

from __future__ import annotations

from collections.abc import Iterator

from sockscope.analysis.findings.scene import Scene, about_process, evidence, remote_text
from sockscope.analysis.sight import VERIFY_S, bytes_text, for_text
from sockscope.model.finding import Finding
from sockscope.model.socket import Socket
from sockscope.model.verdict import Move

STALLED_S = 10.0


def find_both_full(scene: Scene) -> Iterator[Finding]:
    """Report connections whose both ends write and neither reads."""
    for socket, move in scene.moved():
        track = scene.memory.tracks.get(socket.key)
        if track is None or track.probe_since_s is None or scene.now_s - track.probe_since_s < VERIFY_S:
            continue
        if (move.receive.party, move.receive.condition) != ("app", "stalled"):
            continue
        pids = scene.pids(socket)
        yield Finding(
            "both-full", "severe",
            f"{scene.who(pids)} and {remote_text(socket)} both write and neither reads:"
            f" {bytes_text(socket.receive_queued or 0)} unread here, {bytes_text(socket.send_queued or 0)} not taken"
            " there",
            (evidence("unread", bytes_text(socket.receive_queued or 0), "sock_diag, each look"),
             evidence("not sent", bytes_text(socket.send_queued or 0), "sock_diag, each look"),
             evidence("zero-window probes", f"for {scene.now_s - track.probe_since_s:.0f} s", "timer 4, each look")),
            ("Read while writing: poll for both directions, and do not send the whole request before reading answers",),
            for_s=move.row.since_s, about=about_process(pids), sockets=(socket.key,),
        )


def find(scene: Scene) -> Iterator[Finding]:
    """Report sockets that could not send for 10 s since the other end verifiably reads nothing."""
    for socket, move in scene.moved():
        send = move.send
        if (send.party, send.condition) != ("peer", "stalled"):
            continue
        if not socket.send_queued or socket.state == "SYN_SENT" or (send.since_s or 0.0) < STALLED_S:
            continue
        yield _finding(scene, socket, send)


def _finding(scene: Scene, socket: Socket, send: Move) -> Finding:
    pids, peer = scene.pids(socket), scene.sight(socket).peer
    readers = scene.pids(peer) if peer is not None else ()
    other = scene.holder_of(peer) if peer is not None else remote_text(socket)
    since_s = send.since_s or 0.0
    advice = (
        f"Look at {other}: it must read" if readers else
        "Nothing here: the reader is on another host; a timeout on the send protects this process"
    )
    return Finding(
        "send-stalled", "warning" if peer is not None else "note",
        f"{bytes_text(socket.send_queued or 0)} of {scene.holder_of(socket)} wait {for_text(since_s, send.at_least)}:"
        f" {other} does not read",
        (evidence("not taken", bytes_text(socket.send_queued or 0), "sock_diag, each look"),
         evidence("why", send.reason, "rows of both ends" if peer is not None else "timer 4 and tcp_info bytes_acked")),
        (advice,), for_s=since_s, about=about_process(dict.fromkeys((*readers, *pids))),
        sockets=(socket.key, *((peer.key,) if peer is not None else ())),
    )


def find_vanished(scene: Scene) -> Iterator[Finding]:
    """Report peers that answer neither keepalive nor zero-window probes any more, by process."""
    groups: dict[tuple[int, ...], list[Socket]] = {}
    for socket, _ in scene.tracked("tcp"):
        timer = socket.timer
        if timer is None or socket.state == "SYN_SENT":
            continue
        least = {"keepalive": 2, "zero-window-probe": 3}.get(timer.kind)
        if least is not None and timer.retransmits >= least:
            groups.setdefault(scene.pids(socket), []).append(socket)
    for pids, sockets in groups.items():
        first = sockets[0]
        probes = max(socket.timer.retransmits for socket in sockets if socket.timer is not None)
        more = f" and {len(sockets) - 1} more" if len(sockets) > 1 else ""
        yield Finding(
            "peer-vanished", "warning",
            f"{remote_text(first)}{more} answered none of {probes} probes: the connection of {scene.who(pids)} is dead",
            (evidence("probes unanswered", probes, "timer 2 or 4 of sock_diag"),
             evidence("connections", len(sockets), "this look")),
            ("A firewall or NAT that forgot the connection, or a host that went down without a word",
             "TCP_USER_TIMEOUT or a shorter keepalive ends such connections sooner"),
            about=about_process(pids), sockets=tuple(socket.key for socket in sockets),
        )
