"""Rows of inet_diag: a Socket or MalformedError; a decoder that has seen other rows reads a row as a new one does."""

from __future__ import annotations

from fuzz.promises import check_socket

from sockscope.kernel.inet_rows import InetRows
from sockscope.kernel.malformed import MalformedError
from sockscope.model.socket import Socket

_SPLIT = b"\xff\xfe\xff\xfe"  # between rows
TOKENS = (_SPLIT, b"\x05\x00\x08\x00", b"\x28\x00\x07\x00", b"\x0c\x00\x15\x00", b"\x08\x00\x0f\x00", b"\x05\x00\x0b\x00")


def check(data: bytes) -> None:
    """Several rows through one decoder, each also through a fresh one."""
    kept = InetRows(1, "tcp")
    for row in data.split(_SPLIT)[:4]:
        for expires in (False, True):
            once, alone = _decode(kept, row, expires=expires), _decode(InetRows(1, "tcp"), row, expires=expires)
            assert once == alone, "what was learnt from other rows changes this one"
            if once is not None:
                check_socket(once)


def _decode(rows: InetRows, row: bytes, *, expires: bool) -> Socket | None:
    padded = b"xx" + row + b"yyyy"  # a row stands within a dump
    try:
        return rows.decode(padded, 2, 2 + len(row), expires=expires)
    except MalformedError:
        return None
