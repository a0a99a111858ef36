"""Builds the records of schema sockscope.snapshot/1 from an observation. Pure; the writers encode what it makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from msgspec import UNSET, Struct, UnsetType, structs

from sockscope.analysis.ownership import ownership
from sockscope.analysis.peers import peer_of
from sockscope.analysis.queues import accept_queue, receive_queue, send_queue
from sockscope.model.detail import Read, SocketDetail, TcpInfo
from sockscope.model.observation import Observation
from sockscope.model.process import Process
from sockscope.model.socket import Endpoint, Holder, Socket, Timer
from sockscope.model.verdict import Move, RowMove
from sockscope.present import records as r
from sockscope.present.lossless import clean, optional_text, text_and_base64

_NOBODY = r.MoveRecord("none", "moving", None, "", since_at_least=False)


class Document(Struct, frozen=True):
    """What a snapshot's document holds beside its sockets."""

    head: r.HeadRecord
    tail: r.TailRecord


def document(observation: Observation, sockets: Iterable[Socket]) -> Document:
    """Return head and tail for a document of these sockets: only the processes that hold one of them are in it."""
    snapshot = observation.snapshot
    return Document(head(observation), tail(observation, {
        holder.pid for socket in sockets for holder in snapshot.holders_of(socket)
    }))


def head(observation: Observation) -> r.HeadRecord:
    """Return what a document begins with."""
    snapshot = observation.snapshot
    tables = {name: source for name, source in snapshot.sources.items() if name != "owners"}
    return r.HeadRecord(
        r.SCHEMA, clean(snapshot.host), clean(snapshot.kernel), snapshot.boot_id, snapshot.sequence,
        snapshot.monotonic_s, snapshot.taken_at, snapshot.took_s,
        r.SourcesRecord(tables, snapshot.sources.get("owners")),
        [r.GapRecord(gap.what, gap.reason, gap.count, clean(gap.detail)) for gap in snapshot.gaps],
    )


# -- sockets ------------------------------------------------------------------------------------------------------


class SocketRecords:
    """Makes the records of one observation's sockets: `of(socket)`.

    Idle sockets are alike: what their queues say is worked out once for each state of a queue, which halves the time
    of a document of 100,000 sockets.
    """

    def __init__(self, observation: Observation) -> None:
        self._observation = observation
        self._snapshot = observation.snapshot
        self._holders_complete = observation.snapshot.scanned_all and not observation.snapshot.hidden_processes
        self._queues: dict[tuple[object, ...], _Queues] = {}
        self._names: dict[int, tuple[str | None, str | UnsetType]] = {}
        self._users = {uid: clean(name) for uid, name in observation.names.users.items()}

    def of(self, socket: Socket) -> r.SocketRecord:
        """Return one socket's record."""
        observation, snapshot, key = self._observation, self._snapshot, socket.key
        detail = observation.details.get(key)
        moves = observation.moves
        row = moves.get(key) if moves is not None else None
        if row is not None and detail is None and snapshot.sequence == 1:
            row = _without_age(row)
        peer = peer_of(snapshot, socket)
        queues = self._queues_of(socket, peer, detail, row)
        remote = socket.remote
        return r.SocketRecord(
            socket.netns, socket.family, socket.type, socket.protocol, socket.state,
            self.end(socket.local), None if remote is None else self.end(remote),
            None if socket.interface is None else _interface(socket, observation), socket.told_inode, _cookie(socket),
            socket.uid, self.user(socket.uid), queues.receive, queues.send,
            queues.accept, queues.row, row.turn if row is not None else None, socket.drop_count,
            None if socket.timer is None else self.timer(socket.timer, detail), self.holders(socket, detail),
            self._holders_complete or not socket.inode, _waiters(detail), _watches(detail), _peer(socket, peer),
            _tcp(detail), ownership(snapshot, socket), socket.shutdown,
        )

    def _queues_of(
        self, socket: Socket, peer: Socket | None, detail: SocketDetail | None, row: RowMove | None
    ) -> _Queues:
        known = self._observation.moves is not None
        if detail is not None or row is not None or socket.family == "unix":
            return _queues(socket, peer, detail, row, known=known)
        state = (socket.protocol, socket.type, socket.state, socket.receive_queued, socket.send_queued,
                 socket.shutdown, socket.memory)
        queues = self._queues.get(state)
        if queues is None:
            queues = self._queues[state] = _queues(socket, peer, detail, row, known=known)
        return queues

    def holders(self, socket: Socket, detail: SocketDetail | None) -> list[r.HolderRecord] | None:
        """Return who has it open; None where there may be somebody whom we may not see."""
        holders = self._snapshot.holders_of(socket)
        if not holders:
            return [] if self._holders_complete or not socket.inode else None
        read = detail.nonblocking if detail is not None else None
        flags: Mapping[tuple[int, int], bool] = (read.value or {}) if read is not None else {}
        return [self.holder(holder, flags.get((holder.pid, holder.fd))) for holder in holders]

    def holder(self, holder: Holder, nonblocking: bool | None = None) -> r.HolderRecord:
        """Return one of them."""
        name, base64 = self._name_of(holder.pid)
        return r.HolderRecord(holder.pid, holder.fd, name, nonblocking, base64)

    def end(self, end: Endpoint) -> r.EndpointRecord:
        """Return one end's record."""
        return _endpoint(end, self._observation)

    def user(self, uid: int | None) -> str | None:
        """Return a user's name."""
        return None if uid is None else self._users.get(uid)

    @staticmethod
    def timer(timer: Timer, detail: SocketDetail | None) -> r.TimerRecord:
        """Return the record of a running timer."""
        expires_s = timer.expires_s
        if expires_s is None and detail is not None and detail.timer_expires_s is not None:
            expires_s = detail.timer_expires_s.value
        return r.TimerRecord(timer.kind, expires_s, timer.retransmits)

    def _name_of(self, pid: int) -> tuple[str | None, str | UnsetType]:
        known = self._names.get(pid)
        if known is None:
            process = self._snapshot.processes.get(pid)
            known = self._names[pid] = optional_text(process.name if process is not None else None)
        return known


def _without_age(row: RowMove) -> RowMove:
    """Drop `since_s`: it needs two looks, or the detail of one."""
    whole, receive, send = (
        structs.replace(move, since_s=None, at_least=False) for move in (row.row, row.receive, row.send)
    )
    return RowMove(whole, receive, send, row.turn, row.turn_reason)


class _Queues(Struct, frozen=True):
    receive: r.ReceiveRecord
    send: r.SendRecord
    accept: r.AcceptQueueRecord | None
    row: r.MoveRecord | None


def _queues(
    socket: Socket, peer: Socket | None, detail: SocketDetail | None, row: RowMove | None, *, known: bool
) -> _Queues:
    return _Queues(
        _receive(socket, peer, detail, row, known=known), _send(socket, peer, detail, row, known=known),
        _accept(socket), _row_move(row, known=known),
    )


def _endpoint(end: Endpoint, observation: Observation) -> r.EndpointRecord:
    if end.path is None:
        host = observation.names.hosts.get(end.address)
        return r.EndpointRecord(end.address or None, end.port, None, abstract=False,
                                name=None if host is None else clean(host))
    path, base64 = text_and_base64(end.path)
    return r.EndpointRecord(None, end.port, path, end.abstract, None, base64)


def _interface(socket: Socket, observation: Observation) -> r.InterfaceRecord | None:
    if socket.interface is None:
        return None
    name = observation.snapshot.interfaces.get(socket.interface)
    return r.InterfaceRecord(socket.interface, None if name is None else clean(name))


def _cookie(socket: Socket) -> str | None:
    return None if socket.cookie is None else f"{socket.cookie:x}"


def _move(move: Move) -> r.MoveRecord:
    return r.MoveRecord(move.party, move.condition, move.since_s, clean(move.reason), move.at_least)


def _row_move(row: RowMove | None, *, known: bool) -> r.MoveRecord | None:
    if row is not None:
        return _move(row.row)
    return _NOBODY if known else None


def _receive(
    socket: Socket, peer: Socket | None, detail: SocketDetail | None, row: RowMove | None, *, known: bool
) -> r.ReceiveRecord:
    queue = receive_queue(socket, peer, detail)
    move = _move(row.receive) if row is not None else _NOBODY if known else None
    return r.ReceiveRecord(
        queue.queued_bytes, queue.capacity_bytes, _fraction(queue.fill), queue.mark_bytes, queue.mark_source,
        queue.ready, clean(queue.reason), move, queue.eof,
    )


def _send(
    socket: Socket, peer: Socket | None, detail: SocketDetail | None, row: RowMove | None, *, known: bool
) -> r.SendRecord:
    queue = send_queue(socket, peer, detail)
    move = _move(row.send) if row is not None else _NOBODY if known else None
    return r.SendRecord(
        queue.queued_bytes, queue.capacity_bytes, _fraction(queue.fill), queue.mark_bytes, queue.mark_source,
        queue.ready, queue.would_block, clean(queue.reason), move,
    )


def _fraction(fill: float | None) -> float | None:
    return None if fill is None else round(fill, 4)


def _accept(socket: Socket) -> r.AcceptQueueRecord | None:
    queue = accept_queue(socket)
    return None if queue is None else r.AcceptQueueRecord(queue.length, queue.limit, round(queue.fill, 4))


def _waiters(detail: SocketDetail | None) -> list[r.WaiterRecord] | None:
    waiters = detail.waiters.value if detail is not None and detail.waiters is not None else None
    if waiters is None:
        return None
    made = []
    for waiter in waiters:
        thread, base64 = text_and_base64(waiter.thread)
        made.append(r.WaiterRecord(waiter.pid, waiter.tid, thread, waiter.call, waiter.via, waiter.via_fd, base64))
    return made


def _watches(detail: SocketDetail | None) -> list[r.WatchRecord] | None:
    watches = detail.watches.value if detail is not None and detail.watches is not None else None
    if watches is None:
        return None
    return [
        r.WatchRecord(watch.pid, watch.epoll_fd, watch.fd, watch.events, watch.trigger, watch.oneshot, watch.armed,
                      watch.exclusive, watch.data, watch.stale)
        for watch in watches
    ]


def _peer(socket: Socket, peer: Socket | None) -> r.PeerRecord | None:
    if peer is not None:
        return r.PeerRecord(peer.told_inode, _cookie(peer))
    return r.PeerRecord(socket.peer_inode, None) if socket.peer_inode else None


def _tcp(detail: SocketDetail | None) -> TcpInfo | None:
    read: Read[TcpInfo] | None = detail.tcp if detail is not None else None
    return read.value if read is not None else None


# -- processes, servers, findings, fds, threads ---------------------------------------------------------------------


def tail(observation: Observation, pids: AbstractSet[int]) -> r.TailRecord:
    """Return what follows the sockets; of the processes these, and those whose fds were asked for."""
    snapshot = observation.snapshot
    if snapshot.fds is not None:
        pids = pids | {fd.pid for fd in snapshot.fds}
    processes = [_process(snapshot.processes[pid], observation) for pid in sorted(pids) if pid in snapshot.processes]
    return r.TailRecord(
        processes, _servers(observation), _findings(observation), _fds(observation), _threads(observation)
    )


def _process(process: Process, observation: Observation) -> r.ProcessRecord:
    name, name_base64 = optional_text(process.name)
    command, command_base64 = optional_text(process.command)
    cgroup, cgroup_base64 = optional_text(process.cgroup)
    cwd, cwd_base64 = optional_text(process.cwd)
    argv = None if command is None else command.removesuffix("\0").split("\0")
    user = None if process.uid is None else observation.names.users.get(process.uid)
    return r.ProcessRecord(
        process.pid, process.start_ticks, process.started_at, name, None if argv is None else " ".join(argv),
        None if user is None else clean(user), cgroup,
        None if process.container is None else clean(process.container), process.fd_count, process.fd_limit,
        process.uid, process.parent_pid, argv, cwd, name_base64, command_base64, cgroup_base64, cwd_base64,
    )


def _key_text(key: tuple[object, ...], observation: Observation) -> str:
    socket = observation.snapshot.sockets.get(key)
    if socket is not None:
        return _cookie(socket) or str(socket.inode)
    return f"{key[1]:x}" if len(key) == 2 and isinstance(key[1], int) else str(key[-1])


def _servers(observation: Observation) -> list[r.ServerRecord] | None:
    if observation.servers is None:
        return None
    return [
        r.ServerRecord(
            _endpoint(server.local, observation), server.protocol, server.model, server.mechanism, server.trigger,
            server.pool, server.exclusive, server.connections, server.threads,
            [_key_text(key, observation) for key in server.listeners], [clean(line) for line in server.evidence],
        )
        for server in observation.servers
    ]


def _findings(observation: Observation) -> list[r.FindingRecord] | None:
    if observation.findings is None:
        return None
    return [
        r.FindingRecord(
            finding.rule, finding.cause, finding.severity, finding.for_s, clean(finding.summary),
            [r.EvidenceRecord(clean(e.what), clean(e.value), clean(e.sampled), e.age_s) for e in finding.evidence],
            [clean(line) for line in finding.advice],
            ({"kind": finding.about[0][0]} if finding.about else {})
            | {kind: clean(name) for kind, name in finding.about},
            [_key_text(key, observation) for key in finding.sockets], list(finding.also),
        )
        for finding in observation.findings
    ]


def _fds(observation: Observation) -> list[r.FdRecord] | UnsetType:
    fds = observation.snapshot.fds
    if fds is None:
        return UNSET
    made = []
    for fd in fds:
        target, base64 = text_and_base64(fd.target)
        facts = None if fd.facts is None else {clean(name): clean(value) for name, value in fd.facts}
        made.append(r.FdRecord(fd.pid, fd.fd, fd.kind, target, fd.flags, fd.position, fd.inode, facts, base64))
    return made


def _threads(observation: Observation) -> list[r.ThreadRecord] | UnsetType | None:
    threads = observation.snapshot.threads
    if threads is None:
        return UNSET if observation.snapshot.fds is None else None
    made = []
    for thread in threads:
        name, base64 = text_and_base64(thread.name)
        if thread.on_fds is not None:
            on: list[r.OnRecord] | None = [r.OnRecord(fd, events) for fd, events in thread.on_fds]
        else:
            on = None if thread.on_fd is None else [r.OnRecord(thread.on_fd, None)]
        made.append(r.ThreadRecord(thread.pid, thread.tid, name, thread.state, thread.call, on, thread.call_source,
                                   base64))
    return made
