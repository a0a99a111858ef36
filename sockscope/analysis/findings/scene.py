"""What every rule looks at: memory, the last snapshot and its moves, and the small questions rules ask of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from sockscope.analysis.memory import Memory
from sockscope.analysis.move import moves
from sockscope.analysis.sight import Sight
from sockscope.analysis.tracks import Track
from sockscope.model.detail import SocketDetail, Watch
from sockscope.model.finding import Evidence
from sockscope.model.observation import Observation
from sockscope.model.process import Process
from sockscope.model.snapshot import Counters
from sockscope.model.socket import Socket, SocketKey
from sockscope.model.verdict import RowMove

SEVERITIES = ("severe", "warning", "note")  # worst first


class Scene:
    """One look, joined. Made anew for each run of the rules; nothing in it changes."""

    def __init__(self, memory: Memory, observation: Observation) -> None:
        self.memory = memory
        self.observation = observation
        self.snapshot = observation.snapshot
        self.now_s = self.snapshot.monotonic_s

    @cached_property
    def moves(self) -> Mapping[SocketKey, RowMove]:
        """Everybody's move; as the observation carries it, else worked out."""
        given = self.observation.moves
        return given if given is not None else moves(self.memory, self.snapshot)

    def tracked(self, protocol: str | None = None) -> Iterator[tuple[Socket, Track]]:
        """Go through the rows that are not at rest, with their tracks."""
        for key, track in self.memory.tracks.items():
            socket = self.snapshot.sockets.get(key)
            if socket is not None and protocol in (None, socket.protocol):
                yield socket, track

    def moved(self) -> Iterator[tuple[Socket, RowMove]]:
        """Go through the rows with a move."""
        for key, move in self.moves.items():
            socket = self.snapshot.sockets.get(key)
            if socket is not None:
                yield socket, move

    def sight(self, socket: Socket) -> Sight:
        """Everything remembered of one socket."""
        return Sight(self.memory, self.snapshot, socket)

    def detail(self, socket: Socket) -> SocketDetail | None:
        """Look up the last details of a socket."""
        return self.memory.details.get(socket.key) or self.observation.details.get(socket.key)

    def watches(self, socket: Socket) -> tuple[Watch, ...] | None:
        """Its epoll registrations; None where they were not read."""
        detail = self.detail(socket)
        return detail.watches.value if detail is not None and detail.watches is not None else None

    def is_accepted(self, socket: Socket) -> bool:
        """Whether it came in through a listener of this host."""
        return (socket.netns, socket.local.port or 0) in self.memory.listeners and not socket.is_listener

    def pids(self, socket: Socket) -> tuple[int, ...]:
        """List the processes that hold it, each once."""
        return tuple(dict.fromkeys(holder.pid for holder in self.snapshot.holders_of(socket)))

    def process(self, pid: int) -> Process | None:
        """Look up a process's facts: the snapshot's, completed by a detail where one was read."""
        process = self.snapshot.processes.get(pid)
        detail = self.memory.process_details.get(process.key) if process is not None else None
        full = detail.process.value if detail is not None and detail.process is not None else None
        return full if full is not None and (process is None or process.fd_limit is None) else process

    def who(self, pids: Iterable[int]) -> str:
        """Name processes: "node 23118", "nginx 1202 and 3 more"."""
        names = []
        for pid in pids:
            process = self.snapshot.processes.get(pid)
            name = (process.name or b"").decode("utf-8", "backslashreplace") if process is not None else ""
            names.append(f"{name or 'process'} {pid}")
        if not names:
            return "no process that we see"
        return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"

    def holder_of(self, socket: Socket) -> str:
        """Name who holds the socket; where that is hidden from us, by its user."""
        pids = self.pids(socket)
        if pids or socket.uid is None or self.snapshot.holders_complete(socket):
            return self.who(pids)
        return f"a process of uid {socket.uid} (hidden)"

    def other_end(self, socket: Socket) -> str:
        """Name the other end: its address, or of a unix socket the process that holds it."""
        if socket.family != "unix":
            return remote_text(socket)
        peer = self.sight(socket).peer
        return self.holder_of(peer) if peer is not None else "its peer"

    def rises(self, netns: int, *names: str) -> dict[int, int]:
        """Tell the rise of the sum of these counters, by the sample it was seen at; samples without one are absent."""
        rises: dict[int, int] = {}
        before: int | None = None
        for seen in self.memory.counters:
            values = _of(seen.counters, netns)
            known = [values[name] for name in names if name in values]
            total = sum(known) if known else None
            if before is not None and total is not None and total > before:
                rises[seen.sample] = total - before
            before = total
        return rises

    def counter(self, netns: int, name: str) -> int | None:
        """Return the last value of a counter; None where it was not read."""
        return _of(self.snapshot.counters, netns).get(name)

    @property
    def namespaces(self) -> tuple[int, ...]:
        """The namespaces whose counters were read."""
        return tuple(counters.netns for counters in self.snapshot.counters)


def _of(counters: Iterable[Counters], netns: int) -> Mapping[str, int]:
    return next((one.values for one in counters if one.netns == netns), {})


def evidence(what: str, value: object, sampled: str, age_s: float | None = None) -> Evidence:
    """Make one line of evidence."""
    return Evidence(what, str(value), sampled, age_s)


def about_process(pids: Iterable[int]) -> tuple[tuple[str, str], ...]:
    """Say that a finding concerns these processes."""
    return tuple(("process", str(pid)) for pid in pids)


def about_port(socket: Socket) -> tuple[tuple[str, str], ...]:
    """Say that a finding concerns this local port, or unix path."""
    if socket.local.port is not None:
        return (("port", str(socket.local.port)),)
    path = (socket.local.path or b"").decode("utf-8", "backslashreplace")
    return (("path", path),) if path else ()


def remote_text(socket: Socket) -> str:
    """Write the other end: 10.0.0.1:443, [2001:db8::1]:443."""
    remote = socket.remote
    if remote is None:
        return "nobody"
    return f"[{remote.address}]:{remote.port}" if ":" in remote.address else f"{remote.address}:{remote.port}"
