"""close-wait-leak: peers have closed, this process never does."""

from __future__ import annotations

from collections.abc import Iterator

from sockscope.analysis.findings.scene import Scene, about_process, evidence, remote_text
from sockscope.analysis.ports import service_port
from sockscope.analysis.sight import seconds_text
from sockscope.analysis.tracks import Track
from sockscope.model.finding import Finding
from sockscope.model.socket import Socket

ROWS, AGE_S = 20, 10.0
QUIET_S = 60.0  # none of the group may have been closed for so long, nor since watching began
LIMIT_SHARE = 0.1


def find(scene: Scene) -> Iterator[Finding]:
    """Report 20 and more per process and port, each 10 s old, none closed, and rising or a tenth of the fd limit."""
    groups: dict[tuple[tuple[int, ...], int, int], list[tuple[Socket, Track]]] = {}
    for socket, track in scene.tracked("tcp"):
        if socket.state != "CLOSE_WAIT" or not socket.inode or scene.now_s - track.state_since_s < AGE_S:
            continue
        pids = scene.pids(socket)
        if pids:
            place = (pids, socket.netns, service_port(scene.memory.listeners, socket))
            groups.setdefault(place, []).append((socket, track))
    for (pids, netns, port), rows in groups.items():
        closed_s = scene.memory.closes.get((netns, port))
        if len(rows) < ROWS or (closed_s is not None and scene.now_s - closed_s < QUIET_S):
            continue
        rising = sum(track.state_whole and scene.now_s - track.state_since_s < QUIET_S for _, track in rows)
        process = scene.process(pids[0])
        limit = process.fd_limit if process is not None else None
        if not rising and (limit is None or len(rows) < LIMIT_SHARE * limit):
            continue
        yield _finding(scene, pids, port, rows, rising=rising, limit=limit)


def _finding(
    scene: Scene, pids: tuple[int, ...], port: int, rows: list[tuple[Socket, Track]], *, rising: int, limit: int | None
) -> Finding:
    first, oldest = rows[0][0], min(rows, key=lambda row: row[1].state_since_s)[1]
    since_s = scene.now_s - oldest.state_since_s
    served = scene.is_accepted(first)
    where = f"clients of port {port}" if served else f"connections to port {port}, as {remote_text(first)},"
    return Finding(
        "close-wait-leak", "warning",
        f"{scene.who(pids)} has not closed {len(rows)} {where} though the other end has,"
        f" the oldest for {'' if oldest.state_whole else 'at least '}{seconds_text(since_s)}"
        + (f"; {rising} more in the last minute" if rising else ""),
        (evidence("CLOSE_WAIT", f"{len(rows)} rows of 10 s and older", "sock_diag, each look"),
         evidence("new in the last minute", rising, "states seen to change"),
         evidence("closed meanwhile", "none", "states seen to change"),
         evidence("limit of open files", limit if limit is not None else "not read", "/proc/PID/limits")),
        ("Close the socket when a read returns 0 bytes (EOF), also on error paths",
         "In HTTP clients: read the response body to its end, or close it"),
        for_s=since_s, about=(*about_process(pids), ("port", str(port))),
        sockets=tuple(socket.key for socket, _ in rows),
    )
