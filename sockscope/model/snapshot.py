"""One look at the machine: immutable, sharing what did not change with the look before."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from sockscope.model.gap import Gap
from sockscope.model.process import Fd, Process, Thread
from sockscope.model.socket import Holder, Socket, SocketKey


class Scope(Struct, frozen=True):
    """What to collect. None narrows nothing. `ports` are inclusive ranges that match either end.

    `protocols` names tables: tcp, udp, udplite, mptcp, raw, icmp, unix, packet, netlink. With `pids` only these
    processes' fds are scanned, and their full fd lists are in `Snapshot.fds`.
    """

    protocols: frozenset[str] = frozenset({"tcp", "udp", "unix"})
    ports: tuple[tuple[int, int], ...] | None = None
    pids: frozenset[int] | None = None
    commands: bool = False  # read command lines, cgroups, limits of the holders (--deep, --pid)
    timers: bool = False  # decode the timers' remaining time (one-shot; the live view masks it)
    namespaces: bool = True  # also read other network namespaces that holders are in (containers)


class Counters(Struct, frozen=True):
    """A namespace's protocol counters (/proc/net/netstat and snmp), by "Prefix.Name" as the kernel spells them."""

    netns: int
    values: Mapping[str, int]


class Snapshot(Struct, frozen=True, weakref=True):
    """One look. `sockets` keeps first-seen order, the stable tie-break of every sort.

    `holders` is keyed by socket inode (inode numbers of sockfs are unique over all namespaces). A socket that is not
    in it has no holder that we could see; `holders_complete()` tells whether there could be hidden ones.
    `sources` says what each table came from, e.g. {"tcp": "netlink", "owners": "bpf"}.
    """

    sequence: int
    monotonic_s: float
    taken_at: float
    took_s: float
    host: str
    kernel: str
    boot_id: str
    netns: int
    sources: Mapping[str, str]
    gaps: tuple[Gap, ...]
    sockets: Mapping[SocketKey, Socket]
    holders: Mapping[int, tuple[Holder, ...]]
    processes: Mapping[int, Process]
    hidden_processes: int = 0  # processes whose fds we may not read
    scanned_all: bool = True  # False with --pid: other processes were not looked at
    fds: tuple[Fd, ...] | None = None
    threads: tuple[Thread, ...] | None = None
    counters: tuple[Counters, ...] = ()
    interfaces: Mapping[int, str] = {}  # ifindex -> name
    changes: Changes | None = None  # against the snapshot of `sequence - 1`; None where nobody worked it out

    def holders_of(self, socket: Socket) -> tuple[Holder, ...]:
        """Who has it open, as far as we could see."""
        return self.holders.get(socket.inode, ()) if socket.inode else ()

    def holders_complete(self, socket: Socket) -> bool:
        """Whether there can be no holder beyond those listed (one in flight over SCM_RIGHTS aside)."""
        return not socket.inode or (self.scanned_all and not self.hidden_processes)


class Changes(Struct, frozen=True):
    """How a snapshot differs from the one before."""

    new: frozenset[SocketKey]
    changed: frozenset[SocketKey]
    gone: frozenset[SocketKey]
