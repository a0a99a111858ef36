"""Bars of a queue's fill with the low-water mark drawn in, in eighths of a cell."""

from __future__ import annotations

_EIGHTHS = " ▏▎▍▌▋▊▉"
_LEVELS = "▁▂▃▄▅▆▇█"
_ASCII_LEVELS = "_.-=+*#@"


def bar(fill: float, mark: float | None, width: int, *, ascii: bool = False) -> str:  # noqa: A002  # as the option is called
    """`width` cells: `fill` (0..1, more is full) as a bar, a line at `mark` (0..1; None draws none).

    Nothing is drawn for an empty queue; anything above zero shows at least one eighth.
    """
    if width <= 0:
        return ""
    eighths = min(width * 8, max(0, round(fill * width * 8)))
    if fill > 0 and not eighths:
        eighths = 1
    full, rest = divmod(eighths, 8)
    block, part = ("#", "-") if ascii else ("█", _EIGHTHS[rest])
    cells = (block * full + (part if rest else "")).ljust(width)
    if mark is None:
        return cells
    at = min(width - 1, max(0, int(mark * width)))
    return cells[:at] + ("|" if ascii else "│") + cells[at + 1 :]


def spark(values: list[float], width: int, top: float | None = None, *, ascii: bool = False) -> str:  # noqa: A002
    """Return the newest `width` values as eighth blocks; `top` is the full height, the largest of them if None."""
    shown = values[-width:] if width > 0 else []
    levels = _ASCII_LEVELS if ascii else _LEVELS
    highest = top if top is not None else max(shown, default=0.0)
    if highest <= 0:
        return levels[0] * len(shown)
    return "".join(levels[min(7, max(0, int(value / highest * 7.999)))] for value in shown)
