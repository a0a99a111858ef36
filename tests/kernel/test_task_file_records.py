"""Records of the iterator: cutting them up by process, decoding, and what makes them not trusted."""

from __future__ import annotations

import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockscope.kernel.malformed import MalformedError
from sockscope.kernel.task_file_records import RECORD, agrees_with_proc, sockets_of, split_by_process

RECORDS = st.lists(st.tuples(st.integers(1, 2**32 - 1), st.integers(1, 6), st.integers(0, 50)), max_size=60)


def pack(records: list[tuple[int, int, int]]) -> bytes:
    return b"".join(RECORD.pack(*record) for record in records)


@given(RECORDS, st.booleans())
def test_every_record_comes_to_its_process(records: list[tuple[int, int, int]], in_order: bool) -> None:
    if in_order:
        records.sort(key=lambda record: record[1])
    groups = split_by_process(pack(records))
    for pid, raw in groups.items():
        assert list(RECORD.iter_unpack(raw)) == [record for record in records if record[1] == pid]
        assert sockets_of(raw) == {fd: inode for inode, who, fd in records if who == pid}
    assert set(groups) == {pid for _, pid, _ in records}


@given(st.binary(min_size=1, max_size=100).filter(lambda raw: len(raw) % RECORD.size != 0))
def test_half_a_record_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        split_by_process(raw)


def test_records_in_numbers_of_another_pid_namespace_are_not_trusted() -> None:
    left, right = socket.socketpair()
    with left, right:
        own = [(int(os.readlink(f"/proc/self/fd/{fd}")[8:-1]), int(fd)) for fd in os.listdir("/proc/self/fd")  # noqa: PTH115, PTH208
               if os.path.lexists(f"/proc/self/fd/{fd}") and os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")]  # noqa: PTH115
        assert agrees_with_proc(split_by_process(pack([(inode, os.getpid(), fd) for inode, fd in own]))) is True
        assert agrees_with_proc(split_by_process(pack([(inode, os.getpid() + 1, fd) for inode, fd in own]))) is False
        assert agrees_with_proc(split_by_process(b"")) is False
