"""Numbers as the kernel prints them: 64 bits. int() alone also takes signs, underscores and texts of any length."""

from __future__ import annotations

from sockscope.kernel.malformed import MalformedError

_LONGEST = 20  # decimal digits of 2**64


def decimal(text: bytes, bits: int = 64) -> int:
    """Read digits. Raises MalformedError, also where the number has more bits."""
    if text.isdigit() and len(text) <= _LONGEST:
        number = int(text)
        if not number >> bits:
            return number
    raise MalformedError("no number")


def signed(text: bytes) -> int:
    """Read digits, with a minus before them or not. Raises MalformedError."""
    return -decimal(text[1:]) if text.startswith(b"-") else decimal(text)


def hexadecimal(text: bytes) -> int:
    """Read up to sixteen hexadecimal digits, with 0x before them or not. Raises MalformedError."""
    digits = text.removeprefix(b"0x")
    if digits.isalnum() and len(digits) <= 16:
        try:
            return int(digits, 16)
        except ValueError:
            pass
    raise MalformedError("no hexadecimal number")


def is_decimal(text: bytes) -> bool:
    """Tell whether `decimal` would read it, short of a number of 20 digits."""
    return text.isdigit() and len(text) < _LONGEST
