"""Work that a thread does while we do other work: what waits in the kernel needs no Python, so two cores are used.

A look of a quiet machine with 10,000 sockets takes 9.5 ms so, 14 one after the other (tests/benchmarks/steady.py).
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """`work` at work. It must not raise."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._thread: Thread | None = Thread(target=self._run, name="sockscope-ahead", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no more threads for us
            self._thread = None
            self._run()

    def result(self) -> T:
        """Wait for its end and give what it made."""
        if self._thread is not None:
            self._thread.join()
        return self._made

    def _run(self) -> None:
        self._made = self._work()
