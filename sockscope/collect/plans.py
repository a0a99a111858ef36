"""Which requests make up a protocol's table, and how their rows are read: one entry a socket family."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from sockscope.collect.row_table import RowDecoder
from sockscope.kernel import sock_diag
from sockscope.kernel.inet_rows import COOKIE_AT, ROW_BYTES, InetRows
from sockscope.kernel.unix_rows import (
    NETLINK_COOKIE_AT,
    NETLINK_ROW_BYTES,
    PACKET_COOKIE_AT,
    UNIX_COOKIE_AT,
    UNIX_ROW_BYTES,
    NetlinkRows,
    PacketRows,
    UnixRows,
)

Ports = Iterable[tuple[int, int]] | None


class Plan(Struct, frozen=True):
    """One dump: its name, message type, request, decoder, and where its rows keep what the diff needs."""

    name: str
    kind: int
    request: Callable[[Ports], bytes]
    decoder: Callable[[int], RowDecoder]
    minimum: int
    cookie_at: int
    timed: bool = False


def _inet(name: str, family: int, number: int) -> Plan:
    version = "4" if family == sock_diag.AF_INET else "6"
    return Plan(
        name + version, sock_diag.SOCK_DIAG_BY_FAMILY, lambda ports: sock_diag.inet(family, number, ports),
        lambda netns: InetRows(netns, name), ROW_BYTES, COOKIE_AT, timed=True,
    )


def _both(name: str, number: int) -> tuple[Plan, ...]:
    return (_inet(name, sock_diag.AF_INET, number), _inet(name, sock_diag.AF_INET6, number))


TCP_LEGACY = Plan(
    "tcp", sock_diag.TCPDIAG_GETSOCK, sock_diag.tcp_legacy, lambda netns: InetRows(netns, "tcp"), ROW_BYTES, COOKIE_AT,
    timed=True,
)
TCP_BY_FAMILY = _both("tcp", sock_diag.TCP)

# Protocol -> its dumps. raw and ping sockets have no handler (dumps of them answer ENOENT): /proc/net shows them.
PLANS: dict[str, tuple[Plan, ...]] = {
    "tcp": (TCP_LEGACY,),
    "mptcp": _both("mptcp", sock_diag.MPTCP),
    "udp": _both("udp", sock_diag.UDP),
    "udplite": _both("udplite", sock_diag.UDPLITE),
    "unix": (Plan(
        "unix", sock_diag.SOCK_DIAG_BY_FAMILY, lambda _: sock_diag.unix(), UnixRows, UNIX_ROW_BYTES, UNIX_COOKIE_AT,
    ),),
    "packet": (Plan(
        "packet", sock_diag.SOCK_DIAG_BY_FAMILY, lambda _: sock_diag.packet(), PacketRows, UNIX_ROW_BYTES,
        PACKET_COOKIE_AT,
    ),),
    "netlink": (Plan(
        "netlink", sock_diag.SOCK_DIAG_BY_FAMILY, lambda _: sock_diag.netlink(), NetlinkRows, NETLINK_ROW_BYTES,
        NETLINK_COOKIE_AT,
    ),),
}
BY_TEXT_ONLY = frozenset({"raw", "icmp"})
WITHOUT_PORTS = frozenset({"unix", "packet", "netlink"})
ORDER = ("tcp", "mptcp", "udp", "udplite", "raw", "icmp", "unix", "packet", "netlink")
