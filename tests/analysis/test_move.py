"""findings.md sections 1 and 4: whose move, case by case, over scripted looks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from builders import make_memory, make_socket
from scripted import Script, change, make_thread, make_unix, tcp_detail, threads_detail

from sockscope.analysis.move import moves
from sockscope.model.detail import Read, SocketDetail, Waiter
from sockscope.model.socket import Socket, Timer

LOCAL, FAR = "192.0.2.1:8080", "198.51.100.7:40000"
ZERO_WINDOW = Timer("zero-window-probe", 0)


def connection(**values: object) -> Socket:
    return make_socket(LOCAL, FAR, **values)


def flat(socket: Socket, **values: object) -> Callable[[float], list[SocketDetail]]:
    """Readings whose byte counts never change."""
    return lambda at_s: [tcp_detail(socket, at_s, **values)]


def verdict(script: Script, socket: Socket) -> tuple[str, str]:
    row = script.move(socket).row
    return row.party, row.condition


@pytest.mark.parametrize("state", ["ESTABLISHED", "TIME_WAIT"])
def test_a_quiet_connection_is_nobodys_move_and_costs_no_track(state: str) -> None:
    socket = connection(state=state)
    script = Script().look(socket).hold(60)
    assert verdict(script, socket) == ("none", "moving")
    assert moves(script.memory, script.snapshot) == {}
    assert not script.memory.tracks


def test_queued_bytes_alone_are_never_stalled() -> None:
    socket = connection(receive_queued=5000)
    script = Script().look(connection()).look(socket).hold(300)
    assert verdict(script, socket) == ("app", "unverified")
    row = script.move(socket).row
    assert row.since_s == 300
    assert "queued at every look for 5 min" in row.reason


def test_what_the_look_itself_puts_into_netlink_sockets_is_nobodys_move() -> None:
    def move(port: int, what: str) -> tuple[str, str]:
        netlink = make_socket(f"{what}:{port}", family="netlink", protocol="netlink", type="raw", state="CLOSE",
                              receive_queued=832, send_queued=0)
        script = Script().look(netlink)
        script.hold(9)
        row = script.move(netlink).row
        return row.party, row.condition

    assert move(0, "route") == ("none", "moving"), "the kernel's own end"
    assert move(25_191, "sock_diag") == ("none", "moving")
    assert move(25_191, "route") == ("app", "unverified")


def test_consumed_bytes_standing_still_for_five_seconds_are_stalled() -> None:
    quiet = connection()
    socket = change(quiet, receive_queued=5000)
    script = Script().look(quiet).look(socket).hold(2)
    script.hold(5, flat(socket, bytes_received=9000, receive_queued=5000))
    assert verdict(script, socket) == ("app", "unverified")  # four seconds between the first reading and the last
    script.hold(1, flat(socket, bytes_received=9000, receive_queued=5000))
    move = script.move(socket).row
    assert (move.party, move.condition, move.at_least) == ("app", "stalled", False)
    assert move.since_s == 8
    assert "5,000 B unread" in move.reason


def test_a_queue_that_does_not_fall_while_nothing_arrives_is_not_read() -> None:
    quiet = connection()
    socket = change(quiet, receive_queued=5000)

    def after(seconds: int, quiet_ms: int) -> tuple[str, str]:
        script = Script().look(quiet).look(socket).hold(seconds)
        script.hold(1, flat(socket, bytes_received=9000, receive_queued=5000, last_data_recv_ms=quiet_ms))
        return verdict(script, socket)

    assert after(4, 6000) == ("app", "stalled")  # one reading is enough
    assert after(4, 2000) == ("app", "unverified")  # data came meanwhile, some may have been read
    assert after(2, 60_000) == ("app", "unverified")  # not watched for long enough


def test_a_reader_that_takes_as_much_as_comes_is_moving() -> None:
    socket = connection(receive_queued=5000)
    script = Script().look(connection()).look(socket).hold(2)
    received = iter(range(10_000, 10_000_000, 777))
    script.hold(60, lambda at_s: [tcp_detail(socket, at_s, bytes_received=next(received), receive_queued=5000)])
    assert verdict(script, socket) == ("app", "moving")


def test_growth_without_reading_is_stalled_though_the_count_changes() -> None:
    first = connection(receive_queued=100)
    script = Script().look(change(first, receive_queued=0)).look(first)
    for second in range(12):
        queued = 100 + second * 50
        row = change(first, receive_queued=queued)
        script.look(row, details=[tcp_detail(row, script.at_s + 1, bytes_received=4000 + queued, receive_queued=queued)])
    assert verdict(script, first) == ("app", "stalled")


def test_a_fall_of_the_queue_is_progress() -> None:
    socket = connection(receive_queued=5000)
    script = Script().look(socket).hold(8, flat(socket, bytes_received=9000, receive_queued=5000))
    assert verdict(script, socket)[1] == "stalled"
    script.look(change(socket, receive_queued=4000))
    assert verdict(script, socket) == ("app", "moving")


def test_sleeping_threads_prove_it_without_tcp_info() -> None:
    socket = connection(receive_queued=5000)
    script = Script(holders={socket.inode: (10, 24)}).look(change(socket, receive_queued=0)).look(socket)
    script.hold(7, lambda at_s: [threads_detail(10, at_s, make_thread())])
    assert verdict(script, socket) == ("app", "stalled")


def test_sleep_proves_nothing_when_a_holder_may_be_hidden_or_a_thread_ran() -> None:
    socket = connection(receive_queued=5000)
    hidden = Script(holders={socket.inode: (10, 24)}, hidden_processes=3).look(socket)
    hidden.hold(20, lambda at_s: [threads_detail(10, at_s, make_thread())])
    assert verdict(hidden, socket) == ("app", "unverified")
    busy = Script(holders={socket.inode: (10, 24)}).look(socket)
    busy.hold(20, lambda at_s: [threads_detail(10, at_s, make_thread(), make_thread(tid=11, run_ns=int(at_s)))])
    assert verdict(busy, socket) == ("app", "unverified")


def test_a_first_sight_says_at_least_what_the_last_arrival_allows() -> None:
    socket = connection(receive_queued=5000)
    script = Script().look(socket)
    script.hold(8, flat(socket, bytes_received=9000, receive_queued=5000, last_data_recv_ms=240_000))
    row = script.move(socket).row
    assert (row.since_s, row.at_least) == (240, True)


def test_healthy_sending_is_the_networks_move_and_moving() -> None:
    socket = connection(send_queued=90_000, timer=Timer("retransmit", 0))
    script = Script().look(socket).hold(60)
    assert verdict(script, socket) == ("network", "moving")


def test_two_retransmits_for_three_seconds_are_network_stalled() -> None:
    socket = connection(send_queued=90_000, timer=Timer("retransmit", 2))
    script = Script().look(connection()).look(socket).hold(2)
    assert verdict(script, socket) == ("network", "unverified")
    script.hold(1)
    assert verdict(script, socket) == ("network", "stalled")


def test_a_zero_window_is_peer_stalled_only_when_nothing_is_acknowledged_for_ten_seconds() -> None:
    socket = connection(send_queued=90_000, timer=ZERO_WINDOW)
    script = Script().look(connection()).look(socket).hold(60)
    assert verdict(script, socket) == ("peer", "unverified")  # a slow reader shows the timer in 13 of 15 looks
    script.hold(11, flat(socket))
    row = script.move(socket).row
    assert (row.party, row.condition) == ("peer", "stalled")
    assert "window is 0" in row.reason
    acked = iter(range(1000, 100_000, 50))
    script.hold(3, lambda at_s: [tcp_detail(socket, at_s, bytes_acked=next(acked))])
    assert verdict(script, socket) == ("peer", "unverified")


def test_unanswered_probes_mean_that_the_peer_vanished() -> None:
    socket = connection(send_queued=90_000, timer=Timer("zero-window-probe", 3))
    assert verdict(Script().look(socket), socket) == ("network", "stalled")
    silent = connection(timer=Timer("keepalive", 2))
    assert verdict(Script().look(silent), silent) == ("network", "stalled")


def test_cork_arms_the_probe_timer_for_a_moment() -> None:
    socket = connection(send_queued=100, timer=ZERO_WINDOW)
    script = Script().look(connection()).look(socket)
    assert verdict(script, socket) == ("peer", "unverified")


def test_both_ends_writing_and_neither_reading() -> None:
    socket = connection(receive_queued=5000, send_queued=90_000, timer=ZERO_WINDOW)
    script = Script().look(connection()).look(socket)
    script.hold(8, flat(socket, bytes_received=9000, receive_queued=5000))
    row = script.move(socket).row
    assert (row.party, row.condition) == ("app", "stalled")
    assert "neither reads" in row.reason


def test_what_limits_a_flow() -> None:
    def limited(**growth: int) -> tuple[str, str]:
        socket = connection(send_queued=90_000, timer=Timer("retransmit", 0))
        script = Script().look(socket)
        script.hold(3, lambda at_s: [
            tcp_detail(socket, at_s, busy_time_us=int(at_s * 1e6), **{k: int(at_s * v) for k, v in growth.items()}),
        ])
        return verdict(script, socket)

    assert limited(rwnd_limited_us=900_000) == ("peer", "moving")
    assert limited(sndbuf_limited_us=900_000) == ("app", "moving")
    assert limited(rwnd_limited_us=100_000) == ("network", "moving")


def test_local_peer_decides_and_never_the_network() -> None:
    here, there = make_socket("127.0.0.1:80", "127.0.0.1:4000"), make_socket("127.0.0.1:4000", "127.0.0.1:80")
    sending = change(here, send_queued=90_000, timer=Timer("retransmit", 4))
    script = Script().look(here, there).look(sending, change(there, receive_queued=500))
    assert verdict(script, here)[0] == "peer"
    script.look(sending, there).hold(10)
    assert verdict(script, here) == ("peer", "moving")
    unaccepted = change(there, inode=0)
    script.look(sending, unaccepted).hold(6)
    row = script.move(here).row
    assert (row.party, row.condition) == ("peer", "stalled")
    assert "not accepted" in row.reason


def test_connecting_without_an_answer() -> None:
    socket = make_socket(LOCAL, FAR, state="SYN_SENT", send_queued=1, timer=Timer("retransmit", 0))
    script = Script().look().look(socket)
    assert verdict(script, socket) == ("network", "moving")
    again = change(socket, timer=Timer("retransmit", 2))
    script.look(again).hold(3)
    row = script.move(socket).row
    assert (row.party, row.condition) == ("peer", "stalled")
    assert "filtered or dead" in row.reason


def test_connecting_to_a_full_listener_of_this_host() -> None:
    listener = make_socket("127.0.0.1:80", receive_queued=4, send_queued=3)
    socket = make_socket("127.0.0.1:4000", "127.0.0.1:80", state="SYN_SENT", timer=Timer("retransmit", 1))
    script = Script().look(listener).look(listener, socket).hold(4)
    assert "accept queue is full" in script.move(socket).row.reason
    half_open = make_socket("127.0.0.1:80", "127.0.0.1:4001", state="SYN_RECV", inode=0)
    script.look(listener, half_open)
    assert verdict(script, half_open)[0] == "app"


def test_listeners_accept_queue() -> None:
    listener = make_socket("127.0.0.1:80", receive_queued=1)
    waiting = make_socket("127.0.0.1:80", FAR, inode=0)
    script = Script().look(change(listener, receive_queued=0)).look(listener, waiting).hold(4)
    assert verdict(script, listener) == ("app", "moving")
    script.hold(1)
    row = script.move(listener).row
    assert (row.party, row.condition, row.since_s, row.at_least) == ("app", "stalled", 5, False)
    assert verdict(script, waiting) == ("app", "stalled")
    script.look(listener, change(waiting, inode=77))
    assert verdict(script, listener) == ("app", "moving")


def test_a_busy_accept_queue_is_moving() -> None:
    listener = make_socket("127.0.0.1:80", receive_queued=9)
    script = Script().look(listener)
    for second in range(30):
        fresh = make_socket("127.0.0.1:80", f"198.51.100.7:{41_000 + second}", inode=0)
        script.look(listener, fresh)
        assert verdict(script, listener)[1] != "stalled"


def test_unix_listener_is_stalled_when_the_same_client_stays_first() -> None:
    listener = make_unix(b"/run/x", state="LISTEN", receive_queued=2, waiting_clients=(11, 12), memory=None)
    script = Script().look(listener).hold(6)
    assert verdict(script, listener) == ("app", "stalled")
    script.look(change(listener, waiting_clients=(12, 13)))
    assert verdict(script, listener) == ("app", "moving")


def test_end_of_file_is_dim_and_never_stalled() -> None:
    socket = connection(state="CLOSE_WAIT", shutdown=1, receive_queued=1)
    script = Script().look(connection()).look(socket).hold(500)
    row = script.move(socket).row
    assert (row.party, row.condition, row.since_s) == ("app", "unverified", 500)
    assert row.reason.startswith("EOF not read")


def test_half_closed() -> None:
    socket = connection(state="FIN_WAIT2")
    script = Script().look(socket).hold(3)
    assert verdict(script, socket) == ("peer", "unverified")
    script.look(change(socket, receive_queued=100))
    assert verdict(script, socket)[0] == "app"
    orphan = connection(state="FIN_WAIT2", inode=0)
    assert verdict(Script().look(orphan), orphan)[0] == "none"
    unsent = connection(state="FIN_WAIT1", inode=0, send_queued=5001)
    row = Script().look(unsent).move(unsent).row
    assert row.party == "peer"
    assert "5,000 B" in row.reason


def test_unread_datagrams_are_the_apps_move() -> None:
    socket = make_socket(protocol="udp", type="dgram", state="CLOSE", receive_queued=2304, send_queued=0)
    script = Script().look(socket).hold(10)
    assert verdict(script, socket) == ("app", "unverified")


def unix_pair() -> tuple[Socket, Socket]:
    one = make_unix()
    two = make_unix(peer_inode=one.inode)
    return change(one, peer_inode=two.inode), two


def test_unix_peer_that_sleeps() -> None:
    writer, reader = unix_pair()
    full = change(writer, send_queued=212_992)
    unread = change(reader, receive_queued=93_000)
    script = Script(holders={writer.inode: (10, 3), reader.inode: (20, 4)}).look(writer, reader).look(full, unread)
    script.hold(30)
    assert verdict(script, writer) == ("peer", "unverified")
    script.hold(11, lambda at_s: [threads_detail(20, at_s, make_thread(20))])
    assert verdict(script, writer) == ("peer", "stalled")
    assert verdict(script, reader) == ("app", "stalled")


def test_below_the_low_water_mark_the_peer_must_send_more() -> None:
    from sockscope.model.detail import Marks

    socket = connection(receive_queued=100)
    script = Script().look(socket)
    script.hold(9, lambda at_s: [SocketDetail(socket.key, marks=Read(Marks(receive_lowat=5000), at_s))])
    assert verdict(script, socket) == ("peer", "unverified")
    tight = change(socket, memory=make_memory(receive_alloc=131_000))
    script.look(tight)
    assert verdict(script, socket)[0] == "app"


@pytest.mark.parametrize(("received_ms", "sent_ms", "turn"), [(42_000, 50_000, "app"), (50_000, 42_000, "peer")])
def test_turn(received_ms: int, sent_ms: int, turn: str) -> None:
    socket = connection()
    script = Script().look(socket)
    script.hold(1, flat(socket, last_data_recv_ms=received_ms, last_data_sent_ms=sent_ms))
    move = script.move(socket)
    assert move.turn == turn
    assert "42 s ago" in move.turn_reason
    assert move.row.party == "none"


def test_nobodys_turn_before_anything_was_said() -> None:
    socket = connection()
    script = Script().look(socket).hold(1, flat(socket, bytes_received=0, bytes_acked=1))
    assert script.move(socket).turn is None


def test_a_client_that_waits_and_an_idle_server() -> None:
    client = make_socket(LOCAL, "198.51.100.7:5432")
    waiter = Waiter(10, 2311, b"pool", "recvfrom", "direct", fd=9)
    spoke = {"last_data_sent_ms": 6000, "last_data_recv_ms": 9000}

    def read(socket: Socket) -> Callable[[float], list[SocketDetail]]:
        return lambda at_s: [SocketDetail(
            socket.key, tcp=tcp_detail(socket, at_s, **spoke).tcp, waiters=Read((waiter,), at_s),
        )]

    script = Script().look(client).hold(1, read(client))
    assert verdict(script, client) == ("peer", "moving")
    listener = make_socket("192.0.2.1:5432")
    served = make_socket("192.0.2.1:5432", FAR)
    idle = Script().look(listener, served).hold(1, read(served))
    assert verdict(idle, served) == ("none", "moving")
