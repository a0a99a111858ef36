"""The rules of the I/O model over scripted waiters: what cannot be made to happen with real servers, and the lesser answers."""

from __future__ import annotations

from builders import make_snapshot, make_socket
from msgspec import structs
from scripted import make_unix

from sockscope.analysis.io_model import servers
from sockscope.model.detail import Read, SocketDetail, Waiter, Watch
from sockscope.model.gap import Gap
from sockscope.model.observation import Observation
from sockscope.model.process import Process
from sockscope.model.server import Server
from sockscope.model.socket import Holder, Socket


class Scene:
    """A listener on port 80 and who waits where."""

    def __init__(self, *, queued: int = 0) -> None:
        self.listener = make_socket("0.0.0.0:80", receive_queued=queued)
        self.rows: list[Socket] = [self.listener]
        self.details: dict[Socket, SocketDetail] = {}
        self.holders: dict[int, tuple[Holder, ...]] = {}
        self.processes: dict[int, Process] = {}
        self.read(self.listener)

    def read(self, socket: Socket, *waiters: Waiter, watches: tuple[Watch, ...] = (), gap: Gap | None = None) -> None:
        self.details[socket] = SocketDetail(
            socket.key, waiters=Read(waiters, 0.0, gap), watches=Read(watches, 0.0, gap),
            nonblocking=Read({(1, 3): True}, 0.0) if socket is self.listener else None,
        )

    def hold(self, socket: Socket, *pids: int) -> None:
        self.holders[socket.inode] = tuple(Holder(pid, 3) for pid in pids)

    def connection(self, *pids: int) -> Socket:
        socket = make_socket("127.0.0.1:80", f"127.0.0.1:{40_000 + len(self.rows)}")
        self.rows.append(socket)
        self.hold(socket, *pids)
        return socket

    def process(self, pid: int, parent: int, threads: int = 1) -> None:
        self.processes[pid] = Process(pid, start_ticks=1, parent_pid=parent, thread_count=threads)

    def told(self) -> Server:
        snapshot = structs.replace(make_snapshot(*self.rows), holders=self.holders, processes=self.processes)
        details = {socket.key: detail for socket, detail in self.details.items()}
        (server,) = servers(Observation(snapshot, details=details))
        return server


def watch(pid: int, epoll_fd: int, *, edge: bool = False, exclusive: bool = False) -> Watch:
    return Watch(pid, epoll_fd, 9, 1, 9, 1, "0", "edge" if edge else "level", False, True, exclusive)


def asleep(pid: int, tid: int, call: str = "recvfrom", via: str = "direct", via_fd: int | None = None) -> Waiter:
    return Waiter(pid, tid, b"", call, via, via_fd)


def test_nothing_read_is_unknown_and_says_so() -> None:
    scene = Scene()
    scene.details.clear()
    scene.connection(1)
    server = scene.told()
    assert (server.model, server.mechanism, server.connections, server.threads) == ("unknown", None, 1, None)
    assert "who waits on the listener was not read" in server.evidence
    assert "the waiters of 1 of 1 connections were not wholly read" in server.evidence


def test_a_gap_is_not_taken_for_nobody() -> None:
    """Of a hidden process nothing was seen: that is not a server that handles one at a time."""
    scene = Scene()
    scene.hold(scene.listener, 1)
    connection = scene.connection(1)
    scene.read(scene.listener, gap=Gap("syscall", "not_permitted"))
    scene.read(connection, asleep(1, 1))
    assert scene.told().model != "iterative"
    scene.read(scene.listener)
    assert scene.told().model == "iterative"


def test_a_listener_handed_around_is_a_loop_all_the_same() -> None:
    """nginx with accept_mutex: only one worker's set has the listener now; the others have a connection each."""
    scene = Scene()
    for pid in (11, 12, 13):
        scene.process(pid, parent=10)
    scene.hold(scene.listener, 10, 11, 12, 13)
    scene.read(scene.listener, asleep(11, 11, "epoll_wait", "epoll", 5), watches=(watch(11, 5),))
    for pid in (12, 13):
        scene.read(
            scene.connection(pid), asleep(pid, pid, "epoll_wait", "epoll", 5), watches=(watch(pid, 5, edge=True),)
        )
    server = scene.told()
    assert (server.model, server.mechanism, server.trigger, server.pool) == ("event-loop", "epoll", "edge", "pre-forked")


def test_a_backend_in_epoll_with_one_connection_is_no_loop() -> None:
    scene = Scene()
    scene.process(10, parent=1)
    scene.hold(scene.listener, 10)
    scene.read(scene.listener, asleep(10, 10, "epoll_wait", "epoll", 4), watches=(watch(10, 4),))
    for pid in (11, 12, 13):
        scene.process(pid, parent=10)
        scene.read(scene.connection(pid), asleep(pid, pid, "epoll_wait", "epoll", 5), watches=(watch(pid, 5),))
    assert scene.told().model == "process-per-connection"


def test_a_busy_loop_is_told_by_its_registrations() -> None:
    """Its thread runs and waits nowhere at this moment."""
    scene = Scene()
    scene.hold(scene.listener, 1)
    scene.read(scene.listener, watches=(watch(1, 5),))
    for _ in range(3):
        scene.read(scene.connection(1), watches=(watch(1, 5), ))
    server = scene.told()
    assert (server.model, server.mechanism, server.trigger, server.threads) == ("event-loop", "epoll", "level", 1)


def test_a_ring() -> None:
    scene = Scene()
    scene.hold(scene.listener, 1)
    ring = asleep(1, 1, "io_uring_enter", "io_uring", 4)
    scene.read(scene.listener, ring)
    for _ in range(2):
        scene.read(scene.connection(1), ring)
    server = scene.told()
    assert (server.model, server.mechanism, server.trigger) == ("event-loop", "io_uring", None)


def test_level_and_edge_in_one_set_are_mixed() -> None:
    scene = Scene()
    scene.read(scene.listener, watches=(watch(1, 5, exclusive=True),))
    for edge in (True, False):
        scene.read(scene.connection(1), watches=(watch(1, 5, edge=edge),))
    server = scene.told()
    assert (server.trigger, server.exclusive) == ("mixed", "EPOLLEXCLUSIVE")


def test_what_queues_is_no_connection_yet() -> None:
    scene = Scene(queued=2)
    for _ in range(2):
        scene.rows.append(make_socket("127.0.0.1:80", f"127.0.0.1:{50_000 + len(scene.rows)}", inode=0))
    assert scene.told().connections == 0


def test_only_rows_with_details_are_joined_one_by_one() -> None:
    scene = Scene()
    scene.read(scene.listener, watches=(watch(1, 5),))
    connections = [scene.connection(1) for _ in range(500)]
    for one in connections[:3]:
        scene.read(one, watches=(watch(1, 5),))
    server = scene.told()
    assert (server.model, server.connections) == ("event-loop", 500)
    assert "the waiters of 497 of 500 connections were not wholly read" in server.evidence


def test_rows_that_share_their_ends_are_counted_by_namespace_and_protocol() -> None:
    """The kernel's rows share Endpoint values; a container's connections are not the host's for that."""
    doors = [make_socket("0.0.0.0:80", netns=1), make_socket("0.0.0.0:80", netns=2)]
    first = make_socket("192.0.2.1:80", "192.0.2.9:4000", netns=1)
    rows = [make_socket("192.0.2.1:80", "192.0.2.9:4000", netns=netns) for netns in (1, 2, 1, 3)]
    others = [
        structs.replace(first, cookie=901, protocol="udp"), structs.replace(first, cookie=902, inode=0),
        structs.replace(first, cookie=903, remote=None, state="CLOSE"),
    ]
    shared = [structs.replace(row, local=first.local) for row in (*rows, *others)]
    path = make_unix(b"/run/web", state="LISTEN", netns=1)
    client = make_unix(netns=1)
    accepted = [make_unix(b"/run/web", netns=1, peer_inode=inode) for inode in (client.inode, 0)]
    snapshot = make_snapshot(*doors, first, *shared, path, client, *accepted)
    counted = {(server.listeners[0], server.connections) for server in servers(Observation(snapshot)) or ()}
    assert counted == {(doors[0].key, 3), (doors[1].key, 1), (path.key, 1)}
