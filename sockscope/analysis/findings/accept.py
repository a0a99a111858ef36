"""accept-stalled, accept-overflow: connections wait in the accept queue, or are thrown away before it."""

from __future__ import annotations

from collections.abc import Iterator

from sockscope.analysis.findings.scene import Scene, about_port, about_process, evidence
from sockscope.analysis.receive_move import ACCEPT_SAMPLES
from sockscope.analysis.sight import for_text, is_full, port_text
from sockscope.analysis.tracks import Track
from sockscope.model.finding import Evidence, Finding
from sockscope.model.socket import Socket

OVERFLOW_SAMPLES = 2  # of the ten that a track keeps
OVERFLOW_AT_ONCE = 10
JUDGED_S = 7.0  # accept-stalled needs 5 s, told by looks a second apart


def find_stalled(scene: Scene) -> Iterator[Finding]:
    """Report listeners whose oldest connection waits 5 s and more while none was accepted in five samples."""
    for socket, move in scene.moved():
        if not socket.is_listener or move.row.condition != "stalled":
            continue
        pids = scene.pids(socket)
        room = f", room for {socket.send_queued + 1}" if socket.send_queued is not None else ""
        waiting = socket.receive_queued
        count = "1 connection waits" if waiting == 1 else f"{waiting} connections wait"
        since_s = move.row.since_s or 0.0
        at_limit = [pid for pid in pids if _at_fd_limit(scene, pid)]
        yield Finding(
            "accept-stalled", "severe",
            f"{count} on {port_text(socket)} for {scene.holder_of(socket)} to accept()"
            f"{room}; the oldest {for_text(since_s, move.row.at_least)}",
            (*_queue(socket), evidence("oldest wait", f"{'≥' if move.row.at_least else ''}{since_s:.0f} s",
                                       "cookies without an inode, each look")),
            _advice(scene, at_limit, pids),
            cause="fd-limit" if at_limit else None, for_s=since_s,
            about=(*about_process(pids), *about_port(socket)), sockets=(socket.key,),
        )


def _queue(socket: Socket) -> tuple[Evidence, ...]:
    limit = socket.send_queued if socket.send_queued is not None else "not known"
    state = "full" if is_full(socket) else "not full"
    return (evidence("accept queue", f"{socket.receive_queued} waiting, backlog {limit}, {state}", "each look"),)


def _at_fd_limit(scene: Scene, pid: int) -> bool:
    process = scene.process(pid)
    return (
        process is not None and process.fd_limit is not None and process.fd_count is not None
        and process.fd_count >= process.fd_limit
    )


def _advice(scene: Scene, at_limit: list[int], pids: tuple[int, ...]) -> tuple[str, ...]:
    if at_limit:
        full = f"{scene.who(at_limit)} is at its limit of open files: accept() fails with EMFILE"
        return (f"{full}. Raise LimitNOFILE, or close what is no longer used",)
    if not pids:
        return ("The process is not visible: run as root to see what it does instead of accepting",)
    return (
        "See in the Process view what its threads do instead of accept()",
        "If the listener is in an epoll set, look whether its registration was removed or spent (one-shot)",
    )


def is_being_judged(scene: Scene, socket: Socket, track: Track) -> bool:
    """Whether the queue stands and will be accept-stalled within seconds, or prove that it moves: one fault, one name.

    So an overflow is told at once where connections are accepted, and some seconds later where none is.
    """
    return _is_young(scene, socket, track, JUDGED_S) and not _accepts(scene, socket)


def may_yet_stall(scene: Scene, socket: Socket, track: Track) -> bool:
    """Say the same of a process that accepts until no fd is left: its last accept delays the verdict."""
    return _is_young(scene, socket, track, JUDGED_S + (ACCEPT_SAMPLES if _accepts(scene, socket) else 0))


def _is_young(scene: Scene, socket: Socket, track: Track, judged_s: float) -> bool:
    move = scene.moves.get(socket.key)
    if track.receive_since_s is None or (move is not None and move.row.condition == "stalled"):
        return False
    return scene.now_s - track.receive_since_s < judged_s


def _accepts(scene: Scene, socket: Socket) -> bool:
    seen = scene.memory.accepts.get((socket.netns, socket.local.port or 0))
    return seen is not None and scene.memory.sample - seen.sample < ACCEPT_SAMPLES


def find_overflow(scene: Scene) -> Iterator[Finding]:
    """Report listeners that throw connections away: their own drop counter and the namespace's ListenOverflows rise.

    ListenDrops rises with both; but it rises too, and the listener's drops with it, when the SYN queue is full.
    """
    for socket, track in scene.tracked("tcp"):
        if not socket.is_listener or not track.drops:
            continue
        if is_full(socket) and is_being_judged(scene, socket, track):
            continue
        counted = scene.rises(socket.netns, "TcpExt.ListenOverflows")
        known = scene.counter(socket.netns, "TcpExt.ListenOverflows") is not None
        drops = [rise for sample, rise in track.drops if not known or sample in counted]
        if len(drops) < OVERFLOW_SAMPLES and not any(rise >= OVERFLOW_AT_ONCE for rise in drops):
            continue
        pids = scene.pids(socket)
        limit = socket.send_queued or 0
        somaxconn = scene.counter(socket.netns, "sysctl.somaxconn")
        yield Finding(
            "accept-overflow", "warning",
            f"{sum(drops)} connection attempts to {port_text(socket)} were dropped in the last 10 looks:"
            f" the accept queue of {limit + 1} overflows",
            (*_queue(socket),
             evidence("drops of the listener", f"+{sum(drops)} in {len(drops)} looks", "SKMEMINFO drops, each look"),
             evidence("ListenOverflows", f"+{sum(counted.values())}" if known else "not read", "netstat, each look")),
            (f"Raise listen()'s backlog above {limit}"
             + (f" and net.core.somaxconn above {somaxconn}" if somaxconn is not None and limit >= somaxconn else ""),
             "Accept in a loop until EAGAIN, or with more threads or processes"),
            about=(*about_process(pids), *about_port(socket)), sockets=(socket.key,),
        )
