"""Who has the other ends of a process's pipes: a search through every process's fds, remembered for a while."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable

from sockscope.kernel.proc_fd import FdFolder, list_pids
from sockscope.kernel.proc_stat import read_stat
from sockscope.model.detail import PipeEnd, Read
from sockscope.model.gap import Gap
from sockscope.model.process import Fd

AGAIN_S = 10.0  # a search reads every link there is: 3.7 us each
_PIPE = "pipe:["


class PipeEnds:
    """Searches at most once in AGAIN_S, for all pipes at once. A named fifo is told by its path, not found here."""

    def __init__(self, root: str = "/proc") -> None:
        self._root = root
        self._ends: dict[int, list[PipeEnd]] = {}
        self._searched_at_s: float | None = None
        self._gap: Gap | None = None

    def of(self, pid: int, fds: Iterable[Fd], now_s: float, late: Callable[[], bool]) -> Read[tuple[PipeEnd, ...]]:
        """Return other processes' ends of these pipes; its gap counts the processes that could not be searched."""
        inodes = dict.fromkeys(fd.inode for fd in fds if fd.kind == "pipe" and fd.inode)
        if not inodes:
            return Read((), now_s)
        if self._searched_at_s is None or now_s - self._searched_at_s >= AGAIN_S:
            self._search(late)
            self._searched_at_s = now_s
        found = tuple(end for inode in inodes if inode for end in self._ends.get(inode, ()) if end.pid != pid)
        return Read(found, self._searched_at_s, self._gap)

    def _search(self, late: Callable[[], bool]) -> None:
        self._ends, refused = {}, 0
        self._gap = None
        for pid in list_pids(self._root):
            if late():
                self._gap = Gap("fds", "over_budget", detail="the search for the other ends of pipes took too long")
                return
            try:
                self._search_process(pid)
            except PermissionError:
                refused += 1
            except (FileNotFoundError, ProcessLookupError):
                continue
            except OSError as error:
                self._gap = Gap("fds", "failed", 1, os.strerror(error.errno or 0))
        if refused:
            self._gap = Gap("fds", "not_permitted", refused, "processes that may have the other end of a pipe")

    def _search_process(self, pid: int) -> None:
        about = read_stat(pid, self._root)
        with FdFolder(pid, self._root) as folder:
            for name in folder.names():
                try:
                    target = folder.link(name)
                    if not target.startswith(_PIPE):
                        continue
                    mode = os.lstat(name, dir_fd=folder.fd).st_mode  # the link's r and w are the fd's own
                except FileNotFoundError:
                    continue
                inode = int(target[len(_PIPE) : -1])
                reads, writes = bool(mode & stat.S_IRUSR), bool(mode & stat.S_IWUSR)
                end = PipeEnd(pid, int(name), inode, None if reads == writes else writes, about.name if about else None)
                self._ends.setdefault(inode, []).append(end)
