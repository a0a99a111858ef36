"""Threads of a process: state, and the system call each is blocked in (proc_pid_syscall(5), fs/proc/base.c).

Nothing here reads target memory or takes a lock that a stuck target could hold. A vanished thread is None, a file
that may not be read is None in its field, and `refused` says that it was for want of rights.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from sockscope.kernel.syscalls import names

READ_SIZE = 4096  # every file here is shorter
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
    switches: tuple[int, int] | None = None
    run_ns: int | None = None


class Stat(NamedTuple):
    """The fields of /proc/PID/stat that matter here; `start_ticks` is since boot, in clock ticks."""

    name: bytes
    state: str
    start_ticks: int


def read_bytes(path: str, limit: int = READ_SIZE) -> bytes:
    """One read(2) of a small proc file. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, limit)
    finally:
        os.close(fd)


def parse_stat(text: bytes) -> Stat | None:
    """Decode a line of /proc/PID/stat; comm may hold spaces and brackets, so the last bracket ends it."""
    left, right = text.find(b"("), text.rfind(b")")
    fields = text[right + 1 :].split()
    if left < 0 or right < left or len(fields) < 20 or not fields[19].isdigit():
        return None
    return Stat(text[left + 1 : right], fields[0].decode("latin-1"), int(fields[19]))


def parse_syscall(text: bytes) -> Call | None:
    """Decode `running`, `-1 sp pc`, or `nr arg0..arg5 sp pc` (lib/syscall.c). None for anything else."""
    words = text.split()
    if words == [b"running"]:
        return Call(None, ())
    try:
        number = int(words[0])
        arguments = tuple(int(word, 16) for word in words[1:7])
    except (IndexError, ValueError):
        return None
    if number < 0:
        return Call(-1, ())
    return Call(number, arguments) if len(arguments) == 6 and len(words) == 9 else None


def parse_switches(text: bytes) -> tuple[int, int] | None:
    """Voluntary and nonvoluntary context switches of /proc/PID/task/TID/status."""
    counts = []
    for key in (b"\nvoluntary_ctxt_switches:", b"\nnonvoluntary_ctxt_switches:"):
        _, found, rest = text.partition(key)
        word = rest.split(None, 1)[0] if found and rest.strip() else b""
        if not word.isdigit():
            return None
        counts.append(int(word))
    return counts[0], counts[1]


def list_threads(pid: int) -> list[int]:
    """Thread ids in the kernel's order, oldest first; empty when the process is gone."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]  # noqa: PTH208 - 3x as fast
    except OSError:
        return []


def read_stat(pid: int) -> Stat | None:
    """Read a process' stat: its name, state and start time. None when it is gone."""
    try:
        return parse_stat(read_bytes(f"/proc/{pid}/stat"))
    except OSError:
        return None


def read_thread(pid: int, tid: int, *, counters: bool = False) -> ThreadRecord | None:
    """Read what the thread does now. `counters` adds context switches and schedstat. None when it is gone.

    The call line is read before the state: a call is believed only if the thread still sleeps after it was read.
    In a stopped thread (T, t) the old line still stands though nothing waits.
    """
    base = f"/proc/{pid}/task/{tid}"
    line, refused = _try_read(f"{base}/syscall")
    stat_text, _ = _try_read(f"{base}/stat")
    stat = parse_stat(stat_text) if stat_text else None
    if stat is None:
        return None
    wchan = _read_wchan(base) if stat.state in ASLEEP else None
    call, source, arguments = judge(stat, parse_syscall(line) if line else None, wchan)
    switches = run_ns = None
    if counters:
        switches = parse_switches(_try_read(f"{base}/status")[0] or b"")
        run_text = (_try_read(f"{base}/schedstat")[0] or b"").split()
        run_ns = int(run_text[0]) if run_text and run_text[0].isdigit() else None
    return ThreadRecord(pid, tid, stat.name, stat.state, call, source, wchan, arguments, refused, switches, run_ns)


def iter_threads(pid: int, *, counters: bool = False) -> Iterator[ThreadRecord]:
    """Every thread of a process, one at a time: 1,000 threads cost 60 ms, so callers look at the clock between."""
    for tid in list_threads(pid):
        record = read_thread(pid, tid, counters=counters)
        if record is not None:
            yield record


def judge(stat: Stat, line: Call | None, wchan: str | None) -> tuple[str | None, str | None, tuple[int, ...] | None]:
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
    """(content, refused)."""
    try:
        return read_bytes(path), False
    except PermissionError:
        return None, True
    except OSError:
        return None, False
