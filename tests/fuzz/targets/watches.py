"""fdinfo of an eventpoll and of an io_uring: never an exception; watches survive being printed again."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sockscope.kernel.epoll import WatchRecord, iter_watches
from sockscope.kernel.io_uring import parse_ring

TOKENS = (
    b"tfd:        4 events:       19 data:                4  pos:0 ino:11 sdev:10\n", b"\nPollList:", b"\n  op=13,",
    b"\n    0: socket:[77]", b" events: 40000000", b"9" * 30, b"\n",
)


def check(data: bytes) -> None:
    """Parse one file as either."""
    watches = list(iter_watches(data))
    assert list(iter_watches(_printed(watches))) == watches
    assert len(watches) <= data.count(b"tfd:")
    for watch in watches:
        assert watch.armed or watch.oneshot
        assert watch.fd < 1 << 63
    ring = parse_ring(data)
    msgspec.json.encode((watches, dict(ring.pending), dict(ring.sockets)))


def _printed(watches: Iterable[WatchRecord]) -> bytes:
    """As fs/eventpoll.c ep_show_fdinfo."""
    return "".join(
        f"tfd: {one.fd:8d} events: {one.events:8x} data: {one.data:>16}  pos:0 ino:{one.inode:x} sdev:{one.device:x}\n"
        for one in watches
    ).encode("ascii")
