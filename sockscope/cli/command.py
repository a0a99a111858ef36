"""One command line, from words to the branch that does it."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Sequence

from sockscope import __version__
from sockscope.cli.choices import Choices, choose
from sockscope.cli.errors import FOUND, NOTHING, UsageError, say
from sockscope.cli.output import is_terminal, speaks_unicode, text_output, writing
from sockscope.cli.parser import SHELLS, parse
from sockscope.cli.selection import ALL_PROTOCOLS, Selection, is_possible_pid, select_from
from sockscope.model.snapshot import Scope
from sockscope.present.text import to_ascii


def run(words: Sequence[str]) -> int:
    """Do what the words say; return the exit code. Raises UsageError, CannotReadError, SourceLostError."""
    options = parse(words)
    page = _page(options)
    if page is not None:
        with writing():
            text_output().write(page if speaks_unicode() else to_ascii(page))
        return FOUND
    choices = choose(options)
    selection = select_from(options)
    impossible = [pid for pid in selection.pids if not is_possible_pid(pid)]
    if choices.mode == "live" and is_terminal():
        if impossible:
            say(f"no process {impossible[0]}")
            return NOTHING
        gc.enable()
        return _live(options, choices, selection)
    from sockscope.cli.opening import open_oneshot  # noqa: PLC0415  # the live branch has its own way to read

    source = open_oneshot(options, choices, selection)
    try:
        from sockscope.cli.oneshot import run_oneshot  # noqa: PLC0415  # imported while the kernel gives its tables

        return run_oneshot(source, options, choices, selection)
    finally:
        source.close()


def _page(options: argparse.Namespace) -> str | None:
    """Return what is only printed: help, version, completion, manual page, the list of columns."""
    if options.help:
        from sockscope.cli.help_text import HELP  # noqa: PLC0415  # printed or not needed

        return HELP
    if options.version:
        return f"sockscope {__version__}\n"
    if options.completion is not None:
        if options.completion not in SHELLS:
            raise UsageError(f"--completion: '{options.completion}' is no shell we know; allowed: {' '.join(SHELLS)}")
        from sockscope.cli.completion import completion  # noqa: PLC0415  # likewise

        return completion(options.completion)
    if options.man:
        from sockscope.cli.manual import manual  # noqa: PLC0415  # likewise

        return manual()
    if options.columns == "help":
        from sockscope.present.columns import COLUMNS, column_names  # noqa: PLC0415  # likewise

        return "".join(f"{name:<10} {COLUMNS[name].meaning}\n" for name in column_names())
    return None


def _live(options: argparse.Namespace, choices: Choices, selection: Selection) -> int:
    from sockscope.settings import SettingsError  # noqa: PLC0415  # only the live screens read the file
    from sockscope.tui.app import run_app  # noqa: PLC0415  # 145 ms that no other branch pays
    from sockscope.tui.options import TuiOptions  # noqa: PLC0415  # likewise

    opening, subject = "sockets", None
    if len(selection.ports) == 1 and selection.ports[0][0] == selection.ports[0][1] and not selection.pids:
        opening, subject = "port", selection.ports[0][0]
    elif len(selection.pids) == 1 and not selection.ports:
        opening, subject = "process", selection.pids[0]
    tui_options = TuiOptions(
        # Every table whatever was asked for: the filter can be cleared, and the other end is often of another kind.
        query="" if selection.query.is_empty else str(selection.query), scope=Scope(ALL_PROTOCOLS),
        opening=opening, subject=subject,
        interval_s=choices.interval_s, source=choices.source, readonly=options.readonly, probe=not options.no_probe,
        theme=options.theme, mouse=not options.no_mouse, ascii=options.ascii, names=options.names,
        sort=options.sort, columns=choices.columns,
    )
    try:
        return run_app(tui_options)
    except SettingsError as error:
        raise UsageError(str(error)) from error
