"""Details of sockets and processes, read live (model.source.DetailReader).

What can hang runs in the expendable helper process; all else takes no lock a target can hold. Threads, tables and
epoll sets are read once per pass, for every process that may matter to the sockets wanted, then joined by inode.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from msgspec import structs

from sockscope.collect.epoll_places import EpollPlaces
from sockscope.collect.expendable import Expendable, NotAnsweredError
from sockscope.collect.facts import read_process
from sockscope.collect.pipe_ends import PipeEnds
from sockscope.collect.process_fds import read_fds
from sockscope.collect.process_look import EpollSet, LargeSets, Looker, ProcessLook
from sockscope.collect.rings import ring_waiters
from sockscope.collect.socket_facets import read_marks, read_nonblocking, read_row
from sockscope.collect.waiters import Waiting
from sockscope.kernel import kcmp
from sockscope.kernel.epoll import WatchRecord
from sockscope.kernel.gone import is_gone
from sockscope.kernel.malformed import MalformedError
from sockscope.kernel.proc_stat import parse_stat, read_file
from sockscope.kernel.syscalls import EPOLLS, ON_FD
from sockscope.model.detail import (
    ON_DEMAND,
    Marks,
    PipeEnd,
    ProcessDetail,
    Read,
    SocketDetail,
    TcpInfo,
    Waiter,
    Wanted,
    Watch,
)
from sockscope.model.gap import Gap
from sockscope.model.process import Process, Thread
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Socket

SOCKET_FACETS = frozenset({"tcp", "marks", "waiters", "watches", "nonblocking", "timer_expires_s"})
PROCESS_FACETS = frozenset({"process", "fds", "threads", "watches", "pipes"})
Kind = TypeVar("Kind")


class LiveDetailReader:
    """Reads on its caller's thread; `probe=False` never borrows an fd (marks then are a gap "off")."""

    def __init__(self, probe: bool = True) -> None:
        self._probe = probe
        self._helper = Expendable()
        self._large = LargeSets()
        self._places = EpollPlaces()
        self._pipes = PipeEnds()

    def read(
        self, wanted: Wanted, snapshot: Snapshot, stop: Callable[[], bool]
    ) -> Iterator[SocketDetail | ProcessDetail]:
        """Yield one key at a time until done, over budget or stopped. A key that is gone is passed over.

        The first process is a screen's subject and comes first of all. Half the budget is for looking at threads and
        epoll sets, which all keys share; what that cuts short is a gap.
        """
        start_s = time.monotonic()
        end_s = start_s + wanted.budget_s

        def late(share: float = 1.0) -> bool:
            return stop() or time.monotonic() - start_s > wanted.budget_s * share

        sockets = [snapshot.sockets[key] for key in wanted.sockets if key in snapshot.sockets]
        on_demand = ON_DEMAND in wanted.facets
        looker = Looker(self._helper, self._large, start_s, lambda: late(0.5), on_demand=on_demand)
        joined = Joined(looker, snapshot, self._places)
        subject, others = wanted.processes[:1], wanted.processes[1:]
        yield from self._read_processes(subject, wanted.facets, joined, lambda: late(0.5))
        if wanted.facets & {"waiters", "watches"} and sockets:
            joined.look_around(sockets)
        for socket in sockets:
            if stop() or time.monotonic() > end_s:
                return
            yield self._read_socket(socket, snapshot, wanted.facets, joined)
        looker.late = late
        yield from self._read_processes(others, wanted.facets, joined, late)

    def _read_processes(
        self, pids: tuple[int, ...], facets: frozenset[str], joined: Joined, late: Callable[[], bool]
    ) -> Iterator[ProcessDetail]:
        for pid in pids:
            if late():
                return
            yield self._read_process(pid, facets, joined, late)

    def close(self) -> None:
        """End the helper process; from any thread, more than once."""
        self._helper.close()

    def _read_socket(
        self, socket: Socket, snapshot: Snapshot, facets: frozenset[str], joined: Joined
    ) -> SocketDetail:
        now_s = time.monotonic()
        tcp: Read[TcpInfo] | None = None
        timer: Read[float] | None = None
        marks: Read[Marks] | None = None
        if socket.protocol == "tcp" and facets & {"tcp", "timer_expires_s"}:
            with_info = "tcp" in facets and (joined.on_demand or info_blocks_only_us(snapshot.kernel))
            tcp, timer = read_row(socket, snapshot, self._helper, now_s, with_info=with_info)
            if "tcp" in facets and not with_info:
                detail = "before Linux 6.9 a stuck reading blocks every tool that reads sockets: on demand only"
                tcp = Read(None, now_s, Gap("tcp_info", "over_budget", detail=detail))
        if "marks" in facets and not self._probe:
            marks = Read(None, now_s, Gap("marks", "off", detail="probing is turned off"))
        elif "marks" in facets:
            marks = read_marks(socket, snapshot, self._helper, now_s)
        return SocketDetail(
            key=socket.key,
            tcp=tcp if "tcp" in facets else None,
            marks=marks,
            waiters=joined.waiters(socket) if "waiters" in facets else None,
            watches=joined.watches(socket) if "watches" in facets else None,
            nonblocking=read_nonblocking(socket, snapshot, now_s) if "nonblocking" in facets else None,
            timer_expires_s=timer,
        )

    def _read_process(
        self, pid: int, facets: frozenset[str], joined: Joined, late: Callable[[], bool]
    ) -> ProcessDetail:
        """Read facts, fds with the far ends of its pipes, threads and watches; of one that is gone, that it is."""
        now_s = time.monotonic()
        try:
            stat = parse_stat(read_file(f"/proc/{pid}/stat"))
        except (OSError, MalformedError) as error:
            if isinstance(error, OSError) and is_gone(error):
                return ProcessDetail((pid, None), process=Read(None, now_s, Gap("process", "vanished")))
            return unread_process((pid, joined.start_of(pid)), facets, error, now_s)
        process = fds = None
        if "process" in facets:
            process = self._read_facts(pid, now_s)
        pipes: Read[tuple[PipeEnd, ...]] | None = None
        if "fds" in facets:
            found, gaps = read_fds(pid)
            fds = Read(found if found or not gaps else None, now_s, gaps[0] if gaps else None)
            if "pipes" in facets:
                pipes = self._pipes.of(pid, found, now_s, late)
        threads, watches = joined.process_facets(pid, facets)
        return ProcessDetail(key=(pid, stat.start_ticks), process=process, fds=fds, threads=threads, watches=watches,
                             pipes=pipes)

    def _read_facts(self, pid: int, now_s: float) -> Read[Process]:
        """Read /proc's facts; the command line lies in the target's memory, so the helper reads that."""
        process = read_process(pid, with_command=False)
        if process is None:
            return Read(None, now_s, Gap("process", "vanished"))
        try:
            command = self._helper.ask("memory", ("memory", pid), "read", f"/proc/{pid}/cmdline")
        except NotAnsweredError as error:
            return Read(process, now_s, error.gap)
        except OSError:
            return Read(process, now_s)
        return Read(structs.replace(process, command=command), now_s)


class Joined:
    """The processes looked at in one pass and what their threads wait for."""

    def __init__(self, looker: Looker, snapshot: Snapshot, places: EpollPlaces) -> None:
        self._looker = looker
        self._snapshot = snapshot
        self._places = places
        self.on_demand = looker.on_demand
        self._looks: dict[int, ProcessLook] = {}
        self._waiting: Waiting | None = None

    def look_around(self, sockets: list[Socket]) -> None:
        """Look at every holder, then at processes that share an epoll set with one; on demand at all that have any."""
        holders = dict.fromkeys(
            holder.pid for socket in sockets for holder in self._snapshot.holders_of(socket)
        )
        self._looks = {pid: self._looker.look(pid) for pid in holders}
        sets = [one for look in self._looks.values() for one in look.sets]
        inodes = {socket.inode for socket in sockets if socket.inode}
        strangers = self._places.strangers(inodes, self._looker.now_s)
        is_search = strangers is None and self._looker.on_demand
        try:
            places = self._places.elsewhere(holders, self._looker.now_s, self._looker.late)
        except OSError as error:
            places = {}
            detail = f"other processes were not searched for epoll sets: {error.strerror}"
            for look in self._looks.values():
                look.gaps.append(Gap("watches", "failed", detail=detail))
        for pid, fds in places.items():
            if is_search or pid in (strangers or ()) or any(
                kcmp.same_file(pid, fd, one.table.tid, one.fd) is True for fd in fds for one in sets
            ):
                self._looks[pid] = self._looker.look(pid)
        if is_search and not self._looker.late():
            watchers = {inode: {watch.pid for watch in self._joined().watches(inode)} for inode in inodes}
            self._places.remember({inode: frozenset(pids - set(holders)) for inode, pids in watchers.items()},
                                  self._looker.now_s)

    def start_of(self, pid: int) -> int | None:
        """Tell when a process started, as far as the snapshot knows."""
        known = self._snapshot.processes.get(pid)
        return known.start_ticks if known is not None else None

    def waiters(self, socket: Socket) -> Read[tuple[Waiter, ...]]:
        """Threads blocked on it. None with a gap when none was seen but some may be hidden."""
        found = self._joined().waiters(socket.inode) if socket.inode else ()
        return self._read(socket, found, ("threads", "syscall", "memory", "watches"))

    def watches(self, socket: Socket) -> Read[tuple[Watch, ...]]:
        """Its epoll registrations, likewise."""
        found = self._joined().watches(socket.inode) if socket.inode else ()
        return self._read(socket, found, ("watches",))

    def process_facets(
        self, pid: int, facets: frozenset[str]
    ) -> tuple[Read[tuple[Thread, ...]] | None, Read[tuple[Watch, ...]] | None]:
        """Read a process' threads with their counters, and the watches of all its sets."""
        if not facets & {"threads", "watches"}:
            return None, None
        look = self._looker.look(pid, threads="threads" in facets, sets="watches" in facets, counters=True)
        threads = watches = None
        if "threads" in facets:
            gap = first_gap([look], ("threads", "syscall", "memory"))
            threads = Read(tuple(to_thread(look, place) for place in range(len(look.threads))), self._looker.now_s, gap)
        if "watches" in facets:
            looks = [other for other_pid, other in self._looks.items() if other_pid != pid]
            found = Waiting([look, *looks], self._is_registered, {}).watches_of(look)
            gap = first_gap([look], ("watches",))
            watches = Read(found if found or gap is None else None, self._looker.now_s, gap)
        return threads, watches

    def _joined(self) -> Waiting:
        if self._waiting is None:
            rings = ring_waiters(self._looks.values(), self._snapshot)
            self._waiting = Waiting(self._looks.values(), self._is_registered, rings)
        return self._waiting

    def _read(self, socket: Socket, found: tuple[Kind, ...], kinds: tuple[str, ...]) -> Read[tuple[Kind, ...]]:
        gap = None
        if socket.inode:
            holders = {holder.pid for holder in self._snapshot.holders_of(socket)}
            gap = first_gap([self._looks[pid] for pid in holders if pid in self._looks], kinds)
            if gap is None and not self._snapshot.holders_complete(socket) and not holders:
                gap = Gap("holders", "not_permitted", detail="its holder is hidden from us")
        return Read(found if found or gap is None else None, self._looker.now_s, gap)

    def _is_registered(self, inner: EpollSet, outer: EpollSet, watch: WatchRecord) -> bool:
        """Tell whether a watch of `outer` is the epoll set `inner`. It takes the set's mutex, hence the helper."""
        if self._looker.late():
            self._leave_nested(outer.table.pid)
            return False
        try:
            return (
                self._looker.helper.ask(
                    "watches", ("set", outer.table.pid, outer.fd), "registered", inner.table.tid, inner.fd,
                    outer.table.tid, outer.fd, watch.fd, watch.repeat,
                ) is True
            )
        except (NotAnsweredError, OSError):
            self._leave_nested(outer.table.pid)
            return False

    def _leave_nested(self, pid: int) -> None:
        look = self._looks.get(pid)
        if look is not None and not any(gap.what == "watches" for gap in look.gaps):
            detail = f"epoll sets nested in others of process {pid} were not told apart"
            look.gaps.append(Gap("watches", "over_budget", detail=detail))


def unread_process(
    key: tuple[int, int | None], facets: frozenset[str], error: OSError | MalformedError, now_s: float,
) -> ProcessDetail:
    """Say of each facet why nothing is known of a process that is there."""
    told: Read[Any] = Read(None, now_s, Gap("process", "failed", detail=f"process {key[0]}: {error}"))
    return ProcessDetail(key, **dict.fromkeys(facets & PROCESS_FACETS, told))


def info_blocks_only_us(release: str) -> bool:
    """Tell whether a request stuck on a socket's lock leaves sock_diag usable for others (Linux 6.9)."""
    numbers = re.match(r"(\d+)\.(\d+)", release)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= (6, 9)


def first_gap(looks: list[ProcessLook], kinds: tuple[str, ...]) -> Gap | None:
    """Pick the gap that matters most, refusals first."""
    gaps = [gap for look in looks for gap in look.gaps if gap.what in kinds]
    return min(gaps, key=lambda gap: gap.reason != "not_permitted", default=None)


def to_thread(look: ProcessLook, place: int) -> Thread:
    """Turn a thread of a look into the model's."""
    record = look.threads[place]
    polled = look.polls.get(record.tid)
    on_fd = None
    if record.arguments is not None and record.call in ON_FD | EPOLLS | {"io_uring_enter"}:
        on_fd = record.arguments[0] & 0xFFFFFFFF
    return Thread(
        pid=record.pid, tid=record.tid, name=record.name, state=record.state, call=record.call,
        call_source=record.call_source, wchan=record.wchan, on_fd=on_fd,
        on_fds=polled.pairs if polled is not None else None, switches=record.switches, run_ns=record.run_ns,
    )
