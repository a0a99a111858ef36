"""How each listener is served: told by what was seen waiting where, never by a program's name.

The question is how many connections one waiting thread or epoll set covers. A PostgreSQL backend sleeps in epoll_wait
with one connection, so the system call decides nothing; nginx with three idle clients on two workers is a loop all the
same, because each worker's set covers the listener too (kernel-facts.md section 3.6).
"""

from __future__ import annotations

from collections.abc import Iterable

from sockscope.analysis.serving import Serving, Unit, group_listeners, serving_of
from sockscope.analysis.serving_text import evidence_of
from sockscope.model.detail import Watch
from sockscope.model.observation import Observation
from sockscope.model.server import Server


def servers(observation: Observation) -> tuple[Server, ...]:
    """Name the model behind every local endpoint that listens, from `observation.details` and who holds what.

    Where nothing was read of a listener's waiters, or nothing was served yet, the model is unknown unless what waits on
    the listener decides it; the evidence says which.
    """
    return tuple(_judge(serving_of(observation, group)) for group in group_listeners(observation))


def _judge(seen: Serving) -> Server:
    group = seen.group
    loops, singles = _split(seen)
    model, units = _model(seen, loops, singles)
    mechanism = _mechanism(loops or units) if model != "unknown" or not seen.covers else None
    threads = {thread for unit in units for thread in seen.threads.get(unit) or {(unit.pid, -unit.number)}}
    return Server(
        local=group.local, protocol=group.protocol, model=model, mechanism=mechanism,
        trigger=_trigger(seen, units) if mechanism == "epoll" else None, pool=_pool(seen, model, units),
        exclusive=_exclusive(seen), connections=group.count, threads=len(threads) if units else None,
        listeners=tuple(row.key for row in group.listeners), evidence=evidence_of(seen, model, loops, singles),
    )


def _split(seen: Serving) -> tuple[list[Unit], list[Unit]]:
    """Tell units that are loops from units that serve one connection and nothing else."""
    loops: list[Unit] = []
    singles: list[Unit] = []
    for unit, covered in seen.covers.items():
        is_loop = unit.via != "direct" and (len(covered) > 1 or unit in seen.guards or _is_worker_loop(seen, unit))
        (loops if is_loop else singles).append(unit)
    return loops, singles


def _is_worker_loop(seen: Serving, unit: Unit) -> bool:
    """Whether an epoll set with one connection is one loop of several, not the set of a connection's own process.

    It is when its process accepts too (an acceptor thread feeds it), or has other such sets, or is the sibling of a
    process whose set watches the listener now (nginx passes the listener around with accept_mutex).
    """
    if unit.via != "epoll":
        return False
    if unit.pid in seen.guard_pids or any(other.pid == unit.pid and other != unit for other in seen.covers):
        return True
    parent = seen.parents.get(unit.pid)
    siblings = {guard.pid for guard in seen.guards if guard.via == "epoll" and guard.pid != unit.pid}
    return parent is not None and any(seen.parents.get(pid) == parent for pid in siblings)


def _model(seen: Serving, loops: list[Unit], singles: list[Unit]) -> tuple[str, list[Unit]]:
    """Name the model, and the units it was told by."""
    blocking = [unit for unit in singles if unit.via != "epoll"]
    if loops and blocking and {unit.pid for unit in blocking} & {unit.pid for unit in loops}:
        return "hybrid", loops + blocking
    if loops:
        return "event-loop", loops + _idle_siblings(seen, loops)
    if singles:
        return _one_each(seen, singles), singles
    if seen.group.count:
        return _unattended(seen)
    return _idle(seen)


def _idle_siblings(seen: Serving, loops: list[Unit]) -> list[Unit]:
    """Loops without a connection: they wait on the listener in the same way."""
    ways = {unit.via for unit in loops}
    return [unit for unit in seen.guards if unit.via in ways and unit not in loops]


def _one_each(seen: Serving, singles: list[Unit]) -> str:
    """Every connection has a thread to itself: in processes of their own, in one process, or there is only one."""
    pids = [unit.pid for unit in singles]
    if len(set(pids)) < len(pids):
        return "thread-per-connection"
    if any(unit.pid in seen.guard_pids for unit in singles):  # another thread of it waits for the next one
        return "thread-per-connection"
    if len(singles) == 1 and seen.holders == {pids[0]} and not seen.guards and seen.is_listener_read:
        return "iterative"
    return "process-per-connection"


def _unattended(seen: Serving) -> tuple[str, list[Unit]]:
    """Nobody was seen waiting on any connection: only counts can tell, and seldom do.

    A single thread with several connections is a loop; how it waits is told by what it was seen in, as a ring's pending
    requests are not told by socket.
    """
    pids = {unit.pid for unit in seen.guards} or set(seen.holders)
    is_single = len(pids) == 1 and seen.threads_of.get(next(iter(pids))) == 1
    if is_single and seen.group.count > 1 and not seen.queued:
        return "event-loop", list(seen.guards)
    return "unknown", []


def _idle(seen: Serving) -> tuple[str, list[Unit]]:
    """No connection: what waits on the listener decides, where it can.

    A ready listener that is non-blocking and in a set belongs to a loop. A blocking one that is polled is accepted by
    whoever polls, and what becomes of the connection (a thread, a process, itself) shows only when there is one.
    """
    guards = list(seen.guards)
    ways = {unit.via for unit in guards}
    if ways and ways <= {"epoll", "io_uring"} and seen.nonblocking is not False:
        return "event-loop", guards
    if ways and ways <= {"poll", "select"} and seen.nonblocking and len(seen.guard_pids) == 1:
        return "event-loop", guards
    if ways == {"direct"} and len(guards) > 1:
        each_own = len(seen.guard_pids) == len(guards)
        return "process-per-connection" if each_own else "thread-per-connection", guards
    return "unknown", guards


def _mechanism(units: Iterable[Unit]) -> str | None:
    """Name the way most of them wait."""
    ways = [unit.via for unit in units]
    most = max(sorted(set(ways)), key=ways.count, default=None)
    return "blocking" if most == "direct" else most


def _trigger(seen: Serving, units: list[Unit]) -> str | None:
    """Tell level from edge by the connections' registrations; by the listener's while there is none."""
    return _one_trigger(seen.watches, units) or _one_trigger(seen.listener_watches, units)


def _one_trigger(watches: list[Watch], units: list[Unit]) -> str | None:
    sets = {(unit.pid, unit.number) for unit in units if unit.via == "epoll"}
    found = {watch.trigger for watch in watches if (watch.pid, watch.epoll_fd) in sets}
    if len(found) > 1:
        return "mixed"
    return found.pop() if found else None


def _pool(seen: Serving, model: str, units: list[Unit]) -> str | None:
    """Tell workers that were there before the connection.

    Several that wait for the next connection were, and siblings of one that does; so were processes older than their
    connection, and fewer threads than connections. One that hands over and waits again makes a new worker each time,
    as far as can be seen.
    """
    pids = {unit.pid for unit in units}
    if model in ("event-loop", "hybrid"):
        loops = [unit for unit in units if unit.via != "direct"]
        if len(pids) > 1:
            return "pre-forked"
        return "pre-threaded" if len(loops) > 1 else None
    if model == "process-per-connection":
        parents = {seen.parents.get(pid) for pid in pids} - {None}
        waiting = {seen.parents.get(pid) for pid in seen.guard_pids}
        is_taking_turns = len(seen.guard_pids) > 1 or bool(parents & waiting) or seen.is_older_than_its_connection
        return "pre-forked" if is_taking_turns and pids & seen.holders else None
    if model == "thread-per-connection":
        threads = seen.threads_of.get(next(iter(pids), 0))
        is_short = threads is not None and len(pids) == 1 and threads <= seen.group.count
        accepting = [unit.pid for unit in seen.guards if unit.via == "direct"]
        is_taking_turns = len(accepting) > len(set(accepting)) or (not seen.guards and seen.queued > 0)
        if is_taking_turns or is_short:
            return "pre-threaded"
    return "pre-forked" if len(seen.guard_pids) > 1 else None


def _exclusive(seen: Serving) -> str | None:
    if len(seen.group.listeners) > 1:
        return "SO_REUSEPORT"
    return "EPOLLEXCLUSIVE" if any(watch.exclusive for watch in seen.listener_watches) else None
