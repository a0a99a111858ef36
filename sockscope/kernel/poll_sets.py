"""What a thread blocked in poll() or select() asked for, read from its memory.

**Only the expendable helper process calls `read_memory`**: process_vm_readv waits for the target's mmap lock, and a
target stuck in a page fault held it for 5.7 s. Both calls leave the caller's memory unchanged while they sleep, but
other threads may write it: an answer counts only if the call line and both context-switch counts stood still.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from typing import NamedTuple

from sockscope.kernel.calls import syscall
from sockscope.kernel.syscalls import POLLS, SELECTS
from sockscope.kernel.threads import ThreadRecord, read_thread

POLLIN, POLLPRI, POLLOUT = 1, 2, 4
MOST_FDS = 65_536  # no more are read of one set: half a megabyte
ATTEMPTS = 3
Pair = tuple[int, int]


class _Span(ctypes.Structure):
    """struct iovec."""

    _fields_ = [("base", ctypes.c_uint64), ("length", ctypes.c_uint64)]


class PollSet(NamedTuple):
    """The (fd, events) a thread waits on, events as poll's bits; `truncated` when the set was larger than we read."""

    call: str
    pairs: tuple[Pair, ...]
    truncated: bool = False


def read_memory(pid: int, address: int, length: int) -> bytes:
    """Read bytes of another process. Raises OSError; a short read raises too: half a set is no set."""
    buffer = ctypes.create_string_buffer(length)
    local = _Span(ctypes.addressof(buffer), length)
    remote = _Span(address, length)
    count = syscall("process_vm_readv", pid, local, 1, remote, 1, 0)
    if count != length:
        raise OSError(14, f"{count} of {length} bytes readable")
    return buffer.raw


def parse_pollfds(data: bytes) -> tuple[Pair, ...]:
    """Decode an array of struct pollfd {int fd; short events; short revents}. Negative fds are ones poll() ignores."""
    whole = len(data) - len(data) % 8
    return tuple((fd, events) for fd, events, _ in struct.iter_unpack("=iHH", data[:whole]) if fd >= 0)


def parse_fd_sets(count: int, readable: bytes, writable: bytes, exceptional: bytes) -> tuple[Pair, ...]:
    """Decode three fd_sets: bit maps of 64-bit words; on a little-endian machine bit n is bit n%8 of byte n//8."""
    events: dict[int, int] = {}
    for data, bit in ((readable, POLLIN), (writable, POLLOUT), (exceptional, POLLPRI)):
        for place, byte in enumerate(data):
            while byte:
                low = byte & -byte
                fd = place * 8 + low.bit_length() - 1
                byte ^= low  # noqa: PLW2901 - bits are taken off one by one
                if fd < count:
                    events[fd] = events.get(fd, 0) | bit
    return tuple(sorted(events.items()))


def read_set(pid: int, tid: int) -> PollSet | None:
    """Read the set a thread sleeps on; None when it sleeps in neither call or would not stand still. Raises OSError.

    14 of 33,721 answers were wrong with the call line alone compared, none of 23,864 with the switches too.
    """
    for _ in range(ATTEMPTS):
        before = read_thread(pid, tid, counters=True)
        if before is None or before.arguments is None or before.call not in POLLS | SELECTS:
            return None
        if before.switches is None:
            raise OSError(errno.EIO, "without context switch counts no set can be believed")
        found = _read_pairs(pid, before.call, before.arguments)
        if _stood_still(before, read_thread(pid, tid, counters=True)):
            return found
    return None


def _stood_still(before: ThreadRecord, after: ThreadRecord | None) -> bool:
    return (
        after is not None
        and (before.call, before.arguments, before.switches) == (after.call, after.arguments, after.switches)
    )


def _read_pairs(pid: int, call: str, arguments: tuple[int, ...]) -> PollSet:
    if call in POLLS:
        count = min(arguments[1] & 0xFFFFFFFF, MOST_FDS)
        data = read_memory(pid, arguments[0], count * 8) if count else b""
        return PollSet(call, parse_pollfds(data), arguments[1] & 0xFFFFFFFF > MOST_FDS)
    wanted = max(0, ctypes.c_int(arguments[0] & 0xFFFFFFFF).value)
    count = min(wanted, MOST_FDS)
    size = (count + 63) // 64 * 8
    maps = [read_memory(pid, address, size) if address and size else b"" for address in arguments[1:4]]
    return PollSet(call, parse_fd_sets(count, *maps), wanted > MOST_FDS)
