"""Idle rows cost little: what many rows share is made once, and says what it says when made for each alone."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest
from builders import make_snapshot, make_socket
from msgspec import structs
from msgspec.structs import replace

from sockscope.model.names import Names
from sockscope.model.observation import Observation
from sockscope.model.process import Process
from sockscope.model.socket import Endpoint, Socket, Timer
from sockscope.model.verdict import Move, RowMove
from sockscope.present import row_cells, table
from sockscope.present.columns import COLUMNS, Cell, column_names, whole_cell
from sockscope.present.document import SocketRecords
from sockscope.present.json import write_json
from sockscope.present.lossless import ascii_json
from sockscope.present.socket_json import SocketTexts

STALLED = RowMove(Move("app", "stalled", 9.0, "why"), Move("app", "stalled", 9.0, "why"), Move("none", "moving"))


def many(count: int) -> list[Socket]:
    """Idle connections of one server, both ends here; ends and memory shared as the decoder shares them."""
    template = make_socket("10.0.0.1:80", inode=1)
    server = Endpoint("10.0.0.1", 80)
    rows: list[Socket] = []
    for number in range(count // 2):
        client = Endpoint("10.0.0.2", 20_000 + number)
        for local, remote in ((server, client), (client, server)):
            inode = 100 + len(rows)
            rows.append(replace(template, state="ESTABLISHED", local=local, remote=remote, inode=inode, cookie=inode,
                                receive_queued=0, send_queued=0))
    return rows


def seen(rows: list[Socket]) -> Observation:
    snapshot = make_snapshot(*rows, holders={row.inode: (12 + row.inode % 2, row.inode) for row in rows if row.inode})
    names = {12: Process(12, 5, b"ngi\xffnx\x7f"), 13: Process(13, name=b"100%")}
    moves = {rows[1].key: STALLED} if rows else {}
    return Observation(replace(snapshot, processes=names), moves=moves)


def odd(rows: list[Socket]) -> list[Socket]:
    """Rows that are not like the others, among them."""
    return [
        *rows, replace(rows[0], inode=0, cookie=9001, state="TIME_WAIT", timer=Timer("time-wait", 0, 31.25)),
        replace(rows[0], inode=0, cookie=9002, state="TIME_WAIT", timer=Timer("time-wait", 0, 1e-7)),
        replace(rows[2], inode=9003, cookie=9003, uid=None, drops=3, interface=4),
        replace(rows[2], inode=9004, cookie=None, memory=None),
        replace(rows[2], inode=9005, cookie=9005, local=Endpoint('fe80::1%"\\', 4), remote=None, state="LISTEN"),
        replace(rows[3], inode=9006, cookie=9006, memory=None, receive_queued=None),
    ]


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
