"""From threads to sockets: who is blocked on which, directly or through poll, select, epoll and io_uring."""

from __future__ import annotations

import os
import select
import socket
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from sockscope.collect.process_look import EpollSet, Links, ProcessLook, Table, socket_inode
from sockscope.kernel import kcmp
from sockscope.kernel.epoll import WatchRecord
from sockscope.kernel.syscalls import EPOLLS, FD_PAIRS, POLLS, SELECTS, SOCKET_WAITS
from sockscope.kernel.threads import ThreadRecord
from sockscope.model.detail import Waiter, Watch
from sockscope.model.gap import Gap

MANY = 100  # watches; from here on links are read in bulk
EVENT_BITS = 0x0FFFFFFF  # without the four mode bits
IsRegistered = Callable[[EpollSet, EpollSet, WatchRecord], bool]


class Waiting:
    """Indexes over some processes' looks; answers per socket inode in time of its own watches and waiters."""

    def __init__(
        self, looks: Iterable[ProcessLook], is_registered: IsRegistered, rings: Mapping[int, list[Waiter]]
    ) -> None:
        self._looks = list(looks)
        self._links = Links()
        self._is_registered = is_registered
        self._direct: dict[int, list[Waiter]] = defaultdict(list, {inode: list(some) for inode, some in rings.items()})
        self._watches: dict[int, list[tuple[EpollSet, WatchRecord]]] = defaultdict(list)
        self._asleep: dict[tuple[Table, int], list[ThreadRecord]] = defaultdict(list)
        self._outer: dict[tuple[Table, int], list[EpollSet]] = defaultdict(list)
        self._twins: dict[tuple[Table, int], list[EpollSet]] = {}
        self._sets = [one for look in self._looks for one in look.sets]
        devices = _devices()
        self._sockets_device, self._anonymous = devices or (-1, (-1, -1))
        for look in self._looks:
            if devices is None and look.sets:
                look.gaps.append(Gap("watches", "failed", detail="no fd of our own to learn sockets' device number by"))
            self._index_threads(look)
        for one in self._sets:
            self._index_set(one)
        for look in self._looks:
            if look.pid in self._links.failed:
                detail = f"fds of process {look.pid} whose links were not read"
                look.gaps.append(Gap("watches", "failed", detail=detail))

    def waiters(self, inode: int) -> tuple[Waiter, ...]:
        """List threads blocked on this socket. A fired one-shot watch waits for nothing until it is armed again."""
        found = list(self._direct.get(inode, ()))
        for one, watch in self._watches.get(inode, ()):
            if not watch.armed:
                continue
            for outer in self._around(one):
                found.extend(
                    Waiter(
                        thread.pid, thread.tid, thread.name, thread.call or "", "epoll", via_fd=outer.fd, fd=watch.fd,
                        events=watch.events & EVENT_BITS,
                    )
                    for thread in self._asleep.get((outer.table, outer.fd), ())
                )
        return tuple(dict.fromkeys(found))

    def watches(self, inode: int) -> tuple[Watch, ...]:
        """List its epoll registrations; a set shared over fork is named once, by the process whose fd it is."""
        kept: list[tuple[EpollSet, WatchRecord]] = []
        for one, watch in self._watches.get(inode, ()):
            place = next((i for i, (other, seen) in enumerate(kept) if seen == watch and _is_same(one, other)), None)
            if place is None:
                kept.append((one, watch))
            elif self._stale(kept[place][0], watch) and not self._stale(one, watch):
                kept[place] = (one, watch)
        return tuple(self._to_watch(one, watch) for one, watch in kept)

    def watches_of(self, look: ProcessLook) -> tuple[Watch, ...]:
        """List every registration of a process' sets, whatever is watched."""
        for one in look.sets:
            if len(one.watches) > MANY:
                self._links.fetch(one.table, (watch.fd for watch in one.watches))
        return tuple(self._to_watch(one, watch) for one in look.sets for watch in one.watches)

    def _index_threads(self, look: ProcessLook) -> None:
        for thread in look.threads:
            table = look.tables.get(thread.tid)
            if table is None or thread.call is None or thread.arguments is None:
                continue
            if thread.call in EPOLLS:
                self._asleep[table, thread.arguments[0] & 0xFFFFFFFF].append(thread)
            elif thread.call in POLLS | SELECTS:
                self._index_poll(look, table, thread)
            elif thread.call in SOCKET_WAITS:
                self._index_direct(table, thread, thread.arguments)

    def _index_poll(self, look: ProcessLook, table: Table, thread: ThreadRecord) -> None:
        found = look.polls.get(thread.tid)
        via = "select" if thread.call in SELECTS else "poll"
        for fd, events in found.pairs if found is not None else ():
            inode = socket_inode(self._links.of(table, fd))
            if inode is not None:
                self._direct[inode].append(
                    Waiter(thread.pid, thread.tid, thread.name, thread.call or "", via, fd=fd, events=events)
                )

    def _index_direct(self, table: Table, thread: ThreadRecord, arguments: tuple[int, ...]) -> None:
        """Take the fd of the call; sendfile and splice name two, and one asleep in a pipe waits on no socket."""
        fds = [arguments[0] & 0xFFFFFFFF]
        pair = FD_PAIRS.get(thread.call or "")
        if pair is not None and "pipe" not in (thread.wchan or ""):
            fds.append(arguments[pair] & 0xFFFFFFFF)
        for fd in fds:
            inode = socket_inode(self._links.of(table, fd))
            if inode is not None:
                self._direct[inode].append(
                    Waiter(thread.pid, thread.tid, thread.name, thread.call or "", "direct", fd=fd)
                )

    def _index_set(self, one: EpollSet) -> None:
        if len(one.watches) > MANY:
            anonymous = (watch.fd for watch in one.watches if (watch.device, watch.inode) == self._anonymous)
            self._links.fetch(one.table, anonymous)
        for watch in one.watches:
            if watch.device == self._sockets_device:
                self._watches[watch.inode].append((one, watch))
            elif (watch.device, watch.inode) == self._anonymous and watch.armed:
                inner = self._inner(one, watch)
                if inner is not None:
                    self._outer[inner.table, inner.fd].append(one)

    def _inner(self, one: EpollSet, watch: WatchRecord) -> EpollSet | None:
        """Find the epoll set that a watch stands for, if it is one: all anonymous files share an inode, kcmp tells.

        The fd of the same number is tried first; if it is any other kind of file now, the set may live elsewhere.
        """
        link = self._links.of(one.table, watch.fd) or ""
        if link.startswith("anon_inode:") and link != "anon_inode:[eventpoll]":
            return None  # an eventfd or timerfd
        own = [other for other in self._sets if other.table.pid == one.table.pid and other is not one]
        own.sort(key=lambda other: other.fd != watch.fd)
        return next((other for other in own if self._is_registered(other, one, watch)), None)

    def _around(self, one: EpollSet) -> list[EpollSet]:
        """List the set and every set it is nested in; the kernel allows five levels and no loop."""
        found = [one]
        for each in found:
            for outer in self._outer.get((each.table, each.fd), ()):
                if outer not in found:
                    found.append(outer)
        return found

    def _to_watch(self, one: EpollSet, watch: WatchRecord) -> Watch:
        return Watch(
            one.table.pid, one.fd, watch.fd, watch.inode, watch.device, watch.events, watch.data, watch.trigger,
            watch.oneshot, watch.armed, watch.exclusive, self._stale(one, watch),
        )

    def _stale(self, one: EpollSet, watch: WatchRecord) -> str | None:
        """Tell whether the registration outlived its fd, in every process that shares the set."""
        state = self._stale_in(one.table, watch)
        if state is None:
            return None
        fresh = any(self._stale_in(twin.table, watch) is None for twin in self._twins_of(one))
        return None if fresh else state

    def _twins_of(self, one: EpollSet) -> list[EpollSet]:
        """List the same set under other processes' fds."""
        key = (one.table, one.fd)
        if key not in self._twins:
            others = (other for other in self._sets if other.table.pid != one.table.pid)
            self._twins[key] = [other for other in others if _is_same(one, other)]
        return self._twins[key]

    def _stale_in(self, table: Table, watch: WatchRecord) -> str | None:
        """Judge by (device, inode), never by number. Only sockets and pipes tell their inode in the link."""
        link = self._links.of(table, watch.fd)
        if link is None:
            return "closed"
        if not link:  # could not be read
            return None
        if watch.device == self._sockets_device:
            return None if socket_inode(link) == watch.inode else "reused"
        if (watch.device, watch.inode) == self._anonymous:
            return None if link.startswith("anon_inode:") else "reused"
        if link.startswith("pipe:["):
            return None if link == f"pipe:[{watch.inode}]" else "reused"
        return "reused" if link.startswith(("socket:[", "anon_inode:")) else None


def _is_same(one: EpollSet, other: EpollSet) -> bool:
    """Tell whether two fds are one epoll set."""
    if one is other:
        return True
    return kcmp.same_file(one.table.tid, one.fd, other.table.tid, other.fd) is True


def _devices() -> tuple[int, tuple[int, int]] | None:
    """Learn (device of sockets, (device, inode) of anonymous files) from files of our own; None if we get none."""
    try:
        with socket.socket(socket.AF_UNIX) as one:
            device = _kernel_device(os.fstat(one.fileno()).st_dev)
        with select.epoll() as poller:
            anonymous = os.fstat(poller.fileno())
    except OSError:
        return None
    return device, (_kernel_device(anonymous.st_dev), anonymous.st_ino)


def _kernel_device(number: int) -> int:
    """Give st_dev as fdinfo's sdev prints it: the kernel's own encoding."""
    return os.major(number) << 20 | os.minor(number)
