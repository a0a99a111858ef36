"""BTF built by hand, broken by chance, and this machine's own."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockscope.kernel.btf import VMLINUX, Btf
from sockscope.kernel.malformed import MalformedError
from sockscope.kernel.task_file import assemble, find_offsets


class Builder:
    """Assembles a blob: types get ids from 1 on."""

    def __init__(self) -> None:
        self.strings = b"\0"
        self.types = b""

    def name(self, text: str) -> int:
        if not text:
            return 0
        at = self.strings.find(b"\0" + text.encode() + b"\0")
        if at >= 0:
            return at + 1
        self.strings += text.encode() + b"\0"
        return len(self.strings) - len(text) - 1

    def add(self, name: str, kind: int, words: tuple[int, ...] = (), vlen: int = 0, flag: int = 0) -> None:
        self.types += struct.pack(f"=III{len(words)}I", self.name(name), flag << 31 | kind << 24 | vlen, 8, *words)

    def struct(self, name: str, *members: tuple[str, int, int], flag: int = 0, kind: int = 4) -> None:
        words = tuple(word for member, type_id, bits in members for word in (self.name(member), type_id, bits))
        self.add(name, kind, words, len(members), flag)

    def blob(self) -> bytes:
        head = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(self.types), len(self.types), len(self.strings))
        return head + self.types + self.strings


def sample() -> Builder:
    made = Builder()
    made.add("int", 1, (0,))  # 1
    made.struct("", ("tgid", 1, 0), ("other", 1, 32))  # 2, anonymous
    made.struct("", ("first", 1, 0), ("", 2, 64), kind=5)  # 3, an anonymous union
    made.struct("task", ("pid", 1, 8), ("", 3, 128))  # 4
    made.struct("bits", ("plain", 1, 64), ("narrow", 1, 3 << 24 | 65), flag=1)  # 5
    made.add("enum", 6, (made.name("A"), 1, made.name("B"), 2), 2)  # 6
    made.add("prototype", 13, (made.name("x"), 1), 1)  # 7
    made.add("function", 12)  # 8
    return made


def test_members_are_found_through_anonymous_structs_and_unions() -> None:
    found = Btf(sample().blob()).member_offsets({"task": ("pid", "tgid"), "bits": ("plain",)})
    assert found == {("task", "pid"): 1, ("task", "tgid"): 24, ("bits", "plain"): 8}


def test_functions_are_found_by_id() -> None:
    assert Btf(sample().blob()).function_id("function") == 8


@pytest.mark.parametrize("wanted", [{"task": ("absent",)}, {"absent": ("pid",)}, {"bits": ("narrow",)}, {"int": ("pid",)}])
def test_what_is_missing_is_said(wanted: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(MalformedError):
        Btf(sample().blob()).member_offsets(wanted)


def test_a_name_without_its_function_is_said() -> None:
    with pytest.raises(MalformedError):
        Btf(sample().blob()).function_id("task")


def test_an_unknown_kind_is_refused() -> None:
    made = sample()
    made.add("new", 30)
    with pytest.raises(MalformedError):
        Btf(made.blob())


def use(blob: bytes) -> None:
    try:
        btf = Btf(blob)
        btf.member_offsets({"task": ("tgid",)})
        btf.function_id("function")
        find_offsets(btf)
    except MalformedError:
        pass


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read(blob: bytes) -> None:
    use(blob)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=8), st.integers(0, 400))
def test_a_damaged_blob_is_refused_or_read(at: int, damage: bytes, cut: int) -> None:
    blob = bytearray(sample().blob())
    blob[at : at + len(damage)] = damage
    use(bytes(blob))
    use(bytes(blob[:cut]))


def test_a_struct_that_holds_itself_ends() -> None:
    made = Builder()
    made.struct("task", ("", 1, 0))
    with pytest.raises(MalformedError):
        Btf(made.blob()).member_offsets({"task": ("tgid",), "task ": ()})


@pytest.mark.skipif(not Path(VMLINUX).exists(), reason="this kernel has no BTF")
def test_this_kernel_gives_a_program_of_23_instructions() -> None:
    offsets = find_offsets(Btf(Path(VMLINUX).read_bytes()))
    assert offsets.meta_seq == 0
    assert len(assemble(offsets)) == 23 * 8
