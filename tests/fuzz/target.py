"""What a fuzz target is: a module in targets/, found by its name, with its seeds beside it in seeds/.

    check(data)   feeds the bytes to a parser and raises AssertionError, or whatever escapes, where a promise is broken
    TOKENS        pieces of the parser's own language, for dictionaries (optional)
    LONGEST       how long an input may grow: no longer than its seeds need, as time grows with it (optional)
    around        a context manager in which all checks run, where something must not be real (optional)
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
_LONGEST = 1024  # bytes: longer ones are slower and reach nothing more
NAMES = tuple(sorted(path.stem for path in (FOLDER / "targets").glob("*.py")))


class Target(NamedTuple):
    """A loaded one."""

    name: str
    check: Callable[[bytes], None]
    tokens: tuple[bytes, ...]
    longest: int
    around: Callable[[], AbstractContextManager[None]]


def load(name: str) -> Target:
    """Import targets/NAME.py."""
    module = importlib.import_module(f"fuzz.targets.{name}")
    return Target(
        name, module.check, getattr(module, "TOKENS", ()), getattr(module, "LONGEST", _LONGEST),
        getattr(module, "around", contextlib.nullcontext),
    )


def seed_folder(name: str) -> Path:
    """Where a target's seeds are."""
    return FOLDER / "seeds" / name


def seeds_of(name: str) -> list[bytes]:
    """Its seeds, in the order of their names."""
    return [path.read_bytes() for path in sorted(seed_folder(name).iterdir())]
