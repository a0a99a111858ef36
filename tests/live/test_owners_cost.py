"""What a refresh costs, in system calls: a count per process, none per socket."""

# ruff: noqa: PTH208
from __future__ import annotations

import os
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sockscope.collect import owner_search
from sockscope.collect.owner_bpf import may_load
from sockscope.collect.owners import OwnerMap
from sockscope.kernel import task_file_records

CALLS = ("open", "close", "read", "readlink", "stat", "fstat", "listdir")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    counted: Counter[str] = Counter()

    def count(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            counted[name] += 1
            return real(*arguments, **named)

        return call

    for name in CALLS:
        monkeypatch.setattr(os, name, count(name, getattr(os, name)))
    return counted


@pytest.fixture
def crowd() -> Iterator[Callable[[int], int]]:
    """Start a process that holds so many sockets and then sleeps."""
    pids: list[int] = []

    def start(number: int) -> int:
        ready, done = os.pipe()
        pid = os.fork()
        if not pid:
            held = [socket.socketpair() for _ in range(number // 2)]
            os.write(done, bytes([len(held) > 0]))
            signal.pause()
            os._exit(0)
        assert os.read(ready, 1)
        os.close(ready)
        os.close(done)
        pids.append(pid)
        return pid

    yield start
    for pid in pids:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def idle_refresh(owners: OwnerMap, pid: int, calls: Counter[str]) -> Counter[str]:
    """The calls of a refresh in which nothing happened, after those in which the process was verified."""
    scope = frozenset({pid})
    inodes = set(owners.refresh((), scope).holders)
    for _ in range(20):
        owners.refresh(inodes, scope)
    calls.clear()
    owners.refresh(inodes, scope)
    return Counter(calls)


def test_an_idle_refresh_costs_the_same_with_ten_and_a_thousand_sockets(
    calls: Counter[str], crowd: Callable[[int], int],
) -> None:
    few = idle_refresh(OwnerMap(bpf=False), crowd(10), calls)
    many = idle_refresh(OwnerMap(bpf=False), crowd(1000), calls)
    assert few["readlink"] == many["readlink"] == 0, "a process that did not run needs no verification"
    assert sum(many.values()) <= sum(few.values()) + 6, "the facts may be due in one of them"
    assert sum(many.values()) <= 12


def test_a_closed_socket_costs_the_read_of_its_own_fd(calls: Counter[str]) -> None:
    pairs = [socket.socketpair() for _ in range(200)]
    owners = OwnerMap(bpf=False)
    scope = frozenset({os.getpid()})
    inodes = {os.fstat(one.fileno()).st_ino for pair in pairs for one in pair}
    owners.refresh(inodes, scope)
    gone = os.fstat(pairs[100][0].fileno()).st_ino
    left, right = socket.socketpair()
    os.dup2(left.fileno(), pairs[100][0].fileno())
    calls.clear()
    owners.refresh(inodes - {gone}, scope)
    assert gone not in owners.refresh(inodes - {gone}, scope).holders
    budget = len(os.listdir("/proc/self/fd")) - 400 + owner_search.VERIFY_BUDGET
    assert calls["readlink"] <= 2 * (budget + 4)
    for one in (left, right, *(one for pair in pairs for one in pair)):
        one.close()
    owners.close()


@pytest.mark.skipif(not may_load(), reason="no BPF")
def test_with_bpf_only_processes_that_changed_are_decoded(
    monkeypatch: pytest.MonkeyPatch, crowd: Callable[[int], int],
) -> None:
    decoded: list[int] = []

    def counted(records: bytes) -> dict[int, int]:
        decoded.append(len(records))
        return task_file_records.sockets_of(records)

    monkeypatch.setattr("sockscope.collect.owner_bpf.sockets_of", counted)
    owners = OwnerMap(bpf=True)
    holder = crowd(600)
    first = owners.refresh((), None)
    assert 600 * task_file_records.RECORD.size in decoded
    decoded.clear()
    crowd(10)
    second = owners.refresh((), None)
    assert 600 * task_file_records.RECORD.size not in decoded
    mine = [inode for inode, holders in second.holders.items() if holders[0].pid == holder]
    assert len(mine) == 600
    assert all(second.holders[inode] is first.holders[inode] for inode in mine), "unchanged values are shared"
    owners.close()
