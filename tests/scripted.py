"""A scripted minute: looks one second apart, details in between, folded into a memory as the feed does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from builders import make_snapshot, make_socket
from msgspec import structs

from sockscope.analysis.findings.rules import find
from sockscope.analysis.memory import EMPTY, Memory, remember
from sockscope.analysis.move import move_of
from sockscope.model.detail import ProcessDetail, Read, SocketDetail, TcpInfo, Watch
from sockscope.model.finding import Finding
from sockscope.model.observation import Observation
from sockscope.model.process import Thread
from sockscope.model.snapshot import Counters, Snapshot
from sockscope.model.socket import Endpoint, Socket
from sockscope.model.verdict import RowMove


class Script:
    """Feeds looks to a memory. `look()` is one; `hold()` repeats the last rows for some seconds."""

    def __init__(self, start_s: float = 100.0, **snapshot_values: Any) -> None:
        self.memory: Memory = EMPTY
        self.at_s = start_s
        self.sequence = 0
        self.values = snapshot_values
        self.snapshot: Snapshot = make_snapshot()
        self.rows: tuple[Socket, ...] = ()

    def look(
        self, *rows: Socket, details: Iterable[SocketDetail | ProcessDetail] = (), interval_s: float = 1.0, **values: Any
    ) -> Script:
        """One look, `interval_s` after the last one."""
        if self.sequence:
            self.at_s += interval_s
        self.sequence += 1
        self.rows = rows
        self.values = {**self.values, **values}
        self.snapshot = make_snapshot(*rows, sequence=self.sequence, monotonic_s=self.at_s, **self.values)
        self.memory = remember(self.memory, self.snapshot, details)
        return self

    def hold(
        self, seconds: int, details: Callable[[float], Iterable[SocketDetail | ProcessDetail]] | None = None,
        **values: Any,
    ) -> Script:
        """The same rows, once a second; `details` makes those read at each time."""
        for _ in range(seconds):
            read = details(self.at_s + 1) if details is not None else ()
            self.look(*self.rows, details=read, **values)
        return self

    def move(self, socket: Socket) -> RowMove:
        """The move of this row now."""
        return move_of(self.memory, self.snapshot, self.snapshot.sockets[socket.key])

    def find(self) -> tuple[Finding, ...]:
        """What is wrong now."""
        return find(self.memory, self.observation())

    def rules(self) -> list[str]:
        """The rules of what is wrong now."""
        return [finding.rule for finding in self.find()]

    def observation(self, **values: Any) -> Observation:
        """What findings are drawn from."""
        processes = {key[0]: detail for key, detail in self.memory.process_details.items()}
        return Observation(self.snapshot, self.memory.details, processes, **values)


def change(socket: Socket, **values: Any) -> Socket:
    """The same socket with other values."""
    return structs.replace(socket, **values)


def make_unix(path: bytes | None = None, **values: Any) -> Socket:
    """A unix stream socket, connected and empty unless told otherwise."""
    fields: dict[str, Any] = {"family": "unix", "protocol": "unix", "state": "ESTABLISHED", "send_queued": 0,
                              "remote": None, "local": Endpoint(path=path)}
    return change(make_socket(), **{**fields, **values})


def make_info(**values: Any) -> TcpInfo:
    """A tcp_info of an ordinary established connection."""
    fields = dict.fromkeys(TcpInfo.__struct_fields__[:31], 0)
    fields.update(state=1, options=7, app_limited=False, rto_us=204_000, snd_mss=1448, rcv_mss=1448, pmtu=1500,
                  snd_cwnd=10, advmss=1448, rtt_us=200)
    return TcpInfo(**{**fields, "bytes_acked": 1000, "bytes_received": 1000, "rcv_wnd": 65_536, **values})


def tcp_detail(socket: Socket, at_s: float, **values: Any) -> SocketDetail:
    """A reading of tcp_info at that time."""
    return SocketDetail(socket.key, tcp=Read(make_info(**values), at_s))


def threads_detail(pid: int, at_s: float, *threads: Thread, start: int = 1) -> ProcessDetail:
    """A reading of a process's threads at that time."""
    return ProcessDetail((pid, start), threads=Read(threads, at_s))


def make_counters(**values: int) -> tuple[Counters, ...]:
    """The namespace's counters; two underscores stand for the dot of their names."""
    return (Counters(4_026_531_840, {name.replace("__", "."): value for name, value in values.items()}),)


def make_watch(socket: Socket, **values: Any) -> Watch:
    """A level-triggered registration for reading in epoll set 3 of process 10."""
    fields: dict[str, Any] = {"pid": 10, "epoll_fd": 3, "fd": 24, "inode": socket.inode, "device": 9, "events": 0x19,
                              "data": "18", "trigger": "level", "oneshot": False, "armed": True, "exclusive": False}
    return Watch(**{**fields, **values})


def make_thread(pid: int = 10, tid: int | None = None, **values: Any) -> Thread:
    """A thread asleep in epoll_wait on fd 3 unless told otherwise."""
    fields: dict[str, Any] = {"name": b"worker", "state": "S", "call": "epoll_wait", "call_source": "syscall",
                              "on_fd": 3, "run_ns": 1000, "switches": (5, 0)}
    return Thread(pid, tid if tid is not None else pid, **{**fields, **values})
