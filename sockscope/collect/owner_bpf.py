"""Owners by the BPF iterator: all of them, exactly, at every look; and when that is worth its start."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sockscope.collect.holder_map import HolderMap
from sockscope.collect.owner_entry import Entry
from sockscope.kernel.malformed import MalformedError
from sockscope.kernel.offset_cache import cache_folder, key_of_kernel, load, save
from sockscope.kernel.proc_fd import FdDirectory, stat_fds
from sockscope.kernel.proc_stat import read_file
from sockscope.kernel.task_file_records import agrees_with_proc, sockets_of, split_by_process

if TYPE_CHECKING:
    from sockscope.kernel.task_file import Offsets, TaskFile  # where another process reads for us, ctypes is not needed

_SYS_ADMIN, _PERFMON, _BPF = 1 << 21, 1 << 38, 1 << 39  # include/uapi/linux/capability.h


class OwnerIterator:
    """The map as the kernel tells it. Every method may raise OSError or MalformedError: then /proc must do.

    `program` is None where another process read the records for us.
    """

    def __init__(self, program: TaskFile | None) -> None:
        self.map = HolderMap()
        self.entries: dict[int, Entry] = {}
        self.look = 0
        self._program = program
        self._raw: bytes | None = None
        self._groups: dict[int, bytes] = {}

    def read_raw(self) -> bytes:
        """Read all records now, for `read`; any thread may, while this one does something else."""
        if self._program is None:
            raise OSError(errno.ENODEV, "no program")
        return self._program.read()

    def read(self, raw: bytes | None = None, came: Iterable[int] = (), but: int = 0) -> None:
        """Look again, or take `raw` for the look if it has the sockets `came`. `but` is a process to leave out.

        Decodes the sockets of those processes only whose records differ from the last look's.
        """
        self.look += 1
        self._take(self.read_raw() if raw is None else raw, but)
        if raw is not None and any(inode not in self.map for inode in came):
            self._take(self.read_raw(), but)
        self._look_at_processes()

    def close(self) -> None:
        """Unload the program; more than once does no harm."""
        if self._program is not None:
            self._program.close()

    def _take(self, raw: bytes, but: int) -> None:
        if raw == self._raw:
            return
        groups = split_by_process(raw)
        groups.pop(but, None)
        if self._raw is None and not _is_trusted(self._program, groups):
            raise MalformedError("task_file: it does not tell of our own fds what /proc tells")
        self._apply(groups)
        self._raw = raw

    def _apply(self, groups: dict[int, bytes]) -> None:
        before, self._groups = self._groups, groups
        for pid in before.keys() - groups.keys():
            self.map.put(pid, {})
            self.entries.pop(pid, None)
        for pid, records in groups.items():
            if before.get(pid) != records:
                self.map.put(pid, sockets_of(records))
                entry = self.entries.get(pid)
                if entry is not None:
                    entry.changed_at = self.look

    def _look_at_processes(self) -> None:
        """Tell processes apart whose pid was given anew, and count their fds."""
        for pid in self._groups:
            try:
                seen = stat_fds(pid)
            except OSError:
                seen = FdDirectory(0, 0)
            entry = self.entries.get(pid)
            if entry is None or entry.directory.inode != seen.inode:
                self.entries[pid] = Entry(pid, seen, self.look)
            else:
                entry.directory = seen


def open_iterator() -> OwnerIterator | None:
    """Load the program; None where that is not permitted, not known to this kernel, or fails in any other way."""
    if not may_load():
        return None
    try:
        from sockscope.kernel.task_file import TaskFile  # noqa: PLC0415 (ctypes costs 3 ms)

        return OwnerIterator(TaskFile(_offsets()))
    except (OSError, MalformedError):
        return None


def may_load() -> bool:
    """Whether our capabilities allow tracing programs (kernel/bpf/syscall.c): asking without would be in vain."""
    try:
        status = read_file("/proc/self/status")
    except OSError:
        return False
    value = status.partition(b"\nCapEff:")[2].split(b"\n", 1)[0].strip()
    try:
        has = int(value, 16)
    except ValueError:
        return False
    return bool(has & _SYS_ADMIN) or (bool(has & _PERFMON) and bool(has & _BPF))


def _offsets() -> Offsets:
    """From the cache, else from BTF. Raises OSError or MalformedError."""
    import os  # noqa: PLC0415

    from sockscope.kernel.btf import VMLINUX, Btf  # noqa: PLC0415 (with a warm cache it is not needed)
    from sockscope.kernel.task_file import Offsets, find_offsets  # noqa: PLC0415 (ctypes)

    folder = cache_folder()
    key = key_of_kernel(os.stat(VMLINUX).st_size)  # noqa: PTH116
    kept = load(folder, key, len(Offsets._fields)) if folder is not None else None
    if kept is not None:
        return Offsets(*kept)
    with open(VMLINUX, "rb") as file:  # noqa: PTH123 (pathlib costs 4 ms)
        at = find_offsets(Btf(file.read()))
    if folder is not None:
        save(folder, key, at)
    return at


def _is_trusted(program: TaskFile | None, groups: dict[int, bytes]) -> bool:
    """Compare what it tells of ourselves with /proc, on a socket opened for that where we have none.

    Another thread of ours may open or close a socket between the two, so a first mismatch is tried again.
    """
    agrees = agrees_with_proc(groups)
    if program is None:
        return agrees is True
    if agrees is None:
        import socket  # noqa: PLC0415 (nearly always we have a netlink socket)

        left, right = socket.socketpair()
        with left, right:
            agrees = agrees_with_proc(split_by_process(program.read()))
    return bool(agrees) or agrees_with_proc(split_by_process(program.read())) is True
