"""What is read beside the dump on a quiet machine misses nothing: who comes is held at once, who was bound is not lost."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from sockscope.collect.beside import Beside
from sockscope.collect.live import LiveSource
from sockscope.model.snapshot import Scope, Snapshot
from sockscope.model.socket import Holder, Socket

TCP = Scope(protocols=frozenset({"tcp"}), namespaces=False)


@pytest.fixture
def source() -> Iterator[LiveSource]:
    """A source that always reads beside, as on a machine where nothing else goes on."""
    made = LiveSource()
    made._owners._bpf = True  # however few fds are open here
    yield made
    made.close()


def beside(source: LiveSource) -> Snapshot:
    """Take a look with all that can be read beside, other processes here may do what they want."""
    source._is_quiet = source._wants_bound = True
    return source.snapshot(TCP)


def row_of(snapshot: Snapshot, made: socket.socket) -> Socket | None:
    inode = os.fstat(made.fileno()).st_ino
    return next((row for row in snapshot.sockets.values() if row.inode == inode), None)


def test_a_socket_that_comes_has_its_holder_at_once(source: LiveSource, monkeypatch: pytest.MonkeyPatch) -> None:
    class Early(Beside[bytes | None]):
        """Ended before the dump begins, so that all that comes then is missing in it."""

        def begin(self, work) -> None:
            super().begin(work)
            self.early = super().result()
            made.append(socket.create_server(("127.0.0.1", 0)))

        def result(self) -> bytes | None:
            return self.early

    made: list[socket.socket] = []
    monkeypatch.setattr(source, "_beside", Early())
    if beside(source).sources["owners"] != "bpf":
        pytest.skip("BPF is not permitted here")
    for _ in range(5):
        snapshot = beside(source)
        row = row_of(snapshot, made[-1])
        assert row is not None
        assert Holder(os.getpid(), made[-1].fileno()) in snapshot.holders_of(row)
    assert len(made) >= 5
    for one in made:
        one.close()


def test_a_bound_socket_is_followed_into_the_table_and_out(source: LiveSource) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.bind(("127.0.0.1", 0))
        row = row_of(beside(source), client)
        if row is None or row.local.port == 0:
            pytest.skip("this kernel does not report bound sockets")
        assert (row.state, row.local.port) == ("CLOSE", client.getsockname()[1])
        key = row.key
        beside(source)
        client.connect(server.getsockname())
        for _ in range(3):
            row = row_of(beside(source), client)
            assert row is not None
            assert (row.key, row.state) == (key, "ESTABLISHED")
        client.close()
        assert key not in {found for found, row in beside(source).sockets.items() if row.inode}


def test_a_socket_that_connects_behind_both_is_found_in_the_same_look(
    source: LiveSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.bind(("127.0.0.1", 0))
        found = row_of(beside(source), client)
        if found is None or found.local.port == 0:
            pytest.skip("this kernel does not report bound sockets")
        tables = source._tables
        read_bound, decode = tables.read_bound, tables.decode

        def first_the_tables(scope: Scope) -> None:
            monkeypatch.undo()
            decode(scope)
            client.connect(server.getsockname())
            read_bound(scope)

        monkeypatch.setattr(tables, "read_bound", lambda _: None)
        monkeypatch.setattr(tables, "decode", first_the_tables)
        if not source._owners.can_read_ahead:
            pytest.skip("BPF is not permitted here")
        row = row_of(beside(source), client)
        assert row is not None
        assert (row.key, row.state) == (found.key, "ESTABLISHED")


def test_bound_sockets_are_asked_for_only_where_there_may_be_some(
    source: LiveSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    tables = source._tables
    read_bound = tables.read_bound

    def asks(scope: Scope) -> None:
        asked.append(1)
        read_bound(scope)

    monkeypatch.setattr(tables, "read_bound", asks)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        row = row_of(source.snapshot(TCP), one)
        assert row is not None
        if row.local.port is None:
            pytest.skip("this kernel does not report bound sockets")
        assert row.local.port == one.getsockname()[1], "the first look has it"
        assert row_of(source.snapshot(TCP), one) is row
        assert len(asked) == 2
    # Whatever other processes here hold: no socket is left out by the tables, then.
    monkeypatch.setattr(source._unlisted, "find", lambda *_, **__: ({}, ()))
    source.snapshot(TCP)
    source._wants_bound = False
    asked.clear()
    bound = tables.bound
    assert bound is not None
    monkeypatch.setattr(bound, "sockets", {})
    for _ in range(16):
        source.snapshot(TCP)
    assert len(asked) <= 4, "now and then, not at each look"


def test_a_socket_that_is_bound_later_is_seen_by_the_second_look(source: LiveSource) -> None:
    source.snapshot(TCP)
    source.snapshot(TCP)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        source.snapshot(TCP)
        row = row_of(source.snapshot(TCP), one)
        assert row is not None
        assert row.state == "CLOSE"
        if row.local.port is None:
            pytest.skip("this kernel does not report bound sockets")
        assert row.local.port == one.getsockname()[1]


def test_the_thread_beside_ends_and_is_not_needed() -> None:
    with_thread: Beside[int] = Beside()
    with_thread.begin(lambda: 1)
    assert with_thread.result() == 1
    assert with_thread._thread is not None
    with_thread.close()
    with_thread._thread.join(30)
    assert not with_thread._thread.is_alive()
    with_thread.begin(lambda: 2)
    assert with_thread.result() == 2, "closed meanwhile: it is done all the same"


def test_the_cores_we_may_run_on_are_ours_again_after_each_look(source: LiveSource) -> None:
    allowed = os.sched_getaffinity(0)
    for _ in range(4):
        beside(source)
        assert os.sched_getaffinity(0) == allowed
