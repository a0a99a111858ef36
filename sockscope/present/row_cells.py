"""The cells of many rows for the one-shot table: what rows share is made once, and a column is made at a time.

A quiet row (no move, no detail, no finding) looks like any other of its state and queues but for its ends and its
holder. 100,000 idle connections have a handful of such shapes, and what an end or a holder comes to is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from operator import attrgetter

from msgspec import Struct

from sockscope.model.observation import Observation
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Socket
from sockscope.present import format as words
from sockscope.present.cells import CELLS, Cell
from sockscope.present.columns import Column
from sockscope.present.width import are_narrow

# Of a quiet row these say nothing but what its shape tells (`_shapes`).
SHAPED = frozenset({
    "glyph", "move", "state", "queue", "receive", "send", "why", "age", "turn", "drops", "proto", "family", "netns",
})
_INET = ("inet", "inet6")
_ENDS = {"local": attrgetter("local"), "remote": attrgetter("remote")}


class Strip(Struct):
    """A column's texts in some rows; `cells` has their roles, None where all are plain."""

    texts: list[str]
    cells: list[Cell] | None = None


class Block(Struct):
    """Some rows: the shaped cells of each, one tuple a shape, and a strip for each column of their own."""

    shaped: list[tuple[Cell, ...]]
    own: list[Strip]


class RowCells:
    """Makes the cells of rows at these columns, each with its width or None for uncut."""

    def __init__(self, observation: Observation, columns: Sequence[tuple[Column, int | None]]) -> None:
        self.shaped = [at for at, (column, _) in enumerate(columns) if column.name in SHAPED]
        self.own = [at for at, (column, _) in enumerate(columns) if column.name not in SHAPED]
        self.made = [0 for _ in columns]  # how often something was worked out, by column: tests count it
        self.shapes: list[tuple[Cell, ...]] = []  # every distinct one
        self._known: dict[Hashable, tuple[Cell, ...]] = {}
        self._kept: dict[tuple[str, int | None], dict[Hashable, Cell]] = {}
        self._hosts: dict[str, str] = {}
        self._observation = observation
        self._columns = columns
        told = {key for finding in observation.findings or () for key in finding.sockets}
        self._loud = {*told, *(observation.moves or ()), *observation.details}

    def block(self, rows: Sequence[Socket]) -> Block:
        """Return the cells of these rows."""
        return Block(self._shapes(rows), [self._strip(at, rows) for at in self.own])

    def _shapes(self, rows: Iterable[Socket]) -> list[tuple[Cell, ...]]:
        known, loud = self._known, self._loud
        made: list[tuple[Cell, ...]] = []
        for row in rows:
            if row.cookie is None or (row.netns, row.cookie) in loud or row.family not in _INET:
                made.append(self._shape(row))
                continue
            # All that the shaped cells of a quiet row depend on. The memory by identity: rows share it.
            key = (row.state, row.receive_queued, row.send_queued, id(row.memory), row.shutdown, row.protocol,
                   row.family, row.type, row.netns, row.drops)
            shape = known.get(key)
            if shape is None:
                shape = known[key] = self._shape(row)
            made.append(shape)
        return made

    def _shape(self, row: Socket) -> tuple[Cell, ...]:
        shape = tuple([self._make(at, row) for at in self.shaped])
        self.shapes.append(shape)
        return shape

    def _strip(self, at: int, rows: Sequence[Socket]) -> Strip:
        column, width = self._columns[at]
        if column.name in _ENDS and not self._observation.names.services:
            texts = self._ends(at, rows)
            if width is None or (are_narrow(texts) and max(map(len, texts)) <= width):
                return Strip(texts)
        cells = list(self._cells(at, rows))
        return Strip([cell.text for cell in cells], cells)

    def _ends(self, at: int, rows: Sequence[Socket]) -> list[str]:
        """Return the ends uncut, as `format.endpoint` does: to know those by their addresses is less to keep."""
        hosts = self._hosts
        texts = []
        for row, end in zip(rows, map(_ENDS[self._columns[at][0].name], rows), strict=True):
            if end is None or end.port is None or row.family not in _INET:
                texts.append(self._make(at, row).text)
            else:
                texts.append(f"{hosts.get(end.address) or self._host(at, end.address)}:{end.port or '*'}")
        return texts

    def _host(self, at: int, address: str) -> str:
        self.made[at] += 1
        text = self._hosts[address] = words.address(address, self._observation.names)
        return text

    def _cells(self, at: int, rows: Sequence[Socket]) -> Iterator[Cell]:
        column, width = self._columns[at]
        kind, keys = _SAME.get(column.name, ("", _nothing))
        kept = self._kept.setdefault((kind, width), {})
        for row, key in zip(rows, keys(rows, self._observation.snapshot), strict=True):
            if key is None or row.family not in _INET:
                yield self._make(at, row)
            else:
                cell = kept.get(key)
                if cell is None:
                    cell = kept[key] = self._make(at, row)
                yield cell

    def _make(self, at: int, row: Socket) -> Cell:
        self.made[at] += 1
        column, width = self._columns[at]
        return CELLS[column.name](row, self._observation, width)


def _local(rows: Sequence[Socket], _: Snapshot) -> Iterable[Hashable]:
    return [(id(row.local), row.protocol) for row in rows]  # rows share their ends, too


def _remote(rows: Sequence[Socket], _: Snapshot) -> Iterable[Hashable]:
    return [(id(row.remote), row.protocol) for row in rows]


def _holders(rows: Sequence[Socket], snapshot: Snapshot) -> Iterable[Hashable]:
    """Return what analysis.ownership and the cell look at, None where several hold it."""
    keys: list[Hashable] = []
    holders_of = snapshot.holders.get
    for row in rows:
        held = holders_of(row.inode) if row.inode else None
        if held:
            keys.append(held[0].pid if len(held) == 1 else None)
        else:
            keys.append(("unheld", row.state, row.type, row.family, row.uid, bool(row.inode)))
    return keys


def _users(rows: Sequence[Socket], _: Snapshot) -> Iterable[Hashable]:
    return [("uid", row.uid) for row in rows]


def _nothing(rows: Sequence[Socket], _: Snapshot) -> Iterable[Hashable]:
    return [None] * len(rows)


# What an inet row's cell in a column depends on, and which columns share such cells; None: on too much to be kept.
_SAME: dict[str, tuple[str, Callable[[Sequence[Socket], Snapshot], Iterable[Hashable]]]] = {
    "local": ("end", _local), "remote": ("end", _remote), "process": ("process", _holders), "user": ("user", _users),
}
