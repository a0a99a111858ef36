"""Every open fd of one process, of every kind, by readlink and fdinfo only.

No stat through /proc/PID/fd/N: behind a dead network file system it would hang (findings.md section 2). The kind comes
from the link's text, and for files from fdinfo's flags and the name.
"""

from __future__ import annotations

import os
import re

from sockscope.kernel.fdinfo import FdInfo, parse_fdinfo
from sockscope.model.gap import Gap
from sockscope.model.process import Fd

_ANON = {
    b"[eventpoll]": "eventpoll", b"[eventfd]": "eventfd", b"[timerfd]": "timerfd", b"[signalfd]": "signalfd",
    b"[io_uring]": "io_uring", b"inotify": "inotify", b"[fanotify]": "fanotify", b"[pidfd]": "pidfd",
    b"[userfaultfd]": "userfaultfd", b"[perf_event]": "perf_event", b"bpf-prog": "bpf", b"bpf-map": "bpf",
    b"bpf_iter": "bpf", b"bpf_link": "bpf", b"btf": "bpf",
}
_NUMBERED = re.compile(rb"^([a-z]+):\[(\d+)\]$")
_NAMESPACES = frozenset({b"net", b"mnt", b"pid", b"user", b"uts", b"ipc", b"cgroup", b"time"})
_O_DIRECTORY = 0o200000  # x86_64; aarch64 has 0o40000
_O_PATH = 0o10000000


def read_fds(pid: int, *, with_fdinfo: bool = True) -> tuple[tuple[Fd, ...], tuple[Gap, ...]]:
    """The fds in order of their number. Gaps: `process` when it is gone, `holders` when it may not be read."""
    try:
        folder = os.open(f"/proc/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return (), (Gap("holders", "not_permitted", 1, f"the fds of process {pid} belong to another user"),)
    except OSError:
        return (), (Gap("process", "vanished", 1, f"process {pid} is gone"),)
    fds: list[Fd] = []
    unread = 0
    try:
        for number in sorted(int(name) for name in os.listdir(folder)):
            try:
                target = os.readlink(os.fsencode(str(number)), dir_fd=folder)
            except OSError:
                continue  # closed since the listing
            info = _read_fdinfo(pid, number) if with_fdinfo else None
            unread += with_fdinfo and info is None
            fds.append(describe_fd(pid, number, target, info))
    except OSError:
        return tuple(fds), (Gap("process", "vanished", 1, f"process {pid} ended while it was read"),)
    finally:
        os.close(folder)
    return tuple(fds), (Gap("fdinfo", "vanished", unread),) if unread else ()


def describe_fd(pid: int, number: int, target: bytes, info: FdInfo | None) -> Fd:
    """One Fd of its link and fdinfo. `inode` is the number in the link for sockets, pipes and namespaces."""
    kind, inode = classify(target, info.flags if info else None)
    return Fd(
        pid=pid, fd=number, kind=kind, target=target, inode=inode,
        flags=info.flags if info else None, position=info.position if info else None,
        facts=info.facts if info else None,
    )


def classify(target: bytes, flags: int | None) -> tuple[str, int | None]:
    """(kind, inode) from the link's text, with the open flags for telling a directory from a file."""
    if target.startswith(b"anon_inode:"):
        return _ANON.get(target[11:], "anon"), None
    if match := _NUMBERED.match(target):
        name = match[1]
        kind = {b"socket": "socket", b"pipe": "pipe"}.get(name, "namespace" if name in _NAMESPACES else "anon")
        return kind, int(match[2])
    if target.startswith(b"/memfd:"):
        return "memfd", None
    if target.startswith(b"/dev/") and not target.startswith(b"/dev/shm/"):
        return "device", None
    if target.endswith(b" (deleted)"):
        return "deleted", None
    if flags is not None and flags & _O_DIRECTORY and not flags & _O_PATH:
        return "directory", None
    return "file", None


def _read_fdinfo(pid: int, number: int) -> FdInfo | None:
    try:
        with open(f"/proc/{pid}/fdinfo/{number}", "rb", buffering=0) as file:
            return parse_fdinfo(file.read(1 << 20))
    except OSError:
        return None
