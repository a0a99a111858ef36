"""A socket's two directions as pipelines, with a break where it is stuck. Pure.

IN   peer -> receive buffer and its mark -> watch -> thread -> process
OUT  process -> send buffer and its mark -> network -> peer
"""

from __future__ import annotations

from sockscope.analysis.ownership import ownership
from sockscope.analysis.peers import peer_of
from sockscope.analysis.queues import receive_queue, send_queue
from sockscope.model.detail import SocketDetail, TcpInfo, Watch
from sockscope.model.observation import Observation
from sockscope.model.socket import Holder, Socket
from sockscope.model.verdict import Move, Queue
from sockscope.present.bars import bar
from sockscope.present.format import byte_count, count, endpoint, percent, process_name, size
from sockscope.present.text import sanitise
from sockscope.tui.pictures.parts import PIPE, TextLine, labelled, line, wrap

EVENTS = ((0x001, "IN"), (0x002, "PRI"), (0x004, "OUT"), (0x2000, "RDHUP"), (0x008, "ERR"), (0x010, "HUP"))
ALWAYS_TOLD = 0x018  # ERR and HUP: the kernel adds them to every registration
UNHELD = {
    "not-accepted": "nobody yet: waits in the accept queue", "orphan": "nobody: closed, the kernel finishes",
    "time-wait": "nobody: closed", "syn-queue": "nobody yet: handshake", "kernel": "the kernel's own",
    "hidden": "of another user: not visible without root", "unheld": "nobody has it open",
    "not-scanned": "not among the processes looked at",
}
MOST_HOLDERS, MOST_WATCHES, MOST_WAITERS = 8, 6, 6


def in_lines(socket: Socket, observation: Observation, width: int, *, brief: bool = False) -> list[TextLine]:
    """From the peer to whoever reads."""
    peer = peer_of(observation.snapshot, socket)
    detail = observation.details.get(socket.key)
    move = _move(socket, observation, "receive")
    queue = receive_queue(socket, peer if socket.family == "unix" else None, detail)
    lines = [_heading("IN   peer → application", move)]
    if not brief:
        lines += peer_lines(socket, peer, observation, "send")
    lines += _queue_lines("receive", queue, width, brief=brief, mark="mark")
    if move is not None and move.condition == "stalled" and move.party != "none":
        lines += _break(move, width)
    lines += watch_lines(detail)
    lines += thread_lines(detail)
    lines += process_lines(socket, observation)
    return lines


def out_lines(socket: Socket, observation: Observation, width: int, *, brief: bool = False) -> list[TextLine]:
    """From the process to the peer."""
    peer = peer_of(observation.snapshot, socket)
    detail = observation.details.get(socket.key)
    move = _move(socket, observation, "send")
    queue = send_queue(socket, peer if socket.family == "unix" else None, detail)
    lines = [_heading("OUT  application → peer", move)]
    lines += [] if brief else process_lines(socket, observation, most=1)
    lines += _queue_lines("send", queue, width, brief=brief, mark="poll mark")
    if move is not None and move.condition == "stalled" and move.party != "none":
        lines += _break(move, width)
    tcp = detail.tcp.value if detail is not None and detail.tcp is not None else None
    if socket.protocol in ("tcp", "mptcp"):
        lines.append(labelled("network", *_network(tcp, socket)))
    if not brief:
        lines += peer_lines(socket, peer, observation, "receive")
    return lines


def _heading(text: str, move: Move | None) -> TextLine:
    whose = "nobody" if move is None or move.party == "none" else move.party
    role = "severe" if move is not None and move.condition == "stalled" and move.party != "none" else "dim"
    return line((f" {text}", "header"), ("   whose move: ", "dim"), (whose, role))


def _move(socket: Socket, observation: Observation, way: str) -> Move | None:
    move = (observation.moves or {}).get(socket.key)
    if move is None:
        return None
    return move.receive if way == "receive" else move.send


def _break(move: Move, width: int) -> list[TextLine]:
    first, *rest = wrap(sanitise(move.reason or f"{move.party} does not act"), width - 13, "severe")
    return [line(("  ╳        ", "severe"), *first.parts), *(line(PIPE, *one.parts) for one in rest)]


def _queue_lines(label: str, queue: Queue, width: int, *, brief: bool, mark: str) -> list[TextLine]:
    cells = max(6, min(40, width - 26))
    marked = (queue.mark_bytes or 0) > 1  # a mark of 1 is the default of the receive side: nothing to see
    drawn = bar(queue.fill or 0.0, queue.mark_fraction if marked else None, cells)
    full = percent(queue.fill) if queue.queued_bytes is not None else "?"
    lines = [labelled(label, (drawn, "bar"), f" {full}", f"  {size(queue.queued_bytes or 0)}" if brief else "")]
    if not brief:
        number = f"{count(queue.queued_bytes) if queue.queued_bytes is not None else '?'} of "
        capacity = byte_count(queue.capacity_bytes)
        where = f"  {mark} {count(queue.mark_bytes)} ({queue.mark_source})" if queue.mark_bytes else ""
        lines.append(line(PIPE, number + capacity, (where, "dim")))
    verdict = {True: ("● ", "good"), False: ("○ ", "dim"), None: ("? ", "warning")}[queue.ready]
    first, *rest = wrap(sanitise(queue.reason), width - 15) or [line()]
    lines.append(line(PIPE, verdict, *first.parts))
    lines += [line(PIPE, "  ", *one.parts) for one in rest]
    if queue.would_block is not None and not brief:
        lines.append(line(PIPE, "○ send(): blocks" if queue.would_block else "● send(): takes data"))
    return lines


def _network(tcp: TcpInfo | None, socket: Socket) -> list[str | tuple[str, str]]:
    if tcp is None:
        retransmits = socket.timer.retransmits if socket.timer is not None else 0
        return [f"retransmits {retransmits}" if retransmits else "", (" tcp_info not read", "dim")]
    window = f"  peer's window {count(tcp.snd_wnd)}" if tcp.snd_wnd is not None else ""
    text = f"{tcp.unacked} in flight  rtt {tcp.rtt_us / 1000:.1f} ms  cwnd {tcp.snd_cwnd}  {tcp.total_retrans} resent"
    return [text + window]


def who(holders: tuple[Holder, ...], observation: Observation) -> str:
    """`nginx 1203 fd 21 +3`: the first holder and how many more."""
    if not holders:
        return "?"
    first = holders[0]
    name = process_name(observation.snapshot.processes.get(first.pid))
    more = f" +{len(holders) - 1}" if len(holders) > 1 else ""
    return f"{name} {first.pid} fd {first.fd}{more}"


def peer_lines(socket: Socket, peer: Socket | None, observation: Observation, its: str) -> list[TextLine]:
    """Return the other end; where it is on this host it can be followed, and its queue facing us is told."""
    if peer is None:
        far = endpoint(socket.remote) if socket.remote is not None else "nobody"
        return [labelled("peer", far or "unnamed")]
    holders = observation.snapshot.holders_of(peer)
    name = who(holders, observation) if holders else UNHELD[ownership(observation.snapshot, peer)]
    detail = observation.details.get(peer.key)
    theirs = socket if peer.family == "unix" else None
    queue = send_queue(peer, theirs, detail) if its == "send" else receive_queue(peer, theirs, detail)
    held = f"its {its} queue {count(queue.queued_bytes or 0)} of {byte_count(queue.capacity_bytes)}"
    return [
        labelled("peer", name, ("  on this host", "dim"), key=("socket", peer.key)),
        line(PIPE, (held, "dim")),
    ]


def watch_lines(detail: SocketDetail | None) -> list[TextLine]:
    """Every epoll registration."""
    read = detail.watches if detail is not None else None
    if read is None:
        return [labelled("watch", ("not read", "dim"))]
    if read.value is None:
        reason = read.gap.detail or read.gap.reason if read.gap is not None else "not readable"
        return [labelled("watch", (f"? {sanitise(reason)}", "dim"))]
    if not read.value:
        return [labelled("watch", ("no epoll set", "dim"))]
    lines = [labelled("watch", watch_text(watch), key=("process", watch.pid)) for watch in read.value[:MOST_WATCHES]]
    if len(read.value) > MOST_WATCHES:
        lines.append(labelled("", (f"{len(read.value) - MOST_WATCHES} more", "dim")))
    return lines


def watch_text(watch: Watch) -> str:
    """`epoll 7 of 1203   fd 24   IN RDHUP   EDGE`."""
    words = [f"epoll {watch.epoll_fd} of {watch.pid}", f"fd {watch.fd}", events_text(watch.events)]
    if watch.trigger == "edge":
        words.append("EDGE")
    if watch.oneshot:
        words.append("ONE-SHOT armed" if watch.armed else "ONE-SHOT spent")
    if watch.exclusive:
        words.append("EXCLUSIVE")
    if watch.stale:
        words.append(f"stale: fd {watch.stale}")
    return "   ".join(words)


def events_text(events: int) -> str:
    """Return poll's and epoll's bits by name."""
    asked = events & ~ALWAYS_TOLD
    return "+".join(name for bit, name in EVENTS if asked & bit) or "none"


def thread_lines(detail: SocketDetail | None) -> list[TextLine]:
    """Every thread that is blocked on it."""
    read = detail.waiters if detail is not None else None
    if read is None:
        return [labelled("thread", ("not read", "dim"))]
    if read.value is None:
        reason = read.gap.detail or read.gap.reason if read.gap is not None else "not readable"
        return [labelled("thread", (f"? {sanitise(reason)}", "dim"))]
    lines = []
    for waiter in read.value[:MOST_WAITERS]:
        on = waiter.via_fd if waiter.via_fd is not None else waiter.fd
        call = f"{waiter.call}({'' if on is None else on})"
        lines.append(labelled("thread", f"{waiter.tid} {sanitise(waiter.thread, 24)}  asleep in {call}",
                              key=("process", waiter.pid)))
    if len(read.value) > MOST_WAITERS:
        lines.append(labelled("", (f"{len(read.value) - MOST_WAITERS} more", "dim")))
    return lines or [labelled("thread", ("nobody waits on it", "dim"))]


def process_lines(socket: Socket, observation: Observation, most: int = MOST_HOLDERS) -> list[TextLine]:
    """Every holder, or why there is none."""
    holders = observation.snapshot.holders_of(socket)
    if not holders:
        return [labelled("process", (UNHELD[ownership(observation.snapshot, socket)], "dim"))]
    detail = observation.details.get(socket.key)
    modes = detail.nonblocking.value if detail is not None and detail.nonblocking is not None else None
    lines = []
    for holder in holders[:most]:
        mode = (modes or {}).get((holder.pid, holder.fd))
        word = "" if mode is None else "  non-blocking" if mode else "  blocking"
        lines.append(labelled("process", who((holder,), observation), (word, "dim"), key=("process", holder.pid)))
    if len(holders) > most:
        lines.append(labelled("", (f"{len(holders) - most} more fds", "dim")))
    return lines
