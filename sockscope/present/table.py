"""The one-shot table: in a terminal as wide as it is, in a pipe uncut, with colours only where they are wanted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sockscope.model.observation import Observation
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Socket
from sockscope.present.columns import COLUMNS, Cell, Column, Placed, layout
from sockscope.present.format import count
from sockscope.present.row_cells import Row, RowCells
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
    names = columns or PIPE_COLUMNS
    if width is None:
        made = RowCells(observation, [(COLUMNS[name], None) for name in names])
        rows: Iterable[Row] = list(made.rows(sockets))
        placed = _natural([COLUMNS[name] for name in names], made.made)
    else:
        placed = layout(width + 1, columns)  # the cursor's cell is not needed here
        made = RowCells(observation, [(place.column, place.width) for place in placed])
        rows = made.rows(sockets)
    finish = to_ascii if ascii else str
    lines = _Lines(placed, made, colour=colour)
    if header:
        titles = [Cell(place.column.title, "header") for place in placed]
        yield finish(lines.of(([titles[at] for at in made.shaped], [titles[at] for at in made.own])))
    for row in rows:
        yield finish(lines.of(row))


def _natural(columns: Sequence[Column], made: Sequence[Sequence[Cell]]) -> tuple[Placed, ...]:
    """Place the columns as wide as their widest cell."""
    placed, x = [], 1
    for column, cells in zip(columns, made, strict=True):
        width = max([cell_len(column.title), 1, *[cell_len(each.text) for each in cells]])
        placed.append(Placed(column, x, width))
        x += width + 1
    return tuple(placed)


class _Lines:
    """Makes a line of a row's cells. What comes of a cell or of a shape is kept by identity: rows share them."""

    def __init__(self, placed: Sequence[Placed], cells: RowCells, *, colour: bool) -> None:
        ends = [1, *[place.x + place.width for place in placed]]
        self._gaps = [" " * (place.x - end) for place, end in zip(placed, ends, strict=False)]
        self._placed = placed
        self._colour = colour
        self._shaped, self._own = cells.shaped, cells.own
        self._fitted: list[dict[int, str]] = [{} for _ in placed]
        self._templates: dict[int, tuple[Sequence[Cell], str]] = {}

    def of(self, row: tuple[Sequence[Cell], Sequence[Cell]]) -> str:
        """Return the line, without blanks at its end."""
        shaped, own = row
        known = self._templates.get(id(shaped))
        template = known[1] if known is not None else self._template(shaped)
        fitted = self._fitted
        texts = [fitted[at].get(id(each)) or self._fit(at, each) for at, each in zip(self._own, own, strict=True)]
        return (template % tuple(texts)).rstrip()

    def _template(self, shaped: Sequence[Cell]) -> str:
        pieces = ["%s"] * len(self._placed)
        for at, each in zip(self._shaped, shaped, strict=True):
            pieces[at] = self._piece(at, each).replace("%", "%%")
        template = "".join([gap + piece for gap, piece in zip(self._gaps, pieces, strict=True)])
        self._templates[id(shaped)] = shaped, template  # with the cells themselves: so their id stays theirs
        return template

    def _fit(self, at: int, each: Cell) -> str:
        text = self._fitted[at][id(each)] = self._piece(at, each)
        return text

    def _piece(self, at: int, each: Cell) -> str:
        place = self._placed[at]
        fitted = Cell(fit(each.text, place.width, place.column.align), each.role)
        return _coloured(fitted) if self._colour else fitted.text


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
