"""The expendable helper process: does one thing at a time that could hang, for `collect/expendable.py`.

A thread stuck on a socket's lock or a target's memory cannot be left behind, not even by kill -9; a process can.
Everything here comes from the standard library and kernel/, so that it starts in 20 ms. It ends when its parent does:
at once by PR_SET_PDEATHSIG, and at the end of its input.

Protocol on fd 0: a 32-bit length, then marshal of (errand, arguments); the answer is ("ok", value), ("os", errno) or
("identity", message). marshal, because both ends are one interpreter's and it is built in.
"""

from __future__ import annotations

import ctypes
import gc
import marshal
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

from sockscope.kernel import kcmp, pidfd, poll_sets, tcp_row
from sockscope.kernel.namespaces import open_socket_in
from sockscope.kernel.netlink import open_socket

PR_SET_PDEATHSIG = 1
LENGTH = struct.Struct("=I")
LARGEST_READ = 64 << 20  # an epoll set of 50,000 watches prints 4 MB
CHUNK = 1 << 20

_diags: dict[str, socket.socket] = {}


def tcp_row_of(netns_path: str | None, with_info: bool, *identity: Any) -> tuple[Any, ...]:
    """Read one row of sock_diag: (state, timer, retransmits, expires_ms, info, congestion)."""
    row: tcp_row.Row = _with_diag(
        netns_path, lambda diag: tcp_row.read_row(diag, tcp_row.RowId(*identity), with_info=with_info)
    )
    return tuple(row)


def destroy(netns_path: str | None, *identity: Any) -> None:
    """SOCK_DESTROY."""
    _with_diag(netns_path, lambda diag: tcp_row.destroy(diag, tcp_row.RowId(*identity)))


def marks(pid: int, fd: int, inode: int, cookie: int | None, tcp: bool) -> tuple[Any, ...]:
    """Read options of a borrowed fd. Here, because in one thread without a collector nothing delays the close."""
    return tuple(pidfd.read_marks(pid, fd, inode, cookie, tcp=tcp))


def poll_set(pid: int, tid: int) -> tuple[Any, ...] | None:
    """Read the set a thread sleeps on in poll or select."""
    found = poll_sets.read_set(pid, tid)
    return tuple(found) if found is not None else None


def read_proc(path: str) -> bytes:
    """Read a file of /proc whose reading waits for a lock of the target (cmdline, fdinfo of an epoll set)."""
    if not path.startswith("/proc/"):
        raise OSError(13, "not a file of /proc")
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = bytearray()
        while len(content) < LARGEST_READ and (part := os.read(fd, CHUNK)):
            content += part
        return bytes(content)
    finally:
        os.close(fd)


ERRANDS: dict[str, Callable[..., Any]] = {
    "tcp_row": tcp_row_of,
    "destroy": destroy,
    "marks": marks,
    "poll_set": poll_set,
    "read": read_proc,
    "registered": kcmp.is_registered,
    "hello": lambda: None,
}


def answer(errand: str, arguments: tuple[Any, ...]) -> tuple[str, Any]:
    """Run one errand; what the kernel refuses is an answer."""
    try:
        return "ok", ERRANDS[errand](*arguments)
    except OSError as error:
        return "os", error.errno or 5
    except pidfd.IdentityError as error:
        return "identity", str(error)


def serve(line: socket.socket) -> None:
    """Answer until the other end closes."""
    while (body := receive(line)) is not None:
        errand, arguments = marshal.loads(body)  # noqa: S302 - the other end is our own parent
        data = marshal.dumps(answer(errand, arguments))
        line.sendall(LENGTH.pack(len(data)) + data)


def receive(line: socket.socket) -> bytes | None:
    """Read one message, None at the end. One is outstanding at a time, so nothing of a next one can come along."""
    data = bytearray(line.recv(CHUNK))
    while len(data) < LENGTH.size or len(data) < LENGTH.size + LENGTH.unpack_from(data)[0]:
        part = line.recv(CHUNK)
        if not part:
            return None
        data += part
    return bytes(data[LENGTH.size :])


def _with_diag(netns_path: str | None, use: Callable[[socket.socket], Any]) -> Any:
    """Our own namespace's netlink socket is kept; another one's would pin its namespace, so it is closed at once.

    After any error a kept socket is replaced: a late answer must not meet the next question.
    """
    if netns_path is not None:
        with open_socket_in(netns_path) as diag:
            return use(diag)
    if "" not in _diags:
        _diags[""] = open_socket()
    try:
        return use(_diags[""])
    except OSError:
        _diags.pop("").close()
        raise


def main(parent: int) -> None:
    """Serve fd 0 until the parent is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return  # it died before the line above
    gc.disable()  # nothing here makes cycles, and a collection must not fall into a borrow
    try:
        serve(socket.socket(fileno=0))
    except (BrokenPipeError, ConnectionResetError):
        return


if __name__ == "__main__":
    main(int(sys.argv[1]))
