"""What fdinfo of an io_uring tells (io_uring/fdinfo.c): pending requests by opcode, and the registered files.

The kernel names the opcodes of pending requests, not the files they are on. The body is missing when the ring's lock
is taken at that moment (it is only tried), which `complete` tells.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

ENTER_REGISTERED_RING = 1 << 4  # io_uring_enter's fd is then an index, not an fd

# enum io_uring_op (include/uapi/linux/io_uring.h): those that wait on a socket, and whether a listener is meant.
ACCEPT = 13
NAMES: Mapping[int, str] = {
    1: "readv", 2: "writev", 6: "poll_add", 9: "sendmsg", 10: "recvmsg", 13: "accept", 16: "connect", 22: "read",
    23: "write", 26: "send", 27: "recv", 30: "splice", 47: "send_zc", 48: "sendmsg_zc", 58: "recv_zc",
}

_PENDING = re.compile(rb"^  op=(\d{1,10}),", re.MULTILINE)
_FILE = re.compile(rb"^ +(\d{1,10}): socket:\[(\d{1,19})\]$", re.MULTILINE)


class RingRecord(NamedTuple):
    """Pending requests by opcode, and sockets among the registered files by slot."""

    pending: Mapping[int, int]
    sockets: Mapping[int, int]
    complete: bool


def parse_ring(fdinfo: bytes) -> RingRecord:
    """Decode what is there."""
    head, found, rest = fdinfo.partition(b"\nPollList:")
    pending = Counter(int(match[1]) for match in _PENDING.finditer(rest))
    sockets = {int(match[1]): int(match[2]) for match in _FILE.finditer(head)}
    return RingRecord(pending, sockets, bool(found))
