"""Who holds which socket, kept from look to look: every holder of every socket, or counted as hidden.

With the rights and the kernel for it the BPF iterator gives all owners exactly at each look; otherwise the links of
/proc are read, whole at first and then where something can have changed. Measured (8 and 20 processes, two cores):

| sockets | BPF, first look | BPF, each look | /proc, first look | /proc, idle look |
|---|---|---|---|---|
| 10,000 | 9-16 ms | 2.2-2.8 ms | 42-55 ms | 2 ms |
| 100,000 | 90 ms | 30 ms | 400-590 ms | 5 ms |

A one-shot run's first look goes on beside the decoding of the tables (owner_fork), a live one by BPF beside the dump.

By /proc a wrong owner can be told only of processes that exchange sockets over SCM_RIGHTS at a constant number of fds
while more sockets are held by processes that run than one look verifies (owner_search).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct

from sockscope.collect.owner_entry import read_facts
from sockscope.collect.owner_scan import OwnerScan
from sockscope.collect.owner_search import OwnerSearch
from sockscope.kernel.forked import idle_cores
from sockscope.kernel.malformed import MalformedError
from sockscope.kernel.proc_fd import has_fd_counts, list_pids, stat_fds
from sockscope.model.gap import Gap
from sockscope.model.process import Process
from sockscope.model.socket import Holder

NO_BPF = "SOCKSCOPE_NO_BPF"  # set to anything: no BPF program is loaded, where that is not wanted or to compare
FACTS_AGAIN = 8  # looks over which the facts of all holders are read anew (an exec changes the name, nothing else)
WORTH_BPF = 4_000  # open fds on the machine: below, a first scan is over before the program is loaded (10 ms)
WORTH_FORK = 4_000  # likewise; a child costs 2 ms

if TYPE_CHECKING:
    from sockscope.collect.owner_bpf import OwnerIterator
    from sockscope.collect.owner_fork import ForkedIterator, SharedScan


class OwnerState(Struct, frozen=True):
    """What one look found. `holders` is keyed by socket inode and holds every holder of every socket.

    `processes` are the holders (and all of `pids`, where they were given). `hidden_processes` counts those that have
    open fds which we may not read, and is one too high where procfs does not list others' processes (hidepid=2).
    `source`: bpf or proc.
    """

    holders: Mapping[int, tuple[Holder, ...]]
    processes: Mapping[int, Process]
    hidden_processes: int
    scanned_all: bool
    source: str
    gaps: tuple[Gap, ...]


class OwnerMap:
    """The owner map of this machine. Not for several threads at once.

    `bpf` False keeps to /proc, True uses the iterator from the first look on, None from where it pays and nobody
    forbade it. `root` is where
    procfs stands and `fd_counts` whether its kernel counts fds in st_size (Linux 6.2); other than the real ones only
    in tests.
    """

    def __init__(self, root: str = "/proc", *, bpf: bool | None = None, fd_counts: bool | None = None) -> None:
        self._root = root
        self._has_counts = has_fd_counts(root) if fd_counts is None else fd_counts
        if bpf is None and os.environ.get(NO_BPF):
            bpf = False
        self._bpf = bpf if root == "/proc" else False
        self._iterator: OwnerIterator | None = None
        self._forked: ForkedIterator | SharedScan | None = None
        self._open_fds: int | None = None  # on the machine, where they were counted for a fork
        self._start_over(None)

    def fork(self) -> None:
        """Begin the first look, of all processes, on a second core; `refresh` takes what comes of it.

        Call it once the tables are received: owners must not be older than they are. For a process without threads.
        """
        counts = _fd_counts(self._root)
        self._open_fds = sum(counts.values())
        if self._open_fds <= WORTH_FORK or idle_cores() < 2:
            return
        from sockscope.collect.owner_bpf import may_load  # noqa: PLC0415 (the live view never forks)
        from sockscope.collect.owner_fork import ForkedIterator, SharedScan  # noqa: PLC0415 (likewise)

        with suppress(OSError):  # no child, then: `refresh` does it all
            if self._bpf is not False and may_load():
                self._forked = ForkedIterator()
            else:
                self._forked = SharedScan(sorted(counts, key=counts.__getitem__, reverse=True), self._root)

    @property
    def can_read_ahead(self) -> bool:
        """Whether `read_ahead` would have anything."""
        return self._iterator is not None and self._pids is None

    def read_ahead(self) -> bytes | None:
        """Read the owners by the iterator, for `refresh`; any thread may. None where that failed."""
        iterator = self._iterator
        try:
            return None if iterator is None else iterator.read_raw()
        except OSError:
            return None

    def refresh(
        self, inodes: Iterable[int], pids: frozenset[int] | None, ahead: bytes | None = None, came: Iterable[int] = (),
    ) -> OwnerState:
        """Look again. `inodes` are the sockets of the tables read just before; `pids` restricts to these processes.

        `ahead` is what `read_ahead` gave: it will do where it has all of `came`, the sockets new in the tables.
        Raises nothing: what could not be read is counted, in `hidden_processes` and `gaps`.
        """
        if pids != self._pids:
            self._start_over(pids)
        if self._forked is not None:
            state = self._take_forked()
            if state is not None:
                return state
        if pids is None and self._bpf is not False:
            state = self._iterate(ahead, came)
            if state is not None:
                return state
        return self._scan_links(set(inodes))

    def close(self) -> None:
        """Give the BPF program back; more than once does no harm."""
        forked, self._forked = self._forked, None
        if forked is not None:
            forked.abandon()
        iterator, self._iterator, self._bpf = self._iterator, None, False
        if iterator is not None:
            iterator.close()

    def _start_over(self, pids: frozenset[int] | None) -> None:
        self._pids = pids
        self._listed: set[int] = set()  # sockets of the tables at the look before
        self._scan = OwnerScan(self._root, pids, has_counts=self._has_counts)
        self._search = OwnerSearch(self._scan)

    def _iterate(self, ahead: bytes | None, came: Iterable[int]) -> OwnerState | None:
        """Look by the iterator, loaded on the way; None where /proc must do, now or for good."""
        if self._iterator is None:
            if self._bpf is None and not self._scan.look and not self._is_worth_loading():
                return None
            from sockscope.collect.owner_bpf import open_iterator  # noqa: PLC0415 (ctypes costs 5 ms)

            self._iterator = open_iterator()
        if self._iterator is None:
            self._bpf = False
            return None
        try:
            self._iterator.read(ahead, came)
        except (OSError, MalformedError):
            self.close()
            return None
        if self._scan.look:
            self._start_over(None)  # it would only be out of date
        return self._state(self._iterator, "bpf")

    def _is_worth_loading(self) -> bool:
        counted, self._open_fds = self._open_fds, None
        return (sum(_fd_counts().values()) if counted is None else counted) > WORTH_BPF

    def _take_forked(self) -> OwnerState | None:
        """Take what the child read: the whole look by BPF, or None and some processes' fds for the scan to come."""
        from sockscope.collect.owner_bpf import OwnerIterator  # noqa: PLC0415 (it was imported for the fork)
        from sockscope.collect.owner_fork import ForkedIterator  # noqa: PLC0415 (likewise)

        forked, self._forked = self._forked, None
        if not isinstance(forked, ForkedIterator):
            self._scan.readings = forked.finish() if forked is not None else {}
            return None
        records, once = forked.finish(), OwnerIterator(None)
        try:
            if records:
                once.read(records, but=forked.pid)
                return self._state(once, "bpf")
        except (OSError, MalformedError):
            pass
        return None

    def _scan_links(self, current: set[int]) -> OwnerState:
        scan, search = self._scan, self._search
        scan.begin(current)
        search.check_vanished(self._listed - current)
        if scan.look > 1:
            search.find_holders(scan.map.unheld(current))
            search.verify()
        self._listed = current
        hidden = sum(
            entry.may_hold(self._root, has_counts=self._has_counts) for entry in scan.entries.values() if entry.refused
        )
        gaps = scan.gaps
        if hidden:
            gaps.append(Gap("holders", "not_permitted", hidden, "processes whose open files may not be read"))
        if scan.failed:
            hidden += scan.failed
            detail = f"processes whose open files could not be read: {scan.why_failed()}"
            gaps.append(Gap("holders", "failed", scan.failed, detail))
        if scan.hides_others:
            hidden += 1  # at least
            gaps.append(Gap("holders", "not_permitted", detail="procfs (hidepid) does not even list others' processes"))
        return self._state(scan, "proc", hidden, gaps)

    def _state(
        self, found: OwnerScan | OwnerIterator, source: str, hidden: int = 0, gaps: Collection[Gap] = ()
    ) -> OwnerState:
        processes: dict[int, Process] = {}
        for pid in self._pids if self._pids is not None else found.map.pids():
            entry = found.entries.get(pid)
            if entry is None:
                continue
            if entry.facts is None or entry.changed_at == found.look or (pid + found.look) % FACTS_AGAIN == 0:
                entry.facts = read_facts(entry, self._root, has_counts=self._has_counts)
            if entry.facts is not None:
                processes[pid] = entry.facts
        return OwnerState(found.map.view(), processes, hidden, self._pids is None, source, tuple(gaps))


def _fd_counts(root: str = "/proc") -> dict[int, int]:
    """Count every process's open fds: 0.7 ms for 175 processes. Those that may not be counted have none here."""
    counts: dict[int, int] = {}
    try:
        for pid in list_pids(root):
            with suppress(OSError):
                counts[pid] = stat_fds(pid, root).open_fds
    except OSError:
        pass
    return counts
