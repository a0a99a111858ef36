"""/proc/PID/stat and the few lines of /proc/PID/status that cost no rights (proc_pid_stat(5), fs/proc/array.c)."""

from __future__ import annotations

import os
from typing import NamedTuple

from sockscope.kernel.digits import decimal
from sockscope.kernel.malformed import MalformedError

PF_KTHREAD = 0x00200000  # include/linux/sched.h
_READ_SIZE = 4096


class StatRecord(NamedTuple):
    """`start_ticks` counts clock ticks since boot: with the pid it names a process for as long as the machine is up."""

    name: bytes
    state: str
    parent_pid: int
    flags: int
    thread_count: int
    start_ticks: int


def parse_stat(line: bytes) -> StatRecord:
    """Decode one line. Raises MalformedError. A name may hold spaces, parentheses, newlines: the last ")" ends it."""
    opened, closed = line.find(b"("), line.rfind(b")")
    fields = line[closed + 2 :].split()
    if opened < 0 or closed < opened or len(fields) < 20:
        raise MalformedError("stat: not the fields of proc_pid_stat(5)")
    try:
        return StatRecord(
            line[opened + 1 : closed], fields[0].decode("ascii"), decimal(fields[1]), decimal(fields[6]),
            decimal(fields[17]), decimal(fields[19]),
        )
    except ValueError as error:
        raise MalformedError("stat: not the fields of proc_pid_stat(5)") from error


def read_stat(pid: int, root: str = "/proc") -> StatRecord | None:
    """Read the process's line, None if it is gone (or hidden by hidepid)."""
    try:
        return parse_stat(read_file(f"{root}/{pid}/stat"))
    except (OSError, MalformedError):
        return None


def read_file(path: str, limit: int = _READ_SIZE, dir_fd: int | None = None) -> bytes:
    """One read(2) of a small proc file. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        return os.read(fd, limit)
    finally:
        os.close(fd)
