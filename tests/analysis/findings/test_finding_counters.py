"""udp-drops, port-exhaustion and the host's limits, each from counters."""

from __future__ import annotations

import pytest
from builders import make_memory, make_socket
from scripted import Script, change, make_counters


def drops(per_second: int, counted: int) -> list[str]:
    socket = make_socket("192.0.2.1:514", protocol="udp", type="dgram", state="CLOSE", receive_queued=212_000)
    script = Script(holders={socket.inode: (10, 5)})
    for second in range(6):
        row = change(socket, memory=make_memory(drops=100 + per_second * second))
        script.look(row, counters=make_counters(Udp__RcvbufErrors=counted * second, Udp6__RcvbufErrors=0))
    return script.rules()


def test_udp_drops() -> None:
    assert drops(50, 50) == ["udp-drops"]
    assert drops(5, 5) == []
    assert drops(50, 0) == []  # a BPF filter that rejects raises the socket's counter alone
    assert drops(0, 50) == []  # another socket's


def connections(count: int, state: str = "ESTABLISHED", **counters: int) -> list[tuple[str, str]]:
    limits = {"sysctl__ip_local_port_range__low": 40_000, "sysctl__ip_local_port_range__high": 40_099, **counters}
    rows = [make_socket(f"127.0.0.1:{40_000 + n}", "127.0.0.1:80", state=state) for n in range(count)]
    return [(one.rule, one.severity) for one in Script(counters=make_counters(**limits)).look(*rows).find()]


def test_port_exhaustion() -> None:
    assert connections(79) == []
    assert connections(80) == [("port-exhaustion", "warning")]
    assert connections(95) == [("port-exhaustion", "severe")]
    assert connections(75, sysctl__ip_local_reserved_ports__count=10) == [("port-exhaustion", "warning")]


def test_time_wait_counts_only_where_it_is_not_taken_again() -> None:
    assert connections(90, "TIME_WAIT", sysctl__tcp_tw_reuse=0) == [("port-exhaustion", "warning")]
    assert connections(90, "TIME_WAIT", sysctl__tcp_tw_reuse=1) == []
    assert connections(90, "TIME_WAIT", sysctl__tcp_tw_reuse=2) == []


def test_a_servers_own_port_is_none_of_the_range() -> None:
    limits = make_counters(sysctl__ip_local_port_range__low=40_000, sysctl__ip_local_port_range__high=40_009)
    rows = [make_socket("127.0.0.1:40000", f"127.0.0.1:{n}") for n in range(50_000, 50_100)]
    assert Script(counters=limits).look(make_socket("127.0.0.1:40000"), *rows).rules() == []


@pytest.mark.parametrize(("rule", "severity", "values"), [
    ("conntrack-full", "warning", {"conntrack__count": 90, "conntrack__max": 100}),
    ("orphans", "warning", {"sockstat__TCP__orphan": 50, "sysctl__tcp_max_orphans": 100}),
    ("tcp-memory", "warning", {"sockstat__TCP__mem": 11, "sysctl__tcp_mem__pressure": 10}),
    (None, None, {"conntrack__count": 89, "conntrack__max": 100, "sockstat__TCP__orphan": 49,
                  "sysctl__tcp_max_orphans": 100, "sockstat__TCP__mem": 10, "sysctl__tcp_mem__pressure": 10}),
])
def test_limits_at_one_look(rule: str | None, severity: str | None, values: dict[str, int]) -> None:
    found = [(one.rule, one.severity) for one in Script(counters=make_counters(**values)).look().find()]
    assert found == ([(rule, severity)] if rule is not None else [])


@pytest.mark.parametrize(("rule", "name"), [
    ("tcp-memory", "TcpExt__TCPMemoryPressures"), ("tcp-memory", "TcpExt__TCPAbortOnMemory"),
    ("tw-overflow", "TcpExt__TCPTimeWaitOverflow"),
])
def test_counters_that_rise(rule: str, name: str) -> None:
    script = Script().look(counters=make_counters(**{name: 7})).look(counters=make_counters(**{name: 7}))
    assert script.rules() == []
    assert script.look(counters=make_counters(**{name: 8})).rules() == [rule]


def test_softnet_drops_need_three_looks() -> None:
    script = Script()
    for dropped in (4, 5, 6):
        script.look(counters=make_counters(softnet__dropped=dropped))
    assert script.rules() == []
    assert script.look(counters=make_counters(softnet__dropped=7)).rules() == ["softnet-drops"]


def test_conntrack_that_drops_is_severe() -> None:
    full = {"conntrack__count": 100, "conntrack__max": 100}
    script = Script().look(counters=make_counters(conntrack__drop=0, **full))
    script.look(counters=make_counters(conntrack__drop=3, **full))
    assert [(one.rule, one.severity) for one in script.find()] == [("conntrack-full", "severe")]
