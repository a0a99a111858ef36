"""receive-stalled and its causes: the missed edge told apart from busy, paused, just arrived, level-triggered."""

from __future__ import annotations

from typing import Any

from builders import make_socket
from scripted import Script, change, make_info, make_thread, make_watch, tcp_detail, threads_detail

from sockscope.model.detail import Marks, ProcessDetail, Read, SocketDetail, Waiter
from sockscope.model.process import Fd
from sockscope.model.socket import Socket

EDGE = {"trigger": "edge", "events": 0x80000019}
SLEEPER = make_thread(on_fd=3)


class Server:
    """A server on port 3000, process 10, with one client whose 5,000 bytes lie unread."""

    def __init__(self, **socket_values: Any) -> None:
        self.listener = make_socket("192.0.2.1:3000")
        self.socket = make_socket("192.0.2.1:3000", "198.51.100.9:40000", **socket_values)
        holders = {self.listener.inode: (10, 21), self.socket.inode: (10, 24)}
        self.script = Script(holders=holders).look(self.listener, self.socket)
        self.unread = change(self.socket, receive_queued=5000)

    def stand(self, seconds: int, *, watch: dict[str, Any] | None = None, thread: Any = SLEEPER, **info: Any) -> Server:
        """The data lies there; every second tcp_info, marks, watches and threads are read."""
        for _ in range(seconds):
            at_s = self.script.at_s + 1
            watches = () if watch is None else (make_watch(self.socket, **watch),)
            detail = SocketDetail(
                self.socket.key,
                tcp=Read(make_info(**{"bytes_received": 9000, "receive_queued": 5000, **info}), at_s),
                marks=Read(Marks(1), at_s), watches=Read(watches, at_s), waiters=Read((), at_s),
            )
            self.script.look(self.listener, self.unread, details=[detail, threads_detail(10, at_s, thread)])
        return self

    def found(self) -> list[tuple[str, str | None, str]]:
        return [(finding.rule, finding.cause, finding.severity) for finding in self.script.find()]


def test_edge_missed() -> None:
    server = Server().stand(10, watch=EDGE)
    assert server.found() == []
    server.stand(2, watch=EDGE)
    assert server.found() == [("receive-stalled", "edge-missed", "warning")]
    (finding,) = server.script.find()
    assert "epoll 3 watches fd 24 edge-triggered" in finding.summary
    assert finding.advice[0].startswith("Read until EAGAIN")


def test_edge_with_out_is_only_a_note() -> None:
    server = Server().stand(12, watch={**EDGE, "events": 0x8000001D})
    assert server.found() == [("receive-stalled", "edge-missed", "note")]


def test_growth_without_reading_is_a_pause() -> None:
    server = Server().stand(6, watch=EDGE)
    server.unread = change(server.unread, receive_queued=6000)
    server.stand(3, watch=EDGE, bytes_received=10_000, receive_queued=6000)
    server.unread = change(server.unread, receive_queued=7000)
    server.stand(8, watch=EDGE, bytes_received=11_000, receive_queued=7000)
    assert server.found() == [("receive-stalled", "paused", "note")]


def test_a_read_without_an_arrival_disproves_it_for_ten_minutes() -> None:
    server = Server().stand(12, watch=EDGE)
    assert server.found()[0][2] == "warning"
    server.unread = change(server.unread, receive_queued=100)
    server.stand(1, watch=EDGE, receive_queued=100)
    assert server.found() == []
    server.unread = change(server.unread, receive_queued=5000)
    server.stand(13, watch=EDGE, bytes_received=13_900)
    assert server.found() == [("receive-stalled", "edge-missed", "note")]


def test_a_busy_loop_is_healthy() -> None:
    server = Server()
    for second in range(40):
        server.stand(1, watch=EDGE, bytes_received=9000 + second, thread=make_thread(run_ns=second, call="running"))
        assert server.found() == []


def test_level_triggered_backlog_of_a_loop_elsewhere() -> None:
    server = Server().stand(4, watch={}, thread=make_thread(on_fd=3))
    server.stand(3, watch={}, thread=make_thread(call="futex", on_fd=None, run_ns=2000))
    assert server.found() == []
    server.stand(5, watch={}, thread=make_thread(call="futex", on_fd=None, run_ns=2000))
    assert [rule for rule, _, _ in server.found()] == ["loop-blocked"]


def test_oneshot_spent() -> None:
    spent = {"oneshot": True, "armed": False, "events": 0x40000000}
    assert Server().stand(13, watch=spent).found() == [("receive-stalled", "oneshot-spent", "warning")]


def test_unwatched_and_paused() -> None:
    thread = make_thread(call="futex", on_fd=None)
    assert Server().stand(13, watch=None, thread=thread).found() == [("receive-stalled", "unwatched", "warning")]
    assert Server().stand(13, watch={"events": 0x18}).found() == [("receive-stalled", "unwatched", "note")]


def test_nobody_waits_is_unknown_beside_an_io_uring() -> None:
    server = Server()
    ring = ProcessDetail((10, 1), fds=Read((Fd(10, 5, "io_uring", b"anon_inode:[io_uring]"),), 100.0))
    server.script.look(server.listener, server.socket, details=[ring])
    server.stand(13, watch=None, thread=make_thread(call="futex", on_fd=None))
    assert server.found() == [("receive-stalled", None, "warning")]


def test_without_the_mark_it_is_a_note() -> None:
    server = Server()
    for _ in range(13):
        detail = tcp_detail(server.socket, server.script.at_s + 1, bytes_received=9000, receive_queued=5000)
        server.script.look(server.listener, server.unread, details=[detail])
    assert server.found() == [("receive-stalled", None, "note")]


def test_a_client_of_ours_that_does_not_read_is_a_note() -> None:
    socket = make_socket("192.0.2.1:40000", "198.51.100.9:5432", receive_queued=5000)
    script = Script(holders={socket.inode: (10, 24)}).look(change(socket, receive_queued=0)).look(socket)
    for _ in range(13):
        at_s = script.at_s + 1
        detail = SocketDetail(
            socket.key, tcp=Read(make_info(bytes_received=9000, receive_queued=5000), at_s), marks=Read(Marks(1), at_s),
        )
        script.look(socket, details=[detail])
    assert [(one.rule, one.severity) for one in script.find()] == [("receive-stalled", "note")]


def low_water(socket: Socket, at_s: float, quiet_s: float) -> SocketDetail:
    waiter = Waiter(10, 10, b"worker", "recvfrom", "direct", fd=24)
    info = make_info(bytes_received=9000, receive_queued=100, last_data_recv_ms=int(quiet_s * 1000))
    return SocketDetail(
        socket.key, tcp=Read(info, at_s), marks=Read(Marks(5000), at_s), waiters=Read((waiter,), at_s),
        watches=Read((), at_s),
    )


def test_below_low_water() -> None:
    quiet = make_socket("192.0.2.1:3000", "198.51.100.9:40000")
    socket = change(quiet, receive_queued=100)
    script = Script(holders={socket.inode: (10, 24)}).look(quiet).look(socket)
    for second in range(1, 10):
        script.look(socket, details=[low_water(socket, script.at_s + 1, second)])
    assert script.rules() == []
    script.look(socket, details=[low_water(socket, script.at_s + 1, 10)])
    assert [(one.rule, one.cause, one.severity) for one in script.find()] == [
        ("receive-stalled", "below-low-water", "warning"),
    ]


def test_many_sockets_of_one_cause_are_one_finding() -> None:
    listener = make_socket("192.0.2.1:3000")
    quiet = [make_socket("192.0.2.1:3000", f"198.51.100.9:{n}") for n in range(1, 89)]
    unread = [change(socket, receive_queued=10) for socket in quiet]
    holders = {socket.inode: (10, 24 + n) for n, socket in enumerate(quiet)}
    script = Script(holders=holders).look(listener, *quiet)
    for _ in range(13):
        at_s = script.at_s + 1
        details = [SocketDetail(
            socket.key, marks=Read(Marks(1), at_s), waiters=Read((), at_s),
            watches=Read((make_watch(socket, **EDGE),), at_s),
        ) for socket in quiet]
        script.look(listener, *unread, details=[*details, threads_detail(10, at_s, SLEEPER)])
    (finding,) = script.find()
    assert (finding.cause, len(finding.sockets)) == ("edge-missed", 88)


def test_a_handler_stuck_elsewhere_is_followed() -> None:
    server = Server()
    database = make_socket("192.0.2.1:41000", "10.0.0.7:5432")
    holders = {**{inode: (one[0].pid, one[0].fd) for inode, one in server.script.snapshot.holders.items()},
               database.inode: (10, 9)}
    script = Script(holders=holders).look(server.listener, server.socket, database)
    thread = make_thread(tid=2311, call="recvfrom", on_fd=9)
    for _ in range(13):
        at_s = script.at_s + 1
        detail = SocketDetail(server.socket.key, marks=Read(Marks(1), at_s), waiters=Read((), at_s), watches=Read((), at_s))
        script.look(server.listener, server.unread, database, details=[detail, threads_detail(10, at_s, thread)])
    (finding,) = script.find()
    assert "thread 2311 is in recvfrom(fd 9 → 10.0.0.7:5432)" in finding.summary


def test_looks_far_apart_still_verify() -> None:
    server = Server()
    for _ in range(4):
        detail = tcp_detail(server.socket, server.script.at_s + 0.1, bytes_received=9000, receive_queued=5000)
        server.script.look(server.listener, server.unread, details=[detail], interval_s=20.0)
    assert server.script.move(server.socket).row.condition == "stalled"
