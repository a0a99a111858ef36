"""The value each column sorts by: one scalar a socket (a tuple costs 208 ms where a scalar costs 12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from sockscope.analysis.addresses import address_number
from sockscope.analysis.severity import CALM, rank, ranked
from sockscope.model.observation import Observation
from sockscope.model.socket import Endpoint, Socket

Scalar: TypeAlias = int | float | str | bytes | None


class SortKey(Struct, frozen=True):
    """How a column sorts. `largest_first`: what is asked of a number is nearly always its largest."""

    of: Callable[[Socket, Observation], Scalar]
    largest_first: bool = False


def sort_sockets(
    sockets: list[Socket], observation: Observation, column: str, reverse: bool = False
) -> list[Socket]:
    """Return them sorted by a column of SORT_KEYS; equal ones keep their order, unknown ones come last always.

    Raises KeyError for a column that does not sort.
    """
    if column == "move":
        return _by_rank(sockets, observation, reverse=reverse)
    key = SORT_KEYS[column]
    known: list[tuple[Scalar, Socket]] = []
    unknown: list[Socket] = []
    for socket in sockets:
        value = key.of(socket, observation)
        if value is None:
            unknown.append(socket)
        else:
            known.append((value, socket))
    known.sort(key=_first, reverse=key.largest_first is not reverse)
    return [socket for _, socket in known] + unknown


def _by_rank(sockets: list[Socket], observation: Observation, *, reverse: bool) -> list[Socket]:
    """Sort the few that have a rank and leave the others as they are: of 100,000 rows 5 ms instead of 80."""
    at = observation.snapshot.sockets
    restless = [socket for key in ranked(observation) if (socket := at.get(key)) is not None]
    asked = restless if len(restless) < len(sockets) else sockets
    ranks = {id(socket): place for socket in asked if (place := rank(socket, observation)) != CALM}
    if not ranks:
        return list(sockets)
    loud = [(ranks[id(socket)], socket) for socket in sockets if id(socket) in ranks]
    calm = [socket for socket in sockets if id(socket) not in ranks]
    loud.sort(key=_first, reverse=reverse)
    found = [socket for _, socket in loud]
    return calm + found if reverse else found + calm


def _first(pair: tuple[Scalar, Socket]) -> int:
    return pair[0]  # type: ignore[return-value]  # all of one type within a column


def first_process(socket: Socket, observation: Observation) -> bytes | None:
    """Return the name of the process that stands for its holders: the first one's."""
    for holder in observation.snapshot.holders_of(socket):
        process = observation.snapshot.processes.get(holder.pid)
        if process is not None and process.name is not None:
            return process.name.lower()
    return None


def _first_pid(socket: Socket, observation: Observation) -> int | None:
    holders = observation.snapshot.holders_of(socket)
    return holders[0].pid if holders else None


def _first_fd(socket: Socket, observation: Observation) -> int | None:
    holders = observation.snapshot.holders_of(socket)
    return holders[0].fd if holders else None


def _end(end: Endpoint | None) -> str | None:
    """Return a text that sorts as the numbers do: paths after addresses, IPv4 before IPv6."""
    if end is None:
        return None
    if end.path is not None:
        return "p" + end.path.decode("latin-1")
    number = address_number(end.address) if end.address else None
    if number is None:
        return f"q{end.address}" if end.address or end.port is not None else None
    return f"{number[0]:03d}{number[1]:039d}{end.port or 0:05d}"


def _both_ends(socket: Socket, _: Observation) -> str | None:
    """Return the local end, then the remote one."""
    local = _end(socket.local)
    return local if local is None or socket.remote is None else local + (_end(socket.remote) or "")


def _move_age(socket: Socket, observation: Observation) -> float | None:
    move = (observation.moves or {}).get(socket.key)
    return None if move is None else move.row.since_s


def _state(socket: Socket, _: Observation) -> str:
    return socket.state if socket.protocol in ("tcp", "mptcp", "unix") else socket.protocol


SORT_KEYS: dict[str, SortKey] = {
    "move": SortKey(rank),
    "age": SortKey(_move_age, largest_first=True),
    "process": SortKey(first_process),
    "pid": SortKey(_first_pid),
    "fd": SortKey(_first_fd),
    "user": SortKey(lambda socket, observation: None if socket.uid is None else observation.names.users.get(
        socket.uid, f"{socket.uid:010d}")),
    "proto": SortKey(lambda socket, _: socket.protocol),
    "family": SortKey(lambda socket, _: socket.family),
    "state": SortKey(_state),
    "address": SortKey(_both_ends),
    "local": SortKey(lambda socket, _: _end(socket.local)),
    "remote": SortKey(lambda socket, _: _end(socket.remote)),
    "port": SortKey(lambda socket, _: socket.local.port),
    "receive": SortKey(lambda socket, _: socket.receive_queued, largest_first=True),
    "send": SortKey(lambda socket, _: None if socket.is_listener else socket.send_queued, largest_first=True),
    "queue": SortKey(
        lambda socket, _: None
        if socket.receive_queued is None
        else max(socket.receive_queued, 0 if socket.is_listener else socket.send_queued or 0),
        largest_first=True,
    ),
    "drops": SortKey(lambda socket, _: socket.drop_count, largest_first=True),
    "inode": SortKey(lambda socket, _: socket.inode or None),
    "netns": SortKey(lambda socket, _: socket.netns),
    "cookie": SortKey(lambda socket, _: socket.cookie),
}
