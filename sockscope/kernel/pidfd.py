"""Another process by pidfd: borrowing one of its fds for a moment, and signalling exactly the process meant.

While we hold a duplicate, the target's close() sends no FIN; so: only calls that take no lock, nothing allocated in
between, close in `finally` (median 3 us held). Never poll() (it sets SOCK_NOSPACE: spurious edges, a growing send
buffer), never SO_ERROR (it steals the error), never socket.socket(fileno=...) (getsockname takes the socket's lock).
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from typing import NamedTuple

from sockscope.kernel.calls import syscall
from sockscope.kernel.proc_stat import read_stat

SOL_SOCKET = 1
SO_KEEPALIVE = 9
SO_OOBINLINE = 10
SO_RCVLOWAT = 18
SO_COOKIE = 57
SO_BUF_LOCK = 72  # Linux 5.14
IPPROTO_TCP = 6
TCP_NODELAY = 1
TCP_CONGESTION = 13
TCP_NOTSENT_LOWAT = 25
SIOCATMARK = 0x8905
AT_EMPTY_PATH = 0x1000
AT_STATX_DONT_SYNC = 0x4000  # the fd may be a file on a dead server by now
STATX_INO = 0x100
STATX_INO_OFFSET = 32

_libc = ctypes.PyDLL(None, use_errno=True)  # keeps the interpreter's lock: see kernel/calls.py
_value = ctypes.create_string_buffer(64)
_length = ctypes.c_uint32()
_stat = ctypes.create_string_buffer(256)
_mark = ctypes.c_int()


class IdentityError(Exception):
    """The pid or fd now means something else than it did."""


class RawMarks(NamedTuple):
    """What one borrow reads; None where this kernel or this type of socket has no such option."""

    receive_lowat: int
    notsent_lowat: int | None
    buffer_lock: int | None
    nodelay: int | None
    keepalive: int | None
    urgent_mark: int | None
    congestion: bytes | None
    urgent_inline: int | None


def read_marks(pid: int, fd: int, inode: int, cookie: int | None, *, tcp: bool) -> RawMarks:
    """Read marks and options of the socket that `fd` of `pid` is, if it is still the one meant.

    Needs PTRACE_MODE_ATTACH_REALCREDS. Raises OSError (EPERM, ESRCH, EBADF...) and IdentityError.
    """
    process = os.pidfd_open(pid)
    try:
        borrowed = syscall("pidfd_getfd", process, fd, 0)
        try:
            values = _read_borrowed(borrowed, inode, cookie, tcp)
        finally:
            _libc.close(borrowed)
    finally:
        os.close(process)
    if values is None:
        raise IdentityError(f"fd {fd} of process {pid} is another file by now")
    return values


def _read_borrowed(
    fd: int, inode: int, cookie: int | None, tcp: bool
) -> RawMarks | None:
    """Read every option of a borrowed fd, or None if it is another file. A failing option is None, and no error."""
    if _inode_of(fd) != inode:
        return None
    if cookie is not None and _option(fd, SOL_SOCKET, SO_COOKIE) not in (cookie, None):
        return None
    low = _option(fd, SOL_SOCKET, SO_RCVLOWAT)
    if low is None:
        return None
    return RawMarks(
        low,
        _option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT) if tcp else None,
        _option(fd, SOL_SOCKET, SO_BUF_LOCK),
        _option(fd, IPPROTO_TCP, TCP_NODELAY) if tcp else None,
        _option(fd, SOL_SOCKET, SO_KEEPALIVE),
        _mark.value if tcp and _libc.ioctl(fd, SIOCATMARK, ctypes.byref(_mark)) == 0 else None,
        _text_option(fd, IPPROTO_TCP, TCP_CONGESTION) if tcp else None,
        _option(fd, SOL_SOCKET, SO_OOBINLINE),
    )


def _option(fd: int, level: int, name: int) -> int | None:
    """Make a getsockopt of 4 or 8 bytes; None when there is no such option here."""
    _length.value = 8
    if _libc.getsockopt(fd, level, name, _value, ctypes.byref(_length)) != 0 or _length.value not in (4, 8):
        return None
    number: int = struct.unpack_from("=Q" if _length.value == 8 else "=I", _value)[0]
    return number


def _text_option(fd: int, level: int, name: int) -> bytes | None:
    _length.value = 16
    if _libc.getsockopt(fd, level, name, _value, ctypes.byref(_length)) != 0:
        return None
    return bytes(_value.raw[: _length.value]).split(b"\0", 1)[0]


def _inode_of(fd: int) -> int | None:
    """Read the inode by statx, without asking a file server. os.fstat gives up the interpreter's lock."""
    try:
        syscall("statx", fd, b"", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, _stat)
    except OSError:
        return None
    number: int = struct.unpack_from("=Q", _stat, STATX_INO_OFFSET)[0]
    return number


def send_signal(pid: int, start_ticks: int, number: int) -> None:
    """Signal a process only if it is the one that started then. Raises IdentityError, OSError.

    The pidfd is opened first: whatever happens to the pid afterwards, it goes on meaning the process whose start
    time is checked next, or a dead one, and then the kernel answers ESRCH.
    """
    process = os.pidfd_open(pid)
    try:
        stat = read_stat(pid)
        if stat is None:
            raise ProcessLookupError(3, "the process is gone")
        if stat.start_ticks != start_ticks:
            raise IdentityError(f"pid {pid} is another process by now")
        signal.pidfd_send_signal(process, number)
    finally:
        os.close(process)
