"""Waiting without asking: io_uring hands accept() and recv() themselves to the kernel, and learns when they are done.

select, poll and epoll say "you may read now"; io_uring is told "read into here" and answers "done, 6 bytes". Requests
go into one shared ring, completions come out of another, and one thread sleeps in io_uring_enter() for all of them.
Nobody waits on a socket, no epoll set watches it: from outside only the ring's counts of pending requests are seen.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import sys

from sockscope.lab.stage import Role, listen, play, port_of, requests

LISTENER = listen()
SETUP, ENTER, GETEVENTS = 425, 426, 1  # the same numbers on x86_64 and aarch64
ACCEPT, RECV = 13, 27  # enum io_uring_op, include/uapi/linux/io_uring.h
SQES_AT, ENTRIES = 0x10000000, 8
PIECE = 4096
_libc = ctypes.CDLL(None, use_errno=True)


class Ring:
    """The least of a ring: one request at a time goes in, completions come out. Raises OSError where it is refused."""

    def __init__(self) -> None:
        params = ctypes.create_string_buffer(120)  # struct io_uring_params: what the kernel fills in
        self.fd = _libc.syscall(SETUP, ENTRIES, params)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        numbers = struct.unpack("30I", params.raw)
        self._tail, self._mask, self._array = numbers[11], numbers[12], numbers[16]
        self._done_head, self._done_tail, self._done_mask, _, _, self._done = numbers[20:26]
        self._rings = mmap.mmap(self.fd, max(self._array + ENTRIES * 4, self._done + numbers[1] * 16))
        self._entries = mmap.mmap(self.fd, ENTRIES * 64, offset=SQES_AT)

    def _number(self, at: int) -> int:
        return int(struct.unpack_from("I", self._rings, at)[0])

    def submit(self, operation: int, fd: int, address: int = 0, size: int = 0) -> None:
        """Hand over one request; its completion will carry `fd`."""
        tail = self._number(self._tail)
        slot = tail & self._number(self._mask)
        struct.pack_into("BBHiQQIIQ24x", self._entries, slot * 64, operation, 0, 0, fd, 0, address, size, 0, fd)
        struct.pack_into("I", self._rings, self._array + slot * 4, slot)
        struct.pack_into("I", self._rings, self._tail, (tail + 1) & 0xFFFFFFFF)
        _libc.syscall(ENTER, self.fd, 1, 0, 0, None, 0)

    def wait(self) -> tuple[int, int]:
        """Sleep until something is done; (fd, result): bytes, a new fd, or a negative errno."""
        head = self._number(self._done_head)
        while head == self._number(self._done_tail):
            _libc.syscall(ENTER, self.fd, 0, 1, GETEVENTS, None, 0)
        at = self._done + (head & self._number(self._done_mask)) * 16
        fd, result = struct.unpack_from("Qi", self._rings, at)
        struct.pack_into("I", self._rings, self._done_head, (head + 1) & 0xFFFFFFFF)
        return fd, result


def serve() -> None:
    """Keep one accept() and a recv() for each connection pending; answer what completes."""
    ring, buffers = Ring(), dict[int, ctypes.Array[ctypes.c_char]]()
    ring.submit(ACCEPT, LISTENER.fileno())
    while True:
        fd, result = ring.wait()
        if fd == LISTENER.fileno():
            ring.submit(ACCEPT, fd)
            fd = result
            buffers[fd] = ctypes.create_string_buffer(PIECE)
        elif result > 0:
            os.write(fd, buffers[fd].raw[:result])
        else:
            os.close(fd)
            continue
        ring.submit(RECV, fd, ctypes.addressof(buffers[fd]), PIECE)


if __name__ == "__main__":
    try:
        os.close(Ring().fd)
    except OSError as refused:
        sys.exit(f"io_uring is not available here: {refused.strerror} (see sysctl kernel.io_uring_disabled)")
    PORT = port_of(LISTENER)
    sys.exit(play("io-uring", Role("server", serve, [LISTENER]), Role("client", lambda: requests(PORT)), ports=[PORT]))
