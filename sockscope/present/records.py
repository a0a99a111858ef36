"""Schema `sockscope.snapshot/1` as values: what JSON and NDJSON write. Fields may be added, never renamed or removed.

null = not known or not read, [] = read and none. Names are lossless: beside a `name` that was no valid UTF-8 stands
`name_base64` with its bytes. Cookies and epoll user data are hex strings: numbers above 2^53 are rounded by JavaScript.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UNSET, Struct, UnsetType

from sockscope.model.detail import TcpInfo

SCHEMA = "sockscope.snapshot/1"


class EndpointRecord(Struct, frozen=True):
    """One end. `name` is the host's name where it was looked up; `path` a unix name without its NUL."""

    address: str | None
    port: int | None
    path: str | None
    abstract: bool
    name: str | None
    path_base64: str | UnsetType = UNSET


class InterfaceRecord(Struct, frozen=True):
    """What a socket is bound to."""

    index: int
    name: str | None


class MoveRecord(Struct, frozen=True):
    """Whose move it is. `since_at_least`: since_s is a lower bound."""

    party: str
    condition: str
    since_s: float | None
    reason: str
    since_at_least: bool


class ReceiveRecord(Struct, frozen=True):
    """What was received and not read. `mark_source`: read, default."""

    queued_bytes: int | None
    capacity_bytes: int | None
    fill: float | None
    mark_bytes: int | None
    mark_source: str | None
    ready: bool | None
    reason: str
    move: MoveRecord | None
    eof: bool


class SendRecord(Struct, frozen=True):
    """What is not yet sent or acknowledged. `ready` is poll()'s verdict, `would_block` send()'s."""

    queued_bytes: int | None
    capacity_bytes: int | None
    fill: float | None
    mark_bytes: int | None
    mark_source: str | None
    ready: bool | None
    would_block: bool | None
    reason: str
    move: MoveRecord | None


class AcceptQueueRecord(Struct, frozen=True):
    """Connections waiting to be accepted; the queue is full when length > limit."""

    length: int
    limit: int
    fill: float


class TimerRecord(Struct, frozen=True):
    """The running timer."""

    kind: str
    expires_s: float | None
    retransmits: int


class HolderRecord(Struct, frozen=True):
    """A process that has the socket open."""

    pid: int
    fd: int
    process: str | None
    nonblocking: bool | None
    process_base64: str | UnsetType = UNSET


class WaiterRecord(Struct, frozen=True):
    """A thread blocked on the socket."""

    pid: int
    tid: int
    thread: str
    call: str
    via: str
    via_fd: int | None
    thread_base64: str | UnsetType = UNSET


class WatchRecord(Struct, frozen=True):
    """An epoll registration of the socket."""

    pid: int
    epoll_fd: int
    fd: int
    events: int
    trigger: str
    oneshot: bool
    armed: bool
    exclusive: bool
    data: str
    stale: str | None


class PeerRecord(Struct, frozen=True):
    """The other end, where it is on this host."""

    inode: int | None
    cookie: str | None


class SocketRecord(Struct, frozen=True):
    """One socket."""

    netns: int
    family: str
    type: str
    protocol: str
    state: str
    local: EndpointRecord
    remote: EndpointRecord | None
    interface: InterfaceRecord | None
    inode: int | None  # 0: it has none; null: the source does not tell
    cookie: str | None
    uid: int | None
    user: str | None
    receive: ReceiveRecord
    send: SendRecord
    accept_queue: AcceptQueueRecord | None
    move: MoveRecord | None
    turn: str | None
    drops: int | None
    timer: TimerRecord | None
    holders: list[HolderRecord] | None
    holders_complete: bool
    waiters: list[WaiterRecord] | None
    watches: list[WatchRecord] | None
    peer: PeerRecord | None
    tcp: TcpInfo | None
    ownership: str
    shutdown: int | None


class ProcessRecord(Struct, frozen=True):
    """A process that holds a socket in this document. `command` has blanks between arguments, `argv` has them apart."""

    pid: int
    start_ticks: int | None
    started_at: float | None
    name: str | None
    command: str | None
    user: str | None
    cgroup: str | None
    container: str | None
    fd_count: int | None
    fd_limit: int | None
    uid: int | None
    parent_pid: int | None
    argv: list[str] | None
    cwd: str | None
    name_base64: str | UnsetType = UNSET
    command_base64: str | UnsetType = UNSET
    cgroup_base64: str | UnsetType = UNSET
    cwd_base64: str | UnsetType = UNSET


class ServerRecord(Struct, frozen=True):
    """How a listening endpoint is served. `listeners` are cookies (inodes where there are none)."""

    local: EndpointRecord
    protocol: str
    model: str
    mechanism: str | None
    trigger: str | None
    pool: str | None
    exclusive: str | None
    connections: int
    threads: int | None
    listeners: list[str]
    evidence: list[str]


class EvidenceRecord(Struct, frozen=True):
    """One value a finding rests on."""

    what: str
    value: str
    sampled: str
    age_s: float | None


class FindingRecord(Struct, frozen=True):
    """One fault. `sockets` are cookies (inodes where there are none)."""

    rule: str
    cause: str | None
    severity: str
    for_s: float | None
    summary: str
    evidence: list[EvidenceRecord]
    advice: list[str]
    about: Mapping[str, str]
    sockets: list[str]
    also: list[str]


class FdRecord(Struct, frozen=True):
    """One open fd of a process asked for with --pid. `flags` as open(2)'s, `position` as lseek(2)'s."""

    pid: int
    fd: int
    kind: str
    target: str
    flags: int | None
    position: int | None
    inode: int | None
    facts: Mapping[str, str] | None
    target_base64: str | UnsetType = UNSET


class OnRecord(Struct, frozen=True):
    """What a thread waits on."""

    fd: int
    events: int | None


class ThreadRecord(Struct, frozen=True):
    """One thread of a process asked for with --pid."""

    pid: int
    tid: int
    name: str
    state: str
    call: str | None
    on: list[OnRecord] | None
    call_source: str | None
    name_base64: str | UnsetType = UNSET


class GapRecord(Struct, frozen=True):
    """What could not be read; `what` and `reason` are codes, `detail` is a sentence and no contract."""

    what: str
    reason: str
    count: int
    detail: str


class SourcesRecord(Struct, frozen=True):
    """Where each table and the owners came from."""

    sockets: Mapping[str, str]
    owners: str | None


class HeadRecord(Struct, frozen=True):
    """What a document begins with."""

    schema: str
    host: str
    kernel: str
    boot_id: str
    sequence: int
    monotonic_s: float
    taken_at: float
    took_s: float
    sources: SourcesRecord
    gaps: list[GapRecord]


class TailRecord(Struct, frozen=True):
    """What follows the sockets. `fds` and `threads` are there with --pid only."""

    processes: list[ProcessRecord]
    servers: list[ServerRecord] | None
    findings: list[FindingRecord] | None
    fds: list[FdRecord] | UnsetType | None = UNSET
    threads: list[ThreadRecord] | UnsetType | None = UNSET
