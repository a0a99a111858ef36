"""Rows of unix_diag, packet_diag and netlink_diag: a Socket or MalformedError. The first byte says of which."""

from __future__ import annotations

from fuzz.promises import check_socket

from sockscope.kernel.malformed import MalformedError
from sockscope.kernel.unix_rows import NetlinkRows, PacketRows, UnixRows

TOKENS = (b"\x0c\x00\x04\x00", b"\x08\x00\x02\x00", b"\x08\x00\x03\x00", b"\x05\x00\x06\x00", b"\x28\x00\x05\x00")
_DECODERS = (UnixRows, PacketRows, NetlinkRows)


def check(data: bytes) -> None:
    """Decode one row."""
    row = data[1:]
    decoder = _DECODERS[data[0] % 3](1) if data else UnixRows(1)
    try:
        socket = decoder.decode(b"xx" + row + b"yyyy", 2, 2 + len(row))
    except MalformedError:
        return
    check_socket(socket)
