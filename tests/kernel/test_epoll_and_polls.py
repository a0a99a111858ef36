"""Parsers of epoll's fdinfo, pollfd arrays, fd_sets and io_uring's fdinfo."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockscope.kernel.epoll import WatchRecord, iter_watches
from sockscope.kernel.io_uring import parse_ring
from sockscope.kernel.poll_sets import parse_fd_sets, parse_pollfds

HEAD = b"pos:\t0\nflags:\t02\nmnt_id:\t17\nino:\t1038\n"


def line(fd: int, events: int, data: int, inode: int, device: int) -> bytes:
    """As fs/eventpoll.c prints it."""
    return f"tfd: {fd:8d} events: {events:8x} data: {data:16x}  pos:0 ino:{inode:x} sdev:{device:x}\n".encode()


watch = st.tuples(
    st.integers(0, 2**31 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
)


@given(st.lists(watch, max_size=30))
def test_every_line_is_read_back(watches: list[tuple[int, int, int, int, int]]) -> None:
    text = HEAD + b"".join(line(*one) for one in watches)
    found = list(iter_watches(text))
    assert [(one.fd, one.events, int(one.data, 16), one.inode, one.device) for one in found] == watches


@given(st.binary(max_size=400))
def test_no_bytes_break_the_parsers(data: bytes) -> None:
    list(iter_watches(data))
    list(iter_watches(HEAD + data))
    parse_pollfds(data)
    parse_ring(data)


def test_a_line_cut_off_or_of_an_old_kernel_is_left_out() -> None:
    whole = line(5, 0x19, 5, 77, 9)
    assert [one.inode for one in iter_watches(HEAD + whole + whole[:-20])] == [77]
    assert list(iter_watches(HEAD + b"tfd:        5 events:       19 data:                5\n")) == []


def test_the_same_number_twice_is_counted() -> None:
    """kcmp wants to know which of them: a file closed and its number registered again."""
    found = list(iter_watches(HEAD + line(5, 1, 0, 7, 9) + line(6, 1, 0, 8, 9) + line(5, 1, 0, 9, 9)))
    assert [one.repeat for one in found] == [0, 0, 1]


@pytest.mark.parametrize(("events", "trigger", "oneshot", "armed", "exclusive"), [
    (0x19, "level", False, True, False),
    (0x8000201D, "edge", False, True, False),
    (0x40000019, "level", True, True, False),
    (0x40000000, "level", True, False, False),
    (0xC0000000, "edge", True, False, False),
    (0x10000019, "level", False, True, True),
    (0x18, "level", False, True, False),
    (0x60000000, "level", True, False, False),
])
def test_what_the_bits_say(events: int, trigger: str, oneshot: bool, armed: bool, exclusive: bool) -> None:
    one = WatchRecord(3, events, "0", 1, 9, 0)
    assert (one.trigger, one.oneshot, one.armed, one.exclusive) == (trigger, oneshot, armed, exclusive)


@given(st.lists(st.tuples(st.integers(-5, 2**31 - 1), st.integers(0, 65535)), max_size=50))
def test_pollfds(pairs: list[tuple[int, int]]) -> None:
    data = b"".join(struct.pack("=iHH", fd, events, 7) for fd, events in pairs)
    assert parse_pollfds(data) == tuple(pair for pair in pairs if pair[0] >= 0)
    assert parse_pollfds(data[:-1]) == parse_pollfds(data[: len(data) - 8])


@given(st.sets(st.integers(0, 199)), st.sets(st.integers(0, 199)), st.sets(st.integers(0, 199)), st.integers(0, 200))
def test_fd_sets(readable: set[int], writable: set[int], exceptional: set[int], count: int) -> None:
    def bits(fds: set[int]) -> bytes:
        return sum(1 << fd for fd in fds).to_bytes(32, "little")

    found = dict(parse_fd_sets(count, bits(readable), bits(writable), bits(exceptional)))
    expected = {
        fd: (fd in readable) * 1 | (fd in writable) * 4 | (fd in exceptional) * 2
        for fd in readable | writable | exceptional if fd < count
    }
    assert found == expected


RING = b"""pos:\t0
UserFiles:\t2
    0: socket:[1152648]
    1: /dev/null
    3: socket:[1152650]
UserBufs:\t0
PollList:
  op=13, task_works=0
  op=27, task_works=0
  op=27, task_works=0
CqOverflowList:
NAPI:\tdisabled
"""


def test_a_ring() -> None:
    ring = parse_ring(RING)
    assert dict(ring.pending) == {13: 1, 27: 2} and ring.complete
    assert dict(ring.sockets) == {0: 1152648, 3: 1152650}
    assert not parse_ring(b"pos:\t0\nflags:\t02\n").complete  # its lock was taken just then


def test_numbers_that_no_kernel_prints_are_left_out() -> None:
    """Found by fuzzing: 5,000 digits raised ValueError, 30 made a number that JSON cannot hold."""
    huge = b"9" * 5000
    good = line(5, 1, 0, 7, 9)
    assert list(iter_watches(HEAD + good.replace(b"        5", huge))) == []
    ring = parse_ring(RING.replace(b"op=13", b"op=" + huge).replace(b"[1152648]", b"[" + huge + b"]"))
    assert dict(ring.pending) == {27: 2} and dict(ring.sockets) == {3: 1152650}
