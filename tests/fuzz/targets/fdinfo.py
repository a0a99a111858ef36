"""/proc/PID/fdinfo: never an exception; facts are named, and text that JSON takes."""

from __future__ import annotations

import msgspec

from sockscope.kernel.fdinfo import facts, parse_fdinfo

TOKENS = (
    b"\npos:\t", b"\nflags:\t02", b"\nino:\t", b"\ntfd: ", b"\neventfd-count: ", b"\nit_value: (1, 5)", b"\nsigmask:\t",
    b"\nPid:\t-1", b"\ninotify wd:1 ino:1 sdev:1 mask:3", b"\nfanotify flags:0", b"\n  op=13, x", b"\n    0: socket:[7]",
    b"\xff", b"_", b"9" * 30,
)


def check(data: bytes) -> None:
    """Parse and decode one file."""
    info = parse_fdinfo(data)
    for number in info[:4]:
        assert number is None or isinstance(number, int)
    found = facts(info)
    for name, value in found:
        assert name and isinstance(value, str)
    msgspec.json.encode((info[:4], found))
