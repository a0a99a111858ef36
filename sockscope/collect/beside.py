"""A thread that works while we do other work: what waits in the kernel needs no Python, so two cores are used.

A look of a quiet machine with 10,000 sockets takes 9.5 ms so, 14 one after the other (tests/benchmarks/steady.py). The
thread is told to keep off our core: woken by us it would be put there, and only the scheduler's next tick, when all is
over, would move it.
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
        self._thread: Thread | None = Thread(target=self._run, name="sockscope-beside", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no more threads for us
            self._thread = None

    def begin(self, work: Callable[[], T]) -> None:
        """Give it work; `result` must follow."""
        self._work = work
        if self._thread is not None:
            _move(self._thread)
            self._orders.put(work)

    def result(self) -> T:
        """Wait for the end of the work and give what it made. Where there is no thread (any more) we do it now."""
        assert self._work is not None  # noqa: S101  # begin() was called
        while self._thread is not None:
            try:
                return self._made.get(timeout=1.0)
            except Empty:
                if not self._thread.is_alive():  # closed just before it was given the work
                    break
        return self._work()

    def close(self) -> None:
        """Let the thread end once it is done."""
        self._orders.put(None)

    def _run(self) -> None:
        while (work := self._orders.get()) is not None:
            self._made.put(work())


def _move(thread: Thread) -> None:
    others = os.sched_getaffinity(0) - {current_core()}
    if others and thread.native_id is not None:
        with suppress(OSError):  # it has ended, or may not be moved
            os.sched_setaffinity(thread.native_id, others)
