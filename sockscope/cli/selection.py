"""From options to what is asked: a query, the scope to collect, the view to open. Every fault names its argument."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from msgspec import Struct

from sockscope.analysis.query import Query, QueryError, all_of, parse_query
from sockscope.analysis.query_parse import Node, Some, Term, unparse
from sockscope.analysis.query_terms import PROTOCOLS
from sockscope.analysis.query_values import STATES, parse_number, parse_ports, parse_state
from sockscope.cli.errors import UsageError
from sockscope.cli.inet import inet_node
from sockscope.model.snapshot import Scope

ALL_PROTOCOLS = frozenset(PROTOCOLS)
INET_PROTOCOLS = frozenset({"tcp", "udp", "udplite", "mptcp", "raw", "icmp"})
_SHORT = {"tcp": ("tcp", "mptcp"), "udp": ("udp", "udplite"), "unix": ("unix",), "raw": ("raw", "icmp")}
_HIGHEST_PID = 4_194_304  # PID_MAX_LIMIT (include/linux/threads.h)
_LISTENING = "(state:listen or (proto:udp,udplite,raw,icmp state:unconn))"
MOST_INTERVAL_S = 86_400.0


class Selection(Struct, frozen=True):
    """`about` says in words what was asked, for "nothing here has ...". `ports` and `pids` as given, () for none."""

    query: Query
    scope: Scope
    ports: tuple[tuple[int, int], ...]
    pids: tuple[int, ...]
    about: str


def select_from(options: argparse.Namespace) -> Selection:
    """Return what the options ask for. Raises UsageError."""
    ports = _ports(options.port)
    pids = _pids(options.pid)
    protocols = _protocols(options)
    texts = list(_texts(options, ports, pids, protocols))
    typed = " ".join(options.query)
    try:
        query = all_of(*(parse_query(text) for text in texts), parse_query(typed))
    except QueryError as error:
        raise UsageError(f"query: {error.message}, at character {error.position + 1} of: {typed}") from error
    _check_written(query)
    scope = Scope(
        protocols=_tables(options, protocols, ports), ports=ports or None, pids=frozenset(pids) or None,
        commands=bool(pids) or options.deep, timers=True,
    )
    return Selection(query, scope, ports, pids, _about(options, typed))


def _check_written(query: Query) -> None:
    """Refuse what the filter line could not hold: options put one more level around a query that is deep already."""
    try:
        parse_query(str(query))
    except QueryError as error:
        raise UsageError(f"query: {error.message}, together with the options") from error


def _texts(
    options: argparse.Namespace, ports: tuple[tuple[int, int], ...], pids: tuple[int, ...], protocols: tuple[str, ...]
) -> Iterable[str]:
    """Yield one condition for each option that was given: they narrow each other."""
    if ports:
        yield "port:" + ",".join(str(low) if low == high else f"{low}..{high}" for low, high in ports)
    if pids:
        yield "pid:" + ",".join(map(str, pids))
    if options.inet:
        nodes: list[Node] = [inet_node(text) for text in options.inet]
        yield unparse(nodes[0] if len(nodes) == 1 else Some(tuple(nodes)))
    _check_users(options.user)
    for name in ("process", "user"):
        values = _split(getattr(options, name), f"--{name}")
        if values:
            yield unparse(Term(name, ":", values, quoted=True))
    if protocols:
        yield "proto:" + ",".join(protocols)
    if options.listening:
        yield _LISTENING
    if options.ipv4 or options.ipv6:
        yield "family:" + ",".join(name for name, on in (("inet", options.ipv4), ("inet6", options.ipv6)) if on)
    states = _states(options.state)
    if states:
        yield "state:" + ",".join(states)


def _check_users(given: list[str] | None) -> None:
    """Refuse a name that nobody has here: it would match nothing, today and for ever."""
    if not given:
        return
    from sockscope.collect.user_names import is_user  # noqa: PLC0415  # only where a user was named

    for value in _split(given, "--user"):
        if not (value.isascii() and value.isdigit()) and not is_user(value):
            raise UsageError(f"--user: '{value}' is no user here; allowed: a name or a uid")


def _split(given: list[str] | None, option: str) -> tuple[str, ...]:
    values = tuple(value.strip() for text in given or () for value in text.split(","))
    if given and not all(values):
        raise UsageError(f"{option}: a value is missing")
    return values


def _ports(given: list[str] | None) -> tuple[tuple[int, int], ...]:
    ports: list[tuple[int, int]] = []
    for value in _split(given, "--port"):
        found = parse_ports(value)
        if found is None:
            allowed = "allowed: 0 to 65535, 8000-8010, http"
            raise UsageError(f"--port: '{value}' is no port, range or known service; {allowed}")
        ports.extend(found)
    return tuple(dict.fromkeys(ports))


def _pids(given: list[str] | None) -> tuple[int, ...]:
    values = _split(given, "--pid")
    for value in values:
        if not (value.isascii() and value.isdigit() and len(value) <= 18 and int(value) > 0):
            raise UsageError(f"--pid: '{value}' is no process id; allowed: numbers from 1, as in 1234,1240")
    return tuple(dict.fromkeys(map(int, values)))


def _protocols(options: argparse.Namespace) -> tuple[str, ...]:
    wanted = [name for flag, names in _SHORT.items() if getattr(options, flag) for name in names]
    for value in _split(options.protocol, "--protocol"):
        if value.lower() not in ALL_PROTOCOLS:
            raise UsageError(f"--protocol: '{value}' is no protocol; allowed: {' '.join(PROTOCOLS)}")
        wanted.append(value.lower())
    return tuple(dict.fromkeys(wanted))


def _states(given: list[str] | None) -> tuple[str, ...]:
    values = _split(given, "--state")
    for value in values:
        if parse_state(value) is None:
            raise UsageError(f"--state: '{value}' is no state; allowed: {' '.join(STATES).lower().replace('_', '-')}")
    return values


def _tables(
    options: argparse.Namespace, protocols: tuple[str, ...], ports: tuple[tuple[int, int], ...]
) -> frozenset[str]:
    """Return the tables to read: none is dumped whose rows the query would throw away whole."""
    tables = frozenset(protocols) or ALL_PROTOCOLS
    if ports or options.inet or options.ipv4 or options.ipv6:
        tables &= INET_PROTOCOLS
    return tables or frozenset(protocols)


def _about(options: argparse.Namespace, typed: str) -> str:
    parts = [f"port {','.join(options.port)}"] if options.port else []
    parts += [f"pid {','.join(options.pid)}"] if options.pid else []
    parts += [f"-i {text}".strip() for text in options.inet or ()]
    for name in ("process", "user", "protocol", "state"):
        given = getattr(options, name)
        parts += [f"{name} {','.join(given)}"] if given else []
    for name in ("tcp", "udp", "unix", "raw", "listening", "ipv4", "ipv6"):
        parts += [name] if getattr(options, name) else []
    return ", ".join([*parts, typed] if typed else parts)


def whole_scope(scope: Scope, *, pids: bool = False) -> Scope:
    """Return the scope in which rules can see both ends and all holders; `pids` keeps --pid's, for its list of fds."""
    return Scope(ALL_PROTOCOLS, pids=scope.pids if pids else None, commands=True, timers=scope.timers)


def parse_time(text: str, option: str, least_s: float) -> float:
    """Return seconds for 1s, 500ms, 2. Raises UsageError."""
    try:
        seconds = parse_number(text, "time", 0)
    except QueryError as error:
        raise UsageError(f"{option}: '{text}' is no time; allowed: 1s, 500ms, 2, 1m") from error
    if not least_s <= seconds <= MOST_INTERVAL_S:
        raise UsageError(f"{option}: '{text}' is out of range; allowed: {least_s:g}s to 24h")
    return seconds


def is_possible_pid(pid: int) -> bool:
    """Tell whether a process could have this id at all."""
    return pid <= _HIGHEST_PID
