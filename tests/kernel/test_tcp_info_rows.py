"""struct tcp_info of any length, and single rows of sock_diag from any bytes."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel.netlink_bytes import ScriptedSocket

from sockscope.kernel import tcp_row
from sockscope.kernel.netlink import open_socket
from sockscope.kernel.tcp_info import SHORTEST, parse_tcp_info


def numbered(length: int) -> bytes:
    """A struct in which every 32-bit word is its own offset."""
    return b"".join(struct.pack("=I", place) for place in range(0, length + 4, 4))[:length]


@given(st.binary(max_size=400))
def test_any_length_is_read_as_far_as_it_goes(data: bytes) -> None:
    info = parse_tcp_info(data)
    assert (info is None) == (len(data) < SHORTEST)
    if info is not None:
        assert info.total_retrans == struct.unpack_from("=I", data, 100)[0]
        assert (info.rcv_wnd is None) == (len(data) < 236)
        assert (info.pacing_rate is None) == (len(data) < 112)


def test_fields_stand_where_the_header_says() -> None:
    """Offsets of include/uapi/linux/tcp.h, told by a struct that numbers its own words."""
    info = parse_tcp_info(numbered(280))
    assert info is not None
    assert (info.rto_us, info.snd_mss, info.unacked, info.last_data_recv_ms, info.rtt_us) == (8, 16, 24, 52, 68)
    assert (info.snd_cwnd, info.rcv_space, info.total_retrans, info.notsent_bytes) == (80, 96, 100, 144)
    assert (info.bytes_acked, info.busy_time_us) == (120 | 124 << 32, 168 | 172 << 32)
    assert (info.delivered, info.bytes_sent, info.rcv_ooopack, info.snd_wnd, info.rcv_wnd) == (
        192, 200 | 204 << 32, 224, 228, 232
    )


def test_bit_fields() -> None:
    data = bytearray(SHORTEST)
    data[6], data[7] = 0x97, 1
    info = parse_tcp_info(bytes(data), b"cubic\0\0")
    assert info is not None
    assert (info.snd_wscale, info.rcv_wscale, info.app_limited, info.congestion) == (7, 9, True, "cubic")


@given(st.binary(max_size=300), st.integers(0, 2**64 - 1))
def test_no_bytes_break_a_row(data: bytes, cookie: int) -> None:
    tcp_row._parse(data, cookie)
    tcp_row._messages(data)
    tcp_row._attributes(data)


def test_a_real_row_by_exact_id() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        client.send(b"hello")
        cookie = int.from_bytes(client.getsockopt(1, 57, 8), "little")
        local, remote = client.getsockname(), client.getpeername()
        row_id = tcp_row.RowId(
            socket.AF_INET, 6, socket.inet_aton(local[0]), local[1], socket.inet_aton(remote[0]), remote[1], 0, cookie
        )
        with open_socket() as diag:
            row = tcp_row.read_row(diag, row_id)
            assert row.info is not None and row.state == 1
            info = parse_tcp_info(row.info, row.congestion)
            assert info is not None and info.bytes_sent == 5
            assert info.congestion == client.getsockopt(6, 13, 16).split(b"\0")[0].decode()
            assert tcp_row.read_row(diag, row_id, with_info=False).info is None
            with pytest.raises(OSError, match=r"No such file|Stale"):
                tcp_row.read_row(diag, row_id._replace(cookie=cookie + 1))


def test_each_of_several_listeners_on_one_port_has_its_own_row() -> None:
    """A lookup by address would find one of them, whichever the hash says."""
    servers = [socket.create_server(("127.0.0.1", 0), reuse_port=True)]
    port = servers[0].getsockname()[1]
    servers += [socket.create_server(("127.0.0.1", port), reuse_port=True, backlog=n + 10) for n in range(3)]
    with open_socket() as diag:
        for server in servers:
            cookie = int.from_bytes(server.getsockopt(1, 57, 8), "little")
            row_id = tcp_row.RowId(socket.AF_INET, 6, socket.inet_aton("127.0.0.1"), port, b"", 0, 0, cookie, True)
            row = tcp_row.read_row(diag, row_id)
            assert row.state == tcp_row.LISTEN and row.info is not None
    for server in servers:
        server.close()


def test_no_errno_is_too_large_to_be_told() -> None:
    """Found by fuzzing: strerror() raises OverflowError, not OSError, beyond a C int."""
    refusal = struct.pack("=IHHIIi", 36, 2, 0, 1, 0, -(1 << 31)) + bytes(16)
    channel: Any = ScriptedSocket([refusal])
    with pytest.raises(OSError, match="Unknown error"):
        tcp_row.destroy(channel, tcp_row.RowId(2, 6, bytes(4), 80, bytes(4), 81, 0, 5))
