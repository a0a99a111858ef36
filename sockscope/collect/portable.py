"""The source for systems without procfs (macOS, BSD, Windows), over psutil: the same table with unknowns as unknown.

psutil keeps one holder a socket, knows no queues, no cookies and no unbound sockets. On Linux it can be forced with
`--source psutil`.
"""

from __future__ import annotations

import os
import platform
import socket
import time
from collections.abc import Iterable, Iterator
from typing import Any

import psutil

from sockscope.model.gap import Gap
from sockscope.model.process import Process
from sockscope.model.snapshot import Scope, Snapshot
from sockscope.model.socket import Endpoint, Holder, Socket, SocketKey
from sockscope.model.source import About, DetailReader, SourceLostError

_FAMILIES = {int(socket.AF_INET): "inet", int(socket.AF_INET6): "inet6"}
_TYPES = {int(socket.SOCK_STREAM): ("stream", "tcp"), int(socket.SOCK_DGRAM): ("dgram", "udp")}
if hasattr(socket, "AF_UNIX"):
    _FAMILIES[int(socket.AF_UNIX)] = "unix"
_UNIX_TYPES = {int(socket.SOCK_STREAM): "stream", int(socket.SOCK_DGRAM): "dgram", 5: "seqpacket"}
_STATES = {"FIN_WAIT_1": "FIN_WAIT1", "FIN_WAIT_2": "FIN_WAIT2", "CLOSING": "CLOSING", "NONE": "CLOSE"}
_NOT_PERMITTED = (psutil.AccessDenied, PermissionError)


class PortableSource:
    """Implements model.source.Source. psutil gives no inodes, so a number made here stands in for one.

    It is negative, is kept while the socket is seen, and only joins sockets to holders.
    """

    def __init__(self) -> None:
        system = platform.uname()
        self._kernel = system.release
        self._about = About("portable", system.node, str(int(psutil.boot_time())), frozenset())
        self._sequence = 0
        self._last = 0
        self._before: dict[SocketKey, int] = {}
        self._numbers: dict[SocketKey, int] = {}

    @property
    def about(self) -> About:
        """What this source is."""
        return self._about

    def snapshot(self, scope: Scope) -> Snapshot:
        """Look at everything in scope. Raises SourceLostError where psutil can list no connection at all."""
        begun, taken_at = time.monotonic(), time.time()
        self._sequence += 1
        gaps: list[Gap] = []
        self._before, self._numbers = self._numbers, {}
        sockets: dict[SocketKey, Socket] = {}
        holders: dict[int, tuple[Holder, ...]] = {}
        hidden = False
        may_hide = hasattr(os, "geteuid") and os.geteuid() != 0
        for connection, pid in self._connections(scope, gaps):
            one = self._socket(connection)
            if one is None or not _is_in_scope(one, scope):
                continue
            sockets[one.key] = one
            if pid is None:
                hidden = hidden or (may_hide and one.state != "TIME_WAIT")
            else:
                holders[one.inode] = (*holders.get(one.inode, ()), Holder(pid, connection.fd))
        pids = {holder.pid for some in holders.values() for holder in some} | (scope.pids or set())
        return Snapshot(
            self._sequence, begun, taken_at, time.monotonic() - begun, self._about.host, self._kernel,
            self._about.boot_id, 0, {**dict.fromkeys(sorted(scope.protocols & {"tcp", "udp", "unix"}), "psutil"),
                                     "owners": "psutil"},
            tuple(gaps), sockets, holders, dict(_processes(pids)), int(hidden), scope.pids is None,
        )

    def open_detail(self) -> DetailReader:
        """Details need Linux."""
        raise SourceLostError("no details by psutil: they need Linux and its procfs")

    def close(self) -> None:
        """Nothing is kept open."""

    def _connections(self, scope: Scope, gaps: list[Gap]) -> Iterator[tuple[Any, int | None]]:
        kinds = [kind for kind in ("inet", "unix") if _wants(scope, kind)]
        if scope.pids is not None:
            for pid in sorted(scope.pids):
                yield from _of_process(pid, kinds, gaps)
            return
        for kind in kinds:
            try:
                for connection in psutil.net_connections(kind):
                    yield connection, connection.pid
            except _NOT_PERMITTED:  # macOS lists all processes' connections for root only
                gaps.append(Gap("holders", "not_permitted", detail=f"{kind}: only our own processes are shown"))
                for pid in psutil.pids():
                    yield from _of_process(pid, [kind], [])
            except (OSError, psutil.Error, NotImplementedError) as error:
                gaps.append(Gap(kind, "failed", detail=str(error)))

    def _number(self, identity: SocketKey) -> int:
        """Give the socket the number it had, or a new one. Negative: it can be taken for no real inode."""
        number = self._before.get(identity)
        if number is None:
            self._last -= 1
            number = self._last
        self._numbers[identity] = number
        return number

    def _socket(self, connection: Any) -> Socket | None:
        family, kind = _FAMILIES.get(int(connection.family)), int(connection.type)
        if family == "unix":
            return self._unix_socket(connection, kind)
        if family is None or kind not in _TYPES:
            return None
        name, protocol = _TYPES[kind]
        local = Endpoint(connection.laddr.ip, connection.laddr.port) if connection.laddr else Endpoint()
        remote = Endpoint(connection.raddr.ip, connection.raddr.port) if connection.raddr else None
        state = _STATES.get(connection.status, connection.status)
        if protocol == "udp":
            state = "ESTABLISHED" if remote else "CLOSE"
        number = self._number((family, protocol, local, remote))
        return Socket(0, None, family, name, protocol, state, local, remote, None, number, None, None, None, None, None)

    def _unix_socket(self, connection: Any, kind: int) -> Socket:
        """Make a unix socket's row: psutil knows neither state nor peer, so one (path, pid, fd) is one socket."""
        path = connection.laddr if isinstance(connection.laddr, str) and connection.laddr else None
        is_abstract = path is not None and path[0] in "@\0"
        name = None if path is None else os.fsencode(path[1:] if is_abstract else path)
        number = self._number(("unix", path, connection.pid if hasattr(connection, "pid") else None, connection.fd))
        return Socket(
            0, None, "unix", _UNIX_TYPES.get(kind, "unknown"), "unix", "UNKNOWN",
            Endpoint(path=name, abstract=is_abstract), None, None, number, None, None, None, None, None,
        )


def _wants(scope: Scope, kind: str) -> bool:
    if kind == "unix":
        return "unix" in scope.protocols and scope.ports is None
    return bool(scope.protocols & {"tcp", "udp"})


def _is_in_scope(one: Socket, scope: Scope) -> bool:
    if one.protocol not in scope.protocols:
        return False
    if scope.ports is None:
        return True
    ends = [end.port for end in (one.local, one.remote) if end is not None and end.port is not None]
    return any(low <= port <= high for port in ends for low, high in scope.ports)


def _of_process(pid: int, kinds: list[str], gaps: list[Gap]) -> Iterator[tuple[Any, int | None]]:
    for kind in kinds:
        try:
            for connection in psutil.Process(pid).net_connections(kind):
                yield connection, pid
        except _NOT_PERMITTED:
            gaps.append(Gap("holders", "not_permitted", detail=f"process {pid}"))
        except psutil.NoSuchProcess:
            gaps.append(Gap("process", "vanished", detail=f"process {pid}"))
        except (OSError, psutil.Error) as error:
            gaps.append(Gap(kind, "failed", detail=str(error)))


def _processes(pids: Iterable[int]) -> Iterator[tuple[int, Process]]:
    for pid in pids:
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                name, parent, started = process.name(), process.ppid(), process.create_time()
                uids = process.uids() if hasattr(process, "uids") else None
            yield pid, Process(
                pid, int(started * 100), os.fsencode(name), parent, uids.real if uids else None, started_at=started,
            )
        except psutil.NoSuchProcess:
            continue
        except (OSError, psutil.Error):
            yield pid, Process(pid)
