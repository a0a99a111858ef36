"""Sorted, grouped, in sections: stable, unknown last, urgent first."""

from __future__ import annotations

import pytest
from builders import make_snapshot, make_socket
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sockscope.analysis.arrange import GROUPINGS, SECTIONS, SORT_KEYS, group, sections, sort_sockets
from sockscope.analysis.direction import serves
from sockscope.analysis.severity import rank, severity
from sockscope.model.finding import Finding
from sockscope.model.observation import Observation
from sockscope.model.process import Process
from sockscope.model.socket import Endpoint, Holder, Socket
from sockscope.model.verdict import Move, RowMove

LISTENER = make_socket("0.0.0.0:80", inode=1, receive_queued=3, send_queued=511)
SERVED = [make_socket("192.0.2.1:80", f"198.51.100.{n}:4102{n}", inode=10 + n, receive_queued=n * 100) for n in range(3)]
CALL = make_socket("192.0.2.1:40100", "10.1.2.3:8443", inode=3, state="CLOSE_WAIT", receive_queued=1, send_queued=9)
GONE = make_socket("192.0.2.1:40101", "10.1.2.3:8443", inode=0, state="TIME_WAIT", receive_queued=None, uid=None)
UDP = make_socket("0.0.0.0:53", protocol="udp", type="dgram", state="CLOSE", inode=6)
UNIX = replace(make_socket(family="unix", protocol="unix", state="ESTABLISHED", inode=7),
               local=Endpoint(path=b"/run/x"))
ALL = [LISTENER, *SERVED, CALL, GONE, UDP, UNIX]


def move(party: str, condition: str, since_s: float | None = None) -> RowMove:
    one = Move(party, condition, since_s)
    return RowMove(one, one, Move("none", "moving"))


def observe(sockets: list[Socket], **values: object) -> Observation:
    snapshot = make_snapshot(*sockets)
    held = {socket.inode: (Holder(100 + socket.inode % 2, 5),) for socket in sockets if socket.inode}
    processes = {100: Process(100, name=b"beta"), 101: Process(101, name=b"Alpha")}
    return Observation(replace(snapshot, holders=held, processes=processes), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("column", list(SORT_KEYS))
def test_every_column_sorts_all_rows_both_ways(column: str) -> None:
    observation = observe(ALL, moves={CALL.key: move("app", "stalled", 9.0)})
    for reverse in (False, True):
        done = sort_sockets(ALL, observation, column, reverse)
        assert sorted(map(id, done)) == sorted(map(id, ALL))


@given(st.permutations(range(30)), st.booleans())
def test_equal_rows_keep_their_order(order: list[int], reverse: bool) -> None:
    rows = [make_socket("192.0.2.1:80", "192.0.2.2:9", receive_queued=number % 3) for number in order]
    done = sort_sockets(rows, Observation(make_snapshot(*rows)), "receive", reverse)
    for size in range(3):
        assert [s for s in done if s.receive_queued == size] == [s for s in rows if s.receive_queued == size]


def test_numbers_begin_with_the_largest_and_unknown_comes_last() -> None:
    observation = observe(ALL)
    assert sort_sockets([GONE, *SERVED], observation, "receive") == [*reversed(SERVED), GONE]
    assert sort_sockets([GONE, *SERVED], observation, "receive", True) == [*SERVED, GONE]


def test_addresses_sort_as_numbers() -> None:
    rows = [make_socket(f"{host}:1") for host in ("10.0.0.10", "10.0.0.9", "[::1]", "9.0.0.1")]
    done = sort_sockets(rows, Observation(make_snapshot(*rows)), "local")
    assert [row.local.address for row in done] == ["9.0.0.1", "10.0.0.9", "10.0.0.10", "::1"]


def test_urgency_is_severity_then_coarse_age() -> None:
    keys = [socket.key for socket in SERVED]
    moves = {keys[0]: move("app", "stalled", 7.0), keys[1]: move("app", "stalled", 400.0),
             keys[2]: move("app", "unverified"), CALL.key: move("peer", "stalled", 2.0)}
    finding = Finding("x", "severe", "", (), (), sockets=(UNIX.key,))
    observation = observe(ALL, moves=moves, findings=(finding,))
    done = sort_sockets(ALL, observation, "move")
    assert done[:5] == [UNIX, SERVED[1], SERVED[0], CALL, SERVED[2]]
    assert severity(UNIX, observation) == "severe" and severity(CALL, observation) is None
    assert rank(SERVED[0], observation) == rank(
        SERVED[0], replace(observation, moves={**moves, keys[0]: move("app", "stalled", 8.0)}))


def test_sections_hold_each_socket_once() -> None:
    observation = observe(ALL, moves={SERVED[0].key: move("app", "stalled", 12.0)})
    made = {section.name: section for section in sections(ALL, observation)}
    assert list(made) == list(SECTIONS)
    assert {name: section.count for name, section in made.items()} == {
        "act": 1, "listening": 2, "connections": 3, "ending": 1, "unix": 1}
    assert made["ending"].folded and made["unix"].folded and not made["connections"].folded


def test_urgent_is_urgent_with_and_without_a_cookie() -> None:
    for each in (SERVED[0], replace(SERVED[0], cookie=None)):
        observation = observe([each], moves={each.key: move("app", "stalled", 12.0)})
        assert [section.name for section in sections([each], observation) if section.count] == ["act"]


def test_many_connections_fold_by_service_and_one_finding_folds_to_one_row() -> None:
    many = [make_socket("192.0.2.1:80", f"198.51.100.7:{port}", inode=2 * port) for port in range(1000, 1300)]
    stuck = [replace(CALL, cookie=number, local=Endpoint("192.0.2.1", number)) for number in range(88)]
    finding = Finding("close-wait-leak", "warning", "", (), (), sockets=tuple(socket.key for socket in stuck))
    observation = observe([LISTENER, *many, *stuck], moves={}, findings=(finding,))
    made = {section.name: section for section in sections([LISTENER, *many, *stuck], observation)}
    assert [(row.count, len(row.alike)) for row in made["act"].rows] == [(88, 88)]
    groups = made["connections"].groups
    assert groups is not None and [(each.label, each.count) for each in groups] == [(b"beta", 300)]


@pytest.mark.parametrize("by", list(GROUPINGS))
def test_groups_lose_nobody(by: str) -> None:
    groups = group(ALL, observe(ALL), by)
    assert sum(each.count for each in groups) == len(ALL)
    assert [each.count for each in groups] == sorted((each.count for each in groups), reverse=True)


def test_groups_sum_bytes_and_parties() -> None:
    moves = {SERVED[0].key: move("app", "stalled", 9.0), SERVED[1].key: move("peer", "moving")}
    by_port = {each.label: each for each in group(ALL, observe(ALL, moves=moves), "port")}
    assert (by_port["80"].receive_bytes, by_port["80"].count) == (300, 4)
    assert by_port["80"].parties == {"app": 1, "peer": 1}
    assert by_port["8443"].send_bytes == 9


def test_direction_is_told_by_listeners_then_by_ports() -> None:
    snapshot = make_snapshot(*ALL)
    assert [serves(snapshot, socket) for socket in (LISTENER, SERVED[0], CALL, UNIX)] == [None, True, False, None]
    alone = make_snapshot(SERVED[0], CALL)
    assert [serves(alone, socket) for socket in (SERVED[0], CALL)] == [True, False]
