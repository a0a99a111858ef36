"""How many terminal cells a text takes, and texts made to fit. Works on sanitised text only."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sockscope.present.text import ELLIPSIS

# Our own glyphs are one cell wide; with them known, rich.cells (8 ms to import) is needed for foreign names alone.
_NARROW = re.compile("[ -~←→⇄…▲▾▸◂│×≥≤–─·✓╳●▁-█▉-▏±]*").fullmatch


def cell_len(text: str) -> int:
    """Return the width of `text` in terminal cells."""
    if text.isascii() or _NARROW(text):
        return len(text)
    from rich.cells import cell_len as measure  # noqa: PLC0415  # see _NARROW

    return measure(text)


def are_narrow(texts: Iterable[str]) -> bool:
    """Tell whether the lengths of all these are their widths: one look at many is cheaper than `cell_len` of each."""
    joined = "".join(texts)
    return joined.isascii() or _NARROW(joined) is not None


def fit(text: str, width: int, align: str = "left") -> str:
    """Exactly `width` cells: elided at its end if too long, filled with blanks if too short."""
    length = cell_len(text)
    if length > width:
        text = elide(text, width)
        length = cell_len(text)
    if align == "right":
        return " " * (width - length) + text
    return text + " " * (width - length)


def elide(text: str, width: int) -> str:
    """Return at most `width` cells; what is cut at the end becomes one ellipsis."""
    if cell_len(text) <= width:
        return text
    return _head(text, width - 1) + ELLIPSIS if width > 0 else ""


def elide_middle(text: str, width: int) -> str:
    """Return at most `width` cells; both ends stay (paths differ at their ends)."""
    if cell_len(text) <= width:
        return text
    if width <= 1:
        return ELLIPSIS[:width]
    tail = _tail(text, (width - 1) // 2 + (width - 1) % 2)
    return _head(text, width - 1 - cell_len(tail)) + ELLIPSIS + tail


def _head(text: str, width: int) -> str:
    cut = text[:max(0, width)]
    while cell_len(cut) > width:
        cut = cut[:-1]
    return cut


def _tail(text: str, width: int) -> str:
    cut = text[-width:] if width > 0 else ""
    while cell_len(cut) > width:
        cut = cut[1:]
    return cut
