"""A source and an app for tests: looks are handed in by the test, no thread runs, no clock goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from builders import make_memory, make_snapshot, make_socket
from msgspec import structs

from sockscope.analysis.changes import compare
from sockscope.analysis.memory import EMPTY, remember
from sockscope.feed.conclude import conclude
from sockscope.feed.result import FeedResult
from sockscope.model.detail import Marks, ProcessDetail, Read, SocketDetail, Waiter, Wanted, Watch
from sockscope.model.names import Names
from sockscope.model.process import Fd, Process, Thread
from sockscope.model.snapshot import Scope, Snapshot
from sockscope.model.socket import Holder, Socket, Timer
from sockscope.model.source import About, Actor
from sockscope.tui.app import SockscopeApp
from sockscope.tui.options import TuiOptions

NAMES = Names(users={0: "root", 33: "www-data", 1000: "web"})


class NoDetails:
    """A reader that has nothing to say."""

    def read(
        self, wanted: Wanted, snapshot: Snapshot, stop: Callable[[], bool]  # noqa: ARG002  # the protocol's
    ) -> Iterator[SocketDetail | ProcessDetail]:
        yield from ()

    def close(self) -> None:
        return None


class FakeSource:
    """Gives the snapshots of a script, the last one for ever."""

    def __init__(self, *snapshots: Snapshot) -> None:
        self.about = About("live", "host", "0", frozenset())
        self.script = list(snapshots)
        self.is_closed = False

    def snapshot(self, scope: Scope) -> Snapshot:  # noqa: ARG002  # the protocol's
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def open_detail(self) -> NoDetails:
        return NoDetails()

    def close(self) -> None:
        self.is_closed = True


class ScriptedApp(SockscopeApp):
    """The app with looks handed in by `show`."""

    def __init__(self, *snapshots: Snapshot, actor: Actor | None = None,
                 details: Callable[[float], tuple[SocketDetail | ProcessDetail, ...]] = lambda _: (), **options: Any) -> None:
        super().__init__(TuiOptions(**options), FakeSource(*snapshots or (make_snapshot(),)), actor)
        self.memory = EMPTY
        self._first = snapshots
        self._details = details
        self.session.clock = lambda: self.memory.now_s

    def start_feed(self) -> None:
        for snapshot in self._first:
            self.show(snapshot)

    def show(self, snapshot: Snapshot) -> None:
        before = self.memory.snapshot
        self.memory = remember(self.memory, snapshot, self._details(snapshot.monotonic_s))
        observation = conclude(self.memory, snapshot, NAMES)
        self._show_result(FeedResult(observation, self.memory, compare(before, snapshot)))


def sick_snapshot(sequence: int = 1, at_s: float = 100.0) -> Snapshot:
    """A small machine in trouble: a full listener, unread bytes, a closed window, listeners, quiet connections, unix."""
    listener = make_socket("127.0.0.1:3000", cookie=1, inode=101, receive_queued=129, send_queued=128)
    sick = make_socket("127.0.0.1:3000", "127.0.0.1:41022", cookie=2, inode=102, receive_queued=212_004,
                       memory=make_memory(receive_alloc=219_136, receive_buffer=219_136))
    stuck = make_socket("[2001:db8::7a40]:443", "[2001:db8:1::9]:40112", cookie=3, inode=103, send_queued=2_500_000,
                        memory=make_memory(send_queued=2_500_000, send_alloc=2_500_000),
                        timer=Timer("zero-window-probe", 1))
    peer = make_socket("127.0.0.1:41022", "127.0.0.1:3000", cookie=4, inode=104, send_queued=94_000,
                       memory=make_memory(send_queued=94_000), timer=Timer("zero-window-probe", 1))
    quiet = [make_socket("192.0.2.1:443", f"198.51.100.{n}:{42_000 + n}", cookie=10 + n, inode=110 + n) for n in range(8)]
    listeners = [make_socket(f"0.0.0.0:{port}", cookie=40 + n, inode=140 + n)
                 for n, port in enumerate((22, 80, 443))]
    unix = [make_socket("0.0.0.0:0", cookie=60 + n, inode=160 + n, family="unix", protocol="unix", state="ESTABLISHED",
                        remote=None, peer_inode=160 + (1 - n), send_queued=0) for n in range(2)]
    sockets: list[Socket] = [listener, sick, stuck, peer, *quiet, *listeners, *unix]
    owners = {101: (23118, 21), 102: (23118, 24), 103: (1203, 19), 104: (1203, 21), 160: (9377, 9), 161: (51877, 4),
              140: (812, 3), 141: (1201, 6), 142: (1201, 7)} | {110 + n: (1202, 20 + n) for n in range(8)}
    names = {23118: b"node", 1203: b"nginx", 1202: b"nginx", 1201: b"nginx", 812: b"sshd", 9377: b"postgres",
             51877: b"evil[/x]\x1b[31m"}
    processes = {pid: Process(pid, 1, name, uid=0, fd_count=12, thread_count=1) for pid, name in names.items()}
    first = make_snapshot(*sockets, sequence=sequence, monotonic_s=at_s, took_s=0.002)
    holders = {inode: (Holder(pid, fd),) for inode, (pid, fd) in owners.items()}
    return structs.replace(first, processes=processes, holders=holders)


def sick_details(at_s: float) -> tuple[SocketDetail | ProcessDetail, ...]:
    """node's only thread sleeps in epoll_wait(7) all the time; the set watches fd 24 edge-triggered."""
    thread = Thread(23118, 23118, b"node", "S", "epoll_wait", "syscall", None, 7, None, (5, 1), 1_000_000)
    watch = Watch(23118, 7, 24, 102, 8, 0x80000001, "18", "edge", oneshot=False, armed=True, exclusive=False)
    waiter = Waiter(23118, 23118, b"node", "epoll_wait", "epoll", 7, 24)
    key = (4_026_531_840, 2)
    fds = (
        Fd(23118, 1, "pipe", b"pipe:[77]", 77, 0o1), Fd(23118, 7, "eventpoll", b"anon_inode:[eventpoll]"),
        Fd(23118, 18, "file", b"/srv/cache.db", None, 0o2, 4096), Fd(23118, 21, "socket", b"socket:[101]", 101),
        Fd(23118, 24, "socket", b"socket:[102]", 102),
    )
    return (
        SocketDetail(key, waiters=Read((waiter,), at_s), watches=Read((watch,), at_s),
                     marks=Read(Marks(1), at_s), nonblocking=Read({(23118, 24): True}, at_s)),
        ProcessDetail((23118, 1), threads=Read((thread,), at_s), watches=Read((watch,), at_s), fds=Read(fds, at_s)),
    )


def sick_script(looks: int = 12) -> list[Snapshot]:
    """The same second after second, so that what is stuck is seen to be stuck."""
    first = sick_snapshot()
    return [structs.replace(first, sequence=1 + n, monotonic_s=100.0 + n) for n in range(looks)]
