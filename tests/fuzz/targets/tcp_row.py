"""One row by its exact id: a Row with the cookie asked for, or OSError. The input is datagrams as in netlink_dump."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

from fuzz.targets.netlink_dump import datagrams_of
from kernel.netlink_bytes import RECORDED, ScriptedSocket, done

from sockscope.kernel import tcp_row
from sockscope.kernel.tcp_info import parse_tcp_info

TOKENS = (*RECORDED.values(), done(), done(-2), b"\x08\x00\x02\x00", b"\x0a\x00\x04\x00")
COOKIE = struct.unpack_from("=Q", RECORDED["listener4"], 60)[0]


def check(data: bytes) -> None:
    """Read a listener (a dump), a connection (one answer), and destroy it (an acknowledgement)."""
    datagrams: list[bytes | OSError] = [*datagrams_of(data), OSError(11, "nothing more")]
    row_id = tcp_row.RowId(2, 6, bytes(4), 80, bytes(4), 81, 0, COOKIE)
    for listener in (True, False):
        with contextlib.suppress(OSError):
            row = tcp_row.read_row(_socket(datagrams), row_id._replace(listener=listener))
            if row.info is not None:
                parse_tcp_info(row.info, row.congestion)
    with contextlib.suppress(OSError):
        tcp_row.destroy(_socket(datagrams), row_id)


def _socket(datagrams: list[bytes | OSError]) -> Any:
    return ScriptedSocket(datagrams)
