"""The tables that a thread takes early are those of the look, and its time is the look's; what fails is done again."""

from __future__ import annotations

import os
import socket
import time

import pytest

from sockscope.collect import early
from sockscope.collect.live import LiveSource
from sockscope.collect.tables import Tables
from sockscope.model.snapshot import Scope

TCP = Scope(protocols=frozenset({"tcp"}), timers=True)


def inodes_of(source: LiveSource, scope: Scope) -> set[int]:
    snapshot = source.snapshot(scope)
    source.close()
    return {row.inode for row in snapshot.sockets.values()}


@pytest.mark.parametrize("has_thread", [True, False])
def test_the_look_is_of_the_moment_it_began(monkeypatch: pytest.MonkeyPatch, *, has_thread: bool) -> None:
    def refused(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    if not has_thread:
        monkeypatch.setattr(early, "start_new_thread", refused)
    before = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)):
        source = LiveSource(only=TCP)
        after = time.monotonic()
        snapshot = source.snapshot(TCP)
        source.close()
    assert before <= snapshot.monotonic_s <= after
    assert snapshot.took_s > 0
    row = [row for row in snapshot.sockets.values() if row.state == "LISTEN"]
    assert any(holder.pid == os.getpid() for each in row for holder in snapshot.holders_of(each))


def test_another_scope_than_told_is_read_all_the_same() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        inode = os.fstat(one.fileno()).st_ino
        port = one.getsockname()[1]
        assert inode in inodes_of(LiveSource(only=Scope(frozenset({"udp"}))), TCP)
        assert inode in inodes_of(LiveSource(only=TCP), TCP)
        narrow = Scope(frozenset({"tcp"}), ports=((port, port),))
        assert inode in inodes_of(LiveSource(only=narrow), narrow)


def test_a_thread_that_failed_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    receive = Tables.receive

    def fails_once(self: Tables, scope: Scope) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise SystemExit  # which ends a thread without a word
        receive(self, scope)

    monkeypatch.setattr(Tables, "receive", fails_once)
    with socket.create_server(("127.0.0.1", 0)) as one:
        assert os.fstat(one.fileno()).st_ino in inodes_of(LiveSource(only=TCP), TCP)
