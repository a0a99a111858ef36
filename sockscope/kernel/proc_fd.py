"""Open fds of processes, from /proc/PID/fd (proc_pid_fd(5), fs/proc/fd.c).

A link is read, never followed: stat() through it would ask a dead file server. By directory fd a readlink costs 3.7 us
against 8.4 us by path. Each function raises OSError as the kernel gave it: PermissionError for another user's process,
FileNotFoundError or ProcessLookupError for one that is gone.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from typing import NamedTuple, Self

_SOCKET = "socket:["
_SKIP = len(_SOCKET)
# Closed in between; or a path longer than the kernel can print, which no socket's link is.
_NO_SOCKET = frozenset({errno.ENOENT, errno.ENAMETOOLONG})


class FdDirectory(NamedTuple):
    """What stat() of /proc/PID/fd tells, without any right to look into it.

    `open_fds` is how many there are (proc_fd_getattr, since Linux 6.2; always 0 before). `inode` is made when the
    kernel first looks the directory up and dies with the process: the same number means the same process. A new number
    may mean either (the directory cache may have been emptied).
    """

    open_fds: int
    inode: int


def list_pids(root: str = "/proc") -> list[int]:
    """Every process we may know of, in the kernel's order. Raises OSError where there is no procfs."""
    return [int(name) for name in os.listdir(root) if name.isdecimal() and name.isascii()]  # noqa: PTH208


def stat_fds(pid: int, root: str = "/proc") -> FdDirectory:
    """Count a process's fds without opening anything: 2.6 us, against 3.7 us for each fd of a scan."""
    found = os.stat(f"{root}/{pid}/fd")  # noqa: PTH116 - pathlib costs more than the call
    return FdDirectory(found.st_size, found.st_ino)


def has_fd_counts(root: str = "/proc") -> bool:
    """Whether this kernel counts fds in st_size: we ourselves surely have some open."""
    try:
        return os.stat(f"{root}/self/fd").st_size > 0  # noqa: PTH116
    except OSError:
        return False


class FdFolder:
    """An open /proc/PID/fd. It stays the same process's even if the pid is given to another one meanwhile."""

    def __init__(self, pid: int, root: str = "/proc") -> None:
        self.fd = os.open(f"{root}/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def stat(self) -> FdDirectory:
        """Count again, and tell which process this is."""
        found = os.fstat(self.fd)
        return FdDirectory(found.st_size, found.st_ino)

    def names(self) -> list[str]:
        """Every open fd's number, as text."""
        return [name for name in os.listdir(self.fd) if name.isdecimal()]  # noqa: PTH208 - by directory fd

    def link(self, name: str) -> str:
        """Read what an fd is. Raises FileNotFoundError where it was closed in between."""
        return os.readlink(name, dir_fd=self.fd)

    def sockets(self, names: Iterable[str]) -> dict[int, int]:
        """Map fd to inode, for those of these fds that are sockets. Raises OSError but for a fd that is surely none.

        Someone with CAP_DAC_READ_SEARCH alone may list the folder and still not read one link: PermissionError.
        """
        found: dict[int, int] = {}
        folder, readlink = self.fd, os.readlink
        for name in names:
            try:
                target = readlink(name, dir_fd=folder)
            except OSError as error:
                if error.errno in _NO_SOCKET:
                    continue
                raise
            if target.startswith(_SOCKET):
                inode = target[_SKIP:-1]
                if inode.isdecimal():
                    found[int(name)] = int(inode)
        return found


def socket_inode(link: str) -> int | None:
    """Read the inode in "socket:[N]", None for anything else."""
    inode = link[_SKIP:-1]
    return int(inode) if link.startswith(_SOCKET) and inode.isdecimal() else None
