"""Who holds which socket, kept from look to look.

The first look reads every fd of every process. Later ones read what can have changed, as told by the number of a
process's open fds (one stat() each) and by sockets that vanished from the tables or that nobody is known to hold.

A swap at a constant number of fds is found this way: the socket that was closed vanishes, and the exact fd that held it
is read; a socket that lives on elsewhere (a shared listener) leaves the new one without an owner, and those who share
sockets are read at once, all others from the second look on. What all of this misses (two processes that exchange fds
over SCM_RIGHTS) the slow background verification finds; who was caught so is read at every look for a while.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from msgspec import Struct

from sockscope.collect.holder_map import HolderMap
from sockscope.collect.owner_entry import Entry, read_facts
from sockscope.kernel.proc_fd import FdDirectory, FdFolder, has_fd_counts, list_pids, socket_inode, stat_fds
from sockscope.model.gap import Gap
from sockscope.model.process import Process
from sockscope.model.socket import Holder

SMALL = 64  # fds; up to here a process is read anew whole: listing it and comparing costs as much
SHARED_BUDGET = 500  # links read at once for the sake of unowned sockets, 3.7 us each
SWEEP_BUDGET = 2_000  # links of a sweep for sockets unowned twice running
VERIFY_BUDGET = 256  # links of the background verification
VERIFY_SLICE = 64
RECENT = 16  # looks for which a process counts as recently changing
ASK_AGAIN = 64  # looks after which a process that refused us is asked again: a refusal can flood an audit log
FACTS_AGAIN = 8  # looks over which the facts of all holders are read anew (an exec changes the name, nothing else)


class OwnerState(Struct, frozen=True):
    """What one look found. `holders` is keyed by socket inode and holds every holder of every socket.

    `processes` are the holders (and all of `pids`, where they were given). `hidden_processes` counts those that have
    open fds which we may not read. `source`: bpf or proc.
    """

    holders: Mapping[int, tuple[Holder, ...]]
    processes: Mapping[int, Process]
    hidden_processes: int
    scanned_all: bool
    source: str
    gaps: tuple[Gap, ...]


class OwnerMap:
    """The owner map of one procfs. Not for several threads at once. `root` is where procfs stands."""

    def __init__(self, root: str = "/proc", *, fd_counts: bool | None = None) -> None:
        self._root = root
        self._has_counts = has_fd_counts(root) if fd_counts is None else fd_counts
        self._scope: frozenset[int] | None = None
        self._look = 0  # the number of this look
        self._gaps: list[Gap] = []
        self._map = HolderMap()
        self._entries: dict[int, Entry] = {}
        self._current: set[int] = set()  # sockets in the tables now
        self._listed: set[int] = set()  # the same at the look before
        self._unowned: set[int] = set()  # those of them that nobody was known to hold
        self._given_up: set[int] = set()  # sockets whose holder a whole sweep did not find
        self._sweep: list[int] = []
        self._sweep_for: set[int] = set()
        self._turn: Iterator[tuple[int, list[int]]] = iter(())  # of the verification

    def refresh(self, inodes: Collection[int], pids: frozenset[int] | None) -> OwnerState:
        """Look again. `inodes` are the sockets of the tables read just before; `pids` restricts to these processes.

        Raises nothing: what could not be read is counted, in `hidden_processes` and `gaps`.
        """
        if pids != self._scope:
            self._reset(pids)
        self._look += 1
        self._gaps = []
        self._current = current = set(inodes)
        self._stat_processes()
        self._check_vanished(self._listed - current)
        unowned = self._map.unheld(current)
        if unowned and self._look > 1:
            self._search(unowned)
        self._listed = current
        self._unowned = unowned
        if self._look > 1:
            self._verify()
        return self._state()

    def close(self) -> None:
        """Forget everything. Nothing is kept open between looks."""
        self._reset(None)

    def _reset(self, pids: frozenset[int] | None) -> None:
        self._scope, self._look = pids, 0
        self._map, self._entries = HolderMap(), {}
        self._current, self._listed, self._unowned, self._given_up = set(), set(), set(), set()
        self._sweep, self._sweep_for, self._turn = [], set(), iter(())

    # --- processes that are new, gone, or have another number of fds

    def _stat_processes(self) -> None:
        entries = self._entries
        pids = self._list()
        for pid in entries.keys() - set(pids):
            self._drop(pid)
        for pid in pids:
            entry = entries.get(pid)
            try:
                seen = stat_fds(pid, self._root)
            except FileNotFoundError:
                self._drop(pid)
                continue
            except ProcessLookupError:
                self._drop(pid)
                continue
            except PermissionError:  # hidepid=1
                seen = FdDirectory(0, 0)
            if entry is None or entry.directory.inode != seen.inode:
                self._meet(pid, seen, entry)
            elif entry.refused:
                entry.directory = seen
                if self._look - entry.refused_at >= ASK_AGAIN:
                    self._read_whole(entry)
            elif not self._has_counts or entry.directory.count != seen.count:
                entry.changed_at = self._look
                self._read_changed(entry)

    def _list(self) -> Collection[int]:
        if self._scope is not None:
            return self._scope
        try:
            return list_pids(self._root)
        except OSError as error:
            self._gaps.append(Gap("holders", "unsupported", detail=f"{self._root}: {error.strerror}"))
            return ()

    def _meet(self, pid: int, seen: FdDirectory, entry: Entry | None) -> None:
        """Read a process that we did not know, or whose directory is another one than at the last look."""
        if entry is not None:
            self._map.put(pid, {})
        entry = self._entries[pid] = Entry(pid, seen, self._look)
        self._read_whole(entry)

    def _drop(self, pid: int) -> None:
        if self._entries.pop(pid, None) is not None:
            self._map.put(pid, {})

    # --- reading one process

    def _read_whole(self, entry: Entry) -> int:
        """Read every fd. Gives the number of links read."""
        return self._read(entry, trust=False)

    def _read_changed(self, entry: Entry) -> int:
        """Read every fd but the known sockets that the tables still list."""
        return self._read(entry, trust=entry.directory.count > SMALL)

    def _read(self, entry: Entry, *, trust: bool) -> int:
        try:
            with FdFolder(entry.pid, self._root) as folder:
                directory = folder.stat()
                if directory.inode != entry.directory.inode:
                    return 0  # another process by now, or a fresh directory: the next look meets it
                names = folder.names()
                found, read = self._read_links(folder, names, self._map.sockets_of(entry.pid) if trust else {})
        except PermissionError:
            entry.refused, entry.refused_at = True, self._look
            self._map.put(entry.pid, {})
            return 1
        except OSError:
            self._drop(entry.pid)
            return 1
        entry.refused = False
        entry.directory = FdDirectory(len(names) if self._has_counts else 0, directory.inode)
        if self._map.put(entry.pid, found):
            entry.changed_at = self._look
        return read

    def _read_links(self, folder: FdFolder, names: list[str], known: Mapping[int, int]) -> tuple[dict[int, int], int]:
        if not known:
            return folder.sockets(names), len(names)
        current = self._current
        kept: dict[int, int] = {}
        unsure: list[str] = []
        for name in names:
            inode = known.get(int(name))
            if inode is not None and inode in current:
                kept[int(name)] = inode
            else:
                unsure.append(name)
        kept.update(folder.sockets(unsure))
        return kept, len(unsure)

    def _read_fds(self, entry: Entry, fds: Collection[int]) -> bool:
        """Read single fds of a process. Whether any of them was not what we knew."""
        try:
            with FdFolder(entry.pid, self._root) as folder:
                if folder.stat().inode != entry.directory.inode:
                    return False
                found: dict[int, int | None] = {}
                for fd in fds:
                    try:
                        found[fd] = socket_inode(folder.link(str(fd)))
                    except FileNotFoundError:
                        found[fd] = None
        except OSError:
            return False
        return self._map.put_fds(entry.pid, found)

    # --- sockets that vanished, sockets that nobody holds

    def _check_vanished(self, gone: set[int]) -> None:
        """Read exactly those fds that held a socket which the tables list no more."""
        by_pid: dict[int, list[int]] = {}
        for inode in gone:
            for holder in self._map.holders_of(inode):
                by_pid.setdefault(holder.pid, []).append(holder.fd)
        for pid, fds in by_pid.items():
            entry = self._entries[pid]
            if not self._read_fds(entry, fds):
                continue
            entry.changed_at = self._look
            sockets = self._map.sockets_of(pid)
            if any(fd not in sockets for fd in fds):  # closed, and what was opened for it stands elsewhere
                self._read_changed(entry)

    def _search(self, unowned: set[int]) -> None:
        """Look for the holders of these sockets; found ones are taken out of the set."""
        self._given_up &= unowned
        unowned -= self._given_up
        if unowned:
            self._read_sharers()
            unowned -= {inode for inode in unowned if inode in self._map}
        twice = unowned & self._unowned
        if twice:
            self._sweep_on(twice)
            unowned -= {inode for inode in unowned if inode in self._map}
        unowned |= self._given_up

    def _read_sharers(self) -> None:
        """Read the fds that hold shared sockets: only these can be swapped while the old socket stays in the tables."""
        budget = SHARED_BUDGET
        for entry in self._by_recency():
            if budget <= 0:
                return
            shared = [fd for fd, inode in self._map.sockets_of(entry.pid).items()
                      if len(self._map.holders_of(inode)) > 1][:budget]
            if shared:
                budget -= len(shared)
                if self._read_fds(entry, shared):
                    self._surprise(entry)

    def _sweep_on(self, wanted: set[int]) -> None:
        """Read processes whole, recently changing ones first, until all of these are found or the budget is spent."""
        if not self._sweep:
            self._sweep = [entry.pid for entry in self._by_recency()][::-1]
            self._sweep_for = set(wanted)
        budget = SWEEP_BUDGET
        while self._sweep and budget > 0:
            entry = self._entries.get(self._sweep.pop())
            if entry is None or entry.refused:
                continue
            budget -= self._read_whole(entry)
            if not any(inode not in self._map for inode in wanted):
                self._sweep.clear()
                return
        if not self._sweep:
            self._given_up |= self._map.unheld(self._sweep_for & wanted)

    def _by_recency(self) -> list[Entry]:
        return sorted(
            (entry for entry in self._entries.values() if not entry.refused),
            key=lambda entry: entry.changed_at, reverse=True,
        )

    # --- background verification

    def _verify(self) -> None:
        """Read some known fds again, in turn; and whole those processes that were caught swapping lately."""
        budget = VERIFY_BUDGET
        for entry in list(self._entries.values()):
            if entry.surprised_at and self._look - entry.surprised_at <= RECENT and budget > 0:
                budget -= self._read_whole(entry)
        while budget > 0:
            pid, fds = next(self._turn, (0, []))
            if not pid:
                self._turn = self._slices()
                return
            budget -= len(fds)
            entry_or_none = self._entries.get(pid)
            if entry_or_none is not None and self._read_fds(entry_or_none, fds):
                self._surprise(entry_or_none)

    def _surprise(self, entry: Entry) -> None:
        entry.surprised_at = self._look
        self._read_whole(entry)

    def _slices(self) -> Iterator[tuple[int, list[int]]]:
        for pid in list(self._entries):
            fds = list(self._map.sockets_of(pid))
            for start in range(0, len(fds), VERIFY_SLICE):
                yield pid, fds[start : start + VERIFY_SLICE]

    # --- what is given out

    def _state(self) -> OwnerState:
        processes: dict[int, Process] = {}
        hidden = 0
        for pid, entry in self._entries.items():
            if entry.refused:
                hidden += self._is_hidden(entry)
                if self._scope is None:
                    continue
            elif self._scope is None and not self._map.sockets_of(pid):
                continue
            if entry.facts is None or (pid + self._look) % FACTS_AGAIN == 0 or entry.changed_at == self._look:
                entry.facts = read_facts(entry, self._root, has_counts=self._has_counts)
            if entry.facts is not None:
                processes[pid] = entry.facts
        gaps = self._gaps
        if hidden:
            gaps.append(Gap("holders", "not_permitted", hidden, "processes whose open files may not be read"))
        return OwnerState(self._map.view(), processes, hidden, self._scope is None, "proc", tuple(gaps))

    def _is_hidden(self, entry: Entry) -> bool:
        """Whether a process that refused us can hold anything: kernel threads and zombies have no fds."""
        if self._has_counts and entry.directory.inode:
            return entry.directory.count > 0
        return not entry.is_kernel_thread(self._root)
