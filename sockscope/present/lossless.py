r"""The door of JSON: outside bytes become text that loses nothing, and encoded documents become plain ASCII.

msgspec and orjson refuse lone surrogates and jq turns them into U+FFFD, so a name that is no UTF-8 is written with
replacement characters and once more, whole, in base64. DEL, C1, bidi and all other non-ASCII becomes `\uXXXX`.
"""

from __future__ import annotations

import re
from binascii import b2a_base64

from msgspec import UNSET, UnsetType

_NOT_PLAIN = re.compile("[^\0-\x7e]")


def text_and_base64(raw: bytes) -> tuple[str, str | UnsetType]:
    """Return the text, and its bytes in base64 if it was no valid UTF-8."""
    try:
        return raw.decode(), UNSET
    except UnicodeDecodeError:
        return raw.decode("utf-8", "replace"), b2a_base64(raw, newline=False).decode("ascii")


def optional_text(raw: bytes | None) -> tuple[str | None, str | UnsetType]:
    """Do the same for what may not have been read."""
    return (None, UNSET) if raw is None else text_and_base64(raw)


def clean(text: str) -> str:
    """Return a sentence without lone surrogates (a name in it may have had some)."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def ascii_json(encoded: bytes | bytearray) -> bytes | bytearray:
    """Return the same JSON in ASCII without DEL: outside strings it is so already."""
    if encoded.isascii() and b"\x7f" not in encoded:
        return encoded
    return _NOT_PLAIN.sub(_escape, encoded.decode()).encode("ascii")


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
