"""One-key filters (`l e o t u x`) as edits of the visible query text. Pure."""

from __future__ import annotations

import re

ENDING_STATES = ("syn-sent", "syn-recv", "fin-wait-1", "fin-wait-2", "close-wait", "last-ack", "closing", "time-wait")
TOGGLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "l": ("state", ("listen",)), "e": ("state", ("established",)), "o": ("state", ENDING_STATES),
    "t": ("proto", ("tcp",)), "u": ("proto", ("udp",)), "x": ("proto", ("unix",)),
}


def toggle(text: str, key: str) -> str:
    """Return the query with this key's values added to their field's list, or taken out if they are all there.

    Values of one field widen (`l` then `e`: listening or established), fields narrow each other.
    """
    field, values = TOGGLES[key]
    term = re.compile(rf"(?<![^ ]){field}:([^ \"()]+)(?= |$)")
    found = term.search(text)
    present = found.group(1).split(",") if found else []
    if all(value in present for value in values):
        left = [value for value in present if value not in values]
    else:
        left = [*present, *(value for value in values if value not in present)]
    replacement = f"{field}:{','.join(left)}" if left else ""
    edited = term.sub(lambda _: replacement, text, count=1) if found else f"{text} {replacement}"
    return " ".join(edited.split())


def narrow(text: str, term: str) -> str:
    """Return the query narrowed by one more term, if it is not in it yet."""
    return text if term in text.split() else f"{text} {term}".strip()
