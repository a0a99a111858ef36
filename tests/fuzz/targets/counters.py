"""Counters and limits of /proc/net, /proc/sys and /proc/PID/limits: never an exception; names, and numbers that fit.

"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sockscope.collect.counters import (
    count_reserved,
    parse_conntrack,
    parse_snmp6,
    parse_sockstat,
    parse_softnet,
)
from sockscope.collect.facts import parse_fd_limit
from sockscope.kernel.proc_counters import parse_counters

PARSERS: tuple[Callable[[bytes], Mapping[str, int]], ...] = (
    parse_counters, parse_snmp6, parse_sockstat, parse_softnet, parse_conntrack,
)
TOKENS = (b"TcpExt: ", b"Udp6", b" orphan 0", b"early_drop", b"Max open files", b"\n", b"-1", b"9" * 30, b"8080,9000-9010")


def check(data: bytes) -> None:
    """Parse one file, as each of them."""
    for parse in PARSERS:
        for name, value in parse(data).items():
            assert isinstance(name, str) and -(1 << 63) <= value < 1 << 64, (name, value)
    assert 0 <= count_reserved(data, 32768, 60999) < 1 << 63
    limit = parse_fd_limit(data)
    assert limit is None or 0 <= limit < 1 << 64
