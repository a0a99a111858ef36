"""/proc/PID/fdinfo/N: flags, position and what each kind of anonymous file tells of itself (proc(5)).

Parsing never raises: a line that is not understood is left out, and a field that is no number is None.
"""

from __future__ import annotations

from typing import NamedTuple

# fdinfo key -> name in words. Kernel sources: fs/eventfd.c, fs/timerfd.c, fs/signalfd.c, fs/notify/fdinfo.c,
# kernel/pid.c (pidfd_show_fdinfo), io_uring/fdinfo.c, net/unix/af_unix.c (scm_fds).
_FACTS = {
    "eventfd-count": "count", "eventfd-id": "id", "eventfd-semaphore": "semaphore", "clockid": "clock",
    "ticks": "ticks", "settime flags": "settime_flags", "it_value": "expires_in", "it_interval": "interval",
    "sigmask": "signals", "Pid": "pid", "NSpid": "namespace_pids", "scm_fds": "fds_in_flight",
    "SqMask": "sq_mask", "SqHead": "sq_head", "SqTail": "sq_tail", "CqHead": "cq_head", "CqTail": "cq_tail",
    "SqThread": "sq_thread", "SqThreadCpu": "sq_thread_cpu", "UserFiles": "registered_files",
    "UserBufs": "registered_buffers", "lock": "lock", "prog_type": "prog_type", "prog_id": "prog_id",
    "map_type": "map_type", "map_id": "map_id", "fanotify flags": "fanotify_flags",
}
_CLOCKS = {"0": "realtime", "1": "monotonic", "7": "boottime", "8": "realtime_alarm", "9": "boottime_alarm"}


class FdInfo(NamedTuple):
    """One fdinfo file. `flags` are the open flags with O_CLOEXEC; `facts` are (name, value) in the file's order."""

    flags: int | None
    position: int | None
    inode: int | None
    facts: tuple[tuple[str, str], ...]


def parse_fdinfo(data: bytes) -> FdInfo:
    """Decode one file's bytes."""
    flags = position = inode = None
    facts: list[tuple[str, str]] = []
    watched = inotify = 0
    for line in data.decode("utf-8", "backslashreplace").splitlines():
        key, separator, rest = line.partition(":")
        key, value = key.strip(), rest.strip()
        if not separator:
            inotify += line.startswith("inotify wd")
        elif key == "flags":
            flags = _number(value, 8)
        elif key == "pos":
            position = _number(value, 10)
        elif key == "ino":
            inode = _number(value, 10)
        elif key == "tfd":
            watched += 1
        elif key.startswith("inotify wd"):
            inotify += 1
        elif key == "eventfd-count":
            facts.append(("count", str(_number(value, 16)) if _number(value, 16) is not None else value))
        elif key == "clockid":
            facts.append(("clock", _CLOCKS.get(value, value)))
        elif key in _FACTS:
            facts.append((_FACTS[key], value))
    if watched:
        facts.append(("watches", str(watched)))
    if inotify:
        facts.append(("watches", str(inotify)))
    return FdInfo(flags, position, inode, tuple(facts))


def _number(text: str, base: int) -> int | None:
    try:
        return int(text, base)
    except ValueError:
        return None
