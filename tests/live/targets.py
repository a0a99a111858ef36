"""Target processes for live tests: a child runs some code, tells what it made as one JSON line, and is ended by pid."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sockscope.collect.detail import SOCKET_FACETS, LiveDetailReader
from sockscope.collect.sources import open_source
from sockscope.model.detail import ProcessDetail, Read, SocketDetail, Wanted
from sockscope.model.snapshot import Scope, Snapshot
from sockscope.model.socket import Socket

T = TypeVar("T")
PRELUDE = """
import ctypes, json, os, select, signal, socket, sys, threading, time
def listener():
    s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(8); return s
def pair():
    l = listener(); c = socket.create_connection(l.getsockname()); s = l.accept()[0]; l.close(); return s, c
def inode(s):
    return os.fstat(s if isinstance(s, int) else s.fileno()).st_ino
def thread(call, *args):
    t = threading.Thread(target=call, args=args, daemon=True); t.start(); return t
def tell(**facts):
    print(json.dumps({"pid": os.getpid(), **facts}), flush=True)
def stay():
    sys.stdin.read()
"""


class Target:
    """A running child and what it told."""

    def __init__(self, process: subprocess.Popen[str], facts: dict[str, Any]) -> None:
        self.process = process
        self.facts = facts
        self.pid: int = facts["pid"]

    def __getitem__(self, name: str) -> Any:
        return self.facts[name]

    def command(self, line: str) -> str:
        """Send a line and wait for the answer."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@contextmanager
def target(code: str, python: str | None = None, **popen: Any) -> Iterator[Target]:
    """Run code after the prelude; it calls tell(...) once and then stays until its input ends."""
    process = subprocess.Popen(
        [python or sys.executable, "-c", PRELUDE + code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **popen
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the target said nothing"
        yield Target(process, json.loads(line))
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def look() -> Snapshot:
    """A fresh snapshot."""
    source = open_source(None)
    try:
        return source.snapshot(Scope())
    finally:
        source.close()


def by_inode(snapshot: Snapshot, inode: int) -> Socket:
    """The socket with this inode."""
    return next(socket for socket in snapshot.sockets.values() if socket.inode == inode)


def read_socket(
    inode: int, facets: frozenset[str] = SOCKET_FACETS, reader: LiveDetailReader | None = None, budget_s: float = 5.0
) -> SocketDetail:
    """The details of one socket, by a fresh snapshot."""
    snapshot = look()
    key = by_inode(snapshot, inode).key
    own = reader or LiveDetailReader(probe=True)
    try:
        (detail,) = own.read(Wanted(1, sockets=(key,), facets=facets, budget_s=budget_s), snapshot, lambda: False)
    finally:
        if reader is None:
            own.close()
    assert isinstance(detail, SocketDetail)
    return detail


def read_one_process(pid: int, facets: frozenset[str], budget_s: float = 5.0) -> ProcessDetail:
    """The details of one process."""
    reader = LiveDetailReader(probe=True)
    try:
        wanted = Wanted(1, processes=(pid,), facets=facets, budget_s=budget_s)
        (detail,) = reader.read(wanted, look(), lambda: False)
    finally:
        reader.close()
    assert isinstance(detail, ProcessDetail)
    return detail


def value_of(read: Read[T] | None) -> T:
    """What was read; anything less fails the test."""
    assert read is not None and read.value is not None, read
    return read.value


def wait_for(get: Callable[[], T], accept: Callable[[T], bool] = bool, within_s: float = 20.0) -> T:
    """Ask again until the answer is acceptable; the last answer fails the test."""
    end_s = time.monotonic() + within_s
    while True:
        value = get()
        if accept(value) or time.monotonic() > end_s:
            assert accept(value), value
            return value
        time.sleep(0.02)
