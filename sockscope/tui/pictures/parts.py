"""The lines that pictures are made of."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeAlias

from msgspec import Struct

from sockscope.present.width import cell_len, elide, fit

Part: TypeAlias = tuple[str, str]  # (text, role); roles as in present.columns


class TextLine(Struct, frozen=True):
    """One line. A line with a key can hold the cursor; `foldable` ones open and close."""

    parts: tuple[Part, ...] = ()
    key: Hashable | None = None
    foldable: bool = False


EMPTY_LINE = TextLine()
PIPE: Part = ("  │        ", "dim")  # what joins the stations of a pipeline, as wide as a label


def line(*parts: Part | str, key: Hashable | None = None, foldable: bool = False) -> TextLine:
    """Return a line of these parts; a bare text is plain."""
    return TextLine(tuple((part, "plain") if isinstance(part, str) else part for part in parts), key, foldable)


def title(text: str, note: str = "") -> TextLine:
    """Return a heading with a dim remark."""
    return line((text, "header"), ("  " + note if note else "", "dim"))


def parts_width(parts: Iterable[Part]) -> int:
    """How many cells they take."""
    return sum(cell_len(text) for text, _ in parts)


def cut(parts: Iterable[Part], width: int) -> tuple[Part, ...]:
    """Return the parts that fit, the last one elided, filled with blanks to exactly `width`."""
    kept: list[Part] = []
    left = width
    for text, role in parts:
        length = cell_len(text)
        if length > left:
            kept.append((elide(text, left), role))
            left -= cell_len(kept[-1][0])
            break
        kept.append((text, role))
        left -= length
    if left > 0:
        kept.append((" " * left, "plain"))
    return tuple(kept)


def wrap(text: str, width: int, role: str = "plain", indent: str = "") -> list[TextLine]:
    """`text` broken at blanks into lines of at most `width` cells, each behind `indent`."""
    lines: list[TextLine] = []
    current = ""
    room = max(8, width - len(indent))
    for word in text.split():
        if current and cell_len(current) + 1 + cell_len(word) > room:
            lines.append(line((indent + current, role)))
            current = word
        else:
            current = f"{current} {word}" if current else word
    if current:
        lines.append(line((indent + elide(current, room), role)))
    return lines


def pack(words: Iterable[str], width: int) -> list[str]:
    """Words that may hold blanks, three blanks between them, in lines of at most `width` cells."""
    lines: list[str] = []
    for word in words:
        if lines and cell_len(lines[-1]) + 3 + cell_len(word) <= width:
            lines[-1] += "   " + word
        else:
            lines.append(word)
    return lines


def beside(left: list[TextLine], right: list[TextLine], left_width: int) -> list[TextLine]:
    """Two columns of lines side by side; a key of either side is kept, the left one first."""
    lines: list[TextLine] = []
    for number in range(max(len(left), len(right))):
        first = left[number] if number < len(left) else EMPTY_LINE
        second = right[number] if number < len(right) else EMPTY_LINE
        key = first.key if first.key is not None else second.key
        lines.append(TextLine((*cut(first.parts, left_width), *second.parts), key))
    return lines


def unique_keys(lines: Iterable[TextLine]) -> list[TextLine]:
    """Return the same lines, of those with one key only the first keeping it: the cursor stands on one line."""
    seen: set[Hashable] = set()
    made: list[TextLine] = []
    for one in lines:
        made.append(TextLine(one.parts) if one.key is not None and one.key in seen else one)
        seen.add(one.key)
    return made


def labelled(label: str, *parts: Part | str, width: int = 10, key: Hashable | None = None) -> TextLine:
    """Return a line that begins with a dim label in a column of its own."""
    return line((" " + fit(label, width), "dim"), *parts, key=key)
