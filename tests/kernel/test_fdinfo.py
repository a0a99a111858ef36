"""fdinfo as each kind of file prints it, and as nothing prints it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockscope.kernel.fdinfo import facts, parse_fdinfo

HEAD = b"pos:\t17\nflags:\t02004002\nmnt_id:\t15\nino:\t4711\n"

SAMPLES = {
    "eventfd": (b"eventfd-count:               1f\neventfd-id: 4\neventfd-semaphore: 1\n",
                (("count", "31"), ("eventfd_id", "4"), ("semaphore", "yes"))),
    "timerfd": (b"clockid: 7\nticks: 2\nsettime flags: 01\nit_value: (3, 500000000)\nit_interval: (0, 0)\n",
                (("clock", "boottime"), ("ticks", "2"), ("absolute", "yes"), ("expires_in_s", "3.5"), ("interval_s", "0"))),
    "signalfd": (b"sigmask:\t0000000100004002\n", (("signals", "SIGINT SIGTERM 33"),)),
    "inotify": (b"inotify wd:1 ino:3f7e8 sdev:fe00000 mask:103 ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:e8\n",
                (("watch", "wd 1 inode 260072 ACCESS|MODIFY|CREATE"),)),
    "pidfd": (b"Pid:\t812\nNSpid:\t812\t3\n", (("pid", "812"), ("nspid", "812\t3"))),
    "pidfd of one that ended": (b"Pid:\t-1\n", (("pid", "ended"),)),
    "socket": (b"scm_fds: 2\n", (("scm_fds", "2"),)),
    "eventpoll": (b"tfd:        4 events:       19 data:                4  pos:0 ino:11 sdev:10\n" * 3, (("watches", "3"),)),
    "fanotify": (b"fanotify flags:0 event-flags:8000\nfanotify ino:3f7e8 sdev:fe00000 mflags:0 mask:20\n",
                 (("group", "flags:0 event-flags:8000"), ("mark", "ino:3f7e8 sdev:fe00000 mflags:0 mask:20"))),
    "lock": (b"lock:\t1: FLOCK  ADVISORY  WRITE 359 00:13:11691 0 EOF\n",
             (("lock", "1: FLOCK  ADVISORY  WRITE 359 00:13:11691 0 EOF"),)),
    "io_uring": (b"SqMask:\t0x7\nCachedSqHead:\t3\nSQEs:\t0\nUserFiles:\t2\n    0: socket:[77]\nPollList:\n  op=13, task_works=0\n  op=6, task_works=1\n",
                 (("sq_mask", "0x7"), ("cached_sq_head", "3"), ("sqes", "0"), ("user_files", "2"),
                  ("user_files", "0: socket:[77]"), ("poll_list", ""), ("pending", "ACCEPT"), ("pending", "POLL_ADD"))),
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_each_kind_is_decoded_in_its_order(kind: str) -> None:
    text, expected = SAMPLES[kind]
    info = parse_fdinfo(HEAD + text)
    assert info[:4] == (17, 0o2004002, 15, 4711)
    assert facts(info) == expected


def test_an_older_kernel_without_ino_leaves_it_unknown() -> None:
    assert parse_fdinfo(b"pos:\t0\nflags:\t02\nmnt_id:\t10\n")[:4] == (0, 2, 10, None)


def test_garbled_values_are_unknown_and_not_zero() -> None:
    info = parse_fdinfo(b"pos:\tx\nflags:\t09\nmnt_id:\nino:\t1_0\neventfd-count: zz\nsigmask:\t-1\nit_value: (1)\n")
    assert info[:4] == (None, None, None, None)
    assert facts(info) == (("eventfd_count", "zz"), ("sigmask", "-1"), ("it_value", "(1)"))


def test_only_the_first_common_line_counts() -> None:
    assert parse_fdinfo(HEAD + b"ino:9\n").inode == 4711


@given(st.binary(max_size=400))
def test_no_bytes_make_it_raise(text: bytes) -> None:
    facts(parse_fdinfo(text))


WORDS = st.sampled_from([
    b"pos", b"flags", b"Pid", b"tfd", b"sigmask", b"inotify wd", b"fanotify ino", b"it_value", b"eventfd-count", b"op=", b"7",
    b":", b"\t", b"\n", b" ", b"-", b"(", b",", b"99999999999999999999999999999999999", b"0x", b"ino:", b"mask:", b"\xff", b"1",
])


@given(st.lists(WORDS, max_size=60).map(b"".join))
def test_nor_do_lines_made_of_the_kernels_own_words(text: bytes) -> None:
    info = parse_fdinfo(text)
    for name, value in facts(info):
        assert name
        assert isinstance(value, str)


def test_a_number_of_more_than_64_bits_is_unknown() -> None:
    """Found by fuzzing: JSON has no room for it."""
    assert parse_fdinfo(b"pos:\t" + b"9" * 30 + b"\nino:\t18446744073709551616\n")[:4] == (None, None, None, None)
