"""The facets of one socket that are asked of the helper process or read from fdinfo: tcp, marks, nonblocking."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TypeVar

from msgspec import structs

from sockscope.collect.expendable import Expendable, NotAnsweredError
from sockscope.collect.row_id import netns_path, row_id
from sockscope.kernel.pidfd import IdentityError, RawMarks
from sockscope.kernel.proc_stat import read_file
from sockscope.kernel.tcp_info import parse_tcp_info
from sockscope.kernel.tcp_row import Row
from sockscope.model.detail import Marks, Read, TcpInfo
from sockscope.model.gap import Gap
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Socket

# While we hold a duplicate no FIN is sent, so sockets on their way out are left alone.
CLOSING = frozenset({"FIN_WAIT1", "FIN_WAIT2", "LAST_ACK", "CLOSING", "TIME_WAIT"})
RECEIVE_LOCK, SEND_LOCK = 2, 1  # SOCK_RCVBUF_LOCK, SOCK_SNDBUF_LOCK
O_NONBLOCK = 0o4000
_FDINFO = re.compile(rb"flags:\s*([0-7]+)(?:.*\nino:\s*(\d+))?", re.DOTALL)
T = TypeVar("T")


def read_row(
    socket: Socket, snapshot: Snapshot, helper: Expendable, now_s: float, *, with_info: bool
) -> tuple[Read[TcpInfo], Read[float]]:
    """Read tcp_info and the timer's remaining seconds, by one request for exactly this row."""
    row, gap = _ask_row(socket, snapshot, helper, with_info)
    if row is None:
        return Read(None, now_s, gap), Read(None, now_s, gap)
    info = parse_tcp_info(row.info, row.congestion) if row.info is not None else None
    if info is None:
        gap = Gap("tcp_info", "unsupported", detail=f"the kernel gives none for a {socket.state} row")
    else:
        info = structs.replace(info, receive_queued=row.receive_queued, send_queued=row.send_queued)
    expires = row.expires_ms / 1000 if row.timer else None
    return Read(info, now_s, None if info else gap), Read(expires, now_s)


def _ask_row(
    socket: Socket, snapshot: Snapshot, helper: Expendable, with_info: bool
) -> tuple[Row | None, Gap | None]:
    identity = row_id(socket)
    if identity is None or (with_info and socket.protocol != "tcp"):
        return None, Gap("tcp_info", "unsupported", detail="only TCP rows with a cookie have it")
    try:
        path = netns_path(socket, (holder.pid for holder in snapshot.holders_of(socket)))
        answer = helper.ask("tcp_info", socket.key, "tcp_row", path, with_info, *identity)
    except NotAnsweredError as error:
        return None, error.gap
    except OSError as error:
        return None, _refusal("tcp_info", error)
    return Row(*answer), None


def read_marks(socket: Socket, snapshot: Snapshot, helper: Expendable, now_s: float) -> Read[Marks]:
    """Read low-water marks and options through a borrowed fd, tried with each holder until one lets us."""
    if socket.state in CLOSING:
        return Read(None, now_s, Gap("marks", "unsupported", detail=f"{socket.state}: borrowing would delay its end"))
    gap = Gap("marks", "unsupported", detail="no open fd is known to borrow")
    if socket.inode and not snapshot.holders_complete(socket):
        gap = Gap("marks", "not_permitted", detail="its holder is hidden from us")
    for holder in snapshot.holders_of(socket):
        try:
            values = helper.ask(
                "marks", socket.key, "marks", holder.pid, holder.fd, socket.inode, socket.cookie,
                socket.protocol in ("tcp", "mptcp"),
            )
        except NotAnsweredError as error:
            return Read(None, now_s, error.gap)
        except IdentityError as error:
            gap = Gap("marks", "vanished", detail=str(error))
        except OSError as error:
            gap = _refusal("marks", error)
        else:
            return Read(_to_marks(RawMarks(*values)), now_s)
    return Read(None, now_s, gap)


def _to_marks(raw: RawMarks) -> Marks:
    def to(make: Callable[[int], T], value: int | None) -> T | None:
        return None if value is None else make(value)

    return Marks(
        receive_lowat=raw.receive_lowat,
        notsent_lowat=raw.notsent_lowat,
        receive_locked=to(lambda bits: bool(bits & RECEIVE_LOCK), raw.buffer_lock),
        send_locked=to(lambda bits: bool(bits & SEND_LOCK), raw.buffer_lock),
        nodelay=to(bool, raw.nodelay),
        keepalive=to(bool, raw.keepalive),
        urgent_mark=to(bool, raw.urgent_mark),
        congestion=raw.congestion.decode("ascii", "replace") if raw.congestion else None,
        urgent_inline=to(bool, raw.urgent_inline),
    )


def read_nonblocking(socket: Socket, snapshot: Snapshot, now_s: float) -> Read[dict[tuple[int, int], bool]]:
    """Read O_NONBLOCK of each holder's fd, from fdinfo; an fd that became another file meanwhile is left out."""
    found: dict[tuple[int, int], bool] = {}
    gap = None
    for holder in snapshot.holders_of(socket):
        try:
            match = _FDINFO.search(read_file(f"/proc/{holder.pid}/fdinfo/{holder.fd}"))
        except OSError as error:
            gap = _refusal("fdinfo", error)
            continue
        if match is not None and _is_still(holder.pid, holder.fd, socket.inode, match[2]):
            found[holder.pid, holder.fd] = bool(int(match[1], 8) & O_NONBLOCK)
    return Read(found if found or gap is None else None, now_s, gap)


def _is_still(pid: int, fd: int, inode: int, seen: bytes | None) -> bool:
    """Tell whether fdinfo was the socket's: by its own `ino` line (Linux 5.19), else by the link."""
    if seen is not None:
        return int(seen) == inode
    try:
        return os.readlink(f"/proc/{pid}/fd/{fd}") == f"socket:[{inode}]"  # noqa: PTH115
    except OSError:
        return False


def _refusal(what: str, error: OSError) -> Gap:
    """Make the gap for what the kernel answered."""
    if isinstance(error, PermissionError):
        return Gap(what, "not_permitted", detail=error.strerror or "")
    if isinstance(error, FileNotFoundError | ProcessLookupError) or error.errno in (9, 116):  # EBADF, ESTALE
        return Gap(what, "vanished", detail=error.strerror or "")
    return Gap(what, "failed", detail=error.strerror or "")
