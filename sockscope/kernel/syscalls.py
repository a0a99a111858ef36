"""System call numbers and names, for reading /proc/PID/task/TID/syscall and for the calls that os lacks.

x86_64 from arch/x86/entry/syscalls/syscall_64.tbl, aarch64 from scripts/syscall.tbl (its numbers were read, not run).
Only calls in which a thread can sleep are named: every other number reads as "syscall_N". 32-bit tasks on a 64-bit
kernel use other tables; /proc does not say so, and they are read with the native one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

X86_64: Mapping[int, str] = {
    0: "read", 1: "write", 7: "poll", 17: "pread64", 18: "pwrite64", 19: "readv", 20: "writev", 23: "select",
    34: "pause", 35: "nanosleep", 40: "sendfile", 42: "connect", 43: "accept", 44: "sendto", 45: "recvfrom",
    46: "sendmsg", 47: "recvmsg", 48: "shutdown", 3: "close", 16: "ioctl", 61: "wait4", 72: "fcntl", 73: "flock",
    74: "fsync", 75: "fdatasync", 128: "rt_sigtimedwait", 130: "rt_sigsuspend", 202: "futex", 208: "io_getevents",
    219: "restart_syscall", 230: "clock_nanosleep", 232: "epoll_wait", 247: "waitid", 270: "pselect6", 271: "ppoll",
    275: "splice", 276: "tee", 281: "epoll_pwait", 288: "accept4", 299: "recvmmsg", 307: "sendmmsg",
    333: "io_pgetevents", 426: "io_uring_enter", 441: "epoll_pwait2", 449: "futex_waitv", 455: "futex_wait",
    65: "semop", 70: "msgrcv", 69: "msgsnd", 220: "semtimedop", 243: "mq_timedreceive", 242: "mq_timedsend",
    2: "open", 257: "openat", 56: "clone", 57: "fork", 58: "vfork", 59: "execve", 435: "clone3", 9: "mmap",
    11: "munmap", 231: "exit_group",
}
AARCH64: Mapping[int, str] = {
    4: "io_getevents", 22: "epoll_pwait", 25: "fcntl", 29: "ioctl", 32: "flock", 56: "openat", 57: "close",
    63: "read", 64: "write", 65: "readv", 66: "writev", 67: "pread64", 68: "pwrite64", 71: "sendfile", 72: "pselect6",
    73: "ppoll", 76: "splice", 77: "tee", 82: "fsync", 83: "fdatasync", 94: "exit_group", 95: "waitid", 98: "futex",
    101: "nanosleep", 115: "clock_nanosleep", 128: "restart_syscall", 133: "rt_sigsuspend", 137: "rt_sigtimedwait",
    182: "mq_timedsend", 183: "mq_timedreceive", 188: "msgrcv", 189: "msgsnd", 192: "semtimedop", 193: "semop",
    202: "accept", 203: "connect", 206: "sendto", 207: "recvfrom", 210: "shutdown", 211: "sendmsg", 212: "recvmsg",
    215: "munmap", 220: "clone", 221: "execve", 222: "mmap", 242: "accept4", 243: "recvmmsg", 260: "wait4",
    269: "sendmmsg", 292: "io_pgetevents", 426: "io_uring_enter", 435: "clone3", 441: "epoll_pwait2",
    449: "futex_waitv", 455: "futex_wait",
}
TABLES: Mapping[str, Mapping[int, str]] = {"x86_64": X86_64, "aarch64": AARCH64, "arm64": AARCH64}

# The calls this project makes itself where os has no function.
_OWN: Mapping[str, Mapping[str, int]] = {
    "x86_64": {"process_vm_readv": 310, "kcmp": 312, "statx": 332, "pidfd_getfd": 438, "bpf": 321},
    "aarch64": {"process_vm_readv": 270, "kcmp": 272, "statx": 291, "pidfd_getfd": 438, "bpf": 280},
}

# arg0 is the fd the thread sleeps on. sendfile and splice name two: see `FD_PAIRS`.
ON_FD = frozenset({
    "read", "write", "readv", "writev", "pread64", "pwrite64", "recvfrom", "recvmsg", "recvmmsg", "sendto", "sendmsg",
    "sendmmsg", "accept", "accept4", "connect", "sendfile", "splice", "ioctl", "close", "shutdown", "fcntl", "flock",
    "fsync", "fdatasync",
})
FD_PAIRS: Mapping[str, int] = {"sendfile": 1, "splice": 2}  # which argument is the other fd
# Calls whose sleep on a socket means waiting for it: what ioctl, close or fcntl do there is no waiting for data.
SOCKET_WAITS = frozenset({
    "read", "write", "readv", "writev", "recvfrom", "recvmsg", "recvmmsg", "sendto", "sendmsg", "sendmmsg",
    "accept", "accept4", "connect", "sendfile", "splice",
})
POLLS = frozenset({"poll", "ppoll"})
SELECTS = frozenset({"select", "pselect6"})
EPOLLS = frozenset({"epoll_wait", "epoll_pwait", "epoll_pwait2"})


def names(machine: str | None = None) -> Mapping[int, str]:
    """Give the table of this machine (uname -m): empty where none is known, and then every call is "syscall_N"."""
    return TABLES.get(machine or os.uname().machine, {})


def own_number(name: str, machine: str | None = None) -> int | None:
    """Give the number of a call we make ourselves; None on a machine whose numbers are not known."""
    spelled = machine or os.uname().machine
    return _OWN.get("aarch64" if spelled == "arm64" else spelled, {}).get(name)
