"""What the table of sockets shows, in order: headings, rows and groups out of one look. Pure, without textual."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from sockscope.analysis.arrange import Group, Section, group, section_of, sections, sort_sockets
from sockscope.analysis.query import Query, parse_query, select
from sockscope.model.observation import Observation
from sockscope.model.socket import Socket, SocketKey
from sockscope.present.format import count, size, state_word
from sockscope.present.text import sanitise

FOLD_GROUP_OVER = 20
TITLES = {
    "act": "somebody must act", "listening": "listening", "connections": "connections", "ending": "ending",
    "unix": "unix and others",
}
NO_QUERY = parse_query("")


class View(Struct, frozen=True):
    """What the user has chosen. `folds` are explicit choices by a heading's key; the rest has defaults."""

    query: Query = NO_QUERY
    sort: str = "move"
    reverse: bool = False
    group: str | None = None
    folds: Mapping[Hashable, bool] = {}
    trouble_only: bool = False


class SocketLine(Struct, frozen=True, gc=False):
    """One socket. mark: new, changed, gone or "". `alike` counts all sockets of the same trouble folded into it."""

    socket: Socket
    mark: str = ""
    alike: int = 1

    @property
    def key(self) -> SocketKey:
        """The socket's."""
        return self.socket.key


class HeadLine(Struct, frozen=True):
    """A section's or group's heading; `note` is dim text behind the title."""

    name: Hashable
    title: str
    count: int
    is_folded: bool
    note: str = ""
    level: int = 0

    @property
    def key(self) -> tuple[str, Hashable]:
        """Never equal to a socket's."""
        return ("head", self.name)


Line: TypeAlias = SocketLine | HeadLine


class Table(Struct, frozen=True):
    """All lines, the sockets shown (folded ones too), and how many there are at all."""

    lines: tuple[Line, ...]
    matched: int
    total: int
    acting: int


def arrange_lines(observation: Observation, view: View, marks: Mapping[SocketKey, str] | None = None,
                  gone: Iterable[Socket] = ()) -> Table:
    """Select, sort and divide. `gone` are sockets of the look before, shown once more among the others."""
    marks = marks or {}
    chosen = select(observation, view.query)
    if view.trouble_only:
        chosen = [socket for socket in chosen if section_of(socket, observation) == "act"]
    ordered = sort_sockets([*chosen, *gone], observation, view.sort, reverse=view.reverse)
    if view.group is not None:
        acting = sum(section_of(socket, observation) == "act" for socket in chosen)
        lines = [line for each in group(ordered, observation, view.group) for line in _group(each, view, marks, 0)]
    else:
        parts = sections(ordered, observation)
        acting = sum(part.count for part in parts if part.name == "act")
        lines = _sections(parts, view, marks)
    return Table(tuple(lines), len(chosen), len(observation.snapshot.sockets), acting)


def _sections(parts: Sequence[Section], view: View, marks: Mapping[SocketKey, str]) -> list[Line]:
    filled = sum(part.count > 0 for part in parts)
    lines: list[Line] = []
    for part in parts:
        if not part.count:
            continue
        by_service = part.groups is not None and view.sort == "move" and not view.trouble_only
        at_first = part.folded and part.groups is None and view.query.is_empty and filled > 1
        is_folded = view.folds.get(part.name, at_first)
        note = _states_note(part.sockets) if is_folded else ", by service" if by_service else ""
        lines.append(HeadLine(part.name, TITLES[part.name], part.count, is_folded, note))
        if is_folded:
            continue
        if by_service and part.groups is not None:
            for each in part.groups:
                lines += _group(each, view, marks, 1)
        else:
            lines += [SocketLine(row.socket, marks.get(row.socket.key, ""), row.count) for row in part.rows]
    return lines


def _group(each: Group, view: View, marks: Mapping[SocketKey, str], level: int) -> list[Line]:
    key = ("group", each.key)
    is_folded = view.folds.get(key, each.count > FOLD_GROUP_OVER or level > 0)
    lines: list[Line] = [HeadLine(key, group_title(each), each.count, is_folded, _group_note(each), level)]
    if not is_folded:
        lines += [SocketLine(socket, marks.get(socket.key, "")) for socket in each.sockets]
    return lines


def group_title(each: Group) -> str:
    """Return what the sockets share, safe to show."""
    label = sanitise(each.label, 48) or "nobody"
    if isinstance(each.key, tuple) and each.key[0] == "state":
        label = state_word(label)
    if each.pid is not None:
        label += f" {each.pid}"
    if isinstance(each.key, tuple) and each.key[0] == "service":
        label += _service_end(each)
    return label


def _service_end(each: Group) -> str:
    first = each.sockets[0]
    _, _, ours, end = each.key if isinstance(each.key, tuple) else (None, None, True, None)
    if ours:
        return f"  :{first.local.port} ←"
    return f"  → {end.address}:{end.port}" if end is not None else ""


def _group_note(each: Group) -> str:
    words = [f"receive {size(each.receive_bytes)}"] if each.receive_bytes else []
    words += [f"send {size(each.send_bytes)}"] if each.send_bytes else []
    names = {"app": "app", "peer": "peer", "network": "net"}
    words += [f"{names[party]} {count(number)}" for party, number in each.parties.items() if party in names]
    states = Counter(each.states).most_common(3)
    words += [f"{state_word(state)} {count(number)}" for state, number in states if len(each.states) > 1]
    return "  ".join(words)


def _states_note(sockets: Iterable[Socket]) -> str:
    states = Counter(state_word(socket.state) for socket in sockets)
    return "  ".join(f"{state} {count(number)}" for state, number in states.most_common(4))
