"""The near end of the expendable helper process (collect/errands.py): asks, waits, and leaves it behind when stuck.

One request is outstanding. After `SILENCE_S` without an answer the helper is abandoned (closed, killed, never waited
for: a process stuck in the kernel cannot die) and the key it was asked about is quarantined for `QUARANTINE_S`.
After `MOST_RESTARTS` such losses on one facet that facet is off for good.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import select
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

from sockscope.collect.errands import LENGTH, receive
from sockscope.kernel.pidfd import IdentityError
from sockscope.model.gap import Gap

SILENCE_S = 0.8  # below the one second after which the feed would take the reader itself for stuck
START_S = 10.0  # a loaded machine may take long to start a process; that is no sign of a stuck target
QUARANTINE_S = 60.0
MOST_RESTARTS = 3
_ROOT = str(Path(__file__).parents[2])
# -I -S: neither the environment nor the current folder nor site-packages may bring code into it. -B: as root never
# write bytecode into somebody's installation.
_CODE = (
    "import sys; sys.path.append(sys.argv[2]); "
    "from sockscope.collect.errands import main; main(int(sys.argv[1]))"
)


class NotAnsweredError(Exception):
    """The errand got no answer; `gap` says why: timed_out, off or failed."""

    def __init__(self, gap: Gap) -> None:
        super().__init__(gap.detail)
        self.gap = gap


class Expendable:
    """Asks errands of a helper process that is started on first use. For one thread at a time; `close` from any."""

    def __init__(self, silence_s: float = SILENCE_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._silence_s = silence_s
        self._clock = clock
        self._line: socket.socket | None = None
        self._pid = 0
        self._handle = -1  # its pidfd: where SIGCHLD is ignored, a dead child's number may mean another process
        self._abandoned: list[int] = []
        self._lost: Counter[str] = Counter()
        self._quarantine: dict[tuple[str, Hashable], float] = {}
        self._closed = False
        self.starts = 0

    def ask(self, facet: str, key: Hashable, errand: str, *arguments: Any) -> Any:
        """Give the errand's value. Raises OSError and IdentityError as the kernel answered, and NotAnsweredError.

        `key` is what gets quarantined, for this facet, if there is no answer.
        """
        self._refuse(facet, key)
        try:
            kind, value = self._exchange(facet, (errand, arguments))
        except TimeoutError:
            self._abandon()
            self._lost[facet] += 1
            self._quarantine[facet, key] = self._clock() + QUARANTINE_S
            detail = f"no answer within {self._silence_s:g} s: the target holds a lock; not asked again for a minute"
            raise NotAnsweredError(Gap(facet, "timed_out", detail=detail)) from None
        except (OSError, EOFError) as error:
            self._abandon()
            self._lost[facet] += 1
            raise NotAnsweredError(Gap(facet, "failed", detail="the helper process ended")) from error
        if kind == "os":
            raise OSError(value, os.strerror(value))
        if kind == "identity":
            raise IdentityError(value)
        return value

    def close(self) -> None:
        """End the helper; more than once is fine. It is never waited for."""
        self._closed = True
        self._abandon()
        self._reap()

    def _exchange(self, facet: str, message: tuple[str, tuple[Any, ...]]) -> tuple[str, Any]:
        """Ask and hear. A helper that died is replaced once: perhaps only the thread that started it has ended."""
        line = self._running_line(facet)
        try:
            _send(line, message)
            return _receive(line)
        except (BrokenPipeError, ConnectionResetError, EOFError):
            self._abandon()
        line = self._running_line(facet)
        _send(line, message)
        return _receive(line)

    def _refuse(self, facet: str, key: Hashable) -> None:
        if self._closed:
            raise NotAnsweredError(Gap(facet, "failed", detail="the reader is closed"))
        if self._lost[facet] > MOST_RESTARTS:
            detail = f"off: {self._lost[facet]} helper processes were lost on it"
            raise NotAnsweredError(Gap(facet, "off", detail=detail))
        until = self._quarantine.get((facet, key))
        if until is None:
            return
        if self._clock() < until:
            raise NotAnsweredError(Gap(facet, "timed_out", detail="it did not answer less than a minute ago"))
        del self._quarantine[facet, key]

    def _running_line(self, facet: str) -> socket.socket:
        """Give the line to a live helper. One that died while idle (its starting thread ended) is simply replaced."""
        if self._line is not None and _is_over(self._line):
            self._abandon()
        if self._line is None:
            self._reap()
            try:
                self._start()
            except OSError as error:
                self._lost[facet] += 1
                detail = f"the helper process did not start: {error}"
                raise NotAnsweredError(Gap(facet, "failed", detail=detail)) from error
        if self._line is None:
            raise NotAnsweredError(Gap(facet, "failed", detail="the helper process did not start"))
        return self._line

    def _start(self) -> None:
        """Start it with nothing of ours but one end of a socket pair, outside our process group.

        Outside, because ^Z would else stop it while it holds a borrowed fd. posix_spawn: a fork of a large TUI is slow.
        """
        near, far = socket.socketpair()
        self.starts += 1
        arguments = [sys.executable, "-I", "-S", "-B", "-c", _CODE, str(os.getpid()), _ROOT]
        try:
            self._pid = os.posix_spawn(
                sys.executable, arguments, os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, far.fileno(), 0),
                    (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
                ],
                setpgroup=0,
                setsigmask=(),
            )
        except OSError:
            near.close()
            raise
        finally:
            far.close()
        self._line = near
        near.settimeout(START_S)
        try:
            self._handle = os.pidfd_open(self._pid)
            _send(near, ("hello", ()))
            _receive(near)
        except (OSError, EOFError) as error:
            self._abandon()
            raise OSError(5, "it gave no sign of life") from error
        near.settimeout(self._silence_s)

    def _abandon(self) -> None:
        line, self._line = self._line, None
        pid, self._pid = self._pid, 0
        if line is not None:
            line.close()
        if not pid:
            return
        self._abandoned.append(pid)
        handle, self._handle = self._handle, -1
        if handle >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)

    def _reap(self) -> None:
        """Collect those that could die by now, without waiting."""
        still = []
        for pid in self._abandoned:
            try:
                ended, _ = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue
            if not ended:
                still.append(pid)
        self._abandoned = still


def _send(line: socket.socket, message: tuple[str, tuple[Any, ...]]) -> None:
    data = marshal.dumps(message)
    line.sendall(LENGTH.pack(len(data)) + data)


def _receive(line: socket.socket) -> tuple[str, Any]:
    """Read the answer. Raises TimeoutError, EOFError."""
    body = receive(line)
    if body is None:
        raise EOFError
    kind, value = marshal.loads(body)  # noqa: S302 - the other end is our own child
    return kind, value


def _is_over(line: socket.socket) -> bool:
    """Tell whether the other end is closed; it never speaks unasked.

    recv(MSG_DONTWAIT) would still wait: Python polls first on a socket with a timeout.
    """
    poll = select.poll()
    poll.register(line, select.POLLIN)
    return bool(poll.poll(0))
