"""Parsers of the files a thread's state is read from: right on real lines, and never an exception on any bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockscope.kernel.malformed import MalformedError
from sockscope.kernel.proc_stat import StatRecord, parse_stat
from sockscope.kernel.syscalls import AARCH64, EPOLLS, ON_FD, POLLS, SELECTS, SOCKET_WAITS, X86_64, names, own_number
from sockscope.kernel.threads import Call, judge, parse_switches, parse_syscall

ASLEEP = StatRecord(b"python", "S", 1, 0, 1, 100)
RECV = Call(45, (3, 0, 0, 0, 0, 0))


@given(st.binary(max_size=300))
def test_no_bytes_break_the_parsers(data: bytes) -> None:
    parse_syscall(data)
    parse_switches(data)


@given(st.integers(0, 500), st.lists(st.integers(0, 2**64 - 1), min_size=8, max_size=8))
def test_a_call_line_is_read_back(number: int, words: list[int]) -> None:
    line = f"{number} " + " ".join(f"0x{word:x}" for word in words) + "\n"
    assert parse_syscall(line.encode()) == Call(number, tuple(words[:6]), max(words[6:]) < 2**32)


def test_lines_outside_a_call() -> None:
    assert parse_syscall(b"running\n") == Call(None, ())
    assert parse_syscall(b"-1 0x7ffd1bf88e80 0x7f7056f162ec\n") == Call(-1, ())
    assert parse_syscall(b"-1 0x0 0x0\n") == Call(-1, ())
    assert parse_syscall(b"45 0x3 0x1\n") is None
    assert parse_syscall(b"") is None


def test_a_32_bit_task_is_recognised_by_its_addresses() -> None:
    """Its numbers mean other calls; a static 64-bit program has low code, but never a low stack."""
    assert parse_syscall(b"3 0x0 0xffb0 0x400 0x0 0x0 0x0 0xffe41c30 0xf7f0a549\n") == Call(3, (0, 0xFFB0, 0x400, 0, 0, 0), True)
    low_code = parse_syscall(b"0 0x0 0xffb0 0x400 0x0 0x0 0x0 0x7ffe41c30000 0x401000\n")
    assert low_code is not None and not low_code.foreign


def test_switches() -> None:
    text = b"Name:\tx\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t7\n"
    assert parse_switches(text) == (12, 7)
    assert parse_switches(b"Name:\tvoluntary_ctxt_switches:\t12\n") is None


@pytest.mark.parametrize(("stat", "line", "wchan", "call", "source"), [
    (ASLEEP, RECV, "wait_woken", "recvfrom", "syscall"),
    (ASLEEP._replace(state="D"), RECV, None, "recvfrom", "syscall"),
    (ASLEEP._replace(state="R"), RECV, None, "running", None),
    (ASLEEP._replace(state="T"), RECV, None, "none", None),
    (ASLEEP._replace(state="t"), RECV, None, "none", None),
    (ASLEEP._replace(state="Z"), Call(-1, ()), None, "none", None),
    (ASLEEP, Call(None, ()), None, "running", "syscall"),
    (ASLEEP, Call(-1, ()), "handle_userfault", "none", "syscall"),
    (ASLEEP, Call(219, RECV.arguments), "poll_schedule_timeout.constprop.0", "poll", "syscall"),
    (ASLEEP, Call(219, RECV.arguments), "hrtimer_nanosleep", "clock_nanosleep", "syscall"),
    (ASLEEP, Call(219, RECV.arguments), "wait_woken", "restart_syscall", "syscall"),
    (ASLEEP, Call(9999, RECV.arguments), None, "syscall_9999", "syscall"),
    (ASLEEP._replace(name=b"iou-wrk-77"), Call(426, RECV.arguments), "io_wq_worker", "none", None),
    (ASLEEP._replace(name=b"mine"), Call(425, RECV.arguments), "io_sq_thread", "none", None),
    # Without the right to see the call, the waiting place tells some of them.
    (ASLEEP, None, "inet_csk_accept", "accept", "wchan"),
    (ASLEEP, None, "do_epoll_wait", "epoll_wait", "wchan"),
    (ASLEEP, None, "wait_woken", None, None),
    (ASLEEP, None, None, None, None),
])
def test_what_is_believed_of_a_line(  # noqa: PLR0917 - one row of the table
    stat: StatRecord, line: Call | None, wchan: str | None, call: str | None, source: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sockscope.kernel.threads.names", lambda: X86_64)
    assert judge(stat, line, wchan)[:2] == (call, source)


def test_both_tables_name_what_servers_sleep_in() -> None:
    """aarch64 has no poll, select, epoll_wait of its own; all else is there on both."""
    for table in (X86_64, AARCH64):
        told = set(table.values())
        assert len(told) == len(table)
        assert told >= {"read", "recvfrom", "sendto", "accept", "accept4", "connect", "ppoll", "pselect6", "epoll_pwait",
                        "futex", "io_uring_enter", "restart_syscall", "clock_nanosleep"}
        assert told & POLLS and told & SELECTS and told & EPOLLS
    assert SOCKET_WAITS <= ON_FD
    assert "epoll_wait" in X86_64.values() and "epoll_wait" not in AARCH64.values()
    assert (names("arm64"), names("riscv64")) == (AARCH64, {})
    assert own_number("pidfd_getfd", "aarch64") == own_number("pidfd_getfd", "x86_64") == 438
    assert own_number("kcmp", "sparc") is None


def test_numbers_of_more_than_64_bits_make_no_call() -> None:
    """Found by fuzzing: no kernel prints them, and JSON has no room for them."""
    assert parse_syscall(b"45 0x3 0x" + b"d" * 17 + b" 0x0 0x0 0x0 0x0 0x7ffd1bf88e00 0x7f7056f162ec\n") is None
    assert parse_syscall(b"4_5 0x3 0x0 0x0 0x0 0x0 0x0 0x7ffd1bf88e00 0x7f7056f162ec\n") is None
    assert parse_switches(b"\nvoluntary_ctxt_switches:\t" + b"1" * 5000 + b"\nnonvoluntary_ctxt_switches:\t7\n") is None
    with pytest.raises(MalformedError):
        parse_stat(b"1 (x) S 1 1 1 0 -1 " + b"4" * 30 + b" 0 0 0 0 1 2 0 0 20 0 3 0 123456 1000 20 1\n")
