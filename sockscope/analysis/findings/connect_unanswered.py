"""connect-unanswered: SYNs without an answer, by remote end."""

from __future__ import annotations

from collections.abc import Iterator

from sockscope.analysis.closing_move import full_listener
from sockscope.analysis.findings.scene import Scene, about_process, evidence, remote_text
from sockscope.analysis.sight import port_text, seconds_text
from sockscope.model.finding import Finding
from sockscope.model.socket import Socket

FOR_S = 3.0
ACCEPT_QUEUE_FULL = "accept-queue-full"


def find(scene: Scene) -> Iterator[Finding]:
    """Report remotes that answered no SYN for 3 s though it was sent again."""
    groups: dict[str, list[Socket]] = {}
    for socket, track in scene.tracked("tcp"):
        tries = socket.timer.retransmits if socket.timer is not None else 0
        if socket.state == "SYN_SENT" and tries >= 1 and scene.now_s - track.state_since_s >= FOR_S:
            groups.setdefault(remote_text(socket), []).append(socket)
    for remote, sockets in groups.items():
        pids = tuple(dict.fromkeys(pid for socket in sockets for pid in scene.pids(socket)))
        since_s = max(scene.now_s - scene.memory.tracks[socket.key].state_since_s for socket in sockets)
        full = full_listener(scene.sight(sockets[0]))
        count = f" ({len(sockets)} connections)" if len(sockets) > 1 else ""
        yield Finding(
            "connect-unanswered", "warning",
            f"{remote} answers no SYN of {scene.who(pids)}{count} for {seconds_text(since_s)}",
            (evidence("SYNs sent again", max(s.timer.retransmits for s in sockets if s.timer is not None),
                      "timer 1 of sock_diag, each look"),
             evidence("connections", len(sockets), "SYN_SENT rows")),
            ("Filtered by a firewall, or the host is down: a closed port would refuse at once",) if full is None else
            (f"The accept queue of {port_text(full)} on this host is full",),
            cause=ACCEPT_QUEUE_FULL if full is not None else None, for_s=since_s,
            about=(("remote", remote), *about_process(pids)),
            sockets=(*(socket.key for socket in sockets), *((full.key,) if full is not None else ())),
        )
