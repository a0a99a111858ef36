"""The one-shot table: in a terminal as wide as it is, in a pipe uncut, with colours only where they are wanted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sockscope.model.observation import Observation
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Socket
from sockscope.present.columns import COLUMNS, Cell, Column, Placed, layout
from sockscope.present.format import count
from sockscope.present.row_cells import Block, RowCells, Strip
from sockscope.present.text import sanitise, to_ascii
from sockscope.present.width import are_narrow, cell_len, fit

_SLICE = 500  # rows made at once
PIPE_COLUMNS = ("glyph", "move", "process", "state", "local", "remote", "receive", "send", "why")
# SGR codes of the terminal's own sixteen colours: they follow its theme.
_COLOURS = {"severe": "1;31", "warning": "33", "dim": "2", "good": "32", "bar": "36", "header": "1"}


def table_lines(
    observation: Observation, sockets: Sequence[Socket], *, width: int | None, columns: tuple[str, ...] | None = None,
    header: bool = True, colour: bool = False, ascii: bool = False,  # noqa: A002  # as the option is called
) -> Iterator[str]:
    """Yield the lines, header first. `width` None: as wide as the content needs. Unknown columns: KeyError."""
    slices = [sockets[start : start + _SLICE] for start in range(0, len(sockets), _SLICE)]
    names = columns or PIPE_COLUMNS
    if width is None:
        made = RowCells(observation, [(COLUMNS[name], None) for name in names])
        blocks: Iterable[Block] = [made.block(rows) for rows in slices]
        placed = _natural([COLUMNS[name] for name in names], made, blocks)
    else:
        placed = layout(width + 1, columns)  # the cursor's cell is not needed here
        made = RowCells(observation, [(place.column, place.width) for place in placed])
        blocks = map(made.block, slices)
    finish = to_ascii if ascii else str
    lines = _Lines(placed, made, colour=colour)
    if header:
        yield finish(lines.header())
    for block in blocks:
        yield from map(finish, lines.of(block))


def _natural(columns: Sequence[Column], made: RowCells, blocks: Iterable[Block]) -> tuple[Placed, ...]:
    """Place the columns as wide as their widest cell."""
    widths = [max(1, cell_len(column.title)) for column in columns]
    for at, cells in zip(made.shaped, zip(*made.shapes, strict=True), strict=bool(made.shapes)):
        widths[at] = max(widths[at], *[cell_len(each.text) for each in cells])
    for block in blocks:
        for at, strip in zip(made.own, block.own, strict=True):
            widths[at] = max(widths[at], *map(len if are_narrow(strip.texts) else cell_len, strip.texts))
    placed, x = [], 1
    for column, width in zip(columns, widths, strict=True):
        placed.append(Placed(column, x, width))
        x += width + 1
    return tuple(placed)


class _Lines:
    """Makes lines of cells, without blanks at their ends. What comes of a shape is kept by identity: rows share it."""

    def __init__(self, placed: Sequence[Placed], cells: RowCells, *, colour: bool) -> None:
        ends = [1, *[place.x + place.width for place in placed]]
        self._gaps = [" " * (place.x - end) for place, end in zip(placed, ends, strict=False)]
        self._placed = placed
        self._colour = colour
        self._shaped, self._own = cells.shaped, cells.own
        self._templates: dict[int, tuple[Sequence[Cell], str]] = {}

    def header(self) -> str:
        """Return the titles."""
        titles = [self._piece(at, Cell(place.column.title, "header")) for at, place in enumerate(self._placed)]
        return self._joined(titles).rstrip()

    def of(self, block: Block) -> list[str]:
        """Return one line a row."""
        known = self._templates
        templates = [(known.get(id(shape)) or self._template(shape))[1] for shape in block.shaped]
        if not self._own:
            return [(template % ()).rstrip() for template in templates]
        own = zip(*[self._fitted(at, strip) for at, strip in zip(self._own, block.own, strict=True)], strict=True)
        return [(template % texts).rstrip() for template, texts in zip(templates, own, strict=True)]

    def _template(self, shape: Sequence[Cell]) -> tuple[Sequence[Cell], str]:
        pieces = ["%s"] * len(self._placed)
        for at, each in zip(self._shaped, shape, strict=True):
            pieces[at] = self._piece(at, each).replace("%", "%%")
        made = self._templates[id(shape)] = shape, self._joined(pieces)  # with the cells, so that their id stays theirs
        return made

    def _joined(self, pieces: Sequence[str]) -> str:
        return "".join([gap + piece for gap, piece in zip(self._gaps, pieces, strict=True)])

    def _fitted(self, at: int, strip: Strip) -> list[str]:
        if self._colour and strip.cells is not None:
            return [self._piece(at, each) for each in strip.cells]
        texts, width, align = strip.texts, self._placed[at].width, self._placed[at].column.align
        if max(map(len, texts)) > width or not are_narrow(texts):
            return [fit(text, width, align) for text in texts]
        return [text.rjust(width) for text in texts] if align == "right" else [text.ljust(width) for text in texts]

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
