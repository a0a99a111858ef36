"""A listener's anatomy: clients -> SYN queue -> accept queue -> who accepts, and who waits, oldest first. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from sockscope.analysis.memory import Memory
from sockscope.analysis.peers import listener_of, peer_of
from sockscope.analysis.queues import accept_queue, receive_payload, received_end
from sockscope.analysis.tracks import is_unaccepted
from sockscope.model.observation import Observation
from sockscope.model.server import Server
from sockscope.model.socket import Socket
from sockscope.present.bars import bar
from sockscope.present.format import byte_count, count, duration, endpoint
from sockscope.present.text import sanitise
from sockscope.tui.pictures.parts import PIPE, TextLine, labelled, line, title
from sockscope.tui.pictures.pipeline import process_lines, thread_lines, watch_lines, who

MOST_WAITING = 20


def waiting_of(listener: Socket, observation: Observation, memory: Memory) -> list[tuple[float | None, Socket]]:
    """Return the connections nobody has accepted yet, the oldest first, with how long they wait."""
    snapshot = observation.snapshot
    found: list[tuple[float | None, Socket]] = []
    if listener.family == "unix":
        by_inode = {socket.inode: socket for socket in snapshot.sockets.values() if socket.family == "unix"}
        return [(None, by_inode[inode]) for inode in listener.waiting_clients or () if inode in by_inode]
    for socket in snapshot.sockets.values():
        if socket.local.port != listener.local.port or not is_unaccepted(socket):
            continue
        owner = listener_of(snapshot, socket)
        if owner is not None and owner.local == listener.local:
            track = memory.tracks.get(socket.key)
            since_s = track.unaccepted_since_s if track is not None else None
            found.append((None if since_s is None else snapshot.monotonic_s - since_s, socket))
    return sorted(found, key=lambda pair: -(pair[0] or 0.0))


def half_open(listener: Socket, sockets: Iterable[Socket]) -> int:
    """How many handshakes towards it are not finished (SYN_RECV rows among these)."""
    return sum(
        socket.state == "SYN_RECV" and socket.local.port == listener.local.port and socket.netns == listener.netns
        for socket in sockets
    )


def listener_lines(listener: Socket, observation: Observation, width: int) -> list[TextLine]:
    """Return the pipeline IN."""
    cells = max(8, min(40, width - 34))
    lines = [title(" IN   client → application")]
    if listener.is_inet:
        half = half_open(listener, observation.snapshot.sockets.values())
        lines.append(labelled("SYN queue", f"{count(half)} handshakes not finished"))
    queue = accept_queue(listener)
    if queue is not None:
        role = "severe" if queue.is_full else "bar"
        drawn = bar(queue.fill if queue.length else 0.0, None, cells)
        lines.append(labelled("accept", (drawn, role), f" {count(queue.length)} of {count(queue.limit)}",
                              ("   full when length > backlog", "dim")))
    if listener.drop_count:
        lines.append(labelled("dropped", f"{count(listener.drop_count)} since it listens"))
    verdict = "readable: accept() takes one" if listener.receive_queued else "nobody waits to be accepted"
    lines.append(line(PIPE, ("● " if listener.receive_queued else "○ ", "dim"), verdict))
    detail = observation.details.get(listener.key)
    lines += watch_lines(detail)
    lines += thread_lines(detail)
    lines += process_lines(listener, observation)
    return lines


def server_of(listener: Socket, observation: Observation) -> Server | None:
    """Return what is known of how it is served."""
    return next((one for one in observation.servers or () if listener.key in one.listeners), None)


def server_text(server: Server) -> str:
    """`event-loop, epoll edge, pre-forked`."""
    words = [server.model]
    if server.mechanism:
        words.append(f"{server.mechanism} {server.trigger}" if server.trigger else server.mechanism)
    words += [word for word in (server.pool, server.exclusive) if word]
    return ", ".join(words)


def server_lines(listener: Socket, observation: Observation, width: int) -> list[TextLine]:
    """Who serves it, with the evidence."""
    server = server_of(listener, observation)
    if server is None:
        return []
    lines = [title(" WHO SERVES IT"), labelled("model", server_text(server))]
    threads = "" if server.threads is None else f"   {count(server.threads)} threads"
    lines.append(labelled("sockets", f"{count(server.connections)} connections{threads}"))
    lines += [labelled("evidence" if not number else "", sanitise(text, max(20, width - 12)))
              for number, text in enumerate(server.evidence)]
    return lines


def waiting_lines(listener: Socket, observation: Observation, memory: Memory) -> list[TextLine]:
    """Who waits to be accepted; each can be followed."""
    waiting = waiting_of(listener, observation, memory)
    if not waiting:
        return []
    lines = [title(" WAITING TO BE ACCEPTED", f"{count(len(waiting))}, oldest first")]
    for age_s, socket in waiting[:MOST_WAITING]:
        client = peer_of(observation.snapshot, socket)
        held = observation.snapshot.holders_of(client) if client is not None else ()
        name = f"  from {who(held, observation)}" if held else ""
        unread = byte_count(receive_payload(socket))
        gone = "  EOF: the client gave up" if received_end(socket) else f"  {unread} unread"
        age = "?" if age_s is None else duration(age_s)
        client_end = endpoint(socket.remote) or "unnamed"
        lines.append(line(f"  {age:>5} ← {client_end}{name}{gone}", key=("socket", socket.key)))
    if len(waiting) > MOST_WAITING:
        lines.append(line((f"        {count(len(waiting) - MOST_WAITING)} more", "dim")))
    return lines
