"""Opens the source of a one-shot run and lets its only look begin, before all that will be made of it is imported."""

from __future__ import annotations

import argparse

from sockscope.cli.choices import Choices
from sockscope.cli.output import text_output
from sockscope.cli.selection import Selection
from sockscope.collect.sources import open_source
from sockscope.model.source import Source


def open_oneshot(options: argparse.Namespace, choices: Choices, selection: Selection) -> Source:
    """Open it. Raises CannotReadError where there is nowhere to print to, and SourceLostError."""
    text_output()  # closed: say so before the work
    only = None if follows(choices) or watches(choices) else selection.scope
    return open_source(choices.source, probe=not options.no_probe, only=only)


def follows(choices: Choices) -> bool:
    """Tell whether one look follows the other until somebody ends it."""
    return choices.mode == "ndjson" and choices.interval_s is not None


def watches(choices: Choices) -> bool:
    """Tell whether it takes some seconds of looking to answer."""
    return choices.mode in ("why", "findings") or bool(choices.findings)
