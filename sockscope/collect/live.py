"""The live source: this machine's tables, owners, counters, as one immutable Snapshot after the other."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Collection, Mapping
from itertools import chain
from socket import gethostname, if_nameindex
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sockscope.collect.counters import CounterReader
from sockscope.collect.early import Early
from sockscope.collect.other_namespaces import OtherNamespaces
from sockscope.collect.owners import OwnerMap
from sockscope.collect.tables import Tables
from sockscope.collect.unlisted import Unlisted
from sockscope.kernel.forked import cores
from sockscope.kernel.namespaces import netns_of
from sockscope.kernel.netlink import Netlink
from sockscope.model.gap import Gap
from sockscope.model.process import Fd
from sockscope.model.snapshot import Counters, Scope, Snapshot
from sockscope.model.socket import Holder, Socket, SocketKey
from sockscope.model.source import About

if TYPE_CHECKING:
    from sockscope.collect.beside import Beside
    from sockscope.collect.owners import OwnerState
    from sockscope.model.source import DetailReader

FACETS = frozenset({"tcp", "marks", "waiters", "watches", "nonblocking", "process", "fds", "threads", "pipes"})
_INTERFACES_AGAIN = 8  # looks
_ALL_BOUND_AGAIN = 8  # looks
_FEW = 20  # sockets that came with a look: seldom one within the 8 ms in which owners and tables are both read
_TWO_CORES = cores() > 1
_READ_AGAIN_ROWS = 20_000  # up to here a second dump (under 20 ms) tells closed sockets from ones only just made


class LiveSource:
    """Implements model.source.Source for Linux with procfs.

    `open_channel` None reads /proc/net only (`--source proc`). `probe` False promises that no fd is ever borrowed.
    `only` is what the only look will ask for, of a process that has no other threads and may fork: it begins at once.
    """

    def __init__(
        self, open_channel: Callable[[], Netlink] | None = Netlink, *, probe: bool = True, only: Scope | None = None,
    ) -> None:
        self._probe = probe
        own = netns_of()
        self._netns = own or 0  # a kernel without namespaces, or it may not be told
        self._kernel = os.uname().release
        self._about = About("live", gethostname(), _boot_id(), FACETS)
        self._tables = Tables(self._netns, open_channel)
        self._early = None if only is None else Early(self._tables, only)
        self._others = OtherNamespaces(own, by_netlink=open_channel is not None)
        self._owners = OwnerMap(bpf=None if open_channel is not None else False)  # --source proc is /proc throughout
        self._unlisted = Unlisted()
        self._searched: Mapping[int, tuple[Holder, ...]] | None = None  # holders at the last search in vain
        self._counters = CounterReader(self._netns)
        self._interfaces: Mapping[int, str] = {}
        self._sockets: Mapping[SocketKey, Socket] = {}
        self._extra: dict[SocketKey, Socket] = {}
        self._is_quiet = False  # few sockets came with the last look
        self._wants_bound = False  # at the next look
        self._beside: Beside[bytes | None] | None = None
        self._sequence = 0

    @property
    def about(self) -> About:
        """What this source is."""
        return self._about

    @property
    def rows_decoded(self) -> int:
        """Rows decoded since the start: tests count them."""
        return self._tables.rows_decoded

    def snapshot(self, scope: Scope) -> Snapshot:
        """One look at everything in scope. Takes no socket's lock. What could not be read is in `gaps`."""
        was_collecting = gc.isenabled()
        gc.disable()  # 100,000 fresh tuples would start forty collections that can find nothing
        try:
            return self._snapshot(scope)
        finally:
            if was_collecting:
                gc.enable()

    def open_detail(self) -> DetailReader:
        """Open a fresh reader of details, with its own fds."""
        from sockscope.collect.detail import LiveDetailReader  # noqa: PLC0415 (the one-shot path never needs it)

        return LiveDetailReader(self._probe)

    def close(self) -> None:
        """Give sockets and owner map back; from any thread, more than once."""
        self._tables.close()
        self._others.close()
        self._owners.close()
        self._counters.close()
        if self._beside is not None:
            self._beside.close()

    def _snapshot(self, scope: Scope) -> Snapshot:
        early = self._early
        begun, taken_at = (early.begun_s, early.taken_at) if early is not None else (time.monotonic(), time.time())
        self._sequence += 1
        tables, others = self._tables, self._others
        owners = self._read(scope)
        others.discover(owners.processes, scope)
        extra, gaps = self._read_unlisted(owners, scope)
        sockets = self._assemble(extra)
        fds, fd_gaps = _read_fds(scope)
        counters, counter_gaps = self._read_counters()
        seen_gaps = (*tables.gaps, *others.all_gaps(), *owners.gaps, *gaps, *fd_gaps, *counter_gaps)
        return Snapshot(
            self._sequence, begun, taken_at, time.monotonic() - begun, self._about.host, self._kernel,
            self._about.boot_id, self._netns, {**tables.sources, "owners": owners.source},
            tuple(dict.fromkeys(seen_gaps)), sockets, owners.holders, owners.processes,
            owners.hidden_processes, owners.scanned_all, fds, None, counters, self._read_interfaces(),
        )

    def _read(self, scope: Scope) -> OwnerState:
        """Read tables, then owners, so that a socket's holder is known; both at once where few sockets come."""
        early, self._early = self._early, None
        if early is not None:
            early.wait()
        ahead: bytes | None = None
        if early is not None and early.scope == scope:
            if scope.pids is None:
                self._owners.fork()
            self._tables.decode(scope)
        else:
            ahead = self._read_tables(scope)
        came = [*self._tables.new_inodes, *self._others.new_inodes()]
        self._is_quiet = len(came) <= _FEW
        return self._owners.refresh(chain.from_iterable(self._inodes()), scope.pids, ahead, came)

    def _read_tables(self, scope: Scope) -> bytes | None:
        """Read all tables; of two cores the other one reads bound sockets and, where few sockets come, owners."""
        every = [self._tables, *self._others.tables.values()]
        wanted = every if self._wants_bound or scope.ports is not None else []
        for each in every[len(wanted):]:
            each.forget_bound()
        quiet = self._is_quiet and scope.pids is None and self._owners.can_read_ahead
        beside = self._beside_us() if _TWO_CORES and self._sequence > 1 and (quiet or wanted) else None
        if beside is not None:
            beside.begin(lambda: self._read_beside(wanted, scope, with_owners=quiet))
        else:
            self._read_beside(wanted, scope, with_owners=False)
        self._tables.read(scope)
        self._others.read(scope)
        if beside is None:
            return None
        ahead = beside.result()
        for each in wanted:
            if "tcp" in scope.protocols and each.has_lost_bound():  # connected behind the back of both, or closed
                each.read_again("tcp", scope)
        return ahead

    def _beside_us(self) -> Beside[bytes | None]:
        if self._beside is None:
            from sockscope.collect.beside import Beside  # noqa: PLC0415 (threads cost 0.7 ms that one look needs not)

            self._beside = Beside()
        return self._beside

    def _read_beside(self, wanted: Collection[Tables], scope: Scope, *, with_owners: bool) -> bytes | None:
        for tables in wanted:
            tables.read_bound(scope)
        return self._owners.read_ahead() if with_owners else None

    def _read_unlisted(self, owners: OwnerState, scope: Scope) -> tuple[dict[SocketKey, Socket], tuple[Gap, ...]]:
        if scope.ports is not None:
            self._searched = None
            return {}, ()
        tables = self._tables
        # The second look is the first whose tables stay as they are after this: the first may read one again.
        unchanged = owners.holders is self._searched and not (tables.has_changed or self._others.has_changed)
        self._searched = owners.holders if self._sequence > 1 else None
        found, gaps = self._unlisted.find(
            owners.holders, self._inodes(), self._netns, scope.protocols, tables.sources.keys() - tables.incomplete,
            unchanged=unchanged,
        )
        where = {self._netns_of(row, owners) for row in found.values() if row.protocol == "tcp"}
        found = self._read_bound(found, None if owners.hidden_processes or gaps else where, scope)
        if self._sequence == 1 and found and len(tables.sockets) > _READ_AGAIN_ROWS:
            gaps = (*gaps, Gap("unlisted", "over_budget", len(found), "closed, or only just made: a second look tells"))
            found = {}
        elif self._sequence == 1 and found:
            # Made between the two readings? Later looks wait for the next table; other namespaces come after owners.
            ours = {socket.protocol for socket in found.values() if self._netns_of(socket, owners) == self._netns}
            for protocol in sorted(ours & tables.sources.keys()):
                tables.read_again(protocol, scope)
            found = self._without_listed(found)
        elif found:
            found = {inode: socket for inode, socket in found.items() if self._unlisted.is_settled(inode)}
        placed = [self._place(socket, owners) for socket in found.values()]
        return {socket.key: socket for socket in placed if socket is not None}, gaps

    def _read_bound(self, found: dict[int, Socket], where: Collection[int] | None, scope: Scope) -> dict[int, Socket]:
        """Ask for bound sockets in these namespaces, where holders have TCP sockets that no table lists; None for all.

        The first look asks at once and gives what is left of `found`; later ones ask with the next look. Sockets of
        nobody (the kernel's own) are asked for now and then.
        """
        is_first, every = self._sequence == 1, [self._tables, *self._others.tables.values()]
        for each in every:
            if is_first and (where is None or each.netns in where):
                each.read_bound(scope)
        has_some = any(each.bound is not None and each.bound.sockets for each in every)
        self._wants_bound = where is None or bool(where) or has_some or self._sequence % _ALL_BOUND_AGAIN == 0
        return self._without_listed(found) if is_first and has_some else found

    def _without_listed(self, found: dict[int, Socket]) -> dict[int, Socket]:
        listed = self._inodes()
        return {inode: row for inode, row in found.items() if not any(inode in part for part in listed)}

    def _inodes(self) -> list[Collection[int]]:
        """Give the inodes of all sockets, namespace by namespace: no set of 100,000 is made that nobody may need."""
        return [*self._tables.listed(), *self._others.inodes()]

    def _place(self, socket: Socket, owners: OwnerState) -> Socket | None:
        """Put an unlisted socket into its holder's namespace; None where that one's tables were not read at all."""
        netns = self._netns_of(socket, owners)
        if netns == self._netns:
            return socket
        return replace(socket, netns=netns) if netns in self._others.tables else None

    def _netns_of(self, socket: Socket, owners: OwnerState) -> int:
        """Tell which namespace its holder is in; ours where that could not be read."""
        process = owners.processes.get(owners.holders[socket.inode][0].pid)
        netns = None if process is None else self._others.netns_of(process.pid, process.start_ticks)
        return self._netns if netns is None else netns

    def _assemble(self, extra: dict[SocketKey, Socket]) -> Mapping[SocketKey, Socket]:
        """Put the snapshot's sockets together: the last mapping itself when nothing changed."""
        tables, others = self._tables, self._others
        if self._sequence > 1 and extra == self._extra and not (tables.has_changed or others.has_changed):
            return self._sockets
        sockets = tables.copy()
        for other in others.tables.values():
            sockets.update(other.copy())
        sockets.update(extra)
        _drop_subflows(sockets, tables)
        self._sockets, self._extra = sockets, extra
        return sockets

    def _read_interfaces(self) -> Mapping[int, str]:
        """Read the interfaces' names by index, now and then: it takes the lock that making a namespace holds (4 ms)."""
        if self._sequence % _INTERFACES_AGAIN == 1:
            self._interfaces = _interfaces()
        return self._interfaces

    def _read_counters(self) -> tuple[tuple[Counters, ...], tuple[Gap, ...]]:
        try:
            return (self._counters.read(),), ()
        except OSError as error:
            return (), (Gap("counters", "failed", detail=f"/proc/net/netstat: {error.strerror}"),)


def _drop_subflows(sockets: dict[SocketKey, Socket], tables: Tables) -> None:
    """Leave out TCP rows that are MPTCP subflows: they have the connection's inode (net/mptcp/mptcp_diag.c)."""
    if not tables.sources.get("mptcp"):
        return
    inodes = {socket.inode for socket in sockets.values() if socket.protocol == "mptcp" and socket.inode}
    if inodes:
        for key in [key for key, socket in sockets.items() if socket.protocol == "tcp" and socket.inode in inodes]:
            del sockets[key]


def _read_fds(scope: Scope) -> tuple[tuple[Fd, ...] | None, tuple[Gap, ...]]:
    if scope.pids is None:
        return None, ()
    from sockscope.collect.process_fds import read_fds  # noqa: PLC0415 (only with --pid)

    fds: list[Fd] = []
    gaps: list[Gap] = []
    for pid in sorted(scope.pids):
        found, missed = read_fds(pid)
        fds += found
        gaps += missed
    return tuple(fds), tuple(gaps)


def _interfaces() -> dict[int, str]:
    """Names of interfaces by index; without them the indexes are shown."""
    try:
        return dict(if_nameindex())
    except OSError:
        return {}


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii", errors="replace") as file:  # noqa: PTH123 (pathlib costs 4 ms)
            return file.read().strip()
    except OSError:
        return ""


def make_live(kind: str | None, *, probe: bool, only: Scope | None = None) -> LiveSource:
    """`kind` None or netlink: netlink with /proc behind it; proc: text tables only."""
    return LiveSource(None if kind == "proc" else Netlink, probe=probe, only=only)

