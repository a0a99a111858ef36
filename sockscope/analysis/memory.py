"""What needs time to be seen: one fold over snapshots and details, bounded, immutable (design.md section 1).

`remember()` is deterministic and asks no clock: time is the snapshot's `monotonic_s` and a reading's `read_at_s`.
Its cost follows the rows that changed and the rows that are not at rest. Every memory shares what did not change
with the one before, so a screen may read one while the feed makes the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from msgspec import Struct, structs

from sockscope.analysis import history, progress, tracks
from sockscope.analysis.ends import Ends, fold_ends
from sockscope.analysis.history import History
from sockscope.analysis.ports import Accepts, Listeners, Port, fold_accepts, fold_closes, fold_listeners, oldest_waiting
from sockscope.analysis.progress import ProcessProgress, TcpProgress
from sockscope.analysis.tracks import Moment, Track
from sockscope.model.detail import ProcessDetail, SocketDetail
from sockscope.model.process import Process
from sockscope.model.snapshot import Changes, Counters, Snapshot
from sockscope.model.socket import SocketKey

K = TypeVar("K")
V = TypeVar("V")

FRESH_S = 5.0
COUNTER_SAMPLES = 11  # ten differences: the widest window of findings.md section 3
DETAILS_KEPT = 1024  # sockets whose last details are kept; the feed reads at most 256 a refresh
PROCESS_KEPT_S = 60.0
MUTE_S = 600.0  # a disproof mutes a rule for that process so long
NO_CHANGES = Changes(frozenset(), frozenset(), frozenset())
DISPROOF_S = 10.0  # a read without a new arrival disproves "lost" only when it had waited this long


class FdTrend(Struct, frozen=True, gc=False):
    """A process's open fds: since when they have not fallen, from how many, to how many; `previous` the look before."""

    start_ticks: int | None
    since_s: float
    first: int
    last: int
    previous: int | None = None


class CountersAt(Struct, frozen=True):
    """All namespaces' counters at one sample."""

    at_s: float
    sample: int
    counters: tuple[Counters, ...]


class Memory(Struct, frozen=True):
    """Everything remembered. `sample` numbers the looks folded in, from 1; `first_s` is the first one's time."""

    snapshot: Snapshot | None = None
    sample: int = 0
    first_s: float = 0.0
    tracks: Mapping[SocketKey, Track] = {}
    tcp: Mapping[SocketKey, TcpProgress] = {}
    details: Mapping[SocketKey, SocketDetail] = {}
    processes: Mapping[tuple[int, int | None], ProcessProgress] = {}
    process_details: Mapping[tuple[int, int | None], ProcessDetail] = {}
    fd_trends: Mapping[int, FdTrend] = {}
    listeners: Listeners = {}
    ends: Ends | None = None  # None after the first look: ends.other_end() then asks the index of that look
    accepts: Mapping[Port, Accepts] = {}
    closes: Mapping[Port, float] = {}  # by service port: when a CLOSE_WAIT was last seen to end
    waiting: Mapping[Port, tuple[float, bool]] = {}  # oldest connection not accepted: since, and whether that is exact
    counters: tuple[CountersAt, ...] = ()
    history: History = History()
    mutes: Mapping[tuple[str, int], float] = {}

    @property
    def now_s(self) -> float:
        """The time of the last look."""
        return self.snapshot.monotonic_s if self.snapshot is not None else 0.0

    def is_fresh(self, read_at_s: float) -> bool:
        """Whether a reading tells about now: no older than FRESH_S or, where looks are rarer, the last interval."""
        before_s = self.counters[-2].at_s if len(self.counters) > 1 else self.now_s
        return read_at_s >= min(self.now_s - FRESH_S, before_s - 1.0)

    def process(self, process: Process | None) -> ProcessProgress | None:
        """Look up what is known of its threads."""
        return None if process is None else self.processes.get(process.key)

    def is_muted(self, rule: str, pid: int) -> bool:
        """Whether a disproof has muted the rule for this process."""
        return self.mutes.get((rule, pid), -1.0) > self.now_s


EMPTY = Memory()


def remember(memory: Memory, snapshot: Snapshot, details: Iterable[SocketDetail | ProcessDetail] = ()) -> Memory:
    """Fold in one more look and the details read since the last one; another boot or host starts anew."""
    before = memory.snapshot
    if before is not None and (before.boot_id, before.host) != (snapshot.boot_id, snapshot.host):
        memory, before = EMPTY, None
    at_s, sample = snapshot.monotonic_s, memory.sample + 1
    changes = difference(before, snapshot) if before is not None else NO_CHANGES  # each part sees that all is new
    moment = Moment(at_s, sample, had_before=before is not None)
    kept = _fold_tracks(memory.tracks, before, snapshot, changes, moment)
    if before is None:
        restless: Iterable[SocketKey] = kept
    else:
        restless = (key for key in (*changes.new, *changes.changed) if key in kept or key in memory.tracks)
    memory = structs.replace(
        memory, snapshot=snapshot, sample=sample, first_s=memory.first_s if before is not None else at_s,
        tracks=kept, history=history.record(memory.history, at_s, restless, snapshot.sockets),
        listeners=fold_listeners(memory.listeners, before, snapshot, changes),
        ends=fold_ends(memory.ends, before, snapshot, changes),
        fd_trends=_fold_fds(memory.fd_trends, before, snapshot),
        counters=(*memory.counters, CountersAt(at_s, sample, snapshot.counters))[-COUNTER_SAMPLES:],
    )
    memory = structs.replace(
        memory, waiting=oldest_waiting(kept, snapshot),
        closes=fold_closes(memory.closes, memory.listeners, before, snapshot, changes),
        accepts=fold_accepts(memory.accepts, memory.listeners, before, snapshot, changes, sample=sample),
    )
    return _forget(_fold_details(memory, details), changes.gone)


def difference(before: Snapshot | None, now: Snapshot) -> Changes:
    """Tell what changed: as the source worked it out, else by comparing identities (unchanged rows are shared)."""
    if before is None:
        return Changes(frozenset(now.sockets), frozenset(), frozenset())
    if now.changes is not None and now.sequence == before.sequence + 1:
        return now.changes
    old, new = before.sockets, now.sockets
    if old is new:
        return NO_CHANGES
    differing = [key for key, socket in new.items() if old.get(key) is not socket]
    born = frozenset(key for key in differing if key not in old)
    gone = frozenset(old.keys() - new.keys()) if len(old) + len(born) != len(new) else frozenset[SocketKey]()
    return Changes(born, frozenset(key for key in differing if key in old and old[key] != new[key]), gone)


def _fold_tracks(
    kept: Mapping[SocketKey, Track], before: Snapshot | None, now: Snapshot, changes: Changes, moment: Moment
) -> Mapping[SocketKey, Track]:
    if before is None:
        return {key: tracks.fold(None, None, row, moment) for key, row in tracks.restless(now.sockets)}
    folded, old = dict(kept), before.sockets
    for key in changes.gone:
        folded.pop(key, None)
    # In the order they were made, not a set's: findings name the first row of a fault, and a replay must name the same.
    for key in (*sorted(changes.new, key=_made), *sorted(changes.changed, key=_made)):
        socket = now.sockets.get(key)
        if socket is not None and tracks.has_track(socket):
            folded[key] = tracks.fold(folded.get(key), old.get(key), socket, moment)
        else:
            folded.pop(key, None)
    return folded


def _made(key: SocketKey) -> int:
    """Order keys by cookie or inode, both counted up by the kernel; without either they are as good as equal."""
    return key[-1] if isinstance(key[-1], int) else 0


def _fold_fds(kept: Mapping[int, FdTrend], before: Snapshot | None, now: Snapshot) -> Mapping[int, FdTrend]:
    settled = all(trend.previous == trend.last for trend in kept.values())
    if before is not None and before.processes is now.processes and settled:
        return kept
    folded: dict[int, FdTrend] = {}
    for pid, process in now.processes.items():
        count, trend = process.fd_count, kept.get(pid)
        if count is None:
            continue
        if trend is None or trend.start_ticks != process.start_ticks:
            folded[pid] = FdTrend(process.start_ticks, now.monotonic_s, count, count)
        elif count < trend.last:
            folded[pid] = FdTrend(process.start_ticks, now.monotonic_s, count, count, trend.last)
        elif count == trend.last == trend.previous:
            folded[pid] = trend
        else:
            folded[pid] = structs.replace(trend, last=count, previous=trend.last)
    return folded


def _fold_details(memory: Memory, details: Iterable[SocketDetail | ProcessDetail]) -> Memory:
    snapshot = memory.snapshot
    tcp, kept, processes = dict(memory.tcp), dict(memory.details), dict(memory.processes)
    process_details, mutes = dict(memory.process_details), dict(memory.mutes)
    for detail in details:
        if isinstance(detail, ProcessDetail):
            process_details[detail.key] = merge_process(process_details.get(detail.key), detail)
            if detail.threads is not None:
                seen = progress.fold_threads(processes.get(detail.key), detail.threads)
                if seen is not None:
                    processes[detail.key] = seen
            continue
        kept[detail.key] = progress.merge(kept.pop(detail.key, None), detail)
        socket = snapshot.sockets.get(detail.key) if snapshot is not None else None
        if detail.tcp is None or snapshot is None or socket is None:
            continue
        earlier = tcp.pop(detail.key, None)
        now = progress.fold_tcp(earlier, detail.tcp, socket.receive_queued)
        if now is not None:
            tcp[detail.key] = now
        if earlier is not None and now is not None and _disproves(earlier, now):
            mutes.update({("edge-missed", holder.pid): now.at_s + MUTE_S for holder in snapshot.holders_of(socket)})
    return structs.replace(memory, tcp=tcp, details=kept, processes=processes, process_details=process_details,
                           mutes=mutes)


def merge_process(old: ProcessDetail | None, new: ProcessDetail) -> ProcessDetail:
    """Keep the newest reading of each facet; another process with the same pid begins anew."""
    if old is None or old.key != new.key:
        return new
    return ProcessDetail(new.key, new.process or old.process, new.fds or old.fds, new.threads or old.threads,
                         new.watches or old.watches, new.pipes or old.pipes)


def _disproves(earlier: TcpProgress, now: TcpProgress) -> bool:
    """Read after a long wait though nothing had arrived to wake it: the data was not forgotten, only left."""
    if earlier.consumed is None or now.consumed is None or now.consumed <= earlier.consumed:
        return False
    return not now.arrived and earlier.consumed_flat_s() >= DISPROOF_S


def _read_at_s(detail: ProcessDetail) -> float:
    """Tell when any of it was read last."""
    facets = (detail.process, detail.fds, detail.threads, detail.watches, detail.pipes)
    return max((facet.read_at_s for facet in facets if facet is not None), default=0.0)


def _forget(memory: Memory, gone: frozenset[SocketKey]) -> Memory:
    """Without the details of sockets that are gone, the oldest above the limit, and mutes that ended."""
    now_s = memory.now_s
    recent = {key: seen for key, seen in memory.processes.items() if now_s - seen.at_s <= PROCESS_KEPT_S}
    # One of a gone process can hold thousands of watches and fds; who is looked at is read again and again.
    process_details = {
        key: detail for key, detail in memory.process_details.items() if now_s - _read_at_s(detail) <= PROCESS_KEPT_S
    }
    if len(process_details) > DETAILS_KEPT:
        process_details = dict(list(process_details.items())[-DETAILS_KEPT:])
    return structs.replace(
        memory, tcp=_newest(memory.tcp, gone), details=_newest(memory.details, gone), processes=recent,
        process_details=process_details,
        mutes={rule: until_s for rule, until_s in memory.mutes.items() if until_s > now_s},
    )


def _newest(kept: Mapping[K, V], gone: frozenset[K]) -> Mapping[K, V]:
    """Drop what is gone, then the oldest: insertion order is reading order: a key that is read again is put in anew."""
    left = {key: value for key, value in kept.items() if key not in gone}
    over = len(left) - DETAILS_KEPT
    return dict(list(left.items())[over:]) if over > 0 else left
