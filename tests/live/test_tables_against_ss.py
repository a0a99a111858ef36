"""Every row of hundreds of mixed sockets is what ss says, and every holder what ss and lsof say."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from live.mixed_sockets import SsRow, lsof_holders, open_mixed, socket_inodes, ss_rows

from sockscope.collect.live import LiveSource
from sockscope.model.snapshot import Scope, Snapshot
from sockscope.model.socket import Endpoint, Socket

Looks: TypeAlias = tuple[set[int], Snapshot, dict[str, list[SsRow]], dict[int, set[tuple[int, int]]], dict[int, set[int]]]


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Looks]:
    """The sockets' inodes, a snapshot of them, and what ss and lsof say meanwhile."""
    with contextlib.ExitStack() as stack:
        opened = open_mixed(stack, tmp_path_factory.mktemp("s"))
        inodes = {os.fstat(one.fileno()).st_ino for one in opened}
        source = LiveSource()
        stack.callback(source.close)
        snapshot = settled(source, inodes)
        told = {kind: ss_rows(kind) for kind in "tux"}
        yield inodes, snapshot, told, lsof_holders([os.getpid()]), socket_inodes(os.getpid())


def settled(source: LiveSource, inodes: set[int]) -> Snapshot:
    """Look until the last FIN and data are acknowledged (delayed acknowledgements take up to 40 ms)."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        snapshot = source.snapshot(Scope())
        mine = [socket for socket in snapshot.sockets.values() if socket.inode in inodes and socket.protocol == "tcp"]
        if not any(socket.state == "FIN_WAIT1" or (socket.timer and socket.timer.kind == "retransmit") for socket in mine):
            return source.snapshot(Scope())
    raise AssertionError("never settled")


def by_inode(snapshot: Snapshot) -> dict[int, Socket]:
    return {socket.inode: socket for socket in snapshot.sockets.values() if socket.inode}


def text(endpoint: Endpoint | None, family: str) -> str:
    """An endpoint as ss prints it."""
    if endpoint is None:
        return "0.0.0.0:*" if family == "inet" else "[::]:*"
    address = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
    return f"{address}:{endpoint.port or '*'}"


def test_there_are_hundreds(looks: Looks) -> None:
    inodes, snapshot, _, _, _ = looks
    assert len(inodes) >= 300
    assert inodes <= by_inode(snapshot).keys()
    assert [gap for gap in snapshot.gaps if gap.what in {"tcp", "udp", "unix", "unlisted"}] == []


@pytest.mark.parametrize("kind", ["t", "u"])
def test_inet_rows_equal_ss(looks: Looks, kind: str) -> None:
    inodes, snapshot, told, _, _ = looks
    rows = {row.cookie: row for row in told[kind] if row.inode in inodes}
    assert len(rows) >= 50
    ours = {socket.cookie: socket for socket in snapshot.sockets.values() if socket.cookie is not None}
    for cookie, row in rows.items():
        socket = ours[cookie or 0]
        assert (socket.state, socket.receive_queued, socket.send_queued) == (row.state, row.receive, row.send), row
        assert (socket.inode, socket.uid) == (row.inode, row.uid)
        remote = "*:*" if "*:*" in (row.remote, row.local) else text(socket.remote, socket.family)
        assert remote == row.remote
        if not row.local.startswith("*:"):
            assert text(socket.local, socket.family) == row.local
        assert memory_of(socket) == row.memory


def test_rows_without_a_file_equal_ss(looks: Looks) -> None:
    """Connections not yet accepted: ss and we show the same rows, with inode 0 and nobody holding them."""
    _, snapshot, told, _, _ = looks
    mine = {socket.local.port for socket in snapshot.sockets.values()
            if socket.state == "LISTEN" and held_by_us(snapshot, socket)}
    theirs = {row.cookie: row for row in told["t"] if not row.inode and int(row.local.rpartition(":")[2]) in mine}
    ours = {socket.cookie: socket for socket in snapshot.sockets.values()
            if socket.protocol == "tcp" and not socket.inode and socket.local.port in mine}
    assert len(theirs) >= 7
    assert ours.keys() == theirs.keys()
    for cookie, socket in ours.items():
        assert (socket.state, socket.receive_queued) == (theirs[cookie].state, theirs[cookie].receive)
        assert snapshot.holders_of(socket) == ()


def test_unix_rows_equal_ss(looks: Looks) -> None:
    inodes, snapshot, told, _, _ = looks
    ours = by_inode(snapshot)
    rows: list[SsRow] = [row for row in told["x"] if row.inode in inodes]
    assert len(rows) >= 100
    for row in rows:
        socket = ours[row.inode]
        assert (socket.state, socket.receive_queued, socket.send_queued) == (row.state, row.receive, row.send), row
        name = socket.local.path
        assert row.local == ("*" if name is None else ("@" if socket.local.abstract else "") + name.decode())
        assert memory_of(socket) == row.memory


def test_unix_peers_and_waiting_clients_are_known(looks: Looks) -> None:
    inodes, snapshot, _, _, _ = looks
    ours = by_inode(snapshot)
    pairs = [one for one in ours.values() if one.inode in inodes and one.family == "unix" and one.peer_inode]
    assert len(pairs) >= 40
    for one in pairs:
        if one.type != "dgram":
            assert ours[one.peer_inode or 0].peer_inode == one.inode
    waiting = [one for one in ours.values() if one.inode in inodes and one.waiting_clients]
    assert len(waiting) == 4 * 7
    assert all(set(one.waiting_clients or ()) <= inodes for one in waiting)


def test_every_holder_is_what_lsof_and_proc_say(looks: Looks) -> None:
    inodes, snapshot, told, lsof, fds = looks
    for inode in inodes:
        mine = {(holder.pid, holder.fd) for holder in snapshot.holders[inode]}
        assert mine == lsof[inode] == {(os.getpid(), fd) for fd in fds[inode]}
    for row in (row for kind in "tux" for row in told[kind] if row.inode in inodes):
        assert {(holder.pid, holder.fd) for holder in snapshot.holders[row.inode]} == row.holders


def test_bound_only_and_unbound_tcp_have_rows(looks: Looks) -> None:
    """ss of its day shows neither; the kernel tells bound ones when asked, and the holders' scan finds the others."""
    inodes, snapshot, told, _, _ = looks
    told_inodes = {row.inode for kind in "tux" for row in told[kind]}
    hidden = [one for one in by_inode(snapshot).values() if one.inode in inodes and one.inode not in told_inodes]
    assert {one.state for one in hidden} == {"CLOSE"}
    assert sum(one.protocol == "tcp" and one.local.port is not None for one in hidden) == 14
    assert sum(one.protocol == "tcp" and one.local == Endpoint() for one in hidden) == 28
    assert sum(one.protocol == "udp" and one.local == Endpoint() for one in hidden) == 28


def test_text_tables_agree_with_netlink(looks: Looks) -> None:
    """`--source proc`: the same sockets, states, queues and uids, as far as the text has them, and it says so."""
    inodes, snapshot, _, _, _ = looks
    source = LiveSource(None)
    source.snapshot(Scope())  # with very many sockets only a second look tells closed ones from young ones
    text_snapshot = source.snapshot(Scope())
    source.close()
    assert {what: text_snapshot.sources[what] for what in ("tcp", "udp", "unix")} == dict.fromkeys(
        ("tcp", "udp", "unix"), "proc",
    )
    assert {gap.what for gap in text_snapshot.gaps if gap.reason == "fallback"} == {"tcp", "udp", "unix"}
    full, plain = by_inode(snapshot), by_inode(text_snapshot)
    for inode in inodes & plain.keys():
        one, other = full[inode], plain[inode]
        assert what(one) == what(other)
        assert one.local == other.local or one.local.port is not None, (one, other)
        if one.is_inet:
            assert other.receive_queued in (one.receive_queued, None)
            assert other.uid in (one.uid, None)
    assert inodes <= plain.keys()


def held_by_us(snapshot: Snapshot, socket: Socket) -> bool:
    return any(holder.pid == os.getpid() for holder in snapshot.holders_of(socket))


def what(socket: Socket) -> tuple[str, str, str, str]:
    return (socket.state, socket.family, socket.protocol, socket.type)


def memory_of(socket: Socket) -> tuple[int, ...] | None:
    memory = socket.memory
    if memory is None:
        return None
    return (memory.receive_alloc, memory.receive_buffer, memory.send_alloc, memory.send_buffer, memory.forward_alloc,
            memory.send_queued, memory.option, memory.backlog, memory.drops)


def test_paths_are_the_names_given(looks: Looks, tmp_path_factory: pytest.TempPathFactory) -> None:
    _, snapshot, _, _, _ = looks
    folder = Path(tmp_path_factory.getbasetemp())
    paths = {one.local.path for one in snapshot.sockets.values() if one.local.path and not one.local.abstract}
    assert any(path.startswith(bytes(folder)) for path in paths)
