"""Work beside ours on another core: a forked child does a part of it and gives bytes back (fork(2), pipe(2)).

Python runs one thread at a time, so what is bound by Python gets faster by processes only. A child sees all that we
know at the moment of the fork without a copy. For the one-shot path alone: the live view has threads, whose locks a
child would inherit locked.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

_PIECE = 1 << 20
_SIGKILL = 9  # importing signal, for its enums, costs 0.4 ms of every run


class Forked:
    """A child at work. `work` is called in it with `wait`, which returns True once we call `go`, False if we died.

    What `work` returns is what `result` gives. The child runs nothing but `work`: no exit handlers, no flushing of
    buffers that it has from us. It holds our open fds, so it must not be listed as one of the processes we look at.
    Raises OSError where there can be no child.
    """

    def __init__(self, work: Callable[[Callable[[], bool]], bytes]) -> None:
        ours, theirs = _pair()
        try:
            self.pid = os.fork()
        except OSError:
            for end in (*ours, *theirs):
                os.close(end)
            raise
        if not self.pid:
            _run(work, theirs, ours)
        for end in theirs:
            os.close(end)
        self._read, self._write = ours
        self._has_ended = False

    def go(self) -> None:
        """Let the child pass its `wait`; one that is dead hears nothing."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._write, b"g")

    def result(self) -> bytes | None:
        """Wait for the child's end and give what it made; None where it failed. Call it once."""
        pieces = []
        try:
            with contextlib.suppress(OSError):
                while piece := os.read(self._read, _PIECE):
                    pieces.append(piece)
        except KeyboardInterrupt:  # nobody needs the child any more
            self.abandon()
            raise
        self._end()
        made = b"".join(pieces)
        return made[:-1] if made.endswith(b".") else None  # the dot says that it came to its end

    def abandon(self) -> None:
        """End the child without its result; one that has ended already is nothing to be done about."""
        if self._has_ended:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, _SIGKILL)
        self._end()

    def _end(self) -> None:
        self._has_ended = True
        os.close(self._read)
        os.close(self._write)
        with contextlib.suppress(ChildProcessError):  # where SIGCHLD is ignored, nobody is to be waited for
            os.waitpid(self.pid, 0)


def cores() -> int:
    """How many cores we may run on (sched_getaffinity(2))."""
    return len(os.sched_getaffinity(0))


def idle_cores() -> int:
    """How many cores we could have for ourselves this instant, ours among them (/proc/loadavg: who is runnable)."""
    try:
        with open("/proc/loadavg", "rb", 0) as file:  # noqa: PTH123 (pathlib costs 4 ms)
            running = int(file.read().split()[3].partition(b"/")[0])
    except (OSError, IndexError, ValueError):  # no Linux, or no procfs: nobody knows
        return 1
    return max(1, cores() - max(0, running - 1))


def _pair() -> tuple[tuple[int, int], tuple[int, int]]:
    """Two pipes, as the (read, write) ends of each side."""
    back, give = os.pipe()
    try:
        wait, go = os.pipe()
    except OSError:
        os.close(back)
        os.close(give)
        raise
    return (back, go), (wait, give)


def _run(work: Callable[[Callable[[], bool]], bytes], own: tuple[int, int], parents: tuple[int, int]) -> None:
    """Live the child's whole life: whatever happens, it must not go on with what the parent does."""
    code = 1
    try:
        for end in parents:
            os.close(end)
        wait, give = own
        made = memoryview(work(lambda: os.read(wait, 1) == b"g") + b".")
        while made:
            made = made[os.write(give, made):]
        code = 0
    finally:
        os._exit(code)
