"""The one-shot table: in a terminal as wide as it is, in a pipe uncut, with colours only where they are wanted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sockscope.model.observation import Observation
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Socket
from sockscope.present.columns import COLUMNS, Cell, Column, Placed, cell, layout, whole_cell
from sockscope.present.format import count
from sockscope.present.text import sanitise, to_ascii
from sockscope.present.width import cell_len, fit

PIPE_COLUMNS = ("glyph", "move", "process", "state", "local", "remote", "receive", "send", "why")
# SGR codes of the terminal's own sixteen colours: they follow its theme.
_COLOURS = {"severe": "1;31", "warning": "33", "dim": "2", "good": "32", "bar": "36", "header": "1"}


def table_lines(
    observation: Observation, sockets: Iterable[Socket], *, width: int | None, columns: tuple[str, ...] | None = None,
    header: bool = True, colour: bool = False, ascii: bool = False,  # noqa: A002  # as the option is called
) -> Iterator[str]:
    """Yield the lines, header first. `width` None: as wide as the content needs. Unknown columns: KeyError."""
    rows = list(sockets)
    if width is None:
        placed, cells = _natural(observation, rows, columns or PIPE_COLUMNS)
    else:
        placed = layout(width + 1, columns)  # the cursor's cell is not needed here
        cells = ([cell(place.column, socket, observation, place.width) for place in placed] for socket in rows)
    finish = to_ascii if ascii else str
    if header:
        titles = [Cell(fit(place.column.title, place.width, place.column.align), "header") for place in placed]
        yield finish(_line(placed, titles, colour=colour))
    for row in cells:
        yield finish(_line(placed, row, colour=colour))


def _natural(
    observation: Observation, sockets: Sequence[Socket], names: tuple[str, ...]
) -> tuple[tuple[Placed, ...], Iterable[list[Cell]]]:
    columns: list[Column] = [COLUMNS[name] for name in names]
    rows = [[whole_cell(column, socket, observation) for column in columns] for socket in sockets]
    placed, x = [], 1
    for number, column in enumerate(columns):
        width = max([cell_len(column.title), 1, *(cell_len(row[number].text) for row in rows)])
        placed.append(Placed(column, x, width))
        x += width + 1
    fitted = (
        [Cell(fit(each.text, place.width, place.column.align), each.role)
         for each, place in zip(row, placed, strict=True)]
        for row in rows
    )
    return tuple(placed), fitted


def _line(placed: Sequence[Placed], cells: Sequence[Cell], *, colour: bool) -> str:
    parts: list[str] = []
    at = 1
    for place, each in zip(placed, cells, strict=True):
        parts.append(" " * (place.x - at))
        parts.append(_coloured(each) if colour else each.text)
        at = place.x + place.width
    return "".join(parts).rstrip()


def _coloured(each: Cell) -> str:
    code = _COLOURS.get(each.role)
    text = each.text
    if code is None or not text.strip():
        return text
    bare = text.rstrip()
    return f"\x1b[{code}m{bare}\x1b[0m{text[len(bare):]}"


def gap_lines(snapshot: Snapshot, *, is_root: bool) -> list[str]:
    """Return one line for each thing that could not be seen, for stderr: what is missing is always said.

    Root is not told to become root: what is hidden from it belongs to a namespace or a security module.
    """
    lines = [
        f"{count(gap.count)} x {gap.what}: {gap.reason.replace('_', ' ')}"
        + (f" ({sanitise(gap.detail, 200)})" if gap.detail else "")
        for gap in snapshot.gaps
    ]
    if snapshot.hidden_processes:
        more = "" if is_root else 'to see more: sudo "$(command -v sockscope)"   '
        lines.append(f"{more}what is missing and why: sockscope doctor")
    return lines
