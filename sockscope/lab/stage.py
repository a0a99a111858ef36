"""What every scenario needs: roles in processes of their own, one JSON line that says who they are, and a sure end.

A scenario is a handful of functions ("roles") and a call of `play`. Each role runs in a fork, keeps only the sockets it
was given, and dies with the stage by PR_SET_PDEATHSIG, whatever kills the stage. Loopback only, ports from the kernel.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import NamedTuple

PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
LOOPBACK = "127.0.0.1"
_libc = ctypes.CDLL(None, use_errno=True)


class Role(NamedTuple):
    """A part in a scenario: the process's name, what it does, and the sockets it takes over from the stage."""

    name: str
    act: Callable[[], object]
    sockets: Sequence[socket.socket] = ()


class NotHereError(Exception):
    """This machine cannot show the scenario; the message says what is missing."""


def listen(backlog: int = 128) -> socket.socket:
    """Make a listening socket on a free loopback port.

    `backlog` is how many finished handshakes the kernel keeps for us until we accept() them (and one more).
    """
    return socket.create_server((LOOPBACK, 0), backlog=backlog)


def port_of(listener: socket.socket) -> int:
    """Tell the port the kernel chose."""
    return int(listener.getsockname()[1])


def connect(port: int, data: bytes = b"") -> socket.socket:
    """Connect a client, send `data`, keep it open."""
    client = socket.create_connection((LOOPBACK, port), 10)
    client.settimeout(None)
    if data:
        client.sendall(data)
    return client


def pause() -> None:
    """Do nothing, for good: what a program does that has forgotten its sockets."""
    while True:
        signal.pause()


def fork(name: str | None = None) -> int:
    """Make a child process that ends with its parent. Returns 0 in the child, its pid in the parent."""
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the stage's to answer
        if name:
            _libc.prctl(PR_SET_NAME, name.encode()[:15])
    return pid


def requests(port: int, clients: int = 3, every_s: float = 0.2, message: bytes = b"hello\n") -> None:
    """Be `clients` healthy clients: each sends a line, reads it back, and rests. A few messages a second in all."""
    held = [connect(port) for _ in range(clients)]
    while True:
        for client in held:
            client.sendall(message)
            client.recv(len(message), socket.MSG_WAITALL)
            time.sleep(every_s / clients)


def play(name: str, *roles: Role, ports: Sequence[int] = (), **facts: object) -> int:
    """Start the roles, tell who they are, wait until told to end or the starter is gone, end them all."""
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGHUP, _leave)
    if os.environ.get("SOCKSCOPE_LAB_PARENT"):
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if str(os.getppid()) != os.environ["SOCKSCOPE_LAB_PARENT"]:  # it died before the line above
            return 0
    every = {one.fileno(): one for role in roles for one in role.sockets}
    pids: dict[str, int] = {}
    try:
        for role in roles:
            pids[role.name] = _start(role, every)
        for one in every.values():
            one.close()
        _tell({"name": name, "pids": pids, "ports": list(ports), **facts})
        while not os.waitpid(-1, os.WNOHANG)[0]:  # a role that ends by itself ends the scenario
            time.sleep(0.1)  # not wait(): a signal just before it would be answered only after it
    except (KeyboardInterrupt, SystemExit):
        return 0
    finally:
        _end(pids.values())
    return 1


def _start(role: Role, every: dict[int, socket.socket]) -> int:
    pid = fork(role.name)
    if pid:
        return pid
    kept = {one.fileno() for one in role.sockets}
    for number, one in every.items():
        if number not in kept:
            one.close()
    code = 1
    try:
        role.act()
        code = 0
    except (OSError, KeyboardInterrupt) as error:
        sys.stderr.write(f"{role.name}: {error}\n")
    finally:
        if code and (failure := sys.exc_info()[1]):  # a scenario's own mistake: told, for os._exit() tells nothing
            sys.excepthook(type(failure), failure, failure.__traceback__)
        os._exit(code)


def _tell(facts: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _end(pids: Iterable[int]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
