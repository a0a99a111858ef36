"""close-wait-leak, fd-limit, fd-leak, dns-waiting, thundering-herd: what a process does to itself."""

from __future__ import annotations

from builders import make_endpoint, make_socket
from scripted import Script, change, make_counters, make_thread, make_watch, threads_detail

from sockscope.model.detail import Read, SocketDetail
from sockscope.model.process import Process
from sockscope.model.socket import Socket


def closed_by_peer(count: int) -> list[Socket]:
    return [
        make_socket(f"192.0.2.1:{40_000 + n}", "198.51.100.9:443", state="CLOSE_WAIT", shutdown=1) for n in range(count)
    ]


def test_close_wait_leak() -> None:
    rows = closed_by_peer(21)
    script = Script(holders={row.inode: (10, n) for n, row in enumerate(rows)})
    script.look(*(change(row, state="ESTABLISHED", shutdown=0) for row in rows)).look(*rows).hold(9)
    assert script.rules() == []
    (finding,) = script.hold(1).find()
    assert (finding.rule, finding.severity, len(finding.sockets)) == ("close-wait-leak", "warning", 21)


def test_a_pool_that_closes_now_and_then_does_not_leak() -> None:
    rows = closed_by_peer(30)
    script = Script(holders={row.inode: (10, n) for n, row in enumerate(rows)})
    script.look(*(change(row, state="ESTABLISHED", shutdown=0) for row in rows)).look(*rows).hold(20)
    script.look(*rows[1:])
    assert script.rules() == []


def test_an_old_quiet_pool_is_no_leak_unless_it_is_a_tenth_of_the_limit() -> None:
    rows = closed_by_peer(30)
    holders = {row.inode: (10, n) for n, row in enumerate(rows)}
    assert Script(holders=holders).look(*rows).hold(30).rules() == []
    small = {10: Process(10, 1, b"java", fd_limit=256)}
    assert Script(holders=holders, processes=small).look(*rows).hold(30).rules() == ["close-wait-leak"]


def test_fd_limit() -> None:
    def found(count: int, limit: int) -> list[tuple[str, str]]:
        script = Script(processes={10: Process(10, 1, b"x", fd_count=count, fd_limit=limit)}).look()
        assert script.find() == (), "one look is not enough"
        script.look()
        return [(one.rule, one.severity) for one in script.find()]

    assert found(919, 1024) == []
    assert found(925, 1024) == [("fd-limit", "warning")]
    assert found(1020, 1024) == [("fd-limit", "severe")]
    assert found(60_000, 65_536) == []  # more than a hundred left


def test_system_file_table() -> None:
    full = make_counters(**{"fs__file-nr__used": 95, "fs__file-nr__max": 100})
    assert Script(counters=full).look().rules() == ["fd-limit"]


def test_fd_leak_needs_ten_minutes_without_a_fall() -> None:
    script = Script()
    for minute in range(11):
        process = Process(10, 1, b"x", fd_count=100 + 2 * minute)
        script.look(processes={10: process}, interval_s=60.0)
    assert [(one.rule, one.severity) for one in script.find()] == [("fd-leak", "note")]
    script.look(processes={10: Process(10, 1, b"x", fd_count=119)}, interval_s=60.0)
    assert script.rules() == []


def test_a_busy_server_opens_and_closes() -> None:
    script = Script()
    for minute in range(60):
        script.look(processes={10: Process(10, 1, b"x", fd_count=100 + (minute * 37) % 200)}, interval_s=60.0)
        assert script.rules() == []


def test_dns_waiting() -> None:
    socket = make_socket(protocol="udp", type="dgram", state="ESTABLISHED", send_queued=0,
                         remote=None, local="192.0.2.1:5353")
    socket = change(socket, remote=make_endpoint("192.0.2.53:53"))
    thread = make_thread(call="poll", on_fd=None, on_fds=((7, 1),))
    script = Script(holders={socket.inode: (10, 7)}).look(socket)
    script.hold(2, lambda at_s: [threads_detail(10, at_s, thread)])
    assert script.rules() == []
    (finding,) = script.hold(1, lambda at_s: [threads_detail(10, at_s, thread)]).find()
    assert (finding.rule, finding.severity) == ("dns-waiting", "warning")
    assert "192.0.2.53:53" in finding.summary


def test_a_resolver_that_gets_answers_is_healthy() -> None:
    socket = make_socket("192.0.2.1:5353", "192.0.2.53:53", protocol="udp", type="dgram")
    script = Script(holders={socket.inode: (10, 7)}).look(socket)
    script.hold(20, lambda at_s: [threads_detail(10, at_s, make_thread(call="poll", on_fd=7, run_ns=int(at_s)))])
    assert script.rules() == []


def herd(*, exclusive: bool, switches: int) -> list[str]:
    listener = make_socket("192.0.2.1:80")
    script = Script(holders={listener.inode: (10, 5)}).look(listener, counters=make_counters(Tcp__PassiveOpens=0))
    for second in range(1, 8):
        watches = tuple(make_watch(listener, epoll_fd=fd, exclusive=exclusive) for fd in range(8))
        threads = [
            make_thread(tid=11 + fd, on_fd=fd, run_ns=second, switches=(switches * second, 0)) for fd in range(8)
        ]
        at_s = script.at_s + 1
        script.look(
            listener, counters=make_counters(Tcp__PassiveOpens=50 * second),
            details=[SocketDetail(listener.key, watches=Read(watches, at_s)), threads_detail(10, at_s, *threads)],
        )
    return script.rules()


def test_thundering_herd() -> None:
    assert herd(exclusive=False, switches=50) == ["thundering-herd"]
    assert herd(exclusive=False, switches=7) == []
    assert herd(exclusive=True, switches=50) == []
