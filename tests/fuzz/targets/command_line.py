"""The command line: a selection or UsageError; what the options ask for is a query that its own text asks again.

The input is the words, parted by NUL. No name is looked up (see inet_option).
"""

from __future__ import annotations

from fuzz.targets import inet_option

from sockscope.analysis.query import parse_query
from sockscope.cli.choices import choose
from sockscope.cli.errors import UsageError
from sockscope.cli.parser import make_parser, options_of, parse
from sockscope.cli.selection import Selection, select_from

LONGEST = 160
TOKENS = (
    *(b"\0" + name.encode() + b"\0" for action in options_of(make_parser()) for name in action.option_strings[-1:]),
    b"\0-tulpn", b"\0-nPiTCP:80", b"\0--\0", b"\0-i\0:80", b"\0=", b"=--", b"8000-8010,http", b"500ms", b"estab", b"1,2",
)
around = inet_option.around


def check(data: bytes) -> None:
    """Do what a run does before it reads anything."""
    words = [word.decode("utf-8", "surrogateescape") for word in data.split(b"\0")]
    try:
        options = parse(words)
        choices = choose(options)
        selection = select_from(options)
    except UsageError:
        return
    assert choices.mode and 0 <= choices.watch_s <= 86_400
    _check_selection(selection)


def _check_selection(selection: Selection) -> None:
    assert all(0 <= low <= high <= 65535 for low, high in selection.ports)
    assert all(pid > 0 for pid in selection.pids)
    assert parse_query(str(selection.query)).tree == selection.query.tree
