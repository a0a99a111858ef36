"""receive-stalled: readable data that nobody reads, and why: edge-missed, oneshot-spent, unwatched, below-low-water."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from msgspec import structs

from sockscope.analysis import history
from sockscope.analysis.findings.scene import Scene, about_port, about_process, evidence
from sockscope.analysis.receive_move import payload
from sockscope.analysis.sight import Sight, bytes_text, for_text, port_text, seconds_text
from sockscope.analysis.wait_chain import chain_text, wait_chain
from sockscope.model.detail import Watch
from sockscope.model.finding import Evidence, Finding
from sockscope.model.socket import Socket
from sockscope.model.verdict import Move

STALLED_S = 10.0
EPOLLIN, EPOLLOUT, ALWAYS = 0x1, 0x4, 0x18


def find(scene: Scene) -> Iterator[Finding]:
    """Report sockets whose readable data was verifiably not touched for 10 s; those of a process and cause together."""
    groups: dict[tuple[object, ...], Finding] = {}
    for socket, move in scene.moved():
        if socket.is_listener or not socket.inode or not payload(socket):
            continue
        if move.receive.condition != "stalled" and socket.key not in scene.memory.details:
            continue
        sight = scene.sight(socket)
        found = _below_mark(scene, sight) or _unread(scene, sight, move.receive)
        if found is None:
            continue
        place = (found.rule, found.cause, found.severity, found.about)
        groups[place] = _together(groups[place], found) if place in groups else found
    yield from (_counted(finding) for finding in groups.values())


def _together(one: Finding, other: Finding) -> Finding:
    """Keep the longest as the example, first among the sockets."""
    longest, shorter = (one, other) if (one.for_s or 0.0) >= (other.for_s or 0.0) else (other, one)
    return structs.replace(longest, sockets=(*longest.sockets, *shorter.sockets))


def _counted(finding: Finding) -> Finding:
    more = len(finding.sockets) - 1
    if not more:
        return finding
    return structs.replace(finding, summary=f"{finding.summary}; {more} more sockets alike")


def _unread(scene: Scene, sight: Sight, move: Move) -> Finding | None:
    socket = sight.socket
    if move.party != "app" or move.condition != "stalled" or (move.since_s or 0.0) < STALLED_S:
        return None
    pids = scene.pids(socket)
    cause, severity, why, advice = _cause(scene, sight)
    chain = chain_text(wait_chain(socket, scene.observation)) if cause in (None, "unwatched") else ""
    if chain:  # its thread is stuck elsewhere: that is the why, and where to go on
        why, advice = chain, ("Follow what its thread waits for: the fault is there",)
    mark = sight.lowat()
    tight = _window_is_closed(sight)
    ignores_mark = socket.protocol != "tcp"  # poll() of UDP and unix sockets ignores SO_RCVLOWAT
    sure = mark is not None or tight or ignores_mark
    if severity == "" or not sure:
        heavy = sure and (scene.is_accepted(socket) or tight)
        severity = "warning" if heavy and socket.protocol == "tcp" else "note"
    since_s = move.since_s or 0.0
    who = scene.holder_of(socket)
    has = "have" if who.endswith(" more") else "has"
    return Finding(
        "receive-stalled", severity,
        f"{who} {has} not read {_what(scene, socket)}"
        f" {for_text(since_s, move.at_least)}{': ' + why if why else ''}",
        _evidence(sight, move, mark), advice, cause=cause, for_s=since_s,
        about=(*about_process(pids), *(about_port(socket) if scene.is_accepted(socket) else ())),
        sockets=(socket.key,),
    )


def _what(scene: Scene, socket: Socket) -> str:
    """Say what is unread and from whom: of datagrams the memory they take, and nobody where it is bound only."""
    amount = bytes_text(payload(socket))
    what = amount if socket.protocol in ("tcp", "unix") else f"the datagrams in {amount} of its buffer"
    return what if socket.family != "unix" and socket.remote is None else f"{what} from {scene.other_end(socket)}"


def _evidence(sight: Sight, move: Move, mark: int | None) -> tuple[Evidence, ...]:
    socket, tcp = sight.socket, sight.tcp
    lines = [
        evidence("unread", bytes_text(payload(socket)), "sock_diag, each look"),
        evidence("mark", "not read: 1 (default)" if mark is None else bytes_text(mark), "SO_RCVLOWAT, borrowed fd"),
    ]
    if tcp is not None and tcp.consumed is not None:
        taken = f"{bytes_text(tcp.consumed)}, unchanged over {tcp.consumed_reads} readings"
        age_s = sight.now_s - tcp.at_s
        lines.append(evidence("taken by the application", taken, "tcp_info bytes_received - rq", age_s))
    frozen_s = sight.frozen_since_s()
    if frozen_s is not None:
        lines.append(evidence("threads of the holders", f"none ran for {sight.now_s - frozen_s:.0f} s", "schedstat"))
    lines.append(evidence("watches", _watch_text(sight), "epoll fdinfo"))
    if move.at_least:
        lines.append(evidence("since", "before watching began", "first look"))
    return tuple(lines)


def _watch_text(sight: Sight) -> str:
    read = sight.detail.watches if sight.detail is not None else None
    if read is None or read.value is None:
        return "not read"
    return ", ".join(
        f"epoll {watch.epoll_fd} of {watch.pid}: fd {watch.fd} {watch.trigger}"
        + (" one-shot" if watch.oneshot else "") + ("" if watch.armed else " fired")
        for watch in read.value
    ) or "none"


def _window_is_closed(sight: Sight) -> bool:
    tcp = sight.tcp
    return tcp is not None and tcp.info.rcv_wnd is not None and tcp.info.rcv_wnd <= tcp.info.rcv_mss


def _cause(scene: Scene, sight: Sight) -> tuple[str | None, str, str, tuple[str, ...]]:
    """Tell (cause, severity or "", why, advice); the severity "" leaves it to the socket's role."""
    socket = sight.socket
    plain = (None, "", "", ("See in the Process view what its threads do instead of reading",))
    watches, pids = scene.watches(socket), scene.pids(socket)
    if watches is None:
        return plain
    if watches and all(watch.trigger == "edge" and watch.armed for watch in watches):
        return _edge(scene, sight, watches) or plain
    if socket.state == "CLOSE_WAIT" or not _sleeps(sight):
        return plain
    if watches and all(watch.oneshot and not watch.armed for watch in watches):
        return ("oneshot-spent", "", "its one-shot registration fired and was not armed again",
                ("Arm it again with epoll_ctl(EPOLL_CTL_MOD) after each event of a one-shot registration",))
    if watches and all(not watch.events & EPOLLIN for watch in watches):
        return ("unwatched", "note", "watched, but not for reading: paused by the application",
                ("Nothing, if the application pauses reading on purpose (back-pressure)",))
    if not watches and _nobody_waits(scene, socket, pids):
        return ("unwatched", "", "no thread waits for it and no epoll set watches it",
                ("Register it for reading, or read it: it was forgotten after an event, or its thread is stuck",))
    return plain


def _edge(
    scene: Scene, sight: Sight, watches: tuple[Watch, ...]
) -> tuple[str | None, str, str, tuple[str, ...]] | None:
    """Judge data left behind an edge: lost, or paused by an application that keeps readiness in user space."""
    sets = {(watch.pid, watch.epoll_fd) for watch in watches if watch.events & EPOLLIN}
    if not sets or not (_thread_waits_on(scene, sets) or _waits_in_epoll(scene, sight.socket)):
        return None
    muted = any(scene.memory.is_muted("edge-missed", pid) for pid in scene.pids(sight.socket))
    since_s = sight.tcp.consumed_since_s if sight.tcp is not None else sight.now_s - STALLED_S
    if _grew(sight, since_s):
        return ("paused", "note", "it was woken by new data and did not read: paused by the application",
                ("Nothing, if the application pauses reading on purpose (back-pressure)",))
    fd = watches[0].fd
    why = f"epoll {watches[0].epoll_fd} watches fd {fd} edge-triggered, its thread sleeps in epoll_wait"
    if muted or any(watch.events & EPOLLOUT for watch in watches):
        return ("edge-missed", "note", f"{why}: paused, or an edge was lost",
                ("Where reading is not paused on purpose: read until EAGAIN after each edge",))
    return ("edge-missed", "warning", f"{why}: the edge was spent",
            ("Read until EAGAIN after each event of an edge-triggered registration",
             "Or register it level-triggered (without EPOLLET)"))


def _thread_waits_on(scene: Scene, sets: set[tuple[int, int]]) -> bool:
    """Whether a thread sleeps in epoll_wait on one of these sets at the last reading."""
    for pid, epoll_fd in sets:
        seen = scene.memory.process(scene.snapshot.processes.get(pid))
        if seen is None or not scene.memory.is_fresh(seen.at_s):
            continue
        for thread in seen.threads:
            call = thread.thread.call or ""
            if call.startswith("epoll_") and thread.thread.on_fd == epoll_fd and thread.thread.state == "S":
                return True
    return False


def _waits_in_epoll(scene: Scene, socket: Socket) -> bool:
    """Whether the socket's own details, read lately, name a thread that waits on a set that watches it."""
    detail = scene.detail(socket)
    read = detail.waiters if detail is not None else None
    if read is None or read.value is None or not scene.memory.is_fresh(read.read_at_s):
        return False
    return any(waiter.via == "epoll" for waiter in read.value)


def _grew(sight: Sight, since_s: float) -> bool:
    samples = history.samples_of(sight.memory.history, sight.socket.key, since_s)
    later = [sample for sample in samples if sample.at_s > since_s]
    return any(new.receive_queued > old.receive_queued for old, new in pairwise(later))


def _sleeps(sight: Sight) -> bool:
    frozen_s = sight.frozen_since_s()
    return frozen_s is not None and sight.now_s - frozen_s >= STALLED_S


def _nobody_waits(scene: Scene, socket: Socket, pids: tuple[int, ...]) -> bool:
    """Known only where every holder is seen, its waiters were read, and none of them has an io_uring."""
    detail = scene.detail(socket)
    read = detail.waiters if detail is not None else None
    if read is None or read.value is None or read.value or not scene.snapshot.holders_complete(socket):
        return False
    for pid in pids:
        process = scene.snapshot.processes.get(pid)
        full = scene.memory.process_details.get(process.key) if process is not None else None
        fds = full.fds.value if full is not None and full.fds is not None else None
        if fds is not None and any(fd.kind == "io_uring" for fd in fds):
            return False
        seen = scene.memory.process(process)
        if seen is not None and any(thread.thread.call == "io_uring_enter" for thread in seen.threads):
            return False
    return True


def _below_mark(scene: Scene, sight: Sight) -> Finding | None:
    """Report a reader that waits for more than lies there while nothing comes any more."""
    socket, tcp, track, mark = sight.socket, sight.tcp, sight.track, sight.lowat()
    detail = sight.detail
    waiters = detail.waiters.value if detail is not None and detail.waiters is not None else None
    if mark is None or mark <= 1 or socket.protocol != "tcp" or not waiters or tcp is None or track is None:
        return None
    queued, quiet_s = payload(socket), tcp.info.last_data_recv_ms / 1000
    if tcp.info.receive_queued == queued:  # nothing came since that reading, which may be ten seconds old
        quiet_s += sight.now_s - tcp.at_s
    if tcp.info.receive_queued == socket.receive_queued:
        quiet_s += sight.now_s - tcp.at_s  # the reader sleeps: an arrival since the reading would show in rq
    waited_s = sight.now_s - track.receive_since_s if track.receive_since_s is not None else 0.0
    if not 0 < queued < mark or quiet_s < STALLED_S or waited_s < STALLED_S or _window_is_closed(sight):
        return None
    pids = scene.pids(socket)
    return Finding(
        "receive-stalled", "warning",
        f"{scene.holder_of(socket)} waits for {bytes_text(mark)} at once (SO_RCVLOWAT), {bytes_text(queued)} came and"
        f" nothing more for {seconds_text(quiet_s)}",
        (evidence("unread", bytes_text(queued), "sock_diag, each look"),
         evidence("mark", bytes_text(mark), "SO_RCVLOWAT, borrowed fd"),
         evidence("last arrival", f"{quiet_s:.0f} s ago", "tcp_info last_data_recv", sight.now_s - tcp.at_s),
         evidence("waits", f"thread {waiters[0].tid} in {waiters[0].call}", "task/syscall")),
        (f"Set SO_RCVLOWAT no higher than the shortest message ({port_text(socket)} has {mark})",),
        cause="below-low-water", for_s=waited_s, about=about_process(pids), sockets=(socket.key,),
    )
