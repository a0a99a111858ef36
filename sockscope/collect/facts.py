"""All facts of one process, for a drill-down, --pid and --deep. What bulk looks need of it is in owner_entry.

procfs and the standard library only: psutil costs 125 us a process against 26 us here, and 32 ms to import.
"""

from __future__ import annotations

import os
import time

from sockscope.kernel.malformed import MalformedError
from sockscope.kernel.proc_cgroup import container_of, parse_cgroup
from sockscope.kernel.proc_stat import parse_stat, read_file
from sockscope.model.process import Process

_COMMAND_LIMIT = 1 << 20
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def read_process(pid: int, *, with_command: bool = True, root: str = "/proc") -> Process | None:
    """Everything /proc tells of a process, None if it is gone. A fact that may not be read is None.

    Its files are opened below one directory fd: all facts are of the same process even if the pid is given to another
    meanwhile. `with_command` reads the target's memory, which can wait as long as the target holds its own memory map
    (mmap_lock): ask for it on a lane that may hang.
    """
    try:
        folder = os.open(f"{root}/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _read(pid, folder, with_command=with_command)
    finally:
        os.close(folder)


def _read(pid: int, folder: int, *, with_command: bool) -> Process | None:
    try:
        stat = parse_stat(read_file("stat", dir_fd=folder))
        uid = os.fstat(folder).st_uid
    except (OSError, MalformedError):
        return None
    cgroup = _file(folder, "cgroup") or b""
    return Process(
        pid=pid, start_ticks=stat.start_ticks, name=stat.name, parent_pid=stat.parent_pid, uid=uid,
        command=_file(folder, "cmdline", _COMMAND_LIMIT) if with_command else None, cwd=_link(folder, "cwd"),
        cgroup=parse_cgroup(cgroup), container=container_of(cgroup),
        started_at=started_at(stat.start_ticks), fd_count=_fd_count(folder),
        fd_limit=parse_fd_limit(_file(folder, "limits") or b""), thread_count=stat.thread_count, netns=_netns(folder),
    )


def parse_fd_limit(text: bytes) -> int | None:
    """RLIMIT_NOFILE's soft limit in /proc/PID/limits; None where it is unlimited or not told."""
    at = text.find(b"Max open files")
    if at < 0:
        return None
    words = text[at + len(b"Max open files") :].split(None, 1)
    return int(words[0]) if words and words[0].isdigit() and len(words[0]) < 20 else None


class BootClock:
    """When the machine was started, in seconds since the epoch: btime of /proc/stat, to the microsecond.

    The same value as long as the clock is only slewed, or a process would seem to start at another instant each look.
    """

    def __init__(self) -> None:
        self._started: float | None = None

    def time(self) -> float:
        """Realtime minus boottime; kept until the clock was set by more than a second."""
        now = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        if self._started is None or abs(now - self._started) > 1.0:
            self._started = now
        return self._started


_BOOT = BootClock()


def started_at(start_ticks: int) -> float:
    """When a process of this boot was started, in seconds since the epoch."""
    return _BOOT.time() + start_ticks / _TICKS_PER_S


def _file(folder: int, name: str, limit: int = 1 << 16) -> bytes | None:
    try:
        return read_file(name, limit, folder)
    except OSError:
        return None


def _link(folder: int, name: str) -> bytes | None:
    try:
        return os.fsencode(os.readlink(name, dir_fd=folder))
    except OSError:
        return None


def _fd_count(folder: int) -> int | None:
    """Count open fds without the right to look at them (since Linux 6.2); on older kernels list them."""
    try:
        count = os.stat("fd", dir_fd=folder).st_size
        if count:
            return count
        fds = os.open("fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return None
    try:
        return len(os.listdir(fds))  # noqa: PTH208 - by directory fd
    finally:
        os.close(fds)


def _netns(folder: int) -> int | None:
    try:
        return os.stat("ns/net", dir_fd=folder).st_ino
    except OSError:
        return None
