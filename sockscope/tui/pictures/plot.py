"""A plot some rows high: bars in eighths of a cell, numbers at the left, the low-water mark as a line across. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from sockscope.present.format import size
from sockscope.tui.pictures.parts import Part

AXIS = 7  # cells before the first bar: a number and the axis
_EIGHTHS = " ▁▂▃▄▅▆▇█"


def plot_rows(values: Sequence[float], mark: int | None, cells: int, rows: int,
              word: str = "mark") -> list[tuple[Part, ...]]:
    """Return `rows` rows of `cells` cells behind their axis, the newest value at the right.

    Both the largest value and the mark are in the picture, so that their distance is seen. Anything above zero shows.
    """
    top = max([*values, mark or 0, 1])
    at_mark = None if not mark else min(rows - 1, int((1 - mark / top) * rows))
    heights = [0 if value <= 0 else max(1, round(value / top * rows * 8)) for value in values[-cells:]]
    made = []
    for row in range(rows):
        base = (rows - 1 - row) * 8
        drawn = "".join(_EIGHTHS[min(8, max(0, height - base))] for height in heights).rjust(cells)
        told = size(int(top)) if row == 0 else "0" if row == rows - 1 else ""
        if row == at_mark:
            told = size(mark or 0)
        made.append(((f"{told:>5} │", "dim"), *_with_line(drawn, word if row == at_mark else "")))
    return made


def _with_line(drawn: str, word: str) -> list[Part]:
    """Return the row with the mark's line where no bar stands."""
    if not word:
        return [(drawn, "bar")]
    bare = len(drawn) - len(drawn.lstrip())
    return [("─" * bare, "mark"), (drawn[bare:].replace(" ", "─"), "bar"), (" " + word, "mark")]
