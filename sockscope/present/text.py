r"""The one door through which outside text reaches a screen, a table or a message.

Process names, command lines, unix paths, thread and host names may hold terminal escapes, bidi overrides, newlines or
invalid UTF-8. What leaves here is printable, on one line, and shows such characters as visible escapes (`\x1b`,
`\u202e`); every code point left in it has a width of its own. JSON has its own, lossless door (present/json.py).
"""

from __future__ import annotations

import unicodedata

# They change how wide the character before them is, differently in every terminal.
_VARIATION_SELECTORS = frozenset([*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)])
_MOST_COMBINING = 4  # marks in a row; more pile up over the lines above ("zalgo")
ELLIPSIS = "…"

# Glyphs of our own, each by one ASCII character of the same width, for --ascii and for terminals without UTF-8.
_ASCII = str.maketrans({
    "←": "<", "→": ">", "⇄": "=", "…": "~", "▲": "*", "▾": "v", "▸": ">", "◂": "<", "│": "|", "×": "x", "≥": ">",
    "–": "-", "─": "-", "·": ".", "✓": "+", "╳": "X", "●": "o", "█": "#", "▉": "#", "▊": "#", "▋": "=", "▌": "=",
    "▍": "-", "▎": "-", "▏": ".", "⏎": "<", "¶": " ", "±": "~", "≤": "<", "▁": "_", "▂": "_", "▃": "-", "▄": "-",
    "▅": "=", "▆": "=", "▇": "#",
})


def sanitise(text: bytes | str, limit: int | None = None) -> str:
    """Printable text on one line; longer than `limit` characters it ends in an ellipsis. Never fails."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    if text.isascii() and text.isprintable():  # all but one in ten thousand names
        return text if limit is None or len(text) <= limit else text[: max(0, limit - 1)] + ELLIPSIS[: max(0, limit)]
    if limit is not None:
        limit = max(0, limit)
        text = text[: limit + 1]  # each character makes at least one: no need to look at the rest
    shown = _escaped(text)
    if limit is None or len(shown) <= limit:
        return shown
    return shown[: max(0, limit - 1)] + ELLIPSIS[:limit]


def _escaped(text: str) -> str:
    parts: list[str] = []
    combining = _MOST_COMBINING  # none may come first: it would join the character left of this text
    for character in text:
        if character.isascii():
            combining = 0
            parts.append(character if character.isprintable() else f"\\x{ord(character):02x}")
        elif not character.isprintable() or ord(character) in _VARIATION_SELECTORS:
            parts.append(_escape(ord(character)))
        elif unicodedata.category(character)[0] == "M":
            combining += 1
            parts.append(character if combining <= _MOST_COMBINING else _escape(ord(character)))
        else:
            combining = 0
            parts.append(character)
    return "".join(parts)


def _escape(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: a byte that was no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def to_ascii(text: str) -> str:
    """Return the same text in ASCII, each of our own glyphs by one character; what is foreign becomes `?`."""
    if text.isascii():
        return text
    text = text.translate(_ASCII)
    if text.isascii():
        return text
    return "".join(c if c.isascii() else _as_ascii(c) for c in text)


def _as_ascii(character: str) -> str:
    if unicodedata.category(character)[0] == "M":
        return ""
    return "??" if unicodedata.east_asian_width(character) in "WF" else "?"


def command_text(command: bytes) -> str:
    """Return a NUL-joined command line as words with blanks between, unsanitised."""
    return command.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "surrogateescape")
