"""struct tcp_info in groups, each number with its unit; MEANINGS says what it is (tcp(7), uapi/linux/tcp.h)."""

from __future__ import annotations

from typing import TypeAlias

from sockscope.model.detail import TcpInfo
from sockscope.present.format import byte_count, count, duration, size

Lines: TypeAlias = list[tuple[str, str]]
_CA_STATES = ("open", "disorder", "CWR", "recovery", "loss")
_INFINITE = 0x7FFFFFFF  # TCP_INFINITE_SSTHRESH

MEANINGS = {
    "rtt": "smoothed round trip time, and its mean deviation",
    "rto": "unanswered for so long, data is sent again",
    "min rtt": "the smallest round trip of late: the path without queues",
    "rcv_wnd": "how much we allow the peer to send now",
    "snd_wnd": "how much the peer allows us to send now; 0 = it must read first",
    "rcv_space": "what the receive buffer's auto-tuning aims at",
    "retransmits": "tries of the oldest unanswered segment, now",
    "lost": "segments thought lost and not yet sent again",
    "sacked": "segments the peer has, beyond a hole",
    "reordering": "how far segments overtake each other on this path",
    "resent": "segments sent again since the connection began",
    "cwnd": "congestion window in segments: what the network is trusted with",
    "ssthresh": "window at which growth turns slow; ∞ = no loss met yet",
    "in flight": "segments sent and not acknowledged",
    "unsent": "bytes in the send buffer that never left yet",
    "state": "congestion control's phase",
    "pacing": "rate at which segments leave at most",
    "delivery": "rate at which the peer acknowledged of late",
    "sent ago": "time since we last sent data",
    "received ago": "time since data last came",
    "acked ago": "time since the peer last acknowledged anything",
    "busy": "time with data to send",
    "window-limited": "of that, stopped by the peer's window",
    "buffer-limited": "of that, stopped by a small send buffer",
    "in": "bytes received since the connection began",
    "out": "bytes acknowledged since the connection began",
    "mss": "largest segment we send / we receive",
    "pmtu": "largest packet the path takes, as far as known",
}


def tcp_lines(info: TcpInfo) -> list[tuple[str, Lines]]:
    """Return groups of (label, value); what this kernel does not tell is left out."""
    return [
        ("timing", _timing(info)), ("window", _window(info)), ("loss", _loss(info)), ("pace", _pace(info)),
        ("idle", _idle(info)), ("totals", _totals(info)),
    ]


def _ms(micros: int) -> str:
    return f"{micros / 1000:.1f} ms" if micros < 10_000 else f"{micros / 1000:.0f} ms"


def _timing(info: TcpInfo) -> Lines:
    lines = [("rtt", f"{info.rtt_us / 1000:.1f} ±{info.rttvar_us / 1000:.1f} ms"), ("rto", _ms(info.rto_us))]
    if info.min_rtt_us is not None and info.min_rtt_us < 0xFFFFFFFF:
        lines.append(("min rtt", _ms(info.min_rtt_us)))
    return lines


def _window(info: TcpInfo) -> Lines:
    lines: Lines = []
    if info.rcv_wnd is not None:
        lines.append(("rcv_wnd", byte_count(info.rcv_wnd)))
    if info.snd_wnd is not None:
        lines.append(("snd_wnd", byte_count(info.snd_wnd)))
    lines.append(("rcv_space", byte_count(info.rcv_space)))
    if info.notsent_bytes is not None:
        lines.append(("unsent", byte_count(info.notsent_bytes)))
    return lines


def _loss(info: TcpInfo) -> Lines:
    return [
        ("retransmits", str(info.retransmits)), ("lost", str(info.lost)), ("sacked", str(info.sacked)),
        ("reordering", str(info.reordering)), ("resent", count(info.total_retrans)),
    ]


def _pace(info: TcpInfo) -> Lines:
    state = _CA_STATES[info.ca_state] if 0 <= info.ca_state < len(_CA_STATES) else str(info.ca_state)
    lines = [
        ("cwnd", f"{info.snd_cwnd} {info.congestion or ''}".strip()),
        ("ssthresh", "∞" if info.snd_ssthresh >= _INFINITE else str(info.snd_ssthresh)),
        ("in flight", str(info.unacked)), ("state", state), ("mss", f"{info.snd_mss} / {info.rcv_mss} B"),
        ("pmtu", byte_count(info.pmtu)),
    ]
    if info.pacing_rate is not None and info.pacing_rate < 1 << 63:
        lines.append(("pacing", f"{size(info.pacing_rate)}B/s"))
    if info.delivery_rate:
        lines.append(("delivery", f"{size(info.delivery_rate)}B/s"))
    return lines


def _idle(info: TcpInfo) -> Lines:
    return [
        ("sent ago", duration(info.last_data_sent_ms / 1000)),
        ("received ago", duration(info.last_data_recv_ms / 1000)),
        ("acked ago", duration(info.last_ack_recv_ms / 1000)),
    ]


def _totals(info: TcpInfo) -> Lines:
    lines: Lines = []
    if info.bytes_received is not None:
        lines.append(("in", byte_count(info.bytes_received)))
    if info.bytes_acked is not None:
        lines.append(("out", byte_count(info.bytes_acked)))
    if info.busy_time_us:
        lines.append(("busy", duration(info.busy_time_us / 1e6)))
        for label, part_us in (("window-limited", info.rwnd_limited_us), ("buffer-limited", info.sndbuf_limited_us)):
            if part_us:
                lines.append((label, f"{part_us / info.busy_time_us:.0%}"))
    return lines
