"""kcmp(2): whether two fds are one open file, and which file an epoll registration stands for.

Needs PTRACE_MODE_READ_REALCREDS on both processes. KCMP_EPOLL_TFD takes the set's mutex and walks the set.
"""

from __future__ import annotations

import ctypes

from sockscope.kernel.calls import syscall

KCMP_FILE = 0
KCMP_FILES = 2
KCMP_EPOLL_TFD = 7


class EpollSlot(ctypes.Structure):
    """struct kcmp_epoll_slot (include/uapi/linux/kcmp.h)."""

    _fields_ = [("efd", ctypes.c_uint32), ("tfd", ctypes.c_uint32), ("toff", ctypes.c_uint32)]


def same_file(pid: int, fd: int, other_pid: int, other_fd: int) -> bool | None:
    """Tell whether both fds are one open file description. None when an fd is gone or we may not ask."""
    return _compare(pid, other_pid, KCMP_FILE, fd, other_fd)


def same_fd_table(tid: int, other_tid: int) -> bool | None:
    """Tell whether two threads share their fd table (CLONE_FILES)."""
    return _compare(tid, other_tid, KCMP_FILES, 0, 0)


def is_registered(pid: int, fd: int, set_pid: int, set_fd: int, target_fd: int, repeat: int) -> bool | None:  # noqa: PLR0917
    """Tell whether `fd` of `pid` is what the epoll set has as `target_fd` (the `repeat`-th of that number)."""
    return _compare(pid, set_pid, KCMP_EPOLL_TFD, fd, EpollSlot(set_fd, target_fd, repeat))


def _compare(pid: int, other: int, kind: int, left: int, right: int | EpollSlot) -> bool | None:
    try:
        return syscall("kcmp", pid, other, kind, left, right) == 0
    except OSError:  # gone, refused, not in this kernel
        return None
