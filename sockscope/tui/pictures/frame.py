"""What an anatomy is fitted to."""

from __future__ import annotations

from msgspec import Struct


class Frame(Struct, frozen=True):
    """What the picture is fitted to."""

    width: int
    height: int
    now_s: float
    with_numbers: bool = True
    rates: str = ""
    focus: str = ""  # the group of numbers under the cursor
