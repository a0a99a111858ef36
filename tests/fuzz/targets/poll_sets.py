"""pollfd arrays and fd_sets from another process' memory: never an exception; the same as counted bit by bit."""

from __future__ import annotations

import struct

from sockscope.kernel.poll_sets import POLLIN, POLLOUT, POLLPRI, parse_fd_sets, parse_pollfds

LONGEST = 200
TOKENS = (b"\xff\xff\xff\xff\x01\x00\x00\x00", b"\x05\x00\x00\x00\x05\x00\x00\x00")


def check(data: bytes) -> None:
    """As an array of struct pollfd, and as three bit maps after a count of fds."""
    pairs = parse_pollfds(data)
    assert [fd for fd, _ in pairs] == [
        fd for (fd,) in (struct.unpack_from("=i", data, at) for at in range(0, len(data) - 7, 8)) if fd >= 0
    ]
    assert all(0 <= events < 1 << 16 for _, events in pairs)
    count, bits = int.from_bytes(data[:2], "little"), data[2:]
    size = len(bits) // 3
    maps = [bits[at * size:(at + 1) * size] for at in range(3)]
    expected = {
        fd: event
        for fd in range(min(count, size * 8))
        if (event := sum(
            bit for one, bit in zip(maps, (POLLIN, POLLOUT, POLLPRI), strict=True) if one[fd // 8] >> fd % 8 & 1
        ))
    }
    assert dict(parse_fd_sets(count, *maps)) == expected
