"""Scenes whose rows are known beforehand: a pre-forked listener, a port, closed fds, netlink refused, no rights."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live.mixed_sockets import lsof_holders, ss_rows

from sockscope.collect.live import LiveSource
from sockscope.collect.plans import ORDER
from sockscope.collect.sources import open_source
from sockscope.kernel import sock_diag
from sockscope.kernel.inet_rows import InetRows
from sockscope.kernel.netlink import Netlink, NetlinkError
from sockscope.kernel.unix_rows import UnixRows
from sockscope.model.snapshot import Scope, Snapshot
from sockscope.model.socket import Endpoint, Socket
from sockscope.model.source import SourceLostError


@pytest.fixture
def source() -> Iterator[LiveSource]:
    with contextlib.closing(LiveSource()) as one:
        yield one


@pytest.fixture
def preforked() -> Iterator[tuple[int, list[int], list[socket.socket]]]:
    """A listener with backlog 7, held by three processes that sleep, and five clients that nobody accepts."""
    listener = quiet_listener(backlog=7)
    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            signal.pause()
            os._exit(0)
        children.append(pid)
    port = listener.getsockname()[1]
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
    listener.close()
    try:
        yield port, children, clients
    finally:
        for client in clients:
            client.close()
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def quiet_listener(backlog: int) -> socket.socket:
    """A listener whose port no older connection names: TIME_WAIT rows of other tests have ports at either end."""
    while True:
        listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        tables = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
        if tables.count(f":{listener.getsockname()[1]:04X} ") == 1:
            return listener
        listener.close()


def look(source: LiveSource, scope: Scope) -> Snapshot:
    """Look; once more where the machine has so many sockets that only a second look tells closed from young ones."""
    snapshot = source.snapshot(scope)
    return source.snapshot(scope) if any(gap.what == "unlisted" for gap in snapshot.gaps) else snapshot


def at_port(snapshot: Snapshot, port: int) -> list[Socket]:
    return [one for one in snapshot.sockets.values()
            if port in (one.local.port, one.remote.port if one.remote else None)]


def holders(snapshot: Snapshot, one: Socket) -> set[tuple[int, int]]:
    return {(holder.pid, holder.fd) for holder in snapshot.holders_of(one)}


@pytest.mark.parametrize("scope", ["everything", "port"])
def test_preforked_listener(
    source: LiveSource, preforked: tuple[int, list[int], list[socket.socket]], scope: str,
) -> None:
    port, children, clients = preforked
    snapshot = source.snapshot(Scope(ports=((port, port),) if scope == "port" else None))
    rows = at_port(snapshot, port)
    if scope == "port":
        assert rows == list(snapshot.sockets.values())
    listeners = [one for one in rows if one.state == "LISTEN"]
    assert [(one.receive_queued, one.send_queued) for one in listeners] == [(5, 7)]
    lsof = lsof_holders([os.getpid(), *children])
    assert holders(snapshot, listeners[0]) == lsof[listeners[0].inode]
    assert {holder.pid for holder in snapshot.holders_of(listeners[0])} == set(children)
    assert all(snapshot.processes[pid].name for pid in children)
    waiting = [one for one in rows if one.state == "ESTABLISHED" and one.local.port == port]
    assert [(one.inode, snapshot.holders_of(one)) for one in waiting] == [(0, ())] * 5
    ours = [one for one in rows if one.remote and one.remote.port == port]
    assert sorted(holders(snapshot, one).pop() for one in ours) == sorted(
        (os.getpid(), client.fileno()) for client in clients
    )
    told = {row.cookie: row for row in ss_rows("t") if str(port) in (row.local.split(":")[-1], row.remote.split(":")[-1])}
    assert told.keys() == {one.cookie for one in rows}
    for one in rows:
        row = told[one.cookie]
        assert (one.receive_queued, one.send_queued) == (row.receive, row.send)
        assert holders(snapshot, one) == row.holders


def test_ports_match_either_end_in_text_too(preforked: tuple[int, list[int], list[socket.socket]]) -> None:
    port, _, _ = preforked
    with contextlib.closing(LiveSource(None)) as source:
        rows = list(source.snapshot(Scope(ports=((port, port),))).sockets.values())
    assert sorted(one.state for one in rows) == ["ESTABLISHED"] * 10 + ["LISTEN"]


def test_several_port_ranges(source: LiveSource) -> None:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(5)]
    ports = [one.getsockname()[1] for one in listeners]
    snapshot = source.snapshot(Scope(ports=tuple((port, port) for port in ports[:4])))
    found = {one.local.port for one in snapshot.sockets.values() if one.state == "LISTEN"}
    assert set(ports[:4]) <= found
    assert ports[4] not in found
    for one in listeners:
        one.close()


def test_closed_connection_keeps_a_row(source: LiveSource) -> None:
    """A socket that was reset is in no table any more while its fd is open: named by its protocol, with its holder."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        inode = os.fstat(server.fileno()).st_ino
        one = by_inode(look(source, Scope()))[inode]
        assert (one.protocol, one.state, one.local, one.remote) == ("tcp", "CLOSE", Endpoint(), None)
        assert (one.receive_queued, one.memory, one.cookie) == (None, None, None)
        later = source.snapshot(Scope())
        assert holders(later, by_inode(later)[inode]) == {(os.getpid(), server.fileno())}
        server.close()
        assert inode not in by_inode(source.snapshot(Scope()))


def test_other_families_are_read_when_asked(source: LiveSource) -> None:
    opened = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136)]
    opened[0].bind(("127.0.0.1", 0))
    expected = {opened[0].fileno(): "udplite"}
    for name, arguments in {
        "mptcp": (socket.AF_INET, socket.SOCK_STREAM, 262), "raw": (socket.AF_INET, socket.SOCK_RAW, 254),
        "packet": (socket.AF_PACKET, socket.SOCK_RAW, 0), "netlink": (socket.AF_NETLINK, socket.SOCK_RAW, 0),
    }.items():
        try:
            one = socket.socket(*arguments)
        except OSError:  # not in this kernel, or not as this user
            continue
        opened.append(one)
        expected[one.fileno()] = name
        if name == "mptcp":
            one.bind(("127.0.0.1", 0))
            one.listen()
    snapshot = look(source, Scope(frozenset({"tcp", "udplite", "mptcp", "raw", "packet", "netlink"})))
    found = by_inode(snapshot)
    assert {fd: found[os.fstat(fd).st_ino].protocol for fd in expected} == expected
    for one in opened:
        one.close()


def test_families_without_a_table_are_named(source: LiveSource) -> None:
    """vsock, xdp and their like are in no table of any kind; their protocol is told, and their state is unknown."""
    opened = []
    for family in (socket.AF_VSOCK, 44):  # 44: AF_XDP
        with contextlib.suppress(OSError):
            opened.append(socket.socket(family, socket.SOCK_STREAM if family == socket.AF_VSOCK else socket.SOCK_RAW))
    if not opened:
        pytest.skip("this kernel has neither")
    found = by_inode(look(source, Scope(frozenset(ORDER))))
    assert {found[os.fstat(one.fileno()).st_ino].state for one in opened} == {"UNKNOWN"}
    assert {found[os.fstat(one.fileno()).st_ino].family for one in opened} <= {"vsock", "xdp"}
    for one in opened:
        one.close()


def test_a_scope_without_tcp_has_none_where_a_bound_socket_was(source: LiveSource) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        for _ in range(2):  # from the second look on bound sockets are read beside the tables
            source.snapshot(Scope())
        unix = source.snapshot(Scope(frozenset({"unix"})))
        assert {one.protocol for one in unix.sockets.values()} == {"unix"}


def test_scope_can_narrow_and_widen_again(source: LiveSource) -> None:
    everything = source.snapshot(Scope())
    only_unix = source.snapshot(Scope(frozenset({"unix"})))
    assert {one.protocol for one in only_unix.sockets.values()} == {"unix"}
    assert only_unix.sources.keys() == {"unix", "owners"}
    again = source.snapshot(Scope())
    assert {one.protocol for one in again.sockets.values()} >= {one.protocol for one in everything.sockets.values()} - {
        "udp",
    }


def test_unchanged_sockets_are_the_same_objects(source: LiveSource) -> None:
    one, other = socket.socketpair()
    before = source.snapshot(Scope())
    one.send(b"x")
    after = source.snapshot(Scope())
    key = by_inode(before)[os.fstat(one.fileno()).st_ino].key
    assert after.sockets[key] is not before.sockets[key] or after.sockets[key] == before.sockets[key]
    kept = [key for key in before.sockets if key in after.sockets]
    assert sum(before.sockets[key] is after.sockets[key] for key in kept) >= len(kept) * 0.5
    assert after.sequence == before.sequence + 1
    one.close()
    other.close()


@pytest.mark.parametrize("code", [errno.EPERM, errno.EPROTONOSUPPORT])
def test_netlink_refused_falls_back_and_says_so(code: int) -> None:
    def refuse() -> Netlink:
        raise NetlinkError(code, os.strerror(code))

    with contextlib.closing(LiveSource(refuse)) as source, socket.create_server(("127.0.0.1", 0)) as listener:
        snapshot = source.snapshot(Scope())
        one = by_inode(snapshot)[os.fstat(listener.fileno()).st_ino]
        assert (one.state, one.memory, holders(snapshot, one)) == ("LISTEN", None, {(os.getpid(), listener.fileno())})
        assert {snapshot.sources[what] for what in ("tcp", "udp", "unix")} == {"proc"}
        assert {gap.what for gap in snapshot.gaps if gap.reason == "fallback"} >= {"tcp", "udp", "unix"}


def test_a_passing_failure_is_passed() -> None:
    """ENOMEM of one dump: /proc for that look, netlink again at the next, and no row is left twice."""
    class Failing(Netlink):
        fails = False

        def dump(self, *arguments: Any) -> None:
            if self.fails:
                raise NetlinkError(errno.ENOMEM, "Cannot allocate memory")
            super().dump(*arguments)

    # Each channel is one of its own: bound sockets are asked for by another thread, where anybody here has any.
    with contextlib.closing(LiveSource(Failing)) as source, socket.create_server(("127.0.0.1", 0)) as listener:
        inode = os.fstat(listener.fileno()).st_ino
        for fails, told in ((False, "netlink"), (True, "proc"), (False, "netlink")):
            Failing.fails = fails
            snapshot = source.snapshot(Scope())
            assert {snapshot.sources[what] for what in ("tcp", "udp", "unix")} == {told}
            rows = [one for one in snapshot.sockets.values() if one.inode == inode]
            assert [one.cookie is None for one in rows] == [fails]


def test_nobody_sees_every_row_and_says_who_is_hidden(tmp_path: Path) -> None:
    """Without rights all rows are there with inode, user and queues; holders of others are hidden, and counted."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become nobody")
    script = (
        "import json\n"
        "from sockscope.collect.live import LiveSource\n"
        "from sockscope.model.snapshot import Scope\n"
        "import sys\n"
        "snapshot = LiveSource().snapshot(Scope())\n"
        "one = next(s for s in snapshot.sockets.values() if s.inode == int(sys.argv[1]))\n"
        "print(json.dumps([one.state, one.uid, one.send_queued, one.memory is not None,"
        " len(snapshot.holders_of(one)), snapshot.holders_complete(one), snapshot.hidden_processes > 0,"
        " snapshot.sources]))\n"
    )
    with socket.create_server(("127.0.0.1", 0), backlog=9) as listener:
        done = subprocess.run(
            ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", sys.executable, "-c", script,
             str(os.fstat(listener.fileno()).st_ino)],
            capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
        )
    assert done.returncode == 0, done.stderr
    state, uid, backlog, has_memory, held, complete, hidden, sources = json.loads(done.stdout)
    assert (state, uid, backlog, has_memory, held, complete, hidden) == ("LISTEN", 0, 9, True, 0, False, True)
    assert sources["tcp"] == "netlink"
    assert tmp_path.exists()


@pytest.mark.parametrize("by_netlink", [True, False])
def test_sockets_of_another_namespace_are_read_in_it(by_netlink: bool) -> None:
    """A container's sockets: in their own tables, with their holders, and never taken for unlisted ones of ours."""
    script = (
        "import socket, sys\n"
        "listener = socket.socket(); listener.bind(('0.0.0.0', 0)); listener.listen(6)\n"
        "print(listener.getsockname()[1], flush=True)\n"
        "sys.stdin.read()\n"
    )
    inside = subprocess.Popen(
        ["unshare", "-n", sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )
    try:
        assert inside.stdout is not None
        line = inside.stdout.readline()
        if not line:
            pytest.skip("no right to make a namespace")
        with contextlib.closing(LiveSource(Netlink if by_netlink else None)) as source:
            snapshot = source.snapshot(Scope())
            mine = [one for one in snapshot.sockets.values() if (inside.pid, 3) in holders(snapshot, one)]
            assert [(one.state, one.local.port) for one in mine] == [("LISTEN", int(line))]
            assert mine[0].netns != snapshot.netns
            assert mine[0].send_queued == (6 if by_netlink else None)
            narrow = source.snapshot(Scope(namespaces=False))
            assert {one.netns for one in narrow.sockets.values()} == {snapshot.netns}
            assert mine[0].inode not in by_inode(narrow)
            inside.communicate("")
            assert mine[0].key not in source.snapshot(Scope()).sockets
    finally:
        inside.kill()
        inside.wait()


def test_exact_lookups_give_the_rows_of_the_dump(source: LiveSource) -> None:
    """One socket by its id, inode or cookie: the same Socket as in the dump, and nothing for a wrong cookie."""
    pair = socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.closing(Netlink()) as channel:
        client = socket.create_connection(listener.getsockname())
        ours = by_inode(source.snapshot(Scope()))
        one = ours[os.fstat(client.fileno()).st_ino]
        ends = [(socket.inet_aton(end[0]), end[1]) for end in (client.getsockname(), client.getpeername())]
        for cookie in (one.cookie, None):
            request = sock_diag.inet_exact(sock_diag.AF_INET, sock_diag.TCP, ends[0], ends[1], 0, cookie)
            row = channel.get(sock_diag.SOCK_DIAG_BY_FAMILY, request)
            assert row is not None
            assert InetRows(one.netns, "tcp").decode(row, 0, len(row)) == one
        wrong = sock_diag.inet_exact(sock_diag.AF_INET, sock_diag.TCP, ends[0], ends[1], 0, (one.cookie or 0) + 1)
        assert channel.get(sock_diag.SOCK_DIAG_BY_FAMILY, wrong) is None
        inode = os.fstat(pair[0].fileno()).st_ino
        row = channel.get(sock_diag.SOCK_DIAG_BY_FAMILY, sock_diag.unix(inode))
        assert row is not None
        assert UnixRows(one.netns).decode(row, 0, len(row)) == ours[inode]
        client.close()
    for end in pair:
        end.close()


def test_connections_that_come_and_go_never_look_closed(source: LiveSource) -> None:
    """A socket made after the tables were read and before the holders were is young, not in no table."""
    stop = threading.Event()

    def churn() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            while not stop.is_set():
                with socket.create_connection(listener.getsockname()), contextlib.closing(listener.accept()[0]):
                    pass

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(12):
            snapshot = source.snapshot(Scope())
            wrong = [one for one in snapshot.sockets.values()
                     if one.protocol == "tcp" and one.local == Endpoint() and held_by_us(snapshot, one)]
            assert wrong == []
    finally:
        stop.set()
        thread.join()


def held_by_us(snapshot: Snapshot, one: Socket) -> bool:
    return any(pid == os.getpid() for pid, _ in holders(snapshot, one))


def test_psutil_source_gives_the_same_table() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.closing(open_source("psutil")) as source:
        snapshot = source.snapshot(Scope())
        port = listener.getsockname()[1]
        one = next(one for one in snapshot.sockets.values() if one.local.port == port)
        assert (one.state, one.receive_queued, one.memory, one.uid) == ("LISTEN", None, None, None)
        assert holders(snapshot, one) == {(os.getpid(), listener.fileno())}
        assert snapshot.sources == {"tcp": "psutil", "udp": "psutil", "unix": "psutil", "owners": "psutil"}
        assert {one.told_inode for one in snapshot.sockets.values()} == {None}, "psutil tells no inodes: none is shown"
        only_port = source.snapshot(Scope(ports=((port, port),), pids=frozenset({os.getpid()})))
        assert [row.local.port for row in only_port.sockets.values()] == [port]


def test_unknown_source_is_refused_by_name() -> None:
    with pytest.raises(SourceLostError, match="'kernel'"):
        open_source("kernel")


def by_inode(snapshot: Snapshot) -> dict[int, Socket]:
    return {one.inode: one for one in snapshot.sockets.values() if one.inode}
