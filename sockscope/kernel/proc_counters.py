"""Counters of protocols as text: /proc/net/netstat and /proc/net/snmp (net/ipv4/proc.c)."""

from __future__ import annotations

from functools import lru_cache

from sockscope.kernel.digits import is_decimal


def parse_counters(text: bytes | None) -> dict[str, int]:
    """/proc/net/netstat and /proc/net/snmp: a line of names, a line of numbers, both led by "Prefix:"."""
    values: dict[str, int] = {}
    lines = (text or b"").split(b"\n")
    for line, numbers in zip(lines[::2], lines[1::2], strict=False):
        names, fields = _counter_names(line), numbers.split()
        if not names or not fields or fields[0] != names[0]:
            continue
        for name, number in zip(names[1:], fields[1:], strict=False):
            if is_decimal(number.removeprefix(b"-")):
                values[name] = int(number)
    return values


@lru_cache(maxsize=32)
def _counter_names(line: bytes) -> tuple[bytes, *tuple[str, ...]] | tuple[()]:
    """Return the line's prefix, then its names with it: a look's are the last look's."""
    fields = line.split()
    if not fields:
        return ()
    prefix = fields[0].rstrip(b":").decode("ascii", "replace")
    return fields[0], *(f"{prefix}.{name.decode('ascii', 'replace')}" for name in fields[1:])
