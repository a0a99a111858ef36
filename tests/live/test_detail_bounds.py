"""Hostile sizes and moving targets: answers stay right, reads stay bounded, and what was left out is said."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest
from live.hostile import CHANGING, LARGE, MANY_THREADS
from live.targets import by_inode, look, read_one_process, read_socket, target, value_of, wait_for

from sockscope.collect import process_look
from sockscope.collect.deep import read_deep
from sockscope.collect.detail import LiveDetailReader
from sockscope.collect.expendable import Expendable
from sockscope.kernel.threads import read_thread
from sockscope.model.detail import ON_DEMAND, ProcessDetail, SocketDetail, Wanted


@pytest.fixture
def helper() -> Iterator[Expendable]:
    made = Expendable()
    yield made
    made.close()


def test_a_changing_pollfd_array_is_never_torn(helper: Expendable) -> None:
    """Both arrays are seen, and nothing that is neither."""
    with target(CHANGING) as server:
        answers = []
        for _ in range(5_000):
            found = helper.ask("memory", "key", "poll_set", server.pid, server["tid"])
            if found is not None:
                answers.append({fd for fd, _ in found[1]})
        assert all(fds in ({server["a"]}, {server["b"]}) for fds in answers)
        assert {server["a"]} in answers and {server["b"]} in answers


def test_a_thousand_threads_are_read_and_the_budget_is_kept() -> None:
    with target(MANY_THREADS) as server:
        threads = value_of(read_one_process(server.pid, frozenset({"threads"})).threads)
        assert len(threads) == 1_001
        assert sum(thread.call == "futex" for thread in threads) == 999
        (waiter,) = value_of(read_socket(server["inode"], frozenset({"waiters"})).waiters)
        assert waiter.call in {"accept", "accept4"}
        hurried = read_one_process(server.pid, frozenset({"threads"}), budget_s=0.002).threads
        assert hurried is not None and hurried.gap is not None
        assert hurried.gap.reason == "over_budget" and 0 < hurried.gap.count <= 1_001


def test_large_epoll_sets_are_read_once_and_then_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    with target("COUNT = 3000\n" + LARGE) as server:
        reader = LiveDetailReader(probe=True)
        facets = frozenset({"watches", "waiters"})
        try:
            assert len(value_of(read_socket(server["inode"], facets, reader).watches)) == 1
            again = read_socket(server["inode"], facets, reader)
            assert len(value_of(again.watches)) == 1, "a moment later it is still known"
            monkeypatch.setattr(process_look, "LARGE_SET_KEPT_S", 0.0)
            later = read_socket(server["inode"], facets, reader)
            assert later.watches is not None and later.watches.gap is not None
            assert later.watches.value is None and later.watches.gap.reason == "over_budget"
            assert later.waiters is not None and later.waiters.value is None  # "nobody" would be a guess
            asked = read_socket(server["inode"], facets | {ON_DEMAND}, reader)
            assert len(value_of(asked.watches)) == 1 and len(value_of(asked.waiters)) == 1
        finally:
            reader.close()


def test_fifty_thousand_watches() -> None:
    """Every one is there, and none of the parser's lines is lost at a buffer's end."""
    with target("COUNT = 50000\n" + LARGE) as server:
        start_s = time.monotonic()
        detail = read_one_process(server.pid, frozenset({"watches", ON_DEMAND}))
        watches = value_of(detail.watches)
        print(f"{len(watches):,} watches read in {time.monotonic() - start_s:.2f} s")
        for child in server["children"]:
            os.kill(child, signal.SIGKILL)
        assert len(watches) == server["count"]
        assert {watch.epoll_fd for watch in watches} == {server["set"]}


def test_deep_reads_everything_once() -> None:
    code = """
l = listener(); held = []
for _ in range(300):
    c = socket.create_connection(l.getsockname()); held.append((c, l.accept()[0]))
e = select.epoll()
for c, s in held: e.register(s, select.EPOLLIN)
thread(e.poll); thread(l.accept)
tell(clients=[inode(c) for c, _ in held], servers=[inode(s) for _, s in held], listener=inode(l)); stay()
"""
    with target(code) as server:
        snapshot = look()
        wanted = [by_inode(snapshot, inode) for inode in [server["listener"], *server["servers"], *server["clients"]]]
        start_s = time.monotonic()
        details, gaps = read_deep(snapshot, wanted)
        print(f"--deep of {len(wanted)} sockets took {time.monotonic() - start_s:.2f} s")
        assert len(details) == 601 and gaps == ()
        for socket in wanted:
            detail = details[socket.key]
            waiters = {waiter.via for waiter in value_of(detail.waiters)}
            expected = {"direct"} if socket.is_listener else {"epoll"} if socket.inode in server["servers"] else set()
            assert waiters == expected
            assert value_of(detail.marks).receive_lowat == 1 and value_of(detail.tcp).state in {1, 10}


def test_a_process_that_goes_in_between_is_no_error() -> None:
    with target("s = listener(); thread(s.accept); tell(inode=inode(s)); stay()") as server:
        snapshot = look()
        key = by_inode(snapshot, server["inode"]).key
    reader = LiveDetailReader(probe=True)
    wanted = Wanted(1, sockets=(key,), processes=(server.pid,), facets=frozenset({"tcp", "marks", "waiters", "fds"}))
    found = list(reader.read(wanted, snapshot, lambda: False))
    reader.close()
    process, detail = found
    assert isinstance(process, ProcessDetail) and process.process is not None and process.process.gap is not None
    assert (process.process.gap.reason, process.fds) == ("vanished", None)
    assert isinstance(detail, SocketDetail) and detail.tcp is not None and detail.marks is not None
    assert detail.tcp.value is None and detail.tcp.gap is not None and detail.tcp.gap.reason == "vanished"
    assert detail.marks.value is None and detail.marks.gap is not None and detail.marks.gap.reason == "vanished"


def test_stop_ends_a_read_between_keys() -> None:
    with target("held = [listener() for _ in range(5)]; tell(inodes=[inode(s) for s in held]); stay()") as server:
        snapshot = look()
        keys = tuple(by_inode(snapshot, inode).key for inode in server["inodes"])
        reader = LiveDetailReader(probe=True)
        asked = iter([False] * 2 + [True] * 99)
        seen = list(reader.read(Wanted(1, keys, facets=frozenset({"tcp"})), snapshot, lambda: next(asked)))
        reader.close()
        assert len(seen) == 2


def test_a_thread_that_is_gone_is_none() -> None:
    with target("tell(); stay()") as server:
        assert read_thread(server.pid, server.pid) is not None
    wait_for(lambda: read_thread(server.pid, server.pid) is None)
