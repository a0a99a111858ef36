"""One cell of the table: a column's text and the role that colours it. Healthy is quiet: nothing is drawn for zero.

Blank = nothing there, `–` = not applicable, `?` = unknown. Roles: severe, warning, dim, good, bar, mark, plain, header.
"""

from __future__ import annotations

from collections.abc import Callable

from sockscope.analysis.ownership import ownership
from sockscope.analysis.peers import peer_of
from sockscope.analysis.severity import severity
from sockscope.analysis.waiting import waiting_text
from sockscope.model.observation import Observation
from sockscope.model.process import Process
from sockscope.model.socket import Socket
from sockscope.model.verdict import RowMove
from sockscope.present import format as words
from sockscope.present.address import local_and_remote, short_endpoint
from sockscope.present.queue_cells import Cell, merged_queue, receive_queue_cell, send_queue_cell
from sockscope.present.text import command_text, sanitise
from sockscope.present.width import cell_len, elide

__all__ = ["CELLS", "Cell", "row_role"]

_FRESH_S = 2.0  # younger than this is dim: it may be over before one has read it
_UNHELD = {
    "not-accepted": "not accepted", "orphan": "orphan", "syn-queue": "handshake", "time-wait": "",
    "unheld": "no holder", "not-scanned": words.UNKNOWN, "kernel": "(kernel)",
}




def row_role(socket: Socket, observation: Observation) -> str:
    """Return the role of the row's judgement: severe, warning, dim or plain."""
    grade = severity(socket, observation)
    if grade in ("severe", "warning"):
        move = _move(socket, observation)
        young = move is not None and move.row.since_s is not None and move.row.since_s < _FRESH_S
        return "dim" if young else grade
    return "dim" if socket.state in ("TIME_WAIT", "FIN_WAIT1", "FIN_WAIT2", "LAST_ACK", "CLOSING") else "plain"


def _move(socket: Socket, observation: Observation) -> RowMove | None:
    return observation.moves.get(socket.key) if observation.moves is not None else None


def _glyph(socket: Socket, observation: Observation, _: int | None) -> Cell:
    role = row_role(socket, observation)
    return Cell({"severe": "▲", "warning": "!"}.get(role, ""), role)


def _move_cell(socket: Socket, observation: Observation, width: int | None) -> Cell:
    move = _move(socket, observation)
    if move is None or move.row.party == "none":
        return Cell("", "dim")
    party, age = words.party(move.row), words.age(move.row)
    room = 1 if width is None else max(1, width - len(party) - len(age))
    role = row_role(socket, observation)
    return Cell(f"{party}{' ' * room}{age}".rstrip(), role if role in ("severe", "warning") else "dim")


def _holder(socket: Socket, observation: Observation) -> Process | None:
    for holder in observation.snapshot.holders_of(socket):
        process = observation.snapshot.processes.get(holder.pid)
        if process is not None:
            return process
    return None


def _process(socket: Socket, observation: Observation, width: int | None) -> Cell:
    holders = observation.snapshot.holders_of(socket)
    if not holders:
        return _unheld(socket, observation)
    process = _holder(socket, observation)
    pid = process.pid if process is not None else holders[0].pid
    others = len({holder.pid for holder in holders}) - 1
    end = f" {pid}" + (f" +{others}" if others else "")
    name = words.process_name(process)
    if width is not None:
        name = elide(name, max(1, width - len(end)))
    text = name + end
    container = process.container if process is not None else None
    if container and width is not None and width - cell_len(text) > 5:
        text = elide(f"{text} {sanitise(container, 64)}", width)
    return Cell(text, "plain")


def _unheld(socket: Socket, observation: Observation) -> Cell:
    kind = ownership(observation.snapshot, socket)
    if kind == "hidden":
        return Cell(f"({words.user(socket.uid, observation.names)})", "dim")
    return Cell(_UNHELD.get(kind, kind), "dim")


def _state(socket: Socket, observation: Observation, _: int | None) -> Cell:
    return Cell(words.state(socket), "dim" if row_role(socket, observation) == "dim" else "plain")


def _address(socket: Socket, observation: Observation, width: int | None) -> Cell:
    return Cell(local_and_remote(socket, observation, width), "plain")


def short_reason(reason: str, width: int | None) -> str:
    """Return what fits of "2.5M wait 31 s: the peer's window is 0": the whole, else what it comes to at its end."""
    first = reason.partition("; ")[0]
    clause = first.rpartition(": ")[2]
    forms = (reason, first, clause, clause.removeprefix("the "), clause.rpartition(", ")[2].removeprefix("the "))
    return next((form for form in forms if width is None or cell_len(form) <= width), forms[-1])


def _why(socket: Socket, observation: Observation, width: int | None) -> Cell:
    for finding in observation.findings or ():
        if finding.severity != "note" and socket.key in finding.sockets:
            return Cell((finding.cause or finding.rule).replace("-", " "), row_role(socket, observation))
    move = _move(socket, observation)
    if move is not None and move.row.condition == "stalled" and move.row.reason:
        return Cell(short_reason(sanitise(move.row.reason, 200), width), row_role(socket, observation))
    return Cell(sanitise(waiting_text(observation.details.get(socket.key)), 64), "dim")


def _user(socket: Socket, observation: Observation, _: int | None) -> Cell:
    return Cell(words.user(socket.uid, observation.names), "plain")


def _pid(socket: Socket, observation: Observation, _: int | None) -> Cell:
    holders = observation.snapshot.holders_of(socket)
    return Cell(str(holders[0].pid) if holders else "", "plain")


def _fd(socket: Socket, observation: Observation, _: int | None) -> Cell:
    holders = observation.snapshot.holders_of(socket)
    return Cell(str(holders[0].fd) if holders else "", "plain")


def _local(socket: Socket, observation: Observation, width: int | None) -> Cell:
    text = short_endpoint(socket.local, width, socket.protocol, observation.names)
    return Cell(text or unnamed(socket.inode), "plain")


def _remote(socket: Socket, observation: Observation, width: int | None) -> Cell:
    if socket.family == "unix" and socket.peer_inode:
        peer = peer_of(observation.snapshot, socket)
        named = short_endpoint(peer.local, width) if peer is not None else ""
        return Cell(named or unnamed(socket.peer_inode), "plain")
    if socket.remote is None:
        return Cell("", "plain")
    return Cell(short_endpoint(socket.remote, width, socket.protocol, observation.names), "plain")


def unnamed(inode: int) -> str:
    """Return what stands for an end without a name."""
    return f"inode {inode}" if inode > 0 else ""


def _age(socket: Socket, observation: Observation, _: int | None) -> Cell:
    move = _move(socket, observation)
    return Cell("" if move is None else words.age(move.row), "dim")


def _turn(socket: Socket, observation: Observation, _: int | None) -> Cell:
    move = _move(socket, observation)
    return Cell("" if move is None else move.turn or "", "dim")


def _drops(socket: Socket, _: Observation, __: int | None) -> Cell:
    drops = socket.drop_count
    return Cell(words.size(drops) if drops else "", "warning" if drops else "plain")


def _interface(socket: Socket, observation: Observation, _: int | None) -> Cell:
    if socket.interface is None:
        return Cell("", "plain")
    return Cell(sanitise(observation.snapshot.interfaces.get(socket.interface, str(socket.interface)), 32), "plain")


def _command(socket: Socket, observation: Observation, width: int | None) -> Cell:
    process = _holder(socket, observation)
    command = process.command if process is not None else None
    return Cell("" if command is None else sanitise(command_text(command), 4096 if width is None else width), "plain")


def _container(socket: Socket, observation: Observation, _: int | None) -> Cell:
    process = _holder(socket, observation)
    return Cell(sanitise(process.container, 64) if process is not None and process.container else "", "plain")


CellMaker = Callable[[Socket, Observation, int | None], Cell]
CELLS: dict[str, CellMaker] = {
    "glyph": _glyph, "move": _move_cell, "process": _process, "state": _state, "address": _address,
    "queue": merged_queue, "receive": receive_queue_cell, "send": send_queue_cell, "why": _why, "user": _user,
    "pid": _pid, "fd": _fd, "local": _local, "remote": _remote, "age": _age, "turn": _turn, "drops": _drops,
    "interface": _interface, "command": _command, "container": _container,
    "proto": lambda socket, _, __: Cell(socket.protocol, "plain"),
    "family": lambda socket, _, __: Cell(socket.family, "plain"),
    "inode": lambda socket, _, __: Cell(str(socket.told_inode or ""), "plain"),
    "netns": lambda socket, _, __: Cell(str(socket.netns), "plain"),
    "cookie": lambda socket, _, __: Cell("" if socket.cookie is None else f"{socket.cookie:x}", "plain"),
}
