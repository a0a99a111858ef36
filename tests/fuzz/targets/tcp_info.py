"""struct tcp_info of any length: None only where it is too short; what a shorter one told, a longer one tells too."""

from __future__ import annotations

import msgspec
from msgspec.structs import asdict

from sockscope.kernel.tcp_info import SHORTEST, parse_tcp_info

TOKENS = (b"cubic\0", b"bbr\0\0\0")


def check(data: bytes) -> None:
    """The first byte says how much of the rest is cut off, the next two are the congestion control's name."""
    cut, name, info = data[:1], data[1:3], data[3:]
    whole = parse_tcp_info(info, name)
    assert (whole is None) == (len(info) < SHORTEST)
    if whole is None:
        return
    msgspec.json.encode(whole)
    shorter = parse_tcp_info(info[: len(info) - (cut[0] if cut else 0)], name)
    if shorter is None:
        return
    told = asdict(whole)
    for field, value in asdict(shorter).items():
        assert value is None or value == told[field], field
