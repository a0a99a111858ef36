"""accept-stalled, accept-overflow: raised by a queue that stands or overflows, not by a busy one."""

from __future__ import annotations

from builders import make_memory, make_socket
from scripted import Script, change, make_counters, make_unix

from sockscope.model.process import Process
from sockscope.model.socket import Timer


def test_a_queue_that_nobody_accepts_from() -> None:
    listener = make_socket("127.0.0.1:3000", receive_queued=2)
    waiting = [make_socket("127.0.0.1:3000", f"192.0.2.9:{n}", inode=0) for n in (1, 2)]
    script = Script(holders={listener.inode: (10, 21)}).look(change(listener, receive_queued=0))
    script.look(listener, *waiting).hold(4)
    assert script.rules() == []
    script.hold(1)
    (finding,) = script.find()
    assert (finding.rule, finding.severity, finding.for_s) == ("accept-stalled", "severe", 5)
    assert "2 connections wait on :3000 for server 10 to accept(), room for 129; the oldest" in finding.summary
    assert ("port", "3000") in finding.about


def test_an_fd_limit_reached_is_the_cause() -> None:
    listener = make_socket("127.0.0.1:3000", receive_queued=1)
    waiting = make_socket("127.0.0.1:3000", "192.0.2.9:1", inode=0)
    processes = {10: Process(10, 1, b"node", fd_count=1024, fd_limit=1024)}
    script = Script(holders={listener.inode: (10, 21)}, processes=processes)
    script.look().look(listener, waiting).hold(6)
    (finding,) = script.find()
    assert (finding.rule, finding.cause, finding.also) == ("accept-stalled", "fd-limit", ("fd-limit",))


def test_a_server_that_has_just_run_out_of_fds_is_one_fault_from_the_first_look_on() -> None:
    listener = make_socket("127.0.0.1:3000")
    first, *others = [make_socket("127.0.0.1:3000", f"192.0.2.9:{port}", inode=0) for port in (1, 2, 3)]
    processes = {10: Process(10, 1, b"node", fd_count=64, fd_limit=64)}
    script = Script(holders={listener.inode: (10, 21)}, processes=processes)
    script.look(listener)  # its fds were counted some milliseconds after its queue was read
    assert script.rules() == []
    script.look(change(listener, receive_queued=3), first, *others)
    accepted = change(first, inode=7001)
    told = []
    for _ in range(8):
        script.look(change(listener, receive_queued=2), accepted, *others)
        told.append(script.rules())
    assert [rules for rules in told if rules] == [["accept-stalled"]] * len([rules for rules in told if rules])
    assert told[-1] == ["accept-stalled"]


def test_overflow_needs_both_counters_twice() -> None:
    def overflow(drops: list[int], counted: list[int]) -> list[str]:
        listener = make_socket("127.0.0.1:3000")
        script = Script()
        for dropped, total in zip(drops, counted, strict=True):
            script.look(
                change(listener, memory=make_memory(drops=dropped)), counters=make_counters(TcpExt__ListenOverflows=total),
            )
        return script.rules()

    assert overflow([0, 1, 1], [0, 1, 1]) == []
    assert overflow([0, 1, 2], [5, 6, 7]) == ["accept-overflow"]
    assert overflow([0, 1, 2], [5, 5, 5]) == []  # dropped for another reason
    assert overflow([0, 12], [5, 17]) == ["accept-overflow"]
    assert overflow([500, 500, 500], [5, 6, 7]) == []  # another listener's


def test_overflow_is_forgotten_after_ten_looks() -> None:
    listener = make_socket("127.0.0.1:3000")
    script = Script()
    for dropped in (0, 5, 10):
        counters = make_counters(TcpExt__ListenOverflows=dropped)
        script.look(change(listener, memory=make_memory(drops=dropped)), counters=counters)
    assert script.rules() == ["accept-overflow"]
    script.hold(11)
    assert script.rules() == []


def test_one_fault_one_finding() -> None:
    listener = make_socket("127.0.0.1:3000", receive_queued=4, send_queued=3)
    waiting = [make_socket("127.0.0.1:3000", f"127.0.0.1:{n}", inode=0, receive_queued=5) for n in (1, 2, 3, 4)]
    clients = [make_socket(f"127.0.0.1:{n}", "127.0.0.1:3000") for n in (1, 2, 3, 4)]
    knocking = make_socket("127.0.0.1:5", "127.0.0.1:3000", state="SYN_SENT", timer=Timer("retransmit", 2))
    script = Script(holders={listener.inode: (10, 21)}).look()
    for dropped in range(8):
        full = change(listener, memory=make_memory(drops=dropped))
        script.look(full, *waiting, *clients, knocking, counters=make_counters(TcpExt__ListenOverflows=dropped))
    (finding,) = script.find()
    assert (finding.rule, finding.severity) == ("accept-stalled", "severe")
    assert set(finding.also) == {"accept-overflow", "connect-unanswered"}
    assert knocking.key in finding.sockets


def test_unix_listener() -> None:
    listener = make_unix(b"/run/x", state="LISTEN", receive_queued=2, send_queued=5, waiting_clients=(7, 8))
    script = Script().look(listener).hold(6)
    (finding,) = script.find()
    assert (finding.rule, finding.about) == ("accept-stalled", (("path", "/run/x"),))


def test_a_busy_queue_is_healthy() -> None:
    listener = make_socket("127.0.0.1:3000", receive_queued=100)
    script = Script()
    for second in range(30):
        born = make_socket("127.0.0.1:3000", f"192.0.2.9:{second + 1}", inode=0)
        script.look(listener, born)
        assert script.rules() == []


def test_an_overflow_that_will_be_a_stall_is_not_told_twice() -> None:
    listener = make_socket("127.0.0.1:3000", receive_queued=4, send_queued=3)
    waiting = [make_socket("127.0.0.1:3000", f"127.0.0.1:{n}", inode=0) for n in (1, 2, 3, 4)]
    knocking = make_socket("127.0.0.1:5", "127.0.0.1:3000", state="SYN_SENT", timer=Timer("retransmit", 2))
    script = Script(holders={listener.inode: (10, 21)}).look()
    told: list[list[str]] = []
    for dropped in range(8):
        full = change(listener, memory=make_memory(drops=dropped * 20))
        script.look(full, *waiting, knocking, counters=make_counters(TcpExt__ListenOverflows=dropped * 20))
        told.append(script.rules())
    assert told == [[]] * 5 + [["accept-stalled"]] * 3


def test_a_full_syn_queue_is_no_overflow_of_the_accept_queue() -> None:
    listener = make_socket("127.0.0.1:3000")
    script = Script()
    for dropped in (0, 20, 40):
        counters = make_counters(TcpExt__ListenOverflows=0, TcpExt__ListenDrops=dropped)
        script.look(change(listener, memory=make_memory(drops=dropped)), counters=counters)
    assert script.rules() == []


def test_a_hidden_holder_is_named_by_its_user() -> None:
    listener = make_socket("127.0.0.1:3000", receive_queued=1, uid=33)
    waiting = make_socket("127.0.0.1:3000", "192.0.2.9:1", inode=0)
    script = Script(hidden_processes=4).look().look(listener, waiting).hold(6)
    assert "for a process of uid 33 (hidden) to accept()" in script.find()[0].summary
