"""What ends a run early: one line for people and one exit code for scripts. Nothing else writes to stderr."""

from __future__ import annotations

import sys

from sockscope.present.text import sanitise

FOUND, NOTHING, USAGE, CANNOT_READ, SEVERE = 0, 1, 2, 3, 4
INTERRUPTED = 130  # as shells report SIGINT


class UsageError(Exception):
    """The command line asks for what does not exist; the message names the argument and what is allowed."""


class CannotReadError(Exception):
    """The machine cannot be looked at, or the result not be written."""


def say(message: str) -> None:
    """Write one line to stderr; a closed stderr is nobody's problem."""
    try:
        sys.stderr.write(f"sockscope: {sanitise(message, 1000)}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):  # gone, closed, or None since start
        return
