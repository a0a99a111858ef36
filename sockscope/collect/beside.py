"""A thread that works while we do other work: what waits in the kernel needs no Python, so two cores are used.

A look of a quiet machine with 10,000 sockets takes 9.5 ms so, 14 one after the other (tests/benchmarks/steady.py). For
these milliseconds we keep to the core that we are on, and the thread off it: as each wakes the other, the scheduler
would put both on one core, and part them only with its next tick, when all is over (10.5 ms in the middle, often 13).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

from sockscope.kernel.calls import current_core

T = TypeVar("T")


class Beside(Generic[T]):
    """Does one piece of work at a time; what is given to it must not raise. `close` from any thread."""

    def __init__(self) -> None:
        self._orders: SimpleQueue[Callable[[], T] | None] = SimpleQueue()
        self._made: SimpleQueue[T] = SimpleQueue()
        self._work: Callable[[], T] | None = None
        self._allowed: set[int] = set()  # the cores that we may run on, while we keep to one
        self._thread: Thread | None = Thread(target=self._run, name="sockscope-beside", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no more threads for us
            self._thread = None

    def begin(self, work: Callable[[], T]) -> None:
        """Give it work; `result` must follow, in the same thread."""
        self._work = work
        if self._thread is not None:
            self._allowed = _part(self._thread)
            self._orders.put(work)

    def result(self) -> T:
        """Wait for the end of the work and give what it made. Where there is no thread (any more) we do it now."""
        assert self._work is not None  # noqa: S101  # begin() was called
        try:
            return self._wait(self._work)
        finally:
            if self._allowed:
                with suppress(OSError):  # these cores are not ours any more: the kernel gives others
                    os.sched_setaffinity(0, self._allowed)

    def close(self) -> None:
        """Let the thread end once it is done."""
        self._orders.put(None)

    def _wait(self, work: Callable[[], T]) -> T:
        while self._thread is not None:
            try:
                return self._made.get(timeout=1.0)
            except Empty:
                if not self._thread.is_alive():  # closed just before it was given the work
                    break
        return work()

    def _run(self) -> None:
        while (work := self._orders.get()) is not None:
            self._made.put(work())


def _part(thread: Thread) -> set[int]:
    """Keep this thread to its core and that one off it; give the cores to have back, none where nothing was done."""
    allowed, here = os.sched_getaffinity(0), current_core()
    if len(allowed) < 2 or here not in allowed or thread.native_id is None:
        return set()
    try:
        os.sched_setaffinity(thread.native_id, allowed - {here})
        os.sched_setaffinity(0, {here})
    except OSError:  # it has ended, or that is not allowed here
        return set()
    return allowed
