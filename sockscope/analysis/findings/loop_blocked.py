"""loop-blocked: an event loop's thread sleeps in another call while its epoll set has readable sockets."""

from __future__ import annotations

from collections.abc import Iterator

from sockscope.analysis.findings.scene import Scene, about_process, evidence, remote_text
from sockscope.analysis.progress import ProcessProgress, ThreadProgress
from sockscope.analysis.sight import seconds_text
from sockscope.analysis.wait_chain import held
from sockscope.model.finding import Finding
from sockscope.model.process import Process
from sockscope.model.socket import SocketKey

READINGS = 3
BLOCKED_S = 3.0


def find(scene: Scene) -> Iterator[Finding]:
    """Report threads seen in epoll_wait before, now asleep elsewhere, whose sets nobody else waits on."""
    for process in scene.snapshot.processes.values():
        seen = scene.memory.process(process)
        if seen is None or not scene.memory.is_fresh(seen.at_s):
            continue
        for thread in seen.threads:
            if _is_blocked(seen, thread):
                waiting = _unread_behind(scene, process.pid, thread.set_fd)
                if waiting:
                    yield _finding(scene, process, seen, thread, waiting)


def _is_blocked(seen: ProcessProgress, thread: ThreadProgress) -> bool:
    now, set_fd = thread.thread, thread.set_fd
    if set_fd is None or now.call is None or now.call.startswith("epoll_") or now.call in ("running", "none"):
        return False
    if now.state not in ("S", "D") or thread.call_since_s is None or thread.call_readings < READINGS:
        return False
    others = (other.thread for other in seen.threads if other is not thread)
    served = any((other.call or "").startswith("epoll_") and other.on_fd == set_fd for other in others)
    return not served and seen.at_s - thread.call_since_s >= BLOCKED_S


def _unread_behind(scene: Scene, pid: int, set_fd: int | None) -> list[tuple[SocketKey, float]]:
    """List readable sockets that this set watches and that waited as long as the loop is away."""
    found = []
    for socket, track in scene.tracked():
        if track.receive_since_s is None or scene.now_s - track.receive_since_s < BLOCKED_S:
            continue
        if any(watch.pid == pid and watch.epoll_fd == set_fd and watch.armed for watch in scene.watches(socket) or ()):
            found.append((socket.key, scene.now_s - track.receive_since_s))
    return found


def _finding(
    scene: Scene, process: Process, seen: ProcessProgress, thread: ThreadProgress,
    waiting: list[tuple[SocketKey, float]],
) -> Finding:
    now = thread.thread
    away_s = seen.at_s - (thread.call_since_s or seen.at_s)
    return Finding(
        "loop-blocked", "warning",
        f"{scene.who([process.pid])}: the event loop's thread {now.tid} has slept in {now.call}"
        f"{_on(scene, process.pid, now.on_fd)} for {seconds_text(away_s)} while {len(waiting)} of its sockets"
        " wait to be read",
        (evidence("thread", f"{now.tid} in {now.call}, asleep over {thread.call_readings} readings", "task/syscall",
                  scene.now_s - seen.at_s),
         evidence("epoll set", f"fd {thread.set_fd}, nobody waits on it", "task/syscall, epoll fdinfo"),
         evidence("readable behind it", f"{len(waiting)}, the oldest for {max(age for _, age in waiting):.0f} s",
                  "sock_diag, each look")),
        ("Do not block in the event loop: hand the call to a thread, or use its non-blocking form",),
        for_s=away_s, about=about_process([process.pid]), sockets=tuple(key for key, _ in waiting),
    )


def _on(scene: Scene, pid: int, fd: int | None) -> str:
    if fd is None:
        return ""
    socket = held(scene.snapshot, pid, fd)
    return f"(fd {fd} → {remote_text(socket)})" if socket is not None and socket.remote is not None else f"(fd {fd})"
