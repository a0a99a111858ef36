"""What details prove over time: bytes consumed and acknowledged, threads that did not run, calls they stay in."""

from __future__ import annotations

from msgspec import Struct

from sockscope.model.detail import Read, SocketDetail, TcpInfo
from sockscope.model.process import Thread

FACETS = ("tcp", "marks", "waiters", "watches", "nonblocking", "timer_expires_s")


class TcpProgress(Struct, frozen=True):
    """The last two readings of a socket's tcp_info, and since when its two byte counts stand still.

    `consumed` is bytes_received - rq: what the application has taken. `*_reads` is how many readings showed the
    value; a time of standing still is only as good as they are.
    """

    info: TcpInfo
    at_s: float
    consumed: int | None
    consumed_since_s: float
    consumed_reads: int
    acked_since_s: float
    acked_reads: int
    previous: TcpInfo | None = None
    previous_at_s: float | None = None

    @property
    def arrived(self) -> bool:
        """Whether bytes came in between the last two readings."""
        return self.previous is not None and self.previous.bytes_received != self.info.bytes_received

    def consumed_flat_s(self) -> float:
        """For how long the application verifiably took nothing: from the first equal reading to the last."""
        return self.at_s - self.consumed_since_s

    def acked_flat_s(self) -> float:
        """For how long the peer verifiably acknowledged nothing."""
        return self.at_s - self.acked_since_s


class ThreadProgress(Struct, frozen=True, gc=False):
    """One thread over its readings. `frozen_since_s`: it used no CPU time since (schedstat); None = not known.

    `call_since_s`: in the same call on the same fd without having run since. `set_fd`: the epoll set it was last
    seen to wait in.
    """

    thread: Thread
    frozen_since_s: float | None
    call_since_s: float | None
    reads: int
    set_fd: int | None = None
    switches_before: int | None = None  # voluntary switches at the reading before
    call_readings: int = 1  # how many readings showed it in that call without having run
    call_whole: bool = False  # its beginning was seen: else call_since_s is only the first reading's time


class ProcessProgress(Struct, frozen=True):
    """A process's threads at the last reading. `frozen_since_s`: none of them used CPU time since."""

    at_s: float
    threads: tuple[ThreadProgress, ...]
    before_s: float | None
    frozen_since_s: float | None

    def frozen_s(self) -> float:
        """For how long no thread ran, up to the last reading; 0 where one did or it is not known."""
        return 0.0 if self.frozen_since_s is None else self.at_s - self.frozen_since_s


def fold_tcp(progress: TcpProgress | None, read: Read[TcpInfo], queued: int | None) -> TcpProgress | None:
    """With one more reading. `queued`: the row's receive queue, used where the reading does not carry its own."""
    info = read.value
    if info is None or (progress is not None and read.read_at_s <= progress.at_s):
        return progress
    at_s = read.read_at_s
    rq = info.receive_queued if info.receive_queued is not None else queued
    consumed = None if info.bytes_received is None or rq is None else info.bytes_received - rq
    if progress is None:
        return TcpProgress(info, at_s, consumed, at_s, 1, at_s, 1)
    still = consumed is not None and consumed == progress.consumed
    unacked = info.bytes_acked is not None and info.bytes_acked == progress.info.bytes_acked
    return TcpProgress(
        info, at_s, consumed, progress.consumed_since_s if still else at_s,
        progress.consumed_reads + 1 if still else 1, progress.acked_since_s if unacked else at_s,
        progress.acked_reads + 1 if unacked else 1, progress.info, progress.at_s,
    )


def fold_threads(progress: ProcessProgress | None, read: Read[tuple[Thread, ...]]) -> ProcessProgress | None:
    """With one more reading of all threads of a process. A thread that came or went counts as having run."""
    if read.value is None or (progress is not None and read.read_at_s <= progress.at_s):
        return progress
    at_s = read.read_at_s
    before = {} if progress is None else {seen.thread.tid: seen for seen in progress.threads}
    threads = tuple(_fold_thread(before.get(thread.tid), thread, at_s) for thread in read.value)
    starts = [seen.frozen_since_s for seen in threads]
    known = [start for start in starts if start is not None]
    same = before.keys() == {thread.tid for thread in read.value}
    frozen = max(known) if known and len(known) == len(starts) and (same or progress is None) else None
    return ProcessProgress(at_s, threads, progress.at_s if progress else None, frozen)


def _fold_thread(seen: ThreadProgress | None, thread: Thread, at_s: float) -> ThreadProgress:
    start = None if thread.run_ns is None else at_s
    in_set = thread.call is not None and thread.call.startswith("epoll_") and thread.on_fd is not None
    if seen is None:
        return ThreadProgress(thread, start, start, 1, thread.on_fd if in_set else None)
    slept = thread.run_ns is not None and thread.run_ns == seen.thread.run_ns
    same_call = slept and (thread.call, thread.on_fd) == (seen.thread.call, seen.thread.on_fd)
    return ThreadProgress(
        thread, seen.frozen_since_s if slept else start, seen.call_since_s if same_call else start,
        seen.reads + 1, thread.on_fd if in_set else seen.set_fd,
        seen.thread.switches[0] if seen.thread.switches else None, seen.call_readings + 1 if same_call else 1,
        seen.call_whole if same_call else True,
    )


def merge(old: SocketDetail | None, new: SocketDetail) -> SocketDetail:
    """Keep the newest reading of each facet: what was not asked this time keeps its last one, with its age."""
    if old is None:
        return new
    facets = {name: getattr(new, name) or getattr(old, name) for name in FACETS}
    return SocketDetail(new.key, **facets)
