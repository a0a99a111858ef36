"""What to ask in detail next, by findings.md section 1: few rows, the oldest first, and only what can decide."""

from __future__ import annotations

from sockscope.analysis.memory import Memory
from sockscope.analysis.receive_move import payload
from sockscope.analysis.sight import VERIFY_S, Sight
from sockscope.analysis.tracks import Track, asks_dns
from sockscope.model.detail import Wanted
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Socket, SocketKey

MOST_SOCKETS = 64  # a tick
MOST_PROCESSES = 64
FACETS = frozenset({"tcp", "marks", "waiters", "watches", "threads"})
MANY_FILES, LIMIT_AGAIN_S, MOST_LIMITS = 100, 60.0, 4  # below 100 no usual limit (256 and above) is near
HERD_PER_S, HERD_HOLDERS, MOST_HERDS = 20.0, 4, 4
AGAIN_S = 10.0  # a row whose holders provably sleep is asked again after so long: the proof needs no tcp_info


def suspects(memory: Memory, snapshot: Snapshot, budget: int = MOST_SOCKETS) -> Wanted:
    """Ask for rows that had bytes unread, or a zero window, in two consecutive looks without a fall.

    At most `budget` and MOST_SOCKETS of them, longest first; and the threads of the processes that hold them, and of
    those that hold a listener with a standing accept queue.
    """
    candidates: list[tuple[float, int, SocketKey, Socket]] = []
    for number, (key, track) in enumerate(memory.tracks.items()):
        socket = snapshot.sockets.get(key)
        began_s = _suspect_since(memory, track, socket) if socket is not None else None
        if socket is not None and began_s is not None:
            candidates.append((began_s, number, key, socket))
    candidates.sort(key=lambda candidate: candidate[:2])
    chosen = candidates[: max(0, min(budget, MOST_SOCKETS))]
    sockets = tuple(key for _, _, key, socket in chosen if _needs_detail(memory, snapshot, socket))
    processes: dict[int, None] = {}
    for _, _, _, socket in chosen:
        processes.update(dict.fromkeys(holder.pid for holder in snapshot.holders_of(socket)))
    processes.update(dict.fromkeys(_askers_of_names(memory, snapshot)))
    accepting = [pid for _, _, _, row in chosen if row.is_listener for pid in _pids(snapshot, row)]
    many_files = _limits_wanted(memory, snapshot, accepting)
    herded = _busy_listeners(memory, snapshot)
    processes.update(dict.fromkeys(pid for row in herded for pid in _pids(snapshot, row)))
    return Wanted(
        generation=memory.sample, sockets=tuple(dict.fromkeys((*sockets, *(row.key for row in herded)))),
        processes=tuple(dict.fromkeys((*list(processes)[:MOST_PROCESSES], *many_files))),
        facets=FACETS | {"process"} if many_files else FACETS,
    )


def _askers_of_names(memory: Memory, snapshot: Snapshot) -> list[int]:
    """List who has had a question open to a name server since the last look: dns-waiting needs its threads."""
    return [
        holder.pid
        for key, track in memory.tracks.items()
        if track.receive_since_s is None and memory.sample > track.first_sample
        and (socket := snapshot.sockets.get(key)) is not None and asks_dns(socket)
        for holder in snapshot.holders_of(socket)
    ]


def _pids(snapshot: Snapshot, socket: Socket) -> list[int]:
    return [holder.pid for holder in snapshot.holders_of(socket)]


def _busy_listeners(memory: Memory, snapshot: Snapshot) -> list[Socket]:
    """List listeners that a herd may wait at: several holders, where connections come 20 a second and faster."""
    looks = memory.counters[-2:]
    if len(looks) < 2:
        return []
    before, now = (
        next((one.values.get("Tcp.PassiveOpens") for one in look.counters if one.netns == snapshot.netns), None)
        for look in looks
    )
    if before is None or now is None or now - before < HERD_PER_S * (looks[1].at_s - looks[0].at_s):
        return []
    rows = [snapshot.sockets.get(key) for keys in memory.listeners.values() for key in keys]
    held = [row for row in rows if row is not None and len(snapshot.holders_of(row)) >= HERD_HOLDERS]
    return held[:MOST_HERDS]


def _limits_wanted(memory: Memory, snapshot: Snapshot, accepting: list[int]) -> list[int]:
    """List a few processes whose fd limit is not known, or was read long ago, and may matter.

    That is where many files are open, or where nobody accepts.
    """
    found = []
    for pid, process in snapshot.processes.items():
        if process.fd_limit is not None or ((process.fd_count or 0) < MANY_FILES and pid not in accepting):
            continue
        detail = memory.process_details.get(process.key)
        read = detail.process if detail is not None else None
        if read is None or snapshot.monotonic_s - read.read_at_s > LIMIT_AGAIN_S:
            found.append(pid)
    return found[:MOST_LIMITS]


def _suspect_since(memory: Memory, track: Track, socket: Socket) -> float | None:
    """Tell since when the row is suspect; None where it is not."""
    unread = track.receive_since_s is not None and memory.sample > track.receive_sample
    if unread and (socket.is_listener or payload(socket)):
        return track.receive_since_s
    if track.probe_since_s is not None and memory.sample > track.probe_sample:
        return track.probe_since_s
    charged = socket.protocol == "unix" and track.send_since_s is not None and memory.sample > track.send_sample
    return track.send_since_s if charged else None


def _needs_detail(memory: Memory, snapshot: Snapshot, socket: Socket) -> bool:
    """Whether its own details are wanted. While its holders' sleep proves that nobody reads, once each AGAIN_S."""
    sight = Sight(memory, snapshot, socket)
    frozen_s = sight.frozen_since_s()
    read = sight.detail.watches or sight.detail.tcp if sight.detail is not None else None
    if frozen_s is None or read is None or sight.now_s - frozen_s < VERIFY_S:
        return True
    probing = sight.track is not None and sight.track.probe_since_s is not None
    return probing or sight.now_s - read.read_at_s >= AGAIN_S
