"""What the owner map remembers of a process, and the cheap facts of it: 26 us, two files and one stat."""

from __future__ import annotations

import os
from typing import NamedTuple

from sockscope.kernel.gone import is_gone
from sockscope.kernel.proc_fd import FdDirectory
from sockscope.kernel.proc_stat import PF_KTHREAD, read_stat
from sockscope.model.process import Process


class Entry:
    """One process. The `..._at` are numbers of looks, 0 = never."""

    __slots__ = ("changed_at", "directory", "facts", "pid", "refused", "refused_at", "surprised_at", "verified_ran")

    def __init__(self, pid: int, directory: FdDirectory, look: int) -> None:
        self.pid = pid
        self.directory = directory
        self.facts: Process | None = None
        self.changed_at = look
        self.surprised_at = 0
        self.refused = False
        self.refused_at = 0
        self.verified_ran: bytes | None = None  # its schedstat when all its sockets had been verified

    def may_hold(self, root: str, *, has_counts: bool) -> bool:
        """Whether a process that refused us can hold anything: kernel threads and zombies have no fds."""
        if has_counts and self.directory.inode:
            return self.directory.open_fds > 0
        stat = read_stat(self.pid, root)
        return stat is None or not (stat.flags & PF_KTHREAD or stat.state == "Z")


class Reading(NamedTuple):
    """A process's sockets by fd, and its directory and number of fds when they were read."""

    directory: FdDirectory
    links: int
    sockets: dict[int, int]


def read_facts(entry: Entry, root: str, *, has_counts: bool) -> Process | None:
    """Read the process's name, parent, user and thread count; the last value itself where nothing changed.

    The owner of /proc/PID is the effective uid even of a daemon that dropped root and may not be dumped; all that is
    below it belongs to root then (fs/proc/base.c task_dump_owner).
    """
    stat = read_stat(entry.pid, root)
    if stat is None:
        return None
    uid: int | None = None
    try:
        uid = os.stat(f"{root}/{entry.pid}").st_uid  # noqa: PTH116 - pathlib costs more than the call
    except OSError as error:
        if is_gone(error):
            return None
    facts = Process(
        pid=entry.pid, start_ticks=stat.start_ticks, name=stat.name, parent_pid=stat.parent_pid, uid=uid,
        thread_count=stat.thread_count, fd_count=entry.directory.open_fds if has_counts else None,
    )
    return entry.facts if entry.facts == facts else facts
