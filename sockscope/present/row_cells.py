"""The cells of many rows for the one-shot table: what rows share is made once.

A quiet row (no move, no detail, no finding) looks like any other of its state and queues but for its ends and its
holder. 100,000 idle connections have a handful of such shapes, and a distinct end or holder is formatted once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeAlias

from sockscope.model.observation import Observation
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Socket
from sockscope.present.cells import CELLS, Cell
from sockscope.present.columns import Column

# Of a quiet row these say nothing but what its shape tells (`_shape`).
SHAPED = frozenset({
    "glyph", "move", "state", "queue", "receive", "send", "why", "age", "turn", "drops", "proto", "family", "netns",
})

Row: TypeAlias = tuple[tuple[Cell, ...], list[Cell]]  # its shaped cells, one tuple a shape, and those of its own


class RowCells:
    """Makes the cells of rows at these columns, each with its width or None for uncut."""

    def __init__(self, observation: Observation, columns: Sequence[tuple[Column, int | None]]) -> None:
        self.shaped = [at for at, (column, _) in enumerate(columns) if column.name in SHAPED]
        self.own = [at for at, (column, _) in enumerate(columns) if column.name not in SHAPED]
        self.made: list[list[Cell]] = [[] for _ in columns]  # every distinct cell, by column; tests count them
        self._twins: dict[tuple[Hashable, int | None], Cell] = {}
        self._observation = observation
        self._columns = columns
        told = {key for finding in observation.findings or () for key in finding.sockets}
        self._loud = {*told, *(observation.moves or ()), *observation.details}

    def rows(self, sockets: Iterable[Socket]) -> Iterator[Row]:
        """Yield one row a socket, in their order."""
        loud, snapshot, make, shapes = self._loud, self._observation.snapshot, self._make, self.shaped
        known: dict[Hashable, tuple[Cell, ...]] = {}
        own: list[tuple[int, Callable[[Socket, Snapshot], Hashable], dict[Hashable, Cell]]] = [
            (at, _SAME.get(self._columns[at][0].name, _nothing), {}) for at in self.own
        ]
        for socket in sockets:
            if socket.cookie is None or (socket.netns, socket.cookie) in loud or not socket.is_inet:
                yield tuple([make(at, socket) for at in shapes]), [make(at, socket) for at in self.own]
                continue
            shape = _shape(socket)
            shaped = known.get(shape)
            if shaped is None:
                shaped = known[shape] = tuple([make(at, socket) for at in shapes])
            cells: list[Cell] = []
            for at, same, memo in own:
                key = same(socket, snapshot)
                cell = memo.get(key)
                if cell is None:
                    cell = make(at, socket, key)
                    if key is not None:
                        memo[key] = cell
                cells.append(cell)
            yield shaped, cells

    def _make(self, at: int, socket: Socket, same: Hashable = None) -> Cell:
        column, width = self._columns[at]
        twin = self._twins.get((same, width)) if same is not None else None  # one row's local end is another's remote
        cell = twin or CELLS[column.name](socket, self._observation, width)
        if same is not None and twin is None:
            self._twins[same, width] = cell
        self.made[at].append(cell)
        return cell


def _shape(socket: Socket) -> Hashable:
    """Return all that the shaped cells of a quiet row depend on. The memory by identity: rows share it."""
    return (socket.state, socket.receive_queued, socket.send_queued, id(socket.memory), socket.shutdown,
            socket.protocol, socket.family, socket.type, socket.netns, socket.drops)


def _local(socket: Socket, _: Snapshot) -> Hashable:
    return id(socket.local), socket.protocol  # rows share their ends, too


def _remote(socket: Socket, _: Snapshot) -> Hashable:
    return id(socket.remote), socket.protocol


def _holder(socket: Socket, snapshot: Snapshot) -> Hashable:
    """Return what analysis.ownership and the cell look at, None where several hold it."""
    held = snapshot.holders.get(socket.inode) if socket.inode else None
    if held:
        return held[0].pid if len(held) == 1 else None
    return "unheld", socket.state, socket.type, socket.family, socket.uid, bool(socket.inode)


def _nothing(_: Socket, __: Snapshot) -> Hashable:
    return None


# What a quiet row's cell in a column depends on; None: on too much to be shared.
_SAME: dict[str, Callable[[Socket, Snapshot], Hashable]] = {
    "local": _local, "remote": _remote, "process": _holder, "user": lambda socket, _: ("uid", socket.uid),
}
