"""The text tables of /proc/net: never an exception; no line is lost uncounted; every socket is one.

The first byte says which table the rest is.
"""

from __future__ import annotations

from fuzz.promises import check_socket

from sockscope.kernel.proc_net import TABLES

PARSERS = tuple(parse for files in TABLES.values() for _, parse in files)
TOKENS = (b"\n", b"0100007F:1F90", b" 0A ", b"00000000:00000000", b"@", b"00010000", b"_", b"-", b"1" * 30)


def check(data: bytes) -> None:
    """Parse one table."""
    parse, text = PARSERS[(data[0] if data else 0) % len(PARSERS)], data[1:]
    sockets, malformed = parse(text, 1)
    assert 0 <= len(sockets) + malformed <= text.count(b"\n")
    for socket in sockets:
        check_socket(socket)
