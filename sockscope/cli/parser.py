"""The command line's options, once: parsing, completion and the manual page are all made from this parser.

What argparse cannot do is done to the words before it sees them (`normalise`): options clustered as in ss and lsof,
lsof's `-i` with its optional address, values that begin with `-`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from typing import NoReturn

from sockscope.cli.errors import UsageError

COLOURS = ("auto", "always", "never")
SHELLS = ("bash", "zsh", "fish")
SOURCES = ("netlink", "proc", "psutil")

_CLUSTER = re.compile(r"-[A-Za-z0-9]{2,}")
_FLAGS = frozenset("tuxwlnPa46HJ")  # short options without a value
# `p` in a cluster is ss's "show processes", which is always so here; e, m, o, i, s, S, r, O of ss are not ours.
_CLUSTERED = _FLAGS | {"p"}
_CLUSTERED_INET = re.compile(r"-([tuxwlnPa46HJp]+)i(\S+)")  # -nPi:80, -tiTCP:80
_INET = re.compile(r"[46]?(?:(?:tcp|udp|udplite)[46]?)?(?:@(?:\[[^\]]*\]|[^:]*))?(?::\S*)?", re.IGNORECASE)


class _Formatter(argparse.HelpFormatter):
    """Needed to check metavars; without a width it would import shutil (2 ms) to ask the terminal for its own."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=100)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser. Values come out as the texts they were: selection.py judges them."""
    parser = _Parser(prog="sockscope", add_help=False, allow_abbrev=False, formatter_class=_Formatter)
    parser.add_argument("query", nargs="*", metavar="QUERY", help="what to show: nginx, :80, 10.0.0.0/8, move:app")
    _add_what(parser.add_argument_group("what"))
    _add_how(parser.add_argument_group("how"))
    _add_output(parser.add_argument_group("output"))
    return parser


def _add_what(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--port", action="append", metavar="PORT", help="either end: 80, 80,443, 8000-8010, http")
    group.add_argument("-p", "--pid", action="append", metavar="PID", help="a process, with every fd and thread")
    group.add_argument("-i", "--inet", action="append", metavar="ADDR",
                       help="as in lsof: nothing, :80, TCP@127.0.0.1:80, 4, 6")
    group.add_argument("-c", "--process", action="append", metavar="NAME", help="part of a process name")
    group.add_argument("--user", action="append", metavar="USER", help="owner's name or uid")
    group.add_argument("-t", "--tcp", action="store_true", help="TCP")
    group.add_argument("-u", "--udp", action="store_true", help="UDP")
    group.add_argument("-x", "--unix", action="store_true", help="unix sockets")
    group.add_argument("-w", "--raw", action="store_true", help="raw and ping sockets")
    group.add_argument("--protocol", action="append", metavar="NAME", help="tcp, udp, udplite, mptcp, raw, icmp, ...")
    group.add_argument("-l", "--listening", action="store_true", help="listening and unconnected sockets")
    group.add_argument("-4", "--ipv4", action="store_true", dest="ipv4", help="IPv4 only")
    group.add_argument("-6", "--ipv6", action="store_true", dest="ipv6", help="IPv6 only")
    group.add_argument("--state", action="append", metavar="NAME", help="a state in any spelling")
    group.add_argument("-n", "-P", "-a", action="store_true", dest="accepted", help="accepted for ss's and lsof's sake")


def _add_how(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--interval", metavar="TIME", help="between two looks: 1s, 500ms, 2")
    group.add_argument("--sort", metavar="COLUMN", help="sort by a column; -COLUMN reverses")
    group.add_argument("--columns", metavar="A,B,C", help="columns to show, or help for the list")
    group.add_argument("--names", action="store_true", help="look up host and service names")
    group.add_argument("--readonly", action="store_true", help="no signals, no closing of sockets")
    group.add_argument("--no-probe", action="store_true", help="never borrow an fd of another process")
    group.add_argument("--source", metavar="KIND", help="netlink, proc, or psutil")
    group.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal")
    group.add_argument("--ascii", action="store_true", help="draw with ASCII only")
    group.add_argument("--theme", metavar="NAME", help="a theme's name")
    group.add_argument("--color", metavar="WHEN", help="auto, always, or never")


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--once", action="store_true", help="print a table and exit")
    group.add_argument("-H", "--no-header", action="store_true", help="no header line")
    group.add_argument("-J", "--json", action="store_true", help="print a JSON document and exit")
    group.add_argument("--ndjson", action="store_true", help="print JSON records; with --interval go on")
    group.add_argument("--changes", action="store_true", help="with --ndjson: after the first look only what changed")
    group.add_argument("--csv", action="store_true", help="print CSV and exit")
    group.add_argument("--deep", action="store_true", help="add TCP's own numbers, marks, waiters, watches")
    group.add_argument("--pids", action="store_true", help="print pids only, for kill (lsof -t)")
    group.add_argument("--why", action="store_true", help="a sentence for each socket somebody must act on")
    group.add_argument("--findings", action="store_true", help="print what is wrong; exit 4 if severe")
    group.add_argument("--for", dest="watch_for", metavar="TIME", help="how long --findings and --why watch: 5s")
    group.add_argument("-h", "--help", action="store_true", help="print a page of help")
    group.add_argument("-V", "--version", action="store_true", help="print the version")
    group.add_argument("--completion", metavar="SHELL", help="print completion for bash, zsh, or fish")
    group.add_argument("--man", action="store_true", help="print the manual page")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the options. Raises UsageError with one line that names the argument."""
    parser = make_parser()
    ready, after = normalise(words, parser)
    # Without a query's words there is nothing to mix, and mixing costs 3 ms.
    mixed = any(not word.startswith("-") for word in ready)
    known, unknown = (parser.parse_known_intermixed_args if mixed else parser.parse_known_args)(ready)
    if unknown:
        raise UsageError(_unknown_option(unknown[0], parser))
    known.query = [*known.query, *after]
    return known


def options_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the options without the query."""
    return (action for action in parser._actions if action.option_strings)  # noqa: SLF001  # there is no public list


def normalise(words: Sequence[str], parser: argparse.ArgumentParser) -> tuple[list[str], list[str]]:
    """Return words that argparse reads as they were meant, and the query's words after `--`."""
    takes_value = {  # each spelling -> the long one
        name: action.option_strings[-1]
        for action in options_of(parser)
        if action.nargs != 0 and action.dest != "inet"
        for name in action.option_strings
    }
    ready: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "--":
            return ready, list(words[at:])
        if word in ("-i", "--inet"):
            takes = at < len(words) and is_inet_address(words[at])
            ready.append("--inet=" + (words[at] if takes else ""))
            at += takes
        elif word.startswith("-i") and len(word) > 2 and is_inet_address(word[2:]):
            ready.append("--inet=" + word[2:])
        elif word in takes_value:
            if at >= len(words) or words[at] == "--":
                raise UsageError(f"{word} needs a value")
            ready.append(f"{takes_value[word]}={words[at]}")
            at += 1
        elif word.startswith("-") and word.endswith("--") and (word[1] != "-" or word.endswith("=--")):
            raise UsageError(f"{word.removesuffix('--').removesuffix('=')} needs a value")  # argparse drops a bare --
        elif (joined := _CLUSTERED_INET.fullmatch(word)) is not None and is_inet_address(joined[2]):
            ready += [*(f"-{letter}" for letter in joined[1] if letter != "p"), "--inet=" + joined[2]]
        elif _CLUSTER.fullmatch(word) and (cluster := _expanded(word)) is not None:
            ready += cluster
            if word.endswith("i") and at < len(words) and is_inet_address(words[at]):
                ready[-1] += words[at]
                at += 1
        else:
            ready.append(word)
    _refuse_lsof_pids(ready)
    return ready, []


def _expanded(word: str) -> list[str] | None:
    letters = word[1:]
    inet = letters.endswith("i")
    if not set(letters.removesuffix("i")) <= _CLUSTERED:
        return None
    flags = [f"-{letter}" for letter in letters.removesuffix("i") if letter != "p"]
    return [*flags, "--inet="] if inet else flags


def _refuse_lsof_pids(words: Sequence[str]) -> None:
    """`kill $(lsof -ti :80)` is in everybody's fingers: a table must never reach kill."""
    if "-t" in words and any(word.startswith("--inet=") for word in words):
        raise UsageError("-t with -i: for pids only, as in lsof -ti, use --pids -i; for TCP alone use -iTCP")


def is_inet_address(text: str) -> bool:
    """Tell whether lsof's -i would take this for its address: `:80`, `TCP@127.0.0.1:80`, `4`, `6udp`."""
    match = _INET.fullmatch(text)
    return match is not None and text != ""


def _unknown_option(word: str, parser: argparse.ArgumentParser) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  # only to word an error

    name = word.partition("=")[0]
    names = [text for action in options_of(parser) for text in action.option_strings]
    near = get_close_matches(name, names, 1)
    return f"{name}: no such option" + (f"; did you mean {near[0]}?" if near else "; see --help")
