"""The door to the screen: nothing printable is lost, no control, format or bidi character leaves, and widths are exact."""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len as measured

from sockscope.present.text import command_text, sanitise, to_ascii
from sockscope.present.width import cell_len, elide, elide_middle, fit

LONGEST = 200
TOKENS = (
    b"\x1b[31m", b"\x1b]0;t\x07", b"\xc2\x9b", b"\xe2\x80\xae", b"\xe2\x80\x8d", b"\xef\xb8\x8f", b"\xcc\x81", b"\xf0\x9f\x91\xa9",
    b"\xe6\x97\xa5", b"\xed\xa0\x80", b"\xff", b"[/x]", b"\r\n", b"\xc2\xad", b"\xe1\x85\x9f", b"\xf0\x9f\x87\xa9\xf0\x9f\x87\xaa",
)
_BANNED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def check(data: bytes) -> None:
    """The first two bytes are a limit and a width; the rest is a name."""
    limit, width, raw = (data[0] if data else 0) % 80, (data[1] if len(data) > 1 else 0) % 80, data[2:]
    shown = sanitise(raw)
    _check_line(shown)
    assert sanitise(shown) == shown, "not stable"
    assert sanitise(raw.decode("utf-8", "surrogateescape")) == shown
    if raw.isascii() and raw.decode("ascii").isprintable():
        assert shown == raw.decode("ascii")
    cut = sanitise(raw, limit)
    _check_line(cut)
    assert len(cut) <= limit
    _check_line(sanitise(command_text(raw)))
    _check_widths(shown, width)


def _check_line(text: str) -> None:
    assert text.isprintable(), ascii(text)
    assert not _BANNED & {unicodedata.category(character) for character in text}, ascii(text)
    plain = to_ascii(text)
    assert plain.isascii() and plain.isprintable()


def _check_widths(text: str, width: int) -> None:
    assert cell_len(text) == measured(text)
    for align in ("left", "right"):
        assert measured(fit(text, width, align)) == width
    for made in (elide(text, width), elide_middle(text, width)):
        assert measured(made) <= width
        _check_line(made)
        assert measured(text) > width or made == text
