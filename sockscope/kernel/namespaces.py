"""Network namespaces: which one a process is in, and a sock_diag socket made in another one (setns(2), ns(7))."""

from __future__ import annotations

import errno
import os
import socket

from sockscope.kernel.netlink import NetlinkError, open_socket

CLONE_NEWNET = 0x4000_0000


def netns_of(pid: int | str = "self") -> int | None:
    """Tell the inode of a process' network namespace; None without PTRACE_MODE_READ, or when it is gone."""
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino  # noqa: PTH116
    except OSError:
        return None


def open_socket_in(path: str) -> socket.socket:
    """Make a sock_diag socket in the namespace at `path` (/proc/PID/ns/net, /run/netns/NAME). Raises NetlinkError.

    A thread enters the namespace, makes the socket and ends, so ours stays where it is (0.5 ms). Needs
    CAP_SYS_ADMIN. The socket keeps the namespace alive: close it when nobody is left in there.
    """
    import threading  # noqa: PLC0415 (the usual run sees one namespace and need not pay 5 ms for these imports)

    made: list[socket.socket] = []
    failed: list[OSError] = []
    thread = threading.Thread(target=_enter, args=(path, made, failed), name="setns")
    try:
        thread.start()
    except RuntimeError:  # no more threads for us
        raise NetlinkError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None
    thread.join()
    if made:
        return made[0]
    error = failed[0] if failed else OSError(0, "no socket")
    raise NetlinkError(error.errno, error.strerror) from error


def _enter(path: str, made: list[socket.socket], failed: list[OSError]) -> None:
    import ctypes  # noqa: PLC0415

    libc = ctypes.CDLL(None, use_errno=True)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if libc.setns(handle, CLONE_NEWNET) != 0:
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code))
            made.append(open_socket())
        finally:
            os.close(handle)
    except OSError as error:
        failed.append(error)
