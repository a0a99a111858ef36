"""The first look for owners on a second core, beside the decoding of the tables: for a process without threads.

By BPF a forked child loads the program and hands its records over; by /proc it reads the links of some processes while
we decode, and we of the others afterwards. Cold runs of 10,000 sockets take 1 and 20 ms less so, of 100,000 sockets 20
and 260.
"""

from __future__ import annotations

import marshal
import os
import struct
from collections.abc import Iterator, Sequence

from sockscope.collect.owner_bpf import open_iterator
from sockscope.collect.owner_entry import Reading
from sockscope.kernel.forked import Forked
from sockscope.kernel.proc_fd import FdDirectory, FdFolder

_PID = struct.Struct("=i")
_MOST = 1 << 14  # pids that a pipe holds (64 KiB); those beyond it are read by who reads the rest
# Less fits where a user has a thousand pipes (fs.pipe-user-pages-soft gives new ones two pages): it must not block.


class ForkedIterator:
    """A child that reads all owners by BPF. Raises OSError where there can be none."""

    def __init__(self) -> None:
        self._child = Forked(_read_records)
        self.pid = self._child.pid

    def finish(self) -> bytes | None:
        """Wait for its records; None where BPF is not to be had. Call it once."""
        return self._child.result() or None

    def abandon(self) -> None:
        """End it."""
        self._child.abandon()


class SharedScan:
    """A child that reads these processes' fds in turn, and we from `finish` on, each the next one that nobody has."""

    def __init__(self, pids: Sequence[int], root: str) -> None:
        self._root = root
        self._queue, write = os.pipe()
        try:
            os.set_blocking(write, False)
            os.write(write, b"".join([_PID.pack(pid) for pid in pids[:_MOST]]))
            os.close(write)
            self._child = Forked(lambda _: _packed(_claimed(self._queue, root)))
        except OSError:
            os.close(self._queue)
            raise

    def finish(self) -> dict[int, Reading]:
        """Read what is left, wait for the child, give all of it. What either could not read is not in it."""
        found = dict(_claimed(self._queue, self._root))
        os.close(self._queue)
        theirs = self._child.result()
        found.update(_unpacked(theirs) if theirs else ())
        return found

    def abandon(self) -> None:
        """End it."""
        os.close(self._queue)
        self._child.abandon()


def _read_records(_: object) -> bytes:
    iterator = open_iterator()
    return b"" if iterator is None else iterator.read_raw()


def _claimed(queue: int, root: str) -> Iterator[tuple[int, Reading]]:
    """Take one pid after the other that nobody else took (reads of a pipe are whole), and read that process."""
    while raw := os.read(queue, _PID.size):
        (pid,) = _PID.unpack(raw)
        try:
            with FdFolder(pid, root) as folder:
                directory, names = folder.stat(), folder.names()
                yield pid, Reading(directory, len(names), folder.sockets(names))
        except OSError:
            continue  # not permitted, gone: the scan asks again and tells why


def _packed(read: Iterator[tuple[int, Reading]]) -> bytes:
    return marshal.dumps([(pid, tuple(one.directory), one.links, one.sockets) for pid, one in read])


def _unpacked(packed: bytes) -> Iterator[tuple[int, Reading]]:
    for pid, directory, links, sockets in marshal.loads(packed):  # noqa: S302 (of our own child)
        yield pid, Reading(FdDirectory(*directory), links, sockets)
