"""One look at what a process' threads wait for: its threads, fd tables, epoll sets and rings, read once per pass."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sockscope.collect.expendable import Expendable, NotAnsweredError
from sockscope.kernel import kcmp
from sockscope.kernel.epoll import WatchRecord, iter_watches
from sockscope.kernel.gone import is_gone
from sockscope.kernel.malformed import MalformedError
from sockscope.kernel.pidfd import IdentityError
from sockscope.kernel.poll_sets import PollSet
from sockscope.kernel.syscalls import POLLS, SELECTS
from sockscope.kernel.threads import ThreadRecord, list_threads, read_thread
from sockscope.model.gap import Gap

LARGE_SET = 1_000  # watches; 9,998 raise the target's worst latency from 4.6 to 16.4 ms
LARGE_SET_AGAIN_S = 60.0  # a large set is counted again this often, to see whether it shrank
LARGE_SET_KEPT_S = 10.0  # what was read of a large set serves every pass for so long, asked for or not
_SOCKET_LINK = re.compile(r"socket:\[(\d+)\]")

Stop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Table:
    """An fd table, named by one thread that uses it."""

    pid: int
    tid: int

    def link(self, fd: int) -> str | None:
        """Tell what an fd is, as readlink tells; None when it is closed, "" when it could not be read.

        stat() would ask dead file servers.
        """
        try:
            return os.readlink(f"/proc/{self.pid}/task/{self.tid}/fd/{fd}")  # noqa: PTH115 - called for each watch
        except OSError as error:
            return None if is_gone(error) else ""


class Links:
    """Links of fds, each read once per pass."""

    def __init__(self) -> None:
        self.failed: set[int] = set()  # processes of which a link could not be read though it is there
        self._known: dict[Table, dict[int, str | None]] = {}

    def of(self, table: Table, fd: int) -> str | None:
        """Give the fd's link, None when it is closed, "" when it could not be read."""
        known = self._known.setdefault(table, {})
        if fd not in known:
            known[fd] = table.link(fd)
            if known[fd] == "":
                self.failed.add(table.pid)
        return known[fd]

    def fetch(self, table: Table, fds: Iterable[int]) -> None:
        """Read many at once: by directory fd 8,000 take 30 ms against 67, and closed ones cost nothing."""
        known = self._known.setdefault(table, {})
        try:
            folder = os.open(f"/proc/{table.pid}/task/{table.tid}/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            is_open = {int(name) for name in os.listdir(folder)}  # noqa: PTH208 - by directory fd
            for fd in fds:
                if fd in known:
                    continue
                try:
                    known[fd] = os.readlink(str(fd), dir_fd=folder) if fd in is_open else None
                except OSError:
                    continue  # asked again by itself, which tells why
        finally:
            os.close(folder)


@dataclass(frozen=True, slots=True)
class EpollSet:
    """An epoll file under one fd, with its registrations."""

    table: Table
    fd: int
    watches: tuple[WatchRecord, ...]


@dataclass(slots=True)
class ProcessLook:
    """What was seen. `gaps` says what was not."""

    pid: int
    threads: list[ThreadRecord] = field(default_factory=list)
    tables: dict[int, Table] = field(default_factory=dict)
    sets: list[EpollSet] = field(default_factory=list)
    rings: list[tuple[Table, int]] = field(default_factory=list)
    polls: dict[int, PollSet] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)


class LargeSets:
    """Remembers epoll sets above LARGE_SET over the passes: they are read again only on demand, and not each time."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], tuple[tuple[WatchRecord, ...], float]] = {}

    def kept(self, pid: int, fd: int, now_s: float) -> tuple[WatchRecord, ...] | None:
        """Give its watches where they were read a moment ago."""
        watches, seen_s = self._seen.get((pid, fd), ((), 0.0))
        return watches if watches and now_s - seen_s < LARGE_SET_KEPT_S else None

    def skip(self, pid: int, fd: int, now_s: float) -> int | None:
        """Give the number of watches it had, if it is too large to read again now."""
        watches, seen_s = self._seen.get((pid, fd), ((), 0.0))
        return len(watches) if watches and now_s - seen_s < LARGE_SET_AGAIN_S else None

    def saw(self, pid: int, fd: int, watches: tuple[WatchRecord, ...], now_s: float) -> None:
        """Remember a set, and forget those nobody has asked for any more."""
        self._seen = {key: one for key, one in self._seen.items() if now_s - one[1] < LARGE_SET_AGAIN_S}
        self._seen.pop((pid, fd), None)
        if len(watches) > LARGE_SET:
            self._seen[pid, fd] = (watches, now_s)


@dataclass(slots=True)
class Looker:
    """Looks at processes within a pass; `late()` ends it early and leaves a gap."""

    helper: Expendable
    large: LargeSets
    now_s: float
    late: Stop
    on_demand: bool = False

    def look(self, pid: int, *, threads: bool = True, sets: bool = True, counters: bool = False) -> ProcessLook:
        """Everything about one process. Never raises: what could not be read is in `gaps`."""
        seen = ProcessLook(pid)
        try:
            tids = list_threads(pid)
        except OSError as error:
            detail = f"the threads of process {pid} could not be listed: {error.strerror}"
            seen.gaps += [Gap("threads", "failed", detail=detail), Gap("watches", "failed", detail=detail)]
            return seen
        if threads:
            self._read_threads(seen, tids, counters)
        self._find_tables(seen, tids)
        for table in dict.fromkeys(seen.tables.values()) if sets else ():
            self._read_table(seen, table)
        return seen

    def _read_threads(self, seen: ProcessLook, tids: list[int], counters: bool) -> None:
        refused = foreign = unread = 0
        for done, tid in enumerate(tids):
            if self.late():
                detail = f"{len(tids) - done} of the {len(tids)} threads of process {seen.pid} were not read"
                seen.gaps.append(Gap("threads", "over_budget", len(tids) - done, detail))
                break
            try:
                record = read_thread(seen.pid, tid, counters=counters)
            except (OSError, MalformedError):
                unread += 1
                continue
            if record is None:
                continue
            seen.threads.append(record)
            refused += record.refused
            foreign += record.foreign
            if record.call in POLLS | SELECTS and record.arguments is not None:
                self._read_poll_set(seen, record)
        if unread:
            detail = f"{unread} of the {len(tids)} threads of process {seen.pid} could not be read"
            seen.gaps.append(Gap("threads", "failed", unread, detail))
        if refused:
            detail = f"the system calls of process {seen.pid} may not be read"
            seen.gaps.append(Gap("syscall", "not_permitted", refused, detail))
        if foreign:
            detail = f"process {seen.pid} is a 32-bit one: its system calls have other numbers"
            seen.gaps.append(Gap("syscall", "unsupported", foreign, detail))

    def _read_poll_set(self, seen: ProcessLook, record: ThreadRecord) -> None:
        found = self._ask(seen, "memory", ("memory", record.pid), "poll_set", record.pid, record.tid)
        if found is not None:
            seen.polls[record.tid] = PollSet(found[0], tuple(found[1]), found[2])
            if found[2]:
                seen.gaps.append(Gap("memory", "truncated", detail=f"thread {record.tid} waits on over 65,536 fds"))

    def _find_tables(self, seen: ProcessLook, tids: list[int]) -> None:
        """Group threads by fd table: nearly always one, but CLONE_FILES can be left out or unshared later.

        A leader that has exited has no table any more, so the first thread that is alive names it.
        """
        alive = [record.tid for record in seen.threads if record.state not in "ZX"] or tids[:1]
        tables: list[Table] = []
        for tid in alive:
            own = next((table for table in tables if kcmp.same_fd_table(tid, table.tid) is not False), None)
            if own is None:
                own = Table(seen.pid, tid)
                tables.append(own)
            seen.tables[tid] = own

    def _read_table(self, seen: ProcessLook, table: Table) -> None:
        if self.late():
            seen.gaps.append(Gap("watches", "over_budget", detail=f"epoll sets of process {seen.pid} not looked for"))
            return
        try:
            epolls, rings = special_fds(table)
        except PermissionError:
            seen.gaps.append(Gap("watches", "not_permitted", detail=f"the fds of process {seen.pid} may not be read"))
            return
        except OSError as error:
            if not is_gone(error):  # else so are its sets
                detail = f"the fds of process {seen.pid}: {error.strerror}"
                seen.gaps.append(Gap("watches", "failed", detail=detail))
            return
        seen.rings.extend((table, fd) for fd in rings)
        for fd in epolls:
            if self.late():
                seen.gaps.append(Gap("watches", "over_budget", detail=f"epoll sets of process {seen.pid} not read"))
                return
            self._read_epoll_set(seen, table, fd)

    def _read_epoll_set(self, seen: ProcessLook, table: Table, fd: int) -> None:
        kept = self.large.kept(table.pid, fd, self.now_s)
        if kept is not None:
            seen.sets.append(EpollSet(table, fd, kept))
            return
        size = None if self.on_demand else self.large.skip(table.pid, fd, self.now_s)
        if size is not None:
            detail = f"epoll set fd {fd} of process {seen.pid} has {size:,} watches: read on demand only"
            seen.gaps.append(Gap("watches", "over_budget", detail=detail))
            return
        path = f"/proc/{table.pid}/task/{table.tid}/fdinfo/{fd}"
        # Its mutex is held while events are copied to the target's memory, so a target can make us wait for it.
        text: bytes | None = self._ask(seen, "watches", ("set", table.pid, fd), "read", path)
        if text is None:
            return
        watches = tuple(iter_watches(text))
        self.large.saw(table.pid, fd, watches, self.now_s)
        seen.sets.append(EpollSet(table, fd, watches))

    def _ask(self, seen: ProcessLook, facet: str, key: object, errand: str, *arguments: Any) -> Any:
        """Give an errand's value, or None with a gap."""
        try:
            return self.helper.ask(facet, key, errand, *arguments)
        except NotAnsweredError as error:
            seen.gaps.append(error.gap)
        except PermissionError as error:
            seen.gaps.append(Gap(facet, "not_permitted", detail=f"process {seen.pid}: {error.strerror}"))
        except IdentityError:
            pass
        except OSError as error:
            if not is_gone(error):  # else there is nothing to see any more
                seen.gaps.append(Gap(facet, "failed", detail=f"process {seen.pid}: {error.strerror}"))
        return None


def special_fds(table: Table) -> tuple[list[int], list[int]]:
    """List (epoll fds, io_uring fds) of a table. Raises OSError. Links by directory fd: 30 against 67 ms for 8,000."""
    epolls, rings = [], []
    folder = os.open(f"/proc/{table.pid}/task/{table.tid}/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in os.listdir(folder):  # noqa: PTH208 - by directory fd
            try:
                link = os.readlink(name, dir_fd=folder)
            except OSError as error:
                if is_gone(error) or error.errno == errno.ENAMETOOLONG:  # a path that is too long to print
                    continue
                raise
            if link == "anon_inode:[eventpoll]":
                epolls.append(int(name))
            elif link == "anon_inode:[io_uring]":
                rings.append(int(name))
    finally:
        os.close(folder)
    return epolls, rings


def socket_inode(link: str | None) -> int | None:
    """Read the inode in "socket:[N]"."""
    match = _SOCKET_LINK.fullmatch(link) if link else None
    return int(match[1]) if match else None
