"""The tables of a process' only look, received by a thread while the rest of the program is imported.

The kernel's part of a dump needs no Python: 8 ms of a run with 10,000 sockets. (Importing threading costs 0.4.) Where
that takes longer than the imports, what may be needed next is imported as well: 2 ms more.
"""

from __future__ import annotations

import time
from _thread import allocate_lock, start_new_thread

from sockscope.collect.tables import Tables
from sockscope.model.snapshot import Scope

# What the look goes on with: owners of many sockets, then a namespace to be entered.
_NEXT = ("sockscope.collect.owner_fork", "ctypes", "threading")


class Early:
    """Begins at once. The tables are the thread's own until `wait` returns, and it has ended then."""

    def __init__(self, tables: Tables, scope: Scope) -> None:
        self.begun_s, self.taken_at = time.monotonic(), time.time()
        self.scope = scope
        self._tables = tables
        self._done = allocate_lock()
        self._done.acquire()
        self._has_all = False
        try:
            start_new_thread(self._run, ())
        except RuntimeError:  # no more threads for us
            self._done.release()

    def wait(self) -> None:
        """Wait until all is received; what the thread could not do is done now."""
        for name in _NEXT:
            if not self._done.locked():
                break
            __import__(name)
        self._done.acquire()
        if not self._has_all:
            self._receive()

    def _run(self) -> None:
        try:
            self._receive()
            self._has_all = True
        finally:
            self._done.release()

    def _receive(self) -> None:
        if self.scope.ports is not None:  # else the first look asks for them only where there is a sign of any
            self._tables.read_bound(self.scope)
        self._tables.receive(self.scope)
