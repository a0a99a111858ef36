"""A socket's anatomy as data: (label, value, role) lines in groups, for the screens, reports and copies."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from sockscope.analysis.peers import peer_of
from sockscope.analysis.queues import accept_queue, receive_queue, send_queue
from sockscope.model.detail import Marks, SocketDetail, TcpInfo, Waiter, Watch
from sockscope.model.observation import Observation
from sockscope.model.socket import Socket
from sockscope.model.verdict import Move, Queue
from sockscope.present import format as words
from sockscope.present.tcp_lines import tcp_lines
from sockscope.present.text import sanitise

# EPOLL* and POLL* bits (include/uapi/linux/eventpoll.h), in the order they are said.
_EVENTS = ((0x1, "IN"), (0x4, "OUT"), (0x2, "PRI"), (0x2000, "RDHUP"), (0x8, "ERR"), (0x10, "HUP"))


class Line(Struct, frozen=True, gc=False):
    """One fact: what it is, its value as shown, and the role that colours the value."""

    label: str
    value: str
    role: str = "plain"


class Group(Struct, frozen=True):
    """Facts that belong together."""

    title: str
    lines: tuple[Line, ...]


def anatomy(socket: Socket, observation: Observation) -> tuple[Group, ...]:
    """Return everything known about a socket, sanitised. A group of which nothing is known is left out."""
    detail = observation.details.get(socket.key)
    groups = [
        Group("identity", tuple(identity(socket, observation))),
        Group("in", tuple(_incoming(socket, observation, detail))),
        Group("out", tuple(_outgoing(socket, observation, detail))),
        Group("waits", tuple(waiter_lines(detail, observation))),
        Group("watched", tuple(watch_lines(detail, observation))),
    ]
    if detail is not None and detail.tcp is not None and detail.tcp.value is not None:
        groups += [Group(title, tuple(Line(*each) for each in lines)) for title, lines in tcp_lines(detail.tcp.value)]
    if detail is not None and detail.marks is not None and detail.marks.value is not None:
        groups.append(Group("options", tuple(_options(detail.marks.value))))
    groups.append(Group("gaps", tuple(_gaps(detail))))
    return tuple(group for group in groups if group.lines)


def identity(socket: Socket, observation: Observation) -> list[Line]:
    """Return what the socket is and who has it."""
    snapshot = observation.snapshot
    lines = [
        Line("socket", f"{socket.family} {socket.type} {words.five_tuple(socket)}"),
        Line("state", words.state(socket)),
        Line("inode", "?" if socket.told_inode is None else str(socket.inode or "none")),
        Line("cookie", words.UNKNOWN if socket.cookie is None else f"{socket.cookie:x}"),
        Line("user", words.user(socket.uid, observation.names)),
        Line("netns", "ours" if socket.netns == snapshot.netns else str(socket.netns)),
    ]
    for holder in snapshot.holders_of(socket):
        name = words.process_name(snapshot.processes.get(holder.pid))
        lines.append(Line("holder", f"{name} {holder.pid} fd {holder.fd}{_blocking(socket, holder.fd, observation)}"))
    if not snapshot.holders_complete(socket):
        lines.append(Line("holder", "others may be hidden", "dim"))
    peer = peer_of(snapshot, socket)
    if peer is not None:
        holders = snapshot.holders_of(peer)
        who = "not accepted" if not holders else " ".join(
            (words.process_name(snapshot.processes.get(holders[0].pid)), str(holders[0].pid), f"fd {holders[0].fd}"))
        lines.append(Line("peer", f"{who}  on this host"))
    if socket.timer is not None:
        lines.append(Line("timer", f"{socket.timer.kind.replace('-', ' ')}, {socket.timer.retransmits} tries"))
    if socket.drop_count:
        lines.append(Line("drops", words.count(socket.drop_count), "warning"))
    return lines


def _blocking(socket: Socket, fd: int, observation: Observation) -> str:
    detail = observation.details.get(socket.key)
    read = detail.nonblocking.value if detail is not None and detail.nonblocking is not None else None
    for (_, number), nonblocking in (read or {}).items():
        if number == fd:
            return "  non-blocking" if nonblocking else "  blocking"
    return ""


def _incoming(socket: Socket, observation: Observation, detail: SocketDetail | None) -> list[Line]:
    waiting = accept_queue(socket)
    if waiting is not None:
        return [
            Line("accept queue", f"{waiting.length} of {waiting.limit}", "severe" if waiting.is_full else "plain"),
            Line("full", "when length > backlog", "dim"),
            *_move_line(socket, observation, "receive"),
        ]
    queue = receive_queue(socket, peer_of(observation.snapshot, socket), detail)
    return [*_queue_lines(queue, "readable", "not readable"), *_move_line(socket, observation, "receive")]


def _outgoing(socket: Socket, observation: Observation, detail: SocketDetail | None) -> list[Line]:
    if socket.is_listener:
        return []
    queue = send_queue(socket, peer_of(observation.snapshot, socket), detail)
    lines = _queue_lines(queue, "poll: writable", "poll: not writable")
    if queue.would_block is not None:
        lines.append(Line("send()", "blocks" if queue.would_block else "takes data",
                          "warning" if queue.would_block else "good"))
    return lines + _move_line(socket, observation, "send")


def _queue_lines(queue: Queue, yes: str, no: str) -> list[Line]:
    capacity = "" if queue.capacity_bytes is None else f" of {words.byte_count(queue.capacity_bytes)}"
    lines = [Line("queued", f"{words.byte_count(queue.queued_bytes)}{capacity}  {words.percent(queue.fill)}", "bar")]
    if queue.eof:
        lines.append(Line("end", "EOF: the peer will send no more"))
    if queue.mark_bytes is not None:
        lines.append(Line("mark", f"{words.byte_count(queue.mark_bytes)} ({queue.mark_source or 'default'})", "mark"))
    if queue.ready is None:
        verdict, role = "unknown", "dim"
    else:
        verdict, role = (f"● {yes}", "good") if queue.ready else (f"○ {no}", "plain")
    lines.append(Line("verdict", verdict, role))
    if queue.reason:
        lines.append(Line("because", sanitise(queue.reason, 300), "dim"))
    return lines


def _move_line(socket: Socket, observation: Observation, way: str) -> list[Line]:
    row = (observation.moves or {}).get(socket.key)
    if row is None:
        return []
    move: Move = row.receive if way == "receive" else row.send
    if move.party == "none":
        return [Line("whose move", "nobody", "dim")]
    text = " ".join(part for part in (words.party(move), move.condition, words.age(move)) if part)
    lines = [Line("whose move", text, "warning" if move.condition == "stalled" else "plain")]
    if move.reason:
        lines.append(Line("why", sanitise(move.reason, 300)))
    return lines


def waiter_lines(detail: SocketDetail | None, observation: Observation) -> list[Line]:
    """Return the threads that wait for this socket; "nobody" is said only where it was read."""
    read = detail.waiters if detail is not None else None
    if read is None or read.value is None:
        return []
    if not read.value:
        return [Line("threads", "nobody waits", "dim")]
    return [Line(f"thread {waiter.tid}", _waiter(waiter, observation)) for waiter in read.value]


def _waiter(waiter: Waiter, observation: Observation) -> str:
    name = words.process_name(observation.snapshot.processes.get(waiter.pid))
    place = f"({waiter.via_fd})" if waiter.via_fd is not None else f"({waiter.fd})" if waiter.fd is not None else "()"
    events = f" for {event_words(waiter.events)}" if waiter.events else ""
    return f"{sanitise(waiter.thread, 32)} of {name} {waiter.pid} in {waiter.call}{place}{events}"


def watch_lines(detail: SocketDetail | None, observation: Observation) -> list[Line]:
    """Return the epoll registrations of this socket."""
    read = detail.watches if detail is not None else None
    if read is None or read.value is None:
        return []
    if not read.value:
        return [Line("epoll", "in no epoll set", "dim")]
    return [Line(f"epoll {watch.epoll_fd}", _watch(watch, observation)) for watch in read.value]


def _watch(watch: Watch, observation: Observation) -> str:
    name = words.process_name(observation.snapshot.processes.get(watch.pid))
    traits = [f"fd {watch.fd}", event_words(watch.events), watch.trigger.upper()]
    if watch.oneshot:
        traits.append("one-shot, armed" if watch.armed else "one-shot, fired")
    if watch.exclusive:
        traits.append("exclusive")
    if watch.stale is not None:
        traits.append(f"stale: the fd was {watch.stale}")
    return f"{'  '.join(traits)}  {name} {watch.pid}"


def event_words(events: int) -> str:
    """Return poll's and epoll's event bits in words: `IN OUT`."""
    return " ".join(word for bit, word in _EVENTS if events & bit) or "none"


def _options(marks: Marks) -> list[Line]:
    def flag(label: str, value: bool | None) -> list[Line]:
        return [] if value is None else [Line(label, "on" if value else "off")]

    lines = [Line("SO_RCVLOWAT", words.byte_count(marks.receive_lowat))]
    if marks.notsent_lowat is not None:
        lines.append(Line("TCP_NOTSENT_LOWAT", words.byte_count(marks.notsent_lowat) if marks.notsent_lowat
                          else "the sysctl's"))
    lines.append(Line("SO_SNDLOWAT", "1 B (constant on Linux)", "dim"))
    lines += flag("TCP_NODELAY", marks.nodelay) + flag("SO_KEEPALIVE", marks.keepalive)
    lines += flag("SO_RCVBUF set by hand", marks.receive_locked) + flag("SO_SNDBUF set by hand", marks.send_locked)
    return lines


def _gaps(detail: SocketDetail | None) -> list[Line]:
    reads = () if detail is None else (
        ("tcp_info", detail.tcp), ("marks", detail.marks), ("waiters", detail.waiters), ("watches", detail.watches))
    return [
        Line(name, sanitise(": ".join(filter(None, (read.gap.reason.replace("_", " "), read.gap.detail))), 200), "dim")
        for name, read in reads
        if read is not None and read.gap is not None
    ]


def report(socket: Socket, observation: Observation) -> str:
    """Return the anatomy as plain text, for the clipboard."""
    parts: list[str] = [words.five_tuple(socket)]
    for group in anatomy(socket, observation):
        parts.append(f"\n{group.title.upper()}")
        parts += [f"  {line.label:<22} {line.value}" for line in group.lines]
    return "\n".join(parts) + "\n"


def read_ages(details: Sequence[SocketDetail], now_s: float) -> float | None:
    """Return how old the newest tcp_info among these is, in seconds."""
    ages = [now_s - detail.tcp.read_at_s for detail in details if detail.tcp is not None]
    return min(ages, default=None)


__all__ = ["Group", "Line", "TcpInfo", "anatomy", "event_words", "identity", "read_ages", "report"]
