"""One socket as the kernel's tables show it: five-tuple, state, queues, memory.

Only what a bulk dump gives for every row stands here. What needs a drill-down (tcp_info, marks, waiters, watches)
is a `SocketDetail`; who holds the socket is `Snapshot.holders`, keyed by inode, so that a Socket value stays shared
between snapshots while its owners change.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

# (netns, cookie) where the kernel gave a cookie; else (netns, family, protocol, inode) or, for an inode of 0,
# (netns, family, protocol, local, remote). Only ever compared and hashed.
SocketKey: TypeAlias = tuple[object, ...]

SHUTDOWN_RECEIVE = 1  # RCV_SHUTDOWN: the peer will send no more (EOF)
SHUTDOWN_SEND = 2  # SEND_SHUTDOWN: we will send no more


class Endpoint(Struct, frozen=True, gc=False):
    """One end of a socket. `address` is the numeric address ("" for none), `path` a unix name without its NUL.

    `address` is "*"-free: the wildcard is "0.0.0.0" or "::". `port` is None where the family has none.
    `path` is None for an unnamed unix socket; `abstract` says that it lives in the abstract namespace.
    """

    address: str = ""
    port: int | None = None
    path: bytes | None = None
    abstract: bool = False


class SocketMemory(Struct, frozen=True, gc=False):
    """INET_DIAG_SKMEMINFO / UNIX_DIAG_MEMINFO (net/core/sock.c sk_get_meminfo): truesize bytes, `drops` a count."""

    receive_alloc: int
    receive_buffer: int
    send_alloc: int
    send_buffer: int
    forward_alloc: int
    send_queued: int
    option: int
    backlog: int
    drops: int


class Timer(Struct, frozen=True, gc=False):
    """idiag_timer. `kind`: retransmit (1), keepalive (2), time-wait (3), zero-window-probe (4).

    `expires_s` is None in bulk snapshots of the live view: it changes every instant and is masked out of the diff.
    """

    kind: str
    retransmits: int
    expires_s: float | None = None


class Socket(Struct, frozen=True, gc=False):
    """One row of a socket table.

    family: inet, inet6, unix, packet, netlink, vsock...; type: stream, dgram, raw, seqpacket; protocol: tcp, udp,
    udplite, mptcp, icmp, unix, raw...; state: the kernel's words in upper case (LISTEN, ESTABLISHED, CLOSE_WAIT...).
    `receive_queued` and `send_queued` are idiag_rqueue and idiag_wqueue (kernel-facts.md 1.4: the units differ by
    type). For a listener they are the accept queue's length and its backlog. `inode` is 0 where the socket has no
    file (not yet accepted, orphan, TIME_WAIT, SYN_RECV).
    """

    netns: int
    cookie: int | None
    family: str
    type: str
    protocol: str
    state: str
    local: Endpoint
    remote: Endpoint | None
    interface: int | None
    inode: int
    uid: int | None
    receive_queued: int | None
    send_queued: int | None
    memory: SocketMemory | None
    shutdown: int | None
    timer: Timer | None = None
    peer_inode: int | None = None  # unix only: UNIX_DIAG_PEER; 0 = no peer
    drops: int | None = None  # where there is no SocketMemory but the table has a drop column (/proc/net/udp)
    waiting_clients: tuple[int, ...] | None = None  # unix listeners: UNIX_DIAG_ICONS, inodes of clients in the queue
    cgroup_id: int | None = None  # INET_DIAG_CGROUP_ID
    v6only: bool | None = None

    @property
    def key(self) -> SocketKey:
        """What this socket is, across snapshots (design.md section 1, Identity)."""
        if self.cookie is not None:
            return (self.netns, self.cookie)
        if self.inode:
            return (self.netns, self.family, self.protocol, self.inode)
        return (self.netns, self.family, self.protocol, self.local, self.remote)

    @property
    def told_inode(self) -> int | None:
        """The inode as the kernel told it, 0 for none; None where the source tells none and numbers rows itself."""
        return self.inode if self.inode >= 0 else None

    @property
    def is_listener(self) -> bool:
        """Whether connections queue here to be accepted."""
        return self.state == "LISTEN"

    @property
    def is_inet(self) -> bool:
        """Whether it has addresses and ports."""
        return self.family in ("inet", "inet6")

    @property
    def drop_count(self) -> int | None:
        """sk_drops: packets thrown away at this socket since it was made."""
        return self.memory.drops if self.memory is not None else self.drops


class Holder(Struct, frozen=True, gc=False):
    """A process that has the socket open, under one fd. A socket has as many holders as open fds."""

    pid: int
    fd: int
