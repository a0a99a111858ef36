"""What a drill-down adds to a socket or a process: read on demand, each facet with its age and its gap."""

from __future__ import annotations

from typing import Generic, TypeVar

from msgspec import Struct

from sockscope.model.gap import Gap
from sockscope.model.process import Fd, Process, ProcessKey, Thread
from sockscope.model.socket import SocketKey

T = TypeVar("T")
# A modifier among the facets: somebody has asked to see just this. Then epoll sets over 1,000 watches are read too,
# sets of every process are searched, and tcp_info is read even where a stuck target would block other tools.
ON_DEMAND = "on_demand"


class Read(Struct, Generic[T], frozen=True):
    """One attempt to read a facet: its value, or the gap that says why there is none."""

    value: T | None
    read_at_s: float
    gap: Gap | None = None


class TcpInfo(Struct, frozen=True, gc=False):
    """struct tcp_info (include/uapi/linux/tcp.h), decoded. None where this kernel's struct ends earlier."""

    state: int
    ca_state: int
    retransmits: int
    probes: int
    backoff: int
    options: int
    snd_wscale: int
    rcv_wscale: int
    app_limited: bool
    rto_us: int
    ato_us: int
    snd_mss: int
    rcv_mss: int
    unacked: int
    sacked: int
    lost: int
    retrans: int
    last_data_sent_ms: int
    last_data_recv_ms: int
    last_ack_recv_ms: int
    pmtu: int
    rcv_ssthresh: int
    rtt_us: int
    rttvar_us: int
    snd_ssthresh: int
    snd_cwnd: int
    advmss: int
    reordering: int
    rcv_rtt_us: int
    rcv_space: int
    total_retrans: int
    pacing_rate: int | None = None
    max_pacing_rate: int | None = None
    bytes_acked: int | None = None
    bytes_received: int | None = None
    segs_out: int | None = None
    segs_in: int | None = None
    notsent_bytes: int | None = None
    min_rtt_us: int | None = None
    data_segs_in: int | None = None
    data_segs_out: int | None = None
    delivery_rate: int | None = None
    busy_time_us: int | None = None
    rwnd_limited_us: int | None = None
    sndbuf_limited_us: int | None = None
    delivered: int | None = None
    delivered_ce: int | None = None
    bytes_sent: int | None = None
    bytes_retrans: int | None = None
    dsack_dups: int | None = None
    reord_seen: int | None = None
    rcv_ooopack: int | None = None
    snd_wnd: int | None = None
    rcv_wnd: int | None = None
    congestion: str | None = None
    receive_queued: int | None = None  # idiag_rqueue of the same reply: only then is bytes_received - rq untorn
    send_queued: int | None = None  # idiag_wqueue of the same reply


class Marks(Struct, frozen=True, gc=False):
    """Low-water marks and options read through a borrowed fd with lockless getsockopt calls only.

    `notsent_lowat` is TCP_NOTSENT_LOWAT as the socket has it, 0 = the sysctl counts. `receive_locked` and
    `send_locked` are SO_BUF_LOCK's bits: a locked buffer is not auto-tuned.
    """

    receive_lowat: int
    notsent_lowat: int | None = None
    receive_locked: bool | None = None
    send_locked: bool | None = None
    nodelay: bool | None = None
    keepalive: bool | None = None
    urgent_mark: bool | None = None  # SIOCATMARK
    congestion: str | None = None
    urgent_inline: bool | None = None  # SO_OOBINLINE: an urgent byte is read like any other


class Watch(Struct, frozen=True, gc=False):
    """One epoll registration, from fdinfo of an eventpoll file (fs/eventpoll.c ep_show_fdinfo).

    `fd` is the number at registration; `inode` and `device` identify the watched file. `data` is the user data, in hex
    ("7f0012"). `trigger`: level or edge. `armed` is False for a one-shot that has fired. `stale`: None unless the
    registration outlived its fd ("closed") or the fd number now means another file ("reused").
    """

    pid: int
    epoll_fd: int
    fd: int
    inode: int
    device: int
    events: int
    data: str
    trigger: str
    oneshot: bool
    armed: bool
    exclusive: bool
    stale: str | None = None


class Waiter(Struct, frozen=True, gc=False):
    """A thread blocked on a socket: `call` is the system call's name, `via` direct, poll, select, epoll or io_uring.

    `via_fd` is the epoll or io_uring fd for those two. `events` are poll's bits asked for, where known.
    """

    pid: int
    tid: int
    thread: bytes
    call: str
    via: str
    via_fd: int | None = None
    fd: int | None = None
    events: int | None = None


class SocketDetail(Struct, frozen=True):
    """Everything read about one socket beyond its row. A facet that is None was not asked for."""

    key: SocketKey
    tcp: Read[TcpInfo] | None = None
    marks: Read[Marks] | None = None
    waiters: Read[tuple[Waiter, ...]] | None = None
    watches: Read[tuple[Watch, ...]] | None = None
    nonblocking: Read[dict[tuple[int, int], bool]] | None = None  # (pid, fd) -> O_NONBLOCK
    timer_expires_s: Read[float] | None = None


class PipeEnd(Struct, frozen=True, gc=False):
    """An fd of a process that is one end of a pipe (pipe(7)). `writes` is None for an end opened for both."""

    pid: int
    fd: int
    inode: int
    writes: bool | None
    name: bytes | None = None  # of the process (comm)


class ProcessDetail(Struct, frozen=True):
    """Everything read about one process beyond its facts.

    `pipes` are ends that *other* processes have of the pipes this one has.
    """

    key: tuple[int, int | None]
    process: Read[Process] | None = None
    fds: Read[tuple[Fd, ...]] | None = None
    threads: Read[tuple[Thread, ...]] | None = None
    watches: Read[tuple[Watch, ...]] | None = None  # of all its epoll sets
    pipes: Read[tuple[PipeEnd, ...]] | None = None


class Wanted(Struct, frozen=True):
    """A request for details; the newest generation wins. `facets` names fields of the two details above.

    The extra word "on_demand" says that somebody asked to see just these: epoll sets over 1,000 watches are read too,
    and every process' sets are searched for the sockets.
    """

    generation: int
    sockets: tuple[SocketKey, ...] = ()
    processes: tuple[int, ...] = ()
    facets: frozenset[str] = frozenset()
    budget_s: float = 0.5


__all__ = [
    "ON_DEMAND", "Marks", "PipeEnd", "ProcessDetail", "ProcessKey", "Read", "SocketDetail", "TcpInfo", "Waiter",
    "Wanted", "Watch",
]
