"""How sockets are laid out for the eye: sorted, grouped with sums, or in the sections of the first screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from operator import attrgetter
from typing import TypeAlias

from msgspec import Struct

from sockscope.analysis.direction import serves
from sockscope.analysis.severity import acting, rank
from sockscope.analysis.sorting import SORT_KEYS, sort_sockets
from sockscope.model.observation import Observation
from sockscope.model.socket import Endpoint, Socket, SocketKey

__all__ = ["GROUPINGS", "SECTIONS", "SORT_KEYS", "Group", "Row", "Section", "group", "sections", "sort_sockets"]

ENDING = frozenset({"TIME_WAIT", "FIN_WAIT1", "FIN_WAIT2", "CLOSING", "LAST_ACK", "CLOSE"})
SECTIONS = ("act", "listening", "connections", "ending", "unix")
FOLDED = frozenset({"ending", "unix"})
MOST_UNFOLDED = 200  # connections; above, they are folded by service


# Read in C: summing up a group of 100,000 rows takes a third of the time.
_STATE, _RECEIVE, _SEND = attrgetter("state"), attrgetter("receive_queued"), attrgetter("send_queued")


class Row(Struct, frozen=True, gc=False):
    """One line: a socket, or several of one finding that look alike, of which `socket` is the first."""

    socket: Socket
    alike: tuple[Socket, ...] = ()

    @property
    def count(self) -> int:
        """How many sockets this line stands for."""
        return max(1, len(self.alike))


class Group(Struct, frozen=True):
    """Sockets that share something. `label` is outside text as it came: sanitise it; `pid` where it is a process."""

    key: Hashable
    label: bytes | str
    sockets: tuple[Socket, ...]
    receive_bytes: int
    send_bytes: int
    parties: Mapping[str, int]  # app, peer, network: how many wait for each
    states: Mapping[str, int]
    pid: int | None = None

    @property
    def count(self) -> int:
        """How many sockets there are in it."""
        return len(self.sockets)


class Section(Struct, frozen=True):
    """A part of the first screen: act, listening, connections, ending, unix. `groups` is set where it is folded so.

    `alike` are the rows of sockets that look alike, where such are one; else each socket is a row of its own.
    """

    name: str
    sockets: tuple[Socket, ...]
    folded: bool
    groups: tuple[Group, ...] | None = None
    alike: tuple[Row, ...] | None = None

    @property
    def count(self) -> int:
        """How many sockets there are in it."""
        return len(self.sockets)

    @property
    def rows(self) -> tuple[Row, ...]:
        """Its lines when it is unfolded. Made when asked for: 100,000 take 9 ms."""
        return self.alike if self.alike is not None else tuple(map(Row, self.sockets))


Label: TypeAlias = tuple[Hashable, bytes | str, int | None]  # key, label, pid
By: TypeAlias = Callable[[Socket, Observation], Label]


def group(sockets: Iterable[Socket], observation: Observation, by: str) -> list[Group]:
    """Return groups by one of GROUPINGS, the largest first. A socket of several processes counts for its first holder.

    Raises KeyError for an unknown grouping.
    """
    label_of = GROUPINGS[by]
    members: dict[Hashable, list[Socket]] = {}
    labels: dict[Hashable, Label] = {}
    for socket in sockets:
        label = label_of(socket, observation)
        if label[0] not in members:
            members[label[0]], labels[label[0]] = [], label
        members[label[0]].append(socket)
    groups = [_group(labels[key], alike, observation) for key, alike in members.items()]
    groups.sort(key=lambda each: -len(each.sockets))
    return groups


def _group(label: Label, sockets: list[Socket], observation: Observation) -> Group:
    states = Counter(map(_STATE, sockets))
    data = [socket for socket in sockets if socket.state != "LISTEN"] if states["LISTEN"] else sockets
    receive = sum(filter(None, map(_RECEIVE, data)))
    send = sum(filter(None, map(_SEND, data)))
    moves, parties = observation.moves, Counter[str]()
    if moves:
        parties.update(move.row.party for socket in sockets if (move := moves.get(socket.key)) is not None)
    told = {party: parties[party] for party in ("app", "peer", "network") if parties[party]}
    return Group(label[0], label[1], tuple(sockets), receive, send, told, +states, label[2])


def _by_process(socket: Socket, observation: Observation) -> Label:
    holders = observation.snapshot.holders_of(socket)
    if not holders:
        return ("unheld", ""), "", None
    pid = holders[0].pid
    process = observation.snapshot.processes.get(pid)
    return ("process", pid), (process.name or b"" if process is not None else b""), pid


def _by_remote(socket: Socket, _: Observation) -> Label:
    address = socket.remote.address if socket.remote is not None else ""
    return ("remote", address), address, None


def _by_state(socket: Socket, _: Observation) -> Label:
    word = socket.state if socket.protocol in ("tcp", "mptcp") else f"{socket.protocol} {socket.state}"
    return ("state", word), word, None


def _by_port(socket: Socket, observation: Observation) -> Label:
    """Return the service's port: ours where we serve, the peer's where we call."""
    end = socket.remote if serves(observation.snapshot, socket) is False and socket.remote else socket.local
    return ("port", socket.protocol, end.port), "" if end.port is None else str(end.port), None


def _by_user(socket: Socket, observation: Observation) -> Label:
    if socket.uid is None:
        return ("user", None), "", None
    return ("user", socket.uid), observation.names.users.get(socket.uid, str(socket.uid)), None


def _by_service(socket: Socket, observation: Observation) -> Label:
    """Return a program at one port it serves, or at one endpoint it calls: what connections are folded by."""
    holders = observation.snapshot.holders_of(socket)
    pid = holders[0].pid if holders else None
    process = observation.snapshot.processes.get(pid) if pid is not None else None
    name = (process.name or b"") if process is not None else b""
    ours = serves(observation.snapshot, socket) is not False
    end: Endpoint | int | None = socket.local.port if ours else socket.remote
    return ("service", name, ours, end), name, pid


GROUPINGS: dict[str, By] = {
    "process": _by_process, "remote": _by_remote, "state": _by_state, "port": _by_port, "user": _by_user,
    "service": _by_service,
}


def section_of(socket: Socket, observation: Observation) -> str:
    """Return the section a socket belongs to."""
    return _section_of(socket, acting(observation))


def _section_of(socket: Socket, urgent: frozenset[SocketKey]) -> str:
    if urgent and socket.key in urgent:
        return "act"
    if socket.family not in ("inet", "inet6"):
        return "unix"
    if socket.state == "LISTEN":
        return "listening"
    has_peer = socket.remote is not None and bool(socket.remote.port)
    if socket.protocol not in ("tcp", "mptcp"):
        return "connections" if has_peer else "listening"
    return "ending" if socket.state in ENDING or not has_peer else "connections"


def sections(sockets: Iterable[Socket], observation: Observation) -> list[Section]:
    """Return the first screen's sections in their order, without empty ones but the first ("nobody has to act").

    Within one the order given is kept, but for the first: severity and coarse age decide there, then the order given.
    """
    parts: dict[str, list[Socket]] = {name: [] for name in SECTIONS}
    urgent = acting(observation)
    connect = parts["connections"].append
    for socket in sockets:
        if (
            socket.state == "ESTABLISHED" and socket.protocol == "tcp" and socket.remote is not None
            and socket.cookie is not None and (socket.netns, socket.cookie) not in urgent and socket.remote.port
        ):  # nearly all of many rows: asked in place they take a third less
            connect(socket)
        else:
            parts[_section_of(socket, urgent)].append(socket)
    parts["act"].sort(key=lambda socket: rank(socket, observation))
    return [_section(name, members, observation) for name, members in parts.items() if members or name == "act"]


def _section(name: str, sockets: list[Socket], observation: Observation) -> Section:
    if name == "act":
        return Section(name, tuple(sockets), folded=False, alike=tuple(_fold(sockets, observation)))
    groups = None
    if name == "connections" and len(sockets) > MOST_UNFOLDED:
        groups = tuple(group(sockets, observation, "service"))
    return Section(name, tuple(sockets), name in FOLDED or groups is not None, groups)


def _fold(sockets: list[Socket], observation: Observation) -> list[Row]:
    """Rows of one finding that show the same process, state and remote end become one."""
    finding_of = {
        key: number
        for number, finding in enumerate(observation.findings or ())
        if len(finding.sockets) > 1
        for key in finding.sockets
    }
    folded: dict[Hashable, list[Socket]] = {}
    for socket in sockets:
        number = finding_of.get(socket.key)
        key: Hashable = socket.key
        if number is not None:
            key = (number, _by_process(socket, observation)[0], socket.state, socket.remote)
        folded.setdefault(key, []).append(socket)
    return [Row(alike[0], tuple(alike) if len(alike) > 1 else ()) for alike in folded.values()]
