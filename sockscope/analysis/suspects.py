"""What to ask in detail next, by findings.md section 1: few rows, the oldest first, and only what can decide."""

from __future__ import annotations

from sockscope.analysis.memory import Memory
from sockscope.analysis.receive_move import payload
from sockscope.analysis.sight import FRESH_S, Sight
from sockscope.analysis.tracks import Track, asks_dns
from sockscope.model.detail import Wanted
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Socket, SocketKey

MOST_SOCKETS = 64  # a tick
MOST_PROCESSES = 64
FACETS = frozenset({"tcp", "marks", "waiters", "watches", "threads"})
MANY_FILES, LIMIT_AGAIN_S, MOST_LIMITS = 100, 60.0, 4  # below 100 no usual limit (256 and above) is near
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
    many_files = _many_files(memory, snapshot)
    return Wanted(
        generation=memory.sample, sockets=sockets,
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


def _many_files(memory: Memory, snapshot: Snapshot) -> list[int]:
    """List a few processes with many open files whose limit is not known, or was read long ago."""
    found = []
    for pid, process in snapshot.processes.items():
        if (process.fd_count or 0) < MANY_FILES or process.fd_limit is not None:
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
    if frozen_s is None or read is None or sight.now_s - frozen_s < FRESH_S:
        return True
    probing = sight.track is not None and sight.track.probe_since_s is not None
    return probing or sight.now_s - read.read_at_s >= AGAIN_S
