"""fd-limit, fd-leak: a process, or the system, runs out of open files."""

from __future__ import annotations

from collections.abc import Iterator

from sockscope.analysis.findings.accept import may_yet_stall
from sockscope.analysis.findings.scene import Scene, about_process, evidence
from sockscope.analysis.sight import seconds_text
from sockscope.model.finding import Finding

NEAR, SEVERE, LEFT = 0.90, 0.99, 100
LEAK_S, LEAK_FDS = 600.0, 20


def find_limit(scene: Scene) -> Iterator[Finding]:
    """Report processes that use 90 % of their soft limit with less than 100 left, and the system's file-nr likewise.

    Twice in a row: sockets and fds are read some milliseconds apart, and a server that has just run out of fds may
    have an accept queue that looks empty in this one look.
    """
    judged = {
        pid for socket, track in scene.tracked("tcp") if socket.is_listener and may_yet_stall(scene, socket, track)
        for pid in scene.pids(socket)
    }
    for pid in scene.snapshot.processes:
        process = scene.process(pid) if pid not in judged else None
        if process is None or process.fd_count is None or not process.fd_limit:
            continue
        now = scene.snapshot.processes[pid].fd_count
        used, limit = process.fd_count if now is None else now, process.fd_limit
        trend = scene.memory.fd_trends.get(pid)
        before = trend.previous if trend is not None else None
        if before is None or not (_is_near(used, limit) and _is_near(before, limit)):
            continue
        yield Finding(
            "fd-limit", "severe" if used >= SEVERE * limit else "warning",
            f"{scene.who([pid])} has {used} of {limit} files open: at the limit accept(), open() and connect() fail",
            (evidence("open files", used, "/proc/PID/fd, each look"),
             evidence("soft limit", limit, "/proc/PID/limits")),
            ("Raise LimitNOFILE (systemd) or ulimit -n; close what is no longer used",),
            about=about_process([pid]),
        )
    yield from _system(scene)


def _is_near(used: int, limit: int) -> bool:
    return used >= NEAR * limit and limit - used < LEFT


def _system(scene: Scene) -> Iterator[Finding]:
    netns = scene.snapshot.netns
    used, limit = scene.counter(netns, "fs.file-nr.used"), scene.counter(netns, "fs.file-nr.max")
    if used is None or not limit or used < NEAR * limit:
        return
    yield Finding(
        "fd-limit", "severe" if used >= SEVERE * limit else "warning",
        f"the system has {used} of {limit} files open: at the limit every process fails",
        (evidence("open files", used, "/proc/sys/fs/file-nr"), evidence("maximum", limit, "/proc/sys/fs/file-max")),
        ("Raise fs.file-max, or find the process with the most open files",), about=(("system", "files"),),
    )


def find_leak(scene: Scene) -> Iterator[Finding]:
    """Report processes whose open files rose for 10 minutes without a fall, by 20 and more."""
    for pid, trend in scene.memory.fd_trends.items():
        for_s, risen = scene.now_s - trend.since_s, trend.last - trend.first
        if for_s < LEAK_S or risen < LEAK_FDS or pid not in scene.snapshot.processes:
            continue
        yield Finding(
            "fd-leak", "note",
            f"{scene.who([pid])} has opened {risen} files more than it closed in {seconds_text(for_s)}, without a fall",
            (evidence("open files", f"{trend.first}, now {trend.last}", "/proc/PID/fd, each look"),),
            ("Look in the Process view at what its newest fds are",), for_s=for_s, about=about_process([pid]),
        )
