"""Processes, their threads and their open files, as /proc shows them."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

ProcessKey: TypeAlias = tuple[int, int]  # (pid, start ticks): a pid alone is reused


class Process(Struct, frozen=True, gc=False):
    """A process. `name` is comm; `command` the NUL-joined command line, None unless it was asked for.

    `started_at` is seconds since the epoch. `fd_limit` is RLIMIT_NOFILE's soft limit. `container` is an id or name
    found in the cgroup's path, None where the cgroup tells of none.
    """

    pid: int
    start_ticks: int | None = None
    name: bytes | None = None
    parent_pid: int | None = None
    uid: int | None = None
    command: bytes | None = None
    cwd: bytes | None = None
    cgroup: bytes | None = None
    container: str | None = None
    started_at: float | None = None
    fd_count: int | None = None
    fd_limit: int | None = None
    thread_count: int | None = None
    netns: int | None = None

    @property
    def key(self) -> tuple[int, int | None]:
        """Identity across snapshots."""
        return (self.pid, self.start_ticks)


class Fd(Struct, frozen=True, gc=False):
    """One open fd of a process.

    kind: socket, file, directory, pipe, fifo, device, eventpoll, eventfd, timerfd, signalfd, memfd, io_uring,
    inotify, fanotify, pidfd, userfaultfd, perf_event, bpf, namespace, deleted, anon (any other anon_inode).
    `target` is the link's text as readlink gives it. `flags` is fdinfo's octal field (O_NONBLOCK, O_CLOEXEC and the
    access mode in it), `position` its `pos`; both None where fdinfo was not read. `inode` is the socket's or pipe's.
    `facts` are fdinfo's further lines, decoded to (name, value) pairs in fdinfo's order.
    """

    pid: int
    fd: int
    kind: str
    target: bytes
    inode: int | None = None
    flags: int | None = None
    position: int | None = None
    facts: tuple[tuple[str, str], ...] | None = None


class Thread(Struct, frozen=True, gc=False):
    """One thread: its state letter (R S D T Z...) and, where permitted, the system call it is blocked in.

    `call` is the call's name, "running" while on CPU, "none" when stopped outside any call, None when not readable.
    `call_source` says how it was learnt: syscall, wchan. `on_fd` is the fd it waits on where the call names one;
    `on_fds` the fds of a poll or select set with the events asked for (poll's bits).
    """

    pid: int
    tid: int
    name: bytes
    state: str
    call: str | None = None
    call_source: str | None = None
    wchan: str | None = None
    on_fd: int | None = None
    on_fds: tuple[tuple[int, int], ...] | None = None
    switches: tuple[int, int] | None = None  # voluntary, nonvoluntary
    run_ns: int | None = None  # schedstat's first field: unchanged = it did not run
