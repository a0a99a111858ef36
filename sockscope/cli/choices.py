"""The options that say how: checked once, before anything is read."""

from __future__ import annotations

import argparse

from msgspec import Struct

from sockscope.cli.errors import UsageError
from sockscope.cli.parser import COLOURS, SOURCES
from sockscope.cli.selection import parse_time

_MODES = ("json", "ndjson", "csv", "pids", "why")
_LEAST_INTERVAL_S = 0.05


class Choices(Struct, frozen=True):
    """`mode`: live, table, json, ndjson, csv, pids, why, findings. None where nothing was chosen."""

    mode: str
    findings: bool
    sort: str | None
    reverse: bool
    columns: tuple[str, ...] | None
    interval_s: float | None
    watch_s: float
    source: str | None
    colour: str


def choose(options: argparse.Namespace) -> Choices:
    """Return them. Raises UsageError naming the option and what it takes."""
    if options.theme is not None:
        _check_theme(options.theme)
    modes = [name for name in _MODES if getattr(options, name)]
    if len(modes) > 1:
        raise UsageError(f"--{modes[0]} and --{modes[1]} exclude each other")
    if options.findings and modes and modes[0] not in ("json", "ndjson"):
        raise UsageError(f"--findings and --{modes[0]} exclude each other; --json takes both")
    if options.changes and modes != ["ndjson"]:
        raise UsageError("--changes needs --ndjson")
    printing = options.once or options.deep or options.no_header
    mode = modes[0] if modes else "findings" if options.findings else "table" if printing else "live"
    sort, reverse = _sort(options.sort)
    return Choices(
        mode, options.findings, sort, reverse, _columns(options.columns),
        None if options.interval is None else parse_time(options.interval, "--interval", _LEAST_INTERVAL_S),
        5.0 if options.watch_for is None else parse_time(options.watch_for, "--for", 0.0),
        _one_of(options.source, "--source", SOURCES), _one_of(options.color, "--color", COLOURS) or "auto",
    )


def _check_theme(name: str) -> None:
    from sockscope.tui.options import theme_names  # noqa: PLC0415  # textual, where a theme was named

    if name not in theme_names():
        raise UsageError(f"--theme: '{name}' is no theme; allowed: {' '.join(theme_names())}")


def _one_of(value: str | None, option: str, allowed: tuple[str, ...]) -> str | None:
    if value is not None and value not in allowed:
        raise UsageError(f"{option}: '{value}' is not known; allowed: {' '.join(allowed)}")
    return value


def _sort(text: str | None) -> tuple[str | None, bool]:
    if text is None:
        return None, False
    from sockscope.analysis.sorting import SORT_KEYS  # noqa: PLC0415  # only where something is to be checked

    name = text.removeprefix("-").lower()
    if name not in SORT_KEYS:
        raise UsageError(f"--sort: '{text}' is no column that sorts; allowed: {' '.join(SORT_KEYS)}")
    return name, text.startswith("-")


def _columns(text: str | None) -> tuple[str, ...] | None:
    if text is None or text == "help":
        return None
    from sockscope.present.columns import column_names  # noqa: PLC0415  # likewise

    names = tuple(name.strip().lower() for name in text.split(","))
    for name in names:
        if name not in column_names():
            raise UsageError(f"--columns: '{name}' is no column; allowed: {' '.join(column_names())}")
    if len(set(names)) != len(names):
        raise UsageError(f"--columns: a column is named twice in '{text}'")
    return names
