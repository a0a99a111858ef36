"""Records of the BPF iterator: cut up by process without loss, or MalformedError where one is not whole."""

from __future__ import annotations

from sockscope.kernel.malformed import MalformedError
from sockscope.kernel.task_file_records import RECORD, sockets_of, split_by_process

TOKENS = (RECORD.pack(1, 1, 1), RECORD.pack(77, 1, 2), RECORD.pack(78, 2, 3))


def check(data: bytes) -> None:
    """Split and decode one answer."""
    try:
        groups = split_by_process(data)
    except MalformedError:
        assert len(data) % RECORD.size
        return
    records = list(RECORD.iter_unpack(data))
    assert sum(map(len, groups.values())) == len(data)
    for pid, raw in groups.items():
        own = [(inode, fd) for inode, tgid, fd in records if tgid == pid]
        assert sockets_of(raw) == {fd: inode for inode, fd in own}
