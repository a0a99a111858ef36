"""The first look on a second core finds what one process alone finds, and a child that fails costs nothing but time."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockscope.collect import owner_fork, owners
from sockscope.collect.owner_bpf import may_load
from sockscope.collect.owners import OwnerMap, OwnerState
from sockscope.kernel.proc_fd import stat_fds

HOLD = """
import os, socket, sys
held = [socket.socket() for _ in range(30)]
print(*[os.fstat(one.fileno()).st_ino for one in held], flush=True)
for line in sys.stdin:
    held.append(socket.socket())
    print(os.fstat(held[-1].fileno()).st_ino, flush=True)
"""


@pytest.fixture(autouse=True)
def _always_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owners, "WORTH_FORK", 0)
    monkeypatch.setattr(owners, "idle_cores", lambda: 2)


@pytest.fixture
def targets() -> Iterator[list[tuple[subprocess.Popen[str], list[int]]]]:
    """Three processes, each with the inodes of thirty sockets."""
    running = [
        subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    yield [(one, inodes_told(one)) for one in running]
    for one in running:
        one.communicate()


def inodes_told(process: subprocess.Popen[str]) -> list[int]:
    assert process.stdout is not None
    return [int(word) for word in process.stdout.readline().split()]


def refresh(found: OwnerMap) -> OwnerState:
    state = found.refresh((), None)
    found.close()
    return state


@pytest.mark.parametrize("bpf", [False, True])
def test_all_holders_are_found_and_the_child_is_none_of_them(targets, *, bpf: bool) -> None:
    if bpf and not may_load():
        pytest.skip("BPF is not permitted here")
    before = children()
    with socket.socket() as own:
        found = OwnerMap(bpf=bpf)
        found.fork()
        assert found._forked is not None
        state = refresh(found)
        assert state.source == ("bpf" if bpf else "proc")
        inode = os.fstat(own.fileno()).st_ino
        assert [holder.pid for holder in state.holders[inode]] == [os.getpid()]
        for process, inodes in targets:
            assert {holder.pid for inode in inodes for holder in state.holders[inode]} == {process.pid}
            assert process.pid in state.processes
    assert children() == before, "no child is left"


def test_what_the_child_read_is_taken(targets, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = owner_fork.SharedScan([process.pid for process, _ in targets], "/proc")
    monkeypatch.setattr(owner_fork, "_claimed", lambda *_: iter(()))  # in this process alone: the child is at work
    found = scan.finish()
    assert {pid: (reading.directory, len(reading.sockets)) for pid, reading in found.items()} == {
        process.pid: (stat_fds(process.pid), len(inodes)) for process, inodes in targets
    }


def test_what_was_opened_meanwhile_is_found(targets) -> None:
    found = OwnerMap(bpf=False)
    found.fork()
    process, _ = targets[1]
    print(file=process.stdin, flush=True)
    (inode,) = inodes_told(process)
    assert [holder.pid for holder in refresh(found).holders[inode]] == [process.pid]


@pytest.mark.parametrize("bpf", [False, True])
def test_a_dead_child_costs_time_only(targets, *, bpf: bool) -> None:
    before = children()
    found = OwnerMap(bpf=bpf)
    found.fork()
    for pid in children() - before:
        os.kill(pid, signal.SIGKILL)
    state = refresh(found)
    for process, inodes in targets:
        assert {holder.pid for inode in inodes for holder in state.holders[inode]} == {process.pid}


def test_without_a_child_all_goes_on(targets, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> int:
        raise OSError(11, "no more processes")

    monkeypatch.setattr(os, "fork", refused)
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    found = OwnerMap(bpf=False)
    found.fork()
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    state = refresh(found)
    assert all(inode in state.holders for _, inodes in targets for inode in inodes)


def test_open_fds_are_counted_once_where_no_child_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(owners, "idle_cores", lambda: 1)

    def counts(*_: str) -> dict[int, int]:
        asked.append(1)
        return {}

    monkeypatch.setattr(owners, "_fd_counts", counts)
    found = OwnerMap()
    found.fork()
    assert refresh(found).source == "proc"
    assert len(asked) == 1


def test_close_ends_the_child() -> None:
    theirs = children()
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    found = OwnerMap(bpf=False)
    found.fork()
    found.close()
    assert children() == theirs
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def children() -> set[int]:
    """Every child of this process, dead ones that nobody waited for as well."""
    return {
        int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text("ascii").split()
    }


def test_pids_that_do_not_fit_into_the_pipe_are_left_to_the_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    make = os.pipe

    def small() -> tuple[int, int]:
        read, write = make()
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
        return read, write

    monkeypatch.setattr(os, "pipe", small)
    shared = owner_fork.SharedScan([os.getpid(), *range(1 << 25, (1 << 25) + 5_000)], "/proc")  # far above any pid
    assert list(shared.finish()) == [os.getpid()]
