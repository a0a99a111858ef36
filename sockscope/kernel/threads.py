"""Threads of a process: state, and the system call each is blocked in (proc_pid_syscall(5), fs/proc/base.c).

Nothing here reads target memory or takes a lock that a stuck target could hold. A vanished thread is None, a file
that may not be read is None in its field, and `refused` says that it was for want of rights.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from sockscope.kernel.digits import hexadecimal, is_decimal, signed
from sockscope.kernel.gone import is_gone
from sockscope.kernel.malformed import MalformedError
from sockscope.kernel.proc_stat import StatRecord, parse_stat, read_file
from sockscope.kernel.syscalls import names

ASLEEP = ("S", "D")

# Waiting places that belong to one call only (names of 6.18; older kernels differ, so they are second-rate evidence).
# `wait_woken` is recv, send and connect alike, and is therefore no evidence of any.
_WCHAN_CALLS = (
    ("inet_csk_accept", "accept"), ("poll_schedule_timeout", "poll"), ("do_epoll_wait", "epoll_wait"),
    ("ep_poll", "epoll_wait"), ("futex_", "futex"), ("io_cqring_wait", "io_uring_enter"),
    ("unix_stream_read_generic", "recvfrom"), ("sock_alloc_send_pskb", "sendto"), ("sk_wait_data", "recvfrom"),
    ("sk_stream_wait_memory", "sendto"), ("__inet_stream_connect", "connect"), ("inet_wait_for_connect", "connect"),
    ("hrtimer_nanosleep", "clock_nanosleep"), ("do_nanosleep", "clock_nanosleep"), ("do_wait", "wait4"),
    ("sigsuspend", "rt_sigsuspend"), ("vsock_accept", "accept"),
)
# restart_syscall continues these after a stop and a continue; the arguments still stand in their registers.
_RESTARTED = frozenset({"poll", "futex", "clock_nanosleep"})


class Call(NamedTuple):
    """Decode a line of /proc/PID/task/TID/syscall. `number` is None while running, -1 outside any call."""

    number: int | None
    arguments: tuple[int, ...]
    foreign: bool = False  # stack and program counter below 4 GiB: a 32-bit program, whose calls have other numbers


class ThreadRecord(NamedTuple):
    """One thread as /proc shows it now. `call` as in model.process.Thread; `arguments` only with a believed call."""

    pid: int
    tid: int
    name: bytes
    state: str
    call: str | None
    call_source: str | None
    wchan: str | None
    arguments: tuple[int, ...] | None
    refused: bool
    foreign: bool = False
    switches: tuple[int, int] | None = None
    run_ns: int | None = None


def parse_syscall(text: bytes) -> Call | None:
    """Decode `running`, `-1 sp pc`, or `nr arg0..arg5 sp pc` (lib/syscall.c). None for anything else."""
    words = text.split()
    if words == [b"running"]:
        return Call(None, ())
    try:
        number = signed(words[0])
        values = tuple(hexadecimal(word) for word in words[1:])
    except (IndexError, MalformedError):
        return None
    if number < 0:
        return Call(-1, ())
    return Call(number, values[:6], max(values[6:]) < 1 << 32) if len(values) == 8 else None


def parse_switches(text: bytes) -> tuple[int, int] | None:
    """Voluntary and nonvoluntary context switches of /proc/PID/task/TID/status."""
    counts = []
    for key in (b"\nvoluntary_ctxt_switches:", b"\nnonvoluntary_ctxt_switches:"):
        _, found, rest = text.partition(key)
        word = rest.split(None, 1)[0] if found and rest.strip() else b""
        if not is_decimal(word):
            return None
        counts.append(int(word))
    return counts[0], counts[1]


def list_threads(pid: int) -> list[int]:
    """Thread ids in the kernel's order, oldest first; empty when the process is gone. Raises OSError."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task") if name.isdecimal()]  # noqa: PTH208 - 3x as fast
    except OSError as error:
        if is_gone(error):
            return []
        raise


def read_thread(pid: int, tid: int, *, counters: bool = False) -> ThreadRecord | None:
    """Read what the thread does now. `counters` adds context switches and schedstat. None when it is gone.

    Raises OSError and MalformedError where its state could not be read though it is there.

    The call line is read before the state: a call is believed only if the thread still sleeps after it was read.
    In a stopped thread (T, t) the old line still stands though nothing waits.
    """
    base = f"/proc/{pid}/task/{tid}"
    line, refused = _try_read(f"{base}/syscall")
    try:
        stat = parse_stat(read_file(f"{base}/stat"))
    except OSError as error:
        if is_gone(error):
            return None
        raise
    wchan = _read_wchan(base) if stat.state in ASLEEP else None
    parsed = parse_syscall(line) if line else None
    foreign = parsed is not None and parsed.foreign
    call, source, arguments = judge(stat, None if foreign else parsed, wchan)
    switches = run_ns = None
    if counters:
        switches = parse_switches(_try_read(f"{base}/status")[0] or b"")
        run_text = (_try_read(f"{base}/schedstat")[0] or b"").split()
        run_ns = int(run_text[0]) if run_text and is_decimal(run_text[0]) else None
    return ThreadRecord(
        pid, tid, stat.name, stat.state, call, source, wchan, arguments, refused, foreign, switches, run_ns
    )


Judged = tuple[str | None, str | None, tuple[int, ...] | None]


def judge(stat: StatRecord, line: Call | None, wchan: str | None) -> Judged:
    """(call, source, arguments) by kernel-facts 3.2: a line is believed only in S or D, and not of io_uring's own."""
    if stat.state == "R":
        return "running", None, None
    if stat.state not in ASLEEP:
        return "none", None, None
    if stat.name.startswith((b"iou-wrk-", b"iou-sqp-")) or wchan in ("io_wq_worker", "io_sq_thread"):
        return "none", None, None  # they show the line of the thread that made the ring
    if line is None:
        guess = _call_of_wchan(wchan)
        return guess, "wchan" if guess else None, None
    if line.number is None:
        return "running", "syscall", None
    if line.number < 0:
        return "none", "syscall", None
    name = names().get(line.number, f"syscall_{line.number}")
    if name == "restart_syscall":
        guess = _call_of_wchan(wchan)
        name = guess if guess in _RESTARTED else name
    return name, "syscall", line.arguments


def _call_of_wchan(wchan: str | None) -> str | None:
    """Give the only call that sleeps there; None where several do."""
    return next((call for prefix, call in _WCHAN_CALLS if wchan and wchan.startswith(prefix)), None)


def _read_wchan(base: str) -> str | None:
    """Read the kernel function slept in; None for "0": running, or we may not know."""
    text = (_try_read(f"{base}/wchan")[0] or b"").decode("latin-1").strip()
    return text if text not in ("", "0") else None


def _try_read(path: str) -> tuple[bytes | None, bool]:
    """(content, refused); (None, False) where the file is gone."""
    try:
        return read_file(path), False
    except OSError as error:
        return None, not is_gone(error)
