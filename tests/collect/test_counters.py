"""Counters and limits: parsed from what kernels print, absent where a kernel has none, and really there on this one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockscope.collect import counters


def test_this_kernel_has_what_the_rules_need() -> None:
    values = counters.read_counters(7).values
    assert {
        "TcpExt.ListenDrops", "TcpExt.SyncookiesSent", "TcpExt.TCPReqQFullDrop", "TcpExt.TCPMemoryPressures",
        "TcpExt.TCPAbortOnMemory", "TcpExt.TCPTimeWaitOverflow", "Tcp.PassiveOpens", "Udp.RcvbufErrors",
        "sockstat.TCP.mem", "sockstat.TCP.orphan", "sysctl.tcp_mem.pressure", "sysctl.tcp_max_orphans",
        "sysctl.ip_local_port_range.low", "sysctl.ip_local_reserved_ports.count", "sysctl.tcp_tw_reuse",
        "softnet.dropped", "fs.file-nr.used", "fs.file-nr.max",
    } <= values.keys()


def test_what_is_not_there_is_unknown(tmp_path: Path) -> None:
    net = tmp_path / "self" / "net"
    net.mkdir(parents=True)
    (net / "netstat").write_text("TcpExt: ListenDrops\nTcpExt: 4\n")
    (net / "snmp").write_text("Udp: RcvbufErrors\nUdp: 2\n")
    assert counters.read_counters(7, str(tmp_path)).values == {"TcpExt.ListenDrops": 4, "Udp.RcvbufErrors": 2}


def test_without_netstat_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="netstat"):
        counters.read_counters(7, str(tmp_path))


def test_texts() -> None:
    assert counters.parse_snmp6(b"Udp6RcvbufErrors                \t12\nIp6InReceives 3\nbad\n") == {
        "Udp6.RcvbufErrors": 12, "Ip6.InReceives": 3,
    }
    assert counters.parse_sockstat(b"sockets: used 17\nTCP: inuse 1 orphan 2 mem 3\n") == {
        "sockstat.sockets.used": 17, "sockstat.TCP.inuse": 1, "sockstat.TCP.orphan": 2, "sockstat.TCP.mem": 3,
    }
    assert counters.parse_softnet(b"00003aae 00000010 00000000\n00004bdd 00000001 00000000\n") == {"softnet.dropped": 17}
    assert counters.parse_conntrack(b"entries  drop early_drop\n00000003 0000000a 00000001\n00000003 00000001 0\n") == {
        "conntrack.drop": 11, "conntrack.early_drop": 1,
    }
    assert counters.parse_conntrack(b"entries searched\n1 2\n") == {}


def test_reserved_ports_count_within_the_range() -> None:
    assert counters.count_reserved(b"\n", 100, 200) == 0
    assert counters.count_reserved(b"50,100,150-160,195-300\n", 100, 200) == 1 + 11 + 6


@given(st.binary(max_size=200))
def test_parsers_never_raise(text: bytes) -> None:
    for parse in (counters.parse_snmp6, counters.parse_sockstat, counters.parse_softnet, counters.parse_conntrack):
        assert all(isinstance(value, int) for value in parse(text).values())
    assert counters.count_reserved(text, 1, 65_535) >= 0


def test_what_did_not_change_is_the_last_value_itself(tmp_path: Path) -> None:
    net = tmp_path / "self" / "net"
    net.mkdir(parents=True)
    (net / "netstat").write_text("TcpExt: ListenDrops\nTcpExt: 4\n")
    (net / "snmp").write_text("Udp: RcvbufErrors\nUdp: 2\n")
    reader = counters.CounterReader(7, str(tmp_path))
    first = reader.read()
    assert reader.read() is first
    (net / "snmp").write_text("Udp: RcvbufErrors\nUdp: 3\n")
    assert reader.read().values == {"TcpExt.ListenDrops": 4, "Udp.RcvbufErrors": 3}
    (net / "sockstat").write_text("TCP: inuse 1\n")  # a module was loaded
    assert any("sockstat.TCP.inuse" in reader.read().values for _ in range(20))
    reader.close()
    reader.close()


def test_a_kept_reader_sees_what_a_fresh_one_sees() -> None:
    kept = counters.CounterReader(7)
    kept.read()
    assert kept.read().values.keys() == counters.read_counters(7).values.keys()
    kept.close()
