"""The text tables, of the formats of Linux 5 and 6, and garbage: a bad line is counted, never raised."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockscope.collect.counters import parse_snmp6, parse_softnet
from sockscope.kernel.digits import decimal, hexadecimal, signed
from sockscope.kernel.malformed import MalformedError
from sockscope.kernel.proc_counters import parse_counters
from sockscope.kernel.proc_net import (
    parse_inet,
    parse_netlink,
    parse_packet,
    parse_unix,
)
from sockscope.model.socket import Endpoint, Timer

TCP = b"""\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000005 00:00000000 00000000  1000        0 4711 1 000000004a84bff6 100 0 0 10 0
   1: 0100007F:1F90 0200007F:A000 01 0000000A:00000007 01:00000014 00000003     0        0 4712 2 0000000000000000 20 4 30 10 -1
   2: 0100007F:1F90 0200007F:A001 06 00000000:00000000 03:00000C1C 00000000     0        0 0 3 0000000000000000
"""
TCP6 = b"""\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0000000000000000FFFF00000100007F:0050 0000000000000000FFFF00000200007F:A000 08 00000000:00000001 00:00000000 00000000    33        0 5 1 0000000000000000 20 4 30 10 -1
   1: B80D0120000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000    33        0 6 1 0000000000000000 100 0 0 10 0
"""
UDP = b"""\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  123: 0100007F:0035 00000000:0000 07 00000000:00000340 00:00000000 00000000   101        0 99 2 0000000000000000 152
"""
UNIX = b"""\
Num       RefCount Protocol Flags    Type St Inode Path
00000000da2833fe: 00000003 00000000 00000000 0001 03  1133
00000000da2833ff: 00000002 00000000 00010000 0001 01  1134 /run/a b.sock
00000000da283400: 00000002 00000000 00000000 0005 01  1135 @abstract@name
00000000da283401: 00000002 00000000 00000000 0002 01  1136 /tmp/two
lines
00000000da283402: 00000002 00000000 00000000 0001 02     0
"""


def test_tcp_lines() -> None:
    sockets, bad = parse_inet(TCP, 1, protocol="tcp")
    listener, connection, ended = sockets
    assert bad == 0
    assert (listener.state, listener.local, listener.remote) == ("LISTEN", Endpoint("127.0.0.1", 8080), None)
    assert (listener.receive_queued, listener.send_queued, listener.uid) == (5, None, 1000)  # the backlog is not told
    assert (connection.receive_queued, connection.send_queued) == (7, 10)
    assert connection.timer == Timer("retransmit", 3, 0.2)
    assert (ended.state, ended.uid, ended.inode, ended.cookie) == ("TIME_WAIT", None, 0, None)
    assert len({one.key for one in sockets}) == 3


def test_tcp6_lines() -> None:
    (mapped, listener), bad = parse_inet(TCP6, 1, protocol="tcp")
    assert bad == 0
    assert (mapped.family, mapped.local, mapped.remote) == (
        "inet6", Endpoint("::ffff:127.0.0.1", 80), Endpoint("::ffff:127.0.0.2", 40960),
    )
    assert (listener.local.address, listener.remote) == ("2001:db8::1", None)


def test_udp_lines() -> None:
    (one,), bad = parse_inet(UDP, 1, protocol="udp")
    assert bad == 0
    assert (one.type, one.state, one.remote, one.receive_queued, one.drop_count) == ("dgram", "CLOSE", None, 832, 152)


def test_unix_lines() -> None:
    sockets, bad = parse_unix(UNIX, 1)
    assert bad == 0
    assert [(one.inode, one.type, one.state) for one in sockets] == [
        (1133, "stream", "ESTABLISHED"), (1134, "stream", "LISTEN"), (1135, "seqpacket", "CLOSE"),
        (1136, "dgram", "CLOSE"),
    ]
    assert [one.local for one in sockets] == [
        Endpoint(), Endpoint(path=b"/run/a b.sock"), Endpoint(path=b"abstract@name", abstract=True),
        Endpoint(path=b"/tmp/two\nlines"),
    ]


def test_packet_and_netlink_lines() -> None:
    packet = b"sk RefCnt Type Proto Iface R Rmem User Inode\n0000000000000000 3      3    0003   2     1 0      0      77\n"
    netlink = b"sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode\n0000000000c80ec1 15  4242 00000001 8 9 0 2 3 78\n"
    (one,), bad = parse_packet(packet, 1)
    (other,), worse = parse_netlink(netlink, 1)
    assert (bad, worse) == (0, 0)
    assert (one.local.address, one.interface, one.inode) == ("all", 2, 77)
    assert (other.local, other.receive_queued, other.drops) == (Endpoint("kobject_uevent", 4242), 8, 3)


def test_counters() -> None:
    text = b"TcpExt: A B\nTcpExt: 1 -2\nIpExt: C\nIpExt: 3\nbroken\n"
    assert parse_counters(text) == {"TcpExt.A": 1, "TcpExt.B": -2, "IpExt.C": 3}


PARSERS = (
    lambda text: parse_inet(text, 1, protocol="tcp"), lambda text: parse_inet(text, 1, protocol="udp"),
    lambda text: parse_unix(text, 1), lambda text: parse_packet(text, 1), lambda text: parse_netlink(text, 1),
    parse_counters,
)


@given(st.binary(max_size=400))
def test_garbage_never_raises(text: bytes) -> None:
    for parse in PARSERS:
        parse(b"head\n" + text)


@given(st.sampled_from([TCP, TCP6, UDP, UNIX]), st.lists(st.tuples(st.integers(0, 800), st.integers(0, 255)), max_size=6))
def test_damaged_tables_never_raise(good: Any, changes: Any) -> None:
    text = bytearray(good)
    for at, value in changes:
        text[at % len(text)] = value
    for parse in PARSERS:
        parse(bytes(text))


@pytest.mark.parametrize(("good", "bad"), [
    (b":A000 01 ", b":A000 -3 "),  # was taken for the third state from the end
    (b":1F90 0200007F:A000", b":1F901 0200007F:A000"),
    (b"A:00000007", b"A:_7"),
    (b" 4712 ", b" 184467440737095516160 "),  # no JSON number
    (b"     0        0 4712", b"     4294967296        0 4712"),
    (b" 0200007F:A000", b" 0000000000000000FFFF00000200007F:A000"),
    (b"00:00000000 00000000  1000", b"00:00000000 00000000  1_0"),
])
def test_what_no_kernel_prints_is_no_socket(good: bytes, bad: bytes) -> None:
    """Found by fuzzing: int() takes signs, underscores and numbers of any size."""
    assert good in TCP
    sockets, malformed = parse_inet(TCP.replace(good, bad), 1, protocol="tcp")
    assert (len(sockets), malformed) == (2, 1)


def test_counters_that_are_no_numbers_are_left_out() -> None:
    """Found by fuzzing: "--2" and a number of 5,000 digits raised ValueError."""
    text = b"TcpExt: A B C\nTcpExt: --2 " + b"9" * 5000 + b" 3\n"
    assert parse_counters(text) == {"TcpExt.C": 3}
    assert parse_softnet(b"1 " + b"f" * 40) == {}
    assert parse_snmp6(b"Udp6A 1\nUdp6B " + b"1" * 5000) == {"Udp6.A": 1}


def test_a_packet_socket_whose_interface_is_gone_has_none() -> None:
    packet = b"sk RefCnt Type Proto Iface R Rmem User Inode\n0000000000000000 3      3    0003   -1    1 0      0      77\n"
    (one,), bad = parse_packet(packet, 1)
    assert (one.interface, bad) == (None, 0)


@pytest.mark.parametrize(("text", "value"), [
    (b"0", 0), (b"18446744073709551615", 2**64 - 1), (b"18446744073709551616", None), (b"1" * 5000, None),
    (b"1_0", None), (b"-1", None), (b"+1", None), (b"", None), (b" 1", None),
])
def test_decimal_numbers_have_64_bits_and_nothing_else(text: bytes, value: int | None) -> None:
    if value is not None:
        assert decimal(text) == signed(text) == value and (value == 0 or signed(b"-" + text) == -value)
        return
    with pytest.raises(MalformedError):
        decimal(text)


@pytest.mark.parametrize("text", [b"0x", b"", b"1_0", b"-1", b"0x-1", b"g", b"f" * 17, b" f"])
def test_hexadecimal_numbers_likewise(text: bytes) -> None:
    assert hexadecimal(b"0x1f") == hexadecimal(b"1F") == 31
    with pytest.raises(MalformedError):
        hexadecimal(text)
