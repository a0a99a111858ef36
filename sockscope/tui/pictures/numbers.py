"""The numbers below the anatomy: tcp_info, options, timers, in groups with units. Pure."""

from __future__ import annotations

from sockscope.model.detail import Marks, SocketDetail, TcpInfo
from sockscope.model.observation import Observation
from sockscope.model.socket import Socket
from sockscope.present.format import count, duration, size, user
from sockscope.present.width import cell_len
from sockscope.tui.pictures.parts import TextLine, labelled, pack, title

INFINITE_SSTHRESH = 0x7FFFFFFF  # TCP_INFINITE_SSTHRESH (include/net/tcp.h): no loss seen yet
MEANINGS = {
    "identity": "inode and cookie name this very socket, in ss -e too",
    "memory": "kernel memory charged to it, and where its buffers end",
    "window": "what each side still lets the other send", "timing": "round trip and its spread; when it resends",
    "loss": "segments lost and sent again", "pace": "how much may be in flight", "totals": "since the connection began",
    "rates": "how fast the totals grow", "idle": "how long ago each side last sent",
    "limits": "share of busy time held back by window or send buffer",
    "options": "what its owner set; RCVLOWAT is the mark of readable",
    "timer": "what the kernel waits for, and how often it has tried",
}


def number_lines(socket: Socket, observation: Observation, now_s: float, width: int, *, rates: str = "",
                 focus: str = "") -> list[TextLine]:
    """All groups; what was not read is not shown. What a group means stands beside it, or below the one in focus."""
    detail = observation.details.get(socket.key)
    tcp = detail.tcp if detail is not None else None
    if socket.is_listener:
        tcp = None
    age = f"tcp_info, {max(0.0, now_s - tcp.read_at_s):.0f} s old" if tcp is not None and tcp.value is not None else ""
    if tcp is not None and tcp.value is None and tcp.gap is not None:
        age = f"tcp_info: {tcp.gap.reason.replace('_', ' ')}"
    lines = [title(" NUMBERS", age)]
    groups = {"identity": _identity(socket, observation), "memory": _memory(socket)}
    if tcp is not None and tcp.value is not None and not socket.is_listener:
        groups |= _tcp_groups(tcp.value)
    marks = detail.marks.value if detail is not None and detail.marks is not None else None
    if rates:
        groups["rates"] = rates
    groups["options"] = _options(marks, tcp.value if tcp is not None else None)
    groups["timer"] = _timer(socket, detail)
    for name, text in groups.items():
        if not text:
            continue
        first, *rest = pack(text.split("   "), max(20, width - 13))
        beside = MEANINGS[name] if width >= 100 and not rest and cell_len(first + MEANINGS[name]) + 16 <= width else ""
        lines.append(labelled(name, first, ("   " + beside if beside else "", "dim"), key=("number", name)))
        lines += [labelled("", one) for one in rest]
        if name == focus and not beside:
            lines.append(labelled("", (MEANINGS[name], "dim")))
    return lines


def _identity(socket: Socket, observation: Observation) -> str:
    words = [f"inode {socket.inode}" if socket.inode else "no inode"]
    if socket.cookie is not None:
        words.append(f"cookie {socket.cookie:x}")
    words.append("netns host" if socket.netns == observation.snapshot.netns else f"netns {socket.netns}")
    if socket.uid is not None:
        words.append(f"uid {user(socket.uid, observation.names)}")
    if socket.interface is not None:
        words.append(f"interface {observation.snapshot.interfaces.get(socket.interface, socket.interface)}")
    return "   ".join(words)


def _memory(socket: Socket) -> str:
    memory = socket.memory
    if memory is None:
        return ""
    text = (f"receive {count(memory.receive_alloc)} of {count(memory.receive_buffer)}   "
            f"send {count(memory.send_queued)} of {count(memory.send_buffer)}   backlog {count(memory.backlog)}")
    return f"{text}   drops {count(memory.drops)}" if memory.drops else text


def _tcp_groups(tcp: TcpInfo) -> dict[str, str]:
    threshold = "∞" if tcp.snd_ssthresh >= INFINITE_SSTHRESH else count(tcp.snd_ssthresh)
    totals = [("in", tcp.bytes_received), ("out", tcp.bytes_sent), ("resent", tcp.bytes_retrans)]
    return {
        "window": _known(("rcv_wnd", tcp.rcv_wnd), ("snd_wnd", tcp.snd_wnd), ("rcv_space", tcp.rcv_space)),
        "timing": f"rtt {tcp.rtt_us / 1000:.1f} ±{tcp.rttvar_us / 1000:.1f} ms   rto {tcp.rto_us / 1000:.0f} ms",
        "loss": f"retransmits {tcp.total_retrans}   lost {tcp.lost}   sacked {tcp.sacked}   "
                f"reordering {tcp.reordering}",
        "pace": f"cwnd {tcp.snd_cwnd} {tcp.congestion or ''}   ssthresh {threshold}   in flight {tcp.unacked}   "
                f"mss {tcp.snd_mss}",
        "totals": "   ".join(f"{name} {size(number)}B" for name, number in totals if number is not None),
        "idle": f"last data in {duration(tcp.last_data_recv_ms / 1000)}   out "
                f"{duration(tcp.last_data_sent_ms / 1000)}   ack {duration(tcp.last_ack_recv_ms / 1000)}",
        "limits": _limits(tcp),
    }


def _limits(tcp: TcpInfo) -> str:
    busy = tcp.busy_time_us
    if not busy:
        return ""
    parts = (("window", tcp.rwnd_limited_us), ("send buffer", tcp.sndbuf_limited_us))
    return "   ".join(f"{name} {part * 100 // busy}%" for name, part in parts if part)


def _known(*pairs: tuple[str, int | None]) -> str:
    return "   ".join(f"{name} {count(number)}" for name, number in pairs if number is not None)


def _options(marks: Marks | None, tcp: TcpInfo | None) -> str:
    if marks is None:
        return ""
    words = [f"RCVLOWAT {count(marks.receive_lowat)}"]
    if marks.notsent_lowat:
        words.append(f"NOTSENT_LOWAT {count(marks.notsent_lowat)}")
    flags = (("NODELAY", marks.nodelay), ("KEEPALIVE", marks.keepalive), ("RCVBUF locked", marks.receive_locked),
             ("SNDBUF locked", marks.send_locked))
    words += [name for name, on in flags if on]
    congestion = marks.congestion or (tcp.congestion if tcp is not None else None)
    return "   ".join([*words, congestion] if congestion else words)


def _timer(socket: Socket, detail: SocketDetail | None) -> str:
    if socket.timer is None:
        return ""
    expires_s = socket.timer.expires_s
    if detail is not None and detail.timer_expires_s is not None and detail.timer_expires_s.value is not None:
        expires_s = detail.timer_expires_s.value
    text = f"{socket.timer.kind}   retransmits {socket.timer.retransmits}"
    return text if expires_s is None else f"{text}   in {expires_s:.1f} s"
