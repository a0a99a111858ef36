"""Idle rows cost little: what many rows share is made once, and says what it says when made for each alone."""

from __future__ import annotations

import csv
import io
from typing import Any

import msgspec
import pytest
from msgspec import structs
from present.idle_rows import many, odd, seen

from sockscope.model.names import Names
from sockscope.model.socket import Holder
from sockscope.present import row_cells, table
from sockscope.present.columns import COLUMNS, Cell, column_names, whole_cell
from sockscope.present.csv import FIELDS, write_csv
from sockscope.present.document import SocketRecords
from sockscope.present.json import write_json
from sockscope.present.lossless import ascii_json
from sockscope.present.socket_json import SocketTexts
from sockscope.present.text import sanitise


def test_json_of_shared_parts_is_that_of_records() -> None:
    rows = odd(many(8))
    observation = seen(rows)
    records, encoder = SocketRecords(observation), msgspec.json.Encoder()
    texts = SocketTexts(observation).of(rows)
    assert [text.encode() for text in texts] == [bytes(ascii_json(encoder.encode(records.of(row)))) for row in rows]


@pytest.mark.parametrize("count", [100, 400])
def test_json_makes_a_record_for_what_moves_only(count: int) -> None:
    texts = SocketTexts(seen(many(count)))
    assert len(texts.of(texts._observation.snapshot.sockets.values())) == count
    assert texts.made_whole == 1, "the stalled one"
    assert texts.pids == {12, 13}


def test_the_document_names_the_processes_of_its_sockets() -> None:
    rows = many(8)
    stream = io.BytesIO()
    write_json(stream, seen(rows), rows[::2])
    assert [one["pid"] for one in msgspec.json.decode(stream.getvalue())["processes"]] == [12]


@pytest.mark.parametrize("moves", [True, False])
def test_csv_of_rows_together_is_that_of_each_field(moves: bool) -> None:
    rows = odd(many(40))
    observation = seen(rows) if moves else structs.replace(seen(rows), moves=None)
    both = structs.replace(rows[4], inode=9100, cookie=9100)
    snapshot = observation.snapshot
    holders = {**snapshot.holders, 9100: (Holder(12, 4), Holder(13, 5))}
    observation = structs.replace(observation, snapshot=structs.replace(snapshot, holders=holders))
    rows.append(both)
    stream, alone = io.StringIO(), io.StringIO()
    write_csv(stream, observation, rows)
    for row in rows:
        write_csv(alone, observation, [row], header=False)
    head, _, lines = stream.getvalue().partition("\n")
    assert head.split(",") == list(FIELDS)
    assert lines == alone.getvalue()
    told = list(csv.DictReader(io.StringIO(stream.getvalue())))
    for row, line in zip(rows, told, strict=True):
        for name, field in FIELDS.items():
            value = field(row, observation)
            assert line[name].removeprefix("'") == ("" if value is None else sanitise(str(value))), name


def test_cells_that_rows_share_are_those_of_each_row() -> None:
    rows = odd(many(8))
    observation = seen(rows)
    columns = [COLUMNS[name] for name in column_names()]
    cells = row_cells.RowCells(observation, [(column, None) for column in columns])
    block = cells.block(rows)
    for number, row in enumerate(rows):
        told = {columns[at].name: cell for at, cell in zip(cells.shaped, block.shaped[number], strict=True)}
        for at, strip in zip(cells.own, block.own, strict=True):
            told[columns[at].name] = strip.cells[number] if strip.cells else Cell(strip.texts[number], "plain")
            assert strip.texts[number] == told[columns[at].name].text
        assert told == {column.name: whole_cell(column, row, observation) for column in columns}


@pytest.mark.parametrize("names", [Names(), Names(hosts={"10.0.0.1": "a\u202e日本"}, services={("tcp", 80): "http"})])
@pytest.mark.parametrize("width", [None, 30, 80, 120])
@pytest.mark.parametrize("colour", [False, True])
def test_lines_made_together_are_those_of_each_row(names: Names, width: int | None, colour: bool) -> None:
    """At a width; the columns of a pipe are as wide as all rows need, so there it is told but for the blanks."""
    rows = odd(many(1200))
    observation = structs.replace(seen(rows), names=names)
    for columns in (None, ("state",), ("pid", "local", "remote", "user", "fd", "drops"), ("local", "command")):
        how: dict[str, Any] = {"width": width, "columns": columns, "colour": colour, "header": False}
        lines = list(table.table_lines(observation, rows, **how))
        alone = [line for row in rows for line in table.table_lines(observation, [row], **how)]
        assert [line.split() for line in lines] == [line.split() for line in alone]
        assert width is None or lines == alone


def test_a_cell_is_made_for_what_differs_only() -> None:
    made = {}
    for count in (100, 400):
        rows = many(count)
        cells = row_cells.RowCells(seen(rows), [(COLUMNS[name], None) for name in table.PIPE_COLUMNS])
        assert len(cells.block(rows).shaped) == count
        made[count] = dict(zip(table.PIPE_COLUMNS, cells.made, strict=True))
        assert len(cells.shapes) == 2, "the idle ones', and the stalled one's"
    assert made[100] == made[400]
    assert max(made[100].values()) <= 5


def test_ends_at_a_width_are_made_once_for_both_columns() -> None:
    rows = many(400)
    cells = row_cells.RowCells(seen(rows), [(COLUMNS[name], 8) for name in ("local", "remote")])
    assert [len(strip.texts) for strip in cells.block(rows).own] == [400, 400]
    assert sum(cells.made) <= 400 / 2 + 1 + 2, "each end, and the two addresses"
