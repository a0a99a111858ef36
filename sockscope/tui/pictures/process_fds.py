"""A process's facts and its open fds, sockets with their queues among them. Pure."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping

from msgspec import Struct

from sockscope.analysis.queues import accept_queue, receive_payload, send_payload
from sockscope.analysis.severity import severity
from sockscope.model.detail import PipeEnd
from sockscope.model.observation import Observation
from sockscope.model.process import Fd, Process
from sockscope.model.socket import Socket
from sockscope.present.address import local_and_remote
from sockscope.present.bars import bar
from sockscope.present.format import age, count, duration, party, process_name, size, state, user
from sockscope.present.text import command_text, sanitise
from sockscope.present.width import elide
from sockscope.tui.pictures.listener import server_text
from sockscope.tui.pictures.parts import Part, TextLine, cut, line, title

GLYPHS = {"severe": "▲", "warning": "!"}


class Holding(Struct, frozen=True):
    """The fds of one process by number, and its sockets by inode. `is_read` False: only sockets are known.

    `pipes` are the ends that other processes have of its pipes, by inode.
    """

    pid: int
    fds: Mapping[int, Fd]
    by_inode: Mapping[int, Socket]
    is_read: bool
    pipes: Mapping[int, tuple[PipeEnd, ...]] = {}
    are_pipes_read: bool = False

    def socket_by_inode(self, inode: int | None) -> Socket | None:
        """Return the socket behind an fd or a watch."""
        return self.by_inode.get(inode) if inode else None

    def sockets(self) -> Iterator[tuple[Fd, Socket]]:
        """Its sockets, in the order of their fds."""
        for number in sorted(self.fds):
            fd = self.fds[number]
            socket = self.by_inode.get(fd.inode) if fd.kind == "socket" and fd.inode else None
            if socket is not None:
                yield fd, socket


def holding_of(pid: int, observation: Observation) -> Holding:
    """Join fds and sockets: from the details, else from the look, else from the holders alone."""
    snapshot = observation.snapshot
    detail = observation.process_details.get(pid)
    fds = detail.fds.value if detail is not None and detail.fds is not None else None
    if fds is None and snapshot.fds is not None:
        fds = tuple(fd for fd in snapshot.fds if fd.pid == pid) or None
    by_inode = {socket.inode: socket for socket in snapshot.sockets.values() if socket.inode}
    if fds is not None:
        ends = detail.pipes.value if detail is not None and detail.pipes is not None else None
        return Holding(pid, {fd.fd: fd for fd in fds}, by_inode, is_read=True, pipes=_by_pipe(ends or ()),
                       are_pipes_read=ends is not None)
    held = {
        holder.fd: Fd(pid, holder.fd, "socket", b"socket:[%d]" % inode, inode)
        for inode, holders in snapshot.holders.items() for holder in holders if holder.pid == pid
    }
    return Holding(pid, held, by_inode, is_read=False)


def _by_pipe(ends: Iterable[PipeEnd]) -> dict[int, tuple[PipeEnd, ...]]:
    found: dict[int, tuple[PipeEnd, ...]] = {}
    for end in ends:
        found[end.inode] = (*found.get(end.inode, ()), end)
    return found


def process_of(pid: int, observation: Observation) -> Process | None:
    """Return the fullest facts there are; None of a process that is known to be gone."""
    detail = observation.process_details.get(pid)
    if has_ended(pid, observation):
        return None
    read = detail.process.value if detail is not None and detail.process is not None else None
    return read or observation.snapshot.processes.get(pid)


def has_ended(pid: int, observation: Observation) -> bool:
    """Tell whether the last reading found no such process, and no later look found it holding a socket."""
    detail = observation.process_details.get(pid)
    read = detail.process if detail is not None else None
    gone = read is not None and read.gap is not None and read.gap.reason == "vanished"
    return gone and pid not in observation.snapshot.processes


def fact_lines(process: Process, holding: Holding, observation: Observation, width: int) -> list[tuple[Part, ...]]:
    """Who it is, and what it serves: two lines."""
    name = f" {process_name(process)} {process.pid}"
    words: list[str] = []
    if process.command:
        words.append(sanitise(command_text(process.command), max(16, width // 3)))
    if process.uid is not None:
        words.append(f"user {user(process.uid, observation.names)}")
    if process.started_at is not None:
        words.append(f"up {duration(max(0.0, observation.snapshot.taken_at - process.started_at))}")
    if process.container:
        words.append(f"container {sanitise(process.container, 20)}")
    number = len(holding.fds) if holding.is_read else process.fd_count
    fds = "" if number is None else f"fds {count(number)}"
    gauge: Part = ("", "bar")
    if number is not None and process.fd_limit:
        fds += f" of {count(process.fd_limit)} "
        gauge = (bar(number / process.fd_limit, None, 6), "bar")
    first = cut([(name, "title"), ("  " + "   ".join(words), "plain"), ("   " + fds, "plain"), gauge], width)
    return [first, cut([(" " + serves_text(process.pid, observation, width), "dim")], width)]


def place_line(process: Process, width: int) -> tuple[Part, ...]:
    """Where it runs and since when; empty where nothing of it was read."""
    words = []
    if process.started_at is not None:
        words.append(time.strftime("since %Y-%m-%d %H:%M:%S", time.localtime(process.started_at)))
    if process.cwd:
        words.append(f"cwd {sanitise(process.cwd, 60)}")
    if process.cgroup:
        words.append(f"cgroup {sanitise(process.cgroup, 120)}")
    return cut([(" " + "   ".join(words), "dim")], width) if words else ()


def serves_text(pid: int, observation: Observation, width: int) -> str:
    """Return what it listens on, and how."""
    snapshot = observation.snapshot
    words: list[str] = []
    for socket in snapshot.sockets.values():
        if not socket.is_listener or all(holder.pid != pid for holder in snapshot.holders_of(socket)):
            continue
        server = next((one for one in observation.servers or () if socket.key in one.listeners), None)
        where = f":{socket.local.port}" if socket.local.port is not None else sanitise(socket.local.path or b"", 30)
        words.append(where + (f" {server_text(server)}" if server is not None else ""))
    return elide("serves " + "   ".join(words) if words else "serves nothing", width - 2)


def socket_parts(socket: Socket, observation: Observation, room: int) -> list[Part]:
    """`ESTAB :3000 ← 127.0.0.1:41022  212K in  app 9s`."""
    grade = severity(socket, observation)
    role = grade if grade in GLYPHS else "plain"
    parts: list[Part] = [(f"{GLYPHS.get(role, ' ')} {state(socket):<10} ", role)]
    ends = local_and_remote(socket, observation, max(12, room)).rstrip()
    parts.append((ends or f"inode {socket.inode}", "plain"))
    parts.append((_queued(socket), "bar"))
    move = (observation.moves or {}).get(socket.key)
    if move is not None and move.row.party != "none":
        parts.append((f"  {party(move.row)} {age(move.row)}", role if role != "plain" else "dim"))
    return parts


def _queued(socket: Socket) -> str:
    queue = accept_queue(socket)
    if queue is not None:
        return f"  {count(queue.length)}/{count(queue.limit)}"
    words = []
    if received := receive_payload(socket):
        words.append(f"  {size(received)} unread")
    if unsent := send_payload(socket):
        words.append(f"  {size(unsent)} unsent")
    return "".join(words)


def fd_lines(holding: Holding, observation: Observation, width: int) -> list[TextLine]:
    """Every fd; sockets in trouble first, then by number."""
    kinds = Counter(fd.kind for fd in holding.fds.values())
    note = "  ".join(f"{count(number)} {kind}" for kind, number in kinds.most_common(5))
    lines = [title(f"SOCKETS AND FILES {count(len(holding.fds))}", note if holding.is_read else "sockets only so far")]
    in_trouble: list[TextLine] = []
    others: list[TextLine] = []
    for number in sorted(holding.fds):
        fd = holding.fds[number]
        socket = holding.socket_by_inode(fd.inode) if fd.kind == "socket" else None
        if socket is None:
            far, key = _far_end(fd, holding, observation)
            others.append(line(f"{number:>5} ", (f"  {fd.kind:<10} ", "dim"), _what(fd), (far, "dim"), key=key))
            continue
        made = line(f"{number:>5} ", *socket_parts(socket, observation, max(20, width - 38)),
                    key=("socket", socket.key, "fd", number))
        (in_trouble if severity(socket, observation) in GLYPHS else others).append(made)
    return [*lines, *in_trouble, *others]


def _far_end(fd: Fd, holding: Holding, observation: Observation) -> tuple[str, Hashable]:
    """Say who has the other end of a pipe (not who else has this one); the line's key leads to that process."""
    writes = None if fd.flags is None else bool(fd.flags & os.O_ACCMODE)
    ends = [end for end in holding.pipes.get(fd.inode or 0, ()) if end.writes is None or end.writes is not writes]
    if not ends:
        own = any(one.inode == fd.inode and one.fd != fd.fd for one in holding.fds.values())
        alone = fd.kind == "pipe" and holding.are_pipes_read and not own
        return f"  no {'reader' if writes else 'writer'} seen" if alone else "", ("fd", fd.fd)
    first = ends[0]
    arrow = "⇄" if first.writes is None else "←" if first.writes else "→"
    name = process_name(observation.snapshot.processes.get(first.pid) or Process(first.pid, name=first.name))
    pids = {end.pid for end in ends}
    more = f" +{len(pids) - 1}" if len(pids) > 1 else ""
    return f"  {arrow} {name} {first.pid} fd {first.fd}{more}", ("process", first.pid, "fd", fd.fd)


def _what(fd: Fd) -> str:
    text = sanitise(fd.target, 80)
    if fd.flags is not None:
        text += "  " + ("r", "w", "rw", "?")[fd.flags & 3]
    if fd.position:
        text += f"  at {count(fd.position)}"
    facts = [f"{name} {value}" for name, value in fd.facts or () if name not in ("mnt_id", "ino", "tfd")]
    return "  ".join([text, *(sanitise(fact, 40) for fact in facts[:4])])
