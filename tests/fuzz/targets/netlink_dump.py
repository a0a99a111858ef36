"""Netlink framing: only NetlinkError; rows are cut exactly where a plain walk over the messages cuts them.

The input is one answer: datagrams, each led by its length in two bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from kernel.netlink_bytes import scripted

from sockscope.kernel.netlink import HEADER, Dump, NetlinkError

TCP, MINIMUM, SEQUENCE = 18, 88, 1
ERROR, DONE, INTERRUPTED = 2, 3, 0x10
ATTEMPTS = 4
LONGEST = 4096
TOKENS = (
    HEADER.pack(20, DONE, 2, SEQUENCE, 0) + bytes(4), HEADER.pack(88, TCP, 2, SEQUENCE, 0), HEADER.pack(20, TCP, 2, 9, 0),
    HEADER.pack(36, ERROR, 0, SEQUENCE, 0) + b"\xfe\xff\xff\xff", HEADER.pack(92, TCP, 0x12, SEQUENCE, 0),
)
_kept = Dump()  # a dump is filled again and again: nothing of the last answer may be left


def check(data: bytes) -> None:
    """One dump, and one exact lookup."""
    datagrams = list(datagrams_of(data))
    channel, _ = scripted(*[datagrams] * ATTEMPTS)
    try:
        channel.dump(TCP, b"", SEQUENCE, _kept, MINIMUM)
    except NetlinkError:
        assert walk(datagrams)[1] == "error"
    else:
        _compare(_kept, datagrams)
    channel, _ = scripted(datagrams)
    try:
        answer = channel.get(TCP, b"")
    except NetlinkError:
        return
    assert answer is None or HEADER.unpack_from(answer)[1] == TCP


def datagrams_of(data: bytes) -> Iterable[bytes]:
    """Cut the input up."""
    at = 0
    while at + 2 <= len(data):
        (length,) = struct.unpack_from("<H", data, at)
        yield data[at + 2:at + 2 + length]
        at += 2 + length


def _compare(dump: Dump, datagrams: list[bytes]) -> None:
    found = [bytes(dump.data[start:end]) for start, end in zip(dump.starts, dump.starts[1:], strict=False)]
    rows, trouble = walk(datagrams)
    assert dump.trouble == trouble, (dump.trouble, trouble)
    assert trouble == "timed_out" or found == rows, "not the rows of a plain walk"
    runs = [start + step * at for start, step, count in dump.runs for at in range(count)]
    assert sorted([*dump.singles, *runs]) == list(dump.starts)[:len(dump.singles) + len(runs)]
    assert all(count > 0 for _, _, count in dump.runs)


def walk(datagrams: Iterable[bytes]) -> tuple[list[bytes], str | None]:
    """Read the answer the slow way: (rows with their padding, what a dump calls the trouble; "error" for an errno)."""
    rows: list[bytes] = []
    trouble: str | None = None
    for datagram in datagrams:
        if not datagram:
            return rows, "truncated"
        at = 0
        while at + 16 <= len(datagram):
            length, kind, flags, sequence, _ = HEADER.unpack_from(datagram, at)
            if length < 16 or at + length > len(datagram):
                return rows, "malformed"
            if flags & INTERRUPTED:
                trouble = "interrupted"
            ours = sequence == SEQUENCE
            if ours and kind in (DONE, ERROR):
                refused = length >= 20 and struct.unpack_from("=i", datagram, at + 16)[0] < 0
                return rows, "error" if refused else trouble
            if ours and kind == TCP and length >= MINIMUM:
                rows.append(datagram[at:at + (length + 3 & ~3)])
            elif ours:
                trouble = trouble or "malformed"
            at += length + 3 & ~3
    return rows, "timed_out"
