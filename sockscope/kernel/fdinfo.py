"""/proc/PID/fdinfo/N, decoded (proc_pid_fdinfo(5); fs/proc/fd.c seq_show and each file's show_fdinfo).

Pure functions of bytes. Nothing here raises, whatever the bytes are: a line that has not its documented shape is passed
on as it stands. Reading the file itself is 23 us; of an eventpoll it takes the set's mutex and shows every watch,
whatever size the reader asks for (ep_show_fdinfo), so that one is read where a wait does no harm.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import NamedTuple

Fact = tuple[str, str]

_CLOCKS = {0: "realtime", 1: "monotonic", 7: "boottime", 8: "realtime_alarm", 9: "boottime_alarm"}
_EVENTS = (  # include/uapi/linux/inotify.h
    (0x1, "ACCESS"), (0x2, "MODIFY"), (0x4, "ATTRIB"), (0x8, "CLOSE_WRITE"), (0x10, "CLOSE_NOWRITE"), (0x20, "OPEN"),
    (0x40, "MOVED_FROM"), (0x80, "MOVED_TO"), (0x100, "CREATE"), (0x200, "DELETE"), (0x400, "DELETE_SELF"),
    (0x800, "MOVE_SELF"), (0x80000000, "ONESHOT"),
)
_OPCODES = {  # include/uapi/linux/io_uring.h, those that wait on something
    1: "READV", 2: "WRITEV", 6: "POLL_ADD", 9: "SENDMSG", 10: "RECVMSG", 11: "TIMEOUT", 13: "ACCEPT", 16: "CONNECT",
    22: "READ", 23: "WRITE", 26: "SEND", 27: "RECV", 47: "SEND_ZC", 48: "SENDMSG_ZC",
}


class FdInfo(NamedTuple):
    """The lines every file has, None where one is missing or garbled; and all others as (key, value) in order.

    `flags` are f_flags with O_CLOEXEC added, `mount_id` stands in /proc/PID/mountinfo. A line without a key has "".
    """

    position: int | None
    flags: int | None
    mount_id: int | None
    inode: int | None
    lines: tuple[tuple[bytes, bytes], ...]


def parse_fdinfo(text: bytes) -> FdInfo:
    """Split a file into its common fields and the rest."""
    common: dict[bytes, int | None] = {}
    lines: list[tuple[bytes, bytes]] = []
    for line in text.split(b"\n"):
        key, separator, value = line.partition(b":")
        if separator and key in _COMMON and key not in common:
            common[key] = _integer(value, _COMMON[key])
        elif line.strip():
            lines.append((key, value.strip()) if separator else (b"", line.strip()))
    return FdInfo(
        common.get(b"pos"), common.get(b"flags"), common.get(b"mnt_id"), common.get(b"ino"), tuple(lines)
    )


def facts(info: FdInfo) -> tuple[Fact, ...]:
    """Decode the lines that are a file's own, in their order: ("count", "3"), ("clock", "monotonic")."""
    found = list(_decoded(info.lines))
    watches = sum(1 for key, _ in info.lines if key == b"tfd")
    if watches:
        found.append(("watches", str(watches)))
    return tuple(found)


def _decoded(lines: tuple[tuple[bytes, bytes], ...]) -> Iterator[Fact]:
    section = ""
    for key, value in lines:
        name = key.strip()
        if name == b"tfd":
            continue
        if name.isdigit() or name.startswith(b"op=") or (not name and value.startswith(b"op=")):
            yield _entry(section, name, value)
            continue
        section = _text(name)
        decoder = _DECODERS.get(name)
        fact = decoder(value) if decoder else None
        if fact is None and name.startswith(b"fanotify "):
            fact = _fanotify(name, value)
        yield fact or (_plain_name(name), _text(value))


def _entry(section: str, name: bytes, value: bytes) -> Fact:
    """Decode a line within io_uring's lists: "    3: socket:[77]" or "  op=13, task_works=0"."""
    words = (name + b":" + value if name.startswith(b"op=") else value).split(b",")
    if words[0].startswith(b"op="):
        number = _integer(words[0][3:], 10)
        opcode = _OPCODES.get(number, str(number)) if number is not None else _text(words[0])
        return ("pending", opcode)
    return (_plain_name(section.encode()) or "line", f"{_text(name)}: {_text(value)}")


def _count(value: bytes) -> Fact | None:
    number = _integer(value, 16)
    return None if number is None else ("count", str(number))


def _clock(value: bytes) -> Fact | None:
    number = _integer(value, 10)
    return None if number is None else ("clock", _CLOCKS.get(number, str(number)))


def _settime(value: bytes) -> Fact | None:
    number = _integer(value, 8)
    return None if number is None else ("absolute", "yes" if number & 1 else "no")  # TFD_TIMER_ABSTIME


def _seconds(name: str) -> Callable[[bytes], Fact | None]:
    def decode(value: bytes) -> Fact | None:
        whole, _, rest = value.strip(b"() ").partition(b",")
        seconds, nanoseconds = _integer(whole, 10), _integer(rest, 10)
        if seconds is None or nanoseconds is None or not 0 <= nanoseconds < 1_000_000_000:
            return None
        return (name, f"{seconds}.{nanoseconds:09}".rstrip("0").rstrip("."))

    return decode


def _yes(name: str) -> Callable[[bytes], Fact | None]:
    def decode(value: bytes) -> Fact | None:
        number = _integer(value, 10)
        return None if number is None else (name, "yes" if number else "no")

    return decode


def _signals(value: bytes) -> Fact | None:
    mask = _integer(value, 16)
    if mask is None or mask >> 64:
        return None
    return ("signals", " ".join(_signal_name(number) for number in range(1, 65) if mask >> (number - 1) & 1) or "none")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _pid(value: bytes) -> Fact | None:
    """-1 is a process that has ended; 0 one that is in none of our pid namespaces (kernel/pid.c pidfd_show_fdinfo)."""
    number = _integer(value, 10)
    if number is None:
        return None
    return ("pid", "ended" if number == -1 else "outside" if number == 0 else str(number))


def _inotify(value: bytes) -> Fact | None:
    """Decode "1 ino:8011 sdev:800013 mask:800afce ignored_mask:0 fhandle-...": the rest of an "inotify wd" line."""
    words = value.split()
    fields = dict(word.partition(b":")[::2] for word in words[1:])
    mask = _integer(fields.get(b"mask", b""), 16)
    inode = _integer(fields.get(b"ino", b""), 16)
    if not words or mask is None or inode is None:
        return None
    events = "|".join(name for bit, name in _EVENTS if mask & bit) or "none"
    return ("watch", f"wd {_text(words[0])} inode {inode} {events}")


def _fanotify(name: bytes, value: bytes) -> Fact:
    """Keep a group's or a mark's line whole: what it marks is told by its first word (fs/notify/fdinfo.c)."""
    kind = name.removeprefix(b"fanotify ")
    return ("group" if kind == b"flags" else "mark", _text(kind + b":" + value))


def _integer(text: bytes, base: int) -> int | None:
    """Read a number of 64 bits as the kernel prints it. int() alone also takes underscores and huge texts."""
    digits = text.strip()
    if len(digits) > 32 or b"_" in digits:
        return None
    try:
        number = int(digits, base)
    except ValueError:
        return None
    return number if -(1 << 63) <= number < 1 << 64 else None


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _plain_name(name: bytes) -> str:
    """Bring "SqThreadCpu" and "eventfd-id" to the spelling of all other facts: sq_thread_cpu, eventfd_id."""
    text = _text(name)
    spelt = "".join(
        ("_" if at and char.isupper() and text[at - 1].islower() else "") + char.lower() for at, char in enumerate(text)
    )
    return spelt.replace("-", "_").replace(" ", "_") or "line"


_COMMON = {b"pos": 10, b"flags": 8, b"mnt_id": 10, b"ino": 10}
_DECODERS: dict[bytes, Callable[[bytes], Fact | None]] = {
    b"eventfd-count": _count, b"eventfd-semaphore": _yes("semaphore"), b"clockid": _clock, b"settime flags": _settime,
    b"it_value": _seconds("expires_in_s"), b"it_interval": _seconds("interval_s"), b"sigmask": _signals, b"Pid": _pid,
    b"inotify wd": _inotify,
}
