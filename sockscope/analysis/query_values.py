"""The query language's values: numbers with units, ranges, ports, states in any spelling. Pure but for services(5)."""

from __future__ import annotations

import re
import socket as sockets
from collections.abc import Callable, Mapping
from functools import lru_cache

from sockscope.analysis.query_parse import QueryError

_NUMBER = r"(\d{1,18}(?:\.\d{1,6})?)([a-zA-Z%]*)"
_SIZES: Mapping[str, float] = {"": 1, "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
          "kb": 10**3, "mb": 10**6, "gb": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30,
          "kib": 2**10, "mib": 2**20, "gib": 2**30}
_TIMES: Mapping[str, float] = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PLAIN: Mapping[str, float] = {"": 1.0}

# The kernel's words (include/net/tcp_states.h) and what people call them.
STATES = ("LISTEN", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE",
          "CLOSE_WAIT", "LAST_ACK", "CLOSING", "BOUND_INACTIVE")
_STATE_SPELLINGS = {
    "LISTENING": "LISTEN", "ESTAB": "ESTABLISHED", "CONNECTED": "ESTABLISHED", "SYNRECEIVED": "SYN_RECV",
    "NEWSYNRECV": "SYN_RECV", "SYNRCVD": "SYN_RECV", "CLOSED": "CLOSE", "UNCONN": "CLOSE", "UNCONNECTED": "CLOSE",
    "FIN1": "FIN_WAIT1", "FIN2": "FIN_WAIT2", "BOUND": "BOUND_INACTIVE",
}
_BY_LETTERS = {name.replace("_", ""): name for name in STATES} | _STATE_SPELLINGS

Test = Callable[[float], bool]


def parse_state(text: str) -> str | None:
    """Return the kernel's word for a state in any spelling (estab, CloseWait, FIN-WAIT-1); None if it is none."""
    return _BY_LETTERS.get(re.sub(r"[-_ ]", "", text).upper())


@lru_cache(maxsize=512)
def service_ports(name: str) -> frozenset[int]:
    """Return the ports of a service (services(5)); empty if unknown. Remembered: it is asked at every keystroke."""
    found = set()
    for protocol in ("tcp", "udp"):
        try:
            found.add(sockets.getservbyname(name, protocol))
        except (OSError, ValueError):  # unknown; ValueError: an embedded NUL; UnicodeError is one too
            continue
    return frozenset(found)


def parse_ports(text: str) -> tuple[tuple[int, int], ...] | None:
    """Inclusive ranges for `80`, `8000-8010`, `8000..8010`, `..1023`, `49152..`, `http`; None if it is none of them."""
    text = text.removeprefix(":")
    low, dots, high = text.partition("..") if ".." in text else text.partition("-")
    if dots and (low or high) and all(part == "" or _is_port(part) for part in (low, high)):
        first, last = int(low or 0), int(high or 65_535)
        return ((first, last),) if first <= last and (dots == ".." or (low and high)) else None
    if _is_port(text):
        return ((int(text), int(text)),)
    # A number too large is no service, though some getservbyname() takes it.
    named = service_ports(text) if text and not text.isdigit() else frozenset()
    return tuple((port, port) for port in sorted(named)) or None


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65_535


def number_test(operator: str, value: str, units: str, position: int) -> Test:
    """Whether a number fits `>64k`, `64k..`, `..10`, `1..5`, `7`. `units`: size, time, count."""
    if operator in (">", "<", ">=", "<="):
        return _compare(operator, parse_number(value, units, position))
    if ".." in value:
        low_text, _, high_text = value.partition("..")
        if not low_text and not high_text:
            raise QueryError("a range needs a number: 64k..  ..10  1..5", position)
        low = parse_number(low_text, units, position) if low_text else float("-inf")
        high = parse_number(high_text, units, position) if high_text else float("inf")
        if low > high:
            raise QueryError(f"the range '{value}' is the wrong way round", position)
        return lambda number: low <= number <= high
    wanted = parse_number(value, units, position)
    return lambda number: number == wanted


def _compare(operator: str, bound: float) -> Test:
    if operator == ">":
        return lambda number: number > bound
    if operator == ">=":
        return lambda number: number >= bound
    if operator == "<":
        return lambda number: number < bound
    return lambda number: number <= bound


def parse_number(text: str, units: str, position: int) -> float:
    """Return a number with its unit, in bytes, seconds or plain. Raises QueryError saying what is allowed."""
    table = {"size": _SIZES, "time": _TIMES}.get(units, _PLAIN)
    match = re.fullmatch(_NUMBER, text, re.ASCII)
    if match is None or match[2].lower() not in table:
        allowed = {"size": "like 500, 64k, 1.5m, 64KiB", "time": "like 10, 500ms, 5s, 2m, 1h"}.get(units, "like 12")
        raise QueryError(f"'{text}' is no number {allowed}", position)
    return float(match[1]) * table[match[2].lower()]
