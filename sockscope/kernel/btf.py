"""BPF Type Format: where the fields of the running kernel's structs are (Documentation/bpf/btf.rst).

The kernel's own is /sys/kernel/btf/vmlinux. Here is only what a program needs that is assembled by hand: the byte
offset of a member, and the id of a function.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from sockscope.kernel.malformed import MalformedError

VMLINUX = "/sys/kernel/btf/vmlinux"

_MAGIC = 0xEB9F
_HEADER = struct.Struct("=HBBIIIII")  # magic, version, flags, hdr_len, type_off, type_len, str_off, str_len
_STRUCT, _UNION, _FUNC = 4, 5, 12
_DEPTH = 8  # of anonymous structs within a struct

# Words after the three of struct btf_type, by kind: (fixed, for each of vlen).
_SIZES: Mapping[int, tuple[int, int]] = {
    1: (1, 0), 2: (0, 0), 3: (3, 0), 4: (0, 3), 5: (0, 3), 6: (0, 2), 7: (0, 0), 8: (0, 0), 9: (0, 0), 10: (0, 0),
    11: (0, 0), 12: (0, 0), 13: (0, 2), 14: (1, 0), 15: (0, 3), 16: (0, 0), 17: (1, 0), 18: (0, 0), 19: (0, 3),
}


class Btf:
    """A parsed blob. Raises MalformedError where it is not BTF of this machine's byte order, or of an unknown kind.

    One walk over 126,000 types: 65 ms, so its answers are kept between runs (see offset_cache).
    """

    def __init__(self, data: bytes) -> None:
        self._words, self._strings = _sections(data)
        self._starts = _walk(self._words)

    def member_offsets(self, wanted: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], int]:
        """Byte offsets by (struct, member). Raises MalformedError where one is missing, or is a bit field."""
        names = {self._string_offset(name): name for name in wanted}
        found: dict[tuple[str, str], int] = {}
        for start in self._starts:
            name = names.get(self._words[start])
            if name is None or self._kind(start) != _STRUCT:
                continue
            for member in wanted[name]:
                bits = self._member_bits(start, member.encode("ascii"), _DEPTH)
                if bits is not None:
                    if bits % 8:
                        raise MalformedError(f"BTF: {name}.{member} is a bit field")
                    found.setdefault((name, member), bits // 8)
        for name, members in wanted.items():
            for member in members:
                if (name, member) not in found:
                    raise MalformedError(f"BTF: no {name}.{member}")
        return found

    def function_id(self, name: str) -> int:
        """Find a function's type id. Raises MalformedError."""
        offset = self._string_offset(name)
        for number, start in enumerate(self._starts):
            if self._words[start] == offset and self._kind(start) == _FUNC:
                return number + 1  # id 0 is void, which is not in the section
        raise MalformedError(f"BTF: no function {name}")

    def _kind(self, start: int) -> int:
        return self._words[start + 1] >> 24 & 0x1F

    def _string_offset(self, name: str) -> int:
        """Strings are stored once each, so a name is compared by its offset."""
        at = self._strings.find(b"\0" + name.encode("ascii") + b"\0")
        if at < 0:
            raise MalformedError(f"BTF: no name {name}")
        return at + 1

    def _member_bits(self, start: int, member: bytes, depth: int) -> int | None:
        words = self._words
        info = words[start + 1]
        mask = 0xFFFFFF if info >> 31 else 0xFFFFFFFF  # kind_flag: the upper byte is a bit field's width
        for at in range(start + 3, start + 3 + 3 * (info & 0xFFFF), 3):
            name, type_id, bits = words[at], words[at + 1], words[at + 2] & mask
            if name:
                if self._strings.startswith(member + b"\0", name):
                    return bits
            elif depth and 0 < type_id <= len(self._starts):
                inner = self._starts[type_id - 1]
                if self._kind(inner) in (_STRUCT, _UNION):
                    found = self._member_bits(inner, member, depth - 1)
                    if found is not None:
                        return bits + found
        return None


def _sections(data: bytes) -> tuple[list[int], bytes]:
    """Give the type section as 32-bit words, and the strings."""
    if len(data) < _HEADER.size:
        raise MalformedError("BTF: shorter than its header")
    magic, version, _, header, type_at, type_length, text_at, text_length = _HEADER.unpack_from(data)
    if magic != _MAGIC or version != 1:
        raise MalformedError("BTF: another format, version or byte order")
    types = data[header + type_at : header + type_at + type_length]
    strings = data[header + text_at : header + text_at + text_length]
    if len(types) != type_length or len(strings) != text_length or type_length % 4 or not strings.startswith(b"\0"):
        raise MalformedError("BTF: truncated")
    return memoryview(types).cast("I").tolist(), strings


def _walk(words: list[int]) -> list[int]:
    """Find where each type starts."""
    starts: list[int] = []
    at, end, sizes = 0, len(words), _SIZES
    try:
        while at < end:
            starts.append(at)
            info = words[at + 1]
            fixed, each = sizes[info >> 24 & 0x1F]
            at += 3 + fixed + each * (info & 0xFFFF)
    except (KeyError, IndexError) as error:
        raise MalformedError("BTF: a kind of type that this version does not know") from error
    if at != end:
        raise MalformedError("BTF: the last type is cut off")
    return starts
