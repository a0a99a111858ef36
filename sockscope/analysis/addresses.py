"""Numeric addresses and networks as integers: what matching 100,000 addresses against 10.0.0.0/8 needs.

`ipaddress` builds an object for each (11 us); here an address is parsed once (inet_pton) and remembered.
"""

from __future__ import annotations

import re
import socket as sockets
from functools import lru_cache

_ZONE = r"[\w.@-]{1,15}"  # an interface's name: fe80::1%eth0
_MAPPED = b"\0" * 10 + b"\xff\xff"


@lru_cache(maxsize=65536)
def address_number(text: str) -> tuple[int, int] | None:
    """(32 or 128, value) of a numeric address; a v4-mapped one counts as IPv4; None for anything else."""
    family = sockets.AF_INET6 if ":" in text else sockets.AF_INET
    address, percent, zone = text.partition("%")
    if percent and (family != sockets.AF_INET6 or not re.fullmatch(_ZONE, zone, re.ASCII)):
        return None
    try:
        packed = sockets.inet_pton(family, address)
    except (OSError, ValueError):  # ValueError: an embedded NUL, or a lone surrogate
        return None
    if len(packed) == 16 and packed.startswith(_MAPPED):
        packed = packed[12:]
    return len(packed) * 8, int.from_bytes(packed)


def parse_network(text: str) -> tuple[int, int, int] | None:
    """(bits, value, mask) of an address or an address/prefix length; host bits may be set; None for anything else."""
    address, slash, length = text.partition("/")
    number = address_number(address.removeprefix("[").removesuffix("]"))
    if number is None:
        return None
    bits, value = number
    if not slash:
        prefix = bits
    elif length.isascii() and length.isdigit() and len(length) <= 3 and int(length) <= bits:
        prefix = int(length)
    else:
        return None
    mask = ((1 << prefix) - 1) << (bits - prefix)
    return bits, value & mask, mask
