"""Epoll registrations as fdinfo of an eventpoll file lists them (fs/eventpoll.c ep_show_fdinfo).

Reading that file holds the set's mutex: about 1.2 us a watch, in which the target's own epoll calls wait.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

EPOLLIN = 0x001
EPOLLEXCLUSIVE = 1 << 28
EPOLLWAKEUP = 1 << 29
EPOLLONESHOT = 1 << 30
EPOLLET = 1 << 31
PRIVATE_BITS = EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET

# `pos`, `ino` and `sdev` came with Linux 4.19; a line without them cannot be tied to a file and is left out.
_LINE = re.compile(
    rb"^tfd:[ \t]*(\d{1,10})[ \t]+events:[ \t]*([0-9a-f]{1,8})[ \t]+data:[ \t]*([0-9a-f]{1,16})"
    rb"[ \t]+pos:[ \t]*-?\d+[ \t]+ino:([0-9a-f]{1,16})[ \t]+sdev:([0-9a-f]{1,8})[ \t]*$",
    re.MULTILINE,
)


class WatchRecord(NamedTuple):
    """One line: `fd` is the number at registration, `repeat` counts earlier lines with that same number."""

    fd: int
    events: int
    data: str
    inode: int
    device: int
    repeat: int

    @property
    def trigger(self) -> str:
        """Edge or level."""
        return "edge" if self.events & EPOLLET else "level"

    @property
    def oneshot(self) -> bool:
        """EPOLLONESHOT."""
        return bool(self.events & EPOLLONESHOT)

    @property
    def armed(self) -> bool:
        """False once a one-shot has fired: the kernel then keeps the private bits only, not even ERR and HUP."""
        return not self.oneshot or bool(self.events & ~PRIVATE_BITS)

    @property
    def exclusive(self) -> bool:
        """EPOLLEXCLUSIVE."""
        return bool(self.events & EPOLLEXCLUSIVE)


def iter_watches(fdinfo: bytes) -> Iterator[WatchRecord]:
    """Every watch of one set. A line cut off by the end of the text is left out."""
    seen: dict[int, int] = {}
    for match in _LINE.finditer(fdinfo):
        fd = int(match[1])
        repeat = seen.get(fd, 0)
        seen[fd] = repeat + 1
        yield WatchRecord(
            fd, int(match[2], 16), match[3].decode("ascii"), int(match[4], 16), int(match[5], 16), repeat
        )
