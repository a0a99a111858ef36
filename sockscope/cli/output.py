"""stdout: whether it is a terminal, how wide, in colour or not; and its failures as one kind of error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import BinaryIO, TextIO

from sockscope.cli.errors import CannotReadError


def text_output() -> TextIO:
    """Return stdout for text. Raises CannotReadError where it was closed before we began."""
    if sys.stdout is None or sys.stdout.closed:
        raise CannotReadError("standard output is closed: there is nowhere to print to")
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict" and not speaks_unicode():
        sys.stdout.reconfigure(errors="backslashreplace")  # a letter that a locale lacks must not end us
    return sys.stdout


def binary_output() -> BinaryIO:
    """Return stdout for bytes. Raises CannotReadError likewise."""
    return text_output().buffer


@contextmanager
def writing() -> Iterator[None]:
    """Turn a failed write (disk full, device gone) into CannotReadError; a closed pipe stays what it is."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CannotReadError(f"cannot write: {error.strerror or error}") from error


def is_terminal() -> bool:
    """Tell whether somebody looks at stdout and can type on stdin."""
    return stdout_is_terminal() and sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def stdout_is_terminal() -> bool:
    """Tell whether stdout is a terminal."""
    return sys.stdout is not None and not sys.stdout.closed and sys.stdout.isatty()


def terminal_width() -> int | None:
    """Return the terminal's width; None where stdout is none, which is never cut."""
    if not stdout_is_terminal():
        return None
    try:
        return max(20, os.get_terminal_size(sys.stdout.fileno()).columns or 80)
    except OSError:
        return 80


def wants_colour(choice: str) -> bool:
    """Tell whether to colour: no-color.org, and terminals that cannot."""
    if choice != "auto":
        return choice == "always"
    return stdout_is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "") not in ("", "dumb")


def speaks_unicode() -> bool:
    """Tell whether stdout's encoding has our glyphs."""
    encoding = (getattr(sys.stdout, "encoding", "") or "").lower().replace("-", "")
    return encoding in ("utf8", "utf16", "utf32")
