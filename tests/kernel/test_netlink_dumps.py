"""A dump is whole, or says what is wrong: nothing the kernel can send raises anything but NetlinkError."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel.netlink_bytes import attribute, done, inet_row, message, scripted

from sockscope.kernel.netlink import NLM_F_DUMP_INTR, Dump, NetlinkError

TCP = 18


def rows_of(dump: Dump) -> list[bytes]:
    return [bytes(dump.data[start:end]) for start, end in zip(dump.starts, dump.starts[1:], strict=False)]


def read(*datagrams: bytes | OSError, minimum: int = 88) -> Dump:
    channel, _ = scripted([*datagrams])
    dump = Dump()
    channel.dump(TCP, b"", 1, dump, minimum)
    return dump


def test_rows_are_kept_in_order_over_datagrams() -> None:
    rows = [inet_row(cookie) for cookie in range(100)]
    dump = read(b"".join(rows[:40]), b"".join(rows[40:]) + done())
    assert (rows_of(dump), dump.trouble) == (rows, None)


@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, 3, 9]), st.integers(1, 30)), max_size=12), st.integers(1, 7))
def test_runs_of_any_lengths_are_cut_at_the_right_places(runs: Any, at_once: Any) -> None:
    """The strided search for equally long rows finds exactly the messages a plain walk finds."""
    rows = [inet_row(cookie, attributes=attribute(30, b"x" * size)) for size, count in runs for cookie in range(count)]
    datagrams = [b"".join(rows[at:at + at_once]) for at in range(0, len(rows), at_once)]
    dump = read(*datagrams, done())
    assert rows_of(dump) == rows
    seen = sorted([*dump.singles, *(start + step * at for start, step, count in dump.runs for at in range(count))])
    assert seen == list(dump.starts[:-1])


def test_errno_in_done_is_an_error() -> None:
    """A family without a handler answers NLMSG_DONE with -ENOENT and no other sign (kernel-facts.md 11)."""
    with pytest.raises(NetlinkError) as caught:
        read(done(-errno.ENOENT))
    assert caught.value.errno == errno.ENOENT


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOBUFS])
def test_error_message_is_an_error(code: int) -> None:
    channel, _ = scripted([inet_row(1) + message(2, (-code).to_bytes(4, "little", signed=True) + bytes(16))])
    with pytest.raises(NetlinkError) as caught:
        channel.dump(TCP, b"", 1, Dump(), 88)
    assert caught.value.errno == code


def test_interrupted_dump_is_done_again() -> None:
    torn = [inet_row(1), done(flags=2 | NLM_F_DUMP_INTR)]
    channel, stand_in = scripted(torn, torn, [inet_row(1) + inet_row(2), done()])
    dump = Dump()
    channel.dump(TCP, b"", 1, dump, 88)
    assert (len(dump), dump.trouble, len(stand_in.requests)) == (2, None, 3)


def test_always_interrupted_dump_ends_and_says_so() -> None:
    torn = [inet_row(1), done(flags=2 | NLM_F_DUMP_INTR)]
    channel, stand_in = scripted(*([torn] * 10))
    dump = Dump()
    channel.dump(TCP, b"", 1, dump, 88)
    assert (len(dump), dump.trouble) == (1, "interrupted")
    assert len(stand_in.requests) < 10


def test_overrun_is_tried_again_and_then_said() -> None:
    overrun: list[bytes | OSError] = [inet_row(1), OSError(errno.ENOBUFS, "No buffer space")]
    channel, _ = scripted(overrun, [inet_row(1), done()])
    dump = Dump()
    channel.dump(TCP, b"", 1, dump, 88)
    assert (len(dump), dump.trouble) == (1, None)
    channel, _ = scripted(*([overrun] * 10))
    channel.dump(TCP, b"", 1, dump, 88)
    assert dump.trouble == "truncated"


def test_truncated_datagram_is_said() -> None:
    assert read(b"x" * 200_000).trouble == "truncated"


def test_silence_is_said() -> None:
    assert read(inet_row(1)).trouble == "timed_out"


def test_strangers_and_short_rows_are_left_out() -> None:
    """Answers to others (a multicast, an older request) are dropped; a row too short to be one is counted as trouble."""
    rows = [inet_row(cookie) for cookie in range(5)]
    stranger, short = inet_row(99, sequence=7), message(TCP, b"abcd")
    dump = read(rows[0] + stranger + rows[1] + stranger, b"".join(rows[2:]) + done())
    assert (rows_of(dump), dump.trouble) == (rows, None)
    dump = read(rows[0] + short + b"".join(rows[1:]) + done())
    assert (rows_of(dump), dump.trouble) == (rows, "malformed")


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_garbage_never_raises(datagrams: list[bytes]) -> None:
    try:
        dump = read(*datagrams)
    except NetlinkError:
        return
    assert dump.trouble is not None or len(dump) == 0


@given(st.lists(st.integers(0, 3), max_size=8), st.data())
def test_damaged_dumps_never_raise(kinds: Any, data: Any) -> None:
    """Bytes of a good dump changed anywhere."""
    good = bytearray(b"".join(inet_row(cookie, receive=kind) for cookie, kind in enumerate(kinds)) + done())
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        dump = read(bytes(good))
    except NetlinkError:
        return
    assert sum(len(row) for row in rows_of(dump)) <= len(good)


@pytest.mark.parametrize("code", [errno.ENOENT, errno.ESTALE])
def test_exact_lookup_of_a_gone_socket_is_none(code: int) -> None:
    answer = message(2, (-code).to_bytes(4, "little", signed=True) + bytes(16))
    channel, _ = scripted([answer])
    assert channel.get(20, b"") is None


def test_exact_lookup_gives_the_row() -> None:
    row = inet_row(5)
    channel, _ = scripted([row])
    assert channel.get(TCP, b"") == row


def test_what_was_received_before_the_answer_broke_off_stands() -> None:
    """Found by fuzzing: the last row of an answer that had no end was lost."""
    rows = [inet_row(1), inet_row(2)]
    for broken in ([b"".join(rows)], [b"".join(rows), b""], [rows[0], rows[1], b"x" * 200_000]):
        dump = read(*broken)
        assert rows_of(dump) == rows and dump.trouble in ("timed_out", "truncated")


@pytest.mark.parametrize("odd", [inet_row(40, sequence=7), inet_row(40)[:6] + b"\x12\0" + inet_row(40)[8:]])
def test_a_long_run_ends_where_a_header_differs(odd: bytes) -> None:
    """Found by fuzzing: among many rows of one length neither a stranger's nor an interrupted one was noticed."""
    rows = [inet_row(cookie) for cookie in range(40)]
    channel, _ = scripted(*[[b"".join(rows) + odd + b"".join(rows) + done()]] * 4)
    dump = Dump()
    channel.dump(TCP, b"", 1, dump, 88)
    if odd[8] == 7:
        assert (rows_of(dump), dump.trouble) == (rows + rows, None)
    else:
        assert (rows_of(dump), dump.trouble) == ([*rows, odd, *rows], "interrupted")


@pytest.mark.parametrize("answer", [message(2, b"x")[:17], message(TCP, b"")[:10], b"\x0a\0\0\0\x12\0" + bytes(10)])
def test_exact_lookup_takes_no_message_that_is_cut_off(answer: bytes) -> None:
    channel, _ = scripted([answer])
    assert channel.get(TCP, b"") is None
