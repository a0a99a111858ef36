"""remember() is a deterministic, bounded fold; move never raises; suspects are few and the oldest first."""

from __future__ import annotations

import itertools
from typing import Any

from builders import make_memory, make_snapshot, make_socket
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import Script, change, make_thread, make_unix, tcp_detail, threads_detail

from sockscope.analysis import history
from sockscope.analysis.memory import DETAILS_KEPT, EMPTY, Memory, remember
from sockscope.analysis.move import move_of, moves
from sockscope.analysis.suspects import MOST_SOCKETS, suspects
from sockscope.model.detail import ProcessDetail, Read
from sockscope.model.process import Process
from sockscope.model.snapshot import Changes, Snapshot
from sockscope.model.socket import Socket, Timer

STATES = [*history.STATES[1:], "NEW_SYN_RECV", "BOUND_INACTIVE", ""]
BASES = [make_socket("127.0.0.1:80", f"127.0.0.1:{4000 + n}") for n in range(3)] + [
    make_socket("127.0.0.1:4000", "127.0.0.1:80"), make_socket("127.0.0.1:80"), make_unix(b"/run/x"),
    make_socket("[::1]:53", protocol="udp", type="dgram", state="CLOSE"),
]
numbers = st.integers(0, 3) | st.integers(0, 2**32 - 1)
timers = st.none() | st.builds(
    Timer, st.sampled_from(["retransmit", "keepalive", "time-wait", "zero-window-probe"]), st.integers(0, 8),
)


@st.composite
def rows(draw: st.DrawFn) -> tuple[Socket, ...]:
    return tuple(
        change(
            base, state=draw(st.sampled_from(STATES)), receive_queued=draw(st.none() | numbers),
            send_queued=draw(st.none() | numbers), timer=draw(timers), inode=draw(st.sampled_from([0, 7, 8])),
            shutdown=draw(st.none() | st.integers(0, 3)),
            memory=draw(st.none() | st.builds(make_memory, drops=numbers, send_alloc=numbers)),
            waiting_clients=draw(st.none() | st.just((1, 2)) | st.just(())),
        )
        for base in draw(st.lists(st.sampled_from(BASES), unique_by=lambda base: base.key))
    )


@st.composite
def scripts(draw: st.DrawFn) -> list[tuple[Snapshot, list[Any]]]:
    looks = []
    at_s = draw(st.floats(0, 1e6))
    for sequence in range(draw(st.integers(1, 12))):
        at_s += draw(st.sampled_from([0.0, 0.5, 1.0, 60.0]))
        shown = draw(rows())
        details = [
            tcp_detail(row, at_s, **{name: draw(st.none() | numbers) for name in (
                "bytes_received", "bytes_acked", "receive_queued", "rcv_wnd", "busy_time_us", "rwnd_limited_us",
            )})
            for row in shown if draw(st.booleans())
        ]
        run_ns = draw(st.none() | st.integers(0, 2))
        details_all = [*details, threads_detail(10, at_s, make_thread(run_ns=run_ns, switches=None))]
        looks.append((make_snapshot(*shown, holders={7: (10, 3)}, sequence=sequence, monotonic_s=at_s), details_all))
    return looks


def fold(looks: list[tuple[Snapshot, list[Any]]]) -> Memory:
    memory = EMPTY
    for snapshot, details in looks:
        memory = remember(memory, snapshot, details)
    return memory


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scripts())
def test_remember_is_deterministic_and_move_never_raises(looks: list[tuple[Snapshot, list[Any]]]) -> None:
    one, two = fold(looks), fold(looks)
    assert one == two
    last = looks[-1][0]
    found = moves(one, last)
    assert found == moves(two, last)
    for socket in last.sockets.values():
        move = move_of(one, last, socket)
        assert move.row.party in {"app", "peer", "network", "none", "unknown"}
        assert move.row.condition in {"moving", "stalled", "unverified"}
        assert move_of(EMPTY, last, socket).row.condition != "stalled" or socket.timer is not None
    assert len(suspects(one, last, 64).sockets) <= MOST_SOCKETS
    assert one.history.size_bytes <= history.LIMIT_BYTES


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scripts())
def test_a_memory_is_never_changed_by_the_next(looks: list[tuple[Snapshot, list[Any]]]) -> None:
    memory = EMPTY
    kept = []
    for snapshot, details in looks:
        memory = remember(memory, snapshot, details)
        kept.append((memory, repr(memory)))
    assert all(repr(memory) == text for memory, text in kept)


def test_history_forgets_the_oldest_above_its_limit() -> None:
    past = history.History()
    sockets = {row.key: row for row in (make_socket("127.0.0.1:80", f"127.0.0.1:{n}") for n in range(2000))}
    for second in range(100):
        past = history.record(past, float(second), sockets, sockets)
    assert history.LIMIT_BYTES * 0.9 < past.size_bytes <= history.LIMIT_BYTES
    assert past.size_bytes == sum(tick.size_bytes for tick in past.ticks)
    assert past.from_s == past.ticks[0].at_s > 0
    key = next(iter(sockets))
    assert [sample.at_s for sample in history.samples_of(past, key, 97.0)] == [96.0, 97.0, 98.0, 99.0]


def test_one_look_with_more_changes_than_fit_is_cut() -> None:
    socket = make_socket()
    past = history.record(history.History(), 1.0, itertools.repeat(socket.key, 200_000), {socket.key: socket})
    assert past.size_bytes <= history.LIMIT_BYTES
    assert len(past.ticks) == 1


def test_history_counts_falls() -> None:
    socket = make_socket("192.0.2.1:80", "192.0.2.9:4000")
    script = Script()
    for queued in (0, 10, 20, 5, 5, 50, 0):
        script.look(change(socket, receive_queued=queued))
    assert history.falls_of(script.memory.history, socket.key, 0.0) == 2


def test_details_are_bounded_and_forgotten_with_their_socket() -> None:
    sockets = [make_socket("127.0.0.1:80", f"127.0.0.1:{n}") for n in range(DETAILS_KEPT + 50)]
    script = Script().look(*sockets).look(*sockets, details=[tcp_detail(row, 101.0) for row in sockets])
    assert len(script.memory.tcp) == len(script.memory.details) == DETAILS_KEPT
    assert sockets[-1].key in script.memory.tcp
    script.look(*sockets[:-1])
    assert sockets[-1].key not in script.memory.tcp


def test_cost_follows_the_rows_that_changed() -> None:
    sockets = [make_socket("127.0.0.1:80", f"127.0.0.1:{n}") for n in range(500)]
    script = Script().look(*sockets)
    busy = change(sockets[7], receive_queued=10)
    script.look(*sockets[:7], busy, *sockets[8:])
    assert list(script.memory.tracks) == [busy.key]
    assert [tick.keys for tick in script.memory.history.ticks] == [(busy.key,)]


def test_a_source_that_tells_its_changes_is_believed() -> None:
    socket = make_socket("127.0.0.1:80", "127.0.0.1:4000")
    grown = change(socket, receive_queued=9)
    changes = Changes(frozenset(), frozenset({socket.key}), frozenset())
    script = Script().look(socket).look(grown, changes=changes)
    assert socket.key in script.memory.tracks
    script.look(socket, changes=Changes(frozenset(), frozenset(), frozenset()))
    assert socket.key in script.memory.tracks


def test_another_boot_starts_anew() -> None:
    script = Script().look(make_socket()).look(make_socket(), boot_id="1")
    assert script.memory.sample == 1


def test_fd_counts_rise_until_they_fall() -> None:
    script = Script().look()
    for count in (10, 12, 15, 15):
        script.look(processes={10: Process(10, 1, b"x", fd_count=count)})
    trend = script.memory.fd_trends[10]
    assert (trend.first, trend.last) == (10, 15)
    script.look(processes={10: Process(10, 1, b"x", fd_count=3)})
    assert script.memory.fd_trends[10].first == 3


def test_suspects_are_twice_seen_not_falling_and_oldest_first() -> None:
    old = make_socket("192.0.2.1:80", "192.0.2.9:1", receive_queued=5)
    young = make_socket("192.0.2.1:80", "192.0.2.9:2")
    falling = make_socket("192.0.2.1:80", "192.0.2.9:3", receive_queued=50)
    ended = make_socket("192.0.2.1:80", "192.0.2.9:4", receive_queued=1, shutdown=1, state="CLOSE_WAIT")
    script = Script(holders={old.inode: (10, 3), young.inode: (11, 3)}).look(young, old, falling, ended)
    assert suspects(script.memory, script.snapshot, 64).sockets == ()
    grown = change(young, receive_queued=9)
    script.look(grown, old, change(falling, receive_queued=40), ended)
    wanted = suspects(script.memory, script.snapshot, 64)
    assert wanted.sockets == (old.key,)
    assert wanted.processes == (10,)
    script.look(grown, old, change(falling, receive_queued=30), ended)
    assert suspects(script.memory, script.snapshot, 64).sockets == (old.key, young.key)
    assert suspects(script.memory, script.snapshot, 1).sockets == (old.key,)


def test_suspects_are_at_most_sixty_four() -> None:
    sockets = [make_socket("192.0.2.1:80", f"192.0.2.9:{n}", receive_queued=5) for n in range(100)]
    script = Script().look(*sockets).look(*sockets)
    assert len(suspects(script.memory, script.snapshot, 256).sockets) == 64


def test_sleeping_holders_spare_their_rows_the_reading() -> None:
    socket = make_socket("192.0.2.1:80", "192.0.2.9:1", receive_queued=5)
    script = Script(holders={socket.inode: (10, 3)}).look(socket)
    script.hold(9, lambda at_s: [tcp_detail(socket, at_s), threads_detail(10, at_s, make_thread())])
    wanted = suspects(script.memory, script.snapshot, 64)
    assert wanted.sockets == ()
    assert wanted.processes == (10,)


def test_details_of_a_process_nobody_looks_at_are_forgotten() -> None:
    """A process that ended, or whose screen was left: its thousands of watches and fds do not stay for ever."""
    one = make_socket()
    shown, left = ProcessDetail((7, 1), fds=Read((), 100.0)), ProcessDetail((8, 1), fds=Read((), 100.0))
    memory = remember(EMPTY, make_snapshot(one, monotonic_s=100.0), [shown, left])
    assert memory.process_details.keys() == {(7, 1), (8, 1)}
    again = ProcessDetail((7, 1), threads=Read((), 160.0))
    memory = remember(memory, make_snapshot(one, sequence=2, monotonic_s=160.0), [again])
    memory = remember(memory, make_snapshot(one, sequence=3, monotonic_s=161.0))
    assert memory.process_details.keys() == {(7, 1)}
    assert memory.process_details[7, 1].fds is not None
