"""What an I/O model was told by, in sentences with the numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from sockscope.analysis.serving import Serving, Unit

_FEW = 4


def evidence_of(seen: Serving, model: str, loops: Sequence[Unit], singles: Sequence[Unit]) -> tuple[str, ...]:
    """List what was seen, the deciding fact first."""
    lines = [*_loop_lines(seen, loops), *_single_lines(seen, singles), *_listener_lines(seen)]
    count = seen.group.count
    if seen.unattended:
        lines.append(f"{seen.unattended} of {count} connections have nobody waiting on them at this moment")
    if seen.unread:
        lines.append(f"the waiters of {seen.unread} of {count} connections were not wholly read")
    if not count:
        rest = "; what becomes of one shows only then" if model == "unknown" else ": told by the listener alone"
        lines.append("no connection is open" + rest)
    if seen.is_older_than_its_connection and model == "process-per-connection":
        lines.append("the processes were there before their connections")
    if model == "iterative":
        lines.append("the process that serves is the only one that could accept, and waits for no connection now")
    return tuple(lines)


def _loop_lines(seen: Serving, loops: Sequence[Unit]) -> list[str]:
    if not loops:
        return []
    covered = [len(seen.covers[unit]) for unit in loops]
    with_listener = sum(unit in seen.guards for unit in loops)
    what = _ways(loops, len(loops))
    spread = ", ".join(str(number) for number in sorted(covered, reverse=True)[:_FEW])
    more = ", ..." if len(covered) > _FEW else ""
    line = f"{sum(covered)} {_plural('connection', sum(covered))} in {len(loops)} {what} ({spread}{more})"
    lines = [line + (f", {with_listener} of them with the listener" if with_listener else "")]
    modes = Counter(watch.trigger for watch in seen.watches)
    if modes:
        lines.append("registered " + ", ".join(f"{mode}-triggered: {number}" for mode, number in modes.items()))
    return lines


def _single_lines(seen: Serving, singles: Sequence[Unit]) -> list[str]:
    if not singles:
        return []
    pids = {unit.pid for unit in singles}
    calls = sorted({call for unit in singles for call in seen.calls.get(unit, ())})
    count = len(singles)
    has = "1 connection has a thread of its own" if count == 1 else f"{count} connections have a thread each"
    where = f"in {len(pids)} {_plural('process', len(pids), 'es')} ({_numbers(pids)})"
    return [f"{has} {where}" + (f", waiting in {', '.join(calls)}" if calls else "")]


def _listener_lines(seen: Serving) -> list[str]:
    lines = []
    if len(seen.group.listeners) > 1:
        lines.append(f"{len(seen.group.listeners)} listeners share the endpoint (SO_REUSEPORT)")
    if seen.guards:
        pids = seen.guard_pids
        calls = sorted({call for unit in seen.guards for call in seen.calls.get(unit, ())})
        how = f" in {', '.join(calls)}" if calls else ""
        lines.append(f"{_plural('process', len(pids), 'es')} {_numbers(pids)} {_wait(pids)} for new connections{how}")
        others = seen.holders - pids
        if others:
            hold = "holds" if len(others) == 1 else "hold"
            lines.append(f"{_plural('process', len(others), 'es')} {_numbers(others)} only {hold} the listener")
    elif seen.is_listener_read:
        queued = f", {seen.queued} wait to be accepted" if seen.queued else ""
        lines.append(f"nobody waits for new connections{queued}")
    else:
        lines.append("who waits on the listener was not read")
    if seen.nonblocking is not None:
        lines.append(f"the listener is {'non-blocking' if seen.nonblocking else 'blocking'}")
    if any(watch.exclusive for watch in seen.listener_watches):
        lines.append("the listener is registered with EPOLLEXCLUSIVE")
    return lines


def _ways(units: Iterable[Unit], count: int) -> str:
    """Name what they wait in: epoll sets, threads in poll."""
    words = {"epoll": ("epoll set", ""), "poll": ("thread", " in poll"), "select": ("thread", " in select")}
    ways = sorted({unit.via for unit in units})
    return " or ".join(_plural(word, count) + rest for word, rest in (words.get(way, ("ring", "")) for way in ways))


def _numbers(pids: Iterable[int]) -> str:
    ordered = sorted(pids)
    shown = ", ".join(str(pid) for pid in ordered[:_FEW])
    return f"{shown} and {len(ordered) - _FEW} more" if len(ordered) > _FEW else shown


def _wait(pids: set[int]) -> str:
    return "waits" if len(pids) == 1 else "wait"


def _plural(word: str, count: int, ending: str = "s") -> str:
    return word if count == 1 else word + ending
