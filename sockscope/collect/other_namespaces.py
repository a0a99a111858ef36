"""Tables of the other network namespaces that processes here are in: containers, as far as we may look.

Read by a netlink socket made inside (CAP_SYS_ADMIN), else as text by /proc/PID/net, which anybody may read. Each costs
a walk of the whole machine's TCP hash (10 ms), so their number a look is bounded, and those left out are a gap.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

from msgspec.structs import replace

from sockscope.collect.tables import Tables
from sockscope.kernel.namespaces import netns_of, open_socket_in
from sockscope.kernel.netlink import Netlink
from sockscope.model.gap import Gap
from sockscope.model.process import Process
from sockscope.model.snapshot import Scope

_LIMIT = 8
_BUDGET_S = 0.03  # a look, then the others wait for the next one
_ASK_AGAIN = 30  # looks: a process can move to another namespace by setns(2)


class OtherNamespaces:
    """The namespaces besides ours, kept from look to look. `by_netlink` False: text only.

    `own` None, ours is not known: then no process is taken to be in another one.
    """

    def __init__(self, own: int | None, *, by_netlink: bool) -> None:
        self.tables: dict[int, Tables] = {}
        self._came_or_went = False
        self._gaps: list[Gap] = []
        self._own = own
        self._by_netlink = by_netlink
        self._looks = 0
        self._postponed = 0
        self._known: dict[tuple[int, int | None], int | None] = {}

    @property
    def has_changed(self) -> bool:
        """Whether the last look found anything else; asked when it is over, as another thread reads bound sockets."""
        return self._came_or_went or any(tables.has_changed for tables in self.tables.values())

    def read(self, scope: Scope) -> None:
        """Look at the tables of the namespaces known so far. Never raises."""
        self._came_or_went, self._postponed = False, 0
        if not scope.namespaces:
            return
        begun = time.monotonic()
        for netns in list(self.tables):
            if time.monotonic() - begun > _BUDGET_S:
                self._postponed += 1
                continue
            tables = self.tables[netns] = self.tables.pop(netns)  # to the end: those left out come first next time
            tables.read(scope)

    def discover(self, processes: Mapping[int, Process], scope: Scope) -> None:
        """Find the namespaces of these processes; read those that are new, close those that nobody is in any more.

        A kept netlink socket would keep an abandoned namespace alive.
        """
        self._looks += 1
        found = self._find(processes)  # always: a socket of theirs must not be taken for one of ours in no table
        inside = found if scope.namespaces else {}
        for netns in self.tables.keys() - inside.keys():
            self.tables.pop(netns).close()
            self._came_or_went = True
        left_out = 0
        for netns, pid in inside.items():
            if netns in self.tables:
                self.tables[netns].root = f"/proc/{pid}/net"
            elif len(self.tables) < _LIMIT:
                tables = self.tables[netns] = self._open(netns, pid)
                if scope.ports is not None:  # else the look asks for them where there is a sign of any
                    tables.read_bound(scope)
                tables.read(scope)
                self._came_or_went = True
            else:
                left_out += 1
        self._gaps = []
        if left_out:
            detail = "network namespaces not looked into; --pid of a process inside shows one"
            self._gaps.append(Gap("netns", "over_budget", left_out, detail))
        if self._postponed:
            detail = "network namespaces not read at this look: their rows are older"
            self._gaps.append(Gap("netns", "over_budget", self._postponed, detail))

    def netns_of(self, pid: int, start_ticks: int | None) -> int | None:
        """Tell the namespace found for a process; None where it could not be read, or ours is not known."""
        return None if self._own is None else self._known.get((pid, start_ticks))

    def all_gaps(self) -> list[Gap]:
        """Give what could not be read in any of them; each of a table says in which."""
        return self._gaps + [
            replace(gap, detail=f"network namespace {netns}: {gap.detail}")
            for netns, tables in self.tables.items() for gap in tables.gaps
        ]

    def inodes(self) -> list[Collection[int]]:
        """Give the inodes of all sockets in them, table by table."""
        return [part for tables in self.tables.values() for part in tables.listed()]

    def new_inodes(self) -> list[int]:
        """Give the inodes of the sockets that came with the last look."""
        return [inode for tables in self.tables.values() for inode in tables.new_inodes]

    def close(self) -> None:
        """Give the sockets back."""
        for tables in list(self.tables.values()):
            tables.close()

    def _find(self, processes: Mapping[int, Process]) -> dict[int, int]:
        """Namespace -> a process inside."""
        before = self._known if self._looks % _ASK_AGAIN else {}
        self._known = {}
        inside: dict[int, int] = {}
        for pid, process in processes.items():
            key = (pid, process.start_ticks)
            netns = self._known[key] = before[key] if key in before else netns_of(pid)
            if netns is not None and self._own is not None and netns != self._own:
                inside.setdefault(netns, pid)
        return inside

    def _open(self, netns: int, pid: int) -> Tables:
        path = f"/proc/{pid}/ns/net"
        opener = (lambda: Netlink(open_socket_in(path))) if self._by_netlink else None
        return Tables(netns, opener, f"/proc/{pid}/net")
