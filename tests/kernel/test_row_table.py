"""The diff of two dumps gives what reading the second one whole gives, and decodes only what changed."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from kernel.netlink_bytes import attribute, done, inet_row, scripted

from sockscope.collect.row_table import RowTable
from sockscope.kernel.inet_rows import COOKIE_AT, InetRows
from sockscope.model.socket import Socket, SocketKey

Rows = list[tuple[int, int, int]]  # cookie, receive queue, extra attribute bytes


class Kept:
    """A table with the sockets it says there are."""

    def __init__(self) -> None:
        self.table = RowTable(InetRows(1, "tcp"), 1, COOKIE_AT, timed=True)
        self.sockets: dict[SocketKey, Socket] = {}

    def take(self, rows: list[bytes]) -> None:
        channel, _ = scripted([b"".join(rows[at:at + 7]) for at in range(0, len(rows), 7)] + [done()])
        dump = self.table.next_dump()
        channel.dump(18, b"", 1, dump, 88)
        patch = self.table.update(self.sockets)
        for key in patch.gone:
            del self.sockets[key]
        self.sockets.update(patch.put)


def encode(rows: Rows, expires: int = 0) -> list[bytes]:
    return [
        inet_row(cookie, receive=receive, timer=2, expires=expires, attributes=attribute(30, b"a" * extra))
        for cookie, receive, extra in rows
    ]


ROWS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3), st.sampled_from([0, 0, 0, 5])), max_size=60,
                unique_by=lambda row: row[0])


@given(st.lists(ROWS, min_size=2, max_size=5))
@settings(deadline=None)
def test_diff_equals_reading_whole(dumps: Any) -> None:
    kept = Kept()
    for number, rows in enumerate(dumps):
        kept.take(encode(rows, expires=number))
        whole = Kept()
        whole.take(encode(rows))
        assert kept.sockets == whole.sockets


@given(ROWS, st.integers(0, 70), st.lists(st.integers(0, 60), max_size=6), st.lists(st.integers(61, 99), max_size=6, unique=True))
@settings(deadline=None)
def test_a_few_changes_share_the_rest(rows: Any, place: Any, dropped: Any, added: Any) -> None:
    kept = Kept()
    kept.take(encode(rows))
    before = dict(kept.sockets)
    later = [row for row in rows if row[0] not in dropped]
    later[place % (len(later) + 1):0] = [(cookie, 0, 0) for cookie in added]
    kept.take(encode(later, expires=9))
    assert set(kept.sockets) == {(1, row[0]) for row in later}
    for row in rows:
        if row[0] not in dropped:
            assert kept.sockets[1, row[0]] is before[1, row[0]]


def test_an_idle_table_decodes_nothing() -> None:
    """Timers run on in every row, and yet no row is decoded again."""
    kept = Kept()
    rows = [(cookie, 0, 5 * (cookie % 3)) for cookie in range(1000)]
    for expires in range(5):
        kept.take(encode(rows, expires=1000 + expires))
    assert kept.table.decoded == 1000


def test_a_socket_dumped_twice_leaves_nothing_behind() -> None:
    """While a table is walked a socket can change its place and be seen twice, with different states."""
    kept = Kept()
    kept.take(encode([(1, 0, 0), (2, 0, 0), (3, 0, 0)]))
    kept.take(encode([(1, 0, 0), (2, 0, 0), (3, 0, 0), (2, 7, 0)]))
    assert set(kept.sockets) == {(1, 1), (1, 2), (1, 3)}
    kept.take(encode([(1, 0, 0), (3, 0, 0), (2, 7, 0)]))
    assert set(kept.sockets) == {(1, 1), (1, 2), (1, 3)}
    assert kept.sockets[1, 2].receive_queued == 7
    kept.take(encode([(1, 0, 0), (3, 0, 0)]))
    assert set(kept.sockets) == {(1, 1), (1, 3)}
