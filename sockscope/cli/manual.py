"""The manual page (man(7) macros), made from the parser and the tables of fields and columns."""

from __future__ import annotations

from collections.abc import Iterator

from sockscope import __version__
from sockscope.analysis.query_terms import ALIASES, FIELDS
from sockscope.cli.parser import make_parser, options_of
from sockscope.present.columns import COLUMNS, column_names

_ENVIRONMENT = (
    ("NO_COLOR", "Set to anything: no colours, unless --color=always."),
    ("SOCKSCOPE_NO_BPF", "Set to anything: owners are read from /proc, and no BPF program is loaded."),
)
_EXIT = (
    ("0", "something was found"), ("1", "nothing matches"), ("2", "the command line is wrong"),
    ("3", "the machine could not be read, or the output not be written"), ("4", "with --findings: a severe one"),
)
_EXAMPLES = (
    ("sockscope --port 80", "who serves the port, who uses it, who waits for whom"),
    ('sudo "$(command -v sockscope)" -p 1234', "one process with every fd and thread, of other users too"),
    ("kill $(sockscope --pids -l --port 3000)", "end the listener, not its clients"),
    ("sockscope --json 'move:app receive:64k..'", "applications that do not read, for a script"),
    ("sockscope --findings --for 30s", "what is wrong with this machine's sockets"),
)


def manual() -> str:
    """Return the page; `sockscope --man | man -l -` shows it."""
    lines = [
        f'.TH SOCKSCOPE 1 "" "sockscope {__version__}" "User Commands"',
        ".SH NAME", "sockscope \\- every socket, its queues, and whose move it is",
        ".SH SYNOPSIS", ".B sockscope", "[\\fIOPTION\\fR | \\fIQUERY\\fR]...", ".br", ".B sockscope lab",
        "[\\fISCENARIO\\fR] [\\fB\\-\\-hold\\fR \\fITIME\\fR]", ".br", ".B sockscope doctor",
        ".SH DESCRIPTION",
        _text("Shows sockets live in a terminal; prints a table and exits where stdout is none. For each it tells who "
              "has it open, what is in its queues, and whose move it is: the application's, the peer's, the network's "
              "or nobody's. All options narrow; a comma or a repeated option widens."),
        ".SH OPTIONS", *_options(), ".SH QUERY",
        _text("Words narrow, or widens, not and parentheses do as expected. A bare word is part of a process name, "
              "path or address, or a user; :80 is a port, 80 a port or a pid, 10.0.0.0/8 a network. Numbers take "
              "ranges (64k.., ..10, 1..5), decimal prefixes and, quoted for the shell, < and >."),
        *_fields(), ".SH COLUMNS", *_columns(), ".SH EXIT STATUS", *_tagged(_EXIT), ".SH ENVIRONMENT",
        *_tagged(_ENVIRONMENT), ".SH EXAMPLES",
        *_tagged(_EXAMPLES), ".SH SEE ALSO", "\\fBss\\fR(8), \\fBlsof\\fR(8), \\fBsock_diag\\fR(7), \\fBepoll\\fR(7)",
    ]
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    r"""Escape what roff reads: backslashes, hyphens that must stay ASCII, and a control character first in a line."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + escaped if escaped[:1] in (".", "'") else escaped


def _tagged(pairs: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for term, meaning in pairs:
        yield from (".TP", "\\fB" + _text(term) + "\\fR", _text(meaning))


def _options() -> Iterator[str]:
    for action in options_of(make_parser()):
        names = ", ".join(f"\\fB{_text(name)}\\fR" for name in action.option_strings)
        value = "" if action.nargs == 0 else f" \\fI{_text(str(action.metavar))}\\fR"
        yield from (".TP", names + value, _text((action.help or "") + "."))


def _fields() -> Iterator[str]:
    for name, field in FIELDS.items():
        also = [alias for alias, target in ALIASES.items() if target == name]
        meaning = field.meaning + (f": {', '.join(field.samples)}" if field.samples else "")
        yield from _tagged(((f"{name}:", meaning + (f" (also {', '.join(also)})" if also else "")),))


def _columns() -> Iterator[str]:
    for name in column_names():
        yield from _tagged(((name, COLUMNS[name].meaning),))
