"""retransmitting: what was sent is not acknowledged; with the hint path-mtu where only full segments vanish."""

from __future__ import annotations

from collections.abc import Iterator

from sockscope.analysis.findings.scene import Scene, about_port, about_process, evidence, remote_text
from sockscope.model.finding import Finding
from sockscope.model.socket import Socket

FOR_S = 3.0
OUTBOUND_RETRANSMITS = 3
ROWS, SHARE = 5, 0.05
MTU_MSS = 1200


def find(scene: Scene) -> Iterator[Finding]:
    """Report outbound connections with 3 retransmits and more, and listeners with 5 rows and 5 % of the accepted.

    Two retransmits for 3 s are the row's badge (its move is network, stalled), not a finding.
    """
    outbound: dict[str, list[Socket]] = {}
    accepted: dict[tuple[int, int], list[Socket]] = {}
    for socket, track in scene.tracked("tcp"):
        timer = socket.timer
        if timer is None or track.retransmit_since_s is None or scene.now_s - track.retransmit_since_s < FOR_S:
            continue
        if socket.state in ("SYN_SENT", "SYN_RECV", "LISTEN") or scene.sight(socket).peer is not None:
            continue
        if scene.is_accepted(socket):
            accepted.setdefault((socket.netns, socket.local.port or 0), []).append(socket)
        elif timer.retransmits >= OUTBOUND_RETRANSMITS:
            outbound.setdefault(remote_text(socket), []).append(socket)
    for remote, sockets in outbound.items():
        yield _finding(scene, sockets, f"{remote} does not acknowledge what {{who}} sent", (("remote", remote),))
    for (netns, port), sockets in accepted.items():
        if len(sockets) < ROWS:
            continue
        total = sum(
            row.local.port == port and row.netns == netns and row.state == "ESTABLISHED"
            for row in scene.snapshot.sockets.values()
        )
        if len(sockets) >= SHARE * total:
            yield _finding(scene, sockets, f"{len(sockets)} of {total} clients of port {port} do not acknowledge what"
                           " {who} sent", about_port(sockets[0]))


def _finding(scene: Scene, sockets: list[Socket], what: str, about: tuple[tuple[str, str], ...]) -> Finding:
    pids = tuple(dict.fromkeys(pid for socket in sockets for pid in scene.pids(socket)))
    most = max(socket.timer.retransmits for socket in sockets if socket.timer is not None)
    here = any(socket.memory is not None and socket.memory.send_alloc for socket in sockets)
    mtu = any(_loses_full_segments(scene, socket) for socket in sockets)
    advice = [
        "The path drops or filters packets: compare with a capture on both ends" if not mtu else
        "Only full segments are lost: look for a smaller MTU on the path (tunnel, VPN) and for filtered ICMP"
        " 'fragmentation needed'; try net.ipv4.tcp_mtu_probing=1",
    ]
    if here:
        advice.append("A part is still in this host's own queue: look at the neighbour table (ARP) and the qdisc")
    return Finding(
        "retransmitting", "warning", what.format(who=scene.who(pids)) + f": sent again {most} times",
        (evidence("retransmits", f"up to {most}", "timer 1 of sock_diag, each look"),
         evidence("connections", len(sockets), "for 3 s and more")),
        tuple(advice), cause="path-mtu" if mtu else None,
        for_s=max(scene.now_s - (scene.memory.tracks[socket.key].retransmit_since_s or 0.0) for socket in sockets),
        about=(*about, *about_process(pids)), sockets=tuple(socket.key for socket in sockets),
    )


def _loses_full_segments(scene: Scene, socket: Socket) -> bool:
    """Whether small segments were acknowledged and full ones are all lost (staged and confirmed with a 1280 link)."""
    seen, timer = scene.memory.tcp.get(socket.key), socket.timer
    if seen is None or timer is None:
        return False
    info = seen.info
    return (
        (info.bytes_acked or 0) > 1 and info.snd_mss >= MTU_MSS and info.lost == info.unacked and info.unacked > 0
        and (socket.send_queued or 0) >= info.snd_mss and timer.retransmits >= 3
    )
