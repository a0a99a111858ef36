"""The queues' cells: a bar with the mark in it, and the number that matters. Nothing is drawn for an empty queue."""

from __future__ import annotations

from msgspec import Struct

from sockscope.analysis.peers import peer_of
from sockscope.analysis.queues import accept_queue, receive_queue, send_queue
from sockscope.analysis.severity import severity
from sockscope.model.observation import Observation
from sockscope.model.socket import Socket
from sockscope.model.verdict import AcceptQueue, Move, Queue
from sockscope.present.bars import bar
from sockscope.present.format import UNKNOWN, size

_SHORTEST_BAR = 2
_BUFFERLESS = ("TIME_WAIT", "SYN_RECV", "NEW_SYN_RECV")


class Cell(Struct, frozen=True, gc=False):
    """A cell's text, and the role that colours it."""

    text: str
    role: str


def receive_queue_cell(socket: Socket, observation: Observation, width: int | None) -> Cell:
    """Return what was received and not read; of a listener, who waits to be accepted and how many may."""
    waiting = accept_queue(socket)
    if waiting is not None:
        return Cell(_accept(waiting, width), _accept_role(socket, observation, waiting))
    queue = _receive(socket, observation)
    return Cell(_received(queue, width, socket), _role(socket, observation, queue, "receive"))


def send_queue_cell(socket: Socket, observation: Observation, width: int | None) -> Cell:
    """Return what was sent and not acknowledged; the mark is where poll() stops saying writable."""
    if socket.is_listener:
        return Cell("", "plain")
    queue = _send(socket, observation)
    return Cell(_sent(queue, width, socket), _role(socket, observation, queue, "send"))


def merged_queue(socket: Socket, observation: Observation, width: int | None) -> Cell:
    """Return one cell for both: the direction that is stalled, else the fuller; `◂` is in, `▸` is out."""
    room = None if width is None else max(0, width - 1)
    waiting = accept_queue(socket)
    if waiting is not None:
        cell = receive_queue_cell(socket, observation, room)
        return _pointed("◂" if waiting.length else " ", cell, room)
    receive, send = _receive(socket, observation), _send(socket, observation)
    out = _stalled(socket, observation, "send") and not _stalled(socket, observation, "receive")
    if not out and not _stalled(socket, observation, "receive") and not receive.eof:
        out = (send.fill or 0) > (receive.fill or 0)
    if out:
        return _pointed("▸", Cell(_sent(send, room, socket), _role(socket, observation, send, "send")), room)
    return _pointed("◂", Cell(_received(receive, room, socket), _role(socket, observation, receive, "receive")), room)


def _pointed(glyph: str, cell: Cell, room: int | None) -> Cell:
    if not cell.text.strip() or cell.text.strip() == UNKNOWN:
        return cell
    return Cell(glyph + (cell.text if room is None else cell.text.rjust(room)), cell.role)


def _receive(socket: Socket, observation: Observation) -> Queue:
    peer = peer_of(observation.snapshot, socket) if socket.family == "unix" else None
    return receive_queue(socket, peer, observation.details.get(socket.key), by_window=False)


def _send(socket: Socket, observation: Observation) -> Queue:
    peer = peer_of(observation.snapshot, socket) if socket.family == "unix" else None
    return send_queue(socket, peer, observation.details.get(socket.key))


def _move(socket: Socket, observation: Observation, way: str) -> Move | None:
    move = (observation.moves or {}).get(socket.key)
    if move is None:
        return None
    return move.receive if way == "receive" else move.send


def _stalled(socket: Socket, observation: Observation, way: str) -> bool:
    move = _move(socket, observation, way)
    return move is not None and move.condition == "stalled" and move.party != "none"


def _role(socket: Socket, observation: Observation, queue: Queue, way: str) -> str:
    if _stalled(socket, observation, way):
        return severity(socket, observation) or "bar"
    return "dim" if queue.eof and not queue.queued_bytes else "bar"


def _accept_role(socket: Socket, observation: Observation, waiting: AcceptQueue) -> str:
    if waiting.is_full:
        return severity(socket, observation) or "warning"
    return "bar" if waiting.length else "dim"


def _accept(waiting: AcceptQueue, width: int | None) -> str:
    number = f"{size(waiting.length)}/{size(waiting.limit)}"
    if width is None:
        return number
    return _bar_and_number(waiting.fill if waiting.length else 0.0, None, number, width)


def _received(queue: Queue, width: int | None, socket: Socket) -> str:
    queued = queue.queued_bytes
    if queued is None or socket.state in _BUFFERLESS:
        return _unknown(socket)
    if queue.eof and not queued:
        number, fill = "EOF", 0.0
    elif not queued:
        return ""
    else:
        number, fill = size(queued), queue.fill or 0.0
    mark = queue.mark_bytes
    if mark is not None and mark > 1 and queued < mark and queue.ready is not True:
        return _right(f"{number}<{size(mark)}", width)
    if width is None:
        return number
    shown = queue.mark_fraction if queue.mark_source == "read" and mark is not None and mark > 1 else None
    return _bar_and_number(fill, shown, number, width)


def _sent(queue: Queue, width: int | None, socket: Socket) -> str:
    queued = queue.queued_bytes
    if queued is None:
        return _unknown(socket)
    if not queued:
        return ""
    if width is None:
        return size(queued)
    return _bar_and_number(queue.fill or 0.0, queue.mark_fraction, size(queued), width)


def _unknown(socket: Socket) -> str:
    """TIME_WAIT and SYN_RECV sockets have no buffers to know."""
    return "" if socket.state in _BUFFERLESS else UNKNOWN


def _right(text: str, width: int | None) -> str:
    return text if width is None else text.rjust(width)[-width:] if width else ""


def _bar_and_number(fill: float, mark: float | None, number: str, width: int) -> str:
    """Right half the number, left of it the bar; a long number shortens the bar and at last takes its place."""
    length = min((width * 9 + 10) // 20, width - len(number) - 1)
    if not fill or length < _SHORTEST_BAR:
        return _right(number, width)
    drawn = bar(fill, mark, length)
    return drawn + number.rjust(width - length)
