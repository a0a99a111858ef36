"""What fd counts miss: swaps at a constant number of fds.

The socket that was closed vanishes from the tables, and the exact fd that held it is read. A socket that lives on
elsewhere (a shared listener) leaves the new one without an owner: those who share sockets are read at once, all others
from the second look on. What all of this misses (two processes that exchange fds over SCM_RIGHTS) a slow verification
in the background finds, and who was caught so is read at every look for a while.

Budgets count links, 3.7 us each: what is done then does not depend on how busy the machine is.
"""

from __future__ import annotations

from collections.abc import Iterator

from sockscope.collect.owner_entry import Entry
from sockscope.collect.owner_scan import OwnerScan

SHARED_BUDGET = 500  # links of shared sockets read for the sake of unowned ones
SWEEP_BUDGET = 2_000  # links of a sweep for sockets unowned twice running
VERIFY_BUDGET = 512  # links of the background verification, 2 ms a look
_SLICE = 64
_ASKING = 4  # links that could be read instead of asking whether a process ran
_RECENT = 16  # looks for which a process that was caught swapping is read again


class OwnerSearch:
    """Mends the map of a scan after each `begin`. `vanished` and `unowned` are of the tables read just before."""

    def __init__(self, scan: OwnerScan) -> None:
        self._scan = scan
        self._unowned: set[int] = set()  # at the look before
        self._given_up: set[int] = set()  # a whole sweep did not find their holder
        self._sweep: list[int] = []
        self._sweep_for: set[int] = set()
        self._turn: Iterator[tuple[int, list[int]]] = iter(())

    def check_vanished(self, gone: set[int]) -> None:
        """Read exactly those fds that held a socket which the tables list no more."""
        scan = self._scan
        by_pid: dict[int, list[int]] = {}
        for inode in gone:
            for holder in scan.map.holders_of(inode):
                by_pid.setdefault(holder.pid, []).append(holder.fd)
        for pid, fds in by_pid.items():
            entry = scan.entries[pid]
            if scan.read_fds(entry, fds):
                sockets = scan.map.sockets_of(pid)
                if any(fd not in sockets for fd in fds):  # closed, and what was opened for it stands elsewhere
                    scan.read_changed(entry)

    def find_holders(self, unowned: set[int]) -> None:
        """Look for the holders of sockets that nobody is known to hold."""
        holders = self._scan.map
        self._given_up &= unowned
        wanted = unowned - self._given_up
        if wanted:
            self._read_sharers()
            wanted = holders.unheld(wanted)
        twice = wanted & self._unowned
        if twice:
            self._go_on_sweeping(twice)
        self._unowned = wanted

    def verify(self) -> None:
        """Read some known fds again, in turn; and whole those processes that were caught swapping lately."""
        scan, budget = self._scan, VERIFY_BUDGET
        for entry in list(scan.entries.values()):
            if entry.surprised_at and scan.look - entry.surprised_at <= _RECENT and budget > 0:
                budget -= scan.read_whole(entry)
        turns = 0
        while budget > 0:
            pid, fds = next(self._turn, (0, []))
            if pid:
                budget -= len(fds) + _ASKING
                self._read_suspect(scan.entries.get(pid), fds)
            elif turns:
                return  # all were read within this look
            else:
                turns += 1
                self._turn = self._slices()

    def _read_sharers(self) -> None:
        """Read the fds that hold shared sockets: only these can be swapped while the old socket stays in the tables."""
        scan, budget = self._scan, SHARED_BUDGET
        by_pid: dict[int, list[int]] = {}
        for inode in scan.map.shared:
            holders = scan.map.holders_of(inode)
            budget -= len(holders)
            if budget < 0:
                break
            for holder in holders:
                by_pid.setdefault(holder.pid, []).append(holder.fd)
        for pid, fds in by_pid.items():
            self._read_suspect(scan.entries.get(pid), fds)

    def _go_on_sweeping(self, wanted: set[int]) -> None:
        """Read processes whole, recently changing ones first, until all of these are found or the budget is spent."""
        scan = self._scan
        if not self._sweep:
            self._sweep = [entry.pid for entry in scan.by_recency()][::-1]
            self._sweep_for = wanted
        budget = SWEEP_BUDGET
        while self._sweep and budget > 0:
            entry = scan.entries.get(self._sweep.pop())
            if entry is None or entry.refused:
                continue
            budget -= scan.read_whole(entry)
            if not scan.map.unheld(wanted):
                self._sweep = []
                return
        if not self._sweep:
            self._given_up |= scan.map.unheld(self._sweep_for)

    def _read_suspect(self, entry: Entry | None, fds: list[int]) -> None:
        if entry is not None and fds and self._scan.read_fds(entry, fds):
            entry.surprised_at = self._scan.look
            self._scan.read_whole(entry)

    def _slices(self) -> Iterator[tuple[int, list[int]]]:
        """One turn over all processes. One that did not run since it was verified cannot have changed its fds."""
        for pid in list(self._scan.entries):
            fds = list(self._scan.map.sockets_of(pid))
            entry = self._scan.entries.get(pid)
            if not fds or entry is None:
                continue
            ran = self._scan.run_count(entry)
            if ran is not None and ran == entry.verified_ran:
                yield pid, []
                continue
            for start in range(0, len(fds), _SLICE):
                yield pid, fds[start : start + _SLICE]
            entry.verified_ran = ran
