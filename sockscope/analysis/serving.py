"""Who serves what: the waiting units (threads, epoll sets) behind one local endpoint, and what each of them covers.

A unit is what waits, for one socket or for many: a thread in recv(), accept(), poll() or select(), a ring, or an epoll
set. How a server works shows in how many connections one unit covers, and whether it covers the listener too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from msgspec import Struct

from sockscope.analysis.peers import listener_of, listening
from sockscope.model.detail import SocketDetail, Waiter, Watch
from sockscope.model.observation import Observation
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Endpoint, Socket, SocketKey

_SLACK_S = 0.1  # start times are cut to 10 ms, and read_at_s is when the request was made


class Unit(Struct, frozen=True, gc=False):
    """`via` is direct, poll, select, io_uring (`number` is a tid) or epoll (`number` is the set's fd in `pid`)."""

    pid: int
    number: int
    via: str


class Group(Struct):
    """The listeners of one local endpoint and the accepted connections that came in by it.

    `count` is of all of them; `connections` are those of which a detail was read.
    """

    netns: int
    protocol: str
    local: Endpoint
    listeners: list[Socket]
    connections: list[Socket]
    count: int = 0


class Serving(Struct):
    """What was seen of a group. `guards` cover listeners, `covers` connections; `calls` are a unit's system calls."""

    group: Group
    covers: dict[Unit, list[SocketKey]]
    guards: dict[Unit, list[SocketKey]]
    calls: dict[Unit, set[str]]
    threads: dict[Unit, set[tuple[int, int]]]  # who sleeps in the unit now
    watches: list[Watch]  # of connections
    listener_watches: list[Watch]
    nonblocking: bool | None  # the listeners' O_NONBLOCK; None where not read, or mixed
    unattended: int  # connections that were read and that no unit covers
    unread: int  # connections whose waiters or watches were not read, or not wholly
    is_listener_read: bool
    holders: frozenset[int]  # pids that have a listener open
    parents: dict[int, int | None]  # pid -> parent
    threads_of: dict[int, int | None]  # pid -> number of threads
    queued: int  # connections that wait to be accepted
    is_older_than_its_connection: bool = False  # every serving process whose connection's age is known

    @property
    def guard_pids(self) -> set[int]:
        """Processes that wait for new connections."""
        return {unit.pid for unit in self.guards}


def group_listeners(observation: Observation) -> list[Group]:
    """Group listeners by local endpoint, each with its accepted connections.

    100,000 rows are only counted, 15 ms; what is joined one by one are the rows that have a detail.
    """
    snapshot = observation.snapshot
    groups: dict[tuple[int, str, Endpoint], Group] = {}
    for row in listening(snapshot):
        key = (row.netns, row.protocol, row.local)
        groups.setdefault(key, Group(row.netns, row.protocol, row.local, [], [])).listeners.append(row)
    doors: Doors = {(netns, local.port if local.path is None else local.path) for netns, _, local in groups}
    for tally in _count_by_local(snapshot, doors):
        listener = listener_of(snapshot, tally.row)
        if listener is not None:
            groups[listener.netns, listener.protocol, listener.local].count += tally.count
    for socket in observation.details:
        found = snapshot.sockets.get(socket)
        listener = listener_of(snapshot, found) if found is not None and _is_accepted(found, doors) else None
        if found is not None and listener is not None:
            groups[listener.netns, listener.protocol, listener.local].connections.append(found)
    return list(groups.values())


Doors = set[tuple[int, int | bytes | None]]


def _is_accepted(row: Socket, doors: Doors) -> bool:
    """Whether it came in by a door. Without a file it is not accepted yet, or closed."""
    if not row.inode or row.state == "LISTEN":
        return False
    if row.remote is None:
        return bool(row.peer_inode) and row.local.path is not None and (row.netns, row.local.path) in doors
    return (row.netns, row.local.port) in doors


class _Tally:
    """How many rows share the local end, namespace and protocol of this one."""

    __slots__ = ("count", "row")

    def __init__(self, row: Socket) -> None:
        self.row, self.count = row, 0


def _count_by_local(snapshot: Snapshot, doors: Doors) -> list[_Tally]:
    """Count accepted connections by local endpoint. Rows share their Endpoint values, so identity will do.

    What _is_accepted() asks is asked in place, a call a row being half the time; of the namespace, once a tally.
    """
    ports = {name if isinstance(name, int) else None for _, name in doors}  # None: of whatever has a path instead
    tallies: list[_Tally] = []
    newest: dict[int, _Tally] = {}
    for row in snapshot.sockets.values():
        local = row.local
        if local.port not in ports or not row.inode or row.state == "LISTEN":
            continue
        if row.remote is None and not _is_accepted(row, doors):
            continue
        tally = newest.get(id(local))
        if tally is None or tally.row.netns != row.netns or tally.row.protocol != row.protocol:
            tally = newest[id(local)] = _Tally(row)
            tallies.append(tally)
        tally.count += 1
    return [tally for tally in tallies if _is_accepted(tally.row, doors)]


def serving_of(observation: Observation, group: Group) -> Serving:
    """Join a group with the waiters and watches that were read of its sockets."""
    snapshot, details = observation.snapshot, observation.details
    found = Serving(
        group, defaultdict(list), defaultdict(list), defaultdict(set), defaultdict(set), [], [],
        _nonblocking(details.get(row.key) for row in group.listeners), 0, group.count - len(group.connections), False,
        frozenset(), {}, {},
        sum(row.receive_queued or 0 for row in group.listeners),
    )
    for row in group.listeners:
        detail = details.get(row.key)
        found.is_listener_read |= _is_read(detail)
        _join(found, row.key, detail, found.guards, found.listener_watches)
    for row in group.connections:
        detail = details.get(row.key)
        is_covered = _join(found, row.key, detail, found.covers, found.watches)
        if not _is_read(detail):
            found.unread += 1
        elif not is_covered:
            found.unattended += 1
    found.holders = frozenset(holder.pid for row in group.listeners for holder in snapshot.holders_of(row))
    pids = found.holders | {unit.pid for unit in (*found.covers, *found.guards)}
    for pid in pids:
        process = snapshot.processes.get(pid)
        found.parents[pid] = process.parent_pid if process is not None else None
        found.threads_of[pid] = process.thread_count if process is not None else None
    found.is_older_than_its_connection = _are_older(observation, found)
    return found


def _are_older(observation: Observation, found: Serving) -> bool:
    """Whether the processes that serve were there before their connections, as far as ages are known."""
    rows = {row.key: row for row in found.group.connections}
    older = [
        _is_older(observation, unit.pid, rows[key])
        for unit, keys in found.covers.items()
        for key in keys
    ]
    known = [one for one in older if one is not None]
    return bool(known) and all(known)


def _is_older(observation: Observation, pid: int, connection: Socket) -> bool | None:
    """Compare a process' age with its connection's, known only while no data has flowed since the handshake's ACK.

    Start times come in hundredths of a second since boot (proc(5), CLK_TCK).
    """
    detail, process = observation.details.get(connection.key), observation.snapshot.processes.get(pid)
    read = detail.tcp if detail is not None else None
    if read is None or read.value is None or read.value.data_segs_in != 0 or read.value.data_segs_out != 0:
        return None
    if process is None or process.start_ticks is None:
        return None
    return read.read_at_s - process.start_ticks / 100 > read.value.last_ack_recv_ms / 1000 + _SLACK_S


def _join(
    found: Serving, key: SocketKey, detail: SocketDetail | None, into: dict[Unit, list[SocketKey]], watches: list[Watch]
) -> bool:
    """Enter one socket's waiters and watches; whether there were any."""
    units: dict[Unit, None] = {}
    registered = _value_of_watches(detail)
    for watch in registered:
        watches.append(watch)
        units[Unit(watch.pid, watch.epoll_fd, "epoll")] = None
    for waiter in _value_of_waiters(detail):
        unit = _unit_of(waiter, registered)
        units[unit] = None
        found.calls[unit].add(waiter.call)
        found.threads[unit].add((waiter.pid, waiter.tid))
    for unit in units:
        into[unit].append(key)
    return bool(units)


def _unit_of(waiter: Waiter, registered: tuple[Watch, ...]) -> Unit:
    """Sleepers in epoll_wait belong to the set that watches, which may be nested in theirs, or shared over fork."""
    if waiter.via != "epoll" or waiter.via_fd is None:
        return Unit(waiter.pid, waiter.tid, waiter.via)
    own = [watch for watch in registered if watch.pid == waiter.pid] or list(registered)
    exact = [watch for watch in own if watch.epoll_fd == waiter.via_fd]
    if exact or not own:
        return Unit(waiter.pid, waiter.via_fd, "epoll") if not exact or exact[0].pid == waiter.pid else _set(exact[0])
    return _set(own[0])


def _set(watch: Watch) -> Unit:
    return Unit(watch.pid, watch.epoll_fd, "epoll")


def _value_of_waiters(detail: SocketDetail | None) -> tuple[Waiter, ...]:
    return (detail.waiters.value or ()) if detail is not None and detail.waiters is not None else ()


def _value_of_watches(detail: SocketDetail | None) -> tuple[Watch, ...]:
    if detail is None or detail.watches is None:
        return ()
    return tuple(watch for watch in detail.watches.value or () if watch.stale is None)


def _is_read(detail: SocketDetail | None) -> bool:
    """Whether threads and epoll sets were both read, with nothing left out."""
    reads = (detail.waiters, detail.watches) if detail is not None else (None,)
    return all(read is not None and read.value is not None and read.gap is None for read in reads)


def _nonblocking(details: Iterable[SocketDetail | None]) -> bool | None:
    flags = {
        flag
        for detail in details
        if detail is not None and detail.nonblocking is not None
        for flag in (detail.nonblocking.value or {}).values()
    }
    return flags.pop() if len(flags) == 1 else None
