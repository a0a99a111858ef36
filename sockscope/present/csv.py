"""CSV: one socket a line, numbers raw, never cut to a width. Unknown is an empty field."""

from __future__ import annotations

import csv
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TextIO, TypeAlias

from sockscope.analysis.peers import peer_of
from sockscope.analysis.queues import accept_queue, receive_queue, send_queue
from sockscope.analysis.waiting import waiting_text
from sockscope.model.observation import Observation
from sockscope.model.process import Process
from sockscope.model.socket import Endpoint, Socket
from sockscope.model.verdict import Queue, RowMove
from sockscope.present.text import command_text, sanitise

Value: TypeAlias = str | int | float | None
Field: TypeAlias = Callable[[Socket, Observation], Value]
# Spreadsheets run a cell that begins with one of these as a formula: a process may be called so.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_csv(
    stream: TextIO, observation: Observation, sockets: Sequence[Socket], columns: Sequence[str] | None = None, *,
    header: bool = True,
) -> None:
    """Write a header and the sockets; `columns` are names of FIELDS, or of the table's columns. KeyError if not."""
    if columns is None:
        names = list(FIELDS)
    else:
        names = list(dict.fromkeys(field for name in columns for field in EXPANDED.get(name, (name,))))
    writer = csv.writer(stream, lineterminator="\n")
    if header:
        writer.writerow(names)
    writer.writerows(_rows(observation, sockets, names))


def _rows(observation: Observation, sockets: Iterable[Socket], names: Sequence[str]) -> Iterator[list[Value]]:
    """Yield the values of each. What idle sockets of one holder share is worked out once: 5 us a row, not 16."""
    fields = [FIELDS[name] for name in names]
    own = [(at, FIELDS[name]) for at, name in enumerate(names) if name in _OWN]
    loud, holders_of = {*(observation.moves or ()), *observation.details}, observation.snapshot.holders.get
    shapes: dict[Hashable, list[Value]] = {}
    for row in sockets:
        held = holders_of(row.inode, ()) if row.inode else ()
        if row.cookie is None or (row.netns, row.cookie) in loud or not row.is_inet or len(held) > 1:
            yield [_safe(field(row, observation)) for field in fields]
            continue
        # All that the other fields depend on. The memory by identity: rows share it.
        shape = (row.netns, row.family, row.type, row.protocol, row.state, row.receive_queued, row.send_queued,
                 id(row.memory), row.shutdown, row.drops, row.uid, row.interface, held[0].pid if held else None)
        values = shapes.get(shape)
        if values is None:
            values = shapes[shape] = [_safe(field(row, observation)) for field in fields]
        values = values.copy()
        for at, field in own:
            values[at] = _safe(field(row, observation))
        yield values


def _safe(value: Value) -> Value:
    if isinstance(value, str):
        value = sanitise(value)
        return "'" + value if value.startswith(_FORMULA) else value
    return value


def _process(socket: Socket, observation: Observation) -> Process | None:
    for holder in observation.snapshot.holders_of(socket):
        process = observation.snapshot.processes.get(holder.pid)
        if process is not None:
            return process
    return None


def _process_name(socket: Socket, observation: Observation) -> Value:
    process = _process(socket, observation)
    return None if process is None or process.name is None else sanitise(process.name)


def _holders(socket: Socket, observation: Observation) -> Value:
    return " ".join(f"{holder.pid}:{holder.fd}" for holder in observation.snapshot.holders_of(socket))


def _pid(socket: Socket, observation: Observation) -> Value:
    holders = observation.snapshot.holders_of(socket)
    return holders[0].pid if holders else None


def _fd(socket: Socket, observation: Observation) -> Value:
    holders = observation.snapshot.holders_of(socket)
    return holders[0].fd if holders else None


def _command(socket: Socket, observation: Observation) -> Value:
    process = _process(socket, observation)
    return None if process is None or process.command is None else command_text(process.command)


def _address(end: Endpoint | None) -> Value:
    if end is None:
        return None
    if end.path is not None:
        return ("@" if end.abstract else "") + sanitise(end.path)
    return end.address or None


def _receive(socket: Socket, observation: Observation) -> Queue:
    peer = peer_of(observation.snapshot, socket) if socket.family == "unix" else None
    return receive_queue(socket, peer, observation.details.get(socket.key))


def _send(socket: Socket, observation: Observation) -> Queue:
    peer = peer_of(observation.snapshot, socket) if socket.family == "unix" else None
    return send_queue(socket, peer, observation.details.get(socket.key))


def _move(socket: Socket, observation: Observation) -> RowMove | None:
    return (observation.moves or {}).get(socket.key)


def _party(socket: Socket, observation: Observation) -> Value:
    if observation.moves is None:
        return None
    move = _move(socket, observation)
    return "none" if move is None else move.row.party


def _condition(socket: Socket, observation: Observation) -> Value:
    move = _move(socket, observation)
    return None if move is None else move.row.condition


def _turn(socket: Socket, observation: Observation) -> Value:
    move = _move(socket, observation)
    return None if move is None else move.turn


def _since(socket: Socket, observation: Observation) -> Value:
    move = _move(socket, observation)
    return None if move is None else move.row.since_s


def _reason(socket: Socket, observation: Observation) -> Value:
    move = _move(socket, observation)
    return None if move is None else move.row.reason


def _fill(queue: Queue) -> Value:
    return None if queue.fill is None else round(queue.fill, 4)


def _accept_length(socket: Socket, _: Observation) -> Value:
    queue = accept_queue(socket)
    return None if queue is None else queue.length


def _accept_limit(socket: Socket, _: Observation) -> Value:
    queue = accept_queue(socket)
    return None if queue is None else queue.limit


def _ready(value: bool | None) -> Value:
    return None if value is None else "yes" if value else "no"


FIELDS: dict[str, Field] = {
    "move": _party,
    "condition": _condition,
    "since_s": _since,
    "process": _process_name,
    "pid": _pid,
    "fd": _fd,
    "holders": _holders,
    "family": lambda socket, _: socket.family,
    "type": lambda socket, _: socket.type,
    "proto": lambda socket, _: socket.protocol,
    "state": lambda socket, _: socket.state,
    "local_address": lambda socket, _: _address(socket.local),
    "local_port": lambda socket, _: socket.local.port,
    "remote_address": lambda socket, _: _address(socket.remote),
    "remote_port": lambda socket, _: None if socket.remote is None else socket.remote.port,
    "receive_bytes": lambda socket, observation: _receive(socket, observation).queued_bytes,
    "receive_fill": lambda socket, observation: _fill(_receive(socket, observation)),
    "readable": lambda socket, observation: _ready(_receive(socket, observation).ready),
    "send_bytes": lambda socket, observation: _send(socket, observation).queued_bytes,
    "send_fill": lambda socket, observation: _fill(_send(socket, observation)),
    "writable": lambda socket, observation: _ready(_send(socket, observation).ready),
    "accept_waiting": _accept_length,
    "accept_limit": _accept_limit,
    "drops": lambda socket, _: socket.drop_count,
    "uid": lambda socket, _: socket.uid,
    "user": lambda socket, observation: None if socket.uid is None else observation.names.users.get(socket.uid),
    "inode": lambda socket, _: socket.told_inode or None,
    "cookie": lambda socket, _: None if socket.cookie is None else f"{socket.cookie:x}",
    "netns": lambda socket, _: socket.netns,
    "interface": lambda socket, observation: None
    if socket.interface is None
    else observation.snapshot.interfaces.get(socket.interface, str(socket.interface)),
    "command": _command,
    "container": lambda socket, observation: getattr(_process(socket, observation), "container", None),
    "turn": _turn,
    "waits": lambda socket, observation: waiting_text(observation.details.get(socket.key)) or None,
    "reason": _reason,
}

# What sockets do not share that are alike and have one holder.
_OWN = frozenset({
    "fd", "holders", "local_address", "local_port", "remote_address", "remote_port", "inode", "cookie",
})

# The table's columns, by the fields that carry the same.
EXPANDED: dict[str, tuple[str, ...]] = {
    "move": ("move", "since_s"),
    "address": ("local_address", "local_port", "remote_address", "remote_port"),
    "local": ("local_address", "local_port"),
    "remote": ("remote_address", "remote_port"),
    "receive": ("receive_bytes", "receive_fill"),
    "send": ("send_bytes", "send_fill"),
    "queue": ("receive_bytes", "send_bytes"),
    "process": ("process", "pid"),
    "why": ("reason", "waits"),
    "age": ("since_s",),
    "glyph": (),
}
