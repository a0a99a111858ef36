"""BTF: offsets or MalformedError, in bounded time; offsets make a program of 23 instructions or MalformedError."""

from __future__ import annotations

from sockscope.kernel.btf import Btf
from sockscope.kernel.malformed import MalformedError
from sockscope.kernel.task_file import assemble, find_offsets

TOKENS = (
    b"\x9f\xeb\x01\x00", b"\0task_struct\0", b"\0bpf_iter_meta\0", b"\0file\0inode\0", b"\0i_ino\0i_mode\0",
    b"\0bpf_iter_task_file\0", b"\0\0\0\x04", b"\x01\0\0\x04", b"\x01\0\0\x84", b"\x01\0\0\x05", b"\0\0\0\x0c",
)


def check(data: bytes) -> None:
    """Read a blob as the kernel's."""
    try:
        btf = Btf(data)
    except MalformedError:
        return
    for wanted in ({"task_struct": ("tgid", "pid")}, {"inode": ("i_ino",)}):
        try:
            offsets = btf.member_offsets(wanted)
        except MalformedError:
            continue
        assert offsets.keys() == {(name, member) for name, members in wanted.items() for member in members}
        assert all(0 <= offset < 1 << 32 for offset in offsets.values())
    try:
        found = find_offsets(btf)
        program = assemble(found)
    except MalformedError:
        return
    assert len(program) == 23 * 8
