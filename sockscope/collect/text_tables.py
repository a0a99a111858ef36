"""Socket tables as text, for what netlink does not give: with fewer columns, and said so in gaps."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from sockscope.kernel.proc_net import TABLES, read_table
from sockscope.model.gap import Gap
from sockscope.model.snapshot import Scope
from sockscope.model.socket import Socket, Timer

_NOT_PERMITTED = frozenset({errno.EPERM, errno.EACCES})


class TextLook(NamedTuple):
    """What one table's text gave: None where it could not be read at all, and whether nothing of it is missing."""

    sockets: Iterable[Socket] | None
    gaps: list[Gap]
    whole: bool = True


def read_text(protocol: str, netns: int, root: str, scope: Scope, refused: int | None) -> TextLook:
    """Read a protocol's table below `root`; `refused` is the errno by which netlink did not give it. Never raises."""
    if protocol not in TABLES:
        return TextLook(None, [_no_table(protocol, refused)])
    try:
        found, malformed, missed = read_table(protocol, netns, root)
    except OSError as error:
        return TextLook(None, [_unread(protocol, error)])
    gaps = []
    if refused is not None:
        gaps.append(_fallback(protocol, refused))
    if missed is not None:
        gaps.append(_unread(protocol, missed))
    if malformed:
        gaps.append(Gap(protocol, "malformed", malformed, "lines that this version cannot read"))
    if not scope.timers:
        found = [_without_expiry(socket) for socket in found]
    return TextLook(_at_ports(found, scope.ports), gaps, whole=missed is None)


def _without_expiry(socket: Socket) -> Socket:
    """Mask the timer's remaining time, as in the netlink tables, so that an idle row stays equal."""
    if socket.timer is None:
        return socket
    return replace(socket, timer=Timer(socket.timer.kind, socket.timer.retransmits))


def _at_ports(sockets: Iterable[Socket], ports: tuple[tuple[int, int], ...] | None) -> Iterable[Socket]:
    if ports is None:
        return sockets
    return [
        socket for socket in sockets
        if any(
            end is not None and end.port is not None and low <= end.port <= high
            for end in (socket.local, socket.remote) for low, high in ports
        )
    ]


def _unread(protocol: str, error: OSError) -> Gap:
    reasons = {errno.ENOENT: "unsupported", errno.EPERM: "not_permitted", errno.EACCES: "not_permitted"}
    reason = reasons.get(error.errno or 0, "failed")
    return Gap(protocol, reason, detail=f"/proc/net/{protocol}: {error.strerror}")


def _no_table(protocol: str, code: int | None) -> Gap:
    reason = "not_permitted" if code in _NOT_PERMITTED else "unsupported"
    return Gap(protocol, reason, detail=f"{_why(code or 0)}, and /proc/net has no such table")


def _fallback(protocol: str, code: int) -> Gap:
    return Gap(protocol, "fallback", detail=f"{_why(code)}; read from /proc/net without buffer sizes and cookies")


def _why(code: int) -> str:
    if code == 0:
        return "netlink is off"
    if code in _NOT_PERMITTED:
        return "netlink is not permitted"
    if code == errno.ENOENT:
        return "the kernel has no sock_diag handler for it"
    return f"netlink failed with {errno.errorcode.get(code, code)}"
