"""Owners by the links of /proc/PID/fd: the first look reads all of them, later ones what can have changed.

What can have changed is told by the number of a process's open fds (one stat() each), by sockets that vanished from the
tables, and by sockets in them that nobody is known to hold (owner_search).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sockscope.collect.holder_map import HolderMap
from sockscope.collect.owner_entry import Entry, Reading
from sockscope.kernel.gone import is_gone
from sockscope.kernel.proc_fd import FdDirectory, FdFolder, list_pids, socket_inode, stat_fds
from sockscope.kernel.proc_stat import read_file, read_stat
from sockscope.model.gap import Gap

SMALL = 64  # fds; up to here a process is read anew whole: listing it and comparing costs as much
ASK_AGAIN = 64  # looks after which a process that refused us is asked again: a refusal can flood an audit log


class OwnerScan:
    """The map and the processes it was read from. `pids` restricts it; `root` is where procfs stands."""

    def __init__(self, root: str, pids: frozenset[int] | None, *, has_counts: bool) -> None:
        self.map = HolderMap()
        self.entries: dict[int, Entry] = {}
        self.gaps: list[Gap] = []
        self.look = 0  # the number of this look
        self.readings: dict[int, Reading] = {}  # of processes, made for the look to come (owner_fork)
        self.hides_others = False  # processes of others are not even listed
        self._root = root
        self._pids = pids
        self._has_counts = has_counts
        self._current: Collection[int] = ()
        self._failed: list[OSError] = []

    def begin(self, current: Collection[int]) -> None:
        """Start a look: read processes that are new or have another number of fds, forget those that are gone.

        `current` are the sockets that the tables list now.
        """
        self.look += 1
        self.gaps, self._failed = [], []
        self._current = current
        pids = self._list()
        for pid in self.entries.keys() - set(pids):
            self._drop(pid)
        for pid in pids:
            self._look_at(pid)
        self.readings = {}

    @property
    def failed(self) -> int:
        """How many processes could not be read at this look though they are there: our own fd limit, no memory."""
        return len(self._failed)

    def why_failed(self) -> str:
        """Say by which error, the first one's."""
        return self._failed[0].strerror or "" if self._failed else ""

    def read_whole(self, entry: Entry) -> int:
        """Read every fd of a process. Gives the number of links read."""
        return self._read(entry, {})

    def read_changed(self, entry: Entry) -> int:
        """Read every fd but the known sockets that the tables still list."""
        return self._read(entry, self.map.sockets_of(entry.pid) if entry.directory.open_fds > SMALL else {})

    def read_fds(self, entry: Entry, fds: Collection[int]) -> bool:
        """Read single fds of a process. Whether any of them was not what we knew."""
        try:
            with FdFolder(entry.pid, self._root) as folder:
                if folder.stat().inode != entry.directory.inode:
                    return False  # another process, or a fresh directory of the same: the next look meets it
                found: dict[int, int | None] = {}
                for fd in fds:
                    try:
                        found[fd] = socket_inode(folder.link(str(fd)))
                    except FileNotFoundError:
                        found[fd] = None
        except OSError:
            return False
        changed = self.map.put_fds(entry.pid, found)
        if changed:
            entry.changed_at = self.look
        return changed

    def run_count(self, entry: Entry) -> bytes | None:
        """Give a value that differs once a process has run (its schedstat); None for one of several threads."""
        stat = read_stat(entry.pid, self._root)
        if stat is None or stat.thread_count != 1:
            return None
        try:
            return read_file(f"{self._root}/{entry.pid}/schedstat")
        except OSError:
            return None

    def by_recency(self) -> list[Entry]:
        """List the processes that we may read, those that changed last first."""
        readable = (entry for entry in self.entries.values() if not entry.refused)
        return sorted(readable, key=lambda entry: entry.changed_at, reverse=True)

    def _list(self) -> Collection[int]:
        if self._pids is not None:
            return self._pids
        try:
            pids = list_pids(self._root)
        except OSError as error:
            self.gaps.append(Gap("holders", "unsupported", detail=f"{self._root}: {error.strerror}"))
            return ()
        self.hides_others = 1 not in pids  # there always is an init: procfs is mounted with hidepid=2
        return pids

    def _look_at(self, pid: int) -> None:
        entry = self.entries.get(pid)
        try:
            seen = stat_fds(pid, self._root)
        except PermissionError:  # hidepid=1
            seen = FdDirectory(0, 0)
        except OSError as error:
            if is_gone(error):
                self._drop(pid)
            else:
                self._failed.append(error)
            return
        if entry is None or entry.directory.inode != seen.inode:
            self._meet(pid, seen)
        elif entry.refused:
            entry.directory = seen
            if self.look - entry.refused_at >= ASK_AGAIN:
                self.read_whole(entry)
        elif not self._has_counts or entry.directory.open_fds != seen.open_fds:
            self.read_changed(entry)

    def _meet(self, pid: int, seen: FdDirectory) -> None:
        """Read a process that we did not know, or whose directory is another one than at the last look."""
        self.map.put(pid, {})
        entry = self.entries[pid] = Entry(pid, seen, self.look)
        self.read_whole(entry)

    def _drop(self, pid: int) -> None:
        if self.entries.pop(pid, None) is not None:
            self.map.put(pid, {})

    def _read(self, entry: Entry, known: Mapping[int, int]) -> int:
        reading = self.readings.pop(entry.pid, None)
        if reading is not None and reading.directory == entry.directory:
            self._note(entry, reading)
            return reading.links
        try:
            with FdFolder(entry.pid, self._root) as folder:
                directory = folder.stat()
                if entry.directory.inode not in (0, directory.inode):  # 0: it could not be asked
                    return 0
                names = folder.names()
                found, read = self._read_links(folder, names, known)
                reading = Reading(directory, len(names), found)
        except PermissionError:
            entry.refused, entry.refused_at = True, self.look
            self.map.put(entry.pid, {})
            return 1
        except OSError as error:
            if is_gone(error):
                self._drop(entry.pid)
            else:  # what we knew of it stays, and it is read again at the next look
                self._failed.append(error)
                entry.directory = FdDirectory(-1, entry.directory.inode)
            return 1
        self._note(entry, reading)
        return read

    def _note(self, entry: Entry, reading: Reading) -> None:
        entry.refused = False
        count = reading.directory.open_fds if self._has_counts else reading.links
        if entry.directory.open_fds != count:
            entry.changed_at = self.look
        entry.directory = FdDirectory(count, reading.directory.inode)
        if self.map.put(entry.pid, reading.sockets):
            entry.changed_at = self.look

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
