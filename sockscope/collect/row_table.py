"""One socket table kept between dumps: only rows that differ from the last dump's are decoded.

The kernel walks its hash in a fixed order, so two dumps are nearly the same bytes. They are compared by blocks of
rows; in a block that differs, row by row; where a socket came or went, the two are put in step again by the cookie.
Masked out first: `idiag_expires`, which differs in every row with a timer (with 12,000 idle keepalive and TIME_WAIT
rows in 100,000 it made 50,419 changed rows of 849).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from sockscope.kernel.inet_rows import EXPIRES_AT, TIMER_AT
from sockscope.kernel.malformed import MalformedError
from sockscope.kernel.netlink import Dump
from sockscope.model.socket import Socket, SocketKey

_BLOCK = 16  # rows: a block costs 0.25 us to compare, a row 0.35; 1 % changed at random dirties one block in seven
_LARGE = 256  # of 100,000 rows alike, blocks of this size take 2.5 ms, of 16 rows 6
_AHEAD = 8  # rows to look through for the one that is out of step
_COOKIE = struct.Struct("=Q")
_NOTHING = bytes(4)


class RowDecoder(Protocol):
    """What turns bytes into a Socket."""

    def decode(self, row: bytes | bytearray, start: int, end: int, *, expires: bool = False) -> Socket:
        """Read the row at row[start:end]; raises MalformedError only."""
        ...

    def decode_all(
        self, data: bytes | bytearray, starts: Sequence[int], *, expires: bool = False
    ) -> Sequence[Socket | None]:
        """Read the rows that follow each other at `starts`, the last of which is their end; None for one malformed."""
        ...


class Patch(Struct):
    """What a new dump changes: sockets to put (new or changed), keys to take out, and how many rows made no sense."""

    put: dict[SocketKey, Socket]
    gone: list[SocketKey]
    malformed: int = 0


class RowTable:
    """The last dump of one table, and what follows from the next one."""

    def __init__(self, decoder: RowDecoder, netns: int, cookie_at: int, *, timed: bool) -> None:
        self._decoder = decoder
        self._netns = netns
        self._cookie_at = cookie_at
        self._timed = timed
        self._last = Dump()
        self._spare = Dump()
        self._count = 0  # distinct sockets in the last dump
        self._is_exact = False  # the last dump had one good row a socket
        self.decoded = 0  # rows decoded so far: tests count them

    def next_dump(self) -> Dump:
        """Give the buffer to receive into; `update` must follow once it is filled."""
        return self._spare

    def update(self, known: Mapping[SocketKey, Socket], *, expires: bool = False) -> Patch:
        """Tell what the dump just received changes about `known`, which may hold other tables' sockets too."""
        old, new = self._last, self._spare
        self._last, self._spare = new, old
        if expires or not self._is_exact:
            if self._timed and not expires:
                mask_expires(new)
            return self._read_all(old, new, known, expires=expires)
        if self._timed:
            mask_expires(new)
        walk = _Walk(old, new, known, self._decoder, self._netns, self._cookie_at)
        patch = walk.run()
        self.decoded += walk.decoded
        self._count += walk.added - len(patch.gone)
        # A socket whose state changes while the table is walked can be dumped twice. Then one of its rows will miss
        # its like, so the dump after that one is read whole.
        self._is_exact = not patch.malformed and self._count == len(new)
        return patch

    @property
    def has_rows(self) -> bool:
        """Whether the last dump had any."""
        return len(self._last) > 0

    def forget(self) -> list[SocketKey]:
        """Take the whole table out: its keys; the next dump is read from nothing."""
        keys = keys_of(self._last, 0, len(self._last), self._netns, self._cookie_at)
        self._last.clear()
        self._count, self._is_exact = 0, False
        return keys

    def _read_all(self, old: Dump, new: Dump, known: Mapping[SocketKey, Socket], *, expires: bool) -> Patch:
        netns = self._netns
        rows = self._decoder.decode_all(new.data, new.starts, expires=expires)
        put: dict[SocketKey, Socket] = {(netns, row.cookie): row for row in rows if row is not None}
        malformed = sum(row is None for row in rows) if len(put) != len(rows) else 0  # a socket may be there twice
        self.decoded += len(new)
        self._count = len(put)
        self._is_exact = not expires and not malformed and len(put) == len(new)
        if not len(old):
            return Patch(put, [], malformed)
        gone = [key for key in keys_of(old, 0, len(old), netns, self._cookie_at) if key not in put]
        return Patch({key: socket for key, socket in put.items() if known.get(key) != socket}, gone, malformed)


class _Walk:
    """Two dumps, walked side by side."""

    def __init__(  # noqa: PLR0917
        self, old: Dump, new: Dump, known: Mapping[SocketKey, Socket], decoder: RowDecoder, netns: int, cookie_at: int,
    ) -> None:
        self.old = old
        self.new = new
        self.known = known
        self.decoder = decoder
        self.netns = netns
        self.cookie_at = cookie_at
        self.patch = Patch({}, [])
        self.met: set[SocketKey] = set()  # decoded in this dump: new, changed, or moved to another place
        self.missed: list[SocketKey] = []  # not found where they stood
        self.decoded = 0
        self.added = 0

    def run(self) -> Patch:
        """Do the whole walk."""
        old, new, old_starts, new_starts = self.old.data, self.new.data, self.old.starts, self.new.starts
        at, was, rows, old_rows = 0, 0, len(self.new), len(self.old)
        small_until = 0  # within a large block that differs, small ones are compared
        while at < rows and was < old_rows:
            size = min(_BLOCK if at < small_until else _LARGE, rows - at, old_rows - was)
            block = new[new_starts[at]:new_starts[at + size]]
            if block == old[old_starts[was]:old_starts[was + size]]:
                at += size
                was += size
            elif size > _BLOCK:
                small_until = at + size
            else:
                at, was = self._walk_block(at, at + size, was)
        for rest in range(at, rows):
            self._decode(rest)
        self._miss(was, old_rows)
        self.patch.gone = [key for key in self.missed if key not in self.met]
        return self.patch

    def _walk_block(self, at: int, stop: int, was: int) -> tuple[int, int]:
        """Row by row; returns the places reached in both dumps."""
        old, new, old_starts, new_starts = self.old.data, self.new.data, self.old.starts, self.new.starts
        old_rows = len(self.old)
        while at < stop and was < old_rows:
            row = new[new_starts[at]:new_starts[at + 1]]
            if row != old[old_starts[was]:old_starts[was + 1]]:
                skip = self._skip(row, was)
                if skip is None:  # new, or from elsewhere: the old row is still to come
                    self._decode(at)
                    at += 1
                    continue
                if skip:
                    self._miss(was, was + skip)
                    was += skip
                if not skip or row != old[old_starts[was]:old_starts[was + 1]]:
                    self._decode(at)
            at += 1
            was += 1
        return at, was

    def _skip(self, row: bytearray, was: int) -> int | None:
        """How many old rows to leave out so that the next one is this socket; None where it is not near."""
        data, starts, place = self.old.data, self.old.starts, self.cookie_at
        cookie = row[place:place + 8]
        for ahead in range(min(_AHEAD, len(self.old) - was)):
            start = starts[was + ahead] + place
            if data[start:start + 8] == cookie:
                return ahead
        return None

    def _decode(self, index: int) -> None:
        self.decoded += 1
        try:
            socket = self.decoder.decode(self.new.data, self.new.starts[index], self.new.starts[index + 1])
        except MalformedError:
            self.patch.malformed += 1
            return
        key = (self.netns, socket.cookie)
        before = self.known.get(key)
        if before is None and key not in self.met:
            self.added += 1
        self.met.add(key)
        if before != socket:
            self.patch.put[key] = socket

    def _miss(self, first: int, last: int) -> None:
        if first < last:
            self.missed.extend(keys_of(self.old, first, last, self.netns, self.cookie_at))


def keys_of(dump: Dump, first: int, last: int, netns: int, cookie_at: int) -> list[SocketKey]:
    """Make the keys of rows first..last-1."""
    unpack, data = _COOKIE.unpack_from, dump.data
    return [(netns, unpack(data, start + cookie_at)[0]) for start in dump.starts[first:last]]


def mask_expires(dump: Dump) -> None:
    """Zero the timers' remaining time in every row, runs of equally long rows by one strided assignment a byte."""
    data = dump.data
    for start, step, rows in dump.runs:
        zeros, stop = bytes(rows), start + rows * step
        for at in range(start + EXPIRES_AT, start + EXPIRES_AT + 4):
            data[at:stop:step] = zeros
    for start in dump.singles:
        if data[start + TIMER_AT]:
            data[start + EXPIRES_AT:start + EXPIRES_AT + 4] = _NOTHING
